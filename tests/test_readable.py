"""Amounts as people say them."""

import pytest

from timedistill_hf._utils.readable import readable_bytes, readable_seconds


@pytest.mark.parametrize(
    ("count", "said"),
    [(640, "640 B"), (1000, "1.00 kB"), (62_496, "62.5 kB"), (1.3e9, "1.30 GB"), (2.4e13, "24,000.0 GB")],
)
def test_bytes_in_powers_of_ten(count, said):
    assert readable_bytes(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.6, "9.6 s"), (12.4, "12 s"), (89, "89 s"), (180, "3 min"), (7500, "2 h 5 min")],
)
def test_times(seconds, said):
    assert readable_seconds(seconds) == said
