"""Configuration of TimesNet."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class TimesNetConfig(PreTrainedConfig):
    r"""Configuration of [`TimesNetForPrediction`] (arXiv 2210.02186); the defaults are the size published for ETTh1.

    Args:
        context_length (`int`): look-back L, in time steps.
        prediction_length (`int`): horizon S, in time steps; all blocks work on L + S steps.
        num_input_channels (`int`): channels C; the model is bound to them.
        d_model (`int`): features of a time step.
        ffn_dim (`int`): features between the two inception layers of a block.
        num_hidden_layers (`int`): blocks.
        num_periods (`int`): k, periods that a block folds each window by, at most half of L + S.
        num_kernels (`int`): convolutions of an inception layer, of widths 1, 3, 5, ...
        dropout (`float`): dropout of the embedding, at most 0.99.
        scaling (`str`, *optional*): `"std"` normalises each window by its mean and standard deviation, `None` none.
        loss (`str`): loss that `forward` returns when given `future_values`: `"mse"` or `"mae"`.
    """

    model_type = "timesnet"
    keys_to_ignore_at_inference = ["feature", "last_hidden_state", "loc", "scale"]
    attribute_map = {"hidden_size": "d_model"}

    context_length: int = 96
    prediction_length: int = 96
    num_input_channels: int = 1
    d_model: int = 16
    ffn_dim: int = 32
    num_hidden_layers: int = 2
    num_periods: int = 5
    num_kernels: int = 6
    dropout: float | int = 0.1
    scaling: Literal["std"] | None = "std"
    loss: Literal["mse", "mae"] = "mse"

    def validate_architecture(self) -> None:
        for name in (
            "context_length",
            "prediction_length",
            "num_input_channels",
            "d_model",
            "ffn_dim",
            "num_hidden_layers",
            "num_periods",
            "num_kernels",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected a positive number")
        frequencies = (self.context_length + self.prediction_length) // 2
        if self.num_periods > frequencies:
            raise ValueError(
                f"num_periods={self.num_periods}: expected at most {frequencies}, half of context_length="
                f"{self.context_length} and prediction_length={self.prediction_length} together"
            )
        if not 0 <= self.dropout <= 0.99:
            raise ValueError(f"dropout={self.dropout}: expected a number from 0 to 0.99")


__all__ = ["TimesNetConfig"]
