"""The scripts as a user runs them, on a small CSV."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard

from tests.rounding import trained
from tests.scripts_helper import SCRIPTS, fails, generated_csv, run
from timedistill_hf import Forecaster
from timedistill_hf._utils.run_folder import LOCK, RunFolder
from timedistill_hf.data.sources import load_series
from timedistill_hf.distillation.recipes import with_recipe
from timedistill_hf.training.forecast_trainer import ForecastTrainer


TINY = ["--context_length", "48", "--prediction_length", "16", "--disable_tqdm", "true", "--report_to", "none"]
TINY_TEACHER = ["--teacher_config", '{"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 16}']


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    return generated_csv(tmp_path_factory.mktemp("csv"), 500)


@pytest.fixture(scope="module")
def finished(csv, tmp_path_factory):
    """A finished distillation, run as a command in its own process."""
    folder = tmp_path_factory.mktemp("runs") / "student"
    command = [
        sys.executable, SCRIPTS / "distill.py", "--recipe", "paper",
        "--dataset", csv, "--output_dir", folder, "--hidden_size", "16",
        "--num_train_epochs", "3", "--teacher_epochs", "2", *TINY, *TINY_TEACHER,
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout


def test_distill_writes_results_as_promised(finished, csv):
    folder, printed = finished
    results = json.loads((folder / "results.json").read_text())
    assert set(results["models"]) == {"student", "student_no_kd", "teacher", "linear", "seasonal_naive"}
    for scores in results["models"].values():
        assert {"mse", "mae", "parameters", "milliseconds"} <= set(scores)
        assert set(scores["latency"]) == {"1", "32"}
        assert 0 < scores["latency"]["32"]["low"] <= scores["milliseconds"] <= scores["latency"]["32"]["high"]
        assert {"mae", "rmse", "smape", "mase", "season"} == set(scores["units"])
    assert results["settings"]["seed"] == 42
    assert results["settings"]["dataset"] == str(csv)
    assert results["hardware"]["threads"] >= 1
    assert results["latency"] == {"device": "cpu", "threads": 1, "clock": "processor time"}
    assert results["versions"]["transformers"] != "not installed"
    assert results["data"]["name"] == "mine"
    assert results["data"]["fingerprint"] == load_series(csv).fingerprint()
    assert "MASE" in printed
    for name in ("config.json", "model.safetensors", "preprocessor_config.json", "README.md", "forecast.png"):
        assert (folder / name).is_file(), name
    assert not list(folder.glob(".stage-*"))
    published = [path.name for path in folder.iterdir() if path.is_file()]
    assert not [name for name in published if name.endswith((".bin", ".pt", ".pth", ".pkl"))]


def test_the_card_holds_the_results_and_its_snippet_runs(finished, csv, tmp_path, monkeypatch):
    folder, _ = finished
    card = ModelCard.load(folder / "README.md", ignore_metadata_errors=False)
    results = json.loads((folder / "results.json").read_text())
    assert card.data.pipeline_tag == "time-series-forecasting"
    assert card.data.eval_results[0].metric_value == pytest.approx(results["models"]["student"]["mse"], abs=1e-5)
    snippets = [part.split("```")[0] for part in card.content.split("```python\n")[1:]]
    assert len(snippets) == 2
    monkeypatch.chdir(tmp_path)
    pd.read_csv(csv).to_csv("history.csv", index=False)
    for snippet in snippets:
        assert 'repo = "student"' in snippet
        exec(snippet.replace('repo = "student"', f"repo = {str(folder)!r}"), {})


def test_the_saved_student_serves(finished, csv):
    frame = pd.read_csv(csv)
    forecast = Forecaster.from_pretrained(finished[0]).predict(frame)
    assert len(forecast) == 16
    assert forecast["date"].iloc[0] == pd.Timestamp(frame["date"].iloc[-1]) + pd.Timedelta(hours=1)
    assert np.isfinite(forecast.drop(columns="date").to_numpy()).all()


def test_evaluate_gives_the_same_scores(finished, csv, tmp_path, monkeypatch, capsys):
    folder, _ = finished
    expected = json.loads((folder / "results.json").read_text())["models"]
    for role, model in (("student", folder), ("teacher", folder / "teacher")):
        output = tmp_path / f"{role}.json"
        run(monkeypatch, "evaluate.py", "--model", model, "--dataset", csv, "--output", output)
        scores = json.loads(output.read_text())["models"]
        for name in (role, "seasonal_naive"):
            assert scores[name]["mse"] == pytest.approx(expected[name]["mse"], rel=1e-5)
            assert scores[name]["units"]["mase"] == pytest.approx(expected[name]["units"]["mase"], rel=1e-5)
    assert "In the data's units: MAE" in capsys.readouterr().out
    assert "exists" in fails(
        monkeypatch, capsys, "evaluate.py", "--model", folder, "--dataset", csv, "--output", output
    )


def test_a_trained_teacher_is_taken_from_its_folder(csv, tmp_path, monkeypatch, capsys):
    teacher = tmp_path / "teacher"
    train = ("--dataset", csv, "--output_dir", teacher, "--teacher", "patchtst", "--num_train_epochs", "1", *TINY)
    run(monkeypatch, "train_teacher.py", *train, *TINY_TEACHER)
    assert "test MSE" in capsys.readouterr().out
    assert "holds a teacher already" in fails(monkeypatch, capsys, "train_teacher.py", *train)
    before = (teacher / "model.safetensors").read_bytes()
    settings = tmp_path / "x.yaml"
    settings.write_text(yaml.safe_dump({"controls": ["none"], "max_steps": 2, "hidden_size": 16, "alpha": 0.5}))
    folder = tmp_path / "student"
    command = ("--dataset", csv, "--output_dir", folder, "--teacher", teacher, "--config", settings, *TINY)
    run(monkeypatch, "distill.py", "--recipe", "paper", *command)
    results = json.loads((folder / "results.json").read_text())
    assert set(results["models"]) == {"student", "teacher"}
    assert results["teacher"] == {"name": "patchtst", "source": [str(teacher)], "signal": "stored"}
    assert results["settings"]["alpha"] == 0.5
    assert (teacher / "model.safetensors").read_bytes() == before
    assert "holds results already" in fails(monkeypatch, capsys, "distill.py", "--recipe", "paper", *command)
    run(monkeypatch, "distill.py", "--recipe", "paper", *command, "--overwrite")
    again = json.loads((folder / "results.json").read_text())
    assert again["models"]["student"]["mse"] == trained(results["models"]["student"]["mse"])
    wrong = (*command[:-8], *TINY, "--context_length", "64", "--overwrite")
    assert "has context_length=48, the student and its data 64" in fails(
        monkeypatch, capsys, "distill.py", "--recipe", "paper", *wrong
    )


def test_an_interrupted_run_goes_on_to_the_same_result(finished, csv, tmp_path, monkeypatch, capsys):
    folder, _ = finished
    expected = json.loads((folder / "results.json").read_text())["models"]
    cut = tmp_path / "cut"
    command = (
        "--dataset", csv, "--output_dir", cut, "--hidden_size", "16", "--num_train_epochs", "3", "--teacher_epochs",
        "2", *TINY, *TINY_TEACHER,
    )  # fmt: skip

    class Interrupted(Exception):
        pass

    def interrupt(*args, **kwargs):
        if (cut / "checkpoint-18").exists():
            raise Interrupted

    with monkeypatch.context() as patch:
        from timedistill_hf.training.callbacks import StopOnNaNCallback

        patch.setattr(StopOnNaNCallback, "on_step_begin", interrupt)
        with pytest.raises(Interrupted):
            run(monkeypatch, "distill.py", "--recipe", "paper", *command)
    assert not (cut / "results.json").exists()
    error = fails(monkeypatch, capsys, "distill.py", "--recipe", "paper", *command, "--alpha", "3")
    assert "holds a run with other settings (there -> here): alpha: 1.0 -> 3.0; use the same" in error
    run(monkeypatch, "distill.py", "--recipe", "paper", *command)
    resumed = json.loads((cut / "results.json").read_text())["models"]
    for name in expected:
        assert resumed[name]["mse"] == pytest.approx(expected[name]["mse"], rel=1e-4), name


def test_the_teachers_signal_is_stored_where_it_may_be(finished, csv, tmp_path, monkeypatch, capsys, caplog):
    """Live and stored give the same student; a store of one's own is kept and found by the next run."""
    command = (
        "distill.py", "--recipe", "paper",
        "--dataset", csv, "--teacher", finished[0] / "teacher", "--hidden_size", "16", "--controls",
        "none", "--num_train_epochs", "2", *TINY,
    )  # fmt: skip

    def distill(name, *flags):
        run(monkeypatch, *command, "--output_dir", tmp_path / name, *flags)
        results = json.loads((tmp_path / name / "results.json").read_text())
        return results["teacher"]["signal"], results["models"]["student"]["mse"]

    live = distill("live", "--teacher_signal", "live")
    small = distill("small", "--signal_limit_gb", "0.00001")
    stored = distill("stored")
    assert [signal for signal, _ in (live, small, stored)] == ["live", "live", "stored"]
    assert small[1] == trained(live[1])
    assert stored[1] == pytest.approx(live[1], rel=1e-3)
    assert not (tmp_path / "stored/teacher_signal").exists()
    shared = tmp_path / "shared"
    assert distill("first", "--signal_dir", shared) == ("stored", trained(stored[1]))
    (store,) = shared.iterdir()
    written = (store / "manifest.json").stat().st_mtime_ns
    assert distill("second", "--signal_dir", shared, "--seed", "7")[0] == "stored"
    assert [path.stat().st_mtime_ns for path in shared.glob("*/manifest.json")] == [written]
    error = fails(
        monkeypatch, capsys, *command, "--output_dir", tmp_path / "no", "--teacher_signal", "stored",
        "--signal_limit_gb", "0.00001",
    )  # fmt: skip
    assert "--signal_limit_gb allows 10.0 kB, and the disk of" in error
    assert "raise the limit, name another --signal_dir, or pass --teacher_signal live" in error
    assert not (tmp_path / "no").exists()


