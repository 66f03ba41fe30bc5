#!/usr/bin/env python
"""`timedistill fleet` as a script, for `accelerate launch scripts/forecast_fleet.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("fleet")
