#!/usr/bin/env python
"""Distil a teacher into a small student: `accelerate launch scripts/distill.py --dataset etth1 --data_dir DIR ...`."""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.distill_flags import parse_distill_flags
from timedistill_hf.cli.parsing import run_script


def main() -> None:
    data, student, settings, args = parse_distill_flags()

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.distillation.distill import Distillation
    from timedistill_hf.evaluation.report import results_table

    set_up_logging(args)
    results = Distillation(data, student, settings, args).run()
    if results:
        note = f" ({results['data']['note']})" if results["data"]["note"] else ""
        print(
            f"\n{results['data']['name']}{note}: {data.context_length} -> {data.prediction_length}, all test windows\n"
        )
        print(results_table(results["models"]))
        print(f"\nStudent, card (README.md), plots (*.png) and results.json are in {args.output_dir}")


if __name__ == "__main__":
    run_script(main)
