#!/usr/bin/env python
"""`timedistill backtest` as a script, for `accelerate launch scripts/backtest.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("backtest")
