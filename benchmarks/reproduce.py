#!/usr/bin/env python
"""Run a matrix of data set x horizon x teacher x recipe x seed, and write the document of its results.

Estimates are printed first; with --dry_run the commands too, and nothing is run. Interrupted in any way, the same
command goes on: finished cells are skipped, the others resume. With --report the results that are there become
docs/results.md, its plots and docs/results.json.
"""

import sys
from pathlib import Path

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script


ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.harness.settings import ReproduceSettings  # noqa: E402


def main() -> None:
    (settings,) = parse((ReproduceSettings,), description=__doc__)

    from benchmarks.harness.session import report, reproduce
    from timedistill_hf.cli.logging import set_up_logging

    set_up_logging()
    if settings.report:
        print(report(settings))
    elif not reproduce(settings, scripts=ROOT / "scripts"):
        raise SystemExit(1)


if __name__ == "__main__":
    run_script(main)
