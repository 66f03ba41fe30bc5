"""Tiny students with random weights."""

import torch

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction


LENGTHS = {"context_length": 29, "prediction_length": 10}
FORM = {
    "num_input_channels": None, "hidden_size": 8, "hidden_norm": "layernorm", "revin_affine": False, "period": 7,
    "patch_length": 5,
}  # fmt: skip


def randomize(model: TimeDistillForPrediction) -> TimeDistillForPrediction:
    """Random parameters and statistics, so that every one matters; in evaluation mode."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and not name.endswith("backbone.weights"):
                is_scale = "norm" in name and not name.endswith("bias")
                tensor.copy_(0.5 + torch.rand_like(tensor) if is_scale else 0.3 * torch.randn_like(tensor))
    return model.eval()


def tiny(architecture: str, **settings) -> TimeDistillForPrediction:
    """A random student from 29 to 10 steps, period 7, for any number of channels unless `settings` say otherwise."""
    return randomize(
        TimeDistillForPrediction(TimeDistillConfig(**LENGTHS | FORM | {"architecture": architecture} | settings))
    )


def combination(members: list[dict], weights: list[float] | None = None, **settings) -> TimeDistillForPrediction:
    model = tiny("combination", members=members, **settings)
    if weights is not None:
        model.backbone.weights.copy_(torch.tensor(weights))
    return model
