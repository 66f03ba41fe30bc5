"""Averaged weights are evaluated, chosen and saved; the raw ones train on, and a resumed run is the same run."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import Trainer, TrainerCallback, set_seed

from tests.conftest import CHANNELS, CONTEXT, HORIZON, WIDTH
from timedistill_hf import (
    ForecastTrainer,
    ForecastTrainingArguments,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
)
from timedistill_hf.errors import InputError
from timedistill_hf.training.derived import derive
from timedistill_hf.training.stages import WEIGHTS, newest_complete_checkpoint, run_stage
from timedistill_hf.training.trainer import REGRESSOR_NAME
from timedistill_hf.training.weight_averaging import RAW_WEIGHTS_FILE, WeightAverage


DECAY = 0.6  # reached after 13 steps of the warm-up
STEPS_PER_EPOCH = 12  # of 177 windows
LAST_WEIGHTS = {"load_best_model_at_end": False, "early_stopping_patience": 0}
FIRST_IS_BEST = {"greater_is_better": True, "early_stopping_patience": 0}  # the error falls from the first epoch on


def new_student():
    """The published student: its batch norms have statistics that are not averaged."""
    set_seed(5)
    config = TimeDistillConfig(
        context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=CHANNELS, hidden_size=WIDTH
    )
    return TimeDistillForPrediction(config)


def arguments(folder, **overrides):
    settings = {
        "num_train_epochs": 3, "per_device_train_batch_size": 16, "learning_rate": 0.01, "weight_averaging": DECAY,
        "save_total_limit": None, "disable_tqdm": True, "report_to": "none",
    }  # fmt: skip
    return TimeDistillTrainingArguments(output_dir=str(folder), **(settings | overrides))


def build(data, folder, teacher=None, model=None, **overrides):
    """A trainer that keeps its raw weights of every step."""
    model = model if model is not None else new_student()
    args = arguments(folder, **overrides)
    sets = {"train_dataset": data.train, "eval_dataset": data.validation}
    recorder = Recorder(model)
    if teacher is None:
        trainer = ForecastTrainer(model, args, callbacks=[recorder], **sets)
    else:
        trainer = TimeDistillTrainer(model, args, teacher=teacher, callbacks=[recorder], **sets)
    return trainer, recorder


class Recorder(TrainerCallback):
    def __init__(self, model):
        self.raw = [copied(dict(model.named_parameters()))]

    def on_step_end(self, args, state, control, model=None, **kwargs):
        own = {name: value for name, value in model.named_parameters() if not name.startswith(REGRESSOR_NAME)}
        self.raw.append(copied(own))


def copied(tensors):
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def averages(raw):
    """By a plain loop in double precision: the average after every step."""
    average = {name: tensor.double() for name, tensor in raw[0].items()}
    found = []
    for step, weights in enumerate(raw[1:], start=1):
        decay = min(DECAY, (1 + step) / (10 + step))
        average = {name: decay * average[name] + (1 - decay) * weights[name].double() for name in average}
        found.append(average)
    return found


def assert_close(found, expected):
    for name, tensor in expected.items():
        assert torch.allclose(found[name].double(), tensor.double(), atol=1e-6), name


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def scores(trainer):
    return [entry["eval_mse"] for entry in trainer.state.log_history if "eval_mse" in entry]


def mse_by_hand(model, windows):
    items = [windows[index] for index in range(len(windows))]
    x, y = (torch.stack([item[key] for item in items]) for key in ("past_values", "future_values"))
    with torch.no_grad():
        return (model.eval()(past_values=x).prediction_outputs - y).square().mean().item()


def checkpoints(folder):
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))


def loaded(folder):
    return TimeDistillForPrediction.from_pretrained(folder)


@pytest.mark.parametrize("accumulation", [1, 3])
def test_the_average_is_that_of_a_plain_loop_and_what_training_ends_with(data, tmp_path, accumulation):
    trainer, recorder = build(data, tmp_path, gradient_accumulation_steps=accumulation, **LAST_WEIGHTS)
    trainer.train()
    assert len(recorder.raw) == 1 + 3 * STEPS_PER_EPOCH // accumulation
    expected = averages(recorder.raw)
    assert_close(trainer.model.state_dict(), expected[-1])
    assert not torch.allclose(
        trainer.model.backbone.trend.encoder.weight, recorder.raw[-1]["backbone.trend.encoder.weight"], atol=1e-4
    )
    for epoch in (1, 2, 3):
        step = epoch * STEPS_PER_EPOCH // accumulation
        checkpoint = tmp_path / f"checkpoint-{step}"
        assert_close(load_file(checkpoint / WEIGHTS), expected[step - 1])
        assert_same(load_file(checkpoint / RAW_WEIGHTS_FILE), recorder.raw[step])


@pytest.mark.parametrize("is_distilled", [False, True])
def test_the_raw_weights_train_as_without_averaging(data, tmp_path, teacher, is_distilled):
    teacher = teacher if is_distilled else None
    trainer, recorder = build(data, tmp_path / "averaged", teacher, **LAST_WEIGHTS)
    trainer.train()
    plain, plain_recorder = build(data, tmp_path / "plain", teacher, weight_averaging=0.0, **LAST_WEIGHTS)
    plain.train()
    for ours, theirs in zip(recorder.raw, plain_recorder.raw, strict=True):
        assert_same(ours, theirs)
    buffers, plain_buffers = dict(trainer.model.named_buffers()), dict(plain.model.named_buffers())
    assert buffers
    assert_same(buffers, plain_buffers)
    if is_distilled:
        assert_same(trainer.regressor.state_dict(), plain.regressor.state_dict())
    own, others = (
        {path.name for path in (tmp_path / name / "checkpoint-36").iterdir()} for name in ("averaged", "plain")
    )
    assert own - others == {RAW_WEIGHTS_FILE}
    assert others <= own


def test_evaluation_scores_the_averaged_weights(data, tmp_path):
    trainer, _ = build(data, tmp_path)
    trainer.train()
    by_hand = [mse_by_hand(loaded(path), data.validation) for path in checkpoints(tmp_path)]
    assert scores(trainer) == pytest.approx(by_hand, rel=1e-5)
    raw = loaded(checkpoints(tmp_path)[-1])
    raw.load_state_dict(load_file(checkpoints(tmp_path)[-1] / RAW_WEIGHTS_FILE), strict=False)
    assert mse_by_hand(raw, data.validation) != pytest.approx(by_hand[-1], rel=1e-4)


@pytest.mark.parametrize("loads_best", [True, False])
def test_the_saved_model_is_the_average_of_the_best_or_the_last_step(data, tmp_path, loads_best):
    trainer, recorder = build(data, tmp_path, load_best_model_at_end=loads_best, **FIRST_IS_BEST)
    trainer.train()
    assert scores(trainer) == sorted(scores(trainer), reverse=True)
    chosen = 0 if loads_best else 2
    assert_close(trainer.model.state_dict(), averages(recorder.raw)[(chosen + 1) * STEPS_PER_EPOCH - 1])
    trainer.save_model(str(tmp_path / "out"))
    assert_same(load_file(tmp_path / "out" / WEIGHTS), load_file(checkpoints(tmp_path)[chosen] / WEIGHTS))
    assert trainer.evaluate()["eval_mse"] == scores(trainer)[chosen]


@pytest.mark.parametrize("is_distilled", [False, True])
@pytest.mark.parametrize("ending", [{}, LAST_WEIGHTS], ids=["best", "last"])
def test_a_resumed_run_is_bit_identical(data, tmp_path, teacher, is_distilled, ending):
    """From a checkpoint within an epoch, while the warm-up still lasts."""
    teacher = teacher if is_distilled else None
    steps = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 8, "save_steps": 8} | ending
    whole, recorder = build(data, tmp_path, teacher, **steps)
    whole.train()
    resumed, resumed_recorder = build(data, tmp_path, teacher, **steps)
    nn.init.zeros_(resumed.model.backbone.trend.encoder.weight)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))
    assert len(resumed_recorder.raw) == 1 + 28
    for ours, theirs in zip(resumed_recorder.raw[1:], recorder.raw[9:], strict=True):
        assert_same(ours, theirs)
    assert_same(resumed.model.state_dict(), whole.model.state_dict())
    assert scores(resumed) == scores(whole)
    if is_distilled:
        assert_same(resumed.regressor.state_dict(), whole.regressor.state_dict())
    if ending:
        assert_close(resumed.model.state_dict(), averages(recorder.raw)[-1])


@pytest.mark.parametrize("loads_best", [True, False])
def test_a_stage_that_was_over_gives_the_same_averaged_model(data, tmp_path, loads_best):
    """Killed after its last checkpoint; then found with that checkpoint's raw weights cut off."""

    def make_trainer(model):
        return build(data, tmp_path, model=model, load_best_model_at_end=loads_best, **FIRST_IS_BEST)[0]

    def stage():
        return run_stage("student", tmp_path, new_student, make_trainer, seed=3).state_dict()

    expected = stage()
    assert_same(expected, load_file(checkpoints(tmp_path)[0 if loads_best else 2] / WEIGHTS))
    (tmp_path / WEIGHTS).unlink()
    assert newest_complete_checkpoint(tmp_path).endswith("checkpoint-36")
    assert_same(stage(), expected)
    (tmp_path / WEIGHTS).unlink()
    raw = tmp_path / "checkpoint-36" / RAW_WEIGHTS_FILE
    raw.write_bytes(raw.read_bytes()[:100])
    assert newest_complete_checkpoint(tmp_path).endswith("checkpoint-24")
    assert_same(stage(), expected)


