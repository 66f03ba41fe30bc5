"""Tables people have: whatever holds the rows, all entries read the same as of the plain DataFrame."""

from decimal import Decimal

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from tests.conftest import CONTEXT, HORIZON
from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction, backtest
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series, make_windows


HOURS = pd.date_range("2024-01-01", periods=200, freq="h")
LONG = pd.concat(
    [
        pd.DataFrame({"id": name, "ds": HOURS, "y": level + np.random.default_rng(0).normal(size=200).cumsum()})
        for name, level in (("x", 10.0), ("y", 90.0))
    ],
    ignore_index=True,
)
WIDE = pd.DataFrame({"ds": HOURS, "a": LONG["y"][:200], "b": LONG["y"][200:].to_numpy()})


class Stream:
    """What polars and others are to a reader: an object with the Arrow interface alone."""

    def __init__(self, frame: pd.DataFrame):
        self._table = pa.Table.from_pandas(frame, preserve_index=False)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class Subclass(pd.DataFrame):
    """As sktime's and AutoGluon's tables are."""

    @property
    def _constructor(self):
        return Subclass


def arrow(frame: pd.DataFrame) -> pd.DataFrame:
    return pa.Table.from_pandas(frame, preserve_index=False).to_pandas(types_mapper=pd.ArrowDtype)


KINDS = {
    "arrow table": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "arrow stream": Stream,
    "record batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "batch reader": lambda frame: pa.Table.from_pandas(frame, preserve_index=False).to_reader(),
    "data set": lambda frame: datasets.Dataset.from_pandas(frame, preserve_index=False),
    "data set as torch": lambda frame: datasets.Dataset.from_pandas(frame, preserve_index=False).with_format("torch"),
    "arrow types": arrow,
    "subclass": Subclass,
    "dates as text": lambda frame: frame.assign(ds=frame["ds"].astype(str)),
    "dates as categories": lambda frame: frame.assign(ds=frame["ds"].astype(str).astype("category")),
    "dates in nanoseconds": lambda frame: frame.assign(ds=frame["ds"].astype("datetime64[ns]")),
    "datetime objects": lambda frame: frame.assign(ds=pd.Series(list(frame["ds"].dt.to_pydatetime()), dtype=object)),
    "periods": lambda frame: frame.assign(ds=frame["ds"].dt.to_period("h")),
    "index of time": lambda frame: frame.set_index("ds"),
    "nameless index of time": lambda frame: frame.set_index("ds").rename_axis(None),
    "index of periods": lambda frame: frame.set_index(pd.PeriodIndex(frame["ds"], freq="h")).drop(columns="ds"),
    "index of text": lambda frame: frame.set_index(frame["ds"].astype(str)).drop(columns="ds"),
    "nameless index of text": lambda frame: (
        frame.set_index(frame["ds"].astype(str)).drop(columns="ds").rename_axis(None)
    ),
    "any index": lambda frame: frame.set_index(np.arange(len(frame)) % 7),
}
VALUES = {
    "decimals": lambda cells: cells.map(lambda value: Decimal(repr(value))),
    "arrow decimals": lambda cells: cells.round(9).astype(pd.ArrowDtype(pa.decimal128(20, 9))),
    "nullable": lambda cells: cells.astype("Float64"),
    "sparse": lambda cells: cells.astype(pd.SparseDtype("float64", np.nan)),
    "text": lambda cells: cells.map(repr),
    "arrow text": lambda cells: cells.map(repr).astype(pd.ArrowDtype(pa.string())),
    "objects": lambda cells: cells.astype(object),
}
LONG_KINDS = {
    "two levels": lambda frame: frame.set_index(["id", "ds"]),
    "two levels, time first": lambda frame: frame.set_index(["ds", "id"]),
    "two levels, periods": lambda frame: frame.assign(ds=frame["ds"].dt.to_period("h")).set_index(["id", "ds"]),
    "two levels, time without name": lambda frame: frame.set_index(["id", "ds"]).rename_axis(["id", None]),
    "two levels of a subclass": lambda frame: Subclass(frame.set_index(["id", "ds"])),
    "index of ids": lambda frame: frame.set_index("id"),
    "ids as categories": lambda frame: frame.assign(id=frame["id"].astype("category")),
}


