#!/usr/bin/env python
"""Distil a teacher into a small student: `accelerate launch scripts/distill.py --dataset etth1 --data_dir DIR ...`."""

from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.cli.settings import DataSettings, DistillSettings, StudentSettings
from timedistill_hf.training.arguments import TimeDistillTrainingArguments
from timedistill_hf.training.recipes import recipe_defaults


_STEPPING = {"max_steps", "eval_strategy", "eval_steps", "save_strategy", "save_steps"}


def _recipe(known: dict) -> dict:
    from timedistill_hf.teachers import teacher_family_name

    teachers = known.get("teacher", ["itransformer"])
    teacher = teachers[0]
    family = teacher_family_name(teacher)
    name = known.get("recipe", DistillSettings.recipe)
    defaults = recipe_defaults(name, known.get("dataset", DataSettings.dataset), family)
    if teacher != family or len(teachers) > 1:
        defaults.pop("teacher_config", None)  # trained already, or not all of that family
    if known.get("architecture", "combination") != "combination":
        defaults.pop("members", None)
    if "per_device_train_batch_size" in known:
        defaults.pop("series_per_batch", None)
    if _STEPPING & set(known):
        defaults.pop("step_limit", None)
    return defaults


def main() -> None:
    types = (DataSettings, StudentSettings, DistillSettings, TimeDistillTrainingArguments)
    data, student, settings, args = parse(types, recipe=_recipe, output_dir="runs/distill")

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.distillation import Distillation
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
