#!/usr/bin/env python
"""What `predict_df` costs for many series that the model has never seen.

    python benchmarks/predict_df.py --output benchmarks/results/predict_df.json

20,000 series of 512 hourly steps, horizon 96, one thread, a two-branch student of width 512 (untrained: time does not
depend on the weights). The four tables take turns; given are the medians over the rounds of wall and processor time,
and how far the first round raises the process's peak memory.
"""

import argparse
import resource
import statistics
import time

import numpy as np
import pandas as pd
import torch
from tabulate import tabulate

from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction, TimeDistillProcessor
from timedistill_hf._utils.files import write_json
from timedistill_hf.evaluation.report import hardware, versions


STEPS, HORIZON = 512, 96


def tables(num_series: int) -> dict[str, pd.DataFrame]:
    """The same values, as tables of four kinds."""
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=STEPS, freq="h")
    plain = pd.DataFrame(
        {
            "id": np.repeat(np.array([f"s{number:06d}" for number in range(num_series)]), STEPS),
            "time": np.tile(hours, num_series),
            "value": rng.standard_normal(num_series * STEPS),
        }
    )
    zoned = plain.assign(time=plain["time"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"))
    gaps = plain.assign(value=plain["value"].where(rng.random(len(plain)) > 0.1))
    shuffled = plain.sample(frac=1, random_state=0)
    return {
        "rows grouped by id": plain,
        "the same, with a time zone": zoned,
        "a tenth of the cells missing": gaps,
        "all rows shuffled": shuffled,
    }


def forecaster() -> Forecaster:
    config = TimeDistillConfig(
        context_length=STEPS, prediction_length=HORIZON, num_input_channels=1, hidden_size=512, hidden_norm="layernorm"
    )
    processor = TimeDistillProcessor(["value"], [0.0], [1.0], STEPS, HORIZON, freq="h", season=24)
    return Forecaster(TimeDistillForPrediction(config).eval(), processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", help="JSON file for the results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    sides, serve = tables(args.series), forecaster()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    peaks = {}
    for _ in range(args.rounds):
        for name, table in sides.items():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            wall, own = time.perf_counter(), time.process_time()
            forecast = serve.predict_df(table, id_column="id", scaling="history")
            seconds[name].append((time.perf_counter() - wall, time.process_time() - own))
            peaks.setdefault(name, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6)
            assert len(forecast) == args.series * HORIZON
    medians = {name: [statistics.median(column) for column in zip(*each)] for name, each in seconds.items()}
    rows = [[name, *medians[name], args.series / medians[name][0], peaks[name]] for name in sides]
    headers = ["table", "wall, s", "processor, s", "series / s", "peak memory more, GB"]
    print(tabulate(rows, headers, "github", floatfmt=("", ".1f", ".1f", ",.0f", ".2f")))
    if args.output:
        write_json(
            args.output,
            {
                "series": args.series,
                "steps": STEPS,
                "prediction_length": HORIZON,
                "seconds": seconds,
                "peak_gb": peaks,
                "hardware": hardware(torch.device("cpu")),
                "versions": versions(),
            },
        )


if __name__ == "__main__":
    main()
