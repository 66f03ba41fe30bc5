"""`Forecaster.predict_df`: each series from its own end, known or not, against plain loops."""

import logging
import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import tiny_teacher
from tests.forecast.tables import close, long, trained_on, wide
from tests.rounding import frames_close
from tests.student.models import LENGTHS, tiny
from timedistill_hf import Forecaster, TimeDistillProcessor
from timedistill_hf._utils.errors import InputError
from timedistill_hf.forecasting import panels
from timedistill_hf.student import serving_timedistill


L, S = LENGTHS["context_length"], LENGTHS["prediction_length"]
KNOWN = {"a": (5.0, 2.0), "b": (-1.0, 0.5)}


def forecaster(freq="h", **options) -> Forecaster:
    """A random student for any series, and the processor of a training on the series a and b."""
    torch.manual_seed(0)
    processor = TimeDistillProcessor(
        **{
            "columns": list(KNOWN),
            "mean": [mean for mean, _ in KNOWN.values()],
            "std": [std for _, std in KNOWN.values()],
            **LENGTHS,
            "timestamp_column": "ds",
            "freq": freq,
            "season": 7,
            "id_column": "item",
            "target_columns": ["y"],
        }
        | options
    )
    return Forecaster(
        tiny("combination", members=[{"architecture": "residual"}, {"architecture": "cycle"}]), processor
    )


def one(model, history, scaler=None) -> np.ndarray:
    """The forecast of one series by itself: NaN interpolated with numpy, scaled and brought back here.

    What is flat stays flat: no other forecast follows a change of its unit.
    """
    window = np.full(L, np.nan)
    recent = np.asarray(history, dtype=float)[-L:]
    window[L - len(recent) :] = recent
    known = ~np.isnan(window)
    mean, std = scaler or (window[known].mean(), window[known].std())
    if std == 0:
        return np.full(S, mean)
    scaled = (np.interp(np.arange(L), np.flatnonzero(known), window[known]) - mean) / std
    with torch.no_grad():
        outputs = model(past_values=torch.tensor(scaled, dtype=torch.float32)[None, :, None])
    return outputs.prediction_outputs[0, :, 0].double().numpy() * std + mean


def series(identifier, values, start="2024-01-01", freq="h", **columns):
    stamps = pd.date_range(start, periods=len(values), freq=freq)
    return pd.DataFrame({"item": identifier, "ds": stamps, "y": values, **columns})


def noise(steps, seed=0):
    return np.random.default_rng(seed).normal(size=steps) + np.sin(np.arange(steps))


