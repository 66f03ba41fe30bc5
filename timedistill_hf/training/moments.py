"""Sums over all windows of a series, found without visiting the windows.

Neighbouring windows share all of their steps but two, so that in the sum of products G over N windows of K steps

    G[i + 1, j + 1] = G[i, j] - x[i] x[j] + x[N + i] x[N + j]:

after its first row, which is a correlation, the whole matrix is running sums along its diagonals. That takes
O(T log T + K^2) operations for T steps where visiting every window takes O(N K^2), a thousand times less.
"""

import torch

from ..data.windows import WindowDataset


class WholeWindows:
    """Sums over the windows of a data set without missing values, channels alike; all float64.

    Attributes:
        gram: `[L, L]`: sum over all look-backs of the products of steps i and j.
        total: `[L]`: sum of step i.
        count: windows times channels.
        known: `[S]`: how many targets each step of the horizon has.
        label_cross, label_total: `[L, S]` and `[S]`: sums of window times target and of targets.
    """

    def __init__(self, windows: WindowDataset):
        length, horizon = windows.context_length, windows.prediction_length
        first = windows.first_origin - length
        rows = windows.values[first : first + len(windows) + length + horizon - 1]
        gram, total = moments(rows, length + horizon)
        self.count = len(windows) * rows.shape[1]
        self.known = torch.full((horizon,), self.count, dtype=torch.float64)
        self.gram, self.label_cross = gram[:length, :length], gram[:length, length:]
        self.total, self.label_total = total[:length], total[length:]
        self._power = gram[length:, length:].trace()

    def products(self, matrix: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums of window times forecast, `[L, S]`, and of forecasts, `[S]`, of a map `[L, S]` and a bias `[S]`."""
        return self.gram @ matrix + torch.outer(self.total, bias), self.total @ matrix + self.count * bias

    def errors(self, matrices: torch.Tensor, biases: torch.Tensor) -> torch.Tensor:
        """Mean squared error of each of K maps, `[K, L, S]` with `[K, S]`: `[K]`."""
        crossed = (matrices * (self.gram @ matrices - 2 * self.label_cross)).sum(dim=(1, 2))
        offsets = self.count * biases.square() + 2 * biases * (self.total @ matrices - self.label_total)
        return (self._power + crossed + offsets.sum(dim=1)) / self.known.sum()


def moments(rows: torch.Tensor, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of every window of K = `length` steps in `rows` `[T, C]`, channels alike: `[K, K]` and `[K]`, float64.

    Returns:
        the sums of the products of steps i and j, and of step i.
    """
    values = rows.T.double()
    num_windows = values.shape[1] - length + 1
    beginnings, ends = values[:, : length - 1], values[:, num_windows:]
    change = ends.T @ ends - beginnings.T @ beginnings
    gram = torch.empty(length, length, dtype=torch.float64)
    gram[0] = gram[:, 0] = _correlation(values, num_windows)
    for step in range(length - 1):
        gram[step + 1, 1:] = gram[step, :-1] + change[step]
    running = torch.nn.functional.pad(values.sum(dim=0).cumsum(dim=0), (1, 0))
    return gram, running[num_windows:] - running[:length]


def _correlation(values: torch.Tensor, num_windows: int) -> torch.Tensor:
    """Sum over windows and channels of step 0 times step j, for every j: `[K]`."""
    size = 2 * values.shape[1]
    starts = torch.fft.rfft(values[:, :num_windows], n=size)
    spectrum = (starts.conj() * torch.fft.rfft(values, n=size)).sum(dim=0)
    return torch.fft.irfft(spectrum, n=size)[: values.shape[1] - num_windows + 1]
