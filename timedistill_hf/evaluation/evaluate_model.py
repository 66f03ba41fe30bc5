"""Scores of any forecaster on windows: standardised errors, errors in units, and what results hold beside them."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from ..data.windows import ForecastData, split_targets, windows_at_once
from ..models.adapters import run_model
from ..student.serving_timedistill import device_of
from .latency import measure_latency
from .standardized_errors import StandardizedErrors
from .unit_errors import UnitErrors


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
    device = device_of(model)
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


def score_models(models: Mapping[str, tuple[nn.Module, ForecastData]], *, batch_size: int) -> dict[str, dict]:
    """What results hold of models: errors on all test windows, `parameters`, `latency`, and of that `milliseconds`.

    `latency` is that of [`measure_latency`], `milliseconds` its median for 32 windows.

    Args:
        models: each with the data that it takes, by role.
    """
    scores = {
        name: {
            **evaluate_model(model, data, data.test, batch_size=batch_size, label=name),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        }
        for name, (model, data) in models.items()
    }
    latency = measure_latency({name: (model, data.test) for name, (model, data) in models.items()})
    for name, found in latency.items():
        scores[name] |= {"milliseconds": found["32"]["median"], "latency": found}
    return scores
