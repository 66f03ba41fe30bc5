"""One vector a channel out of a feature that has one for every patch."""

import torch

from .._utils.errors import InputError, did_you_mean


POOLINGS = ("flatten", "mean", "last")


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
