"""Shift and scale of a series change a forecast by nothing but rounding, by every form and every way to forecast."""

import functools

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.student.models import LENGTHS, combination, tiny
from timedistill_hf import Forecaster, TimeDistillProcessor
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series, make_windows
from timedistill_hf.evaluation.series_errors import SeriesErrors
from timedistill_hf.forecasting.backtest import backtest
from timedistill_hf.forecasting.fleet import forecast_fleet
from timedistill_hf.student.pipeline_timedistill import TimeSeriesForecastingPipeline


L, S = LENGTHS["context_length"], LENGTHS["prediction_length"]
SPLIT = "100,40,40"
LEVELS = ("none", "mean", "last", "revin")
ONES = [f"{form}:{level}" for form in ("two_branch", "mlp", "patch_mixer", "linear", "periodic", "cycle", "residual")
        for level in LEVELS]  # fmt: skip
PAIRS = ["linear:mean+residual:revin", "cycle:last+mlp:mean", "linear:none+patch_mixer:revin"]
MARGIN = 1e-4  # deviations: what a float32 model may differ by for windows that differ by rounding
WAYS = ("array", "table", "predict_df", "history", "pipeline", "pipeline of a table", "fleet")


@functools.cache
def model_of(text):
    torch.manual_seed(0)
    parts = [dict(zip(("architecture", "normalization"), part.split(":"), strict=True)) for part in text.split("+")]
    if len(parts) > 1:
        return combination(parts, [0.3, 0.7])
    return tiny(**parts[0])


@functools.cache
def base() -> np.ndarray:
    generator = np.random.default_rng(7)
    walk = generator.normal(size=(180, 2)).cumsum(axis=0) / 4
    return walk + np.sin(np.arange(180) / 3)[:, None] + generator.normal(size=(180, 2))


def table_of(values) -> pd.DataFrame:
    stamps = pd.date_range("2024-01-01", periods=len(values), freq="h")
    return pd.concat(
        [pd.DataFrame({"item": f"i{k}", "ds": stamps, "y": column}) for k, column in enumerate(values.T)],
        ignore_index=True,
    )


def forecast(way, model, values, folder) -> np.ndarray:
    """`[S, 2]` after `values` `[T, 2]`, whose first rows the scaler is of."""
    table = table_of(values)
    data = make_windows(load_series(table, id_column="item"), L, S, split=SPLIT)
    forecaster = Forecaster(model, data.processor)
    if way == "array":
        return forecaster.predict(values)
    if way == "table":
        return forecaster.predict(table)["y"].to_numpy().reshape(2, S).T
    if way in ("predict_df", "history"):
        scaling = "auto" if way == "predict_df" else "history"
        return forecaster.predict_df(table, scaling=scaling)["y"].to_numpy().reshape(2, S).T
    if way == "fleet":
        table.to_parquet(folder / "in.parquet")
        forecast_fleet(forecaster, folder / "in.parquet", folder / "out.parquet", overwrite=True)
        return pq.read_table(folder / "out.parquet")["y"].to_numpy().reshape(2, S).T
    pipe = TimeSeriesForecastingPipeline(model, feature_extractor=data.processor)
    if way == "pipeline":
        return np.stack([pipe(column.tolist())["prediction_outputs"] for column in values.T], axis=1)
    return pipe(table)["y"].to_numpy().reshape(2, S).T


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("digits")


@given(
    form=st.sampled_from(ONES + PAIRS),
    way=st.sampled_from(WAYS),
    scale=st.sampled_from([1e-30, 1e-12, 1e-6, 1.0, 1e9, 1e30]),
    deviations=st.sampled_from([0.0, 1.0, -1e4, 2e8, -1e10, 1e12]),
)
@settings(max_examples=30, deadline=None)
def test_shift_and_scale_change_nothing_but_rounding(form, way, scale, deviations, folder):
    model = model_of(form)
    plain = forecast(way, model, base(), folder)
    deviations = float(np.clip(deviations, -1e38 / scale, 1e38 / scale))  # tables end at 3.4e38
    moved = forecast(way, model, (base() + deviations) * scale, folder)
    rounding = 40 * np.finfo(np.float64).eps * abs(deviations)  # of the values themselves
    np.testing.assert_allclose(moved / scale - deviations, plain, rtol=0, atol=MARGIN + 10 * rounding)


