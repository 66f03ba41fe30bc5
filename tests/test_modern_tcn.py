import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from timedistill_hf import ModernTCNConfig, ModernTCNForPrediction
from timedistill_hf.distillation.recipes import paper
from timedistill_hf.models.modeling_modern_tcn import ModernTCNDropout, depthwise_convolution
from timedistill_hf.teachers import Teacher, get_family


L, S, C = 29, 5, 3


def tiny(**overrides):
    """A model off its initial state: every parameter and every running statistic is random."""
    settings = {
        "context_length": L,
        "prediction_length": S,
        "num_input_channels": C,
        "patch_length": 6,
        "patch_stride": 4,
        "d_model": 4,
        "ffn_ratio": 2,
        "num_blocks": 2,
        "large_kernel_size": 5,
        "small_kernel_size": 3,
    }
    model = ModernTCNForPrediction(ModernTCNConfig(**(settings | overrides))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return model


def batch(windows=4):
    return 3 * torch.randn(windows, L, C) + 2


class LoopReference:
    """The forward pass in evaluation mode, one window and one number at a time, in float64."""

    def __init__(self, model):
        self.config = model.config
        self.state = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def norm(self, name, value, row):
        part = {
            field: self.state[f"{name}.{field}"][row] for field in ("weight", "bias", "running_mean", "running_var")
        }
        return (value - part["running_mean"]) / math.sqrt(part["running_var"] + 1e-5) * part["weight"] + part["bias"]

    def linear(self, name, group, values):
        weight, bias = self.state[f"{name}.weight"][group], self.state[f"{name}.bias"][group]
        return [
            sum(w * v for w, v in zip(row, values, strict=True)) + b[0] for row, b in zip(weight, bias, strict=True)
        ]

    def network(self, name, group, values):
        hidden = [0.5 * h * (1 + math.erf(h / math.sqrt(2))) for h in self.linear(f"{name}.fc1", group, values)]
        return self.linear(f"{name}.fc2", group, hidden)

    def convolve(self, kernel, series, position):
        reach = len(kernel) // 2
        return sum(
            weight * series[position + k - reach]
            for k, weight in enumerate(kernel)
            if 0 <= position + k - reach < len(series)
        )

    def block(self, name, hidden):
        channels, features, patches = hidden.shape
        mixed = np.empty_like(hidden)
        for c, d, n in np.ndindex(*hidden.shape):
            row, total = c * features + d, 0.0
            for branch in ("large", "small"):
                kernel = self.state[f"{name}.convolution.{branch}_kernel"][row]
                total += self.norm(f"{name}.convolution.{branch}_norm", self.convolve(kernel, hidden[c, d], n), row)
            mixed[c, d, n] = self.norm(f"{name}.convolution.norm", total, d)
        for c, n in np.ndindex(channels, patches):
            mixed[c, :, n] = self.network(f"{name}.feature_ffn", c, list(mixed[c, :, n]))
        for d, n in np.ndindex(features, patches):
            mixed[:, d, n] = self.network(f"{name}.channel_ffn", d, list(mixed[:, d, n]))
        return hidden + mixed

    def __call__(self, window):
        config = self.config
        mean, scale = window.mean(axis=0), np.sqrt(window.var(axis=0) + 1e-5)
        series = (window - mean) / scale
        series = np.concatenate([series, np.repeat(series[-1:], config.patch_length - config.patch_stride, axis=0)])
        hidden = np.empty((config.num_input_channels, config.d_model, config.context_length // config.patch_stride))
        for c, n in np.ndindex(hidden.shape[0], hidden.shape[2]):
            start = n * config.patch_stride
            patch = self.linear("stem", 0, list(series[start : start + config.patch_length, c]))
            hidden[c, :, n] = [self.norm("stem_norm", value, d) for d, value in enumerate(patch)]
        for number in range(config.num_blocks):
            hidden = self.block(f"blocks.{number}", hidden)
        forecast = np.empty((config.prediction_length, config.num_input_channels))
        for s, c in np.ndindex(*forecast.shape):
            weight = self.state["head.weight"][s]
            value = sum(w * h for w, h in zip(weight, hidden[c].ravel(), strict=True)) + self.state["head.bias"][s]
            forecast[s, c] = value * scale[c] + mean[c]
        return forecast, hidden


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"num_blocks": 1, "large_kernel_size": 21, "small_kernel_size": 21, "ffn_ratio": 1},
        {
            "patch_length": 7,
            "patch_stride": 7,
            "num_input_channels": 1,
            "large_kernel_size": 1,
            "small_kernel_size": 1,
        },
    ],
)
def test_agrees_with_plain_loops(overrides):
    model = tiny(**overrides)
    x = batch(2)[:, :, : model.config.num_input_channels]
    output = model(past_values=x)
    reference = LoopReference(model)
    for row in range(len(x)):
        forecast, hidden = reference(x[row].double().numpy())
        assert np.abs(output.prediction_outputs[row].detach().numpy() - forecast).max() < 1e-5 * np.abs(forecast).max()
        assert np.abs(output.last_hidden_state[row].detach().numpy() - hidden).max() < 1e-5 * np.abs(hidden).max()


