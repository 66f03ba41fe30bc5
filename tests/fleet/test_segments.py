"""A fleet's forecasts as a folder: the same table, and a run that is killed goes on where it was."""

import json
import os
import signal
from itertools import pairwise
from pathlib import Path

import datasets
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from tests.fleet.tables import S, fleet, forecaster
from tests.forecast.tables import save
from tests.forked import run_forked, run_two_forked
from timedistill_hf import Forecaster, forecast_fleet
from timedistill_hf._utils.errors import InputError
from timedistill_hf.forecasting.fleet import segments as module
from timedistill_hf.forecasting.fleet.segments import Segments


LENGTHS = [50, 20, 90, 10, 41, 42, 43]


def forecast(model: Path, source: Path, folder: Path) -> None:
    """With files as small as here."""
    module.SEGMENT_ROWS = 2 * S + 1
    forecast_fleet(Forecaster.from_pretrained(model), source, folder)


def forecast_and_die(*paths: Path) -> None:
    """In the third file."""
    predict, calls = Forecaster.predict_df, []

    def dies(self, *args, **options):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return predict(self, *args, **options)

    Forecaster.predict_df = dies
    forecast(*paths)


@pytest.fixture
def two_series_a_file(monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_ROWS", 2 * S + 1)


@pytest.fixture
def model(tmp_path):
    save(forecaster(), tmp_path / "model")
    return Forecaster.from_pretrained(tmp_path / "model")


@pytest.fixture
def source(tmp_path):
    fleet(LENGTHS).to_parquet(tmp_path / "in.parquet", row_group_size=33)
    return tmp_path / "in.parquet"


def check(model, source: Path, folder: Path, tmp_path: Path) -> None:
    """It reads as the one file does that `predict_df` gives of the whole."""
    model.predict_df(pd.read_parquet(source)).to_parquet(tmp_path / "whole.parquet", index=False)
    whole = pd.read_parquet(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(folder), whole, rtol=1e-5, atol=1e-4)


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("series-*.parquet")}


def killed(tmp_path: Path, source: Path, folder: Path) -> None:
    done = run_forked(tmp_path / "log", forecast_and_die, tmp_path / "model", source, folder)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


@given(num_series=st.integers(1, 5000), size=st.integers(1, 700))
def test_every_series_is_in_one_file_in_order(num_series, size):
    segments = Segments(num_series, size)
    parts = [segments.series(number) for number in range(len(segments))]
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(num_series))
    names = [segments.name(number) for number in range(len(segments))]
    assert all(first < second for first, second in pairwise(names))


def test_a_folder_holds_the_table(model, source, tmp_path, two_series_a_file):
    folder = tmp_path / "out"
    report = forecast_fleet(model, source, folder)
    assert report.num_series == len(LENGTHS)
    check(model, source, folder, tmp_path)
    rows = [pq.ParquetFile(path).metadata.num_rows for path in sorted(folder.glob("*.parquet"))]
    assert rows == [2 * S, 2 * S, 2 * S, S]
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".parquet") == [".lock", ".plan.json"]
    frame = datasets.load_dataset(
        "parquet", data_dir=str(folder), split="train", cache_dir=tmp_path / "cache"
    ).to_pandas()
    assert frame["item"].tolist() == pd.read_parquet(folder)["item"].tolist()
    with pytest.raises(InputError, match=r"out' exists: name another `output`, or pass `overwrite=True`"):
        forecast_fleet(model, source, folder)


def test_a_killed_run_goes_on(model, source, tmp_path, two_series_a_file, caplog):
    folder = tmp_path / "out"
    killed(tmp_path, source, folder)
    before = state_of(folder)
    assert len(before) == 2
    assert len(list(folder.glob(".*-series-*"))) == 1
    with caplog.at_level("INFO"):
        report = forecast_fleet(model, source, folder)
    assert (report.num_series, report.num_done) == (7, 4)
    assert str(report).startswith(f"7 series of {report.num_rows} rows, 4 of them before, in ")
    assert "2 of the 4 files" in caplog.text
    after = state_of(folder)
    assert {name: after[name] for name in before} == before
    assert sorted(path.name for path in folder.glob(".*")) == [".lock", ".plan.json"]
    check(model, source, folder, tmp_path)


