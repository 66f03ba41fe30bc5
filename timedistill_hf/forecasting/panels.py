"""A table in, its forecast as such a table out: every series from its own end."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn

from .._utils.errors import InputError, listed
from ..data.channels import Channels, read_history
from ..models.adapters import run_model
from ..student.serving_timedistill import MAX_CELLS, UnusableWindow, forecast_in_units, is_channel_free
from ..tables.output import forecast_frame
from ..tables.panel import Panel


if TYPE_CHECKING:
    from ..tables.table import Table

logger = logging.getLogger(__name__)


def forecast_table(
    model: nn.Module,
    settings: Mapping,
    table: "Table",
    *,
    scaling: str = "auto",
    batch_size: int | None = None,
    **options,
) -> pd.DataFrame:
    """Forecast the series of a table; see [`Forecaster.predict`]."""
    panel = read_history(table, settings, _lengths(model, settings)[1], **options)
    return forecast_panel(model, settings, panel, scaling=scaling, batch_size=batch_size)


def forecast_panel(
    model: nn.Module, settings: Mapping, panel: Panel, *, scaling: str = "auto", batch_size: int | None = None
) -> pd.DataFrame:
    """Forecast what follows each series, in the data's units, NaN for one without a value in its look-back.

    A student forecasts each series from its own last step. Any other model may look across series: it is shown all of
    its training at common steps, up to the last one of any.

    Args:
        model: the copy that serves, in evaluation mode.
        settings: those of its processor.

    Raises:
        InputError: the model cannot forecast one of the series, or a look-back holds what cannot be forecast.
    """
    lengths = _lengths(model, settings)
    channels, last = Channels.of(panel, settings, scaling), panel.last
    warn_of_short(known_values(panel, lengths[0]), panel.series_names, lengths[0], settings.get("season", 1))
    try:
        if is_channel_free(model.config):
            return forecast_frame(panel, _each(model, panel, channels, *lengths, batch_size))
        if model.config.model_type == "timedistill":
            channels.check_known()
        else:
            channels.check_all(panel)
            last = np.full_like(last, last.max())
        return forecast_frame(panel, _in_place(model, settings, panel, channels, last, *lengths), last)
    except UnusableWindow as error:
        raise InputError(f"{panel.name}: the series {panel.series_names()[error.window]!r} {error.reason}") from error


def _lengths(model: nn.Module, settings: Mapping) -> tuple[int, int]:
    names = ("context_length", "prediction_length")
    return tuple(settings.get(name) or getattr(model.config, name) for name in names)


def _each(
    model: nn.Module, panel: Panel, channels: Channels, context: int, horizon: int, batch_size: int | None
) -> np.ndarray:
    """`[G, S, K]`, each series by itself, some groups at a time."""
    num_groups, num_targets = panel.num_groups, len(panel.target_columns)
    forecasts = np.empty((num_groups, horizon, num_targets))
    step = max(1, MAX_CELLS // (context * num_targets))
    for start in range(0, num_groups, step):
        groups = slice(start, min(start + step, num_groups))
        past = torch.from_numpy(panel.block(groups, context).transpose(0, 2, 1).reshape(-1, context, 1))
        scaler = (torch.from_numpy(value[groups].reshape(-1, 1, 1)) for value in (channels.mean, channels.std))
        try:
            forecast, _ = forecast_in_units(model, past, *scaler, batch_size=batch_size)
        except UnusableWindow as error:
            raise UnusableWindow(start * num_targets + error.window, 0, error.reason) from error
        forecasts[groups] = forecast.numpy().reshape(-1, num_targets, horizon).transpose(0, 2, 1)
    return forecasts


def _in_place(
    model: nn.Module, settings: Mapping, panel: Panel, channels: Channels, last: np.ndarray, context: int, horizon: int
) -> np.ndarray:
    """`[G, S, K]`, each series in the channel of its own."""
    past, features = channels.window(panel, last, context, horizon, bool(settings.get("time_features")))
    try:
        forecast, _ = forecast_in_units(model, past, *channels.scaler(), run=run_model, **features)
    except UnusableWindow as error:
        raise UnusableWindow(channels.series_of(error.channel), 0, error.reason) from error
    return channels.take(forecast.numpy())


def known_values(panel: Panel, context_length: int) -> np.ndarray:
    """`[G * K]`: how many values each series has in its look-back."""
    inside = panel.number > panel.last[panel.group] - context_length
    counts = [
        np.bincount(panel.group, weights=inside & ~np.isnan(column), minlength=panel.num_groups)
        for column in panel.values.T
    ]
    return np.stack(counts, axis=1).ravel()


def warn_of_short(known: np.ndarray, names: Callable[[], Sequence], context_length: int, season: int) -> None:
    """Say which series have less than a season of known values in the look-back, and which have none.

    Args:
        known: `[N]`, how many each has.
        names: gives what they are called.
    """
    needed = max(1, min(season, context_length // 2))
    for is_short, consequence in (
        ((known > 0) & (known < needed), f"fewer than {needed} known values; their forecasts may be poor"),
        (known == 0, "no known value; their forecasts are missing"),
    ):
        if is_short.any():
            called = names()
            logger.warning(
                "history: of %d series %d have in the last %d steps %s: %s",
                len(known), is_short.sum(), context_length, consequence,
                listed(called[index] for index in np.flatnonzero(is_short)),
            )  # fmt: skip
