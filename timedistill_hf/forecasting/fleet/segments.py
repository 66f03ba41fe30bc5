"""Forecasts as Parquet files of neighbouring series: joined, or a folder, in which an interrupted run is resumed.

Which series a file holds does not depend on how many processes share the work. In a folder lie also, hidden from those
who read it, the plan, by which the same run is known again, and a lock.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from ..._utils.errors import InputError, changes
from ..._utils.files import check_writable, exclusive_lock, read_json, staged_file, write_json
from ...settings.run import check_output
from .extents import shares
from .processes import together


logger = logging.getLogger(__name__)

Forecasts = Callable[[slice], Iterator[pa.Table]]

PLAN, LOCK = ".plan.json", ".lock"
SEGMENT_ROWS = 2**20  # forecasts a file, about: 20 MB with one value column
_LEFTOVER_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Segments:
    """Which series each file holds.

    Args:
        num_series: series of the table.
        size: series of a file; the last one may hold fewer.
    """

    num_series: int
    size: int

    @classmethod
    def of(cls, num_series: int, prediction_length: int) -> "Segments":
        """Those of a table, each of about `SEGMENT_ROWS` forecasts."""
        return cls(num_series, max(1, SEGMENT_ROWS // prediction_length))

    def __len__(self) -> int:
        return -(-self.num_series // self.size)

    def series(self, number: int) -> slice:
        return slice(number * self.size, min((number + 1) * self.size, self.num_series))

    def name(self, number: int) -> str:
        """By the first series, so that names sort as the table does."""
        return f"series-{number * self.size:012d}.parquet"

    def missing_in(self, folder: Path) -> list[int]:
        """The numbers of the files that are not there."""
        return [number for number in range(len(self)) if not (folder / self.name(number)).exists()]


@dataclass(frozen=True)
class SegmentFolder:
    """Where the files of a fleet's forecasts lie."""

    path: Path

    def check(self, overwrite: bool) -> None:
        """Look whether a run may begin or be resumed here; nothing is written.

        Raises:
            InputError: its parent is missing, it holds other things, or finished forecasts and `overwrite` is off.
        """
        if not self.path.parent.is_dir():
            raise InputError(f"output={str(self.path)!r}: there is no folder {str(self.path.parent)!r}; make it")
        check_writable(self.path, "`output`")
        if not self.path.is_dir() or {path.name for path in self.path.iterdir()} <= {LOCK}:
            return
        plan = self._plan()
        if plan is None:
            raise InputError(
                f"output={str(self.path)!r} is a folder that holds other things than a fleet's forecasts: name an "
                "empty one or a new one"
            )
        if self._is_finished(plan) and not overwrite:
            raise InputError(f"{str(self.path)!r} exists: name another `output`, or pass `overwrite=True`")

    def locked(self) -> AbstractContextManager:
        """Keep a second run out while one is at work; the lock ends with the process."""
        self.path.mkdir(exist_ok=True)
        return exclusive_lock(self.path / LOCK, self.path, "`output`")

    def begin(self, segments: Segments, plan: dict, overwrite: bool) -> list[int]:
        """Write down what is to be done, or find what of it is done.

        With `overwrite`, finished forecasts and those of another plan are removed, unfinished ones of this plan
        resumed all the same: the command can be given again after an interruption.

        Args:
            plan: fingerprints of the inputs, for JSON.

        Returns:
            The segments that are not there yet.

        Raises:
            InputError: it holds forecasts of another plan.
        """
        plan = {"num_series": segments.num_series, "series_per_file": segments.size} | plan
        before = self._plan()
        if before is not None and (before != plan or self._is_finished(before)):
            if not overwrite:
                raise InputError(
                    f"{str(self.path)!r} holds unfinished forecasts of another plan (there -> here): "
                    f"{changes(before, plan)}; name another `output`, or pass `overwrite=True` to begin anew"
                )
            for path in (*self.path.glob("series-*.parquet"), self.path / PLAN):
                path.unlink()
        for stage in self.path.glob(".*-series-*.parquet"):  # of a run that was killed: this one holds the lock
            stage.unlink()
        write_json(self.path / PLAN, plan)
        return segments.missing_in(self.path)

    def _is_finished(self, plan: dict) -> bool:
        return not Segments(plan["num_series"], plan["series_per_file"]).missing_in(self.path)

    def _plan(self) -> dict | None:
        """What an earlier run wrote down; `None` where there is nothing, or a file of that name that no run wrote."""
        try:
            plan = read_json(self.path / PLAN, None)
        except ValueError:
            return None
        is_ours = isinstance(plan, dict) and {"num_series", "series_per_file"} <= plan.keys()
        return plan if is_ours else None


