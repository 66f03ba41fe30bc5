"""Everything linear folds: a student that is affine in its window is one matrix, whatever it was trained as."""

import copy
from dataclasses import dataclass, replace

import torch
from torch import nn

from .backbones_timedistill import LinearBackbone
from .configuration_timedistill import TimeDistillConfig
from .modeling_timedistill import TimeDistillForPrediction
from .normalization_timedistill import WindowNormalization, forecast_window, level_weights


SAME_SUM = 1e-9
"""Rows of a float64 matrix whose sums differ by no more than this, relatively, have the same sum."""
SUM_IS_ONE = 1e-6
"""Float32 weights that are meant to add up to 1 do so to within this."""
LOSS_FIELDS = ("loss", "frequency_weight")


@dataclass
class Part:
    """A member, or a whole student of one form, in float64 on the CPU."""

    weight: float
    form: dict  # what it changes of the student's configuration
    config: TimeDistillConfig
    normalization: WindowNormalization
    backbone: nn.Module

    @property
    def level(self) -> torch.Tensor:
        """`[L]`: its product with the window is the level that the normalization takes out."""
        return level_weights(self.config)

    @property
    def weighs_one(self) -> bool:
        return abs(self.weight - 1) <= SUM_IS_ONE

    @property
    def is_scaled(self) -> bool:
        return self.config.normalization == "revin"

    @property
    def is_affine(self) -> bool:
        return self.config.architecture in ("linear", "periodic", "cycle") and not self.is_scaled

    @property
    def has_linear_path(self) -> bool:
        """Whether it is a residual form whose linear map can move; per-channel RevIN weights tie it down."""
        return self.config.architecture == "residual" and not self.normalization.affine


@torch.no_grad()
def linear_map(model: TimeDistillForPrediction) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrix `[S, L]` and bias `[S]` of a student that is affine in its window, in float64 on the CPU.

    `forecast = x @ matrix.T + bias` for every channel `x` `[.., L]` as the model is given it: the normalization is in
    the matrix.

    Args:
        model: architecture `"linear"`, `"periodic"` or `"cycle"` with normalization `"none"`, `"mean"` or `"last"`, or
            a combination of such.

    Raises:
        ValueError: the student, or a member whose weight is not zero, is of another form.
    """
    parts = student_parts(model)
    for part in parts:
        if not part.is_affine:
            raise ValueError(
                f"architecture={part.config.architecture!r} with normalization={part.config.normalization!r} is no "
                "linear map of the window: expected 'linear', 'periodic' or 'cycle' with 'none', 'mean' or 'last'; "
                "fold() makes any student as small as it can be"
            )
    return linear_map_of(parts, model.config)


@torch.no_grad()
def fold(model: TimeDistillForPrediction, dtype: torch.dtype | None = None) -> TimeDistillForPrediction:
    """An equal student (to float32 rounding) in the smallest form, in evaluation mode; the input stays as it is.

    All affine members of a combination (see [`linear_map`]) become one linear map. The linear path of residual members
    joins it, also with RevIN (no affine), where dividing by the scale and multiplying with it cancel; only the bias
    does not, and stays with the core, which is left of a residual member. Members of weight 0 are left out. A member
    that is left alone becomes a student of its form, if that form can hold its weight. What cannot fold is copied.

    Members change their order, and affine ones are no longer told apart: fold when all training is done.

    Args:
        dtype: of the result, the model's own where `None`.
    """
    parts = student_parts(model)
    dtype = dtype or model.dtype
    if not parts:
        return copy.deepcopy(model).to(dtype).eval()
    unmerged = _assemble(model, parts, dtype)
    if _can_merge(parts):
        parts = merge_linear(parts)
    elif len(parts) == 1 and parts[0].config.normalization == "none":
        _scale_outputs(parts[0].backbone, parts[0].weight)
        parts = [replace(parts[0], weight=1.0)]
    folded = _assemble(model, parts, dtype)
    # a form that shares its weights among phases can be smaller than the matrix that it is
    return folded if folded.num_parameters() <= unmerged.num_parameters() else unmerged


def student_parts(model: TimeDistillForPrediction) -> list[Part]:
    """The members that count, as copies; a student of one form is its own only member."""
    config, model = model.config, copy.deepcopy(model).to("cpu", torch.float64).eval()
    if config.architecture != "combination":
        return [Part(1.0, {}, config, model.normalization, model.backbone)]
    weights, members = model.backbone.weights.tolist(), model.backbone.members
    return [
        Part(weight, form, member_config, member.normalization, member.backbone)
        for weight, form, member_config, member in zip(weights, config.members, config.member_configs(), members)
        if weight
    ]


def follows_level(model: TimeDistillForPrediction) -> bool:
    """Whether what is added to all steps of a window is added to the student's forecast, too."""
    config = model.config
    if config.architecture != "combination":
        return config.normalization != "none"
    weights = model.backbone.weights.tolist()
    members = zip(weights, config.member_configs())
    return abs(sum(weights) - 1) <= SUM_IS_ONE and all(
        member.normalization != "none" for weight, member in members if weight
    )


