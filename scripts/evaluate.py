#!/usr/bin/env python
"""Score a saved student or teacher on the test windows of a data set."""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.run import DataSettings, EvaluateSettings


def main() -> None:
    data_settings, settings = parse((DataSettings, EvaluateSettings))

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.evaluation.report import results_table
    from timedistill_hf.forecasting.evaluate import evaluate_saved_model

    set_up_logging()
    results = evaluate_saved_model(data_settings, settings)
    note = f" ({results['data']['note']})" if results["data"]["note"] else ""
    print(f"\n{settings.model} on {results['data']['name']}{note}, all test windows\n")
    print(results_table(results["models"]))
    units = results["models"][results["role"]]["units"]
    print(
        f"\nIn the data's units: MAE {units['mae']:.4g}, RMSE {units['rmse']:.4g}, sMAPE {units['smape']:.2f} %, "
        f"MASE {units['mase']:.3f} (season of {units['season']} steps)"
    )


if __name__ == "__main__":
    run_script(main)
