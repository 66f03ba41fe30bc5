"""The card of the student that is committed in examples/, so that a reader can load one at once."""

import json
from pathlib import Path

import pandas as pd
from huggingface_hub import ModelCard

from ..data.synthetic import synthetic_series
from .card import LICENSE
from .student import student_card


FOLDER = "examples/tiny_student"
PLOTS = ("forecast.png", "accuracy.png")
HISTORY_FILE = f"{FOLDER}/history.csv"
_USE = (
    "`python examples/make_tiny_student.py` made it, in a minute on one core. The snippet runs as it is in the "
    f"root of the repository; `{HISTORY_FILE}` holds the last hours of the generated series."
)


def example_card(root: str | Path) -> ModelCard:
    """The card, from the results that lie in the example's folder.

    Args:
        root: of the repository.
    """
    results = json.loads((Path(root) / FOLDER / "results.json").read_text(encoding="utf-8"))
    about = {"history_file": HISTORY_FILE, "how_to_make": _USE, "has_code": False, "license": LICENSE}
    return student_card(results, FOLDER, plots=PLOTS, **about)


def write_history(folder: Path, steps: int = 96) -> None:
    """The last `steps` hours of the generated series, as a table to forecast from."""
    series = synthetic_series()
    table = pd.DataFrame(series.values.float().numpy(), columns=list(series.columns)).round(4)
    table.insert(0, series.timestamp_column, pd.DatetimeIndex(series.timestamps))
    table.tail(steps).to_csv(folder / "history.csv", index=False)
