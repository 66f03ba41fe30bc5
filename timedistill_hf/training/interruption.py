"""SIGTERM while training: finish the step, save a checkpoint that resumes bit-identically, leave."""

import signal
import threading
from types import FrameType

import torch
from accelerate.utils import reduce
from transformers import TrainerCallback

from ..errors import Terminated


_STEPS_BETWEEN_VOTES = 10


class SaveOnTerminationCallback(TrainerCallback):
    """On SIGTERM saves at the end of the step and raises [`Terminated`]; the same command then goes on from there.

    transformers has `enable_jit_checkpoint`, which saves between a step's forward pass and its update, after the
    random numbers of that step were drawn, and lets `train()` return as if training were finished. A run resumed from
    that would not be the same. Here the step is finished first; at the last step of an epoch, the epoch's evaluation
    too, since a resumed run begins with the next epoch. Several processes vote every few steps and save together.
    """

    def __init__(self):
        self._is_asked = False
        self._is_agreed = False
        self._previous = None

    def on_train_begin(self, args, state, control, **kwargs):
        self._is_asked = self._is_agreed = False
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._ask)

    def on_step_end(self, args, state, control, **kwargs):
        if args.world_size > 1 and state.global_step % _STEPS_BETWEEN_VOTES:
            return
        self._agree(args)
        is_last_of_epoch = state.epoch is not None and float(state.epoch).is_integer()
        if self._is_agreed and not is_last_of_epoch:
            control.should_save = True

    def on_epoch_end(self, args, state, control, **kwargs):
        self._agree(args)

    def on_save(self, args, state, control, **kwargs):
        if self._is_agreed:
            raise Terminated(
                f"stopped by SIGTERM; saved at step {state.global_step}: the same command goes on from there"
            )

    def end(self, args) -> None:
        """After training: raise if asked since the last checkpoint, and nothing has ended the process."""
        self._agree(args)
        if self._is_agreed:
            raise Terminated("stopped by SIGTERM; training was over: the same command goes on from there")

    def restore(self) -> None:
        """Give the signal back to who had it before training."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
            self._previous = None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True

    def _agree(self, args) -> None:
        """Several processes stop together, or the rest would wait for the one that left."""
        self._is_agreed = self._is_asked
        if args.world_size > 1:
            asked = torch.tensor([float(self._is_asked)], device=args.device)
            self._is_agreed = bool(reduce(asked, reduction="sum").item())
