"""Forecasts of a [`Panel`] as a table again."""

import numpy as np
import pandas as pd

from .panel import Panel


def forecast_frame(panel: Panel, forecasts: np.ndarray, last: np.ndarray | None = None) -> pd.DataFrame:
    """Forecasts `[G, S, K]` as a table like the one given: its columns in their order, S rows a group.

    There is no time column where the panel knows no time.

    Args:
        last: `[G]`, the step that each group's forecast follows; that of its last row where `None`.
    """
    steps, groups = forecasts.shape[1], np.arange(panel.num_groups)
    by_column = forecasts.transpose(2, 0, 1).reshape(len(panel.target_columns), -1)
    columns = dict(zip(panel.target_columns, by_column, strict=True))
    if panel.ids is not None:
        columns[panel.id_column] = panel.ids.repeat(steps).reset_index(drop=True)
    if panel.grid is not None:
        last = panel.last if last is None else last
        columns[panel.timestamp_column] = timestamps(panel, last, groups, np.arange(1, steps + 1))
    return pd.DataFrame({column: columns[column] for column in panel.columns if column in columns})


def timestamps(panel: Panel, number: np.ndarray, group: np.ndarray, steps: np.ndarray) -> pd.Series:
    """A column of `n * s` times like that of the table: `steps` `[s]` after the step `number` `[n]` of `group` `[n]`.

    Text that says its zone is answered in UTC, or in the time zone that was named.
    """
    start = panel.grid.times(number, panel.phase[group])
    _, example, inverse = np.unique(start, return_index=True, return_inverse=True)
    times = panel.grid.times(number[example][:, None] + steps, panel.phase[group[example]][:, None])
    rows = inverse[:, None] * len(steps) + np.arange(len(steps))
    stamps = panel.clock.write(times.ravel()).take(rows.ravel()).reset_index(drop=True)
    return stamps.dt.date if panel.has_dates else stamps


def identity(panel: Panel, series: np.ndarray) -> dict[str, pd.Series]:
    """The columns that say which series each row is of, and its value column where each id has several.

    Args:
        series: `[n]`, numbers of series, group by group.
    """
    group, target = np.divmod(series, len(panel.target_columns))
    targets = pd.Series(panel.target_columns, dtype="str").take(target).reset_index(drop=True)
    if panel.ids is None:
        return {"id": targets}
    columns = {panel.id_column: panel.ids.take(group).reset_index(drop=True)}
    return columns if len(panel.target_columns) == 1 else columns | {"target": targets}
