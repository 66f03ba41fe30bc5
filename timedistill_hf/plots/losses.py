"""The terms of the objective over time, and the validation error, from a trainer's log."""

from collections.abc import Mapping, Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, legend_below, new_figure, tidy


_TERMS = {
    "loss": ("what is minimised", BLACK, "-", "o"),
    "loss_supervised": ("supervised", BLUE, "--", "s"),
    "loss_prediction_scale": ("forecast, multi-scale", VERMILION, "-.", "^"),
    "loss_prediction_period": ("forecast, multi-period", ORANGE, ":", "v"),
    "loss_feature_scale": ("feature, multi-scale", GREEN, (0, (5, 1, 1, 1)), "D"),
    "loss_feature_period": ("feature, multi-period", PURPLE, (0, (1, 2)), "P"),
}
_VALIDATION = {"eval_mse": ("validation MSE", SKY, "-", "o"), "eval_mae": ("validation MAE", "0.45", "--", "s")}
_MAX_COLUMNS = 3
_TITLE_WIDTH = 42
_SMALLEST_SHOWN = 1e-4


def curves(log_history: Sequence[Mapping]) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of each logged loss and validation error, by its name in the log."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for entry in log_history:
        if "step" not in entry:  # a ridge, which 0.1.0 logged
            continue
        for name in (*_TERMS, *_VALIDATION):
            if entry.get(name) is not None:
                steps, values = found.setdefault(name, ([], []))
                steps.append(entry["step"])
                values.append(entry[name])
    return found


def loss_figure(histories: Mapping[str, Sequence[Mapping]]) -> Figure | None:
    """A column for each training that logged losses, three at most: its terms above, its validation errors below.

    The terms are as logged, before their weights; the axis is logarithmic, and what is 0 is left out.

    Args:
        histories: a trainer's `state.log_history` by the title of its column.

    Returns:
        `None` where no training logged two losses or more.
    """
    found = {name: curves(history) for name, history in histories.items()}
    found = {name: lines for name, lines in found.items() if len(lines.get("loss", ((), ()))[0]) > 1}
    if not found:
        return None
    # those with the teacher's terms first: they are what the plot is for
    names = sorted(found, key=lambda name: "loss_prediction_scale" not in found[name])[:_MAX_COLUMNS]
    figure = new_figure(max(7.5, 4.6 * len(names)), 6.5)
    axes = figure.subplots(2, len(names), squeeze=False, sharex="col", height_ratios=(3, 2))
    for name, (upper, lower) in zip(names, axes.T, strict=True):
        _draw(upper, found[name], _TERMS)
        _scale(upper)
        upper.set_title(fill(name.replace(":", ", "), _TITLE_WIDTH), loc="left", fontsize=10)
        _draw(lower, found[name], _VALIDATION)
        _mark_best(lower, found[name])
        lower.set_xlabel("training steps")
        tidy((upper, lower))
    axes[0, 0].set_ylabel("training loss, terms unweighted")
    axes[1, 0].set_ylabel("standardised error")
    most_terms = max(range(len(names)), key=lambda column: len(axes[0, column].lines))
    legend_below(figure, (axes[0, most_terms], axes[1, most_terms]), 3)
    return figure


def _draw(axis: Axes, lines: dict, names: dict) -> None:
    for name, (label, color, linestyle, marker) in names.items():
        points = [(step, value) for step, value in zip(*lines.get(name, ((), ())), strict=True) if value > 0]
        if points:
            steps, values = zip(*points, strict=True)
            axis.plot(
                steps, values, label=label, color=color, linestyle=linestyle, marker=marker, markersize=4,
                linewidth=1.5, markevery=max(1, len(steps) // 12),
            )  # fmt: skip


def _scale(axis: Axes) -> None:
    """Logarithmic, over four decades at most: what a term that has died down does below them tells nothing."""
    values = [value for line in axis.lines for value in line.get_ydata()]
    highest = max(values)
    lowest = max(min(values), highest * _SMALLEST_SHOWN)
    axis.set_yscale("log")
    axis.set_ylim(lowest / 1.3, highest * 1.3)
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if highest < 100 * lowest else (1,)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _mark_best(axis: Axes, lines: dict) -> None:
    """A ring where the validation MSE was lowest, and what it was."""
    if "eval_mse" in lines:
        steps, values = lines["eval_mse"]
        best = min(range(len(values)), key=values.__getitem__)
        axis.plot(
            [steps[best]], [values[best]], linestyle="none", marker="o", markersize=11, markerfacecolor="none",
            color=BLACK, label="lowest validation MSE",
        )  # fmt: skip
        axis.set_title(f"lowest MSE {values[best]:.4f}, step {steps[best]:,}", loc="left", fontsize=10)
