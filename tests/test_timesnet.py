import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from timedistill_hf import TimesNetConfig, TimesNetForPrediction
from timedistill_hf.models.modeling_timesnet import TimesNetInception, sinusoids, strongest_periods
from timedistill_hf.teachers import Teacher, get_family


L, S, C = 19, 6, 3


def tiny(**overrides):
    """A model off its initial state: every parameter is random."""
    settings = {
        "context_length": L,
        "prediction_length": S,
        "num_input_channels": C,
        "d_model": 4,
        "ffn_dim": 3,
        "num_periods": 3,
        "num_kernels": 3,
    }
    model = TimesNetForPrediction(TimesNetConfig(**(settings | overrides))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def batch(windows=4):
    return 3 * torch.randn(windows, L, C) + 2


class LoopReference:
    """The forward pass of one window in plain loops over equations 1 to 6 of the paper, in float64."""

    def __init__(self, model):
        self.config = model.config
        self.state = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def periods(self, hidden):
        steps = len(hidden)
        amplitudes = []
        for frequency in range(1, steps // 2 + 1):
            waves = np.exp(-2j * np.pi * frequency * np.arange(steps) / steps)
            amplitudes.append(np.mean([abs(np.sum(hidden[:, d] * waves)) for d in range(hidden.shape[1])]))
        order = sorted(range(len(amplitudes)), key=lambda index: -amplitudes[index])[: self.config.num_periods]
        return [(math.ceil(steps / (index + 1)), amplitudes[index]) for index in order]

    def inception(self, name, image):
        """`[in, H, W]` to `[out, H, W]`: the mean over kernels of correlations with zeros beyond the edges."""
        channels, height, width = image.shape
        total = 0
        for number in range(self.config.num_kernels):
            weight, bias = (self.state[f"{name}.convolutions.{number}.{part}"] for part in ("weight", "bias"))
            result = np.empty((len(weight), height, width))
            for o, h, w in np.ndindex(*result.shape):
                result[o, h, w] = bias[o] + sum(
                    weight[o, i, dh + number, dw + number] * image[i, h + dh, w + dw]
                    for i in range(channels)
                    for dh in range(-number, number + 1)
                    for dw in range(-number, number + 1)
                    if 0 <= h + dh < height and 0 <= w + dw < width
                )
            total = total + result / self.config.num_kernels
        return total

    def block(self, name, hidden):
        steps, width = hidden.shape
        found = self.periods(hidden)
        strongest = max(amplitude for _, amplitude in found)
        shares = [math.exp(amplitude - strongest) for _, amplitude in found]
        mixed = hidden.copy()
        for (period, _), share in zip(found, shares, strict=True):
            cycles = math.ceil(steps / period)
            image = np.zeros((width, cycles, period))
            for t, d in np.ndindex(steps, width):
                image[d, t // period, t % period] = hidden[t, d]
            inner = self.inception(f"{name}.inception1", image)
            inner = np.vectorize(lambda h: 0.5 * h * (1 + math.erf(h / math.sqrt(2))))(inner)
            image = self.inception(f"{name}.inception2", inner)
            for t, d in np.ndindex(steps, width):
                mixed[t, d] += share / sum(shares) * image[d, t // period, t % period]
        return mixed

    def __call__(self, window):
        config, state = self.config, self.state
        mean, scale = window.mean(axis=0), np.sqrt(window.var(axis=0) + 1e-5)
        series = (window - mean) / scale
        past = np.empty((config.context_length, config.d_model))
        for t, d in np.ndindex(*past.shape):
            neighbours = [series[(t + k) % len(series)] for k in (-1, 0, 1)]
            past[t, d] = sum(state["embedding.weight"][d, :, k] @ neighbours[k] for k in range(3))
            angle = t / 10000 ** (2 * (d // 2) / config.d_model)
            past[t, d] += math.cos(angle) if d % 2 else math.sin(angle)
        hidden = state["stretch.weight"] @ past + state["stretch.bias"][:, None]
        for number in range(config.num_hidden_layers):
            hidden = self.block(f"blocks.{number}", hidden)
            centred = hidden - hidden.mean(axis=1, keepdims=True)
            hidden = centred / np.sqrt(hidden.var(axis=1, keepdims=True) + 1e-5)
            hidden = hidden * state["norm.weight"] + state["norm.bias"]
        series = hidden @ state["projection.weight"].T + state["projection.bias"]
        return series[-config.prediction_length :] * scale + mean, hidden, series


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"num_periods": 12, "num_hidden_layers": 1, "num_kernels": 2},  # all: several frequencies share a period
        {"num_input_channels": 1, "num_kernels": 6, "num_periods": 1, "num_hidden_layers": 1, "d_model": 3},
    ],
)
def test_agrees_with_plain_loops(overrides):
    model = tiny(**overrides)
    x = batch(2)[:, :, : model.config.num_input_channels]
    output = model(past_values=x)
    reference = LoopReference(model)
    for row in range(len(x)):
        forecast, hidden, series = reference(x[row].double().numpy())
        assert np.abs(output.prediction_outputs[row].detach().numpy() - forecast).max() < 1e-4 * np.abs(forecast).max()
        assert np.abs(output.last_hidden_state[row].detach().numpy() - hidden).max() < 1e-4
        feature = series[-model.config.d_model :].T
        assert np.abs(output.feature[row].detach().numpy() - feature).max() < 1e-4


def test_periods_are_those_that_the_series_has():
    t = torch.arange(96).float()
    daily, weekly = torch.sin(2 * torch.pi * t / 24), torch.sin(2 * torch.pi * t / 12)
    windows = torch.stack([3 * daily + weekly, daily + 3 * weekly]).unsqueeze(-1) + 7
    periods, amplitudes = strongest_periods(windows, 2)
    assert periods.tolist() == [[24, 12], [12, 24]]
    assert torch.allclose(amplitudes, torch.tensor([[144.0, 48.0], [144.0, 48.0]]), atol=1e-3)
    assert strongest_periods(torch.sin(2 * torch.pi * 5 * t / 96).view(1, -1, 1), 1)[0].item() == 20  # ceil(96 / 5)


@pytest.mark.parametrize("shape", [(9, 11), (1, 12), (2, 3), (7, 1)])
def test_one_convolution_stands_for_all(shape):
    inception = TimesNetInception(2, 5, 6)
    image = torch.randn(3, 2, *shape)
    expected = sum(conv(image) for conv in inception.convolutions) / 6
    assert torch.allclose(inception(image), expected, atol=1e-5)
    gradients = torch.autograd.grad(inception(image).square().sum(), list(inception.parameters()))
    wanted = torch.autograd.grad(
        (sum(conv(image) for conv in inception.convolutions) / 6).square().sum(), list(inception.parameters())
    )
    for ours, theirs in zip(gradients, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_the_published_size_on_etth1():
    """The Time-Series-Library's TimesNet has 605,479 at 96 -> 96: ours and a linear embedding of 4 calendar features.

    Its script for ETTh1: d_model 16, d_ff 32, 2 layers, 5 periods, 6 kernels.
    """
    config = TimesNetConfig(num_input_channels=7)
    kernels = sum((2 * reach + 1) ** 2 for reach in range(6))
    block = (kernels * 16 * 32 + 6 * 32) + (kernels * 32 * 16 + 6 * 16)
    by_hand = 3 * 7 * 16 + (96 * 192 + 192) + 2 * block + 2 * 16 + (16 * 7 + 7)
    count = TimesNetForPrediction(config).num_parameters()
    assert count == by_hand
    assert count + 4 * 16 == 605_479


def test_initial_weights_are_the_published_ones():
    """Convolutions by He's rule over what goes out (2D) or comes in (the embedding), linear layers as torch does."""
    model = TimesNetForPrediction(TimesNetConfig(num_input_channels=7))
    for convolution in (*model.blocks[0].inception1.convolutions, *model.blocks[1].inception2.convolutions):
        out, _, height, width = convolution.weight.shape
        assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (out * height * width)), rel=0.15)
        assert convolution.bias.eq(0).all()
    assert model.embedding.weight.std().item() == pytest.approx(math.sqrt(2 / (7 * 3)), rel=0.15)
    assert model.stretch.weight.std().item() == pytest.approx(nn.Linear(96, 192).weight.std().item(), rel=0.05)
    assert model.stretch.bias.abs().max() > 0
    assert model.norm.weight.eq(1).all()


def test_position_embedding():
    table = sinusoids(5, 3, torch.device("cpu"))
    assert table[3].tolist() == pytest.approx([math.sin(3), math.cos(3), math.sin(3 / 10000 ** (2 / 3))], abs=1e-6)


def test_the_feature_is_the_end_of_each_channels_series():
    model, x = tiny(), batch(2)
    signal = Teacher(model, get_family("timesnet"))(past_values=x)
    output = model(past_values=x)
    expected = F.linear(output.last_hidden_state, model.projection.weight, model.projection.bias)[:, -4:]
    assert torch.allclose(signal.feature, expected.transpose(1, 2), atol=1e-6)
    assert get_family("timesnet").channels(model.config) == C


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"d_model": 0}, "d_model=0: expected a positive number"),
        (
            {"num_periods": 97},
            "num_periods=97: expected at most 96, half of context_length=96 and prediction_length=96",
        ),
        ({"dropout": 1.0}, "dropout=1.0: expected a number from 0 to 0.99"),
    ],
)
def test_bad_configurations_are_named(overrides, message):
    with pytest.raises(Exception, match=message):
        TimesNetConfig(**overrides)
