"""Checkpoints that training can resume from: whole, and of this training."""

import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from .._utils.errors import InputError, first_line
from .._utils.files import read_object


logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
ARGUMENTS = "training_args.json"
_SAME = (
    "alpha", "beta", "num_scales", "temperature", "kl_reduction", "kl_floor", "scale_weight", "period_weight",
    "teacher_loss", "loss", "frequency_weight", "learning_rate", "lr_scheduler_type", "lr_epoch_decay",
    "lr_constant_epochs", "warmup_steps", "weight_decay", "max_grad_norm", "optim", "optim_args", "adam_beta1",
    "adam_beta2", "adam_epsilon", "per_device_train_batch_size", "gradient_accumulation_steps", "seed", "data_seed",
)  # fmt: skip
"""What makes the steps; how long training goes on, and what is logged and saved, may change."""
_STATE = {
    "global_step": int, "max_steps": int, "epoch": (int, float), "num_train_epochs": (int, float), "log_history": list,
    "stateful_callbacks": dict, "best_metric": (int, float, type(None)), "save_steps": (int, float),
    "logging_steps": (int, float),
}  # fmt: skip


def newest_complete_checkpoint(folder: Path, world_size: int = 1) -> str | None:
    """The newest checkpoint that all of `world_size` processes saved to its end, and that is still whole."""
    for path in _newest_first(folder):
        reason = what_lacks(path, world_size)
        if reason is None:
            return str(path)
        logger.warning("%s is not used: %s", path, reason)
    return None


def checkpoint_to_resume(asked: str | bool, args: TrainingArguments) -> str:
    """The checkpoint that `resume_from_checkpoint` names: a path, or the newest of `output_dir` where it is true.

    Raises:
        InputError: it is not there, or not whole, or of a training with other arguments.
    """
    folder = Path(args.output_dir)
    if asked is True:
        found = newest_complete_checkpoint(folder, args.world_size)
        if found is None:
            newest = next(_newest_first(folder), None)
            said = f"{str(newest)!r}: {what_lacks(newest, args.world_size)}" if newest else "there is none"
            raise InputError(
                f"no checkpoint in {str(folder)!r} to resume from ({said}): leave out resume_from_checkpoint"
            )
    else:
        found = str(asked)
        reason = what_lacks(Path(found), args.world_size)
        if reason is not None:
            raise InputError(f"checkpoint {found!r} cannot be resumed: {reason}")
    _check_arguments(Path(found), args)
    return found


def check_weights(checkpoint: str, model: nn.Module) -> None:
    """Raise an [`InputError`] where its weights are those of another model."""
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    with safe_open(Path(checkpoint) / WEIGHTS, framework="pt") as file:
        found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    for name, shape in found.items():
        if expected.get(name) != shape:
            raise InputError(
                f"checkpoint {checkpoint!r} is of another model: its {name!r} is of shape {tuple(shape)}, this "
                f"model's {tuple(expected[name]) if name in expected else 'is not there'}; resume with the same model"
            )


@contextmanager
def as_input_error(checkpoint: str | None) -> Iterator[None]:
    """Say on one line that a checkpoint's state cannot be loaded."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"checkpoint {checkpoint!r} cannot be resumed: {first_line(error)}; use the arguments and the model "
            "that it was trained with, or begin anew in another output_dir"
        ) from error


def what_lacks(checkpoint: Path, world_size: int = 1) -> str | None:
    """Why training cannot resume from it; the main process writes its state last, but waits for no other one."""
    if not checkpoint.is_dir():
        return "there is no such folder"
    ranks = [""] if world_size == 1 else [f"_{rank}" for rank in range(world_size)]
    names = [path.name for path in checkpoint.iterdir()]
    if WEIGHTS in names and TRAINER_STATE_NAME in names and not any(name.startswith("optimizer") for name in names):
        return "it holds no optimizer's state, as save_only_model saves it; begin anew from its weights"
    for name in (WEIGHTS, TRAINER_STATE_NAME, *(f"rng_state{rank}.pth" for rank in ranks)):
        if name not in names:
            return f"{name} is missing, it was cut off while it was saved or removed"
    try:
        state = read_object(checkpoint / TRAINER_STATE_NAME)
        for field, kinds in _STATE.items():
            if not isinstance(state.get(field), kinds):
                raise ValueError(f"{field}={state.get(field)!r}")
        TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    except Exception as error:
        return f"{TRAINER_STATE_NAME} is damaged ({first_line(error)})"
    return next((f"{path.name} is damaged" for path in checkpoint.iterdir() if not _is_whole(path)), None)


def _is_whole(path: Path) -> bool:
    """Whether a file of tensors can be read to its end; the archives of torch hold a checksum of each part."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt"):
                return True
        if path.suffix in (".pt", ".pth"):
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
    except (OSError, ValueError, EOFError, NotImplementedError, SafetensorError, zipfile.BadZipFile):
        return False
    return True


def _check_arguments(checkpoint: Path, args: TrainingArguments) -> None:
    """Raise an [`InputError`] that names what differs from the arguments that it was trained with."""
    try:
        before = read_object(checkpoint / ARGUMENTS)
    except (OSError, ValueError):
        return  # of another trainer; what cannot be loaded is said when it is
    now = args.to_sanitized_dict()
    differing = [name for name in _SAME if name in before and before[name] != now.get(name)]
    if differing:
        was, has = (", ".join(f"{name}={values.get(name)}" for name in differing) for values in (before, now))
        raise InputError(
            f"checkpoint {str(checkpoint)!r} was trained with {was}, this training has {has}: use the same to resume "
            "it, or begin anew in another output_dir"
        )


def _newest_first(folder: Path) -> Iterator[Path]:
    numbered = {}
    for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        step = path.name.rpartition("-")[2]
        if step.isdigit():
            numbered[int(step)] = path
    return iter([numbered[step] for step in sorted(numbered, reverse=True)])
