"""Configuration of the TimeDistill student."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class TimeDistillConfig(PreTrainedConfig):
    r"""Configuration of [`TimeDistillForPrediction`], the small model that serves the forecasts.

    Args:
        context_length (`int`): look-back L, in time steps.
        prediction_length (`int`): horizon S, in time steps.
        num_input_channels (`int`, *optional*): channels C. `None` means any number, which only a form without
            per-channel parameters can have: `hidden_norm` other than `"batchnorm"`, no RevIN affine.
        architecture (`str`): `"two_branch"`, the paper's MLP on seasonal and trend part (arXiv 2502.15016, section 4);
            `"mlp"`, the same with one branch and no decomposition; `"linear"`, one linear map L -> S.
        hidden_size (`int`): width D of the hidden layer, which is also the size of the distilled feature.
        moving_average (`int`): odd kernel of the moving average that extracts the trend (`"two_branch"` only).
        normalization (`str`): what is removed from each window: `"mean"`, `"revin"` (mean and standard deviation),
            `"last"` (the last value) or `"none"`.
        revin_affine (`bool`): with `"revin"`, learn a scale and a shift per channel (arXiv of RevIN: Kim et al. 2022).
        hidden_norm (`str`): normalisation of the hidden layer: `"batchnorm"` with the channels as its features (the
            published form, bound to its channel count), `"layernorm"` over D, or `"none"`.
        loss (`str`): loss that `forward` returns when it is given `future_values`: `"mse"` or `"mae"`.
    """

    model_type = "timedistill"
    keys_to_ignore_at_inference = ["loc", "scale", "feature"]

    context_length: int = 720
    prediction_length: int = 96
    num_input_channels: int | None = 1
    architecture: Literal["two_branch", "mlp", "linear"] = "two_branch"
    hidden_size: int = 512
    moving_average: int = 25
    normalization: Literal["none", "mean", "revin", "last"] = "mean"
    revin_affine: bool = True
    hidden_norm: Literal["batchnorm", "layernorm", "none"] = "batchnorm"
    loss: Literal["mse", "mae"] = "mse"

    @property
    def is_channel_bound(self) -> bool:
        """Whether some parameter belongs to one channel, so that the channel count cannot change."""
        has_affine = self.normalization == "revin" and self.revin_affine
        has_batchnorm = self.architecture != "linear" and self.hidden_norm == "batchnorm"
        return has_affine or has_batchnorm

    def validate_architecture(self):
        for name in ("context_length", "prediction_length", "hidden_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive number")
        if self.moving_average < 1 or self.moving_average % 2 == 0:
            raise ValueError(f"moving_average={self.moving_average}: expected an odd positive number, such as 25")
        if self.num_input_channels is None and self.is_channel_bound:
            raise ValueError(
                "num_input_channels=None: batch normalisation and the RevIN affine need a fixed number of channels; "
                "set it, or choose hidden_norm='layernorm' (and revin_affine=False)"
            )
        if self.num_input_channels is not None and self.num_input_channels < 1:
            raise ValueError(f"num_input_channels={self.num_input_channels}: expected a positive number or None")


__all__ = ["TimeDistillConfig"]
