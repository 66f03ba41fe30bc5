"""Forecasts without a model: a table of them, by series and origin, takes the place of a teacher's stored signal."""

import hashlib
import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch.utils.data import Dataset

from .._utils.errors import InputError
from .._utils.files import staged_file
from .._utils.readable import readable_bytes
from ..data.windows import ForecastData, WindowDataset
from ..teachers import TeacherSignal
from ..teachers.external import ExternalTeacher
from .folder import dtype_name, free_bytes
from .reading import ForecastRows, ForecastTable, Table
from .store import COLUMN_PREFIX


logger = logging.getLogger(__name__)

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Coverage:
    """Which windows a table has forecasts for.

    Args:
        known: `[N]`, true where it has one of every channel.
        partly: how many others have one of some channels; they count as having none.
    """

    known: np.ndarray
    partly: int

    @property
    def is_complete(self) -> bool:
        return bool(self.known.all())

    def __str__(self) -> str:
        partly = f" ({self.partly} more have one of some channels only)" if self.partly else ""
        return f"{int(self.known.sum()):,} of {len(self.known):,}{partly}"


class ForecastWindows(Dataset):
    """Windows with a table's forecasts: `teacher_prediction_outputs` `[S, C]`, standardised.

    Where some windows have none, every item also holds `teacher_known`: the teacher's terms of the objective leave
    those windows out, the truth still teaches on them. Nothing is read before it is asked for.

    Args:
        windows: that the forecasts are for.
        path: `.npy` file, `[N, S, C]`.
        coverage: which of them are known.
        folder: kept as long as the windows are, where it is a temporary one.
    """

    def __init__(
        self,
        windows: WindowDataset,
        path: Path,
        coverage: Coverage,
        folder: "tempfile.TemporaryDirectory | None" = None,
    ):
        self.windows = windows
        self.path = path
        self.coverage = coverage
        self._folder = folder
        self._forecasts: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        item = self.windows[index]
        if self._forecasts is None:
            self._forecasts = torch.from_numpy(np.load(self.path, mmap_mode="c"))
        index %= len(self)
        item[COLUMN_PREFIX + "prediction_outputs"] = self._forecasts[index]
        if not self.coverage.is_complete:
            item[COLUMN_PREFIX + "known"] = torch.tensor(bool(self.coverage.known[index]))
        return item

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_forecasts": None, "_folder": None}  # worker processes map the file themselves


