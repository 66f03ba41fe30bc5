#!/usr/bin/env python
"""What each teacher family costs and gives: 720 -> 96, one distillation a family, with and without the teacher's help.

    python benchmarks/teachers.py --data_dir DIR        # runs what is missing in benchmarks/results/teachers/
    python benchmarks/teachers.py --report              # the table of what is there

A run is one call of scripts/distill.py with recipe `paper`, which is printed: the teacher at its family's small
default size and schedule, then the paper's student, then the same student without the teacher. Interrupted, it goes
on. The report takes milliseconds from benchmarks/results/inference_teachers.json. Other flags are handed on
(`--step_limit 2` for a quick look). A trained teacher, such as a TimesFM folder, is given by `--teachers FOLDER`, a
table of forecasts by its file, several at once with a plus: `--teachers FOLDER+FOLDER`.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tabulate import tabulate

from timedistill_hf._utils.files import write_json
from timedistill_hf.teachers import FAMILIES, trainable_families


ROOT = Path(__file__).resolve().parents[1]
QUIET = ROOT / "benchmarks/results/inference_teachers.json"
SETTINGS = ["--recipe", "paper", "--controls", "student_no_kd", "--seed", "1"]


def result_path(options: argparse.Namespace, teacher: str) -> Path:
    names = "+".join(Path(name).stem for name in teacher.split("+"))
    return options.results / f"{options.dataset}-{names}.json"


def run_missing(options: argparse.Namespace, flags: list[str]) -> None:
    for teacher in options.teachers:
        target = result_path(options, teacher)
        if target.exists():
            print(f"{target} is there")
            continue
        folder = options.runs / target.stem
        command = [sys.executable, ROOT / "scripts/distill.py", "--dataset", options.dataset]
        command += ["--teacher", *teacher.split("+")]
        command += ["--data_dir", options.data_dir] if options.data_dir else []
        command += ["--output_dir", folder, *SETTINGS, *flags]
        print(" ".join(map(str, command)), flush=True)
        if not (folder / "results.json").exists():
            subprocess.run(list(map(str, command)), check=True, cwd=ROOT)
        write_json(target, summary(folder))
        shutil.rmtree(folder)


def summary(folder: Path) -> dict:
    """What the table and a later reader need of a run."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    history = folder / "teacher/history.json"
    log = json.loads(history.read_text(encoding="utf-8")) if history.exists() else []
    seconds = [entry["train_runtime"] for entry in log if "train_runtime" in entry]
    kept = {name: results[name] for name in ("models", "teacher", "data", "settings", "hardware", "versions")}
    return kept | {"teacher_training_seconds": seconds[-1] if seconds else None}


def quiet_milliseconds(teacher: str) -> str:
    """Of 32 windows, from benchmarks/inference.py: in the runs here other work shares the machine. Or nothing."""
    measured = json.loads(QUIET.read_text(encoding="utf-8"))["teachers"]
    members = [measured.get(f"{name}, small") for name in teacher.split(" + ")]
    return "" if None in members else f"{sum(member['ms']['32'] for member in members):.1f}"


def report(results: Path, dataset: str) -> str:
    rows = []
    for path in sorted(results.glob(f"{dataset}-*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        name, seconds = found["teacher"]["name"], found["teacher_training_seconds"]
        teacher, with_kd, without = (found["models"][role] for role in ("teacher", "student", "student_no_kd"))
        rows.append([
            name, *(f"{model['mse']:.4f}" for model in (teacher, with_kd, without)),
            f"{teacher['parameters']:,}" if teacher.get("parameters") else "", f"{with_kd['parameters']:,}",
            quiet_milliseconds(name), "" if seconds is None else f"{seconds:,.0f}",
        ])  # fmt: skip
    headers = [
        "teacher", "its test MSE", "student", "student without it", "parameters", "of the student", "ms / 32 windows",
        "training, s",
    ]  # fmt: skip
    fused = json.loads(QUIET.read_text(encoding="utf-8"))["fused"]["ms"]["32"]
    table = tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 7))
    return f"{table}\n\nThe student takes {fused:.1f} ms for 32 windows."


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--data_dir", help="folder with the benchmark's file")
    parser.add_argument("--dataset", default="etth1")
    parser.add_argument("--teachers", nargs="+", default=trainable_families(), help="families or trained teachers")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/teachers")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/teachers", help="where the runs are while they last")
    parser.add_argument("--report", action="store_true", help="print the table of what is there, run nothing")
    options, flags = parser.parse_known_args()
    for teacher in options.teachers:
        for name in teacher.split("+"):
            if name not in FAMILIES and not Path(name).exists():
                parser.error(
                    f"teacher {name!r}: expected one of {', '.join(trainable_families())}, or a folder or file"
                )
    if not options.report:
        options.results.mkdir(parents=True, exist_ok=True)
        run_missing(options, flags)
    print(report(options.results, options.dataset))


if __name__ == "__main__":
    main()
