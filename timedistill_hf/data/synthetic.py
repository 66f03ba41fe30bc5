"""Generated series: the embedded default data. Nothing here was measured anywhere."""

import numpy as np
import torch

from .series import Series


NAME = "synthetic"
NUM_CHANNELS = 6


def synthetic_series(num_rows: int = 6000, num_channels: int = NUM_CHANNELS, seed: int = 0) -> Series:
    """Hourly channels with daily, weekly and yearly cycles, trend, level shifts and noise, made from a seed.

    Two parts no linear map of the past can express: the daily cycle is bent by an exponential whose strength follows
    the weekly cycle, and a slow hidden state, shared by all channels, switches each channel between two daily shapes.

    Args:
        num_rows: hours, starting 2020-01-01.
        num_channels: channels; each has its own phases, strengths and noise.
        seed: the same seed gives the same values.
    """
    rng = np.random.default_rng(seed)
    hour = np.arange(num_rows)
    day, week, year = (2 * np.pi * hour / period for period in (24.0, 168.0, 8766.0))

    innovations = rng.normal(size=num_rows) * 0.04
    hidden = np.empty(num_rows)
    state = 0.0
    for step in range(num_rows):
        state = 0.995 * state + innovations[step]
        hidden[step] = state
    regime = 1 / (1 + np.exp(-6 * hidden))

    channels = []
    for _ in range(num_channels):
        phase = rng.uniform(0, 2 * np.pi, size=4)
        weekly = np.sin(week + phase[0])
        bent = np.exp(0.8 * np.sin(day + phase[1]) * (1 + 0.6 * weekly)) - 1.2
        double_peak = np.sin(2 * day + phase[2]) + 0.5 * np.cos(3 * day + phase[1])
        daily = (1 - regime) * bent + regime * double_peak
        shifts = np.zeros(num_rows)
        for position in rng.integers(0, num_rows, size=max(1, num_rows // 3000)):
            shifts[position:] += rng.normal() * 0.6
        values = (
            rng.uniform(0.8, 1.4) * daily
            + rng.uniform(0.3, 0.7) * weekly
            + 0.8 * np.sin(year + phase[3])
            + rng.normal() * 0.5 * hour / 8766.0
            + shifts
            + 0.8 * hidden
            + rng.uniform(0.15, 0.3) * rng.normal(size=num_rows)
        )
        channels.append(rng.uniform(5, 50) + rng.uniform(1, 8) * values)

    start = np.datetime64("2020-01-01T00:00:00", "ns")
    return Series(
        values=torch.from_numpy(np.stack(channels, axis=1).astype(np.float32)),
        columns=tuple(f"load_{index}" for index in range(num_channels)),
        timestamps=start + hour.astype("timedelta64[h]").astype("timedelta64[ns]"),
        timestamp_column="date",
        freq="h",
        season=24,
        name=NAME,
        note="synthetic data, generated from a seed",
    )
