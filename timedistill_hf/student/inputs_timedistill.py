"""What there is to forecast, as windows: arrays, tensors, lists, columns and data sets of any kind."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number

import numpy as np
import torch

from .serving_timedistill import means_missing, trained_scaler


NAN = float("nan")


@dataclass
class Answer:
    """One input's place among the windows: where it starts, its `[B, C]`, how many dimensions it has, and its id."""

    start: int
    batch: int
    channels: int
    ndim: int
    identifier: dict


@dataclass
class Windows:
    """The last steps of each input: `past` `[B, L, C]` in the data's units, NaN where missing, its scaler `[B, 1, C]`.

    `is_list` tells a list of inputs from a single one.
    """

    past: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    answers: list[Answer]
    is_list: bool

    def input_of(self, window: int) -> int:
        """The number of the input that a window is of."""
        return sum(answer.start <= window for answer in self.answers) - 1

    def split(self, forecast: torch.Tensor) -> Iterator[np.ndarray]:
        """The forecast of each input, `[S]`, `[S, C]` or `[B, S, C]` as its own form is."""
        for answer in self.answers:
            rows = answer.batch * answer.channels // forecast.shape[2]
            values = forecast[answer.start : answer.start + rows].numpy()
            if forecast.shape[2] == 1:  # each channel is a window of its own
                values = values.reshape(answer.batch, answer.channels, -1).transpose(0, 2, 1)
            yield values if answer.ndim == 3 else values[0] if answer.ndim == 2 else values[0, :, 0]


def read_windows(
    inputs, settings: dict, context_length: int, num_channels: int | None, scaling: str = "auto"
) -> Windows:
    """One series or a list of them; what a short one lacks in front is missing.

    Args:
        settings: those of the model's processor.
        num_channels: those that a window must have; `None` for a model that forecasts each channel by itself.
        scaling: `"auto"`, `"history"` or `"training"`, see the pipeline.

    Raises:
        ValueError: an input is none of these.
    """
    if scaling not in ("auto", "training", "history"):
        raise ValueError(f"scaling={scaling!r}: expected 'auto', 'training' or 'history'")
    several = as_list(inputs)
    past, positions, answers, start = [], [], [], 0
    for number, given in enumerate([inputs] if several is None else several):
        values, identifier = read_series(given, number, settings.get("missing_value"))
        batch = values[:, None] if values.ndim == 1 else values
        batch = batch if batch.ndim == 3 else batch[None]
        channels = batch.shape[2]
        window = batch.new_full((len(batch), context_length, channels), torch.nan)
        window[:, max(0, context_length - batch.shape[1]) :] = batch[:, -context_length:]
        known = _positions(settings, channels, identifier, scaling, number)
        if num_channels is None:
            window = window.transpose(1, 2).reshape(-1, context_length, 1)
            known = known.repeat(len(batch))[:, None]
        elif channels != num_channels:
            raise ValueError(
                f"input {number} has {channels} channels, the model is bound to the {num_channels} of its training: "
                "give all of them, in their order"
            )
        past.append(window)
        positions.append(known.expand(len(window), -1))
        answers.append(Answer(start, len(batch), channels, values.ndim, identifier))
        start += len(window)
    if not past:
        empty = torch.empty(0)
        return Windows(empty, empty, empty, [], True)
    mean, std = (value[torch.cat(positions)].unsqueeze(1) for value in trained_scaler(settings))
    return Windows(torch.cat(past), mean, std, answers, several is not None)


def _positions(settings: dict, channels: int, identifier: dict, scaling: str, number: int) -> torch.Tensor:
    """Which channel of training each of an input's channels is, -1 for its own scaler."""
    columns = settings.get("columns", [])
    names = columns if channels == len(columns) else [None] * channels
    if identifier:
        targets = settings.get("target_columns") or []
        many = channels == len(targets) > 1
        names = [f"{identifier['id']}/{target}" for target in targets] if many else [str(identifier["id"])]
        names = names if len(names) == channels else [None] * channels
    index = {name: position for position, name in enumerate(columns)}
    positions = torch.tensor([index.get(name, -1) for name in names])
    if scaling == "training" and (positions < 0).any():
        raise ValueError(
            f"scaling='training', and input {number} is no series of the model's training: take scaling='auto' or "
            "'history'"
        )
    return torch.full_like(positions, -1) if scaling == "history" else positions


