"""`pipeline("time-series-forecasting")`: raw series in, forecasts in the data's units out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import FeatureExtractionMixin, Pipeline, PreTrainedModel
from transformers.utils import FEATURE_EXTRACTOR_NAME, logging

from .fusing_timedistill import inference_copy
from .inputs_timedistill import as_frame, as_list, read_series, rows_of
from .serving_timedistill import UnusableWindow, forecast_in_units, is_channel_free, trained_scaler


logger = logging.get_logger(__name__)

TASK = "time-series-forecasting"
CUSTOM_PIPELINES = {
    TASK: {
        "impl": "pipeline_timedistill.TimeSeriesForecastingPipeline",
        "pt": ["AutoModelForTimeSeriesPrediction"],
        "type": "time",
    }
}
_CHUNK = 1024  # inputs of a stream that are forecast together
_COLUMNS = ("id_column", "timestamp_column", "target_columns", "freq", "time_zone")


@dataclass
class _Windows:
    """Arrays made ready: `past` `[B, L, C]` in the data's units, its scaler `[B, 1, C]`, and each answer's form."""

    past: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    answers: list["_Answer"]
    batch_size: int | None


@dataclass
class _Answer:
    """One input's place among the windows: where it starts, its `[B, C]`, how many dimensions it has, and its id."""

    start: int
    batch: int
    channels: int
    ndim: int
    identifier: dict


@dataclass
class _Table:
    """A DataFrame made ready: its panel, scaler and columns, and what becomes of them."""

    frame: Any
    panel: Any
    scaler: Any
    columns: dict
    batch_size: int | None


