"""The multi-period term made visible: how truth, teacher and student spread their energy over periods."""

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ..objective.multi_period import period_log_distribution
from .sample import ForecastSample
from .style import STYLES, legend_below, new_figure, tidy, time_unit


_MARKERS = {"truth": "x", "teacher": "s", "student": "o"}


def multi_period_figure(sample: ForecastSample, temperature: float = 0.5) -> Figure:
    """Amplitudes of the horizon's rFFT, and below them the period distributions softmax(amplitude / temperature).

    Both are means over all sampled windows and channels, on standardised values, over periods from the whole horizon
    down to two steps; where there is a teacher the lower panel says how far the student's distribution is from its.

    Args:
        temperature: tau of the objective.
    """
    unit, per_step = time_unit(sample.freq)
    spectra = mean_spectra(sample, temperature)
    length = sample.truth.shape[1]
    periods = [length / cycle * per_step for cycle in range(1, length // 2 + 1)]
    figure = new_figure(9, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for name, (amplitudes, distribution) in spectra.items():
        style = STYLES[name] | {"marker": _MARKERS[name], "markersize": 4}
        upper.plot(periods, amplitudes, label=name, **style)
        lower.plot(periods, distribution, **style)
    tidy((upper, lower), grid="both")
    _period_axis(lower, length, per_step)
    if 2 <= sample.season <= length:
        for axis in (upper, lower):
            axis.axvline(sample.season * per_step, color="0.6", linestyle=":", label="season of the data")
    upper.set_ylabel("amplitude")
    lower.set_ylabel(f"share, softmax(amplitude / {temperature:g})")
    lower.set_xlabel(f"period, {unit}")
    upper.set_ylim(bottom=0)
    lower.set_ylim(bottom=0)
    upper.set_title(_title(sample, len(sample.truth)), loc="left", fontsize=11)
    if "teacher" in sample.forecasts:
        lower.set_title(
            f"mean divergence KL(teacher || student) of a window and channel: {divergence(sample, temperature):.3g}",
            loc="left",
            fontsize=10,
        )
    legend_below(figure, (upper,), 4)
    return figure


def mean_spectra(sample: ForecastSample, temperature: float) -> dict[str, tuple[list[float], list[float]]]:
    """By name: mean amplitude and mean share of 1, 2, ... cycles in the horizon; a truth with gaps is left out."""
    found = {}
    for name, values in {"truth": sample.truth, **sample.forecasts}.items():
        series = values.movedim(1, -1).flatten(0, 1)
        series = series[series.isfinite().all(dim=-1)]
        if len(series):
            amplitudes = torch.fft.rfft(series, dim=-1)[:, 1:].abs().mean(dim=0)
            shares = period_log_distribution(series, temperature).exp().mean(dim=0)
            found[name] = (amplitudes.tolist(), shares.tolist())
    return found


def divergence(sample: ForecastSample, temperature: float) -> float:
    """KL(teacher || student) between period distributions, mean over all sampled windows and channels."""
    student, teacher = (period_log_distribution(sample.forecasts[n], temperature, 1) for n in ("student", "teacher"))
    return (teacher.exp() * (teacher - student)).sum(dim=-1).mean().item()


def _period_axis(axis: Axes, length: int, per_step: float) -> None:
    """A logarithmic axis with the longest periods on the left, like the frequencies they belong to."""
    axis.set_xscale("log")
    axis.set_xlim(length * per_step * 1.08, 2 * per_step / 1.08)
    doubled = [2**power for power in range((length // 2).bit_length())]
    cycles = [*(cycle for cycle in doubled if 1.3 * cycle < length // 2), length // 2]
    ticks = [length / cycle * per_step for cycle in cycles]
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([f"{tick:.3g}" for tick in ticks])


def _title(sample: ForecastSample, windows: int) -> str:
    name = sample.title.partition(",")[0]
    return f"{name}: periods in the horizon, mean over {windows} test windows and {sample.truth.shape[2]} channels"
