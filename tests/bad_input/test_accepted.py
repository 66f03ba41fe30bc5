"""A: tables and settings that look bad and are right by a documented rule."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

from tests.bad_input.tables import BASE, LINES, LONG, TEXT, with_cell, write
from tests.conftest import CONTEXT, HORIZON
from tests.scripts_helper import run
from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.data import load_series, make_windows


EXPECTED = load_series(BASE)
INTEGERS = BASE.assign(load_0=range(400))
SAME = [
    ("byte order mark", "x.csv", b"\xef\xbb\xbf" + TEXT.encode()),
    ("line ends of Windows", "x.csv", TEXT.replace("\n", "\r\n")),
    ("no last line end", "x.csv", TEXT.rstrip()),
    ("empty lines", "x.csv", "\n\n".join(LINES)),
    ("quotes around everything", "x.csv", "\n".join(f'"{line}"'.replace(",", '","') for line in LINES)),
    ("semicolons", "x.csv", BASE.to_csv(index=False, sep=";")),
    ("semicolons and decimal commas", "x.csv", BASE.to_csv(index=False, sep=";", decimal=",")),
    ("tabs", "x.csv", BASE.to_csv(index=False, sep="\t")),
    ("tabs and decimal commas", "x.csv", BASE.to_csv(index=False, sep="\t", decimal=",")),
    ("suffix in capitals", "x.CSV", TEXT),
    ("rows in any order", "x.csv", BASE.sample(frac=1, random_state=0)),
    ("newest first", "x.parquet", BASE[::-1]),
    ("row numbers saved", "x.csv", BASE.to_csv()),
    ("dates as nameless index", "x.csv", BASE.set_index("date").rename_axis(None).to_csv()),
    ("dates as index of a parquet", "x.parquet", BASE.set_index("date").rename_axis(None)),
    ("time as last column", "x.csv", BASE[["load_0", "load_1", "load_2", "date"]]),
    ("a zone in all rows", "x.csv", BASE.assign(date=BASE["date"].dt.tz_localize("UTC"))),
    ("numbers as text", "x.parquet", BASE.assign(load_0=BASE["load_0"].astype(str))),
    ("exact decimals", "x.parquet", BASE.assign(load_0=[Decimal(str(v)) for v in BASE["load_0"]])),
]


@pytest.mark.parametrize(
    ("name", "content"),
    [pytest.param(*case, id=f"A{n:02}-{what.replace(' ', '-')}") for n, (what, *case) in enumerate(SAME, 1)],
)
def test_the_same_series(name, content, tmp_path):
    series = load_series(write(content, tmp_path / name))
    assert series.fingerprint() == EXPECTED.fingerprint()
    assert (series.timestamps == EXPECTED.timestamps).all()
    assert (series.freq, series.season) == ("h", 24)


FRAMES = [
    ("dates as index", BASE.set_index("date")),
    ("dates as nameless index", BASE.set_index("date").rename_axis(None)),
    ("numbers as objects", BASE.astype({"load_0": object})),
    ("numbers that may be missing", BASE.astype({"load_1": "Float32"})),
    ("long, in any order of time", LONG.sample(frac=1, random_state=0).sort_values("store")),
]


@pytest.mark.parametrize(
    "frame", [pytest.param(frame, id=f"A{n}-{what.replace(' ', '-')}") for n, (what, frame) in enumerate(FRAMES, 20)]
)
def test_the_same_series_of_a_frame(frame):
    series = load_series(frame, id_column="store" if "store" in frame else None)
    assert series.fingerprint() == EXPECTED.fingerprint()
    assert series.freq == "h"


@pytest.mark.parametrize("text", ["", "n/a", "NA", "NaN", "null", "NULL", "None", "#N/A", "-9999"])
def test_a_cell_that_means_missing(text, tmp_path):
    """A30: what pandas reads as missing, and the sentinel."""
    series = load_series(write(with_cell(text), tmp_path / "x.csv"), missing_value=-9999)
    assert torch.isnan(series.values[:, 0]).nonzero().tolist() == [[100]]
    assert torch.isnan(series.values).sum() == 1


def test_rows_and_cells_that_are_not_there(tmp_path):
    """A31, A32: a left-out step is missing in all channels, a cell that a short row lacks in its own."""
    short = [*LINES[:50], *LINES[51:100], LINES[100].rsplit(",", 1)[0], *LINES[101:]]
    series = load_series(write("\n".join(short), tmp_path / "x.csv"))
    assert series.num_rows == 400
    assert torch.isnan(series.values).nonzero().tolist() == [[49, 0], [49, 1], [49, 2], [99, 2]]


def test_types_are_found_in_the_whole_column(tmp_path):
    """A33: whole numbers in the first 12,000 rows, fractions after them; A34: nothing at first, numbers later."""
    values = np.arange(15_000).astype(object)
    values[12_000:] = 0.5
    path = write(
        pd.DataFrame({"a": values, "b": np.where(np.arange(15_000) < 12_000, np.nan, 1.5)}), tmp_path / "x.csv"
    )
    series = load_series(path)
    assert series.values[11_999:12_001, 0].tolist() == [11_999.0, 0.5]
    assert torch.isnan(series.values[:, 1]).sum() == 12_000


def test_a_table_may_be_wider_than_what_is_looked_at(tmp_path):
    """A49: its first line is longer than the sample and than csv's limit for a cell."""
    wide = pd.DataFrame(np.ones((5, 12_000)), columns=[f"column_{index}" for index in range(12_000)])
    assert load_series(write(wide, tmp_path / "x.csv")).num_channels == 12_000


