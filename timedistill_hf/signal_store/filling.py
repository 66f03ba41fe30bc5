"""Filling a store: the teacher over all windows whose shards are missing, in parallel, cut off at any moment.

Shards are written to a temporary name and moved into place. Each process of a run fills its share; a shard is claimed
by a lock that ends with its process, so that two runs at once share the work. The claims only save work: whatever
becomes of them, all who write a shard write the same.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from filelock import Timeout
from torch.utils.data import DataLoader, Subset
from tqdm.auto import tqdm

from .._utils.errors import InputError
from .._utils.files import lock_of
from .._utils.readable import readable_seconds
from ..data.windows import WindowDataset, split_targets
from ..teachers import FrozenTeacher, TeacherSignal
from .folder import DTYPES, StoreFolder


logger = logging.getLogger(__name__)

_LEFTOVER_SECONDS = 3600
_PATIENCE_SECONDS = 600
_SHOWN = {"prediction_outputs": "forecast", "feature": "feature"}


def fill_store(teacher: FrozenTeacher, windows: WindowDataset, store: StoreFolder, batch_size: int) -> None:
    """Run the teacher over the windows whose shards are missing; all processes of a run must call this.

    Raises:
        InputError: the signal is not finite, or beyond the range of the stored precision.
    """
    state, layout = PartialState(), store.layout
    if state.is_main_process:
        logger.info("Teacher signal: %s", store)
        store.path.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(store.path)
    state.wait_for_everyone()
    own = range(state.process_index, layout.num_shards, state.num_processes)
    missing = [shard for shard in own if not store.has_shard(shard)]
    rows, to_fill = (sum(len(layout.shard_rows(shard)) for shard in shards) for shards in (own, missing))
    with tqdm(
        total=rows,
        initial=rows - to_fill,
        desc="teacher's signal",
        unit="window",
        disable=None if state.is_main_process else True,
    ) as bar:
        filling = _Filling(teacher, windows, store, batch_size, to_fill, bar)
        others = [shard for shard in missing if not filling.fill(shard)]
        if others:
            logger.info("Teacher signal: another run is at work on %d of the shards", len(others))
        for shard in others:
            filling.fill(shard, wait=True)
    state.wait_for_everyone()
    if state.is_main_process:
        store.write_manifest()
        for path in store.path.glob("signal-*.lock"):
            with suppress(OSError):
                path.unlink()
    state.wait_for_everyone()


def damaged_shards(store: StoreFolder) -> int:
    """How many shards of a complete store are not as they were written; all processes of a run must call this."""
    state = PartialState()
    own = range(state.process_index, store.layout.num_shards, state.num_processes)
    return sum(gather_object([sum(not store.has_shard(shard) for shard in own)]))


@dataclass
class _Filling:
    """One process's share.

    Args:
        to_fill: how many windows it has.
        bar: shows how far it is.
    """

    teacher: FrozenTeacher
    windows: WindowDataset
    store: StoreFolder
    batch_size: int
    to_fill: int
    bar: tqdm
    _is_timed: bool = False

    def fill(self, shard: int, *, wait: bool = False) -> bool:
        """Fill a shard that is not there yet; whether that is done now, or another run is at work on it.

        With `wait` it is done in any case: by the other run, or here when that has ended without, or takes very long.
        """
        with _claimed(self.store.shard_path(shard).with_suffix(".lock"), _PATIENCE_SECONDS if wait else 0) as is_ours:
            if not (is_ours or wait):
                return False
            if self.store.has_shard(shard):
                self.bar.update(len(self.store.layout.shard_rows(shard)))
            else:
                self._write(shard)
            return True

    def _write(self, shard: int) -> None:
        layout = self.store.layout
        dtype, rows = DTYPES[layout.dtype], layout.shard_rows(shard)
        tensors = {name: torch.empty(len(rows), *shape, dtype=dtype) for name, shape in layout.shapes.items()}
        start = time.perf_counter()
        done = 0
        for signal in run_teacher(self.teacher, self.windows, rows, self.batch_size):
            count = len(signal.prediction_outputs)
            for name, tensor in tensors.items():
                tensor[done : done + count] = _as_stored(getattr(signal, name), name, dtype, rows.start + done)
            done += count
            self._estimate((time.perf_counter() - start) / done)
            self.bar.update(count)
        self.store.write_shard(shard, tensors)

    def _estimate(self, seconds_per_window: float) -> None:
        """After the first batch, say how long all of it will take."""
        if not self._is_timed and PartialState().is_main_process:
            self.bar.clear()
            logger.info(
                "Teacher signal: about %s on %s",
                readable_seconds(self.to_fill * seconds_per_window),
                processes(PartialState().num_processes),
            )
        self._is_timed = True


def processes(count: int) -> str:
    return f"{count} process{'es' if count > 1 else ''}"


def run_teacher(
    teacher: FrozenTeacher, windows: WindowDataset, rows: range | list[int], batch_size: int
) -> Iterator[TeacherSignal]:
    """The teacher's signal for these windows, batch by batch, on its device."""
    device = teacher.device
    for batch in DataLoader(Subset(windows, rows), batch_size=batch_size):
        inputs, _ = split_targets(batch)
        yield teacher(**{name: value.to(device) for name, value in inputs.items()})


def _as_stored(tensor: torch.Tensor, name: str, dtype: torch.dtype, first: int) -> torch.Tensor:
    """`[B, ...]` in the stored precision, all of it finite.

    Args:
        first: number of the first of the B windows.
    """
    stored = tensor.to(dtype)
    finite = stored.isfinite()
    if not finite.all():
        row = int((~finite).flatten(1).any(dim=1).nonzero()[0])
        value = tensor[row][~finite[row]][0].item()
        said = f"the teacher's {_SHOWN[name]} of window {first + row:,} holds {value:,g}"
        if torch.isfinite(torch.tensor(value)):
            limit = torch.finfo(dtype).max
            raise InputError(f"{said}, float16 ends at {limit:,.0f}: store it as float32 (`signal_dtype=float32`)")
        raise InputError(f"{said}: nothing can be learnt from that; take another teacher, or train it anew")
    return stored.cpu()


@contextmanager
def _claimed(path: Path, seconds: float) -> Iterator[bool]:
    """Whether the shard with that lock is this process's own within so many seconds.

    It is where nothing can be locked. The system releases the lock of a process that is killed.
    """
    lock = None
    try:
        lock = lock_of(path)
        lock.acquire(timeout=seconds)
        is_ours = True
    except Timeout:
        is_ours = False
    except (OSError, NotImplementedError):  # a file system without locks, or a lock file of another user, or a link
        is_ours = True
    try:
        yield is_ours
    finally:
        if lock is not None:
            lock.release()


def _remove_leftovers(folder: Path) -> None:
    """Temporary files of killed runs; a younger one may be another run's, which is about to move it."""
    for path in folder.glob(".*-signal-*"):
        try:
            if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue
