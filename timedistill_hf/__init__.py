"""Distil heavy forecasters into small ones, the Hugging Face way (TimeDistill, arXiv 2502.15016).

Importing the package registers its models with transformers' Auto classes and its pipeline; everything heavier
(Trainer, datasets, pandas, matplotlib) is imported where it is first used. The scripts, which import
`timedistill_start` before it, have their flags read first and the models registered then.
"""

import re
import sys
from importlib import import_module
from pathlib import Path


__version__ = "0.2.0"

_STUB = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
_LAZY = {name: module for module, name in re.findall(r"^from (\S+) import \w+ as (\w+)$", _STUB, re.MULTILINE)}

__all__ = list(_LAZY)


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


if "timedistill_start" not in sys.modules:
    import_module(".registration", __name__)
