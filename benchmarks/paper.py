#!/usr/bin/env python
"""The figures of docs/paper.md: recipe `paper` on ETTh1, Weather and part of ECL, 720 -> 96, with every control.

    python benchmarks/paper.py --data_dir DIR      # runs what is missing in benchmarks/results/, then the tables
    python benchmarks/paper.py --data_dir DIR --only etth1-timesnet-published-seed1     # that run, then the tables
    python benchmarks/paper.py                     # the tables only

A run is one call of scripts/distill.py, or of scripts/train_teacher.py for a teacher that is compared with its own
paper at look-back 96; the call is printed. Some hours for all of them on 2 quiet cores. Interrupted, it goes on.
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
ETTH1 = ["--dataset", "etth1", "--recipe", "paper", "--alpha", "2", "--beta", "2"]
LINEAR_MAE = [
    "--architecture", "linear", "--loss", "mae", "--alpha", "0", "--beta", "0", "--learning_rate", "0.001",
    "--num_train_epochs", "15", "--controls", "seasonal_naive",
]  # fmt: skip
SMALL_ITRANSFORMER = '{"num_hidden_layers": 2, "d_model": 256, "ffn_dim": 256}'
ONE_SEED = {
    "etth1-paper-informer": ["--dataset", "etth1", "--teacher", "informer"],
    "etth1-paper-modern_tcn": ["--dataset", "etth1", "--teacher", "modern_tcn"],
    "etth1-paper-timesnet": ["--dataset", "etth1", "--teacher", "timesnet"],
    "etth1-paper-time_mixer": ["--dataset", "etth1", "--teacher", "time_mixer"],
    "weather-paper-itransformer": ["--dataset", "weather", "--teacher", "itransformer", "--num_train_epochs", "12"],
    "electricity_sub6-paper-itransformer": [
        "--dataset", "electricity_sub6", "--teacher", "itransformer", "--teacher_config", SMALL_ITRANSFORMER,
        "--teacher_epochs", "5", "--num_train_epochs", "10",
    ],
}  # fmt: skip
SHORT = ["--dataset", "etth1", "--context_length", "96", "--num_train_epochs", "10"]
# size and training of each one's own paper, and the test MSE that it publishes for ETTh1, 96 -> 96
PUBLISHED_TEACHERS = {
    "etth1-timesnet-published-seed1": [
        *SHORT, "--teacher", "timesnet", "--teacher_config", '{"num_periods": 5, "num_kernels": 6}',
        "--early_stopping_patience", "3",
    ],
    "etth1-time_mixer-published-seed1": [
        *SHORT, "--teacher", "time_mixer", "--teacher_config", '{"num_hidden_layers": 2}',
        "--per_device_train_batch_size", "128", "--early_stopping_patience", "10",
    ],
}  # fmt: skip
PUBLISHED_MSE = {"TimesNet": ("etth1-timesnet-published", 0.384), "TimeMixer": ("etth1-time_mixer-published", 0.375)}


def runs() -> dict[str, list[str]]:
    """Script and flags by name of the run."""
    teacher = str(ROOT / "runs/etth1-paper-itransformer-seed1/teacher")
    found = {f"etth1-paper-itransformer-seed{seed}": ["--teacher", "itransformer", *ETTH1] for seed in SEEDS}
    found["etth1-paper-patchtst-seed1"] = ["--teacher", "patchtst", *ETTH1]
    found |= {f"etth1-linear-mae-seed{seed}": ["--teacher", teacher, *ETTH1, *LINEAR_MAE] for seed in SEEDS}
    found |= {f"{name}-seed1": [*flags, "--recipe", "paper"] for name, flags in ONE_SEED.items()}
    distilled = {name: ["distill.py", *flags] for name, flags in found.items()}
    return distilled | {name: ["train_teacher.py", *flags] for name, flags in PUBLISHED_TEACHERS.items()}


def run_missing(data_dir: str, names: list[str]) -> None:
    for name in names:
        target = RESULTS / f"{name}.json"
        if target.exists():
            continue
        script, *flags = runs()[name]
        folder = ROOT / "runs" / name
        command = [sys.executable, ROOT / "scripts" / script, "--data_dir", data_dir, "--output_dir", folder]
        command += ["--seed", name[-1], *flags]
        print(" ".join(map(str, command)), flush=True)
        if not (folder / "results.json").exists():
            subprocess.run(list(map(str, command)), check=True)
        shutil.copy(folder / "results.json", target)


def etth1_table() -> str:
    """Mean (and range) over seeds of test MSE and MAE, from the committed results."""
    rows = []
    for title, prefix, role in (
        ("iTransformer teacher", "etth1-paper-itransformer", "teacher"),
        ("student, no distillation", "etth1-paper-itransformer", "student_no_kd"),
        ("**student, distilled from iTransformer**", "etth1-paper-itransformer", "student"),
        ("PatchTST teacher, absolute error", "etth1-paper-patchtst", "teacher"),
        ("**student, distilled from PatchTST**", "etth1-paper-patchtst", "student"),
        ("ModernTCN teacher", "etth1-paper-modern_tcn", "teacher"),
        ("**student, distilled from ModernTCN**", "etth1-paper-modern_tcn", "student"),
        ("TimesNet teacher", "etth1-paper-timesnet", "teacher"),
        ("**student, distilled from TimesNet**", "etth1-paper-timesnet", "student"),
        ("TimeMixer teacher", "etth1-paper-time_mixer", "teacher"),
        ("**student, distilled from TimeMixer**", "etth1-paper-time_mixer", "student"),
        ("Informer teacher, absolute error", "etth1-paper-informer", "teacher"),
        ("**student, distilled from Informer**", "etth1-paper-informer", "student"),
        ("one linear layer, squared error", "etth1-paper-itransformer", "linear"),
        ("one linear layer, absolute error", "etth1-linear-mae", "student"),
        ("seasonal naive", "etth1-paper-itransformer", "seasonal_naive"),
    ):
        scores = scores_of(prefix, role)
        if not scores:
            continue
        rows.append(
            [title, spread([s["mse"] for s in scores]), spread([s["mae"] for s in scores]), len(scores),
             f"{scores[0]['parameters']:,}"]
        )  # fmt: skip
    headers = ["ETTh1", "test MSE", "test MAE", "seeds", "parameters"]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 4))


def scores_of(prefix: str, role: str) -> list[dict]:
    """What the committed results of all seeds hold of one model."""
    files = sorted(RESULTS.glob(f"{prefix}-seed*.json"))
    return [json.loads(file.read_text(encoding="utf-8"))["models"][role] for file in files]


def published_teachers_table() -> str:
    """Teachers at look-back 96 beside the figures of their own papers, as far as they were run."""
    rows = []
    for title, (prefix, published) in PUBLISHED_MSE.items():
        scores = scores_of(prefix, "teacher")
        if scores:
            rows.append([title, spread([score["mse"] for score in scores]), f"{published:.3f}"])
    headers = ["ETTh1, 96 -> 96", "test MSE", "published"]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", "right", "right"))


def other_data_table() -> str:
    """Test MSE / MAE of every model of a run, a column a data set, one seed."""
    columns = {"Weather": "weather-paper-itransformer", "ECL, 6 of 321 clients": "electricity_sub6-paper-itransformer"}
    results = {
        title: json.loads((RESULTS / f"{name}-seed1.json").read_text(encoding="utf-8"))["models"]
        for title, name in columns.items()
    }
    roles = {
        "teacher": "iTransformer teacher",
        "student_no_kd": "student, no distillation",
        "student": "**student, distilled**",
        "linear": "one linear layer, squared error",
        "seasonal_naive": "seasonal naive",
    }
    rows = [
        [title, *(f"{models[role]['mse']:.4f} / {models[role]['mae']:.4f}" for models in results.values())]
        for role, title in roles.items()
    ]
    return tabulate(
        rows, ["MSE / MAE", *columns], "github", disable_numparse=True, colalign=("left", "right", "right")
    )


def spread(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.4f}"
    if max(values) - min(values) < 5e-5:
        return mean
    return f"{mean} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", help="folder with the benchmark files; without it nothing is run")
    parser.add_argument("--only", nargs="+", choices=list(runs()), metavar="RUN", help="run these, not all")
    arguments = parser.parse_args()
    if arguments.data_dir is not None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        run_missing(arguments.data_dir, arguments.only or list(runs()))
    tables = [etth1_table(), other_data_table()]
    if any(scores_of(prefix, "teacher") for prefix, _ in PUBLISHED_MSE.values()):
        tables.append(published_teachers_table())
    print(*tables, sep="\n\n")


if __name__ == "__main__":
    main()
