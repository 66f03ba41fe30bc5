"""The examples, on little data."""

import runpy
import sys
from pathlib import Path

import pandas as pd


EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_gradient_boosting_is_distilled(tmp_path, monkeypatch, capsys):
    arguments = ["--output_dir", tmp_path / "run", "--rows", 700, "--epochs", 0.3]
    monkeypatch.setattr(sys, "argv", ["gradient_boosting.py", *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / "gradient_boosting.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for model in ("student ", "student, no distillation", "teacher (", "seasonal naive"):
        assert f"| {model}" in printed
    table = pd.read_parquet(tmp_path / "run/gradient_boosting.parquet")
    assert {len(forecast) for forecast in table["forecast"]} == {48}
