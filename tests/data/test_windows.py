import numpy as np
import pandas as pd
import pytest
import torch

from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import (
    Series,
    Split,
    SplitSpec,
    load_series,
    make_windows,
    parse_split,
    synthetic_series,
)
from timedistill_hf.data.windows import seasonal_naive_errors


def series_of(values, **kwargs):
    values = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    return Series(values, tuple(f"c{i}" for i in range(values.shape[1])), **kwargs)


def test_windows_are_the_slices_of_the_standardised_series():
    series = synthetic_series(200, 2)
    data = make_windows(series, 24, 8, SplitSpec(rows=(100, 40, 50)))
    train = series.values[:100].double().numpy()
    expected = (series.values.double().numpy() - train.mean(axis=0)) / train.std(axis=0)
    for windows, (first, last) in ((data.train, (24, 100)), (data.validation, (100, 140)), (data.test, (140, 190))):
        origins = range(first, last - 8 + 1)
        assert len(windows) == len(origins)
        for index, origin in enumerate(origins):
            item = windows[index]
            np.testing.assert_allclose(item["past_values"], expected[origin - 24 : origin], atol=1e-5)
            np.testing.assert_allclose(item["future_values"], expected[origin : origin + 8], atol=1e-5)
    with pytest.raises(IndexError):
        data.train[len(data.train)]


def test_items_are_views_of_one_float32_tensor():
    data = make_windows(synthetic_series(200, 2), 24, 8, SplitSpec(rows=(100, 40, 50)))
    storage = data.train.values.untyped_storage().data_ptr()
    for windows in (data.train, data.validation, data.test):
        for tensor in windows[3].values():
            assert tensor.untyped_storage().data_ptr() == storage
            assert tensor.dtype == torch.float32


def test_missing_values_become_masks_and_do_not_touch_the_scaler():
    values = np.random.default_rng(0).normal(size=(120, 2)).astype(np.float32)
    holes = values.copy()
    holes[5:9, 1] = np.nan
    data = make_windows(series_of(holes), 10, 4, SplitSpec(rows=(60, 30, 30)))
    item = data.train[0]
    assert item["past_observed_mask"].tolist() == (~np.isnan(holes[:10])).tolist()
    assert item["past_values"][5:9, 1].eq(0).all()
    assert data.processor.mean[1] == pytest.approx(np.nanmean(holes[:60, 1].astype(np.float64)))
    assert data.processor.std[1] == pytest.approx(np.nanstd(holes[:60, 1].astype(np.float64)))
    assert "past_observed_mask" not in make_windows(series_of(values), 10, 4, SplitSpec(rows=(60, 30, 30))).train[0]


def test_a_constant_channel_is_not_divided_by_zero():
    values = np.stack([np.arange(90.0), np.full(90, 7e6)], axis=1)
    data = make_windows(series_of(values), 10, 4, SplitSpec(rows=(50, 20, 20)))
    assert data.processor.std[1] == 1.0
    assert torch.isfinite(data.train.values).all()


def test_too_short_splits_name_what_is_needed():
    with pytest.raises(InputError, match=r"train has 20 of the 60 rows.*needs 28"):
        make_windows(series_of(np.zeros((60, 1))), 24, 4, SplitSpec(rows=(20, 20, 20)))
    with pytest.raises(InputError, match=r"test has 3 of the 60 rows"):
        make_windows(series_of(np.zeros((60, 1))), 24, 4, SplitSpec(rows=(40, 10, 3)))
    with pytest.raises(InputError, match="prediction_length=0"):
        make_windows(series_of(np.zeros((60, 1))), 24, 0)


def test_infinite_and_all_missing_columns_are_named():
    values = np.zeros((60, 2))
    values[3, 1] = np.inf
    with pytest.raises(InputError, match="column 'c1' holds an infinite value"):
        series_of(values)
    values[:, 1] = np.nan
    with pytest.raises(InputError, match="column 'c1' has no value in the 42 train rows"):
        make_windows(series_of(values), 10, 4)


def test_seasonal_naive_errors_by_hand():
    values = np.array([[1.0, 2.0], [4.0, np.nan], [2.0, 5.0], [8.0, 1.0]])
    np.testing.assert_allclose(seasonal_naive_errors(values, 2), [(1 + 4) / 2, 3.0])
    assert np.isnan(seasonal_naive_errors(values, 4)).all()


def test_the_fingerprint_tells_data_apart():
    first, again = synthetic_series(100), synthetic_series(100)
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != synthetic_series(100, seed=1).fingerprint()


def test_synthetic_data_are_seeded_labelled_and_beyond_a_linear_map():
    series = synthetic_series()
    assert "synthetic" in series.note
    assert torch.equal(series.values, synthetic_series().values)
    hours = series.values.numpy().astype(np.float64)
    spectrum = np.abs(np.fft.rfft(hours - hours.mean(axis=0), axis=0)).mean(axis=1)
    daily, weekly = round(len(hours) / 24), round(len(hours) / 168)
    nearby = np.median(spectrum[daily - 20 : daily + 20])
    assert spectrum[daily] > 10 * nearby
    assert spectrum[weekly] > 3 * np.median(spectrum[weekly - 10 : weekly + 10])


def test_a_part_without_any_value_is_named():
    values = np.random.default_rng(0).normal(size=(100, 1))
    values[70:80] = np.nan
    with pytest.raises(InputError, match=r"the validation rows .* hold no value at all"):
        make_windows(series_of(values), 10, 4)


def test_a_benchmark_is_split_as_it_always_is(tmp_path):
    """ETTh1's 12, 4 and 4 months; the same file by its own name has no such rule."""
    stamps = pd.date_range("2016-07-01", periods=17420, freq="h")
    pd.DataFrame({"date": stamps, "OT": np.arange(17420.0) % 24}).to_csv(tmp_path / "ETTh1.csv", index=False)
    data = make_windows(load_series("etth1", data_dir=tmp_path), 720, 96)
    assert data.split == Split(train=(0, 8640), validation=(8640, 11520), test=(11520, 14400))
    by_ratio = make_windows(load_series("etth1", data_dir=tmp_path), 720, 96, parse_split("0.7,0.1,0.2"))
    assert by_ratio.split.train == (0, 12194)
    assert make_windows(load_series(tmp_path / "ETTh1.csv"), 720, 96).split == by_ratio.split
