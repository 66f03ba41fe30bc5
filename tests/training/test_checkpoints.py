"""Going on from a checkpoint: of this training and whole, or one line that says what it is not."""

import json
import logging
import os
import shutil

import pytest
import torch

from tests.conftest import tiny_patchtst
from timedistill_hf import (
    ForecastTrainer,
    ForecastTrainingArguments,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
)
from timedistill_hf._utils.errors import InputError
from timedistill_hf.teachers import Teacher, get_family


STEPS = {
    "save_strategy": "steps", "eval_strategy": "no", "save_steps": 2, "load_best_model_at_end": False,
    "report_to": "none", "disable_tqdm": True, "save_total_limit": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The folder of four steps with a checkpoint at every second one, by beta."""
    folders = {beta: tmp_path_factory.mktemp("trained") / "run" for beta in (0.0, 1.0)}
    for beta, folder in folders.items():
        trainer(data, folder, beta=beta).train()
    return folders


def trainer(data, folder, steps=4, hidden_size=16, **arguments):
    config = TimeDistillConfig(**data.shape, hidden_size=hidden_size)
    args = TimeDistillTrainingArguments(str(folder), max_steps=steps, **STEPS | arguments)
    teacher = Teacher(tiny_patchtst(), get_family("patchtst"))
    return TimeDistillTrainer(TimeDistillForPrediction(config), args, teacher=teacher, **data.for_trainer())


def refusal(trainer, checkpoint=True) -> str:
    with pytest.raises(InputError) as caught:
        trainer.train(resume_from_checkpoint=checkpoint)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(("before", "changes", "said"), [
    (1.0, {"beta": 0.0}, ("with beta=1.0, this training has beta=0.0",)),
    (0.0, {"beta": 1.0}, ("with beta=0.0, this training has beta=1.0",)),
    (1.0, {"beta": 1.0, "alpha": 3.0, "temperature": 0.7}, ("alpha=", "temperature=", "alpha=3.0, temperature=0.7")),
    (0.0, {"beta": 0.0, "optim": "sgd"}, ("optim=", "sgd")),
    (0.0, {"beta": 0.0, "learning_rate": 0.5}, ("learning_rate=0.001", "learning_rate=0.5")),
    (0.0, {"beta": 0.0, "loss": "mae"}, ("loss=mse", "loss=mae")),
    (0.0, {"beta": 0.0, "per_device_train_batch_size": 5}, ("per_device_train_batch_size=5",)),
    (0.0, {"beta": 0.0, "hidden_size": 8}, ("is of another model", "(16, 16)", "(16, 8)")),
], ids=lambda value: str(value)[:40])  # fmt: skip
@pytest.mark.parametrize("asked", ["newest", "named"])
def test_another_training_is_named(data, trained, tmp_path, before, changes, said, asked):
    folder = shutil.copytree(trained[before], tmp_path / "run")
    where = True if asked == "newest" else str(folder / "checkpoint-2")
    line = refusal(trainer(data, folder, steps=6, **changes), where)
    for part in said:
        assert part in line


def test_a_longer_training_goes_on(data, trained, tmp_path):
    folder = shutil.copytree(trained[1.0], tmp_path / "run")
    longer = trainer(data, folder, steps=6, beta=1.0, save_steps=3, logging_steps=1)
    longer.train(resume_from_checkpoint=True)
    assert longer.state.global_step == 6
    assert (folder / "checkpoint-6").is_dir()


def test_weights_alone_cannot_be_gone_on_from(data, tmp_path):
    trainer(data, tmp_path, beta=0.0, save_only_model=True).train()
    for where in (True, str(tmp_path / "checkpoint-4")):
        assert "save_only_model" in refusal(trainer(data, tmp_path, steps=6, beta=0.0), where)


def test_nothing_to_go_on_from(data, tmp_path):
    assert "there is none" in refusal(trainer(data, tmp_path))
    assert "no such folder" in refusal(trainer(data, tmp_path), str(tmp_path / "checkpoint-9"))


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def emptied(path):
    path.write_bytes(b"")


def garbled(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = b"#" * 64
    path.write_bytes(bytes(content))


def removed(path):
    path.unlink()


FILES = ["optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "model.safetensors"]
DAMAGE = [(name, damage) for name in FILES for damage in (cut, emptied, garbled, removed)]
# of the weights' values there is no checksum; the stock Trainer goes on without a scheduler's state
DAMAGE = [case for case in DAMAGE if case not in [("model.safetensors", garbled), ("scheduler.pt", removed)]]


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_checkpoint_is_passed_over_or_one_line(data, trained, tmp_path, name, damage, caplog):
    """The one before it is gone on from; where there is none, or it is named, that is an error."""
    folder = shutil.copytree(trained[0.0], tmp_path / "run")
    damage(folder / "checkpoint-4" / name)
    assert "checkpoint-4" in refusal(trainer(data, folder, steps=4, beta=0.0), str(folder / "checkpoint-4"))
    goes_on = trainer(data, folder, steps=4, beta=0.0)
    with caplog.at_level(logging.WARNING):
        goes_on.train(resume_from_checkpoint=True)
    assert "checkpoint-4 is not used: " in caplog.text
    assert goes_on.state.global_step == 4
    damage(folder / "checkpoint-2" / name)
    shutil.rmtree(folder / "checkpoint-4")
    assert "no checkpoint" in refusal(trainer(data, folder, steps=4, beta=0.0))


@pytest.mark.parametrize("content", [
    "[]", "null", "{}", '{"global_step": "x"}', "[" * 100_000, '{"log_history": 3, "stateful_callbacks": 7}',
    json.dumps({"best_metric": {}}), "\x00",
], ids=lambda content: content[:20])  # fmt: skip
def test_a_state_that_is_none(data, trained, tmp_path, content):
    folder = shutil.copytree(trained[0.0], tmp_path / "run")
    (folder / "checkpoint-4" / "trainer_state.json").write_text(content)
    line = refusal(trainer(data, folder, steps=4, beta=0.0), str(folder / "checkpoint-4"))
    assert "trainer_state.json is damaged" in line


def test_a_plain_training_too(data, tmp_path):
    def plain(**arguments):
        args = ForecastTrainingArguments(str(tmp_path), max_steps=4, **STEPS | arguments)
        return ForecastTrainer(tiny_patchtst(), args, **data.for_trainer())

    plain().train()
    assert "learning_rate=0.5" in refusal(plain(learning_rate=0.5))
    weights = torch.load(tmp_path / "checkpoint-4" / "optimizer.pt", weights_only=True)
    weights["param_groups"][0]["params"].pop()
    torch.save(weights, tmp_path / "checkpoint-4" / "optimizer.pt")
    assert "cannot be resumed" in refusal(plain(), str(tmp_path / "checkpoint-4"))
