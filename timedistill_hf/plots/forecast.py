"""A forecast against the truth and the teacher's, and below how far each is off."""

import numpy as np
from matplotlib.figure import Figure

from .sample import ForecastSample
from .style import STYLES, new_figure, tidy, time_unit


def forecast_figure(sample: ForecastSample) -> Figure:
    """The window and channel that are shown alone, in the data's units, from twice the horizon before it."""
    truth = sample.shown["truth"]
    history = sample.shown["past"][-2 * len(truth) :]
    unit, per_step = time_unit(sample.freq)
    before = np.arange(1 - len(history), 1) * per_step
    ahead = np.arange(1, len(truth) + 1) * per_step
    figure = new_figure(9, 5.5)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot(before, history, color="0.6", linewidth=1.2, label="history")
    upper.plot(ahead, truth, label="truth", **STYLES["truth"])
    for name in sample.forecasts:
        error = np.abs(sample.shown[name] - truth)
        style = STYLES[name] | {"markevery": max(1, len(truth) // 24)}
        mean = np.nanmean(error) if np.isfinite(error).any() else np.nan
        upper.plot(ahead, sample.shown[name], label=f"{name}, mean absolute error {mean:.3g}", **style)
        lower.plot(ahead, error, **style)
    for axis in (upper, lower):
        axis.axvline(per_step / 2, color="0.75", linewidth=1)
    tidy((upper, lower))
    upper.set_ylabel(f"{sample.column}, in its own units")
    upper.set_title(sample.title, loc="left", fontsize=11)
    upper.legend(frameon=False, ncols=2, loc="upper left", fontsize=9)
    upper.margins(y=0.22)
    lower.set_ylabel("absolute error")
    lower.set_ylim(bottom=0)
    lower.set_xlabel(f"{unit} after the last known value")
    return figure
