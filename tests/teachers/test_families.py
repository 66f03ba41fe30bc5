"""Each family of transformers against transformers' own class."""

import pytest
import torch
import transformers
from transformers import AutoformerForPrediction, TimeSeriesTransformerForPrediction

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_patchtst, tiny_teacher
from tests.scripts_helper import generated_csv
from timedistill_hf._utils.errors import InputError
from timedistill_hf.forecasting.evaluate import evaluate_saved_model
from timedistill_hf.settings.run import DataSettings, EvaluateSettings
from timedistill_hf.student.normalization_timedistill import fill_missing
from timedistill_hf.teachers import Teacher, get_family, load_teacher, trainable_families
from timedistill_hf.training.teacher_training import train_teacher


def with_empty_features(x):
    return {
        "past_values": x,
        "past_observed_mask": torch.ones_like(x),
        "past_time_features": torch.zeros(len(x), x.shape[1], 0),
        "future_time_features": torch.zeros(len(x), HORIZON, 0),
    }


def stock(model, kind):
    own = kind(model.config)
    own.load_state_dict(model.state_dict())
    return own.eval()


def mean_of(own, **inputs):
    output = own(**inputs)
    return own.output_distribution(output.params, loc=output.loc, scale=output.scale).mean


@pytest.mark.parametrize("distribution", ["normal", "student_t"])
def test_a_direct_time_series_transformer_forecasts_its_mean_whatever_the_future(distribution):
    family = get_family("time_series_transformer")
    model = family.model_class(family.config(CONTEXT, HORIZON, 3, d_model=8, distribution_output=distribution)).eval()
    assert min(model.config.lags_sequence) >= HORIZON
    x = 3 * torch.randn(4, CONTEXT, 3) + 5
    own = stock(model, TimeSeriesTransformerForPrediction)
    for future in (torch.zeros(4, HORIZON, 3), 100 * torch.randn(4, HORIZON, 3)):
        expected = mean_of(own, **with_empty_features(x), future_values=future)
        assert torch.allclose(model(past_values=x).prediction_outputs, expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_time_series_transformer_that_rolls_out_feeds_its_own_means_back(channels):
    """Teacher-forced on its own forecast, transformers' model gives that forecast again: it is the fixed point."""
    family = get_family("time_series_transformer")
    model = family.model_class(family.config(24, HORIZON, channels, d_model=8)).eval()
    assert "mean roll-out, 16 decoder passes" in family.remark(model.config)
    x = 2 * torch.randn(3, 24, channels) - 1
    forecast = model(past_values=x).prediction_outputs
    squeezed = (lambda values: values.squeeze(-1)) if channels == 1 else (lambda values: values)
    inputs = with_empty_features(x)
    inputs |= {name: squeezed(inputs[name]) for name in ("past_values", "past_observed_mask")}
    own = stock(model, TimeSeriesTransformerForPrediction)
    assert torch.allclose(squeezed(forecast), mean_of(own, **inputs, future_values=squeezed(forecast)), atol=1e-4)
    told = model(past_values=x, future_values=torch.randn_like(forecast)).prediction_outputs
    assert torch.equal(told, forecast)


@pytest.mark.parametrize("lags", [[0], [1, 2, 3]])
@pytest.mark.parametrize("features", [0, 5])
def test_autoformer_forecasts_its_mean_in_one_pass(lags, features):
    family = get_family("autoformer")
    config = family.config(CONTEXT, HORIZON, 3, d_model=8, lags_sequence=lags, num_time_features=features)
    assert (family.look_back(config), config.context_length) == (CONTEXT, CONTEXT - max(lags))
    model = family.model_class(config).eval()
    x = 3 * torch.randn(4, CONTEXT, 3) + 5
    calendar = {
        "past_time_features": torch.randn(4, CONTEXT, features),
        "future_time_features": torch.randn(4, HORIZON, features),
    }
    own = stock(model, AutoformerForPrediction)
    forecast = model(past_values=x, **calendar).prediction_outputs
    for future in (torch.zeros(4, HORIZON, 3), 100 * torch.randn(4, HORIZON, 3)):
        expected = mean_of(own, **(with_empty_features(x) | calendar), future_values=future)
        assert torch.allclose(forecast, expected, atol=1e-4)
    signal = Teacher(model, family)(past_values=x, **calendar)
    projection = model.parameter_projection.proj[0]
    hidden = model(past_values=x, **calendar).last_hidden_state
    assert torch.allclose(signal.feature.sum(dim=-1), projection(hidden).mean(dim=1) - projection.bias, atol=1e-4)


def test_an_autoformer_with_a_calendar_is_not_cut():
    """Its decoder looks at all of the horizon at once: what the calendar of the steps after the cut says counts."""
    family = get_family("autoformer")
    teacher = Teacher(family.model_class(family.config(CONTEXT, HORIZON, 3, d_model=8, num_time_features=5)), family)
    with pytest.raises(InputError, match=r"needs the calendar of all 16 steps .* have that of 6: pass .pred"):
        teacher.cut(6).check_fits(CONTEXT, 6, 3)
    tiny_teacher("autoformer").cut(6).check_fits(CONTEXT, 6, CHANNELS)


@pytest.mark.parametrize("name", ["time_series_transformer", "autoformer"])
def test_lagged_families_are_trained_with_the_calendar(name, data, tmp_path):
    teacher = train_teacher(
        name, data, tmp_path / "t", config={"d_model": 8}, max_steps=2, disable_tqdm=True, report_to="none"
    )
    assert teacher.num_time_features == 5
    with pytest.raises(InputError, match=f"the teacher .{name}. needs 5 calendar features, the data offer 0"):
        teacher.check_time_features(0)
    model = teacher.family.model_class(teacher.config)
    calendar = {"past_time_features": torch.randn(2, CONTEXT, 5), "future_time_features": torch.randn(2, HORIZON, 5)}
    model(past_values=torch.randn(2, CONTEXT, CHANNELS), **calendar).prediction_outputs.square().mean().backward()
    assert [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("mode", ["common_channel", "mix_channel"])
def test_patchtsmixer_is_transformers_own(mode):
    family = get_family("patchtsmixer")
    model = family.model_class(family.config(CONTEXT, HORIZON, 3, d_model=8, mode=mode)).eval()
    own = stock(model, transformers.PatchTSMixerForPrediction)
    x, mask = 3 * torch.randn(4, CONTEXT, 3) + 5, torch.rand(4, CONTEXT, 3) > 0.3
    teacher = Teacher(model, family)
    assert family.channels(model.config) == (None if mode == "common_channel" else 3)
    torch.testing.assert_close(teacher(x).prediction_outputs, own(x).prediction_outputs)
    torch.testing.assert_close(teacher(x).feature, own(x).last_hidden_state.flatten(2))
    expected = own(fill_missing(x, mask), observed_mask=mask).prediction_outputs
    assert torch.allclose(teacher(x, mask).prediction_outputs, expected, atol=1e-6)
    assert torch.allclose(model(x, past_observed_mask=mask).prediction_outputs, expected, atol=1e-6)


def test_a_saved_patchtsmixer_is_read_by_transformers(tmp_path):
    teacher = tiny_teacher("patchtsmixer")
    teacher.model.save_pretrained(tmp_path)
    own = transformers.PatchTSMixerForPrediction.from_pretrained(tmp_path)
    assert own.config.architectures == ["PatchTSMixerForPrediction"]
    x = torch.randn(2, CONTEXT, CHANNELS)
    torch.testing.assert_close(own(x).prediction_outputs, teacher(x).prediction_outputs)


@pytest.mark.parametrize("distribution", ["normal", "student_t"])
@pytest.mark.parametrize("name", ["patchtst", "patchtsmixer"])
def test_a_distribution_head_forecasts_its_mean(name, distribution):
    family = get_family(name)
    heads = {"loss": "nll", "distribution_output": distribution}
    if name == "patchtst":
        model = tiny_patchtst(**heads, pooling_type="mean").eval()
    else:
        config = family.config(CONTEXT, HORIZON, CHANNELS, d_model=8)
        model = family.model_class(type(config).from_dict(config.to_dict() | heads)).eval()
    x = torch.randn(2, CONTEXT, CHANNELS) * 3 + 1
    output = model(x)
    expected = model.distribution_output.distribution(output.prediction_outputs, loc=output.loc, scale=output.scale)
    signal = Teacher(model, family)(x)
    assert torch.allclose(signal.prediction_outputs, expected.mean, atol=1e-5)
    assert signal.prediction_outputs.shape == (2, HORIZON, CHANNELS)
    assert not torch.allclose(signal.prediction_outputs, expected.sample(), atol=1e-2)


@pytest.mark.parametrize("name", ["timesfm", "timesfm2_5"])
def test_timesfm_is_transformers_own_series_by_series(name):
    teacher = tiny_teacher(name).cut(128)
    x = torch.randn(2, 64, CHANNELS).cumsum(dim=1) + 9  # above 0: the default of 2.5 would cut off below it
    signal = teacher(x)
    for window in range(2):
        for channel in range(CHANNELS):
            series = [x[window, :, channel]]
            output = teacher.model(series, forecast_context_len=64, truncate_negative=False)
            expected = output.mean_predictions[0]
            assert torch.allclose(signal.prediction_outputs[window, :, channel], expected, atol=1e-3)
            assert torch.allclose(signal.feature[window, channel], output.last_hidden_state[0, -1], atol=1e-4)


def test_timesfm_may_forecast_below_zero():
    """Whatever else is in the batch: transformers' 2.5 cuts off at 0 by the least value of all series of a batch."""
    teacher = tiny_teacher("timesfm2_5").cut(128)
    x = (torch.rand(8, 64, CHANNELS) > 0.9).float()
    assert (teacher(x).prediction_outputs < 0).any()


@pytest.mark.parametrize("name", ["timesfm", "timesfm2_5"])
def test_timesfm_rolls_out_on_its_own_forecasts(name):
    family = get_family(name)
    teacher = Teacher(family.model_class(family.config(512, 300, 1)), family, 300)
    x = torch.randn(2, 96, CHANNELS)
    forecast = teacher(x).prediction_outputs
    assert forecast.shape == (2, 300, CHANNELS)
    first = teacher.cut(128)(x).prediction_outputs
    second = teacher.cut(128)(torch.cat([x, first], dim=1)).prediction_outputs
    assert torch.allclose(forecast[:, :128], first, atol=1e-4)
    assert torch.allclose(forecast[:, 128:256], second, atol=1e-4)
    torch.testing.assert_close(teacher.cut(300)(x).feature, teacher.cut(128)(x).feature)


@pytest.mark.parametrize("length", [7, 40, 300])
@pytest.mark.parametrize("name", ["timesfm", "timesfm2_5"])
def test_timesfm_reads_any_look_back(name, length):
    teacher = tiny_teacher(name)  # its own context is 64 steps
    teacher.check_fits(length, HORIZON, 11)
    x = torch.randn(2, length, 2)
    signal = teacher(x)
    assert torch.isfinite(signal.prediction_outputs).all()
    if length > 64:
        torch.testing.assert_close(signal.prediction_outputs, teacher(x[:, -64:]).prediction_outputs)


def test_timesfm_is_not_trained_here(data, tmp_path):
    assert trainable_families() == sorted(set(trainable_families()) - {"timesfm", "timesfm2_5"})
    with pytest.raises(InputError, match=r"timesfm is not trained here .* such as google/timesfm-2.0-500m-pytorch"):
        train_teacher("timesfm", data, tmp_path / "t")
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("with_processor", [False, True])
def test_a_saved_timesfm_is_scored_on_any_lengths(with_processor, data, tmp_path):
    tiny_teacher("timesfm").model.save_pretrained(tmp_path)
    if with_processor:
        data.processor.save_pretrained(tmp_path)
    source = DataSettings(
        str(generated_csv(tmp_path, 400)), context_length=CONTEXT, prediction_length=HORIZON, split="240,80,80"
    )
    results = evaluate_saved_model(source, EvaluateSettings(model=str(tmp_path)))
    assert results.models["teacher"].mse > 0
    assert load_teacher(str(tmp_path)).prediction_length == 128
