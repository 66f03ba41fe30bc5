"""What a processor's fields may be: it is read from a file that may be anyone's."""

from numbers import Integral, Real

from .._utils.errors import InputError


MAX_STEPS = 100_000
LARGEST, SMALLEST = 1e100, 1e-100  # of a scaler: beyond, products are no numbers any more
_SHOWN, _LONGEST_NAME = 80, 1000  # characters
_NAME, _TEXT, _NUMBER, _STEPS, _FLAG = "a name", "a text", "a number", "a positive number of steps", "true or false"
_KINDS = {
    "columns": [_NAME],
    "mean": [_NUMBER],
    "std": [_NUMBER],
    "context_length": _STEPS,
    "prediction_length": _STEPS,
    "season": _STEPS,
    "timestamp_column": (_NAME, None),
    "freq": (_TEXT, None),
    "id_column": (_NAME, None),
    "target_columns": ([_NAME], None),
    "regularized": _FLAG,
    "missing_value": (_NUMBER, [_NUMBER], None),
    "time_features": _FLAG,
    "dataset": (_TEXT, None),
    "fingerprint": (_TEXT, None),
    "time_zone": (_TEXT, None),
    "constant_columns": ([_NAME], None),
}


def check_fields(fields: dict) -> None:
    """Raise an [`InputError`] where one is of another kind, or beyond what can be computed with."""
    for name, kinds in _KINDS.items():
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if not any(_is(fields[name], kind) for kind in kinds):
            expected = " or ".join(map(_said, kinds))
            raise InputError(f"{name}={_shown(fields[name])}: expected {expected}")
    columns, mean, std = fields["columns"], fields["mean"], fields["std"]
    if not (columns and len(columns) == len(mean) == len(std)):
        raise InputError(f"{len(columns)} columns, {len(mean)} means and {len(std)} deviations: expected the same")
    for column, *scaler in zip(columns, mean, std, strict=True):
        if not (abs(scaler[0]) <= LARGEST and SMALLEST <= scaler[1] <= LARGEST):
            raise InputError(
                f"column {_shown(column)} has the mean {scaler[0]} and the deviation {scaler[1]}: expected finite "
                f"numbers up to {LARGEST:g}, the deviation above 0"
            )
    for name in ("context_length", "prediction_length"):
        if fields[name] > MAX_STEPS:
            raise InputError(f"{name}={_shown(fields[name])}: expected at most {MAX_STEPS:,} steps")


def _is(value: object, kind: str | list | None) -> bool:
    if kind is None or kind == _FLAG:
        return value is None if kind is None else isinstance(value, bool)
    if isinstance(kind, list):
        return isinstance(value, (list, tuple)) and all(_is(item, kind[0]) for item in value)
    if isinstance(value, bool):
        return False
    if kind == _STEPS:
        return isinstance(value, Integral) and 1 <= value < 2**31
    if kind == _NUMBER:
        return isinstance(value, Real)
    return isinstance(value, (str, Integral) if kind == _NAME else str) and len(str(value)) <= _LONGEST_NAME


def _said(kind: str | list | None) -> str:
    if kind is None:
        return "nothing"
    return f"a list, each {kind[0]}" if isinstance(kind, list) else kind


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
