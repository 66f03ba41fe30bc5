#!/usr/bin/env python
"""The figures of the README: ETTh1, 720 -> 96, recipe `paper`, and one linear layer trained on absolute error.

    python benchmarks/paper_etth1.py --data_dir DIR      # runs what is missing in benchmarks/results/, then the table
    python benchmarks/paper_etth1.py                     # the table only

A run is one call of scripts/distill.py; about half an hour for all of them on 2 cores. Interrupted, it goes on.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from tabulate import tabulate


ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
SEEDS = (1, 2, 3)
PAPER = ["--recipe", "paper", "--alpha", "2", "--beta", "2"]
LINEAR_MAE = [
    "--architecture", "linear", "--loss", "mae", "--alpha", "0", "--beta", "0", "--learning_rate", "0.001",
    "--num_train_epochs", "15", "--controls", "seasonal_naive",
]  # fmt: skip


def runs() -> dict[str, list[str]]:
    """Flags of scripts/distill.py by name of the run."""
    teacher = str(ROOT / "runs/etth1-paper-itransformer-seed1/teacher")
    found = {f"etth1-paper-itransformer-seed{seed}": ["--teacher", "itransformer", *PAPER] for seed in SEEDS}
    found["etth1-paper-patchtst-seed1"] = ["--teacher", "patchtst", *PAPER]
    found |= {f"etth1-linear-mae-seed{seed}": ["--teacher", teacher, *LINEAR_MAE] for seed in SEEDS}
    return found


def run_missing(data_dir: str) -> None:
    for name, flags in runs().items():
        target = RESULTS / f"{name}.json"
        if target.exists():
            continue
        folder = ROOT / "runs" / name
        command = [sys.executable, ROOT / "scripts/distill.py", "--dataset", "etth1", "--data_dir", data_dir]
        command += ["--output_dir", folder, "--seed", name[-1], *flags]
        print(" ".join(map(str, command)), flush=True)
        if not (folder / "results.json").exists():
            subprocess.run(list(map(str, command)), check=True)
        shutil.copy(folder / "results.json", target)


def table() -> str:
    """Mean (and range) over seeds of test MSE and MAE, from the committed results."""
    rows = []
    for title, prefix, role in (
        ("iTransformer teacher", "etth1-paper-itransformer", "teacher"),
        ("student, no distillation", "etth1-paper-itransformer", "student_no_kd"),
        ("**student, distilled from iTransformer**", "etth1-paper-itransformer", "student"),
        ("PatchTST teacher, absolute error", "etth1-paper-patchtst", "teacher"),
        ("**student, distilled from PatchTST**", "etth1-paper-patchtst", "student"),
        ("one linear layer, squared error", "etth1-paper-itransformer", "linear"),
        ("one linear layer, absolute error", "etth1-linear-mae", "student"),
        ("seasonal naive", "etth1-paper-itransformer", "seasonal_naive"),
    ):
        files = sorted(RESULTS.glob(f"{prefix}-seed*.json"))
        scores = [json.loads(file.read_text(encoding="utf-8"))["models"][role] for file in files]
        rows.append(
            [title, spread([s["mse"] for s in scores]), spread([s["mae"] for s in scores]), len(scores),
             f"{scores[0]['parameters']:,}"]
        )  # fmt: skip
    headers = ["", "test MSE", "test MAE", "seeds", "parameters"]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 4))


def spread(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.4f}"
    if max(values) - min(values) < 5e-5:
        return mean
    return f"{mean} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", help="folder with etth1.parquet or ETTh1.csv; without it nothing is run")
    data_dir = parser.parse_args().data_dir
    if data_dir is not None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        run_missing(data_dir)
    print(table())


if __name__ == "__main__":
    main()
