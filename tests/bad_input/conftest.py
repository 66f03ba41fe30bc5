"""What all cases share: a good table, good saved models, and the check that a refused command writes nothing."""

import shutil
from pathlib import Path

import pytest
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from tests.bad_input.tables import BASE
from tests.conftest import CONTEXT, HORIZON, tiny_teacher
from tests.scripts_helper import fails
from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.data import load_series, make_windows


LENGTHS = ("--context_length", CONTEXT, "--prediction_length", HORIZON)


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    """A folder with `mine.csv`, and `student`, `itransformer`, `patchtst`: untrained models with their processor."""
    folder = tmp_path_factory.mktemp("saved")
    BASE.to_csv(folder / "mine.csv", index=False)
    data = make_windows(load_series(folder / "mine.csv"), CONTEXT, HORIZON)
    models = {name: tiny_teacher(name).model for name in ("itransformer", "patchtst")}
    models["student"] = TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=16))
    for name, model in models.items():
        model.save_pretrained(folder / name)
        data.processor.save_pretrained(folder / name)
    return folder


@pytest.fixture
def work(saved, tmp_path) -> Path:
    """A copy of `saved` that a case may spoil, in a folder where a run could write."""
    shutil.copytree(saved, tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def command(work):
    """The arguments of a short good run of a script, results in `work/out`; a case adds what is bad about it."""

    def build(script: str) -> list:
        common = ["--dataset", work / "mine.csv"]
        if script == "evaluate.py":
            return [*common, "--model", work / "student", "--output", work / "out.json"]
        common += [*LENGTHS, "--output_dir", work / "out", "--max_steps", 1, "--disable_tqdm", "true"]
        if script == "train_teacher.py":
            return common
        own = ["--recipe", "paper", "--hidden_size", 16, "--controls", "none"]
        return [*common, "--teacher", work / "itransformer", *own]

    return build


@pytest.fixture
def refused(work, command, monkeypatch, capsys):
    """Run a script on bad input: one line, exit code 2, nothing written; gives that line."""

    def check(script: str, *bad, found: tuple[str, ...]) -> str:
        before = _snapshot(work.parent)
        line = fails(monkeypatch, capsys, script, *command(script), *bad)
        assert _snapshot(work.parent) == before
        for part in found:
            assert part in line
        assert "Traceback" not in line
        return line

    return check


def _snapshot(folder: Path) -> dict:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None) for path in folder.rglob("*")
    }


@pytest.fixture(autouse=True)
def _deepspeed_as_before():
    """A refused --deepspeed leaves its settings behind until they are collected, and later models would read them."""
    yield
    unset_hf_deepspeed_config()
