"""Tables in, the real future out: `Forecaster.predict` on DataFrames."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import CONTEXT, HORIZON, tiny_informer, tiny_teacher
from tests.forecast.tables import NAMES, ROWS, by_hand, close, long, trained_on, wide
from tests.rounding import frames_close
from timedistill_hf import Forecaster
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series, make_windows


def test_a_wide_table_keeps_its_order_and_names(hourly, caplog):
    frame = wide().rename(columns={"date": "when"})[["c", "when", "a", "b"]].assign(when=wide()["date"].astype(str))
    frame = frame.rename(columns={"when": "timestamp"})
    forecast = hourly.predict(frame)
    assert list(forecast.columns) == ["c", "timestamp", "a", "b"]
    assert (forecast["timestamp"] == pd.date_range("2024-01-13 12:00", periods=HORIZON, freq="h")).all()
    expected = by_hand(hourly, wide()[NAMES].to_numpy())
    assert np.ptp(expected[:, 0]) > 1e-3
    close(forecast[NAMES].to_numpy(), expected)
    close(forecast[NAMES].to_numpy(), hourly.predict(wide()[NAMES].to_numpy()))
    assert caplog.text == ""


def test_columns_that_the_model_does_not_know_are_left_out_with_one_word(hourly, caplog):
    frame = wide().assign(weather="rain", price=1.0)[["weather", "a", "price", "date", "b", "c"]]
    frame.insert(0, "Unnamed: 0", range(ROWS))
    frames_close(hourly.predict(frame)[["date", *NAMES]], hourly.predict(wide()))
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
    values = wide()[NAMES].to_numpy(copy=True)
    expected = by_hand(forecaster, np.stack([values, values**2], axis=2).reshape(ROWS, 6))
    assert forecast["store"].tolist() == np.repeat([2, 10, 1], HORIZON).tolist()
    close(forecast["sales"], expected[:, ::2].T.ravel())
    close(forecast["price"], expected[:, 1::2].T.ravel())
    assert "['note']; they are left out" in caplog.text


def test_one_value_column_of_several_is_enough(caplog):
    frame = long(wide(), ("x", "y", "z")).assign(price=1.0)
    forecaster = trained_on(frame, id_column="store", target_columns=["sales"])
    assert list(forecaster.predict(frame).columns) == ["sales", "store", "date"]
    frames_close(forecaster.predict(frame), forecaster.predict(frame.drop(columns="price")))


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
    frame = wide().iloc[:20]
    forecast = hourly.predict(frame)
    short = "of 3 series 3 have in the last 48 steps fewer than 24 known values; their forecasts may be poor"
    assert f"{short}: ['a', 'b', 'c']" in caplog.text
    close(forecast[NAMES].to_numpy(), by_hand(hourly, frame[NAMES].to_numpy()))
    assert forecast["date"].iloc[0] == pd.Timestamp("2024-01-01 20:00")
    caplog.clear()
    values = frame[NAMES].to_numpy()
    np.testing.assert_array_equal(hourly.predict(values), forecast[NAMES].to_numpy())
    assert f"{short}: ['a', 'b', 'c']" in caplog.text
    for history in (frame, values):
        inputs = hourly.processor(history)
        assert inputs["past_observed_mask"][0].sum(dim=0).tolist() == [20, 20, 20]
        assert inputs["past_observed_mask"][0, -20:].all()


def test_what_is_short_is_told_and_harms_no_other(hourly, caplog):
    hourly.predict(wide().iloc[:24])
    assert "may be poor" not in caplog.text
    frame = wide()
    frame.loc[ROWS - CONTEXT + 10 :, "b"] = np.nan
    forecast = hourly.predict(frame)
    assert (
        "of 3 series 1 have in the last 48 steps fewer than 24 known values; their forecasts may be poor: ['b']"
        in (caplog.text)
    )
    close(forecast[NAMES].to_numpy(), by_hand(hourly, frame[NAMES].to_numpy()))


def test_a_season_longer_than_half_the_look_back_asks_for_half_of_it(caplog):
    forecaster = trained_on(wide(), season=168)
    forecaster.predict(wide().iloc[:24])
    assert "known values" not in caplog.text
    forecaster.predict(wide().iloc[:23])
    assert "fewer than 24 known values" in caplog.text


def test_ids_that_end_early_are_forecast_from_their_own_end():
    forecaster = trained_on(long(wide(), (1, 2, 3)), id_column="store")
    frame = long(wide(), (1, 2, 3))
    cut = (frame["store"] == 2) & (frame["date"] >= frame["date"].max() - pd.Timedelta(hours=5))
    forecast = forecaster.predict(frame[~cut])
    values = wide()[NAMES].to_numpy().astype(float)
    values[:, 1] = np.roll(values[:, 1], 6)
    close(forecast["sales"], by_hand(forecaster, values).T.ravel())
    assert forecast.groupby("store")["date"].first().tolist() == [
        pd.Timestamp(f"2024-01-13 {hour}:00") for hour in (12, 6, 12)
    ]


def test_a_teacher_is_shown_all_series_up_to_the_last_step_of_any():
    forecaster = trained_on(long(wide(), (1, 2, 3)), id_column="store")
    forecaster.model = tiny_teacher("itransformer")
    frame = long(wide(), (1, 2, 3))
    cut = (frame["store"] == 2) & (frame["date"] >= frame["date"].max() - pd.Timedelta(hours=5))
    values = wide()[NAMES].to_numpy().astype(float)
    values[-6:, 1] = np.nan
    for rows in (frame[~cut], frame[~cut].sample(frac=1, random_state=0)):
        forecast = forecaster.predict(rows).sort_values(["store", "date"])
        close(forecast["sales"], forecaster.predict(values).T.ravel())
        assert forecast.groupby("store")["date"].first().unique().tolist() == [pd.Timestamp("2024-01-13 12:00")]
    with pytest.raises(
        InputError, match=r"series of its training together, \['1', '2', '3'\]; 'history' has \['1', '3'"
    ):
        forecaster.predict(frame[frame["store"] != 2])


def test_rows_without_values_at_the_end_are_missing(hourly):
    frame = wide()
    frame.loc[ROWS - 4 :, NAMES] = np.nan
    forecast = hourly.predict(frame)
    assert forecast["date"].iloc[0] == pd.Timestamp("2024-01-13 12:00")
    close(forecast[NAMES].to_numpy(), by_hand(hourly, frame[NAMES].to_numpy()))


def test_a_bound_student_forecasts_those_of_its_series_that_are_there(hourly):
    frame = long(wide(), ("x", "y", "z"))
    forecaster = trained_on(frame, id_column="store")
    more = pd.concat([frame, frame[frame["store"] == "x"].assign(store="new")])
    with pytest.raises(InputError, match=r"1 of 4 series are not of the model's training, \['x', 'y', 'z'\]"):
        forecaster.predict(more)
    whole = forecaster.predict(frame)
    frames_close(forecaster.predict(frame[frame["store"] != "y"]), whole[whole["store"] != "y"].reset_index(drop=True))
    close(hourly.predict(wide().drop(columns="b"))[["a", "c"]], hourly.predict(wide())[["a", "c"]])
    with pytest.raises(InputError, match="2 of 4 series are not of the model's training"):
        hourly.predict(wide().drop(columns="b").assign(d=1.0, e=2.0))


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
    """Week days lie on a grid of days: Saturdays and Sundays are missing."""
    forecaster = trained_on(wide("D"))
    recent = wide("B", rows=80)
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


def test_values_that_would_make_infinite_forecasts_are_refused(hourly):
    frame = wide()
    frame["c"] *= 1e30
    with pytest.raises(
        InputError, match=r"the series 'c' holds a value .* deviations from the mean of training: correct it"
    ):
        hourly.predict(frame)


def test_a_channel_without_a_value_has_no_forecast(hourly, caplog):
    frame = wide().astype(dict.fromkeys(NAMES, float))
    frame.loc[ROWS - hourly.processor.context_length :, NAMES[1]] = np.nan
    for forecast in (hourly.predict(frame)[NAMES].to_numpy(), hourly.predict(frame[NAMES].to_numpy())):
        assert np.isnan(forecast[:, 1]).all()
        assert np.isfinite(forecast[:, [0, 2]]).all()
    assert caplog.text.count("of 3 series 1 have in the last 48 steps no known value; their forecasts are") == 2


def test_lists_of_any_lengths_are_answered_in_their_order(hourly):
    values = wide()[NAMES].to_numpy()
    answers = hourly.predict([values, values[:100], torch.tensor(values[:30])])
    assert [answer.shape for answer in answers] == 3 * [(HORIZON, 3)]
    for answer, rows in zip(answers, (ROWS, 100, 30), strict=True):
        close(answer, by_hand(hourly, values[:rows]))
    assert hourly.predict([]) == []
    with pytest.raises(InputError, match="input 1 has 1 channels, the model is bound to the 3 of its training"):
        hourly.predict([values, values[:, 0]])
    with pytest.raises(InputError, match="freq='h' is for tables"):
        hourly.predict(values, freq="h")


def test_without_a_known_frequency_there_are_only_values(caplog):
    bare = wide()[NAMES]
    forecaster = trained_on(bare)
    assert list(forecaster.predict(bare).columns) == NAMES
    assert "no time column" not in caplog.text
    close(forecaster.predict(bare).to_numpy(), by_hand(forecaster, bare.to_numpy()))
    timed = forecaster.predict(wide())
    assert timed["date"].iloc[0] == pd.Timestamp("2024-01-13 12:00")
    frames_close(timed[NAMES], forecaster.predict(bare))

    uneven = wide().assign(date=pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS) ** 2, unit="min"))
    assert list(trained_on(uneven).predict(uneven).columns) == NAMES
    assert "so the forecast has no time column" in caplog.text


def test_an_index_of_timestamps_becomes_the_time_column(hourly):
    frames_close(hourly.predict(wide().set_index("date")), hourly.predict(wide()))


def test_rows_of_a_benchmark_are_taken_as_they_are(hourly):
    forecaster = trained_on(wide())
    forecaster.processor.regularized = False
    frame = wide().drop(index=[260, 270])
    forecast = forecaster.predict(frame)
    close(forecast[NAMES].to_numpy(), by_hand(forecaster, frame[NAMES].to_numpy()))
    assert forecast["date"].iloc[0] == pd.Timestamp("2024-01-13 12:00")
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
        torch.testing.assert_close(value[0], data.test[0][name], msg=name)
    forecaster = Forecaster(tiny_informer(num_time_features=data.num_time_features), data.processor)
    assert np.isfinite(forecaster.predict(wide())[NAMES].to_numpy()).all()
    with pytest.raises(InputError, match="needs calendar features: give a table"):
        forecaster.predict(wide()[NAMES].to_numpy())
    with pytest.raises(InputError, match="needs calendar features: give a table with a time column"):
        forecaster.predict(wide()[NAMES])
