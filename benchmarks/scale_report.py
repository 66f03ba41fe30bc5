"""The plot and the figures of `benchmarks/scale.py`, from its results."""

import re
import statistics
from pathlib import Path

import numpy as np
from tabulate import tabulate

from timedistill_hf._utils.files import staged_file
from timedistill_hf.plots.style import BLUE, GREEN, ORANGE, VERMILION, legend_below, new_figure, save_figure, tidy


BEGIN, END = "<!-- figures: python benchmarks/scale.py --report -->", "<!-- end of figures -->"
CURVES = {
    "prepare": ("to windows", ORANGE, "s"),
    "step": ("a training step", BLUE, "o"),
    "evaluate": ("evaluation", GREEN, "^"),
    "forecast": ("a forecast", VERMILION, "D"),
}
GIB = 2**30


def write_report(results: dict, root: Path) -> None:
    """Draw docs/images/scale.png and put the figures of the parts that have run between the marks in docs/scale.md."""
    if "growth" in results:
        draw(results["growth"], root / "docs/images/scale.png")
    path = root / "docs/scale.md"
    text = path.read_text(encoding="utf-8")
    sections = {"traffic": _traffic, "growth": _growth, "fleet": _fleet}
    block = "\n\n".join([BEGIN, *(write(results[part]) for part, write in sections.items() if part in results), END])
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    with staged_file(path) as stage:
        stage.write_text(re.sub(pattern, lambda _: block, text, flags=re.DOTALL), encoding="utf-8")


def draw(growth: dict, path: Path) -> None:
    """Seconds and memory against channels and against steps, with a line of slope 1 to compare with."""
    figure = new_figure(9, 6.4)
    axes = figure.subplots(2, 2, sharex="col")
    for column, (kind, key, title) in enumerate(
        (
            ("channels", "channels", f"channels ({growth['rows']:,} steps)"),
            ("steps", "rows", f"steps ({growth['steps_channels']} channels)"),
        )
    ):
        points = growth[kind]
        sizes = np.array([point[key] for point in points])
        top, bottom = axes[0, column], axes[1, column]
        for name, (label, colour, marker) in CURVES.items():
            seconds = [point[name] for point in points]
            top.plot(sizes, seconds, color=colour, marker=marker, markersize=4, label=label if not column else None)
        peaks = np.array([point["peak"] for point in points]) / GIB
        label = "peak memory" if not column else None
        bottom.plot(sizes, peaks, color="black", marker="o", markersize=4, linestyle="--", label=label)
        for axis, last in ((top, max(points[-1][name] for name in CURVES)), (bottom, peaks[-1])):
            axis.plot(
                sizes, last * sizes / sizes[-1], color="0.6", linewidth=1, linestyle=":",
                label="proportional" if axis is bottom and not column else None,
            )  # fmt: skip
            axis.set(xscale="log", yscale="log")
        bottom.set_xlabel(title)
    axes[0, 0].set_ylabel("seconds of one core")
    axes[1, 0].set_ylabel("GiB beyond the table")
    tidy(axes.ravel(), grid="both")
    legend_below(figure, [axes[0, 0], axes[1, 0]], 6)
    save_figure(figure, path)


def slope(sizes: list[float], values: list[float]) -> float:
    """Of log(value) on log(size), of the upper three points: 1 is proportional, less a fixed part that still shows."""
    return float(np.polyfit(np.log(sizes[-3:]), np.log(np.maximum(values[-3:], 1e-9)), 1)[0])


def _traffic(traffic: dict) -> str:
    rows = [
        [script, f"{found['seconds']:.0f}", *(f"{found[key] / GIB:.2f}" for key in _KINDS)]
        for script, found in traffic["scripts"].items()
    ]
    headers = ["script", "s", "peak, GiB", "of it anonymous", "of files"]
    return (
        f"**{traffic['channels']} channels, {traffic['rows']:,} steps**, 720 -> 96, the scripts one after the other, "
        f"each killed beyond {traffic['limit'] / GIB:.0f} GiB of private memory (`RLIMIT_DATA`): a PatchTST teacher "
        "for a step of 32 windows, recipe `paper`'s student of Traffic for a step of 8 windows with the teacher "
        f"live, all controls, {traffic['scored_windows']} windows to validate and to test on. {_where(traffic)}\n\n"
        + _table(rows, headers)
    )


_KINDS = ("resident", "anonymous", "file_backed")


def _growth(growth: dict) -> str:
    tables = []
    for kind, key, title in (("channels", "channels", "channels"), ("steps", "rows", "steps")):
        points = growth[kind]
        sizes = [point[key] for point in points]
        rows = [
            [f"{point[key]:,}", *(f"{point[name]:.3f}" for name in CURVES), f"{point['peak'] / GIB:.2f}"]
            for point in points
        ]
        slopes = (f"{slope(sizes, [point[name] for point in points]):.2f}" for name in [*CURVES, "peak"])
        rows.append(["slope", *slopes])
        tables.append(_table(rows, [title, "to windows, s", "step, s", "evaluation, s", "forecast, s", "peak, GiB"]))
    windows = growth["channels"][-1]["evaluated_windows"]
    return (
        "**Growth.** Processor time of the paper's student, one thread, each row in a process of its own: table to "
        "windows, a step of 8 windows, scoring, and a forecast from a DataFrame; the peak is what is held beyond the "
        f"table. Above, {growth['rows']:,} steps and {windows} windows scored; below, {growth['steps_channels']} "
        "channels and every tenth test window. Slopes are of the logarithms, over the last three rows: 1 is "
        "proportional. "
        f"{_where(growth)}\n\n"
        + "\n\n".join(tables)
        + "\n\n![Time and memory against channels and steps](images/scale.png)"
    )


def _fleet(fleet: dict) -> str:
    rows = []
    for side, processes in (("one", 1), ("two", 2)):
        rates = sorted(each["series_per_second"] for each in fleet["rounds"][side])
        middle = statistics.median(rates)
        peak = max(each["peak_gb"] for each in fleet["rounds"][side])
        whole = statistics.median(each["seconds_with_start"] for each in fleet["rounds"][side])
        spread = f"{middle:,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f})"
        rows.append([processes, spread, f"{middle / processes:,.0f}", f"{peak:.2f}", f"{whole:.0f}"])
    pairs = zip(fleet["rounds"]["two"], fleet["rounds"]["one"], strict=True)
    ratios = sorted(two["series_per_second"] / one["series_per_second"] for two, one in pairs)
    headers = ["processes", "series / s (least to most)", "a core", "peak, GB each", "with the start, s"]
    return (
        f"**A fleet.** {fleet['series']:,} series, {fleet['rows']:,} hourly rows in one file of "
        f"{fleet['input_bytes'] / 1e6:,.0f} MB, look-back {fleet['context_length']}, horizon "
        f"{fleet['prediction_length']}, a two-branch student of width 512, one thread a process, "
        f"{len(ratios)} interleaved rounds. Two processes forecast {statistics.median(ratios):.2f} times as many a "
        f"second as one ({ratios[0]:.2f} to {ratios[-1]:.2f}). {_where(fleet)}\n\n" + _table(rows, headers)
    )


def _where(part: dict) -> str:
    about = part["hardware"]
    return f"{about['cores']} cores ({about['machine']}), torch {about['versions']['torch']}."


def _table(rows: list[list], headers: list[str]) -> str:
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))
