"""The files of a store: which shards are there, whole, and what they take.

A store is a folder of safetensors shards and, written last, `manifest.json`; without that it is not believed. Each
shard holds the checksum of its values, so that a flipped bit is seen.
"""

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
from .layout import DTYPES, StoreLayout


MANIFEST = "manifest.json"
_CHECKSUM = "checksum"
_VERIFIED: set[tuple] = set()  # shards of this process's run whose values are those that were written


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
        return _checksum(tensors, f"{self.layout.fingerprint} {shard}")

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
                f"{str(self.path.parent)!r} has {readable_bytes(free)} free: name another folder (--signal_dir), "
                "store it as float16 (--signal_dtype), or without features (--teacher_signal forecasts), or let the "
                "teacher run in every step (--teacher_signal live)"
            )

    def write_manifest(self) -> None:
        """Say that all shards are there."""
        paths = [self.shard_path(shard) for shard in range(self.layout.num_shards)]
        files = {path.name: path.stat().st_size for path in paths}
        write_json(self.path / MANIFEST, {"layout": asdict(self.layout), "files": files})


def _checksum(tensors: dict[str, torch.Tensor], where: str) -> str:
    """Of the values, and of the place they are for."""
    digest = xxhash.xxh3_128(where.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


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
