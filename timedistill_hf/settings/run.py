"""The scripts' settings beside the training arguments. Nothing heavy is imported here, so that --help is quick."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from .._utils.errors import InputError, did_you_mean
from .._utils.files import check_writable


@dataclass(kw_only=True)
class NumberSettings:
    """How numbers are written in a file of text."""

    decimal: str | None = field(
        default=None, metadata={"help": "Decimal sign of the file's numbers, ',' or '.', where they do not tell it."}
    )
    thousands: str | None = field(
        default=None, metadata={"help": "Sign between thousands in the file's numbers, such as '.', ',' or ' '."}
    )

    def number_signs(self) -> dict:
        """As the readers of tables take them."""
        return {"decimal": self.decimal, "thousands": self.thousands}


DUPLICATES = field(
    default="error",
    metadata={
        "help": "What several rows of one series at one time become: an error, the last of them, or their mean.",
        "choices": ["error", "last", "mean"],
    },
)


@dataclass
class DataSettings(NumberSettings):
    """Which series, which windows."""

    dataset: str = field(
        default="synthetic",
        metadata={"help": "'synthetic' (generated), a benchmark such as etth1, a .csv or .parquet file, or a Hub id."},
    )
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder with benchmark files; else they come from the Hub."}
    )
    hub_config: str | None = field(default=None, metadata={"help": "Configuration name of a Hub data set."})
    dataset_revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of a Hub data set."})
    context_length: int = field(default=720, metadata={"help": "Look-back in time steps."})
    prediction_length: int = field(default=96, metadata={"help": "Horizon in time steps."})
    split: str | None = field(
        default=None,
        metadata={
            "help": "Ratios (0.7,0.1,0.2), rows (8640,2880,2880) or first dates of validation and test "
            "(2017-07-01,2017-11-01). Default: the benchmark's, or 0.7,0.1,0.2."
        },
    )
    timestamp_column: str | None = field(
        default=None, metadata={"help": "Time column; found by type or name if not given."}
    )
    id_column: str | None = field(
        default=None, metadata={"help": "Column of series ids: the table is long (id, time, value)."}
    )
    target_columns: list[str] | None = field(
        default=None, metadata={"help": "Value columns; all others if not given."}
    )
    season: int | None = field(default=None, metadata={"help": "Steps of one season, for the naive control and MASE."})
    missing_value: list[float] | None = field(
        default=None, metadata={"help": "Sentinel that means missing, such as -9999, or several."}
    )
    time_zone: str | None = field(
        default=None,
        metadata={
            "help": "Time zone of timestamps that carry none, such as Europe/Berlin; for those that do, the zone "
            "whose calendar days are used."
        },
    )
    freq: str | None = field(
        default=None,
        metadata={
            "help": "Pandas frequency, such as h, B or MS, whose grid holds all rows; found in the timestamps if not "
            "given. Steps that were left out count as missing."
        },
    )
    duplicates: str = DUPLICATES

    def __post_init__(self):
        self.target_columns = as_list(self.target_columns)
        self.missing_value = as_list(self.missing_value)
        if isinstance(self.split, (list, tuple)):
            self.split = ",".join(map(str, self.split))
        if self.season is not None and self.season < 1:
            raise InputError(f"season={self.season}: expected a positive number of steps")


ARCHITECTURES = ("two_branch", "mlp", "patch_mixer", "linear", "periodic", "cycle", "residual", "combination")


@dataclass
class StudentSettings:
    """The student's form."""

    architecture: str = field(
        default="two_branch",
        metadata={
            "help": "Student: the paper's 'two_branch' MLP, 'mlp', 'patch_mixer', 'linear', 'periodic', 'cycle', "
            "'residual' (linear and a correction), or a 'combination' of members, chosen on validation.",
            "choices": list(ARCHITECTURES),
        },
    )
    members: list[str] | list[dict] | None = field(
        default=None,
        metadata={
            "help": "With a combination: its forms, each an architecture or a mapping of the fields that it changes, "
            'such as linear \'{"architecture": "residual", "normalization": "last"}\'. \'ridge\': true '
            "solves a linear one in closed form."
        },
    )
    hidden_size: int = field(default=512, metadata={"help": "Width of the student's hidden layer, or of a patch."})
    moving_average: int = field(default=25, metadata={"help": "Odd kernel of the moving average of 'two_branch'."})
    normalization: str = field(
        default="mean",
        metadata={"help": "What is taken out of each window.", "choices": ["none", "mean", "revin", "last"]},
    )
    revin_affine: bool = field(default=True, metadata={"help": "With revin: a learnt scale and shift per channel."})
    hidden_norm: str = field(
        default="batchnorm",
        metadata={
            "help": "Hidden normalisation; 'layernorm' and 'none' leave the student free of the channel count.",
            "choices": ["batchnorm", "layernorm", "none"],
        },
    )
    dropout: float = field(default=0.0, metadata={"help": "Share of hidden units that is dropped in training."})
    input_noise: float = field(
        default=0.0,
        metadata={"help": "In training, noise on each window as a share of its deviation: a ridge penalty."},
    )
    core: str = field(
        default="mlp",
        metadata={"help": "What corrects the linear map of 'residual'.", "choices": ["mlp", "patch_mixer"]},
    )
    patch_length: int | None = field(
        default=None,
        metadata={"help": "Steps of one patch of a patch mixer; a fifteenth of the look-back by default."},
    )
    num_hidden_layers: int = field(default=2, metadata={"help": "Layers of a patch mixer."})
    period: int | None = field(
        default=None, metadata={"help": "Steps of one period of 'periodic' and 'cycle'; the data's season by default."}
    )

    def __post_init__(self):
        if self.members is not None and self.architecture != "combination":
            raise InputError(f"`members` go with `architecture=combination`, not with {self.architecture!r}")
        if self.members is None and self.architecture == "combination":
            raise InputError("`architecture=combination` needs `members`, such as linear")
        if self.members is not None:
            self.members = [_member(member) for member in as_list(self.members)]


