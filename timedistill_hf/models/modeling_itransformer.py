"""iTransformer: attention over channels, each channel's whole history one token (arXiv 2310.06625)."""

import torch
from torch import nn
from torch.nn import functional as F
from transformers.activations import ACT2FN

from .configuration_itransformer import ITransformerConfig
from .modeling_forecaster import ForecasterModel


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


class ITransformerForPrediction(ForecasterModel):
    """Forecasts all channels at once from tokens that each hold one channel's whole window.

    The last hidden state is `[B, C, d_model]`, the variate tokens after the last layer.
    """

    config_class = ITransformerConfig
    _no_split_modules = ["ITransformerLayer"]

    def __init__(self, config: ITransformerConfig):
        super().__init__(config)
        self.embedding = nn.Linear(config.context_length, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(ITransformerLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.d_model)
        self.projection = nn.Linear(config.d_model, config.prediction_length)
        self.post_init()

    def forecast(self, values: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        # torch multiplies a transposed window with frozen weights up to twenty times as slowly
        tokens = self.dropout(self.embedding(values.transpose(1, 2).contiguous()))
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.norm(tokens)
        return self.projection(tokens).transpose(1, 2), {"last_hidden_state": tokens}
