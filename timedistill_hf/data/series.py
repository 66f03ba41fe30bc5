"""A multivariate series in memory: what every source is turned into and all windows are cut from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .._utils.errors import InputError
from ..student.serving_timedistill import mean_and_deviation
from .splits import SplitSpec


if TYPE_CHECKING:
    from ..tables.clock import Clock


@dataclass(frozen=True)
class Series:
    """Values of C channels at T equal steps, in the data's own units.

    Args:
        values: float64 `[T, C]`; missing entries are NaN.
        columns: the channels' names.
        timestamps: `datetime64[ns]` `[T]`, or `None`.
        timestamp_column: its name in the source.
        freq: pandas frequency alias such as `"h"`, or `None` where unknown.
        season: steps of one season, for the seasonal naive forecast and MASE; 1 where none is known.
        name: what the data are called in results.
        note: what must be said wherever figures on these data are printed.
        id_column: the column of series ids, where the source was a long table.
        target_columns: its value columns.
        regularized: whether rows were sorted and left-out steps put back.
        missing_value: the sentinel that was read as missing, or several.
        clock: how timestamps were read and are written, across changes of daylight saving time.
        time_zone: whose clock timestamps without a zone were said to show.
        split: of a benchmark the standard one, which [`make_windows`] takes where it is given none.
    """

    values: torch.Tensor
    columns: tuple[str, ...]
    timestamps: np.ndarray | None = None
    timestamp_column: str | None = None
    freq: str | None = None
    season: int = 1
    name: str = "series"
    note: str = ""
    id_column: str | None = None
    target_columns: tuple[str, ...] | None = None
    regularized: bool = True
    missing_value: float | tuple[float, ...] | None = None
    clock: "Clock | None" = None
    time_zone: str | None = None
    split: SplitSpec | None = None

    def __post_init__(self):
        if self.values.ndim != 2 or self.values.shape[1] != len(self.columns):
            raise ValueError(
                f"values {tuple(self.values.shape)} and {len(self.columns)} columns: expected [T, C] and C"
            )
        object.__setattr__(self, "values", self.values.double())
        if torch.isinf(self.values).any():
            channel = self.columns[int(torch.isinf(self.values).any(dim=0).nonzero()[0])]
            raise InputError(f"column {channel!r} holds an infinite value: replace it, or leave it empty as missing")

    @property
    def num_rows(self) -> int:
        return self.values.shape[0]

    @property
    def num_channels(self) -> int:
        return self.values.shape[1]

    @property
    def has_missing(self) -> bool:
        return bool(torch.isnan(self.values).any())

    def fingerprint(self) -> str:
        """A short hash of values and column names; the same data give the same one on every machine."""
        digest = hashlib.sha256(repr((self.columns, tuple(self.values.shape))).encode())
        single = self.values.float()
        digest.update(single.numpy().astype("<f4").tobytes())
        # what float32 cannot tell apart, where that is much of what a channel does
        lost = (self.values - single).abs().nan_to_num(nan=0.0).amax(dim=0)
        deviation = mean_and_deviation(self.values, 0)[1][0]
        for values in self.values[:, (lost > 1e-5 * deviation) & (deviation > 0)].T:
            centred = values - values[~values.isnan()][0]
            digest.update(centred.numpy().astype("<f4").tobytes())
        return digest.hexdigest()[:16]


def as_sentinels(missing_value: float | Sequence[float] | None) -> tuple[float, ...]:
    """The values that mean missing, of none, one or several."""
    if missing_value is None:
        return ()
    values = missing_value if isinstance(missing_value, (list, tuple)) else [missing_value]
    return tuple(float(value) for value in values)
