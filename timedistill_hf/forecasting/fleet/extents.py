"""Where in a long table each series lies: found from ids and times alone, in one pass."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..._utils.errors import InputError
from .table import FleetTable


@dataclass(frozen=True)
class Extents:
    """Series of neighbouring rows, in the order of the table.

    Args:
        ids: `[G]`.
        first: int64 `[G + 1]`, the rows of series g are `first[g]` to `first[g + 1]`.
        is_ordered: `[G]`, whether each series' rows are known to be in strict order of time.
    """

    ids: pa.Array
    first: np.ndarray
    is_ordered: np.ndarray

    @property
    def num_series(self) -> int:
        return len(self.ids)

    @property
    def ends(self) -> np.ndarray:
        """`[G]`: the row after each series' last one."""
        return self.first[1:]

    @property
    def longest(self) -> int:
        """The series of the most rows, the first of several."""
        return int(np.diff(self.first).argmax())

    def starts(self, context_length: int) -> np.ndarray:
        """`[G]`: the first row of each series that its forecast can hang on.

        Of a series in order of time, the last `context_length` rows hold all of its last `context_length` steps; of
        one in another order, all rows are needed.
        """
        begins = self.first[:-1]
        return np.where(self.is_ordered, np.maximum(begins, self.ends - context_length), begins)

    def check(self, id_column: str) -> None:
        """Raise where a series comes up again after another one."""
        counts = pc.value_counts(self.ids)
        again = np.flatnonzero(counts.field("counts").to_numpy() > 1)
        if not len(again):
            return
        identifier = counts.field("values")[int(again[0])]
        first, second = np.flatnonzero(pc.equal(self.ids, identifier).to_numpy(zero_copy_only=False))[:2]
        raise InputError(
            f"the rows of {id_column} {identifier.as_py()!r} are not all together: they end at row "
            f"{self.ends[first] - 1} and begin again at row {self.first[second]} ({len(again)} series are so); sort "
            f"the table by {id_column!r}, or forecast it in memory with Forecaster.predict"
        )


def find_extents(table: FleetTable, id_column: str, timestamp_column: str, rows: tuple[int, int]) -> Extents:
    """The series of a range of rows; the rest of one that is cut by it is another call's.

    Args:
        rows: half-open; begins and ends with a row group.

    Raises:
        InputError: a row has no id.
    """
    ids, firsts, unordered = [], [], set()
    num_runs, last_id, last_time = 0, None, None
    starts, ends = np.array([rows[0]]), np.array([rows[1]])
    for row, batch in table.batches([id_column, timestamp_column], starts, ends):
        column, times = _plain(batch.column(id_column)), batch.column(timestamp_column)
        _check_known(column, row, id_column)
        is_new = np.ones(len(column), dtype=bool)
        is_new[1:] = pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
        is_new[0] = last_id is None or column[0].as_py() != last_id
        goes_back = np.zeros(len(column), dtype=bool)
        goes_back[1:] = ~_is_less(times[:-1], times[1:])
        if last_time is not None:
            goes_back[:1] = ~_is_less(last_time, times[:1])
        run = num_runs - 1 + np.cumsum(is_new)
        unordered.update(np.unique(run[goes_back & ~is_new]).tolist())
        begins = np.flatnonzero(is_new)
        num_runs += len(begins)
        ids.append(column.take(pa.array(begins)))
        firsts.append(row + begins)
        last_id, last_time = column[-1].as_py(), times[-1:]
    is_ordered = np.ones(num_runs, dtype=bool)
    is_ordered[list(unordered)] = False
    names = pa.concat_arrays(ids) if ids else _plain(pa.array([], table.schema.field(id_column).type))
    return Extents(names, np.concatenate([*firsts, [rows[1]]]).astype(np.int64), is_ordered)


def join_extents(parts: list[Extents]) -> Extents:
    """The extents of neighbouring ranges of rows as one; of a series that was cut, the order is not known."""
    parts = [part for part in parts if part.num_series]
    ids, firsts, ordered = [parts[0].ids], [parts[0].first[:-1]], [parts[0].is_ordered.copy()]
    for before, part in pairwise(parts):
        goes_on = int(before.ids[-1].equals(part.ids[0]))
        if goes_on:
            next(each for each in reversed(ordered) if len(each))[-1] = False
        ids.append(part.ids[goes_on:])
        firsts.append(part.first[goes_on:-1])
        ordered.append(part.is_ordered[goes_on:].copy())
    first = np.concatenate([*firsts, parts[-1].first[-1:]])
    return Extents(pa.concat_arrays(ids), first, np.concatenate(ordered))


def shares(weights: np.ndarray, num_shares: int) -> list[slice]:
    """Neighbouring series for each process, of about the same weight together.

    Args:
        weights: `[G]`, positive.
    """
    total = np.cumsum(weights)
    middles = total - weights / 2
    cuts = np.searchsorted(middles, total[-1] * np.arange(1, num_shares) / num_shares)
    borders = [0, *cuts.tolist(), len(weights)]
    return [slice(first, last) for first, last in pairwise(borders)]


def _is_less(first: pa.Array, second: pa.Array) -> np.ndarray:
    """Whether one time is before another; not where one is missing."""
    return pc.fill_null(pc.less(first, second), False).to_numpy(zero_copy_only=False)


def _plain(ids: pa.Array) -> pa.Array:
    return ids.dictionary_decode() if pa.types.is_dictionary(ids.type) else ids


def _check_known(ids: pa.Array, row: int, id_column: str) -> None:
    is_missing = pc.is_null(ids, nan_is_null=pa.types.is_floating(ids.type)).to_numpy(zero_copy_only=False)
    if is_missing.any():
        raise InputError(
            f"row {row + int(is_missing.argmax())} has no id in column {id_column!r}: fill it, or drop the row"
        )
    if pa.types.is_temporal(ids.type):
        try:
            pc.min_max(ids).as_py()
        except (OverflowError, ValueError) as error:
            raise InputError(
                f"column {id_column!r} holds {ids.type} out of the range of dates ({error}): write other ids"
            ) from error
