"""Flags of settings dataclasses; of those whose module is heavy, read from its source."""

import argparse
import ast
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


_YES, _NO = ("yes", "true", "t", "y", "1"), ("no", "false", "f", "n", "0")


def _truth(text: str) -> bool:
    if text.lower() not in _YES + _NO:
        raise argparse.ArgumentTypeError(f"got {text}, expected yes/no, true/false, t/f, y/n or 1/0")
    return text.lower() in _YES


_TYPES = {"int": int, "float": float, "bool": _truth}


@dataclass(frozen=True)
class Flag:
    """One field of a settings dataclass, as the command line takes it.

    Args:
        annotation: its type, as it stands in the source: `int`, `list[str] | None`.
        default: for `--help`; the field's own default holds where the flag is not given.
    """

    name: str
    annotation: str
    default: object = None
    help: str = ""
    choices: tuple[str, ...] = ()

    @property
    def takes_list(self) -> bool:
        return "list[" in self.annotation

    @property
    def is_bool(self) -> bool:
        return self._type == "bool"

    @property
    def _type(self) -> str:
        (first, *others) = (part.strip() for part in self.annotation.removesuffix("| None").split("|"))
        return first.removeprefix("list[").removesuffix("]") if not others else "str"

    def add_to(self, group: argparse._ArgumentGroup) -> None:
        """Its argument; in the parsed namespace only where it was given, or set as a default."""
        spellings = dict.fromkeys((f"--{self.name}", f"--{self.name.replace('_', '-')}"))
        shown = str(self.default).replace("%", "%%")
        options = {"default": argparse.SUPPRESS, "help": f"{self.help} (default: {shown})"}
        if self.is_bool:
            group.add_argument(*spellings, type=_truth, nargs="?", const=True, **options)
            if self.default is True:
                opposite = (f"--no_{self.name}", f"--no-{self.name.replace('_', '-')}")
                group.add_argument(*opposite, dest=self.name, action="store_false", default=argparse.SUPPRESS)
            return
        nargs = "+" if self.takes_list else None
        group.add_argument(
            *spellings, type=_TYPES.get(self._type, str), nargs=nargs, choices=self.choices or None, **options
        )


@dataclass(frozen=True)
class Later:
    """A settings dataclass that is imported when its values are there, since its module imports torch.

    Args:
        module: where it is defined.
        base: the class that it extends, if that is one of these too.
    """

    module: str
    name: str
    base: "Later | None" = None

    def load(self) -> type:
        """The class itself."""
        from importlib import import_module

        return getattr(import_module(self.module), self.name)

    def flags(self) -> list[Flag]:
        """Of the base first; a field that is defined again stands where it first stood."""
        flags = {flag.name: flag for flag in self.base.flags()} if self.base is not None else {}
        return list((flags | {flag.name: flag for flag in self._own()}).values())

    def _own(self) -> Iterator[Flag]:
        package, *path = self.module.split(".")
        folder = find_spec(package).submodule_search_locations[0]  # of a package on its own: nothing is imported
        source = Path(folder, *path).with_suffix(".py").read_text(encoding="utf-8")
        classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
        found = next(node for node in classes if node.name == self.name)
        for node in found.body:
            if isinstance(node, ast.AnnAssign):
                options = {each.arg: each.value for each in getattr(node.value, "keywords", [])}
                if "init" not in options:
                    yield _from_source(node, options)


TRAINING = Later("transformers.training_args", "TrainingArguments")
FORECAST_TRAINING = Later("timedistill_hf.training.arguments", "ForecastTrainingArguments", TRAINING)
DISTILL_TRAINING = Later("timedistill_hf.training.arguments", "TimeDistillTrainingArguments", FORECAST_TRAINING)


def flags_of(kind: "type | Later") -> list[Flag]:
    """The flags of a settings dataclass."""
    return kind.flags() if isinstance(kind, Later) else [_from_field(field) for field in dataclasses.fields(kind)]


def title_of(kind: "type | Later") -> str:
    """What `--help` says above them."""
    return "training" if isinstance(kind, Later) else kind.__doc__.splitlines()[0]


def _from_field(field: dataclasses.Field) -> Flag:
    annotation = field.type.__name__ if type(field.type) is type else str(field.type)
    made = field.default_factory is not dataclasses.MISSING
    default = field.default_factory() if made else field.default
    return Flag(field.name, annotation, default, field.metadata.get("help", ""), _texts(field.metadata.get("choices")))


def _from_source(node: ast.AnnAssign, options: dict[str, Any]) -> Flag:
    default = options.get("default", options.get("default_factory"))
    default = default.body if isinstance(default, ast.Lambda) else default
    metadata = options.get("metadata")
    said = dict(zip((key.value for key in metadata.keys), metadata.values)) if metadata is not None else {}
    return Flag(
        node.target.id,
        ast.unparse(node.annotation),
        _value(default),
        _value(said["help"]) if "help" in said else "",
        _texts(_value(said.get("choices"))),
    )


def _value(node: ast.expr | None) -> object:
    """What a literal stands for; of anything else its text."""
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return ast.unparse(node)


def _texts(choices: "Sequence | str | None") -> tuple[str, ...]:
    return () if choices is None or isinstance(choices, str) else tuple(map(str, choices))
