"""What was handed to matplotlib."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def line(axis: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the one line whose label begins like that."""
    (found,) = [each for each in axis.lines if str(each.get_label()).startswith(label)]
    return np.asarray(found.get_xdata(), dtype=float), np.asarray(found.get_ydata(), dtype=float)


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of titles, axis labels, tick labels and legend entries that lie on one another when drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = list(figure.texts)
    texts += [figure._suptitle] if figure._suptitle else []
    for axis in figure.axes:
        if not axis.axison:
            continue
        texts += [axis.title, axis._left_title, axis.xaxis.label, axis.yaxis.label, *axis.texts]
        for ticks, limits in ((axis.xaxis, axis.get_xlim()), (axis.yaxis, axis.get_ylim())):
            inside = [tick for tick in ticks.get_major_ticks() if min(limits) <= tick.get_loc() <= max(limits)]
            texts += [tick.label1 for tick in inside]
        texts += axis.get_legend().get_texts() if axis.get_legend() else []
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    shown = [text for text in texts if text.get_visible() and text.get_text().strip()]
    boxes = [(text, text.get_window_extent(renderer)) for text in shown]
    return [
        (first.get_text(), second.get_text())
        for index, (first, box) in enumerate(boxes)
        for second, other in boxes[index + 1 :]
        if box.x0 + 1 < other.x1 and other.x0 + 1 < box.x1 and box.y0 + 1 < other.y1 and other.y0 + 1 < box.y1
        and first is not second
    ]  # fmt: skip