def test_an_interrupted_run_with_overwrite_goes_on_too(csv, tmp_path, monkeypatch):
    """SIGTERM in the student's third epoch: the same command, --overwrite in it, does not begin anew."""
    from timedistill_hf.training.trainer import TimeDistillTrainer

    command = (
        "--dataset", csv, "--output_dir", tmp_path, "--hidden_size", "16", "--num_train_epochs", "3",
        "--teacher_epochs", "1", "--controls", "none", "--overwrite", *TINY, *TINY_TEACHER,
    )  # fmt: skip
    steps = []
    original = TimeDistillTrainer.compute_loss

    def counted(self, model, *args, **kwargs):
        if model.training:
            steps.append(self.state.global_step)
            if steps == list(range(20)):
                os.kill(os.getpid(), signal.SIGTERM)
        return original(self, model, *args, **kwargs)

    monkeypatch.setattr(TimeDistillTrainer, "compute_loss", counted)
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, "distill.py", "--recipe", "paper", *command)
    assert caught.value.code == 143
    run(monkeypatch, "distill.py", "--recipe", "paper", *command)
    assert steps == list(range(max(steps) + 1))
    first = json.loads((tmp_path / "results.json").read_text())["models"]["student"]["mse"]
    steps.clear()
    steps.append(-1)
    run(monkeypatch, "distill.py", "--recipe", "paper", *command)  # finished: replaced, from the first step on
    assert steps[1] == 0
    assert json.loads((tmp_path / "results.json").read_text())["models"]["student"]["mse"] == trained(first)


