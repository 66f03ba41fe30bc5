"""What a store of a teacher's signal holds, and how it is cut into shards; nothing here touches the disk."""

import hashlib
import math
from dataclasses import dataclass

import torch

from .._utils.errors import InputError
from ..data.windows import WindowDataset, split_targets
from ..teachers import FrozenTeacher


DTYPES = {"float32": torch.float32, "float16": torch.float16}
_FORMAT = 2
_SHARD_BYTES = 64 * 2**20
_FEWEST_SHARDS = 16  # so that several processes have work each, and little is lost with one that is killed
_FEWEST_WINDOWS = 256  # of a shard, so that batches are full
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


def plan_store(teacher: FrozenTeacher, windows: WindowDataset, dtype: torch.dtype = torch.float32) -> StoreLayout:
    """The layout of the teacher's signal for these windows; the teacher is run on one of them, to see its shapes."""
    shapes = signal_shapes(teacher, windows)
    return StoreLayout(
        fingerprint=store_fingerprint(teacher, windows, dtype),
        teacher=teacher.name,
        num_windows=len(windows),
        shapes=shapes,
        windows_per_shard=windows_per_shard(len(windows), window_bytes(shapes, dtype)),
        dtype=dtype_name(dtype),
    )


def signal_shapes(teacher: FrozenTeacher, windows: WindowDataset) -> dict[str, list[int]]:
    """The shapes of the teacher's signal for a window; one is run to see them."""
    inputs, _ = split_targets({name: value.unsqueeze(0) for name, value in windows[0].items()})
    device = teacher.device
    signal = teacher(**{name: value.to(device) for name, value in inputs.items()})
    return {name: list(tensor.shape[1:]) for name, tensor in signal._asdict().items() if tensor is not None}


def window_bytes(shapes: dict[str, list[int]], dtype: torch.dtype = torch.float32) -> int:
    """Bytes of one window's signal."""
    return dtype.itemsize * sum(math.prod(shape) for shape in shapes.values())


def windows_per_shard(num_windows: int, bytes_per_window: int) -> int:
    """Sixteen shards or more, of at least 256 windows and at most 64 MiB."""
    share = -(-num_windows // _FEWEST_SHARDS)
    share = max(_FEWEST_WINDOWS, -(-share // _WHOLE_BATCHES) * _WHOLE_BATCHES)
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
