"""Chronos-Bolt and Chronos-2 as teachers that need no training, by their own package (`chronos-forecasting`).

Ansari et al., TMLR 2024, arXiv 2403.07815; Chronos-2: arXiv 2510.15821. Nothing of that package is imported before a
model is read.
"""

import math
import warnings
from types import ModuleType
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from ..._utils.errors import InputError
from ..signal import TeacherSignal
from .foundation import FoundationFamily, single_series


MEDIAN = 0.5
INSTALL = "pip install 'chronos-forecasting>=2.3'"
_ARCHITECTURES = {"ChronosBoltModelForForecasting": "ChronosBoltPipeline", "Chronos2Model": "Chronos2Pipeline"}


class ChronosFamily(FoundationFamily):
    """A trained forecaster of any series, each channel on its own; the feature is the encoder's state of the history.

    The point forecast is the median, which is what minimises the absolute error. It reads any look-back, of one longer
    than its own context the last steps; missing steps are NaN to it. More steps than it forecasts in one go are rolled
    out by its own package, which feeds nine quantiles back. There is a state for every patch of the history and one
    for a token after them, `[B, C, N, d]`; their mean is the feature.
    """

    model_type = "chronos"
    checkpoint = "amazon/chronos-bolt-small"
    runs_in_half_precision = False
    feature_layout = "B C N d"
    feature_pooling = "mean"

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any
    ) -> PreTrainedConfig:
        """A very small Chronos-Bolt, to try things out: its weights are random."""
        from transformers import T5Config

        settings = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}
        settings["chronos_config"] = {
            "context_length": context_length,
            "prediction_length": prediction_length,
            "input_patch_size": 16,
            "input_patch_stride": 16,
            "quantiles": [level / 10 for level in range(1, 10)],
            "use_reg_token": True,
        }
        return T5Config(
            architectures=["ChronosBoltModelForForecasting"],
            feed_forward_proj="relu",
            decoder_start_token_id=0,
            pad_token_id=0,
            **(settings | overrides),
        )

    @property
    def model_class(self) -> type[PreTrainedModel]:
        """The class of `config`'s."""
        return _modules().chronos_bolt.ChronosBoltModelForForecasting

    def class_of(self, config: PreTrainedConfig) -> type[PreTrainedModel]:
        name = (config.architectures or ["none"])[0]
        if name not in _ARCHITECTURES:
            raise InputError(
                f"a Chronos model with architectures={config.architectures}, which draws its forecasts at random: "
                "expected a Chronos-Bolt or Chronos-2, such as amazon/chronos-bolt-small or amazon/chronos-2"
            )
        chronos = _modules()
        return chronos.Chronos2Model if name == "Chronos2Model" else self.model_class

    def signal(
        self,
        model: PreTrainedModel,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        *,
        prediction_length: int,
        **inputs: Any,
    ) -> TeacherSignal:
        if past_observed_mask is not None:
            past_values = past_values.where(past_observed_mask.bool(), torch.nan)
        batch, _, channels = past_values.shape
        series = single_series(past_values)
        states: list[torch.Tensor] = []
        # the first of several passes, where it rolls out, is the one that reads the history
        hook = model.encoder.register_forward_hook(lambda _, __, output: states.append(output[0]))
        try:
            forecast = _median(model, series, prediction_length)
        finally:
            hook.remove()
        state = states[0][:, : states[0].shape[1] - _future_patches(model, prediction_length)]
        forecast = forecast.to(past_values.device).unflatten(0, (batch, channels)).transpose(1, 2)
        return TeacherSignal(forecast, state.unflatten(0, (batch, channels)))

    def horizon(self, config: PreTrainedConfig) -> int:
        """Steps of one pass; Chronos-2 makes some patches of them at once."""
        chronos = config.chronos_config
        if "output_patch_size" in chronos:
            return chronos["output_patch_size"] * chronos.get("max_output_patches", 1)
        return chronos["prediction_length"]


def _modules() -> ModuleType:
    """The package; an [`InputError`] says how to get it where it is not there."""
    try:
        import chronos
        import chronos.chronos_bolt
    except ImportError as error:
        raise InputError(f"a Chronos teacher needs the package chronos-forecasting ({error}): {INSTALL}") from error
    return chronos


def _median(model: PreTrainedModel, series: torch.Tensor, prediction_length: int) -> torch.Tensor:
    """The medians of `[R, L]` series, NaN where missing, for the next steps, `[R, S]`."""
    pipeline = getattr(_modules(), _ARCHITECTURES[type(model).__name__])(model)
    levels = {"prediction_length": prediction_length, "quantile_levels": [MEDIAN]}
    # a data loader in there draws a seed, and its advice on long horizons would come with every batch
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="We recommend keeping prediction length")
        if type(model).__name__ == "Chronos2Model":
            quantiles, _ = pipeline.predict_quantiles(series.unsqueeze(1), batch_size=len(series), **levels)
            return torch.cat(quantiles)[..., 0]
        return pipeline.predict_quantiles(series, **levels)[0][..., 0]


def _future_patches(model: PreTrainedModel, prediction_length: int) -> int:
    """How many of the encoder's states, the last ones, are of steps to come: none but in Chronos-2."""
    if type(model).__name__ != "Chronos2Model":
        return 0
    config = model.chronos_config
    return min(math.ceil(prediction_length / config.output_patch_size), config.max_output_patches)


FAMILY = ChronosFamily()
