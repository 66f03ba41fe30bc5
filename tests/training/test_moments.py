"""Sums over all windows against the windows themselves, one by one."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from timedistill_hf.data.windows import WindowDataset
from timedistill_hf.training.moments import WholeWindows, moments


def by_window(rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    windows = [rows[start : start + length, channel] for channel in range(rows.shape[1])
               for start in range(len(rows) - length + 1)]  # fmt: skip
    return sum(np.outer(window, window) for window in windows), sum(windows)


@given(
    length=st.integers(2, 12), extra=st.integers(0, 30), channels=st.integers(1, 4), seed=st.integers(0, 999),
    level=st.sampled_from([0.0, 5.0, -300.0]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_they_are_the_sums_over_the_windows(length, extra, channels, seed, level):
    rows = np.random.default_rng(seed).normal(level, 1.0, (length + extra, channels))
    gram, total = by_window(rows, length)
    found_gram, found_total = moments(torch.from_numpy(rows), length)
    np.testing.assert_allclose(found_gram, gram, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(found_total, total, rtol=1e-9, atol=1e-9)


def test_a_data_set_gives_look_back_and_horizon_of_its_own_windows():
    """The first windows of the validation part look back into the rows before it; others are not counted."""
    values = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    windows = WindowDataset(values, (40, 55), context_length=10, prediction_length=4)
    sums = WholeWindows(windows)
    items = [windows[index] for index in range(len(windows))]
    past, future = (
        torch.stack([item[name] for item in items]).transpose(1, 2).flatten(0, 1).double()
        for name in ("past_values", "future_values")
    )
    assert sums.count == len(past)
    torch.testing.assert_close((sums.gram, sums.total), (past.T @ past, past.sum(dim=0)))
    torch.testing.assert_close((sums.label_cross, sums.label_total), (past.T @ future, future.sum(dim=0)))
    torch.testing.assert_close(sums.known, torch.full((4,), float(len(past)), dtype=torch.float64))
    generator = torch.Generator().manual_seed(5)
    maps, biases = (torch.randn(shape, generator=generator).double() for shape in ((2, 10, 4), (2, 4)))
    forecasts = past @ maps + biases.unsqueeze(1)
    torch.testing.assert_close(sums.products(maps[0], biases[0]), (past.T @ forecasts[0], forecasts[0].sum(dim=0)))
    torch.testing.assert_close(sums.errors(maps, biases), (forecasts - future).square().mean(dim=(1, 2)))


def test_a_long_series_loses_no_precision():
    """Rounding along the diagonals of a hundred thousand windows that have a level stays below a billionth."""
    rows = torch.randn(100_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 3
    gram, _ = moments(rows, 200)
    windows = rows[:, 0].unfold(0, 200, 1)
    torch.testing.assert_close(gram[-3:], windows[:, -3:].T @ windows, rtol=1e-9, atol=0)
