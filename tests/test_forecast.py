"""Tables in, the real future out: `Forecaster.predict` on DataFrames and `scripts/forecast.py` on files."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import CONTEXT, HORIZON, tiny_informer, tiny_teacher
from tests.scripts_helper import fails, run
from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.data import load_series, make_windows, synthetic_series
from timedistill_hf.errors import InputError
from timedistill_hf.forecast_table import read_window
from timedistill_hf.teachers import FAMILIES


ROWS = 300
NAMES = ["a", "b", "c"]


def wide(freq="h", start="2024-01-01", rows=ROWS, names=NAMES):
    values = synthetic_series(rows, len(names)).values.numpy()
    return pd.DataFrame({"date": pd.date_range(start, periods=rows, freq=freq), **dict(zip(names, values.T))})


def long(frame, ids, value="sales"):
    """The wide table as a long one, id after id, with these ids in place of its columns."""
    parts = [
        pd.DataFrame({value: frame[name], "store": identifier, "date": frame["date"]})
        for name, identifier in zip(frame.columns[1:], ids, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def trained_on(frame, **options) -> Forecaster:
    """A student whose forecast hangs on every step of every channel, and the processor of these data."""
    data = make_windows(load_series(frame, **options), CONTEXT, HORIZON)
    model = TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return Forecaster(model.eval(), data.processor)


def by_hand(forecaster, history):
    """The forecast of `[T, C]`, NaN where missing: interpolated with numpy and scaled here."""
    window = np.full((CONTEXT, history.shape[1]), np.nan)
    window[max(0, CONTEXT - len(history)) :] = history[-CONTEXT:]
    steps = np.arange(CONTEXT)
    for channel in window.T:
        known = ~np.isnan(channel)
        channel[:] = np.interp(steps, steps[known], channel[known])
    mean, std = np.array(forecaster.processor.mean), np.array(forecaster.processor.std)
    scaled = torch.tensor((window - mean) / std, dtype=torch.float32)
    with torch.no_grad():
        return forecaster.model(past_values=scaled[None]).prediction_outputs[0].double().numpy() * std + mean


def save(forecaster, folder):
    forecaster.model.save_pretrained(folder)
    forecaster.processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def hourly():
    return trained_on(wide())


@pytest.fixture
def saved(hourly, tmp_path):
    return save(hourly, tmp_path / "model")


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_a_wide_table_keeps_its_order_and_names(hourly, caplog):
    frame = wide().rename(columns={"date": "when"})[["c", "when", "a", "b"]].assign(when=wide()["date"].astype(str))
    frame = frame.rename(columns={"when": "timestamp"})
    forecast = hourly.predict(frame)
    assert list(forecast.columns) == ["timestamp", "c", "a", "b"]
    assert (forecast["timestamp"] == pd.date_range("2024-01-13 12:00", periods=HORIZON, freq="h")).all()
    expected = by_hand(hourly, wide()[NAMES].to_numpy())
    assert np.ptp(expected[:, 0]) > 1e-3
    close(forecast[NAMES].to_numpy(), expected)
    np.testing.assert_array_equal(forecast[NAMES].to_numpy(), hourly.predict(wide()[NAMES].to_numpy()))
    assert caplog.text == ""


def test_columns_that_the_model_does_not_know_are_left_out_with_one_word(hourly, caplog):
    frame = wide().assign(weather="rain", price=1.0)[["weather", "a", "price", "date", "b", "c"]]
    frame.insert(0, "Unnamed: 0", range(ROWS))
    pd.testing.assert_frame_equal(hourly.predict(frame), hourly.predict(wide()))
    about = [record.getMessage() for record in caplog.records if "weather" in record.getMessage()]
    assert about == ["history: the model does not know the columns ['weather', 'price']; they are left out"]


@pytest.mark.parametrize("ids", [(30, 4, 100), ("007", "07", "7"), ("b", "a/c", "a")])
def test_a_long_table_comes_back_with_its_ids(ids):
    frame = long(wide(), ids)
    forecaster = trained_on(frame, id_column="store")
    shuffled = frame.sample(frac=1, random_state=3)
    forecast = forecaster.predict(shuffled)
    assert list(forecast.columns) == ["sales", "store", "date"]
    assert forecast["store"].dtype == frame["store"].dtype
    expected = by_hand(forecaster, wide()[NAMES].to_numpy())
    order = list(dict.fromkeys(shuffled["store"]))
    assert order != list(ids)
    assert forecast["store"].tolist() == [identifier for identifier in order for _ in range(HORIZON)]
    for identifier in ids:
        part = forecast[forecast["store"] == identifier]
        assert (part["date"].to_numpy() == pd.date_range("2024-01-13 12:00", periods=HORIZON, freq="h")).all()
        close(part["sales"], expected[:, ids.index(identifier)])


def test_a_long_table_of_several_value_columns_comes_back_as_such(caplog):
    frame = long(wide(), (2, 10, 1))
    frame.insert(0, "price", frame["sales"] ** 2)
    frame["note"] = "x"
    forecaster = trained_on(frame, id_column="store", target_columns=["sales", "price"])
    assert forecaster.processor.columns == ["2/sales", "2/price", "10/sales", "10/price", "1/sales", "1/price"]
    caplog.clear()
    forecast = forecaster.predict(frame)
    assert list(forecast.columns) == ["price", "sales", "store", "date"]
    values = wide()[NAMES].to_numpy()
    expected = by_hand(forecaster, np.stack([values, values**2], axis=2).reshape(ROWS, 6))
    assert forecast["store"].tolist() == np.repeat([2, 10, 1], HORIZON).tolist()
    close(forecast["sales"], expected[:, ::2].T.ravel())
    close(forecast["price"], expected[:, 1::2].T.ravel())
    assert "['note']; they are left out" in caplog.text


def test_one_value_column_of_several_is_enough(caplog):
    frame = long(wide(), ("x", "y", "z")).assign(price=1.0)
    forecaster = trained_on(frame, id_column="store", target_columns=["sales"])
    assert list(forecaster.predict(frame).columns) == ["sales", "store", "date"]
    pd.testing.assert_frame_equal(forecaster.predict(frame), forecaster.predict(frame.drop(columns="price")))


def test_gaps_empty_cells_and_the_sentinel_are_missing():
    forecaster = trained_on(wide(), missing_value=-9999.0)
    values = wide()[NAMES].to_numpy().astype(float)
    frame = wide().astype(dict.fromkeys(NAMES, float))
    frame.loc[290, "b"], values[290, 1] = -9999.0, np.nan
    frame.loc[270, "a"], values[270, 0] = np.nan, np.nan
    values[280:284] = np.nan
    forecast = forecaster.predict(frame.drop(index=range(280, 284)))
    close(forecast[NAMES].to_numpy(), by_hand(forecaster, values))


def test_a_short_history_is_filled_up_in_front(hourly, caplog):
    frame = wide().iloc[:30]
    forecast = hourly.predict(frame)
    assert "it has 30 steps, the model looks back 48; the 18 steps before it count as missing" in caplog.text
    masked = np.concatenate([np.full((18, 3), np.nan), frame[NAMES].to_numpy()])
    np.testing.assert_array_equal(forecast[NAMES].to_numpy(), hourly.predict(masked))
    close(forecast[NAMES].to_numpy(), by_hand(hourly, frame[NAMES].to_numpy()))
    assert forecast["date"].iloc[0] == pd.Timestamp("2024-01-02 06:00")
    inputs = hourly.processor(frame)
    assert inputs["past_observed_mask"][0].sum(dim=0).tolist() == [30, 30, 30]
    assert inputs["past_observed_mask"][0, -30:].all()
    window = read_window(frame, hourly.processor)
    assert (window.series.timestamps == pd.date_range("2023-12-31 06:00", periods=CONTEXT, freq="h")).all()
    with pytest.raises(InputError, match="history of 30 steps: the model looks back 48"):
        hourly.predict(frame[NAMES].to_numpy())


def test_too_few_known_values_are_named(hourly):
    hourly.predict(wide().iloc[:24])
    with pytest.raises(InputError, match=r"last 48 steps .* 24 known values .*'a' has 23, 'b' has 23, 'c' has 23"):
        hourly.predict(wide().iloc[:23])
    frame = wide()
    frame.loc[ROWS - CONTEXT + 10 :, "b"] = np.nan
    with pytest.raises(InputError, match="24 known values a channel are needed, 'b' has 10: give more history"):
        hourly.predict(frame)


def test_a_season_longer_than_half_the_look_back_asks_for_half_of_it():
    forecaster = trained_on(wide(), season=168)
    forecaster.predict(wide().iloc[:24])
    with pytest.raises(InputError, match="24 known values"):
        forecaster.predict(wide().iloc[:23])


def test_ids_that_end_early_are_forecast_from_the_tables_end(caplog):
    forecaster = trained_on(long(wide(), (1, 2, 3)), id_column="store")
    frame = long(wide(), (1, 2, 3))
    cut = (frame["store"] == 2) & (frame["date"] >= frame["date"].max() - pd.Timedelta(hours=5))
    forecast = forecaster.predict(frame[~cut])
    assert "1 of 3 ids have no value at the end, what they lack counts as missing: ['2']" in caplog.text
    values = wide()[NAMES].to_numpy().astype(float)
    values[-6:, 1] = np.nan
    close(forecast["sales"], by_hand(forecaster, values).T.ravel())
    assert forecast.groupby("store")["date"].first().nunique() == 1
    assert forecast["date"].iloc[0] == pd.Timestamp("2024-01-13 12:00")


def test_rows_without_values_at_the_end_are_mentioned(hourly, caplog):
    frame = wide()
    frame.loc[ROWS - 4 :, NAMES] = np.nan
    forecast = hourly.predict(frame)
    assert "its last 4 steps hold no value; the forecast begins after them" in caplog.text
    assert forecast["date"].iloc[0] == pd.Timestamp("2024-01-13 12:00")
    close(forecast[NAMES].to_numpy(), by_hand(hourly, frame[NAMES].to_numpy()))


def test_ids_must_be_those_of_the_model():
    frame = long(wide(), ("x", "y", "z"))
    forecaster = trained_on(frame, id_column="store")
    more = pd.concat([frame, frame[frame["store"] == "x"].assign(store="new")])
    with pytest.raises(InputError, match=r"has store \['new'\], unknown to the model; .* \['x', 'y', 'z'\]"):
        forecaster.predict(more)
    with pytest.raises(InputError, match=r"lacks \['y'\]; the model was trained on"):
        forecaster.predict(frame[frame["store"] != "y"])
    with pytest.raises(InputError, match=r"lacks \['y'\] and has \['new'\]"):
        forecaster.predict(more[more["store"] != "y"])
    frame["price"] = 1.0
    forecaster = trained_on(frame, id_column="store")
    with pytest.raises(InputError, match=r"lacks \['y'\]; the model was trained on \['x', 'y', 'z'\]"):
        forecaster.predict(frame[frame["store"] != "y"])
    with pytest.raises(InputError, match="no column 'price'"):
        forecaster.predict(frame.drop(columns="price"))


def test_the_columns_of_the_model_must_be_there(hourly):
    with pytest.raises(InputError, match=r"lacks \['b'\]"):
        hourly.predict(wide().drop(columns="b"))


@pytest.mark.parametrize(
    ("freq", "message"),
    [
        ("2h", "steps of 'h', the timestamps of 'history' are '2h' apart"),
        ("30min", "steps of 'h', .* are '30min' apart"),
        ("D", "steps of 'h', .* are 'D' apart"),
        ("MS", "steps of 'h', .* are 'MS' apart"),
    ],
)
def test_another_frequency_is_refused(hourly, freq, message):
    with pytest.raises(InputError, match=message):
        hourly.predict(wide(freq))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_a_time_zone_goes_on_in_that_zone(hourly, zone):
    frame = wide()
    zoned = frame.assign(date=frame["date"].dt.tz_localize("UTC").dt.tz_convert(zone))
    forecast = hourly.predict(zoned)
    assert forecast["date"].dtype == zoned["date"].dtype
    expected = pd.date_range(zoned["date"].iloc[-1] + pd.Timedelta(hours=1), periods=HORIZON, freq="h")
    assert list(forecast["date"]) == list(expected)
    as_text = zoned.assign(date=zoned["date"].astype(str))
    assert list(hourly.predict(as_text)["date"]) == list(expected.tz_convert("UTC"))
    assert str(hourly.predict(as_text)["date"].iloc[0]).endswith("+00:00")


def test_an_index_of_periods_is_the_time_of_their_start(hourly):
    frame = wide()
    periods = frame.drop(columns="date").set_axis(pd.PeriodIndex(frame["date"], freq="h"))
    assert hourly.predict(periods)["date"].iloc[0] == frame["date"].iloc[-1] + pd.Timedelta(hours=1)


@pytest.mark.parametrize("start", ["2300-01-01", "1600-01-01"])
def test_years_that_nanoseconds_do_not_hold_are_refused(hourly, start):
    frame = wide().assign(date=pd.date_range(start, periods=ROWS, freq="h", unit="s"))
    with pytest.raises(InputError, match=rf"row 0 of 'history' has the timestamp .*{start}.*from 1678 to 2261"):
        hourly.predict(frame)


def test_ids_that_are_written_alike_are_refused():
    with pytest.raises(InputError, match=r"different ids that are both written '1'"):
        load_series(long(wide(), [1, "1", 2]), id_column="store")


def test_timestamps_off_the_grid_are_refused(hourly):
    frame = wide()
    frame.loc[100, "date"] += pd.Timedelta(minutes=10)
    frame.loc[102:, "date"] += pd.Timedelta(minutes=17)
    with pytest.raises(InputError, match="on no grid of that frequency, such as 2024-01-05 04:10:00"):
        hourly.predict(frame)


def test_few_rows_are_placed_on_the_grid_of_training():
    """Three rows tell no frequency; the model's says which steps lie between them."""
    forecaster = trained_on(wide(), season=1)
    rows = wide().iloc[[10, 13, 18]]
    values = np.full((9, 3), np.nan)
    values[[0, 3, 8]] = rows[NAMES].to_numpy()
    forecast = forecaster.predict(rows)
    close(forecast[NAMES].to_numpy(), by_hand(forecaster, values))
    assert forecast["date"].iloc[0] == pd.Timestamp("2024-01-01 19:00")
    assert forecaster.predict(rows.iloc[-1:])["date"].iloc[0] == pd.Timestamp("2024-01-01 19:00")


