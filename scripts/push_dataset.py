#!/usr/bin/env python
"""`timedistill push-dataset` as a script, for `accelerate launch scripts/push_dataset.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("push-dataset")