def student(series) -> Forecaster:
    data = make_windows(series, CONTEXT, HORIZON)
    torch.manual_seed(0)
    model = TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=8, hidden_norm="layernorm"))
    return Forecaster(model.eval(), data.processor)


WIDE_STUDENT, LONG_STUDENT = student(load_series(WIDE)), student(load_series(LONG, id_column="id"))


def values_of(frame: pd.DataFrame) -> np.ndarray:
    return frame.select_dtypes("number").to_numpy()


def times_of(frame: pd.DataFrame) -> list:
    return [column for column in frame if pd.api.types.is_datetime64_any_dtype(frame[column])]


def check_all_entries(table, whole: pd.DataFrame, forecaster: Forecaster, again) -> None:
    """`table` beside the DataFrame: training, predict, the processor, predict_df, backtest. `again` makes it anew."""
    is_long = "id" in whole
    expected = load_series(whole, id_column="id" if is_long else None)
    series = load_series(table, id_column="id" if is_long else None)
    assert series.columns == expected.columns
    assert (series.timestamps == expected.timestamps).all()
    torch.testing.assert_close(series.values, expected.values)
    for forecast in (forecaster.predict, forecaster.predict_df):
        right, found = forecast(whole), forecast(again())
        np.testing.assert_allclose(values_of(found), values_of(right), rtol=1e-5)
        if times_of(found):
            assert (found[times_of(found)[0]].to_numpy() == right["ds"].to_numpy()).all()
    torch.testing.assert_close(
        forecaster.processor(again())["past_values"], forecaster.processor(whole)["past_values"]
    )
    assert backtest(forecaster, again(), num_windows=1).overall["forecast"] == pytest.approx(
        backtest(forecaster, whole, num_windows=1).overall["forecast"], rel=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_wide_table(kind):
    check_all_entries(KINDS[kind](WIDE), WIDE, WIDE_STUDENT, lambda: KINDS[kind](WIDE))


@pytest.mark.parametrize("kind", VALUES)
def test_values(kind):
    table = WIDE.assign(a=VALUES[kind](WIDE["a"]))
    check_all_entries(table, WIDE, WIDE_STUDENT, table.copy)


@pytest.mark.parametrize("kind", LONG_KINDS)
def test_a_long_table(kind):
    check_all_entries(LONG_KINDS[kind](LONG), LONG, LONG_STUDENT, lambda: LONG_KINDS[kind](LONG))


@pytest.mark.parametrize("kind", [kind for kind in LONG_KINDS if kind.startswith("two levels")])
def test_two_levels_need_no_flag(kind):
    series = load_series(LONG_KINDS[kind](LONG))
    assert (series.columns, series.num_rows, series.freq) == (("x", "y"), 200, "h")
    assert series.fingerprint() == load_series(LONG, id_column="id").fingerprint()


def test_levels_without_names():
    series = load_series(LONG.set_index(["id", "ds"]).rename_axis([None, None]))
    assert (series.columns, series.id_column, series.timestamp_column) == (("x", "y"), "id", "date")


LEVELS = [
    ("three levels", LONG.assign(region="n").set_index(["region", "id", "ds"]), r"levels \['region', 'id', 'ds'\]"),
    ("no time", LONG.assign(step=range(400)).set_index(["id", "step"]), r"levels \['id', 'step'\]"),
    ("two times", LONG.assign(made=LONG["ds"]).set_index(["ds", "made"]), "reset_index"),
    ("a name twice", LONG.set_index(["id", "ds"]).assign(ds=1.0), "'ds' both in its index and among its columns"),
]


@pytest.mark.parametrize(("table", "message"), [pytest.param(*case, id=what) for what, *case in LEVELS])
def test_an_index_whose_meaning_is_not_clear(table, message):
    with pytest.raises(InputError, match=message):
        load_series(table)


def test_a_long_table_for_a_wide_model():
    """Its ids are series that the model has never seen, as they are in a wide table of other columns."""
    found = WIDE_STUDENT.predict(LONG.set_index(["id", "ds"]))
    right = WIDE_STUDENT.predict(WIDE.rename(columns={"a": "x", "b": "y"}))
    np.testing.assert_allclose(found["y"], right[["x", "y"]].to_numpy().T.ravel(), rtol=1e-5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (LONG.set_index("id")[["ds", "y"]], "'id'"),
        (LONG.rename(columns={"id": "shop"}).set_index("shop"), "'shop'"),
        (LONG.assign(id=LONG["id"].map({"x": 1, "y": 2})).set_index("id"), "'id'"),
        (LONG.assign(shop=LONG["id"].map({"x": 1, "y": 2})).drop(columns="id").set_index("shop"), "id_column='shop'"),
    ],
)
def test_ids_in_an_index_are_not_lost(table, message):
    with pytest.raises(InputError, match=message):
        load_series(table)


