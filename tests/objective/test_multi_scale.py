import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timedistill_hf.objective import multi_scale_loss


def slow_multi_scale(student: np.ndarray, teacher: np.ndarray, num_scales: int) -> float:
    """Plain loops in float64 over [B, S, C]."""
    total = 0.0
    for scale in range(num_scales + 1):
        squares = []
        for batch in range(student.shape[0]):
            for channel in range(student.shape[2]):
                a, b = list(student[batch, :, channel]), list(teacher[batch, :, channel])
                for _ in range(scale):
                    a = [(a[2 * i] + a[2 * i + 1]) / 2 for i in range(len(a) // 2)]
                    b = [(b[2 * i] + b[2 * i + 1]) / 2 for i in range(len(b) // 2)]
                squares += [(x - y) ** 2 for x, y in zip(a, b, strict=True)]
        total += sum(squares) / len(squares)
    return total / (num_scales + 1)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    steps=st.integers(8, 37),
    channels=st.integers(1, 3),
    num_scales=st.integers(0, 3),
    seed=st.integers(0, 10_000),
)
def test_agrees_with_plain_loops(batch, steps, channels, num_scales, seed):
    rng = np.random.default_rng(seed)
    student, teacher = rng.normal(size=(2, batch, steps, channels)).astype(np.float32)
    ours = multi_scale_loss(torch.from_numpy(student), torch.from_numpy(teacher), num_scales, dim=1).item()
    expected = slow_multi_scale(student.astype(np.float64), teacher.astype(np.float64), num_scales)
    assert ours == pytest.approx(expected, abs=1e-6, rel=1e-6)


def test_dim_chooses_the_axis():
    student, teacher = torch.randn(2, 4, 16, 8)
    along_last = multi_scale_loss(student, teacher, 3, dim=2)
    along_middle = multi_scale_loss(student.transpose(1, 2), teacher.transpose(1, 2), 3, dim=1)
    torch.testing.assert_close(along_last, along_middle)
    assert not torch.isclose(along_last, multi_scale_loss(student, teacher, 3, dim=1))


@pytest.mark.parametrize("length", range(1, 20))
def test_the_default_is_three_halvings_or_what_fits(length):
    """Against plain loops, with the number that a logarithm gives."""
    student, teacher = np.random.default_rng(length).normal(size=(2, 3, length, 2)).astype(np.float32)
    ours = multi_scale_loss(torch.from_numpy(student), torch.from_numpy(teacher), dim=1).item()
    scales = min(3, math.floor(math.log2(length)))
    assert ours == pytest.approx(slow_multi_scale(student.astype(float), teacher.astype(float), scales), rel=1e-6)


def test_a_horizon_too_short_for_the_pyramid_names_the_remedy():
    with pytest.raises(ValueError, match=r"at least 8 steps, got 7: lower num_scales to 2"):
        multi_scale_loss(torch.zeros(1, 7, 1), torch.zeros(1, 7, 1), 3, dim=1)


def test_different_shapes_are_refused_instead_of_broadcast():
    with pytest.raises(ValueError, match="expected the same"):
        multi_scale_loss(torch.zeros(2, 8, 1), torch.zeros(2, 8, 3), 1, dim=1)


def test_bf16_is_computed_in_float32():
    student, teacher = torch.randn(2, 4, 32, 3).bfloat16()
    loss = multi_scale_loss(student, teacher, 3, dim=1)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(multi_scale_loss(student.float(), teacher.float(), 3, dim=1).item())
