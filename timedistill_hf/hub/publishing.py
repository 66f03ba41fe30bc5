"""Publishing a model that was saved with this package: one commit, or none."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi, ModelCard, ModelCardData, constants, get_token

from .._utils.errors import InputError, first_line
from .._utils.files import read_object, write_json
from .._utils.hub import hub_reason
from .._utils.licences import NOT_CHOSEN, ask, check_licence, common_licence, licence_in, said
from .._utils.pretrained import check_references
from .._utils.run_folder import PUBLISHED, RESULTS


if TYPE_CHECKING:
    from transformers import TrainingArguments

logger = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parents[1]
_CARD = "README.md"
_CONFIG = "config.json"
# what a card's snippets and commands load
_LOADS = r"""((?:\brepo = |from_pretrained\(|load_teacher\(|--model |--teacher )["']?)(?:{})(?=["'\s),]|$)"""
_PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.png", RESULTS, "preprocessor_config.json")


@dataclass(frozen=True)
class HubTarget:
    """Where on the Hub something goes.

    Args:
        repo_id: `user/name`; a bare name is one of the token's user.
        kind: `"model"` or `"dataset"`.
        private: whether a repository that is made is private; the namespace's default where `None`.
        token: to be used in place of the one that is set (`hf auth login`, `HF_TOKEN`).
        revision: a branch, made where there is none; `main` where `None`.
    """

    repo_id: str
    kind: str = "model"
    private: bool | None = None
    token: str | None = field(default=None, repr=False)
    revision: str | None = None

    @classmethod
    def of(cls, args: "TrainingArguments") -> "HubTarget":
        """What `hub_model_id`, `hub_private_repo`, `hub_token` and `hub_revision` say; the name is the folder's."""
        name = args.hub_model_id or Path(args.output_dir).absolute().name
        return cls(name, "model", args.hub_private_repo, args.hub_token, args.hub_revision)

    @property
    def api(self) -> HfApi:
        return HfApi(token=self.token)

    def prepare(self) -> str:
        """Make the repository where there is none, and see that it may be written to, before any long work.

        Returns:
            its full name, `user/name`.

        Raises:
            InputError: no token, one that is not valid or may not write there, no connection, or no valid name.
        """
        if constants.HF_HUB_OFFLINE:
            raise InputError(f"{self.repo_id!r} cannot be published: the Hub may not be asked; unset HF_HUB_OFFLINE")
        if not (self.token or get_token()):
            raise InputError(
                f"{self.repo_id!r} cannot be published: there is no token for the Hub; log in (hf auth login) or set "
                "HF_TOKEN"
            )
        with self.explained():
            created = self.api.create_repo(self.repo_id, repo_type=self.kind, private=self.private, exist_ok=True)
            self.api.auth_check(created.repo_id, repo_type=self.kind, write=True)
            if self.revision is not None:
                self.api.create_branch(created.repo_id, repo_type=self.kind, branch=self.revision, exist_ok=True)
        return created.repo_id

    @contextmanager
    def explained(self, remedy: str = "") -> Iterator[None]:
        """Say on one line what the Hub did not do, as an [`InputError`]."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            reason = hub_reason(error, self.repo_id, self.kind, self.revision, self.token)
            if reason is None and isinstance(error, ValueError):
                reason = f"the Hub does not take {self.repo_id!r}: {' '.join(str(error).split())}"
            if reason is None:
                raise
            raise InputError(f"{reason}{remedy}") from error


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    license: str | None = None,
) -> CommitInfo:
    """Publish a model that was saved with this package: a student or teacher, or the folder of a finished run.

    What goes is its configuration, weights, processor and card, plots and `results.json`, as far as they are there,
    and the code that `trust_remote_code=True` needs, from this package where it does not lie there: never a pickle, a
    checkpoint, or a folder below, so of a run the student only. All of it goes in one commit, or nothing does. What is
    there already is not sent again.

    In the card that is published the repository's name takes the folder's place.

    Args:
        folder: as `save_pretrained`, `Trainer.save_model`, `distill` or `train_teacher` write it.
        repo_id: `user/name`; a bare name is one of the token's user.
        private, token, revision: see [`HubTarget`].
        commit_message: of the commit.
        license: of the weights, as the Hub names it (`cc-by-4.0`, `other`); that of the card where `None`, which is
            the teacher's where that is known.

    Raises:
        InputError: the folder holds no finished model, there is no licence, or the Hub does not take it.
    """
    folder = Path(folder)
    paths = files_to_publish(folder)
    text = _card_text(folder)
    licence = _licence(folder, text, license)
    target = HubTarget(repo_id, "model", private, token, revision)
    name = target.prepare()
    card = _with_licence(_card(folder, text, name), licence)
    logger.info("%s is published under the licence %s", name, said(licence))
    operations = [CommitOperationAdd(path.name, str(path)) for path in paths]
    operations.append(CommitOperationAdd(_CARD, card.encode()))
    with target.explained(remedy="; nothing was published"):
        return target.api.create_commit(
            name, operations, commit_message=commit_message or f"Publish {folder.name}", revision=revision
        )


def prepare_run(args: "TrainingArguments", licences: Sequence[dict[str, str]] = ()) -> None:
    """Where `args.push_to_hub` asks for it, see that the run may be published; all processes raise, or none.

    Args:
        licences: of the run's teachers, where they are known: see [`licence_of`].

    Raises:
        InputError: as [`HubTarget.prepare`], or no licence is known.
    """
    if not args.push_to_hub:
        return
    from accelerate.utils import broadcast_object_list

    refusal = None
    if args.process_index == 0:
        try:
            if args.hub_license is None and not common_licence(licences):
                raise ask(str(args.output_dir))
            HubTarget.of(args).prepare()
        except InputError as error:
            refusal = str(error)
    (refusal,) = broadcast_object_list([refusal])
    if refusal is not None:
        raise InputError(refusal)


def publish_run(args: "TrainingArguments") -> None:
    """[`publish`] the finished run in `args.output_dir`, and write down where it went (`published.json`)."""
    target, folder = HubTarget.of(args), Path(args.output_dir)
    try:
        where = {"private": target.private, "token": target.token, "revision": target.revision}
        commit = publish(folder, target.repo_id, license=args.hub_license, **where)
    except InputError as error:
        raise InputError(
            f"{error}; the run in {str(folder)!r} is finished: the same command again only publishes it"
        ) from error
    repo_id = commit.repo_url.repo_id
    write_json(folder / PUBLISHED, {"repo_id": repo_id, "revision": target.revision or "main", "commit": commit.oid})
    logger.info("Published: %s", commit.repo_url)


def files_to_publish(folder: Path) -> list[Path]:
    """The files that make up the model of that folder, without its card.

    Raises:
        InputError: it holds no finished model.
    """
    if not (folder / _CONFIG).is_file() or not any(folder.glob("*.safetensors")):
        raise InputError(
            f"{str(folder)!r} holds no model to publish: expected config.json and *.safetensors, as save_pretrained "
            "or a finished run writes them"
        )
    matching = {path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()}
    paths = [folder / _CONFIG, *_code(folder), *sorted(matching)]
    for path in [*paths, folder / _CARD]:
        if path.parent == folder and not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{str(path)!r} is a link that leads out of the folder: nothing was published; put the file itself "
                "there, or remove the link"
            )
    return paths


def _code(folder: Path) -> list[Path]:
    """The modules that the configurations name as remote code, and those that these import from beside them.

    Where this package's own code does not lie in the folder, it is taken from the package.
    """
    from transformers.dynamic_module_utils import get_relative_import_files

    modules = set()
    for file in (_CONFIG, "preprocessor_config.json"):
        if (folder / file).is_file():
            try:
                content = read_object(folder / file)
                check_references(content)
            except ValueError as error:
                raise InputError(f"{str(folder)!r} holds no model to publish: {first_line(error)}") from error
            modules |= set(_references(content))
    found = set()
    for module in modules:
        name = f"{module}.py"
        places = [folder / name, *_PACKAGE.glob(f"student/{name}"), *_PACKAGE.glob(f"models/{name}")]
        path = next((path for path in places if path.is_file()), None)
        if path is not None:
            beside = {path, *map(Path, get_relative_import_files(path))}
            found |= {each for each in beside if each.parent == path.parent and each.is_file()}
    return sorted(found)


def _references(config: dict) -> Iterator[str]:
    """The modules of `auto_map` and `custom_pipelines` that lie beside the configuration."""
    named = list((config.get("auto_map") or {}).values())
    named += [pipeline["impl"] for pipeline in (config.get("custom_pipelines") or {}).values()]
    for names in named:
        for name in names if isinstance(names, (list, tuple)) else [names]:
            module = str(name).split(".")[0]
            if module.isidentifier():  # neither a path nor another repository's
                yield module


def _card_text(folder: Path) -> str | None:
    """The folder's card, `None` where there is none."""
    path = folder / _CARD
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is no text in UTF-8: save it as UTF-8") from error


def _licence(folder: Path, card: str | None, asked: str | None) -> dict[str, str]:
    """What is asked for, else what the card names; an [`InputError`] where it names none."""
    named = licence_in(card) if card is not None else {}
    if asked is None:
        if not named:
            raise ask(str(folder))
        return named
    if named and check_licence(asked) != named["license"]:
        logger.warning("%s: its card names the licence %s, it is published under %s", folder, said(named), asked)
    return named if named.get("license") == asked else {"license": check_licence(asked)}


def _with_licence(card: str, licence: dict[str, str]) -> str:
    """The card with that licence in its metadata, and where it said that none is chosen; else as it is."""
    if licence_in(card) == licence:
        return card
    changed = ModelCard(card)
    for name in ("license", "license_name", "license_link"):
        setattr(changed.data, name, licence.get(name))
    return str(changed).replace(NOT_CHOSEN, f"{said(licence)}.")


def _card(folder: Path, text: str | None, repo_id: str) -> str:
    """The folder's card with the repository's name in place of its own, or one that says the least."""
    if text is None:
        return _least_card(repo_id)
    folders = {folder, folder.absolute(), *_trained_in(folder)}
    names = {str(name) for name in folders} | {name.name for name in folders if name.name}
    loaded = _LOADS.format("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    return re.sub(loaded, lambda found: f"{found[1]}{repo_id}", text)


def _trained_in(folder: Path) -> Iterator[Path]:
    """What the run called its folder, which may have been moved since."""
    try:
        yield Path(json.loads((folder / RESULTS).read_text(encoding="utf-8"))["settings"]["output_dir"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return


def _least_card(repo_id: str) -> str:
    data = ModelCardData(
        library_name="timedistill_hf",
        pipeline_tag="time-series-forecasting",
        tags=["time-series", "forecasting"],
    )
    usage = f'from timedistill_hf import Forecaster\n\nforecaster = Forecaster.from_pretrained("{repo_id}")'
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n# {repo_id.split('/')[-1]}\n\n```python\n{usage}\n```\n"))
