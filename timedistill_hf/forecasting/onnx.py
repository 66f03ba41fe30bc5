"""A student as an ONNX graph: forecasts without Python, torch or this package."""

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .._utils.errors import InputError
from .._utils.files import staged_file
from ..data.processor import TimeDistillProcessor
from ..student import TimeDistillForPrediction, fuse
from ..student.fusing_timedistill import FusedStudent
from ..student.normalization_timedistill import fill_missing
from ..student.serving_timedistill import forecast_in_units, mean_and_deviation, trained_scaler
from .forecaster import Forecaster


PACKAGES = ("onnx", "onnxscript", "onnxruntime")
SAME = 1e-4  # of each channel's largest forecast: how far the graph may be from the student


class ForecastGraph(nn.Module):
    """What the graph computes: a fused student, with missing values filled and, in the data's units, their scaler.

    As [`forecast_in_units`], but nothing can be refused. Windows lie channel by channel from the first step on, so
    that no product has to read them across.

    Args:
        model: the fused student.
        processor: that of its training, for data in their units; `None` for standardised ones.
    """

    def __init__(self, model: FusedStudent, processor: TimeDistillProcessor | None = None):
        super().__init__()
        self.model = model
        self.is_scaled = processor is not None
        if self.is_scaled:
            mean, std = (value[:-1].unsqueeze(1) for value in trained_scaler(vars(processor)))
            self.register_buffer("mean", mean)
            self.register_buffer("std", std)
            self.has_constant = bool(std.isnan().any())
            # as tensors, since a number becomes float32 in the graph; as either type writes it
            codes = torch.tensor(processor.sentinels, dtype=torch.float64)
            self.register_buffer("missing_values", torch.cat([codes, codes.float().double()]).unique())

    def forward(self, past_values: torch.Tensor) -> torch.Tensor:
        values = past_values.transpose(1, 2).contiguous()
        for code in self.missing_values if self.is_scaled else ():
            values = torch.where(values == code, torch.nan, values)
        if self.is_scaled:
            loc, scale = self._scaler(values)
        values = _fill_where_missing(values)
        known = ~values[..., -1:].isnan()
        if self.is_scaled:
            if self.model.follows_level:
                loc = values.mean(dim=2, keepdim=True)
            values = (values - loc) / torch.where(scale > 0, scale, 1.0)
        forecast = self.model.forecast_channels(values.to(self.model.dtype)).to(values.dtype)
        if self.is_scaled:
            forecast = forecast * scale + loc
        return torch.where(known, forecast, torch.nan).transpose(1, 2)

    def _scaler(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of each channel, a window's own where the channel was constant in training."""
        if not self.has_constant:
            return self.mean, self.std
        is_own = self.std.isnan()
        own = mean_and_deviation(values, 2)
        return tuple(torch.where(is_own, value, given) for value, given in zip(own, (self.mean, self.std)))


def _fill_where_missing(values: torch.Tensor) -> torch.Tensor:
    """Windows `[B, C, L]` as the student fills them; NaN all over in a channel without a value.

    In the graph a branch of its own, which whole windows do not enter.
    """

    def fill(values: torch.Tensor) -> torch.Tensor:
        observed = ~values.isnan()
        filled = fill_missing(values, observed, dim=2)
        return torch.where(observed.any(dim=2, keepdim=True), filled, torch.nan).contiguous()

    # a sum is the quickest way to find one NaN in many values
    if torch.compiler.is_exporting():
        return torch.cond(values.sum().isnan(), fill, torch.clone, (values,))
    return fill(values)


def export_onnx(
    model: TimeDistillForPrediction, processor: TimeDistillProcessor, path: str | Path, *, units: str = "data"
) -> Path:
    """Write the fused student as an ONNX graph, and check it against the student with onnxruntime.

    The graph takes `past_values` `[batch, L, C]`, any batch, NaN where missing, and gives `prediction_outputs`
    `[batch, S, C]`, NaN for a channel without a value. In the data's units both are float64, so that a high level
    costs no digits; standardised ones are float32. Its metadata hold columns, lengths, frequency, units, scaler and
    further values that mean missing.

    Args:
        processor: that of the student's training.
        path: of the file to write; one that is there is replaced.
        units: `"data"`: channels are the columns of training in their order, in the data's units, the scaler is in the
            graph. `"standardized"`: as the student itself; a student whose weights are free of the channel count then
            takes any number of channels.

    Raises:
        InputError: the packages are not installed, the model is no student, or the graph does not forecast as it does.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"export needs {', '.join(missing)}: pip install {' '.join(missing)}")
    if units not in ("data", "standardized"):
        raise InputError(f"units={units!r}: expected 'data' or 'standardized'")
    if not isinstance(model, TimeDistillForPrediction):
        raise InputError(f"{type(model).__name__} is no student of this package: only its students export to ONNX")
    fused = fuse(model).cpu().float()
    module = ForecastGraph(fused, processor if units == "data" else None).eval()
    is_any = units == "standardized" and not model.config.is_channel_bound
    dynamic = {0: torch.export.Dim("batch")} | ({2: torch.export.Dim("channels")} if is_any else {})
    # a dynamic dimension is seen as one only where the example's is not 1
    channels = max(2, len(processor.columns)) if is_any else len(processor.columns)
    example = torch.zeros(2, model.config.context_length, channels, dtype=getattr(torch, _dtype(units)))
    torch.compiler.reset()  # else a branch that was traced for a fixed number of channels is taken again
    with _quiet_exporter():
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["past_values"],
            output_names=["prediction_outputs"],
            dynamic_shapes={"past_values": dynamic},
            dynamo=True,
            verbose=False,
        )
    program.model.metadata_props.update(_metadata(model, processor, units))
    program.model.producer_name = "timedistill_hf"
    path = Path(path)
    with staged_file(path) as stage:
        program.save(stage)
        _check(stage, fused, processor, units, [channels, channels + 1] if is_any else [channels])
    return path


def export_file(model: str, path: str | Path, *, revision: str | None = None, units: str = "data") -> str:
    """Export a saved student, and say on one line what was written: see [`export_onnx`]."""
    forecaster = Forecaster.from_pretrained(model, revision=revision)
    path, config = export_onnx(forecaster.model, forecaster.processor, path, units=units), forecaster.processor
    return (
        f"{path}: {path.stat().st_size / 1e6:.2f} MB, past_values [batch, {config.context_length}, channels] -> "
        f"prediction_outputs [batch, {config.prediction_length}, channels], {_dtype(units)}, {units} units, "
        "NaN where missing"
    )


def _dtype(units: str) -> str:
    """Of what the graph takes and gives: in the data's units a high level must not cost digits."""
    return "float64" if units == "data" else "float32"


def _metadata(model: TimeDistillForPrediction, processor: TimeDistillProcessor, units: str) -> dict[str, str]:
    facts = {
        "units": units,
        "columns": processor.columns,
        "context_length": model.config.context_length,
        "prediction_length": model.config.prediction_length,
        "freq": processor.freq,
        "mean": processor.mean,
        "std": processor.std,
        "constant_columns": processor.constant_columns,
        "missing_values": list(processor.sentinels),
    }
    return {f"timedistill.{name}": json.dumps(value) for name, value in facts.items()}


def _check(path: Path, model: nn.Module, processor: TimeDistillProcessor, units: str, channels: Iterable[int]) -> None:
    """The graph forecasts as the student does where it serves: windows of the data's size, any batch, with gaps."""
    import onnxruntime

    remedy = "nothing was written; try the versions of constraints.txt"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    mean, std = torch.tensor([processor.mean, processor.std], dtype=torch.float64).view(2, 1, 1, -1)
    scaler = [value[None, None, :-1] for value in trained_scaler(vars(processor))]
    if units == "standardized":
        scaler = mean, std = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    for x in (x for count in channels for x in _windows((processor.context_length, count))):
        x = x * std + mean
        (found,) = session.run(None, {"past_values": x.numpy().astype(_dtype(units))})
        expected = torch.empty(0, processor.prediction_length, x.shape[2])
        if len(x):
            expected, _ = forecast_in_units(model, x, *scaler)
        if found.shape != expected.shape or (np.isnan(found) != np.isnan(expected.numpy())).any():
            raise InputError(f"the ONNX graph gives no forecast where the student does, or another shape: {remedy}")
        # in deviations: beside a high level every difference is small
        difference, size = (
            np.abs(np.nan_to_num(values / std[0].numpy())).max(axis=(0, 1), initial=0)
            for values in (found - expected.numpy(), expected.numpy() - mean[0].numpy())
        )
        if not (difference <= SAME * size).all():
            raise InputError(
                f"the ONNX graph differs from the student by up to {difference.max():.2g} deviations, expected at "
                f"most {SAME} of each channel's forecasts: {remedy}"
            )


def _windows(shape: tuple[int, int]) -> Iterator[torch.Tensor]:
    """Random standardised windows: of no, one and several series, whole, with each kind of gap, and flat."""
    generator = torch.Generator().manual_seed(0)
    for batch in (0, 1, 3):
        yield torch.randn(batch, *shape, generator=generator, dtype=torch.float64)
    x = torch.randn(7, *shape, generator=generator, dtype=torch.float64)
    x[0, shape[0] // 2] = torch.nan
    x[1, : shape[0] // 3, 0] = torch.nan
    x[2, -(shape[0] // 3) :, -1] = torch.nan
    x[3, :, 0] = torch.nan
    x[4][torch.rand(shape, generator=generator) < 0.5] = torch.nan
    x[5, :-1] = torch.nan
    x[6] = 0.5
    yield x


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keeps the exporter from warning of packages that it does not need."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for kind in (FutureWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        try:
            yield
        finally:
            exporter.setLevel(level)
