import pytest
import torch
from torch import nn

from timedistill_hf import ITransformerConfig, ITransformerForPrediction


def tiny(**overrides):
    settings = {"context_length": 24, "prediction_length": 6, "d_model": 16, "num_attention_heads": 4, "ffn_dim": 20}
    return ITransformerForPrediction(ITransformerConfig(**(settings | overrides))).eval()


def torch_reference(model, x):
    """The same weights in torch's own encoder layers."""
    config = model.config
    mean = x.mean(dim=1, keepdim=True)
    scale = torch.sqrt(x.var(dim=1, keepdim=True, unbiased=False) + 1e-5)
    tokens = model.embedding(((x - mean) / scale).transpose(1, 2))
    for layer in model.layers:
        reference = nn.TransformerEncoderLayer(
            config.d_model, config.num_attention_heads, config.ffn_dim, activation="gelu", batch_first=True
        ).eval()
        attention = layer.attention
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        reference.load_state_dict(
            {
                "self_attn.in_proj_weight": torch.cat([part.weight for part in parts]),
                "self_attn.in_proj_bias": torch.cat([part.bias for part in parts]),
                "self_attn.out_proj.weight": attention.out_proj.weight,
                "self_attn.out_proj.bias": attention.out_proj.bias,
                "linear1.weight": layer.fc1.weight,
                "linear1.bias": layer.fc1.bias,
                "linear2.weight": layer.fc2.weight,
                "linear2.bias": layer.fc2.bias,
                "norm1.weight": layer.attention_norm.weight,
                "norm1.bias": layer.attention_norm.bias,
                "norm2.weight": layer.ffn_norm.weight,
                "norm2.bias": layer.ffn_norm.bias,
            }
        )
        tokens = reference(tokens)
    tokens = model.norm(tokens)
    return model.projection(tokens).transpose(1, 2) * scale + mean, tokens


def test_agrees_with_torchs_encoder_layers():
    model = tiny(num_hidden_layers=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        x = torch.randn(3, 24, 5) * 4 + 2
        forecast, tokens = torch_reference(model, x)
        output = model(past_values=x)
    assert torch.allclose(output.prediction_outputs, forecast, atol=1e-5)
    assert torch.allclose(output.last_hidden_state, tokens, atol=1e-5)


def test_the_published_size_on_etth1():
    config = ITransformerConfig(context_length=720, prediction_length=96)
    assert ITransformerForPrediction(config).num_parameters() == 1_001_312


def test_channels_can_be_reordered_and_their_number_changed():
    model = tiny()
    x = torch.randn(2, 24, 5)
    order = torch.randperm(5)
    forecast = model(past_values=x).prediction_outputs
    assert torch.allclose(model(past_values=x[:, :, order]).prediction_outputs, forecast[:, :, order], atol=1e-5)
    assert model(past_values=x[:, :, :2]).prediction_outputs.shape == (2, 6, 2)


def test_bad_configurations_are_named():
    with pytest.raises(Exception, match="d_model=10 is not divisible by num_attention_heads=4"):
        ITransformerConfig(d_model=10, num_attention_heads=4)
