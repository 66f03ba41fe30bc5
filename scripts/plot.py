#!/usr/bin/env python
"""`timedistill plot` as a script, for `accelerate launch scripts/plot.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("plot")
