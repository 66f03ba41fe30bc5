#!/usr/bin/env python
"""`timedistill train-teacher` as a script, for `accelerate launch scripts/train_teacher.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("train-teacher")
