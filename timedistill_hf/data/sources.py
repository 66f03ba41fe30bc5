"""Where series come from: a benchmark's name, a file of the user's, a Hub data set, a table in memory."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, did_you_mean
from .benchmarks import BENCHMARKS, HUB_DATASET, Benchmark
from .csv_files import csv_format, not_utf8
from .hub_datasets import read_hub
from .series import Series, as_sentinels
from .splits import STANDARD_RATIOS, SplitSpec
from .synthetic import NAME as SYNTHETIC
from .synthetic import synthetic_series


if TYPE_CHECKING:
    import datasets
    import pandas as pd

logger = logging.getLogger(__name__)

_BUILDERS = {".csv": "csv", ".parquet": "parquet"}
_REMEDIES = {
    "csv": "give every row as many cells as the first line has names",
    "parquet": "write it anew, with DataFrame.to_parquet for example",
}


def load_series(
    source: "str | Path | pd.DataFrame | datasets.Dataset",
    *,
    data_dir: str | Path | None = None,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    season: int | None = None,
    missing_value: float | list[float] | None = None,
    time_zone: str | None = None,
    hub_config: str | None = None,
    dataset_revision: str | None = None,
) -> Series:
    """Load a series through `datasets`.

    Args:
        source: `"synthetic"`; a benchmark's name (`etth1`, `weather`, ...), looked for in `data_dir` and then on the
            Hub; a `.csv` or `.parquet` file; a Hub data set's id; or a DataFrame or `datasets.Dataset`.
        data_dir: folder with the benchmark files.
        timestamp_column, id_column, target_columns: see [`frame_to_series`]; found where they are obvious.
        season: steps of one season; otherwise the benchmark's, or read from the frequency.
        missing_value: a sentinel that means missing, such as Weather's -9999 (kept as published unless given), or
            several.
        time_zone: whose clock timestamps without a zone show (`"Europe/Berlin"`), or whose calendar those with one
            follow; see [`Clock`].
        hub_config: configuration name of a Hub data set; needed where it has several.
        dataset_revision: branch, tag or commit of a Hub data set.

    Raises:
        InputError: nothing is found under that name, or the table cannot be read as a series.
    """
    from .frames import frame_to_series

    if isinstance(source, str) and source == SYNTHETIC:
        if timestamp_column or id_column or target_columns or time_zone or as_sentinels(missing_value):
            raise InputError(
                "the synthetic series has fixed columns: column options, time_zone and missing_value are for files"
            )
        series = synthetic_series()
        return replace(series, season=season or series.season)
    benchmark = find_benchmark(source)
    frame, name = read_frame(
        source, data_dir=data_dir, id_column=id_column, hub_config=hub_config, dataset_revision=dataset_revision
    )
    series = frame_to_series(
        frame,
        name=name,
        timestamp_column=timestamp_column,
        id_column=id_column,
        target_columns=target_columns,
        season=season or (benchmark.season if benchmark else None),
        regularize=benchmark is None,
        time_zone=time_zone,
    )
    if benchmark is not None:
        series = replace(series, freq=series.freq or benchmark.freq, note=benchmark.note, split=benchmark.split)
    elif Path(name).is_file():
        series = replace(series, name=Path(name).stem)
    if as_sentinels(missing_value):
        series = series.with_missing(missing_value)
    return series


def find_benchmark(source: object) -> Benchmark | None:
    """The benchmark of that name."""
    return BENCHMARKS.get(source.lower()) if isinstance(source, str) else None


def default_split(source: object) -> SplitSpec:
    """The standard split of a benchmark, 70 / 10 / 20 % for all else."""
    benchmark = find_benchmark(source)
    return benchmark.split if benchmark else STANDARD_RATIOS


def read_frame(
    source: "str | Path | pd.DataFrame | datasets.Dataset",
    *,
    data_dir: str | Path | None = None,
    id_column: str | None = None,
    hub_config: str | None = None,
    dataset_revision: str | None = None,
) -> "tuple[pd.DataFrame, str]":
    """The table of a source of [`load_series`] as it is, and what messages call it."""
    import pandas as pd

    benchmark = find_benchmark(source)
    if benchmark is not None:
        return _read_benchmark(benchmark, data_dir, dataset_revision), benchmark.name
    if isinstance(source, pd.DataFrame):
        return source, "frame"
    if isinstance(source, (str, Path)):
        frame = _read_named(str(source), hub_config, dataset_revision, id_column)
        return frame, f"{source} ({hub_config})" if hub_config else str(source)
    return _from_dataset(source), "dataset"


def _from_dataset(source: "datasets.Dataset") -> "pd.DataFrame":
    import datasets

    if isinstance(source, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        raise InputError(f"the data set has the splits {list(source)}: give one of them, as dataset['train']")
    if not isinstance(source, (datasets.Dataset, datasets.IterableDataset)):
        raise InputError(
            f"{type(source).__name__!r} is no kind of series: give a name, a file, a DataFrame or a datasets.Dataset"
        )
    return source.to_pandas()


def _read_benchmark(benchmark: Benchmark, data_dir: str | Path | None, revision: str | None = None) -> "pd.DataFrame":
    if data_dir is not None:
        folder = Path(data_dir)
        if not folder.is_dir():
            raise InputError(
                f"data_dir={str(folder)!r} is no folder: give the one that holds {benchmark.name}.parquet"
            )
        wanted = {benchmark.name, (benchmark.hub_config or benchmark.name).lower()}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix.lower() in _BUILDERS and path.stem.lower() in wanted:
                return read_file(path)
        if benchmark.hub_config is None:
            raise InputError(
                f"data_dir={str(folder)!r} holds no {benchmark.name}.parquet or {benchmark.name}.csv: give the folder "
                "that holds it"
            )
    if benchmark.hub_config is None:
        raise InputError(f"{benchmark.name!r} is a local file: give the folder that holds it with --data_dir")
    looked_in = f"data_dir={str(data_dir)!r} holds no {benchmark.name} and " if data_dir is not None else ""
    return read_hub(HUB_DATASET, (benchmark.hub_config, benchmark.name), revision, looked_in)


def _read_named(source: str, hub_config: str | None, revision: str | None, id_column: str | None) -> "pd.DataFrame":
    path = Path(source)
    if path.is_file():
        if path.suffix.lower() not in _BUILDERS:
            raise InputError(f"{source!r} is no .csv or .parquet file: convert it to one of them")
        return read_file(path, id_column)
    if source and path.is_dir():
        raise InputError(f"{source!r} is a folder: name a .csv or .parquet file in it, or a benchmark and --data_dir")
    looks_like_hub_id = source.count("/") == 1 and path.suffix.lower() not in _BUILDERS and not path.is_absolute()
    if looks_like_hub_id:
        return read_hub(source, (hub_config,) if hub_config else (), revision)
    nearest = did_you_mean(source.lower(), (SYNTHETIC, *BENCHMARKS))
    raise InputError(
        f"there is no file {source!r}; --dataset takes a .csv or .parquet file, a Hub data set (user/name), "
        f"{SYNTHETIC!r} or a benchmark: {', '.join(BENCHMARKS)}{nearest}"
    )


def read_file(path: Path, id_column: str | None = None) -> "pd.DataFrame":
    """A .csv or .parquet file as it is; ids keep what a number would lose, such as the zeros of 007."""
    import datasets

    builder = _BUILDERS[path.suffix.lower()]
    is_text = builder == "csv" and id_column is not None
    # one chunk: types are found in the whole column, not in its first 10,000 rows
    options = csv_format(path) | {"chunksize": None} if builder == "csv" else {}
    options |= {"converters": {id_column: str}} if is_text else {}
    try:
        with _quiet():
            table = datasets.load_dataset(builder, data_files=str(path), split="train", **options)
    except (datasets.exceptions.DatasetGenerationError, datasets.exceptions.DatasetsError, ValueError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, UnicodeDecodeError):
            raise not_utf8(path) from error
        reason = str(cause).splitlines()[0]
        raise InputError(f"{str(path)!r} cannot be read as {builder}: {reason}; {_REMEDIES[builder]}") from error
    frame = table.to_pandas()
    if is_text and id_column in frame.columns:
        frame[id_column] = _numbers_where_alike(frame[id_column])
    return frame


def _numbers_where_alike(ids: "pd.Series") -> "pd.Series":
    """Ids read as text: integers where all are written as such, else the text."""
    ids = ids.where(ids != "")
    is_integer = all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", str(text)) for text in ids.unique())
    return ids.astype("int64") if is_integer else ids


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what converting a local file shows: progress bars, and errors that are raised as well."""
    import datasets

    were_disabled = datasets.are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if not were_disabled:
            datasets.enable_progress_bars()
