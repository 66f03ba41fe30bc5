"""Configuration of ModernTCN."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class ModernTCNConfig(PreTrainedConfig):
    r"""Configuration of [`ModernTCNForPrediction`] (Luo and Wang, ICLR 2024): one stage, as in its forecasting runs.

    Args:
        context_length (`int`): look-back L, in time steps.
        prediction_length (`int`): horizon S, in time steps.
        num_input_channels (`int`): channels C; the model is bound to them.
        patch_length (`int`): time steps of a patch.
        patch_stride (`int`): time steps between patches, at most `patch_length`; there are N = L // patch_stride.
        d_model (`int`): features D of a patch of one channel.
        ffn_ratio (`int`): inner width of both feed-forward networks, in multiples of their input.
        num_blocks (`int`): residual blocks.
        large_kernel_size (`int`): patches that the depthwise convolution sees; odd.
        small_kernel_size (`int`): patches that its second branch sees; odd, at most `large_kernel_size`.
        dropout (`float`): dropout in the feed-forward networks, at most 0.99.
        head_dropout (`float`): dropout of the normalised forecast, at most 0.99.
        scaling (`str`, *optional*): `"std"` normalises each window by its mean and standard deviation, `None` none.
        loss (`str`): loss that `forward` returns when given `future_values`: `"mse"` or `"mae"`.
    """

    model_type = "modern_tcn"
    keys_to_ignore_at_inference = ["last_hidden_state", "loc", "scale"]
    attribute_map = {"hidden_size": "d_model", "num_hidden_layers": "num_blocks"}

    context_length: int = 96
    prediction_length: int = 96
    num_input_channels: int = 1
    patch_length: int = 8
    patch_stride: int = 4
    d_model: int = 64
    ffn_ratio: int = 1
    num_blocks: int = 1
    large_kernel_size: int = 51
    small_kernel_size: int = 5
    dropout: float | int = 0.3
    head_dropout: float | int = 0.0
    scaling: Literal["std"] | None = "std"
    loss: Literal["mse", "mae"] = "mse"

    @property
    def num_patches(self) -> int:
        return self.context_length // self.patch_stride

    def validate_architecture(self) -> None:
        for name in (
            "context_length",
            "prediction_length",
            "num_input_channels",
            "patch_length",
            "patch_stride",
            "d_model",
            "ffn_ratio",
            "num_blocks",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive number")
        for name in ("large_kernel_size", "small_kernel_size"):
            if getattr(self, name) < 1 or getattr(self, name) % 2 == 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive odd number")
        for name, bound in (
            ("patch_stride", "patch_length"),
            ("patch_stride", "context_length"),
            ("small_kernel_size", "large_kernel_size"),
        ):
            if getattr(self, name) > getattr(self, bound):
                raise ValueError(f"{name}={getattr(self, name)}: expected at most {bound}={getattr(self, bound)}")
        for name in ("dropout", "head_dropout"):
            if not 0 <= getattr(self, name) <= 0.99:
                raise ValueError(f"{name}={getattr(self, name)}: expected a number from 0 to 0.99")


__all__ = ["ModernTCNConfig"]
