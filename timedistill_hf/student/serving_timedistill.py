"""Forecasts in the data's units, of any number of series, in memory that does not grow with their number."""

from collections.abc import Callable
from itertools import chain

import torch
from torch import nn


MAX_CELLS = 2**22  # of windows that are in the model at once
MAX_DEVIATIONS = 1e15  # from the mean of training: errors beyond cannot be squared and summed in float32
ROUNDING = 1e-14  # of the level: what varies by less is float64's rounding

_TOO_FAR = (
    f"holds a value more than {MAX_DEVIATIONS:.0e} deviations from the mean of training: correct it, or leave it "
    "empty if it means missing"
)
_NOT_FINITE = "has a forecast that is not finite: the model's weights must be finite numbers"


class UnusableWindow(ValueError):
    """A window that has no forecast in numbers.

    Args:
        window, channel: which, counted from 0.
        reason: what it holds, and the remedy.
    """

    def __init__(self, window: int, channel: int, reason: str):
        super().__init__(f"channel {channel} of window {window} {reason}")
        self.window = window
        self.channel = channel
        self.reason = reason


def is_channel_free(config) -> bool:
    """Whether a model is a student that forecasts any series, each on its own."""
    return config.model_type == "timedistill" and not config.is_channel_bound


def device_of(model: nn.Module) -> torch.device:
    """Where it computes; the CPU where it holds nothing."""
    return next((tensor.device for tensor in chain(model.parameters(), model.buffers())), torch.device("cpu"))


def means_missing(values, code: float):
    """Where an array or a tensor holds a code for missing, as float64 or as float32 writes it."""
    return (values == code) | (values == torch.tensor(code, dtype=torch.float32).item())


def mean_and_deviation(values: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and population deviation of the known values along a dimension, which stays as one of length 1; float64.

    The deviation of a constant is 0, also where rounding makes it vary; without a known value both are NaN.
    """
    values = values.double()
    mean = values.nanmean(dim=dim, keepdim=True)
    centred = values - mean
    # squares of what is very small or very large would leave float64
    largest = centred.abs().nan_to_num(nan=0.0).amax(dim=dim, keepdim=True)
    deviation = largest * (centred / largest).square().nanmean(dim=dim, keepdim=True).sqrt()
    return mean, torch.where(largest <= ROUNDING * mean.abs(), 0.0, deviation)


def trained_scaler(settings: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of each channel of training, float64 `[C + 1]`.

    NaN, for which a window's own are taken, where the channel was constant then, and at the end, for unknown ones.
    """
    constant = set(settings.get("constant_columns") or ())
    known = [name not in constant for name in settings.get("columns", [])] + [False]
    both = (torch.tensor([*settings.get(name, []), torch.nan], dtype=torch.float64) for name in ("mean", "std"))
    return tuple(torch.where(torch.tensor(known), value, torch.nan) for value in both)


@torch.no_grad()
def forecast_in_units(
    model,
    past: torch.Tensor,
    mean: torch.Tensor,
    std: torch.Tensor,
    *,
    batch_size: int | None = None,
    run: Callable = lambda model, inputs: model(**inputs),
    **features: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forecast windows in the data's units. All that is large is done in float64; the model sees what is left.

    Args:
        model: in evaluation mode; takes `past_values` and `past_observed_mask`, gives `prediction_outputs`. A fused
            student is quicker than the student itself.
        past: float64 `[B, L, C]`, NaN where missing.
        mean, std: float64, broadcast to `[B, 1, C]`: what windows are standardised with; NaN for a series whose own
            window gives them. One that is constant is forecast to stay so.
        batch_size: windows in the model at once; as many as make four million values where `None`.
        run: gives the model its inputs.
        features: further model input `[B, ...]`.

    Returns:
        The forecast `[B, S, C]`, NaN for a series without a known value, and the deviation `[B, 1, C]` that its window
        was divided by (1 if constant), both float64.

    Raises:
        UnusableWindow: a value lies too far from the mean of training, or the forecast is not finite.
    """
    device = device_of(model)
    batch_size = batch_size or max(1, MAX_CELLS // (past.shape[1] * past.shape[2]))
    forecasts, scales = [], []
    for start in range(0, len(past), batch_size):
        part = slice(start, start + batch_size)
        window = past[part]
        is_whole = is_finite(window)
        observed = None if is_whole else ~torch.isnan(window)
        loc, scale = _scaler_of(window, *(_of_windows(value, part, window) for value in (mean, std)))
        divisor = torch.where(scale > 0, scale, 1.0)
        standardized = (window - loc).div_(divisor)
        if not is_whole or max(map(abs, torch.aminmax(standardized))) > MAX_DEVIATIONS:
            _check(standardized.abs() > MAX_DEVIATIONS, start, _TOO_FAR)
        level = torch.zeros_like(loc)
        if getattr(model, "follows_level", False):
            average = torch.mean if is_whole else torch.nanmean
            level = average(standardized, dim=1, keepdim=True).nan_to_num_(nan=0.0)
            standardized.sub_(level)
        inputs = {"past_values": (standardized if is_whole else standardized.nan_to_num_(nan=0.0)).float()}
        if not is_whole:
            inputs["past_observed_mask"] = observed
        inputs |= {name: value[part] for name, value in features.items()}
        outputs = run(model, {name: value.to(device) for name, value in inputs.items()}).prediction_outputs
        forecast = (outputs.double().cpu() + level).mul_(scale).add_(loc)
        is_known = None if is_whole else observed.any(dim=1, keepdim=True)
        if not is_finite(forecast):
            _check(~forecast.isfinite() if is_whole else is_known & ~forecast.isfinite(), start, _NOT_FINITE)
        forecasts.append(forecast if is_whole else torch.where(is_known, forecast, torch.nan))
        scales.append(divisor)
    return torch.cat(forecasts), torch.cat(scales)


def is_finite(values: torch.Tensor) -> bool:
    """Whether all are known to be finite, in one pass; false, too, where their sum is none."""
    return bool(values.sum().isfinite())


def _scaler_of(window: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation `[B, 1, C]` of each window, its own where they are NaN; 0 of one without a known value."""
    is_own = torch.isnan(scale)
    if not is_own.any():
        return loc, scale
    own = (value.nan_to_num(nan=0.0) for value in mean_and_deviation(window, 1))
    return tuple(torch.where(is_own, value, given) for value, given in zip(own, (loc, scale)))


def _check(is_wrong: torch.Tensor, start: int, reason: str) -> None:
    if is_wrong.any():
        window, _, channel = is_wrong.nonzero()[0].tolist()
        raise UnusableWindow(start + window, channel, reason)


def _of_windows(value: torch.Tensor, part: slice, window: torch.Tensor) -> torch.Tensor:
    value = value[part] if value.shape[0] > 1 else value
    return value.expand(len(window), 1, window.shape[2])
