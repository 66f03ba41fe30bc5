"""Results of a run: a table that people read, JSON that programs read."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch
from tabulate import tabulate


ROWS = ("student", "student_no_kd", "teacher", "linear", "seasonal_naive")
_TITLES = {
    "student": "student (distilled)",
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


def results_table(models: dict[str, dict], tablefmt: str = "github") -> str:
    """The models as a table: test errors, size, time.

    Args:
        models: as under `models` in `results.json`.
    """
    rows = [
        [
            _TITLES.get(name, name),
            f"{result['mse']:.4f}",
            f"{result['mae']:.4f}",
            f"{result['units']['mase']:.3f}",
            f"{result['parameters']:,}",
            f"{result['milliseconds']:.1f}",
        ]
        for name, result in sorted(models.items(), key=lambda item: ROWS.index(item[0]))
    ]
    headers = ["model", "test MSE (standardised)", "test MAE (standardised)", "MASE", "parameters", "ms / 32 windows"]
    return tabulate(rows, headers=headers, tablefmt=tablefmt, disable_numparse=True, colalign=("left", *["right"] * 5))


def hardware(device: torch.device | str = "cpu") -> dict:
    """Where the milliseconds were measured."""
    return {
        "device": torch.device(device).type,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
