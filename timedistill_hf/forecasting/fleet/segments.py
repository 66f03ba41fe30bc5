"""Forecasts as a folder of Parquet files: what one file holds is done for good, so that a run that is cut off goes on.

Each file holds neighbouring series, the same ones however many processes share the work. Beside them are the plan, by
which the same run is known again, and a lock, both hidden: they are no data to those who read such folders.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..._utils.errors import InputError, changes
from ..._utils.files import check_writable, exclusive_lock, read_json, write_json
from ...settings.run import check_output


PLAN, LOCK = ".plan.json", ".lock"
SEGMENT_ROWS = 2**20  # forecasts a file, about: 20 MB with one value column


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


@dataclass(frozen=True)
class SegmentFolder:
    """Where the files of a fleet's forecasts lie."""

    path: Path

    def check(self, overwrite: bool) -> None:
        """Look whether a run may begin or go on here; nothing is written.

        Raises:
            InputError: its parent is missing, it holds other things, or finished forecasts and `overwrite` is off.
        """
        if not self.path.parent.is_dir():
            raise InputError(f"--output {str(self.path)!r}: there is no folder {str(self.path.parent)!r}; make it")
        check_writable(self.path, "`output`")
        if not self.path.is_dir() or {path.name for path in self.path.iterdir()} <= {LOCK}:
            return
        if self._plan() is None:
            raise InputError(
                f"--output {str(self.path)!r} is a folder that holds other things than a fleet's forecasts: name an "
                "empty one or a new one"
            )
        if self.is_finished() and not overwrite:
            raise InputError(f"{str(self.path)!r} exists: name another --output, or pass --overwrite")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out while one is at work; the lock ends with the process.

        Raises:
            InputError: another run is at work there.
        """
        self.path.mkdir(exist_ok=True)
        with exclusive_lock(self.path / LOCK, self.path, "`output`"):
            yield

    def begin(self, segments: Segments, plan: dict, overwrite: bool) -> list[int]:
        """Write down what is to be done, or find what of it is done.

        With `overwrite`, finished forecasts and those of another plan are removed, unfinished ones of this plan gone
        on with all the same: the command can be given again after an interruption.

        Args:
            plan: what the forecasts hang on, for JSON.

        Returns:
            The segments that are not there yet.

        Raises:
            InputError: it holds forecasts of another plan.
        """
        plan = {"num_series": segments.num_series, "series_per_file": segments.size} | plan
        before = self._plan()
        if before is not None and (before != plan or self.is_finished()):
            if not overwrite:
                raise InputError(
                    f"{str(self.path)!r} holds unfinished forecasts of another plan (there -> here): "
                    f"{changes(before, plan)}; name another --output, or pass --overwrite to begin anew"
                )
            self._clear()
        for stage in self.path.glob(".*-series-*.parquet"):  # of a run that was killed: this one holds the lock
            stage.unlink()
        write_json(self.path / PLAN, plan)
        return [number for number in range(len(segments)) if not (self.path / segments.name(number)).exists()]

    def is_finished(self) -> bool:
        """Whether all that was planned is there."""
        plan = self._plan()
        if plan is None:
            return False
        segments = Segments(plan["num_series"], plan["series_per_file"])
        return all((self.path / segments.name(number)).exists() for number in range(len(segments)))

    def _plan(self) -> dict | None:
        """What an earlier run wrote down; `None` where there is nothing, or a file of that name that no run wrote."""
        try:
            plan = read_json(self.path / PLAN, None)
        except ValueError:
            return None
        is_ours = isinstance(plan, dict) and {"num_series", "series_per_file"} <= plan.keys()
        return plan if is_ours else None

    def _clear(self) -> None:
        for path in self.path.glob("series-*.parquet"):
            path.unlink()
        (self.path / PLAN).unlink()


def check_fleet_files(input: str, output: str, overwrite: bool) -> None:
    """Raise where there is no such file or folder of Parquet, or the output is none or would replace something."""
    source, target = Path(input), Path(output)
    if not source.exists():
        raise InputError(f"--input {input!r}: there is no such file or folder")
    for name, path in (("input", source), ("output", target)):
        is_folder = path.is_dir() if name == "input" else not path.suffix and not path.is_file()
        if path.suffix.lower() != ".parquet" and not is_folder:
            raise InputError(
                f"--{name} {str(path)!r}: expected a .parquet file or a folder; tables of other kinds are for "
                "scripts/forecast.py --each_series"
            )
    if target.suffix:
        check_output(output, overwrite)
    if target.exists() and target.samefile(source):
        raise InputError(f"--output {output!r} is the input: give the result a name of its own")
    if source.is_dir() and target.parent.exists() and target.parent.samefile(source):
        raise InputError(f"--output {output!r} lies among the files of the input: name one in another folder")
    if not target.suffix:
        SegmentFolder(target).check(overwrite)
