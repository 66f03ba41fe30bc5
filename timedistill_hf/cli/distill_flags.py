"""The flags of `distill.py`, which `cache_teacher.py` takes too, so that it fills the store that the run looks for."""

from ..distillation.recipes import recipe_defaults
from ..settings.run import DataSettings, DistillSettings, StudentSettings
from .flags import DISTILL_TRAINING
from .parsing import parse


_STEPPING = {"max_steps", "eval_strategy", "eval_steps", "save_strategy", "save_steps"}


def parse_distill_flags(*others: type, **options) -> tuple:
    """[`DataSettings`], [`StudentSettings`], [`DistillSettings`], the training arguments, then instances of `others`.

    `options` are those of [`parse`].
    """
    types = (DataSettings, StudentSettings, DistillSettings, DISTILL_TRAINING, *others)
    return parse(types, recipe=distill_recipe, output_dir="runs/distill", **options)


def distill_recipe(known: dict) -> dict:
    """The defaults that the recipe sets, where what is `known` from file and flags leaves room for them."""
    from ..teachers import teacher_family_name

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
