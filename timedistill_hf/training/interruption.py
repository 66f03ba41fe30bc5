"""SIGTERM while training: finish the step, save a checkpoint that resumes bit-identically, leave."""

import signal
import threading
from types import FrameType

import torch
from accelerate.utils import reduce
from transformers import TrainerCallback

from ..errors import Terminated


class SaveOnTerminationCallback(TrainerCallback):
    """On SIGTERM saves at the end of the step and raises [`Terminated`]; the same command then goes on from there.

    transformers has `enable_jit_checkpoint`, which saves between a step's forward pass and its update, after the
    random numbers of that step were drawn, and lets `train()` return as if training were finished. A run resumed from
    that would not be the same. Here the step is finished first; at the last step of an epoch, the epoch's evaluation
    too, since a resumed run begins with the next epoch. Several processes agree before they save.
    """

    def __init__(self):
        self._is_asked = False
        self._previous = None

    def on_train_begin(self, args, state, control, **kwargs):
        self._is_asked = False
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._ask)

    def on_step_end(self, args, state, control, **kwargs):
        if args.world_size > 1:
            asked = torch.tensor([float(self._is_asked)], device=args.device)
            self._is_asked = bool(reduce(asked, reduction="sum").item())
        is_last_of_epoch = state.epoch is not None and float(state.epoch).is_integer()
        if self._is_asked and not is_last_of_epoch:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if self._is_asked:
            raise Terminated(
                f"stopped by SIGTERM; saved at step {state.global_step}: the same command goes on from there"
            )

    def restore(self) -> None:
        """Give the signal back to who had it before training."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
            self._previous = None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True
