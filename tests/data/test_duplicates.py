"""Several rows at one time: refused with what mends it, or made one as pandas would."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import HORIZON
from tests.data.test_tables import LONG, LONG_STUDENT, WIDE, WIDE_STUDENT
from timedistill_hf import backtest, forecast_fleet
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series


def again(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Every seventh row a second time with other values, far from the first; some of them missing."""
    rows = frame[::7].copy()
    rows[list(columns)] += np.arange(len(rows))[:, None] + 3.0
    rows.iloc[4, rows.columns.get_loc(columns[0])] = np.nan
    return pd.concat([frame, rows, frame[:1]], ignore_index=True)


def one_of(frame: pd.DataFrame, keys: list[str], duplicates: str) -> pd.DataFrame:
    if duplicates == "last":
        return frame.drop_duplicates(keys, keep="last").sort_values(keys, ignore_index=True)
    return frame.groupby(keys, as_index=False).mean()


TWICE = (again(WIDE, "a", "b"), again(LONG, "y"))


@pytest.mark.parametrize("duplicates", ["last", "mean"])
def test_wide(duplicates):
    right = one_of(TWICE[0], ["ds"], duplicates)
    series = load_series(TWICE[0], duplicates=duplicates)
    np.testing.assert_allclose(series.values, right[["a", "b"]], rtol=1e-6)
    assert series.freq == "h"
    for name, options in (("predict", {}), ("predict_df", {})):
        forecast = getattr(WIDE_STUDENT, name)
        pd.testing.assert_frame_equal(forecast(TWICE[0], duplicates=duplicates, **options), forecast(right), rtol=1e-4)
    found, expected = (backtest(WIDE_STUDENT, t, duplicates=duplicates, num_windows=1) for t in (TWICE[0], right))
    pd.testing.assert_frame_equal(found.forecasts, expected.forecasts, rtol=1e-4)


@pytest.mark.parametrize("duplicates", ["last", "mean"])
def test_long(duplicates, tmp_path):
    right = one_of(TWICE[1], ["id", "ds"], duplicates)
    found, expected = (load_series(t, id_column="id", duplicates=duplicates) for t in (TWICE[1], right))
    torch.testing.assert_close(found.values, expected.values, equal_nan=True)
    for name in ("predict", "predict_df"):
        forecast = getattr(LONG_STUDENT, name)
        pd.testing.assert_frame_equal(forecast(TWICE[1], duplicates=duplicates), forecast(right), rtol=1e-4)
    TWICE[1].sort_values("id", kind="stable").to_parquet(tmp_path / "x.parquet", index=False)
    forecast_fleet(LONG_STUDENT, tmp_path / "x.parquet", tmp_path / "y.parquet", duplicates=duplicates)
    fleet = pd.read_parquet(tmp_path / "y.parquet")
    np.testing.assert_allclose(fleet["y"], LONG_STUDENT.predict_df(right)["y"], rtol=1e-4)


def test_an_error_names_the_remedy():
    message = r"several rows for id 'x' at 2024-01-01 00:00:00: .*duplicates='last' or 'mean'.*time_zone"
    for entry in (load_series, LONG_STUDENT.predict_df):
        with pytest.raises(InputError, match=message):
            entry(TWICE[1], id_column="id")
    for entry in (LONG_STUDENT.predict, lambda table: backtest(LONG_STUDENT, table)):
        with pytest.raises(InputError, match=message):
            entry(TWICE[1])
    for entry in (load_series, WIDE_STUDENT.predict, WIDE_STUDENT.predict_df):
        with pytest.raises(InputError, match=r"several rows at 2024-01-01 00:00:00: .*duplicates='last' or 'mean'"):
            entry(TWICE[0])


@pytest.mark.parametrize("duplicates", ["first", None, "", 1])
def test_other_rules_are_refused(duplicates):
    for entry in (
        load_series,
        WIDE_STUDENT.predict,
        WIDE_STUDENT.predict_df,
        lambda t, **o: backtest(WIDE_STUDENT, t, **o),
    ):
        with pytest.raises(InputError, match=r"duplicates=.*: expected one of 'error', 'last', 'mean'"):
            entry(WIDE, duplicates=duplicates)


def test_an_hour_that_the_clock_shows_twice_is_no_duplicate():
    """In Berlin on 2024-10-27 two o'clock comes twice."""
    utc = pd.date_range("2024-10-20", periods=24 * 14, freq="h", tz="UTC")
    table = pd.DataFrame({"ds": utc.tz_convert("Europe/Berlin").tz_localize(None), "a": np.arange(len(utc)) % 24.0})
    for duplicates in ("error", "last", "mean"):
        series = load_series(table, time_zone="Europe/Berlin", duplicates=duplicates)
        assert (series.num_rows, series.freq) == (len(utc), "h")
        assert series.values[:, 0].tolist() == table["a"].tolist()
    with pytest.raises(InputError, match=r"several rows at 2024-10-27 02:00:00: .*time_zone"):
        load_series(table)
    assert load_series(table, duplicates="mean").num_rows == len(utc) - 1


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        ((1, 2), "shop"),
        ((1, 2), "item_id"),
        ((7, 9), "store_nbr"),
        (("x", "y"), "shop"),
        ((True, False), "is_north"),
    ],
)
@pytest.mark.parametrize("others", [{}, {"size": 3.0}, {"price": np.arange(400) % 5}])
def test_a_long_table_is_told_its_id(ids, name, others):
    """Also one whose ids are numbers, which could be values; not a column that tells no rows apart."""
    table = LONG.assign(**{name: LONG["id"].map(dict(zip("xy", ids)))}, **others).drop(columns="id")
    for entry in (load_series, WIDE_STUDENT.predict_df):
        with pytest.raises(InputError, match=rf"id_column[=' ]+{name}"):
            entry(table)


def test_a_long_table_without_time_lists_its_columns():
    table = LONG.rename(columns={"ds": "when"}).astype({"when": str})
    message = r"needs a time column: give timestamp_column, one of \['when', 'y'\]"
    for entry in (load_series, LONG_STUDENT.predict_df):
        with pytest.raises(InputError, match=message):
            entry(table, id_column="id")
    assert len(LONG_STUDENT.predict_df(table, timestamp_column="when")) == 2 * HORIZON
