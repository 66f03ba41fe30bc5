#!/usr/bin/env python
"""Train a teacher with all of TrainingArguments at hand; `scripts/distill.py --teacher FOLDER` then takes it."""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.flags import FORECAST_TRAINING
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.run import DataSettings, TeacherSettings


def _family_defaults(known: dict) -> dict:
    from timedistill_hf.teachers import get_family

    return get_family(known.get("teacher", TeacherSettings.teacher)).training_defaults


def main() -> None:
    types = (DataSettings, TeacherSettings, FORECAST_TRAINING)
    data_settings, settings, args = parse(types, recipe=_family_defaults, output_dir="runs/teacher")

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.training.teacher_training import train_and_score_teacher

    set_up_logging(args)
    score = train_and_score_teacher(data_settings, settings, args)
    if score:
        print(
            f"test MSE {score['mse']:.4f}, MAE {score['mae']:.4f} on standardised values; saved in {args.output_dir}"
        )


if __name__ == "__main__":
    run_script(main)
