"""A multivariate series in memory: what every source is turned into and all windows are cut from."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..errors import InputError


@dataclass(frozen=True)
class Series:
    """Values of C channels at T equal steps, in the data's own units.

    Args:
        values: float32 `[T, C]`; missing entries are NaN.
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
        missing_value: the sentinel that was read as missing.
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
    missing_value: float | None = None

    def __post_init__(self):
        if self.values.ndim != 2 or self.values.shape[1] != len(self.columns):
            raise ValueError(
                f"values {tuple(self.values.shape)} and {len(self.columns)} columns: expected [T, C] and C"
            )
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

    def with_missing(self, sentinel: float) -> "Series":
        """A copy in which every cell equal to `sentinel` counts as missing."""
        values = torch.where(self.values == sentinel, torch.nan, self.values)
        return replace(self, values=values, missing_value=sentinel)

    def fingerprint(self) -> str:
        """A short hash of values and column names; the same data give the same one on every machine."""
        digest = hashlib.sha256(repr((self.columns, tuple(self.values.shape))).encode())
        digest.update(np.ascontiguousarray(self.values.numpy()).astype("<f4").tobytes())
        return digest.hexdigest()[:16]
