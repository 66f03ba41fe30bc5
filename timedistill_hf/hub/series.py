"""Hosting series on the Hub: one configuration a data set, Parquet, all rows in order of time in one split."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, DatasetCard
from huggingface_hub.errors import EntryNotFoundError

from .._utils.errors import InputError, listed
from .._utils.licences import check_licence
from .._utils.table_files import table_stem
from .publishing import HubTarget
from .series_card import SPLIT, HostedSeries, with_series


if TYPE_CHECKING:
    import datasets
    import pandas as pd

    from ..tables.table import Table

_CARD = "README.md"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_OTHER_FORMATS = (".csv", ".tsv", ".json", ".jsonl", ".arrow", ".txt", ".npy", ".npz", ".h5")


def publish_series(
    source: "str | Path | Table",
    repo_id: str,
    *,
    license: str,
    config_name: str | None = None,
    data_dir: str | Path | None = None,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    split: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    description: str = "",
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    overwrite: bool = False,
) -> CommitInfo:
    """Host a series in a data set of the Hub, as one configuration of it, in one commit.

    Timestamps and numbers are written as such, whatever they were in the file; values and order of rows stay, but that
    the rows of a table that is not a benchmark's are put in order of time (of a long table, within each id). They are
    all in the split `train`; the card says which of them are for training, validation and test. The repository's other
    configurations, and what else its card says, are kept.

    Args:
        source: what [`load_series`] takes, but for a data set of the Hub.
        repo_id: `user/name`; a bare name is one of the token's user.
        license: the data's, as the Hub names it (`cc-by-4.0`), or `other`.
        config_name: of the configuration; the file's or benchmark's name where `None`.
        data_dir: folder with the benchmark files.
        timestamp_column, id_column, target_columns, decimal, thousands: see [`load_series`].
        split: which rows are for what, as `--split` takes it; the benchmark's, or 70 / 10 / 20 % of the steps.
        description: what the card says of the data: where they come from, what the columns are, in which units.
        private, token, revision: see [`HubTarget`].
        overwrite: whether a configuration of that name may be replaced.

    Raises:
        InputError: the source is no series; the repository has that configuration, or holds files of another format;
            or the Hub does not take it.
    """
    roles = {"timestamp_column": timestamp_column, "id_column": id_column, "target_columns": target_columns}
    place = {"data_dir": data_dir, "decimal": decimal, "thousands": thousands}
    hosted, table = _read(source, roles, place, split, config_name, license, description)
    target = HubTarget(repo_id, "dataset", private, token, revision)
    repo_id = target.prepare()
    api, config = target.api, hosted.config_name
    with target.explained():
        parent = api.repo_info(repo_id, repo_type="dataset", revision=revision).sha
        there = api.list_repo_files(repo_id, repo_type="dataset", revision=parent)
        card = _card(target, repo_id, parent)
    _check_free(repo_id, config, card, there, overwrite)
    content, info = _to_parquet(table, config)
    data_file = f"{config}/{SPLIT}-00000-of-00001.parquet"
    card = with_series(card, repo_id, hosted, info)
    stale = [path for path in there if path.startswith(f"{config}/{SPLIT}-") and path != data_file]
    operations = [CommitOperationAdd(data_file, content), CommitOperationAdd(_CARD, str(card).encode())]
    operations += [CommitOperationDelete(path) for path in stale]
    with target.explained(remedy="; nothing was published"):
        return api.create_commit(
            repo_id,
            operations,
            commit_message=f"{config}: {hosted.num_rows:,} rows",
            repo_type="dataset",
            revision=revision,
            parent_commit=parent,
        )


def _read(
    source: object,
    roles: dict,
    place: dict,
    split: str | None,
    config_name: str | None,
    license: str,
    description: str,
) -> "tuple[HostedSeries, pd.DataFrame]":
    from ..data.frames import frame_to_series
    from ..data.sources import default_split, find_benchmark, read_frame
    from ..data.splits import parse_split
    from ..tables.columns import read_columns

    check_licence(license)
    frame, name = read_frame(source, id_column=roles["id_column"], **place)
    benchmark = find_benchmark(source)
    config = config_name or (benchmark.name if benchmark else table_stem(name))
    if not _NAME.fullmatch(config) or config == "default":
        raise InputError(
            f"config_name={config!r}: expected letters, digits, dots, dashes and underscores, and not 'default'"
        )
    series = frame_to_series(
        frame, name=name, season=benchmark.season if benchmark else None, regularize=benchmark is None, **roles
    )
    read = read_columns(frame, name, **roles)
    time, id_column = read.timestamp_column, read.id_column
    kept = [column for column in (id_column, time) if column is not None]
    table = _in_order(read.frame[[*kept, *read.target_columns]], id_column, None if benchmark else time)
    spec = parse_split(split) if split is not None else default_split(source)
    hosted = HostedSeries(
        config_name=config,
        license=license,
        description=description.strip(),
        num_rows=len(table),
        series=series,
        split=spec.resolve(series.num_rows, series.timestamps),
        is_split_given=split is not None or benchmark is not None,
    )
    return hosted, table


def _in_order(table: "pd.DataFrame", id_column: str | None, time: str | None) -> "pd.DataFrame":
    """Rows in order of time; of a long table within each id, the ids in the order of their first rows."""
    if id_column is None:
        return table if time is None else table.sort_values(time, kind="stable", ignore_index=True)
    place = {identifier: index for index, identifier in enumerate(table[id_column].drop_duplicates())}
    order = table.assign(_place=table[id_column].map(place))
    return order.sort_values(["_place", time], kind="stable", ignore_index=True).drop(columns="_place")


def _to_parquet(table: "pd.DataFrame", config: str) -> "tuple[bytes, datasets.DatasetInfo]":
    """The file, and what its configuration's metadata say of it."""
    import datasets

    data = datasets.Dataset.from_pandas(table, preserve_index=False)
    buffer = io.BytesIO()
    data.to_parquet(buffer)
    content = buffer.getvalue()
    size = data.data.nbytes
    split = datasets.SplitInfo(SPLIT, num_bytes=size, num_examples=len(data))
    info = datasets.DatasetInfo(
        features=data.features,
        config_name=config,
        splits=datasets.SplitDict({SPLIT: split}),
        download_size=len(content),
        dataset_size=size,
    )
    return content, info


def _card(target: HubTarget, repo_id: str, revision: str) -> DatasetCard | None:
    try:
        path = target.api.hf_hub_download(repo_id, _CARD, repo_type="dataset", revision=revision)
    except EntryNotFoundError:
        return None
    return DatasetCard.load(path)


def _check_free(repo_id: str, config: str, card: DatasetCard | None, files: list[str], overwrite: bool) -> None:
    """Raise where the configuration is there already, or the repository's files are of another format."""
    other = [path for path in files if path.lower().endswith(_OTHER_FORMATS)]
    if other:
        raise InputError(
            f"the data set {repo_id!r} holds {listed(other, most=3)}: all its files must be Parquet for its "
            "configurations to load; name another repository"
        )
    declared = [] if card is None else [entry.get("config_name") for entry in card.data.get("configs") or []]
    is_there = config in declared or any(path.startswith(f"{config}/") for path in files)
    if is_there and not overwrite:
        raise InputError(
            f"the data set {repo_id!r} has a configuration {config!r} already: name another `config_name`, or pass "
            "`overwrite=True`"
        )
