"""Flags over a settings file over a recipe; errors on one line with exit code 2."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from types import FrameType

from transformers import HfArgumentParser

from ..errors import InputError, Terminated, did_you_mean


class _Parser(HfArgumentParser):
    """Says what is wrong with the flags on one line."""

    def error(self, message: str):
        self.exit(2, f"error: {message}; --help lists the flags\n")


def parse(
    types: Sequence[type],
    arguments: Sequence[str] | None = None,
    recipe: Callable[[dict], dict] | None = None,
    description: str | None = None,
    **defaults,
) -> tuple:
    """Instances of the settings dataclasses `types`.

    Args:
        arguments: the command line; `sys.argv` where `None`.
        recipe: from the settings known so far (file and flags) to the recipe's defaults for all others.
        description: what `--help` says above the flags.
        defaults: values that hold where neither recipe, file nor flags give one.

    Raises:
        InputError: the file cannot be read, or names a field that does not exist.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = _Parser(types, allow_abbrev=False, description=description)
    takes_list = {field.name: "list" in str(field.type) for kind in types for field in fields(kind) if field.init}
    known = sorted(takes_list)
    content = _read_file(_peek(arguments, "config"), known)
    from_file = {name: _as_text(value, takes_list[name]) for name, value in content.items() if value is not None}
    _check_choices(types, from_file)
    chosen = dict(defaults)
    if recipe is not None and not {"-h", "--help"} & set(arguments):
        peeked = {name: _peek(arguments, name, takes_list[name]) for name in known}
        so_far = from_file | {name: value for name, value in peeked.items() if value is not None}
        chosen |= recipe(so_far)
    chosen = {name: _as_text(value, takes_list[name]) for name, value in chosen.items() if name in known}
    parser.set_defaults(**(chosen | from_file))
    *parsed, unknown = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    if unknown:
        raise InputError(f"{unknown[0]!r} is no flag{_nearest(unknown[0].lstrip('-').split('=')[0], known)}")
    return tuple(parsed)


def run_script(main: Callable[[], None]) -> None:
    """Run a script's main; what the user can mend is said on one line, with exit code 2, and SIGTERM with 143."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except Terminated as stop:
        print(stop, file=sys.stderr)
        raise
    except (InputError, FloatingPointError) as error:
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2) from error


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated("stopped by SIGTERM; the same command goes on from what was saved")


def _peek(arguments: list[str], name: str, takes_list: bool = False) -> str | list[str] | None:
    peeker = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peeker.add_argument(f"--{name}", nargs="*" if takes_list else "?")
    return getattr(peeker.parse_known_args(arguments)[0], name)


def _read_file(path: str | None, known: list[str]) -> dict:
    if path is None:
        return {}
    file = Path(path)
    if not file.is_file():
        raise InputError(f"--config {path!r} is no file: give a YAML or JSON file of flags")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"--config {path!r} is no text in UTF-8: save it as UTF-8") from error
    content = _read_json(text, path) if file.suffix == ".json" else _read_yaml(text, path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"--config {path!r}: expected a mapping of flags to values, such as 'alpha: 2'")
    for name in content:
        if name not in known:
            raise InputError(f"--config {path!r} sets {name!r}, which is no flag{_nearest(name, known)}")
    if "config" in content:
        raise InputError(f"--config {path!r} sets 'config': only the one given as a flag is read, so merge the two")
    return content


def _read_json(text: str, path: str) -> object:
    def as_dict(pairs: list[tuple[str, object]]) -> dict:
        _check_once([name for name, _ in pairs], path)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=as_dict)
    except json.JSONDecodeError as error:
        raise InputError(f"--config {path!r} is no JSON: {error}") from error


def _read_yaml(text: str, path: str) -> object:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"--config {path!r} is no YAML: {error}") from error
    if isinstance(root, yaml.MappingNode):
        _check_once([name.value for name, _ in root.value], path)
    return content


def _check_once(names: list[str], path: str) -> None:
    """Raise where a file sets a field twice, of which a reader would silently take the last."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InputError(f"--config {path!r} sets {name!r} twice: keep one of them")


def _check_choices(types: Sequence[type], values: dict) -> None:
    """Raise where a file sets something else than a field's choices, which argparse checks in flags only."""
    for field in (field for kind in types for field in fields(kind)):
        choices = [str(choice) for choice in field.metadata.get("choices") or ()]
        if choices and field.name in values and values[field.name] not in choices:
            raise InputError(f"{field.name}={values[field.name]!r}: expected one of {', '.join(choices)}")


def _nearest(name: object, known: list[str]) -> str:
    return did_you_mean(name, known, otherwise="; --help lists the flags")


def _as_text(value: object, takes_list: bool) -> object:
    """As a flag would give it: argparse converts and checks text; lists are for flags that take several values."""
    if takes_list:
        return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value)
    return value if value is None or isinstance(value, bool) else str(value)