@pytest.mark.parametrize(
    "ids",
    [
        ("007", "7", "07"),
        (30, 4, 100),
        ("b", "B", "a"),
        (date(2024, 1, 2), date(2023, 1, 1), date(2024, 1, 1)),
        (1, "1", 2.5),
    ],
)
def test_ids_of_any_type_come_back_as_they_were_in_the_order_given(ids):
    model = forecaster()
    lengths = (20, 60, 35)
    parts = [series(name, noise(steps, steps)) for name, steps in zip(ids, lengths, strict=True)]
    frame = pd.concat(parts, ignore_index=True)
    if len({type(name) for name in ids}) > 1:
        frame["item"] = frame["item"].astype(object)
    shuffled = frame.sample(frac=1, random_state=1)
    forecast = model.predict_df(shuffled)
    order = list(dict.fromkeys(shuffled["item"]))
    assert forecast["item"].tolist() == [name for name in order for _ in range(S)]
    assert [type(name) for name in forecast["item"][::S]] == [type(name) for name in order]
    assert forecast["item"].dtype == frame["item"].dtype
    for name, part in zip(ids, parts, strict=True):
        scaler = KNOWN.get(str(name))
        found = forecast.iloc[order.index(name) * S :][:S]
        close(found["y"], one(model.model, part["y"], scaler))
        assert found["ds"].tolist() == [part["ds"].iloc[-1] + timedelta(hours=k + 1) for k in range(S)]


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 2 * L), min_size=1, max_size=6),
    seed=st.integers(0, 2**16),
    num_targets=st.integers(1, 2),
    cells=st.sampled_from([40, 300, 2**22]),
)
def test_many_series_are_those_of_each_alone(lengths, seed, num_targets, cells):
    """Any mixture of lengths, ends, gaps and missing cells, in any order of rows, in blocks of any size."""
    rng, model = np.random.default_rng(seed), forecaster(target_columns=["y", "z"][:num_targets])
    targets = ["y", "z"][:num_targets]
    parts = []
    for number, steps in enumerate(lengths):
        part = series(f"s{number}", noise(steps, seed + number), str(np.datetime64("2024-01-01") + number), z=0.0)
        part["z"] = 100 * noise(steps, seed + 100 + number)
        missing = rng.random((steps, 2)) < 0.3
        missing[-1] = False
        part[["y", "z"]] = part[["y", "z"]].mask(missing)
        parts.append(part)
    rows = pd.concat([part[(rng.random(len(part)) < 0.8) | (part.index == part.index[-1])] for part in parts])
    rows = rows.iloc[rng.permutation(len(rows))][["item", "ds", *targets]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "MAX_CELLS", cells)
        patch.setattr(serving_timedistill, "MAX_CELLS", cells)
        forecast = model.predict_df(rows)
    order = list(dict.fromkeys(rows["item"]))
    assert forecast["item"].tolist() == [name for name in order for _ in range(S)]
    for name in order:
        own = rows[rows["item"] == name].set_index("ds").sort_index()
        found = forecast[forecast["item"] == name]
        assert (found["ds"] == pd.date_range(own.index[-1], periods=S + 1, freq="h")[1:]).all()
        for target in targets:
            close(found[target], one(model.model, own[target].asfreq("h")))


def test_known_series_have_the_scaler_of_training_and_others_their_own(caplog):
    model = forecaster()
    frame = pd.concat([series(name, 3 + 10 * noise(40, 5)) for name in ("b", "new", "a")])
    own = one(model.model, frame["y"][:40])
    auto = model.predict_df(frame)["y"].to_numpy().reshape(3, S)
    for row, scaler in zip(auto, (KNOWN["b"], None, KNOWN["a"]), strict=True):
        close(row, one(model.model, frame["y"][:40], scaler))
    assert np.abs(auto[0] - own).max() > 1e-2
    close(model.predict_df(frame, scaling="history")["y"], np.tile(own, 3))
    known = frame[frame["item"] != "new"]
    np.testing.assert_array_equal(model.predict_df(known, scaling="training")["y"], model.predict_df(known)["y"])
    with pytest.raises(InputError, match=r"'new' is no series of the model's training .1 of 3 are not.: take scaling"):
        model.predict_df(frame, scaling="training")
    with pytest.raises(InputError, match="scaling='x': expected one of 'auto', 'training', 'history'"):
        model.predict_df(frame, scaling="x")
    # the same id in another value column is another series
    renamed = model.predict_df(frame.rename(columns={"y": "other"}))
    close(renamed["other"], np.tile(own, 3))


def test_the_forecast_hangs_on_the_look_back_alone():
    model = forecaster()
    frame = series("new", 1e6 + noise(200))
    whole, end = (model.predict_df(rows)["y"].to_numpy() for rows in (frame, frame.iloc[-L:]))
    np.testing.assert_allclose(whole, end, rtol=np.finfo(whole.dtype).eps, atol=1e-5)
    shifted = model.predict_df(frame.assign(y=frame["y"] * 3 + 7))["y"]
    np.testing.assert_allclose(shifted, model.predict_df(frame)["y"] * 3 + 7, rtol=1e-9)
    constant = model.predict_df(frame.assign(y=4.0))["y"]
    close(constant, one(model.model, np.full(L, 4.0)))


def test_known_ids_of_a_real_training_are_forecast_as_predict_does():
    frame = long(wide(), ("007", "x/y", "a"))
    model = trained_on(frame, id_column="store")
    model.model = type(model.model)(
        type(model.model.config)(**{**model.model.config.to_dict(), "hidden_norm": "none", "num_input_channels": None})
    ).eval()
    both = model.predict(frame), model.predict_df(frame)
    frames_close(both[0], both[1], check_dtype=False, rtol=1e-5)
    ends = frame.groupby("store")["date"].transform("max") - pd.to_timedelta(frame["store"].map(len), unit="h")
    early = model.predict_df(frame[frame["date"] <= ends])
    assert early.groupby("store", sort=False)["date"].min().tolist() == [
        frame["date"].max() - timedelta(hours=len(name) - 1) for name in ("007", "x/y", "a")
    ]


