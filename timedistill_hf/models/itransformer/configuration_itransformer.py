"""Configuration of the iTransformer."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class ITransformerConfig(PreTrainedConfig):
    r"""Configuration of [`ITransformerForPrediction`] (arXiv 2310.06625).

    Args:
        context_length (`int`): look-back L, in time steps.
        prediction_length (`int`): horizon S, in time steps.
        num_input_channels (`int`, *optional*): channels C of its training; the model runs on any number.
        d_model (`int`): width of a variate token.
        num_hidden_layers (`int`): encoder layers.
        num_attention_heads (`int`): heads; must divide `d_model`.
        ffn_dim (`int`): inner width of the feed-forward network.
        dropout (`float`): dropout of embedding, attention and feed-forward network.
        activation_function (`str`): `"gelu"` or `"relu"`.
        scaling (`str`, *optional*): `"std"` normalises each window by its mean and standard deviation, `None` none.
        loss (`str`): loss that `forward` returns when given `future_values`: `"mse"` or `"mae"`.
    """

    model_type = "itransformer"
    keys_to_ignore_at_inference = ["last_hidden_state", "loc", "scale"]
    attribute_map = {"hidden_size": "d_model"}

    context_length: int = 96
    prediction_length: int = 96
    num_input_channels: int | None = None
    d_model: int = 256
    num_hidden_layers: int = 2
    num_attention_heads: int = 8
    ffn_dim: int = 256
    dropout: float | int = 0.1
    activation_function: Literal["gelu", "relu"] = "gelu"
    scaling: Literal["std"] | None = "std"
    loss: Literal["mse", "mae"] = "mse"

    def validate_architecture(self) -> None:
        for name in ("context_length", "prediction_length", "d_model", "num_hidden_layers", "num_attention_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive number")
        if self.d_model % self.num_attention_heads:
            raise ValueError(
                f"d_model={self.d_model} is not divisible by num_attention_heads={self.num_attention_heads}"
            )


__all__ = ["ITransformerConfig"]
