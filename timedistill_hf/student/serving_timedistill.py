"""Forecasts in the data's units, of any number of series, in memory that does not grow with their number."""

from itertools import chain

import torch
from torch import nn


MOST_CELLS = 2**22  # of windows that are in the model at once


def is_channel_free(config) -> bool:
    """Whether a model is a student that forecasts any series, each on its own."""
    return config.model_type == "timedistill" and not config.is_channel_bound


def device_of(model: nn.Module) -> torch.device:
    """Where it computes."""
    return next(chain(model.parameters(), model.buffers())).device


def window_scale(past: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and population deviation of the known values of each window, float64 `[B, 1, C]`.

    A constant window is divided by 1, one without a value has the mean 0.
    """
    mean = past.nanmean(dim=1, keepdim=True).nan_to_num(nan=0.0)
    std = (past - mean).square().nanmean(dim=1, keepdim=True).sqrt().nan_to_num(nan=0.0)
    return mean, torch.where(std <= 1e-7 * mean.abs(), 1.0, std)


@torch.no_grad()
def forecast_in_units(
    model,
    past: torch.Tensor,
    mean: torch.Tensor,
    std: torch.Tensor,
    *,
    batch_size: int | None = None,
    **features: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forecast windows in the data's units.

    Args:
        model: in evaluation mode; takes `past_values` and `past_observed_mask`, gives `prediction_outputs`. A fused
            student is quicker than the student itself.
        past: float64 `[B, L, C]`, NaN where missing.
        mean, std: float64, broadcast to `[B, 1, C]`: what windows are standardised with; NaN for a series whose own
            window gives them ([`window_scale`]).
        batch_size: windows in the model at once; as many as make four million values where `None`.
        features: further model input `[B, ...]`.

    Returns:
        The forecast `[B, S, C]`, NaN for a series without a known value, and the deviation `[B, 1, C]` that its window
        was divided by, both float64.
    """
    device = device_of(model)
    batch_size = batch_size or max(1, MOST_CELLS // (past.shape[1] * past.shape[2]))
    forecasts, scales = [], []
    for start in range(0, len(past), batch_size):
        part = slice(start, start + batch_size)
        window = past[part]
        loc, scale = (_of_windows(value, part, window) for value in (mean, std))
        unknown = torch.isnan(scale)
        if unknown.any():
            own_loc, own_scale = window_scale(window)
            loc, scale = torch.where(unknown, own_loc, loc), torch.where(unknown, own_scale, scale)
        observed = ~torch.isnan(window)
        inputs = {"past_values": ((window - loc) / scale).nan_to_num(nan=0.0).float()}
        if not observed.all():
            inputs["past_observed_mask"] = observed
        inputs |= {name: value[part] for name, value in features.items()}
        outputs = model(**{name: value.to(device) for name, value in inputs.items()})
        forecast = outputs.prediction_outputs.double().cpu() * scale + loc
        forecasts.append(torch.where(observed.any(dim=1, keepdim=True), forecast, torch.nan))
        scales.append(scale)
    return torch.cat(forecasts), torch.cat(scales)


def _of_windows(value: torch.Tensor, part: slice, window: torch.Tensor) -> torch.Tensor:
    value = value[part] if value.shape[0] > 1 else value
    return value.expand(len(window), 1, window.shape[2])
