#!/usr/bin/env python
"""Export a student to ONNX: one graph that forecasts without Python, checked against the student before it is kept.

The graph takes `past_values` [batch, look-back, channels] and gives `prediction_outputs` [batch, horizon, channels],
both float32 and, unless told otherwise, in the data's units. Missing values have to be filled before. Its metadata
(timedistill.*) hold columns, lengths, frequency and scaler.
"""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.cli.table_settings import ExportSettings


def main() -> None:
    (settings,) = parse((ExportSettings,), description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.export import export_file

    set_up_logging()
    print(export_file(settings))


if __name__ == "__main__":
    run_script(main)
