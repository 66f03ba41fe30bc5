"""Plots for people. matplotlib is imported here and nowhere else."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import nn

from .adapters import run_model
from .data.windows import ForecastData, split_targets


matplotlib.use("Agg")

from matplotlib import pyplot as plt


# Okabe and Ito's colours, told apart by the colour-blind; line styles tell them apart in grey
STYLES = {
    "truth": {"color": "black", "linewidth": 1.6, "linestyle": "-"},
    "student": {"color": "#0072B2", "linewidth": 1.6, "linestyle": "-"},
    "teacher": {"color": "#D55E00", "linewidth": 1.3, "linestyle": "--"},
}


@torch.no_grad()
def plot_window(
    path: str | Path, data: ForecastData, models: dict[str, nn.Module], device: torch.device | str = "cpu"
) -> None:
    """What the models, by name, make of the last channel of the middle test window, in the data's units."""
    number = len(data.test) // 2
    window = data.test[number]
    inputs, _ = split_targets({name: value.unsqueeze(0).to(device) for name, value in window.items()})
    in_units = data.processor.unstandardize
    forecasts = {
        name: in_units(run_model(model, inputs).prediction_outputs[0].cpu()) for name, model in models.items()
    }
    shown = min(data.processor.context_length, 2 * data.processor.prediction_length)
    channel = data.num_input_channels - 1
    plot_forecast(
        path,
        in_units(window["past_values"]).numpy()[-shown:, channel],
        in_units(window["future_values"]).numpy()[:, channel],
        {name: values.numpy()[:, channel] for name, values in forecasts.items()},
        channel=data.series.columns[channel],
        title=f"{data.series.name}, test window {number} of {len(data.test)}",
    )


def plot_forecast(
    path: str | Path,
    history: np.ndarray,
    truth: np.ndarray,
    forecasts: dict[str, np.ndarray],
    *,
    channel: str,
    title: str,
) -> None:
    """Forecasts of one channel against the truth, and below them how far each is off; written to `path` (PNG).

    Args:
        history: the steps before the forecast, in the data's units.
        truth: `[S]`.
        forecasts: `"student"` and, where there is one, `"teacher"`: `[S]` each.
    """
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(9, 5.5), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    future = np.arange(len(truth))
    upper.plot(np.arange(-len(history), 0), history, color="0.6", linewidth=1.2, label="history")
    upper.plot(future, truth, label="truth", **STYLES["truth"])
    for name, values in forecasts.items():
        upper.plot(future, values, label=name, **STYLES[name])
        lower.plot(future, np.abs(values - truth), **STYLES[name])
    for axis in (upper, lower):
        axis.axvline(-0.5, color="0.8", linewidth=1)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="0.92")
    upper.set_ylabel(channel)
    upper.set_title(title, loc="left", fontsize=11)
    upper.legend(frameon=False, ncols=4, loc="upper left", fontsize=9)
    upper.margins(y=0.18)
    lower.set_ylabel("absolute error")
    lower.set_ylim(bottom=0)
    lower.set_xlabel("time steps after the last known value")
    figure.savefig(path, dpi=130, format="png")
    plt.close(figure)
