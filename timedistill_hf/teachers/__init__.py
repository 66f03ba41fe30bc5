"""Teachers: whatever forecasts, behind one seam ([`TeacherSignal`]). A family is one file and one line here."""

import json
from importlib import import_module
from pathlib import Path

from ..errors import InputError
from .signal import Teacher, TeacherFamily, TeacherSignal


FAMILIES = {
    "patchtst": "patchtst",
    "itransformer": "itransformer",
}


def get_family(model_type: str) -> TeacherFamily:
    """The family of that `model_type`; an [`InputError`] lists the known ones."""
    if model_type not in FAMILIES:
        raise InputError(f"{model_type!r} is no teacher family known here: expected one of {', '.join(FAMILIES)}")
    return import_module(f".{FAMILIES[model_type]}", __name__).FAMILY


def load_teacher(name_or_path: str, *, revision: str | None = None) -> Teacher:
    """Load a trained teacher from a folder or the Hub (safetensors only) and freeze it.

    Raises:
        InputError: there is no such folder or Hub model, or its family is not known here.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(name_or_path, revision=revision)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"teacher {name_or_path!r} is neither a family ({', '.join(FAMILIES)}) nor a folder or Hub model that "
            f"can be read: {reason}"
        ) from error
    family = get_family(config.model_type)
    return Teacher(load_weights(family.model_class, name_or_path, revision), family)


def load_weights(model_class: type, name_or_path: str, revision: str | None = None):
    """`from_pretrained` with safetensors only; weights that are missing or broken are an [`InputError`]."""
    from safetensors import SafetensorError

    try:
        return model_class.from_pretrained(name_or_path, revision=revision, use_safetensors=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the weights of {name_or_path!r} cannot be loaded as {model_class.__name__}: {reason}"
        ) from error


def teacher_family_name(name_or_path: str) -> str | None:
    """The family of a teacher given by family name or local folder, without loading it; `None` where not known yet."""
    if name_or_path in FAMILIES:
        return name_or_path
    config = Path(name_or_path) / "config.json"
    if not config.is_file():
        return None
    try:
        return json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError):
        return None


__all__ = [
    "FAMILIES",
    "Teacher",
    "TeacherFamily",
    "TeacherSignal",
    "get_family",
    "load_teacher",
    "teacher_family_name",
]
