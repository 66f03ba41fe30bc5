import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import Subset
from transformers import set_seed

from tests.conftest import CHANNELS, CONTEXT, HORIZON, WIDTH, tiny_teacher
from timedistill_hf import (
    ForecastTrainer,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
)
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.objective import TimeDistillObjective
from timedistill_hf.teachers import TeacherSignal
from timedistill_hf.teachers.families.itransformer import ITransformerFamily
from timedistill_hf.training.trainer import REGRESSOR_FILE, build_regressor


def arguments(folder, **overrides):
    settings = {"num_train_epochs": 1, "disable_tqdm": True, "report_to": "none", "learning_rate": 0.01}
    return TimeDistillTrainingArguments(output_dir=str(folder), **(settings | overrides))


def build(student, teacher, data, folder, **overrides):
    return TimeDistillTrainer(
        model=student,
        teacher=teacher,
        args=arguments(folder, **overrides),
        train_dataset=data.train,
        eval_dataset=data.validation,
        processing_class=data.processor,
    )


def new_student(**overrides):
    settings = {"context_length": CONTEXT, "prediction_length": HORIZON, "num_input_channels": CHANNELS}
    set_seed(5)
    return TimeDistillForPrediction(TimeDistillConfig(**(settings | {"hidden_size": WIDTH} | overrides)))


