"""benchmarks/reproduce.py with the real scripts, tiny models and generated data."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.helper import begun
from tests.scripts_helper import fails, generated_csv, run


SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/reproduce.py"
MATRIX = """
blocks:
  main:
    dataset: [{csv}]
    prediction_length: [16]
    seed: [1, 2]
    teachers: [[itransformer]]
    teacher_seed: 1
    flags:
      recipe: paper
      context_length: 48
      hidden_size: 16
      num_train_epochs: 1
      controls: [linear]
      learning_rate: 0.001
    teacher_flags:
      itransformer:
        num_train_epochs: 1
        teacher_config: {{d_model: 8, num_attention_heads: 2, num_hidden_layers: 1, ffn_dim: 16}}
"""
FIRST, SECOND = (f"mine-16-paper-itransformer-seed{seed}" for seed in (1, 2))


@pytest.fixture
def flags(tmp_path):
    matrix = tmp_path / "tiny.yaml"
    matrix.write_text(MATRIX.format(csv=generated_csv(tmp_path, 300)))
    folders = {"--runs_dir": "runs", "--results_dir": "results", "--docs_dir": "docs"}
    return ["--matrix", matrix, *(word for flag, name in folders.items() for word in (flag, tmp_path / name))]


def attempts(folder, name: str) -> int:
    return len(json.loads((folder / f"runs/journals/{name}.json").read_text())["attempts"])


@pytest.mark.slow
def test_killed_and_gone_on_with_then_reported(flags, tmp_path, monkeypatch, capsys):
    command = [sys.executable, SCRIPT, *flags]
    killed = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    script = begun(killed.stdout, SECOND)
    killed.kill()
    killed.wait()
    os.kill(script, signal.SIGKILL)

    kept = (tmp_path / f"results/tiny/{FIRST}.json").read_bytes()
    run(monkeypatch, SCRIPT, *flags, "--dry_run")
    said = capsys.readouterr().out
    assert "1 cells and 0 teachers to do, 1 cells done" in said
    assert f"--output_dir {tmp_path}/runs/cells/{SECOND}" in said
    assert attempts(tmp_path, SECOND) == 1

    run(monkeypatch, SCRIPT, *flags)
    assert f"{SECOND}: done" in capsys.readouterr().out
    assert (tmp_path / f"results/tiny/{FIRST}.json").read_bytes() == kept
    assert [attempts(tmp_path, name) for name in ("teacher-mine-16-itransformer-seed1", FIRST, SECOND)] == [1, 1, 2]
    result = json.loads((tmp_path / f"results/tiny/{SECOND}.json").read_text())
    assert set(result["models"]) == {"student", "teacher", "linear"}
    assert result["settings"]["seed"] == 2
    teacher = json.loads(kept)["models"]["teacher"]
    assert result["models"]["teacher"]["mse"] == pytest.approx(teacher["mse"], rel=1e-6)
    assert not list((tmp_path / "runs/signal/tiny").glob("*/*"))
    assert not list((tmp_path / "runs").rglob("checkpoint-*"))

    run(monkeypatch, SCRIPT, *flags, "--report")
    students = [json.loads((tmp_path / f"results/tiny/{name}.json").read_text()) for name in (FIRST, SECOND)]
    mean = sum(student["models"]["student"]["mse"] for student in students) / 2
    assert f"{mean:.4f}" in (tmp_path / "docs/results.md").read_text()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--only", "etth1*"], "matches no cell"),
        (["--lanes", "0"], "--lanes 0"),
        (["--max_hours", "-1"], "--max_hours -1"),
        (["--lane", "2"], "did you mean 'lanes'"),
        (["--report", "--dry_run"], "exclude each other"),
        (["--report"], "holds no results"),
        (["--matrix", "no.yaml"], "there is no such file"),
    ],
)
def test_errors_are_one_line(flags, monkeypatch, capsys, changed, words):
    assert words in fails(monkeypatch, capsys, SCRIPT, *flags, *changed)


def test_a_data_set_that_is_not_there_is_said_before_anything_runs(flags, tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.csv").unlink()
    assert "mine.csv" in fails(monkeypatch, capsys, SCRIPT, *flags)
    assert not (tmp_path / "runs").exists()


def test_a_failure_is_exit_code_1(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, SCRIPT, *flags)
    assert caught.value.code == 1
    assert "FAILED teacher-mine-16-itransformer-seed1: exit code 1" in capsys.readouterr().out
