"""Weights of the published implementation (github.com/LingFengGold/TimeDistill) as a student of this package."""

import torch

from .configuration_timedistill import TimeDistillConfig
from .modeling_timedistill import TimeDistillForPrediction


_LAYERS = {
    "Linear_Seasonal.0": "encoder",
    "bn1": "norm",
    "Linear_Seasonal.2": "decoder",
}
_TREND_LAYERS = {"Linear_Trend.0": "encoder", "bn2": "norm", "Linear_Trend.2": "decoder"}
_AFFINE = {
    "revin_layer.affine_weight": "normalization.weight",
    "revin_layer.affine_bias": "normalization.bias",
}


def from_published_state_dict(
    state_dict: dict[str, torch.Tensor], *, normalization: str = "mean", moving_average: int = 25
) -> TimeDistillForPrediction:
    """Build the student that the published `DMLP` (two branches) or `MLP` state dict describes.

    Shapes are read from the weights. The published model always holds a RevIN affine; it is ignored unless
    `normalization="revin"` (their Traffic setting).

    Args:
        state_dict: the published names and tensors; load a `.pth` with `torch.load(path, weights_only=True)`.
        normalization: `"mean"` for the published `non-stationary` setting, `"revin"` for `revin`.

    Raises:
        ValueError: the state dict has other names than the published students.
    """
    two_branch = "Linear_Trend.0.weight" in state_dict
    prefix = "backbone.seasonal." if two_branch else "backbone."
    names = {source: prefix + target for source, target in _LAYERS.items()}
    if two_branch:
        names |= {source: f"backbone.trend.{target}" for source, target in _TREND_LAYERS.items()}

    converted = {}
    for name, tensor in state_dict.items():
        if name in _AFFINE:
            if normalization == "revin":
                converted[_AFFINE[name]] = tensor
            continue
        module, _, parameter = name.rpartition(".")
        if module not in names:
            raise ValueError(f"{name!r} is no weight of the published DMLP or MLP student; expected {sorted(names)}")
        converted[f"{names[module]}.{parameter}"] = tensor

    missing = sorted(source for source in names if f"{source}.weight" not in state_dict)
    if missing:
        raise ValueError(f"the state dict lacks {missing}, which the published student has; is it another model?")
    hidden_size, context_length = state_dict["Linear_Seasonal.0.weight"].shape
    config = TimeDistillConfig(
        context_length=context_length,
        prediction_length=state_dict["Linear_Seasonal.2.weight"].shape[0],
        num_input_channels=state_dict["bn1.weight"].shape[0],
        hidden_size=hidden_size,
        architecture="two_branch" if two_branch else "mlp",
        normalization=normalization,
        moving_average=moving_average,
    )
    model = TimeDistillForPrediction(config)
    model.load_state_dict(converted)
    return model.eval()
