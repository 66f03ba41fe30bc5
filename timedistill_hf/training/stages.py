"""One trained model of a run: trained once, resumed where it was interrupted, loaded where it is finished."""

import logging
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel, set_seed
from transformers.trainer_utils import get_last_checkpoint

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

    checkpoint = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    trainer = make_trainer(model)
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
