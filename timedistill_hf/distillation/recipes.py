"""Named sets of defaults: a recipe fills what is not given."""

from collections.abc import Mapping

from .._utils.errors import InputError, did_you_mean
from ..settings.run import DataSettings, DistillSettings, TeacherSettings, as_list
from ..teachers import teacher_family_name


# alpha, beta by teacher family and data set: the published scripts (arXiv 2502.15016); everything else is 1, 1
_PAPER_WEIGHTS = {
    "itransformer": {
        "electricity": (0.1, 0.5),
        "traffic": (0.5, 0.5),
        "solar": (0.1, 1.0),
        "etth1": (2.0, 2.0),
        "etth2": (1.0, 0.5),
        "ettm1": (1.0, 1.0),
        "ettm2": (1.0, 0.1),
        "weather": (0.1, 0.1),
    },
    "modern_tcn": {
        "electricity": (0.1, 0.5),
        "traffic": (0.1, 0.1),
        "solar": (0.1, 2.0),
        "etth1": (2.0, 2.0),
        "etth2": (2.0, 0.5),
        "ettm1": (2.0, 0.1),
        "ettm2": (2.0, 0.5),
        "weather": (0.5, 2.0),
    },
}
_PAPER_TEACHERS = {
    "itransformer": {
        "etth2": {"d_model": 128, "ffn_dim": 128},
        "electricity": {"num_hidden_layers": 3, "d_model": 512, "ffn_dim": 512},
    },
    "modern_tcn": {name: {"ffn_ratio": 8} for name in ("ettm1", "ettm2", "weather", "electricity", "traffic")},
}
_PAPER_EPOCHS = {"electricity": 30, "solar": 30, "traffic": 10}


def paper(dataset: str, teacher_family: str | None) -> dict:
    """As published for that data set and teacher: student, objective, schedule, no clipping, and the teacher's size.

    A part of a benchmark (`traffic_sub6`) takes the whole one's settings. How a teacher is trained is its family's
    affair (`training_defaults`): iTransformer as published, PatchTST with longer patches and absolute error.
    """
    benchmark = dataset.lower().split("_sub")[0]
    alpha, beta = _PAPER_WEIGHTS.get(teacher_family, {}).get(benchmark, (1.0, 1.0))
    is_traffic = benchmark == "traffic"
    teacher = _PAPER_TEACHERS.get(teacher_family, {}).get(benchmark)
    return {
        **({"teacher_config": teacher} if teacher else {}),
        "context_length": 720,
        "prediction_length": 96,
        "architecture": "two_branch",
        "hidden_size": 1024 if is_traffic else 512,
        "moving_average": 25,
        "normalization": "revin" if is_traffic else "mean",
        "hidden_norm": "batchnorm",
        "alpha": alpha,
        "beta": beta,
        "temperature": 0.5,
        "kl_reduction": "element",
        "kl_floor": 1e-8,
        "feature_pooling": "flatten",
        "loss": "mse",
        "learning_rate": 0.01,
        "lr_epoch_decay": 0.5,
        "lr_constant_epochs": 2,
        "weight_decay": 0.0,
        "max_grad_norm": 0.0,
        "per_device_train_batch_size": 8 if is_traffic else 32,
        "num_train_epochs": _PAPER_EPOCHS.get(benchmark, 100),
        "early_stopping_patience": 5,
    }


_BEST_MEMBERS = (
    {"architecture": "linear", "ridge": True},
    {"architecture": "linear", "normalization": "last", "ridge": True},
    {"architecture": "residual", "normalization": "revin", "core": "patch_mixer", "hidden_size": 64, "dropout": 0.2},
)


def best(dataset: str, teacher_family: str | None) -> dict:
    """The same for every data set: small forms, each with and without the teacher's help, combined on validation.

    The members that are linear in the window fold into one matrix. What led to it is in docs/research.md.
    """
    return {
        "context_length": 720,
        "prediction_length": 96,
        "architecture": "combination",
        "members": _BEST_MEMBERS,
        "teacher_mix": "validation",
        "shrinkage": 0.5,
        "series_per_batch": 320,
        "alpha": 0.5,
        "beta": 0.0,
        "loss": "mae",
        "frequency_weight": 0.35,
        "teacher_loss": "mae",
        "learning_rate": 1e-3,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.2,
        "weight_decay": 0.01,
        "max_grad_norm": 0.0,
        "num_train_epochs": 6,
        "step_limit": 2000,
        "early_stopping_patience": 0,
    }


RECIPES = {"paper": paper, "best": best}


def recipe_defaults(name: str, dataset: str, teacher_family: str | None) -> dict:
    """The defaults that recipe `name` sets; an [`InputError`] lists the known ones."""
    if name not in RECIPES:
        raise InputError(f"recipe={name!r}: expected one of {', '.join(RECIPES)}{did_you_mean(name, RECIPES)}")
    return RECIPES[name](dataset, teacher_family)


_STEPPING = {"max_steps", "eval_strategy", "eval_steps", "save_strategy", "save_steps"}


def with_recipe(given: Mapping) -> dict:
    """The given settings, completed by those of the recipe that do not conflict with them."""
    teachers = as_list(given.get("teacher", TeacherSettings.teacher))
    family = teacher_family_name(teachers[0].removesuffix(" model").removesuffix(" teacher"))
    defaults = recipe_defaults(
        given.get("recipe", DistillSettings.recipe), given.get("dataset", DataSettings.dataset), family
    )
    if teachers != [family]:
        defaults.pop("teacher_config", None)  # trained already, or not all of that family
    if given.get("architecture", "combination") != "combination":
        defaults.pop("members", None)
    if "per_device_train_batch_size" in given:
        defaults.pop("series_per_batch", None)
    if _STEPPING & set(given):
        defaults.pop("step_limit", None)
    return defaults | dict(given)
