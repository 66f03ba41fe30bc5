"""The closed form against gradients, plain regression and the objective itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_teacher
from timedistill_hf import (
    ForecastTrainer,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
)
from timedistill_hf.data import Series, SplitSpec, make_windows
from timedistill_hf.objective.multi_scale import multi_scale_loss
from timedistill_hf.signal_store.store import store_signal
from timedistill_hf.training.closed_form import INPUT_NOISES, ClosedForm, multi_scale_form


def trainer(data, folder, teacher=None, normalization="mean", **overrides):
    config = TimeDistillConfig(
        context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=CHANNELS, architecture="linear",
        normalization=normalization, revin_affine=False,
    )  # fmt: skip
    args = TimeDistillTrainingArguments(output_dir=str(folder), disable_tqdm=True, report_to="none", **overrides)
    common = {"model": TimeDistillForPrediction(config), "args": args, **data.for_trainer()}
    return ForecastTrainer(**common) if teacher is None else TimeDistillTrainer(teacher=teacher, **common)


def batch_of(windows):
    items = [windows[index] for index in range(len(windows))]
    return (torch.stack([item[name] for item in items]) for name in ("past_values", "future_values"))


@given(length=st.integers(8, 40), num_scales=st.integers(0, 3), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_form_is_the_multi_scale_loss(length, num_scales, seed):
    error = torch.randn(length, generator=torch.Generator().manual_seed(seed))
    expected = multi_scale_loss(error, torch.zeros(length), num_scales)
    found = error.double() @ multi_scale_form(length, num_scales) @ error.double() / length
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("normalization", ["mean", "last", "none"])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_no_step_makes_the_objective_and_its_ridge_less(normalization, alpha, data, tmp_path):
    """The gradient of everything that is minimised, by autograd in float64, is nothing beside its parts."""
    teacher = tiny_teacher("itransformer") if alpha else None
    run = trainer(data, tmp_path, teacher, normalization, alpha=alpha, beta=0.0)
    ClosedForm(data)(run)
    model = run.model.double()
    noise = model.config.input_noise
    past, truth = (part.double() for part in batch_of(data.train))
    forecast = model(past).prediction_outputs
    weight = model.backbone.projection.weight
    variance = past.var(dim=1, correction=0).mean()
    supervised = (forecast - truth).square().mean()
    ridge = noise**2 * variance * weight.square().sum() / HORIZON
    if alpha:
        with torch.no_grad():
            taught = teacher(past.float()).prediction_outputs.double()
        error = (forecast - taught).transpose(1, 2)
        form = multi_scale_form(HORIZON, 3)
        supervised = supervised + alpha * torch.einsum("bcs,st,bct->", error, form, error) / error.numel()
        metric = torch.eye(HORIZON, dtype=torch.float64) + alpha * form
        ridge = noise**2 * variance * torch.einsum("sl,st,tl->", weight, metric, weight) / HORIZON
    parameters = list(model.backbone.projection.parameters())
    of_errors = torch.autograd.grad(supervised, parameters, retain_graph=True)
    of_ridge = torch.autograd.grad(ridge, parameters, allow_unused=True)
    assert of_ridge[0].norm() > 1e-3
    assert (of_errors[0] + of_ridge[0]).norm() < 1e-3 * of_ridge[0].norm()
    assert of_errors[1].norm() < 1e-3 * of_ridge[0].norm()


def test_it_is_ridge_regression_and_validation_chooses(data, tmp_path):
    """Against least squares with the ridge as further rows, window by window, in numpy."""
    run = trainer(data, tmp_path)
    ClosedForm(data)(run)
    (past, truth), (past_v, truth_v) = batch_of(data.train), batch_of(data.validation)

    def rows(past, truth):
        level = past.mean(dim=1, keepdim=True)
        seen, wanted = (part.transpose(1, 2).flatten(0, 1).double().numpy() for part in (past - level, truth - level))
        return seen, wanted

    seen, wanted = rows(past, truth)
    seen_v, wanted_v = rows(past_v, truth_v)
    errors = []
    for noise in INPUT_NOISES:
        penalty = noise * np.sqrt(seen.var(axis=1).sum())
        left = np.block([[seen, np.ones((len(seen), 1))], [penalty * np.eye(CONTEXT), np.zeros((CONTEXT, 1))]])
        right = np.concatenate([wanted, np.zeros((CONTEXT, HORIZON))])
        best = np.linalg.lstsq(left, right, rcond=None)[0]
        errors.append(np.square(seen_v @ best[:-1] + best[-1] - wanted_v).mean())
        if noise == run.model.config.input_noise:
            np.testing.assert_allclose(run.model.backbone.projection.weight.detach(), best[:-1].T, atol=2e-5)
            np.testing.assert_allclose(run.model.backbone.projection.bias.detach(), best[-1], atol=2e-5)
    assert run.model.config.input_noise == INPUT_NOISES[int(np.argmin(errors))]
    assert 0 < int(np.argmin(errors)) < len(INPUT_NOISES) - 1  # else little is chosen
    np.testing.assert_allclose([ridge.validation_mse for ridge in run.ridges], errors, rtol=1e-5)
    assert run.evaluate()["eval_mse"] == pytest.approx(min(errors), rel=1e-5)


def test_a_stored_teacher_is_as_good_as_a_live_one(data, tmp_path):
    teacher = tiny_teacher("patchtst")
    live = trainer(data, tmp_path, teacher, alpha=0.5, beta=0.0)
    ClosedForm(data)(live)
    args = TimeDistillTrainingArguments(output_dir=str(tmp_path), report_to="none", alpha=0.5, beta=0.0)
    windows = store_signal(teacher, data.train, tmp_path / "signal")
    stored = TimeDistillTrainer(
        model=TimeDistillForPrediction(live.model.config), args=args, **data.for_trainer() | {"train_dataset": windows}
    )
    ClosedForm(data)(stored)
    for name, parameter in live.model.state_dict().items():
        torch.testing.assert_close(stored.model.state_dict()[name], parameter, rtol=1e-4, atol=1e-6)


def test_several_students_of_a_run_are_those_of_runs_of_their_own(data, tmp_path):
    teacher, together = tiny_teacher("patchtst"), ClosedForm(data)
    for normalization, alpha in (("mean", 0.0), ("mean", 0.5), ("last", 0.5), ("last", 2.0)):
        one, other = (
            trainer(data, tmp_path, teacher if alpha else None, normalization, alpha=alpha, beta=0.0) for _ in range(2)
        )
        together(one)
        ClosedForm(data)(other)
        torch.testing.assert_close(one.model.state_dict(), other.model.state_dict())


def test_constant_channels_are_forecast_as_they_are(tmp_path):
    """Nothing can be learnt from them, and with every channel constant there is no noise to hold the map back."""
    values = torch.tensor([[5.0, 3.0]]).repeat(400, 1)
    data = make_windows(Series(values, ("a", "b")), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))
    config = TimeDistillConfig(**data.shape, architecture="linear", revin_affine=False)
    args = TimeDistillTrainingArguments(output_dir=str(tmp_path), disable_tqdm=True, report_to="none")
    model = TimeDistillForPrediction(config)
    ClosedForm(data)(ForecastTrainer(model, args, **data.for_trainer()))
    forecast = model(past_values=data.test[0]["past_values"].unsqueeze(0)).prediction_outputs
    assert torch.equal(forecast, torch.zeros(1, HORIZON, 2))
