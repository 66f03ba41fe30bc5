"""Rolling backtest: what the model would have forecast at past cutoffs, beside what came."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from tabulate import tabulate

from .._utils.errors import InputError
from .._utils.files import FrameWriter, write_json
from ..data.channels import Channels, read_history
from ..data.processor import TimeDistillProcessor
from ..data.series import Series
from ..evaluation.report import versions
from ..evaluation.series_errors import SeriesErrors, seasonal_errors
from ..settings.tables import BacktestSettings
from ..student.serving_timedistill import is_channel_free
from ..tables.files import read_file
from ..tables.grid import season_of
from ..tables.output import identity, timestamps
from ..tables.panel import Panel
from ..tables.table import is_table
from .forecaster import Forecaster
from .rolling import Part, Rolling


if TYPE_CHECKING:
    from ..tables.table import Table

logger = logging.getLogger(__name__)

_OWN_COLUMNS = ("cutoff", "y", "forecast", "seasonal_naive")


@dataclass(frozen=True)
class Backtest:
    """What a rolling backtest found.

    Args:
        forecasts: one row for each series, cutoff and step: the series' id, `cutoff` (the last timestamp that the
            model saw), the time forecast, `y` (the truth, NaN where missing), `forecast` and `seasonal_naive`, in the
            data's units; in order of series, cutoff and time. `None` where they went to a file.
        metrics: one row for each series and model: `mse`, `mae`, `rmse`, `smape` (0 to 200 %) and `mase` in the data's
            units, `standardized_mse` and `standardized_mae` on what the model saw, how many `points` they are of.
        overall: by model, each of these over all series: in units averaged over series, standardised over all points.
        season: steps of one season, of the naive forecast and of MASE.
        windows: how many there are, summed over series.
        step: steps from one cutoff to the next.
    """

    forecasts: pd.DataFrame | None
    metrics: pd.DataFrame
    overall: dict[str, dict[str, float]]
    season: int
    windows: int
    step: int


def backtest(
    forecaster: Forecaster | str | Path,
    data: "Table | Series",
    *,
    num_windows: int | None = None,
    step: int | None = None,
    season: int | None = None,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target_columns: list[str] | None = None,
    freq: str | None = None,
    time_zone: str | None = None,
    scaling: str = "auto",
    duplicates: str = "error",
    output: str | Path | None = None,
) -> Backtest:
    """Forecast again and again from past cutoffs, each time from what was known then.

    A student that is free of the channel count forecasts each series by itself; its cutoffs are counted from that
    series' own end, and the series need not be those of training. Any other model forecasts all series of its training
    together, at common cutoffs.

    Args:
        forecaster: a [`Forecaster`], or the folder or Hub id of one.
        data: a table, or a [`Series`] (`load_series(...)`, or the `series` of `make_windows`).
        id_column, timestamp_column, target_columns, freq, time_zone, scaling, duplicates: as for
            `Forecaster.predict`.
        num_windows: windows a series, the last of which ends with it; fewer for a series too short for them. `None`:
            as many as there is a full look-back for. Where given, a model that forecasts each series by itself needs
            one season of history only, or half the look-back where a season is longer.
        step: steps from one cutoff to the next; the horizon where `None`, so that windows do not overlap.
        season: of the naive forecast and MASE; that of training, or of the frequency, where `None`. MASE divides by
            the mean change over a season in a series' rows up to its first cutoff.
        output: a `.parquet` or `.csv` file for the forecasts, which are then not kept in memory; within a series they
            are in order of cutoff and time.

    Raises:
        InputError: the table cannot be read, no series is long enough, or the model cannot forecast these.
    """
    forecaster = Forecaster.from_pretrained(str(forecaster)) if isinstance(forecaster, (str, Path)) else forecaster
    for name, value in (("num_windows", num_windows), ("step", step), ("season", season)):
        if value is not None and value < 1:
            raise InputError(f"{name}={value}: expected a positive number")
    processor = forecaster.processor
    is_free = is_channel_free(forecaster.model.config)
    if isinstance(data, Series):
        freq, target_columns = freq or data.freq, target_columns or list(data.columns)
        data, timestamp_column = _as_frame(data)
    elif not is_table(data):
        raise InputError(f"{type(data).__name__!r} is no kind of table: give a DataFrame, or what load_series gives")
    panel = read_history(
        data,
        vars(processor),
        processor.prediction_length,
        id_column=id_column,
        timestamp_column=timestamp_column,
        target_columns=target_columns,
        freq=freq,
        time_zone=time_zone,
        duplicates=duplicates,
        regularize=True,
    )
    channels = Channels.of(panel, vars(processor), scaling)
    _check_columns(panel)
    if season is None:
        season = processor.season if panel.freq in (None, processor.freq) else season_of(panel.freq)
    last, lengths = panel.last, panel.lengths
    if not is_free:
        channels.check_all(panel)
        last = np.full_like(last, last.max())
        lengths = last - panel.number[panel.first[:-1]].min() + 1
    step = step or processor.prediction_length
    windows = _count(lengths, processor, num_windows, step, season if is_free else processor.context_length)
    rolling = Rolling(forecaster, panel, channels, last, windows, step, season)
    errors = {name: SeriesErrors(panel.num_series) for name in ("forecast", "seasonal_naive")}
    forecaster.inference_copy.eval()

    kept = []
    with ExitStack() as stack:
        writer = None if output is None else stack.enter_context(FrameWriter(output))
        for part in rolling.each_series() if is_free else rolling.together():
            errors["forecast"].add(part.series, part.forecast, part.truth, part.scale)
            errors["seasonal_naive"].add(part.series, part.naive, part.truth, part.scale)
            frame = _forecasts(part, rolling)
            if writer is None:
                kept.append((part.series.repeat(part.truth.shape[1]), frame))
            else:
                writer.write(frame)
    first_cutoff = last - processor.prediction_length - (np.maximum(windows, 1) - 1) * step
    naive_errors = seasonal_errors(panel, season, first_cutoff)
    return Backtest(
        forecasts=_in_order(kept) if output is None else None,
        metrics=_metrics(panel, errors, naive_errors),
        overall={name: each.overall(naive_errors) for name, each in errors.items()},
        season=season,
        windows=int(windows.sum()) * len(panel.target_columns),
        step=step,
    )


def backtest_file(settings: BacktestSettings) -> str:
    """Backtest on one file and write forecasts and metrics, on the accelerator where there is one.

    Returns:
        The metrics over all series, as a table, and where everything went.

    Raises:
        InputError: model or table cannot be used as given; nothing is written then.
    """
    forecaster = Forecaster.from_pretrained(settings.model, revision=settings.revision)
    id_column = settings.id_column or forecaster.processor.id_column
    frame = read_file(settings.input, id_column, **settings.number_signs())
    if torch.accelerator.is_available():
        forecaster.to(torch.accelerator.current_accelerator())
    windows = {name: getattr(settings, name) for name in ("num_windows", "step", "season")}
    try:
        result = backtest(forecaster, frame, output=settings.output, **windows, **settings.table_options())
        write_json(
            settings.metrics_path,
            {
                "model": settings.model,
                "input": settings.input,
                "season": result.season,
                "step": result.step,
                "windows": result.windows,
                "overall": result.overall,
                "series": result.metrics.to_dict(orient="records"),
                "versions": versions(),
            },
        )
    except OSError as error:
        raise InputError(f"{settings.output!r} cannot be written: {error}") from error
    rows = [[name.replace("_", " "), *metrics.values()] for name, metrics in result.overall.items()]
    table = tabulate(rows, ["", *result.overall["forecast"]], tablefmt="github", floatfmt=".4g")
    return (
        f"{table}\n\n{result.windows} windows, {result.step} steps apart, season of {result.season} steps: "
        f"{settings.output}, {settings.metrics_path}"
    )


def _as_frame(series: Series) -> tuple[pd.DataFrame, str | None]:
    """A series as a wide table, and its time column, which it has only where its steps lie on their grid."""
    frame = pd.DataFrame(series.values.numpy(), columns=list(series.columns))
    time = None
    if series.timestamps is not None and series.freq is not None and series.regularized:
        time = next(name for name in (series.timestamp_column, "time", "_time") if name not in series.columns)
        stamps = series.timestamps if series.clock is None else series.clock.write(series.timestamps)
        frame.insert(0, time, stamps)
    return frame, time


def _count(
    lengths: np.ndarray, processor: TimeDistillProcessor, num_windows: int | None, step: int, season: int
) -> np.ndarray:
    """How many windows groups of these lengths have; says how many have none."""
    context, horizon = processor.context_length, processor.prediction_length
    needed = context if num_windows is None or season >= context else max(1, min(season, context // 2))
    windows = np.maximum(0, (lengths - horizon - needed) // step + 1)
    if not windows.any():
        raise InputError(
            f"the longest series has {lengths.max()} steps, one window needs {needed + horizon} ({needed} of history, "
            f"{horizon} to forecast): give more rows"
        )
    if not windows.all():
        logger.warning(
            "backtest: %d of %d series have fewer than the %d steps of one window and are left out",
            (windows == 0).sum(), len(windows), needed + horizon,
        )  # fmt: skip
    return windows if num_windows is None else np.minimum(windows, num_windows)


def _time_column(panel: Panel) -> str:
    return "step" if panel.grid is None else panel.timestamp_column


def _check_columns(panel: Panel) -> None:
    taken = {panel.id_column or "id", _time_column(panel)} & {*_OWN_COLUMNS, "target", "model"}
    if taken:
        raise InputError(f"column {min(taken)!r} is named as one of the backtest's own: rename it")


def _forecasts(part: Part, rolling: Rolling) -> pd.DataFrame:
    panel, horizon = rolling.panel, part.truth.shape[1]
    group, cutoff = rolling.cutoffs(part)
    ahead = np.arange(1, horizon + 1)
    if panel.grid is None:
        cutoffs, times = pd.Series(cutoff.repeat(horizon)), pd.Series((cutoff[:, None] + ahead).ravel())
    else:
        cutoffs, times = (timestamps(panel, cutoff, group, steps) for steps in (np.zeros_like(ahead), ahead))
    return pd.DataFrame(
        {
            **identity(panel, part.series.repeat(horizon)),
            "cutoff": cutoffs,
            _time_column(panel): times,
            "y": part.truth.ravel(),
            "forecast": part.forecast.ravel(),
            "seasonal_naive": part.naive.ravel(),
        }
    )


def _metrics(panel: Panel, errors: dict[str, SeriesErrors], naive_errors: np.ndarray) -> pd.DataFrame:
    columns = identity(panel, np.arange(panel.num_series))
    parts = [
        pd.DataFrame(columns).assign(model=name).join(each.per_series(naive_errors)) for name, each in errors.items()
    ]
    metrics = pd.concat(parts).sort_index(kind="stable")
    return metrics[metrics["points"] > 0].reset_index(drop=True)


def _in_order(parts: list[tuple[np.ndarray, pd.DataFrame]]) -> pd.DataFrame:
    order = np.argsort(np.concatenate([series for series, _ in parts]), kind="stable")
    return pd.concat([frame for _, frame in parts], ignore_index=True).take(order).reset_index(drop=True)