@pytest.mark.parametrize("form", [*ONES, *PAIRS])
def test_every_form_at_a_level_of_a_billion_deviations(form):
    """Which no float32 could hold; arrays, the training's scaler."""
    plain, moved = (forecast("array", model_of(form), base() + level, None) - level for level in (0.0, 1e9))
    np.testing.assert_allclose(moved, plain, rtol=0, atol=MARGIN + 1e-4)


@pytest.mark.parametrize("form", [form for form in [*ONES, *PAIRS] if "none" not in form])
def test_a_series_that_has_left_its_level_of_training(form):
    """A form that takes the level out forecasts a known series as well wherever it goes."""
    data = make_windows(load_series(table_of(base()), id_column="item"), L, S, split=SPLIT)
    forecaster = Forecaster(model_of(form), data.processor)
    plain, moved = (forecaster.predict(base() + level) - level for level in (0.0, 1e9))
    np.testing.assert_allclose(moved, plain, rtol=0, atol=MARGIN + 1e-4)


@pytest.mark.parametrize("level", [2e8, 1e10, -3e12])
def test_training_sees_what_float64_holds(level):
    series = load_series(pd.DataFrame({"a": base()[:, 0] + level}))
    assert series.values.dtype == torch.float64
    np.testing.assert_array_equal(series.values[:, 0], base()[:, 0] + level)
    plain, moved = (make_windows(load_series(pd.DataFrame({"a": base()[:, 0] + up})), L, S, split=SPLIT)
                    for up in (0.0, level))  # fmt: skip
    assert moved.processor.std[0] == pytest.approx(base()[:100, 0].std(), rel=1e-3)
    np.testing.assert_allclose(moved.train.values, plain.train.values, atol=1e-15 * abs(level))
    assert moved.train.values.dtype == torch.float32
    np.testing.assert_allclose(moved.naive_errors, plain.naive_errors, rtol=1e-3)


@pytest.mark.parametrize("value", [1e-6, -1e-30, 2e8 + 0.25, 0.0])
@pytest.mark.parametrize("way", ["array", "table", "predict_df", "history", "pipeline", "pipeline of a table"])
def test_what_is_flat_is_forecast_as_flat(way, value):
    """Of training constant, or a stranger: any other forecast would hang on the unit."""
    for form in ("two_branch:none", "residual:revin", "linear:mean"):
        values = base().copy()
        values[:, 1] = value
        found = forecast(way, model_of(form), values, None)[:, 1]
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=0)


def test_a_channel_that_was_constant_and_moves_is_forecast_from_its_look_back(caplog):
    values = base().copy()
    values[:140, 1] = 7.0
    assert forecast("array", model_of("residual:revin"), values, None).std() > 0
    assert "constant in the train rows, and so not standardised: ['i1']" in caplog.text
    stranger = Forecaster(model_of("residual:revin"), TimeDistillProcessor(["x"], [0.0], [1.0], L, S)).predict_df(
        pd.DataFrame({"y": values[:, 1]})
    )
    found = forecast("array", model_of("residual:revin"), values, None)[:, 1]
    np.testing.assert_allclose(found, stranger["y"], rtol=1e-6)


