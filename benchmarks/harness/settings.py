"""What `benchmarks/reproduce.py` takes."""

from dataclasses import dataclass, field
from pathlib import Path

from timedistill_hf._utils.errors import InputError


@dataclass
class ReproduceSettings:
    """Which matrix, where its runs go, and how much of the machine they may take."""

    matrix: str = field(
        default=None, metadata={"help": "YAML file of the matrix, such as benchmarks/matrices/x.yaml."}
    )
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder with benchmark files; else they come from the Hub."}
    )
    report: bool = field(
        default=False, metadata={"help": "Run nothing: write the document and plots of the results that are there."}
    )
    dry_run: bool = field(
        default=False, metadata={"help": "Run nothing: print the estimates and the command of every cell."}
    )
    only: str | None = field(
        default=None, metadata={"help": "Run the cells whose name matches, such as 'etth1-96-*'."}
    )
    lanes: int = field(default=1, metadata={"help": "Cells that run at once."})
    threads: int = field(default=1, metadata={"help": "CPU threads of each cell."})
    max_hours: float | None = field(
        default=None, metadata={"help": "Start no cell that is estimated to end later than this."}
    )
    runs_dir: str = field(default="runs/reproduce", metadata={"help": "Folder for models, logs and stored signals."})
    results_dir: str = field(
        default="benchmarks/results", metadata={"help": "Holds a folder a matrix, with a JSON file a finished cell."}
    )
    docs_dir: str = field(
        default="docs", metadata={"help": "Where the report goes: results.md, results.json and images/."}
    )

    def __post_init__(self):
        if self.matrix is None:
            raise InputError("--matrix is missing: give the YAML file of a matrix, such as benchmarks/matrices/x.yaml")
        if not Path(self.matrix).is_file():
            raise InputError(f"--matrix {self.matrix!r}: there is no such file")
        for name in ("lanes", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected 1 or more")
        if self.max_hours is not None and not 0 < self.max_hours < float("inf"):
            raise InputError(f"max_hours={self.max_hours}: expected a number of hours above 0")
        if self.report and self.dry_run:
            raise InputError("--report and --dry_run exclude each other: give one of them")
