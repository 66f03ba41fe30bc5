"""Forecasts of a fleet, chunk by chunk: the table that `predict_df` gives of the whole, in bounded memory."""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fleet.tables import IDS, L, S, fleet, forecaster
from timedistill_hf import forecast_fleet
from timedistill_hf._utils.errors import InputError
from timedistill_hf.forecasting.fleet import forecasting, table


def as_on_the_whole(model, frame: pd.DataFrame, folder: Path, **options) -> pd.DataFrame:
    model.predict_df(frame, **options).to_parquet(folder / "whole.parquet", index=False)
    return pd.read_parquet(folder / "whole.parquet")


def check(model, frame: pd.DataFrame, folder: Path, source: Path, **options) -> None:
    report = forecast_fleet(model, source, folder / "out.parquet", overwrite=True, **options)
    expected = as_on_the_whole(model, frame, folder, **options)
    written = pd.read_parquet(folder / "out.parquet")
    pd.testing.assert_frame_equal(written, expected, rtol=1e-5, atol=1e-4)
    assert (report.num_rows, report.num_forecasts) == (len(frame), len(expected))
    assert report.num_series * S == len(expected)
    kept, found = (pq.read_schema(path) for path in (source, folder / "out.parquet") if path.is_file())
    assert [found.field(name).type for name in ("item", "ds")] == [kept.field(name).type for name in ("item", "ds")]


@pytest.fixture
def small_reads(monkeypatch):
    def use(values: int, batch: int) -> None:
        monkeypatch.setattr(forecasting, "_MAX_VALUES", values)
        monkeypatch.setattr(table, "_BATCH_ROWS", batch)

    return use


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 3 * L), min_size=1, max_size=8),
    ids=st.sampled_from(sorted(IDS)),
    row_group=st.integers(1, 200),
    values=st.sampled_from([1, 60, 200, 10**6]),
    batch=st.sampled_from([7, 50, 10**5]),
    zone=st.sampled_from([None, "Europe/Berlin", "UTC"]),
    unit=st.sampled_from(["ms", "us", "ns"]),
    targets=st.sampled_from([("y",), ("y", "z")]),
    order=st.sampled_from(["time", "any", "back"]),
    seed=st.integers(0, 2**16),
)
def test_it_is_the_table_of_predict_df(lengths, ids, row_group, values, batch, zone, unit, targets, order, seed):
    """Any row groups, chunks and batches; any ids, zones and units; series that are short, or in no order of time."""
    model = forecaster(target_columns=list(targets))
    frame = fleet(lengths, ids=ids, zone=zone, unit=unit, seed=seed, targets=targets)
    if order != "time":
        rng = np.random.default_rng(seed)
        within = rng.random(len(frame)) if order == "any" else -np.arange(len(frame))
        place = frame["item"].map({name: at for at, name in enumerate(frame["item"].drop_duplicates())}).astype(int)
        frame = frame.iloc[np.lexsort((within, place))].reset_index(drop=True)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecasting, "_MAX_VALUES", values)
        patch.setattr(table, "_BATCH_ROWS", batch)
        folder = Path(name)
        frame.to_parquet(folder / "in.parquet", row_group_size=row_group)
        check(model, frame, folder, folder / "in.parquet")


