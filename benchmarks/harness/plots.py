"""The report's plots. Markers, fills and labels tell things apart without colour."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timedistill_hf.plots.style import new_figure, save_figure

from .summary import TOLERANCE


_CONTROLS = {
    "student_no_kd": {"marker": "o", "color": "#0072B2", "label": "against no distillation", "offset": 0.16},
    "linear": {
        "marker": "s", "color": "#D55E00", "label": "against one linear layer", "offset": -0.16,
        "markerfacecolor": "white",
    },
}  # fmt: skip


def plot_relative_errors(cells: list[dict], folder: Path) -> dict[str, str]:
    """For each recipe and set of teachers: the student's test MSE relative to its controls, by data set and horizon.

    Args:
        cells: of the summary.

    Returns:
        file names in `folder` (PNG) by title.
    """
    kinds = dict.fromkeys((cell["variant"], cell["teachers"]) for cell in cells if cell["is_base"] and cell["against"])
    written = {}
    for variant, teachers in kinds:
        own = [cell for cell in cells if (cell["variant"], cell["teachers"]) == (variant, teachers)]
        title = f"Student against its controls: {variant}, taught by {teachers}"
        name = f"relative_error-{variant}-{teachers}.png"
        _relative_error(own, title, folder / name)
        written[title] = name
    return written


def plot_ablations(ablations: list[dict], folder: Path) -> dict[str, str]:
    """For each base: what every variant changes, a mark a cell and the mean; file names in `folder` by title."""
    written = {}
    for base in dict.fromkeys(row["base"] for row in ablations):
        title = f"Variants against {base}"
        name = f"ablation-{base}.png"
        _ablation([row for row in ablations if row["base"] == base], title, folder / name)
        written[title] = name
    return written


def _relative_error(cells: list[dict], title: str, path: Path) -> None:
    figure, axis = _figure(len(cells), 0.36)
    labels = [f"{cell['dataset']}, {cell['prediction_length']}" for cell in cells]
    axis.axvspan(-TOLERANCE, TOLERANCE, color="0.93", zorder=0, label=f"within {TOLERANCE} %")
    for role, style in _CONTROLS.items():
        style = dict(style)
        offset = style.pop("offset")
        rows = [(place, cell["against"][role]) for place, cell in enumerate(cells) if role in cell["against"]]
        if rows:
            _marks(axis, [(place - offset, values) for place, values in rows], **style)
    for place in range(1, len(cells)):
        if cells[place]["dataset"] != cells[place - 1]["dataset"]:
            axis.axhline(place - 0.5, color="0.8", linewidth=0.8)
    axis.set_yticks(range(len(cells)), labels)
    _finish(figure, axis, len(cells), title, "student's test MSE against the control's, % (left of 0: better)", path)


def _ablation(rows: list[dict], title: str, path: Path) -> None:
    figure, axis = _figure(len(rows), 0.5)
    marks = [(place, {"mean": row["change"], **row["over_cells"]}) for place, row in enumerate(rows)]
    for place, row in enumerate(rows):
        changes = list(row["change_by_cell"].values())
        label = "one cell" if place == 0 else None
        axis.plot(changes, [place] * len(changes), "|", color="0.35", markersize=11, markeredgewidth=1.2, label=label)
    _marks(axis, marks, marker="D", color="#0072B2", label="mean and range over cells")
    axis.set_yticks(range(len(rows)), [f"{row['variant']} ({row['cells']})" for row in rows])
    _finish(
        figure, axis, len(rows), title, "change of the student's test MSE, % (right of 0: the base is better)", path
    )


def _marks(axis: Axes, rows: list[tuple[float, dict]], **style) -> None:
    """A mark at each mean with whiskers to the lowest and highest."""
    means = [values["mean"] for _, values in rows]
    whiskers = [
        [max(values["mean"] - values["min"], 0) for _, values in rows],
        [max(values["max"] - values["mean"], 0) for _, values in rows],
    ]
    axis.errorbar(
        means, [place for place, _ in rows], xerr=whiskers, linestyle="none", markersize=6, elinewidth=1.2, capsize=2,
        **style,
    )  # fmt: skip


def _figure(rows: int, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(8.5, 1.6 + height * rows)
    return figure, figure.subplots()


def _finish(figure: Figure, axis: Axes, rows: int, title: str, label: str, path: Path) -> None:
    axis.axvline(0, color="black", linewidth=1)
    axis.set_ylim(rows - 0.4, -0.6)  # the first row on top
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel(label)
    axis.set_title(title, loc="left", fontsize=11)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    save_figure(figure, path)
