"""SIGTERM or Ctrl-C while training: finish the step, save a checkpoint that resumes bit-identically, leave."""

import signal
import threading
from types import FrameType

import torch
from accelerate.utils import reduce
from transformers import TrainerCallback

from .._utils.errors import Terminated


_STEPS_BETWEEN_VOTES = 10


class SaveOnTerminationCallback(TrainerCallback):
    """On SIGTERM saves at the end of the step and raises [`Terminated`]; the same command then goes on from there.

    So does Ctrl-C (SIGINT), at once when it is pressed again; where Python's own handler takes it, as in a notebook,
    it stays a `KeyboardInterrupt`.

    transformers has `enable_jit_checkpoint`, which saves between a step's forward pass and its update, after the
    random numbers of that step were drawn, and lets `train()` return as if training were finished. A run resumed from
    that would not be the same. Here the step is finished first; at the last step of an epoch, the epoch's evaluation
    too, since a resumed run begins with the next epoch. Several processes vote every few steps and save together.
    """

    def __init__(self):
        self._is_asked = False
        self._is_agreed = False
        self._number = signal.SIGTERM
        self._previous = {}

    def on_train_begin(self, args, state, control, **kwargs):
        self._is_asked = self._is_agreed = False
        if threading.current_thread() is threading.main_thread():
            taken = [signal.SIGTERM]
            if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
                taken.append(signal.SIGINT)
            self._previous = {number: signal.signal(number, self._ask) for number in taken}

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
            raise Terminated(f"saved at step {state.global_step}: the same command goes on from there", self._number)

    def end(self, args) -> None:
        """After training: raise if asked since the last checkpoint, and nothing has ended the process."""
        self._agree(args)
        if self._is_agreed:
            raise Terminated("training was over: the same command goes on from there", self._number)

    def restore(self) -> None:
        """Give the signals back to who had them before training."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._is_asked and number == signal.SIGINT:
            raise Terminated("what this step began is lost, the same command goes on from the last checkpoint", number)
        self._is_asked, self._number = True, number

    def _agree(self, args) -> None:
        """Several processes stop together, or the rest would wait for the one that left."""
        self._is_agreed = self._is_asked
        if args.world_size > 1:
            asked = torch.tensor([float(self._is_asked)], device=args.device)
            self._is_agreed = bool(reduce(asked, reduction="sum").item())
