"""From a table to a [`Series`]: its [`Panel`] with all channels at the same steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from .._utils.errors import InputError
from ..tables.grid import season_of
from ..tables.panel import Panel, read_panel
from .series import Series


if TYPE_CHECKING:
    from ..tables.table import Table


def frame_to_series(
    frame: "Table",
    *,
    name: str,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    season: int | None = None,
    regularize: bool = True,
    freq: str | None = None,
    time_zone: str | None = None,
    duplicates: str = "error",
) -> Series:
    """Read a wide table (one column a channel) or, with an id column, a long one (id, timestamp, value).

    Rules: the time column is the one named, else the first of datetime type, or called date, timestamp, datetime, time
    or ds, else an index of timestamps or a nameless first column of dates. A nameless first column of whole numbers is
    a saved index and is left out. All timestamps have a time zone, or none. With one, steps shorter than a day are
    counted in UTC, days and longer ones on the zone's calendar ([`Clock`]). Rows are sorted by time. A long table
    becomes one channel per id and value column, missing where an id has no row. Steps left out of an otherwise regular
    series are put back as missing; where there is no grid, rows are taken as equal steps. Text that reads as a number
    in every row of a column is one.

    Args:
        season: steps of one season; read from the frequency where `None`.
        regularize: `False` keeps rows and order as they are, as the benchmarks need.
        freq: pandas frequency: how far apart steps are, left-out ones among them; found where `None`
            ([`find_frequency`]).
        time_zone: whose clock timestamps without a zone show, or whose calendar those with one follow.
        duplicates: what several rows of one series at one time become; see [`read_panel`].

    Raises:
        InputError: empty, no value column, a cell that is no number or beyond float32, duplicated or unreadable
            timestamps, some with a time zone and some without, columns that are unknown, have one name or two roles,
            timestamps that are not `freq` apart.
    """
    panel = read_panel(
        frame,
        name,
        timestamp_column=timestamp_column,
        id_column=id_column,
        target_columns=target_columns,
        freq=freq,
        time_zone=time_zone,
        duplicates=duplicates,
        in_common=True,
        regularize=regularize,
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
        clock=panel.clock,
        time_zone=time_zone,
    )


def channel_names(identifier: object, targets: Sequence[str]) -> list[str]:
    """What the channels of one id of a long table are called: the id, or `id/target` with several value columns."""
    return [str(identifier)] if len(targets) == 1 else [f"{identifier}/{target}" for target in targets]


def _channels(panel: Panel) -> tuple[str, ...]:
    if panel.ids is None:
        return tuple(panel.target_columns)
    names = [name for identifier in panel.ids for name in channel_names(identifier, panel.target_columns)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"{panel.name!r} has different ids that are both written {twice!r} (a number and a text, say) in column "
            f"{panel.id_column!r}: write them alike"
        )
    return tuple(names)
