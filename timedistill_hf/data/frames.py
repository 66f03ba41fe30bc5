"""From a table to a [`Series`]: its [`Panel`] with all channels at the same steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .._utils.errors import InputError
from ..tables.grid import season_of
from ..tables.panel import Panel, read_panel
from .series import Series, as_sentinels


if TYPE_CHECKING:
    from ..tables.table import Table


def frame_to_series(
    table: "Table",
    *,
    name: str,
    season: int | None = None,
    regularize: bool = True,
    missing_value: float | Sequence[float] | None = None,
    time_zone: str | None = None,
    **options: Any,
) -> Series:
    """Read a wide table (one column a channel) or a long one (one channel per id and value column).

    Where all timestamps lie on one grid, steps without a row are missing; where there is none, rows are equal steps.

    Args:
        season: steps of one season; read from the frequency where `None`.
        regularize: `False` keeps rows and order as they are, as the benchmarks need.
        missing_value: a value that means missing, or several.
        time_zone, options: for [`read_panel`].

    Raises:
        InputError: the table cannot be read, or two ids are written alike.
    """
    sentinels = as_sentinels(missing_value)
    panel = read_panel(
        table,
        name,
        regularize=regularize,
        missing_values=sentinels,
        time_zone=time_zone,
        in_common=True,
        **options,
    )
    columns = _channels(panel)
    values, timestamps = panel.together()
    return Series(
        values=torch.from_numpy(values),
        columns=columns,
        timestamps=timestamps,
        timestamp_column=panel.timestamp_column,
        freq=panel.freq,
        season=season or season_of(panel.freq),
        name=name,
        id_column=panel.id_column,
        target_columns=None if panel.ids is None else tuple(panel.target_columns),
        regularized=regularize,
        missing_value=sentinels[0] if len(sentinels) == 1 else sentinels or None,
        clock=panel.clock,
        time_zone=time_zone,
    )


def _channels(panel: Panel) -> tuple[str, ...]:
    """What they are called: the column, the id, or `id/column` where an id has several."""
    if panel.ids is None:
        return tuple(panel.target_columns)
    one = len(panel.target_columns) == 1
    names = [str(each) if one else f"{each[0]}/{each[1]}" for each in panel.series_names()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"{panel.name!r} has different ids that are both written {twice!r} (a number and a text, say) in column "
            f"{panel.id_column!r}: write them alike"
        )
    return tuple(names)
