import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import SplitSpec, parse_split
from timedistill_hf.data.benchmarks import BENCHMARKS


@given(rows=st.integers(10, 100_000))
def test_standard_ratios_round_train_and_test_down(rows):
    split = parse_split("0.7,0.1,0.2").resolve(rows)
    assert split.train == (0, int(rows * 0.7))
    assert split.test == (rows - int(rows * 0.2), rows)
    assert split.validation == (split.train[1], split.test[0])


def test_ratios_below_one_leave_the_rest_unused():
    split = parse_split("0.5,0.1,0.1").resolve(1000)
    assert (split.train, split.validation, split.test) == ((0, 500), (500, 600), (600, 700))


def test_rows_leave_the_rest_unused():
    split = parse_split("8640/2880/2880").resolve(17420)
    assert (split.train, split.validation, split.test) == ((0, 8640), (8640, 11520), (11520, 14400))


def test_dates_are_the_first_of_each_part():
    timestamps = np.datetime64("2024-01-01T00", "ns") + np.arange(240).astype("timedelta64[h]")
    split = parse_split("2024-01-06,2024-01-08").resolve(240, timestamps)
    assert (split.train, split.validation, split.test) == ((0, 120), (120, 168), (168, 240))
    assert parse_split("2024-01-06,2024-01-08,2024-01-09").resolve(240, timestamps).test == (168, 192)


@pytest.mark.parametrize(
    "text", ["0.7,0.3", "a,b,c", "0.7,0.2,0.2", "nan,0.1,0.2", "10,5,0", "1.5,2,3", "2024-01-01", ""]
)
def test_unreadable_splits_are_named(text):
    with pytest.raises(InputError, match="split"):
        parse_split(text)


def test_splits_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="needs 30 rows, the series has 20"):
        SplitSpec(rows=(10, 10, 10)).resolve(20)
    with pytest.raises(InputError, match="has none: split by rows or ratio"):
        SplitSpec(dates=("2024-01-01", "2024-02-01")).resolve(20)
    timestamps = np.datetime64("2024-01-01T00", "ns") + np.arange(24).astype("timedelta64[h]")
    with pytest.raises(InputError, match="leaves train, validation or test empty"):
        parse_split("2023-01-01,2023-02-01").resolve(24, timestamps)


def test_the_benchmarks_of_the_suite_are_known():
    expected = "etth1 etth2 ettm1 ettm2 weather electricity traffic solar exchange_rate national_illness"
    assert set(expected.split()) <= set(BENCHMARKS)
    assert all(benchmark.note for name, benchmark in BENCHMARKS.items() if "_sub" in name)
