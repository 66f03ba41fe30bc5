#!/usr/bin/env python
"""Write a trained teacher's forecasts of all windows to a file that is a teacher: `distill.py --teacher f.parquet`."""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.outputs import WriteForecastsSettings
from timedistill_hf.settings.run import DataSettings


def main() -> None:
    data, settings = parse((DataSettings, WriteForecastsSettings))

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.signal_store.writing import write_forecasts_of_saved_model

    set_up_logging()
    print(f"Forecasts are in {write_forecasts_of_saved_model(data, settings)}")


if __name__ == "__main__":
    run_script(main)
