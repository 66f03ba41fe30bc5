"""All settings of a run, from those that are given and its recipe."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .._utils.errors import InputError
from ..objective.multi_scale import scales_that_fit
from ..settings.building import build, check_names
from ..settings.run import DataSettings, DistillSettings, StudentSettings
from ..training.arguments import TimeDistillTrainingArguments
from .recipes import with_recipe


KINDS = (DataSettings, StudentSettings, DistillSettings, TimeDistillTrainingArguments)
OUTPUT_DIR = "runs/distill"


@dataclass(frozen=True)
class RunSettings:
    """What a run is told: its data, the student's form, the run itself, and how the student is trained."""

    data: DataSettings
    student: StudentSettings
    run: DistillSettings
    args: TimeDistillTrainingArguments

    @classmethod
    def of(cls, given: Mapping) -> "RunSettings":
        """The settings by name that are given; the recipe fills the others.

        Raises:
            InputError: a name is of no setting, or a value is refused.
        """
        check_names(given, *KINDS)
        if given.get("resume_from_checkpoint") is not None:
            raise InputError("`resume_from_checkpoint`: a run resumes by itself when it is started again")
        chosen = with_recipe({"dataset": DataSettings.dataset, "output_dir": OUTPUT_DIR, **given})
        settings = cls(*(build(kind, chosen) for kind in KINDS))
        settings.args.check_metric()
        return settings

    @property
    def folder(self) -> Path:
        return Path(self.args.output_dir)

    def record(self) -> dict:
        """All of them by name, for results and to tell whether an unfinished run is this one."""
        record = asdict(self.data) | asdict(self.student) | asdict(self.run) | self.args.identity()
        if self.args.num_scales is None:
            record["num_scales"] = scales_that_fit(self.data.prediction_length)
        return {name: value for name, value in record.items() if name not in ("overwrite", "config")}
