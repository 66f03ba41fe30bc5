"""Settings dataclasses from values by name."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

from .._utils.errors import InputError, did_you_mean


Settings = TypeVar("Settings")


def names_of(*kinds: type) -> list[str]:
    """The fields that may be set, each once."""
    return list(dict.fromkeys(field.name for kind in kinds for field in fields(kind) if field.init))


def check_names(given: Mapping, *kinds: type) -> None:
    """Raise an [`InputError`] where a value is of none of these dataclasses."""
    known = names_of(*kinds)
    for name in given:
        if name not in known:
            raise InputError(f"{name}={given[name]!r} is no setting{did_you_mean(name, known)}")


def build(kind: type[Settings], given: Mapping) -> Settings:
    """The dataclass with what is given of its fields.

    Raises:
        InputError: a value is none of its field's choices.
    """
    values = {name: given[name] for name in names_of(kind) if name in given}
    for field in fields(kind):
        choices = field.metadata.get("choices")
        value = values.get(field.name)
        if choices and value is not None and value not in choices:
            nearest = did_you_mean(value, choices)
            raise InputError(f"{field.name}={value!r}: expected one of {', '.join(map(str, choices))}{nearest}")
    return kind(**values)
