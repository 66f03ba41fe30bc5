"""ModernTCN of this package as a teacher."""

import torch

from ...models.modern_tcn import ModernTCNConfig, ModernTCNForPrediction
from ..signal import PUBLISHED_TRAINING, TeacherFamily, TeacherSignal


class ModernTCNFamily(TeacherFamily):
    """Convolution over time and mixing of channels; the feature is the last hidden state of every patch."""

    model_type = "modern_tcn"
    model_class = ModernTCNForPrediction
    feature_layout = "B C d N"
    training_defaults = PUBLISHED_TRAINING | {"num_train_epochs": 4, "early_stopping_patience": 20}

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides
    ) -> ModernTCNConfig:
        """The size published for ETTh1: patches of 8 steps every 4, one block, kernels 51 and 5, d_model 64."""
        return ModernTCNConfig(
            context_length=context_length,
            prediction_length=prediction_length,
            num_input_channels=num_input_channels,
            **overrides,
        )

    def signal(
        self,
        model: ModernTCNForPrediction,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        **inputs,
    ) -> TeacherSignal:
        output = model(past_values=past_values, past_observed_mask=past_observed_mask)
        return TeacherSignal(output.prediction_outputs, output.last_hidden_state)

    def channels(self, config: ModernTCNConfig) -> int | None:
        return config.num_input_channels


FAMILY = ModernTCNFamily()