def test_wide_tables_take_columns_that_the_model_never_saw():
    model = forecaster(id_column=None, target_columns=None)
    frame = wide(rows=60, names=["new", "b"]).rename(columns={"date": "ds"})[["new", "ds", "b"]]
    forecast = model.predict_df(frame)
    assert list(forecast.columns) == ["new", "ds", "b"]
    close(forecast["new"], one(model.model, frame["new"]))
    close(forecast["b"], one(model.model, frame["b"], KNOWN["b"]))
    bare = model.predict_df(frame[["new", "b"]])
    frames_close(bare, forecast[["new", "b"]])
    frames_close(model.predict_df(frame.set_index("ds"))[["ds", "new", "b"]], forecast[["ds", "new", "b"]])
    with pytest.raises(InputError, match="has a column 'item_id': if it tells series apart, give id_column='item_id'"):
        model.predict_df(frame.assign(item_id=3))


@pytest.mark.parametrize("channels", [("a", "b"), ("b",)])
def test_a_student_bound_to_its_channels_forecasts_those(channels):
    model = forecaster()
    bound = tiny("two_branch", num_input_channels=2, hidden_norm="batchnorm")
    frame = pd.concat([series(name, noise(30 + 9 * k, k)) for k, name in enumerate(channels)])
    forecast = Forecaster(bound, model.processor).predict_df(frame)
    for name in channels:
        history = frame.loc[frame["item"] == name, "y"].to_numpy()[-L:]
        mean, std = KNOWN[name]
        past = torch.zeros(1, L, 2)
        past[0, :, list(KNOWN).index(name)] = torch.tensor((history - mean) / std)
        with torch.no_grad():
            expected = bound(past_values=past).prediction_outputs[0, :, list(KNOWN).index(name)].numpy() * std + mean
        close(forecast.loc[forecast["item"] == name, "y"], expected)
    with pytest.raises(InputError, match=r"1 of .* series are not of the model's training, .* bound to the channels"):
        Forecaster(bound, model.processor).predict_df(pd.concat([frame, series("new", noise(30))]))


def test_it_is_predict_of_a_table(hourly):
    for model in (hourly, Forecaster(tiny_teacher("itransformer"), hourly.processor)):
        frames_close(model.predict_df(wide()), model.predict(wide()))


def test_short_and_empty_series_harm_no_other(caplog):
    model = forecaster()
    frame = pd.concat([series("long", noise(40)), series("one", [3.0]), series("none", [np.nan] * 30)])
    forecast = model.predict_df(frame)
    assert (
        "of 3 series 1 have in the last 29 steps fewer than 7 known values; their forecasts may be poor: ['one']"
        in caplog.text
    )
    assert "no known value; their forecasts are missing: ['none']" in caplog.text
    close(forecast["y"][:S], one(model.model, frame["y"][:40]))
    close(forecast["y"][S : 2 * S], one(model.model, [3.0]))
    assert forecast["y"][2 * S :].isna().all()
    assert forecast["ds"].iloc[S] == pd.Timestamp("2024-01-01 01:00")


def test_sentinels_are_missing_in_float32_too():
    model = forecaster(missing_value=[-9999.0, -999.9])
    values = noise(40)
    values[[20, 35]] = np.nan
    frame = series("new", values)
    marked = frame.copy()
    marked.loc[20, "y"], marked.loc[35, "y"] = -9999.0, -999.9
    for table in (marked, marked.astype({"y": "float32"})):
        close(model.predict_df(table)["y"], one(model.model, values))


