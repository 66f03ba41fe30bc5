#!/usr/bin/env python
"""Rolling backtest of a saved model: forecasts from past cutoffs beside the truth, and what errors they make.

The forecasts go to a CSV or Parquet file, one row for each series, cutoff and step, with the truth and the seasonal
naive forecast; the metrics, of each series and over all, to a JSON file of that name. A student whose weights are free
of the channel count is tested on any series, each by itself; every other model on the series of its training together.
"""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.tables import BacktestSettings


def main() -> None:
    (settings,) = parse((BacktestSettings,), description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.forecasting.backtest import backtest_file

    set_up_logging()
    print(backtest_file(settings))


if __name__ == "__main__":
    run_script(main)
