"""Teachers: whatever forecasts, behind one seam ([`TeacherSignal`]). A family is one file and one line here."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from transformers import PreTrainedConfig

from ..errors import InputError, did_you_mean
from ..hub.reasons import hub_reason
from .signal import FrozenTeacher, Teacher, TeacherFamily, TeacherSignal


logger = logging.getLogger(__name__)

_CONFIG = "config.json"
_HUB_OPTIONS = ("token", "cache_dir", "local_files_only", "force_download")
_REMEDY = "give the folder or Hub id of a trained model"

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
    return import_module(f".{FAMILIES[model_type]}", __name__).FAMILY


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
    if model_type in FAMILIES:
        family = get_family(model_type)
    else:
        from .generic import generic_family

        family = generic_family(config, name_or_path, FAMILIES, revision, trust_remote_code)
    model = load_weights(family.class_of(config), name_or_path, revision, **kwargs)
    teacher = Teacher(model, family, feature_pooling=feature_pooling)
    remark = family.remark(teacher.config)
    if remark:
        logger.info("Teacher %s: %s", model_type, remark)
    return teacher


def commit_of_teacher(name_or_path: str, revision: str | None = None, **options) -> str | None:
    """See [`commit_of`]."""
    return commit_of(name_or_path, _problem(name_or_path), revision, **options)


def _problem(name_or_path: str) -> str:
    families = ", ".join(FAMILIES)
    return f"teacher {name_or_path!r} is neither a family ({families}) nor a folder or Hub model that can be read"


def hub_options(kwargs: dict) -> dict:
    """Those of a model's `from_pretrained` that say how the Hub is asked: its configuration is read alike."""
    return {name: kwargs[name] for name in _HUB_OPTIONS if name in kwargs}


def commit_of(name_or_path: str, problem: str, revision: str | None = None, **options) -> str | None:
    """The commit that a Hub model is at, so that all of it is read from there; of a folder, `revision` as it is.

    `options` are those of [`hub_options`].

    Raises:
        InputError: there is no such model, or it may not be read; it begins with `problem`.
    """
    from huggingface_hub import hf_hub_download

    path = Path(name_or_path)
    if path.is_dir() and (path / _CONFIG).is_file():
        return revision
    if path.is_dir():
        raise InputError(f"{problem}: it holds no config.json; {_REMEDY}")
    if path.is_file():
        raise InputError(f"{problem}: it is a file; {_REMEDY}")
    if path.is_absolute() or len(path.parts) > 2 or name_or_path.startswith((".", "~")):
        raise InputError(f"{problem}: there is no such folder; {_REMEDY}")
    try:
        return Path(hf_hub_download(name_or_path, _CONFIG, revision=revision, **options)).parent.name
    except Exception as error:
        reason = hub_reason(error, name_or_path, "model", revision, options.get("token"))
        if reason is None and not isinstance(error, (OSError, ValueError)):
            raise
        nearest = did_you_mean(name_or_path, FAMILIES, "" if reason else f"; {_REMEDY}")
        raise InputError(f"{problem}: {reason or _reason(error)}{nearest}") from error


def load_weights(model_class: type, name_or_path: str, revision: str | None = None, **kwargs):
    """`from_pretrained` with safetensors only; an [`InputError`] where they are not exactly that model's weights.

    transformers would fill in weights that lack with random ones, and leave out those that it does not know.
    """
    from safetensors import SafetensorError

    problem = f"the weights of {str(name_or_path)!r} cannot be loaded as {model_class.__name__}"
    remedy = "expected the safetensors file that was saved with its config.json"
    checks = {"use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
    kwargs = {"dtype": "float32"} | kwargs | checks
    try:
        with _quiet():
            model, report = model_class.from_pretrained(name_or_path, revision=revision, **kwargs)
    except Exception as error:
        reason = hub_reason(error, str(name_or_path), "model", revision, kwargs.get("token"))
        if reason is not None:
            raise InputError(f"{problem}: {reason}") from error
        if not isinstance(error, (OSError, RuntimeError, SafetensorError, ValueError)):
            raise
        raise InputError(f"{problem}: {_reason(error)}; {remedy} (pickled weights are not read)") from error
    for name, found, wanted in sorted(report["mismatched_keys"]):
        raise InputError(f"{problem}: {name!r} is of shape {tuple(found)}, not {tuple(wanted)}; {remedy}")
    for kind, what in (("missing_keys", "lack"), ("unexpected_keys", "hold more than that model has,")):
        for name in sorted(report[kind]):
            raise InputError(f"{problem}: they {what} {name!r}; {remedy}")
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not value.is_meta and not value.isfinite().all():
            raise InputError(f"{problem}: {name!r} holds NaN or infinite values; train the model anew")
    return model


def read_config(
    name_or_path: str, problem: str, revision: str | None = None, trust_remote_code: bool = False, **options
) -> PreTrainedConfig:
    """The configuration of a folder or Hub model at that commit; an [`InputError`] where it is not valid."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(
            name_or_path, revision=revision, trust_remote_code=trust_remote_code, **options
        )
    except (OSError, ValueError, StrictDataclassError) as error:
        raise InputError(f"{problem}: {_reason(error)}; {_REMEDY}") from error


def _reason(error: Exception) -> str:
    """What a library's error says: its first line, or the second where the first only announces a check."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        return lines[1].removeprefix("ValueError: ").removeprefix("TypeError: ")
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide transformers' report of weights that do not fit, which is many lines; the first of them is raised."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


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