def rows_of(inputs) -> Iterator | None:
    """The inputs of a generator or data set, one after the other; `None` of anything else."""
    if isinstance(inputs, Iterator):
        return inputs
    is_hub_dataset = _package(inputs) == "datasets" and not isinstance(inputs, (Mapping, Sequence))
    if is_hub_dataset or isinstance(inputs, torch.utils.data.IterableDataset):
        return iter(inputs)
    if isinstance(inputs, torch.utils.data.Dataset):
        return map(inputs.__getitem__, range(len(inputs)))
    return None


def as_list(inputs) -> list | None:
    """The inputs of a list, tuple or other sequence of them; `None` of a single one, such as a list of numbers."""
    if not _is_sequence(inputs) or (len(inputs) > 0 and all(map(_is_scalar, inputs))):
        return None
    return list(inputs)


def is_table(given) -> bool:
    """Whether it is a table of pandas, polars or pyarrow."""
    names = {kind.__name__ for kind in type(given).__mro__}
    return bool(names & {"DataFrame", "Table", "RecordBatch"}) and _package(given) in ("pandas", "polars", "pyarrow")


def read_series(given, number: int, missing_value: float | list[float] | None) -> tuple[torch.Tensor, dict]:
    """One input's values, float64 `[T]`, `[T, C]` or `[B, T, C]`, NaN where missing, and its `{"id": ...}`, if any.

    Args:
        number: its place among the inputs, for messages.
        missing_value: what else means missing.

    Raises:
        ValueError: it is none of these.
    """
    identifier, mask = {}, None
    if isinstance(given, Mapping):
        unknown = given.keys() - {"past_values", "past_observed_mask", "id"}
        if unknown or "past_values" not in given:
            raise ValueError(
                f"input {number} has the keys {sorted(map(str, given))}: expected past_values and, if wanted, "
                "past_observed_mask and id"
            )
        identifier = {"id": given["id"]} if given.get("id") is not None else {}
        given, mask = given["past_values"], given.get("past_observed_mask")
    if is_table(given):
        raise ValueError(f"input {number} is a table: give it by itself, or all series in one table with an id column")
    values = _read_numbers(given, f"input {number}")
    if values.ndim not in (1, 2, 3) or values.numel() == 0:
        raise ValueError(f"input {number} has the shape {tuple(values.shape)}: expected [T], [T, C] or [B, T, C]")
    if torch.isinf(values).any():
        raise ValueError(f"input {number} holds an infinite value: replace it, or give NaN where it is missing")
    if mask is not None:
        mask = _read_numbers(mask, f"the mask of input {number}")
        if mask.shape != values.shape:
            raise ValueError(
                f"input {number} has the shape {tuple(values.shape)}, its mask {tuple(mask.shape)}: expected the same"
            )
        values = torch.where(mask > 0, values, torch.nan)
    for sentinel in missing_value if isinstance(missing_value, list) else [missing_value]:
        if sentinel is not None:
            values = torch.where(means_missing(values, sentinel), torch.nan, values)
    return values, identifier


def _read_numbers(given, name: str) -> torch.Tensor:
    try:
        return torch.from_numpy(np.asarray(_numbers(given), dtype=np.float64))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} holds no numbers ({error}): give NaN where one is missing") from error


def _numbers(given) -> np.ndarray | list | float:
    """Floats, nested as given; NaN where missing or masked."""
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu()
        given = (given if given.is_complex() else given.double()).numpy()
    if hasattr(given, "__array__"):
        values = given if isinstance(given, np.ma.MaskedArray) else np.asarray(given)
        if values.dtype.kind in "biuf":
            return np.ma.filled(values.astype(np.float64), NAN)
        if values.dtype.kind != "O":
            raise TypeError(f"values of the type {values.dtype}")
        given = values.tolist()
    if _is_sequence(given):
        return [_numbers(value) for value in given]
    if isinstance(given, (str, bytes)):
        raise TypeError("text")
    return NAN if _is_missing(given) else float(given)


def _is_sequence(given) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, (str, bytes))


def _is_scalar(value) -> bool:
    """A number, or one that is missing."""
    return _is_missing(value) or isinstance(value, Number) or getattr(value, "ndim", None) == 0


def _is_missing(value) -> bool:
    return value is None or type(value).__name__ == "NAType"  # pandas', without importing it


def _package(given) -> str:
    return type(given).__module__.split(".")[0]
