"""Plots for people, one file each. Each is a figure from numbers; matplotlib is imported here and nowhere else."""

from .accuracy import accuracy_figure
from .forecast import forecast_figure
from .losses import loss_figure
from .multi_period import multi_period_figure
from .multi_scale import multi_scale_figure
from .sample import ForecastSample, sample_forecasts
from .style import save_figure


__all__ = [
    "ForecastSample",
    "accuracy_figure",
    "forecast_figure",
    "loss_figure",
    "multi_period_figure",
    "multi_scale_figure",
    "sample_forecasts",
    "save_figure",
]
