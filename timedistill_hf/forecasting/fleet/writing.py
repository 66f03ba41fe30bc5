"""The outputs of a fleet: one Parquet file that the processes' parts are joined in, or a folder of them."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from ..._utils.errors import InputError, first_line
from ..._utils.files import staged_file, why_unwritable
from .extents import shares
from .processes import together
from .segments import SegmentFolder, Segments


logger = logging.getLogger(__name__)

Forecasts = Callable[[slice], Iterator[pa.Table]]

_LEFTOVER_SECONDS = 24 * 3600.0


def write_file(state: PartialState, output: Path, schema: pa.Schema, share: slice, forecasts: Forecasts) -> None:
    """Each process writes a file of its own beside the output; the main one appends the others' and moves its own.

    Args:
        share: this process's series.
        forecasts: makes the forecasts of some series, in order.
    """
    (run,) = broadcast_object_list([os.urandom(8).hex()])
    parts = [output.with_name(f".{run}-{index}-{output.name}") for index in range(state.num_processes)]
    failed = output.with_name(f".{run}-failed-{output.name}")
    own = parts[state.process_index]

    def write() -> pq.ParquetWriter:
        with _said_to_others(failed), _cannot_be_written(output):
            if state.is_main_process:
                _remove_leftovers(output)
            writer = pq.ParquetWriter(own, schema)
            for forecast in forecasts(share):
                if failed.exists():
                    break
                writer.write_table(forecast)
            if not state.is_main_process:
                writer.close()
            return writer

    def join() -> None:
        with _cannot_be_written(output):
            for part in parts[1:]:
                with pq.ParquetFile(part) as file:
                    for group in range(file.num_row_groups):
                        writer.write_table(file.read_row_group(group).cast(schema))
            writer.close()
            os.replace(own, output)

    try:
        writer = together(state, write)
        together(state, lambda: join() if state.is_main_process else None)
    finally:
        own.unlink(missing_ok=True)
        failed.unlink(missing_ok=True)


def write_segments(
    state: PartialState,
    folder: SegmentFolder,
    segments: Segments,
    numbers: list[int],
    weights: np.ndarray,
    schema: pa.Schema,
    forecasts: Forecasts,
) -> None:
    """Each process writes the files of some of the segments, one after the other; each is moved into place when whole.

    Args:
        numbers: the segments to write.
        weights: `[G]`, the rows of each series.
    """
    (run,) = broadcast_object_list([os.urandom(8).hex()])
    failed = folder.path / f".{run}-failed"
    work = np.array([weights[segments.series(number)].sum() for number in numbers], dtype=np.int64)
    own = numbers[shares(work, state.num_processes)[state.process_index]] if numbers else []

    def write() -> None:
        with _said_to_others(failed), _cannot_be_written(folder.path):
            for number in own:
                with (
                    staged_file(folder.path / segments.name(number)) as stage,
                    pq.ParquetWriter(stage, schema) as file,
                ):
                    for forecast in forecasts(segments.series(number)):
                        if failed.exists():
                            raise _OthersFailed
                        file.write_table(forecast)

    try:
        together(state, lambda: _until_others_fail(write))
    finally:
        failed.unlink(missing_ok=True)


class _OthersFailed(Exception):
    """Another process has failed, so that this one stops where it is."""


def _until_others_fail(write: Callable[[], None]) -> None:
    try:
        write()
    except _OthersFailed:
        return


def _remove_leftovers(output: Path) -> None:
    """Parts of runs that were killed; what was written within a day may be another run's that is at work."""
    for path in output.parent.glob(f".{'[0-9a-f]' * 16}-*-{output.name}"):
        if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
            path.unlink(missing_ok=True)
            logger.info("Removed %s, which a run that was cut off has left", path)


@contextmanager
def _said_to_others(failed: Path) -> Iterator[None]:
    """Leave a mark where this process fails, so that the others do not go on for nothing."""
    try:
        yield
    except _OthersFailed:
        raise
    except Exception:
        failed.touch()
        raise


@contextmanager
def _cannot_be_written(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{str(output)!r} cannot be written: {why_unwritable(error) or first_line(error)}") from error
