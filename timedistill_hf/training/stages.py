"""One trained model of a run: trained once, resumed where it was interrupted, loaded where it is finished."""

import logging
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..errors import InputError
from ..files import staged_folder, write_json
from .forecast_trainer import ForecastTrainer


logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
HISTORY = "history.json"


def run_stage(
    name: str,
    folder: str | Path,
    build: Callable[[], PreTrainedModel],
    make_trainer: Callable[[PreTrainedModel], ForecastTrainer],
    seed: int,
) -> PreTrainedModel:
    """Give the trained model of `folder`, training it only as far as that is still to be done.

    Args:
        name: what the log calls it.
        folder: holds the checkpoints while training, and the finished model after it.
        build: makes the untrained model, after the seed is set, so that a stage does not depend on those before it.
        make_trainer: the trainer for that model.
    """
    folder = Path(folder)
    set_seed(seed)
    model = build()
    if (folder / WEIGHTS).is_file():
        logger.info("%s: finished before, loaded from %s", name, folder)
        return type(model).from_pretrained(folder, use_safetensors=True).eval()

    checkpoint = newest_complete_checkpoint(folder)
    try:
        trainer = make_trainer(model)
    except (ImportError, RuntimeError) as error:  # a tracker in report_to that is not installed, say
        raise InputError(f"{name}: {error}") from error
    args = trainer.args
    steps_per_epoch = -(-len(trainer.train_dataset) // trainer.get_total_train_batch_size(args))
    length = f"{args.max_steps} steps" if args.max_steps > 0 else f"at most {args.num_train_epochs:g} epochs"
    logger.info(
        "%s: %s parameters, %d windows, %d steps an epoch, %s%s",
        name,
        f"{model.num_parameters():,}",
        len(trainer.train_dataset),
        steps_per_epoch,
        length,
        f", resumed from {checkpoint}" if checkpoint else "",
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    if trainer.is_world_process_zero():
        with staged_folder(folder, last=WEIGHTS) as stage:
            trainer.save_model(str(stage))
            write_json(stage / HISTORY, trainer.state.log_history)
    trainer.accelerator.wait_for_everyone()
    return trainer.accelerator.unwrap_model(trainer.model).eval()


def newest_complete_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint whose saving was not cut off: the Trainer writes `trainer_state.json` after all else."""
    numbered = {}
    for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        step = path.name.rpartition("-")[2]
        if step.isdigit() and _is_complete(path):
            numbered[int(step)] = path
    return str(numbered[max(numbered)]) if numbered else None


def _is_complete(checkpoint: Path) -> bool:
    try:
        TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    except (OSError, ValueError, TypeError):
        logger.warning("%s was cut off while it was saved and is not used", checkpoint)
        return False
    return True
