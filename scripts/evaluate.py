#!/usr/bin/env python
"""`timedistill evaluate` as a script, for `accelerate launch scripts/evaluate.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("evaluate")
