#!/usr/bin/env python
"""Forecast more series than memory holds: Parquet in, Parquet out, in the data's units.

The input is a long table (ids, timestamps, values) in one .parquet file, or in a folder of them read in the order of
their names; the rows of a series are together, in any order. The output is the table that scripts/forecast.py
--each_series would write: ids in their order and of their own type, timestamps in their zone and unit. Only some
series are in memory at once. Under accelerate launch each process forecasts a share of the series.
"""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.tables import FleetSettings


def main() -> None:
    (settings,) = parse((FleetSettings,), description=__doc__)

    from accelerate import PartialState

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.forecasting.fleet.forecasting import forecast_fleet_file

    set_up_logging()
    line = forecast_fleet_file(settings)
    if PartialState().is_main_process:
        print(line)
    PartialState().destroy_process_group()


if __name__ == "__main__":
    run_script(main)
