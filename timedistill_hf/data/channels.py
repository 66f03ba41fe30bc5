"""The series of a table among the channels of a model's training: their scaler, and windows of all channels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .._utils.errors import InputError, listed
from ..student.serving_timedistill import trained_scaler
from ..tables.panel import Panel, read_panel
from .calendar import calendar_features
from .codes import warn_of_codes
from .series import as_sentinels


if TYPE_CHECKING:
    from ..tables.table import Table

SCALINGS = ("auto", "training", "history")


def read_history(
    table: "Table", settings: Mapping, ahead: int, *, freq: str | None = None, time_zone: str | None = None, **options
) -> Panel:
    """A table to forecast: what is not said of it is as in training.

    Args:
        settings: those of the model's processor.
        ahead: how many steps after the last ones timestamps are needed for.
        options: for [`read_panel`].
    """
    options = {"regularize": settings.get("regularized", True)} | options
    panel = read_panel(
        table,
        "history",
        freq=freq or settings.get("freq"),
        time_zone=time_zone or settings.get("time_zone"),
        missing_values=as_sentinels(settings.get("missing_value")),
        known=settings,
        ahead=ahead,
        **options,
    )
    if panel.times is not None and not panel.is_regular and (np.diff(panel.times) < np.timedelta64(0)).any():
        raise InputError("the rows of 'history' are not in order of time: sort them")
    warn_of_codes(panel.name, panel.target_columns, panel.values, "leave their cells empty")
    return panel


@dataclass(frozen=True)
class Channels:
    """Which channel each series of a table is, and what its values are standardised with.

    Args:
        positions: `[G, K]`, the channel of the model's training, -1 where it is none.
        mean, std: float64 `[G, K]` in the data's units; NaN where the window's own are taken.
        trained: what the channels of training are called.
    """

    positions: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    trained: tuple[str, ...]

    @classmethod
    def of(cls, panel: Panel, settings: Mapping, scaling: str = "auto") -> "Channels":
        """Find the series of a table among the channels of training.

        A wide table's series are known by their column, those of a long one by id and value column, ids as text.

        Args:
            settings: those of the processor (`preprocessor_config.json`): `columns`, `mean`, `std`, `id_column`,
                `target_columns`.
            scaling: `"auto"`, the scaler of training where the series is known from it and its own window's where
                not; `"history"`, its own window's for all; `"training"`, that of training, and none may be unknown.

        Raises:
            InputError: `scaling` is none of these, or a series is unknown that must be known.
        """
        if scaling not in SCALINGS:
            raise InputError(f"scaling={scaling!r}: expected one of {', '.join(map(repr, SCALINGS))}")
        trained = tuple(settings.get("columns", ()))
        index = {name: position for position, name in enumerate(trained)}
        positions = np.array([[index.get(name, -1) for name in row] for row in _names(panel, settings)])
        is_known = positions >= 0
        if scaling == "training" and not is_known.all():
            unknown = panel.series_names()[int(np.flatnonzero(~is_known)[0])]
            raise InputError(
                f"scaling='training', and {unknown!r} is no series of the model's training ({int((~is_known).sum())} "
                f"of {is_known.size} are not): take scaling='auto' or 'history'"
            )
        taken = is_known if scaling != "history" else np.zeros_like(is_known)
        mean, std = (np.where(taken, values.numpy()[positions], np.nan) for values in trained_scaler(dict(settings)))
        return cls(positions, mean, std, trained)

    def check_known(self) -> None:
        """Raise where a series is none of training, or two are one: for a model that is bound to its channels."""
        positions = self.positions.ravel()
        unknown = int((positions < 0).sum())
        if unknown:
            raise InputError(
                f"{unknown} of {len(positions)} series are not of the model's training, {listed(self.trained)}, and "
                "the model is bound to the channels it was trained on: give these only, or train a student with "
                "hidden_norm='layernorm' (and revin_affine=False), which forecasts any series"
            )
        numbers, counts = np.unique(positions, return_counts=True)
        if counts.max(initial=1) > 1:
            twice = self.trained[int(numbers[counts.argmax()])]
            raise InputError(f"the series {twice!r} of the model's training is there twice: give it once")

    def check_all(self, panel: Panel) -> None:
        """Raise where not all series of training are there, on one grid: for a model that sees them together."""
        if sorted(self.positions.ravel().tolist()) != list(range(len(self.trained))):
            raise InputError(
                f"the model forecasts the series of its training together, {listed(self.trained)}; {panel.name!r} has "
                f"{listed(panel.series_names())}: give exactly these"
            )
        if len(np.unique(panel.phase)) > 1:
            raise InputError(f"the series of {panel.name!r} have no timestamps in common: put them on one grid")

    def place(self, block: np.ndarray) -> np.ndarray:
        """`[G, T, K]` of the table's series as `[1, T, C]` of the model's channels, 0 in others."""
        channels = np.zeros((1, block.shape[1], len(self.trained)))
        channels[0][:, self.positions.ravel()] = block.transpose(1, 0, 2).reshape(block.shape[1], -1)
        return channels

    def window(
        self, panel: Panel, last: np.ndarray, context: int, horizon: int, time_features: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """`[1, L, C]` of the model's channels up to the steps `last` `[G]`, and the calendar features, if wanted."""
        past = torch.from_numpy(self.place(panel.block(slice(None), context, last)))
        if not time_features:
            return past, {}
        both = common_features(panel, last[0], context, horizon)[None]
        return past, {"past_time_features": both[:, :context], "future_time_features": both[:, context:]}

    def take(self, channels: np.ndarray) -> np.ndarray:
        """`[1, S, C]` of the model's channels as `[G, S, K]` of the table's series."""
        return channels[0][:, self.positions].transpose(1, 0, 2)

    def series_of(self, channel: int) -> int:
        """The number of the table's series that a channel of the model is."""
        return int(np.flatnonzero(self.positions.ravel() == channel)[0])

    def scaler(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation `[1, 1, C]` of the model's channels."""
        mean, std = np.zeros((1, 1, len(self.trained))), np.ones((1, 1, len(self.trained)))
        mean[0, 0, self.positions], std[0, 0, self.positions] = self.mean, self.std
        return torch.from_numpy(mean), torch.from_numpy(std)


def common_features(panel: Panel, last: int, past: int, future: int) -> torch.Tensor:
    """Calendar features `[past + future, F]` of the steps up to and after `last`, which all series share."""
    if panel.grid is None:
        raise InputError("the model needs calendar features: give a table with a time column in equal steps")
    return calendar_features(panel.grid.times(last + np.arange(1 - past, future + 1), panel.phase[0]))


def _names(panel: Panel, settings: Mapping) -> list[list[str | None]]:
    """What each series was called as a channel of training; `None` where it cannot have been one."""
    targets = panel.target_columns
    if panel.ids is None:
        return [list(targets)]
    trained = settings.get("target_columns") if settings.get("id_column") is not None else None
    ids = panel.ids.tolist()
    if trained is not None and len(trained) == 1:
        return [[str(identifier) if target == trained[0] else None for target in targets] for identifier in ids]
    if trained is None and len(targets) == 1:
        return [[str(identifier)] for identifier in ids]
    return [[f"{identifier}/{target}" for target in targets] for identifier in ids]
