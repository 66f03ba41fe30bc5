"""Students of other families: what their forward calls the mask, and where their feature is.

This package's own models, and every model that follows them, need none of this: their forward takes `past_values` and
`past_observed_mask`, their output has `prediction_outputs` and, if there is one, `feature` `[B, C, D]`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput


def output_feature(output: ModelOutput) -> torch.Tensor | None:
    """The output's own `feature`; `None` where it has none."""
    return output.get("feature")


def mean_over_patches(output: ModelOutput) -> torch.Tensor:
    """The mean of the last hidden state `[B, C, N, d]` over patches, `[B, C, d]`."""
    return output.last_hidden_state.mean(dim=2)


@dataclass(frozen=True)
class StudentAdapter:
    """How a trainer reads a student that has other names than this package's.

    Args:
        mask_name: what its forward calls `past_observed_mask`. One that takes any keyword would silently leave out a
            mask under another name.
        feature: gives the student's feature `[B, C, D]` from its output, or `None`.
        channels: gives the number of channels that a model of some configuration is bound to, `None` for any.
    """

    mask_name: str = "past_observed_mask"
    feature: Callable[[ModelOutput], torch.Tensor | None] = output_feature
    channels: Callable[[PreTrainedConfig], int | None] = lambda config: config.num_input_channels

    def inputs(self, inputs: dict) -> dict:
        """The inputs by the names that the student has for them."""
        return {self.mask_name if name == "past_observed_mask" else name: value for name, value in inputs.items()}


ADAPTERS = {
    "timedistill": StudentAdapter(
        channels=lambda config: config.num_input_channels if config.is_channel_bound else None
    ),
    "patchtsmixer": StudentAdapter(
        mask_name="observed_mask",
        feature=mean_over_patches,
        channels=lambda config: config.num_input_channels if config.mode == "mix_channel" else None,
    ),
    "light_ts": StudentAdapter(),
}


def adapter_of(model: nn.Module) -> StudentAdapter:
    """The adapter of a model of just the class listed for its `model_type`; for all others, this package's names."""
    model_type = model.config.model_type if isinstance(model, PreTrainedModel) else None
    if model_type not in ADAPTERS or type(model) is not student_class(model_type):
        return StudentAdapter()
    return ADAPTERS[model_type]


def run_model(model: nn.Module, inputs: dict[str, torch.Tensor]) -> ModelOutput:
    """What a forecaster of any kind gives for a batch: its output, with `prediction_outputs`."""
    return model(**adapter_of(model).inputs(inputs))


def student_class(model_type: str) -> type[PreTrainedModel]:
    """The class of a student by its `model_type`, one of [`ADAPTERS`]."""
    from transformers import PatchTSMixerForPrediction

    from ..student import TimeDistillForPrediction
    from .modeling_light_ts import LightTSForPrediction

    return {
        "timedistill": TimeDistillForPrediction,
        "patchtsmixer": PatchTSMixerForPrediction,
        "light_ts": LightTSForPrediction,
    }[model_type]
