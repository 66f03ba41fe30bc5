#!/usr/bin/env python
"""Make examples/tiny_student: a student of 96 to 24 hours on the generated series, taught by an iTransformer.

    python examples/make_tiny_student.py       # in the root of the repository; a minute on one core

Training goes to runs/tiny_student; what a repository on the Hub would hold is copied from there, but for the code,
which publishing adds.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RUN = "runs/tiny_student"
FLAGS = [
    "--recipe", "paper", "--dataset", "synthetic", "--context_length", "96", "--prediction_length", "24",
    "--teacher", "itransformer", "--teacher_epochs", "6", "--hidden_size", "32", "--alpha", "0.5", "--beta", "0.5",
    "--num_train_epochs", "10", "--disable_tqdm", "true",
]  # fmt: skip


def main() -> None:
    command = [sys.executable, "scripts/distill.py", *FLAGS, "--output_dir", RUN, "--overwrite"]
    subprocess.run(command, cwd=ROOT, env={"OMP_NUM_THREADS": "1"} | os.environ, check=True)

    from benchmarks.model_cards import EXAMPLE, EXAMPLE_PLOTS, example_card

    folder = ROOT / EXAMPLE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = ["config.json", "model.safetensors", "preprocessor_config.json", "results.json", *EXAMPLE_PLOTS]
    for name in names:
        shutil.copy(ROOT / RUN / name, folder / name)
    write_history(folder)
    example_card(ROOT).save(folder / "README.md")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {size / 1000:.0f} kB")


def write_history(folder: Path, steps: int = 96) -> None:
    """The last `steps` hours of the generated series, as a table to forecast from."""
    import pandas as pd

    from timedistill_hf.data.synthetic import synthetic_series

    series = synthetic_series()
    table = pd.DataFrame(series.values.float().numpy(), columns=list(series.columns)).round(4)
    table.insert(0, series.timestamp_column, pd.DatetimeIndex(series.timestamps))
    table.tail(steps).to_csv(folder / "history.csv", index=False)


if __name__ == "__main__":
    main()
