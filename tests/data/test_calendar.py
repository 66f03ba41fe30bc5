import datetime

import pandas as pd
import pytest
import torch

from tests.conftest import CONTEXT, HORIZON
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.data.calendar import calendar_features


def test_every_feature_runs_over_its_own_cycle():
    moments = [
        datetime.datetime(2024, 1, 1, 0, 0),  # a Monday
        datetime.datetime(2024, 12, 31, 23, 59),
        datetime.datetime(2023, 3, 5, 12, 30),
    ]
    features = calendar_features(pd.DatetimeIndex(moments))
    for row, moment in zip(features.tolist(), moments, strict=True):
        expected = (
            moment.minute / 59 - 0.5,
            moment.hour / 23 - 0.5,
            moment.weekday() / 6 - 0.5,
            (moment.day - 1) / 30 - 0.5,
            (moment.timetuple().tm_yday - 1) / 365 - 0.5,
        )
        assert row == pytest.approx(expected, abs=1e-6)
    assert features.dtype == torch.float32
    assert features.abs().max() <= 0.5


def test_windows_hold_the_features_of_their_own_steps():
    series = synthetic_series(400, 3)
    data = make_windows(series, CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))
    assert data.num_time_features == 0
    assert "past_time_features" not in data.train[0]
    with_features = data.with_time_features()
    assert with_features.num_time_features == 5
    assert with_features.processor.time_features
    assert not data.processor.time_features
    item = with_features.validation[7]
    origin = 240 + 7
    expected = calendar_features(series.timestamps[origin - CONTEXT : origin + HORIZON])
    assert torch.equal(item["past_time_features"], expected[:CONTEXT])
    assert torch.equal(item["future_time_features"], expected[CONTEXT:])
    assert torch.equal(item["past_values"], data.validation[7]["past_values"])
    again = make_windows(series, CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)), with_features.processor)
    assert torch.equal(again.validation[7]["past_time_features"], expected[:CONTEXT])
