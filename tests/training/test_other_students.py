"""Students of other families under the distillation trainer."""

import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Subset
from transformers import PatchTSMixerConfig, PatchTSMixerForPrediction, PatchTSTConfig, PatchTSTForPrediction, set_seed

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_teacher
from timedistill_hf import (
    Forecaster,
    ForecastTrainer,
    LightTSConfig,
    LightTSForPrediction,
    StudentAdapter,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
)
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.evaluation.evaluate_model import evaluate_model
from timedistill_hf.teachers.loading import load_model


SHAPE = {"context_length": CONTEXT, "prediction_length": HORIZON, "num_input_channels": CHANNELS}


def patchtsmixer(**overrides):
    settings = {"patch_length": 8, "patch_stride": 8, "d_model": 8, "num_layers": 1, "dropout": 0, "head_dropout": 0}
    return PatchTSMixerForPrediction(PatchTSMixerConfig(**(SHAPE | settings | overrides)))


def light_ts(**overrides):
    return LightTSForPrediction(LightTSConfig(**(SHAPE | {"chunk_length": 12, "d_model": 8} | overrides)))


STUDENTS = {"patchtsmixer": patchtsmixer, "light_ts": light_ts}
each_student = pytest.mark.parametrize("name", sorted(STUDENTS))


def new_student(name, **overrides):
    set_seed(5)
    return STUDENTS[name](**overrides)


def arguments(folder, **overrides):
    settings = {"num_train_epochs": 1, "disable_tqdm": True, "report_to": "none", "learning_rate": 0.01}
    return TimeDistillTrainingArguments(output_dir=str(folder), **(settings | overrides))


def missing_data():
    series = synthetic_series(400, CHANNELS)
    series.values[torch.rand(series.values.shape) < 0.1] = torch.nan
    return make_windows(series, CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))


def read(name, student, x, mask):
    """Forecast and feature, written out once more."""
    if name == "light_ts":
        output = student(past_values=x, past_observed_mask=mask)
        return output.prediction_outputs, output.feature
    output = student(past_values=x, observed_mask=mask)
    return output.prediction_outputs, output.last_hidden_state.sum(dim=2) / output.last_hidden_state.shape[2]


def pair(a, b):
    """The multi-scale and the multi-period term along the last dimension."""
    scale = sum(
        (a.unflatten(-1, (-1, 2**m)).mean(-1) - b.unflatten(-1, (-1, 2**m)).mean(-1)).pow(2).mean() for m in range(4)
    )
    log_a, log_b = (torch.fft.rfft(v)[..., 1:].abs().div(0.5).log_softmax(-1) for v in (a, b))
    return scale / 4 + nn.functional.kl_div(log_a, log_b, log_target=True, reduction="sum") / log_a.numel()


@pytest.mark.parametrize("beta", [0.0, 0.4])
@each_student
def test_three_steps_agree_with_a_bare_loop(name, beta, tmp_path):
    """With values missing, so that the mask counts, with and without features."""
    data, teacher = missing_data(), tiny_teacher("itransformer")
    windows = Subset(data.train, range(24))
    student = new_student(name)
    runner = TimeDistillTrainer(
        student,
        arguments(
            tmp_path, alpha=0.6, beta=beta, max_steps=3, per_device_train_batch_size=8, optim="sgd", weight_decay=0.0,
            max_grad_norm=0.0, lr_epoch_decay=1.0, train_sampling_strategy="sequential", eval_strategy="no",
            save_strategy="no", load_best_model_at_end=False, logging_strategy="steps", logging_steps=1,
        ),
        teacher=teacher,
        train_dataset=windows,
    )  # fmt: skip
    assert (runner.regressor is None) == (beta == 0)
    start = {} if beta == 0 else {key: tensor.clone() for key, tensor in runner.regressor.state_dict().items()}
    runner.train()

    other = new_student(name).train()
    parameters = list(other.parameters())
    if beta:
        width = start["0.weight"].shape[0]
        regressor = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width))
        regressor.load_state_dict(start)
        parameters += regressor.parameters()
    optimizer, losses = torch.optim.SGD(parameters, lr=0.01), []
    for batch in DataLoader(windows, batch_size=8):
        x, mask, y, known = (
            batch[key] for key in ("past_values", "past_observed_mask", "future_values", "future_observed_mask")
        )
        with torch.no_grad():
            taught = teacher.model(past_values=x, past_observed_mask=mask)
        forecast, feature = read(name, other, x, mask)
        loss = (forecast - y)[known].pow(2).mean()
        loss = loss + 0.6 * pair(forecast.transpose(1, 2), taught.prediction_outputs.transpose(1, 2))
        if beta:
            loss = loss + beta * pair(feature, regressor(taught.last_hidden_state))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    logged = [entry["loss"] for entry in runner.state.log_history if "loss" in entry]
    assert logged == pytest.approx(losses, rel=1e-4)
    for (key, ours), theirs in zip(student.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5), key


