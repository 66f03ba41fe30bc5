"""iTransformer: attention over channels, each channel's whole history one token (arXiv 2310.06625)."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_itransformer import ITransformerConfig


@dataclass
class ITransformerOutput(ModelOutput):
    """Output of the iTransformer.

    Args:
        loss: scalar, where `future_values` were given.
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
        last_hidden_state: `[B, C, d_model]`, the variate tokens after the last layer.
        loc, scale: `[B, 1, C]`, mean and standard deviation taken out of each window.
    """

    loss: torch.Tensor | None = None
    prediction_outputs: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    loc: torch.Tensor | None = None
    scale: torch.Tensor | None = None


class ITransformerAttention(nn.Module):
    """Full multi-head self-attention among the C variate tokens."""

    def __init__(self, config: ITransformerConfig):
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.dropout = config.dropout
        self.q_proj = nn.Linear(config.d_model, config.d_model)
        self.k_proj = nn.Linear(config.d_model, config.d_model)
        self.v_proj = nn.Linear(config.d_model, config.d_model)
        self.out_proj = nn.Linear(config.d_model, config.d_model)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        heads = (
            projection(tokens).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(*heads, dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(mixed.transpose(1, 2).flatten(-2))


class ITransformerLayer(nn.Module):
    """Attention and feed-forward network, each with a residual path, normalised after the sum."""

    def __init__(self, config: ITransformerConfig):
        super().__init__()
        self.attention = ITransformerAttention(config)
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.d_model)
        self.ffn_norm = nn.LayerNorm(config.d_model)
        self.activation = ACT2FN[config.activation_function]
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = self.attention_norm(tokens + self.dropout(self.attention(tokens)))
        hidden = self.dropout(self.activation(self.fc1(tokens)))
        return self.ffn_norm(tokens + self.dropout(self.fc2(hidden)))


class ITransformerForPrediction(PreTrainedModel):
    """Forecasts all channels at once from tokens that each hold one channel's whole window."""

    config_class = ITransformerConfig
    base_model_prefix = "model"
    main_input_name = "past_values"
    input_modalities = ("time",)
    accepts_loss_kwargs = False
    _no_split_modules = ["ITransformerLayer"]

    def __init__(self, config: ITransformerConfig):
        super().__init__(config)
        self.embedding = nn.Linear(config.context_length, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(ITransformerLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.d_model)
        self.projection = nn.Linear(config.d_model, config.prediction_length)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            init.uniform_(module.weight, -bound, bound)
            init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)

    @can_return_tuple
    def forward(
        self,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        future_values: torch.Tensor | None = None,
        future_observed_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> ITransformerOutput:
        r"""
        Args:
            past_values: `[B, L, C]`.
            past_observed_mask: `[B, L, C]`, 1 where observed; missing steps are set to the window's observed mean.
            future_values: `[B, S, C]`, the truth; with it the output holds the loss.
            future_observed_mask: `[B, S, C]`, 1 where the truth was observed.
        """
        if past_values.shape[1] != self.config.context_length:
            raise ValueError(
                f"past_values has {past_values.shape[1]} steps: this iTransformer expects {self.config.context_length}"
            )
        loc, scale, normalized = self._normalize(past_values, past_observed_mask)
        # torch multiplies a transposed window with frozen weights up to twenty times as slowly
        tokens = self.dropout(self.embedding(normalized.transpose(1, 2).contiguous()))
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.norm(tokens)
        forecast = self.projection(tokens).transpose(1, 2) * scale + loc

        loss = None
        if future_values is not None:
            error = forecast - future_values
            error = error.abs() if self.config.loss == "mae" else error.square()
            loss = error.mean() if future_observed_mask is None else error[future_observed_mask.bool()].mean()
        return ITransformerOutput(
            loss=loss, prediction_outputs=forecast, last_hidden_state=tokens, loc=loc, scale=scale
        )

    def _normalize(self, values: torch.Tensor, observed: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        if observed is None:
            observed = torch.ones_like(values)
        observed = observed.to(values.dtype)
        values = torch.where(observed.bool(), values, torch.zeros_like(values))
        count = observed.sum(dim=1, keepdim=True).clamp(min=1)
        mean = values.sum(dim=1, keepdim=True) / count
        centred = (values - mean) * observed
        if self.config.scaling is None:
            return torch.zeros_like(mean), torch.ones_like(mean), centred + mean
        scale = torch.sqrt(centred.square().sum(dim=1, keepdim=True) / count + 1e-5)
        return mean, scale, centred / scale


__all__ = ["ITransformerForPrediction", "ITransformerOutput"]
