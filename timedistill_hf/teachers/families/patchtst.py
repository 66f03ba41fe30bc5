"""PatchTST of transformers as a teacher (Nie et al., ICLR 2023, arXiv 2211.14730)."""

import torch
from transformers import PatchTSTConfig, PatchTSTForPrediction

from ..signal import TeacherFamily, TeacherSignal


class PatchTSTFamily(TeacherFamily):
    """Channel-independent patches; the feature is the last encoder state of every patch."""

    model_type = "patchtst"
    model_class = PatchTSTForPrediction
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
    ) -> PatchTSTConfig:
        """Long patches, a fifteenth of the look-back each: as accurate as short ones and several times faster."""
        patch_length = max(2, context_length // 15)
        settings = {
            "patch_length": patch_length,
            "patch_stride": patch_length,
            "d_model": 64,
            "num_attention_heads": 4,
            "num_hidden_layers": 3,
            "ffn_dim": 128,
            "attention_dropout": 0.1,
            "ff_dropout": 0.1,
            "head_dropout": 0.1,
            "pooling_type": None,
        }
        loss = overrides.get("loss", "mse")
        if loss != "mse":
            raise ValueError(f"loss={loss!r} makes it forecast distributions: expected 'mse' (--loss trains on 'mae')")
        return PatchTSTConfig(
            context_length=context_length,
            prediction_length=prediction_length,
            num_input_channels=num_input_channels,
            **(settings | overrides),
        )

    def signal(
        self,
        model: PatchTSTForPrediction,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        **inputs,
    ) -> TeacherSignal:
        """One pass through encoder and head; a distribution head forecasts its mean."""
        encoded = model.model(past_values=past_values, past_observed_mask=past_observed_mask)
        head_output = model.head(encoded.last_hidden_state)
        if model.distribution_output is None:
            forecast = head_output * encoded.scale + encoded.loc
        else:
            forecast = model.distribution_output.distribution(head_output, loc=encoded.loc, scale=encoded.scale).mean
        return TeacherSignal(forecast, encoded.last_hidden_state)

    def channels(self, config: PatchTSTConfig) -> int | None:
        return config.num_input_channels

    def is_channel_independent(self, config: PatchTSTConfig) -> bool:
        return not config.channel_attention


FAMILY = PatchTSTFamily()