@pytest.mark.parametrize(
    ("freq", "start"), [("MS", "1990-01-01"), ("ME", "1990-01-31"), ("B", "2024-01-01"), ("QS", "1950-01-01")]
)
def test_calendar_frequencies_go_on_and_keep_their_gaps(freq, start):
    """A left-out month or business day is a gap on the model's grid, though the table's own steps are uneven."""
    frame = wide(freq, start)
    forecaster = trained_on(frame)
    forecast = forecaster.predict(frame.drop(index=285))
    assert (forecast["date"] == pd.date_range(start, periods=ROWS + HORIZON, freq=freq)[ROWS:]).all()
    values = frame[NAMES].to_numpy().astype(float)
    values[285] = np.nan
    close(forecast[NAMES].to_numpy(), by_hand(forecaster, values))


def test_weekdays_fit_a_model_of_days():
    """Trained on week days with holidays, which lie on a grid of days, and then shown week days without any."""
    frame = wide("B", rows=500).drop(index=[50, 120, 260])
    forecaster = trained_on(frame)
    assert forecaster.processor.freq == "24h"
    recent = frame.iloc[-80:]
    days = recent.set_index("date").asfreq("D")
    forecast = forecaster.predict(recent)
    close(forecast[NAMES].to_numpy(), by_hand(forecaster, days.to_numpy()))
    with pytest.raises(InputError, match="steps of 'B', the timestamps of 'history' are 'D' apart"):
        trained_on(wide("B")).predict(wide("D"))


