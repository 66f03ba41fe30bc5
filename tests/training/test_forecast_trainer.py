import json

import pytest
import torch
from torch.utils.data import Subset

from tests.conftest import CHANNELS, CONTEXT, HORIZON
from timedistill_hf import ForecastTrainer, ForecastTrainingArguments, TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.data.series import Series


def arguments(folder, **overrides):
    settings = {"num_train_epochs": 2, "per_device_eval_batch_size": 7, "disable_tqdm": True, "report_to": "none"}
    return ForecastTrainingArguments(output_dir=str(folder), **(settings | overrides))


def trainer(student, data, folder, **overrides):
    return ForecastTrainer(
        model=student,
        args=arguments(folder, **overrides),
        train_dataset=data.train,
        eval_dataset=data.validation,
        processing_class=data.processor,
    )


def by_hand(model, windows):
    items = [windows[index] for index in range(len(windows))]
    batch = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    target, observed = batch.pop("future_values"), batch.pop("future_observed_mask", None)
    with torch.no_grad():
        error = model.eval()(**batch).prediction_outputs - target
    error = error if observed is None else error[observed]
    return error.square().mean().item(), error.abs().mean().item()


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_evaluation_is_exact_over_a_ragged_last_batch(student, data, tmp_path, loss):
    assert len(data.validation) % 7 != 0
    metrics = trainer(student, data, tmp_path, loss=loss).evaluate()
    mse, mae = by_hand(student, data.validation)
    assert metrics["eval_mse"] == pytest.approx(mse, rel=1e-5)
    assert metrics["eval_mae"] == pytest.approx(mae, rel=1e-5)
    assert metrics["eval_loss"] == metrics[f"eval_{loss}"]


def test_evaluation_keeps_sums_not_forecasts(student, data, tmp_path, monkeypatch):
    evaluator = trainer(student, data, tmp_path)
    kept = []
    loop = evaluator.evaluation_loop

    def spy(*args, **kwargs):
        kept.append(loop(*args, **kwargs))
        return kept[-1]

    monkeypatch.setattr(evaluator, "evaluation_loop", spy)
    evaluator.evaluate(data.test, metric_key_prefix="test")
    assert kept[0].predictions.shape == (len(data.test), 3)


def test_missing_targets_do_not_count(tmp_path):
    values = synthetic_series(400, CHANNELS).values.clone()
    values[torch.rand(values.shape) < 0.1] = torch.nan
    data = make_windows(Series(values, ("a", "b", "c")), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))
    model = TimeDistillForPrediction(
        TimeDistillConfig(context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=3, hidden_size=8)
    )
    runner = trainer(model, data, tmp_path, num_train_epochs=1)
    runner.train()
    assert runner.evaluate()["eval_mse"] == pytest.approx(by_hand(model, data.validation)[0], rel=1e-5)


def test_predict_gives_forecasts(student, data, tmp_path):
    prediction = trainer(student, data, tmp_path).predict(data.test).predictions
    assert prediction.shape == (len(data.test), HORIZON, CHANNELS)
    with torch.no_grad():
        expected = student.eval()(past_values=data.test[3]["past_values"][None]).prediction_outputs[0]
    assert torch.allclose(torch.from_numpy(prediction[3]), expected, atol=1e-5)


def test_training_learns_keeps_the_best_and_leaves_no_pickle(student, data, tmp_path):
    runner = trainer(student, data, tmp_path / "run", num_train_epochs=6, learning_rate=0.01)
    before = runner.evaluate()["eval_mse"]
    runner.train()
    history = [entry["eval_mse"] for entry in runner.state.log_history if "eval_mse" in entry][1:]
    after = runner.evaluate()["eval_mse"]
    assert after < 0.9 * before
    assert after == pytest.approx(min(history), rel=1e-6)
    runner.save_model(str(tmp_path / "out"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "training_args.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".pth"))]
    assert json.loads((tmp_path / "out/training_args.json").read_text())["learning_rate"] == 0.01


def test_the_published_schedule(student, data, tmp_path):
    runner = trainer(
        student, data, tmp_path, num_train_epochs=5, learning_rate=0.01, lr_epoch_decay=0.5, lr_constant_epochs=2,
        eval_strategy="no", save_strategy="no", load_best_model_at_end=False, early_stopping_patience=0,
        logging_strategy="steps", logging_steps=1,
    )  # fmt: skip
    runner.train()
    steps = -(-len(data.train) // 32)
    rates = [entry["learning_rate"] for entry in runner.state.log_history if "learning_rate" in entry]
    assert len(rates) == 5 * steps
    for step, rate in enumerate(rates):
        epoch = step // steps + 1
        assert rate == pytest.approx(0.01 * 0.5 ** max(0, epoch - 2))


@pytest.mark.parametrize("metric", ["eval_mse", "mse"])
def test_early_stopping_counts_evaluations_without_a_better_mse(student, data, tmp_path, metric):
    runner = trainer(
        student, data, tmp_path, num_train_epochs=50, early_stopping_patience=2, learning_rate=0.05,
        metric_for_best_model=metric,
    )  # fmt: skip
    runner.train()
    errors = [entry["eval_mse"] for entry in runner.state.log_history if "eval_mse" in entry]
    best = errors.index(min(errors))
    assert len(errors) == best + 1 + 2 < 50


def test_nan_ends_training_with_an_error(student, data, tmp_path):
    with torch.no_grad():
        student.backbone.trend.encoder.weight[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"nan at step .*: lower the learning rate"):
        trainer(student, data, tmp_path).train()


def test_gradient_accumulation_gives_the_large_batchs_gradient(data, tmp_path):
    weights = []
    for batch, accumulation in ((16, 1), (4, 4)):
        torch.manual_seed(3)
        model = TimeDistillForPrediction(
            TimeDistillConfig(
                context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=None, hidden_size=8,
                hidden_norm="none",
            )
        )  # fmt: skip
        runner = ForecastTrainer(
            model=model,
            args=arguments(
                tmp_path, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation, max_steps=3,
                optim="sgd", eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
            ),
            train_dataset=Subset(data.train, range(64)),
        )  # fmt: skip
        runner.train()
        weights.append(torch.cat([parameter.flatten() for parameter in model.parameters()]))
    assert torch.allclose(*weights, atol=1e-6)
