import datasets
import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import DATA_DIR, needs_real_data
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series, make_windows
from timedistill_hf.data.benchmarks import BENCHMARKS


def table(rows=50, freq="h", **columns):
    columns = columns or {"a": np.arange(rows) * 1.5, "b": np.arange(rows) ** 0.5}
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq=freq), **columns})


def test_csv_parquet_frame_and_dataset_give_the_same_series(tmp_path):
    frame = table()
    frame.to_csv(tmp_path / "x.csv", index=False)
    frame.to_parquet(tmp_path / "x.parquet")
    sources = (tmp_path / "x.csv", str(tmp_path / "x.parquet"), frame, datasets.Dataset.from_pandas(frame))
    loaded = [load_series(source) for source in sources]
    for series in loaded:
        assert series.columns == ("a", "b")
        assert series.fingerprint() == loaded[0].fingerprint()
        assert (series.timestamps == frame["date"].to_numpy()).all()
        assert (series.freq, series.season) == ("h", 24)


@pytest.mark.parametrize(
    ("freq", "season"), [("10min", 144), ("15min", 96), ("D", 7), ("MS", 12), ("W-SUN", 52), ("QS", 4), ("37min", 1)]
)
def test_the_season_follows_from_the_frequency(freq, season):
    assert load_series(table(freq=freq)).season == season
    assert load_series(table(freq=freq), season=5).season == 5


def test_a_long_table_becomes_one_channel_an_id_in_the_order_given():
    long = pd.concat(
        [table(30, value=np.arange(30.0) + start).assign(store=name) for name, start in (("z", 0), ("a", 100))]
    )
    long = long.drop(index=long.index[3])
    series = load_series(long.sample(frac=1, random_state=0).sort_values("store", ascending=False), id_column="store")
    assert series.columns == ("z", "a")
    assert series.values.shape == (30, 2)
    assert torch.isnan(series.values[3]).all()
    assert series.values[5].tolist() == [5.0, 105.0]


def test_left_out_steps_come_back_as_missing(caplog):
    series = load_series(table(40).drop(index=[7, 8]))
    assert series.num_rows == 40
    assert torch.isnan(series.values[7:9]).all()
    assert "2 of 40 steps have no row" in caplog.text


def test_unsorted_rows_are_sorted_with_a_word(caplog):
    shuffled = load_series(table().sample(frac=1, random_state=1))
    assert shuffled.fingerprint() == load_series(table()).fingerprint()
    assert "have been sorted" in caplog.text


def test_no_timestamps_at_all(caplog):
    series = load_series(pd.DataFrame({"a": np.arange(9.0)}))
    assert series.timestamps is None
    assert series.freq is None
    make_windows(series, 2, 1)
    assert "no season known" in caplog.text


def test_a_sentinel_counts_as_missing_only_when_named():
    frame = table(a=np.where(np.arange(50) == 4, -9999.0, 1.0))
    assert not load_series(frame).has_missing
    assert torch.isnan(load_series(frame, missing_value=-9999).values).sum() == 1


@pytest.mark.parametrize("style", ["%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%S+02:00"])
def test_every_style_of_date_is_read_the_same_in_all_rows(style):
    frame = table(24 * 40)
    series = load_series(frame.assign(date=frame["date"].dt.strftime(style)))
    shift = np.timedelta64(2, "h") if "+02" in style else np.timedelta64(0, "h")
    assert (series.timestamps == frame["date"].to_numpy() - shift).all()
    assert series.num_rows == 24 * 40


def test_dates_that_may_begin_with_day_or_month_are_refused():
    frame = table(10, freq="D")
    with pytest.raises(InputError, match="may begin with the day or with the month"):
        load_series(frame.assign(date=frame["date"].dt.strftime("%d.%m.%Y")))


def test_a_change_of_offset_is_no_gap():
    utc = pd.date_range("2024-03-30", periods=48, freq="h", tz="UTC")
    series = load_series(table(48).assign(date=[str(stamp) for stamp in utc.tz_convert("Europe/Berlin")]))
    assert (series.timestamps == utc.tz_localize(None).to_numpy()).all()


def test_a_saved_index_is_no_channel(tmp_path, caplog):
    table().to_csv(tmp_path / "x.csv")
    assert load_series(tmp_path / "x.csv").columns == ("a", "b")
    assert "'Unnamed: 0' is a saved index and is left out" in caplog.text
    table().sample(frac=1, random_state=0).to_parquet(tmp_path / "y.parquet")
    assert load_series(tmp_path / "y.parquet").columns == ("a", "b")


