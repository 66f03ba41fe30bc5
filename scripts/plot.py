#!/usr/bin/env python
"""Plots of a finished run: forecast, scales, periods, losses, accuracy; or accuracy against latency of many runs."""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.outputs import PlotSettings


def main() -> None:
    (settings,) = parse((PlotSettings,), description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.plots.run import replot

    set_up_logging()
    for path in replot(settings):
        print(path)


if __name__ == "__main__":
    run_script(main)
