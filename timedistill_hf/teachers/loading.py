"""Saved models: teachers of any family, students, and the processor that was saved beside them."""

import logging
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .._utils.errors import InputError, did_you_mean
from .._utils.hub import hub_reason
from .._utils.pretrained import as_input_error, commit_of, hub_options, load_weights, read_config
from ..data.processor import TimeDistillProcessor
from ..models.adapters import ADAPTERS, adapter_of, run_model, student_class
from .family import TeacherFamily
from .teacher import Teacher


if TYPE_CHECKING:
    from ..data.windows import ForecastData

logger = logging.getLogger(__name__)

FAMILIES = (
    "patchtst",
    "itransformer",
    "modern_tcn",
    "timesnet",
    "time_mixer",
    "informer",
    "patchtsmixer",
    "autoformer",
    "time_series_transformer",
    "timesfm",
    "timesfm2_5",
    "chronos",
)
_ANY_LOOK_BACK = 512  # of a teacher that reads any


def get_family(model_type: str) -> TeacherFamily:
    """The family of that `model_type`; an [`InputError`] lists the known ones."""
    if model_type not in FAMILIES:
        raise InputError(
            f"{model_type!r} is no teacher family known here: expected one of {', '.join(FAMILIES)}"
            f"{did_you_mean(model_type, FAMILIES)}"
        )
    return import_module(f".families.{model_type}", __package__).FAMILY


def _register(model_type: str) -> None:
    """Import the file of a family, which may register its models with transformers."""
    if model_type in FAMILIES:
        get_family(model_type)


def trainable_families() -> list[str]:
    """The families that are trained here; the others are used as they were trained elsewhere."""
    return sorted(name for name in FAMILIES if not get_family(name).checkpoint)


