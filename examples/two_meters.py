#!/usr/bin/env python
"""Write meters.csv, a table as one finds it: two ids, a zone, rows left out, a stretch without values."""

import sys

import numpy as np
import pandas as pd


def two_meters(days: int = 120) -> pd.DataFrame:
    """Hourly load of two meters in kW, around the end of summer time in Berlin."""
    clock = pd.date_range("2023-08-20", periods=24 * days, freq="h", tz="Europe/Berlin")
    rng = np.random.default_rng(0)
    hour, weekday = clock.hour.to_numpy(), clock.day_of_week.to_numpy()
    tables = []
    for meter, level, swing in (("0042", 300, 120), ("17-B", 40, 25)):
        load = level + swing * np.sin((hour - 9) * np.pi / 12) - 0.3 * swing * (weekday >= 5)
        load = load + 0.1 * swing * rng.standard_normal(len(clock)).cumsum() / 8
        load = load + 0.1 * swing * rng.standard_normal(len(clock))
        tables.append(pd.DataFrame({"meter": meter, "time": clock, "load_kw": load.round(2)}))
    first, second = tables
    first = first.drop(index=range(500, 505))  # five hours that were never written
    second.loc[900:935, "load_kw"] = np.nan  # a day and a half without values
    table = pd.concat([first, second], ignore_index=True)
    return table.assign(time=table["time"].map(lambda stamp: stamp.isoformat(sep=" ")))


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "meters.csv"
    two_meters().to_csv(path, index=False)
    print(path)
