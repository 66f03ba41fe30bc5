"""Raw values in, model input out, and forecasts back into the data's units; saved beside the weights."""

import copy
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import BatchFeature, FeatureExtractionMixin

from .._utils.errors import InputError, first_line, listed
from ..student.inputs_timedistill import read_windows
from ..student.serving_timedistill import MAX_DEVIATIONS, mean_and_deviation
from .processor_fields import check_fields
from .series import as_sentinels


if TYPE_CHECKING:
    from ..tables.table import Table
    from .series import Series


logger = logging.getLogger(__name__)


class TimeDistillProcessor(FeatureExtractionMixin):
    """Knows the columns, their scaler, the frequency and the lengths of a model (`preprocessor_config.json`).

    Args:
        columns: names of the C channels, in the model's order.
        mean, std: per channel, of the train rows, in the data's units; a constant channel is divided by 1.
        context_length, prediction_length: L and S of the model.
        timestamp_column, freq: how time is named and how far apart rows are (pandas alias), where known.
        season: steps of one season.
        id_column, target_columns, regularized, missing_value, time_zone: how tables are read, as in training: see
            [`Series`]. Several values may mean missing.
        time_features: whether the model was trained with calendar features.
        dataset, fingerprint: name and hash of the series that it was fitted on, for model cards.
        constant_columns: the channels that were constant then: a [`Forecaster`] takes mean and deviation of their
            look-back, and where that is constant too, the forecast is that constant.
    """

    model_input_names = ["past_values", "past_observed_mask"]

    def __init__(
        self,
        columns: list[str],
        mean: list[float],
        std: list[float],
        context_length: int,
        prediction_length: int,
        timestamp_column: str | None = None,
        freq: str | None = None,
        season: int = 1,
        id_column: str | None = None,
        target_columns: list[str] | None = None,
        regularized: bool = True,
        missing_value: float | list[float] | None = None,
        time_features: bool = False,
        dataset: str | None = None,
        fingerprint: str | None = None,
        time_zone: str | None = None,
        constant_columns: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        check_fields(locals())
        for name in kwargs:
            if hasattr(type(self), name):
                raise InputError(f"{name!r} is no field of a processor: leave it out")
        super().__init__(**kwargs)
        self.columns = list(columns)
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]
        self.context_length = int(context_length)
        self.prediction_length = int(prediction_length)
        self.timestamp_column = timestamp_column
        self.freq = freq
        self.season = int(season)
        self.id_column = id_column
        self.target_columns = None if target_columns is None else list(target_columns)
        self.regularized = regularized
        self.missing_value = list(missing_value) if isinstance(missing_value, (list, tuple)) else missing_value
        self.time_features = time_features
        self.dataset = dataset
        self.fingerprint = fingerprint
        self.time_zone = time_zone
        self.constant_columns = list(constant_columns or ())

    @classmethod
    def fit(
        cls, series: "Series", train_rows: tuple[int, int], context_length: int, prediction_length: int
    ) -> "TimeDistillProcessor":
        """Mean and population standard deviation of the observed train rows; a constant channel is divided by 1."""
        train = series.values[slice(*train_rows)]
        if len(train) == 0:
            raise InputError(f"there are no train rows among the {series.num_rows} of {series.name!r}: change `split`")
        mean, std = (value[0] for value in mean_and_deviation(train, 0))
        for column, value in zip(series.columns, mean.tolist(), strict=True):
            if np.isnan(value):
                raise InputError(f"column {column!r} has no value in the {len(train)} train rows: leave it out")
        constant = [column for column, value in zip(series.columns, std.tolist(), strict=True) if value == 0]
        if constant:
            logger.warning(
                "%s: constant in the train rows, and so not standardised: %s", series.name, listed(constant)
            )
        return cls(
            columns=list(series.columns),
            mean=mean.tolist(),
            std=torch.where(std > 0, std, 1.0).tolist(),
            context_length=context_length,
            prediction_length=prediction_length,
            timestamp_column=series.timestamp_column,
            freq=series.freq,
            season=series.season,
            id_column=series.id_column,
            target_columns=series.target_columns,
            regularized=series.regularized,
            missing_value=series.missing_value,
            dataset=series.name,
            fingerprint=series.fingerprint(),
            time_zone=series.time_zone,
            constant_columns=constant,
        )

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> "TimeDistillProcessor":
        """As ever; a `preprocessor_config.json` that is broken or another model's is an [`InputError`]."""
        problem = f"preprocessor_config.json of {str(pretrained_model_name_or_path)!r} is no processor of this package"
        remedy = "save the one of the model's training there, with processor.save_pretrained"
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        except InputError as error:
            raise InputError(f"{problem}: {error}; {remedy}") from error
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"{problem} ({first_line(error)}); {remedy}") from error
        except OSError as error:
            if isinstance(error.__context__, json.JSONDecodeError):
                raise InputError(f"{problem} ({error.__context__}); {remedy}") from error
            raise

    def check_columns(self, columns: tuple[str, ...] | list[str]) -> None:
        """Raise where the data's columns are not the ones this scaler was fitted on, in the same order."""
        missing = [column for column in self.columns if column not in columns]
        if missing:
            raise InputError(
                f"the data have columns {listed(columns)}, the processor was fitted on {listed(self.columns)}: add "
                f"{listed(missing)}, or fit a new processor"
            )
        if list(columns) != self.columns:
            raise InputError(
                f"the data have columns {listed(columns)}, the processor was fitted on {listed(self.columns)}: select "
                "and order them alike (`target_columns`), or fit a new processor"
            )

    @property
    def sentinels(self) -> tuple[float, ...]:
        """The values that mean missing."""
        return as_sentinels(self.missing_value)

    def has_scaler_of(self, other: "TimeDistillProcessor") -> bool:
        """Whether both standardise the columns that they share alike, to a thousandth of a deviation."""
        others = dict(zip(other.columns, zip(other.mean, other.std, strict=True), strict=True))
        return all(
            abs(mean - others[column][0]) <= 1e-3 * std and abs(std - others[column][1]) <= 1e-3 * std
            for column, mean, std in zip(self.columns, self.mean, self.std, strict=True)
            if column in others
        )

    def with_time_features(self) -> "TimeDistillProcessor":
        """A copy for a model that also takes calendar features."""
        changed = copy.copy(self)
        changed.time_features = True
        return changed

    def standardize(self, values: torch.Tensor) -> torch.Tensor:
        """`[..., C]` in the data's units to float32 standardised values."""
        mean, std = self._scaler()
        return ((values.double() - mean) / std).float()

    def unstandardize(self, values: torch.Tensor) -> torch.Tensor:
        """`[..., C]` standardised to float64 values in the data's units."""
        mean, std = self._scaler()
        return values.double() * std + mean

    def __call__(self, data: "np.ndarray | torch.Tensor | Table") -> BatchFeature:
        """Model input from the last `context_length` steps of raw values; what a shorter history lacks is missing.

        Args:
            data: `[T, C]` or `[B, T, C]`, NaN where missing, or a table with all series of training, read by the rules
                of forecasting ([`read_history`]), up to the last step of any.

        Returns:
            `past_values` `[B, L, C]`, `past_observed_mask` of the same shape where something is missing, and where the
            model was trained with calendar features `past_time_features` `[B, L, F]`, `future_time_features`.

        Raises:
            InputError: wrong columns, non-numeric values, or no timestamps for calendar features.
        """
        is_array = isinstance(data, (np.ndarray, torch.Tensor))
        if is_array and self.time_features:
            raise InputError("the model needs calendar features: give a table with a time column, not an array")
        values, features = (self._last_steps(data), {}) if is_array else self._window(data)
        past_values = torch.nan_to_num(self.standardize(values), nan=0.0).contiguous()
        self._check_extremes(past_values)
        observed = ~torch.isnan(values)
        inputs = {"past_values": past_values} | ({} if observed.all() else {"past_observed_mask": observed})
        return BatchFeature(inputs | features)

    def _window(self, table: "Table") -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The last steps of a table, float64 `[1, L, C]`, and the calendar features."""
        from .channels import Channels, read_history

        panel = read_history(table, vars(self), self.prediction_length)
        channels, last = Channels.of(panel, vars(self)), np.full_like(panel.last, panel.last.max())
        channels.check_all(panel)
        return channels.window(panel, last, self.context_length, self.prediction_length, self.time_features)

    def _last_steps(self, data: "np.ndarray | torch.Tensor") -> torch.Tensor:
        if data.ndim not in (2, 3) or data.shape[-1] != len(self.columns):
            raise InputError(
                f"history of shape {tuple(data.shape)}: expected [T, {len(self.columns)}] or "
                f"[B, T, {len(self.columns)}] with the columns {self.columns}"
            )
        try:
            return read_windows(data, vars(self), self.context_length, len(self.columns)).past
        except ValueError as error:
            raise InputError(f"history: {error}") from error

    def _check_extremes(self, past_values: torch.Tensor) -> None:
        """Raise where a value lies so far off that a forecast from it would be infinite."""
        extreme = (past_values.abs() > MAX_DEVIATIONS).nonzero()
        if len(extreme):
            far = past_values[tuple(extreme[0])].abs().item()
            raise InputError(
                f"the history holds a value {far:.0e} deviations from the mean of training in column "
                f"{self.columns[int(extreme[0, 2])]!r}: correct it, or pass NaN if it means missing"
            )

    def _scaler(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(self.mean, dtype=torch.float64), torch.tensor(self.std, dtype=torch.float64)
