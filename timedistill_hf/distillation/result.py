"""What a run of [`distill`] left: its student, its results, its plots."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .._utils.run_folder import RESULTS
from ..evaluation.results import Results
from ..student import TimeDistillForPrediction


if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ..forecasting.forecaster import Forecaster


class DistillResult:
    """A finished run, read from its folder when something is asked for.

    Args:
        folder: the run's `output_dir`.

    Raises:
        InputError: on access, where the folder holds no finished run.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    @cached_property
    def results(self) -> Results:
        """Errors, sizes and times of all models, and how they were made."""
        return Results.from_json(self.folder / RESULTS)

    @cached_property
    def student(self) -> TimeDistillForPrediction:
        """The student, in evaluation mode."""
        return TimeDistillForPrediction.from_pretrained(self.folder).eval()

    @cached_property
    def forecaster(self) -> "Forecaster":
        """Forecasts from tables and arrays, in the data's units."""
        from ..forecasting.forecaster import Forecaster

        return Forecaster.from_pretrained(str(self.folder))

    def leaderboard(self) -> "pd.DataFrame":
        """A row a model: `model`, `MSE`, `MAE` (standardised), `MASE`, `parameters`, `milliseconds` (batch 32)."""
        return self.results.leaderboard()

    def plot(self) -> "Figure":
        """Error against time of all models; the run's folder holds more plots (`*.png`)."""
        from ..plots.accuracy import accuracy_figure

        return accuracy_figure([self.results])