def test_training_again_begins_a_new_average(data, tmp_path):
    trainer, recorder = build(data, tmp_path, num_train_epochs=1, **LAST_WEIGHTS)
    trainer.train()
    recorder.raw = [copied(dict(trainer.model.named_parameters()))]
    trainer.train()
    assert_close(trainer.model.state_dict(), averages(recorder.raw)[-1])


def test_nothing_is_kept_without_averaging_or_after_training(data, tmp_path):
    trainer, _ = build(data, tmp_path / "off", weight_averaging=0.0)
    assert not [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, WeightAverage)]
    trainer, _ = build(data, tmp_path / "on", num_train_epochs=1)
    trainer.train()
    with torch.no_grad():
        trainer.model.backbone.trend.encoder.weight.zero_()
    assert trainer.evaluate()["eval_mse"] == pytest.approx(mse_by_hand(trainer.model, data.validation), rel=1e-5)


@pytest.mark.parametrize(("saved_with", "resumed_with"), [(0.0, DECAY), (DECAY, 0.0)])
def test_a_checkpoint_of_the_other_kind_is_not_resumed(data, tmp_path, saved_with, resumed_with):
    build(data, tmp_path, num_train_epochs=1, weight_averaging=saved_with)[0].train()
    trainer, _ = build(data, tmp_path, weight_averaging=resumed_with)
    with pytest.raises(InputError, match=f"cannot be resumed with weight_averaging={resumed_with}"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-12"))


@pytest.mark.parametrize("decay", [1, 1.5, -0.1, float("nan")])
def test_a_decay_that_is_none_is_refused(tmp_path, decay):
    with pytest.raises(InputError, match=f"weight_averaging={decay}: expected a number from 0 to below 1"):
        arguments(tmp_path, weight_averaging=decay)


def test_it_is_a_part_of_the_training_procedure(tmp_path):
    """A teacher that names its own learning rate does not take the student's averaging."""
    args = arguments(tmp_path)
    assert derive(args, ForecastTrainingArguments, tmp_path, {}).weight_averaging == DECAY
    assert derive(args, ForecastTrainingArguments, tmp_path, {"learning_rate": 0.1}).weight_averaging == 0


def test_weights_in_shards_are_refused(data, tmp_path, monkeypatch):
    original = Trainer.create_accelerator_and_postprocess

    def sharded(self):
        original(self)
        self.is_fsdp_enabled = True

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "create_accelerator_and_postprocess", sharded)
        with pytest.raises(InputError, match="FSDP and DeepSpeed keep shards: pass --weight_averaging 0"):
            build(data, tmp_path)
