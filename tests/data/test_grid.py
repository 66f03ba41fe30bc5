"""Frequencies: which grid a table's timestamps lie on, in training and wherever the table is forecast."""

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.tseries.holiday import USFederalHolidayCalendar
from pandas.tseries.offsets import CustomBusinessDay

from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction, backtest, forecast_fleet
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_data, load_series, make_windows
from timedistill_hf.data.frames import frame_to_series
from timedistill_hf.settings.run import DataSettings
from timedistill_hf.tables.grid import season_of


L, S, ROWS = 12, 4, 80

# frequency of the timestamps, the same as it is found, steps of a season
FREQUENCIES = {
    "YS": ("YS-JAN", 1), "YE": ("YE-DEC", 1), "YS-APR": ("YS-APR", 1), "BYE": ("BYE-DEC", 1), "BYS": ("BYS-JAN", 1),
    "2YE-MAR": ("2YE-MAR", 1), "QS": ("QS-JAN", 4), "QE": ("QE-DEC", 4), "QE-NOV": ("QE-NOV", 4),
    "BQE": ("BQE-DEC", 4), "BQS-FEB": ("BQS-FEB", 4), "2QS": ("2QS-JAN", 2), "MS": ("MS", 12), "ME": ("ME", 12),
    "BMS": ("BMS", 12), "BME": ("BME", 12), "2ME": ("2ME", 6), "5MS": ("5MS", 1), "WOM-3FRI": ("WOM-3FRI", 12),
    "WOM-1MON": ("WOM-1MON", 12), "LWOM-THU": ("LWOM-THU", 12), "3WOM-2WED": ("3WOM-2WED", 4),
    "SMS": ("SMS-15", 24), "SME": ("SME-15", 24), "SMS-20": ("SMS-20", 24), "2SMS-20": ("2SMS-20", 12),
    "W-SUN": ("W-SUN", 52), "W-WED": ("W-WED", 52), "2W-FRI": ("2W-FRI", 26), "7D": ("W-WED", 52), "B": ("B", 5),
    "D": ("D", 7), "3D": ("3D", 1), "24h": ("D", 7), "h": ("h", 24), "2h": ("2h", 12), "6h": ("6h", 4),
    "36h": ("36h", 1), "15min": ("15min", 96), "5min": ("5min", 288), "37min": ("37min", 1), "10s": ("10s", 360),
    "250ms": ("250ms", 1),
}  # fmt: skip
STARTS = {"7D": "2020-01-01", "2SMS-20": "2020-01-20"}


def drop(rows, *positions):
    return np.setdiff1d(np.arange(rows), positions)


