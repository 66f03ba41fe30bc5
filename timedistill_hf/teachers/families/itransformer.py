"""iTransformer of this package as a teacher."""

import torch

from ...models.itransformer import ITransformerConfig, ITransformerForPrediction
from ..signal import PUBLISHED_TRAINING, TeacherFamily, TeacherSignal


class ITransformerFamily(TeacherFamily):
    """Attention over channels; the feature is the variate token of each channel."""

    model_type = "itransformer"
    model_class = ITransformerForPrediction
    training_defaults = PUBLISHED_TRAINING | {"num_train_epochs": 10, "early_stopping_patience": 5}

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides
    ) -> ITransformerConfig:
        """The size published for ETTh1: 2 layers, d_model 256, ffn_dim 256."""
        return ITransformerConfig(
            context_length=context_length,
            prediction_length=prediction_length,
            num_input_channels=num_input_channels,
            **overrides,
        )

    def signal(
        self,
        model: ITransformerForPrediction,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        **inputs,
    ) -> TeacherSignal:
        output = model(past_values=past_values, past_observed_mask=past_observed_mask)
        return TeacherSignal(output.prediction_outputs, output.last_hidden_state)


FAMILY = ITransformerFamily()
