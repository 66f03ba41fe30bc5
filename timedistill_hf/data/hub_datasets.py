"""A table of a Hub data set: one configuration, one split, found where its name is only nearly right."""

import logging
import re
from typing import TYPE_CHECKING

from huggingface_hub import HfApi

from .._utils.errors import InputError, did_you_mean, listed
from .._utils.hub import hub_reason


if TYPE_CHECKING:
    import datasets
    import pandas as pd

logger = logging.getLogger(__name__)

_SPLIT = "train"


def read_hub(
    name: str, configs: tuple[str, ...] = (), revision: str | None = None, looked_in: str = ""
) -> "pd.DataFrame":
    """All rows of a configuration of a Hub data set.

    Args:
        name: `user/name`.
        configs: what the configuration may be called, the likeliest first; none where there is only one. Case, and
            what is neither letter nor digit, do not count.
        revision: branch, tag or commit.
        looked_in: what an error begins with.

    Returns:
        its split `train`, or the only one that it has.

    Raises:
        InputError: there is no such data set or configuration, it cannot be reached, or has no split `train`.
    """
    try:
        return _load(name, configs[0] if configs else None, revision)
    except InputError:
        raise
    except Exception as error:
        reason = hub_reason(error, name, "dataset", revision) or _refused(name, revision)
        if reason is not None:
            raise InputError(f"{looked_in}{reason} (or give local files)") from error
        offered = _offered(name, revision)
        found = [each for wanted in configs for each in offered if _plain(each) == _plain(wanted)]
        if found and found[0] != configs[0]:
            logger.info("%s: configuration %r is taken for %r", name, found[0], configs[0])
            return read_hub(name, tuple(found[:1]), revision, looked_in)
        raise InputError(f"{looked_in}{_refusal(name, configs, offered, error)}") from error


def _load(name: str, config: str | None, revision: str | None) -> "pd.DataFrame":
    import datasets

    splits = datasets.load_dataset(name, name=config, revision=revision)
    return _one_split(name, splits).to_pandas()


def _one_split(name: str, splits: "datasets.DatasetDict") -> "datasets.Dataset":
    chosen = _SPLIT if _SPLIT in splits else next(iter(splits))
    if len(splits) > 1 and chosen != _SPLIT:
        raise InputError(f"the Hub data set {name!r} has the splits {listed(splits)}: expected one called {_SPLIT!r}")
    others = [split for split in splits if split != chosen]
    if others:
        logger.warning("%s: only the split %r is read, not %s", name, chosen, listed(others))
    return splits[chosen]


def _refused(name: str, revision: str | None) -> str | None:
    """Why the Hub does not give the data set, which the error of `datasets` does not tell; `None` where it does."""
    try:
        HfApi().repo_info(name, repo_type="dataset", revision=revision)
    except Exception as error:
        return hub_reason(error, name, "dataset", revision)
    return None


def _offered(name: str, revision: str | None) -> list[str]:
    """The configurations that the data set has; none where that cannot be told."""
    import datasets

    try:
        return datasets.get_dataset_config_names(name, revision=revision)
    except Exception:  # the error that led here is the one to tell
        return []


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _refusal(name: str, configs: tuple[str, ...], offered: list[str], error: Exception) -> str:
    has = f"it has {listed(offered, most=30)}"
    if not configs and len(offered) > 1:
        return f"the Hub data set {name!r} has several configurations: name one with `hub_config`; {has}"
    if configs and offered and configs[0] not in offered:
        nearest = did_you_mean(configs[0], offered)
        return f"the Hub data set {name!r} has no configuration {configs[0]!r}{nearest}: {has}; or give local files"
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    asked = f" ({configs[0]})" if configs else ""
    return f"the Hub data set {name!r}{asked} cannot be read: {said}; give local files"
