"""Names of the Hub, and why it did not do as asked, in one line that names the repository and the remedy."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from .errors import first_line


if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_LOG_IN = "log in (hf auth login) or set HF_TOKEN"
_KINDS = {"model": "model", "dataset": "data set"}


def is_hub_id(name: str) -> bool:
    """Whether it has the form `user/name` that the Hub accepts."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1


def hub_origin(config: "PreTrainedConfig") -> str | None:
    """The Hub id that a model was loaded from; `None` for one from a folder, or a new one."""
    name = config.name_or_path
    return name if name and is_hub_id(name) and not Path(name).exists() else None


def hub_reason(
    error: BaseException, repo_id: str, kind: str = "model", revision: str | None = None, token: str | None = None
) -> str | None:
    """What a failed request to the Hub means; `None` where no request failed, or a file is simply not there.

    transformers and datasets wrap the client's errors in their own: what led to `error` is looked through.

    Args:
        kind: `"model"` or `"dataset"`.
        token: the one that was used, where it was not the one that is set.
    """
    causes = list(_chain(error))
    name = f"the {_KINDS[kind]} {str(repo_id)!r}"
    has_token = bool(token or get_token())

    def of(*types: type) -> BaseException | None:
        return next((cause for cause in causes if isinstance(cause, types)), None)

    answer: Any = of(HfHubHTTPError)
    status = answer.response.status_code if answer is not None and answer.response is not None else None
    if of(HFValidationError):
        return f"{str(repo_id)!r} is no name of a repository: expected user/name"
    if of(OfflineModeIsEnabled) or (constants.HF_HUB_OFFLINE and of(LocalEntryNotFoundError, ConnectionError)):
        return f"{name} is not in the cache and the Hub may not be asked: unset HF_HUB_OFFLINE"
    if of(LocalTokenNotFoundError):
        return f"there is no token for the Hub: {_LOG_IN}"
    if of(GatedRepoError):
        return f"{name} is given on request only: ask for it on its page, then {_LOG_IN}"
    if status == 401 and has_token and not of(RepositoryNotFoundError):
        return "the Hub does not know the token that is set: log in anew (hf auth login), or correct HF_TOKEN"
    if of(RepositoryNotFoundError):
        whom = "with this token" if has_token else "without a token"
        remedy = "use one that may read it" if has_token else _LOG_IN
        return (
            f"the Hub has no {_KINDS[kind]} {str(repo_id)!r} to be read {whom}: check the name; if private, {remedy}"
        )
    if of(RevisionNotFoundError):
        return f"{name} has no revision {revision!r}: name a branch, a tag or a commit of it"
    if status == 403:
        return (
            f"the token that is set may not change {name}: use one with the permission to write there "
            "(https://huggingface.co/settings/tokens)"
        )
    if status == 401:
        return f"{name} needs a token: {_LOG_IN}"
    if status == 412:
        return f"{name} was changed by someone else meanwhile: try again"
    if status is not None and not of(EntryNotFoundError):
        return f"the Hub answered {status} for {name} ({first_line(answer)}): try again later"
    broken = of(HTTPError, ConnectionError, TimeoutError)
    if (broken is not None and status is None) or of(LocalEntryNotFoundError):
        kind_of_break = f" ({type(broken).__name__})" if broken is not None else ""
        return f"the connection to the Hub failed for {name}{kind_of_break}: check it, then try again"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that led to it."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
