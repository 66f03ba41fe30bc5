"""Tables across changes of the clock: what steps their timestamps are, in training and in forecasts."""

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from tests.conftest import HORIZON
from tests.forecast.tables import trained_on
from timedistill_hf import TimeDistillProcessor
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series


def table(stamps, **columns):
    return pd.DataFrame({"date": stamps, "a": np.arange(float(len(stamps))) % 7, **columns})


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("freq", "season"), [("h", 24), ("10min", 144), ("6h", 4)])
def test_steps_shorter_than_a_day_are_counted_in_absolute_time(zone, freq, season, caplog):
    stamps = pd.date_range("2024-03-01", "2024-04-20", freq=freq, tz="UTC").tz_convert(zone)
    series = load_series(table(stamps))
    assert (series.freq, series.season) == (freq, season)
    assert (
        np.diff(series.timestamps)
        == pd.Timedelta(1, "h") * (pd.Timedelta(pd.tseries.frequencies.to_offset(freq)) / pd.Timedelta(1, "h"))
    ).all()
    assert not series.has_missing
    assert "have no row" not in caplog.text


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("freq", "season"), [("D", 7), ("B", 5), ("W-SUN", 52), ("MS", 12)])
def test_days_and_longer_steps_are_those_of_the_zones_calendar(zone, freq, season, caplog):
    local = pd.date_range("2023-01-01", periods=60 if freq != "D" else 400, freq=freq)
    series = load_series(table(local.tz_localize(zone)))
    assert (series.freq, series.season) == (freq, season)
    assert (series.timestamps == local.to_numpy()).all()
    assert not series.has_missing
    hourly_text = [stamp.isoformat() for stamp in local.tz_localize(zone)]
    assert (load_series(table(hourly_text), time_zone=zone).timestamps == local.to_numpy()).all()
    in_utc = load_series(table(local.tz_localize(zone).tz_convert("UTC")), time_zone=zone)
    assert (in_utc.timestamps == local.to_numpy()).all()
    assert "grid" not in caplog.text


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "America/Sao_Paulo"])
def test_daily_forecasts_begin_at_local_midnights(zone):
    """In São Paulo the clock used to leave midnight out, so that the day began at one."""
    local = pd.date_range("2017-03-01", periods=300, freq="D")
    midnights = [
        pd.Timestamp(stamp.to_pydatetime().replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC")))
        for stamp in local
    ]
    stamps = pd.Series(midnights).dt.tz_convert(zone)
    frame = table(stamps)
    forecaster = trained_on(frame)
    assert forecaster.processor.freq == "D"
    for history, last in ((frame, 300), (frame.iloc[:224], 224)):
        future = forecaster.predict(history)["date"]
        assert future.dtype == frame["date"].dtype
        days = pd.date_range(local[0], periods=last + HORIZON, freq="D")[last:]
        assert (future.dt.tz_localize(None).dt.normalize().to_numpy() == days.to_numpy()).all()
        assert (future.dt.hour <= 1).all()
        in_range = [stamp for stamp in future if stamp <= stamps.iloc[-1]]
        assert in_range == stamps.iloc[last : last + len(in_range)].tolist()


def local_clock(zone, start, steps, freq):
    """What a clock on the wall shows: naive times, an hour left out in spring, one twice in autumn."""
    return pd.date_range(start, periods=steps, freq=freq, tz="UTC").tz_convert(zone).tz_localize(None)


@pytest.mark.parametrize("freq", ["h", "30min"])
@pytest.mark.parametrize(("zone", "start"), [(z, s) for z in ZONES[:2] for s in ("2024-03-05", "2024-10-24")])
def test_a_local_clock_that_repeats_an_hour_is_read_once_its_zone_is_known(zone, start, freq, caplog):
    steps = 24 * 30 if freq == "h" else 48 * 28
    wall = local_clock(zone, start, steps, freq)
    absolute = pd.date_range(start, periods=steps, freq=freq)
    repeats = wall.duplicated().any()
    assert repeats == (start == "2024-10-24")
    if repeats:
        with pytest.raises(InputError, match=r"several rows .* or give time_zone if the table's clock was set back"):
            load_series(table(wall))
    else:
        assert load_series(table(wall)).num_rows == steps + (1 if freq == "h" else 2)
    for frame in (table(wall), table(wall)[::-1], table(wall.astype(str))):
        series = load_series(frame, time_zone=zone)
        assert (series.timestamps == absolute.to_numpy()).all()
        assert series.values[:, 0].tolist() == table(wall)["a"].tolist()
    assert series.time_zone == zone

    train = table(wall[:-100])
    forecaster = trained_on(train, time_zone=zone)
    assert (forecaster.predict(train)["date"] == wall[-100 : -100 + HORIZON]).all()
    long = pd.concat([train.assign(item=name) for name in "xy"], ignore_index=True)
    by_id = trained_on(long.sort_values("date", kind="stable"), time_zone=zone, id_column="item")
    assert by_id.predict(long)["date"].tolist() == 2 * wall[-100 : -100 + HORIZON].tolist()


def test_a_local_clock_may_end_in_the_hour_that_comes_again():
    wall = local_clock("Europe/Berlin", "2024-10-24", 73, "h")  # the last row is 02:00, shown for the first time
    assert wall[-1] == pd.Timestamp("2024-10-27 02:00")
    series = load_series(table(wall), time_zone="Europe/Berlin")
    assert series.timestamps[-1] == np.datetime64("2024-10-27T00:00")
    assert series.clock.write(series.timestamps[-1:] + np.timedelta64(1, "h"))[0] == pd.Timestamp("2024-10-27 02:00")
    assert series.clock.write(series.timestamps[-1:] + np.timedelta64(2, "h"))[0] == pd.Timestamp("2024-10-27 03:00")


DAYS_AS_TEXT = [day.isoformat() for day in pd.date_range("2024-03-25", periods=9, freq="D", tz="Europe/Berlin")]


@pytest.mark.parametrize(
    ("stamps", "zone", "message"),
    [
        (pd.date_range("2024-03-30", periods=48, freq="h"), "Europe/Berlin", "row 26 has the time 2024-03-31 02:00"),
        (pd.date_range("2024-03-30", periods=48, freq="h"), "Berlin", "'Berlin' is no time zone: expected a name"),
        (pd.date_range("2024-03-30", periods=48, freq="h"), "../x", "'../x' is no time zone"),
        (pd.Series(["2024-03-30T00:00+01:00"] * 3), "Berlin", "'Berlin' is no time zone"),
        (DAYS_AS_TEXT, None, "days of a local calendar whose offset .* say its zone"),
    ],
)  # fmt: skip
def test_times_that_are_not_clear_are_refused(stamps, zone, message):
    with pytest.raises(InputError, match=message):
        load_series(table(stamps), time_zone=zone)


def test_days_that_do_not_follow_the_calendar_are_absolute():
    """A measurement at noon UTC is at 13 and at 14 o'clock in Berlin: 24 hours apart all the same."""
    stamps = pd.date_range("2024-03-01 12:00", periods=60, freq="D", tz="UTC").tz_convert("Europe/Berlin")
    series = load_series(table(stamps))
    assert series.freq == "D"
    assert (series.timestamps == stamps.tz_convert("UTC").tz_localize(None).to_numpy()).all()


def test_the_processor_keeps_zone_and_sentinels(tmp_path):
    wall = local_clock("Europe/Berlin", "2024-10-24", 400, "h")
    frame = table(wall)
    frame.loc[[5, 9], "a"] = [-9999.0, -999.9]
    forecaster = trained_on(frame, time_zone="Europe/Berlin", missing_value=[-9999, -999.9])
    series = load_series(frame, time_zone="Europe/Berlin", missing_value=[-9999, -999.9])
    assert series.values[[5, 9], 0].isnan().all()
    assert series.values.isnan().sum() == 2
    forecaster.processor.save_pretrained(tmp_path)
    loaded = TimeDistillProcessor.from_pretrained(tmp_path)
    assert (loaded.time_zone, loaded.sentinels) == ("Europe/Berlin", (-9999.0, -999.9))
    assert loaded.to_dict() == forecaster.processor.to_dict()
    recent = frame.iloc[-60:].copy()
    recent.iloc[-3:, 1] = [-9999.0, -999.9, 1.0]
    assert (~forecaster.processor(recent)["past_observed_mask"]).sum() == 2
    assert (~forecaster.processor(recent[["a"]].to_numpy())["past_observed_mask"]).sum() == 2
