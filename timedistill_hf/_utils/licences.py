"""Licences of models: what a card names, and what is asked for where none is known."""

import logging
import re
from pathlib import Path

from .errors import InputError


logger = logging.getLogger(__name__)

CARD = "README.md"
NOT_CHOSEN = "None is chosen yet; publishing asks for one, which the licences of teacher and data have to allow."
_NAMES = "a licence as the Hub names it, such as cc-by-4.0 (https://huggingface.co/docs/hub/repositories-licenses)"
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_MAX_CHARACTERS = 200


def check_licence(licence: str) -> str:
    """The licence as it is; an [`InputError`] where it is no name that the Hub could know."""
    if not isinstance(licence, str) or not _LICENCE.fullmatch(licence):
        raise InputError(f"license={licence!r}: expected {_NAMES}, or other")
    return licence


def licence_in(card: str | Path) -> dict[str, str]:
    """`license` and, where they are there, `license_name` and `license_link` of a card's metadata.

    Empty where it names none, or cannot be read: it may be anyone's.
    """
    from huggingface_hub import ModelCard

    try:
        text = card.read_text(encoding="utf-8") if isinstance(card, Path) else card
        metadata = ModelCard(text, ignore_metadata_errors=True).data.to_dict()
    except Exception:
        logger.debug("the card cannot be read", exc_info=True)
        return {}
    found = {name: metadata.get(name) for name in ("license", "license_name", "license_link")}
    found = {name: value for name, value in found.items() if isinstance(value, str) and len(value) < _MAX_CHARACTERS}
    return found if _LICENCE.fullmatch(found.get("license", "")) else {}


def licence_of(name_or_path: str, revision: str | None = None) -> dict[str, str]:
    """The licence that the card of a folder or Hub model names, as [`licence_in`] gives it."""
    from transformers.utils import cached_file

    options = {"revision": revision, "_raise_exceptions_for_missing_entries": False}
    try:
        path = cached_file(name_or_path, CARD, _raise_exceptions_for_connection_errors=False, **options)
    except Exception:
        logger.debug("no card of %r can be read", name_or_path, exc_info=True)
        return {}
    return licence_in(Path(path)) if path is not None else {}


def common_licence(licences: list[dict[str, str]]) -> dict[str, str]:
    """The one licence of several models; empty where one is not known, or they differ."""
    first = licences[0] if licences else {}
    return first if all(licence == first for licence in licences) else {}


def said(licence: dict[str, str]) -> str:
    """For a sentence: `cc-by-nc-4.0`, or `timesfm-research (https://...)` of one with a name of its own."""
    name = licence.get("license_name") or licence["license"]
    link = licence.get("license_link")
    return f"{name} ({link})" if link else name


def ask(what: str) -> InputError:
    """The error where nothing is known."""
    return InputError(
        f"{what}: no licence is known of it; give {_NAMES}, that its teacher and data allow: license= of publish, "
        "`license` of a publication, `hub_license` of a training"
    )
