import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from timedistill_hf import TimeMixerConfig, TimeMixerForPrediction
from timedistill_hf.teachers import Teacher, get_family


L, S, C = 21, 5, 3


def tiny(**overrides):
    """A model off its initial state: every parameter is random."""
    settings = {
        "context_length": L,
        "prediction_length": S,
        "num_input_channels": C,
        "d_model": 4,
        "ffn_dim": 5,
        "num_scales": 2,
        "moving_average": 5,
    }
    model = TimeMixerForPrediction(TimeMixerConfig(**(settings | overrides))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def batch(windows=4):
    return 3 * torch.randn(windows, L, C) + 2


def gelu(values):
    return np.vectorize(lambda h: 0.5 * h * (1 + math.erf(h / math.sqrt(2))))(values)


class LoopReference:
    """The forward pass of one channel of one window after sections 3.1 to 3.3 of the paper, in float64."""

    def __init__(self, model):
        self.config = model.config
        self.state = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def linear(self, name, values):
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return np.array([sum(w * v for w, v in zip(row, values, strict=True)) for row in weight]) + bias

    def resample(self, name, hidden):
        """`[T, d]` to `[T', d]`, each feature on its own."""
        columns = [self.linear(f"{name}.2", gelu(self.linear(f"{name}.0", column))) for column in hidden.T]
        return np.stack(columns, axis=1)

    def decompose(self, hidden):
        margin, steps = self.config.moving_average // 2, len(hidden)
        trend = np.empty_like(hidden)
        for t in range(steps):
            trend[t] = np.mean([hidden[min(max(t + k, 0), steps - 1)] for k in range(-margin, margin + 1)], axis=0)
        return hidden - trend, trend

    def block(self, name, scales):
        seasonals, trends = map(list, zip(*(self.decompose(hidden) for hidden in scales)))
        for m in range(1, len(scales)):
            seasonals[m] = seasonals[m] + self.resample(f"{name}.upwards.{m - 1}", seasonals[m - 1])
        for m in range(len(scales) - 2, -1, -1):
            trends[m] = trends[m] + self.resample(f"{name}.downwards.{m}", trends[m + 1])
        mixed = []
        for hidden, seasonal, trend in zip(scales, seasonals, trends):
            steps = [self.linear(f"{name}.fc2", gelu(self.linear(f"{name}.fc1", step))) for step in seasonal + trend]
            mixed.append(hidden + np.stack(steps))
        return mixed

    def __call__(self, series, channel):
        config, scales, spreads = self.config, [], []
        for m in range(config.num_scales + 1):
            if m:
                width = config.pooling_window
                series = np.array([series[i * width : (i + 1) * width].mean() for i in range(len(series) // width)])
            mean, spread = series.mean(), math.sqrt(series.var() + 1e-5)
            spreads.append((mean, spread))
            part = series if config.scaling is None else (series - mean) / spread
            if config.is_channel_bound:
                part = part * self.state[f"affine.{m}.weight"][channel] + self.state[f"affine.{m}.bias"][channel]
            hidden = np.empty((len(part), config.d_model))
            for t, d in np.ndindex(*hidden.shape):
                neighbours = [part[(t + k) % len(part)] for k in (-1, 0, 1)]
                hidden[t, d] = self.state["embedding.weight"][d, 0] @ neighbours
            scales.append(hidden)
        for number in range(config.num_hidden_layers):
            scales = self.block(f"blocks.{number}", scales)
        total = np.zeros(config.prediction_length)
        for m, hidden in enumerate(scales):
            forecast = np.stack([self.linear(f"predictors.{m}", column) for column in hidden.T], axis=1)
            total += [self.linear("projection", step)[0] for step in forecast]
        forecast = total
        if config.is_channel_bound:
            forecast = (total - self.state["affine.0.bias"][channel]) / self.state["affine.0.weight"][channel]
        mean, spread = spreads[0] if config.scaling else (0, 1)
        return forecast * spread + mean, total


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"num_scales": 0, "num_hidden_layers": 1},
        {"pooling_window": 3, "revin_affine": False, "num_hidden_layers": 1},
        {"scaling": None, "moving_average": 25, "num_scales": 4, "num_hidden_layers": 1},
    ],
)
def test_agrees_with_plain_loops(overrides):
    model, x = tiny(**overrides), batch(2)
    output = model(past_values=x)
    reference = LoopReference(model)
    for row, channel in np.ndindex(2, C):
        forecast, feature = reference(x[row, :, channel].double().numpy(), channel)
        ours = output.prediction_outputs[row, :, channel].detach().numpy()
        assert np.abs(ours - forecast).max() < 1e-4 * np.abs(forecast).max()
        assert np.abs(output.feature[row, channel].detach().numpy() - feature).max() < 1e-4


def test_the_published_size_on_etth1():
    """The Time-Series-Library's TimeMixer has 75,497 at 96 -> 96, ours and what forecasting does not need there.

    That is a linear embedding of 4 calendar features and a layer normalisation per block that is never called. Its
    script for ETTh1: d_model 16, d_ff 32, 2 layers, 3 halvings.
    """
    count = TimeMixerForPrediction(TimeMixerConfig(num_input_channels=7)).num_parameters()
    steps = [96, 48, 24, 12]
    mixing = sum(
        (fine * coarse + coarse) + (coarse * coarse + coarse) + (coarse * fine + fine) + (fine * fine + fine)
        for fine, coarse in pairwise(steps)
    )
    block = mixing + (16 * 32 + 32) + (32 * 16 + 16)
    by_hand = 4 * 2 * 7 + 3 * 16 + 2 * block + sum(96 * length + 96 for length in steps) + (16 + 1)
    assert count == by_hand
    assert count + 4 * 16 + 2 * 2 * 16 == 75_497


def test_initial_weights_are_the_published_ones():
    """The embedding by He's rule, linear layers as torch does."""
    model = TimeMixerForPrediction(TimeMixerConfig(num_input_channels=7, d_model=256))
    assert model.embedding.weight.std().item() == pytest.approx(math.sqrt(2 / 3), rel=0.1)
    for ours, torchs in ((model.blocks[0].upwards[0][0], nn.Linear(96, 48)), (model.predictors[0], nn.Linear(96, 96))):
        assert ours.weight.std().item() == pytest.approx(torchs.weight.std().item(), rel=0.1)
        assert ours.weight.abs().max().item() <= 1 / math.sqrt(ours.in_features)
    assert model.predictors[0].bias.abs().max() > 0
    assert model.affine[2].weight.eq(1).all()
    assert model.affine[2].bias.eq(0).all()


def test_each_channel_is_a_series_of_its_own():
    model = tiny(revin_affine=False, num_input_channels=None)
    x = batch()
    order = torch.tensor([2, 0, 1])
    forecast = model(past_values=x).prediction_outputs
    assert torch.allclose(model(past_values=x[:, :, order]).prediction_outputs, forecast[:, :, order], atol=1e-5)
    assert torch.allclose(model(past_values=x[:, :, :1]).prediction_outputs, forecast[:, :, :1], atol=1e-5)
    family = get_family("time_mixer")
    assert family.channels(model.config) is None
    assert family.channels(tiny().config) == C


def test_the_feature_is_the_forecast_before_it_is_scaled_back():
    model, x = tiny(revin_affine=False), batch(2)
    signal = Teacher(model, get_family("time_mixer"))(past_values=x)
    assert signal.feature.shape == (2, C, S)
    output = model(past_values=x)
    expected = (output.prediction_outputs - output.loc) / output.scale
    assert torch.allclose(signal.feature, expected.transpose(1, 2), atol=1e-5)


@pytest.mark.parametrize(("look_back", "scales"), [(720, 3), (16, 3), (8, 2), (3, 0)])
def test_a_short_look_back_has_fewer_scales(look_back, scales):
    assert get_family("time_mixer").config(look_back, 4, 2).num_scales == scales


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"ffn_dim": 0}, "ffn_dim=0: expected a positive number"),
        ({"context_length": 7}, "context_length=7 is too short for num_scales=3: expected at least 8"),
        ({"moving_average": 24}, "moving_average=24: expected a positive odd number"),
        ({"pooling_window": 1}, "pooling_window=1: expected 2 or more"),
        ({"num_input_channels": None}, "num_input_channels=None: revin_affine needs a positive number"),
        ({"dropout": 1.0}, "dropout=1.0: expected a number from 0 to 0.99"),
    ],
)
def test_bad_configurations_are_named(overrides, message):
    with pytest.raises(Exception, match=message):
        TimeMixerConfig(**({"num_input_channels": 3} | overrides))
