"""What serves keeps the weights that it was made of until it is refreshed; by any change, and at no cost."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import pipeline

from tests.conftest import tiny_teacher
from tests.forecast.tables import NAMES, by_hand, close, trained_on, wide
from tests.forecast.test_predict_df import forecaster as any_series
from tests.forecast.test_predict_df import noise, one, series
from timedistill_hf import Forecaster
from timedistill_hf.forecasting.backtest import backtest
from timedistill_hf.student import fusing_timedistill


def permuted(model):
    """As many bits of each kind as before, in another order."""
    weight = model.backbone.members[0].backbone.projection.weight
    weight.data = weight.data.flip(1).contiguous()


def negated(model):
    for parameter in model.parameters():
        parameter.data.neg_()


def fused_adamw(model):
    """The Trainer's default, which changes weights without telling torch's version counters."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    model(past_values=torch.randn(4, 29, 5)).prediction_outputs.square().sum().backward()
    optimizer.step()


def loaded(model):
    model.load_state_dict({name: value.flip(-1) for name, value in model.state_dict().items()})


@pytest.mark.parametrize("change", [permuted, negated, fused_adamw, loaded])
def test_forecasts_are_of_the_weights_at_the_last_refresh(change):
    forecaster, history = any_series(), noise(40)
    frame = series("new", history)
    pipe = pipeline("time-series-forecasting", model=forecaster.model, feature_extractor=forecaster.processor)

    def forecasts():
        return (
            forecaster.predict_df(frame, scaling="history")["y"].to_numpy(),
            pipe(history, scaling="history")["prediction_outputs"],
            pipe(frame, scaling="history")["y"].to_numpy(),
        )

    before = one(forecaster.model, history)
    change(forecaster.model)
    after = one(forecaster.model, history)
    assert np.abs(after - before).max() > 0.1
    for forecast in forecasts():
        close(forecast, before)
    assert forecaster.refresh() is forecaster
    assert pipe.refresh() is pipe
    for forecast in forecasts():
        close(forecast, after)


def test_a_model_that_takes_the_place_of_another_serves_at_once():
    forecaster, history = any_series(), noise(40)
    pipe = pipeline("time-series-forecasting", model=forecaster.model, feature_extractor=forecaster.processor)
    other = any_series().model
    permuted(other)
    expected = one(other, history)
    forecaster.model = pipe.model = other
    for each in (forecaster, replace(any_series(), model=other)):
        close(each.predict_df(series("new", history), scaling="history")["y"], expected)
    close(pipe(history, scaling="history")["prediction_outputs"], expected)


def test_forecasting_fuses_nothing_and_leaves_the_student_alone(monkeypatch):
    model = trained_on(wide())
    expected = by_hand(model, wide()[NAMES].to_numpy())
    forecaster = Forecaster(model.model.train(), model.processor)
    pipe = pipeline("time-series-forecasting", model=forecaster.model, feature_extractor=forecaster.processor)

    def refuse(*args, **kwargs):
        raise AssertionError("the student itself is at work")

    monkeypatch.setattr(fusing_timedistill, "fuse", refuse)
    monkeypatch.setattr(type(forecaster.model), "forward", refuse)
    monkeypatch.setattr(type(forecaster.model), "parameters", refuse)
    close(forecaster.predict(wide()[NAMES].to_numpy()), expected)
    close(forecaster.predict(wide())[NAMES].to_numpy(), expected)
    close(pipe(wide()[NAMES].to_numpy())["prediction_outputs"], expected)
    assert backtest(forecaster, wide(), num_windows=1).windows == len(NAMES)
    assert forecaster.model.training


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_student_of_any_precision_serves(dtype):
    forecaster, history = any_series(), noise(40)
    expected = one(any_series().model.to(dtype).float(), history)
    forecaster.model.to(dtype)
    close(forecaster.refresh().predict_df(series("new", history), scaling="history")["y"], expected)
    pipe = pipeline("time-series-forecasting", model=forecaster.model, feature_extractor=forecaster.processor)
    close(pipe(history, scaling="history")["prediction_outputs"], expected)


def test_moving_the_model_does_not_break_what_serves():
    forecaster = trained_on(wide())
    expected = forecaster.predict(wide())
    forecaster.model.to("meta")
    pd.testing.assert_frame_equal(forecaster.predict(wide()), expected)


def test_to_moves_the_model_and_what_serves():
    forecaster = trained_on(wide())
    expected = forecaster.predict(wide())
    assert forecaster.to("cpu") is forecaster
    pd.testing.assert_frame_equal(forecaster.predict(wide()), expected)


def test_a_teacher_is_run_as_it_is():
    teacher = tiny_teacher("itransformer")
    forecaster = Forecaster(teacher, trained_on(wide()).processor)
    assert forecaster.inference_copy is teacher
    forecaster.predict(wide())
    for parameter in teacher.parameters():
        parameter.data.neg_()
    close(forecaster.predict(wide())[NAMES].to_numpy(), by_hand(forecaster, wide()[NAMES].to_numpy()))
