"""Several teachers as one: the weighted mean of their forecasts, all of their features."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from tabulate import tabulate
from torch import nn

from .._utils.errors import InputError
from ..data.windows import ForecastData
from ..evaluation.mixing import convex_weights, error_products
from .frozen import FrozenTeacher, fingerprint_of
from .signal import TeacherSignal


logger = logging.getLogger(__name__)


class SeveralTeachers(FrozenTeacher):
    """Takes the place of one teacher: forecasts the weighted mean of its members' forecasts.

    The feature is its members' features side by side, `[B, C, sum of d]`; members that have none are left out. Two
    good teachers of different kinds err differently, so that their mean is mostly better than either.

    Args:
        teachers: the members, all for the same number of steps.
        weights: one a member, at least 0 and 1 in all; equal ones where `None`.

    Raises:
        InputError: there are no members, they differ in steps or calendar features, or the weights are not as said.
    """

    def __init__(self, teachers: Sequence[FrozenTeacher], weights: Sequence[float] | None = None):
        super().__init__()
        if not teachers:
            raise InputError("no teachers: give one or more")
        self.weights = _checked(weights, len(teachers))
        self.members = nn.ModuleList(teachers)
        self.prediction_length = teachers[0].prediction_length
        for number, teacher in enumerate(teachers, 1):
            if teacher.prediction_length != self.prediction_length:
                raise InputError(
                    f"teacher {number} of {len(teachers)} ({teacher.name}) forecasts {teacher.prediction_length} "
                    f"steps, the first ({teachers[0].name}) {self.prediction_length}: give all the same with "
                    "teacher.cut"
                )
        needs = {teacher.num_time_features: teacher.name for teacher in teachers if teacher.num_time_features}
        if len(needs) > 1:
            needed = ", ".join(f"{name} {number}" for number, name in needs.items())
            raise InputError(f"the teachers need different calendar features ({needed}): train them on the same data")
        self.num_time_features = max(needs, default=0)
        self.eval()

    @property
    def hub_ids(self) -> list[str]:
        return [name for teacher in self.members for name in teacher.hub_ids]

    @property
    def licences(self) -> list[dict[str, str]]:
        return [licence for teacher in self.members for licence in teacher.licences]

    @property
    def name(self) -> str:
        return " + ".join(teacher.name for teacher in self.members)

    @torch.no_grad()
    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **time_features: Any
    ) -> TeacherSignal:
        signals = [teacher(past_values, past_observed_mask, **time_features) for teacher in self.members]
        forecast = sum(
            weight * signal.prediction_outputs for weight, signal in zip(self.weights, signals, strict=True)
        )
        features = [signal.feature for signal in signals if signal.feature is not None]
        return TeacherSignal(forecast, torch.cat(features, dim=-1) if features else None)

    def check_fits(self, context_length: int, prediction_length: int, num_input_channels: int) -> None:
        self._check_each(lambda teacher: teacher.check_fits(context_length, prediction_length, num_input_channels))

    def check_time_features(self, offered: int) -> None:
        self._check_each(lambda teacher: teacher.check_time_features(offered))

    def _check_each(self, check: Callable[[FrozenTeacher], None]) -> None:
        for number, teacher in enumerate(self.members, 1):
            try:
                check(teacher)
            except InputError as error:
                raise InputError(f"teacher {number} of {len(self.members)}: {error}") from error

    def about(self) -> dict:
        """As of any teacher, and how the members are taken together (`mix`)."""
        names = [teacher.name for teacher in self.members]
        return super().about() | {"mix": {"members": names, "weights": list(self.weights)}}

    def fingerprint(self) -> str:
        """A hash of the members and their weights, to six digits (further ones are rounding), in their order."""
        members = [teacher.fingerprint() for teacher in self.members]
        weights = tuple(round(weight, 6) for weight in self.weights)
        return fingerprint_of((type(self).__name__, weights, members), {})


def _checked(weights: Sequence[float] | None, members: int) -> tuple[float, ...]:
    if weights is None:
        return (1 / members,) * members
    weights = tuple(float(weight) for weight in weights)
    if len(weights) != members or not min(weights) >= 0 or not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise InputError(f"weights={list(weights)} of {members} teachers: expected one each, 0 or more, 1 in all")
    return weights


def validation_weighted(
    teachers: Sequence[FrozenTeacher], data: ForecastData, *, shrinkage: float = 0.0, batch_size: int = 32
) -> SeveralTeachers:
    """The teachers with the weights whose mean has the least squared error on the validation windows.

    Logs each teacher's validation MSE and weight. A teacher of weight 0 is out of the forecast; its feature stays.

    Args:
        teachers: cut to the data's horizon, see [`Teacher.cut`].
        shrinkage: pull towards equal weights, see [`convex_weights`].

    Raises:
        InputError: teachers and data do not fit, or a teacher's forecasts are not finite.
    """
    together = SeveralTeachers(teachers)
    data = data.for_teacher(together.num_time_features)
    together.check_fits(**data.shape)
    together.check_time_features(data.num_time_features)
    products = error_products(teachers, data.validation, batch_size)
    errors = products.diagonal().tolist()
    for number, (teacher, error) in enumerate(zip(teachers, errors, strict=True), 1):
        if not error < float("inf"):
            raise InputError(
                f"teacher {number} of {len(teachers)} ({teacher.name}) forecasts NaN or infinite values: leave it out"
            )
    # processes may differ in the last digits
    (weights,) = broadcast_object_list([convex_weights(products, shrinkage)])
    rows = list(zip([teacher.name for teacher in teachers], errors, weights.tolist(), strict=True))
    rows.append(("weighted mean", (weights @ products @ weights).item(), 1.0))
    table = tabulate(rows, headers=["teacher", "validation MSE", "weight"], floatfmt=("", ".4f", ".3f"))
    logger.info("Teachers weighted on validation:\n%s", table)
    return SeveralTeachers(teachers, weights.tolist())
