"""Sums over all windows of a series, found without visiting the windows.

Neighbouring windows share all of their steps but two, so that in the sum of products G over N windows of K steps

    G[i + 1, j + 1] = G[i, j] - x[i] x[j] + x[N + i] x[N + j]:

after its first row, which is a correlation, the whole matrix is running sums along its diagonals. That takes
O(T log T + K^2) operations for T steps where visiting every window takes O(N K^2), a thousand times less.
"""

from dataclasses import dataclass

import torch

from ..data.windows import WindowDataset


@dataclass(frozen=True)
class WindowMoments:
    """First and second moments of windows of K steps, summed over N series (windows times channels).

    Args:
        gram: `[K, K]`, float64: sum of the products of steps i and j.
        total: `[K]`, float64: sum of step i.
        count: N.
    """

    gram: torch.Tensor
    total: torch.Tensor
    count: int

    @classmethod
    def of(cls, windows: WindowDataset) -> "WindowMoments":
        """Of look-back and horizon together, K = L + S, channels alike, where nothing is missing."""
        first = windows.first_origin - windows.context_length
        length = windows.context_length + windows.prediction_length
        rows = windows.values[first : first + len(windows) + length - 1]
        return cls.of_rows(rows, length)

    @classmethod
    def of_rows(cls, rows: torch.Tensor, length: int) -> "WindowMoments":
        """Of every window of `length` steps in `rows` `[T, C]`, channels alike."""
        values = rows.T.double()
        num_windows = values.shape[1] - length + 1
        beginnings, ends = values[:, : length - 1], values[:, num_windows:]
        change = ends.T @ ends - beginnings.T @ beginnings
        gram = torch.empty(length, length, dtype=torch.float64)
        gram[0] = gram[:, 0] = _correlation(values, num_windows)
        for step in range(length - 1):
            gram[step + 1, 1:] = gram[step, :-1] + change[step]
        running = torch.nn.functional.pad(values.sum(dim=0).cumsum(dim=0), (1, 0))
        return cls(gram, running[num_windows:] - running[:length], num_windows * len(values))

    def transformed(self, matrix: torch.Tensor) -> "WindowMoments":
        """The moments of `matrix @ window`, `[K', K]`."""
        return WindowMoments(matrix @ self.gram @ matrix.T, matrix @ self.total, self.count)


def series_of(values: torch.Tensor) -> torch.Tensor:
    """`[B, T, C]` as one row a series: `[B C, T]`."""
    return values.transpose(1, 2).flatten(0, 1)


def _correlation(values: torch.Tensor, num_windows: int) -> torch.Tensor:
    """Sum over windows and channels of step 0 times step j, for every j: `[K]`."""
    size = 2 * values.shape[1]
    starts = torch.fft.rfft(values[:, :num_windows], n=size)
    spectrum = (starts.conj() * torch.fft.rfft(values, n=size)).sum(dim=0)
    return torch.fft.irfft(spectrum, n=size)[: values.shape[1] - num_windows + 1]
