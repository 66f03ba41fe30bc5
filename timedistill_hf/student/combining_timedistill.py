"""Trained students as one: the combination whose members they are."""

import copy
from collections.abc import Sequence

import torch

from .configuration_timedistill import TimeDistillConfig
from .modeling_timedistill import TimeDistillForPrediction


@torch.no_grad()
def combine(
    students: Sequence[TimeDistillForPrediction], weights: Sequence[float], *, loss: dict | None = None
) -> TimeDistillForPrediction:
    """The student that forecasts `sum_k weights[k] * students[k]`, in evaluation mode; `fold` makes it small.

    Args:
        students: of the same lengths and channels, none of them a combination.
        weights: one a student.
        loss: `loss` and `frequency_weight` of the whole, which fine-tuning minimises; else the configuration's
            defaults. Members keep their own.

    Raises:
        ValueError: there are no students, their shapes differ, one is a combination, or the weights are not as many.
    """
    if not students or len(students) != len(weights):
        raise ValueError(f"{len(students)} students and {len(weights)} weights: expected one weight a student")
    shapes = [
        (each.config.context_length, each.config.prediction_length, each.config.num_input_channels)
        for each in students
    ]
    if len(set(shapes)) > 1:
        raise ValueError(f"students of shapes {shapes} (look-back, horizon, channels): expected the same")
    length, horizon, channels = shapes[0]
    config = TimeDistillConfig(
        context_length=length,
        prediction_length=horizon,
        num_input_channels=channels,
        architecture="combination",
        members=[student.config.as_member() for student in students],
        **(loss or {}),
    )
    combination = TimeDistillForPrediction(config).to(students[0].device, students[0].dtype)
    combination.backbone.weights.copy_(torch.tensor(list(weights), dtype=torch.float64))
    for student, member in zip(students, combination.backbone.members):
        member.normalization = copy.deepcopy(student.normalization)
        member.backbone = copy.deepcopy(student.backbone)
    return combination.eval()


__all__ = ["combine"]
