"""Closed forms of data with gaps: against the windows one by one, least squares of numpy, and the objective itself."""

import dataclasses
import logging

import numpy as np
import pytest
import torch

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_teacher
from tests.training.test_closed_form import trainer
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.data.windows import WindowDataset
from timedistill_hf.signal_store.table import Coverage, ForecastWindows
from timedistill_hf.training.closed_form import ClosedForm, multi_scale_form
from timedistill_hf.training.known_targets import KnownTargets, fast_size
from timedistill_hf.training.normal_equations import INPUT_NOISES


def cells(observed, generator):
    observed[torch.rand(observed.shape, generator=generator) < 0.2] = False


def blocks(observed, generator):
    """Shorter and longer than a look-back, at the beginning, at the end, of one channel and of all."""
    observed[:7, 0] = False
    observed[20:27] = False
    observed[50:75, 1] = False
    observed[90:102, 0] = False
    observed[-4:, 2] = False


def half(observed, generator):
    cells(observed, generator)
    observed[: len(observed) // 2, 1] = False


def all_of_one(observed, generator):
    cells(observed, generator)
    observed[:, 2] = False


GAPS = [cells, blocks, half, all_of_one]


def windows_with(gaps, rows=(0, 120), length=11, horizon=4):
    generator = torch.Generator().manual_seed(3)
    values, observed = torch.randn(130, 3, generator=generator).cumsum(0), torch.ones(130, 3, dtype=torch.bool)
    gaps(observed, generator)
    return WindowDataset(torch.where(observed, values, 0.0), rows, length, horizon, observed)


def one_by_one(windows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Look-backs `[n, L]`, filled as numpy interpolates them, targets and which are known `[n, S]`."""
    seen, targets, known = [], [], []
    for index in range(len(windows)):
        item = {name: value.numpy() for name, value in windows[index].items()}
        for channel in range(item["past_values"].shape[1]):
            observed = np.flatnonzero(item["past_observed_mask"][:, channel])
            past = item["past_values"][:, channel].astype(float)
            steps = np.arange(len(past))
            seen.append(np.interp(steps, observed, past[observed]) if len(observed) else np.zeros(len(past)))
            targets.append(item["future_values"][:, channel].astype(float))
            known.append(item["future_observed_mask"][:, channel])
    return np.stack(seen), np.stack(targets), np.stack(known)


@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("rows", [(0, 120), (60, 113)])
def test_the_sums_are_those_over_the_windows(gaps, rows):
    windows = windows_with(gaps, rows)
    sums, (seen, targets, known) = KnownTargets(windows), one_by_one(windows)
    assert sums.count == len(seen)
    np.testing.assert_allclose(sums.gram, seen.T @ seen, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(sums.total, seen.sum(axis=0), rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(sums.known, known.sum(axis=0))
    np.testing.assert_allclose(sums.label_cross, seen.T @ (known * targets), rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(sums.label_total, (known * targets).sum(axis=0), rtol=1e-5, atol=1e-3)
    generator = torch.Generator().manual_seed(5)
    maps, biases = (torch.randn(shape, generator=generator).double() for shape in ((2, 11, 4), (2, 4)))
    cross, total = sums.products(maps[0], biases[0])
    forecasts = known * (seen @ maps[0].numpy() + biases[0].numpy())
    np.testing.assert_allclose(cross, seen.T @ forecasts, rtol=1e-4, atol=1e-4 * np.abs(seen.T @ forecasts).max())
    np.testing.assert_allclose(total, forecasts.sum(axis=0), rtol=1e-4, atol=1e-4 * np.abs(forecasts).sum())
    errors = [((seen @ each + bias - targets)[known] ** 2).mean() for each, bias in zip(maps.numpy(), biases.numpy())]
    np.testing.assert_allclose(sums.errors(maps, biases), errors, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 7, 97, 8544, 100_003])
def test_sizes_are_quick_to_transform(length):
    size = rest = fast_size(length)
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    assert rest == 1
    assert length <= size <= 1.15 * length + 1


def with_gaps(data, gaps):
    generator = torch.Generator().manual_seed(0)
    observed = torch.ones_like(data.series.values, dtype=torch.bool)
    gaps(observed, generator)
    values = torch.where(observed, data.series.values, torch.nan)
    if gaps is half:
        values[300:, 1] = data.series.values[300:, 1]
    return make_windows(
        dataclasses.replace(data.series, values=values), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80))
    )


@pytest.mark.parametrize("normalization", ["mean", "last", "none"])
@pytest.mark.parametrize("gaps", [cells, blocks, half])
def test_every_step_is_ridge_regression_on_its_known_targets(gaps, normalization, data, tmp_path):
    """Least squares of numpy, a problem for each step, the ridge as further rows; validation chooses among them."""
    data = with_gaps(data, gaps)
    run = trainer(data, tmp_path, normalization=normalization)
    assert ClosedForm(data)(run)

    def rows(windows):
        seen, targets, known = one_by_one(windows)
        level = {"mean": seen.mean(axis=1), "last": seen[:, -1], "none": np.zeros(len(seen))}[normalization][:, None]
        return seen, seen - level, targets - level, known

    (seen, centred, wanted, known), (_, centred_v, wanted_v, known_v) = rows(data.train), rows(data.validation)
    around = np.eye(CONTEXT) - 1 / CONTEXT
    variance = np.trace(around @ seen.T @ seen) / CONTEXT
    errors = []
    for noise in INPUT_NOISES:
        best = []
        for step in range(HORIZON):
            rows_known = known[:, step]
            share = rows_known.mean()
            left = np.column_stack([centred[rows_known], np.ones(rows_known.sum())])
            penalty = noise * np.sqrt(variance * share) * np.eye(CONTEXT, CONTEXT + 1)
            right = np.concatenate([wanted[rows_known, step], np.zeros(CONTEXT)])
            best.append(np.linalg.lstsq(np.concatenate([left, penalty]), right, rcond=None)[0])
        best = np.stack(best, axis=1)
        errors.append(((centred_v @ best[:-1] + best[-1] - wanted_v)[known_v] ** 2).mean())
        if noise == run.model.config.input_noise:
            np.testing.assert_allclose(run.model.backbone.projection.weight.detach(), best[:-1].T, atol=1e-3)
            np.testing.assert_allclose(run.model.backbone.projection.bias.detach(), best[-1], atol=1e-3)
    found = [ridge.validation_mse for ridge in run.ridges]
    assert min(found) == pytest.approx(min(errors), rel=1e-4)
    assert run.model.config.input_noise == INPUT_NOISES[int(np.argmin(found))]
    # of the map that is kept the error is exact, of the others nearly
    np.testing.assert_allclose(found, errors, rtol=0.1)
    assert run.evaluate()["eval_mse"] == pytest.approx(min(found), rel=1e-4)


@pytest.mark.parametrize("gaps", [cells, blocks])
def test_with_a_teacher_no_step_makes_the_objective_and_its_ridge_less(gaps, data, tmp_path):
    """The gradient of the known squared errors and of the teacher's term on all windows, by autograd in float64."""
    data, teacher, alpha = with_gaps(data, gaps), tiny_teacher("itransformer"), 0.7
    run = trainer(data, tmp_path, teacher, alpha=alpha, beta=0.0)
    assert ClosedForm(data)(run)
    model = run.model.double()
    items = [data.train[index] for index in range(len(data.train))]
    batch = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    past, mask = batch["past_values"], batch["past_observed_mask"]
    inputs = {"past_values": past.double(), "past_observed_mask": mask}
    with torch.no_grad():
        taught = teacher(past_values=past, past_observed_mask=mask).prediction_outputs.double()
    forecast, known = model(**inputs).prediction_outputs, batch["future_observed_mask"]
    supervised = torch.where(known, forecast - batch["future_values"], 0.0).square().sum()
    error = (forecast - taught).transpose(1, 2)
    form = multi_scale_form(HORIZON, 3)
    taught_term = alpha * torch.einsum("bcs,st,bct->", error, form, error)
    filled = torch.from_numpy(one_by_one(data.train)[0])
    variance = filled.var(dim=1, correction=0).sum()
    weight = model.backbone.projection.weight
    shares = known.double().mean(dim=(0, 2))
    metric = torch.diag(shares) + alpha * form
    noise = model.config.input_noise
    ridge = noise**2 * variance * torch.einsum("sl,st,tl->", weight, metric, weight)
    parameters = list(model.backbone.projection.parameters())
    of_errors = torch.autograd.grad(supervised + taught_term, parameters, retain_graph=True)
    (of_ridge,) = torch.autograd.grad(ridge, parameters[:1])
    (of_truth,) = torch.autograd.grad(supervised, parameters[:1])
    assert min(of_ridge.norm(), of_truth.norm()) > 1
    assert (of_errors[0] + of_ridge).norm() < 1e-2 * of_ridge.norm()
    assert of_errors[1].norm() < 1e-2 * of_ridge.norm()


def test_a_tenth_of_the_cells_changes_the_map_by_little(tmp_path):
    """On the whole test windows, within half a percent of the map from whole data."""
    series = synthetic_series(1500, CHANNELS)
    split = SplitSpec(rows=(1000, 200, 300))
    whole = make_windows(series, CONTEXT, HORIZON, split)
    values = series.values.clone()
    values[torch.rand(values.shape, generator=torch.Generator().manual_seed(1)) < 0.1] = torch.nan
    gappy = make_windows(dataclasses.replace(series, values=values), CONTEXT, HORIZON, split, whole.processor)
    scores = []
    for data in (whole, gappy):
        run = trainer(data, tmp_path)
        assert ClosedForm(data)(run)
        scores.append(run.evaluate(whole.test)["eval_mse"])
    assert scores[1] == pytest.approx(scores[0], rel=5e-3)
    assert scores[1] != scores[0]


def test_the_log_says_what_was_done(data, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    data = with_gaps(data, cells)
    ClosedForm(data)(trainer(data, tmp_path))
    assert "% of the train targets are missing: solved from the known ones in" in caplog.text


def test_where_it_cannot_be_solved_the_log_says_what_happens_and_why(data, tmp_path, caplog):
    run = trainer(data, tmp_path)
    run.train_dataset = ForecastWindows.__new__(ForecastWindows)
    run.train_dataset.coverage = Coverage(np.arange(10) < 7, 0)
    assert not ClosedForm(data)(run)
    assert "A linear student is trained step by step, which takes longer than solving it at once" in caplog.text
    assert "the teacher's forecasts for all train windows, and there are some for 7 of 10" in caplog.text
