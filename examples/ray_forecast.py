#!/usr/bin/env python
"""Forecast a fleet that outgrows one machine with Ray Data: a folder of Parquet files in, one of forecasts out.

    pip install ".[ray]"
    python examples/ray_forecast.py --model runs/student --input fleet/ --output forecasts/ --workers 2

Ray's own reader cuts files into blocks without regard to where a series ends, and putting series together again
(`groupby(id).map_groups(...)`) sorts and moves the whole table between the machines. A fleet is better written so that
each file holds whole series, with the rows of each together, as `PARTITION BY` or a bucket of the id writes it. Then
the files are the unit of work: Ray hands out their names, an actor loads the student once and forecasts file after
file with `forecast_fleet`, in bounded memory, and only names and counts travel. File x of the output holds the
forecasts of file x of the input, its ids in their order.

On a cluster, start with RAY_ADDRESS set, and name folders that all machines see.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import ray
import torch

from timedistill_hf import Forecaster, forecast_fleet


class ForecastFiles:
    """An actor: loads the student once, and forecasts one file a call."""

    def __init__(self, model: str, output: str, options: dict):
        torch.set_num_threads(1)  # a worker a core
        self.forecaster = Forecaster.from_pretrained(model)
        self.output = Path(output)
        self.options = options

    def __call__(self, row: dict) -> dict:
        source = Path(row["item"])
        report = forecast_fleet(self.forecaster, source, self.output / source.name, **self.options)
        return {"file": source.name, "series": report.num_series, "seconds": report.seconds}


def forecast_files(model: str, source: Path, output: Path, options: dict, workers: int) -> pd.DataFrame:
    """What was done, a row a file; the forecasts are in `output`."""
    paths = [str(path) for path in sorted(source.glob("*.parquet"))]
    done = ray.data.from_items(paths, override_num_blocks=len(paths)).map(
        ForecastFiles, fn_constructor_args=(model, str(output), options), concurrency=workers, num_cpus=1
    )
    return done.to_pandas().sort_values("file", ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder or Hub id of a student")
    parser.add_argument("--input", required=True, type=Path, help="folder of .parquet files")
    parser.add_argument("--output", required=True, type=Path, help="folder for the forecasts, a new one")
    parser.add_argument("--id_column", default="id")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.output.mkdir(parents=True)
    model = str(Path(args.model).absolute()) if Path(args.model).is_dir() else args.model
    source, output, options = args.input.absolute(), args.output.absolute(), {"id_column": args.id_column}
    ray.init(runtime_env={"env_vars": {"TQDM_DISABLE": "1"}})  # workers' bars would run into each other
    begin = time.perf_counter()
    done = forecast_files(model, source, output, options, args.workers)
    seconds = time.perf_counter() - begin
    print(done.to_string(index=False, float_format="{:.1f}".format))
    print(f"{done['series'].sum():,} series in {seconds:.1f} s, the start of {args.workers} workers included")


if __name__ == "__main__":
    main()
