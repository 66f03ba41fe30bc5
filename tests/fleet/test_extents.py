"""Where series lie: against plain loops over rows."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timedistill_hf.forecasting.fleet import table as tables
from timedistill_hf.forecasting.fleet.extents import find_extents, join_extents, shares
from timedistill_hf.forecasting.fleet.table import FleetTable


def plain_loop(ids: list, times: list) -> list[tuple]:
    """Id, first row, row after the last, whether times ascend, of each run of equal ids."""
    found, row = [], 0
    for identifier, run in itertools.groupby(ids):
        length = len(list(run))
        own = times[row : row + length]
        found.append((identifier, row, row + length, all(a < b for a, b in itertools.pairwise(own))))
        row += length
    return found


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(st.tuples(st.sampled_from(["a", "b", "", "ä"]), st.integers(1, 9)), min_size=1, max_size=8),
    kind=st.sampled_from(["str", "category", "int64"]),
    row_group=st.integers(1, 20),
    batch=st.integers(1, 12),
    cuts=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_series_are_runs_of_equal_ids(runs, kind, row_group, batch, cuts, seed):
    """Whatever row groups and batches are; ranges of row groups joined are the whole but for order in cut runs."""
    names = [name for name, length in runs for _ in range(length)]
    ids = [{"a": 3, "b": -1, "": 0, "ä": 9}[name] for name in names] if kind == "int64" else names
    rng = np.random.default_rng(seed)
    hours = np.arange(len(ids))
    swapped = rng.permutation(len(ids))[:2]
    if seed % 2:
        hours[swapped] = hours[swapped[::-1]]
    times = [pd.Timestamp("2024-01-01") + pd.Timedelta(hours=int(hour)) for hour in hours]
    expected = plain_loop(ids, times)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_BATCH_ROWS", batch)
        path = Path(folder) / "x.parquet"
        pd.DataFrame({"id": ids, "ds": times}).astype({"id": kind}).to_parquet(path, row_group_size=row_group)
        table = FleetTable.open(path)
        whole = find_extents(table, "id", "ds", (0, table.num_rows))
        borders = [int(table.first[at]) for at in np.linspace(0, len(table.first) - 1, cuts + 1).astype(int)]
        parts = [find_extents(table, "id", "ds", rows) for rows in itertools.pairwise(borders)]
    joined = join_extents(parts)
    for found in (whole, joined):
        rows = zip(found.ids.to_pylist(), found.first[:-1].tolist(), found.ends.tolist())
        assert list(rows) == [each[:3] for each in expected]
    ordered = [each[3] for each in expected]
    assert whole.is_ordered.tolist() == ordered
    is_cut = [any(first < border < last for border in borders) for _, first, last, _ in expected]
    assert joined.is_ordered.tolist() == [order and not cut for order, cut in zip(ordered, is_cut)]


@given(weights=st.lists(st.integers(1, 50), min_size=1, max_size=40), num_shares=st.integers(1, 6))
def test_shares_are_neighbours_and_balanced(weights, num_shares):
    found = shares(np.array(weights), num_shares)
    assert [row for share in found for row in range(share.start, share.stop)] == list(range(len(weights)))
    assert len(found) == num_shares
    fair, largest = sum(weights) / num_shares, max(weights)
    assert all(sum(weights[share]) <= fair + largest + 1e-9 for share in found)
