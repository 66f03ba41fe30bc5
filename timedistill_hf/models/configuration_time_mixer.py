"""Configuration of TimeMixer."""

from huggingface_hub.dataclasses import strict

from .configuration_forecaster import ForecasterConfig, check_dropout, check_odd, check_positive


@strict
class TimeMixerConfig(ForecasterConfig):
    r"""Configuration of [`TimeMixerForPrediction`] (arXiv 2405.14616); the defaults are the size published for ETTh1.

    Args, beside those of [`ForecasterConfig`]:
        num_input_channels (`int`, *optional*): channels C; the model is bound to them where `revin_affine` is set.
        d_model (`int`): features of a time step of one channel.
        ffn_dim (`int`): inner width of the feed-forward network.
        num_hidden_layers (`int`): past-decomposable-mixing blocks.
        num_scales (`int`): M, how often the series is pooled; there are M + 1 scales.
        pooling_window (`int`): steps that one step of the next coarser scale averages.
        moving_average (`int`): odd kernel of the moving average that is the trend.
        dropout (`float`): dropout of the embedding, at most 0.99.
        revin_affine (`bool`): with `scaling`, a learnt factor and shift per scale and channel.
    """

    model_type = "time_mixer"
    has_no_defaults_at_init = True  # how many channels must be said; older transformers build one of defaults

    num_input_channels: int | None = None
    d_model: int = 16
    ffn_dim: int = 32
    num_hidden_layers: int = 2
    num_scales: int = 3
    pooling_window: int = 2
    moving_average: int = 25
    dropout: float | int = 0.1
    revin_affine: bool = True

    @property
    def is_channel_bound(self) -> bool:
        return self.scaling is not None and self.revin_affine

    @property
    def lengths(self) -> list[int]:
        """Steps of the window at every scale, fine to coarse."""
        return [self.context_length // self.pooling_window**scale for scale in range(self.num_scales + 1)]

    def validate_architecture(self) -> None:
        check_positive(self, "context_length", "prediction_length", "d_model", "ffn_dim", "num_hidden_layers")
        if self.num_scales < 0:
            raise ValueError(f"num_scales={self.num_scales}: expected 0 or more")
        if self.pooling_window < 2:
            raise ValueError(f"pooling_window={self.pooling_window}: expected 2 or more")
        if self.lengths[-1] < 1:
            raise ValueError(
                f"context_length={self.context_length} is too short for num_scales={self.num_scales}: expected at "
                f"least {self.pooling_window**self.num_scales}"
            )
        check_odd(self, "moving_average")
        if self.is_channel_bound and (self.num_input_channels is None or self.num_input_channels < 1):
            raise ValueError(f"num_input_channels={self.num_input_channels}: revin_affine needs a positive number")
        check_dropout(self, "dropout")