@pytest.mark.parametrize("name", ["patchtst", "itransformer"])
def test_three_steps_agree_with_a_bare_pytorch_loop(name, data, tmp_path):
    """Student, regressor and objective written out once more, without Trainer, Teacher or objective."""
    no_eval = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    windows = Subset(data.train, range(24))
    teacher = tiny_teacher(name)
    student = new_student()
    runner = TimeDistillTrainer(
        model=student,
        teacher=teacher,
        args=arguments(
            tmp_path, alpha=0.6, beta=0.4, max_steps=3, per_device_train_batch_size=8, optim="sgd", weight_decay=0.0,
            max_grad_norm=0.0, lr_epoch_decay=1.0, train_sampling_strategy="sequential", **no_eval,
        ),
        train_dataset=windows,
    )  # fmt: skip
    regressor_start = {key: tensor.clone() for key, tensor in runner.regressor.state_dict().items()}
    runner.train()

    other = new_student().train()
    feature_size = regressor_start["0.weight"].shape[1]
    regressor = nn.Sequential(nn.Linear(feature_size, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
    regressor.load_state_dict(regressor_start)
    optimizer = torch.optim.SGD([*other.parameters(), *regressor.parameters()], lr=0.01)

    def pair(a, b):
        scale = sum(
            (a.unflatten(-1, (-1, 2**m)).mean(-1) - b.unflatten(-1, (-1, 2**m)).mean(-1)).pow(2).mean()
            for m in range(4)
        )
        log_a, log_b = (torch.fft.rfft(v)[..., 1:].abs().div(0.5).log_softmax(-1) for v in (a, b))
        return scale / 4 + nn.functional.kl_div(log_a, log_b, log_target=True, reduction="sum") / log_a.numel()

    for start in range(0, 24, 8):
        items = [windows[index] for index in range(start, start + 8)]
        x, y = (torch.stack([item[key] for item in items]) for key in ("past_values", "future_values"))
        with torch.no_grad():
            taught = teacher.model(past_values=x).prediction_outputs
            if name == "patchtst":
                feature = teacher.model.model(past_values=x).last_hidden_state.flatten(2)
            else:
                feature = teacher.model(past_values=x).last_hidden_state
        output = other(past_values=x)
        loss = (output.prediction_outputs - y).pow(2).mean()
        loss = loss + 0.6 * pair(output.prediction_outputs.transpose(1, 2), taught.transpose(1, 2))
        loss = loss + 0.4 * pair(output.feature, regressor(feature))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for (key, ours), theirs in zip(student.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6), key
    for ours, theirs in zip(runner.regressor.parameters(), regressor.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert not torch.equal(runner.regressor[0].weight, regressor_start["0.weight"])


def test_without_weights_it_is_plain_training(teacher, data, tmp_path):
    distilled, plain = new_student(), new_student()
    build(distilled, teacher, data, tmp_path / "a", alpha=0, beta=0).train()
    ForecastTrainer(
        model=plain, args=arguments(tmp_path / "b"), train_dataset=data.train, eval_dataset=data.validation
    ).train()
    for ours, theirs in zip(distilled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_teacher_does_not_run_in_evaluation_and_learns_nothing(student, teacher, data, tmp_path):
    runner = build(student, teacher, data, tmp_path)
    before = {key: tensor.clone() for key, tensor in teacher.state_dict().items()}
    calls = []
    teacher.register_forward_hook(lambda *_: calls.append(teacher.training))
    runner.evaluate()
    assert calls == []
    runner.processing_class = None
    runner.train()
    assert len(calls) == -(-len(data.train) // 32)
    assert not any(calls)
    assert all(torch.equal(before[key], tensor) for key, tensor in teacher.state_dict().items())


def test_the_regressor_trains_and_is_in_no_saved_weights(student, teacher, data, tmp_path):
    names = set(student.state_dict())
    runner = build(student, teacher, data, tmp_path)
    start = runner.regressor[0].weight.clone()
    runner.train()
    assert not torch.equal(runner.regressor[0].weight, start)
    assert set(student.state_dict()) == names
    checkpoint = next(tmp_path.glob("checkpoint-*"))
    assert set(load_file(checkpoint / "model.safetensors")) == names
    assert set(load_file(checkpoint / REGRESSOR_FILE)) == set(runner.regressor.state_dict())
    runner.save_model(str(tmp_path / "out"))
    assert set(load_file(tmp_path / "out/model.safetensors")) == names


def test_all_terms_are_logged_by_name_and_add_up(student, teacher, data, tmp_path):
    runner = build(student, teacher, data, tmp_path, alpha=0.5, beta=0.25)
    runner.train()
    logs = next(entry for entry in runner.state.log_history if "loss_supervised" in entry)
    total = (
        logs["loss_supervised"]
        + 0.5 * (logs["loss_prediction_scale"] + logs["loss_prediction_period"])
        + 0.25 * (logs["loss_feature_scale"] + logs["loss_feature_period"])
    )
    assert logs["loss"] == pytest.approx(total, rel=1e-5)


class Absolute(TimeDistillObjective):
    """Another distance over the scales, and none over the periods."""

    def scale_distance(self, student, teacher, dim, kind):
        return (student - teacher).abs().mean()


def plain_distance(prediction, target, teacher_prediction, **others):
    """The same as a function."""
    supervised, distance = (prediction - target).square().mean(), (prediction - teacher_prediction).abs().mean()
    return {"supervised": supervised, "distance": distance, "loss": supervised + 0.5 * distance}


def test_an_objective_of_ones_own(teacher, data, tmp_path):
    """A subclass and a function that say the same train to the same weights, and the terms are logged by name."""
    own = {"subclass": Absolute(alpha=0.5, beta=0, period_weight=0), "function": plain_distance}
    weights, names = [], []
    for name, objective in own.items():
        trainer = TimeDistillTrainer(
            model=new_student(),
            teacher=teacher,
            args=arguments(tmp_path / name, beta=0, max_steps=3),
            objective=objective,
            **data.for_trainer(),
        )
        trainer.train()
        weights.append(torch.cat([value.flatten() for value in trainer.model.parameters()]))
        names.append({name for row in trainer.state.log_history for name in row if name.startswith("loss_")})
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-7)
    assert names == [{"loss_supervised", "loss_prediction_scale"}, {"loss_supervised", "loss_distance"}]
    plain = build(new_student(), teacher, data, tmp_path / "plain", beta=0, max_steps=3)
    plain.train()
    published = torch.cat([value.flatten() for value in plain.model.parameters()])
    assert not torch.allclose(published, weights[0], rtol=1e-3)


def test_resume_is_bit_identical_with_the_patience_kept(teacher, data, tmp_path):
    settings = {"num_train_epochs": 4, "early_stopping_patience": 3, "save_total_limit": None}
    straight = new_student()
    whole = build(straight, teacher, data, tmp_path / "whole", **settings)
    whole.train()

    first = build(new_student(), teacher, data, tmp_path / "cut", **settings)
    first.train()
    checkpoint = sorted((tmp_path / "cut").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))[1]
    set_seed(999)
    resumed = new_student()
    runner = build(resumed, teacher, data, tmp_path / "cut", **settings)
    runner.train(resume_from_checkpoint=str(checkpoint))
    for ours, theirs in zip(resumed.parameters(), straight.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(runner.regressor.parameters(), whole.regressor.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert runner.state.stateful_callbacks["ValidationEarlyStopping"]["args"]["early_stopping_patience"] == 3


def test_a_checkpoint_without_its_regressor_is_refused(student, teacher, data, tmp_path):
    build(student, teacher, data, tmp_path).train()
    checkpoint = next(tmp_path.glob("checkpoint-*"))
    (checkpoint / REGRESSOR_FILE).unlink()
    with pytest.raises(InputError, match="was trained without the feature terms"):
        build(new_student(), teacher, data, tmp_path, num_train_epochs=2).train(resume_from_checkpoint=str(checkpoint))


def test_mismatches_stop_before_training(teacher, data, tmp_path):
    other = make_windows(synthetic_series(400, CHANNELS), 24, HORIZON, SplitSpec(rows=(240, 80, 80)))
    with pytest.raises(InputError, match="context_length=48, the student and its data 24"):
        build(new_student(context_length=24), teacher, other, tmp_path)
    two = make_windows(synthetic_series(400, 2), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))
    with pytest.raises(InputError, match="trained on 3 channels, the data have 2"):
        build(new_student(num_input_channels=2), tiny_teacher("patchtst"), two, tmp_path)
    with pytest.raises(
        InputError, match=r"prediction_length=16 is too short for num_scales=5.*lower num_scales to 4, or"
    ):
        build(new_student(), teacher, data, tmp_path, num_scales=5)
    with pytest.raises(InputError, match="hidden_size=4 is too short for num_scales=3"):
        build(new_student(hidden_size=4), teacher, data, tmp_path, num_scales=3)
    build(new_student(hidden_size=4), teacher, data, tmp_path)


@pytest.mark.parametrize("horizon", [2, 3, 6, 7])
def test_a_horizon_below_8_is_taught_on_the_scales_that_fit(horizon, tmp_path):
    """As with that number given: a week of days, half a year of months. One that does not fit is refused."""
    short = make_windows(synthetic_series(400, CHANNELS), CONTEXT, horizon, SplitSpec(rows=(240, 80, 80)))
    teacher, ends = tiny_teacher("patchtst").cut(horizon), []
    for given in ({}, {"num_scales": int(math.log2(horizon))}):
        runner = build(
            new_student(prediction_length=horizon), teacher, short, tmp_path, max_steps=2, eval_strategy="no",
            save_strategy="no", load_best_model_at_end=False, beta=0.0, **given,
        )  # fmt: skip
        runner.train()
        ends.append(torch.cat([parameter.detach().flatten() for parameter in runner.model.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match=rf"={horizon} is too short for num_scales=3, .* lower num_scales to"):
        build(new_student(prediction_length=horizon), teacher, short, tmp_path, num_scales=3)


class FeaturelessFamily(ITransformerFamily):
    def signal(self, model, past_values, past_observed_mask=None, **inputs):
        return TeacherSignal(model(past_values=past_values).prediction_outputs)


def test_without_features_the_feature_terms_switch_off_with_a_word(student, teacher, data, tmp_path, caplog):
    runner = build(new_student(architecture="linear"), teacher, data, tmp_path / "a")
    assert runner.regressor is None
    assert "The student has no feature" in caplog.text
    runner.train()
    teacher.family = FeaturelessFamily()
    runner = build(student, teacher, data, tmp_path / "b")
    assert runner.regressor is None
    assert "The teacher has no feature" in caplog.text
    runner.train()
    logs = next(entry for entry in runner.state.log_history if "loss_supervised" in entry)
    assert "loss_prediction_scale" in logs
    assert "loss_feature_scale" not in logs


def test_missing_values_train(teacher, tmp_path):
    series = synthetic_series(400, CHANNELS)
    series.values[torch.rand(series.values.shape) < 0.1] = torch.nan
    data = make_windows(series, CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))
    runner = build(new_student(), teacher, data, tmp_path)
    runner.train()
    assert math.isfinite(runner.evaluate()["eval_mse"])


def test_a_teacher_on_a_wrong_scale_warns_when_training_starts(student, teacher, data, tmp_path, caplog):
    teacher.family = WrongScaleFamily()
    build(student, teacher, data, tmp_path, beta=0).train()
    assert "may be on another scale" in caplog.text


class WrongScaleFamily(FeaturelessFamily):
    def signal(self, model, past_values, past_observed_mask=None, **inputs):
        return TeacherSignal(model(past_values=past_values).prediction_outputs + 100)


def test_the_regressor_is_the_published_one():
    regressor = build_regressor(11, 5)
    assert [tuple(parameter.shape) for parameter in regressor.parameters()] == [(5, 11), (5,), (5, 5), (5,)]
    assert isinstance(regressor[1], nn.ReLU)
