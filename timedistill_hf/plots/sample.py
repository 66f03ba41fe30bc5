"""Some test windows with what models make of them: what the plots of forecasts show."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import default_collate

from ..data.windows import ForecastData, split_targets
from ..models.adapters import run_model


@dataclass(frozen=True)
class ForecastSample:
    """N test windows, standardised, NaN where missing, and one of them and one channel that is shown alone.

    Args:
        past: `[N, L, C]`.
        truth: `[N, S, C]`.
        forecasts: by the model's name, `"student"` and where there is one `"teacher"`: `[N, S, C]` each.
        row, channel: what is shown alone: the middle one of all test windows, and the last channel.
        shown: what is shown alone in the data's units: `past` `[L]`, `truth` and each forecast `[S]`.
        column: that channel's name.
        title: data set and window.
        freq: pandas alias, where known.
        season: steps of one season.
    """

    past: torch.Tensor
    truth: torch.Tensor
    forecasts: dict[str, torch.Tensor]
    row: int
    channel: int
    shown: dict[str, np.ndarray]
    column: str
    title: str
    freq: str | None
    season: int


@torch.no_grad()
def sample_forecasts(
    data: ForecastData, models: Mapping[str, nn.Module], *, device: torch.device | str = "cpu", windows: int = 32
) -> ForecastSample:
    """Run the models over test windows at equal distances, the middle one among them.

    Args:
        data: with calendar features where a model needs them.
        models: by name, on `device`.
        windows: how many, at most.
    """
    middle = len(data.test) // 2
    spaced = np.linspace(0, len(data.test) - 1, min(windows, len(data.test))).round().astype(int)
    numbers = sorted({*spaced.tolist(), middle})
    inputs, targets = split_targets(default_collate([data.test[number] for number in numbers]))
    past = _with_gaps(inputs["past_values"], inputs.get("past_observed_mask"))
    truth = _with_gaps(targets["future_values"], targets.get("future_observed_mask"))
    inputs = {name: value.to(device) for name, value in inputs.items()}
    forecasts = {name: run_model(model, inputs).prediction_outputs.float().cpu() for name, model in models.items()}
    row, channel = numbers.index(middle), data.num_input_channels - 1
    parts = {"past": past, "truth": truth} | forecasts
    return ForecastSample(
        past=past,
        truth=truth,
        forecasts=forecasts,
        row=row,
        channel=channel,
        shown={name: data.processor.unstandardize(part[row])[:, channel].numpy() for name, part in parts.items()},
        column=data.series.columns[channel],
        title=f"{data.series.name}, test window {middle + 1:,} of {len(data.test):,}",
        freq=data.series.freq,
        season=data.series.season,
    )


def _with_gaps(values: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
    """NaN in place of the zeros that stand for what was not observed."""
    return values if observed is None else torch.where(observed.bool(), values, torch.nan)