def linear_map_of(parts: list[Part], config: TimeDistillConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted sum of affine parts, read off by forecasting a zero window and the unit windows."""
    matrix = torch.zeros(config.prediction_length, config.context_length, dtype=torch.float64)
    bias = torch.zeros(config.prediction_length, dtype=torch.float64)
    units = torch.eye(config.context_length, dtype=torch.float64).unsqueeze(0)
    for part in parts:
        start, response = (
            forecast_window(windows, part.normalization, part.backbone, torch.float64)[0].squeeze(0)
            for windows in (torch.zeros_like(units[..., :1]), units)
        )
        matrix += part.weight * (response - start)
        bias += part.weight * start.squeeze(-1)
    return matrix, bias


def _can_merge(parts: list[Part]) -> bool:
    """Whether there are several linear maps, one is not in its smallest form, or the only part can hold its weight."""
    linear = [part for part in parts if part.is_affine or part.has_linear_path]
    if len(linear) != 1 or not linear[0].is_affine:
        return len(linear) > 1
    takes_its_weight = len(parts) == 1 and not linear[0].weighs_one
    return takes_its_weight or linear[0].config.architecture in ("periodic", "cycle")


def merge_linear(parts: list[Part]) -> list[Part]:
    """One part with the sum of all linear maps, the cores that are left of residual parts, the rest as it is."""
    affine = [part for part in parts if part.is_affine]
    matrix, bias = linear_map_of(affine, parts[0].config)
    others = []
    for part in parts:
        if part.has_linear_path:
            projection = part.backbone.projection
            matrix += part.weight * of_centred(projection.weight, part.level)
            if not part.is_scaled:  # the bias of a scaled part is multiplied with the window's scale
                bias += part.weight * projection.bias
            part = _core_of(part)
        if not part.is_affine:
            others.append(part)
    return [_linear_part(matrix, bias, parts[0].config, is_alone=not others), *others]


def of_centred(weight: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """The matrix that does to a window what `weight` does to the window less its level."""
    return weight - torch.outer(weight.sum(dim=1), level)


def _weight_of_level(matrix: torch.Tensor, is_alone: bool) -> float | None:
    """The weight of a part that takes the level out and gives it back, so that its numbers stay small.

    It is the sum of every row, and has to be 1 for the only part; `None` where no weight will do.
    """
    sums = matrix.sum(dim=1)
    weight = sums.mean().item()
    if weight == 0 or (sums - weight).abs().max().item() > SAME_SUM * abs(weight):
        return None
    return None if is_alone and abs(weight - 1) > SUM_IS_ONE else weight


def _linear_part(matrix: torch.Tensor, bias: torch.Tensor, config: TimeDistillConfig, is_alone: bool) -> Part:
    """The merged map as a linear form."""
    weight = _weight_of_level(matrix, is_alone)
    if weight is None:
        weight, normalization = 1.0, "none"
    else:
        normalization = "mean"
    form = {"architecture": "linear", "normalization": normalization}
    config = _config(config, form)
    part = Part(weight, form, config, WindowNormalization(config), LinearBackbone(config).double())
    part.backbone.projection.weight.copy_(matrix / weight - part.level)
    part.backbone.projection.bias.copy_(bias / weight)
    return part


def _core_of(part: Part) -> Part:
    """A residual part as the core that is left of it; the bias of a scaled one stays, as it is scaled, too."""
    core = part.backbone.core
    if part.is_scaled:
        core.decoder.bias += part.backbone.projection.bias
    form = part.form | {"architecture": part.config.core}
    return replace(part, form=form, config=_config(part.config, form), backbone=core)


def _scale_outputs(backbone: nn.Module, factor: float) -> None:
    """Multiply with a factor what a form of normalization `"none"` forecasts."""
    for module in backbone.modules():
        for name in ("decoder", "projection"):
            if hasattr(module, name):
                getattr(module, name).weight *= factor
                getattr(module, name).bias *= factor


def _config(config: TimeDistillConfig, form: dict) -> TimeDistillConfig:
    """The configuration of one form; how its forecasts are scored stays the student's."""
    form = {name: value for name, value in form.items() if name not in LOSS_FIELDS}
    return TimeDistillConfig.from_dict(config.to_dict() | form | {"members": None})


def _assemble(model: TimeDistillForPrediction, parts: list[Part], dtype: torch.dtype) -> TimeDistillForPrediction:
    """A student of these parts with the model's settings, on its device."""
    if len(parts) == 1 and parts[0].weighs_one:
        folded = TimeDistillForPrediction(_config(model.config, parts[0].form))
        modules = [folded]
    else:
        changes = {"members": [part.form for part in parts]}
        folded = TimeDistillForPrediction(TimeDistillConfig.from_dict(model.config.to_dict() | changes))
        folded.backbone.weights.copy_(torch.tensor([part.weight for part in parts], dtype=torch.float64))
        modules = folded.backbone.members
    folded = folded.to(model.device, dtype)
    for part, module in zip(parts, modules):
        module.normalization.load_state_dict(part.normalization.state_dict())
        module.backbone.load_state_dict(part.backbone.state_dict())
    return folded.eval()


__all__ = ["fold", "linear_map"]
