"""Results of a run: a table that people read, JSON that programs read."""

import dataclasses
import platform
from importlib.metadata import PackageNotFoundError, version

import torch
from tabulate import tabulate
from torch import nn

from ..data.windows import ForecastData
from ..teachers.signal import FrozenTeacher
from .evaluate_model import score_model


ROWS = ("student", "student_no_kd", "teacher", "linear", "seasonal_naive")
TITLES = {
    "student": "student",
    "student_no_kd": "student, no distillation",
    "teacher": "teacher",
    "linear": "one linear layer",
    "seasonal_naive": "seasonal naive",
}
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
    scores = {}
    for name, model in models.items():
        windows = model.prepare(data) if isinstance(model, FrozenTeacher) else data
        scores[name] = score_model(model, windows, batch_size=batch_size, label=name)
    return {
        "models": scores,
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
        "hardware": hardware(next(models["student"].parameters()).device),
        "versions": versions(),
    }


def results_table(models: dict[str, dict], tablefmt: str = "github") -> str:
    """The models as a table: test errors, size, time.

    Args:
        models: as under `models` in `results.json`.
    """
    rows = [
        [
            TITLES.get(name, name.replace("_", " ", 1)),
            f"{result['mse']:.4f}",
            f"{result['mae']:.4f}",
            f"{result['units']['mase']:.3f}",
            f"{result['parameters']:,}",
            f"{result['milliseconds']:.1f}",
        ]
        for name, result in sorted(models.items(), key=lambda item: _place(item[0]))
    ]
    headers = ["model", "test MSE (standardised)", "test MAE (standardised)", "MASE", "parameters", "ms / 32 windows"]
    return tabulate(rows, headers=headers, tablefmt=tablefmt, disable_numparse=True, colalign=("left", *["right"] * 5))


def _place(name: str) -> int:
    return ROWS.index("teacher" if name.startswith("teacher_") else name)


def hardware(device: torch.device | str = "cpu") -> dict:
    """Where the milliseconds were measured."""
    return {
        "device": torch.device(device).type,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
