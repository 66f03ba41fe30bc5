"""What transformers' Informer and its relatives have in common as teachers: lags, a calendar, a distribution."""

from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from ..._utils.errors import InputError
from ...models.mean_prediction import is_direct
from ..family import TeacherFamily
from ..signal import TeacherSignal


_MIN_CONTEXT = 16


class LaggedFamily(TeacherFamily):
    """An encoder and a decoder over time; the feature tells how the decoder's state makes each channel's forecast.

    The decoder's state mixes all channels. A channel's feature is its mean over the horizon, weighted by what the
    output layer takes from it for that channel's mean: `[B, C, d]`, which sums to that mean's average.

    Attributes:
        sizes: what its configuration has by default, small and quick, beside what all have.
    """

    sizes: dict
    wants_time_features = True
    training_defaults = {
        "loss": "mae",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "num_train_epochs": 4,
        "per_device_train_batch_size": 32,
        "early_stopping_patience": 0,
    }

    def default_lags(self, context_length: int, prediction_length: int) -> list[int]:
        """Lags of a horizon, one more, and a quarter more, where that leaves a context; else 1 to 7."""
        direct = [prediction_length, prediction_length + 1, prediction_length + max(2, prediction_length // 4)]
        if context_length - direct[-1] >= _MIN_CONTEXT:
            return direct
        return list(range(1, min(7, context_length // 2) + 1))

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any
    ) -> PreTrainedConfig:
        """Direct where the look-back leaves room for lags of a horizon and more, else lags of 1 to 7 and a roll-out.

        The look-back is shared between the model's own context and its largest lag: 720 -> 96 has lags 96, 97 and 120
        and a context of 600.
        """
        lags = overrides.pop("lags_sequence", None) or self.default_lags(context_length, prediction_length)
        settings = {
            "scaling": "std",
            "distribution_output": "normal",
            "d_model": 64,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_layers": 2,
            "decoder_layers": 1,
            "encoder_ffn_dim": 128,
            "decoder_ffn_dim": 128,
            "attention_dropout": 0.0,  # drawing it for every pair of steps takes a third of a training step
            "encoder_layerdrop": 0.0,
            "decoder_layerdrop": 0.0,
        }
        min_lag = min(self.default_lags(context_length, prediction_length)[0], 1)
        context = overrides.pop("context_length", context_length - max(lags))
        if context < 1 or min(lags) < min_lag:
            raise ValueError(
                f"lags {lags} leave no context in a look-back of {context_length} steps: raise `context_length` or "
                f"give smaller lags_sequence, {min_lag} or more each"
            )
        config = self.config_class(
            context_length=context,
            prediction_length=prediction_length,
            input_size=num_input_channels,
            lags_sequence=list(lags),
            **(settings | self.sizes | overrides),
        )
        self.check_usable(config)
        return config

    def signal(
        self,
        model: PreTrainedModel,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        past_time_features: torch.Tensor | None = None,
        future_time_features: torch.Tensor | None = None,
        **inputs: Any,
    ) -> TeacherSignal:
        """The forecast of all of the model's steps; those after the calendar that is given are meaningless.

        Where the decoder is causal they do not reach the others. The feature leaves them out.
        """
        known = horizon = model.config.prediction_length
        if future_time_features is not None:
            known = future_time_features.shape[1]
            unknown = future_time_features[:, -1:].expand(-1, horizon - known, -1)
            future_time_features = torch.cat([future_time_features, unknown], dim=1)
        output = model(
            past_values=past_values,
            past_observed_mask=past_observed_mask,
            past_time_features=past_time_features,
            future_time_features=future_time_features,
        )
        weight = _mean_weights(model)
        if weight is None:
            return TeacherSignal(output.prediction_outputs)
        hidden = output.last_hidden_state[:, :known].mean(dim=1)
        return TeacherSignal(output.prediction_outputs, hidden.unsqueeze(1) * weight)

    def channels(self, config: PreTrainedConfig) -> int | None:
        return config.input_size

    def time_features(self, config: PreTrainedConfig) -> int:
        return config.num_time_features

    def trains_on_future(self, config: PreTrainedConfig) -> bool:
        return not is_direct(config)

    def check_usable(self, config: PreTrainedConfig) -> None:
        """Raise where a forecast would need inputs that the data do not have."""
        for name in ("num_static_real_features", "num_static_categorical_features", "num_dynamic_real_features"):
            if getattr(config, name):
                raise InputError(
                    f"{self.model_type} with {name}={getattr(config, name)}: only calendar features can be given here"
                )

    def check_lengths(self, config: PreTrainedConfig, context_length: int, prediction_length: int) -> None:
        self.check_usable(config)
        context, lag = config.context_length, max(config.lags_sequence)
        if context + lag > context_length or config.prediction_length < prediction_length:
            wanted = {"context_length": context + lag, "prediction_length": config.prediction_length}
            raise InputError(
                f"the teacher ({self.model_type}) reads context_length={context} and a largest lag of {lag}, so a "
                f"look-back of {context + lag} steps, to forecast {config.prediction_length}; the student and its "
                f"data look back {context_length} to forecast {prediction_length}: pass "
                f"{' and '.join(f'`{name}={value}`' for name, value in wanted.items())}, or train a teacher for these "
                "lengths"
            )

    def look_back(self, config: PreTrainedConfig) -> int:
        return config.context_length + max(config.lags_sequence)

    def remark(self, config: PreTrainedConfig) -> str:
        lags = ", ".join(map(str, config.lags_sequence))
        if is_direct(config):
            return f"lags {lags}: direct, one pass for all {config.prediction_length} steps"
        return (
            f"lags {lags}, some below the horizon: mean roll-out, {config.prediction_length} decoder passes a forecast"
        )


def _mean_weights(model: PreTrainedModel) -> torch.Tensor | None:
    """`[C, d]`: what the output layer takes from the decoder's state for each channel's mean, if linear."""
    names = list(model.distribution_output.args_dim)
    return model.parameter_projection.proj[names.index("loc")].weight if "loc" in names else None
