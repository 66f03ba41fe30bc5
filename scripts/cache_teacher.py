#!/usr/bin/env python
"""Store a trained teacher's forecasts (and features) of all training windows, for distill.py to find.

Takes the flags of distill.py: the command of a run, its script's name changed, fills the very store that the run looks
for (which windows, which teachers, whether students of that recipe learn from features). --signal_dir says where.
"""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.distill_flags import parse_distill_flags
from timedistill_hf.cli.parsing import run_script
from timedistill_hf.settings.outputs import CacheSettings


def main() -> None:
    *settings, args, how = parse_distill_flags(CacheSettings, description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.distillation.cache_teacher import cache_teacher

    set_up_logging(args)
    summary = cache_teacher(*settings, args, forecasts_only=how.forecasts_only, estimate=how.estimate)
    if args.should_save:
        print(summary)


if __name__ == "__main__":
    run_script(main)
