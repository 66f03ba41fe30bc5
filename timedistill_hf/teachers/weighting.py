"""Weights of several teachers, chosen on validation windows."""

import logging
from collections.abc import Sequence

from accelerate.utils import broadcast_object_list
from tabulate import tabulate

from .._utils.errors import InputError
from ..data.windows import ForecastData
from ..evaluation.mixing import convex_weights, error_products
from .several import SeveralTeachers
from .signal import FrozenTeacher


logger = logging.getLogger(__name__)


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
