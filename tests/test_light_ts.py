import numpy as np
import pytest
import torch

from timedistill_hf import LightTSConfig, LightTSForPrediction


L, S, C = 22, 5, 3


def tiny(**overrides):
    """A model off its initial state: every parameter is random. Its 22 steps make 4 chunks of 6, the first filled."""
    settings = {"context_length": L, "prediction_length": S, "num_input_channels": C, "chunk_length": 6, "d_model": 8}
    model = LightTSForPrediction(LightTSConfig(**(settings | overrides))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def batch(windows=4):
    return 3 * torch.randn(windows, L, C) + 2


class LoopReference:
    """The forward pass of one window after section 4 of the paper, in float64; matrices as there, columns last."""

    def __init__(self, model):
        self.config = model.config
        self.state = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def linear(self, name, values):
        return self.state[f"{name}.weight"] @ values + self.state[f"{name}.bias"]

    def block(self, name, matrix):
        """`[H, W]` to `[F, W]`: down each column, along each row, up each column."""
        columns = []
        for w in range(matrix.shape[1]):
            hidden = self.linear(f"{name}.temporal1", matrix[:, w])
            columns.append(self.linear(f"{name}.temporal2", np.where(hidden > 0, hidden, 0.01 * hidden)))
        narrow = np.stack(columns, axis=1)
        mixed = np.stack([row + self.linear(f"{name}.exchange", row) for row in narrow])
        return np.stack([self.linear(f"{name}.output", mixed[:, w]) for w in range(mixed.shape[1])], axis=1)

    def __call__(self, window):
        config = self.config
        mean, scale = window.mean(axis=0), np.sqrt(window.var(axis=0) + 1e-5)
        series = (window - mean) / scale
        height, width = config.chunk_length, -(-config.context_length // config.chunk_length)
        series = np.concatenate([np.repeat(series[:1], height * width - len(series), axis=0), series])
        features = []
        for c in range(config.num_input_channels):
            continuous, interval = np.empty((height, width)), np.empty((height, width))
            for j in range(width):
                continuous[:, j] = [series[j * height + i, c] for i in range(height)]
                interval[:, j] = [series[j + i * width, c] for i in range(height)]
            parts = []
            for name, matrix in (("continuous", continuous), ("interval", interval)):
                parts += [self.linear(f"{name}_pool", row)[0] for row in self.block(name, matrix)]
            features.append(parts)
        feature = np.array(features)
        return self.block("mixer", feature.T) * scale + mean, feature


@pytest.mark.parametrize("overrides", [{}, {"chunk_length": 11, "bottleneck_ratio": 8}, {"chunk_length": 1}])
def test_agrees_with_plain_loops(overrides):
    model, x = tiny(**overrides), batch(2)
    output = model(past_values=x)
    reference = LoopReference(model)
    for row in range(2):
        forecast, feature = reference(x[row].double().numpy())
        assert np.abs(output.prediction_outputs[row].detach().numpy() - forecast).max() < 1e-4
        assert np.abs(output.feature[row].detach().numpy() - feature).max() < 1e-4


def test_its_size():
    """By hand, 720 -> 96 of 7 channels: two blocks on 30 chunks of 24, their sums, the block on 7 channels."""
    sampled = (24 * 128 + 128) + (128 * 32 + 32) + (30 * 30 + 30) + (32 * 128 + 128)
    mixer = (256 * 256 + 256) + (256 * 64 + 64) + (7 * 7 + 7) + (64 * 96 + 96)
    config = LightTSConfig(context_length=720, num_input_channels=7)
    assert LightTSForPrediction(config).num_parameters() == 2 * (sampled + 31) + mixer


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"d_model": 0}, "d_model=0: expected a positive number"),
        ({"chunk_length": 97}, "chunk_length=97: expected at most context_length=96"),
        ({"bottleneck_ratio": 129}, "bottleneck_ratio=129: expected at most d_model=128"),
    ],
)
def test_bad_configurations_are_named(overrides, message):
    with pytest.raises(Exception, match=message):
        LightTSConfig(**overrides)
