"""The forecasts of a fleet: chunk by chunk, a share of the series on each process, joined in order."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from tqdm.auto import tqdm

from ..._utils.errors import InputError
from ...settings.tables import FleetSettings
from ...student import TimeDistillConfig
from ...teachers.frozen import fingerprint_of, settings_of
from .extents import Extents, find_extents, join_extents, shares
from .processes import peak_memory, process_state, together
from .reading import FleetReader, find_columns
from .segments import Forecasts, SegmentFolder, Segments, check_fleet_files, write_file, write_segments
from .table import FleetTable


if TYPE_CHECKING:
    from ..forecaster import Forecaster

logger = logging.getLogger(__name__)

_MAX_VALUES = 2**19  # read at once; more are slower, since memory comes and goes in larger pieces
_MAX_WARNINGS = 3
_OF_READING = ("tables.columns", "tables.panel", "data.codes", "forecasting.panels")  # who warns of what is read


@dataclass(frozen=True)
class FleetReport:
    """What was done.

    Args:
        num_series: ids; each of the table's value columns is forecast for each.
        num_rows: rows of the table.
        num_forecasts: rows of the output.
        seconds: from the first look at the table to the output in its place.
        num_processes: how many shared the work.
        peak_bytes: most memory that one of them has held; 0 where the system does not say.
        num_done: ids that an earlier run had forecast.
    """

    num_series: int
    num_rows: int
    num_forecasts: int
    seconds: float
    num_processes: int
    peak_bytes: int
    num_done: int = 0

    def __str__(self) -> str:
        many = f" on {self.num_processes} processes" if self.num_processes > 1 else ""
        done = f", {self.num_done:,} of them before," if self.num_done else ""
        peak = f", peak memory {self.peak_bytes / 1e9:.2f} GB{' each' if many else ''}" if self.peak_bytes else ""
        return (
            f"{self.num_series:,} series of {self.num_rows:,} rows{done} in {self.seconds:.1f} s{many}, "
            f"{(self.num_series - self.num_done) / self.seconds:,.0f} series a second{peak}"
        )


def forecast_fleet(
    forecaster: "Forecaster",
    input: str | Path,
    output: str | Path,
    *,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target_columns: list[str] | None = None,
    freq: str | None = None,
    time_zone: str | None = None,
    scaling: str = "auto",
    duplicates: str = "error",
    batch_size: int | None = None,
    overwrite: bool = False,
) -> FleetReport:
    """What `Forecaster.predict` gives of a long table, Parquet to Parquet, in memory that does not grow with it.

    The rows of a series must be neighbours; series, and rows within one, may be in any order. Ids and times are read
    first, to find the series (of each its id and 20 bytes are kept), then each series' last look-back, in chunks of
    whole series. Under several processes (`accelerate launch`) all must call this; each forecasts neighbouring series,
    about as many rows as the others, in files that the main one joins, or that stay as they are in a folder.

    Args:
        forecaster: refreshed first, since a resumed run is known by the weights that its model has now.
        input: a file, or a folder of files with the same columns, read in the order of their names; a series may go on
            in the next file.
        output: a `.parquet` file, written under another name and moved into place; or a folder, new, empty or of an
            interrupted run, which is resumed: its files hold about a million forecasts each, in order.
        id_column, timestamp_column, target_columns, freq, time_zone, scaling, duplicates, batch_size: as of
            `predict`; the time column holds timestamps or dates, not text. Where neither `freq` nor the model says
            how far apart steps are, it is found in the last look-back of the longest series.
        overwrite: replace `output` if it is there; of a folder, the files that this function writes.

    Raises:
        InputError: the table cannot be read, the rows of a series are not together, no frequency is known, or as of
            `predict`. Of several processes only the main one raises it, the others a `SystemExit` of code 2.
    """
    begin = time.perf_counter()
    state = process_state()
    target = Path(output)
    together(state, lambda: check_fleet_files(str(input), str(output), overwrite))
    forecaster.refresh()
    options = {
        "id_column": id_column,
        "timestamp_column": timestamp_column,
        "target_columns": target_columns,
        "freq": freq,
        "time_zone": time_zone,
        "scaling": scaling,
        "duplicates": duplicates,
    }
    table, extents, reader = _plan(state, forecaster, input, options)
    weights = extents.ends - reader.starts

    def forecasts(bar: tqdm) -> Forecasts:
        return lambda series: _forecasts(forecaster, reader, extents, series, batch_size, bar)

    segments = Segments.of(len(weights), forecaster.processor.prediction_length)
    num_done = 0
    if target.suffix.lower() == ".parquet":
        with _progress(state, len(weights)) as bar:
            write_file(state, target, segments, weights, reader.schema, forecasts(bar))
    else:
        with ExitStack() as lock:
            numbers = _begin(
                state, SegmentFolder(target), segments, _fingerprints(forecaster, reader), overwrite, lock
            )
            work = sum(segments.series(number).stop - segments.series(number).start for number in numbers)
            num_done = len(weights) - work
            with _progress(state, work) as bar:
                write_segments(state, target, segments, numbers, weights, reader.schema, forecasts(bar))
    return FleetReport(
        num_series=extents.num_series,
        num_rows=table.num_rows,
        num_forecasts=extents.num_series * forecaster.processor.prediction_length,
        seconds=time.perf_counter() - begin,
        num_processes=state.num_processes,
        peak_bytes=max(gather_object([peak_memory()])),
        num_done=num_done,
    )


def _plan(
    state: PartialState, forecaster: "Forecaster", input: str | Path, options: dict
) -> tuple[FleetTable, Extents, FleetReader]:
    """Find columns and series, each process in its share of the row groups."""
    processor = forecaster.processor

    def scan() -> tuple[FleetTable, dict, Extents]:
        if forecaster.model.config.model_type != TimeDistillConfig.model_type:
            raise InputError("a fleet is forecast series by series, which a teacher may not: use a student")
        table = FleetTable.open(input)
        roles = {name: options[name] for name in ("id_column", "timestamp_column", "target_columns")}
        id_column, timestamp_column = find_columns(table, processor, **roles)
        share = shares(np.diff(table.first), state.num_processes)[state.process_index]
        rows = (int(table.first[share.start]), int(table.first[share.stop]))
        extents = find_extents(table, id_column, timestamp_column, rows)
        return table, {"id_column": id_column, "timestamp_column": timestamp_column}, extents

    def read() -> FleetReader:
        extents.check(columns["id_column"])
        return FleetReader.make(table, extents, processor, options | columns)

    table, columns, own = together(state, scan)
    extents = join_extents(gather_object([own]))
    reader = together(state, lambda: read() if state.is_main_process else None)
    (reader,) = broadcast_object_list([reader])
    return table, extents, reader


def _begin(
    state: PartialState, folder: SegmentFolder, segments: Segments, plan: dict, overwrite: bool, lock: ExitStack
) -> list[int]:
    """The files of the folder that are not there yet; it is locked by the main process."""

    def begin() -> list[int]:
        lock.enter_context(folder.locked())
        return folder.begin(segments, plan, overwrite)

    numbers = together(state, lambda: begin() if state.is_main_process else [])
    (numbers,) = broadcast_object_list([numbers])
    if len(numbers) < len(segments):
        done = len(segments) - len(numbers)
        logger.info("%d of the %d files of %s are there: the run is resumed", done, len(segments), folder.path)
    return numbers


def _fingerprints(forecaster: "Forecaster", reader: FleetReader) -> dict:
    """Fingerprints of the inputs, by which an interrupted run is known again."""
    processor = json.dumps(forecaster.processor.to_dict(), sort_keys=True, default=str)
    model = (settings_of(forecaster.model.config), processor)
    files = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in reader.table.paths]
    return {
        "model": fingerprint_of(model, forecaster.model.state_dict()),
        "input": files,
        "options": json.loads(json.dumps(reader.options, default=str)),
    }


def _forecasts(
    forecaster: "Forecaster",
    reader: FleetReader,
    extents: Extents,
    series: slice,
    batch_size: int | None,
    bar: tqdm,
) -> Iterator[pa.Table]:
    """The forecasts of some neighbouring series, in order."""
    most_rows = max(1, _MAX_VALUES // len(reader.options["target_columns"]))
    done = series.start
    for frame, num_series in reader.frames(series, most_rows):
        try:
            forecast = forecaster.predict_df(frame, **reader.options, batch_size=batch_size)
        except InputError as error:
            first, last = (extents.ids[row].as_py() for row in (done, done + num_series - 1))
            raise InputError(f"in the look-backs of the series {first!r} to {last!r}: {error}") from error
        yield pa.Table.from_pandas(forecast, schema=reader.schema, preserve_index=False)
        done += num_series
        bar.update(num_series)


@contextmanager
def _progress(state: PartialState, num_series: int) -> Iterator[tqdm]:
    """A bar of the main process's share of the series; of what the reader warns of, the first few."""
    num_series = -(-num_series // state.num_processes)
    many = f", {state.num_processes} processes" if state.num_processes > 1 else ""
    with (
        _few_warnings(),
        tqdm(total=num_series, desc=f"forecasting{many}", unit="series", disable=not state.is_main_process) as bar,
    ):
        yield bar


@contextmanager
def _few_warnings() -> Iterator[None]:
    """Show the first warnings about what was read, and of the others how many there were: each chunk has its own."""
    told = 0

    def is_shown(record: logging.LogRecord) -> bool:
        nonlocal told
        told += 1
        return told <= _MAX_WARNINGS

    loggers = [logging.getLogger(f"timedistill_hf.{name}") for name in _OF_READING]
    for each in loggers:
        each.addFilter(is_shown)
    try:
        yield
    finally:
        for each in loggers:
            each.removeFilter(is_shown)
        if told > _MAX_WARNINGS:
            logger.warning("history: %d warnings more of other series", told - _MAX_WARNINGS)


def forecast_fleet_file(settings: FleetSettings) -> str:
    """Forecast a fleet as the flags say, on the accelerator where there is one.

    Returns:
        What was done, on one line.
    """
    from ..forecaster import Forecaster

    state = process_state()
    together(state, lambda: check_fleet_files(settings.input, settings.output, settings.overwrite))
    forecaster = together(state, lambda: Forecaster.from_pretrained(settings.model, revision=settings.revision))
    forecaster.to(state.device)
    report = forecast_fleet(
        forecaster,
        settings.input,
        settings.output,
        **settings.table_options(),
        batch_size=settings.batch_size,
        overwrite=settings.overwrite,
    )
    return f"{report}: {settings.output}"
