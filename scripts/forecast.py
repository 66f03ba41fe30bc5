#!/usr/bin/env python
"""`timedistill forecast` as a script, for `accelerate launch scripts/forecast.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("forecast")
