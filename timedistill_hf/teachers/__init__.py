"""Teachers: whatever forecasts, behind one seam ([`TeacherSignal`]). A family is one file and one line here."""

import logging
from importlib import import_module
from pathlib import Path

import torch
from transformers import PreTrainedConfig

from .._utils.errors import InputError, did_you_mean
from .._utils.pretrained import as_input_error, commit_of, hub_options, load_weights, read_config
from .signal import FrozenTeacher, Teacher, TeacherFamily, TeacherSignal


logger = logging.getLogger(__name__)

_ANY_LOOK_BACK = 512  # of a teacher that reads any

FAMILIES = {
    "patchtst": "patchtst",
    "itransformer": "itransformer",
    "modern_tcn": "modern_tcn",
    "timesnet": "timesnet",
    "time_mixer": "time_mixer",
    "informer": "informer",
    "patchtsmixer": "patchtsmixer",
    "autoformer": "autoformer",
    "time_series_transformer": "time_series_transformer",
    "timesfm": "timesfm",
    "timesfm2_5": "timesfm2_5",
    "chronos": "chronos",
}


def get_family(model_type: str) -> TeacherFamily:
    """The family of that `model_type`; an [`InputError`] lists the known ones."""
    if model_type not in FAMILIES:
        raise InputError(
            f"{model_type!r} is no teacher family known here: expected one of {', '.join(FAMILIES)}"
            f"{did_you_mean(model_type, FAMILIES)}"
        )
    return import_module(f".families.{FAMILIES[model_type]}", __name__).FAMILY


def trainable_families() -> list[str]:
    """The families that are trained here; the others are used as they were trained elsewhere."""
    return sorted(name for name in FAMILIES if not get_family(name).checkpoint)


def load_teacher(
    name_or_path: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    feature_pooling: str | None = None,
    **kwargs,
) -> Teacher:
    """Load a trained teacher from a folder or the Hub (safetensors only) and freeze it.

    A model of a family that is not known here is read as [`GenericFamily`] says.

    Args:
        name_or_path: a folder or a Hub id.
        revision: branch, tag or commit of a Hub model.
        trust_remote_code: run the Python files that come with the model.
        feature_pooling: of a feature that has patches: `"flatten"`, `"mean"` or `"last"`; its family's default if not
            given.
        kwargs: for the model's `from_pretrained`, such as `token`.

    Raises:
        InputError: there is no such folder or Hub model, or it may not be read; it is no forecaster that can be read,
            or its weights are broken.
    """
    name_or_path = str(name_or_path)
    options = hub_options(kwargs)
    revision = commit_of_teacher(name_or_path, revision, **options)
    config = read_config(name_or_path, _problem(name_or_path), revision, trust_remote_code, **options)
    model_type = _model_type(config.to_dict())
    with as_input_error(f"teacher {name_or_path!r} cannot be read as {model_type!r}"):
        if model_type in FAMILIES:
            family = get_family(model_type)
        else:
            from .generic import generic_family

            family = generic_family(config, name_or_path, FAMILIES, revision, trust_remote_code)
        model = load_weights(family.class_of(config), name_or_path, revision, config, **kwargs)
        teacher = Teacher(model, family, feature_pooling=feature_pooling)
        remark = family.remark(teacher.config)
        _try_out(teacher)
    if remark:
        logger.info("Teacher %s: %s", model_type, remark)
    return teacher


def _try_out(teacher: Teacher) -> None:
    """Let it forecast one window: some of a configuration shows only there, and is said now, not in training."""
    config, family = teacher.config, teacher.family
    length, channels = family.look_back(config) or _ANY_LOOK_BACK, family.channels(config) or 1
    lengths = {"past_time_features": length, "future_time_features": teacher.prediction_length}
    shapes = {name: (1, steps, teacher.num_time_features) for name, steps in lengths.items()}
    time_features = {name: torch.zeros(shape, device=teacher.device) for name, shape in shapes.items()}
    window = torch.arange(length, device=teacher.device).sin()[None, :, None].expand(1, length, channels)
    with torch.random.fork_rng(devices=[]):  # training is the same with it and without
        signal = teacher(
            window.to(teacher.device), **{name: x.to(teacher.device) for name, x in time_features.items()}
        )
    expected, found = (1, teacher.prediction_length, channels), tuple(signal.prediction_outputs.shape)
    if found != expected or not signal.prediction_outputs.isfinite().all():
        raise ValueError(f"it forecasts {found} values, expected {expected} finite ones (windows, steps, channels)")


def commit_of_teacher(name_or_path: str, revision: str | None = None, **options) -> str | None:
    """See [`commit_of`]."""
    return commit_of(name_or_path, _problem(name_or_path), revision, tuple(FAMILIES), **options)


def _problem(name_or_path: str) -> str:
    families = ", ".join(FAMILIES)
    return f"teacher {name_or_path!r} is neither a family ({families}) nor a folder or Hub model that can be read"


def _model_type(config: dict) -> str | None:
    """The `model_type`; that of Chronos models, which call themselves T5, is `"chronos"`."""
    return "chronos" if "chronos_config" in config else config.get("model_type")


def teacher_family_name(name_or_path: str) -> str | None:
    """The family of a teacher given by family name, folder or Hub id, without its weights; `None` where not known."""
    if name_or_path in FAMILIES:
        return name_or_path
    if not Path(name_or_path).is_dir() and name_or_path.count("/") != 1:
        return None
    try:
        content, _ = PreTrainedConfig.get_config_dict(name_or_path)
    except Exception:  # whatever is wrong with it is said when it is loaded
        return None
    name = _model_type(content) if isinstance(content, dict) else None
    return name if isinstance(name, str) else None


__all__ = [
    "FAMILIES",
    "FrozenTeacher",
    "Teacher",
    "TeacherFamily",
    "TeacherSignal",
    "get_family",
    "load_teacher",
    "teacher_family_name",
    "trainable_families",
]