class TimeSeriesForecastingPipeline(Pipeline):
    """Forecast what follows each series.

    It takes

    - an array, a tensor or a column `[T]`, `[T, C]` or `[B, T, C]`, NaN or masked where missing; a list, tuple or
      range of numbers, `None` where missing;
    - a dict with `past_values` of these shapes (lists of lists, too), and if wanted `past_observed_mask` (0 where
      missing) and `id`;
    - a list of these, of different lengths; a generator or data set (of `torch` or `datasets`) of them, which is read
      as it is used, one answer a row;
    - a DataFrame, wide, or long with an id column, in which every series ends when it ends; a table of polars or
      pyarrow is read as one.

    Only the last look-back counts; what a shorter history lacks is missing. An array gives
    `{"prediction_outputs": [S], [S, C] or [B, S, C]}` (numpy, float64, in the data's units), a DataFrame such a
    table.

    Series are standardised with the scaler of training where they are known from it (as many channels as in training,
    a known `id`, a known column), and with mean and deviation of their own look-back otherwise. A model that is bound
    to its channels takes all of them, in the order of training.

    A student forecasts by its fused copy, which is made once, with the pipeline, and keeps the weights that it had
    then: when the student has been trained further, `refresh()` takes its new ones.

    Args:
        feature_extractor: the model's processor; read from the model's folder or repository where `None`.
        scaling: `"auto"` as above, `"history"` or `"training"` for all series.
        id_column, timestamp_column, target_columns, freq, time_zone: of a DataFrame; those of training where `None`.
        batch_size: windows in the model at once.
        num_workers: taken, as by every pipeline, and not used: inputs are read in this process.
    """

    inference_copy: torch.nn.Module | None

    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False
    _load_tokenizer = False

    def __init__(
        self, model: PreTrainedModel, feature_extractor: FeatureExtractionMixin | None = None, **kwargs: Any
    ) -> None:
        super().__init__(model=model, feature_extractor=feature_extractor, **kwargs)
        self.settings = _read_settings(model, feature_extractor)
        self.refresh()

    @property
    def model(self) -> PreTrainedModel:
        return self._model

    @model.setter
    def model(self, model: PreTrainedModel) -> None:
        self._model, self.inference_copy = model, None

    def refresh(self) -> "TimeSeriesForecastingPipeline":
        """Forecast with the weights that the model has now, on its device."""
        self.inference_copy = inference_copy(self.model)
        return self

    def __call__(
        self, inputs: Any, batch_size: int | None = None, num_workers: int | None = None, **kwargs: Any
    ) -> Any:
        """Forecast; see the class. A list gives a list, a generator or data set an iterator."""
        preprocess_params, _, _ = self._sanitize_parameters(**kwargs)
        batch_size = self._batch_size if batch_size is None else batch_size
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: expected a positive number of windows")
        params = {**self._preprocess_params, **preprocess_params, "batch_size": batch_size}
        rows = rows_of(inputs)
        return self.run_single(inputs, params, {}, {}) if rows is None else self._stream(rows, params)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict, dict, dict]:
        unknown = kwargs.keys() - {"scaling", *_COLUMNS}
        if unknown:
            raise TypeError(f"{sorted(unknown)[0]!r} is no parameter: expected scaling, {', '.join(_COLUMNS)}")
        return {name: value for name, value in kwargs.items() if value is not None}, {}, {}

    def preprocess(self, inputs: Any, scaling: str = "auto", batch_size: int | None = None, **columns: Any) -> Any:
        if self.settings.get("time_features"):
            raise ValueError("the model needs calendar features, which this pipeline does not give: use a Forecaster")
        frame = as_frame(inputs)
        if frame is not None:
            return self._read_frame(frame, scaling, batch_size, **columns)
        if columns:
            raise ValueError(f"{sorted(columns)[0]!r} is for DataFrames, the input is of {type(inputs).__name__!r}")
        if scaling not in ("auto", "training", "history"):
            raise ValueError(f"scaling={scaling!r}: expected 'auto', 'training' or 'history'")
        several = as_list(inputs)
        several_or_one = [inputs] if several is None else several
        return several is not None, self._read_arrays(several_or_one, scaling, batch_size)

    def _forward(self, inputs: Any) -> Any:
        if self.inference_copy is None:  # the model was replaced
            self.refresh()
        self.inference_copy.eval()
        if isinstance(inputs, _Table):
            return self._forecast_table(inputs)
        is_list, windows = inputs
        if not windows.answers:
            return is_list, windows, None
        try:
            forecast, _ = forecast_in_units(
                self.inference_copy, windows.past, windows.mean, windows.std, batch_size=windows.batch_size
            )
        except UnusableWindow as error:
            number = sum(answer.start <= error.window for answer in windows.answers) - 1
            raise ValueError(f"input {number} {error.reason}") from error
        return is_list, windows, forecast.numpy()

    def postprocess(self, outputs: Any) -> Any:
        if not isinstance(outputs, tuple):
            return outputs
        is_list, windows, forecast = outputs
        results = []
        for answer in windows.answers:
            rows = answer.batch * answer.channels // windows.past.shape[2]
            values = forecast[answer.start : answer.start + rows]
            if windows.past.shape[2] == 1:  # each channel is a window of its own
                values = values.reshape(answer.batch, answer.channels, -1).transpose(0, 2, 1)
            if answer.ndim < 3:
                values = values[0] if answer.ndim == 2 else values[0, :, 0]
            results.append({"prediction_outputs": values, **answer.identifier})
        return results if is_list else results[0]

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """The model, its processor and the pipeline's code."""
        super().save_pretrained(save_directory, **kwargs)
        if self.feature_extractor is None and self.settings:
            text = json.dumps(self.settings, indent=2, sort_keys=True) + "\n"
            (Path(save_directory) / FEATURE_EXTRACTOR_NAME).write_text(text, encoding="utf-8")

    def _stream(self, inputs: Iterator, params: dict) -> Iterator:
        while chunk := list(islice(inputs, _CHUNK)):
            yield from self.run_single(chunk, params, {}, {})

    def _read_arrays(self, inputs: list, scaling: str, batch_size: int | None) -> _Windows:
        is_free = is_channel_free(self.model.config)
        past, positions, answers, start = [], [], [], 0
        for number, given in enumerate(inputs):
            values, identifier = read_series(given, number, self.settings.get("missing_value"))
            batch = values[:, None] if values.ndim == 1 else values
            batch = batch if batch.ndim == 3 else batch[None]
            window, channels = self._window(batch), batch.shape[2]
            known = self._positions(channels, identifier, scaling, number)
            if is_free:
                window = window.transpose(1, 2).reshape(-1, window.shape[1], 1)
                known = known.repeat(len(batch))[:, None]
            elif channels != self.model.config.num_input_channels:
                raise ValueError(
                    f"input {number} has {channels} channels, the model is bound to the "
                    f"{self.model.config.num_input_channels} of its training: give all of them, in their order"
                )
            else:
                known = known.expand(len(batch), -1)
            past.append(window)
            positions.append(known)
            answers.append(_Answer(start, len(batch), channels, values.ndim, identifier))
            start += len(window)
        if not inputs:
            empty = torch.empty(0)
            return _Windows(empty, empty, empty, [], batch_size)
        mean, std = self._scaler(torch.cat(positions))
        return _Windows(torch.cat(past), mean, std, answers, batch_size)

    def _window(self, batch: torch.Tensor) -> torch.Tensor:
        """The last L steps of `[B, T, C]`, missing before the first."""
        length = self.model.config.context_length
        batch = batch[:, -length:]
        lacking = length - batch.shape[1]
        if lacking == 0:
            return batch
        return torch.cat([batch.new_full((len(batch), lacking, batch.shape[2]), torch.nan), batch], dim=1)

    def _positions(self, channels: int, identifier: dict, scaling: str, number: int) -> torch.Tensor:
        """Which channel of training each of an input's channels is, -1 for its own scaler."""
        columns = self.settings.get("columns", [])
        names = columns if channels == len(columns) else [None] * channels
        if identifier:
            targets = self.settings.get("target_columns") or []
            many = channels == len(targets) > 1
            names = [f"{identifier['id']}/{target}" for target in targets] if many else [str(identifier["id"])]
            names = names if len(names) == channels else [None] * channels
        index = {name: position for position, name in enumerate(columns)}
        positions = torch.tensor([index.get(name, -1) for name in names])
        if scaling == "training" and (positions < 0).any():
            raise ValueError(
                f"scaling='training', and input {number} is no series of the model's training: take scaling='auto' or "
                "'history'"
            )
        return torch.full_like(positions, -1) if scaling == "history" else positions

    def _scaler(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation `[B, 1, C]` of these channels of training, NaN where the window's own count."""
        return tuple(value[positions].unsqueeze(1) for value in trained_scaler(self.settings))

    def _read_frame(self, frame: Any, scaling: str, batch_size: int | None, **columns: Any) -> _Table:
        from .frames_timedistill import read_frame, scaler_of

        frame, panel, columns = read_frame(frame, self.settings, self.model.config.prediction_length, **columns)
        scaler = scaler_of(panel, columns["target_columns"], self.settings, scaling)
        return _Table(frame, panel, scaler, columns, batch_size)

    def _forecast_table(self, table: _Table) -> Any:
        from .frames_timedistill import forecast_frame, forecast_panel

        lengths = (self.model.config.context_length, self.model.config.prediction_length)
        try:
            forecasts = forecast_panel(self.inference_copy, table.panel, table.scaler, *lengths, table.batch_size)
        except UnusableWindow as error:
            group, target = divmod(error.window, len(table.columns["target_columns"]))
            of_id = "" if table.panel.ids is None else f" of {table.panel.ids.tolist()[group]!r}"
            raise ValueError(f"{table.columns['target_columns'][target]!r}{of_id} {error.reason}") from error
        return forecast_frame(table.frame, table.panel, forecasts, **table.columns)


def _read_settings(model: PreTrainedModel, feature_extractor: FeatureExtractionMixin | None) -> dict:
    """The processor's settings: those given, else those beside the weights, else none."""
    if feature_extractor is not None:
        return feature_extractor.to_dict()
    settings = {}
    if model.name_or_path:
        try:
            settings, _ = FeatureExtractionMixin.get_feature_extractor_dict(
                model.name_or_path, revision=getattr(model.config, "_commit_hash", None)
            )
        except OSError:
            settings = {}
    if not {"columns", "mean", "std"} <= settings.keys():
        logger.warning("the model has no processor: every series is standardised with its own look-back")
        return {}
    return settings
