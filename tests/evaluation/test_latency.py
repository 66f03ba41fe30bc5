"""Models are measured in turn, in processor time, on one thread, as they serve; no time is asserted by itself."""

import itertools
import statistics
import time

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import CHANNELS, CONTEXT, HORIZON
from timedistill_hf import TimeDistillForPrediction
from timedistill_hf.evaluation.evaluate_model import score_models
from timedistill_hf.evaluation.latency import conditions, interleave, measure_latency, spread, stopwatch
from timedistill_hf.evaluation.results import Results, Score, Spread, milliseconds_text
from timedistill_hf.student.fusing_timedistill import FusedStudent
from timedistill_hf.student.modeling_timedistill import TimeDistillOutput


class Fake(nn.Module):
    """A forecaster whose call does something and is counted."""

    def __init__(self, name="", log=None, act=lambda: None):
        super().__init__()
        self.name, self.log, self.act = name, [] if log is None else log, act

    def forward(self, past_values, **_):
        self.log.append((self.name, len(past_values), torch.get_num_threads(), self.training))
        self.act()
        return TimeDistillOutput(prediction_outputs=past_values[:, :HORIZON])


def busy(seconds):
    def spin():
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    return spin


def side(seconds, log=None, name=""):
    """One of known cost by a clock of its own."""

    def take(calls):
        if log is not None:
            log.append((name, calls))
        return calls * (next(seconds) if hasattr(seconds, "__next__") else seconds)

    return take


def test_processor_time_counts_and_waiting_does_not():
    """On a machine however busy: the one that waits the longest has worked the least."""
    sides = {"6": busy(0.006), "2": busy(0.002), "waits": lambda: time.sleep(0.02)}
    found = interleave({name: stopwatch(call) for name, call in sides.items()}, rounds=3)
    middle = {name: statistics.median(values) for name, values in found.items()}
    assert middle["waits"] < middle["2"] < middle["6"]
    assert middle["6"] / middle["2"] == pytest.approx(3, rel=0.2)  # both by the same clock


def test_sides_take_turns():
    log = []
    found = interleave({name: side(0.001, log, name) for name in "abc"}, rounds=5, round_seconds=0.004)
    rounds = log[6:]  # after two calls each, the first of which may load something
    assert log[:6] == [("a", 1), ("b", 1), ("c", 1), ("a", 1), ("b", 1), ("c", 1)]
    assert rounds == [("a", 4), ("b", 4), ("c", 4)] * 5
    assert {name: pytest.approx(values) for name, values in found.items()} == dict.fromkeys("abc", [0.001] * 5)


def test_what_the_first_call_loads_does_not_count():
    found = interleave({"lazy": side(itertools.chain([2.0], itertools.repeat(0.01)))}, rounds=4)
    assert found == {"lazy": pytest.approx([0.01] * 4)}


@pytest.mark.parametrize(
    ("seconds", "turns", "most"), [(0.05, 15, 3.0), (0.5, 6, 4.0), (2.0, 3, 10.0), (90.0, 1, 90.0)]
)
def test_a_slow_side_costs_little(seconds, turns, most):
    log = []
    found = interleave({"slow": side(seconds, log, "slow"), "quick": side(0.001)})
    assert found["slow"] == pytest.approx([seconds] * turns)
    assert sum(calls for _, calls in log) * seconds <= most
    assert len(found["quick"]) == 15


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_all_models_together_on_one_thread(data, two_threads):
    log = []
    models = {name: (Fake(name, log).train(), data.test) for name in ("teacher", "linear")}
    found = measure_latency(models)
    assert {threads for _, _, threads, _ in log} == {1}
    assert not any(training for *_, training in log)
    assert torch.get_num_threads() == 2
    assert list(found) == ["teacher", "linear"]
    for batches in found.values():
        assert list(batches) == ["1", "32"]
        for one in batches.values():
            assert 0 < one["low"] <= one["median"] <= one["high"]
            assert one["rounds"] == 15
    turns = [(name, batch) for (name, batch, *_), _ in itertools.groupby(log)]
    # two calls each, then fifteen rounds, for each of two batches
    assert turns == [(name, batch) for batch in (1, 32) for _ in range(17) for name in ("teacher", "linear")]


def test_threads_are_as_before_after_an_error(data, two_threads):
    def fail():
        raise RuntimeError("no forecast")

    with pytest.raises(RuntimeError, match="no forecast"):
        measure_latency({"teacher": (Fake(act=fail), data.test)})
    assert torch.get_num_threads() == 2


def test_a_student_is_measured_as_it_serves(data, student, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("the student itself was run")

    shapes, forward = [], FusedStudent.forward

    def counted(self, past_values):
        shapes.append(past_values.shape)
        return forward(self, past_values)

    monkeypatch.setattr(TimeDistillForPrediction, "forward", never)
    monkeypatch.setattr(
        FusedStudent,
        "forward",
        lambda self, past_values: shapes.append(past_values.shape) or forward(self, past_values),
    )
    measure_latency({"student": (student, data.test)}, batches=(5,))
    assert set(shapes) == {(5, CONTEXT, CHANNELS)}


def test_the_spread_is_that_of_numpy():
    values = np.random.default_rng(0).exponential(size=14).tolist()
    found = spread(values)
    assert [found[name] for name in ("low", "median", "high")] == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]))
    assert spread([3.0]) == {"median": 3.0, "low": 3.0, "high": 3.0, "rounds": 1}


def test_results_hold_it_and_say_how(data):
    scores = score_models({"linear": (Fake(), data)}, batch_size=16)["linear"]
    assert scores["milliseconds"] == scores["latency"]["32"]["median"]
    one = Score(0.1, 0.1, milliseconds=18.72, latency={"32": Spread(18.72, 18.2, 19.91)})
    assert milliseconds_text([one]) == "18.7 (18.2 to 19.9)"
    assert milliseconds_text([one, Score(0.1, 0.1, milliseconds=0.3)]) == "9.51 (0.3 to 18.7)"
    assert Results({}, latency=conditions("cpu")).measured_on == "cpu, 1 thread, processor time"
    assert conditions("cuda:1") == {"device": "cuda", "threads": 1, "clock": "cuda events"}


def test_results_from_before_there_was_a_spread():
    assert milliseconds_text([Score(0.1, 0.1, milliseconds=113.0)]) == "113.0"
    assert Results({}, hardware={"device": "cpu", "threads": 2}).measured_on == "cpu, 2 threads, wall time"
