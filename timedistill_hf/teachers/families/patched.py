"""What transformers' PatchTST and PatchTSMixer have in common as teachers: how they are built and trained here."""

from typing import Any

from transformers import PreTrainedConfig

from ..family import TeacherFamily


class PatchedFamily(TeacherFamily):
    """Few long patches: as accurate as short ones and several times faster.

    Attributes:
        sizes: what its configuration has by default beside what both have.
    """

    sizes: dict
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

    def settings(self, context_length: int, prediction_length: int) -> dict:
        """Patches of a fifteenth of the look-back each."""
        patch_length = max(2, context_length // 15)
        return {"patch_length": patch_length, "patch_stride": patch_length, "d_model": 64, "head_dropout": 0.1} | (
            self.sizes
        )

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any
    ) -> PreTrainedConfig:
        loss = overrides.get("loss", "mse")
        if loss != "mse":
            raise ValueError(f"loss={loss!r} makes it forecast distributions: expected 'mse' (training has a `loss`)")
        return super().config(context_length, prediction_length, num_input_channels, **overrides)
