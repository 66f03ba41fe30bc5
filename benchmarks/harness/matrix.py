"""The matrix file: which cells there are, and in which order they are worth running.

    signal_limit_gb: 8                  # optional, for all cells
    blocks:
      main:                             # what is worth most comes first
        dataset: [etth1, weather]
        prediction_length: [96, 192]
        seed: [1, 2, 3]
        teachers: [[patchtst], [patchtst, itransformer]]
        flags: {recipe: best, context_length: 720}
        variants:                       # optional: each is run beside the block's base, with these flags more
          no_feature: {beta: 0}
        teacher_prediction_length: 720  # optional: one teacher for all horizons up to this
        teacher_seed: 1                 # optional: one teacher for all seeds
        teacher_flags:                  # optional: flags of train_teacher.py by family
          patchtst: {num_train_epochs: 6}

Within a block the seeds are the outermost loop, then the horizons, the data sets, the sets of teachers and the
variants, each as listed, the base first. A cell that two blocks have in common is one cell, at its first place.
"""

import re
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from timedistill_hf._utils.errors import InputError, did_you_mean, listed
from timedistill_hf.settings.run import DataSettings, DistillSettings, StudentSettings, TeacherSettings
from timedistill_hf.teachers import FAMILIES
from timedistill_hf.training.arguments import ForecastTrainingArguments, TimeDistillTrainingArguments

from .cells import Cell, TeacherCell, cell_name


_REQUIRED = {"dataset": str, "prediction_length": int, "seed": int, "teachers": list}
_OPTIONAL = ("flags", "variants", "teacher_prediction_length", "teacher_seed", "teacher_flags")
_SET_HERE = (
    "dataset", "data_dir", "prediction_length", "seed", "teacher", "output_dir", "signal_dir", "signal_limit_gb",
    "disable_tqdm", "overwrite", "config",
)  # fmt: skip


@dataclass(frozen=True)
class Matrix:
    """The cells of a matrix file, the first ones worth most.

    Args:
        name: the file's name without its ending.
    """

    name: str
    cells: tuple[Cell, ...]


def load_matrix(path: str | Path) -> Matrix:
    """Read and check a matrix file.

    Raises:
        InputError: it cannot be read, something lacks, is of the wrong kind or not known, or two different cells or
            teachers would have the same name.
    """
    path = Path(path)
    where = f"matrix {str(path)!r}"
    _check_name(path.stem, where)
    content = _read(path, where)
    _check_keys(content, ("signal_limit_gb", "blocks"), where)
    limit = content.get("signal_limit_gb")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit >= 0):
        raise InputError(f"{where}: signal_limit_gb={limit!r}, expected 0 or more gigabytes")
    blocks = content.get("blocks")
    if not isinstance(blocks, dict) or not blocks:
        raise InputError(f"{where}: blocks={blocks!r}, expected a mapping of a name to each block")
    cells: dict[str, Cell] = {}
    teachers: dict[str, TeacherCell] = {}
    variants: dict[str, dict] = {}
    for name, block in blocks.items():
        for variant, flags in (_checked_block(block, f"{where}, block {name!r}").get("variants") or {}).items():
            if variants.setdefault(variant, flags) != flags:
                raise InputError(
                    f"{where}: variant {variant!r} is {variants[variant]} in one block and {flags} in another: give "
                    "one of them another name"
                )
        for cell in _cells(name, block, limit):
            for teacher in cell.teachers:
                _check_same(teachers.setdefault(teacher.name, teacher), teacher, where)
            _check_same(cells.setdefault(cell.name, cell), cell, where)
    return Matrix(path.stem, tuple(cells.values()))


def _cells(name: str, block: dict, limit: float | None) -> list[Cell]:
    flags = block.get("flags") or {}
    recipe = flags.get("recipe", DistillSettings.recipe)
    variants = {recipe: {}} | (block.get("variants") or {})
    return [
        Cell(
            block=name,
            dataset=dataset,
            prediction_length=length,
            variant=variant,
            base=None if variant == recipe else cell_name(dataset, length, recipe, "+".join(families), seed),
            teachers=tuple(_teacher(block, dataset, length, family, seed) for family in families),
            seed=seed,
            flags=flags | extra,
            signal_limit_gb=limit,
        )
        for seed in block["seed"]
        for length in block["prediction_length"]
        for dataset in block["dataset"]
        for families in block["teachers"]
        for variant, extra in variants.items()
    ]


def _teacher(block: dict, dataset: str, length: int, family: str, seed: int) -> TeacherCell:
    of_data = {name: value for name, value in (block.get("flags") or {}).items() if name in _names(DataSettings)}
    return TeacherCell(
        dataset=dataset,
        prediction_length=block.get("teacher_prediction_length", length),
        family=family,
        seed=block.get("teacher_seed", seed),
        flags=of_data | ((block.get("teacher_flags") or {}).get(family) or {}),
    )