def test_names_that_are_no_words(tmp_path):
    """A35 to A37: numbers as names, a nameless column of fractions, and one that only looks like row numbers."""
    assert load_series(pd.DataFrame(np.ones((9, 2)))).columns == ("0", "1")
    nameless = TEXT.replace("load_0", "", 1)
    assert load_series(write(nameless, tmp_path / "x.csv")).columns == ("Unnamed: 1", "load_1", "load_2")
    first = INTEGERS[["load_0", "load_1", "date"]].rename(columns={"load_0": ""})
    path = write(first, tmp_path / "y.csv")
    assert load_series(path).columns == ("load_1",)
    assert load_series(path, target_columns=["Unnamed: 0"]).values[:, 0].tolist() == list(range(400))


def test_timestamps_on_no_grid_are_taken_as_equal_steps(caplog):
    """A38."""
    dates = BASE["date"] + pd.to_timedelta(np.random.default_rng(0).integers(0, 3000, 400), unit="s")
    series = load_series(BASE.assign(date=dates))
    assert series.fingerprint() == EXPECTED.fingerprint()
    assert series.freq is None
    assert "no regular grid" in caplog.text


def test_a_constant_channel_is_divided_by_1():
    """A39, A40: in the train rows or everywhere; the forecast is finite and, where all is constant, that constant."""
    steps = np.where(np.arange(400) < 280, 7.0, 9.0)
    data = make_windows(load_series(BASE.assign(load_0=5.0, load_1=steps)), CONTEXT, HORIZON)
    assert data.processor.std[:2] == [1.0, 1.0]
    assert data.test.values[-1, :2].tolist() == [0.0, 2.0]
    model = TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=8, hidden_norm="none"))
    forecast = Forecaster(model, data.processor).predict(BASE.assign(load_0=5.0, load_1=steps))
    assert np.isfinite(forecast.drop(columns="date").to_numpy()).all()


def test_one_large_value_in_the_train_rows_is_a_value():
    """A41: up to float32's largest; it only widens the scale."""
    data = make_windows(load_series(with_cell(1e38)), CONTEXT, HORIZON)
    assert torch.isfinite(data.train.values).all()
    assert float(data.processor.unstandardize(data.train.values)[100, 0]) == pytest.approx(1e38, rel=1e-5)


def test_settings_that_leave_something_out(command, work, monkeypatch):
    """A42 to A46: an empty file, a null, shares below 1, a season longer than the data, windows longer than a moving
    average's; one run with all of them ends with finite scores."""
    empty = write("# nothing is set\n", work / "empty.yaml")
    run(monkeypatch, "evaluate.py", "--config", empty, *command("evaluate.py"))
    settings = "alpha:\nsplit: [0.6, 0.1, 0.2]\nseason: 1000\nmoving_average: 1001\n"
    run(monkeypatch, "distill.py", "--config", write(settings, work / "x.yaml"), *command("distill.py"))
    results = json.loads((work / "out/results.json").read_text())
    assert results["settings"]["alpha"] == 1.0
    assert results["data"]["rows"] == {"train": [0, 240], "validation": [240, 280], "test": [280, 360]}
    assert np.isfinite(results["models"]["student"]["mse"])
    assert results["models"]["student"]["units"]["mase"] is None


def test_a_model_without_processor_is_scored_with_the_scaler_of_the_train_rows(command, work, monkeypatch):
    """A47, A48: also where its configuration has a field that nobody knows, and flags of other lengths are given."""
    run(monkeypatch, "evaluate.py", *command("evaluate.py"))
    (work / "student/preprocessor_config.json").unlink()
    config = work / "student/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"wheels": 4}))
    run(
        monkeypatch,
        "evaluate.py",
        *command("evaluate.py"),
        "--overwrite",
        "--context_length",
        9,
        "--output",
        work / "b",
    )
    first, second = (json.loads((work / name).read_text())["models"]["student"] for name in ("out.json", "b"))
    assert first["mse"] == pytest.approx(second["mse"], rel=1e-6)
