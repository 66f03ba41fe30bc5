"""Informer: its forecast is the mean, deterministic, and knows nothing of the future."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import InformerForPrediction

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_informer
from timedistill_hf import Forecaster
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import synthetic_series
from timedistill_hf.data.calendar import calendar_features
from timedistill_hf.forecasting.evaluate import evaluate_saved_model
from timedistill_hf.models.mean_prediction import is_direct
from timedistill_hf.settings.run import DataSettings, EvaluateSettings
from timedistill_hf.teachers import Teacher, get_family, load_teacher
from timedistill_hf.training.arguments import ForecastTrainingArguments
from timedistill_hf.training.forecast_trainer import ForecastTrainer
from timedistill_hf.training.teacher_training import train_and_score_teacher, train_teacher


FAMILY = get_family("informer")
SMALL = {"d_model": 8, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}


def stock(model) -> InformerForPrediction:
    """transformers' own class with the same weights."""
    own = InformerForPrediction(model.config)
    own.load_state_dict(model.state_dict())
    return own.eval()


def with_empty_features(x):
    return {
        "past_values": x,
        "past_observed_mask": torch.ones_like(x),
        "past_time_features": torch.zeros(len(x), x.shape[1], 0),
        "future_time_features": torch.zeros(len(x), HORIZON, 0),
    }


def test_lags_are_direct_where_the_look_back_allows_it():
    assert get_family("informer").default_lags(720, 96) == [96, 97, 120]
    config = FAMILY.config(720, 96, 7)
    assert (config.context_length, FAMILY.look_back(config), is_direct(config)) == (600, 720, True)
    assert get_family("informer").default_lags(96, 96) == [1, 2, 3, 4, 5, 6, 7]
    assert not is_direct(FAMILY.config(96, 96, 7))
    assert "direct, one pass for all 96 steps" in FAMILY.remark(config)
    assert "mean roll-out, 96 decoder passes" in FAMILY.remark(FAMILY.config(96, 96, 7))
    assert is_direct(FAMILY.config(CONTEXT, HORIZON, 3, lags_sequence=[HORIZON]))
    assert not is_direct(FAMILY.config(CONTEXT, HORIZON, 3, lags_sequence=[HORIZON - 1, HORIZON]))
    for look_back in range(9, 60):
        config = FAMILY.config(look_back, HORIZON, 3)
        assert FAMILY.look_back(config) == look_back
        assert config.context_length >= 1


@pytest.mark.parametrize("distribution", ["normal", "student_t"])
def test_the_direct_forecast_is_the_distributions_mean_whatever_the_future(distribution):
    model = tiny_informer(distribution_output=distribution).eval()
    x = 3 * torch.randn(4, CONTEXT, CHANNELS) + 5
    own = stock(model)
    for future in (torch.zeros(4, HORIZON, CHANNELS), 100 * torch.randn(4, HORIZON, CHANNELS)):
        output = own(**with_empty_features(x), future_values=future)
        mean = own.output_distribution(output.params, loc=output.loc, scale=output.scale).mean
        assert torch.allclose(model(past_values=x).prediction_outputs, mean, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_roll_out_feeds_its_own_means_back(channels):
    """Teacher-forced on its own forecast, transformers' model gives that forecast again: it is the fixed point."""
    model = tiny_informer(look_back=24, channels=channels).eval()
    assert not is_direct(model.config)
    own = stock(model)
    x = 2 * torch.randn(3, 24, channels) - 1
    forecast = model(past_values=x).prediction_outputs
    assert forecast.shape == (3, HORIZON, channels)
    squeezed = (lambda values: values.squeeze(-1)) if channels == 1 else (lambda values: values)
    inputs = with_empty_features(x)
    inputs |= {name: squeezed(inputs[name]) for name in ("past_values", "past_observed_mask")}
    output = own(**inputs, future_values=squeezed(forecast))
    mean = own.output_distribution(output.params, loc=output.loc, scale=output.scale).mean
    assert torch.allclose(squeezed(forecast), mean, atol=1e-4)
    zeros = own(**inputs, future_values=torch.zeros_like(squeezed(forecast)))
    other = own.output_distribution(zeros.params, loc=zeros.loc, scale=zeros.scale).mean
    assert not torch.allclose(mean, other, atol=1e-3)


@pytest.mark.parametrize("look_back", [24, CONTEXT])
def test_a_forecast_does_not_take_the_future_it_is_given(look_back):
    model = tiny_informer(look_back=look_back).eval()
    x = torch.randn(2, look_back, CHANNELS)
    told = model(past_values=x, future_values=torch.randn(2, HORIZON, CHANNELS)).prediction_outputs
    assert torch.equal(told, model(past_values=x).prediction_outputs)


def test_a_longer_history_is_cut_and_a_shorter_one_refused():
    model = tiny_informer(look_back=CONTEXT).eval()
    x = torch.randn(2, CONTEXT + 9, CHANNELS)
    torch.testing.assert_close(model(past_values=x).prediction_outputs, model(past_values=x[:, 9:]).prediction_outputs)
    with pytest.raises(ValueError, match="reads context_length=28 and a largest lag of 20, 48 steps"):
        model(past_values=x[:, :40])


def test_the_feature_adds_up_to_each_channels_mean_forecast():
    model = tiny_informer().eval()
    x = torch.randn(4, CONTEXT, CHANNELS)
    signal = Teacher(model, FAMILY)(past_values=x)
    assert signal.feature.shape == (4, CHANNELS, model.config.d_model)
    hidden = model(past_values=x).last_hidden_state
    projection = model.parameter_projection.proj[0]
    expected = projection(hidden).mean(dim=1) - projection.bias
    assert torch.allclose(signal.feature.sum(dim=-1), expected, atol=1e-5)


def test_random_attention_and_unknown_inputs_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"attention_type='prob'.*needs attention_type='full'"):
        FAMILY.config(CONTEXT, HORIZON, 3, attention_type="prob")
    with pytest.raises(InputError, match="num_static_real_features=2"):
        FAMILY.config(CONTEXT, HORIZON, 3, num_static_real_features=2)
    with pytest.raises(ValueError, match="leave no context in a look-back of 48"):
        FAMILY.config(CONTEXT, HORIZON, 3, lags_sequence=[48])
    tiny_informer().save_pretrained(tmp_path)
    teacher = load_teacher(str(tmp_path))
    with pytest.raises(InputError, match=r"context_length=28 and a largest lag of 20.*of 48 steps.*look back 40"):
        teacher.check_fits(40, HORIZON, CHANNELS)
    with pytest.raises(InputError, match=r"to forecast 16; .* to forecast 24"):
        teacher.check_fits(CONTEXT, 24, CHANNELS)
    with pytest.raises(InputError, match="trained on 3 channels, the data have 7"):
        teacher.check_fits(CONTEXT, HORIZON, 7)
    teacher.check_fits(CONTEXT + 10, HORIZON, CHANNELS)


