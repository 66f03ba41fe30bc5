"""A run whose student is a combination: what it writes, and that a killed one ends as if it had never been."""

import json
import random
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from tests.killed import run_and_kill
from tests.scripts_helper import fails, generated_csv, run
from timedistill_hf import Forecaster, TimeDistillForPrediction
from timedistill_hf._utils.run_folder import LOCK
from timedistill_hf.cards import student_card
from timedistill_hf.data import load_series, make_windows
from timedistill_hf.evaluation.mixing import convex_weights, error_products


MEMBERS = (
    "linear",
    '{"architecture": "linear", "ridge": true}',
    '{"architecture": "linear", "loss": "mse"}',
    "periodic",
    '{"architecture": "residual", "normalization": "last", "hidden_size": 8}',
)
FORMS = ("linear", "linear ridge", "linear mse", "periodic", "residual last hidden_size=8")
FLAGS = [
    "--recipe", "best", "--context_length", "48", "--prediction_length", "16", "--disable_tqdm", "true",
    "--report_to", "none", "--step_limit", "20", "--num_train_epochs", "2", "--teacher_epochs", "1",
    "--members", *MEMBERS, "--teacher", "patchtst", "itransformer", "--controls", "student_no_kd", "linear",
]  # fmt: skip


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    return generated_csv(tmp_path_factory.mktemp("csv"), 400)


def command(csv, folder: Path, fatal: int = 0) -> subprocess.CompletedProcess:
    return run_and_kill(folder.parent / "log", "any", fatal, "--dataset", csv, "--output_dir", folder, *FLAGS)


