#!/usr/bin/env python
"""Does a student need every patch of its teacher's feature? Flattened, mean and last, on ETTh1, 720 -> 96.

    python benchmarks/pooling.py --data_dir DIR        # runs what is missing in benchmarks/results/pooling/
    python benchmarks/pooling.py --report              # the table of what is there

A run is one call of scripts/distill.py with recipe `paper`, which is printed: one trained teacher for all of them (a
PatchTST of its family's default size is trained where --teacher gives no folder), three seeds for each pooling.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from tabulate import tabulate

from timedistill_hf._utils.files import write_json
from timedistill_hf.teachers.signal import POOLINGS


ROOT = Path(__file__).resolve().parents[1]
SEEDS = (1, 2, 3)


def call(script: str, options: argparse.Namespace, *flags: str | Path) -> None:
    command = [sys.executable, ROOT / "scripts" / script, "--dataset", "etth1", *flags]
    command += ["--data_dir", options.data_dir] if options.data_dir else []
    print(" ".join(map(str, command)), flush=True)
    subprocess.run(list(map(str, command)), check=True, cwd=ROOT)


def run_missing(options: argparse.Namespace) -> None:
    teacher = options.teacher
    for seed in SEEDS:
        for pooling in POOLINGS:
            target = options.results / f"{pooling}-seed{seed}.json"
            if target.exists():
                print(f"{target} is there")
                continue
            if teacher is None:
                teacher = options.runs / "teacher"
                if not (teacher / "model.safetensors").exists():
                    call("train_teacher.py", options, "--teacher", "patchtst", "--output_dir", teacher, "--seed", "1")
            folder = options.runs / target.stem
            if not (folder / "results.json").exists():
                flags = ["--recipe", "paper", "--teacher", teacher, "--feature_pooling", pooling, "--controls", "none"]
                call("distill.py", options, *flags, "--output_dir", folder, "--seed", str(seed))
            write_json(target, summary(folder))
            shutil.rmtree(folder)


def summary(folder: Path) -> dict:
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return {name: results[name] for name in ("models", "teacher", "data", "settings", "hardware", "versions")}


def report(results: Path) -> str:
    rows = []
    for pooling in POOLINGS:
        found = [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob(f"{pooling}-seed*.json"))
        ]
        if not found:
            continue
        cells = []
        for error in ("mse", "mae"):
            values = [run["models"]["student"][error] for run in found]
            cells.append(f"{statistics.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})")
        rows.append([pooling, *cells, len(found), f"{found[0]['models']['teacher']['mse']:.4f}"])
    headers = ["feature", "student's test MSE", "student's test MAE", "seeds", "teacher's MSE"]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", help="folder with the benchmark's file")
    parser.add_argument("--teacher", type=Path, help="folder of a trained teacher whose feature has patches")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/pooling")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/pooling", help="where the runs are while they last")
    parser.add_argument("--report", action="store_true", help="print the table of what is there, run nothing")
    options = parser.parse_args()
    if not options.report:
        options.results.mkdir(parents=True, exist_ok=True)
        run_missing(options)
    print(report(options.results))


if __name__ == "__main__":
    main()