def test_it_is_trained_with_the_datas_calendar(data, tmp_path, caplog):
    caplog.set_level("INFO", logger="timedistill_hf")
    teacher = train_teacher(
        "informer", data, tmp_path / "t", config=SMALL, max_steps=3, disable_tqdm=True, report_to="none"
    )
    assert teacher.num_time_features == 5
    assert "direct, one pass" in caplog.text
    with pytest.raises(InputError, match="needs 5 calendar features, the data offer 0"):
        teacher.check_time_features(0)
    item = data.with_time_features().validation[0]
    signal = teacher(**{name: item[name].unsqueeze(0) for name in item if name.startswith("past") or "time" in name})
    assert signal.prediction_outputs.shape == (1, HORIZON, CHANNELS)


def test_a_roll_out_teacher_is_trained_on_the_true_future(data, tmp_path):
    model = tiny_informer(look_back=24, dropout=0.0, activation_dropout=0.0, distil=False)
    with pytest.raises(ValueError, match="needs future_values"):
        model.train()(past_values=torch.zeros(1, 24, CHANNELS))
    x, future = torch.randn(2, 24, CHANNELS), torch.randn(2, HORIZON, CHANNELS)
    output = stock(model)(**with_empty_features(x), future_values=future)
    mean = model.output_distribution(output.params, loc=output.loc, scale=output.scale).mean
    assert torch.allclose(model(past_values=x, future_values=future).prediction_outputs, mean, atol=1e-5)
    args = ForecastTrainingArguments(str(tmp_path), max_steps=2, disable_tqdm=True, report_to="none")
    trainer = ForecastTrainer(
        model, args, teacher_forcing=True, train_dataset=data.train, eval_dataset=data.validation
    )
    seen = []
    model.register_forward_pre_hook(
        lambda module, _, inputs: seen.append((module.training, "future_values" in inputs)), with_kwargs=True
    )
    trainer.train()
    assert set(seen) == {(True, True), (False, False)}


def test_only_what_the_mean_needs_is_trained():
    model = tiny_informer()
    model(past_values=torch.randn(4, CONTEXT, CHANNELS)).prediction_outputs.square().mean().backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_a_saved_one_is_scored_and_serves_by_script_and_library(tmp_path):
    """Through files: its look-back is not its context_length, and its calendar comes from the table's timestamps."""
    series = synthetic_series(400, CHANNELS)
    frame = pd.DataFrame(series.values.numpy(), columns=series.columns).assign(date=series.timestamps)
    frame.to_csv(tmp_path / "mine.csv", index=False)
    source = DataSettings(str(tmp_path / "mine.csv"), context_length=CONTEXT, prediction_length=HORIZON)
    folder = tmp_path / "informer"
    settings = {"teacher": "informer", "teacher_config": SMALL, "max_steps": 3, "disable_tqdm": True}
    trained = train_and_score_teacher(asdict(source) | settings | {"report_to": "none", "output_dir": str(folder)})
    again = evaluate_saved_model(source, EvaluateSettings(model=str(folder)))
    assert again.models["teacher"].mse == pytest.approx(trained["mse"], rel=1e-6)

    forecaster = Forecaster.from_pretrained(folder)
    forecast = forecaster.predict(frame)
    assert forecast["date"].iloc[0] == frame["date"].iloc[-1] + pd.Timedelta(hours=1)
    past = frame.iloc[-CONTEXT:]
    values = forecaster.processor.standardize(torch.tensor(past[list(series.columns)].to_numpy()))
    features = calendar_features(pd.date_range(past["date"].iloc[0], periods=CONTEXT + HORIZON, freq="h"))[None]
    expected = forecaster.model(
        past_values=values[None],
        past_time_features=features[:, :CONTEXT],
        future_time_features=features[:, CONTEXT:],
    ).prediction_outputs[0]
    found = forecast[list(series.columns)].to_numpy()
    assert np.allclose(found, forecaster.processor.unstandardize(expected), atol=1e-4)