@pytest.mark.parametrize(
    ("freq", "other"),
    [("D", "D"), ("10min", "10min"), ("2h", "2h"), ("W-SUN", "W-MON"), ("MS", "ME"), ("ME", "MS"), ("MS", "MS"),
     ("B", "B"), ("QS-JAN", "QE-MAR"), ("YS-JAN", "YE-DEC"), ("2MS", "2MS")],
)  # fmt: skip
def test_every_frequency_goes_on_from_each_end(freq, other):
    """Weeks, months and longer steps may begin on other days than in training; a left-out step is missing."""
    model = forecaster(freq)
    lengths = {"x": 40, "y": 25}
    parts = {name: series(name, noise(steps), "1990-01-31", other) for name, steps in lengths.items()}
    gappy = parts["x"].drop(index=33)
    forecast = model.predict_df(pd.concat([gappy, parts["y"]]))
    for name, part in parts.items():
        found = forecast[forecast["item"] == name]
        assert (found["ds"].to_numpy() == pd.date_range("1990-01-31", periods=len(part) + S, freq=other)[-S:]).all()
        values = part["y"].to_numpy().copy()
        if name == "x":
            values[33] = np.nan
        close(found["y"], one(model.model, values))


def test_series_may_lie_on_shifted_grids():
    """One station reports at full hours, another 17 minutes later."""
    model = forecaster()
    frame = pd.concat([series("x", noise(30)), series("y", noise(30), "2024-01-03 00:17")])
    forecast = model.predict_df(frame)
    assert forecast["ds"].iloc[S] == pd.Timestamp("2024-01-04 06:17")
    close(forecast["y"][S:], one(model.model, noise(30)))


def test_another_frequency_is_refused_unless_it_is_named():
    model = forecaster()
    daily = series("x", noise(40), freq="D")
    with pytest.raises(
        InputError, match=r"expected steps of 'h', .* 'history' are 'D' apart: resample .* or give its own freq"
    ):
        model.predict_df(daily)
    forecast = model.predict_df(daily, freq="D")
    assert forecast["ds"].iloc[0] == pd.Timestamp("2024-02-10")
    close(forecast["y"], one(model.model, daily["y"]))
    finer = pd.concat([series("ok", noise(40)), series("x", noise(40), freq="30min")])
    with pytest.raises(
        InputError, match=r"of 'h', the timestamps of item 'x' of 'history' are '30min' apart \(1 of 2 series\)"
    ):
        model.predict_df(finer)


def test_without_any_frequency_rows_are_equal_steps(caplog):
    model = forecaster(freq=None)
    uneven = series("x", noise(40))
    uneven["ds"] += pd.to_timedelta(np.arange(40) ** 2, unit="min")
    forecast = model.predict_df(uneven.sample(frac=1, random_state=0))
    assert list(forecast.columns) == ["item", "y"]
    assert "no regular grid" in caplog.text
    close(forecast["y"], one(model.model, uneven["y"]))
    found = model.predict_df(series("x", noise(40)))
    assert found["ds"].iloc[0] == pd.Timestamp("2024-01-02 16:00")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.iloc[:0], "'history' has no rows"),
        (
            lambda frame: pd.concat([frame, frame.iloc[3:4]]),
            "several rows for id 'x' at 2024-01-01 03:00:00: .* give time_zone",
        ),
        (
            lambda frame: frame.assign(item=frame["item"].where(frame.index != 2)),
            "row 2 of .* has no id in column 'item'",
        ),
        (lambda frame: frame.assign(ds=frame["ds"].where(frame.index != 2)), "row 2 of 'history' has no timestamp"),
        (lambda frame: frame.assign(y=frame["y"].where(frame.index != 2, np.inf)), "holds an infinite value in row 2"),
        (lambda frame: frame.assign(y="many"), "holds 'many', no number"),
        (lambda frame: frame.drop(columns="ds"), "needs a time column: give timestamp_column, one of \\['y'\\]"),
        (lambda frame: frame.to_numpy(), "'ndarray' is no DataFrame: predict takes arrays"),
    ],
)
def test_unusable_tables_are_named(change, message):
    with pytest.raises(InputError, match=message):
        forecaster().predict_df(change(series("x", noise(40))))


