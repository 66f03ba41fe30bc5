"""The plots of forecasts hold the numbers of plain loops."""

import cmath
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformers.utils import ModelOutput

from tests.plots.helper import line, overlapping_texts
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.objective import multi_period_loss, multi_scale_loss
from timedistill_hf.plots import forecast_figure, multi_period_figure, multi_scale_figure, sample_forecasts
from timedistill_hf.plots.multi_period import divergence
from timedistill_hf.plots.multi_scale import scale_distances
from timedistill_hf.plots.style import time_unit


FIGURES = (forecast_figure, multi_scale_figure, multi_period_figure)


class Shifted(nn.Module):
    """Forecasts the last 16 steps, so much higher."""

    def __init__(self, shift: float):
        super().__init__()
        self.shift = shift

    def forward(self, past_values, **kwargs):
        return ModelOutput(prediction_outputs=past_values[:, -16:] + self.shift)


def test_the_forecast_and_its_error(sample):
    figure = forecast_figure(sample)
    upper, lower = figure.axes
    ahead, truth = line(upper, "truth")
    assert ahead.tolist() == list(range(1, 12))
    np.testing.assert_array_equal(truth, sample.shown["truth"])
    before, history = line(upper, "history")
    assert before.tolist() == list(range(-21, 1))
    np.testing.assert_array_equal(history, sample.shown["past"][8:])
    errors = {}
    for name, drawn in zip(("student", "teacher"), lower.lines, strict=False):
        errors[name] = [abs(f - t) for f, t in zip(sample.shown[name], sample.shown["truth"], strict=True)]
        np.testing.assert_allclose(drawn.get_ydata(), errors[name])
        known = [error for error in errors[name] if not math.isnan(error)]
        assert len(known) == 10
        line(upper, f"{name}, mean absolute error {sum(known) / 10:.3g}")
    assert lower.get_xlabel() == "hours after the last known value"


def test_pooling_is_the_mean_of_so_many_steps_at_their_centre(sample):
    figure = multi_scale_figure(sample, num_scales=3)
    for scale, axis in enumerate(figure.axes):
        size = 2**scale
        for name in ("truth", "teacher", "student"):
            x, y = line(axis, name)
            values = sample.shown[name]
            means, centres = [], []
            for start in range(0, 11 - size + 1, size):
                means.append(sum(values[start : start + size]) / size)
                centres.append(sum(range(start + 1, start + size + 1)) / size)
            np.testing.assert_allclose(y, means, rtol=1e-12)
            np.testing.assert_allclose(x, centres)


@pytest.mark.parametrize("kind", ["mse", "mae"])
def test_the_distances_are_the_parts_of_the_multi_scale_term(sample, kind):
    distances = scale_distances(sample, 3, kind)
    student, teacher = sample.forecasts["student"], sample.forecasts["teacher"]
    assert sum(distances) / 4 == pytest.approx(multi_scale_loss(student, teacher, 3, 1, kind).item(), rel=1e-5)
    figure = multi_scale_figure(sample, 3, kind)
    for axis, distance in zip(figure.axes, distances, strict=True):
        assert axis.get_title(loc="left").endswith(f"{kind.upper()} to the teacher {distance:.3g}")


def test_a_short_horizon_has_fewer_scales(sample):
    short = replace(sample, truth=sample.truth[:, :5], shown={k: v[:5] for k, v in sample.shown.items()})
    short = replace(short, forecasts={name: values[:, :5] for name, values in sample.forecasts.items()})
    assert [axis.axison for axis in multi_scale_figure(short, num_scales=3).axes] == [True, True, True, False]


