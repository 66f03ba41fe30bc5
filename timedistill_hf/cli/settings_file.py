"""A YAML or JSON file of flags."""

import json
from collections import Counter
from pathlib import Path

from .._utils.errors import InputError, did_you_mean


def read_settings_file(path: str | None, known: list[str]) -> dict:
    """What `--config PATH` holds, by field of those that are `known`; nothing where there is no path."""
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
            nearest = did_you_mean(name, known, otherwise="; --help lists the flags")
            raise InputError(f"--config {path!r} sets {name!r}, which is no flag{nearest}")
    if "config" in content:
        raise InputError(f"--config {path!r} sets 'config': only the one given as a flag is read, so merge the two")
    return content


def _read_json(text: str, path: str) -> object:
    def as_dict(pairs: list[tuple[str, object]]) -> dict:
        _check_once([name for name, _ in pairs], path)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=as_dict)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # also of nesting, and of numbers of thousands of digits
        raise InputError(f"--config {path!r} is no JSON: {error}") from error


def _read_yaml(text: str, path: str) -> object:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except Exception as error:  # of a value that is not of its tag's type yaml raises whatever it meets
        raise InputError(f"--config {path!r} is no YAML: {error}") from error
    if isinstance(root, yaml.MappingNode):
        _check_once([name.value for name, _ in root.value], path)
    return content


def _check_once(names: list[str], path: str) -> None:
    """Raise where a file sets a field twice, of which a reader would silently take the last."""
    twice = [name for name, count in Counter(map(str, names)).items() if count > 1]
    if twice:
        raise InputError(f"--config {path!r} sets {twice[0]!r} twice: keep one of them")


def as_text(value: object, takes_list: bool) -> object:
    """As a flag would give it: argparse converts and checks text; lists are for flags that take several values."""
    if takes_list:
        return [_text(item) for item in (value if isinstance(value, (list, tuple)) else [value])]
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return value if value is None or isinstance(value, bool) else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the mapping {str(value)[:100]} cannot be written as JSON: {error}") from error
