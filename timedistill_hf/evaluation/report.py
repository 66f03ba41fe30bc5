"""What a run scored, on which data, where and with which versions."""

import dataclasses
import platform
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

from ..data.windows import ForecastData
from ..student.serving_timedistill import device_of
from .evaluate_model import score_models
from .latency import conditions
from .results import VERSION


_PACKAGES = (
    "timedistill_hf",
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "huggingface_hub",
    "evaluate",
    "numpy",
)


def versions() -> dict[str, str]:
    """Python's and the packages' versions."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def results_of(data: ForecastData, models: dict[str, nn.Module], batch_size: int) -> dict:
    """The part of `results.json` that says how the models do on the test windows of which data, where.

    Args:
        models: by role; each is scored on its own device.
    """
    prepared = {
        name: (model, model.prepare(data) if hasattr(model, "prepare") else data) for name, model in models.items()
    }
    device = device_of(models.get("student", next(iter(models.values()))))
    return {
        "version": VERSION,
        "models": score_models(prepared, batch_size=batch_size),
        "data": {
            "name": data.series.name,
            "note": data.series.note,
            "fingerprint": data.series.fingerprint(),
            "columns": list(data.series.columns),
            "rows": dataclasses.asdict(data.split),
            "windows": {part: len(getattr(data, part)) for part in ("train", "validation", "test")},
            "season": data.series.season,
            "freq": data.series.freq,
            "timestamp_column": data.series.timestamp_column,
        },
        "hardware": hardware(device),
        "latency": conditions(device),
        "versions": versions(),
    }


def hardware(device: torch.device | str = "cpu") -> dict:
    """Where a run was at work."""
    return {
        "device": torch.device(device).type,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
