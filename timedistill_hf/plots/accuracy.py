"""Accuracy against latency and size, of the models of one run or of many."""

import math
from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..evaluation.results import Results, Score
from ..evaluation.results import title as title_of
from .style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, new_figure, tidy


_ROLES = {
    "student": (BLUE, "o"),
    "student_no_kd": (SKY, "v"),
    "teacher": (VERMILION, "s"),
    "linear": (GREEN, "D"),
    "seasonal_naive": (BLACK, "x"),
}
_SINGLE_TEACHERS = ((ORANGE, "^"), (PURPLE, "P"), ("0.4", "*"), (BLACK, "<"))
_SHOWN_SIZES = (1_000, 100_000, 10_000_000)
_FAR = 1.25  # a naive error beyond this times the largest other one is written, not drawn


def bubble_area(parameters: int) -> float:
    """Area of a bubble in square points: tenfold for ten thousand times the parameters, so that all can be seen."""
    return 10 * parameters**0.25


def accuracy_figure(results: Sequence[Results | Mapping], title: str = "") -> Figure:
    """Test MSE over milliseconds, a panel for each data set and horizon, a mark a model, a bubble for its parameters.

    A line through a mark is the middle half of its times.

    Args:
        results: several seeds of one cell among them or not; the contents of `results.json` do too.
    """
    runs = [Results.from_dict(each) for each in results]
    panels: dict[str, list[tuple[str, Score]]] = {}
    for run in runs:
        lengths = f"{run.settings['context_length']} to {run.settings['prediction_length']}"
        panels.setdefault(f"{run.data.name}, {lengths} steps", []).extend(run.models.items())
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = new_figure(max(7.5, 4.4 * columns), 1.6 + 3.5 * rows)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    sizes = {role: score.parameters for run in runs for role, score in run.models.items()}
    styles = _styles(sizes)
    measured_on = "; ".join(sorted({run.measured_on for run in runs}))
    for place, (axis, (name, points)) in enumerate(zip(axes, panels.items())):
        _panel(axis, points, styles)
        axis.set_title(name, loc="left", fontsize=10)
        if place % columns == 0:
            axis.set_ylabel("test MSE, standardised")
        if place + columns >= len(panels):
            axis.set_xlabel(f"milliseconds for 32 windows\n({measured_on})")
            axis.tick_params(labelbottom=True)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=11)
    _legend(figure, styles, sizes if len(panels) == 1 else {})
    return figure


def _styles(roles: Collection[str]) -> dict[str, dict]:
    """How each role is marked, in the order of the results table."""
    singles = sorted(role for role in roles if role not in _ROLES)
    found = {role: style for role, style in _ROLES.items() if role in roles}
    found |= {role: _SINGLE_TEACHERS[number % len(_SINGLE_TEACHERS)] for number, role in enumerate(singles)}
    return {role: _mark(color, marker) for role, (color, marker) in found.items()}


def _mark(color: str, marker: str) -> dict:
    is_cross = marker == "x"
    return {
        "linestyle": "none", "marker": marker, "color": color, "markersize": 6,
        "markeredgecolor": color if is_cross else "black", "markeredgewidth": 1.6 if is_cross else 0.5,
    }  # fmt: skip


def _panel(axis: Axes, points: Sequence[tuple[str, Score]], styles: Mapping[str, dict]) -> None:
    highest = max((score.mse for role, score in points if role != "seasonal_naive"), default=math.inf)
    far = []
    for role, score in points:
        mark, place = styles[role], ([score.milliseconds], [score.mse])
        if role == "seasonal_naive" and score.mse > _FAR * highest:
            far.append(score.mse)
            continue
        if score.parameters:
            area = bubble_area(score.parameters)
            axis.scatter(*place, s=area, facecolor=mark["color"], alpha=0.18, edgecolor="none")
        if score.latency:
            spread = score.latency["32"]
            axis.hlines(score.mse, spread.low, spread.high, color=mark["color"], linewidth=1.2)
        axis.plot(*place, label=role, **mark)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(x=0.2, y=0.25)
    tidy((axis,), grid="both")
    if far:
        text = f"above: seasonal naive, {sum(far) / len(far):.3f}"
        axis.text(0.99, 0.98, text, transform=axis.transAxes, fontsize=9, ha="right", va="top")


def _legend(figure: Figure, styles: Mapping[str, dict], sizes: Mapping[str, int]) -> None:
    """Marks by role, of one cell with the parameters, and bubbles of known sizes."""
    marks = [
        Line2D([], [], label=f"{title_of(role)}: {sizes[role]:,}" if sizes.get(role) else title_of(role), **mark)
        for role, mark in styles.items()
    ]
    bubbles = [
        Line2D(
            [], [], linestyle="none", marker="o", color="0.7", markeredgecolor="none",
            markersize=math.sqrt(bubble_area(size)), label=f"{size:,} parameters",
        )
        for size in _SHOWN_SIZES
    ]  # fmt: skip
    rows = -(-len(marks) // 2)
    blank = Line2D([], [], linestyle="none", label=" ")
    bubbles += [blank] * (rows - len(bubbles))
    marks += [blank] * (max(rows, len(bubbles)) * 2 - len(marks))
    figure.legend(
        handles=marks + bubbles, loc="outside lower center", ncols=3, frameon=False, fontsize=9, handletextpad=1.2,
        labelspacing=0.9,
    )  # fmt: skip
