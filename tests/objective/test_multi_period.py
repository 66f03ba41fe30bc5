import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timedistill_hf.objective import multi_period_loss, period_log_distribution


def slow_distribution(series: np.ndarray, temperature: float) -> np.ndarray:
    """Explicit Fourier sums, then a softmax, in float64."""
    length = len(series)
    amplitudes = []
    for frequency in range(1, length // 2 + 1):
        angle = 2 * math.pi * frequency * np.arange(length) / length
        real, imaginary = float((series * np.cos(angle)).sum()), float((series * np.sin(angle)).sum())
        amplitudes.append(math.hypot(real, imaginary) / temperature)
    weights = np.exp(np.array(amplitudes) - max(amplitudes))
    return weights / weights.sum()


def slow_period(
    student: np.ndarray, teacher: np.ndarray, temperature: float, reduction: str, floor: float = 0.0
) -> float:
    total, frequencies = 0.0, student.shape[1] // 2
    for batch in range(student.shape[0]):
        for channel in range(student.shape[2]):
            p = slow_distribution(teacher[batch, :, channel], temperature)
            q = slow_distribution(student[batch, :, channel], temperature)
            total += sum(a * math.log(a / (b + floor)) for a, b in zip(p, q, strict=True) if a > 0)
    count = student.shape[0] * student.shape[2]
    return total / (count * frequencies if reduction == "element" else count)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    steps=st.integers(2, 33),
    channels=st.integers(1, 3),
    temperature=st.sampled_from([0.5, 1.0, 3.0]),
    reduction=st.sampled_from(["element", "distribution"]),
    floor=st.sampled_from([0.0, 1e-8, 1e-2]),
    seed=st.integers(0, 10_000),
)
def test_agrees_with_plain_loops(batch, steps, channels, temperature, reduction, floor, seed):
    rng = np.random.default_rng(seed)
    student, teacher = (0.3 * rng.normal(size=(2, batch, steps, channels))).astype(np.float32)
    ours = multi_period_loss(
        torch.from_numpy(student), torch.from_numpy(teacher), temperature, reduction, dim=1, floor=floor
    ).item()
    expected = slow_period(student.astype(np.float64), teacher.astype(np.float64), temperature, reduction, floor)
    assert ours == pytest.approx(expected, abs=1e-6, rel=1e-5)


@pytest.mark.parametrize(("steps", "frequencies"), [(96, 48), (720, 360), (7, 3)])
def test_the_conventions_differ_by_the_number_of_frequencies(steps, frequencies):
    student, teacher = torch.randn(2, 4, steps, 3)
    assert period_log_distribution(student, dim=1).shape == (4, 3, frequencies)
    per_element = multi_period_loss(student, teacher, 0.5, "element", dim=1)
    per_distribution = multi_period_loss(student, teacher, 0.5, "distribution", dim=1)
    assert per_distribution.item() == pytest.approx(frequencies * per_element.item(), rel=1e-5)


def test_the_level_does_not_matter():
    values = torch.randn(2, 24, 3)
    assert torch.allclose(
        period_log_distribution(values, dim=1), period_log_distribution(values + 5, dim=1), atol=1e-4
    )


def test_a_pure_cycle_puts_all_weight_on_its_period():
    step = torch.arange(96.0)
    weights = period_log_distribution(torch.sin(2 * math.pi * step / 24)).exp()
    assert weights.argmax().item() == 96 // 24 - 1
    assert weights.max().item() == pytest.approx(1.0)


def test_target_distributions_that_underflow_keep_a_finite_gradient_on_both_sides():
    student = (100 * torch.randn(4, 96, 2)).requires_grad_()
    teacher = (100 * torch.randn(4, 96, 2)).requires_grad_()
    assert period_log_distribution(teacher, dim=1).exp().eq(0).any()
    multi_period_loss(student, teacher, dim=1).backward()
    assert torch.isfinite(student.grad).all()
    assert torch.isfinite(teacher.grad).all()
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [0.1, 3.0, 100.0])
def test_the_floor_is_added_to_the_students_distribution_as_published(size):
    """Values and both gradients of mean(p (log p - log(q + floor))), in float64, terms of p = 0 left out."""
    student = (size * torch.randn(4, 96, 2)).requires_grad_()
    teacher = (size * torch.randn(4, 96, 2)).requires_grad_()
    ours = multi_period_loss(student, teacher, dim=1, floor=1e-8)
    gradients = torch.autograd.grad(ours, (student, teacher))

    p, q = (torch.softmax(torch.fft.rfft(x.double(), dim=1)[:, 1:].abs() / 0.5, dim=1) for x in (teacher, student))
    p_log = torch.where(p > 1e-300, p, 1.0).log()
    reference = (p * (p_log - (q + 1e-8).log())).mean()
    assert ours.item() == pytest.approx(reference.item(), rel=1e-4, abs=1e-7)
    for got, expected in zip(gradients, torch.autograd.grad(reference, (student, teacher)), strict=True):
        assert torch.isfinite(got).all()
        assert torch.allclose(got, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_the_floor_bounds_what_one_frequency_can_cost():
    step = torch.arange(96.0).reshape(1, -1, 1)
    day, week = (1000 * torch.sin(2 * math.pi * step / period) for period in (24, 48))
    exact, floored = (multi_period_loss(day, week, reduction="distribution", dim=1, floor=f) for f in (0.0, 1e-8))
    assert exact.item() > 1000
    assert floored.item() == pytest.approx(-math.log(1e-8), rel=1e-3)


def test_zero_variance_has_a_finite_gradient():
    student = torch.full((2, 16, 2), 3.0, requires_grad=True)
    loss = multi_period_loss(student, torch.zeros(2, 16, 2), dim=1)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(student.grad).all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="reduction='mean'"):
        multi_period_loss(torch.zeros(1, 8, 1), torch.zeros(1, 8, 1), reduction="mean")
    for floor in (-1e-8, 1.0, float("nan")):
        with pytest.raises(ValueError, match="kl_floor="):
            multi_period_loss(torch.zeros(1, 8, 1), torch.zeros(1, 8, 1), floor=floor)
    with pytest.raises(ValueError, match="at least 2 steps"):
        period_log_distribution(torch.zeros(1, 1, 1), dim=1)
    with pytest.raises(ValueError, match="expected the same"):
        multi_period_loss(torch.zeros(1, 8, 1), torch.zeros(1, 8, 2))
