"""Results of a run: a table that people read, JSON that programs read."""

import dataclasses
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from statistics import fmean

import torch
from tabulate import tabulate
from torch import nn

from ..data.windows import ForecastData
from .evaluate_model import score_models
from .latency import conditions


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
    prepared = {
        name: (model, model.prepare(data) if hasattr(model, "prepare") else data) for name, model in models.items()
    }
    device = next(models["student"].parameters()).device
    return {
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
            milliseconds_text([result]),
        ]
        for name, result in sorted(models.items(), key=lambda item: _place(item[0]))
    ]
    headers = ["model", "test MSE (standardised)", "test MAE (standardised)", "MASE", "parameters", "ms, batch 32"]
    return tabulate(rows, headers=headers, tablefmt=tablefmt, disable_numparse=True, colalign=("left", *["right"] * 5))


def milliseconds_text(scores: Sequence[dict]) -> str:
    """Of a batch of 32, with the middle half of the rounds; of several seeds the mean of the medians and their range.

    Results that were written before there was a spread have none.
    """
    values = [score["milliseconds"] for score in scores]
    low, high = min(values), max(values)
    if len(scores) == 1 and "latency" in scores[0]:
        low, high = (scores[0]["latency"]["32"][name] for name in ("low", "high"))
    middle, low, high = (f"{value:.3g}" if value < 10 else f"{value:.1f}" for value in (fmean(values), low, high))
    return middle if low == high else f"{middle} ({low} to {high})"


def measured_on(results: dict) -> str:
    """How the milliseconds of a `results.json` were measured, such as "cpu, 1 thread, processor time"."""
    about = results.get("latency") or results["hardware"]
    threads = f"{about['threads']} thread{'s' if about['threads'] != 1 else ''}"
    return f"{about['device']}, {threads}, {about.get('clock', 'wall time')}"


def _place(name: str) -> int:
    return ROWS.index("teacher" if name.startswith("teacher_") else name)


def hardware(device: torch.device | str = "cpu") -> dict:
    """Where a run was at work."""
    return {
        "device": torch.device(device).type,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
