"""A student as an ONNX graph: forecasts without Python, torch or this package."""

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .cli.table_settings import ExportSettings
from .errors import InputError
from .files import staged_file
from .forecaster import Forecaster
from .processor import TimeDistillProcessor
from .student import TimeDistillForPrediction, fuse


PACKAGES = ("onnx", "onnxscript", "onnxruntime")
SAME = 1e-4  # of each channel's largest forecast: how far the graph may be from the student


class InUnits(nn.Module):
    """A fused student between the scaler of its training: data's units in, data's units out.

    Args:
        model: the fused student, or any module that gives `prediction_outputs`.
        processor: that of its training.
    """

    def __init__(self, model: nn.Module, processor: TimeDistillProcessor):
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(processor.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(processor.std, dtype=torch.float32))

    def forward(self, past_values: torch.Tensor) -> torch.Tensor:
        return self.model((past_values - self.mean) / self.std).prediction_outputs * self.std + self.mean


class Standardized(nn.Module):
    """A fused student as it is: standardised windows in and out."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, past_values: torch.Tensor) -> torch.Tensor:
        return self.model(past_values).prediction_outputs


def export_onnx(
    model: TimeDistillForPrediction, processor: TimeDistillProcessor, path: str | Path, *, units: str = "data"
) -> Path:
    """Write the fused student as an ONNX graph, and check it against the student with onnxruntime.

    The graph takes `past_values` `[batch, L, C]`, float32, any batch, and gives `prediction_outputs` `[batch, S, C]`.
    It knows no missing values: fill them before. Its metadata hold columns, lengths, frequency, units and the scaler.

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
    module = (InUnits(fused, processor) if units == "data" else Standardized(fused)).eval()
    is_any = units == "standardized" and not model.config.is_channel_bound
    dynamic = {0: torch.export.Dim("batch")} | ({2: torch.export.Dim("channels")} if is_any else {})
    # a dynamic dimension is seen as one only where the example's is not 1
    channels = max(2, len(processor.columns)) if is_any else len(processor.columns)
    example = torch.zeros(2, model.config.context_length, channels)
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
        _check(stage, module, processor, units)
    return path


def export_file(settings: ExportSettings) -> str:
    """Export a saved student, and say on one line what was written."""
    forecaster = Forecaster.from_pretrained(settings.model, revision=settings.revision)
    path = export_onnx(forecaster.model, forecaster.processor, settings.output, units=settings.units)
    config = forecaster.processor
    return (
        f"{path}: {path.stat().st_size / 1e6:.2f} MB, past_values [batch, {config.context_length}, channels] -> "
        f"prediction_outputs [batch, {config.prediction_length}, channels], {settings.units} units"
    )


def _metadata(model: TimeDistillForPrediction, processor: TimeDistillProcessor, units: str) -> dict[str, str]:
    facts = {
        "units": units,
        "columns": processor.columns,
        "context_length": model.config.context_length,
        "prediction_length": model.config.prediction_length,
        "freq": processor.freq,
        "mean": processor.mean,
        "std": processor.std,
    }
    return {f"timedistill.{name}": json.dumps(value) for name, value in facts.items()}


def _check(path: Path, module: nn.Module, processor: TimeDistillProcessor, units: str) -> None:
    """The graph forecasts as the module does, for windows of the data's size and for more than one batch size."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for batch in (1, 3):
        x = torch.randn(batch, processor.context_length, len(processor.columns), generator=generator)
        if units == "data":
            x = (x * module.std + module.mean).float()
        with torch.no_grad():
            expected = module(x).numpy()
        (found,) = session.run(None, {"past_values": x.numpy()})
        difference, size = (np.abs(values).max(axis=(0, 1)) for values in (found - expected, expected))
        if not (difference <= SAME * size).all():
            raise InputError(
                f"the ONNX graph differs from the student by up to {difference.max():.2g}, expected at most {SAME} of "
                "each channel's forecasts: nothing was written; try the versions of constraints.txt"
            )


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keeps the exporter from warning of packages that it does not need."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            yield
        finally:
            exporter.setLevel(level)
