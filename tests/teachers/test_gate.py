"""The gate: what it sees, and that it is used only where it proves better on windows that it has not seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_teacher
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.data.windows import WindowDataset
from timedistill_hf.teachers import TeacherSignal
from timedistill_hf.teachers.gate import Gate, GatedTeachers, validation_gated, window_statistics
from timedistill_hf.teachers.several import SeveralTeachers
from timedistill_hf.teachers.signal import FrozenTeacher
from timedistill_hf.teachers.store import store_signal
from timedistill_hf.teachers.weighting import validation_weighted


class RuleTeacher(FrozenTeacher):
    """Forecasts by a rule on the window; takes nothing but the window."""

    num_time_features = 0
    prediction_length = HORIZON

    def __init__(self, name, rule):
        super().__init__()
        self.name = name
        self.rule = rule
        self.unused = torch.nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, past_values, past_observed_mask=None):
        return TeacherSignal(self.rule(past_values).unsqueeze(1).expand(-1, HORIZON, -1))

    def check_fits(self, *args, **kwargs):
        pass

    def check_time_features(self, offered):
        pass

    def fingerprint(self):
        return self.name


def above_and_below():
    return [RuleTeacher(name, affine(level, 0.0, 0.0)) for name, level in (("above", 1.0), ("below", -1.0))]


def affine(constant, of_last, of_mean):
    return lambda x: constant + of_last * x[:, -1] + of_mean * x.mean(dim=1)


def regimes(num_rows=1200):
    """Levels +1 and -1, 120 steps each, with noise: one rule is right in one, the other in the other."""
    generator = np.random.default_rng(0)
    level = np.where(np.arange(num_rows) // 120 % 2, 1.0, -1.0)[:, None]
    values = torch.tensor(level + 0.1 * generator.standard_normal((num_rows, CHANNELS)), dtype=torch.float32)
    like = synthetic_series(num_rows, CHANNELS)
    return make_windows(replace(like, values=values), CONTEXT, HORIZON, SplitSpec(rows=(300, 700, 200)))


def mse(teacher, windows, indices):
    items = [windows[index] for index in indices]
    past = torch.stack([item["past_values"] for item in items])
    truth = torch.stack([item["future_values"] for item in items])
    return (teacher(past_values=past).prediction_outputs - truth).double().square().mean().item()


def later(windows):
    half = (len(windows) - HORIZON + 1) // 2
    return range(half + HORIZON - 1, len(windows))


@pytest.mark.parametrize("season", [7, 24, 100])
def test_statistics_are_numpys(season):
    x = 3 * torch.randn(2, CONTEXT, CHANNELS, dtype=torch.float64) + 1
    found = window_statistics(x, season=season)
    lag = season if season < CONTEXT else 1
    for b in range(2):
        for c in range(CHANNELS):
            series = x[b, :, c].numpy()
            mean, deviation = series.mean(), series.std()
            correlation = sum((series[i] - mean) * (series[i - lag] - mean) for i in range(lag, CONTEXT))
            expected = [
                mean,
                deviation,
                series[-1] - mean,
                correlation / CONTEXT / deviation**2,
                np.polyfit(np.linspace(0, 1, CONTEXT), series, 1)[0],
            ]
            assert found[b, c].tolist() == pytest.approx(expected, rel=1e-4)


def test_missing_steps_and_still_windows_have_statistics():
    x, mask = torch.randn(2, CONTEXT, CHANNELS), torch.rand(2, CONTEXT, CHANNELS) > 0.3
    found = window_statistics(torch.where(mask, x, 0.0), mask, 24)
    assert torch.equal(found, window_statistics(torch.where(mask, x, 1e9), mask, 24))
    assert not torch.allclose(found, window_statistics(torch.where(mask, x, 0.0), None, 24))
    still = window_statistics(torch.full((1, CONTEXT, 1), 4.0), None, 24)
    assert still[0, 0].tolist() == pytest.approx([4, 0, 0, 0, 0], abs=1e-5)


def test_the_forecast_is_weighed_by_window_and_channel():
    teachers = [tiny_teacher("patchtst"), tiny_teacher("itransformer")]
    gate = Gate(24, torch.zeros(5), torch.ones(5), torch.randn(5, 2), torch.randn(2))
    gated = GatedTeachers(teachers, gate=gate)
    x = torch.randn(4, CONTEXT, CHANNELS)
    signals = [teacher(past_values=x) for teacher in teachers]
    logits = window_statistics(x, None, 24).clamp(-3, 3) @ gate.weight + gate.bias
    found = gated(past_values=x)
    for b in range(4):
        for c in range(CHANNELS):
            shares = np.exp(logits[b, c].numpy())
            shares /= shares.sum()
            expected = sum(w * s.prediction_outputs[b, :, c] for w, s in zip(shares.tolist(), signals, strict=True))
            assert torch.allclose(found.prediction_outputs[b, :, c], expected, atol=1e-5)
    assert torch.equal(found.feature, torch.cat([signal.feature for signal in signals], dim=-1))
    assert not found.prediction_outputs.requires_grad
    assert not any(parameter.requires_grad for parameter in gated.parameters())
    assert torch.equal(gated.to(torch.float32).train()(past_values=x).prediction_outputs, found.prediction_outputs)


def test_a_gate_that_helps_is_used(caplog):
    caplog.set_level("INFO", logger="timedistill_hf")
    data = regimes()
    gated, fixed = validation_gated(above_and_below(), data), validation_weighted(above_and_below(), data)
    report = gated.report
    rows = later(data.validation)
    assert report.is_used
    assert gated.weights == pytest.approx(fixed.weights, abs=1e-9)
    assert report.mse == pytest.approx(mse(gated, data.validation, rows), rel=1e-4)
    assert report.fallback_mse == pytest.approx(mse(fixed, data.validation, rows), rel=1e-4)
    assert report.mse < 0.6 * report.fallback_mse
    past = torch.stack([data.validation[index]["past_values"] for index in rows])
    assert report.mean_shares == pytest.approx(gated.gate(past).mean(dim=(0, 1)).tolist(), abs=1e-4)
    assert f"MSE {report.mse:.4f}" in caplog.text
    assert f"with fixed weights {report.fallback_mse:.4f}: the gate is used" in caplog.text
    assert mse(gated, data.test, range(len(data.test))) < mse(fixed, data.test, range(len(data.test)))


class Turned(WindowDataset):
    """The truth is the window's last sign in the earlier half and its opposite in the later one."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        sign = item["past_values"][-1:].sign() * (1 if index < len(self) // 2 else -1)
        return item | {"future_values": sign.expand(HORIZON, -1)}


