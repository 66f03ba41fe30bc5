#!/usr/bin/env python
"""`timedistill write-forecasts` as a script, for `accelerate launch scripts/write_forecasts.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("write-forecasts")