@pytest.fixture(scope="module")
def finished(csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = command(csv, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    events = json.loads((folder.parent / "log/events.json").read_text())
    return folder, json.loads((folder / "results.json").read_text()), events, done.stderr


def test_results_hold_every_candidate(finished):
    _, results, _, _ = finished
    assert set(results["models"]) == {
        "student", "student_no_kd", "linear", "teacher", "teacher_patchtst", "teacher_itransformer",
    }  # fmt: skip
    members = list(results["members"].values())
    assert [(member["form"], member["alpha"]) for member in members] == [
        (form, alpha) for form in FORMS for alpha in (0.0, 0.5)
    ]
    assert sum(member["weight"] for member in members) == pytest.approx(1)
    assert all(member["weight_no_kd"] == 0 for member in members if member["alpha"])
    assert sum(member["weight_no_kd"] for member in members) == pytest.approx(1)
    assert results["teacher"]["name"] == "patchtst + itransformer"
    assert sum(results["teacher"]["mix"]["weights"]) == pytest.approx(1)


def test_weights_and_scores_follow_from_the_products(finished):
    _, results, _, _ = finished
    products = {part: torch.tensor(values, dtype=torch.float64) for part, values in results["error_products"].items()}
    members = list(results["members"].values())
    weights = torch.tensor([member["weight"] for member in members], dtype=torch.float64)
    rows = weights.nonzero().flatten().tolist()
    assert 0 < len(rows) < 10
    kinds = [members[row]["kind"] for row in rows]
    free = convex_weights(products["validation"][rows][:, rows], results["settings"]["shrinkage"], kinds)
    assert (free >= 0.02).all()
    torch.testing.assert_close(weights[rows], free)
    assert (weights @ products["test"] @ weights).item() == pytest.approx(
        results["models"]["student"]["mse"], rel=1e-5
    )
    chosen = (weights @ products["validation"] @ weights).item()
    assert results["validation_mse"]["student"] == pytest.approx(chosen, rel=1e-9)
    for index, member in enumerate(members):
        assert member["mse"] == pytest.approx(products["test"][index, index].item())


def test_the_folder_holds_the_folded_student(finished, csv):
    folder, results, _, _ = finished
    student = TimeDistillForPrediction.from_pretrained(folder).eval()
    assert student.num_parameters() == results["models"]["student"]["parameters"]
    assert student.config.architecture != "combination" or len(student.config.members) < 10
    data = make_windows(load_series(csv), 48, 16)
    (error,) = error_products([student], data.test).flatten().tolist()
    assert error == pytest.approx(results["models"]["student"]["mse"], rel=1e-5)
    assert not (folder / "candidates").exists()
    assert len(Forecaster.from_pretrained(folder).predict(load_series(csv).values[-48:].numpy())) == 16


def test_the_table_of_the_choice_is_logged(finished):
    assert "Chosen on validation:" in finished[3]
    assert "residual last hidden_size=8, alpha 0.5" in finished[3]


@pytest.mark.slow
def test_killed_three_times_it_ends_the_same(csv, tmp_path, finished):
    expected, results, events, _ = finished
    rng = random.Random(5)
    folder, kills = tmp_path / "cut", 0
    while True:
        # a quarter each, so that the third comes before the results are there
        done = command(csv, folder, rng.randrange(events["any"] // 10, events["any"] // 4) if kills < 3 else 0)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
        kills += 1
    assert kills == 3
    for kind in ("model.safetensors", "controls/student_no_kd/model.safetensors", "config.json"):
        assert (folder / kind).read_bytes() == (expected / kind).read_bytes(), kind
    again = json.loads((folder / "results.json").read_text())
    assert again["members"] == results["members"]
    assert [path for path in folder.rglob("*") if path.name.startswith(".") and path.name != LOCK] == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--recipe", "paper", "--architecture", "combination"], "needs --members"),
        (["--recipe", "paper", "--members", "linear"], "--members go with --architecture combination"),
        (["--recipe", "paper", "--teacher_weights", "0,0"], "--teacher_weights go with --architecture combination"),
        (["--recipe", "best", "--members", "linear:big"], "members: 'linear:big': "),
        (["--recipe", "best", "--teacher_weights", "half"], "teacher_weights: 'half'"),
        (["--teacher", "patchtst", "patchtst"], "one is named twice"),
        (["--teacher", "patchtst", "itransformer", "--teacher_config", '{"d_model": 8}'], "it is for one family"),
        (
            ["--teacher", "user/a", "user/b", "--teacher_revision", "v1"],
            "--teacher_revision 'v1' with user/a",
        ),
        (["--teacher", "patchtst", "--teacher_revision", "v1"], "goes with a Hub id: patchtst is trained"),
        (["--shrinkage", "-1"], "--shrinkage -1"),
        (["--step_limit", "0"], "--step_limit 0"),
    ],
)
def test_flags_that_do_not_go_together(csv, tmp_path, monkeypatch, capsys, flags, message):
    arguments = ["--dataset", csv, "--output_dir", tmp_path / "run", "--context_length", 48, "--prediction_length", 16]
    assert message in fails(monkeypatch, capsys, "distill.py", *arguments, *flags)
    assert not (tmp_path / "run").exists()


def test_one_pair_without_teacher_needs_no_signal(csv, tmp_path, monkeypatch):
    run(
        monkeypatch, "distill.py", "--dataset", csv, "--output_dir", tmp_path / "run", *FLAGS, "--members", "linear",
        "--teacher_weights", "0,0", "--controls", "student_no_kd", "--teacher", "patchtst",
        "--teacher_config", '{"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1}',
    )  # fmt: skip
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["models"]["student"]["mse"] == pytest.approx(results["models"]["student_no_kd"]["mse"], rel=1e-6)
    assert list(results["members"]) == ["linear-alpha0-beta0"]


def test_the_card_tells_the_members_and_who_taught_them(finished):
    folder, results, _, _ = finished
    text = (folder / "README.md").read_text()
    kept = [member for member in results["members"].values() if member["weight"]]
    for member in kept:
        assert f"| {member['form']} " in text
    taught = sum(member["weight"] for member in kept if member["alpha"])
    said = (
        f"members trained with the teacher have {taught:.0%} of the weight" if taught else "The teacher was not used"
    )
    assert said in text
    alone = {name: member | {"weight": float(not member["alpha"])} for name, member in results["members"].items()}
    card = student_card(results | {"members": alone}, "x/y")
    assert "The teacher was not used" in card.content
    assert "Distilled from" not in card.content
