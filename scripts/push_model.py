#!/usr/bin/env python
"""`timedistill push` as a script, for `accelerate launch scripts/push_model.py`."""

from timedistill_start import main


if __name__ == "__main__":
    main("push")
