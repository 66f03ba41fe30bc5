"""Matrices and finished cells made by hand, and scripts that only pretend to train."""

import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.harness.cells import Cell, Places
from benchmarks.harness.matrix import Matrix, load_matrix


MATRIX = """
blocks:
  main:
    dataset: [a, b]
    prediction_length: [16, 8]
    seed: [1, 2]
    teachers: [[patchtst]]
    flags: {recipe: best, context_length: 48}
"""

# what the scripts would leave behind; the data set says how they behave
_PRETENDS = """
import json, os, signal, sys
from pathlib import Path

script = Path(__file__).name
flags, name = {}, None
for word in sys.argv[1:]:
    if word.startswith("--"):
        name = word[2:]
        flags[name] = []
    else:
        flags[name].append(word)
folder, dataset = Path(flags["output_dir"][0]), flags["dataset"][0]
with open(folder.parents[1] / "calls.txt", "a") as calls:
    calls.write(f"{folder.parent.name}/{folder.name}\\n")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if dataset == "bad_teacher" or (dataset == "bad" and script == "distill.py"):
    print("one\\ntwo\\nthe reason")
    raise SystemExit(3)
folder.mkdir(parents=True, exist_ok=True)
if dataset == "slow" and script == "distill.py" and not (folder / "saved").exists():
    ready = folder.parents[1] / "ready"
    if ready.exists() and flags["seed"] == ["1"]:
        ready.write_text("ready\\n")  # a pipe: waits for its reader
    signal.sigwait([signal.SIGTERM])
    (folder / "saved").touch()
    raise SystemExit(143)
(folder / "checkpoint-1").mkdir(exist_ok=True)
if script == "train_teacher.py":
    (folder / "model.safetensors").touch()
else:
    assert all(Path(teacher, "model.safetensors").is_file() for teacher in flags["teacher"])
    signal_dir = Path(flags["signal_dir"][0])
    signal_dir.mkdir(parents=True, exist_ok=True)
    (signal_dir / folder.name).touch()
    stored = len(list(signal_dir.iterdir()))
    about = {"rows": {"train": [0, 100]}, "columns": ["x", "y"], "note": "", "signals": stored}
    score = {"mse": 0.5, "mae": 0.5}
    environment = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MALLOC_TOP_PAD_")}
    results = {"models": {"student": score}, "data": about, "environment": environment}
    (folder / "results.json").write_text(json.dumps(results))
"""


def matrix_of(folder: Path, text: str, name: str = "tiny") -> Matrix:
    (folder / f"{name}.yaml").write_text(text)
    return load_matrix(folder / f"{name}.yaml")


def pretending(folder: Path) -> Places:
    """Places with scripts that do not train."""
    scripts = folder / "scripts"
    scripts.mkdir(exist_ok=True)
    for name in ("distill.py", "train_teacher.py"):
        (scripts / name).write_text(_PRETENDS)
    return Places(scripts, folder / "runs", folder / "results/tiny")


def calls(places: Places) -> list[str]:
    """`cells/NAME` or `teachers/NAME` for every script that was started."""
    path = places.runs / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


def begun(lines: Iterable[str], name: str) -> int:
    """The process of a step, as soon as a session says that it has begun."""
    for line in lines:
        if f" {name}: begun" in line:
            return int(line.split("process ")[1].split(",")[0])
    raise AssertionError(f"{name} never began")


def finished(cell: Cell, folder: Path, mse: dict[str, float], **content) -> None:
    """Write the results of a cell as the harness would, with these test errors; MAE is twice the MSE."""
    models = {role: {"mse": value, "mae": 2 * value} for role, value in mse.items()}
    about = {"name": cell.name, "block": cell.block, "variant": cell.variant, "base": cell.base}
    results = {
        "cell": cell.identity() | about,
        "command": ["python", "scripts/distill.py", "--dataset", cell.dataset, "--data_dir", "/secret/place"],
        "teacher_commands": {t.name: ["python", "scripts/train_teacher.py", t.family] for t in cell.teachers},
        "seconds": 10.0,
        "threads": 1,
        "git_commit": "0123456789abcdef-dirty",
        "models": models,
        "data": {"rows": {"train": [0, 1000]}, "columns": ["x", "y"], "note": ""},
        "settings": {"context_length": 720},
        "versions": {"torch": "2.0"},
        "hardware": {"device": "cpu"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{cell.name}.json").write_text(json.dumps(results | content))
