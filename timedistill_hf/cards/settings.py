"""What `scripts/make_model_cards.py` takes."""

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError


@dataclass
class CardSettings:
    """Which results, and where the cards go."""

    results_dir: str = field(
        default="benchmarks/results", metadata={"help": "JSON files of finished runs, in folders or not."}
    )
    output_dir: str = field(default="model_cards", metadata={"help": "Folder for the cards."})
    root: str = field(default=".", metadata={"help": "Of the repository, for the card of examples/tiny_student."})

    def __post_init__(self):
        if not Path(self.results_dir).is_dir():
            raise InputError(f"results_dir={self.results_dir!r} is no folder: give the one with the results of runs")
