"""What the tests push: tiny models with random weights, saved with their processor."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import InformerConfig, PatchTSTConfig, PatchTSTForPrediction

from timedistill_hf import (
    ITransformerConfig,
    ITransformerForPrediction,
    ModernTCNConfig,
    ModernTCNForPrediction,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillProcessor,
)
from timedistill_hf.models.mean_prediction import InformerForMeanPrediction


LENGTHS = {"context_length": 48, "prediction_length": 16}
COLUMNS = ["load", "price", "wind"]


def tiny_student(seed: int = 0) -> TimeDistillForPrediction:
    torch.manual_seed(seed)
    return TimeDistillForPrediction(TimeDistillConfig(**LENGTHS, num_input_channels=3, hidden_size=8)).eval()


def tiny_teacher(family: str):
    torch.manual_seed(1)
    small = {"d_model": 8, "num_attention_heads": 2, "ffn_dim": 16}
    if family == "itransformer":
        config = ITransformerConfig(**LENGTHS, num_input_channels=3, num_hidden_layers=1, **small)
        return ITransformerForPrediction(config).eval()
    if family == "modern_tcn":
        sizes = {"d_model": 4, "large_kernel_size": 7, "small_kernel_size": 3}
        return ModernTCNForPrediction(ModernTCNConfig(**LENGTHS, num_input_channels=3, **sizes)).eval()
    if family == "patchtst":
        sizes = {"patch_length": 8, "patch_stride": 8, "num_hidden_layers": 1, "pooling_type": None}
        return PatchTSTForPrediction(PatchTSTConfig(**LENGTHS, num_input_channels=3, **sizes, **small)).eval()
    assert family == "informer"
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    layers = {"encoder_layers": 1, "decoder_layers": 1, "distil": False, "attention_type": "full"}
    lags = {"context_length": 30, "lags_sequence": [16, 17, 18], "scaling": "std"}
    sizes = {"prediction_length": 16, "input_size": 3, "num_time_features": 0, "d_model": 8}
    return InformerForMeanPrediction(InformerConfig(**sizes, **heads, **layers, **lags)).eval()


def processor() -> TimeDistillProcessor:
    return TimeDistillProcessor(
        COLUMNS, [10.0, 20.0, 30.0], [1.0, 2.0, 3.0], **LENGTHS, timestamp_column="date", freq="h", season=24
    )


def save(model, folder: Path) -> Path:
    """Model and processor, as a trainer leaves them."""
    model.save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder


def windows() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 48, 3)).astype("float32"))


@torch.no_grad()
def forecast_of(model) -> torch.Tensor:
    """What it makes of `windows()`."""
    return model(past_values=windows()).prediction_outputs


def history() -> pd.DataFrame:
    """A table of 60 hours."""
    values = np.random.default_rng(1).normal(size=(60, 3)) * [1, 2, 3] + [10, 20, 30]
    frame = pd.DataFrame(values, columns=COLUMNS)
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=60, freq="h"))
    return frame
