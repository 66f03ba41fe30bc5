"""Teachers that are no model of this package: what a function, in any library, forecasts."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch

from .._utils.errors import InputError
from ..data.processor import TimeDistillProcessor
from ..student.normalization_timedistill import fill_missing
from .frozen import FrozenTeacher, fingerprint_of
from .signal import TeacherSignal


class ExternalTeacher(FrozenTeacher):
    """Forecasts that are made outside: for windows of one shape, without a feature, weights or a calendar.

    Args:
        name: what results call it.
        context_length, prediction_length: L and S.
        num_input_channels: the C that it is bound to, or `None` for any.
    """

    num_time_features = 0
    remedy = "make both the same"

    def __init__(self, name: str, context_length: int, prediction_length: int, num_input_channels: int | None = None):
        super().__init__()
        self.name = name
        self.context_length = context_length
        self.prediction_length = prediction_length
        self.num_input_channels = num_input_channels
        self.eval()

    def check_fits(self, context_length: int, prediction_length: int, num_input_channels: int) -> None:
        for field, given in (
            ("context_length", context_length),
            ("prediction_length", prediction_length),
            ("num_input_channels", num_input_channels),
        ):
            if getattr(self, field) not in (None, given):
                raise InputError(
                    f"the teacher ({self.name}) has {field}={getattr(self, field)}, the student and its data {given}: "
                    f"{self.remedy}"
                )


class CallableTeacher(ExternalTeacher):
    """Forecasts by a function of `past_values` `[B, L, C]` that gives `[B, S, C]`; it has no feature.

    A function has no weights to be recognised by. Stored signals know it by `name` and `version` (and its lengths):
    give another version whenever what it would forecast changes, such as after fitting it anew. It must give the same
    forecast for the same window, whatever else is in the batch.

    Args:
        function: sees windows without missing values (they are interpolated), in float32; numpy arrays in the data's
            units are float64, so that they keep their digits.
        context_length, prediction_length: L and S.
        name: what results call it.
        version: of the function and all that it depends on.
        num_input_channels: the C that it is bound to, or `None` for any.
        takes: whether it wants and gives numpy arrays or torch tensors (on the device of the training).
        processor: where given, the function sees and gives the data's own units; standardised values otherwise.

    Raises:
        InputError: lengths, name or version are not as said; and, when it runs, what the function gives is not
            `[B, S, C]` of finite numbers.
    """

    def __init__(
        self,
        function: Callable,
        *,
        context_length: int,
        prediction_length: int,
        name: str,
        version: str,
        num_input_channels: int | None = None,
        takes: Literal["numpy", "torch"] = "numpy",
        processor: TimeDistillProcessor | None = None,
    ):
        for field, value in (("context_length", context_length), ("prediction_length", prediction_length)):
            if value < 1:
                raise InputError(f"{field}={value} of the teacher {name!r}: expected a positive number of steps")
        if not name or not version:
            raise InputError(
                f"a function as a teacher needs a name and a version, got {name!r} and {version!r}: stored signals "
                "know it by them"
            )
        if takes not in ("numpy", "torch"):
            raise InputError(f"takes={takes!r}: expected 'numpy' or 'torch'")
        super().__init__(name, context_length, prediction_length, num_input_channels)
        self.function = function
        self.version = version
        self.takes = takes
        self.processor = processor

    @torch.no_grad()
    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **time_features: Any
    ) -> TeacherSignal:
        values = past_values.detach().float()
        if past_observed_mask is not None:
            values = fill_missing(values, past_observed_mask)
        device = values.device
        if self.processor is not None:
            values = self.processor.unstandardize(values.cpu())
        forecast = self.function(values.cpu().numpy() if self.takes == "numpy" else values.float().to(device))
        if not isinstance(forecast, (np.ndarray, torch.Tensor)):
            raise self._error(f"a {type(forecast).__name__}")
        if isinstance(forecast, np.ndarray):
            forecast = torch.from_numpy(np.ascontiguousarray(forecast, dtype=np.float64))
        expected = (len(values), self.prediction_length, values.shape[2])
        if tuple(forecast.shape) != expected:
            raise self._error(f"an array of shape {tuple(forecast.shape)}", expected)
        if not forecast.isfinite().all():
            raise self._error("NaN or infinite values")
        if self.processor is not None:
            forecast = self.processor.standardize(forecast.cpu())
        return TeacherSignal(forecast.float().to(device))

    def _error(self, given: str, expected: tuple[int, ...] | None = None) -> InputError:
        shape = "[B, S, C]" if expected is None else f"{expected}, windows, steps and channels,"
        return InputError(
            f"the teacher {self.name!r} gave {given}: expected an array of shape {shape} of finite numbers"
        )

    def fingerprint(self) -> str:
        """A hash of name, version, lengths and, where it sees the data's units, the scaler."""
        scaler = None if self.processor is None else (self.processor.mean, self.processor.std)
        settings = (self.context_length, self.prediction_length, self.num_input_channels, self.takes, scaler)
        return fingerprint_of((type(self).__name__, self.name, self.version, *settings), {})
