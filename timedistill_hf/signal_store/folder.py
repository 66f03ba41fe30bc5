"""What a store of a teacher's signal holds, how it is cut into shards, and which of them are there.

A store is a folder of safetensors shards and, written last, `manifest.json`; without that it is not believed. Each
shard holds the checksum of its values, so that a flipped bit is seen.
"""

import hashlib
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .._utils.errors import InputError
from .._utils.files import read_object, staged_file, write_json
from .._utils.readable import readable_bytes
from ..data.windows import WindowDataset, split_targets
from ..teachers import FrozenTeacher


MANIFEST = "manifest.json"
_CHECKSUM = "checksum"
_VERIFIED: set[tuple] = set()  # shards of this process's run whose values are those that were written
DTYPES = {"float32": torch.float32, "float16": torch.float16}
_FORMAT = 2
_SHARD_BYTES = 64 * 2**20
_MIN_SHARDS = 16  # so that several processes have work each, and little is lost with one that is killed
_MIN_WINDOWS = 256  # of a shard, so that batches are full
_WHOLE_BATCHES = 64


@dataclass(frozen=True)
class StoreLayout:
    """What a store holds and how it is cut into shards.

    Args:
        fingerprint: of teacher, windows, precision and format: another one is another store.
        teacher: its name.
        num_windows: N.
        shapes: `prediction_outputs` `[S, C]` and, where there is one, `feature` `[C, d]`.
        windows_per_shard: windows in every shard but the last.
        dtype: `"float32"` or `"float16"`.
    """

    fingerprint: str
    teacher: str
    num_windows: int
    shapes: dict[str, list[int]]
    windows_per_shard: int
    dtype: str
    format: int = _FORMAT

    @property
    def num_bytes(self) -> int:
        """Bytes of all values; files add less than a thousandth."""
        return self.bytes_of(*self.shapes)

    def bytes_of(self, *names: str, dtype: str | None = None) -> int:
        """Bytes of the parts of that name alone, in the layout's precision or another one."""
        shapes = {name: self.shapes[name] for name in names}
        return self.num_windows * window_bytes(shapes, DTYPES[dtype or self.dtype])

    @property
    def num_shards(self) -> int:
        return -(-self.num_windows // self.windows_per_shard)

    def shard_rows(self, shard: int) -> range:
        """The windows that a shard holds."""
        first = shard * self.windows_per_shard
        return range(first, min(first + self.windows_per_shard, self.num_windows))


@dataclass(frozen=True)
class StoreFolder:
    """A store, complete or not yet.

    Args:
        path: its folder, named by the layout's fingerprint.
        layout: what it holds, or is to hold.
    """

    path: Path
    layout: StoreLayout

    def __str__(self) -> str:
        there = self.bytes_there()
        return self.summary + (f", {readable_bytes(there)} of it there already" if there else "")

    @property
    def summary(self) -> str:
        """Size, precision and place."""
        size = readable_bytes(self.layout.num_bytes)
        return f"{self.layout.num_windows:,} windows, {size} as {self.layout.dtype} in {self.path}"

    def shard_path(self, shard: int) -> Path:
        return self.path / f"signal-{shard:05d}-of-{self.layout.num_shards:05d}.safetensors"

    def open_shard(self, shard: int) -> dict[str, torch.Tensor]:
        """The shard's tensors, memory-mapped.

        Raises:
            InputError: it is missing, cut off, or of another shape or precision.
        """
        path = self.shard_path(shard)
        remedy = f"delete {str(self.path)!r}, it is filled anew"
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{str(path)!r} cannot be read ({error}): {remedy}") from error
        dtype, rows = DTYPES[self.layout.dtype], len(self.layout.shard_rows(shard))
        expected = {name: (dtype, [rows, *shape]) for name, shape in self.layout.shapes.items()}
        found = {name: (tensor.dtype, list(tensor.shape)) for name, tensor in tensors.items()}
        if found != expected:
            raise InputError(f"{str(path)!r} holds {found}, expected {expected}: {remedy}")
        return tensors

    def write_shard(self, shard: int, tensors: dict[str, torch.Tensor]) -> None:
        """Write it with the checksum of its values, whole or not at all."""
        with staged_file(self.shard_path(shard)) as stage:
            save_file(tensors, stage, metadata={_CHECKSUM: self._checksum(shard, tensors)})

    def has_shard(self, shard: int) -> bool:
        """Whether it is there, and holds what was written: its values are read once a process, unless it changes."""
        path = self.shard_path(shard)
        try:
            stat = path.stat()
            state = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if state in _VERIFIED:
                return True
            with safe_open(path, framework="pt") as file:
                written = (file.metadata() or {}).get(_CHECKSUM)
            if written != self._checksum(shard, self.open_shard(shard)):
                return False
        except (OSError, SafetensorError, InputError):
            return False
        _VERIFIED.add(state)
        return True

    def _checksum(self, shard: int, tensors: dict[str, torch.Tensor]) -> str:
        """Of the values, and of the place they are for."""
        digest = xxhash.xxh3_128(f"{self.layout.fingerprint} {shard}".encode())
        for name, tensor in sorted(tensors.items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    def missing_windows(self) -> list[int]:
        """The windows whose shards are not there."""
        shards = (shard for shard in range(self.layout.num_shards) if not self.has_shard(shard))
        return [row for shard in shards for row in self.layout.shard_rows(shard)]

    def bytes_there(self) -> int:
        """Bytes of the shards that are there."""
        paths = (self.shard_path(shard) for shard in range(self.layout.num_shards))
        return sum(path.stat().st_size for path in paths if path.is_file())

    def bytes_to_write(self) -> int:
        """Bytes of the shards that are not there yet."""
        return max(0, self.layout.num_bytes - self.bytes_there())

    def check_room(self) -> None:
        """Raise an [`InputError`] where the disk has too little room for what is not there yet."""
        free = free_bytes(self.path)
        if self.bytes_to_write() > free:
            raise InputError(
                f"the teacher's signal takes {readable_bytes(self.layout.num_bytes)} as {self.layout.dtype}, "
                f"{str(self.path.parent)!r} has {readable_bytes(free)} free: name another folder (`signal_dir`), "
                "store it as float16 (`signal_dtype=float16`), or without features (`teacher_signal=forecasts`), or "
                "let the teacher run in every step (`teacher_signal=live`)"
            )

    def write_manifest(self) -> None:
        """Say that all shards are there."""
        paths = [self.shard_path(shard) for shard in range(self.layout.num_shards)]
        files = {path.name: path.stat().st_size for path in paths}
        write_json(self.path / MANIFEST, {"layout": asdict(self.layout), "files": files})


def plan_store(teacher: FrozenTeacher, windows: WindowDataset, dtype: torch.dtype = torch.float32) -> StoreLayout:
    """The layout of the teacher's signal for these windows; the teacher is run on one of them, to see its shapes."""
    inputs, _ = split_targets({name: value.unsqueeze(0) for name, value in windows[0].items()})
    signal = teacher(**{name: value.to(teacher.device) for name, value in inputs.items()})
    shapes = {name: list(tensor.shape[1:]) for name, tensor in signal._asdict().items() if tensor is not None}
    return StoreLayout(
        fingerprint=store_fingerprint(teacher, windows, dtype),
        teacher=teacher.name,
        num_windows=len(windows),
        shapes=shapes,
        windows_per_shard=windows_per_shard(len(windows), window_bytes(shapes, dtype)),
        dtype=dtype_name(dtype),
    )


def window_bytes(shapes: dict[str, list[int]], dtype: torch.dtype = torch.float32) -> int:
    """Bytes of one window's signal."""
    return dtype.itemsize * sum(math.prod(shape) for shape in shapes.values())


def windows_per_shard(num_windows: int, bytes_per_window: int) -> int:
    """Sixteen shards or more, of at least 256 windows and at most 64 MiB."""
    share = -(-num_windows // _MIN_SHARDS)
    share = max(_MIN_WINDOWS, -(-share // _WHOLE_BATCHES) * _WHOLE_BATCHES)
    return max(1, min(num_windows, share, _SHARD_BYTES // bytes_per_window))


def store_fingerprint(teacher: FrozenTeacher, windows: WindowDataset, dtype: torch.dtype = torch.float32) -> str:
    """A hash of all that the store's content depends on; the teacher is not run."""
    precision = () if dtype == torch.float32 else (dtype_name(dtype),)
    parts = (_FORMAT, teacher.fingerprint(), windows.fingerprint(), *precision)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def dtype_name(dtype: torch.dtype) -> str:
    """As flags and manifests write it; an [`InputError`] where signals are not stored so."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    if dtype not in names:
        raise InputError(f"a teacher's signal is stored as {' or '.join(DTYPES)}, not as {dtype}")
    return names[dtype]


def complete_store(path: Path) -> StoreFolder | None:
    """The store of that folder as its manifest describes it; `None` where it has to be filled."""
    try:
        manifest = read_object(path / MANIFEST)
        layout = StoreLayout(**manifest["layout"])
        sizes = {name: (path / name).stat().st_size for name in manifest["files"]}
        is_whole = sizes == manifest["files"] and len(sizes) == layout.num_shards and layout.dtype in DTYPES
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None
    return StoreFolder(path, layout) if is_whole and layout.fingerprint == path.name else None


def free_bytes(directory: Path) -> int:
    """Free bytes of the disk on which `directory` is, or will be."""
    directory = directory.absolute()
    return shutil.disk_usage(next(path for path in (directory, *directory.parents) if path.exists())).free
