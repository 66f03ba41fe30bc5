"""Configuration of ModernTCN."""

from huggingface_hub.dataclasses import strict

from .configuration_forecaster import ForecasterConfig, check_at_most, check_dropout, check_odd, check_positive


@strict
class ModernTCNConfig(ForecasterConfig):
    r"""Configuration of [`ModernTCNForPrediction`] (Luo and Wang, ICLR 2024): one stage, as in its forecasting runs.

    Args, beside those of [`ForecasterConfig`]:
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
    """

    model_type = "modern_tcn"
    attribute_map = {"hidden_size": "d_model", "num_hidden_layers": "num_blocks"}

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

    @property
    def num_patches(self) -> int:
        return self.context_length // self.patch_stride

    def validate_architecture(self) -> None:
        lengths = ("context_length", "prediction_length", "patch_length", "patch_stride")
        check_positive(self, *lengths, "num_input_channels", "d_model", "ffn_ratio", "num_blocks")
        check_odd(self, "large_kernel_size", "small_kernel_size")
        check_at_most(self, ("patch_stride", "patch_length"), ("patch_stride", "context_length"))
        check_at_most(self, ("small_kernel_size", "large_kernel_size"))
        check_dropout(self, "dropout", "head_dropout")
