"""Killed again and again, a run ends as if it had never been: teacher, stored signal, student and controls."""

import json
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.killed import run_and_kill
from tests.scripts_helper import generated_csv
from timedistill_hf._utils.run_folder import LOCK


FLAGS = [
    "--recipe", "paper",
    "--context_length", "48", "--prediction_length", "16", "--hidden_size", "16", "--disable_tqdm", "true",
    "--report_to", "none", "--controls", "student_no_kd", "--teacher_epochs", "2", "--num_train_epochs", "6",
    "--early_stopping_patience", "2", "--teacher_config",
    '{"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 16}',
]  # fmt: skip
KINDS = ("model.safetensors", "teacher/model.safetensors", "controls/student_no_kd/model.safetensors")


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    return generated_csv(tmp_path_factory.mktemp("csv"), 400)


def run(csv, folder: Path, phase: str, fatal: int) -> subprocess.CompletedProcess:
    log = folder.parent / f"{folder.name}-log"
    return run_and_kill(log, phase, fatal, "--dataset", csv, "--output_dir", folder, *FLAGS)


@pytest.fixture(scope="module")
def uninterrupted(csv, tmp_path_factory):
    """The folder of a run that nothing happened to, and how many events each of its phases had."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = run(csv, folder, "any", 0)
    assert done.returncode == 0, done.stderr[-3000:]
    events = json.loads((folder.parent / "whole-log/events.json").read_text())
    assert min(events[phase] for phase in ("teacher", "store", "student")) > 50
    return folder, events


def kill_and_resume(csv, folder: Path, uninterrupted, phase: str, kills: int, rng: random.Random) -> int:
    """Kill the run of that folder up to `kills` times in that phase, then let it end; gives how many there were."""
    expected, events = uninterrupted
    killed = 0
    while True:
        fatal = rng.randrange(1, events[phase] // 2) if killed < kills else 0
        done = run(csv, folder, phase, fatal)
        if done.returncode == 0 or "holds results already" in done.stderr:  # killed after its last act
            break
        assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
        killed += 1
    for kind in KINDS:
        assert (folder / kind).read_bytes() == (expected / kind).read_bytes(), kind
    scores, others = (json.loads((path / "results.json").read_text())["models"] for path in (folder, expected))
    for name in others:
        assert scores[name]["mse"] == others[name]["mse"], name
    leftovers = [path for path in folder.rglob("*") if path.name.startswith(".") and path.name != LOCK]
    assert leftovers == []
    return killed


def test_two_kills(csv, tmp_path, uninterrupted):
    rng = random.Random(20)
    assert kill_and_resume(csv, tmp_path / "cut", uninterrupted, "any", 2, rng) == 2


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["teacher", "store", "student"])
def test_ten_kills(csv, tmp_path, uninterrupted, phase):
    """Ten in each phase; a run that gets through it is followed by a fresh one."""
    rng = random.Random(phase)
    killed = runs = 0
    while killed < 10:
        killed += kill_and_resume(csv, tmp_path / str(runs), uninterrupted, phase, 10 - killed, rng)
        runs += 1
