"""Accuracy against latency and size, of the models of one run or of many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..evaluation.report import TITLES, measured_on
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


@dataclass(frozen=True)
class Point:
    """One model of one run.

    Args:
        role: as under `models` in `results.json`.
        milliseconds: of a batch of 32 windows.
        spread: their quartiles, where results have them.
    """

    role: str
    mse: float
    milliseconds: float
    parameters: int
    spread: tuple[float, float] | None = None


def points_of(results: dict) -> list[Point]:
    """All models of a `results.json`."""
    return [
        Point(role, score["mse"], score["milliseconds"], score["parameters"], _spread(score))
        for role, score in results["models"].items()
    ]


def _spread(score: dict) -> tuple[float, float] | None:
    return (score["latency"]["32"]["low"], score["latency"]["32"]["high"]) if "latency" in score else None


def bubble_area(parameters: int) -> float:
    """Area of a bubble in square points: tenfold for ten thousand times the parameters, so that all can be seen."""
    return 10 * parameters**0.25


def accuracy_figure(runs: Sequence[dict], title: str = "") -> Figure:
    """Test MSE over milliseconds, a panel for each data set and horizon, a mark a model, a bubble for its parameters.

    A line through a mark is the middle half of its times.

    Args:
        runs: the contents of `results.json`, several seeds of one cell among them or not.
    """
    panels: dict[str, list[dict]] = {}
    for results in runs:
        settings = results["settings"]
        name = f"{results['data']['name']}, {settings['context_length']} to {settings['prediction_length']} steps"
        panels.setdefault(name, []).append(results)
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = new_figure(max(7.5, 4.4 * columns), 1.6 + 3.5 * rows)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    styles = _styles([point.role for results in runs for point in points_of(results)])
    for axis, (name, cell) in zip(axes, panels.items()):
        _panel(axis, [point for results in cell for point in points_of(results)], styles)
        axis.set_title(name, loc="left", fontsize=10)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    machines = sorted({measured_on(run) for run in runs})
    for place in range(len(panels)):
        if place % columns == 0:
            axes[place].set_ylabel("test MSE, standardised")
        if place + columns >= len(panels):
            axes[place].set_xlabel(f"milliseconds for 32 windows\n({'; '.join(machines)})")
            axes[place].tick_params(labelbottom=True)
    if title:
        figure.suptitle(title, fontsize=11)
    sizes = {point.role: point.parameters for results in runs for point in points_of(results)}
    _legend(figure, styles, sizes if len(panels) == 1 else {})
    return figure


def _styles(roles: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each role, in the order of the results table."""
    singles = sorted({role for role in roles if role not in _ROLES})
    known = {role: style for role, style in _ROLES.items() if role in roles}
    others = {role: _SINGLE_TEACHERS[number % len(_SINGLE_TEACHERS)] for number, role in enumerate(singles)}
    return known | others


def _panel(axis: Axes, points: Sequence[Point], styles: dict[str, tuple[str, str]]) -> None:
    highest = max((point.mse for point in points if point.role != "seasonal_naive"), default=math.inf)
    far = []
    for point in points:
        color, marker = styles[point.role]
        if point.role == "seasonal_naive" and point.mse > _FAR * highest:
            far.append(point.mse)
            continue
        if point.parameters:
            axis.scatter(
                [point.milliseconds], [point.mse], s=bubble_area(point.parameters), facecolor=color, alpha=0.18,
                edgecolor="none",
            )  # fmt: skip
        if point.spread:
            axis.hlines(point.mse, *point.spread, color=color, linewidth=1.2)
        axis.plot(
            [point.milliseconds], [point.mse], linestyle="none", marker=marker, color=color, markersize=6,
            markeredgecolor=color if marker == "x" else "black", markeredgewidth=1.6 if marker == "x" else 0.5,
            label=point.role,
        )  # fmt: skip
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(x=0.2, y=0.25)
    tidy((axis,), grid="both")
    if far:
        text = f"above: seasonal naive, {sum(far) / len(far):.3f}"
        axis.text(0.99, 0.98, text, transform=axis.transAxes, fontsize=9, ha="right", va="top")


def _legend(figure: Figure, styles: dict[str, tuple[str, str]], sizes: dict[str, int]) -> None:
    """Marks by role, of one cell with the parameters, and bubbles of known sizes."""
    marks = [
        Line2D(
            [], [], linestyle="none", marker=marker, color=color, markersize=6,
            markeredgecolor=color if marker == "x" else "black", markeredgewidth=1.6 if marker == "x" else 0.5,
            label=_label(role, sizes),
        )
        for role, (color, marker) in styles.items()
    ]  # fmt: skip
    bubbles = [
        Line2D(
            [], [], linestyle="none", marker="o", color="0.7", markeredgecolor="none",
            markersize=math.sqrt(bubble_area(size)), label=f"{size:,} parameters",
        )
        for size in _SHOWN_SIZES
    ]  # fmt: skip
    rows = -(-len(marks) // 2)
    bubbles += [Line2D([], [], linestyle="none", label=" ")] * (rows - len(bubbles))
    marks += [Line2D([], [], linestyle="none", label=" ")] * (max(rows, len(bubbles)) * 2 - len(marks))
    figure.legend(
        handles=marks + bubbles, loc="outside lower center", ncols=3, frameon=False, fontsize=9, handletextpad=1.2,
        labelspacing=0.9,
    )  # fmt: skip


def _label(role: str, sizes: dict[str, int]) -> str:
    title = TITLES.get(role, role.replace("_", " ", 1))
    return f"{title}: {sizes[role]:,}" if sizes.get(role) else title
