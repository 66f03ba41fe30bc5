"""What has a place on the Hub, by its name alone; nothing here reaches the network."""

from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import PreTrainedConfig


def is_hub_id(name: str) -> bool:
    """Whether it has the form `user/name` that the Hub accepts."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1


def hub_origin(config: PreTrainedConfig) -> str | None:
    """The Hub id that a model was loaded from; `None` for one from a folder, or a new one."""
    name = config.name_or_path
    return name if name and is_hub_id(name) and not Path(name).exists() else None