def test_infinite_values_are_refused(hourly):
    frame = wide()
    frame.loc[5, "c"] = -np.inf
    with pytest.raises(InputError, match="'c' holds an infinite value"):
        hourly.predict(frame)


def test_without_a_known_frequency_there_are_only_values(caplog):
    bare = wide()[NAMES]
    forecaster = trained_on(bare)
    assert list(forecaster.predict(bare).columns) == NAMES
    assert "no time column" not in caplog.text
    close(forecaster.predict(bare).to_numpy(), by_hand(forecaster, bare.to_numpy()))
    timed = forecaster.predict(wide())
    assert timed["date"].iloc[0] == pd.Timestamp("2024-01-13 12:00")
    pd.testing.assert_frame_equal(timed[NAMES], forecaster.predict(bare))

    uneven = wide().assign(date=pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS) ** 2, unit="min"))
    assert list(trained_on(uneven).predict(uneven).columns) == NAMES
    assert "so the forecast has no time column" in caplog.text


def test_an_index_of_timestamps_becomes_the_time_column(hourly):
    pd.testing.assert_frame_equal(hourly.predict(wide().set_index("date")), hourly.predict(wide()))


def test_rows_of_a_benchmark_are_taken_as_they_are(hourly):
    forecaster = trained_on(wide())
    forecaster.processor.regularized = False
    frame = wide().drop(index=[260, 270])
    close(forecaster.predict(frame)[NAMES].to_numpy(), by_hand(forecaster, frame[NAMES].to_numpy()))
    with pytest.raises(InputError, match="not in order of time"):
        forecaster.predict(frame[::-1])
    with pytest.raises(InputError, match=r"steps of 'h', .* are 'D' apart"):
        forecaster.predict(wide("D"))


def test_calendar_features_are_those_of_the_training_windows():
    data = make_windows(load_series(wide()), CONTEXT, HORIZON).with_time_features()
    origin = data.test.first_origin
    inputs = data.processor(wide().iloc[:origin])
    assert set(inputs) == {"past_values", "past_time_features", "future_time_features"}
    for name, value in inputs.items():
        assert torch.equal(value[0], data.test[0][name]), name
    forecaster = Forecaster(tiny_informer(num_time_features=data.num_time_features), data.processor)
    assert np.isfinite(forecaster.predict(wide())[NAMES].to_numpy()).all()
    with pytest.raises(InputError, match="needs calendar features: give a table"):
        forecaster.predict(wide()[NAMES].to_numpy())
    with pytest.raises(InputError, match="needs calendar features: give a history with a time column"):
        forecaster.predict(wide()[NAMES])


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
        assert "No space left" in fails(monkeypatch, capsys, "forecast.py", *command, "--overwrite")
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
        ({"--input": "short.csv"}, "24 known values a channel are needed, 'a' has 5"),
    ],
)
def test_bad_input_ends_with_one_line_and_no_file(saved, hourly, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    wide().to_csv("my.csv", index=False)
    wide().iloc[:5].to_csv("short.csv", index=False)
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
