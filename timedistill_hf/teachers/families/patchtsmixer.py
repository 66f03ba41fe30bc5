"""PatchTSMixer of transformers as a teacher (Ekambaram et al., KDD 2023, arXiv 2306.09364)."""

import torch
import transformers
from transformers import PatchTSMixerConfig

from ...student.normalization_timedistill import fill_missing
from ..signal import TeacherFamily, TeacherSignal


class PatchTSMixerForPrediction(transformers.PatchTSMixerForPrediction):
    """Takes `past_observed_mask`, as all others do, where transformers' own takes `observed_mask`.

    Missing steps are interpolated, and do not count in the window's mean and deviation.
    """

    def forward(self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **kwargs):
        if past_observed_mask is not None:
            past_values = fill_missing(past_values, past_observed_mask)
        return super().forward(past_values, observed_mask=past_observed_mask, **kwargs)


class PatchTSMixerFamily(TeacherFamily):
    """MLPs over patches and within them; the feature is the last hidden state of every patch."""

    model_type = "patchtsmixer"
    model_class = PatchTSMixerForPrediction
    feature_layout = "B C N d"
    training_defaults = {
        "loss": "mae",
        "learning_rate": 1e-3,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.3,
        "num_train_epochs": 6,
        "per_device_train_batch_size": 32,
        "early_stopping_patience": 0,
    }

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides
    ) -> PatchTSMixerConfig:
        """Patches of a fifteenth of the look-back, as in PatchTST here; every channel on its own."""
        patch_length = max(2, context_length // 15)
        settings = {
            "patch_length": patch_length,
            "patch_stride": patch_length,
            "d_model": 64,
            "num_layers": 3,
            "dropout": 0.1,
            "head_dropout": 0.1,
        }
        loss = overrides.get("loss", "mse")
        if loss != "mse":
            raise ValueError(f"loss={loss!r} makes it forecast distributions: expected 'mse' (--loss trains on 'mae')")
        return PatchTSMixerConfig(
            context_length=context_length,
            prediction_length=prediction_length,
            num_input_channels=num_input_channels,
            **(settings | overrides),
        )

    def signal(
        self,
        model: PatchTSMixerForPrediction,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        **inputs,
    ) -> TeacherSignal:
        """A distribution head forecasts its mean."""
        output = model(past_values, past_observed_mask)
        forecast = output.prediction_outputs
        if model.distribution_output is not None:
            forecast = model.distribution_output.distribution(forecast, loc=output.loc, scale=output.scale).mean
        return TeacherSignal(forecast, output.last_hidden_state)

    def channels(self, config: PatchTSMixerConfig) -> int | None:
        """Any, unless it mixes them."""
        return None if self.is_channel_independent(config) else config.num_input_channels

    def is_channel_independent(self, config: PatchTSMixerConfig) -> bool:
        return config.mode == "common_channel"


FAMILY = PatchTSMixerFamily()