class TableTeacher(ExternalTeacher):
    """A table of forecasts in the place of a teacher, for the windows that it was written for.

    Args:
        source: a Parquet file, a DataFrame (of pandas or polars), an Arrow table or a data set, with the columns that
            `timedistill_hf.signal_store.reading` names.
        data: what was forecast; the forecasts are in their units.
        name: what results call it; the file's stem by default.
        directory: where the windows' forecasts are laid out, 4 N S C bytes for N windows; a temporary one by default.
        dtype: of the train windows' forecasts as laid out, `torch.float32` or, in half the bytes, `torch.float16`.

    Raises:
        InputError: the table cannot be read, or does not fit the data; or no train window has a forecast.
    """

    has_stored_signal = True
    remedy = "read the table with these data"

    def __init__(
        self,
        source: Table,
        data: ForecastData,
        *,
        name: str | None = None,
        directory: str | Path | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        name = name or (Path(source).stem if isinstance(source, (str, Path)) else "forecasts")
        super().__init__(name, **data.shape)
        self.table = ForecastTable(source, data.series, self.prediction_length)
        self.directory = None if directory is None else Path(directory)
        self.dtype_name = dtype_name(dtype)
        self.coverage, self._fingerprint = _scan(self.table, data)
        self._windows: dict[str, ForecastWindows] = {}
        train = data.train
        if not self.coverage["train"].known.any():
            raise InputError(
                f"{self.table.name} has a forecast of all channels for none of the {len(train):,} train windows, "
                f"whose first forecast steps are {_origin(data, train, 0)} to {_origin(data, train, len(train) - 1)}"
            )
        covered = ", ".join(f"{part} {self.coverage[part]}" for part in PARTS)
        logger.info("Teacher %s: windows with a forecast: %s", self.name, covered)
        if not self.coverage["train"].is_complete:
            logger.info("Train windows without a forecast are learnt from the truth alone")

    def forward(
        self,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        teacher_prediction_outputs: torch.Tensor | None = None,
        **time_features: Any,
    ) -> TeacherSignal:
        """The forecasts that come with the windows, which must be those of `windows` or `prepare`."""
        if teacher_prediction_outputs is None:
            raise InputError(
                f"the teacher ({self.name}) is a table of forecasts and cannot forecast other windows: use those of "
                "signal_from_table"
            )
        return TeacherSignal(teacher_prediction_outputs)

    def windows(self, data: ForecastData, part: str = "train") -> ForecastWindows:
        """The windows of one part of the data with their forecasts, laid out in a file at the first call.

        Under several processes one writes the file; all must call this.
        """
        if part not in self._windows:
            self._windows[part] = self._laid_out(data, part)
        return self._windows[part]

    def _laid_out(self, data: ForecastData, part: str) -> ForecastWindows:
        windows = getattr(data, part)
        folder = path = refusal = None
        if PartialState().is_main_process:
            folder = tempfile.TemporaryDirectory(prefix="forecasts-") if self.directory is None else None
            directory = self.directory if folder is None else Path(folder.name)
            path = directory / f"{part}-forecasts.npy"
            try:
                # what is scored is not rounded
                _lay_out(self.table, windows, data, path, self.dtype_name if part == "train" else "float32")
            except InputError as error:
                refusal = str(error)
        path, refusal = broadcast_object_list([path, refusal])
        if refusal is not None:  # on all processes, so that none waits for another
            raise InputError(refusal)
        return ForecastWindows(windows, path, self.coverage[part], folder)

    def covers(self, part: str) -> bool:
        return self.coverage[part].is_complete

    def forecast_only(self) -> "TableTeacher":
        """Itself: it has no feature."""
        return self

    def about(self) -> dict:
        """As of any teacher, and how many `windows` of each part it has forecasts for."""
        return super().about() | {"windows": {part: int(each.known.sum()) for part, each in self.coverage.items()}}

    def prepare(self, data: ForecastData) -> ForecastData:
        """The data whose validation and test windows hold forecasts, where the table has all of them."""
        parts = [part for part in ("validation", "test") if self.covers(part)]
        return replace(data, **{part: self.windows(data, part) for part in parts})

    def fingerprint(self) -> str:
        """A hash of all rows, in their order."""
        return self._fingerprint


def signal_from_table(
    source: Table,
    data: ForecastData,
    part: str = "train",
    *,
    directory: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> ForecastWindows:
    """Windows of `data` with a table's forecasts as the teacher's stored signal, for [`TimeDistillTrainer`].

    Args:
        source, data, directory, dtype: as in [`TableTeacher`], whose errors are raised.
        part: `"train"`, `"validation"` or `"test"`.
    """
    if part not in PARTS:
        raise InputError(f"part={part!r}: expected one of {', '.join(PARTS)}")
    return TableTeacher(source, data, directory=directory, dtype=dtype).windows(data, part)


def is_table(name: str) -> bool:
    """Whether a teacher is named that is a file of forecasts."""
    return Path(name).suffix.lower() == ".parquet"


def _origin(data: ForecastData, windows: WindowDataset, index: int) -> str:
    row = windows.first_origin + index
    stamps = data.series.timestamps
    return f"row {row}" if stamps is None else f"{stamps[row].astype('datetime64[s]')} (row {row})"


def _scan(table: ForecastTable, data: ForecastData) -> tuple[dict[str, Coverage], str]:
    """One pass over the table: which windows it has forecasts for, and its fingerprint.

    A sum of random numbers, one a step, shows that each step is there once, without remembering which were seen.
    """
    parts = {part: getattr(data, part) for part in PARTS}
    shapes = {part: (len(windows), data.num_input_channels) for part, windows in parts.items()}
    counts = {part: np.zeros(shape, np.int32) for part, shape in shapes.items()}
    sums = {part: np.zeros(shape, np.uint64) for part, shape in shapes.items()}
    expected = table.prediction_length if table.is_tidy else 1
    marks = np.random.default_rng(0).integers(2**63, size=expected, dtype=np.uint64)
    digest = hashlib.sha256(repr((table.is_tidy, data.series.columns)).encode())
    for rows in table.rows():
        for array in (rows.row, rows.channel, rows.step, rows.values):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        for part, windows in parts.items():
            inside, *place = _places(rows, windows)
            np.add.at(counts[part], tuple(place), 1)
            np.add.at(sums[part], tuple(place), marks[0] if rows.step is None else marks[rows.step[inside]])
    coverage = {}
    for part, windows in parts.items():
        complete = (counts[part] == expected) & (sums[part] == marks.sum())
        wrong = np.argwhere((counts[part] != 0) & ~complete)
        if len(wrong):
            window, channel = wrong[0]
            _raise_incomplete(table, data, windows, window, channel, counts[part][window, channel])
        known = complete.all(axis=1)
        coverage[part] = Coverage(known, int((complete.any(axis=1) & ~known).sum()))
    return coverage, digest.hexdigest()


def _places(rows: ForecastRows, windows: WindowDataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which rows are of one of these windows, and of which window and channel."""
    window = rows.row - windows.first_origin
    inside = (window >= 0) & (window < len(windows))
    return inside, window[inside], rows.channel[inside]


def _raise_incomplete(
    table: ForecastTable, data: ForecastData, windows: WindowDataset, window: int, channel: int, count: int
) -> None:
    which = f"the forecast of {data.series.columns[channel]!r} from {_origin(data, windows, int(window))}"
    if not table.is_tidy:
        raise InputError(f"{table.name} has {which} {count} times: leave one")
    raise InputError(
        f"{table.name}: {which} has {count} rows for the steps 1 to {table.prediction_length}: expected each step once"
    )


def _lay_out(table: ForecastTable, windows: WindowDataset, data: ForecastData, path: Path, dtype: str) -> None:
    """Write the standardised forecasts of these windows as `[N, S, C]` of that type, zeros where there are none."""
    shape = (len(windows), table.prediction_length, data.num_input_channels)
    size = np.dtype(dtype).itemsize * int(np.prod(shape))
    free = free_bytes(path.parent)
    if size > free:
        raise InputError(
            f"the forecasts take {readable_bytes(size)}, the disk of {str(path.parent)!r} has {readable_bytes(free)} "
            "free: make room, or name another folder"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    mean, std = np.array(data.processor.mean), np.array(data.processor.std)
    steps = np.arange(table.prediction_length)
    with staged_file(path) as stage:
        laid_out = np.lib.format.open_memmap(stage, mode="w+", dtype=dtype, shape=shape)
        for rows in table.rows():
            inside, window, channel = _places(rows, windows)
            values = ((rows.values[inside].T - mean[channel]) / std[channel]).T
            _check_range(values, dtype, table.name)
            if rows.step is None:
                laid_out[window[:, None], steps, channel[:, None]] = values
            else:
                laid_out[window, rows.step[inside], channel] = values
        laid_out.flush()


def _check_range(values: np.ndarray, dtype: str, name: str) -> None:
    limit = np.finfo(dtype).max
    beyond = values[np.abs(values) > limit]
    if beyond.size:
        raise InputError(
            f"{name} forecasts {beyond[0]:,g} deviations from the mean of the train rows, {dtype} ends at {limit:,g}: "
            "store it as float32 (`signal_dtype=float32`), or correct the forecast"
        )
