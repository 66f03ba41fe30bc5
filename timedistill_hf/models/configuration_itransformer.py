"""Configuration of the iTransformer."""

from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_forecaster import ForecasterConfig, check_positive


@strict
class ITransformerConfig(ForecasterConfig):
    r"""Configuration of [`ITransformerForPrediction`] (arXiv 2310.06625).

    Args, beside those of [`ForecasterConfig`]:
        num_input_channels (`int`, *optional*): channels C of its training; the model runs on any number.
        d_model (`int`): width of a variate token.
        num_hidden_layers (`int`): encoder layers.
        num_attention_heads (`int`): heads; must divide `d_model`.
        ffn_dim (`int`): inner width of the feed-forward network.
        dropout (`float`): dropout of embedding, attention and feed-forward network.
        activation_function (`str`): `"gelu"` or `"relu"`.
    """

    model_type = "itransformer"

    num_input_channels: int | None = None
    d_model: int = 256
    num_hidden_layers: int = 2
    num_attention_heads: int = 8
    ffn_dim: int = 256
    dropout: float | int = 0.1
    activation_function: Literal["gelu", "relu"] = "gelu"

    @property
    def is_channel_bound(self) -> bool:
        return False

    def validate_architecture(self) -> None:
        check_positive(
            self, "context_length", "prediction_length", "d_model", "num_hidden_layers", "num_attention_heads"
        )
        if self.d_model % self.num_attention_heads:
            raise ValueError(
                f"d_model={self.d_model} is not divisible by num_attention_heads={self.num_attention_heads}"
            )