@pytest.mark.parametrize("name", ["ds", "sales", "id", "0", "index", "level_0", "value"])
def test_an_id_may_be_called_as_anything(name):
    table = LONG.replace({"id": {"x": name}})
    series = load_series(table, id_column="id")
    assert series.columns == (name, "y")
    torch.testing.assert_close(series.values, load_series(LONG, id_column="id").values)
    forecaster = student(series)
    for forecast in (forecaster.predict, forecaster.predict_df):
        np.testing.assert_allclose(forecast(table)["y"], LONG_STUDENT.predict(LONG)["y"], rtol=1e-5)
    of_series, of_table = (backtest(forecaster, each, num_windows=1).overall for each in (series, table))
    assert of_series["forecast"] == pytest.approx(of_table["forecast"], rel=1e-4)


def test_masked_arrays():
    """What lies below a mask is no value."""
    values = WIDE[["a", "b"]].to_numpy()[-CONTEXT:].copy()
    mask = np.zeros_like(values, dtype=bool)
    mask[5:9, 0] = True
    filled = np.where(mask, np.nan, values)
    below = np.ma.masked_array(np.where(mask, 1e9, values), mask)
    np.testing.assert_array_equal(WIDE_STUDENT.predict(below), WIDE_STUDENT.predict(filled))
    np.testing.assert_array_equal(WIDE_STUDENT.predict(below[None]), WIDE_STUDENT.predict(filled[None]))
    whole_numbers = np.ma.masked_array(np.where(mask, -9999, 7), mask)
    np.testing.assert_array_equal(
        WIDE_STUDENT.predict(whole_numbers), WIDE_STUDENT.predict(np.where(mask, np.nan, 7.0))
    )
    frame = pd.DataFrame(below, columns=["a", "b"])
    assert torch.isnan(load_series(frame).values).sum() == 4


def test_a_series_of_pandas():
    series = load_series(WIDE.set_index("ds")["a"])
    assert (series.columns, series.freq) == (("a",), "h")
    assert load_series(pd.Series(np.arange(9.0))).columns == ("value",)


@pytest.mark.parametrize("column", [[b"x"], [[1.0]], [{"a": 1}], [True], [pd.Timedelta("1h")], [1j], [object()]])
def test_cells_of_other_kinds_as_time_id_and_value(column):
    cells = pd.Series(column * 200, dtype=object)
    for table, options in (
        (WIDE.assign(a=cells), {}),
        (WIDE.assign(ds=cells), {"timestamp_column": "ds"}),
        (WIDE.assign(id=cells, ds=HOURS[0])[["id", "ds", "a"]], {"id_column": "id"}),
    ):
        for entry in (load_series, WIDE_STUDENT.predict_df):
            with pytest.raises(InputError):
                entry(table, **options)


def test_what_is_no_table():
    for source in ({"a": [1.0]}, [[1.0]], 3, object()):
        with pytest.raises(InputError, match="no kind of series"):
            load_series(source)
        with pytest.raises(InputError, match="no kind of table"):
            backtest(WIDE_STUDENT, source)
    splits = datasets.DatasetDict(train=datasets.Dataset.from_pandas(WIDE))
    for entry in (load_series, WIDE_STUDENT.predict, WIDE_STUDENT.predict_df):
        with pytest.raises(InputError, match=r"\['train'\]: give one of them"):
            entry(splits)
    with pytest.raises(InputError, match="'frame' cannot be read as a table"):
        load_series(pa.array([1.0, 2.0]))


def test_an_iterable_data_set():
    stream = datasets.Dataset.from_pandas(WIDE).to_iterable_dataset()
    assert load_series(stream).fingerprint() == load_series(WIDE).fingerprint()


@pytest.mark.parametrize("targets", ["a", ["a"]])
def test_one_target_may_be_named_alone(targets):
    assert load_series(WIDE, target_columns=targets).columns == ("a",)
    assert list(WIDE_STUDENT.predict_df(WIDE, target_columns=targets)) == ["ds", "a"]
