#!/usr/bin/env python
"""`timedistill export` as a script, for `accelerate launch scripts/export.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("export")
