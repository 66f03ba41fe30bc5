"""`pipeline("time-series-forecasting")`: raw series in, forecasts in the data's units out."""

import importlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from torch import nn
from transformers import FeatureExtractionMixin, Pipeline, PreTrainedModel
from transformers.utils import FEATURE_EXTRACTOR_NAME, logging

from .fusing_timedistill import inference_copy
from .inputs_timedistill import is_table, read_windows, rows_of
from .serving_timedistill import UnusableWindow, forecast_in_units, is_channel_free


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


class TimeSeriesForecastingPipeline(Pipeline):
    """Forecast what follows each series.

    It takes

    - an array, a tensor or a column `[T]`, `[T, C]` or `[B, T, C]`, NaN or masked where missing; a list, tuple or
      range of numbers, `None` where missing;
    - a dict with `past_values` of these shapes (lists of lists, too), and if wanted `past_observed_mask` (0 where
      missing) and `id`;
    - a list of these, of different lengths; a generator or data set (of `torch` or `datasets`) of them, which is read
      as it is used, one answer a row;
    - where the package timedistill_hf is installed, a DataFrame of pandas or polars or an Arrow table, wide, or long
      with an id column, in which every series ends when it ends.

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

    inference_copy: nn.Module | None

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
        if is_table(inputs):
            return inputs, {"scaling": scaling, "batch_size": batch_size, **columns}
        if columns:
            raise ValueError(f"{sorted(columns)[0]!r} is for DataFrames, the input is of {type(inputs).__name__!r}")
        config = self.model.config
        channels = None if is_channel_free(config) else config.num_input_channels
        windows = read_windows(inputs, self.settings, config.context_length, channels, scaling)
        return windows, {"batch_size": batch_size}

    def _forward(self, inputs: Any) -> Any:
        if self.inference_copy is None:  # the model was replaced
            self.refresh()
        self.inference_copy.eval()
        windows, options = inputs
        if is_table(windows):
            return self._forecast_table(windows, **options)
        if not windows.answers:
            return windows, None
        try:
            forecast, _ = forecast_in_units(self.inference_copy, windows.past, windows.mean, windows.std, **options)
        except UnusableWindow as error:
            raise ValueError(f"input {windows.input_of(error.window)} {error.reason}") from error
        return windows, forecast

    def _forecast_table(self, table: Any, **options: Any) -> Any:
        """By the installed package, which is no part of the code that travels with a model."""
        try:
            panels = importlib.import_module("timedistill_hf.forecasting.panels")
        except ImportError as error:
            raise ImportError(
                f"a {type(table).__name__} is read by the package: pip install timedistill_hf, then use this pipeline "
                "or Forecaster.from_pretrained; without it give arrays"
            ) from error
        return panels.forecast_table(self.inference_copy, self.settings, table, **options)

    def postprocess(self, outputs: Any) -> Any:
        if not isinstance(outputs, tuple):
            return outputs
        windows, forecast = outputs
        if forecast is None:
            return []
        results = [
            {"prediction_outputs": values, **answer.identifier}
            for answer, values in zip(windows.answers, windows.split(forecast), strict=True)
        ]
        return results if windows.is_list else results[0]

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """The model, its processor and the pipeline's code."""
        super().save_pretrained(save_directory, **kwargs)
        if self.feature_extractor is None and self.settings:
            text = json.dumps(self.settings, indent=2, sort_keys=True) + "\n"
            (Path(save_directory) / FEATURE_EXTRACTOR_NAME).write_text(text, encoding="utf-8")

    def _stream(self, inputs: Iterator, params: dict) -> Iterator:
        while chunk := list(islice(inputs, _CHUNK)):
            yield from self.run_single(chunk, params, {}, {})


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