def test_a_folder_is_read_in_the_order_of_names(tmp_path, small_reads):
    """A series may go on in the next file; other files are no matter."""
    small_reads(50, 20)
    model, frame = forecaster(), fleet([40, 80, 3, 50])
    source = tmp_path / "in"
    source.mkdir()
    for name, rows in {"b": slice(50, 60), "a": slice(0, 50), "c": slice(60, None)}.items():
        frame.iloc[rows].to_parquet(source / f"{name}.parquet", index=False)
    (source / "_SUCCESS").touch()
    forecast_fleet(model, source, tmp_path / "out.parquet")
    expected = as_on_the_whole(model, frame, tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kept", ["rows", "time"])
def test_an_index_of_pandas_is_read_as_pandas_does(tmp_path, kept):
    frame = fleet([50, 20])
    frame = frame[frame["y"].notna()] if kept == "rows" else frame.set_index("ds")
    frame.to_parquet(tmp_path / "in.parquet")
    model = forecaster()
    forecast_fleet(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    expected = as_on_the_whole(model, frame, tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("freq", "unit", "zone"), [("D", None, None), ("D", "us", None), ("MS", "us", None), ("D", "us", "Europe/Berlin")]
)
def test_days_and_months(tmp_path, small_reads, freq, unit, zone):
    """Dates as such; calendars; across the change of clocks, with naive timestamps of a zone too."""
    small_reads(40, 20)
    frame = fleet([35, 50, 12])
    for _, rows in frame.groupby("item").groups.items():
        frame.loc[rows, "ds"] = pd.date_range("2023-10-01", periods=len(rows), freq=freq).as_unit("us")
    if unit is None:
        frame["ds"] = frame["ds"].dt.date
    elif zone:
        frame["ds"] = frame["ds"].dt.tz_localize(zone)
    frame.to_parquet(tmp_path / "in.parquet", row_group_size=30)
    check(forecaster(freq=freq), frame, tmp_path, tmp_path / "in.parquet")


def test_local_time_that_comes_twice(tmp_path, small_reads):
    """Naive timestamps of Berlin's clock, the hour of autumn in them twice and at the look-back's begin."""
    small_reads(1, 20)
    stamps = pd.date_range("2024-10-26 20:00", periods=60, freq="h", tz="Europe/Berlin").tz_localize(None)
    parts = [pd.DataFrame({"item": n, "ds": stamps[: L + n], "y": np.arange(L + n) % 5.0}) for n in range(4, 20)]
    frame = pd.concat(parts, ignore_index=True)
    frame.to_parquet(tmp_path / "in.parquet")
    check(forecaster(), frame, tmp_path, tmp_path / "in.parquet", time_zone="Europe/Berlin")


def test_the_frequency_is_found_where_training_had_none(tmp_path, small_reads):
    """In the longest series; a series of one row has none of its own."""
    small_reads(1, 20)
    frame = fleet([1, 60, 20])
    frame.to_parquet(tmp_path / "in.parquet")
    model = forecaster(freq=None)
    check(model, frame, tmp_path, tmp_path / "in.parquet")
    fleet([1, 2]).to_parquet(tmp_path / "short.parquet")
    with pytest.raises(InputError, match=r"neither the model's training nor .* give freq"):
        forecast_fleet(model, tmp_path / "short.parquet", tmp_path / "new.parquet")
    assert not (tmp_path / "new.parquet").exists()


def test_options_are_those_of_predict_df(tmp_path):
    frame = fleet([50, 40], targets=("y", "z")).rename(columns={"item": "shop", "ds": "when"})
    frame.to_parquet(tmp_path / "in.parquet")
    model = forecaster(target_columns=None, freq="D")
    options = {"id_column": "shop", "target_columns": ["z"], "freq": "h", "scaling": "history"}
    forecast_fleet(model, tmp_path / "in.parquet", tmp_path / "out.parquet", batch_size=1, **options)
    written = pd.read_parquet(tmp_path / "out.parquet")
    assert list(written.columns) == ["shop", "when", "z"]
    pd.testing.assert_frame_equal(written, as_on_the_whole(model, frame, tmp_path, **options), rtol=1e-5, atol=1e-4)


def test_no_more_is_read_than_the_look_backs_and_no_more_kept_than_a_chunk(tmp_path, small_reads, monkeypatch):
    small_reads(4 * L, 16)
    num_series, length = 30, 20 * L
    stamps = pd.date_range("2024-01-01", periods=length, freq="h")
    values = np.sin(np.arange(num_series * length))
    frame = pd.DataFrame({"item": np.repeat(np.arange(num_series), length), "ds": np.tile(stamps, num_series)})
    frame.assign(y=values).to_parquet(tmp_path / "in.parquet", row_group_size=L)
    model, read, given = forecaster(), [], []
    groups = table._batches

    def batches(file, path, group, columns):
        read.append((group, tuple(columns)))
        return groups(file, path, group, columns)

    def predict_df(self, frame, **options):
        given.append(len(frame))
        return original(self, frame, **options)

    original = type(model).predict_df
    monkeypatch.setattr(table, "_batches", batches)
    monkeypatch.setattr(type(model), "predict_df", predict_df)
    forecast_fleet(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    wanted = [group for group, columns in read if "y" in columns]
    assert len(wanted) == num_series + 1  # each look-back is one row group; the longest series' is read twice
    assert sum(given) == num_series * L
    assert max(given) <= 4 * L + 16
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out.parquet"), as_on_the_whole(model, frame.assign(y=values), tmp_path),
        rtol=1e-5, atol=1e-4,
    )  # fmt: skip


def test_warnings_are_shown_a_few_times(tmp_path, small_reads, caplog):
    small_reads(1, 4)
    fleet([3, 2, 40, 4, 3, 2, 3]).to_parquet(tmp_path / "in.parquet", row_group_size=4)
    with caplog.at_level(logging.WARNING):
        forecast_fleet(forecaster(), tmp_path / "in.parquet", tmp_path / "out.parquet")
    messages = [record.message for record in caplog.records]
    assert sum("fewer than 7 known values" in message for message in messages) == 3
    assert messages[-1] == "history: 2 warnings more of other series"


def altered(column, value, row=20):
    def change(frame):
        frame[column] = frame[column].astype(object) if value is None else frame[column]
        frame.loc[row, column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: pd.concat([f, f.iloc[:3]]), r"item 'shop 000' are not all together: they end at row 29 and begin "
                                               r"again at row 69 \(1 series are so\); sort the table by 'item'"),
        (altered("item", None), "row 20 has no id in column 'item': fill it"),
        (altered("ds", pd.NaT), "look-backs of the series 'shop 000' to .* row 20 .*no timestamp"),
        (altered("y", float("inf")), "look-backs of the series 'shop 000' to 'shop 097': .* infinite value in row 19"),
        (lambda f: f.drop(columns="item"), "has no known id column: name it with `id_column`, one of"),
        (lambda f: f.drop(columns="ds"), "has no known time column: name it with `timestamp_column`"),
        (lambda f: f.assign(ds=f["ds"].astype(str)), "time column 'ds' of .* holds large_string: write timestamps"),
        (lambda f: f.assign(y="a"), "column 'y' of 'history' holds 'a', no number"),
        (lambda f: f.iloc[:0], "has no rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_and_nothing_is_written(tmp_path, change, message):
    frame = change(fleet([30, 40]))
    frame.to_parquet(tmp_path / "in.parquet", index=False)
    with pytest.raises(InputError, match=message):
        forecast_fleet(forecaster(), tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_folders_that_cannot_be_used(tmp_path):
    source, frame = tmp_path / "in", fleet([30, 40])
    (source / "shop=1").mkdir(parents=True)
    target = tmp_path / "out.parquet"
    with pytest.raises(InputError, match=r"holds no \.parquet file"):
        forecast_fleet(forecaster(), source, target)
    frame.to_parquet(source / "shop=1" / "x.parquet")
    with pytest.raises(InputError, match="is in a folder within"):
        forecast_fleet(forecaster(), source, target)
    (source / "shop=1" / "x.parquet").unlink()
    frame.to_parquet(source / "a.parquet")
    frame.astype({"y": "float32"}).to_parquet(source / "b.parquet")
    with pytest.raises(InputError, match=r"b.parquet' has columns or types that .*a.parquet' has not"):
        forecast_fleet(forecaster(), source, target)
    (source / "b.parquet").write_bytes((source / "a.parquet").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"b.parquet' cannot be read as Parquet"):
        forecast_fleet(forecaster(), source, target)
    with pytest.raises(InputError, match="lies among the files of the input"):
        forecast_fleet(forecaster(), source, source / "out.parquet")


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, monkeypatch):
    fleet([30, 40]).to_parquet(tmp_path / "in.parquet")
    (tmp_path / "out.parquet").write_text("mine")
    with pytest.raises(InputError, match="exists: name another `output`, or pass `overwrite=True`"):
        forecast_fleet(forecaster(), tmp_path / "in.parquet", tmp_path / "out.parquet")

    def full(self, table):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(InputError, match=r"cannot be written: the disk is full"):
        forecast_fleet(forecaster(), tmp_path / "in.parquet", tmp_path / "out.parquet", overwrite=True)
    assert (tmp_path / "out.parquet").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_types_survive_chunks_that_would_say_otherwise(tmp_path, small_reads):
    """Few categories or digits in a chunk, many in the table: one type all along."""
    small_reads(1, 30)
    frame = fleet([9] * 140, ids="categorical")
    frame["item"] = frame["item"].cat.reorder_categories(sorted(frame["item"].cat.categories), ordered=True)
    frame.to_parquet(tmp_path / "in.parquet")
    check(forecaster(), frame, tmp_path, tmp_path / "in.parquet")
    assert pa.types.is_dictionary(pq.read_schema(tmp_path / "out.parquet").field("item").type)
