"""Running a script in this process, as a user would on the command line, on a small file."""

import runpy
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest

from timedistill_hf.data import synthetic_series


SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


_SCRIPTS_OF = {"fleet": "forecast_fleet", "push": "push_model"}


def as_script(command: str) -> tuple[str, list[str]]:
    """The script and the flags of a command of the documents, `timedistill VERB ...` or `... scripts/x.py ...`."""
    parts = shlex.split(command)
    if parts[0] == "timedistill":
        verb = parts[1]
        return f"{_SCRIPTS_OF.get(verb, verb.replace('-', '_'))}.py", parts[2:]
    place = next(place for place, part in enumerate(parts) if part.startswith("scripts/"))
    return Path(parts[place]).name, parts[place + 1 :]


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
