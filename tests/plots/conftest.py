import numpy as np
import pytest
import torch

from timedistill_hf.plots import ForecastSample


@pytest.fixture(autouse=True)
def _plots_are_not_drawn():
    """They are here."""


@pytest.fixture
def sample() -> ForecastSample:
    """Three windows of two channels, 11 steps ahead, hourly; a missing truth in the one that is shown."""
    generator = torch.Generator().manual_seed(3)
    past, truth, student, teacher = (torch.randn(3, length, 2, generator=generator) for length in (30, 11, 11, 11))
    truth[1, 4, 1] = torch.nan
    parts = {"past": past, "truth": truth, "student": student, "teacher": teacher}
    return ForecastSample(
        past=past,
        truth=truth,
        forecasts={"student": student, "teacher": teacher},
        row=1,
        channel=1,
        shown={name: np.array([7 * value + 100 for value in part[1, :, 1].tolist()]) for name, part in parts.items()},
        column="load",
        title="mine, test window 2 of 3",
        freq="h",
        season=4,
    )
