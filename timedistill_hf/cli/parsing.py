"""Flags over a settings file over a recipe, read before torch is imported; errors on one line with exit code 2."""

import argparse
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from types import FrameType

from .._utils.errors import InputError, Terminated, did_you_mean, first_line
from .._utils.files import why_unwritable
from ..settings.building import build
from .flags import Flag, Later, flags_of, title_of
from .help import short_help
from .settings_file import as_text, read_settings_file


_flags_in_use: dict[str, Flag] = {}


class _OneLine:
    """Of a parser: says what is wrong with the flags on one line."""

    def error(self, message: str):
        self.exit(2, f"error: {message}; --help lists the flags\n")  # type: ignore[attr-defined]


class _Parser(_OneLine, argparse.ArgumentParser):
    pass


def parse(
    types: Sequence[type | Later],
    arguments: Sequence[str] | None = None,
    description: str = "",
    main_flags: Iterable[str] | None = None,
    **defaults: object,
) -> tuple:
    """Instances of the settings dataclasses `types`; `defaults` hold where neither file nor flags give a value.

    Raises:
        InputError: as of [`parse_given`], or a dataclass refuses a value.
    """
    given = defaults | parse_given(types, arguments, description, main_flags)
    return tuple(build(kind.load() if isinstance(kind, Later) else kind, given) for kind in types)


def parse_given(
    types: Sequence[type | Later],
    arguments: Sequence[str] | None = None,
    description: str = "",
    main_flags: Iterable[str] | None = None,
) -> dict:
    """What the command line, and the file that its `--config` names, set: values of the fields' types, by name.

    The names, types and choices of all flags and of the settings file are checked, and `--help` is answered, without
    torch and transformers; then the package is made ready for work.

    Args:
        types: dataclasses of light modules, and [`Later`] for those whose module is heavy.
        arguments: the command line; `sys.argv` where `None`.
        description: what `--help` says above the flags.
        main_flags: those that `--help` shows; all where `None`.

    Raises:
        InputError: the file cannot be read, or names a field that does not exist.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    flags = {kind: flags_of(kind) for kind in types}
    by_name = {flag.name: flag for own in flags.values() for flag in own}
    _flags_in_use.update(by_name)
    parser = _parser(flags, description)
    if {"-h", "--help"} & set(arguments):
        print(short_help(parser.prog, description, {title_of(kind): own for kind, own in flags.items()}, main_flags))
        raise SystemExit(0)
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        nearest = did_you_mean(unknown[0].lstrip("-").split("=")[0], by_name, otherwise="; --help lists the flags")
        raise InputError(f"{unknown[0]!r} is no flag{nearest}")
    content = read_settings_file(getattr(given, "config", None), sorted(by_name))
    from_file = _texts({name: value for name, value in content.items() if value is not None}, by_name)
    _check_choices(by_name, from_file)
    parser.set_defaults(**from_file)
    known = vars(parser.parse_args(arguments))
    import_module("timedistill_hf.registration")  # what is asked for can be read: now what takes seconds
    for kind in types:
        if isinstance(kind, Later):
            known |= _as_transformers_reads(kind, {name: known[name] for name in known if name in _names(flags[kind])})
    return known


def _parser(flags: dict[type | Later, list[Flag]], description: str) -> _Parser:
    parser = _Parser(
        usage="%(prog)s [--FLAG VALUE ...]",
        allow_abbrev=False,
        add_help=False,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--help-all", "--help_all", action="help", help="Every flag and its whole text.")
    for kind, own in flags.items():
        group = parser.add_argument_group(title_of(kind))
        for flag in own:
            flag.add_to(group)
    return parser


def _names(flags: list[Flag]) -> set[str]:
    return {flag.name for flag in flags}


def _as_transformers_reads(kind: Later, values: dict) -> dict:
    """The values as transformers reads them from a command line."""
    from transformers import HfArgumentParser

    parser = type("Parser", (_OneLine, HfArgumentParser), {})((kind.load(),), allow_abbrev=False)
    arguments, as_they_are = [], {}
    for name, value in values.items():
        if value is None or value == []:
            as_they_are[name] = value
        elif isinstance(value, list):
            arguments += [f"--{name}", *map(str, value)]
        else:
            arguments.append(f"--{name}={value}")
    read = vars(parser.parse_args(arguments))
    return {name: read[name] for name in values} | as_they_are


def as_flags(message: str) -> str:
    """A message of the library with flags in the place of arguments.

    An argument is in backticks, `name` or `name=value`, or stands with its value at the message's beginning.
    """

    def flag(found: re.Match) -> str:
        name, value = found[1], found[2]
        if name not in _flags_in_use:
            return found[0]
        return f"--{name}" if value in (None, "True") else f"--{name} {value}"

    message = re.sub(r"`(\w+)(?:=([^`]*))?`", flag, message)
    first = re.match(r"(\w+)=(?=\S)", message)
    return f"--{first[1]} {message[first.end() :]}" if first and first[1] in _flags_in_use else message


def run_script(main: Callable[[], None]) -> None:
    """Run a script's main. What the user can mend is said on one line, with exit code 2; Ctrl-C and SIGTERM too, with
    130 and 143."""
    before = {number: signal.signal(number, _terminate) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_left():
            raise
        raise SystemExit(141) from None
    except Terminated as stop:
        print(stop, file=sys.stderr)
        raise
    except (InputError, FloatingPointError) as error:
        message = as_flags(" ".join(str(error).split()))
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2) from error
    except Exception as error:
        reason = why_unwritable(error)
        if reason is None:
            raise
        print(f"error: a file cannot be written ({first_line(error)}): {reason}", file=sys.stderr)
        raise SystemExit(2) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reader_left() -> bool:
    """Whether whoever read the output has enough, as of `timedistill --help | head`; what is left is not written."""
    try:
        output = sys.stdout.fileno()
        poll = select.poll()
        poll.register(output, 0)
    except (AttributeError, OSError, ValueError):  # no file, or a system without poll
        return False
    has_left = any(event & select.POLLERR for _, event in poll.poll(0))
    if has_left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return has_left


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated("the same command goes on from what was saved", number)


def _check_choices(flags: dict[str, Flag], values: dict) -> None:
    """Raise where a file sets something else than a field's choices, which argparse checks in flags only."""
    for name, value in values.items():
        choices = flags[name].choices
        if choices and value not in choices:
            raise InputError(f"{name}={value!r}: expected one of {', '.join(choices)}")


def _texts(values: dict, flags: dict[str, Flag]) -> dict:
    """As flags would give them, of those that are flags of this script."""
    return {name: as_text(value, flags[name].takes_list) for name, value in values.items() if name in flags}