def _member(member: str | dict) -> dict:
    """A form of a combination: a mapping as it is, the text of one, or the name of an architecture."""
    if isinstance(member, dict):
        return member
    return parse_json_object("members", member) if member.lstrip().startswith("{") else {"architecture": member}


CONTROLS = ("student_no_kd", "linear", "seasonal_naive")


@dataclass
class DistillSettings:
    """The run: which teacher, which controls, where settings come from."""

    teacher: list[str] = field(
        default_factory=lambda: ["itransformer"],
        metadata={
            "help": "A family to train here (itransformer, patchtst, patchtsmixer, modern_tcn, timesnet, time_mixer, "
            "informer, autoformer, time_series_transformer), a trained one (a folder or a Hub id), or its forecasts "
            "(a .parquet file). Several are taken together."
        },
    )
    teacher_revision: str | None = field(
        default=None, metadata={"help": "Branch, tag or commit of a teacher that is a Hub id; of one only."}
    )
    teacher_mix: str = field(
        default="mean",
        metadata={
            "help": "How several teachers count: alike ('mean'), or with weights that 'validation' chooses.",
            "choices": ["mean", "validation"],
        },
    )
    teacher_config: str | dict | None = field(
        default=None,
        metadata={"help": "Configuration fields of the teacher trained here, as JSON: '{\"d_model\": 32}'."},
    )
    teacher_epochs: float | None = field(
        default=None, metadata={"help": "Epochs of a teacher trained here; its family's default if not given."}
    )
    teacher_signal: str = field(
        default="auto",
        metadata={
            "help": "'stored': the teacher runs once, its forecasts and features are kept on disk; 'forecasts': its "
            "forecasts alone, the feature terms are off; 'live': it runs in every step; 'auto': stored where "
            "signal_limit_gb and the disk allow it, else live.",
            "choices": ["auto", "stored", "forecasts", "live"],
        },
    )
    signal_dtype: str = field(
        default="float32",
        metadata={
            "help": "Precision of a stored signal. float16 takes half the bytes and rounds forecasts and features to "
            "about 3 decimal digits; values beyond 65,504 are refused.",
            "choices": ["float32", "float16"],
        },
    )
    feature_pooling: str | None = field(
        default=None,
        metadata={
            "help": "How the feature of a teacher with patches becomes one vector a channel: 'flatten' (default of "
            "patchtst and modern_tcn, as published), the 'mean' over patches (Chronos), or the 'last' patch.",
            "choices": ["flatten", "mean", "last"],
        },
    )
    signal_dir: str | None = field(
        default=None,
        metadata={
            "help": "Folder that keeps stored signals, so that other runs with the same teacher and data use them; "
            "without it they are in output_dir and are removed when the run is finished."
        },
    )
    signal_limit_gb: float = field(
        default=4.0, metadata={"help": "Disk space that a signal may take that is not stored yet."}
    )
    teacher_weights: list[str] | None = field(
        default=None,
        metadata={
            "help": "With a combination: alpha,beta pairs that each member is trained with, of which validation "
            "decides; 0,0 is without teacher. Default: 0,0 and alpha,beta."
        },
    )
    shrinkage: float = field(
        default=0.5,
        metadata={"help": "With a combination: pull of the weights of members of one kind towards equal ones."},
    )
    teacher_shrinkage: float = field(
        default=0.1,
        metadata={"help": "With several teachers that validation weighs: pull of their weights towards equal ones."},
    )
    max_parameters: int = field(
        default=1_500_000, metadata={"help": "With a combination: parameters that the student may have."}
    )
    series_per_batch: int | None = field(
        default=None,
        metadata={
            "help": "Windows times channels of a training batch of the student; sets per_device_train_batch_size."
        },
    )
    step_limit: int | None = field(
        default=None,
        metadata={
            "help": "Steps that num_train_epochs may come to at most, for the student and a teacher trained here; "
            "training is then evaluated five times, however many windows there are."
        },
    )
    controls: list[str] = field(
        default_factory=lambda: list(CONTROLS),
        metadata={"help": "Controls beside the student: student_no_kd, linear, seasonal_naive; or none."},
    )
    recipe: str = field(
        default="best",
        metadata={
            "help": "Named defaults; 'best': small forms with and without the teacher's help, combined on validation; "
            "'paper': student, objective and schedule as published."
        },
    )
    config: str | None = field(
        default=None,
        metadata={"help": "YAML or JSON file of these flags; it overrides the recipe, flags override it."},
    )
    overwrite: bool = field(default=False, metadata={"help": "Replace the results that output_dir already holds."})

    def __post_init__(self):
        self.teacher, self.controls = as_list(self.teacher), as_list(self.controls)
        self.teacher_weights = as_list(self.teacher_weights)
        if not self.signal_limit_gb >= 0:
            raise InputError(f"signal_limit_gb={self.signal_limit_gb}: expected 0 or more gigabytes")
        for name in ("shrinkage", "teacher_shrinkage"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name}={getattr(self, name)}: expected a number from 0")
        for name in ("max_parameters", "series_per_batch", "step_limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value}: expected 1 or more")
        if len(set(self.teacher)) < len(self.teacher):
            raise InputError(f"teacher={' '.join(self.teacher)}: one is named twice")
        if self.teacher_revision is not None and (len(self.teacher) > 1 or Path(self.teacher[0]).exists()):
            raise InputError(
                f"teacher_revision={self.teacher_revision!r} with {' '.join(self.teacher)}: it goes with one teacher, "
                "a Hub id; download others and give their folders"
            )
        if self.controls == ["none"]:
            self.controls = []
        for name in self.controls:
            if name not in CONTROLS:
                nearest = did_you_mean(name, CONTROLS)
                raise InputError(f"controls: {name!r} is none of {', '.join(CONTROLS)}, none{nearest}")

    def teacher_fields(self) -> dict:
        """The parsed `teacher_config`."""
        return parse_json_object("teacher_config", self.teacher_config)