def test_the_generated_series_takes_no_column_options():
    assert load_series("synthetic", season=7).season == 7
    with pytest.raises(InputError, match="fixed columns"):
        load_series("synthetic", target_columns=["x"])


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (table().iloc[:0], {}, "has no rows"),
        (table()[["date"]], {}, "no value column"),
        (pd.concat([table(), table()]), {}, "several rows at 2024-01-01"),
        (table(a=["x"] * 50), {}, "column 'a' .* holds 'x', no number"),
        (table(item_id=["x"] * 50, v=np.ones(50)), {}, "give id_column='item_id'"),
        (table(), {"target_columns": ["nope"]}, "no column 'nope'"),
        (table().assign(date="monday"), {}, "row 0 .* 'monday': expected a date"),
        (table().assign(date=range(50)), {}, "holds numbers"),
        (pd.DataFrame({"k": ["a", "a"], "v": [1.0, 2.0]}), {"id_column": "k"}, "needs a time column"),
        (table(k=["a"] * 49 + [None], v=np.ones(50)), {"id_column": "k"}, "row 49 .* has no id"),
        (table(k=["a"] * 50, v=np.ones(50)).assign(date="2024-01-01"), {"id_column": "k"}, "several rows for id 'a'"),
    ],
)
def test_tables_that_cannot_be_read_are_named(frame, options, message):
    with pytest.raises(InputError, match=message):
        load_series(frame, **options)


def test_files_that_are_not_there_or_not_readable(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        load_series(str(tmp_path / "nothing.csv"))
    (tmp_path / "x.txt").write_text("a")
    with pytest.raises(InputError, match=r"no \.csv or \.parquet"):
        load_series(str(tmp_path / "x.txt"))
    (tmp_path / "bad.parquet").write_bytes(b"this is no parquet")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        load_series(str(tmp_path / "bad.parquet"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError):
        load_series(str(tmp_path / "empty.csv"))
    with pytest.raises(InputError, match="is no folder"):
        load_series("etth1", data_dir=tmp_path / "missing")
    with pytest.raises(InputError, match="holds no traffic_sub6"):
        load_series("traffic_sub6", data_dir=tmp_path)


def test_a_benchmark_is_found_under_its_published_file_name(tmp_path):
    folder = tmp_path / "ETT-small"
    folder.mkdir()
    table(200).to_csv(folder / "ETTh1.csv", index=False)
    series = load_series("etth1", data_dir=tmp_path)
    assert (series.name, series.season, series.num_rows) == ("etth1", 24, 200)


@needs_real_data
@pytest.mark.parametrize(
    ("name", "shape", "windows"),
    [
        ("etth1", (17420, 7), (7825, 2785, 2785)),
        ("etth2", (17420, 7), (7825, 2785, 2785)),
        ("ettm1", (69680, 7), (33745, 11425, 11425)),
        ("ettm2", (69680, 7), (33745, 11425, 11425)),
        ("weather", (52696, 21), (36072, 5175, 10444)),
        ("electricity_sub6", (26304, 6), (17597, 2537, 5165)),
        ("traffic_sub6", (17544, 6), (11465, 1661, 3413)),
        ("solar_sub12", (52560, 12), (35977, 5161, 10417)),
    ],
)
def test_the_real_benchmarks_have_the_published_windows(name, shape, windows):
    series = load_series(name, data_dir=DATA_DIR)
    data = make_windows(series, 720, 96)
    assert tuple(series.values.shape) == shape
    assert (len(data.train), len(data.validation), len(data.test)) == windows
    assert series.season == BENCHMARKS[name].season
    assert not series.has_missing
    train = series.values[slice(*data.split.train)].double()
    torch.testing.assert_close(torch.tensor(data.processor.mean), train.mean(dim=0).float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.tensor(data.processor.std), train.std(dim=0, correction=0).float())


@needs_real_data
def test_weathers_sentinel_and_gap_stay_as_published():
    series = load_series("weather", data_dir=DATA_DIR)
    assert int((series.values == -9999).sum()) == 81
    assert torch.isnan(load_series("weather", data_dir=DATA_DIR, missing_value=-9999).values).sum() == 81
