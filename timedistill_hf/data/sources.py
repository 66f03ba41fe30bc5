"""Where series come from: a benchmark's name, a file of the user's, a Hub data set, a table in memory."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .._utils.errors import InputError, did_you_mean
from .._utils.table_files import READABLE, table_kind, table_stem
from .benchmarks import BENCHMARKS, HUB_DATASET, Benchmark
from .codes import warn_of_codes
from .hub_datasets import read_hub
from .series import Series, as_sentinels
from .splits import STANDARD_RATIOS, SplitSpec
from .synthetic import NAME as SYNTHETIC
from .synthetic import synthetic_series


if TYPE_CHECKING:
    import pandas as pd

    from ..tables.table import Table


def load_series(
    source: "str | Path | Table",
    *,
    data_dir: str | Path | None = None,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    season: int | None = None,
    missing_value: float | list[float] | None = None,
    time_zone: str | None = None,
    freq: str | None = None,
    hub_config: str | None = None,
    dataset_revision: str | None = None,
    duplicates: str = "error",
    decimal: str | None = None,
    thousands: str | None = None,
) -> Series:
    """Load a series.

    Args:
        source: `"synthetic"`; a benchmark's name (`etth1`, `weather`, ...), looked for in `data_dir` and then on the
            Hub; a `.csv` (`.tsv`, packed) or `.parquet` file; a Hub data set's id; or a table: a DataFrame of pandas
            or polars, an Arrow table, a `datasets.Dataset`.
        data_dir: folder with the benchmark files.
        timestamp_column, id_column, target_columns: see [`read_columns`]; found where they are obvious.
        season: steps of one season; otherwise the benchmark's, or read from the frequency.
        missing_value: a sentinel that means missing, such as Weather's -9999 (kept as published unless given), or
            several. One that is not given is named in a warning where it is plain ([`find_codes`]).
        time_zone: whose clock timestamps without a zone show (`"Europe/Berlin"`), or whose calendar those with one
            follow; see [`Clock`].
        freq: pandas frequency, such as `"B"`, whose grid holds all rows; what was left out counts as missing. Found
            where `None` ([`find_frequency`]).
        hub_config: configuration name of a Hub data set; needed where it has several.
        dataset_revision: branch, tag or commit of a Hub data set.
        duplicates: what several rows of one series at one time become: `"error"`, `"last"` of them or their `"mean"`.
        decimal, thousands: the signs in numbers that are written as text (`decimal=","`, `thousands="."`), where the
            table does not tell them.

    Raises:
        InputError: nothing is found under that name, or the table cannot be read as a series.
    """
    from ..tables.panel import check_duplicates
    from .frames import frame_to_series

    check_duplicates(duplicates)
    if isinstance(source, str) and source == SYNTHETIC:
        if timestamp_column or id_column or target_columns or time_zone or freq or as_sentinels(missing_value):
            raise InputError(
                "the synthetic series has fixed columns: column options, time_zone, freq and missing_value are for "
                "files"
            )
        series = synthetic_series()
        return replace(series, season=season or series.season)
    benchmark = find_benchmark(source)
    frame, name = read_frame(
        source,
        data_dir=data_dir,
        id_column=id_column,
        hub_config=hub_config,
        dataset_revision=dataset_revision,
        decimal=decimal,
        thousands=thousands,
    )
    series = frame_to_series(
        frame,
        name=name,
        season=season or (benchmark.season if benchmark else None),
        regularize=benchmark is None,
        missing_value=missing_value,
        time_zone=time_zone,
        timestamp_column=timestamp_column,
        id_column=id_column,
        target_columns=target_columns,
        freq=freq,
        duplicates=duplicates,
    )
    if freq is not None and series.timestamps is None:
        raise InputError(f"freq={freq!r}: {name!r} has no time column that it could be the frequency of")
    if benchmark is not None:
        series = replace(series, freq=series.freq or benchmark.freq, note=benchmark.note, split=benchmark.split)
    elif os.path.isfile(name):
        series = replace(series, name=table_stem(name))
    warn_of_codes(series.name, series.columns, series.values.numpy())
    return series


def find_benchmark(source: object) -> Benchmark | None:
    """The benchmark of that name."""
    return BENCHMARKS.get(source.lower()) if isinstance(source, str) else None


def default_split(source: object) -> SplitSpec:
    """The standard split of a benchmark, 70 / 10 / 20 % for all else."""
    benchmark = find_benchmark(source)
    return benchmark.split if benchmark else STANDARD_RATIOS


def read_frame(
    source: "str | Path | Table",
    *,
    data_dir: str | Path | None = None,
    id_column: str | None = None,
    hub_config: str | None = None,
    dataset_revision: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
) -> "tuple[pd.DataFrame, str]":
    """The table of a source of [`load_series`] as it is, and what messages call it."""
    from ..tables.files import read_file
    from ..tables.number_signs import check_signs, read_text_numbers
    from ..tables.table import KINDS, as_frame, is_table

    check_signs(decimal, thousands)
    signs = {"decimal": decimal, "thousands": thousands}
    benchmark = find_benchmark(source)
    if benchmark is not None:
        return _read_benchmark(benchmark, data_dir, dataset_revision), benchmark.name
    if isinstance(source, (str, Path)) and os.path.isfile(source):
        return read_file(source, id_column, **signs), str(source)
    if isinstance(source, (str, Path)):
        frame = _read_named(str(source), hub_config, dataset_revision)
        name = f"{source} ({hub_config})" if hub_config else str(source)
    elif is_table(source):
        frame, name = as_frame(source, "frame"), "frame"
    else:
        raise InputError(f"{type(source).__name__!r} is no kind of series: give a name, a file, {KINDS}")
    if decimal is not None or thousands is not None:
        frame = read_text_numbers(frame, name, id_column, **signs)
    return frame, name


def _read_benchmark(benchmark: Benchmark, data_dir: str | Path | None, revision: str | None = None) -> "pd.DataFrame":
    from ..tables.files import read_file

    if data_dir is not None:
        folder = Path(data_dir)
        if not folder.is_dir():
            raise InputError(
                f"data_dir={str(folder)!r} is no folder: give the one that holds {benchmark.name}.parquet"
            )
        wanted = {benchmark.name, (benchmark.hub_config or benchmark.name).lower()}
        for path in sorted(folder.rglob("*")):
            if table_stem(path).lower() in wanted and table_kind(path) is not None and path.is_file():
                return read_file(path)
        if benchmark.hub_config is None:
            raise InputError(
                f"data_dir={str(folder)!r} holds no {benchmark.name}.parquet or {benchmark.name}.csv: give the folder "
                "that holds it"
            )
    if benchmark.hub_config is None:
        raise InputError(f"{benchmark.name!r} is a local file: give the folder that holds it with `data_dir`")
    looked_in = f"data_dir={str(data_dir)!r} holds no {benchmark.name} and " if data_dir is not None else ""
    return read_hub(HUB_DATASET, (benchmark.hub_config, benchmark.name), revision, looked_in)


def _read_named(source: str, hub_config: str | None, revision: str | None) -> "pd.DataFrame":
    path = Path(source)
    if source and os.path.isdir(path):
        raise InputError(f"{source!r} is a folder: name a .csv or .parquet file in it, or a benchmark and data_dir")
    looks_like_hub_id = source.count("/") == 1 and table_kind(path) is None and not path.is_absolute()
    if looks_like_hub_id:
        return read_hub(source, (hub_config,) if hub_config else (), revision)
    nearest = did_you_mean(source.lower(), (SYNTHETIC, *BENCHMARKS))
    raise InputError(
        f"there is no file {source!r}; expected a {READABLE}, a Hub data set (user/name), {SYNTHETIC!r} or a "
        f"benchmark: {', '.join(BENCHMARKS)}{nearest}"
    )
