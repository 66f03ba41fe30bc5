"""Every documented way of loading as the first thing in a new process; two students, one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.student.models import randomize
from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction

from .models import COLUMNS, LENGTHS, history, processor, save, tiny_student


SCRIPT = Path(__file__).with_name("fresh_process.py")
WAYS = {"hidden": ["pipeline", "pipeline_without_task", "auto_prediction", "auto_config"]}
WAYS["installed"] = [
    "pipeline", "pipeline_of_package", "auto_model", "auto_feature_extractor", "class", "forecaster",
]  # fmt: skip


def combined_student():
    torch.manual_seed(2)
    members = [{"architecture": name} for name in ("linear", "two_branch", "residual", "patch_mixer")]
    config = TimeDistillConfig(
        **LENGTHS, num_input_channels=3, hidden_size=8, architecture="combination", members=members, patch_length=8
    )
    return randomize(TimeDistillForPrediction(config))


STUDENTS = {"paper": tiny_student, "combined": combined_student}


@pytest.fixture(scope="module")
def expected():
    """By name, the forecast of each student in this process, by itself and not fused."""
    raw = torch.from_numpy(history()[COLUMNS].to_numpy(copy=True))
    window = torch.from_numpy(processor()(raw)["past_values"].numpy())
    found = {}
    for name, build in STUDENTS.items():
        with torch.no_grad():
            outputs = build().eval()(past_values=window).prediction_outputs[0]
        found[name] = outputs.double() * torch.tensor(processor().std) + torch.tensor(processor().mean)
    return raw, found


@pytest.fixture(scope="module")
def sources(hub, tmp_path_factory):
    """Both students on the Hub, and in folders of the same name."""
    root, names = tmp_path_factory.mktemp("fresh"), {"hub": [], "folder": []}
    for name, build in STUDENTS.items():
        folder = save(build(), root / name / "student")
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        hub.create(f"user/fresh-{name}").add("main", "student", files)
        names["hub"].append(f"user/fresh-{name}")
        names["folder"].append(str(folder))
    return names


def check(client, home, sources, expected, package, first, *, offline=False):
    """Load in a new process in every way, `first` first, and compare."""
    ways = sorted(WAYS[package], key=lambda way: way != first)
    home.mkdir(exist_ok=True)
    raw, forecasts = expected
    torch.save(raw, home / "history.pt")
    environment = os.environ | client.environment | {"HF_HOME": str(home), "HF_HUB_OFFLINE": str(int(offline))}
    # isolated (-I): neither the working directory nor PYTHONPATH can lend the package
    command = [sys.executable, "-I", str(SCRIPT), "answers.pt", "history.pt", package, ",".join(ways), *sources]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = torch.load(home / "answers.pt", weights_only=True)
    assert answers.keys() == {(way, source) for way in ways for source in sources}
    for (_, source), found in answers.items():
        student = "combined" if "combined" in source else "paper"
        torch.testing.assert_close(found, forecasts[student], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("where", "package", "first", "first_when_cached"),
    [
        ("hub", "hidden", "pipeline", "auto_prediction"),
        ("folder", "hidden", "pipeline_without_task", None),
        ("hub", "installed", "pipeline", "auto_feature_extractor"),
        ("folder", "installed", "forecaster", None),
    ],
)
def test_two_students_in_every_documented_way(
    client, tmp_path, sources, expected, where, package, first, first_when_cached
):
    """With an empty cache, and in the other order, offline, with a full one."""
    check(client, tmp_path / "home", sources[where], expected, package, first)
    if first_when_cached:
        check(client, tmp_path / "home", sources[where][::-1], expected, package, first_when_cached, offline=True)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["hub", "folder"])
@pytest.mark.parametrize(("package", "first"), [(package, way) for package in WAYS for way in WAYS[package]])
def test_every_way_comes_first(client, tmp_path, sources, expected, where, package, first):
    check(client, tmp_path / "home", sources[where], expected, package, first)
    check(client, tmp_path / "home", sources[where], expected, package, first, offline=True)
