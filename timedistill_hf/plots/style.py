"""What all plots have in common: colours, line styles, paper. No global state of matplotlib is touched.

Colours are Okabe and Ito's, which the colour-blind tell apart; line styles and markers tell things apart in grey.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .._utils.files import staged_file


BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "black", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
)  # fmt: skip

_COLOURS = 128

STYLES = {
    "truth": {"color": BLACK, "linewidth": 1.6, "linestyle": "-"},
    "student": {"color": BLUE, "linewidth": 1.6, "linestyle": "-", "marker": "o", "markersize": 3.5},
    "teacher": {"color": VERMILION, "linewidth": 1.3, "linestyle": "--"},
}

_UNITS = (("days", 86400, 86400), ("hours", 60, 3600), ("minutes", 1, 60))  # name, from so many seconds, one has


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches, which no window shows and nothing need close."""
    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Sequence[Axes], grid: str = "y") -> None:
    """Take away what is no data: two spines; leave a faint grid behind the lines."""
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis=grid, color="0.92")
        axis.set_axisbelow(True)


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int) -> None:
    """The entries of these axes, below all of them, where they hide nothing."""
    entries = [entry for axis in axes for entry in zip(*axis.get_legend_handles_labels(), strict=True)]
    handles, labels = zip(*entries, strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)


def time_unit(freq: str | None) -> tuple[str, float]:
    """The unit of an axis of time and how much of it a step is: `("hours", 0.25)` for `"15min"`.

    Args:
        freq: pandas alias; without one, or where steps differ in length (months), the unit is `"steps"`.
    """
    if freq is None:
        return "steps", 1.0
    gaps = pd.date_range("2021-01-01", periods=14, freq=freq).diff()[1:]
    if gaps.nunique() != 1:
        return "steps", 1.0
    seconds = gaps[0].total_seconds()
    return next(((name, seconds / length) for name, least, length in _UNITS if seconds >= least), ("seconds", seconds))


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write it as PNG, whole or not at all; the same figure gives the same bytes."""
    path, drawn = Path(path), BytesIO()
    figure.savefig(drawn, dpi=130, format="png")
    # a palette is enough for lines and text, and takes a third of the bytes
    image = Image.open(drawn).convert("RGB").quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    with staged_file(path) as stage:
        image.save(stage, format="png")
    return path
