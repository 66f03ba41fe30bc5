"""Errors for people: one line that names the value, what was expected and the remedy."""

import difflib
import reprlib
import signal
from collections.abc import Iterable, Mapping


_MAX_LENGTH = 100  # characters of a name that is shown, or compared with others


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class InputError(ValueError):
    """A setting, file or model that cannot be used as given. Scripts print it on one line and end with exit code 2."""


class Terminated(SystemExit):
    """The process was asked to end, by Ctrl-C (code 130) or SIGTERM (143), after saving what can be resumed."""

    def __init__(self, message: str, number: int = signal.SIGTERM):
        super().__init__(128 + number)
        self.number = number
        self.message = f"stopped by {'Ctrl-C' if number == signal.SIGINT else 'SIGTERM'}; {message}"

    def __str__(self) -> str:
        return self.message


def did_you_mean(name: object, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a message about a name that is not known: `; did you mean 'etth1'?`, or `otherwise`."""
    names = [each for each in known if len(each) <= _MAX_LENGTH]  # a long pair takes minutes
    nearest = difflib.get_close_matches(str(name)[:_MAX_LENGTH], names, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else otherwise


def changes(before: Mapping, now: Mapping) -> str:
    """For a message, what differs: `alpha: 1.0 -> 3.0; dataset: 'a.csv' -> 'b.csv'`, fingerprints last."""
    before, now = _flat(before), _flat(now)
    names = [name for name in dict.fromkeys([*now, *before]) if before.get(name) != now.get(name)]
    names.sort(key=lambda name: "fingerprint" in name)
    return "; ".join(f"{name}: {_SHORT.repr(before.get(name))} -> {_SHORT.repr(now.get(name))}" for name in names)


def _flat(settings: Mapping) -> dict:
    """With the entries of mappings in it as entries of its own."""
    flat = {}
    for name, value in settings.items():
        within = _flat(value) if isinstance(value, Mapping) else None
        flat |= {f"{name}.{key}": each for key, each in within.items()} if within else {name: value}
    return flat


def listed(names: Iterable, most: int = 10) -> str:
    """Names for a message, as a list; of many only the first."""
    names = [str(name)[:_MAX_LENGTH] for name in names]
    return str(names) if len(names) <= most else f"{str(names[:most])[:-1]}, and {len(names) - most} more]"


def first_line(error: Exception, most: int = 300) -> str:
    """What a library's error says: its first line, or the second where the first only announces a check."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        lines = [lines[1].removeprefix("ValueError: ").removeprefix("TypeError: ")]
    line = lines[0] if lines else type(error).__name__
    line = line.encode("utf-8", "backslashreplace").decode()  # a name of half a surrogate pair can be printed nowhere
    return line if len(line) <= most else f"{line[:most]}..."
