"""Where series come from: a benchmark's name, a file of the user's, a Hub data set, a table in memory."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .benchmarks import BENCHMARKS, HUB_DATASET, Benchmark
from .series import Series
from .splits import STANDARD_RATIOS, SplitSpec
from .synthetic import NAME as SYNTHETIC
from .synthetic import synthetic_series


if TYPE_CHECKING:
    import datasets
    import pandas as pd

logger = logging.getLogger(__name__)

_BUILDERS = {".csv": "csv", ".parquet": "parquet"}


def load_series(
    source: "str | Path | pd.DataFrame | datasets.Dataset",
    *,
    data_dir: str | Path | None = None,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    season: int | None = None,
    missing_value: float | None = None,
    hub_config: str | None = None,
) -> Series:
    """Load a series through `datasets`.

    Args:
        source: `"synthetic"`; a benchmark's name (`etth1`, `weather`, ...), looked for in `data_dir` and then on the
            Hub; a `.csv` or `.parquet` file; a Hub data set's id; or a DataFrame or `datasets.Dataset`.
        data_dir: folder with the benchmark files.
        timestamp_column, id_column, target_columns: see [`frame_to_series`]; found where they are obvious.
        season: steps of one season; otherwise the benchmark's, or read from the frequency.
        missing_value: a sentinel that means missing, such as Weather's -9999 (kept as published unless given).
        hub_config: configuration name of a Hub data set.

    Raises:
        InputError: nothing is found under that name, or the table cannot be read as a series.
    """
    import pandas as pd

    from .frames import frame_to_series

    if isinstance(source, str) and source == SYNTHETIC:
        if timestamp_column or id_column or target_columns or missing_value is not None:
            raise InputError("the synthetic series has fixed columns: column options and missing_value are for files")
        series = synthetic_series()
        return replace(series, season=season or series.season)
    benchmark = BENCHMARKS.get(source.lower()) if isinstance(source, str) else None
    if isinstance(source, pd.DataFrame):
        frame, name = source, "frame"
    elif isinstance(source, (str, Path)):
        frame = _read_benchmark(benchmark, data_dir) if benchmark else _read_named(str(source), hub_config)
        name = benchmark.name if benchmark else str(source)
    else:
        frame, name = source.to_pandas(), "dataset"

    series = frame_to_series(
        frame,
        name=name,
        timestamp_column=timestamp_column,
        id_column=id_column,
        target_columns=target_columns,
        season=season or (benchmark.season if benchmark else None),
        regularize=benchmark is None,
    )
    if benchmark is not None:
        series = replace(series, freq=series.freq or benchmark.freq, note=benchmark.note)
    elif Path(name).is_file():
        series = replace(series, name=Path(name).stem)
    if missing_value is not None:
        series = series.with_missing(missing_value)
    if series.season == 1:
        logger.warning("%s: no season known; the naive control repeats the last value (set --season)", series.name)
    return series


def default_split(source: object) -> SplitSpec:
    """The standard split of a benchmark, 70 / 10 / 20 % for all else."""
    benchmark = BENCHMARKS.get(source.lower()) if isinstance(source, str) else None
    return benchmark.split if benchmark else STANDARD_RATIOS


def _read_benchmark(benchmark: Benchmark, data_dir: str | Path | None) -> "pd.DataFrame":
    if data_dir is not None:
        folder = Path(data_dir)
        if not folder.is_dir():
            raise InputError(
                f"data_dir={str(folder)!r} is no folder: give the one that holds {benchmark.name}.parquet"
            )
        wanted = {benchmark.name, (benchmark.hub_config or benchmark.name).lower()}
        for path in sorted(folder.rglob("*")):
            if path.suffix in _BUILDERS and path.stem.lower() in wanted:
                return _read_file(path)
        if benchmark.hub_config is None:
            raise InputError(f"{str(folder)!r} holds no {benchmark.name}.parquet or .csv")
        logger.warning("%s holds no %s; looking on the Hub (%s)", folder, benchmark.name, HUB_DATASET)
    if benchmark.hub_config is None:
        raise InputError(f"{benchmark.name!r} is a local file: give the folder that holds it with --data_dir")
    return _read_hub(HUB_DATASET, benchmark.hub_config)


def _read_named(source: str, hub_config: str | None) -> "pd.DataFrame":
    path = Path(source)
    if path.is_file():
        if path.suffix not in _BUILDERS:
            raise InputError(f"{source!r} is no .csv or .parquet file: convert it to one of them")
        return _read_file(path)
    looks_like_hub_id = source.count("/") == 1 and path.suffix not in _BUILDERS and not path.is_absolute()
    if looks_like_hub_id:
        return _read_hub(source, hub_config)
    raise InputError(
        f"there is no file {source!r}; --dataset takes a .csv or .parquet file, a Hub data set (user/name), "
        f"{SYNTHETIC!r} or a benchmark: {', '.join(BENCHMARKS)}"
    )


def _read_file(path: Path) -> "pd.DataFrame":
    import datasets

    try:
        with _quiet():
            table = datasets.load_dataset(_BUILDERS[path.suffix], data_files=str(path), split="train")
    except (datasets.exceptions.DatasetGenerationError, datasets.exceptions.DatasetsError, ValueError) as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"{str(path)!r} cannot be read as {_BUILDERS[path.suffix]}: {cause}") from error
    return table.to_pandas()


def _read_hub(name: str, config: str | None) -> "pd.DataFrame":
    import datasets

    try:
        table = datasets.load_dataset(name, name=config, split="train")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the Hub data set {name!r}{f' ({config})' if config else ''} cannot be loaded: {reason}; check the name "
            "and the connection, or give local files with --data_dir"
        ) from error
    return table.to_pandas()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bars of converting a local file, which takes a moment."""
    import datasets

    were_disabled = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            datasets.enable_progress_bars()
