"""docs/first_forecast.md: the path of a new user, every block as written, but that training is short."""

import os
import re
import runpy
import shlex
import sys
from pathlib import Path
from unittest import mock

import pandas as pd

from tests.scripts_helper import as_script

from .test_training import script


ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "first_forecast.md"
SHORT = ["--teacher_epochs", "1", "--max_steps", "5", "--disable_tqdm", "true", "--report_to", "none"]


def run_block(folder, kind, text):
    """Run a block in `folder`; what was printed, and what went wrong."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        if kind == "python":
            exec(text, {})
            return "", ""
        if text.startswith("python examples/"):
            _, name, *arguments = shlex.split(text)
            with mock.patch.object(sys, "argv", [name, *arguments]):
                runpy.run_path(str(ROOT / name), run_name="__main__")
            return "", ""
        name, arguments = as_script(text)
        code, printed, errors = script(name, *arguments, *(SHORT if name == "distill.py" else []))
        return printed, errors if code else ""
    finally:
        os.chdir(before)


def test_the_path_of_a_new_user(hub, client, tmp_path):
    blocks = re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    printed = []
    for kind, text in blocks:
        said, wrong = client.run(run_block, tmp_path, kind, text)
        assert wrong == "", text
        printed.append(said)
    assert "one linear layer" in printed[1]
    assert "2 series, 24 steps from 2023-12-17 23:00:00+01:00 to 2023-12-18 22:00:00+01:00" in printed[2]
    forecast = pd.read_csv(tmp_path / "forecast.csv", dtype={"meter": str})
    assert list(forecast.columns) == ["meter", "time", "load_kw"]
    assert forecast["meter"].tolist() == ["0042"] * 24 + ["17-B"] * 24
    assert forecast["load_kw"].notna().all()
    assert "README.md" in hub.files("user/meters")
    assert not any(path.endswith((".bin", ".pt", ".pth", ".pkl")) for path in hub.files("user/meters"))
    windows = pd.read_csv(tmp_path / "backtest.csv", dtype={"meter": str})
    assert windows.groupby("meter")["cutoff"].nunique().tolist() == [14, 14]
