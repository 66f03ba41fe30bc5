"""The teacher's signal for all training windows, computed once and kept in memory-mapped files.

`folder.py` says what a store holds and what of it is there, `filling.py` fills it.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch.utils.data import Dataset, Subset

from .._utils.readable import readable_seconds
from ..data.windows import WindowDataset, windows_at_once
from ..teachers import FrozenTeacher, TeacherSignal
from .filling import damaged_shards, fill_store, processes, run_teacher
from .folder import StoreFolder, complete_store, plan_store, store_fingerprint


logger = logging.getLogger(__name__)

COLUMN_PREFIX = "teacher_"


def split_signal(inputs: dict) -> tuple[dict, TeacherSignal | None]:
    """A batch without its `teacher_*` columns, and the stored signal that they hold (`None` where there are none).

    The signal is float32, in whatever precision it is stored: until here a batch takes as much memory as on the disk.
    """
    rest = {name: value for name, value in inputs.items() if not name.startswith(COLUMN_PREFIX)}
    if len(rest) == len(inputs):
        return inputs, None
    columns = {field: inputs.get(COLUMN_PREFIX + field) for field in TeacherSignal._fields}
    return rest, TeacherSignal(**columns).in_float32()


def find_store(
    teacher: FrozenTeacher, windows: WindowDataset, directory: str | Path, *, dtype: torch.dtype = torch.float32
) -> StoreFolder | None:
    """The complete store of that signal in `directory`, where there is one; the teacher is not run."""
    store = complete_store(Path(directory) / store_fingerprint(teacher, windows, dtype))
    return store if store is not None and store.layout.num_windows == len(windows) else None


def store_signal(
    teacher: FrozenTeacher,
    windows: WindowDataset,
    directory: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 64,
) -> "StoredSignalDataset":
    """Run the teacher over all windows, as far as that was not done before, and give the windows with its signal.

    Under several processes each fills its share; all must call this, and see the same `directory`. Several runs may
    fill the same store at once.

    Args:
        windows: the training windows, with calendar features where the teacher needs them.
        directory: holds one folder a fingerprint.
        dtype: `torch.float32`, or `torch.float16`: half the bytes, values rounded to about three decimal digits.

    Raises:
        InputError: teacher and windows do not fit, the disk has too little room, or the signal is not finite or
            beyond the range of `dtype`.
    """
    sample = windows[0]
    teacher.check_fits(windows.context_length, windows.prediction_length, sample["past_values"].shape[1])
    teacher.check_time_features(0 if windows.time_features is None else windows.time_features.shape[1])
    batch_size = windows_at_once(batch_size, sample["past_values"].shape[1])
    # one process looks for all: a second run may finish the same store between the looks of two
    (store,) = broadcast_object_list([find_store(teacher, windows, directory, dtype=dtype)])
    damaged = damaged_shards(store) if store is not None else 0
    if store is not None and not damaged:
        logger.info("Teacher signal: found, %s", store.summary)
        return StoredSignalDataset(windows, store)
    if damaged:
        logger.warning("Teacher signal: %d parts are not as they were written; they are filled anew", damaged)
    store = planned_store(teacher, windows, directory, dtype)
    store.check_room()
    fill_store(teacher, windows, store, batch_size)
    return StoredSignalDataset(windows, store)


def planned_store(
    teacher: FrozenTeacher, windows: WindowDataset, directory: str | Path, dtype: torch.dtype
) -> StoreFolder:
    """Where the signal goes, and how it will be cut; nothing is written."""
    layout = plan_store(teacher, windows, dtype)
    return StoreFolder(Path(directory) / layout.fingerprint, layout)


@dataclass(frozen=True)
class StoreEstimate:
    """What filling a store will take.

    Args:
        store: what there is of it.
        missing: windows that are still to be run.
        seconds: that this takes on the processes of this run.
    """

    store: StoreFolder
    missing: int
    seconds: float

    def __str__(self) -> str:
        if not self.missing:
            return f"{self.store.summary}, all of it there already"
        return f"{self.store}, about {readable_seconds(self.seconds)} on {processes(PartialState().num_processes)}"


def estimate_store(
    teacher: FrozenTeacher,
    windows: WindowDataset,
    directory: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 64,
) -> StoreEstimate:
    """Size and time of filling a store, from a batch that the teacher is run on; nothing is written."""
    found = find_store(teacher, windows, directory, dtype=dtype)
    if found is not None:
        return StoreEstimate(found, 0, 0.0)
    store = planned_store(teacher, windows, directory, dtype)
    missing = store.missing_windows()
    start = time.perf_counter()
    batch = missing[:batch_size]
    for signal in run_teacher(teacher, windows, batch, batch_size):
        signal.prediction_outputs.cpu()  # waits for the device
    seconds = (time.perf_counter() - start) / max(1, len(batch))
    return StoreEstimate(store, len(missing), seconds * len(missing) / PartialState().num_processes)


class StoredSignalDataset(Dataset):
    """Windows with their stored signal: `teacher_prediction_outputs` `[S, C]`, and `teacher_feature` `[C, d]` if any.

    Nothing is read before it is asked for; items are views on memory-mapped files, in the stored precision, which
    [`split_signal`] turns into float32 when the batch is where it is needed. Calendar features, which only the teacher
    needed, are left out.
    """

    def __init__(self, windows: WindowDataset, store: StoreFolder):
        self.windows = windows.with_time_features(None)
        self.folder = store.path
        self.layout = store.layout
        self._store = store
        self._shards: dict[int, dict[str, torch.Tensor]] = {}

    @property
    def summary(self) -> str:
        """Size, precision and place of the store."""
        return self._store.summary

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        item = self.windows[index]
        shard, row = divmod(index % len(self), self.layout.windows_per_shard)
        if shard not in self._shards:
            self._shards[shard] = self._store.open_shard(shard)
        return item | {COLUMN_PREFIX + name: tensor[row] for name, tensor in self._shards[shard].items()}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_shards": {}}  # worker processes map the files themselves


def stored_teacher_name(windows: Dataset) -> str | None:
    """Whose signal the windows hold, where it was stored here; also of a part of them."""
    if isinstance(windows, Subset):
        return stored_teacher_name(windows.dataset)
    return windows.layout.teacher if isinstance(windows, StoredSignalDataset) else None
