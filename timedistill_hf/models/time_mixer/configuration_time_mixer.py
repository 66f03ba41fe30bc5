"""Configuration of TimeMixer."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class TimeMixerConfig(PreTrainedConfig):
    r"""Configuration of [`TimeMixerForPrediction`] (arXiv 2405.14616); the defaults are the size published for ETTh1.

    Args:
        context_length (`int`): look-back L, in time steps.
        prediction_length (`int`): horizon S, in time steps.
        num_input_channels (`int`, *optional*): channels C; the model is bound to them where `revin_affine` is set.
        d_model (`int`): features of a time step of one channel.
        ffn_dim (`int`): inner width of the feed-forward network.
        num_hidden_layers (`int`): past-decomposable-mixing blocks.
        num_scales (`int`): M, how often the series is pooled; there are M + 1 scales.
        pooling_window (`int`): steps that one step of the next coarser scale averages.
        moving_average (`int`): odd kernel of the moving average that is the trend.
        dropout (`float`): dropout of the embedding, at most 0.99.
        scaling (`str`, *optional*): `"std"` normalises each scale of a window by its mean and standard deviation,
            `None` none.
        revin_affine (`bool`): with `scaling`, a learnt factor and shift per scale and channel.
        loss (`str`): loss that `forward` returns when given `future_values`: `"mse"` or `"mae"`.
    """

    model_type = "time_mixer"
    keys_to_ignore_at_inference = ["feature", "loc", "scale"]
    attribute_map = {"hidden_size": "d_model"}
    has_no_defaults_at_init = True  # how many channels must be said; older transformers build one of defaults

    context_length: int = 96
    prediction_length: int = 96
    num_input_channels: int | None = None
    d_model: int = 16
    ffn_dim: int = 32
    num_hidden_layers: int = 2
    num_scales: int = 3
    pooling_window: int = 2
    moving_average: int = 25
    dropout: float | int = 0.1
    scaling: Literal["std"] | None = "std"
    revin_affine: bool = True
    loss: Literal["mse", "mae"] = "mse"

    @property
    def is_channel_bound(self) -> bool:
        """Whether the model runs on its own number of channels only."""
        return self.scaling is not None and self.revin_affine

    @property
    def lengths(self) -> list[int]:
        """Steps of the window at every scale, fine to coarse."""
        return [self.context_length // self.pooling_window**scale for scale in range(self.num_scales + 1)]

    def validate_architecture(self) -> None:
        for name in ("context_length", "prediction_length", "d_model", "ffn_dim", "num_hidden_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive number")
        if self.num_scales < 0:
            raise ValueError(f"num_scales={self.num_scales}: expected 0 or more")
        if self.pooling_window < 2:
            raise ValueError(f"pooling_window={self.pooling_window}: expected 2 or more")
        if self.lengths[-1] < 1:
            raise ValueError(
                f"context_length={self.context_length} is too short for num_scales={self.num_scales}: expected at "
                f"least {self.pooling_window**self.num_scales}"
            )
        if self.moving_average < 1 or self.moving_average % 2 == 0:
            raise ValueError(f"moving_average={self.moving_average}: expected a positive odd number")
        if self.is_channel_bound and (self.num_input_channels is None or self.num_input_channels < 1):
            raise ValueError(f"num_input_channels={self.num_input_channels}: revin_affine needs a positive number")
        if not 0 <= self.dropout <= 0.99:
            raise ValueError(f"dropout={self.dropout}: expected a number from 0 to 0.99")


__all__ = ["TimeMixerConfig"]
