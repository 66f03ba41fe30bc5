"""Any other forecaster of transformers' kind as a teacher: `past_values` in, `prediction_outputs` out."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
import transformers
from transformers import AutoModelForTimeSeriesPrediction, PreTrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.utils import ModelOutput

from ..._utils.errors import InputError
from ...student.normalization_timedistill import fill_missing
from ..family import TeacherFamily
from ..signal import TeacherSignal


_MASKS = ("past_observed_mask", "observed_mask")
_WANTED = (
    "a forward with past_values that gives prediction_outputs, and a config with context_length and prediction_length"
)
_REMEDY = "wrap it in a CallableTeacher, or write its forecasts to a .parquet file and give that as teacher"


class GenericFamily(TeacherFamily):
    """A model whose kind is not known here. Its feature is the output's `feature`, `[B, C, d]`, if it has one.

    It is bound to its config's `num_input_channels`, where it has them. A mask of missing values is handed to a
    forward that takes one (`past_observed_mask` or `observed_mask`); they are interpolated in any case.

    Args:
        model_class: with `from_pretrained`.
        name: what results call it.
    """

    def __init__(self, model_class: type[PreTrainedModel], name: str):
        self.model_class = model_class
        self.model_type = name
        parameters = inspect.signature(model_class.forward).parameters
        self._mask = next((mask for mask in _MASKS if mask in parameters), None)

    def config(self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any) -> None:
        raise InputError(f"{self.model_type} is no family that is trained here: give the folder of a trained one")

    def signal(
        self,
        model: PreTrainedModel,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        **inputs: Any,
    ) -> TeacherSignal:
        mask = {}
        if past_observed_mask is not None:
            past_values = fill_missing(past_values, past_observed_mask)
            mask = {self._mask: past_observed_mask} if self._mask else {}
        output = model(past_values=past_values, **mask)
        forecast = output.get("prediction_outputs") if isinstance(output, ModelOutput) else None
        if not isinstance(forecast, torch.Tensor):
            raise InputError(f"teacher {self.model_type}: its output has no prediction_outputs; {_REMEDY}")
        batch, _, channels = past_values.shape
        expected = (batch, model.config.prediction_length, channels)
        if tuple(forecast.shape) != expected:
            raise InputError(
                f"teacher {self.model_type}: prediction_outputs of shape {tuple(forecast.shape)}, expected {expected} "
                f"(windows, steps, channels); {_REMEDY}"
            )
        feature = output.get("feature")
        has_feature = isinstance(feature, torch.Tensor) and feature.shape[:2] == (batch, channels)
        return TeacherSignal(forecast, feature.flatten(2) if has_feature else None)

    def channels(self, config: PreTrainedConfig) -> int | None:
        return config.to_dict().get("num_input_channels")


def generic_family(
    config: PreTrainedConfig,
    name_or_path: str,
    families: Iterable[str],
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> GenericFamily:
    """The adapter for a model of this configuration, which is none of `families`.

    Its class is that of its own code, where that is trusted, of `AutoModelForTimeSeriesPrediction`, or the class of
    transformers that the configuration names.

    Raises:
        InputError: no class is found, or what it or its configuration lacks.
    """
    model_class = _model_class(config, name_or_path, families, revision, trust_remote_code)
    problem = f"teacher {name_or_path!r} ({config.model_type}, {model_class.__name__})"
    parameters = inspect.signature(model_class.forward).parameters
    if "past_values" not in parameters:
        raise InputError(f"{problem}: its forward has no past_values, expected {_WANTED}; {_REMEDY}")
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    for parameter in list(parameters.values())[1:]:
        is_required = parameter.default is inspect.Parameter.empty and parameter.kind not in variadic
        if is_required and parameter.name != "past_values":
            raise InputError(f"{problem}: its forward also needs {parameter.name!r}, expected {_WANTED}; {_REMEDY}")
    for field in ("context_length", "prediction_length"):
        if not isinstance(config.to_dict().get(field), int):
            raise InputError(f"{problem}: its config has no {field}, expected {_WANTED}; {_REMEDY}")
    return GenericFamily(model_class, config.model_type)


def _model_class(
    config: PreTrainedConfig,
    name_or_path: str,
    families: Iterable[str],
    revision: str | None,
    trust_remote_code: bool,
) -> type[PreTrainedModel]:
    reference = (config.to_dict().get("auto_map") or {}).get(AutoModelForTimeSeriesPrediction.__name__)
    if trust_remote_code and reference is not None:
        return get_class_from_dynamic_module(reference, name_or_path, revision=revision)
    if type(config) in AutoModelForTimeSeriesPrediction._model_mapping:
        return AutoModelForTimeSeriesPrediction._model_mapping[type(config)]
    name = (config.architectures or [None])[0]
    found = getattr(transformers, name, None) if isinstance(name, str) else None
    if isinstance(found, type) and issubclass(found, PreTrainedModel):
        return found
    raise InputError(
        f"teacher {name_or_path!r} is a model of type {config.model_type!r}, architectures={config.architectures}: "
        f"expected one of {', '.join(families)}, or {_WANTED}; {_REMEDY}"
    )