def _checked_block(block: object, where: str) -> dict:
    if not isinstance(block, dict):
        raise InputError(f"{where}: {block!r}, expected a mapping with {', '.join(_REQUIRED)}")
    _check_keys(block, (*_REQUIRED, *_OPTIONAL), where)
    for name, kind in _REQUIRED.items():
        _check_list(name, block.get(name), kind, where)
    for length in block["prediction_length"]:
        if length < 1:
            raise InputError(f"{where}: prediction_length={length}, expected 1 or more")
    for families in block["teachers"]:
        _check_list("teachers", families, str, where)
        for family in families:
            if family not in FAMILIES:
                raise InputError(
                    f"{where}: teacher {family!r} is none of {', '.join(FAMILIES)}{did_you_mean(family, FAMILIES)}"
                )
    longest = max(block["prediction_length"])
    own = block.get("teacher_prediction_length", longest)
    if not _is_a(own, int) or own < longest:
        raise InputError(
            f"{where}: teacher_prediction_length={own!r}, expected a whole number, at least the longest horizon "
            f"{longest}"
        )
    if not _is_a(block.get("teacher_seed", 0), int):
        raise InputError(f"{where}: teacher_seed={block['teacher_seed']!r}, expected a whole number")
    _check_flags(block, where)
    return block


def _check_flags(block: dict, where: str) -> None:
    known = _names(DataSettings, StudentSettings, DistillSettings, TimeDistillTrainingArguments)
    flags = block.get("flags") or {}
    _check_settings(flags, known, f"{where}, flags")
    recipe = flags.get("recipe", DistillSettings.recipe)
    _check_name(recipe, f"{where}, flags")
    for name, extra in _mapping(block.get("variants"), f"{where}, variants").items():
        inside = f"{where}, variant {name!r}"
        _check_name(name, inside)
        if name == recipe:
            raise InputError(f"{inside} has the name of the recipe, which names the base: give it another")
        _check_settings(extra, known, inside)
        for flag in _mapping(extra, inside):
            if flag in (*_names(DataSettings), "recipe"):
                raise InputError(f"{inside} sets {flag!r}, which makes it no variant of this base: make it a matrix")
    families = sorted({family for teachers in block["teachers"] for family in teachers})
    known = _names(DataSettings, TeacherSettings, ForecastTrainingArguments)
    of_teachers = _mapping(block.get("teacher_flags"), f"{where}, teacher_flags")
    _check_keys(of_teachers, families, f"{where}, teacher_flags")
    for family, own in of_teachers.items():
        inside = f"{where}, teacher_flags of {family!r}"
        _check_settings(own, known, inside)
        for flag in set(_mapping(own, inside)) & set(_names(DataSettings)):
            raise InputError(f"{inside} sets {flag!r}, which says which data: set it in the block's flags")


def _check_settings(flags: object, known: list[str], where: str) -> None:
    """Raise where these are no flags with values that a command line can carry."""
    for name, value in _mapping(flags, where).items():
        if name in _SET_HERE:
            raise InputError(f"{where} sets {name!r}, which the harness sets itself: leave it out")
        if name not in known:
            raise InputError(f"{where} sets {name!r}, which is no flag{did_you_mean(name, known)}")
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, (str, bool, int, float, dict, type(None))) for item in items):
            raise InputError(
                f"{where} sets {name}={value!r}: expected a number, a text, true, false or a list of them"
            )


def _check_same(first: Cell | TeacherCell, second: Cell | TeacherCell, where: str) -> None:
    before, now = first.identity(), second.identity()
    for name in before:
        if before[name] != now[name]:
            raise InputError(
                f"{where}: two cells would be named {first.name!r}, one with {name}={before[name]}, the other with "
                f"{now[name]}: make one of them a variant, or put them in two matrices with a --runs_dir each"
            )


def _check_keys(content: dict, known: tuple | list, where: str) -> None:
    for name in content:
        if name not in known:
            nearest = did_you_mean(name, known, f": expected {listed(known)}")
            raise InputError(f"{where}: {name!r} is not known{nearest}")


def _check_list(name: str, values: object, kind: type, where: str) -> None:
    what = {str: "names", int: "whole numbers", list: "lists of families"}[kind]
    if not isinstance(values, list) or not values or not all(_is_a(value, kind) for value in values):
        raise InputError(f"{where}: {name}={values!r}, expected a list of {what}")
    for index, value in enumerate(values):
        if value in values[:index]:
            raise InputError(f"{where}: {name} lists {value!r} twice: keep one of them")


def _check_name(name: object, where: str) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise InputError(f"{where}: {name!r} is part of file names: use letters, digits, '_', '.' and '-'")


def _is_a(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and value != ""


def _mapping(content: object, where: str) -> dict:
    if content is not None and not isinstance(content, dict):
        raise InputError(f"{where}: {content!r}, expected a mapping of flags to values")
    return content or {}


def _names(*types: type) -> list[str]:
    return sorted({field.name for kind in types for field in fields(kind) if field.init})


def _read(path: Path, where: str) -> dict:
    try:
        text = path.read_text(encoding="utf-8")
        _check_once(yaml.compose(text, Loader=yaml.SafeLoader))
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, ValueError, TypeError, yaml.YAMLError) as error:
        raise InputError(f"{where} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{where}: expected a mapping with 'blocks'")
    return content


def _check_once(node: yaml.Node | None) -> None:
    """Raise where a key is given twice, of which YAML would silently take the last."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_once(item)
    elif isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        for index, (key, value) in enumerate(node.value):
            if key.value in keys[:index]:
                raise ValueError(f"line {key.start_mark.line + 1} gives {key.value!r} a second time: keep one of them")
            _check_once(value)