def test_a_gate_that_does_not_help_is_not_used(caplog):
    caplog.set_level("INFO", logger="timedistill_hf")
    data = regimes()
    data = replace(data, validation=Turned(data.validation.values, data.validation.rows, CONTEXT, HORIZON))
    gated, fixed = validation_gated(above_and_below(), data), validation_weighted(above_and_below(), data)
    assert not gated.report.is_used
    assert gated.gate is None
    assert gated.report.mse > 2 > gated.report.fallback_mse
    assert "fixed weights are used" in caplog.text
    assert f"{gated.report.mse:.4f}" in caplog.text
    x = torch.randn(3, CONTEXT, CHANNELS)
    assert torch.equal(gated(past_values=x).prediction_outputs, fixed(past_values=x).prediction_outputs)


@pytest.mark.parametrize("seed", range(5))
def test_never_worse_than_its_fallback_on_the_later_windows(data, seed):
    torch.manual_seed(seed)
    teachers = [RuleTeacher(str(k), affine(*torch.randn(3).tolist())) for k in range(3)]
    gated, fixed = validation_gated(teachers, data), validation_weighted(teachers, data)
    rows = later(data.validation)
    assert mse(gated, data.validation, rows) <= mse(fixed, data.validation, rows) + 1e-6
    assert gated.report.is_used == (gated.report.mse < gated.report.fallback_mse)


def test_the_gate_has_not_seen_the_later_truth():
    """Change every row that only the later windows forecast: the gate stays the same, its judgement does not."""
    data = regimes()
    windows = data.validation
    before = validation_gated(above_and_below(), data)
    first = windows.first_origin + later(windows)[0]
    values = windows.values.clone()
    values[first:] += 0.05 * torch.randn_like(values[first:])
    changed = replace(data, validation=WindowDataset(values, windows.rows, CONTEXT, HORIZON))
    after = validation_gated(above_and_below(), changed)
    assert after.report.mse != before.report.mse
    assert all(torch.equal(after.gate.state_dict()[name], tensor) for name, tensor in before.gate.state_dict().items())


def test_too_few_windows_leave_the_fixed_weights(caplog):
    caplog.set_level("INFO", logger="timedistill_hf")
    data = make_windows(synthetic_series(400, CHANNELS), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, HORIZON + 1)))
    few = replace(data, validation=data.test)
    gated = validation_gated([tiny_teacher("patchtst"), tiny_teacher("itransformer")], few)
    assert gated.report.is_used is False
    assert (gated.report.mse, gated.gate) == (None, None)
    assert "2 validation windows are too few" in caplog.text


def test_stored_is_live_and_another_gate_another_store(data, tmp_path):
    teachers = [tiny_teacher("patchtst"), tiny_teacher("itransformer")]

    def gated(bias):
        gate = Gate(24, torch.zeros(5), torch.ones(5), torch.randn(5, 2), torch.tensor([bias, 0.0]))
        torch.manual_seed(0)
        return GatedTeachers(teachers, gate=gate)

    torch.manual_seed(0)
    first, second = gated(0.0), gated(1.0)
    plain = SeveralTeachers(teachers)
    assert len({teacher.fingerprint() for teacher in (first, second, plain, GatedTeachers(teachers))}) == 4
    stored = store_signal(first, data.train, tmp_path)
    live = first(past_values=data.train[50]["past_values"].unsqueeze(0))
    assert torch.allclose(stored[50]["teacher_prediction_outputs"], live.prediction_outputs[0], atol=1e-5)
