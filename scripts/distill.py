#!/usr/bin/env python
"""`timedistill distill` as a script, for `accelerate launch scripts/distill.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("distill")
