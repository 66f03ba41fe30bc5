"""Run by test_segments.py under accelerate: forecasts into a folder, with files as small as there."""

import sys

from timedistill_hf import Forecaster, forecast_fleet
from timedistill_hf.fleet import segments


def main() -> None:
    model, source, folder, rows = sys.argv[1:]
    segments.SEGMENT_ROWS = int(rows)
    forecast_fleet(Forecaster.from_pretrained(model), source, folder)


if __name__ == "__main__":
    main()
