"""Windows that never happened, mixed from two that did: more for a teacher to label."""

import hashlib

import numpy as np
import torch
from torch.utils.data import Dataset

from ..errors import InputError
from .windows import WindowDataset


class MixedWindows(Dataset):
    """round(share * N) look-backs, each mixed from two of N windows; what follows them only a teacher can say.

    Item i is `past_values` `[L, C]`, lam a + (1 - lam) b of the look-backs a and b of two windows, with
    `future_values` and `future_observed_mask` `[S, C]` of zeros, so that only the teacher's terms of the objective see
    it. Where the series has missing entries, `past_observed_mask` is 1 where both a and b are observed, and the mixed
    values are 0 elsewhere. Pairs and lam are drawn once from the seed.

    This is mixup (Zhang et al., ICLR 2018, arXiv 1710.09412) of standardised windows, as TSMix of Chronos mixes series
    (arXiv 2403.07815), but without mixed labels. Those are good only near a real window, which is why mixup draws lam
    near 0 or 1. A teacher's label is its own everywhere, and windows in between say most that is new, so lam is
    uniform on [0, 1), as for function matching (Beyer et al., CVPR 2022, arXiv 2106.05237).

    Args:
        windows: N training windows, without calendar features.
        share: of extra windows, from 0.
        seed: of the draws, from 0.

    Raises:
        InputError: the share is negative or not finite, or the windows hold calendar features.
    """

    def __init__(self, windows: WindowDataset, share: float, seed: int):
        if not 0 <= share < float("inf"):
            raise InputError(f"mixed windows: share={share}, expected a number from 0")
        if windows.time_features is not None:
            raise InputError(
                f"mixed windows cannot have the {windows.time_features.shape[1]} calendar features that these windows "
                "hold: leave out the mixed windows, or take a teacher that needs no calendar features"
            )
        self.windows = windows
        count = round(share * len(windows))
        generator = np.random.default_rng(seed)
        self.pairs = generator.integers(len(windows), size=(count, 2))
        self.lam = generator.random(count)

    def __len__(self) -> int:
        return len(self.lam)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"mixed window {index} of {len(self)}")
        one, other = (self.windows[int(number)] for number in self.pairs[index])
        lam = float(self.lam[index])
        past_values = lam * one["past_values"] + (1 - lam) * other["past_values"]
        unknown = torch.zeros_like(one["future_values"])
        item = {"past_values": past_values, "future_values": unknown, "future_observed_mask": unknown.bool()}
        if self.windows.observed is not None:
            observed = one["past_observed_mask"] & other["past_observed_mask"]
            item |= {"past_values": past_values * observed, "past_observed_mask": observed}
        return item


class WithMixedWindows(Dataset):
    """Training windows, followed by the [`MixedWindows`] made of them.

    Takes the place of a [`WindowDataset`] in training and in [`store_signal`]. All items hold `future_observed_mask`,
    so that they go into one batch: ones in a window of a series that has no missing entries.

    Args, Raises: as [`MixedWindows`].
    """

    def __init__(self, windows: WindowDataset, share: float, seed: int):
        self.windows = windows
        self.share = share
        self.seed = seed
        self.mixed = MixedWindows(windows, share, seed)
        self.context_length = windows.context_length
        self.prediction_length = windows.prediction_length
        self.time_features = windows.time_features

    def __len__(self) -> int:
        return len(self.windows) + len(self.mixed)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        index %= len(self)
        if index >= len(self.windows):
            return self.mixed[index - len(self.windows)]
        item = self.windows[index]
        if self.windows.observed is None:
            item["future_observed_mask"] = torch.ones_like(item["future_values"], dtype=torch.bool)
        return item

    def with_time_features(self, time_features: torch.Tensor | None) -> "WithMixedWindows":
        """The same windows without calendar features; any others are refused, see [`MixedWindows`]."""
        return WithMixedWindows(self.windows.with_time_features(time_features), self.share, self.seed)

    def fingerprint(self) -> str:
        """A hash of the real windows, share and seed, and of what was drawn with them."""
        parts = (type(self).__name__, self.windows.fingerprint(), float(self.share), self.seed)
        digest = hashlib.sha256(repr(parts).encode())
        for drawn in (self.mixed.pairs, self.mixed.lam):
            digest.update(drawn.tobytes())
        return digest.hexdigest()


TrainWindows = WindowDataset | WithMixedWindows