def test_two_runs_in_one_folder_do_not_mix(csv, tmp_path, monkeypatch, capsys):
    command = ("--dataset", csv, "--output_dir", tmp_path / "out", "--max_steps", "1", *TINY, *TINY_TEACHER)
    with RunFolder(tmp_path / "out").locked():
        assert "another run is at work in" in fails(monkeypatch, capsys, "distill.py", "--recipe", "paper", *command)
        assert [path.name for path in (tmp_path / "out").iterdir()] == [LOCK]
    run(monkeypatch, "distill.py", "--recipe", "paper", *command, "--controls", "none")


def test_a_run_is_not_gone_on_with_in_another_way_of_launching(csv, tmp_path, monkeypatch, capsys):
    command = ("--dataset", csv, "--output_dir", tmp_path, "--max_steps", "1", *TINY, *TINY_TEACHER)
    run(monkeypatch, "distill.py", "--recipe", "paper", *command, "--controls", "none")
    (tmp_path / "results.json").unlink()
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    error = fails(monkeypatch, capsys, "distill.py", "--recipe", "paper", *command, "--controls", "none")
    assert "(there -> here): mixed_precision: 'no' -> 'bf16'; use" in error


def test_a_teacher_bound_to_its_channels_wants_them_in_order(csv, tmp_path, monkeypatch, capsys):
    teacher = tmp_path / "teacher"
    run(
        monkeypatch, "train_teacher.py", "--dataset", csv, "--output_dir", teacher, "--teacher", "modern_tcn",
        "--max_steps", "1", *TINY,
    )  # fmt: skip
    columns = list(pd.read_csv(csv).columns[1:])
    command = ("--dataset", csv, "--output_dir", tmp_path / "out", "--teacher", teacher, "--max_steps", "1", *TINY)
    error = fails(
        monkeypatch, capsys, "distill.py", "--recipe", "paper", *command, "--target_columns", *reversed(columns)
    )
    assert "select and order them alike (--target_columns)" in error
    run(monkeypatch, "distill.py", "--recipe", "paper", *command, "--controls", "none", "--split", "0.4,0.3,0.3")
    assert "standardised otherwise" in capsys.readouterr().err