def grouped(layer, groups, hidden):
    """A group-wise linear map as the grouped convolution of width 1 that it stands for: `[B, groups * in, N]`."""
    return F.conv1d(hidden, layer.weight.flatten(0, 1).unsqueeze(-1), layer.bias.flatten(), groups=groups)


def published_layout(model, x):
    """The model without dropout in torch's own layers, windows first, as published; normalisations as they stand."""
    config = model.config
    c, d = config.num_input_channels, config.d_model
    mean, scale = x.mean(dim=1, keepdim=True), torch.sqrt(x.var(dim=1, keepdim=True, unbiased=False) + 1e-5)
    series = ((x - mean) / scale).transpose(1, 2).reshape(len(x) * c, 1, -1)
    series = torch.cat([series, series[..., -1:].repeat(1, 1, config.patch_length - config.patch_stride)], dim=-1)
    stem = F.conv1d(series, model.stem.weight.transpose(0, 1), model.stem.bias.flatten(), stride=config.patch_stride)
    hidden = model.stem_norm(stem).view(len(x), c, d, -1)
    for block in model.blocks:
        conv = block.convolution
        rows, mixed = hidden.reshape(len(x), c * d, -1), 0
        for kernel, norm in ((conv.large_kernel, conv.large_norm), (conv.small_kernel, conv.small_norm)):
            mixed = mixed + norm(F.conv1d(rows, kernel.unsqueeze(1), padding=kernel.shape[1] // 2, groups=c * d))
        mixed = conv.norm(mixed.view(len(x) * c, d, -1)).view(len(x), c * d, -1)
        mixed = grouped(block.feature_ffn.fc2, c, F.gelu(grouped(block.feature_ffn.fc1, c, mixed)))
        mixed = mixed.view(len(x), c, d, -1).transpose(1, 2).reshape(len(x), d * c, -1)
        mixed = grouped(block.channel_ffn.fc2, d, F.gelu(grouped(block.channel_ffn.fc1, d, mixed)))
        hidden = hidden + mixed.view(len(x), d, c, -1).transpose(1, 2)
    return model.head(hidden.flatten(2)).transpose(1, 2) * scale + mean


@pytest.mark.parametrize("training", [True, False])
def test_forecast_gradients_and_statistics_agree_with_torchs_layers(training):
    model = tiny(dropout=0.0).train(training)
    reference = copy.deepcopy(model)
    x, y = batch(), torch.randn(4, S, C)
    ours, theirs = model(past_values=x, future_values=y), published_layout(reference, x)
    ours.loss.backward()
    (theirs - y).square().mean().backward()
    assert torch.allclose(ours.prediction_outputs, theirs, atol=1e-4)
    for (name, mine), other in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert torch.allclose(mine.grad, other.grad, rtol=1e-3, atol=1e-4), name
    for (name, mine), other in zip(model.named_buffers(), reference.buffers(), strict=True):
        assert torch.allclose(mine, other, atol=1e-5), name


def test_one_folded_kernel_stands_for_both_branches_and_all_normalisations():
    conv = tiny().blocks[0].convolution
    hidden = torch.randn(C, 4, 2, 7)
    kernel, bias = conv.folded()
    rows = hidden.flatten(0, 1)
    branches = 0
    for weight, norm in ((conv.large_kernel, conv.large_norm), (conv.small_kernel, conv.small_norm)):
        branches = branches + norm(depthwise_convolution(rows, weight).flatten(1).unsqueeze(0))
    unfolded = conv.norm(branches.view(C, 4, -1))
    folded = F.conv1d(rows.transpose(0, 1), kernel.unsqueeze(1), bias, padding=2, groups=C * 4).transpose(0, 1)
    assert torch.allclose(folded.reshape(C, 4, -1), unfolded, atol=1e-5)
    assert torch.allclose(conv(hidden), unfolded, atol=1e-5)


@pytest.mark.parametrize(("steps", "width"), [(180, 51), (7, 7), (3, 71), (1, 1), (32, 1), (90, 5)])
def test_convolution_by_fft_is_the_grouped_convolution(steps, width):
    rows, kernel = torch.randn(6, 2, steps), torch.randn(6, width)
    expected = F.conv1d(rows.transpose(0, 1), kernel.unsqueeze(1), padding=width // 2, groups=6).transpose(0, 1)
    assert torch.allclose(depthwise_convolution(rows, kernel), expected, atol=2e-5)


def test_the_published_size_on_etth1():
    """Published 1,249,668: the same and, never used there, three down-samplings, a time embedding and the fusion."""
    config = get_family("modern_tcn").config(720, 96, 7)
    d, patch = config.d_model, config.patch_length
    down_sampling = 3 * (2 * d + 2 * d * d + d)
    time_embedding = 4 * (patch + 1) + (4 * d + d) + 2 * d
    fusion = (d * d + d) + (3 * d * d + d) + (2 * d * d + d + 2 * d)
    count = ModernTCNForPrediction(config).num_parameters()
    assert count == 1_199_136
    assert count + down_sampling + time_embedding + fusion == 1_249_668


def test_initial_weights_are_torchs_own():
    model = ModernTCNForPrediction(ModernTCNConfig(d_model=64, num_input_channels=7, context_length=720))
    ffn, conv = model.blocks[0].feature_ffn, model.blocks[0].convolution
    cases = [(model.stem, nn.Conv1d(1, 64, 8)), (ffn.fc1, nn.Conv1d(448, 448, 1, groups=7)), (model.head, model.head)]
    for ours, torchs in cases:
        assert ours.weight.std().item() == pytest.approx(torchs.weight.std().item(), rel=0.1)
        assert ours.bias.std().item() == pytest.approx(torchs.bias.std().item(), rel=0.3)
    for kernel in (conv.large_kernel, conv.small_kernel):
        torchs = nn.Conv1d(448, 448, kernel.shape[1], groups=448).weight
        assert kernel.std().item() == pytest.approx(torchs.std().item(), rel=0.1)
    assert model.head.weight.abs().max().item() <= 1 / math.sqrt(64 * 180)
    for norm in (model.stem_norm, conv.large_norm, conv.small_norm, conv.norm):
        assert norm.weight.eq(1).all()
        assert norm.running_var.eq(1).all()


def test_dropout_is_dropout():
    dropout, hidden = ModernTCNDropout(0.3), torch.randn(5, 7, 3001, requires_grad=True)
    dropped = dropout(hidden)
    kept = dropped != 0
    assert kept.float().mean().item() == pytest.approx(0.7, abs=0.005)
    for shift in (1, 2, 3):
        both = (kept[..., shift:] & kept[..., :-shift]).float().mean().item()
        assert both == pytest.approx(0.49, abs=0.008)
    assert torch.allclose(dropped[kept], hidden[kept] / 0.7)
    dropped.sum().backward()
    assert torch.allclose(hidden.grad, kept / 0.7)
    assert not torch.equal(dropout(hidden) != 0, kept)
    assert torch.equal(dropout.eval()(hidden), hidden)


def test_both_layers_of_a_feed_forward_network_are_dropped_in_training():
    ffn, inner = tiny(dropout=0.3).blocks[0].feature_ffn, []
    ffn.fc2.register_forward_pre_hook(lambda module, inputs: inner.append(inputs[0]))
    for training, share in ((True, 0.3), (False, 0.0)):
        output = ffn.train(training)(torch.randn(C, 4, 3000))
        assert output.eq(0).float().mean().item() == pytest.approx(share, abs=0.01)
        assert inner[-1].eq(0).float().mean().item() == pytest.approx(share, abs=0.01)


def test_the_feature_is_each_channels_last_state():
    model, x = tiny(), batch(2)
    signal = Teacher(model, get_family("modern_tcn"))(past_values=x)
    assert signal.feature.shape == (2, C, 4 * 7)
    assert torch.equal(signal.feature[1, 2].view(4, 7), model(past_values=x).last_hidden_state[1, 2])
    assert get_family("modern_tcn").channels(model.config) == C


def test_published_sizes():
    assert "teacher_config" not in paper("etth1", "modern_tcn")
    assert paper("traffic_sub6", "modern_tcn")["teacher_config"] == {"ffn_ratio": 8}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"d_model": 0}, "d_model=0: expected a positive number"),
        ({"large_kernel_size": 50}, "large_kernel_size=50: expected a positive odd number"),
        ({"small_kernel_size": 53}, "small_kernel_size=53: expected at most large_kernel_size=51"),
        ({"patch_stride": 9}, "patch_stride=9: expected at most patch_length=8"),
        ({"context_length": 3}, "patch_stride=4: expected at most context_length=3"),
        ({"dropout": 1.0}, "dropout=1.0: expected a number from 0 to 0.99"),
    ],
)
def test_bad_configurations_are_named(overrides, message):
    with pytest.raises(Exception, match=message):
        ModernTCNConfig(**overrides)
