#!/usr/bin/env python
"""Run a matrix of data set x horizon x teacher x recipe x seed, and write the document of its results.

Estimates are printed first; with --dry_run the commands too, and nothing is run. Interrupted in any way, the same
command goes on: finished cells are skipped, the others resume. With --report the results that are there become
docs/results.md, its plots and docs/results.json.
"""

from pathlib import Path

from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.reproduction.settings import ReproduceSettings


def main() -> None:
    (settings,) = parse((ReproduceSettings,), description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.reproduction.session import report, reproduce

    set_up_logging()
    if settings.report:
        print(report(settings))
    elif not reproduce(settings, scripts=Path(__file__).resolve().parent):
        raise SystemExit(1)


if __name__ == "__main__":
    run_script(main)
