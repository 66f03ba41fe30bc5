"""One function that scores any forecaster on windows: standardised errors, errors in units, milliseconds."""

import statistics
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, default_collate
from tqdm.auto import tqdm

from ..adapters import run_model
from ..data.windows import ForecastData, split_targets, windows_at_once
from ..student import inference_copy
from .metrics import StandardizedErrors, UnitErrors


@torch.no_grad()
def evaluate_model(
    model: nn.Module, data: ForecastData, windows: Dataset, *, batch_size: int = 64, label: str = "test"
) -> dict:
    """Score `model` on every window of `windows`.

    Args:
        model: gives `prediction_outputs` from `past_values`, standardised.
        data: what the windows were cut from; its processor undoes the standardisation.
        batch_size: windows at once, fewer where there are very many channels.
        label: shown beside the progress bar.

    Returns:
        `mse` and `mae` on standardised values, and under `units` `mae`, `rmse`, `smape`, `mase` in the data's units
        with the `season` that MASE refers to.
    """
    standardized, units = StandardizedErrors(), UnitErrors(data.naive_errors)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    model.eval()
    batch_size = windows_at_once(batch_size, data.num_input_channels)
    for batch in tqdm(DataLoader(windows, batch_size=batch_size), desc=f"evaluating {label}", leave=False):
        inputs, targets = split_targets(batch)
        inputs = {name: value.to(device) for name, value in inputs.items()}
        prediction = run_model(model, inputs).prediction_outputs.float().cpu()
        target, observed = targets["future_values"], targets.get("future_observed_mask")
        standardized.add_batch(predictions=prediction, references=target, observed=observed)
        units.add_batch(
            predictions=data.processor.unstandardize(prediction),
            references=data.processor.unstandardize(target),
            observed=observed,
        )
    return {**standardized.compute(), "units": {**units.compute(), "season": data.series.season}}


@torch.no_grad()
def milliseconds_per_batch(model: nn.Module, windows: Dataset, *, batch_size: int = 32, repeats: int = 15) -> float:
    """Median time of one forecast of `batch_size` windows, on the model's device and current threads.

    A student forecasts by its fused copy, as it does where it is served.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    inputs, _ = split_targets(default_collate([windows[index % len(windows)] for index in range(batch_size)]))
    inputs = {name: value.to(device) for name, value in inputs.items()}
    model = inference_copy(model.eval())
    times = []
    for _ in range(repeats + 3):
        start = time.perf_counter()
        run_model(model, inputs)
        if device.type != "cpu":
            torch.accelerator.synchronize()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[3:])


def score_model(model: nn.Module, data: ForecastData, *, batch_size: int, label: str) -> dict:
    """What results hold of a model: its errors on all test windows, `parameters` and `milliseconds` (32 windows)."""
    return {
        **evaluate_model(model, data, data.test, batch_size=batch_size, label=label),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "milliseconds": milliseconds_per_batch(model, data.test),
    }
