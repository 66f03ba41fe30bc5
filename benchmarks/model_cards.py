"""Cards of committed results, one for each data set, recipe and set of teachers, and that of examples/tiny_student.

`scripts/make_model_cards.py` writes them.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import ModelCard

from timedistill_hf._utils.errors import InputError
from timedistill_hf.cards import student_card
from timedistill_hf.cards.card import LICENSE, lengths_text, plain
from timedistill_hf.cards.run import by_horizon, run_card
from timedistill_hf.evaluation.results import Results, range_text


MARK = "<!-- made by scripts/make_model_cards.py from benchmarks/results: do not edit -->"
EXAMPLE = "examples/tiny_student"
EXAMPLE_PLOTS = ("forecast.png", "accuracy.png")
_SEED = re.compile(r"-seed\d+$")


def family_cards(results_dir: str | Path) -> dict[str, ModelCard]:
    """The cards by file name.

    Args:
        results_dir: JSON files of runs with recipe `paper` (`benchmarks/paper.py`), and a folder for each matrix
            (`benchmarks/reproduce.py`). Files that hold no student are passed over, as are the matrix's variants,
            which ask what a part of the recipe brings, and other benchmarks' folders.

    Raises:
        InputError: a file cannot be read.
    """
    families: dict[str, list[tuple[str, Results]]] = {}
    for path in sorted(Path(results_dir).rglob("*.json")):
        content = _read(path)
        in_matrix = path.parent != Path(results_dir)
        is_variant = content.get("cell", {}).get("base") is not None
        if "student" in content.get("models", {}) and in_matrix == ("cell" in content) and not is_variant:
            results = Results.from_dict(content)
            families.setdefault(_family(path, results), []).append((path.stem, results))
    return {f"{name}.md": _card(name, runs) for name, runs in sorted(families.items())}


def write_family_cards(results_dir: str | Path, folder: str | Path) -> list[Path]:
    """Write them, and remove those made before of which there are no results any more."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cards = family_cards(results_dir)
    for path in folder.glob("*.md"):
        if path.name not in cards and not path.is_symlink() and MARK in path.read_text(encoding="utf-8"):
            path.unlink()
    for name, card in cards.items():
        card.save(folder / name)
    return [folder / name for name in cards]


def example_card(root: str | Path) -> ModelCard:
    """The card of the student in examples/, from the results that lie beside it.

    Args:
        root: of the repository.
    """
    history = f"{EXAMPLE}/history.csv"
    how_to_make = (
        "`python examples/make_tiny_student.py` made it, in a minute on one core. The snippet runs as it is in the "
        f"root of the repository; `{history}` holds the last hours of the generated series."
    )
    about = {"history_file": history, "how_to_make": how_to_make, "has_code": False, "license": LICENSE}
    results = Results.from_json(Path(root) / EXAMPLE / "results.json")
    return student_card(results, EXAMPLE, plots=EXAMPLE_PLOTS, **about)


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read ({error}): write it anew, or delete it") from error
    return content if isinstance(content, dict) else {}


def _family(path: Path, results: Results) -> str:
    """All but horizon and seed; the first results, all of one horizon, have it in their file's name."""
    cell = results.other.get("cell")
    if cell is None:
        return _SEED.sub("", path.stem)
    teachers = "+".join(teacher["family"] for teacher in cell["teachers"])
    return re.sub(r"[^\w+.-]", "_", f"{cell['dataset']}-{cell['variant']}-{teachers}")


def _card(name: str, named: Sequence[tuple[str, Results]]) -> ModelCard:
    named = sorted(named, key=lambda each: (each[1].settings["prediction_length"], each[1].settings["seed"]))
    runs = [results for _, results in named]
    first, settings, data = runs[0], runs[0].settings, runs[0].data
    sizes = range_text([run.student.parameters for run in runs])
    forecast = lengths_text(settings["context_length"], ", ".join(map(str, by_horizon(runs))), data.columns)
    return run_card(
        runs,
        f"runs/reproduce/cells/{named[0][0]}" if "cell" in first.other else f"runs/{named[0][0]}",
        model_name=name,
        title=f"{plain(data.name)}: students of {first.teacher.name}",
        summary=(
            f"{MARK}\n\nSmall students of TimeDistill ({settings['architecture']}, {sizes} parameters), one for each "
            f"horizon and seed ({len(runs)} in all). Each {forecast}."
        ),
        how_to_make=_how_to_make(*named[0]),
        licence={"license": LICENSE},
        tags=["benchmark"],
        loads_without_package=True,
    )


def _how_to_make(stem: str, results: Results) -> str:
    """These weights are not published: the command that trains them."""
    command = "python benchmarks/paper.py --data_dir DIR"
    if "cell" in results.other:
        pattern = f"{results.other['cell']['dataset']}-*-{_SEED.sub('', stem).split('-', 2)[-1]}-seed*"
        command = (
            f"python benchmarks/reproduce.py --matrix benchmarks/matrices/best.yaml --data_dir DIR --only '{pattern}'"
        )
    return (
        "The weights are not published. With the benchmark files in `DIR`, this trains them; the snippets then run in "
        f"the repository:\n\n```bash\n{command}\n```"
    )
