"""docs/hub.md: every command and snippet, as written, but that training is short."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from tests.scripts_helper import as_script, generated_csv
from timedistill_hf.data import synthetic_series

from .test_training import TEACHER, script


PAGE = Path(__file__).resolve().parents[2] / "docs" / "hub.md"
SHORT = [
    "--context_length", "48", "--prediction_length", "16", "--max_steps", "1", "--disable_tqdm", "true",
]  # fmt: skip
LINEAR = ["--members", "linear", "--teacher_weights", "0,0", "--controls", "none"]


def in_folder(folder, kind, text):
    """Run a block there; what went wrong, if anything."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        if kind == "python":
            exec(text, {})
            return ""
        for line in text.splitlines():
            name, arguments = as_script(line)
            short = {"distill.py": [*SHORT, *LINEAR], "train_teacher.py": SHORT}.get(name, [])
            is_trained = name == "train_teacher.py" or (name == "distill.py" and "--teacher" not in arguments)
            short = [*short, *TEACHER] if is_trained else short
            code, _, errors = script(name, *arguments, *short)
            if code:
                return f"{line}: {errors}"
        return ""
    finally:
        os.chdir(before)


def test_every_block_runs(client, tmp_path):
    generated_csv(tmp_path, 500).rename(tmp_path / "my.csv")
    days = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
    stores = [pd.DataFrame({"store": store, "date": days, "sales": np.arange(60.0)}) for store in ("a", "b")]
    pd.concat(stores).to_csv(tmp_path / "stores.csv", index=False)
    (tmp_path / "data").mkdir()
    benchmark = synthetic_series(14400, 2)
    frame = pd.DataFrame(benchmark.values.numpy(), columns=benchmark.columns)
    frame.insert(0, "date", benchmark.timestamps)
    frame.to_parquet(tmp_path / "data" / "etth1.parquet")
    blocks = re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 9
    for kind, text in blocks:
        assert client.run(in_folder, tmp_path, kind, text) == ""
