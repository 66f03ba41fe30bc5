"""Codes for missing: named where they are plain, and nothing else is taken for one."""

import numpy as np
import pandas as pd
import pytest

from tests.data.test_grid import untrained
from timedistill_hf.data import load_series, synthetic_series


ROWS = 1000
STEPS = np.arange(ROWS)
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=ROWS)
CODES = [-9999, 9999, -999, -99.9, 999999, 1e20, -1e30, 65535, -32768, 2147483647, -9999.9, -7777, 9.96921e36, -3.4e38]


def table(**columns):
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=ROWS, freq="h"), **columns})


def with_code(values, code, count):
    values = np.array(values, dtype=float)
    values[RNG.choice(ROWS, count, replace=False)] = code
    return values


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if "mean missing" in record.getMessage()]


@pytest.mark.parametrize("count", [5, 90])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("level", [0, 20])
def test_a_code_is_named(code, count, level, caplog):
    frame = table(a=with_code(level + 4 * NOISE, code, count), b=NOISE)
    load_series(frame)
    (warning,) = warnings(caplog)
    named = warning.split("missing_value=")[1]
    assert float(named) == pytest.approx(code)
    assert f"in 'a' ({count} cells)" in warning
    caplog.clear()
    series = load_series(frame, missing_value=float(named))
    assert int(series.values.isnan().sum()) == count
    assert not warnings(caplog)


def test_several_are_one_warning(caplog):
    a = with_code(with_code(with_code(NOISE, -9999, 6), -999, 4), 1e20, 3)
    frame = table(a=a, b=with_code(20 + NOISE, -9999, 1), c=with_code(np.abs(NOISE) + 3, -1, 2), d=NOISE)
    load_series(frame)
    (warning,) = warnings(caplog)
    assert "-9999 in 'a', 'b' (" in warning
    assert "-1 in 'c' (2 cells)" in warning
    assert "1e+20 in 'a' (3 cells)" in warning
    codes = [float(each) for each in warning.split("missing_value=[")[1].rstrip("]").split(", ")]
    assert sorted(codes) == [-9999, -999, -1, 1e20]
    caplog.clear()
    load_series(frame, missing_value=codes)
    assert not warnings(caplog)


@pytest.mark.parametrize(
    "values",
    [
        with_code(np.full(ROWS, 3.0), -9999, 400),
        with_code(NOISE, -9999, 800),
        with_code(STEPS % 3, 65535, 10),
    ],
    ids=["constant", "mostly missing", "states"],
)
def test_a_written_code_is_named_among_few_values_and_many_codes(values, caplog):
    load_series(table(a=values))
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    "values",
    {
        "rain": np.where(NOISE > 1, RNG.exponential(30, ROWS), 0),
        "rain in steps": np.round(np.where(NOISE > 1, RNG.exponential(30, ROWS), 0)),
        "sun": np.maximum(0, np.sin(STEPS / 4)) * 900,
        "clipped above": np.minimum(NOISE, 1.0),
        "clipped at 16 bits": np.minimum(60_000 + 9_000 * NOISE, 65535),
        "clipped below": np.maximum(NOISE, -1.0),
        "counter": STEPS % 256,
        "16 bits": STEPS * 66 % 65536,
        "spikes that differ": NOISE + np.where(STEPS % 200 == 0, 1000 + STEPS, 0),
        "one spike": np.where(STEPS == 500, 1e6, NOISE),
        "one -9999": np.where(STEPS == 500, -9999, NOISE),
        "constant": np.full(ROWS, 7.0),
        "one-hot": STEPS % 100 == 0,
        "event of 5000": np.where(STEPS % 100 == 0, 5000, 0),
        "signs": np.sign(NOISE),
        "states from -1": STEPS % 4 - 1,
        "on and off": np.where(STEPS // 50 % 4 == 0, 0, 2000 + NOISE),
        "stand by": np.where(STEPS // 50 % 4 == 0, 5, 2000 + NOISE),
        "holidays at 100": np.where(STEPS % 200 == 0, 100, np.round(10 + 3 * NOISE)),
        "heavy tails": np.round(RNG.standard_cauchy(ROWS)),
        "prices": np.round(np.exp(2 + NOISE), 2),
        "per cent": np.clip(np.round(80 + 15 * NOISE), 0, 99),
        "at -1 by chance": np.round(2 * NOISE),
        "counts with -1": np.where(STEPS % 300 == 0, -1, RNG.poisson(3, ROWS)),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_no_code(values, caplog):
    load_series(table(a=np.asarray(values[1], dtype=float)))
    assert not warnings(caplog)


def test_the_generated_series_hold_none(caplog):
    load_series("synthetic")
    values = synthetic_series(ROWS, 3).values.numpy()
    load_series(table(**dict(zip("abc", values.T))))
    assert not warnings(caplog)


def test_a_history_is_looked_at_too(caplog):
    """With the remedy that there is then; what training knows as missing is no news."""
    frame = table(a=with_code(NOISE, -9999, 5))
    forecaster = untrained(load_series(frame, missing_value=-9999))
    forecaster.predict(frame)
    assert not warnings(caplog)
    forecaster.predict(frame.assign(a=with_code(NOISE, 1e20, 7)))
    (warning,) = warnings(caplog)
    assert warning.startswith("history: ")
    assert warning.endswith("1e+20 in 'a' (7 cells); if they mean missing, leave their cells empty")
