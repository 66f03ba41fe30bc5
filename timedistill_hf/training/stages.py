"""One trained model of a run: trained once, resumed where it was interrupted, loaded where it is finished."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate import PartialState
from transformers import PreTrainedModel, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from .._utils.errors import InputError
from .._utils.files import move_into_place, remove_leftovers, staged_folder, write_json
from .._utils.pretrained import load_weights
from .._utils.readable import readable_seconds
from .._utils.run_folder import HISTORY
from ..cards import save_card
from .callbacks import StageProgress, ValidationEarlyStopping
from .checkpoints import WEIGHTS, newest_complete_checkpoint
from .forecast_trainer import ForecastTrainer


logger = logging.getLogger(__name__)

STAGE = ".stage-finished"


def run_stage(
    name: str,
    folder: str | Path,
    build: Callable[[], PreTrainedModel],
    make_trainer: Callable[[PreTrainedModel], ForecastTrainer],
    seed: int,
    solve: Callable[[ForecastTrainer], bool] | None = None,
) -> PreTrainedModel:
    """Give the trained model of `folder`, training it only as far as that is still to be done.

    Args:
        name: what the log calls it.
        folder: holds the checkpoints while training, and the finished model after it.
        build: makes the untrained model, after the seed is set, so that a stage does not depend on those before it.
        make_trainer: the trainer for that model.
        solve: what finds the model's weights in place of the trainer's steps, and says whether it could.
    """
    folder = Path(folder)
    if PartialState().is_main_process:
        remove_leftovers(folder)
    set_seed(seed)
    model = build()
    if (folder / WEIGHTS).is_file():
        logger.info("%s: finished before, loaded from %s", name, folder)
        return load_weights(type(model), folder).eval()

    try:
        trainer = make_trainer(model)
    except (ImportError, RuntimeError) as error:  # a tracker in report_to that is not installed, say
        raise InputError(f"{name}: {error}") from error
    start = time.perf_counter()
    if solve is None or not solve(trainer):
        _train(name, folder, trainer)
    logger.info("%s: done in %s%s", name, readable_seconds(time.perf_counter() - start), _validated(trainer))
    stage = folder / STAGE
    with staged_folder(stage, folder):
        trainer.save_model(str(stage))  # on all processes: a model in shards is put together
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        with finished_folder(folder) as stage:
            write_json(stage / HISTORY, trainer.state.log_history)
            save_card(trainer.model_card(folder.resolve().name), stage)
    trainer.accelerator.wait_for_everyone()
    # what was saved, not what was trained: free of autocast, shards and each process's own batch statistics
    return load_weights(type(model), folder).to(trainer.args.device).eval()


def _validated(trainer: ForecastTrainer) -> str:
    """For the log: the lowest validation MSE that it found."""
    errors = [row["eval_mse"] for row in trainer.state.log_history if "eval_mse" in row]
    return f", validation MSE {min(errors):.4f}" if errors else ""


@contextmanager
def finished_folder(folder: Path) -> Iterator[Path]:
    """A folder to save a finished model in; what it then holds is moved into `folder`, the weights last."""
    stage = folder / STAGE
    stage.mkdir(parents=True, exist_ok=True)
    with staged_folder(stage, folder):
        yield stage
        move_into_place(stage, folder, last=WEIGHTS)


def _train(name: str, folder: Path, trainer: ForecastTrainer) -> None:
    """Go on from the newest checkpoint, or begin, or take the best where nothing is left to do."""
    args = trainer.args
    checkpoint = newest_complete_checkpoint(folder, args.world_size)
    steps_per_epoch = -(-len(trainer.train_dataset) // trainer.get_total_train_batch_size(args))
    length = f"{args.max_steps} steps" if args.max_steps > 0 else f"at most {args.num_train_epochs:g} epochs"
    logger.info(
        "%s: %s parameters, %d windows, %d steps an epoch, %s%s",
        name,
        f"{trainer.model.num_parameters():,}",
        len(trainer.train_dataset),
        steps_per_epoch,
        length,
        f", resumed from {checkpoint}" if checkpoint else "",
    )
    if checkpoint is not None and _is_over(checkpoint, args.early_stopping_patience):
        _restore_best(trainer, folder, checkpoint)
    else:
        trainer.remove_callback(PrinterCallback)
        if trainer.pop_callback(ProgressCallback) is not None:
            trainer.add_callback(StageProgress(name))
        trainer.train(resume_from_checkpoint=checkpoint)


def _is_over(checkpoint: str, patience: int) -> bool:
    """Whether that checkpoint was the last: resumed from it, the Trainer would train on, for a step or an epoch."""
    state = TrainerState.load_from_json(os.path.join(checkpoint, TRAINER_STATE_NAME))
    early_stopping = state.stateful_callbacks.get(ValidationEarlyStopping.__name__)
    lost_patience = early_stopping and early_stopping["attributes"]["early_stopping_patience_counter"] >= patience
    return bool(lost_patience) or state.global_step >= state.max_steps


def _restore_best(trainer: ForecastTrainer, folder: Path, checkpoint: str) -> None:
    """What the Trainer does at the end of training: the best (or last) checkpoint's weights, and the log so far."""
    state = TrainerState.load_from_json(os.path.join(checkpoint, TRAINER_STATE_NAME))
    best = state.best_global_step if trainer.args.load_best_model_at_end else None
    chosen = folder / f"{PREFIX_CHECKPOINT_DIR}-{best or state.global_step}"
    trainer.state = state
    trainer.model = load_weights(type(trainer.model), chosen).to(trainer.args.device)
