import evaluate
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cards.helper import ROOT
from tests.conftest import HORIZON
from timedistill_hf.evaluation.controls import SeasonalNaive
from timedistill_hf.evaluation.errors_per_window import mean_errors, window_errors
from timedistill_hf.evaluation.evaluate_model import evaluate_model
from timedistill_hf.evaluation.standardized_errors import StandardizedErrors
from timedistill_hf.evaluation.unit_errors import UnitErrors


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


def test_evaluate_loads_and_combines_them_offline():
    """By path and without the network; a truth that is not known is NaN."""
    here = ROOT / "timedistill_hf/evaluation"
    naive = [1.0, 2.0]
    loaded = [
        evaluate.load(str(here / "standardized_errors.py")),
        evaluate.load(str(here / "unit_errors.py"), naive_errors=naive),
    ]
    rng = np.random.default_rng(0)
    prediction, truth = rng.normal(size=(2, 5, 4, 2))
    truth[0, 1:, 1] = np.nan
    own = (StandardizedErrors(), UnitErrors(naive))
    expected = [metric.compute(predictions=prediction, references=truth) for metric in own]
    combined = evaluate.combine(loaded)
    for part in (slice(0, 2), slice(2, 5)):
        combined.add_batch(predictions=prediction[part], references=truth[part])
    found = combined.compute()
    assert found["mse"] == pytest.approx(expected[0]["mse"])
    assert found["standardized_errors_mae"] == pytest.approx(expected[0]["mae"])
    assert found["unit_errors_mae"] == pytest.approx(expected[1]["mae"])
    assert found["mase"] == pytest.approx(expected[1]["mase"])
    known = ~np.isnan(truth)
    assert found["mse"] == pytest.approx(((prediction - truth)[known] ** 2).mean())


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
