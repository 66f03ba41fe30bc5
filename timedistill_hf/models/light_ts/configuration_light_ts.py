"""Configuration of LightTS."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class LightTSConfig(PreTrainedConfig):
    r"""Configuration of [`LightTSForPrediction`] (arXiv 2207.01186).

    Args:
        context_length (`int`): look-back L, in time steps.
        prediction_length (`int`): horizon S, in time steps.
        num_input_channels (`int`): channels C; the model is bound to them, its last block mixes them.
        chunk_length (`int`): time steps that one sample of the window holds, at most `context_length`.
        d_model (`int`): features F of a channel from each of the two samplings.
        bottleneck_ratio (`int`): how many times narrower than its hidden layer the bottleneck of a block is.
        scaling (`str`, *optional*): `"std"` normalises each window by its mean and standard deviation, `None` none.
        loss (`str`): loss that `forward` returns when given `future_values`: `"mse"` or `"mae"`.
    """

    model_type = "light_ts"
    keys_to_ignore_at_inference = ["feature", "loc", "scale"]
    attribute_map = {"hidden_size": "d_model"}

    context_length: int = 96
    prediction_length: int = 96
    num_input_channels: int = 1
    chunk_length: int = 24
    d_model: int = 128
    bottleneck_ratio: int = 4
    scaling: Literal["std"] | None = "std"
    loss: Literal["mse", "mae"] = "mse"

    @property
    def num_chunks(self) -> int:
        """Samples of a window; the first ones are filled up where they do not come out even."""
        return -(-self.context_length // self.chunk_length)

    def validate_architecture(self) -> None:
        for name in (
            "context_length",
            "prediction_length",
            "num_input_channels",
            "chunk_length",
            "d_model",
            "bottleneck_ratio",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive number")
        for name, bound in (("chunk_length", "context_length"), ("bottleneck_ratio", "d_model")):
            if getattr(self, name) > getattr(self, bound):
                raise ValueError(f"{name}={getattr(self, name)}: expected at most {bound}={getattr(self, bound)}")


__all__ = ["LightTSConfig"]
