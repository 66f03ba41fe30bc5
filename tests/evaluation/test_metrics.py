import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import HORIZON
from timedistill_hf.evaluation.controls import SeasonalNaive
from timedistill_hf.evaluation.errors_per_window import mean_errors, window_errors
from timedistill_hf.evaluation.evaluate_model import evaluate_model
from timedistill_hf.evaluation.metrics import StandardizedErrors, UnitErrors


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 9), steps=st.integers(1, 9), channels=st.integers(1, 4), seed=st.integers(0, 1000))
def test_metrics_agree_with_numpy_in_any_batching(size, steps, channels, seed):
    rng = np.random.default_rng(seed)
    prediction, truth = rng.normal(size=(2, size, steps, channels)).astype(np.float32)
    observed = rng.uniform(size=truth.shape) > 0.2
    observed[0] = True
    naive = rng.uniform(0.5, 2, size=channels)
    standardized, units = StandardizedErrors(), UnitErrors(naive)
    for start in range(0, size, 2):
        part = slice(start, start + 2)
        for metric in (standardized, units):
            metric.add_batch(predictions=prediction[part], references=truth[part], observed=observed[part])
    error = (prediction - truth).astype(np.float64)
    result = standardized.compute()
    assert result["mse"] == pytest.approx((error[observed] ** 2).mean())
    assert result["mae"] == pytest.approx(np.abs(error[observed]).mean())

    rows = {"mae": [], "rmse": [], "smape": [], "mase": []}
    for c in range(channels):
        known = observed[:, :, c]
        e, p, y = error[:, :, c][known], prediction[:, :, c][known], truth[:, :, c][known]
        rows["mae"].append(np.abs(e).mean())
        rows["rmse"].append(np.sqrt((e**2).mean()))
        rows["smape"].append((200 * np.abs(e) / (np.abs(p) + np.abs(y))).mean())
        rows["mase"].append(np.abs(e).mean() / naive[c])
    result = units.compute()
    for name, values in rows.items():
        assert result[name] == pytest.approx(np.mean(values), rel=1e-5)


def test_compute_starts_anew_and_takes_arrays_at_once():
    metric = StandardizedErrors()
    ones = np.ones((1, 2, 1))
    assert metric.compute(predictions=ones, references=ones * 3) == {"mse": 4.0, "mae": 2.0}
    assert metric.compute(predictions=ones, references=ones) == {"mse": 0.0, "mae": 0.0}


def test_smape_of_zero_against_zero_is_zero():
    zeros = np.zeros((1, 3, 1))
    assert UnitErrors(np.ones(1)).compute(predictions=zeros, references=zeros)["smape"] == 0.0


def test_a_window_with_nothing_observed_counts_nothing():
    prediction, truth = torch.ones(2, 3, 1), torch.zeros(2, 3, 1)
    observed = torch.tensor([True, False]).view(2, 1, 1).expand(2, 3, 1)
    sums = window_errors(prediction, truth, observed)
    assert sums.tolist() == [[3.0, 3.0, 3.0], [0.0, 0.0, 0.0]]
    assert mean_errors(sums) == {"mse": 1.0, "mae": 1.0}
    assert np.isnan(mean_errors(sums[1:])["mse"])


def test_seasonal_naive_repeats_the_last_season():
    x = torch.randn(2, 30, 3)
    forecast = SeasonalNaive(7, 17)(past_values=x).prediction_outputs
    for step in range(17):
        assert torch.equal(forecast[:, step], x[:, 30 - 7 + step % 7])
    assert torch.equal(SeasonalNaive(50, 4)(past_values=x).prediction_outputs, x[:, -1:].expand(2, 4, 3))


def test_evaluate_model_scores_every_window_in_both_scales(data):
    naive = SeasonalNaive(24, HORIZON)
    result = evaluate_model(naive, data, data.test, batch_size=7)
    items = [data.test[index] for index in range(len(data.test))]
    x, y = (torch.stack([item[name] for item in items]) for name in ("past_values", "future_values"))
    error = (x[:, -24 : -24 + HORIZON] - y).double()
    assert result["mse"] == pytest.approx(error.square().mean().item(), rel=1e-6)
    std = torch.tensor(data.processor.std)
    assert result["units"]["mae"] == pytest.approx((error.abs() * std).mean().item(), rel=1e-5)
    expected = ((error.abs() * std).mean(dim=(0, 1)).numpy() / data.naive_errors).mean()
    assert result["units"]["mase"] == pytest.approx(expected, rel=1e-5)
    assert result["units"]["season"] == 24