@each_student
def test_the_mask_of_the_history_counts_in_every_use(name, tmp_path):
    """A model that takes any keyword leaves out a mask under another name without a word."""
    data, student = missing_data(), new_student(name).eval()
    item = {key: value.unsqueeze(0) for key, value in data.test[0].items()}
    x, mask = item["past_values"], item["past_observed_mask"]
    expected, _ = read(name, student, x, mask)
    assert not torch.allclose(expected, read(name, student, x, torch.ones_like(mask))[0])
    score = evaluate_model(student, data, Subset(data.test, [0]))
    known = item["future_observed_mask"]
    assert score["mse"] == pytest.approx((expected - item["future_values"])[known].pow(2).mean().item(), rel=1e-5)
    trainer = ForecastTrainer(student, arguments(tmp_path), eval_dataset=Subset(data.test, [0]))
    assert trainer.evaluate()["eval_mse"] == pytest.approx(score["mse"], rel=1e-5)


@each_student
def test_it_is_saved_resumed_scored_and_served(name, data, tmp_path):
    def run(folder):
        runner = TimeDistillTrainer(
            new_student(name),
            arguments(folder, num_train_epochs=2, save_total_limit=None),
            teacher=tiny_teacher("itransformer"),
            **data.for_trainer(),
        )
        assert runner.regressor is not None
        return runner

    whole = run(tmp_path / "whole")
    whole.train()
    run(tmp_path / "cut").train()
    first = min((tmp_path / "cut").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    resumed = run(tmp_path / "cut")
    resumed.train(resume_from_checkpoint=str(first))
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)

    whole.save_model(str(tmp_path / "student"))
    assert set(load_file(tmp_path / "student/model.safetensors")) == set(new_student(name).state_dict())
    loaded, role = load_model(tmp_path / "student")
    assert role == "student"
    score = evaluate_model(loaded, data, data.test)
    assert score["mse"] == pytest.approx(whole.evaluate(data.test)["eval_mse"], rel=1e-5)
    history = data.series.values[-CONTEXT:]
    forecast = Forecaster.from_pretrained(str(tmp_path / "student")).predict(history)
    assert forecast.shape == (HORIZON, CHANNELS)


@each_student
def test_distillation_brings_it_nearer_to_the_teacher(name, data, tmp_path):
    teacher = tiny_teacher("itransformer")
    x = torch.stack([data.validation[index]["past_values"] for index in range(len(data.validation))])
    taught, distances = teacher(past_values=x).prediction_outputs, {}
    for alpha in (0.0, 20.0):
        student = new_student(name)
        args = arguments(tmp_path / str(alpha), alpha=alpha, beta=0.0, num_train_epochs=8)
        TimeDistillTrainer(student, args, teacher=teacher, **data.for_trainer()).train()
        forecast = student.eval()(past_values=x).prediction_outputs
        distances[alpha] = (forecast - taught).pow(2).mean().item()
    assert distances[20.0] < 0.7 * distances[0.0]


def test_a_student_without_a_feature_is_trained_on_forecasts(teacher, data, tmp_path, caplog):
    config = PatchTSTConfig(
        **SHAPE, patch_length=8, patch_stride=8, d_model=8, num_attention_heads=2, num_hidden_layers=1, ffn_dim=8
    )
    runner = TimeDistillTrainer(
        PatchTSTForPrediction(config), arguments(tmp_path), teacher=teacher, **data.for_trainer()
    )
    assert "The student has no feature: the feature terms (beta) are off." in caplog.text
    runner.train()
    assert math.isfinite(runner.evaluate()["eval_mse"])


def test_another_reading_of_a_student_can_be_given(teacher, data, tmp_path):
    adapter = StudentAdapter(mask_name="observed_mask", feature=lambda output: output.last_hidden_state.flatten(2))
    runner = TimeDistillTrainer(
        patchtsmixer(), arguments(tmp_path), teacher=teacher, adapter=adapter, **data.for_trainer()
    )
    assert runner.regressor[0].out_features == 6 * 8


def test_students_that_do_not_fit_are_named(teacher, data, tmp_path):
    for student, message in (
        (patchtsmixer(loss="nll"), "forecasts a distribution: build it with loss='mse'"),
        (patchtsmixer(prediction_length=8), r"forecasts \(8, 3\), the truth is \(16, 3\)"),
        (light_ts(num_input_channels=2), "cannot read the training windows: past_values has 48 steps of 3 channels"),
    ):
        with pytest.raises(InputError, match=message):
            TimeDistillTrainer(student, arguments(tmp_path), teacher=teacher, **data.for_trainer())


def test_channels_that_do_not_fit_the_processor_are_named(data, tmp_path):
    two = make_windows(synthetic_series(400, 2), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))
    for student, fits in ((light_ts(), False), (patchtsmixer(), True), (patchtsmixer(mode="mix_channel"), False)):
        student.save_pretrained(tmp_path)
        two.processor.save_pretrained(tmp_path)
        if fits:
            Forecaster.from_pretrained(str(tmp_path))
        else:
            with pytest.raises(InputError, match=r"of 3 channels, its processor .* of 2"):
                Forecaster.from_pretrained(str(tmp_path))
