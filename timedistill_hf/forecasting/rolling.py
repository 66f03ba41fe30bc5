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
        panel, context = self.panel, self.lengths[0]
        num_targets = panel.values.shape[1]
        at_once = max(1, MAX_CELLS // (context * num_targets))
        for groups in self._group_chunks(at_once):
            start, windows = groups.start, self.windows[groups]
            most = int(windows.max())
            block = panel.block(groups, self._span(most), self.last[groups])
            for chunk in _chunks(most, at_once):
                # [g, K, w, T]: windows of a series stay together
                cut = np.stack([self._cut(block, window, most) for window in chunk], axis=1).transpose(0, 3, 1, 2)
                is_there = np.broadcast_to((chunk < windows[:, None])[:, None], cut.shape[:3])
                group, target, position = np.nonzero(is_there)
                past = torch.from_numpy(cut[is_there][:, :context, None])
                scaler = (value[groups][group, target] for value in (self.channels.mean, self.channels.std))
                mean, std = (torch.from_numpy(value)[:, None, None] for value in scaler)
                try:
                    forecast, scale = forecast_in_units(self.forecaster.inference_copy, past, mean, std)
                except UnusableWindow as error:
                    number = error.window
                    raise self._unusable((start + group[number]) * num_targets + target[number], error) from error
                yield Part(
                    series=(start + group) * num_targets + target,
                    window=chunk[position],
                    truth=cut[is_there][:, context:],
                    forecast=forecast[..., 0].numpy(),
                    naive=self._naive(past)[..., 0].numpy(),
                    scale=scale[:, 0, 0].numpy(),
                )

    def together(self) -> Iterator[Part]:
        """By a model that forecasts all its channels at once, at common cutoffs."""
        context, most = self.lengths[0], int(self.windows.max())
        order = self.channels.positions.ravel()
        channels = self.channels.place(self.panel.block(slice(None), self._span(most), self.last))
        mean, std = self.channels.scaler()
        features = self._time_features(most)
        for chunk in _chunks(most, max(1, MAX_CELLS // (context * len(order)))):
            cut = np.concatenate([self._cut(channels, window, most) for window in chunk])
            past = torch.from_numpy(cut[:, :context])
            try:
                forecast, scale = forecast_in_units(
                    self.forecaster.inference_copy,
                    past,
                    mean,
                    std,
                    run=run_model,
                    **self._cut_features(features, chunk, most),
                )
            except UnusableWindow as error:
                raise self._unusable(self.channels.series_of(error.channel), error) from error
            # [w, S, C] of the model to [series, w, S] of the table
            by_series = (
                value[..., order].transpose(2, 0, 1)
                for value in (cut[:, context:], forecast.numpy(), self._naive(past).numpy(), scale.numpy())
            )
            truth, forecast, naive, scale = (value.reshape(-1, value.shape[2]) for value in by_series)
            yield Part(
                series=np.repeat(np.arange(len(order)), len(chunk)),
                window=np.tile(chunk, len(order)),
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

    def _cut(self, block: np.ndarray, window: int, most: int) -> np.ndarray:
        """Look-back and horizon `[g, L + S, K]` of the window that `window` others follow."""
        start = (most - 1 - window) * self.step
        return block[:, start : start + sum(self.lengths)]

    def _naive(self, past: torch.Tensor) -> torch.Tensor:
        observed = ~torch.isnan(past)
        naive = SeasonalNaive(self.season, self.lengths[1])
        forecast = naive(past.nan_to_num(nan=0.0), observed).prediction_outputs
        return torch.where(observed.any(dim=1, keepdim=True), forecast, torch.nan)

    def _time_features(self, most: int) -> torch.Tensor | None:
        """Calendar features `[1, T, F]` of the common steps, where the model takes them."""
        if not self.forecaster.processor.time_features:
            return None
        return common_features(self.panel, self.last[0], self._span(most), 0)[None]

    def _cut_features(self, features: torch.Tensor | None, chunk: np.ndarray, most: int) -> dict[str, torch.Tensor]:
        if features is None:
            return {}
        cut = torch.cat([self._cut(features, window, most) for window in chunk])
        context = self.lengths[0]
        return {"past_time_features": cut[:, :context], "future_time_features": cut[:, context:]}


def _chunks(windows: int, at_once: int) -> Iterator[np.ndarray]:
    """Windows by how many follow them, the earliest first, some at a time."""
    for first in range(windows, 0, -at_once):
        yield np.arange(first - 1, max(first - at_once, 0) - 1, -1)