class _OthersFailed(Exception):
    """Another process has failed, so that this one stops where it is."""


def write_segments(
    state: PartialState,
    folder: Path,
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
        forecasts: makes the forecasts of some series, in order.
    """
    (run,) = broadcast_object_list([os.urandom(8).hex()])
    failed = folder / f".{run}-failed"  # by which the others stop
    work = np.array([weights[segments.series(number)].sum() for number in numbers], dtype=np.int64)
    own = numbers[shares(work, state.num_processes)[state.process_index]] if numbers else []

    def write() -> None:
        try:
            for number in own:
                path = folder / segments.name(number)
                with staged_file(path) as stage, pq.ParquetWriter(stage, schema) as file:
                    for forecast in forecasts(segments.series(number)):
                        if failed.exists():
                            raise _OthersFailed
                        file.write_table(forecast)
        except _OthersFailed:
            return
        except Exception:
            failed.touch()
            raise

    try:
        together(state, write)
    finally:
        failed.unlink(missing_ok=True)


def write_file(
    state: PartialState,
    output: Path,
    segments: Segments,
    weights: np.ndarray,
    schema: pa.Schema,
    forecasts: Forecasts,
) -> None:
    """Write the segments to a hidden folder beside the output, then join them."""
    (run,) = broadcast_object_list([os.urandom(8).hex()])
    folder = output.with_name(f".{run}-{output.name}")
    numbers = list(range(len(segments)))

    def begin() -> None:
        _remove_leftovers(output)
        folder.mkdir()

    def join() -> None:
        with staged_file(output) as stage, pq.ParquetWriter(stage, schema) as file:
            for number in numbers:
                with pq.ParquetFile(folder / segments.name(number)) as segment:
                    for batch in segment.iter_batches():
                        file.write_table(pa.Table.from_batches([batch]).cast(schema))

    try:
        together(state, lambda: begin() if state.is_main_process else None)
        write_segments(state, folder, segments, numbers, weights, schema, forecasts)
        together(state, lambda: join() if state.is_main_process else None)
    finally:
        if state.is_main_process:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(output: Path) -> None:
    """Folders of runs that were killed; one written to within a day may be another run's that is at work."""
    for path in output.parent.glob(f".{'[0-9a-f]' * 16}-{output.name}"):
        if path.is_dir() and time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
            logger.info("Removed %s, which an interrupted run has left", path)


def check_fleet_files(input: str, output: str, overwrite: bool) -> None:
    """Raise where there is no such file or folder of Parquet, or the output is none or would replace something."""
    source, target = Path(input), Path(output)
    if not source.exists():
        raise InputError(f"input={input!r}: there is no such file or folder")
    for name, path in (("input", source), ("output", target)):
        is_folder = path.is_dir() if name == "input" else not path.suffix and not path.is_file()
        if path.suffix.lower() != ".parquet" and not is_folder:
            raise InputError(
                f"{name}={str(path)!r}: expected a .parquet file or a folder; tables of other kinds are for "
                "Forecaster.predict"
            )
    if target.suffix:
        check_output(output, overwrite)
    if target.exists() and target.samefile(source):
        raise InputError(f"output={output!r} is the input: give the result a name of its own")
    if source.is_dir() and target.parent.exists() and target.parent.samefile(source):
        raise InputError(f"output={output!r} lies among the files of the input: name one in another folder")
    if not target.suffix:
        SegmentFolder(target).check(overwrite)
