#!/usr/bin/env python
"""Forecast the real future of a table: CSV or Parquet in, CSV or Parquet out, in the data's units.

The output has the input's columns, ids and order; columns that the model does not know are left out. Only the last
look-back of the history counts: a shorter one is filled up with missing steps in front, but each series needs a season
of known values in it. Left-out steps, empty cells and the sentinel of training are missing. All ids of a long table
are forecast from its last timestamp. Infinite values, another frequency than in training, columns that are missing,
and ids that are missing or unknown are errors.

With --each_series every series is forecast by itself, from its own last timestamp on: ids may be unknown to the model,
end at different times and be short. That takes a student whose weights are free of the channel count.
"""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.tables import ForecastSettings


def main() -> None:
    (settings,) = parse((ForecastSettings,), description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.forecasting.forecaster import forecast_file

    set_up_logging()
    print(forecast_file(settings))


if __name__ == "__main__":
    run_script(main)