def test_spectra_are_those_of_a_plain_fourier_sum(sample):
    figure = multi_period_figure(sample, temperature=0.7)
    upper, lower = figure.axes
    for name, values in {"truth": sample.truth, **sample.forecasts}.items():
        amplitudes, shares, count = np.zeros(5), np.zeros(5), 0
        for window in values.tolist():
            for channel in range(2):
                series = [step[channel] for step in window]
                if any(math.isnan(value) for value in series):
                    continue
                sizes = [
                    abs(sum(v * cmath.exp(-2j * cmath.pi * k * t / 11) for t, v in enumerate(series)))
                    for k in range(1, 6)
                ]
                powers = [math.exp(size / 0.7) for size in sizes]
                amplitudes += np.array(sizes)
                shares += np.array(powers) / sum(powers)
                count += 1
        assert count == (5 if name == "truth" else 6)
        periods, drawn = line(upper, name)
        np.testing.assert_allclose(periods, [11 / k for k in range(1, 6)])
        np.testing.assert_allclose(drawn, amplitudes / count, rtol=1e-5)
        index = list({"truth": 0, **sample.forecasts}).index(name)
        np.testing.assert_allclose(lower.lines[index].get_ydata(), shares / count, rtol=1e-4)
    assert upper.lines[3].get_xdata() == [4, 4]  # the season


def test_the_divergence_is_the_multi_period_term(sample):
    student, teacher = sample.forecasts["student"], sample.forecasts["teacher"]
    expected = multi_period_loss(student, teacher, 0.5, "distribution", dim=1).item()
    assert divergence(sample, 0.5) == pytest.approx(expected, rel=1e-5)
    assert multi_period_figure(sample, 0.5).axes[1].get_title(loc="left").endswith(f"{expected:.3g}")


@pytest.mark.parametrize("freq", ["15min", "D", None])
def test_axes_are_in_units_of_time(sample, freq):
    unit, per_step = {"15min": ("hours", 0.25), "D": ("days", 1.0), None: ("steps", 1.0)}[freq]
    figure = forecast_figure(replace(sample, freq=freq))
    assert line(figure.axes[0], "truth")[0][0] == per_step
    assert figure.axes[1].get_xlabel().startswith(unit)
    lower = multi_period_figure(replace(sample, freq=freq)).axes[1]
    assert lower.get_xlabel() == f"period, {unit}"
    assert line(lower, "_child0")[0][0] == 11 * per_step


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("h", ("hours", 1)), ("10min", ("hours", pytest.approx(1 / 6))), ("30s", ("minutes", 0.5)), ("W", ("days", 7)),
        ("MS", ("steps", 1)), ("B", ("steps", 1)), ("100ms", ("seconds", 0.1)), (None, ("steps", 1)),
    ],
)  # fmt: skip
def test_units(freq, expected):
    assert time_unit(freq) == expected


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("with_teacher", [True, False])
def test_texts_lie_apart_and_a_teacher_may_lack(sample, figure, with_teacher):
    if not with_teacher:
        sample = replace(sample, forecasts={"student": sample.forecasts["student"]})
    drawn = figure(sample)
    assert overlapping_texts(drawn) == []
    labels = [each.get_label() for axis in drawn.axes for each in axis.lines]
    assert any(label.startswith("teacher") for label in labels) == with_teacher


def test_the_sample_is_of_windows_at_equal_distances_with_gaps_where_nothing_was_seen():
    series = synthetic_series(400, 3)
    series.values[350, 2] = torch.nan
    series.values[310, 2] = torch.nan
    data = make_windows(series, 48, 16, SplitSpec(rows=(240, 80, 80)))
    sample = sample_forecasts(data, {"student": Shifted(1.0), "teacher": Shifted(-1.0)}, windows=5)
    assert sample.truth.shape == (5, 16, 3)  # 65 test windows: 0, 16, 32, 48, 64
    assert sample.row == 2
    assert sample.title == "synthetic, test window 33 of 65"
    origin = 320 + 32
    raw = series.values[:, 2].double()
    np.testing.assert_allclose(sample.shown["truth"], raw[origin : origin + 16].numpy(), rtol=1e-5)
    past = sample.shown["past"]
    assert np.isnan(past).nonzero()[0].tolist() == [310 - (origin - 48), 350 - (origin - 48)]
    std = data.processor.std[2]
    expected = raw[origin - 16 : origin].numpy() + std
    np.testing.assert_allclose(sample.shown["student"][:14], expected[:14], rtol=1e-4)
    np.testing.assert_allclose(sample.shown["student"] - sample.shown["teacher"], 2 * std, rtol=1e-3)
