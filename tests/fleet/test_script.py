"""`scripts/forecast_fleet.py`: on one process, and on two under accelerate."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fleet.tables import L, fleet, forecaster
from tests.fleet.two_processes import main
from tests.forecast.tables import save
from tests.forked import run_two_forked
from tests.scripts_helper import fails, run


@pytest.fixture
def model(tmp_path):
    model = forecaster()
    save(model, tmp_path / "model")
    return model


def written(tmp_path: Path) -> pd.DataFrame:
    return pd.read_parquet(tmp_path / "out.parquet")


def check(model, frame: pd.DataFrame, tmp_path: Path) -> None:
    model.predict_df(frame).to_parquet(tmp_path / "whole.parquet", index=False)
    whole = pd.read_parquet(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(written(tmp_path), whole, rtol=1e-5, atol=1e-4)


def test_it_says_what_was_done(model, tmp_path, monkeypatch, capsys):
    frame = fleet([50, 20, 90])
    frame.to_parquet(tmp_path / "in.parquet")
    flags = ("--model", tmp_path / "model", "--input", tmp_path / "in.parquet", "--output", tmp_path / "out.parquet")
    run(monkeypatch, "forecast_fleet.py", *flags, "--batch_size", 2)
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(
        rf"3 series of {len(frame)} rows in \d+\.\d s, \d+ series a second, peak memory 0\.\d+ GB: "
        rf"{tmp_path}/out.parquet",
        line,
    )
    check(model, frame, tmp_path)
    assert "exists: name another --output" in fails(monkeypatch, capsys, "forecast_fleet.py", *flags)
    message = fails(monkeypatch, capsys, "forecast_fleet.py", *flags, "--overwrite", "--scaling", "training")
    assert "'shop 194' is no series of the model's training" in message
    check(model, frame, tmp_path)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"--input": "my.csv"}, "--input 'my.csv': expected a .parquet file or a folder; tables of other"),
        ({"--output": "forecast.csv"}, "--output 'forecast.csv': expected a .parquet file or a folder"),
        ({"--input": "none.parquet"}, "--input 'none.parquet': there is no such file or folder"),
        ({"--output": "none/forecast.parquet"}, "there is no folder 'none'; make it"),
        ({"--output": "in.parquet", "--overwrite": "true"}, "--output 'in.parquet' is the input"),
        ({"--batch_size": "0"}, "--batch_size 0: expected 1 or more"),
        ({"--model": "none"}, "model 'none' is no folder or Hub model"),
    ],
)
def test_bad_input_ends_with_one_line_and_no_file(model, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    fleet([50, 20]).to_parquet("in.parquet")
    Path("my.csv").write_text("a\n1\n")
    before = sorted(tmp_path.iterdir())
    arguments = {"--model": "model", "--input": "in.parquet", "--output": "out.parquet"} | flags
    command = [part for pair in arguments.items() for part in pair]
    assert message in fails(monkeypatch, capsys, "forecast_fleet.py", *command)
    assert sorted(tmp_path.iterdir()) == before


def test_two_processes_share_the_series(model, tmp_path, tmp_path_factory):
    """Row groups that cut series, so that the scan is joined within one; what one cannot do, both end with."""
    logs = tmp_path_factory.mktemp("logs")
    frame = fleet([50, 20, 90, 10, 3 * L, 40, 41, 42], zone="Europe/Berlin", ids="categorical")
    frame.to_parquet(tmp_path / "good.parquet", row_group_size=33)
    broken = fleet([50] * 8)
    broken.loc[len(broken) - 1, "y"] = np.inf
    broken.to_parquet(tmp_path / "bad.parquet", row_group_size=33)
    both = run_two_forked(logs, main, tmp_path)
    stdout, stderr = ("".join(getattr(done, name) for done in both) for name in ("stdout", "stderr"))
    assert [done.returncode for done in both] == [0, 0], stderr[-3000:]
    codes = {path.stem: path.read_text() for path in tmp_path.glob("*.code")}
    assert codes == {"bad0": "2", "bad1": "2", "good0": "0", "good1": "0"}
    errors = [line for line in stderr.splitlines() if "error: " in line]
    assert len(errors) == 1, stderr[-3000:]
    assert re.match(r"error: in the look-backs of the series .*column 'y' holds an infinite value", errors[0])
    (line,) = stdout.splitlines()
    assert line.startswith(f"8 series of {len(frame)} rows in ")
    assert " on 2 processes, " in line
    (tmp_path / "good.out.parquet").rename(tmp_path / "out.parquet")
    check(model, frame, tmp_path)
    left = [path.name for path in tmp_path.iterdir() if path.suffix != ".code"]
    assert sorted(left) == ["bad.parquet", "good.parquet", "model", "out.parquet", "whole.parquet"]
