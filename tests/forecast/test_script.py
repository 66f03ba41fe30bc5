"""`scripts/forecast.py`: files in, files out, what the library gives."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import CONTEXT, HORIZON, tiny_teacher
from tests.forecast.tables import NAMES, close, long, save, trained_on, wide
from tests.scripts_helper import fails, run
from timedistill_hf import Forecaster
from timedistill_hf.data import load_series, make_windows
from timedistill_hf.teachers import FAMILIES


def forecast(monkeypatch, capsys, model, source, target, *flags):
    capsys.readouterr()
    run(monkeypatch, "forecast.py", "--model", model, "--input", source, "--output", target, *flags)
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".")]
    return capsys.readouterr().out.splitlines()[-1]


def test_the_script_writes_what_the_library_gives(saved, hourly, tmp_path, monkeypatch, capsys):
    wide().to_csv(tmp_path / "my.csv", index=False)
    target = tmp_path / "forecast.csv"
    line = forecast(monkeypatch, capsys, saved, tmp_path / "my.csv", target)
    assert line == f"3 series, 16 steps from 2024-01-13 12:00:00 to 2024-01-14 03:00:00: {target}"
    written = pd.read_csv(target, parse_dates=["date"])
    pd.testing.assert_frame_equal(written, hourly.predict(wide()), check_dtype=False, rtol=1e-5)


@pytest.mark.parametrize("unit", ["ms", "us", "ns", "date"])
def test_parquet_keeps_the_type_of_the_timestamps(tmp_path, monkeypatch, capsys, unit):
    frame = wide("D")
    saved = save(trained_on(frame), tmp_path / "model")
    frame["date"] = frame["date"].dt.date if unit == "date" else frame["date"].dt.as_unit(unit)
    frame.to_parquet(tmp_path / "my.parquet")
    target = tmp_path / "forecast.parquet"
    forecast(monkeypatch, capsys, saved, tmp_path / "my.parquet", target)
    written = pd.read_parquet(target)
    assert written["date"].dtype == frame["date"].dtype
    assert written["date"].iloc[0] == (datetime.date(2024, 10, 27) if unit == "date" else pd.Timestamp("2024-10-27"))
    assert list(written.columns) == ["date", *NAMES]
    forecast(monkeypatch, capsys, saved, tmp_path / "my.parquet", tmp_path / "forecast.csv")
    assert pd.read_csv(tmp_path / "forecast.csv")["date"].iloc[0] == "2024-10-27"


@pytest.mark.parametrize("ids", [("007", "010", "100"), (7, 10, 100)])
def test_ids_are_written_as_they_were(tmp_path, monkeypatch, capsys, ids):
    source = tmp_path / "my.csv"
    long(wide(), ids).to_csv(source, index=False)
    forecaster = trained_on(source, id_column="store")
    assert forecaster.processor.columns == [str(identifier) for identifier in ids]
    saved = save(forecaster, tmp_path / "model")
    for name in ("forecast.csv", "forecast.parquet"):
        forecast(monkeypatch, capsys, saved, source, tmp_path / name)
    expected = [identifier for identifier in ids for _ in range(HORIZON)]
    assert pd.read_csv(tmp_path / "forecast.csv", dtype=str)["store"].tolist() == [str(i) for i in expected]
    assert pd.read_parquet(tmp_path / "forecast.parquet")["store"].tolist() == expected


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_teacher_forecasts_too(family, hourly, tmp_path, monkeypatch, capsys):
    teacher = tiny_teacher(family)
    saved = save(Forecaster(teacher.model, hourly.processor), tmp_path / "model")
    wide().to_parquet(tmp_path / "my.parquet")
    forecast(monkeypatch, capsys, saved, tmp_path / "my.parquet", tmp_path / "forecast.parquet")
    values = torch.tensor(wide()[NAMES].to_numpy()[-CONTEXT:])
    expected = teacher(hourly.processor.standardize(values)[None]).prediction_outputs[0]
    mean, std = np.array(hourly.processor.mean), np.array(hourly.processor.std)
    close(pd.read_parquet(tmp_path / "forecast.parquet")[NAMES].to_numpy(), expected.numpy() * std + mean)


def test_existing_files_are_kept_until_the_new_one_is_whole(saved, tmp_path, monkeypatch, capsys):
    wide().to_csv(tmp_path / "my.csv", index=False)
    target = tmp_path / "forecast.csv"
    target.write_text("mine")
    command = ("--model", saved, "--input", tmp_path / "my.csv", "--output", target)
    assert "exists: name another --output, or pass --overwrite" in fails(monkeypatch, capsys, "forecast.py", *command)

    def half(self, path, **kwargs):
        path.write_text("half a for")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", half)
        assert "the disk is full" in fails(monkeypatch, capsys, "forecast.py", *command, "--overwrite")
    assert target.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["forecast.csv", "model", "my.csv"]
    forecast(monkeypatch, capsys, saved, tmp_path / "my.csv", target, "--overwrite")
    assert len(pd.read_csv(target)) == HORIZON
    same = (*command[:-1], tmp_path / "my.csv", "--overwrite")
    assert "is the input" in fails(monkeypatch, capsys, "forecast.py", *same)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"--input": "my.txt"}, "--input 'my.txt': expected a name that ends in .csv or .parquet"),
        ({"--output": "forecast.xlsx"}, "--output 'forecast.xlsx': expected a name that ends in .csv or .parquet"),
        ({"--input": "none.csv"}, "--input 'none.csv': there is no such file"),
        ({"--output": "none/forecast.csv"}, "there is no folder 'none'; make it"),
        ({"--model": "none"}, "model 'none' is no folder or Hub model"),
        ({"--model": "bare"}, "model 'bare' has no processor (preprocessor_config.json)"),
        ({"--model": "other"}, "goes from 48 to 16 steps of 3 channels, its processor from 48 to 8 of 3"),
    ],
)
def test_bad_input_ends_with_one_line_and_no_file(saved, hourly, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    wide().to_csv("my.csv", index=False)
    hourly.model.save_pretrained("bare")
    other = make_windows(load_series(wide()), CONTEXT, 8)
    save(Forecaster(hourly.model, other.processor), "other")
    before = sorted(tmp_path.iterdir())
    arguments = {"--model": "model", "--input": "my.csv", "--output": "forecast.csv"} | flags
    command = [part for pair in arguments.items() for part in pair]
    assert message in fails(monkeypatch, capsys, "forecast.py", *command)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("missing", ["model", "input", "output"])
def test_a_flag_that_is_missing_is_named(tmp_path, monkeypatch, capsys, missing):
    given = [name for name in ("model", "input", "output") if name != missing]
    command = [part for name in given for part in (f"--{name}", "x.csv")]
    assert f"--{missing} is missing: give" in fails(monkeypatch, capsys, "forecast.py", *command)


def test_settings_may_come_from_a_file(saved, tmp_path, monkeypatch, capsys):
    wide().to_csv(tmp_path / "my.csv", index=False)
    settings = tmp_path / "x.yaml"
    settings.write_text(f"model: {saved}\ninput: {tmp_path / 'my.csv'}\noutput: {tmp_path / 'forecast.csv'}\n")
    run(monkeypatch, "forecast.py", "--config", settings)
    assert len(pd.read_csv(tmp_path / "forecast.csv")) == HORIZON