SHAPES = {
    "complete": drop(ROWS),
    "one gap": drop(ROWS, 30),
    "several gaps": drop(ROWS, 7, 21, 22, 23, 40, 59, 78),
    "first rows missing": drop(ROWS, *range(9), 50),
    "no first half": drop(ROWS, *range(ROWS // 2), 77),
}


def untrained(series, **shape) -> Forecaster:
    """A student free of the channel count, and the processor of these data."""
    data = make_windows(series, L, S, "0.4,0.3,0.3")
    torch.manual_seed(0)
    return Forecaster(TimeDistillForPrediction(TimeDistillConfig(**data.shape, architecture="linear")), data.processor)


def table(stamps, **columns):
    values = np.random.default_rng(0).normal(size=len(stamps))
    return pd.DataFrame({"date": stamps, "y": values, **columns})


def stamps_of(freq, zone=None, time="09:30"):
    """`ROWS` and `S` timestamps; days and longer steps at one time of day on the zone's wall."""
    stamps = pd.date_range(f"{STARTS.get(freq, '2020-01-01')} {time}", periods=ROWS + S, freq=freq, unit="us")
    if zone is None:
        return stamps
    is_absolute = isinstance(stamps.freq, pd.offsets.Tick) and freq != "24h"
    return stamps.tz_localize("UTC").tz_convert(zone) if is_absolute else stamps.tz_localize(zone)


ZONES = (None, "Europe/Berlin")
EVERY = [(freq, shape, zone) for freq in FREQUENCIES for shape in SHAPES for zone in ZONES]
FEW = {(freq, list(SHAPES)[n % len(SHAPES)], ZONES[n // len(SHAPES) % 2]) for n, freq in enumerate(FREQUENCIES)}


def but_slow(is_quick):
    return [case if is_quick(*case) else pytest.param(*case, marks=pytest.mark.slow) for case in EVERY]


@pytest.mark.parametrize(
    ("freq", "shape", "zone"), but_slow(lambda freq, shape, zone: zone is None or shape == "several gaps")
)
def test_the_frequency_is_found_and_every_row_kept(freq, shape, zone, caplog):
    stamps = stamps_of(freq, zone)[:ROWS][SHAPES[shape]]
    frame = table(stamps)
    series = load_series(frame)
    assert (series.freq, series.season) == FREQUENCIES[freq]
    assert series.num_rows == ROWS - SHAPES[shape][0]
    known = ~torch.isnan(series.values[:, 0])
    assert np.flatnonzero(known).tolist() == (SHAPES[shape] - SHAPES[shape][0]).tolist()
    np.testing.assert_allclose(series.values[known, 0], frame["y"], rtol=1e-6)
    assert (series.clock.write(series.timestamps[known]) == stamps).all()
    assert ("have no row" in caplog.text) == (series.num_rows > len(stamps))


@pytest.mark.parametrize(("freq", "shape", "zone"), but_slow(lambda *case: case in FEW))
def test_a_table_is_accepted_wherever_it_was_trained_on(freq, shape, zone, tmp_path):
    """Forecasts go on as pandas' own arithmetic does, of each series from its own end."""
    everything = stamps_of(freq, zone)
    stamps, future = everything[:ROWS][SHAPES[shape]], everything[ROWS:]
    frame = table(stamps)
    forecaster = untrained(load_series(frame))
    assert forecaster.predict(frame)["date"].tolist() == future.tolist()
    # a second series begins and ends elsewhere
    rows = SHAPES[shape][SHAPES[shape] < ROWS - 3][2:]
    long = pd.concat([table(stamps, item="x"), table(everything[rows], item="y")], ignore_index=True)
    end = {"x": ROWS, "y": rows[-1] + 1}
    forecaster = untrained(load_series(long, id_column="item"))
    assert (forecaster.processor.freq, forecaster.processor.season) == FREQUENCIES[freq]
    forecast = forecaster.predict(long)
    for name, own in forecast.groupby("item"):
        assert own["date"].tolist() == everything[end[name] : end[name] + S].tolist()
    past = backtest(forecaster, long, num_windows=1).forecasts
    for name, own in past.groupby("item"):
        assert own["date"].tolist() == everything[end[name] - S : end[name]].tolist()
    long.to_parquet(tmp_path / "in.parquet")
    forecast_fleet(forecaster, tmp_path / "in.parquet", tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), forecast, rtol=1e-5)


def on(*stamps):
    return pd.DatetimeIndex(stamps)


def opening(hours, days, step="h", periods=3000):
    stamps = pd.date_range("2021-01-04", periods=periods, freq=step)
    return stamps[stamps.hour.isin(hours) & (stamps.day_of_week < days)]


DAYS = pd.date_range("2024-01-01", periods=300, freq="D")
US_DAYS = pd.date_range("2021-01-04", periods=600, freq=CustomBusinessDay(calendar=USFederalHolidayCalendar()))


@pytest.mark.parametrize(
    ("stamps", "freq", "season", "future"),
    [
        pytest.param(US_DAYS, "B", 5, on("2023-05-26", "2023-05-29"), id="holidays"),
        pytest.param(DAYS.drop(on("2024-02-04", "2024-05-18")), "D", 7, on("2024-10-27", "2024-10-28"), id="7 days"),
        pytest.param(DAYS[DAYS.day_of_week < 6], "D", 7, on("2024-10-27", "2024-10-28"), id="closed on Sundays"),
        pytest.param(
            pd.date_range("2024-01-01", periods=300, freq="B").union(on("2024-03-02")),
            "D", 7, on("2025-02-22", "2025-02-23"), id="one Saturday",
        ),
        pytest.param(
            pd.date_range("2010-01-31", periods=90, freq="ME") + pd.Timedelta(days=15),
            "2SMS-15", 12, on("2017-08-15", "2017-09-15"), id="each fifteenth",
        ),
        pytest.param(
            pd.date_range("2010-01-31", periods=90, freq="ME")[:40].append(
                pd.date_range("2013-08-31", periods=50, freq="ME")
            ),
            "ME", 12, on("2017-10-31", "2017-11-30"), id="three months missing",
        ),
        pytest.param(opening(range(9, 17), 7), "h", 24, on("2021-05-08 17:00", "2021-05-08 18:00"), id="9-17, 7 days"),
        pytest.param(opening(range(8, 16), 7), "h", 24, on("2021-05-08 16:00", "2021-05-08 17:00"), id="8-16, 7 days"),
        pytest.param(opening(range(9, 17), 5), "h", 24, on("2021-05-07 17:00", "2021-05-07 18:00"), id="9-17, 5 days"),
        pytest.param(opening(range(8, 16), 5), "h", 24, on("2021-05-07 16:00", "2021-05-07 17:00"), id="8-16, 5 days"),
        pytest.param(
            opening(range(10, 16), 5, "5min", 9000),
            "5min", 288, on("2021-02-03 16:00", "2021-02-03 16:05"), id="an exchange",
        ),
    ],
)  # fmt: skip
def test_gaps_that_come_again(stamps, freq, season, future):
    """Holidays, nights, week-ends: no row is lost, and the table is forecast by the model that it trained."""
    frame = table(stamps)
    series = load_series(frame)
    assert (series.freq, series.season) == (freq, season)
    known = ~torch.isnan(series.values[:, 0])
    assert (series.timestamps[known] == stamps.to_numpy()).all()
    np.testing.assert_allclose(series.values[known, 0], frame["y"], rtol=1e-6)
    forecaster = untrained(series)
    for forecast in (forecaster.predict(frame), forecaster.predict_df(frame)):
        assert forecast["date"].iloc[:2].tolist() == future.tolist()
    assert backtest(forecaster, frame, num_windows=2).windows == 2


@pytest.mark.parametrize(
    "stamps",
    [
        pytest.param(DAYS[DAYS.day_of_week.isin([0, 2, 4])], id="Monday, Wednesday, Friday"),
        pytest.param(DAYS[:200] + pd.to_timedelta(np.arange(200) % 7, unit="min"), id="a few minutes late"),
        pytest.param(on("1970-01-01").append(pd.date_range("2024-01-01", periods=200, freq="s")), id="stands apart"),
    ],
)
def test_what_has_no_grid_is_said_once(stamps, caplog):
    """Rows are equal steps in training and in forecasts, which have no times."""
    frame = table(stamps)
    series = load_series(frame)
    assert (series.freq, series.season, series.num_rows) == (None, 1, len(frame))
    assert caplog.text.count("no regular grid (most often") == 1
    forecaster = untrained(series)
    caplog.clear()
    forecast = forecaster.predict(frame)
    assert caplog.text.count("no time column") == 1
    pd.testing.assert_frame_equal(forecast, forecaster.predict(frame[["y"]]))
    caplog.clear()
    pd.testing.assert_frame_equal(forecaster.predict_df(frame), forecast.astype("float64"), rtol=1e-5)
    assert caplog.text.count("no time column") == 1
    assert backtest(forecaster, frame, num_windows=2).windows == 2


def test_training_takes_a_frequency(tmp_path):
    """What pandas would call the grid is found or named; one that does not hold every row is refused."""
    weeks = table(DAYS[DAYS.day_of_week.isin([0, 2, 3, 4])])
    assert load_series(weeks).freq == "B"
    series = load_series(weeks, freq="D")
    assert (series.freq, series.season, series.num_rows) == ("D", 7, 299)
    forecaster = untrained(series)
    assert forecaster.predict(weeks)["date"].iloc[0] == pd.Timestamp("2024-10-26")
    assert load_series(table(DAYS[::7]), freq="W").freq == "W-MON"
    assert load_series(table(DAYS), freq="1D").freq == "D"
    few = table(DAYS[[0, 1]])
    assert (load_series(few).freq, load_series(few, freq="D").freq) == (None, "D")
    weeks.to_csv(tmp_path / "w.csv", index=False)
    settings = DataSettings(dataset=str(tmp_path / "w.csv"), freq="D", context_length=L, prediction_length=S)
    assert load_data(settings).processor.freq == "D"
    for freq, message in (
        ("B", "expected steps of 'B', the timestamps of 'frame' are 'D' apart"),
        ("h", "expected steps of 'h', the timestamps of 'frame' are 'D' apart"),
        ("MS", "expected steps of 'MS'"),
        ("bh", "hours of business are not counted; with freq='h' the others are missing"),
        ("often", "freq='often' is no frequency of pandas"),
        ("-1D", "expected steps that go forward"),
        (3, "freq=3 is no frequency of pandas"),
    ):
        with pytest.raises(InputError, match=message):
            load_series(table(DAYS), freq=freq)
    hours = table(pd.date_range("2024-01-01", periods=100, freq="h"))
    assert frame_to_series(hours, name="rows", regularize=False, freq="h").freq == "h"
    with pytest.raises(InputError, match="expected steps of 'D', the timestamps of 'rows' are 'h' apart"):
        frame_to_series(hours, name="rows", regularize=False, freq="D")
    with pytest.raises(InputError, match=r"freq='D': 'frame' has no time column"):
        load_series(weeks[["y"]], freq="D")
    with pytest.raises(InputError, match="freq and missing_value are for files"):
        load_series("synthetic", freq="h")


def test_a_row_that_stands_apart_does_not_fill_the_memory():
    frame = table(on("1970-01-01").append(pd.date_range("2024-01-01", periods=200, freq="s")))
    with pytest.raises(InputError, match=r"201 rows of 'frame' reach from 1970-01-01 .* 1,704,067,400 steps of 's'"):
        load_series(frame, freq="s")


def test_series_may_take_turns():
    """Each shop reports once a week, on another day: together they lie on a grid of days."""
    parts = [table(DAYS[start::7], shop=start) for start in range(7)]
    long = pd.concat(parts, ignore_index=True)
    forecaster = untrained(load_series(long, id_column="shop"))
    assert forecaster.processor.freq == "D"
    assert forecaster.predict_df(long)["date"].iloc[:S].tolist() == pd.date_range("2024-10-22", periods=S).tolist()
    assert len(forecaster.predict(long)) == 7 * S
    backtest(forecaster, long, num_windows=2)


@pytest.mark.parametrize(
    ("freq", "season"),
    [("30s", 120), ("7s", 1), ("ms", 1), ("min", 1440), ("90min", 16), ("5h", 1), ("48h", 1), ("168h", 52),
     ("14D", 26), ("4W-TUE", 13), ("3W", 1), ("2B", 1), ("C", 5), ("CBMS", 12), ("6MS", 2), ("12ME", 1),
     ("REQ-N-DEC-MON-1", 4), ("RE-N-DEC-MON", 1), (None, 1)],
)  # fmt: skip
def test_seasons(freq, season):
    assert season_of(freq) == season


def test_series_on_shifted_grids_have_none_in_common():
    """Training wants all channels at the same steps; the first one off them is named."""
    shifted = pd.concat([table(DAYS[:50], shop=1), table(DAYS[:50] + pd.Timedelta(minutes=17), shop=2)])
    assert load_series(shifted, id_column="shop").freq is None
    with pytest.raises(
        InputError, match=r"of shop 2 of 'frame' are on no grid of that frequency, such as .*00:17:00 "
    ):
        load_series(shifted, id_column="shop", freq="D")
