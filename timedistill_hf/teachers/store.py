"""The teacher's signal for all training windows, computed once and kept in memory-mapped files.

A store is a folder of safetensors shards and, written last, `manifest.json`; without that it is not believed. Shards
are written to a temporary name and moved into place, so that filling can be cut off at any moment and gone on with, by
several processes, or by several runs at once: all write the same content.
"""

import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm.auto import tqdm

from ..data.mixed import TrainWindows
from ..data.windows import split_targets, windows_at_once
from ..errors import InputError
from ..files import staged_file, write_json
from .signal import FrozenTeacher, TeacherSignal


logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
COLUMN_PREFIX = "teacher_"
_FORMAT = 2
_SHARD_BYTES = 64 * 2**20
_LEFTOVER_SECONDS = 3600


def split_signal(inputs: dict) -> tuple[dict, TeacherSignal | None]:
    """A batch without its `teacher_*` columns, and the stored signal that they hold (`None` where there are none)."""
    rest = {name: value for name, value in inputs.items() if not name.startswith(COLUMN_PREFIX)}
    if len(rest) == len(inputs):
        return inputs, None
    columns = {field: inputs.get(COLUMN_PREFIX + field) for field in TeacherSignal._fields}
    return rest, TeacherSignal(**columns)


@dataclass(frozen=True)
class StoreLayout:
    """What a store holds and how it is cut into shards.

    Args:
        fingerprint: of teacher, windows and format: another one is another store.
        teacher: its name.
        num_windows: N.
        shapes: `prediction_outputs` `[S, C]` and, where there is one, `feature` `[C, d]`.
        windows_per_shard: windows in every shard but the last.
    """

    fingerprint: str
    teacher: str
    num_windows: int
    shapes: dict[str, list[int]]
    windows_per_shard: int
    format: int = _FORMAT

    @property
    def num_bytes(self) -> int:
        """Bytes of all values; files add less than a thousandth."""
        return self.num_windows * _window_bytes(self.shapes)

    @property
    def num_shards(self) -> int:
        return -(-self.num_windows // self.windows_per_shard)

    def shard_rows(self, shard: int) -> range:
        """The windows that a shard holds."""
        first = shard * self.windows_per_shard
        return range(first, min(first + self.windows_per_shard, self.num_windows))


def signal_shapes(teacher: FrozenTeacher, windows: TrainWindows) -> dict[str, list[int]]:
    """The shapes of the teacher's signal for a window; one is run to see them."""
    inputs, _ = split_targets({name: value.unsqueeze(0) for name, value in windows[0].items()})
    device = teacher.device
    signal = teacher(**{name: value.to(device) for name, value in inputs.items()})
    return {name: list(tensor.shape[1:]) for name, tensor in signal._asdict().items() if tensor is not None}


def stored_bytes(teacher: FrozenTeacher, windows: TrainWindows) -> int:
    """Bytes that a store of the teacher's signal would take; nothing is written."""
    return len(windows) * _window_bytes(signal_shapes(teacher, windows))


def has_room(teacher: FrozenTeacher, windows: TrainWindows, directory: str | Path) -> bool:
    """Whether the disk has room for what of the store is not there yet."""
    layout = _plan(teacher, windows)
    folder = Path(directory) / layout.fingerprint
    return _bytes_to_write(folder, layout) <= free_bytes(folder)


def _plan(teacher: FrozenTeacher, windows: TrainWindows) -> StoreLayout:
    shapes = signal_shapes(teacher, windows)
    return StoreLayout(
        fingerprint=_fingerprint(teacher, windows),
        teacher=teacher.name,
        num_windows=len(windows),
        shapes=shapes,
        windows_per_shard=max(1, min(len(windows), _SHARD_BYTES // _window_bytes(shapes))),
    )


def store_signal(
    teacher: FrozenTeacher, windows: TrainWindows, directory: str | Path, *, batch_size: int = 64
) -> "StoredSignalDataset":
    """Run the teacher over all windows, as far as that was not done before, and give the windows with its signal.

    Under several processes each fills its share; all must call this, and see the same `directory`.

    Args:
        windows: the training windows, with calendar features where the teacher needs them.
        directory: holds one folder a fingerprint.

    Raises:
        InputError: teacher and windows do not fit, or the disk has too little room.
    """
    sample = windows[0]
    teacher.check_fits(windows.context_length, windows.prediction_length, sample["past_values"].shape[1])
    teacher.check_time_features(0 if windows.time_features is None else windows.time_features.shape[1])
    batch_size = windows_at_once(batch_size, sample["past_values"].shape[1])
    layout = _plan(teacher, windows)
    folder = Path(directory) / layout.fingerprint
    # one process looks for all: a second run may finish the same store between the looks of two
    (is_complete,) = broadcast_object_list([_read_manifest(folder, layout) is not None])
    if not is_complete:
        _check_room(folder, layout)
        _fill(teacher, windows, folder, layout, batch_size)
    else:
        logger.info("Teacher signal: found in %s", folder)
    return StoredSignalDataset(windows, folder, layout)


class StoredSignalDataset(Dataset):
    """Windows with their stored signal: `teacher_prediction_outputs` `[S, C]`, and `teacher_feature` `[C, d]` if any.

    Nothing is read before it is asked for; items are views on memory-mapped files. Calendar features, which only the
    teacher needed, are left out.
    """

    def __init__(self, windows: TrainWindows, folder: Path, layout: StoreLayout):
        self.windows = windows.with_time_features(None)
        self.folder = folder
        self.layout = layout
        self._shards: dict[int, dict[str, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        item = self.windows[index]
        shard, row = divmod(index % len(self), self.layout.windows_per_shard)
        if shard not in self._shards:
            self._shards[shard] = _open_shard(self.folder, shard, self.layout)
        return item | {COLUMN_PREFIX + name: tensor[row] for name, tensor in self._shards[shard].items()}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_shards": {}}  # worker processes map the files themselves


def stored_teacher_name(windows: Dataset) -> str | None:
    """Whose signal the windows hold, where it was stored here; also of a part of them."""
    if isinstance(windows, Subset):
        return stored_teacher_name(windows.dataset)
    return windows.layout.teacher if isinstance(windows, StoredSignalDataset) else None


def _window_bytes(shapes: dict[str, list[int]]) -> int:
    return 4 * sum(math.prod(shape) for shape in shapes.values())


def _fingerprint(teacher: FrozenTeacher, windows: TrainWindows) -> str:
    parts = (_FORMAT, teacher.fingerprint(), windows.fingerprint())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _shard_path(folder: Path, shard: int, layout: StoreLayout) -> Path:
    return folder / f"signal-{shard:05d}-of-{layout.num_shards:05d}.safetensors"


def _open_shard(folder: Path, shard: int, layout: StoreLayout) -> dict[str, torch.Tensor]:
    """The shard's tensors, memory-mapped.

    Raises:
        InputError: it is missing, cut off, or of another shape.
    """
    path = _shard_path(folder, shard, layout)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{str(path)!r} cannot be read ({error}): delete {str(folder)!r}, it is filled anew"
        ) from error
    expected = {name: [len(layout.shard_rows(shard)), *shape] for name, shape in layout.shapes.items()}
    found = {name: list(tensor.shape) for name, tensor in tensors.items()}
    if found != expected:
        raise InputError(
            f"{str(path)!r} holds {found}, expected {expected}: delete {str(folder)!r}, it is filled anew"
        )
    return tensors


def _read_manifest(folder: Path, layout: StoreLayout) -> dict | None:
    """The manifest of a complete store with that layout; `None` where it has to be filled."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if manifest["layout"] == asdict(layout) and sizes == manifest["files"] else None


def free_bytes(directory: Path) -> int:
    """Free bytes of the disk on which `directory` is, or will be."""
    directory = directory.absolute()
    return shutil.disk_usage(next(path for path in (directory, *directory.parents) if path.exists())).free


def _bytes_to_write(folder: Path, layout: StoreLayout) -> int:
    return max(0, layout.num_bytes - sum(path.stat().st_size for path in folder.glob("signal-*.safetensors")))


def _check_room(folder: Path, layout: StoreLayout) -> None:
    free = free_bytes(folder)
    if _bytes_to_write(folder, layout) > free:
        raise InputError(
            f"the teacher's signal takes {layout.num_bytes / 1e9:.2f} GB, {str(folder.parent)!r} has "
            f"{free / 1e9:.2f} GB free: name another folder with --signal_dir, or pass --teacher_signal live"
        )
    folder.mkdir(parents=True, exist_ok=True)


def _fill(teacher: FrozenTeacher, windows: TrainWindows, folder: Path, layout: StoreLayout, batch_size: int) -> None:
    state = PartialState()
    logger.info("Teacher signal: %s windows, %.2f GB in %s", f"{layout.num_windows:,}", layout.num_bytes / 1e9, folder)
    if state.is_main_process:
        _remove_leftovers(folder)
    state.wait_for_everyone()
    own = range(state.process_index, layout.num_shards, state.num_processes)
    rows = sum(len(layout.shard_rows(shard)) for shard in own)
    with tqdm(total=rows, desc="teacher's signal", unit="window", disable=not state.is_main_process) as bar:
        for shard in own:
            if not _is_complete(folder, shard, layout):
                _fill_shard(teacher, windows, folder, shard, layout, batch_size)
            bar.update(len(layout.shard_rows(shard)))
    state.wait_for_everyone()
    if state.is_main_process:
        paths = (_shard_path(folder, shard, layout) for shard in range(layout.num_shards))
        write_json(
            folder / MANIFEST,
            {"layout": asdict(layout), "files": {path.name: path.stat().st_size for path in paths}},
        )
    state.wait_for_everyone()


def _is_complete(folder: Path, shard: int, layout: StoreLayout) -> bool:
    if not _shard_path(folder, shard, layout).is_file():
        return False
    try:
        _open_shard(folder, shard, layout)
    except InputError as error:
        logger.warning("%s", error)
        return False
    return True


def _fill_shard(
    teacher: FrozenTeacher, windows: TrainWindows, folder: Path, shard: int, layout: StoreLayout, batch_size: int
) -> None:
    signals = list(_signals(teacher, windows, layout.shard_rows(shard), batch_size))
    tensors = {
        name: torch.cat([getattr(signal, name).float().cpu() for signal in signals]).contiguous()
        for name in layout.shapes
    }
    with staged_file(_shard_path(folder, shard, layout)) as stage:
        save_file(tensors, stage)


def _signals(teacher: FrozenTeacher, windows: TrainWindows, rows: range, batch_size: int) -> Iterator[TeacherSignal]:
    device = teacher.device
    for batch in DataLoader(Subset(windows, rows), batch_size=batch_size):
        inputs, _ = split_targets(batch)
        yield teacher(**{name: value.to(device) for name, value in inputs.items()})


def _remove_leftovers(folder: Path) -> None:
    """Temporary files of killed runs; a younger one may be another run's, which is about to move it."""
    for path in folder.glob(".*-signal-*"):
        try:
            if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue
