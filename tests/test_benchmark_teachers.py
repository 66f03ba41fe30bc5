"""benchmarks/teachers.py: what it keeps of a run, and the table that it makes of it."""

import argparse
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest


SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks/teachers.py"


def model(mse, parameters, milliseconds):
    return {"mse": mse, "parameters": parameters, "milliseconds": milliseconds}


def test_its_table_says_what_the_run_found(tmp_path, monkeypatch):
    names = runpy.run_path(str(SCRIPT))
    folder = tmp_path / "runs/etth1-patchtst"
    (folder / "teacher").mkdir(parents=True)
    models = {
        "teacher": model(0.36, 196_768, 12.34), "student": model(0.35, 620_546, 1.2),
        "student_no_kd": model(0.37, 1, 1),
    }  # fmt: skip
    rest = {name: {} for name in ("data", "settings", "hardware", "versions")}
    (folder / "results.json").write_text(json.dumps({"models": models, "teacher": {"name": "patchtst"}} | rest))
    (folder / "teacher/history.json").write_text(json.dumps([{"loss": 1.0}, {"train_runtime": 77.4}]))
    options = argparse.Namespace(
        teachers=["patchtst"], dataset="etth1", data_dir=None, results=tmp_path, runs=tmp_path / "runs"
    )
    names["run_missing"](options, [])  # the run is there: it is only read
    assert not folder.exists()
    monkeypatch.setattr(subprocess, "run", None)
    names["run_missing"](options, [])  # and then not looked for again
    quiet = tmp_path / "quiet.json"
    quiet.write_text(
        json.dumps({"teachers": {"patchtst, small": {"ms": {"32": 12.34}}}, "fused": {"ms": {"32": 1.2}}})
    )
    monkeypatch.setitem(names["report"].__globals__, "QUIET", quiet)
    *_, row, _, last = names["report"](tmp_path, "etth1").splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["patchtst", "0.3600", "0.3500", "0.3700", "196,768", "620,546", "12.3", "77"]
    assert last == "The student takes 1.2 ms for 32 windows."


def test_several_and_tables_are_teachers_too(tmp_path):
    names = runpy.run_path(str(SCRIPT))
    options = argparse.Namespace(dataset="etth1", results=tmp_path)
    assert names["result_path"](options, "runs/a+runs/b").name == "etth1-a+b.json"
    assert names["result_path"](options, "runs/boosting.parquet").name == "etth1-boosting.json"


@pytest.mark.slow
def test_it_runs(tmp_path):
    flags = [
        "--dataset",
        "synthetic",
        "--teachers",
        "patchtsmixer",
        "--results",
        tmp_path / "r",
        "--runs",
        tmp_path / "x",
    ]
    quick = ["--step_limit", "2", "--context_length", "96", "--prediction_length", "16", "--report_to", "none"]
    done = subprocess.run([sys.executable, SCRIPT, *flags, *quick], capture_output=True, text=True, check=True)
    assert "| patchtsmixer |" in done.stdout