def test_two_processes_go_on_where_one_was_killed(model, source, tmp_path):
    """The files do not depend on the number of processes."""
    folder = tmp_path / "out"
    killed(tmp_path, source, folder)
    before = state_of(folder)
    both = run_two_forked(tmp_path / "logs", forecast, tmp_path / "model", source, folder)
    assert [done.returncode for done in both] == [0, 0], both[0].stderr[-3000:]
    after = state_of(folder)
    assert len(after) == 4
    assert {name: after[name] for name in before} == before
    check(model, source, folder, tmp_path)


def other_model(model, source):
    return forecaster(mean=[5.5, -1.0]), source, {}


def other_weights(model, source):
    with torch.no_grad():
        next(model.model.parameters()).add_(1)
    return model, source, {}


def other_table(model, source):
    fleet(LENGTHS, seed=1).to_parquet(source)
    return model, source, {}


def other_options(model, source):
    return model, source, {"scaling": "history"}


@pytest.mark.parametrize(
    ("change", "name"),
    [(other_model, "model"), (other_weights, "model"), (other_table, "input"), (other_options, "options.scaling")],
)
def test_unfinished_forecasts_of_something_else(model, source, tmp_path, two_series_a_file, change, name):
    folder = tmp_path / "out"
    killed(tmp_path, source, folder)
    before = state_of(folder)
    changed, table, options = change(model, source)
    with pytest.raises(
        InputError, match=rf"holds unfinished forecasts of another plan .*there -> here.: {name}: .*`overwrite=True`"
    ):
        forecast_fleet(changed, table, folder, **options)
    assert state_of(folder) == before
    forecast_fleet(changed, table, folder, overwrite=True, **options)
    assert all(state_of(folder)[name] != state for name, state in before.items())
    changed.predict_df(pd.read_parquet(table), **options).to_parquet(tmp_path / "whole.parquet", index=False)
    whole = pd.read_parquet(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(folder), whole, rtol=1e-5, atol=1e-4)


def test_overwrite_replaces_what_is_finished_and_goes_on_with_what_is_not(model, source, tmp_path, two_series_a_file):
    folder = tmp_path / "out"
    killed(tmp_path, source, folder)
    before = state_of(folder)
    forecast_fleet(model, source, folder, overwrite=True)
    finished = state_of(folder)
    assert {name: finished[name] for name in before} == before
    forecast_fleet(model, source, folder, overwrite=True)
    assert all(state_of(folder)[name] != finished[name] for name in finished)
    check(model, source, folder, tmp_path)


def test_folders_of_others_are_left_alone(model, source, tmp_path, two_series_a_file):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "series-000000000000.parquet").write_text("mine")
    for plan in (None, "[]", '{"a": 1}', "no json"):
        if plan is not None:
            (mine / ".plan.json").write_text(plan)
        with pytest.raises(InputError, match="is a folder that holds other things than a fleet's forecasts"):
            forecast_fleet(model, source, mine, overwrite=True)
    assert (mine / "series-000000000000.parquet").read_text() == "mine"
    with pytest.raises(InputError, match=r"there is no folder .*none'; make it"):
        forecast_fleet(model, source, tmp_path / "none/out")
    (tmp_path / "empty").mkdir()
    forecast_fleet(model, source, tmp_path / "empty")
    check(model, source, tmp_path / "empty", tmp_path)


def test_a_second_run_at_once_is_refused(model, source, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out/.lock"), pytest.raises(InputError, match=r"another run is at work in .*out'"):
        forecast_fleet(model, source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_parts_of_killed_runs_beside_a_file_go_after_a_day(model, source, tmp_path):
    old, new = (tmp_path / f".{letter * 16}-out.parquet" for letter in "ab")
    for path in (old, new, tmp_path / ".mine-out.parquet"):
        path.mkdir()
    os.utime(old, (0, 0))
    forecast_fleet(model, source, tmp_path / "out.parquet")
    assert not old.exists()
    assert new.exists()
    assert (tmp_path / ".mine-out.parquet").exists()


def test_the_plan_says_what_the_forecasts_hang_on(model, source, tmp_path):
    forecast_fleet(model, source, tmp_path / "out")
    plan = json.loads((tmp_path / "out/.plan.json").read_text())
    assert plan["num_series"] == len(LENGTHS)
    assert plan["input"] == [["in.parquet", source.stat().st_size, source.stat().st_mtime_ns]]
    assert plan["options"]["id_column"] == "item"