def test_training_that_diverges_says_what_to_do(csv, tmp_path, monkeypatch, capsys):
    command = ("--dataset", csv, "--output_dir", tmp_path / "out", "--learning_rate", "1e30", *TINY, *TINY_TEACHER)
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, "distill.py", "--recipe", "paper", *command, "--max_steps", "3")
    assert caught.value.code == 2
    assert "lower the learning rate" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out/results.json").exists()


def test_a_teacher_without_readable_weights_is_named(finished, csv, tmp_path, monkeypatch, capsys):
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "config.json").write_bytes((finished[0] / "teacher/config.json").read_bytes())
    command = ("--dataset", csv, "--output_dir", tmp_path / "out", "--teacher", teacher, *TINY)
    assert "cannot be loaded as ITransformerForPrediction" in fails(
        monkeypatch, capsys, "distill.py", "--recipe", "paper", *command
    )
    weights = (finished[0] / "teacher/model.safetensors").read_bytes()
    (teacher / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "cannot be loaded as ITransformerForPrediction" in fails(
        monkeypatch, capsys, "distill.py", "--recipe", "paper", *command
    )
    assert not (tmp_path / "out").exists()


def test_overwrite_takes_nothing_along_that_is_not_a_runs(csv, tmp_path, monkeypatch, capsys):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "teacher").mkdir()
    command = ("--dataset", csv, "--output_dir", tmp_path, "--max_steps", "1", *TINY, "--overwrite")
    assert "holds no run" in fails(monkeypatch, capsys, "distill.py", "--recipe", "paper", *command)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "teacher").is_dir()
    assert "is no folder" in fails(
        monkeypatch, capsys, "distill.py", "--recipe", "paper", *command, "--output_dir", csv
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "missing.csv"], "there is no file 'missing.csv'"),
        (["--teacher", "gpt"], "teacher 'gpt' is neither a family"),
        (["--recipe", "secret"], "--recipe 'secret'"),
        (["--alpha", "-1"], "--alpha -1"),
        (["--alpha", "high"], "--alpha"),
        (["--num_scales", "9"], "too short for num_scales=9"),
        (["--moving_average", "4"], "--moving_average 4"),
        (["--split", "1,2"], "split '1,2'"),
        (["--teacher_config", '{"wheels": 4}'], "no configuration field 'wheels'"),
        (["--context_length", "5000"], "train has"),
        (["--push_to_hub", "true"], "no licence is known of it"),
        (
            ["--push_to_hub", "true", "--hub_license", "mit"],
            "'out' cannot be published: the Hub may not be asked; unset HF_HUB_OFFLINE",
        ),
        (["--resume_from_checkpoint", "x"], "a run resumes by itself"),
        (["--eval_strategy", "no"], "load_best_model_at_end"),
    ],
)
def test_bad_input_ends_at_once_with_one_line(csv, tmp_path, monkeypatch, capsys, flags, message):
    folder = tmp_path / "out"
    arguments = ["--dataset", csv, *TINY, "--max_steps", "1", "--output_dir", folder, *TINY_TEACHER]
    if flags[0] == "--teacher_config":
        arguments = arguments[:-2]
    if flags[0] == "--teacher":
        arguments = arguments[:-2]
    assert message in fails(monkeypatch, capsys, "distill.py", "--recipe", "paper", *arguments, *flags)
    assert not (folder / "results.json").exists()


@pytest.mark.parametrize(
    ("flags", "batch", "strategy"),
    [
        (["--step_limit", "3"], 107, "steps"),
        (["--step_limit", "3", "--per_device_train_batch_size", "8"], 8, "steps"),
        (["--eval_strategy", "epoch", "--save_strategy", "epoch", "--num_train_epochs", "1"], 107, "epoch"),
    ],
)
def test_a_flag_takes_the_place_of_what_the_recipe_says(csv, tmp_path, monkeypatch, flags, batch, strategy):
    trained = []
    train = ForecastTrainer.train
    monkeypatch.setattr(
        ForecastTrainer, "train", lambda self, *a, **k: trained.append(self.args) or train(self, *a, **k)
    )
    run(
        monkeypatch, "distill.py", "--dataset", csv, "--output_dir", tmp_path / "run", *TINY, "--members", "linear",
        "--teacher_weights", "0,0", "--teacher", "patchtst", "--controls", "none", *flags,
    )  # fmt: skip
    args = trained[-1]
    assert (args.per_device_train_batch_size, args.eval_strategy) == (batch, strategy)


def test_the_paper_recipe_takes_two_teachers(csv, tmp_path, monkeypatch):
    known = {"recipe": "paper", "dataset": "etth2", "teacher": ["itransformer", "patchtst"]}
    assert "teacher_config" not in with_recipe(known)
    assert with_recipe(known | {"teacher": ["itransformer"]})["teacher_config"] == {"d_model": 128, "ffn_dim": 128}
