"""Running a script in this process, as a user would on the command line, on a small file."""

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from timedistill_hf.data import synthetic_series


SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def generated_csv(folder: Path, rows: int) -> Path:
    """Three generated channels and their timestamps in `mine.csv`."""
    series = synthetic_series(rows, 3)
    frame = pd.DataFrame(series.values.numpy(), columns=series.columns)
    frame.insert(0, "date", series.timestamps)
    frame.to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


def run(monkeypatch, script: str, *arguments) -> None:
    path = str(SCRIPTS / script)
    monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
    runpy.run_path(path, run_name="__main__")


def fails(monkeypatch, capsys, script: str, *arguments) -> str:
    """The one line that the script ends with, after checking that it is one, with exit code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, script, *arguments)
    lines = capsys.readouterr().err.strip().splitlines()
    assert caught.value.code == 2, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]
