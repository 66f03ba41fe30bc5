"""Linear students in closed form: what gradient descent on squared errors approaches, found in one solve.

For squared errors the supervised term and the multi-scale term on forecasts, whose quadratic form is Q (equation 3 of
TimeDistill, arXiv 2502.15016), are one regression with the metric I + alpha Q, on labels between truth and teacher.
Noise on the window adds a ridge to its normal equations (Bishop, 1995). The multi-period term has no closed form and
is left out. Where targets are missing the first term is of the known ones.
"""

import logging
from functools import cached_property

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from ..data.windows import ForecastData, WindowDataset, split_targets
from ..objective.multi_scale import scales_that_fit
from ..signal_store.store import split_signal
from ..signal_store.table import ForecastWindows
from ..student import TimeDistillConfig
from ..student.normalization_timedistill import fill_missing, level_weights
from .forecast_trainer import ForecastTrainer, Ridge
from .known_targets import KnownTargets
from .moments import WholeWindows
from .normal_equations import INPUT_NOISES, Sums, Teaching, solve
from .trainer import TimeDistillTrainer


logger = logging.getLogger(__name__)

NORMALIZATIONS = ("none", "mean", "last")
"""Those that are linear in the window."""


def has_closed_form(config: TimeDistillConfig) -> bool:
    """Whether [`ClosedForm`] can solve such a student."""
    return config.architecture == "linear" and config.normalization in NORMALIZATIONS


def multi_scale_form(length: int, num_scales: int | None) -> torch.Tensor:
    """Q `[S, S]`, float64: the multi-scale loss of an error e `[S]` is `e' Q e / S`."""
    num_scales = scales_that_fit(length) if num_scales is None else num_scales
    pooled = torch.eye(length, dtype=torch.float64)
    form = pooled.clone()
    for _ in range(num_scales):
        pooled = F.avg_pool1d(pooled.T.unsqueeze(1), kernel_size=2).squeeze(1).T
        form += pooled.T @ pooled * (length / len(pooled))
    return form / (num_scales + 1)


@torch.no_grad()
def _teachers_sums(
    windows: Dataset, teacher: nn.Module | None, device: torch.device, batch_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """`cross` and `total` of [`Teaching`], in one pass over the windows.

    The windows hold the teacher's forecasts where no `teacher` is given.
    """
    cross = total = 0.0
    for batch in tqdm(DataLoader(windows, batch_size=batch_size), desc="teacher's labels", unit="batch", leave=False):
        batch = {name: value.to(device) for name, value in batch.items()}
        inputs, signal = split_signal(split_targets(batch)[0])
        forecast = (signal if signal is not None else teacher(**inputs)).prediction_outputs
        past = batch["past_values"]
        if "past_observed_mask" in batch:
            past = fill_missing(past, batch["past_observed_mask"])
        change, past = (part.transpose(1, 2).flatten(0, 1) for part in (forecast - batch["future_values"], past))
        cross = cross + (past.T @ change).cpu().double()
        total = total + change.cpu().double().sum(dim=0)
    return cross, total


class ClosedForm:
    """Solves the linear students of one run; what they have in common is summed once.

    All distilled ones must have the same teacher. What is minimised is the squared error and, with `alpha`, the
    squared multi-scale term, whatever losses the arguments name. Every process does all of it.
    """

    def __init__(self, data: ForecastData):
        self.data = data
        self._taught: tuple[torch.Tensor, torch.Tensor] | None = None

    @cached_property
    def _train(self) -> Sums:
        return _sums_of(self.data.train)

    @cached_property
    def _validation(self) -> Sums:
        return _sums_of(self.data.validation)

    @torch.no_grad()
    def __call__(self, trainer: ForecastTrainer) -> bool:
        """In place of `trainer.train()`: the best map, with the noise that validation prefers.

        Args:
            trainer: of a student that has a closed form.

        Returns:
            Whether it was found: there is none where the teacher's signal is missing on some windows.
        """
        windows = trainer.train_dataset
        if isinstance(windows, ForecastWindows) and not windows.coverage.is_complete:
            logger.warning(
                "A linear student is trained step by step, which takes longer than solving it at once: that needs the "
                "teacher's forecasts for all train windows, and there are some for %s",
                windows.coverage,
            )
            return False
        config, projection = trainer.model.config, trainer.model.backbone.projection
        maps, biases, errors = solve(self._train, self._validation, level_weights(config), self._teaching(trainer))
        best = int(errors.argmin())
        projection.weight.copy_(maps[best].T)
        projection.bias.copy_(biases[best])
        config.input_noise = INPUT_NOISES[best]
        trainer.ridges = tuple(map(Ridge, INPUT_NOISES, errors.tolist()))
        logger.info("solved in closed form: input_noise=%g, validation MSE %.4f", config.input_noise, errors[best])
        return True

    def _teaching(self, trainer: ForecastTrainer) -> Teaching | None:
        args = trainer.args
        if not isinstance(trainer, TimeDistillTrainer) or not args.alpha:
            return None
        if self._taught is None:
            self._taught = _teachers_sums(trainer.train_dataset, trainer.teacher, args.device, args.eval_batch_size)
        pull = args.alpha * multi_scale_form(self.data.processor.prediction_length, args.num_scales)
        return Teaching(pull, *self._taught)


def _sums_of(windows: WindowDataset) -> Sums:
    return WholeWindows(windows) if windows.observed is None else KnownTargets(windows)
