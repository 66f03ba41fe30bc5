"""A teacher's output: its forecast and, where it has one, a feature of every channel."""

from typing import NamedTuple

import torch

from .._utils.errors import InputError, did_you_mean


POOLINGS = ("flatten", "mean", "last")


class TeacherSignal(NamedTuple):
    """A teacher's output for a batch.

    Args:
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
        feature: `[B, C, d]`, one vector a channel, or `None` where the teacher has none to offer. What a family reads
            may have another layout, which it declares; a [`Teacher`] pools it.
        known: `[B]`, true where there is a forecast of the window, or `None` where there is of all.
    """

    prediction_outputs: torch.Tensor
    feature: torch.Tensor | None = None
    known: torch.Tensor | None = None

    def in_float32(self) -> "TeacherSignal":
        """The same with forecast and feature in float32, as they are where that is their type."""
        forecast, feature, known = self
        # a user's data set may lack the forecast: the trainer says so
        forecast, feature = (part if part is None else part.float() for part in (forecast, feature))
        return TeacherSignal(forecast, feature, known)


def pool_feature(feature: torch.Tensor, layout: str, pooling: str | None) -> torch.Tensor:
    """A teacher's feature as `[B, C, d]`.

    Args:
        feature: laid out as `layout` says.
        layout: names of its dimensions, such as `"B C N d"`; `N` counts patches, and without it nothing is pooled.
        pooling: `"flatten"` puts all patches side by side in the layout's order, `[B, C, N d]`; `"mean"` is their
            mean and `"last"` the last one, which is nearest to the future, `[B, C, d]`.
    """
    names = layout.split()
    if "N" not in names:
        return feature
    patches = names.index("N")
    if pooling == "mean":
        return feature.mean(dim=patches)
    if pooling == "last":
        return feature.select(patches, -1)
    return feature.flatten(start_dim=2)


def check_pooling(pooling: str) -> None:
    """Raise where there is no such pooling."""
    if pooling not in POOLINGS:
        raise InputError(
            f"feature_pooling={pooling!r}: expected one of {', '.join(POOLINGS)}{did_you_mean(pooling, POOLINGS)}"
        )
