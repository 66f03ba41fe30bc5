"""Settings of the scripts that publish. Nothing heavy is imported here, so that --help is quick."""

from dataclasses import dataclass, field

from .._utils.errors import InputError
from .run import NumberSettings


@dataclass
class HubSettings:
    """Where on the Hub. The token is the one of `hf auth login`, or HF_TOKEN."""

    repo_id: str | None = field(default=None, metadata={"help": "Repository: user/name, or the name of one of yours."})
    private: bool = field(default=False, metadata={"help": "Make the repository private, where it is made now."})
    revision: str | None = field(default=None, metadata={"help": "Branch; made where there is none. Default: main."})
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})

    def __post_init__(self):
        if not self.repo_id:
            raise InputError("`repo_id` is missing: give the repository, user/name")


@dataclass
class PushModelSettings(HubSettings):
    """A finished model to publish."""

    folder: str | None = field(
        default=None, metadata={"help": "What distill or train-teacher made, or save_pretrained."}
    )
    license: str | None = field(
        default=None,
        metadata={"help": "Licence of the weights, as the Hub names it (cc-by-4.0, mit, ...); that of the card."},
    )

    def __post_init__(self):
        super().__post_init__()
        if not self.folder:
            raise InputError("`folder` is missing: give the folder of the finished model")


@dataclass
class PushDatasetSettings(HubSettings, NumberSettings):
    """A series to host."""

    dataset: str | None = field(default=None, metadata={"help": "A .csv or .parquet file, or a benchmark (etth1)."})
    data_dir: str | None = field(default=None, metadata={"help": "Folder with benchmark files."})
    config_name: str | None = field(
        default=None, metadata={"help": "Configuration to write; by default the file's or benchmark's name."}
    )
    license: str | None = field(
        default=None, metadata={"help": "The data's licence, as the Hub names it (cc-by-4.0, mit, ...), or other."}
    )
    description: str = field(
        default="", metadata={"help": "For the card: where the data come from, what the columns are, in which units."}
    )
    split: str | None = field(
        default=None,
        metadata={"help": "What the card says is for training, validation and test, as distill takes it."},
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
    overwrite: bool = field(default=False, metadata={"help": "Replace the configuration if it is there already."})

    def __post_init__(self):
        super().__post_init__()
        if not self.dataset:
            raise InputError("`dataset` is missing: give a .csv or .parquet file, or a benchmark and `data_dir`")
        if not self.license:
            raise InputError(
                "`license` is missing: give the data's licence as the Hub names it, such as cc-by-4.0 "
                "(https://huggingface.co/docs/hub/repositories-licenses), or other"
            )
