"""Weight averaging: what is evaluated, chosen and saved is a moving average of the weights that are trained."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from transformers import Trainer, TrainerCallback

from ..errors import InputError


RAW_WEIGHTS_FILE = "raw_weights.safetensors"


class WeightAverage(TrainerCallback):
    """Exponential moving average of parameters, moved once for each optimizer step.

    After step t = 1, 2, ... it is `d * average + (1 - d) * weights` with `d = min(decay, (1 + t) / (10 + t))`, so that
    the weights of the first steps are soon forgotten. Averages along the path of SGD generalise better than its last
    point (Izmailov et al. 2018, arXiv 1803.05407); the exponential one does so at no cost in training steps
    (Morales-Brotons et al. 2024, arXiv 2411.18704).

    There is an average from the beginning of training until [`stop`]; else the other methods do nothing.

    Args:
        decay: of the average, from 0 to below 1.
        find_parameters: gives the parameters by name when training begins.
    """

    def __init__(self, decay: float, find_parameters: Callable[[], dict[str, nn.Parameter]]):
        self._decay = decay
        self._find_parameters = find_parameters
        self._parameters: dict[str, nn.Parameter] = {}
        self._averages: list[torch.Tensor] = []

    def on_train_begin(self, args, state, control, **kwargs):
        if not self._parameters:  # a resumed average is there already
            self._start()

    def on_optimizer_step(self, args, state, control, **kwargs):
        step = state.global_step + 1  # which the Trainer counts a moment later
        decay = min(self._decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(self._averages, list(self._parameters.values()), None)

    def on_train_end(self, args, state, control, **kwargs):
        """The model ends with the average, unless the Trainer has just loaded that of the best checkpoint."""
        if not args.load_best_model_at_end or state.best_model_checkpoint is None:
            self._assign(self._averages)

    def stop(self) -> None:
        """Forget the average; the parameters stay as they are."""
        self._parameters, self._averages = {}, []

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The parameters hold the average within, and afterwards, bit for bit, what they held before."""
        raw = self._values()
        self._assign(self._averages)
        try:
            yield
        finally:
            self._assign(raw)

    def save(self, folder: str) -> None:
        """Write the weights that are trained beside the model, whose saved weights are the average."""
        if self._parameters:
            raw = {name: parameter.detach().contiguous() for name, parameter in self._parameters.items()}
            save_file(raw, os.path.join(folder, RAW_WEIGHTS_FILE))

    def resume(self, folder: str) -> None:
        """Take what the parameters hold, loaded from `folder`, as the average, and give them the weights to train on.

        Raises:
            InputError: `folder` was saved with averaging and there is none now, or the other way round.
        """
        path = os.path.join(folder, RAW_WEIGHTS_FILE)
        if os.path.isfile(path) != bool(self._decay):
            raise InputError(
                f"{folder!r} was saved {'without' if self._decay else 'with'} weight averaging and cannot be resumed "
                f"with weight_averaging={self._decay}: use the value that it was trained with"
            )
        if self._decay:
            self._start()
            raw = load_file(path)
            self._assign([raw[name] for name in self._parameters])

    def _start(self) -> None:
        self._parameters = self._find_parameters()
        self._averages = self._values()

    def _values(self) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in self._parameters.values()]

    @torch.no_grad()
    def _assign(self, values: list[torch.Tensor]) -> None:
        for parameter, value in zip(self._parameters.values(), values, strict=True):
            parameter.copy_(value)


class WeightAveragingTrainer(Trainer):
    """A Trainer that evaluates, saves and ends with averaged weights where `args.weight_averaging` is above 0.

    Training itself goes on with the raw weights, as it would without averaging. A checkpoint's model is the averaged
    one, which is what its scores belong to; the raw weights lie beside it, for resuming. Buffers, such as batch-norm
    statistics, are those of the raw weights.

    Raises:
        InputError: averaging of weights that are kept in shards (FSDP, DeepSpeed).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        decay = self.args.weight_averaging
        if decay and (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            raise InputError(
                f"weight_averaging={decay} expects whole weights on every process, FSDP and DeepSpeed keep shards: "
                "pass --weight_averaging 0, or launch without them"
            )
        self._weight_average = WeightAverage(decay, self._own_parameters)
        if decay:
            self.add_callback(self._weight_average)

    def train(self, *args, **kwargs):
        try:
            return super().train(*args, **kwargs)
        finally:
            self._weight_average.stop()

    def evaluation_loop(self, *args, **kwargs):
        with self._weight_average.applied():
            return super().evaluation_loop(*args, **kwargs)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        with self._weight_average.applied():
            super().save_model(output_dir, _internal_call)

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that are saved with the model."""
        return dict(self.model.named_parameters())

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            self._weight_average.save(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._weight_average.resume(checkpoint)
