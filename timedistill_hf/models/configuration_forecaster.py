"""What the configurations of this package's own forecasters share."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class ForecasterConfig(PreTrainedConfig):
    r"""Base of this package's own forecasters.

    Args:
        context_length (`int`): look-back L, in time steps.
        prediction_length (`int`): horizon S, in time steps.
        scaling (`str`, *optional*): `"std"` normalises each window by its mean and standard deviation, `None` none.
        loss (`str`): loss that `forward` returns when given `future_values`: `"mse"` or `"mae"`.
    """

    keys_to_ignore_at_inference = ["feature", "last_hidden_state", "loc", "scale"]
    attribute_map = {"hidden_size": "d_model"}

    context_length: int = 96
    prediction_length: int = 96
    scaling: Literal["std"] | None = "std"
    loss: Literal["mse", "mae"] = "mse"

    @property
    def is_channel_bound(self) -> bool:
        """Whether the model runs on its own number of channels only."""
        return True


def check_positive(config: PreTrainedConfig, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{name}={getattr(config, name)}: expected a positive number")


def check_odd(config: PreTrainedConfig, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1 or getattr(config, name) % 2 == 0:
            raise ValueError(f"{name}={getattr(config, name)}: expected a positive odd number")


def check_at_most(config: PreTrainedConfig, *names_and_bounds: tuple[str, str]) -> None:
    for name, bound in names_and_bounds:
        if getattr(config, name) > getattr(config, bound):
            raise ValueError(f"{name}={getattr(config, name)}: expected at most {bound}={getattr(config, bound)}")


def check_dropout(config: PreTrainedConfig, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) <= 0.99:
            raise ValueError(f"{name}={getattr(config, name)}: expected a number from 0 to 0.99")
