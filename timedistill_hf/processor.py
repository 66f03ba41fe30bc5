"""Raw values in, model input out, and forecasts back into the data's units; saved beside the weights."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import BatchFeature, FeatureExtractionMixin

from .errors import InputError


if TYPE_CHECKING:
    import pandas as pd

    from .data.series import Series


class TimeDistillProcessor(FeatureExtractionMixin):
    """Knows the columns, their scaler, the frequency and the lengths of a model (`preprocessor_config.json`).

    Args:
        columns: names of the C channels, in the model's order.
        mean, std: per channel, of the train rows, in the data's units.
        context_length, prediction_length: L and S of the model.
        timestamp_column, freq: how time is named and how far apart rows are (pandas alias), where known.
        season: steps of one season.
        id_column, regularized, missing_value: how tables are read, as in training: see [`Series`].
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
        regularized: bool = True,
        missing_value: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not len(columns) == len(mean) == len(std):
            raise InputError(f"{len(columns)} columns, {len(mean)} means and {len(std)} deviations: expected the same")
        self.columns = list(columns)
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]
        self.context_length = int(context_length)
        self.prediction_length = int(prediction_length)
        self.timestamp_column = timestamp_column
        self.freq = freq
        self.season = int(season)
        self.id_column = id_column
        self.regularized = bool(regularized)
        self.missing_value = missing_value

    @classmethod
    def fit(
        cls, series: "Series", train_rows: tuple[int, int], context_length: int, prediction_length: int
    ) -> "TimeDistillProcessor":
        """Mean and population standard deviation of the observed train rows; a constant channel is divided by 1."""
        train = series.values[slice(*train_rows)].double()
        if len(train) == 0:
            raise InputError(f"there are no train rows among the {series.num_rows} of {series.name!r}: change --split")
        mean = train.nanmean(dim=0)
        std = (train - mean).square().nanmean(dim=0).sqrt()
        for column, value in zip(series.columns, mean.tolist(), strict=True):
            if np.isnan(value):
                raise InputError(f"column {column!r} has no value in the {len(train)} train rows: drop it")
        # float32 data: below this share of the level, what varies is rounding
        constant = std <= 1e-7 * mean.abs()
        return cls(
            columns=list(series.columns),
            mean=mean.tolist(),
            std=torch.where(constant, 1.0, std).tolist(),
            context_length=context_length,
            prediction_length=prediction_length,
            timestamp_column=series.timestamp_column,
            freq=series.freq,
            season=series.season,
            id_column=series.id_column,
            regularized=series.regularized,
            missing_value=series.missing_value,
        )

    def check_columns(self, columns: tuple[str, ...] | list[str]) -> None:
        """Raise where the data's columns are not the ones this scaler was fitted on, in the same order."""
        if list(columns) != self.columns:
            raise InputError(
                f"the data have columns {list(columns)}, the processor was fitted on {self.columns}: select and order "
                "them alike, or fit a new processor"
            )

    def standardize(self, values: torch.Tensor) -> torch.Tensor:
        """`[..., C]` in the data's units to float32 standardised values."""
        mean, std = self._scaler()
        return ((values.double() - mean) / std).float()

    def unstandardize(self, values: torch.Tensor) -> torch.Tensor:
        """`[..., C]` standardised to float32 values in the data's units."""
        mean, std = self._scaler()
        return (values.double() * std + mean).float()

    def __call__(self, data: "np.ndarray | torch.Tensor | pd.DataFrame") -> BatchFeature:
        """Model input from the last `context_length` steps of raw values.

        Args:
            data: `[T, C]` or `[B, T, C]` with T >= L, NaN where missing, or a DataFrame, read as in training.

        Returns:
            `past_values` `[B, L, C]` and, where something is missing, `past_observed_mask` of the same shape.

        Raises:
            InputError: wrong columns, non-numeric values, or a history shorter than L.
        """
        values = self._to_tensor(data)
        if values.ndim == 2:
            values = values.unsqueeze(0)
        if values.ndim != 3 or values.shape[-1] != len(self.columns):
            raise InputError(
                f"history of shape {tuple(values.shape)}: expected [T, {len(self.columns)}] or "
                f"[B, T, {len(self.columns)}] with the columns {self.columns}"
            )
        if values.shape[1] < self.context_length:
            raise InputError(
                f"history of {values.shape[1]} steps: the model looks back {self.context_length}; give that many"
            )
        values = values[:, -self.context_length :]
        if torch.isinf(values).any():
            raise InputError("the history holds an infinite value: replace it, or pass NaN where it is missing")
        if self.missing_value is not None:
            values = torch.where(values == self.missing_value, torch.nan, values)
        observed = ~torch.isnan(values)
        past_values = torch.nan_to_num(self.standardize(values), nan=0.0).contiguous()
        if bool(observed.all()):
            return BatchFeature({"past_values": past_values})
        return BatchFeature({"past_values": past_values, "past_observed_mask": observed})

    def read(self, frame: "pd.DataFrame") -> "Series":
        """A table by the rules of training (order, left-out steps, ids, sentinel), columns in the order of the model.

        Raises:
            InputError: a column or id of the model is missing, or the table cannot be read.
        """
        from .data.frames import frame_to_series

        if self.id_column is None:
            self._check_has(frame.columns)
        series = frame_to_series(
            frame,
            name="history",
            timestamp_column=self.timestamp_column if self.timestamp_column in frame.columns else None,
            id_column=self.id_column,
            target_columns=self.columns if self.id_column is None else None,
            season=self.season,
            regularize=self.regularized,
        )
        self._check_has(series.columns)
        order = [series.columns.index(column) for column in self.columns]
        series = replace(series, values=series.values[:, order], columns=tuple(self.columns))
        return series if self.missing_value is None else series.with_missing(self.missing_value)

    def _check_has(self, columns) -> None:
        missing = [column for column in self.columns if column not in columns]
        if missing:
            raise InputError(f"the history lacks {missing}; the model was trained on {self.columns}")

    def future_timestamps(self, last: "pd.Timestamp") -> "pd.DatetimeIndex":
        """The S timestamps that follow `last` at the data's frequency."""
        import pandas as pd

        if self.freq is None:
            raise InputError("the processor knows no frequency (the training data had no timestamps): set its freq")
        return pd.date_range(start=last, periods=self.prediction_length + 1, freq=self.freq)[1:]

    def _scaler(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(self.mean, dtype=torch.float64), torch.tensor(self.std, dtype=torch.float64)

    def _to_tensor(self, data) -> torch.Tensor:
        if isinstance(data, torch.Tensor):
            return data.detach().cpu().float()
        if isinstance(data, np.ndarray):
            return torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
        return self.read(data).values
