"""Sums over all windows against the windows themselves, one by one."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timedistill_hf.data.windows import WindowDataset
from timedistill_hf.training.moments import WindowMoments


def by_window(rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, int]:
    windows = [rows[start : start + length, channel] for channel in range(rows.shape[1])
               for start in range(len(rows) - length + 1)]  # fmt: skip
    return sum(np.outer(window, window) for window in windows), sum(windows), len(windows)


@given(
    length=st.integers(2, 12), extra=st.integers(0, 30), channels=st.integers(1, 4), seed=st.integers(0, 999),
    level=st.sampled_from([0.0, 5.0, -300.0]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_they_are_the_sums_over_the_windows(length, extra, channels, seed, level):
    rows = np.random.default_rng(seed).normal(level, 1.0, (length + extra, channels))
    moments = WindowMoments.of_rows(torch.from_numpy(rows), length)
    gram, total, count = by_window(rows, length)
    np.testing.assert_allclose(moments.gram, gram, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(moments.total, total, rtol=1e-9, atol=1e-9)
    assert moments.count == count


def test_a_data_set_gives_look_back_and_horizon_of_its_own_windows():
    """The first windows of the validation part look back into the rows before it; others are not counted."""
    values = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    windows = WindowDataset(values, (40, 55), context_length=10, prediction_length=4)
    moments = WindowMoments.of(windows)
    items = [torch.cat([windows[i]["past_values"], windows[i]["future_values"]]) for i in range(len(windows))]
    stacked = torch.stack(items).transpose(1, 2).flatten(0, 1).double()
    torch.testing.assert_close(moments.gram, stacked.T @ stacked)
    torch.testing.assert_close(moments.total, stacked.sum(dim=0))
    assert moments.count == len(stacked)


def test_a_long_series_loses_no_precision():
    """Rounding along the diagonals of a hundred thousand windows that have a level stays below a billionth."""
    rows = torch.randn(100_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 3
    moments = WindowMoments.of_rows(rows, 200)
    windows = rows[:, 0].unfold(0, 200, 1)
    torch.testing.assert_close(moments.gram[-3:], windows[:, -3:].T @ windows, rtol=1e-9, atol=0)


def test_a_transformation_of_the_windows_is_one_of_the_moments():
    rows = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    matrix = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = WindowMoments.of_rows(rows, 8).transformed(matrix)
    changed = rows.unfold(0, 8, 1).flatten(0, 1) @ matrix.T
    torch.testing.assert_close(found.gram, changed.T @ changed)
    torch.testing.assert_close(found.total, changed.sum(dim=0))
