import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, default_collate

from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.data.mixed import MixedWindows, WithMixedWindows
from timedistill_hf.errors import InputError


def windows_of(missing: float = 0.0, rows: int = 120):
    series = synthetic_series(rows + 80, 2)
    if missing:
        generator = torch.Generator().manual_seed(0)
        series.values[torch.rand(series.values.shape, generator=generator) < missing] = torch.nan
    return make_windows(series, 24, 8, SplitSpec(rows=(rows, 40, 40))).train


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 3), seed=st.integers(0, 2**32 - 1))
def test_an_item_is_two_look_backs_mixed_without_truth(share, seed):
    windows = windows_of()
    mixed = MixedWindows(windows, share, seed)
    assert len(mixed) == round(share * len(windows))
    series, first = windows.values.numpy().astype(np.float64), windows.first_origin
    for index in range(min(len(mixed), 5)):
        (a, b), lam = mixed.pairs[index], mixed.lam[index]
        one, other = (series[first + number - 24 : first + number] for number in (a, b))
        item = mixed[index]
        assert set(item) == {"past_values", "future_values", "future_observed_mask"}
        assert item["past_values"].dtype == torch.float32
        np.testing.assert_allclose(item["past_values"], lam * one + (1 - lam) * other, atol=1e-5)
        for name in ("future_values", "future_observed_mask"):
            assert item[name].shape == (8, 2)
            assert not item[name].any()


def test_a_step_is_observed_where_both_are():
    windows = windows_of(missing=0.3)
    mixed = MixedWindows(windows, 1.0, 3)
    values, observed = windows.values.numpy().astype(np.float64), windows.observed.numpy()
    for index in range(len(mixed)):
        rows = [slice(windows.first_origin + n - 24, windows.first_origin + n) for n in mixed.pairs[index]]
        both = observed[rows[0]] * observed[rows[1]]
        lam = mixed.lam[index]
        expected = np.where(both, lam * values[rows[0]] + (1 - lam) * values[rows[1]], 0.0)
        assert (mixed[index]["past_observed_mask"].numpy() == both).all()
        np.testing.assert_allclose(mixed[index]["past_values"], expected, atol=1e-5)


def test_draws_reach_all_windows_and_all_of_the_way_between_two():
    windows = windows_of()
    mixed = MixedWindows(windows, 50.0, 0)
    assert set(mixed.pairs.ravel()) == set(range(len(windows)))
    shares, _ = np.histogram(mixed.lam, bins=10, range=(0, 1))
    assert shares.sum() == len(mixed)
    assert shares.min() > 0.08 * len(mixed)
    assert abs(np.corrcoef(mixed.pairs.T)[0, 1]) < 0.05


def test_the_seed_decides():
    windows = windows_of()
    first, again, other = (MixedWindows(windows, 0.5, seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[i]["past_values"], again[i]["past_values"]) for i in range(len(first)))
    assert not any(torch.equal(first[i]["past_values"], other[i]["past_values"]) for i in range(len(first)))
    assert torch.equal(first[3]["past_values"], first[3]["past_values"])


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_real_windows_come_first_and_all_go_into_one_batch(missing):
    windows = windows_of(missing)
    both = WithMixedWindows(windows, 0.5, 7)
    extra = MixedWindows(windows, 0.5, 7)
    assert len(both) == len(windows) + len(extra)
    for index in range(len(windows)):
        item, real = both[index], windows[index]
        assert all(torch.equal(item[name], tensor) for name, tensor in real.items())
        assert set(item) == set(real) | {"future_observed_mask"}
        if not missing:
            assert item["future_observed_mask"].all()
    for index in range(len(extra)):
        assert torch.equal(both[len(windows) + index]["past_values"], extra[index]["past_values"])
    assert torch.equal(both[-1]["past_values"], extra[-1]["past_values"])
    assert torch.equal(both[-len(both)]["past_values"], windows[0]["past_values"])
    for data, index in ((both, len(both)), (both, -len(both) - 1), (extra, len(extra)), (extra, -len(extra) - 1)):
        with pytest.raises(IndexError):
            data[index]
    batch = default_collate([both[0], both[-1]])
    assert batch["future_observed_mask"].dtype == torch.bool
    assert not batch["future_observed_mask"][1].any()
    assert set(windows[0]) == set(windows_of(missing)[0])  # the windows themselves are left as they were
    loader = DataLoader(pickle.loads(pickle.dumps(both)), batch_size=16)
    assert sum(len(batch["past_values"]) for batch in loader) == len(both)


def test_the_fingerprint_tells_windows_share_and_seed_apart():
    def fingerprint(share=0.5, seed=1, **kwargs):
        return WithMixedWindows(windows_of(**kwargs), share, seed).fingerprint()

    assert fingerprint() == fingerprint()
    others = {fingerprint(share=0.25), fingerprint(seed=2), fingerprint(rows=130), fingerprint(missing=0.1)}
    others.add(fingerprint(share=0.499))  # as many windows as with 0.5
    redrawn = WithMixedWindows(windows_of(), 0.5, 1)
    redrawn.mixed.lam[0] += 0.1
    assert len(others | {fingerprint(), windows_of().fingerprint(), redrawn.fingerprint()}) == 8


def test_it_has_the_lengths_of_the_windows_and_stays_without_calendar():
    both = WithMixedWindows(windows_of(), 0.5, 1)
    assert (both.context_length, both.prediction_length, both.time_features) == (24, 8, None)
    assert both.with_time_features(None).fingerprint() == both.fingerprint()


@pytest.mark.parametrize("share", [-0.1, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match=f"share={share}, expected a number from 0"):
        MixedWindows(windows_of(), share, 0)


def test_calendar_features_are_refused():
    calendar = torch.zeros(200, 4)
    windows = windows_of()
    for refused in (
        lambda: MixedWindows(windows.with_time_features(calendar), 0.5, 0),
        lambda: WithMixedWindows(windows, 0.5, 0).with_time_features(calendar),
    ):
        with pytest.raises(InputError, match=r"mixed windows cannot have the 4 calendar features.*a teacher that"):
            refused()
