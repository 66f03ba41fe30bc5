"""From a series to what models eat: standardised windows, as views on one tensor."""

import hashlib
import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import Dataset

from .._utils.errors import InputError
from ..student.serving_timedistill import MAX_DEVIATIONS
from .calendar import calendar_features
from .processor import TimeDistillProcessor
from .series import Series
from .splits import STANDARD_RATIOS, Split, SplitSpec, parse_split


logger = logging.getLogger(__name__)


MAX_SERIES = 6_000  # windows times channels in a large model at once: to train PatchTST on them takes 1.5 GB

TARGET_NAMES = ("future_values", "future_observed_mask")


def split_targets(inputs: dict) -> tuple[dict, dict]:
    """What a model may see, and what it is to forecast."""
    seen = {name: value for name, value in inputs.items() if name not in TARGET_NAMES}
    return seen, {name: inputs[name] for name in TARGET_NAMES if name in inputs}


def windows_at_once(batch_size: int, num_channels: int) -> int:
    """How many windows of `batch_size` may be in a model at once: all but for data of very many channels."""
    return max(1, min(batch_size, MAX_SERIES // num_channels))


class WindowDataset(Dataset):
    """All windows whose horizon lies in some rows; item i is `past_values` `[L, C]` and `future_values` `[S, C]`.

    Items are views: nothing is copied before the batch is collated. Where the series has missing entries they are 0
    and every item also holds `past_observed_mask` and `future_observed_mask` (1 where observed); with calendar
    features also `past_time_features` `[L, F]` and `future_time_features` `[S, F]`.

    Args:
        values: standardised `[T, C]`, 0 where missing.
        rows: half-open range that the horizons cover; the first window looks back into the rows before it.
        observed: `[T, C]` mask, or `None` where nothing is missing.
        time_features: `[T, F]`, or `None`.
    """

    def __init__(
        self,
        values: torch.Tensor,
        rows: tuple[int, int],
        context_length: int,
        prediction_length: int,
        observed: torch.Tensor | None = None,
        time_features: torch.Tensor | None = None,
    ):
        self.values = values
        self.observed = observed
        self.time_features = time_features
        self.rows = rows
        self.context_length = context_length
        self.prediction_length = prediction_length
        self.first_origin = max(rows[0], context_length)
        self._length = max(0, rows[1] - prediction_length + 1 - self.first_origin)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if not -self._length <= index < self._length:
            raise IndexError(f"window {index} of {self._length}")
        origin = self.first_origin + index % self._length
        past, future = slice(origin - self.context_length, origin), slice(origin, origin + self.prediction_length)
        item = {"past_values": self.values[past], "future_values": self.values[future]}
        if self.observed is not None:
            item["past_observed_mask"] = self.observed[past]
            item["future_observed_mask"] = self.observed[future]
        if self.time_features is not None:
            item["past_time_features"] = self.time_features[past]
            item["future_time_features"] = self.time_features[future]
        return item

    def with_time_features(self, time_features: torch.Tensor | None) -> "WindowDataset":
        """The same windows whose items also hold these `[T, F]` features, or none."""
        return WindowDataset(
            self.values, self.rows, self.context_length, self.prediction_length, self.observed, time_features
        )

    def fingerprint(self) -> str:
        """A hash of all that the items hold: values as standardised, masks, time features, which windows."""
        digest = hashlib.sha256(
            repr((self.context_length, self.prediction_length, self.first_origin, len(self))).encode()
        )
        for tensor in (self.values, self.observed, self.time_features):
            digest.update(b"-" if tensor is None else repr((tuple(tensor.shape), tensor.dtype)).encode())
            if tensor is not None:
                digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class ForecastData:
    """A series made ready: its splits as windows and the processor that undoes the standardisation."""

    series: Series
    split: Split
    processor: TimeDistillProcessor
    train: WindowDataset
    validation: WindowDataset
    test: WindowDataset
    naive_errors: np.ndarray

    @property
    def num_input_channels(self) -> int:
        return self.series.num_channels

    @property
    def shape(self) -> dict[str, int]:
        """`context_length`, `prediction_length` and `num_input_channels`, as configurations name them."""
        return {
            "context_length": self.processor.context_length,
            "prediction_length": self.processor.prediction_length,
            "num_input_channels": self.num_input_channels,
        }

    @property
    def num_time_features(self) -> int:
        """F of the windows' calendar features, 0 where they have none."""
        features = self.train.time_features
        return 0 if features is None else features.shape[1]

    def with_time_features(self) -> "ForecastData":
        """The same data with calendar features beside the values, where the series has timestamps."""
        if self.series.timestamps is None or self.num_time_features:
            return self
        features = calendar_features(self.series.timestamps)
        parts = {name: getattr(self, name).with_time_features(features) for name in ("train", "validation", "test")}
        processor = self.processor.with_time_features()
        return replace(self, processor=processor, **parts)

    def for_teacher(self, num_time_features: int) -> "ForecastData":
        """The data as a teacher wants them: with calendar features if it needs any."""
        return self.with_time_features() if num_time_features else self

    def for_trainer(self) -> dict:
        """The arguments that every Trainer takes from here: train and validation windows, and the processor."""
        return {
            "train_dataset": self.train,
            "eval_dataset": self.validation,
            "processing_class": self.processor,
        }


def make_windows(
    series: Series,
    context_length: int,
    prediction_length: int,
    split: SplitSpec | str | None = None,
    processor: TimeDistillProcessor | None = None,
) -> ForecastData:
    """Split, standardise with the train rows' mean and population standard deviation, and cut into windows.

    Args:
        series: the data.
        context_length, prediction_length: L and S, in steps.
        split: which rows serve which purpose, also as text ([`parse_split`]); a benchmark's own where `None`, else
            70 / 10 / 20 %.
        processor: an existing one whose scaler is to be kept (to evaluate a model on new data); fitted where `None`.

    Raises:
        InputError: a split is too short for one window, a channel has no observed value in the train rows, or a value
            lies so far from them that its square overflows float32.
    """
    for name, value in (("context_length", context_length), ("prediction_length", prediction_length)):
        if value < 1:
            raise InputError(f"{name}={value}: expected a positive number of steps")
    split = parse_split(split) if isinstance(split, str) else split
    rows = (split or series.split or STANDARD_RATIOS).resolve(series.num_rows, series.timestamps)
    if processor is None:
        processor = TimeDistillProcessor.fit(series, rows.train, context_length, prediction_length)
    processor.check_columns(series.columns)

    observed = ~torch.isnan(series.values) if series.has_missing else None
    values = processor.standardize(series.values)
    _check_extremes(values, series)
    if observed is not None:
        values = torch.nan_to_num(values, nan=0.0)
    parts = {
        name: WindowDataset(values, getattr(rows, name), context_length, prediction_length, observed)
        for name in ("train", "validation", "test")
    }
    for name, windows in parts.items():
        if len(windows) == 0:
            first, last = getattr(rows, name)
            needed = prediction_length + (context_length if name == "train" else 0)
            raise InputError(
                f"{name} has {last - first} of the {series.num_rows} rows, one window of context_length="
                f"{context_length} and prediction_length={prediction_length} needs {needed} of its own: lower them, "
                "or change `split`"
            )
        if observed is not None and not bool(observed[slice(*getattr(rows, name))].any()):
            raise InputError(f"the {name} rows {getattr(rows, name)} hold no value at all: change `split`")
    if series.season == 1:
        logger.warning("%s: no season known; the naive control repeats the last value (set `season`)", series.name)
    naive_errors = seasonal_naive_errors(series.values[slice(*rows.train)].double().numpy(), series.season)
    data = ForecastData(series, rows, processor, **parts, naive_errors=naive_errors)
    return data.with_time_features() if processor.time_features else data


def _check_extremes(values: torch.Tensor, series: Series) -> None:
    """Raise where errors on standardised `[T, C]` could not be squared and summed in float32."""
    extreme = (values.abs() > MAX_DEVIATIONS).nonzero()
    if len(extreme):
        row, channel = extreme[0].tolist()
        raise InputError(
            f"row {row} of {series.name!r} has {series.values[row, channel].item():g} in column "
            f"{series.columns[channel]!r}, {values[row, channel].abs().item():.0e} deviations from the mean of the "
            "train rows: correct it, or name it with `missing_value` if it means missing"
        )


def seasonal_naive_errors(values: np.ndarray, season: int) -> np.ndarray:
    """Mean absolute change over one season in `[T, C]`, per channel: what MASE divides by (NaN where unknown)."""
    if len(values) <= season:
        return np.full(values.shape[1], np.nan)
    change = np.abs(values[season:] - values[:-season])
    known = np.isfinite(change)
    total = np.where(known, change, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
