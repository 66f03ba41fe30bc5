"""A DataFrame in, a DataFrame out: every series is forecast from its own last timestamp.

Imported only where tables are read: it needs pandas.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from transformers.utils import is_pandas_available

from .clock_timedistill import TableError
from .panel_timedistill import Panel, read_panel
from .serving_timedistill import MAX_CELLS, UnusableWindow, forecast_in_units, is_channel_free, trained_scaler


if is_pandas_available():
    import pandas as pd

logger = logging.getLogger(__name__)

SCALINGS = ("auto", "training", "history")


def read_frame(
    frame: "pd.DataFrame",
    settings: dict,
    prediction_length: int,
    *,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target_columns: list[str] | None = None,
    freq: str | None = None,
    time_zone: str | None = None,
) -> "tuple[pd.DataFrame, Panel, dict]":
    """A clean table as a panel: numbers, and datetimes or text that pandas reads as such in its time column.

    The columns are those named, else those of training that the table has, else the first of datetimes and all that
    are left. `Forecaster.predict_df` of the package takes more kinds of tables and says more of what is wrong.

    Args:
        settings: those of the processor.

    Returns:
        The table with its time as datetimes, the panel, and its `id_column`, `timestamp_column`, `target_columns`.

    Raises:
        TableError: a column is not there or holds no numbers, or the table is no panel ([`read_panel`]).
    """
    if not isinstance(frame, pd.DataFrame) or len(frame) == 0:
        raise TableError("expected a DataFrame with one row a time step")
    columns = _choose_columns(frame, settings, id_column, timestamp_column, target_columns)
    timestamp_column = columns["timestamp_column"]
    if timestamp_column is not None:
        times = _datetimes(frame[timestamp_column], time_zone or settings.get("time_zone"))
        frame = frame.assign(**{timestamp_column: times})
    freq = freq or settings.get("freq")
    if timestamp_column is not None and freq is None:
        raise TableError("the model knows no frequency: give freq, such as freq='h'")
    sentinels = settings.get("missing_value")
    panel = read_panel(
        frame,
        freq=freq if timestamp_column else None,
        time_zone=time_zone or settings.get("time_zone"),
        missing_values=tuple(value for value in np.atleast_1d(sentinels) if value is not None),
        ahead=prediction_length,
        **columns,
    )
    return frame, panel, columns


def _datetimes(column: "pd.Series", time_zone: str | None) -> "pd.Series":
    """Datetimes; text with an offset, which daylight saving may change, is absolute time, in `time_zone` or UTC."""
    try:
        times = pd.to_datetime(column)
        differ = times.dtype == object  # pandas 2
    except ValueError:  # or no times at all, which is said then
        differ = True
    if differ:
        times = pd.to_datetime(column, utc=True)
    if times.dt.tz is None or pd.api.types.is_datetime64_any_dtype(column):
        return times
    return times.dt.tz_convert(time_zone or "UTC")


def _choose_columns(
    frame: "pd.DataFrame",
    settings: dict,
    id_column: str | None,
    timestamp_column: str | None,
    target_columns: list[str] | None,
) -> dict:
    here = {name: settings.get(name) for name in ("id_column", "timestamp_column") if settings.get(name) in frame}
    datetimes = [column for column in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[column])]
    id_column = id_column or here.get("id_column")
    timestamp_column = timestamp_column or here.get("timestamp_column") or next(iter(datetimes), None)
    left = [column for column in frame.columns if column not in (id_column, timestamp_column)]
    of_training = [column for column in left if column in (settings.get("target_columns") or [])]
    target_columns = list(target_columns or (of_training if id_column else []) or left)
    for column in (id_column, timestamp_column, *target_columns):
        if column is not None and column not in frame.columns:
            raise TableError(f"there is no column {column!r}: the table has {list(frame.columns)}")
    for column in target_columns:
        if not pd.api.types.is_numeric_dtype(frame[column]) or pd.api.types.is_bool_dtype(frame[column]):
            raise TableError(f"column {column!r} holds no numbers: name id_column, timestamp_column, target_columns")
    if id_column is not None and timestamp_column is None:
        raise TableError("a table with an id column needs a time column: give timestamp_column")
    return {"id_column": id_column, "timestamp_column": timestamp_column, "target_columns": target_columns}


@dataclass(frozen=True)
class Scaler:
    """What the values of each series are standardised with.

    Args:
        positions: `[G, K]`, the channel of the model's training that each series is, -1 where it is none.
        mean, std: float64 `[G, K]` in the data's units; NaN where the window's own are taken.
    """

    positions: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def scaler_of(panel: Panel, target_columns: list[str], settings: dict, scaling: str = "auto") -> Scaler:
    """Find the series of a table among the channels of training.

    A wide table's series are known by their column, those of a long one by id and value column, ids compared as text.

    Args:
        settings: those of the processor (`preprocessor_config.json`): `columns`, `mean`, `std`, `id_column`,
            `target_columns`.
        scaling: `"auto"`, the scaler of training where the series is known from it and its own window's where not;
            `"history"`, its own window's for all; `"training"`, the one of training, which all must be known for.

    Raises:
        TableError: `scaling` is none of these, or a series is unknown that must be known.
    """
    if scaling not in SCALINGS:
        raise TableError(f"scaling={scaling!r}: expected one of {', '.join(map(repr, SCALINGS))}")
    index = {name: position for position, name in enumerate(settings.get("columns", []))}
    names = _channel_names(panel, target_columns, settings)
    positions = np.array([[index.get(name, -1) for name in row] for row in names], dtype=np.int64)
    known = positions >= 0
    if scaling == "training" and not known.all():
        group, target = np.argwhere(~known)[0]
        raise TableError(
            f"scaling='training', and {names[group][target] or target_columns[target]!r} is no series of the model's "
            f"training ({int((~known).sum())} of {known.size} are not): take scaling='auto' or 'history'"
        )
    taken = known if scaling != "history" else np.zeros_like(known)
    mean, std = (np.where(taken, values.numpy()[positions], np.nan) for values in trained_scaler(settings))
    return Scaler(positions, mean, std)


def forecast_panel(
    model, panel: Panel, scaler: Scaler, context_length: int, prediction_length: int, batch_size: int | None = None
) -> np.ndarray:
    """Forecast what follows each group's last row.

    Returns:
        Float64 `[G, S, K]` in the data's units, NaN for a series without a value in its look-back.

    Raises:
        TableError: the model is bound to its channels and a series is none of them.
        UnusableWindow: a look-back holds what cannot be forecast; its window is the number of the series, group by
            group.
    """
    num_groups, num_targets = panel.num_groups, panel.values.shape[1]
    if not is_channel_free(model.config):
        return _forecast_in_place(model, panel, scaler, context_length)
    forecasts = np.empty((num_groups, prediction_length, num_targets))
    step = max(1, MAX_CELLS // (context_length * num_targets))
    for start in range(0, num_groups, step):
        groups = slice(start, min(start + step, num_groups))
        past = torch.from_numpy(panel.block(groups, context_length).transpose(0, 2, 1).reshape(-1, context_length, 1))
        mean, std = (torch.from_numpy(value[groups].reshape(-1, 1, 1)) for value in (scaler.mean, scaler.std))
        try:
            forecast, _ = forecast_in_units(model, past, mean, std, batch_size=batch_size)
        except UnusableWindow as error:
            raise UnusableWindow(start * num_targets + error.window, 0, error.reason) from error
        forecasts[groups] = forecast.numpy().reshape(-1, num_targets, prediction_length).transpose(0, 2, 1)
    return forecasts


def known_values(panel: Panel, context_length: int) -> np.ndarray:
    """`[G, K]`: how many values each series has in its look-back."""
    group = np.repeat(np.arange(panel.num_groups), np.diff(panel.first))
    inside = panel.number > panel.last[group] - context_length
    return np.stack(
        [
            np.bincount(group, weights=inside & ~np.isnan(column), minlength=panel.num_groups)
            for column in panel.values.T
        ],
        axis=1,
    ).astype(np.int64)


def forecast_frame(
    frame: "pd.DataFrame",
    panel: Panel,
    forecasts: np.ndarray,
    *,
    id_column: str | None,
    timestamp_column: str | None,
    target_columns: list[str],
) -> "pd.DataFrame":
    """Forecasts `[G, S, K]` as a table like the one given: its columns in their order, S rows a group.

    There is no time column where the panel knows no time.
    """
    steps = forecasts.shape[1]
    columns = dict(zip(target_columns, forecasts.transpose(2, 0, 1).reshape(len(target_columns), -1), strict=True))
    if panel.ids is not None:
        columns[id_column] = panel.ids.repeat(steps).reset_index(drop=True)
    if panel.grid is not None:
        columns[timestamp_column] = panel.stamps(panel.last, np.arange(panel.num_groups), np.arange(1, steps + 1))
    return pd.DataFrame({column: columns[column] for column in frame.columns if column in columns})


def _channel_names(panel: Panel, targets: list[str], settings: dict) -> list[list[str | None]]:
    """What each series was called as a channel of training; `None` where it cannot have been one."""
    if panel.ids is None:
        return [list(targets)]
    trained = settings.get("target_columns") if settings.get("id_column") is not None else None
    ids = panel.ids.tolist()
    if trained is not None and len(trained) == 1:
        return [[str(identifier) if target == trained[0] else None for target in targets] for identifier in ids]
    if trained is None and len(targets) == 1:
        return [[str(identifier)] for identifier in ids]
    return [[f"{identifier}/{target}" for target in targets] for identifier in ids]


def _forecast_in_place(model, panel: Panel, scaler: Scaler, context_length: int) -> np.ndarray:
    """Each series in the channel of its own: what a model needs that has parameters of every channel."""
    positions = scaler.positions.ravel()
    if (positions < 0).any() or len(np.unique(positions)) < len(positions):
        unknown = int((positions < 0).sum())
        raise TableError(
            f"{unknown} of {len(positions)} series are not of the model's training, or one is there twice, and the "
            "model is bound to the channels it was trained on: give these only, or train a student with "
            "hidden_norm='layernorm' (and revin_affine=False), which forecasts any series"
        )
    channels = model.config.num_input_channels
    past = np.zeros((1, context_length, channels))
    mean, std = np.zeros((1, 1, channels)), np.ones((1, 1, channels))
    window = panel.block(slice(0, panel.num_groups), context_length).transpose(1, 0, 2).reshape(context_length, -1)
    past[0][:, positions] = window
    mean[0, 0, positions], std[0, 0, positions] = scaler.mean.ravel(), scaler.std.ravel()
    try:
        forecast, _ = forecast_in_units(model, *(torch.from_numpy(value) for value in (past, mean, std)))
    except UnusableWindow as error:
        raise UnusableWindow(int(np.flatnonzero(positions == error.channel)[0]), 0, error.reason) from error
    forecast = forecast[0].numpy()[:, positions]
    return forecast.reshape(-1, panel.num_groups, panel.values.shape[1]).transpose(1, 0, 2)
