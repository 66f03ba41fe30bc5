"""The TimeDistill student as a transformers model. This folder imports only torch and transformers."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .backbones_timedistill import (
    BACKBONES,
    CombinationBackbone,
    CycleBackbone,
    MeanLinear,
    PatchMixer,
    SmoothingConv,
    ZeroLinear,
)
from .configuration_timedistill import TimeDistillConfig
from .losses_timedistill import forecast_loss
from .normalization_timedistill import WindowNormalization, fill_missing, forecast_window


@dataclass
class TimeDistillOutput(ModelOutput):
    """Output of the student.

    Args:
        loss: scalar, where `future_values` were given.
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
        loc: `[B, 1, C]`, what was subtracted from each window (0 for a combination: each member has its own).
        scale: `[B, 1, C]`, what each window was divided by (1 except with RevIN).
        feature: `[B, C, D]`, the hidden layer before normalisation and activation, which distillation matches to the
            teacher's; those of a combination's members side by side; `None` where there is no hidden layer.
    """

    loss: torch.Tensor | None = None
    prediction_outputs: torch.Tensor | None = None
    loc: torch.Tensor | None = None
    scale: torch.Tensor | None = None
    feature: torch.Tensor | None = None


class TimeDistillPreTrainedModel(PreTrainedModel):
    config_class = TimeDistillConfig
    base_model_prefix = "model"
    main_input_name = "past_values"
    input_modalities = ("time",)
    accepts_loss_kwargs = False
    _no_split_modules = ["MLPBranch", "PatchMixer"]

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """As ever; `config.json` also names the pipeline, whose code lies beside the model's."""
        from .pipeline_timedistill import CUSTOM_PIPELINES

        self.config.custom_pipelines = CUSTOM_PIPELINES
        try:
            super().save_pretrained(*args, **kwargs)
        finally:
            del self.config.custom_pipelines

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """torch's own initialisation of linear layers, which the published student uses; zeros where asked for."""
        if isinstance(module, ZeroLinear):
            init.zeros_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, MeanLinear):
            init.constant_(module.weight, 1 / module.in_features)
        elif isinstance(module, SmoothingConv):
            init.uniform_(module.weight, -0.02, 0.02)
        elif isinstance(module, PatchMixer):
            init.zeros_(module.position)
        elif isinstance(module, CycleBackbone):
            init.zeros_(module.logits)
        elif isinstance(module, CombinationBackbone):
            init.constant_(module.weights, 1 / len(module.members))
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            init.uniform_(module.weight, -bound, bound)
            init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)):
            init.ones_(module.weight)
            init.zeros_(module.bias)
            if isinstance(module, nn.BatchNorm1d):
                init.zeros_(module.running_mean)
                init.ones_(module.running_var)
                init.zeros_(module.num_batches_tracked)
        elif isinstance(module, WindowNormalization) and module.affine:
            init.ones_(module.weight)
            init.zeros_(module.bias)


class TimeDistillForPrediction(TimeDistillPreTrainedModel):
    """Forecasts `prediction_length` steps of every channel from `context_length` steps, in one pass.

    The decomposed two-branch MLP of TimeDistill (arXiv 2502.15016) and smaller forms; see [`TimeDistillConfig`].
    """

    def __init__(self, config: TimeDistillConfig):
        super().__init__(config)
        self.normalization = WindowNormalization(config)
        if config.architecture == "combination":
            self.backbone = CombinationBackbone(config)
        else:
            self.backbone = BACKBONES[config.architecture](config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        future_values: torch.Tensor | None = None,
        future_observed_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> TimeDistillOutput:
        r"""
        Args:
            past_values: `[B, L, C]`, standardised per channel as in training.
            past_observed_mask: `[B, L, C]`, 1 where observed; missing steps are interpolated within the window.
            future_values: `[B, S, C]`, the truth; with it the output holds the loss.
            future_observed_mask: `[B, S, C]`, 1 where the truth was observed.

        Raises:
            ValueError: `past_values` does not have the configured length or channel count.
        """
        self.config.check_window(past_values.shape)
        if past_observed_mask is not None:
            past_values = fill_missing(past_values, past_observed_mask)
        # the members of a combination normalise before they cast, as a student of its own does
        dtype = past_values.dtype if self.config.architecture == "combination" else self.dtype
        forecast, feature, loc, scale = forecast_window(past_values, self.normalization, self.backbone, dtype)

        loss = None
        if future_values is not None:
            loss = forecast_loss(
                forecast,
                future_values,
                future_observed_mask,
                kind=self.config.loss,
                frequency_weight=self.config.frequency_weight,
            )
        return TimeDistillOutput(loss=loss, prediction_outputs=forecast, loc=loc, scale=scale, feature=feature)

    def fuse(self) -> nn.Module:
        """The copy that forecasts in its place, of the weights as they are now; see `fuse` in `fusing_timedistill`."""
        from .fusing_timedistill import fuse

        return fuse(self)


__all__ = ["TimeDistillForPrediction", "TimeDistillOutput", "TimeDistillPreTrainedModel", "forecast_loss"]
