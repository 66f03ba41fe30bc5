"""The multi-scale term made visible: truth, teacher and student on the series and its coarser and coarser averages."""

import numpy as np
from matplotlib.figure import Figure

from .sample import ForecastSample
from .style import STYLES, legend_below, new_figure, tidy, time_unit


def pooled(values: np.ndarray, size: int) -> np.ndarray:
    """Means of `size` steps at a time along the first axis; what fills no whole one at the end is left out."""
    whole = len(values) // size * size
    return values[:whole].reshape(-1, size, *values.shape[1:]).mean(axis=1)


def multi_scale_figure(sample: ForecastSample, num_scales: int = 3, kind: str = "mse") -> Figure:
    """One panel a scale, pooled by 1, 2, 4, ...: the window and channel that are shown alone, in the data's units.

    Where there is a teacher each panel says how far the student is from it there, on standardised values over all
    sampled windows and channels: what the multi-scale term is the mean of.

    Args:
        num_scales: M of the objective.
        kind: `"mse"` or `"mae"`, the objective's `teacher_loss`.
    """
    unit, per_step = time_unit(sample.freq)
    length = sample.truth.shape[1]
    num_scales = min(num_scales, length.bit_length() - 1)
    distances = scale_distances(sample, num_scales, kind) if "teacher" in sample.forecasts else []
    rows = -(-(num_scales + 1) // 2)
    figure = new_figure(9, 1.4 + 2.5 * rows)
    axes = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).ravel()
    for scale, axis in enumerate(axes[: num_scales + 1]):
        size = 2**scale
        centres = (np.arange(length // size) * size + (size + 1) / 2) * per_step
        for name in ("truth", *sample.forecasts):
            style = STYLES[name] | {"marker": "" if name == "truth" else "s" if name == "teacher" else "o"}
            style |= {"markersize": 3.5, "markevery": max(1, len(centres) // 24)}
            axis.plot(centres, pooled(sample.shown[name], size), label=name, **style)
        distance = f", {kind.upper()} to the teacher {distances[scale]:.3g}" if distances else ""
        axis.set_title(f"{_pooling(size)}{distance}", loc="left", fontsize=10)
    for axis in axes[num_scales + 1 :]:
        axis.set_axis_off()
    tidy(axes)
    over = f"{len(sample.truth)} test windows and {sample.truth.shape[2]} channels"
    about = f"\ndistances to the teacher on standardised values, over {over}" if distances else ""
    figure.suptitle(f"{sample.title}: the scales of the multi-scale term{about}", fontsize=11)
    for axis in axes[-2:]:
        axis.set_xlabel(f"{unit} after the last known value")
    figure.supylabel(f"{sample.column}, in its own units", fontsize=10)
    legend_below(figure, axes[:1], 3)
    return figure


def scale_distances(sample: ForecastSample, num_scales: int, kind: str = "mse") -> list[float]:
    """Mean error between student and teacher at each scale, standardised, over all sampled windows and channels."""
    student, teacher = (sample.forecasts[name].movedim(1, 0).numpy() for name in ("student", "teacher"))
    size_of = np.abs if kind == "mae" else np.square
    return [float(size_of(pooled(student - teacher, 2**scale)).mean()) for scale in range(num_scales + 1)]


def _pooling(size: int) -> str:
    return "every step" if size == 1 else f"means of {size} steps"