@pytest.mark.parametrize(
    ("freq", "message"),
    [("bogus", "is no frequency of pandas"), ("-1h", "that go forward"), ("0h", "that go forward")],
)
def test_unusable_frequencies_are_named(freq, message):
    with pytest.raises(InputError, match=f"freq='{freq}'.*{message}"):
        forecaster().predict_df(series("x", noise(40)), freq=freq)


def test_dates_and_text_are_times_too(caplog):
    model = forecaster("D")
    frame = series("x", noise(40), freq="D")
    expected = model.predict_df(frame)
    dates = model.predict_df(frame.assign(ds=frame["ds"].dt.date))
    assert dates["ds"].iloc[0] == date(2024, 2, 10)
    text = model.predict_df(frame.assign(ds=frame["ds"].dt.strftime("%d.%m.%Y")))
    assert text["ds"].tolist() == expected["ds"].tolist()
    caplog.set_level(logging.WARNING)
    odd = model.predict_df(frame.assign(note="x"))
    assert "the model does not know the columns ['note']; they are left out" in caplog.text
    frames_close(odd, expected)


def test_the_model_runs_a_few_times_for_thousands_of_series():
    model, calls = forecaster(), []
    model.inference_copy.register_forward_hook(lambda *_: calls.append(1))
    ids = [f"{k:05d}" for k in range(3000)]
    random.Random(0).shuffle(ids)
    values = np.random.default_rng(0).normal(size=(3000, 30))
    frame = pd.DataFrame(
        {
            "item": np.repeat(ids, 30),
            "ds": np.tile(pd.date_range("2024-01-01", periods=30, freq="h"), 3000),
            "y": values.ravel(),
        }
    )
    forecast = model.predict_df(frame)
    assert len(calls) == 1
    assert forecast["item"].tolist() == np.repeat(ids, S).tolist()
    close(forecast["y"][-S:], one(model.model, values[-1]))
    calls.clear()
    frames_close(model.predict_df(frame, batch_size=500), forecast)
    assert len(calls) == 6


ZONES = {
    "Europe/Berlin": (datetime(2024, 3, 31), datetime(2024, 10, 27)),
    "America/New_York": (datetime(2024, 3, 10), datetime(2024, 11, 3)),
}
CHANGES = [(zone, day) for zone, days in ZONES.items() for day in days]


@pytest.mark.parametrize("position", ["before", "in history"])
@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize("freq", ["h", "10min", "D", "W-SUN", "B"])
def test_time_goes_on_across_a_change_of_the_clock(zone, day, freq, position):
    """Hours and minutes pass in absolute time, days and weeks on the zone's calendar, as zoneinfo counts them."""
    tz, steps = ZoneInfo(zone), 40
    end = day + timedelta(hours=5 if position == "in history" else 1.5)
    if freq in ("h", "10min"):
        length = timedelta(hours=1) if freq == "h" else timedelta(minutes=10)
        last = end.replace(tzinfo=tz).astimezone(ZoneInfo("UTC"))
        times = [(last + k * length).astimezone(tz) for k in range(1 - steps, S + 1)]
    else:
        days = pd.date_range(day - timedelta(days=400), day + timedelta(days=400), freq=freq)
        last = int(days.searchsorted(day)) + (3 if position == "in history" else -3)
        times = [stamp.to_pydatetime().replace(tzinfo=tz) for stamp in days[last + 1 - steps : last + 1 + S]]
    assert len({time.utcoffset() for time in times}) == 2
    values = noise(steps)
    column = pd.Series(times[:steps]).dt.tz_convert(zone)
    frame = pd.DataFrame({"item": "x", "ds": column, "y": values})
    model = forecaster(freq)
    forecast = model.predict_df(frame)
    assert forecast["ds"].dtype == frame["ds"].dtype
    assert [stamp.timestamp() for stamp in forecast["ds"]] == [time.timestamp() for time in times[steps:]]
    close(forecast["y"], one(model.model, values))
    other = model.predict_df(frame.assign(ds=frame["ds"].dt.tz_convert("UTC")), time_zone=zone)
    assert other["ds"].tolist() == forecast["ds"].dt.tz_convert("UTC").tolist()
    close(other["y"], forecast["y"])