@dataclass
class TeacherSettings:
    """A teacher to train."""

    teacher: str = field(
        default="itransformer",
        metadata={
            "help": "Family: itransformer, patchtst, patchtsmixer, modern_tcn, timesnet, time_mixer, informer, "
            "autoformer or time_series_transformer."
        },
    )
    teacher_config: str | dict | None = field(
        default=None, metadata={"help": "Fields of its configuration to change, as JSON: '{\"d_model\": 32}'."}
    )
    series_per_batch: int | None = field(
        default=None,
        metadata={"help": "Windows times channels of a training batch; sets per_device_train_batch_size."},
    )
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the teacher that output_dir already holds."})

    def __post_init__(self):
        if self.series_per_batch is not None and self.series_per_batch < 1:
            raise InputError(f"series_per_batch={self.series_per_batch}: expected 1 or more")

    def teacher_fields(self) -> dict:
        """The parsed `teacher_config`."""
        return parse_json_object("teacher_config", self.teacher_config)


@dataclass
class EvaluateSettings:
    """A saved model to score."""

    model: str = field(default=None, metadata={"help": "Folder or Hub id of a student or teacher with its processor."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of a model on the Hub."})
    batch_size: int = field(default=64, metadata={"help": "Windows per forward pass."})
    output: str | None = field(
        default=None, metadata={"help": "JSON file for the results; printed only if not given."}
    )
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the output file if there is one."})

    def __post_init__(self):
        if self.model is None:
            raise InputError("`model` is missing: give the folder or Hub id of a trained student or teacher")
        if self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size}: expected 1 or more")
        if self.output is not None:
            check_output(self.output, self.overwrite)


def as_list(value: object) -> list | None:
    """A setting that takes several values, where one is given."""
    return value if value is None or isinstance(value, list) else list(value) if isinstance(value, tuple) else [value]


def check_output(path: str, overwrite: bool) -> None:
    """Raise where a result cannot be written: its folder is missing, or it is there and is not to be replaced."""
    if not Path(path).parent.is_dir():
        raise InputError(f"output={path!r}: there is no folder {str(Path(path).parent)!r}; make it")
    if Path(path).is_dir():
        raise InputError(f"output={path!r} is a folder: name a file in it")
    if Path(path).exists() and not overwrite:
        raise InputError(f"{path!r} exists: name another `output`, or pass `overwrite=True`")
    check_writable(Path(path).parent, "`output`")


def parse_json_object(name: str, value: str | dict | None) -> dict:
    """A mapping, or the text of one as JSON; empty where not given."""
    if value is None or isinstance(value, dict):
        return value or {}
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}={value!r} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f'{name}={value!r}: expected a JSON object such as {{"d_model": 32}}')
    return found
