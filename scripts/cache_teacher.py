#!/usr/bin/env python
"""`timedistill cache-teacher` as a script, for `accelerate launch scripts/cache_teacher.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("cache-teacher")
