"""Saved models, whatever they are: a student or a teacher, and the processor beside it."""

import logging
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel

from .._utils.errors import InputError
from .._utils.hub_reasons import hub_reason
from .._utils.pretrained import as_input_error, commit_of, hub_options, load_weights, read_config
from ..data.processor import TimeDistillProcessor
from ..models.adapters import ADAPTERS, adapter_of, run_model, student_class
from . import FAMILIES, Teacher, commit_of_teacher, load_teacher


if TYPE_CHECKING:
    from ..data.windows import ForecastData

logger = logging.getLogger(__name__)


def load_model(name_or_path: str, *, revision: str | None = None, **kwargs) -> tuple[PreTrainedModel | Teacher, str]:
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
    config = read_config(name_or_path, _problem(name_or_path), revision, **options)
    if config.model_type in ADAPTERS:
        model = load_weights(student_class(config.model_type), name_or_path, revision, config, **kwargs).eval()
        with as_input_error(f"the student in {name_or_path!r} cannot forecast"):
            _try_out(model)
        return model, "student"
    teacher = load_teacher(name_or_path, revision=revision, **kwargs)
    if teacher.family.rolls_out:
        try:
            teacher = teacher.cut(load_processor(name_or_path, revision=revision).prediction_length)
        except InputError:
            logger.info(
                "%r has no processor that says for how many steps: %d", name_or_path, teacher.prediction_length
            )
    return teacher, "teacher"


@torch.no_grad()
def _try_out(student: PreTrainedModel) -> None:
    """Let it forecast one window: some of a configuration shows only there."""
    config = student.config
    channels = adapter_of(student).channels(config) or 1
    window = torch.arange(config.context_length, device=student.device).sin()[None, :, None]
    forecast = run_model(student, {"past_values": window.expand(1, -1, channels)}).prediction_outputs
    expected = (1, config.prediction_length, channels)
    if tuple(forecast.shape) != expected or not forecast.isfinite().all():
        raise ValueError(f"it gives {tuple(forecast.shape)} values, expected {expected} finite ones")


def commit_of_model(name_or_path: str, revision: str | None = None, **options) -> str | None:
    """See [`commit_of`]."""
    return commit_of(str(name_or_path), _problem(name_or_path), revision, tuple(FAMILIES), **options)


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
    revision = commit_of_teacher(name_or_path, revision)
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


def load_processor(name_or_path: str, *, revision: str | None = None, **kwargs) -> TimeDistillProcessor:
    """The processor that was saved beside a model; an [`InputError`] where there is none, or it is broken."""
    processor = find_processor(name_or_path, revision=revision, **kwargs)
    if processor is None:
        raise InputError(
            f"model {str(name_or_path)!r} has no processor (preprocessor_config.json), so its columns and scaler are "
            "unknown: save the one of its training there, with processor.save_pretrained"
        )
    return processor


def find_processor(name_or_path: str, *, revision: str | None = None, **kwargs) -> TimeDistillProcessor | None:
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
