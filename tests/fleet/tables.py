"""Long tables, and a student that forecasts them, for the tests of fleets."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd

from tests.student.models import LENGTHS, tiny
from timedistill_hf import Forecaster, TimeDistillProcessor


L, S = LENGTHS["context_length"], LENGTHS["prediction_length"]

IDS = {
    "text": lambda number: f"shop {97 * number % 499:03d}",
    "number": lambda number: 1000 - 7 * number,
    "date": lambda number: date(2020, 1, 1 + number),
    "decimal": lambda number: Decimal(number) / 4,
    "fraction": lambda number: number / 8,
    "categorical": lambda number: f"k{97 * number % 499}",
}
DTYPES = {"categorical": "category", "text": "str", "number": "int32"}


def forecaster(**options) -> Forecaster:
    """A random student for any series, and the processor of a training on hourly values `y`."""
    settings = {
        "columns": ["1000", "k97"], "mean": [5.0, -1.0], "std": [2.0, 0.5], **LENGTHS, "timestamp_column": "ds",
        "freq": "h", "season": 7, "id_column": "item", "target_columns": ["y"],
    }  # fmt: skip
    members = [{"architecture": "residual"}, {"architecture": "cycle"}]
    return Forecaster(tiny("combination", members=members), TimeDistillProcessor(**settings | options))


def fleet(
    lengths: list[int], *, ids: str = "text", zone: str | None = None, unit: str = "us", seed: int = 0, targets=("y",)
) -> pd.DataFrame:
    """Series of these lengths, each with an end of its own, with missing cells and left-out steps."""
    rng, parts = np.random.default_rng(seed), []
    for number, length in enumerate(lengths):
        start = pd.Timestamp("2024-03-25") + pd.Timedelta(hours=int(rng.integers(0, 200)))
        stamps = pd.Series(pd.date_range(start, periods=length, freq="h", tz="UTC")).dt.tz_convert(zone or "UTC")
        stamps = (stamps if zone else stamps.dt.tz_localize(None)).dt.as_unit(unit)
        part = pd.DataFrame({"x": 1, "item": [IDS[ids](number)] * length, "ds": stamps})
        for target in targets:
            part[target] = np.where(rng.random(length) < 0.1, np.nan, rng.normal(size=length) * 10 + number)
        part = part.drop(columns="x")[[targets[0], "item", "ds", *targets[1:]]]
        kept = rng.random(length) > 0.05
        kept[-1] = True
        parts.append(part[kept])
    frame = pd.concat(parts, ignore_index=True)
    return frame.astype({"item": DTYPES[ids]}) if ids in DTYPES else frame
