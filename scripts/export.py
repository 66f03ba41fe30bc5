#!/usr/bin/env python
"""Export a student to ONNX: one graph that forecasts without Python, checked against the student before it is kept.

The graph takes `past_values` [batch, look-back, channels], NaN where missing, and gives `prediction_outputs` [batch,
horizon, channels]: float64 in the data's units or, with --units standardized, float32 as the student itself. Its
metadata (timedistill.*) hold columns, lengths, frequency and scaler: docs/onnx.md.
"""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.tables import ExportSettings


def main() -> None:
    (settings,) = parse((ExportSettings,), description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.forecasting.onnx import export_file

    set_up_logging()
    print(export_file(settings.model, settings.output, revision=settings.revision, units=settings.units))


if __name__ == "__main__":
    run_script(main)
