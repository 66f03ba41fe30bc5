"""SIGTERM saves and leaves; a resumed run ends bit-identical to one that was never interrupted."""

import os
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from timedistill_hf._utils.errors import Terminated
from timedistill_hf.training import forecast_trainer
from timedistill_hf.training.interruption import SaveOnTerminationCallback
from timedistill_hf.training.stages import newest_complete_checkpoint
from timedistill_hf.training.teacher_training import train_teacher


SMALL = {"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 16}
QUICK = {"num_train_epochs": 3, "disable_tqdm": True, "report_to": "none", "per_device_train_batch_size": 16}
STEPS_PER_EPOCH = 12  # of 177 windows


def train(data, folder, **settings):
    """An iTransformer, whose dropout would show random numbers that are not restored."""
    return train_teacher("itransformer", data, folder, config=SMALL, **(QUICK | settings))


def weights(folder):
    return load_file(folder / "model.safetensors")


def assert_same(folder, expected):
    found = weights(folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


class AtStep(TrainerCallback):
    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            self.act()


@pytest.fixture
def at_step(monkeypatch):
    """Do something in the middle of that step of every training."""

    def install(step, act):
        class Trainer(forecast_trainer.ForecastTrainer):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.add_callback(AtStep(step, act))

        monkeypatch.setattr("timedistill_hf.training.teacher_training.ForecastTrainer", Trainer)

    yield install
    monkeypatch.undo()


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(data, folder, save_total_limit=5)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(finished):
    return weights(finished)


@pytest.mark.parametrize("step", [0, STEPS_PER_EPOCH - 1, STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH + 3, 35])
def test_sigterm_saves_and_the_resumed_run_is_the_same(data, tmp_path, at_step, uninterrupted, step, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    at_step(step, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Terminated, match=f"saved at step {step + 1}") as caught:
        train(data, tmp_path)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "model.safetensors").exists()
    assert newest_complete_checkpoint(tmp_path).endswith(f"checkpoint-{step + 1}")
    monkeypatch.undo()
    torch.manual_seed(99)
    train(data, tmp_path)
    assert_same(tmp_path, uninterrupted)


def test_ctrl_c_in_a_script_does_as_sigterm_and_in_a_notebook_as_ever(data, tmp_path, at_step):
    """A script has a handler of its own; a second Ctrl-C does not wait for the step to end."""
    presses = [1, 2]

    def press():
        for _ in range(presses.pop(0)):
            os.kill(os.getpid(), signal.SIGINT)

    at_step(3, press)
    own = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with pytest.raises(Terminated, match="stopped by Ctrl-C; saved at step 4: the same command goes on") as caught:
            train(data, tmp_path / "one")
        with pytest.raises(Terminated, match="stopped by Ctrl-C; what this step began is lost"):
            train(data, tmp_path / "two")
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert caught.value.code == 130
    assert newest_complete_checkpoint(tmp_path / "one").endswith("checkpoint-4")
    assert newest_complete_checkpoint(tmp_path / "two") is None
    presses.append(1)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "notebook")
    signal.signal(signal.SIGINT, own)


def test_sigterm_after_the_last_checkpoint_is_not_lost(data, tmp_path, monkeypatch):
    original = SaveOnTerminationCallback.on_train_begin

    def asked_at_the_end(self, args, state, control, **kwargs):
        original(self, args, state, control, **kwargs)
        self.on_train_end = lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(SaveOnTerminationCallback, "on_train_begin", asked_at_the_end)
        with pytest.raises(Terminated, match="training was over"):
            train(data, tmp_path, num_train_epochs=1)
    assert not (tmp_path / "model.safetensors").exists()
    train(data, tmp_path, num_train_epochs=1)


@pytest.mark.parametrize(
    "settings",
    [
        {"early_stopping_patience": 2, "learning_rate": 0.5, "num_train_epochs": 20},
        {"max_steps": STEPS_PER_EPOCH + 5},
        {"num_train_epochs": 2},
    ],
    ids=["stopped early", "last step", "last epoch"],
)
def test_a_run_that_was_over_does_not_train_on(data, tmp_path, monkeypatch, settings):
    """Killed after its last checkpoint and before its weights were in place."""
    train(data, tmp_path, **settings)
    expected = weights(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert int(newest_complete_checkpoint(tmp_path).rpartition("-")[2]) < 20 * STEPS_PER_EPOCH
    steps = []
    original = forecast_trainer.ForecastTrainer.training_step
    monkeypatch.setattr(
        forecast_trainer.ForecastTrainer, "training_step", lambda *a, **k: steps.append(1) or original(*a, **k)
    )
    train(data, tmp_path, **settings)
    assert steps == []
    assert_same(tmp_path, expected)


def test_patience_is_kept_over_a_resume(data, tmp_path, at_step, monkeypatch):
    settings = {"early_stopping_patience": 3, "learning_rate": 0.5, "num_train_epochs": 20}
    train(data, tmp_path / "whole", **settings)
    last = int(newest_complete_checkpoint(tmp_path / "whole").rpartition("-")[2])
    at_step(last - STEPS_PER_EPOCH - 4, lambda: os.kill(os.getpid(), signal.SIGTERM))  # within the patience
    with pytest.raises(Terminated):
        train(data, tmp_path / "cut", **settings)
    monkeypatch.undo()
    train(data, tmp_path / "cut", **settings)
    assert int(newest_complete_checkpoint(tmp_path / "cut").rpartition("-")[2]) == last
    assert_same(tmp_path / "cut", weights(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("name", "is_cut"),
    [
        ("model.safetensors", True),
        ("model.safetensors", False),
        ("optimizer.pt", True),
        ("optimizer.pt", False),
        ("rng_state.pth", True),
        ("rng_state.pth", False),
        ("trainer_state.json", True),
        ("trainer_state.json", False),
    ],
)
def test_a_checkpoint_with_a_broken_file_is_not_used(finished, tmp_path, name, is_cut, caplog):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    path = folder / f"checkpoint-{3 * STEPS_PER_EPOCH}" / name
    content = path.read_bytes()
    path.unlink()
    if is_cut:
        path.write_bytes(content[: len(content) // 2])
    assert newest_complete_checkpoint(folder).endswith(f"checkpoint-{2 * STEPS_PER_EPOCH}")
    assert "is not used" in caplog.text


def test_every_process_must_have_saved_its_random_numbers(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for step in (2, 3):
        checkpoint = folder / f"checkpoint-{step * STEPS_PER_EPOCH}"
        for rank in range(step - 1):  # the newest has those of two processes, the one before those of one
            shutil.copy(checkpoint / "rng_state.pth", checkpoint / f"rng_state_{rank}.pth")
    assert newest_complete_checkpoint(folder, world_size=2).endswith(f"checkpoint-{3 * STEPS_PER_EPOCH}")
    (folder / f"checkpoint-{3 * STEPS_PER_EPOCH}/rng_state_1.pth").unlink()
    assert newest_complete_checkpoint(folder, world_size=2) is None
