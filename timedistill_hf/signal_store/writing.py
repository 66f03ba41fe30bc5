"""Forecasts of any model or function written to a Parquet file, which is then a teacher without its model."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from .._utils.errors import InputError
from .._utils.files import staged_file
from ..data import load_data
from ..data.windows import ForecastData, split_targets
from ..models.adapters import run_model
from ..settings.outputs import WriteForecastsSettings
from ..settings.run import DataSettings
from ..student.serving_timedistill import device_of
from ..teachers import FrozenTeacher
from ..teachers.loading import load_teacher_for
from .table import PARTS


@torch.no_grad()
def write_forecasts(
    forecaster: nn.Module,
    data: ForecastData,
    path: str | Path,
    *,
    parts: Sequence[str] = PARTS,
    batch_size: int = 64,
    overwrite: bool = False,
) -> Path:
    """Write the forecasts of all windows to a Parquet file that [`signal_from_table`] reads.

    A row is one forecast: `series` (the channel's name), `origin` (the timestamp of the first step, or its row number
    where the data have no time) and `forecast` (a list of S numbers, in the data's units).

    Args:
        forecaster: a teacher (a [`CallableTeacher`], say), a student, any model with `past_values ->
            prediction_outputs`.
        parts: of the data.

    Raises:
        InputError: the file exists and `overwrite` is off, or forecaster and data do not fit.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"{str(path)!r}: there is no folder {str(path.parent)!r}; make it")
    if path.exists() and not overwrite:
        raise InputError(f"{str(path)!r} exists: name another file, or pass `overwrite=True`")
    for part in parts:
        if part not in PARTS:
            raise InputError(f"parts: {part!r} is none of {', '.join(PARTS)}")
    if isinstance(forecaster, FrozenTeacher):
        forecaster.check_fits(**data.shape)
        data = forecaster.prepare(data)
        forecaster.check_time_features(data.num_time_features)
    forecaster.eval()
    origin_type = pa.int64() if data.series.timestamps is None else pa.timestamp("ns")
    schema = pa.schema([
        ("series", pa.string()), ("origin", origin_type), ("forecast", pa.list_(pa.float64())),
    ])  # fmt: skip
    with staged_file(path) as stage, pq.ParquetWriter(stage, schema) as writer:
        for part in parts:
            for table in _tables(forecaster, data, part, batch_size, schema):
                writer.write_table(table)
    return path


def _tables(
    forecaster: nn.Module, data: ForecastData, part: str, batch_size: int, schema: pa.Schema
) -> Iterator[pa.Table]:
    windows = getattr(data, part)
    device = device_of(forecaster)
    stamps = data.series.timestamps
    names = pa.array([str(name) for name in data.series.columns])
    origin = windows.first_origin
    for batch in tqdm(DataLoader(windows, batch_size=batch_size), desc=f"forecasts, {part}", leave=False):
        inputs, targets = split_targets(batch)
        output = run_model(forecaster, {name: value.to(device) for name, value in inputs.items()}).prediction_outputs
        if output.shape != targets["future_values"].shape:
            raise InputError(
                f"the forecasts are {tuple(output.shape)}, the truth {tuple(targets['future_values'].shape)} "
                "(windows, steps, channels): take a forecaster for these data"
            )
        values = data.processor.unstandardize(output.float().cpu()).transpose(1, 2).numpy()
        count, channels, steps = values.shape
        rows = np.repeat(np.arange(origin, origin + count), channels)
        offsets = pa.array(np.arange(0, values.size + 1, steps, dtype=np.int32))
        columns = [
            names.take(pa.array(np.tile(np.arange(channels), count))),
            pa.array(rows if stamps is None else stamps[rows].astype("datetime64[ns]")),
            pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1))),
        ]
        yield pa.Table.from_arrays(columns, schema=schema)
        origin += count


def write_forecasts_of_saved_model(data_settings: DataSettings, settings: WriteForecastsSettings) -> Path:
    """Load a trained teacher, let it forecast all windows and write them down."""
    data = load_data(data_settings)
    teacher = load_teacher_for(settings.model, data)
    if torch.accelerator.is_available():
        teacher.to(torch.accelerator.current_accelerator())
    return write_forecasts(
        teacher,
        data,
        settings.output,
        parts=settings.parts,
        batch_size=settings.batch_size,
        overwrite=settings.overwrite,
    )
