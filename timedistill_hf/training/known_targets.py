"""Sums over all windows of a series with missing values, of what is known: no window is visited.

What a map forecasts from each window of a series is a correlation of the two, and so is the sum of the products of
windows and errors; Fourier transforms take O(T log T) operations for either. Missing targets are left out between the
two. A gap within a look-back is interpolated alike in all windows that hold it. At the ends of a look-back there is
nothing to interpolate with; there its change against the series interpolated as a whole is added.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from ..data.windows import WindowDataset
from ..student.normalization_timedistill import fill_missing
from .moments import moments


_WINDOWS_AT_ONCE = 4096


@dataclass(frozen=True)
class _Edges:
    """What some windows `[M]` of a channel have otherwise than the interpolated series, in some of their steps `[k]`.

    Args:
        change: `[M, k]`, what is to be added.
    """

    windows: torch.Tensor
    steps: torch.Tensor
    change: torch.Tensor


@dataclass(frozen=True)
class _Channel:
    """One channel's N windows.

    Args:
        series: `[N + L - 1]`, interpolated, float64; 0 in gaps as long as a look-back.
        spectrum: its Fourier transform.
        targets, known: `[S, N]`, float32: 0 where missing, and 1 where not.
    """

    series: torch.Tensor
    spectrum: torch.Tensor
    targets: torch.Tensor
    known: torch.Tensor
    edges: list[_Edges]

    def forecasts(self, matrix: torch.Tensor, spectrum: torch.Tensor, size: int) -> torch.Tensor:
        """`[S, N]`: the product of each window with `matrix` `[L, S]`, whose Fourier transform is `spectrum`."""
        forecasts = torch.fft.irfft(self.spectrum * spectrum, n=size)[:, : self.targets.shape[1]]
        for edge in self.edges:
            forecasts.index_add_(1, edge.windows, (edge.change @ matrix[edge.steps]).T)
        return forecasts


class KnownTargets:
    """As [`WholeWindows`] for a data set with missing values, look-backs interpolated as the student does.

    Targets and errors are of the known ones. What depends on all windows alike is float64; products with maps are
    float32.

    Args:
        windows: with `observed`.
    """

    def __init__(self, windows: WindowDataset):
        self.length, self._horizon = windows.context_length, windows.prediction_length
        first = windows.first_origin - self.length
        rows = slice(first, first + len(windows) + self.length + self._horizon - 1)
        values, observed = windows.values[rows].double(), windows.observed[rows].bool()
        self._size = fast_size(len(windows) + self.length - 1)
        self._channels = [self._channel(*both, len(windows)) for both in zip(values.T, observed.T, strict=True)]
        self.count = len(windows) * len(self._channels)
        self.known = sum(channel.known.sum(dim=1, dtype=torch.float64) for channel in self._channels)
        self._add_look_backs()
        self.label_cross, self.label_total = self._sums(channel.targets for channel in self._channels)

    def products(self, matrix: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums over known targets of window times forecast, `[L, S]`, and of forecasts, `[S]`."""
        return self._sums(
            forecasts.add_(bias.float().unsqueeze(1)).mul_(channel.known)
            for channel, forecasts in self._forecasts(matrix)
        )

    def errors(self, matrices: torch.Tensor, biases: torch.Tensor) -> torch.Tensor:
        """Mean squared error over the known targets of each of K maps, `[K, L, S]` with `[K, S]`: `[K]`."""
        squares = torch.zeros(len(matrices), dtype=torch.float64)
        for index, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
            for channel, forecasts in self._forecasts(matrix):
                error = forecasts.add_(bias.float().unsqueeze(1)).sub_(channel.targets).mul_(channel.known)
                squares[index] += error.square_().sum(dtype=torch.float64)
        return squares / self.known.sum()

    def _forecasts(self, matrix: torch.Tensor) -> Iterator[tuple[_Channel, torch.Tensor]]:
        matrix = matrix.float()
        spectrum = torch.fft.rfft(matrix.T, n=self._size).conj()
        for channel in self._channels:
            yield channel, channel.forecasts(matrix, spectrum, self._size)

    def _channel(self, values: torch.Tensor, observed: torch.Tensor, count: int) -> _Channel:
        targets, known = (
            part.float()[self.length :].unfold(0, count, 1) for part in (torch.where(observed, values, 0.0), observed)
        )
        past = count + self.length - 1
        values, observed = values[:past], observed[:past]
        series = fill_missing(values.view(1, -1, 1), observed.view(1, -1, 1)).flatten()
        # a look-back without any value is 0
        is_empty = torch.nn.functional.pad(~observed.unfold(0, self.length, 1).any(dim=1), (0, self.length)).long()
        series[((is_empty - is_empty.roll(self.length)).cumsum(0) > 0)[:past]] = 0
        is_cut = ~(observed[:count] & observed[self.length - 1 :])
        starts = (is_cut & (is_empty[:count] == 0)).nonzero().flatten()
        edges = [self._edges(part, series, values, observed) for part in starts.split(_WINDOWS_AT_ONCE) if len(part)]
        return _Channel(series, torch.fft.rfft(series.float(), n=self._size), targets, known, edges)

    def _edges(
        self, starts: torch.Tensor, series: torch.Tensor, values: torch.Tensor, observed: torch.Tensor
    ) -> _Edges:
        """Of windows in the middle of whose first or last gap there is an end: what is nearest is repeated there."""
        step = torch.arange(len(series))
        before = torch.where(observed, step, -1).cummax(0).values
        after = torch.where(observed, step, len(series)).flip(0).cummin(0).values.flip(0)
        first, last = after[starts].unsqueeze(1), before[starts + self.length - 1].unsqueeze(1)
        begin, end = (first.squeeze(1) - starts).max(), (last.squeeze(1) - starts).min() + 1
        steps = torch.arange(self.length)
        steps = steps[(steps < begin) | (steps >= end)]
        place = starts.unsqueeze(1) + steps
        nearest = torch.where(place < first, values[first], torch.where(place > last, values[last], series[place]))
        return _Edges(starts, steps, (nearest - series[place]).float())

    def _add_look_backs(self) -> None:
        self.gram, self.total = moments(torch.stack([each.series for each in self._channels], 1), self.length)
        for channel in self._channels:
            for edge in channel.edges:
                windows = channel.series.unfold(0, self.length, 1)[edge.windows]
                change = edge.change.double()
                cross = windows.T @ change
                self.gram[:, edge.steps] += cross
                self.gram[edge.steps] += cross.T
                self.gram[edge.steps.unsqueeze(1), edge.steps] += change.T @ change
                self.total[edge.steps] += change.sum(dim=0)

    def _sums(self, per_channel: Iterable[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """`[L, S]` and `[S]`: sums of window times value and of values, of `[S, N]` for each channel."""
        spectrum, edges = 0.0, torch.zeros(self.length, self._horizon)
        total = torch.zeros(self._horizon, dtype=torch.float64)
        for channel, values in zip(self._channels, per_channel, strict=True):
            spectrum = spectrum + channel.spectrum * torch.fft.rfft(values, n=self._size).conj()
            for edge in channel.edges:
                edges[edge.steps] += edge.change.T @ values[:, edge.windows].T
            total += values.sum(dim=1, dtype=torch.float64)
        return (torch.fft.irfft(spectrum, n=self._size)[:, : self.length].T + edges).double(), total


def fast_size(length: int) -> int:
    """The least product of twos, threes and fives from `length` on, which Fourier transforms are quick for."""
    odd = [3**i * 5**j for i in range(40) for j in range(30) if 3**i * 5**j < 2 * length]
    return min(factor * 2 ** math.ceil(math.log2(max(1, length / factor))) for factor in odd)
