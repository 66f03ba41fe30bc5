"""The forms beside the paper's: periodic, cycle, residual; each against plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.student.backbones_timedistill import BACKBONES

from .models import FORM, LENGTHS, tiny


def backbone_of(architecture: str, **settings) -> torch.nn.Module:
    """The random backbone alone, in float64."""
    return tiny(architecture, **settings).double().backbone


def weights_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def plain_periodic(weights: dict, x: np.ndarray, period: int, horizon: int) -> np.ndarray:
    """One centred window `[L]` to its forecast `[S]`, step by step."""
    length, margin, kernel = len(x), period // 2, weights["smoothing.weight"][0, 0]
    smoothed = np.zeros(length)
    for t in range(length):
        smoothed[t] = x[t]
        for k in range(-margin, margin + 1):
            if 0 <= t + k < length:
                smoothed[t] += kernel[k + margin] * x[t + k]
    past = length // period
    forecast = np.zeros(horizon)
    for s in range(horizon):
        for i in range(past):
            step = length - past * period + i * period + s % period
            forecast[s] += weights["periods.weight"][s // period, i] * smoothed[step]
    return forecast


def plain_cycle(weights: dict, x: np.ndarray, period: int, horizon: int) -> np.ndarray:
    length, past = len(x), len(x) // period
    share = np.exp(weights["logits"]) / np.exp(weights["logits"]).sum()
    cycle = np.zeros(period)
    for phase in range(period):
        for i in range(past):
            cycle[phase] += share[i] * x[length - past * period + i * period + phase]
    remainder = np.array([x[t] - cycle[(t - length) % period] for t in range(length)])
    forecast = weights["projection.weight"] @ remainder + weights["projection.bias"]
    return forecast + np.array([cycle[s % period] for s in range(horizon)])


PLAIN = {"periodic": plain_periodic, "cycle": plain_cycle}


@pytest.mark.parametrize("architecture", sorted(PLAIN))
@settings(max_examples=40, deadline=None)
@given(data=st.data(), length=st.integers(1, 40), horizon=st.integers(1, 30), seed=st.integers(0, 999))
def test_forms_agree_with_plain_loops(architecture, data, length, horizon, seed):
    period = data.draw(st.integers(1, length))
    torch.manual_seed(seed)
    backbone = backbone_of(architecture, context_length=length, prediction_length=horizon, period=period)
    x = torch.randn(2, 3, length, dtype=torch.float64)
    forecast, feature = backbone(x)
    assert feature is None
    assert forecast.shape == (2, 3, horizon)
    for b in range(2):
        for c in range(3):
            expected = PLAIN[architecture](weights_of(backbone), x[b, c].numpy(), period, horizon)
            np.testing.assert_allclose(forecast[b, c].detach().numpy(), expected, atol=1e-10)


def phase_means(x: np.ndarray, period: int, horizon: int) -> np.ndarray:
    """The mean of the last whole periods at each phase, continued; time is the first axis."""
    recent = x[len(x) % period :]
    return np.stack([recent[s % period :: period].mean(axis=0) for s in range(horizon)])


@pytest.mark.parametrize("period", [1, 7, 8, 29])
def test_untrained_students_forecast_what_they_say(period):
    x = torch.randn(29, 4) * 2 + 5
    forecasts = {}
    for architecture in ("periodic", "cycle", "residual"):
        model = TimeDistillForPrediction(
            TimeDistillConfig(**LENGTHS | FORM | {"architecture": architecture, "period": period})
        ).eval()
        if architecture == "periodic":
            bound = 0.02
            kernel = model.backbone.smoothing.weight
            assert 0 < kernel.abs().max() <= bound
            kernel.data.zero_()
        forecasts[architecture] = model(past_values=x[None]).prediction_outputs[0].detach().numpy()
    np.testing.assert_allclose(forecasts["periodic"], phase_means(x.numpy(), period, 10), atol=1e-5)
    np.testing.assert_allclose(forecasts["cycle"], phase_means(x.numpy(), period, 10), atol=1e-5)
    np.testing.assert_allclose(forecasts["residual"], np.tile(x.numpy().mean(axis=0), (10, 1)), atol=1e-5)


@pytest.mark.parametrize("architecture", ["periodic", "cycle"])
def test_an_exact_cycle_is_continued(architecture):
    config = TimeDistillConfig(**LENGTHS | FORM | {"architecture": architecture})
    model = TimeDistillForPrediction(config).eval()
    if architecture == "periodic":
        model.backbone.smoothing.weight.data.zero_()
    series = torch.randn(7).repeat(6)
    forecast = model(past_values=series[None, :29, None]).prediction_outputs
    torch.testing.assert_close(forecast[0, :, 0], series[29:39], atol=1e-5, rtol=0)


@pytest.mark.parametrize("hidden_norm", ["layernorm", "none", "batchnorm"])
def test_residual_agrees_with_numpy(hidden_norm):
    backbone = backbone_of("residual", hidden_norm=hidden_norm, num_input_channels=3)
    weights = weights_of(backbone)
    x = torch.randn(2, 3, 29, dtype=torch.float64)
    forecast, feature = backbone(x)
    hidden = x.numpy() @ weights["core.encoder.weight"].T + weights["core.encoder.bias"]
    np.testing.assert_allclose(feature.detach().numpy(), hidden, atol=1e-12)
    if hidden_norm == "layernorm":
        mean, variance = hidden.mean(axis=-1, keepdims=True), hidden.var(axis=-1, keepdims=True)
        scale, shift = weights["core.norm.weight"], weights["core.norm.bias"]
    elif hidden_norm == "batchnorm":
        names = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, shift = (weights[f"core.norm.{name}"][:, None] for name in names)
    if hidden_norm != "none":
        hidden = (hidden - mean) / np.sqrt(variance + 1e-5) * scale + shift
    expected = np.maximum(hidden, 0) @ weights["core.decoder.weight"].T + weights["core.decoder.bias"]
    expected = expected + x.numpy() @ weights["projection.weight"].T + weights["projection.bias"]
    np.testing.assert_allclose(forecast.detach().numpy(), expected, atol=1e-10)


def test_residual_learns_from_its_zeros():
    """Zero output layers must not stop the gradient: the decoder moves first, then the encoder."""
    model = TimeDistillForPrediction(TimeDistillConfig(**LENGTHS | FORM | {"architecture": "residual"}))
    x, y = torch.randn(8, 29, 2), torch.randn(8, 10, 2)
    start = model.backbone.core.encoder.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(past_values=x, future_values=y).loss.backward()
        optimizer.step()
    assert model.backbone.projection.weight.abs().max() > 0
    assert model.backbone.core.decoder.weight.abs().max() > 0
    assert not torch.equal(model.backbone.core.encoder.weight, start)


@pytest.mark.parametrize("architecture", ["mlp", "two_branch", "residual"])
def test_dropout_acts_on_the_hidden_layer_in_training_only(architecture):
    x = torch.randn(2, 29, 3)
    model = tiny(architecture, dropout=0.5, hidden_size=64)
    plain = tiny(architecture, hidden_size=64)
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(past_values=x).prediction_outputs, plain(past_values=x).prediction_outputs)
    trained = model.train()(past_values=x)
    assert not torch.allclose(trained.prediction_outputs, plain(past_values=x).prediction_outputs, atol=1e-3)
    torch.testing.assert_close(trained.feature, plain(past_values=x).feature)


def test_dropout_keeps_the_expected_forecast():
    model = tiny("mlp", dropout=0.3, hidden_size=16)
    x = torch.randn(1, 29, 1)
    expected = model(past_values=x).prediction_outputs
    mean = model.train()(past_values=x.expand(20_000, -1, -1)).prediction_outputs.mean(dim=0, keepdim=True)
    torch.testing.assert_close(mean, expected, atol=0.05, rtol=0)


@pytest.mark.parametrize("architecture", sorted(BACKBONES))
@pytest.mark.parametrize("normalization", ["none", "mean", "revin", "last"])
def test_channel_free_forms_run_on_any_number_of_channels(architecture, normalization):
    model = tiny(architecture, normalization=normalization)
    assert not model.config.is_channel_bound
    x = torch.randn(2, 29, 5)
    together = model(past_values=x).prediction_outputs
    for channel in range(5):
        alone = model(past_values=x[:, :, channel : channel + 1]).prediction_outputs
        torch.testing.assert_close(together[:, :, channel : channel + 1], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [
        ("periodic", 25 + 30 * 4),
        ("cycle", 69_216 + 30),
        ("residual", 69_216 + (720 * 512 + 512) + 2 * 512 + (512 * 96 + 96)),
    ],
)
def test_sizes(architecture, parameters):
    config = TimeDistillConfig(architecture=architecture, hidden_norm="layernorm", num_input_channels=None)
    assert TimeDistillForPrediction(config).num_parameters() == parameters
    assert config.feature_size == (512 if architecture == "residual" else None)


@pytest.mark.parametrize("architecture", ["periodic", "cycle", "residual"])
def test_save_and_load_is_bit_identical(tmp_path, architecture):
    model = tiny(architecture, dropout=0.1)
    model.save_pretrained(tmp_path)
    loaded = TimeDistillForPrediction.from_pretrained(tmp_path)
    x = torch.randn(2, 29, 3)
    assert torch.equal(loaded(past_values=x).prediction_outputs, model(past_values=x).prediction_outputs)
    assert loaded.config.architecture == architecture
    assert (loaded.config.period, loaded.config.dropout) == (7, 0.1)


@pytest.mark.parametrize("architecture", ["periodic", "cycle", "residual"])
def test_bf16_weights_keep_the_input_dtype_outside(architecture):
    model = tiny(architecture)
    x = torch.randn(2, 29, 3) + 100
    expected = model(past_values=x).prediction_outputs
    output = model.to(torch.bfloat16)(past_values=x).prediction_outputs
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, atol=0.2, rtol=0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"architecture": "periodic", "period": 30}, "period=30: expected at most the 29 steps"),
        ({"architecture": "cycle", "period": 30}, "period=30: expected at most the 29 steps"),
        ({"period": 0}, "period=0: expected a positive number"),
        ({"dropout": 1.0}, "dropout=1.0: expected a share"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"dropout": math.nan}, "dropout=nan"),
        ({"frequency_weight": 1.5}, "frequency_weight=1.5: expected a share from 0 to 1"),
        ({"architecture": "residual", "hidden_norm": "batchnorm"}, "need a fixed number of channels"),
    ],
)
def test_bad_configurations_are_refused(setting, message):
    with pytest.raises(Exception, match=message):
        TimeDistillConfig(**LENGTHS | FORM | setting)


def test_a_long_period_is_nothing_to_a_form_without_one():
    assert TimeDistillConfig(**LENGTHS | FORM | {"architecture": "residual", "period": 99}).period == 99
