"""What `plot.py`, `make_model_cards.py`, `write_forecasts.py` and, beside a run's flags, `cache_teacher.py` take."""

from dataclasses import dataclass, field
from pathlib import Path

from .._utils.errors import InputError
from .._utils.files import check_writable
from .run import check_output


@dataclass
class PlotSettings:
    """Which run, or which runs' results, and where the plots go."""

    run: str | None = field(default=None, metadata={"help": "Folder of a finished run."})
    results: list[str] | None = field(
        default=None,
        metadata={"help": "In place of a run: results.json files of many, for one plot of accuracy and latency."},
    )
    output: str | None = field(
        default=None, metadata={"help": "Folder for the plots; 'plots' in the run's folder if not given."}
    )
    dataset: str | None = field(
        default=None, metadata={"help": "Where the run's data are now; where they were if not given."}
    )
    data_dir: str | None = field(default=None, metadata={"help": "Folder with benchmark files, as --dataset."})
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the plots that are there."})

    def __post_init__(self):
        if (self.run is None) == (self.results is None):
            raise InputError("give either `run`, the folder of a finished run, or `results`, the files of many")
        if self.results is not None and self.output is None:
            raise InputError("`output` is missing: give the folder for the plot of these results")
        check_writable(Path(self.output_folder), "`output`")
        there = sorted(path.name for path in Path(self.output_folder).glob("*.png"))
        if there and not self.overwrite:
            raise InputError(
                f"{self.output_folder!r} holds plots already ({there[0]}): name another `output`, or pass "
                "`overwrite=True`"
            )

    @property
    def output_folder(self) -> str:
        return self.output if self.output is not None else str(Path(self.run) / "plots")


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
        check_writable(Path(self.output_dir), "`output_dir`")


@dataclass
class CacheSettings:
    """How a teacher's signal is stored ahead."""

    forecasts_only: bool = field(
        default=False,
        metadata={"help": "Leave the features out: for runs with teacher_signal forecasts."},
    )
    estimate: bool = field(default=False, metadata={"help": "Print size and time, from one batch, and write nothing."})


@dataclass
class WriteForecastsSettings:
    """A trained teacher whose forecasts are to be written down."""

    model: str = field(default=None, metadata={"help": "Folder or Hub id of a trained teacher."})
    output: str = field(default=None, metadata={"help": "The .parquet file to write: a teacher for distill."})
    parts: list[str] = field(
        default_factory=lambda: ["train", "validation", "test"],
        metadata={"help": "Which windows: train, validation, test."},
    )
    batch_size: int = field(default=64, metadata={"help": "Windows per forward pass."})
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the output file if there is one."})

    def __post_init__(self):
        if self.model is None:
            raise InputError("`model` is missing: give the folder or Hub id of a trained teacher")
        if self.output is None or Path(self.output).suffix.lower() != ".parquet":
            raise InputError(f"output={self.output!r}: expected a name that ends in .parquet")
        if self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size}: expected 1 or more")
        check_output(self.output, self.overwrite)
