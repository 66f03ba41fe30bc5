import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoFeatureExtractor

from tests.conftest import CONTEXT, HORIZON
from tests.rounding import frames_close
from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction, TimeDistillProcessor
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series, make_windows, synthetic_series


def raw_frame(data, rows):
    frame = pd.DataFrame(data.series.values.numpy()[rows], columns=list(data.series.columns))
    frame.insert(0, "date", data.series.timestamps[rows])
    return frame


def test_raw_history_becomes_the_window_that_training_saw(data):
    origin = data.test.first_origin
    inputs = data.processor(raw_frame(data, slice(0, origin)))
    assert set(inputs) == {"past_values"}
    torch.testing.assert_close(inputs["past_values"][0], data.test[0]["past_values"])


def test_units_come_back(data):
    values = data.series.values[:50]
    assert torch.allclose(data.processor.unstandardize(data.processor.standardize(values)), values, rtol=1e-6)


def test_saved_and_loaded_it_is_the_same(data, student, tmp_path):
    data.processor.save_pretrained(tmp_path)
    student.save_pretrained(tmp_path)
    for loaded in (TimeDistillProcessor.from_pretrained(tmp_path), AutoFeatureExtractor.from_pretrained(tmp_path)):
        assert type(loaded) is TimeDistillProcessor
        assert loaded.to_dict() == data.processor.to_dict()
    assert (tmp_path / "preprocessor_config.json").is_file()


def test_predict_gives_units_and_future_timestamps(data, student, tmp_path):
    student.eval().save_pretrained(tmp_path)
    data.processor.save_pretrained(tmp_path)
    forecaster = Forecaster.from_pretrained(tmp_path)
    frame = raw_frame(data, slice(0, 200))
    forecast = forecaster.predict(frame)
    assert list(forecast.columns) == ["date", *data.series.columns]
    assert (forecast["date"].to_numpy() == data.series.timestamps[200 : 200 + HORIZON]).all()
    values = data.series.values[200 - CONTEXT : 200].double()
    mean, std = torch.tensor(data.processor.mean), torch.tensor(data.processor.std)
    with torch.no_grad():
        expected = student(past_values=((values - mean) / std).float()[None]).prediction_outputs[0] * std + mean
    np.testing.assert_allclose(forecast[list(data.series.columns)].to_numpy(), expected.numpy(), rtol=1e-5)

    array = data.series.values[:200].numpy()
    np.testing.assert_allclose(forecaster.predict(array), forecast[list(data.series.columns)].to_numpy(), rtol=1e-5)
    batch = np.stack([array, array * 1.1])
    assert forecaster.predict(batch).shape == (2, HORIZON, 3)


def test_missing_history_is_masked(data):
    history = data.series.values[:CONTEXT].numpy().copy()
    history[3, 1] = np.nan
    inputs = data.processor(history)
    assert inputs["past_values"][0, 3, 1] == 0
    assert inputs["past_observed_mask"].sum() == CONTEXT * 3 - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values[:, :2], r"history of shape \(48, 2\)"),
        (lambda values: np.where(values == values[0, 0], np.inf, values), "infinite"),
        (lambda values: pd.DataFrame(values, columns=["load_0", "load_1", "x"]), r"has \['load_0', 'load_1', 'x'\]"),
        (lambda values: pd.DataFrame(values, columns=["load_0", "load_1", "load_2"]).assign(load_1="x"), "no number"),
    ],
)  # fmt: skip
def test_unusable_history_is_named(data, change, message):
    with pytest.raises(InputError, match=message):
        data.processor(change(data.series.values[:CONTEXT].numpy()))


def test_an_existing_processor_keeps_its_scaler_and_refuses_other_columns(data):
    again = make_windows(data.series, CONTEXT, HORIZON, processor=data.processor)
    assert again.processor is data.processor
    other = TimeDistillProcessor(["x"], [0.0], [1.0], CONTEXT, HORIZON)
    with pytest.raises(InputError, match=r"was fitted on \['x'\]"):
        make_windows(data.series, CONTEXT, HORIZON, processor=other)
    with pytest.raises(InputError, match="2 columns, 1 means"):
        TimeDistillProcessor(["x", "y"], [0.0], [1.0], CONTEXT, HORIZON)


def test_tables_are_read_as_in_training():
    """Any order of rows, a left-out step, a sentinel and the long form give what the clean wide table gives."""
    values = synthetic_series(300, 2).values.numpy()
    clean = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=300, freq="h"), "a": values[:, 0], "b": values[:, 1]}
    )
    clean.loc[290, ["a", "b"]] = np.nan
    clean.loc[280, "b"] = np.nan

    sentinel = clean.copy()
    sentinel.loc[280, "b"] = -9999.0
    sentinel = sentinel.drop(index=290)
    long = sentinel.melt(id_vars="date", var_name="store", value_name="sales")
    expected, model = None, None
    for frame, options in ((clean, {}), (sentinel, {}), (sentinel[::-1], {}), (long, {"id_column": "store"})):
        data = make_windows(load_series(frame, missing_value=-9999.0, **options), CONTEXT, HORIZON)
        model = model or TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=8))
        forecast = Forecaster(model, data.processor).predict(frame)
        if options:
            assert list(forecast.columns) == ["date", "store", "sales"]
            wide = forecast.pivot(index="date", columns="store", values="sales")
            forecast = wide.reset_index().rename_axis(columns=None)
        expected = forecast if expected is None else expected
        frames_close(forecast, expected)
    assert expected["date"].iloc[0] == pd.Timestamp("2024-01-13 12:00")
    one = Forecaster(model, data.processor).predict(long[long["store"] == "a"])
    assert one["sales"].to_numpy() == pytest.approx(expected["a"].to_numpy(), rel=1e-5)
    with pytest.raises(InputError, match=r"together, \['a', 'b'\]; 'history' has \['a'\]"):
        data.processor(long[long["store"] == "a"])
