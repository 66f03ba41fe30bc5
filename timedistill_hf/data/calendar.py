"""Calendar features: what a timestamp says about where in the day, week and year a step lies."""

from typing import TYPE_CHECKING

import numpy as np
import torch


if TYPE_CHECKING:
    import pandas as pd


def calendar_features(timestamps: "np.ndarray | pd.DatetimeIndex") -> torch.Tensor:
    """Float32 `[T, 5]`: minute of the hour, hour, day of the week, day of the month, day of the year.

    Each runs from -0.5 to 0.5 over its own cycle. All five are given at every frequency (a constant one does no harm),
    so that a model's number of time features does not depend on how often the data were sampled.
    """
    import pandas as pd

    index = pd.DatetimeIndex(timestamps)
    parts = (
        index.minute / 59,
        index.hour / 23,
        index.day_of_week / 6,
        (index.day - 1) / 30,
        (index.day_of_year - 1) / 365,
    )
    return torch.from_numpy(np.stack([np.asarray(part, dtype=np.float32) for part in parts], axis=1)) - 0.5
