"""Accuracy against latency holds what the results hold."""

import json
from collections import Counter

import pytest
from matplotlib.collections import LineCollection

from tests.cards.helper import ROOT, results
from tests.plots.helper import overlapping_texts
from timedistill_hf.plots import accuracy_figure
from timedistill_hf.plots.accuracy import bubble_area


def marks(axis) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for each in axis.lines:
        found.setdefault(each.get_label(), []).append((each.get_xdata()[0], each.get_ydata()[0]))
    return found


def test_every_model_of_a_run_is_where_its_results_say():
    content = results()
    content["models"]["seasonal_naive"]["mse"] = 0.2
    figure = accuracy_figure([content])
    (axis,) = figure.axes
    models = content["models"]
    assert marks(axis) == {name: [(score["milliseconds"], score["mse"])] for name, score in models.items()}
    sized = [score for score in models.values() if score["parameters"]]
    spreads = [each for each in axis.collections if isinstance(each, LineCollection)]
    assert [each.get_segments()[0].tolist() for each in spreads] == [
        [[score["latency"]["32"][end], score["mse"]] for end in ("low", "high")] for score in models.values()
    ]
    assert axis.get_xlabel() == "milliseconds for 32 windows\n(cpu, 1 thread, processor time)"
    bubbles = [each for each in axis.collections if each not in spreads]
    for bubble, score in zip(bubbles, sized, strict=True):
        assert bubble.get_offsets().tolist() == [[score["milliseconds"], score["mse"]]]
        assert bubble.get_sizes()[0] == pytest.approx(bubble_area(score["parameters"]))
    assert axis.get_xscale() == "log"
    assert overlapping_texts(figure) == []
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"student: {models['student']['parameters']:,}" in labels


def test_bubbles_grow_tenfold_with_ten_thousand_times_the_parameters():
    assert bubble_area(10**7) == pytest.approx(10 * bubble_area(10**3))
    assert bubble_area(0) == 0


def test_a_naive_error_far_above_is_written_and_does_not_flatten_the_rest():
    content = results()
    content["models"]["seasonal_naive"]["mse"] = 5.4321
    (axis,) = accuracy_figure([content]).axes
    assert "seasonal_naive" not in marks(axis)
    assert axis.get_ylim()[1] < 1
    assert axis.texts[0].get_text() == "above: seasonal naive, 5.432"


def test_many_runs_have_a_panel_for_each_data_set_and_horizon():
    other = results(settings={"prediction_length": 48})
    figure = accuracy_figure([results(), results(settings={"seed": 2}), other, results(data={"name": "b"})])
    assert [axis.get_title(loc="left") for axis in figure.axes] == [
        "synthetic, 96 to 24 steps", "synthetic, 96 to 48 steps", "b, 96 to 24 steps",
    ]  # fmt: skip
    assert len(marks(figure.axes[0])["student"]) == 2
    assert overlapping_texts(figure) == []


def test_the_committed_results_can_be_drawn():
    runs = [json.loads(path.read_text()) for path in sorted((ROOT / "benchmarks/results/best").glob("*.json"))]
    figure = accuracy_figure(runs)
    panels = [axis for axis in figure.axes if axis.axison]
    drawn = Counter(role for axis in panels for role, points in marks(axis).items() for _ in points)
    expected = Counter(role for run in runs for role in run["models"])
    naive = drawn.pop("seasonal_naive", 0)
    assert naive <= expected.pop("seasonal_naive")
    assert drawn == expected
    for axis in panels:  # where it is far from all others its mean over the seeds is written
        assert ("seasonal_naive" in marks(axis)) != bool(axis.texts)