def load_teacher(
    name_or_path: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    feature_pooling: str | None = None,
    **kwargs: Any,
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
    revision = _commit_of_teacher(name_or_path, revision, **options)
    problem = _teacher_problem(name_or_path)
    config = read_config(name_or_path, problem, revision, trust_remote_code, _register, **options)
    model_type = _model_type(config.to_dict())
    with as_input_error(f"teacher {name_or_path!r} cannot be read as {model_type!r}"):
        if model_type in FAMILIES:
            family = get_family(model_type)
        else:
            from .families.generic import generic_family

            family = generic_family(config, name_or_path, FAMILIES, revision, trust_remote_code)
        model = load_weights(family.class_of(config), name_or_path, revision, config, **kwargs)
        teacher = Teacher(model, family, feature_pooling=feature_pooling)
        remark = family.remark(teacher.config)
        _try_out_teacher(teacher)
    if remark:
        logger.info("Teacher %s: %s", model_type, remark)
    return teacher


def _try_out_teacher(teacher: Teacher) -> None:
    """Let it forecast one window: some of a configuration shows only there, and is said now, not in training."""
    config, family = teacher.config, teacher.family
    length, channels = family.look_back(config) or _ANY_LOOK_BACK, family.channels(config) or 1
    steps = {"past_time_features": length, "future_time_features": teacher.prediction_length}
    inputs = {name: torch.zeros(1, count, teacher.num_time_features) for name, count in steps.items()}
    inputs["past_values"] = _wave(length, channels)
    with torch.random.fork_rng(devices=[]):  # training is the same with it and without
        signal = teacher(**{name: values.to(teacher.device) for name, values in inputs.items()})
    _check_forecast(signal.prediction_outputs, (1, teacher.prediction_length, channels))


@torch.no_grad()
def _try_out_student(student: PreTrainedModel) -> None:
    """As [`_try_out_teacher`]."""
    config = student.config
    channels = adapter_of(student).channels(config) or 1
    inputs = {"past_values": _wave(config.context_length, channels).to(student.device)}
    _check_forecast(run_model(student, inputs).prediction_outputs, (1, config.prediction_length, channels))


def _wave(length: int, channels: int) -> torch.Tensor:
    return torch.arange(length).sin()[None, :, None].expand(1, length, channels)


def _check_forecast(forecast: torch.Tensor, expected: tuple[int, ...]) -> None:
    if tuple(forecast.shape) != expected or not forecast.isfinite().all():
        raise ValueError(
            f"it forecasts {tuple(forecast.shape)} values, expected {expected} finite ones (windows, steps, channels)"
        )


def _commit_of_teacher(name_or_path: str, revision: str | None = None, **options: Any) -> str | None:
    """See [`commit_of`]."""
    return commit_of(name_or_path, _teacher_problem(name_or_path), revision, FAMILIES, **options)


def _teacher_problem(name_or_path: str) -> str:
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


def load_model(
    name_or_path: str, *, revision: str | None = None, **kwargs: Any
) -> tuple[PreTrainedModel | Teacher, str]:
    """A saved model in evaluation mode (safetensors only), and what it is: `"student"` or `"teacher"`.

    Args:
        name_or_path: a folder or a Hub id.
        revision: branch, tag or commit of a Hub model.
        kwargs: for the model's `from_pretrained`, such as `token`.

    Raises:
        InputError: there is no such model, or it is neither a student nor of a known teacher family.
    """
    name_or_path = str(name_or_path)
    options = hub_options(kwargs)
    revision = commit_of_model(name_or_path, revision, **options)
    config = read_config(name_or_path, _problem(name_or_path), revision, register=_register, **options)
    if config.model_type in ADAPTERS:
        model = load_weights(student_class(config.model_type), name_or_path, revision, config, **kwargs).eval()
        with as_input_error(f"the student in {name_or_path!r} cannot forecast"):
            _try_out_student(model)
        return model, "student"
    teacher = load_teacher(name_or_path, revision=revision, **kwargs)
    if teacher.family.rolls_out:
        try:
            processor = find_processor(name_or_path, revision=revision, **options)
        except InputError as error:
            logger.info("%s", error)
            processor = None
        if processor is None:
            steps = teacher.prediction_length
            logger.info("%r has no processor that says for how many steps: %d", name_or_path, steps)
        else:
            teacher = teacher.cut(processor.prediction_length)
    return teacher, "teacher"


def commit_of_model(name_or_path: str, revision: str | None = None, **options: Any) -> str | None:
    """See [`commit_of`]."""
    return commit_of(str(name_or_path), _problem(name_or_path), revision, FAMILIES, **options)


def _problem(name_or_path: str) -> str:
    return f"model {str(name_or_path)!r} is no folder or Hub model that can be read"


def load_teacher_for(name_or_path: str, data: "ForecastData", revision: str | None = None) -> Teacher:
    """A trained teacher that fits these data: lengths, channels in their order, calendar features.

    One that forecasts more steps than the data's horizon is cut to it. Warns where its own data were standardised
    otherwise, or are not known.

    Args:
        revision: branch, tag or commit of a Hub model.

    Raises:
        InputError: it cannot be loaded, or does not fit.
    """
    revision = _commit_of_teacher(name_or_path, revision)
    teacher = load_teacher(name_or_path, revision=revision).cut(data.processor.prediction_length)
    teacher.check_fits(**data.shape)
    teacher.check_time_features(data.for_teacher(teacher.num_time_features).num_time_features)
    processor = find_processor(name_or_path, revision=revision)
    if processor is None:
        logger.warning("Teacher %r has no processor: on which columns it was trained is not known", name_or_path)
        return teacher
    if teacher.family.channels(teacher.config) is not None:
        processor.check_columns(data.series.columns)
    if not processor.has_scaler_of(data.processor):
        logger.warning("Teacher %r was trained on data that were standardised otherwise", name_or_path)
    return teacher


def load_processor(name_or_path: str, *, revision: str | None = None, **kwargs: Any) -> TimeDistillProcessor:
    """The processor that was saved beside a model; an [`InputError`] where there is none, or it is broken."""
    processor = find_processor(name_or_path, revision=revision, **kwargs)
    if processor is None:
        raise InputError(
            f"model {str(name_or_path)!r} has no processor (preprocessor_config.json), so its columns and scaler are "
            "unknown: save the one of its training there, with processor.save_pretrained"
        )
    return processor


def find_processor(name_or_path: str, *, revision: str | None = None, **kwargs: Any) -> TimeDistillProcessor | None:
    """The processor that was saved beside a model, `None` where there is none.

    Raises:
        InputError: it is broken, or the Hub cannot be asked.
    """
    try:
        return TimeDistillProcessor.from_pretrained(name_or_path, revision=revision, **kwargs)
    except InputError:
        raise
    except Exception as error:
        reason = hub_reason(error, str(name_or_path), "model", revision, kwargs.get("token"))
        if reason is not None:
            raise InputError(f"the processor of {str(name_or_path)!r} cannot be loaded: {reason}") from error
        if isinstance(error, OSError):
            return None
        raise


def check_fits(model: PreTrainedModel | Teacher, processor: TimeDistillProcessor) -> None:
    """Raise an [`InputError`] where lengths or channels show that the processor is that of another model."""
    channels = len(processor.columns)
    if isinstance(model, Teacher):
        if model.prediction_length != processor.prediction_length:
            raise InputError(
                f"the teacher ({model.name}) forecasts {model.prediction_length} steps, its processor "
                f"{processor.prediction_length}: save the processor of its training beside it"
            )
        model.check_fits(processor.context_length, processor.prediction_length, channels)
        return
    config = model.config
    of_model = (config.context_length, config.prediction_length)
    of_processor = (processor.context_length, processor.prediction_length)
    bound_to = adapter_of(model).channels(config)
    if of_model != of_processor or bound_to not in (None, channels):
        raise InputError(
            f"the model goes from {of_model[0]} to {of_model[1]} steps of {config.num_input_channels} channels, its "
            f"processor from {of_processor[0]} to {of_processor[1]} of {channels}: save the processor of its training "
            "beside it"
        )
