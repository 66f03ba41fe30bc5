"""Windows that roll over the past of many series, forecast a part at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from .._utils.errors import InputError
from ..data.channels import Channels, common_features
from ..evaluation.controls import SeasonalNaive
from ..models.adapters import run_model
from ..student.serving_timedistill import MAX_CELLS, UnusableWindow, forecast_in_units
from ..tables.panel import Panel
from .forecaster import Forecaster


@dataclass(frozen=True)
class Part:
    """Some windows, in order of series and time.

    Args:
        series: `[n]`, which series each is of; `window`: `[n]`, how many windows follow it.
        truth, forecast, naive: `[n, S]` in the data's units.
        scale: `[n]`, what the model's input was divided by.
    """

    series: np.ndarray
    window: np.ndarray
    truth: np.ndarray
    forecast: np.ndarray
    naive: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class Rolling:
    """Which windows there are: the last one of a group ends at `last`, each one before `step` steps earlier.

    Args:
        last: `[G]`, a step of each group's grid.
        windows: `[G]`, how many each group has.
    """

    forecaster: Forecaster
    panel: Panel
    channels: Channels
    last: np.ndarray
    windows: np.ndarray
    step: int
    season: int

    @property
    def lengths(self) -> tuple[int, int]:
        processor = self.forecaster.processor
        return processor.context_length, processor.prediction_length

    def cutoffs(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """The group of each window and the last step that the model saw, both `[n]`."""
        group = part.series // len(self.panel.target_columns)
        return group, self.last[group] - self.lengths[1] - part.window * self.step

    def each_series(self) -> Iterator[Part]:
        """By a model that forecasts each series on its own."""
        context, num_targets = self.lengths[0], len(self.panel.target_columns)
        at_once = max(1, MAX_CELLS // (context * num_targets))
        for groups in self._group_chunks(at_once):
            windows = self.windows[groups]
            most = int(windows.max())
            cut = self._cut(self.panel.block(groups, self._span(most), self.last[groups]))
            for chunk in _chunks(most, at_once):
                following = np.arange(most)[::-1][chunk]
                is_there = np.broadcast_to((following < windows[:, None])[:, None], cut[:, :, chunk].shape[:3])
                group, target, position = np.nonzero(is_there)  # windows of a series stay together
                values = cut[:, :, chunk][torch.from_numpy(is_there.copy())]
                past, series = values[:, :context, None], (groups.start + group) * num_targets + target
                mean, std = (
                    torch.from_numpy(value.ravel()[series])[:, None, None]
                    for value in (self.channels.mean, self.channels.std)
                )
                try:
                    forecast, scale = forecast_in_units(self.forecaster.inference_copy, past, mean, std)
                except UnusableWindow as error:
                    raise self._unusable(series[error.window], error) from error
                yield Part(
                    series=series,
                    window=following[position],
                    truth=values[:, context:].numpy(),
                    forecast=forecast[..., 0].numpy(),
                    naive=self._naive(past)[..., 0].numpy(),
                    scale=scale[:, 0, 0].numpy(),
                )

    def together(self) -> Iterator[Part]:
        """By a model that forecasts all its channels at once, at common cutoffs."""
        context, most = self.lengths[0], int(self.windows.max())
        order = self.channels.positions.ravel()
        channels = self.channels.place(self.panel.block(slice(None), self._span(most), self.last))
        cut, features = self._cut(channels)[0].permute(1, 2, 0), self._time_features(most)
        for chunk in _chunks(most, max(1, MAX_CELLS // (context * len(order)))):
            past = cut[chunk, :context].contiguous()
            given = {name: value[chunk] for name, value in features.items()}
            try:
                forecast, scale = forecast_in_units(
                    self.forecaster.inference_copy, past, *self.channels.scaler(), run=run_model, **given
                )
            except UnusableWindow as error:
                raise self._unusable(self.channels.series_of(error.channel), error) from error
            # [w, S, C] of the model to [series * w, S] of the table
            truth, forecast, naive, scale = (
                value.numpy()[..., order].transpose(2, 0, 1).reshape(-1, value.shape[1])
                for value in (cut[chunk, context:], forecast, self._naive(past), scale)
            )
            yield Part(
                series=np.repeat(np.arange(len(order)), len(past)),
                window=np.tile(np.arange(most)[::-1][chunk], len(order)),
                truth=truth,
                forecast=forecast,
                naive=naive,
                scale=scale[:, 0],
            )

    def _unusable(self, series: int, error: UnusableWindow) -> InputError:
        return InputError(f"a look-back of the series {self.panel.series_names()[series]!r} {error.reason}")

    def _group_chunks(self, at_once: int) -> Iterator[slice]:
        """Neighbouring groups of about `at_once` windows in all, those of their longest counted for each."""
        start, most = 0, 0
        for group, windows in enumerate(self.windows.tolist()):
            widest = max(most, windows)
            if group > start and (group + 1 - start) * widest > at_once:
                if most:
                    yield slice(start, group)
                start, widest = group, windows
            most = widest
        if most:
            yield slice(start, len(self.windows))

    def _span(self, windows: int) -> int:
        return sum(self.lengths) + (windows - 1) * self.step

    def _cut(self, block: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Look-backs and horizons `[g, K, w, L + S]` of a block `[g, T, K]`, the earliest first; a view."""
        return torch.as_tensor(block).unfold(1, sum(self.lengths), self.step).transpose(1, 2)

    def _naive(self, past: torch.Tensor) -> torch.Tensor:
        observed = ~torch.isnan(past)
        naive = SeasonalNaive(self.season, self.lengths[1])
        forecast = naive(past.nan_to_num(nan=0.0), observed).prediction_outputs
        return torch.where(observed.any(dim=1, keepdim=True), forecast, torch.nan)

    def _time_features(self, most: int) -> dict[str, torch.Tensor]:
        """Calendar features of the common windows, where the model takes them."""
        if not self.forecaster.processor.time_features:
            return {}
        features = common_features(self.panel, self.last[0], self._span(most), 0)[None]
        cut, context = self._cut(features)[0].permute(1, 2, 0), self.lengths[0]
        return {"past_time_features": cut[:, :context], "future_time_features": cut[:, context:]}


def _chunks(windows: int, at_once: int) -> Iterator[slice]:
    return (slice(first, first + at_once) for first in range(0, windows, at_once))
