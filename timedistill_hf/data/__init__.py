"""Series in, windows out: sources -> series -> splits -> windows."""

from .loading import load_data
from .series import Series
from .sources import load_series
from .splits import Split, SplitSpec, parse_split
from .synthetic import synthetic_series
from .windows import ForecastData, WindowDataset, make_windows


__all__ = [
    "ForecastData",
    "Series",
    "Split",
    "SplitSpec",
    "WindowDataset",
    "load_data",
    "load_series",
    "make_windows",
    "parse_split",
    "synthetic_series",
]
