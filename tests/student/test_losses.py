import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timedistill_hf.student import modeling_timedistill
from timedistill_hf.student.losses_timedistill import forecast_loss

from .models import tiny


KINDS = st.sampled_from(["mse", "mae"])
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 13), st.integers(1, 3))


def plain_loss(difference: np.ndarray, observed: np.ndarray, kind: str, frequency_weight: float) -> float:
    """The loss entry by entry and bin by bin, the Fourier transform as a sum of waves."""
    size, length, channels = difference.shape
    power = 1 if kind == "mae" else 2
    time_error, time_count, frequency_error, frequency_count = 0.0, 0.0, 0.0, 0.0
    for b in range(size):
        for c in range(channels):
            steps = [t for t in range(length) if observed[b, t, c]]
            time_error += sum(abs(difference[b, t, c]) ** power for t in steps)
            time_count += len(steps)
            for k in range(length // 2 + 1):
                waves = [difference[b, t, c] * np.exp(-2j * np.pi * k * t / length) for t in steps]
                frequency_error += abs(sum(waves) / math.sqrt(length)) ** power
                frequency_count += (len(steps) / length) ** (power / 2)
    time_part = time_error / time_count if time_count else 0.0
    frequency_part = frequency_error / frequency_count if frequency_count else 0.0
    return (1 - frequency_weight) * time_part + frequency_weight * frequency_part


def pair(shape: tuple, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


@settings(max_examples=100, deadline=None)
@given(
    shape=SHAPES,
    seed=st.integers(0, 999),
    kind=KINDS,
    frequency_weight=st.floats(0, 1),
    share=st.floats(0, 1),
)
def test_loss_agrees_with_plain_loops(shape, seed, kind, frequency_weight, share):
    prediction, target = pair(shape, seed)
    observed = np.random.default_rng(seed).uniform(size=shape) >= share
    difference = (prediction - target).double().numpy()
    options = {"kind": kind, "frequency_weight": frequency_weight}

    spoiled = torch.where(torch.from_numpy(observed), target, torch.nan)
    masked = forecast_loss(prediction, spoiled, torch.from_numpy(observed).float(), **options)
    expected = plain_loss(difference, observed, kind, frequency_weight)
    assert masked.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)

    whole = forecast_loss(prediction, target, **options)
    everywhere = np.ones(shape, dtype=bool)
    assert whole.item() == pytest.approx(
        plain_loss(difference, everywhere, kind, frequency_weight), rel=1e-4, abs=1e-6
    )
    assert forecast_loss(prediction, target, torch.from_numpy(everywhere), **options).item() == pytest.approx(
        whole.item(), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["mse", "mae"])
def test_the_frequency_part_is_numpys(kind):
    prediction, target = pair((3, 12, 2), 0)
    spectrum = np.fft.rfft((prediction - target).double().numpy(), axis=1, norm="ortho")
    expected = np.mean(np.abs(spectrum)) if kind == "mae" else np.mean(np.abs(spectrum) ** 2)
    assert forecast_loss(prediction, target, kind=kind, frequency_weight=1.0).item() == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("kind", ["mse", "mae"])
def test_what_nobody_observed_changes_nothing(kind):
    prediction, target = pair((3, 8, 2), 1)
    options = {"kind": kind, "frequency_weight": 0.4}
    observed = torch.ones(3, 8, 2)
    observed[1], observed[0, :, 1] = 0, 0
    masked = forecast_loss(prediction, target, observed, **options)
    seen = [(0, slice(0, 1)), (2, slice(0, 1)), (2, slice(1, 2))]
    expected = forecast_loss(
        torch.stack([prediction[b, :, c] for b, c in seen]), torch.stack([target[b, :, c] for b, c in seen]), **options
    )
    assert masked.item() == pytest.approx(expected.item(), rel=1e-5)
    assert forecast_loss(prediction, target, torch.zeros(3, 8, 2), **options).item() == 0


@pytest.mark.parametrize("kind", ["mse", "mae"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_gradients_are_finite_whatever_the_hidden_entries_hold(kind, share):
    prediction, target = pair((3, 8, 2), 2)
    observed = torch.rand(3, 8, 2) >= share
    prediction.requires_grad_()
    spoiled = torch.where(observed, target, torch.nan)
    # one exact hit: the absolute value of a complex 0
    with torch.no_grad():
        spoiled[0, :, 0] = prediction[0, :, 0]
    forecast_loss(prediction, spoiled, observed, kind=kind, frequency_weight=0.5).backward()
    assert torch.isfinite(prediction.grad).all()
    assert (prediction.grad[~observed.any(dim=1, keepdim=True).expand(3, 8, 2)] == 0).all()


@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 999), kind=KINDS)
def test_the_default_is_the_plain_mean_error(shape, seed, kind):
    prediction, target = pair(shape, seed)
    error = (prediction - target).abs() if kind == "mae" else (prediction - target).square()
    torch.testing.assert_close(forecast_loss(prediction, target, None, kind), error.mean())
    observed = torch.rand(shape) > 0.4
    expected = torch.where(observed, error, 0.0).sum() / observed.sum().clamp(min=1)
    torch.testing.assert_close(forecast_loss(prediction, target, observed, kind), expected)


def test_the_model_uses_its_configured_loss():
    assert modeling_timedistill.forecast_loss is forecast_loss
    options = {"frequency_weight": 0.35}
    model = tiny("linear", loss="mae", **options)
    x, y, observed = torch.randn(3, 29, 2), torch.randn(3, 10, 2), torch.rand(3, 10, 2) > 0.3
    output = model(past_values=x, future_values=y, future_observed_mask=observed)
    expected = forecast_loss(output.prediction_outputs, y, observed, "mae", **options)
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_low_precision_forecasts_are_scored_in_float32():
    prediction, target = pair((2, 8, 2), 3)
    loss = forecast_loss(prediction.bfloat16(), target, kind="mae", frequency_weight=0.5)
    assert loss.dtype == torch.float32
