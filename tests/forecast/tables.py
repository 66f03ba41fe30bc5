"""Tables, and students that forecast them, for the tests of forecasting."""

import numpy as np
import pandas as pd
import torch

from tests.conftest import CONTEXT, HORIZON
from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.data import load_series, make_windows, synthetic_series


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
    length = forecaster.processor.context_length
    window = np.full((length, history.shape[1]), np.nan)
    window[max(0, length - len(history)) :] = history[-length:]
    steps = np.arange(length)
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


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
