"""What a pipeline is given, as numbers: arrays, lists, columns and data sets of any kind."""

from collections.abc import Iterator, Mapping, Sequence
from numbers import Number

import numpy as np
import torch

from .serving_timedistill import means_missing


NAN = float("nan")


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


def as_frame(given):
    """A DataFrame, or the one that a table of polars or pyarrow becomes; `None` of anything else."""
    is_table = any(kind.__name__ in ("DataFrame", "Table", "RecordBatch") for kind in type(given).__mro__)
    if not is_table or _package(given) not in ("pandas", "polars", "pyarrow"):
        return None
    return given if _package(given) == "pandas" else given.to_pandas()


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
    if as_frame(given) is not None:
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