def test_rounding_is_no_deviation():
    """0.1 + 0.2 is not 0.3: such a channel is constant, whatever it is multiplied with."""
    values = np.where(np.arange(180) % 2, 0.1 + 0.2, 0.3) * 1e9
    processor = make_windows(load_series(pd.DataFrame({"a": values})), L, S, split=SPLIT).processor
    assert (processor.std, processor.constant_columns) == ([1.0], ["a"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("code", [-9999.9, -999.99, 9.96921e36, -1e9])
def test_a_code_for_missing_matches_as_either_type_writes_it(code, dtype):
    values = base().copy()
    values[[5, 170], 0] = code
    table = pd.DataFrame(values.astype(dtype), columns=["a", "b"])
    series = load_series(table, missing_value=code)
    assert series.values.isnan().nonzero().tolist() == [[5, 0], [170, 0]]
    data = make_windows(series, L, S, split=SPLIT)
    forecaster = Forecaster(model_of("residual:mean"), data.processor)
    known = np.where(np.arange(180)[:, None] == 170, [[np.nan, 1]], 1) * values.astype(dtype)
    np.testing.assert_array_equal(forecaster.predict(table.to_numpy()), forecaster.predict(known))
    np.testing.assert_array_equal(
        forecaster.predict_df(table)["a"], forecaster.predict_df(table.assign(a=known[:, 0]))["a"]
    )


def test_a_code_for_missing_is_no_neighbour_of_it():
    """At -1e9 float32 knows no difference of 20."""
    series = load_series(pd.DataFrame({"a": [-1e9, -1e9 + 20, 3.0, 4.0]}), missing_value=-1e9)
    assert series.values[:, 0].isnan().tolist() == [True, False, False, False]


def test_other_digits_are_other_data():
    """What float32 cannot tell apart, too; a channel in float32 keeps the fingerprint that it always had."""
    series = [load_series(pd.DataFrame({"a": base()[:, 0] + 1e10 + 5 * extra})) for extra in (0, base()[:, 1])]
    assert series[0].fingerprint() != series[1].fingerprint()
    assert (
        load_series(pd.DataFrame({"a": base()[:, 0]})).fingerprint()
        == load_series(pd.DataFrame({"a": base()[:, 0].astype(np.float32)})).fingerprint()
    )


def test_a_value_too_far_off_ends_in_an_error_everywhere(tmp_path):
    data = make_windows(load_series(table_of(base()), id_column="item"), L, S, split=SPLIT)
    forecaster = Forecaster(model_of("residual:revin"), data.processor)
    values = base().copy()
    values[-13, 1] = 1e30
    table = table_of(values)
    with pytest.raises(
        InputError, match=r"the series 'i1' holds a value more than .* deviations from the mean of training"
    ):
        forecaster.predict(values)
    with pytest.raises(InputError, match=r"a value 6e\+29 deviations from the mean of training in column 'i1'"):
        data.processor(values)
    message = r"'i1' holds a value more than 1e\+15 deviations from the mean of training: correct it"
    with pytest.raises(InputError, match=f"history: the series {message}"):
        forecaster.predict_df(table)
    with pytest.raises(InputError, match=f"a look-back of the series {message}"):
        backtest(forecaster, table, num_windows=2, step=1)
    table.to_parquet(tmp_path / "in.parquet")
    with pytest.raises(InputError, match=message):
        forecast_fleet(forecaster, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    pipe = TimeSeriesForecastingPipeline(forecaster.model, feature_extractor=data.processor)
    with pytest.raises(ValueError, match="the series 'i1' holds a value more than"):
        pipe(table)
    with pytest.raises(ValueError, match="input 1 holds a value more than"):
        pipe([{"past_values": column, "id": f"i{k}"} for k, column in enumerate(values.T)])
    # by its own look-back it is a series like another
    assert np.isfinite(forecaster.predict_df(table, scaling="history")["y"]).all()


def test_a_truth_far_off_counts(tmp_path):
    data = make_windows(load_series(table_of(base()), id_column="item"), L, S, split=SPLIT)
    values = base().copy()
    values[-1, 1] = 1e30
    result = backtest(Forecaster(model_of("residual:revin"), data.processor), table_of(values), num_windows=1)
    mse = result.metrics.set_index(["item", "model"])["mse"]
    assert mse["i1", "forecast"] == pytest.approx(1e60 / S, rel=1e-6)


def test_weights_that_are_no_numbers_end_in_an_error():
    model = tiny("linear", normalization="mean")
    with torch.no_grad():
        model.backbone.projection.weight[0, 0] = torch.nan
    data = make_windows(load_series(table_of(base()), id_column="item"), L, S, split=SPLIT)
    for attempt in (lambda f: f.predict(base()), lambda f: f.predict_df(table_of(base())),
                    lambda f: backtest(f, table_of(base()))):  # fmt: skip
        with pytest.raises(InputError, match="forecast that is not finite: the model's weights"):
            attempt(Forecaster(model, data.processor))


def test_an_infinite_forecast_counts():
    errors = SeriesErrors(2)
    errors.add(np.array([0, 1]), np.array([[np.inf, 1.0], [2.0, np.nan]]), np.ones((2, 2)), np.ones(2))
    metrics = errors.per_series(np.ones(2))
    assert metrics["points"].tolist() == [2, 1]
    assert metrics["mse"].tolist() == [np.inf, 1.0]
    assert metrics["smape"].tolist() == [100.0, pytest.approx(200 / 3)]
    assert errors.overall(np.ones(2))["mse"] == np.inf
