"""What `--help` prints: a command's main flags on one screen; `--help-all` has every flag and its whole text."""

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from .flags import Flag


_MAX_WIDTH = 100
_NAME_WIDTH = 29


def short_help(program: str, about: str, groups: Mapping[str, Sequence[Flag]], main: Iterable[str] | None) -> str:
    """One line a flag.

    Args:
        program: what the user typed.
        about: what the command does.
        groups: all flags, by title.
        main: names of those that are shown; all where `None`.
    """
    width = min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 40)).columns)
    lines = [f"usage: {program} [--FLAG VALUE ...]", "", *about.splitlines()]
    for title, flags in groups.items():
        shown = [flag for flag in flags if main is None or flag.name in main]
        if shown:
            lines += ["", f"{title.rstrip('.')}:", *(_line(flag, width) for flag in shown)]
    lines += ["", "--help-all shows every flag and its whole text."]
    return "\n".join(lines)


def _line(flag: Flag, width: int) -> str:
    value = "" if flag.is_bool else " VALUE ..." if flag.takes_list else " VALUE"
    default = " ".join(flag.default) if isinstance(flag.default, list) else flag.default
    default = "" if default in (None, False, "", "False", "None") else f" [{default}]"
    name = f"  --{flag.name}{value}".ljust(_NAME_WIDTH)
    first = flag.help.partition(". ")[0].rstrip(".")
    room = width - max(len(name), _NAME_WIDTH) - len(default) - 1
    return f"{name} {textwrap.shorten(first, max(room, 20), placeholder=' ...')}{default}"
