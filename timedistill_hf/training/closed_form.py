"""Linear students in closed form: what gradient descent on squared errors approaches, found in one solve.

For squared errors the supervised term and the multi-scale term on forecasts are one regression on mixed labels. With Q
the quadratic form of the multi-scale term (equation 3 of TimeDistill, arXiv 2502.15016) and a its weight,

    |e|^2 + a e_T' Q e_T  =  (e - M d)' (I + a Q) (e - M d) + what no forecast changes,   M = (I + a Q)^-1 a Q,

where e is the forecast's distance from the truth, e_T that from the teacher's forecast and d the teacher's from the
truth. The best map for the mixed labels, truth + M d, does not depend on the metric I + a Q; noise on the window adds
a ridge to its normal equations (Bishop, 1995). The multi-period term has no closed form and is left out.

Where targets are missing the first term is of the known ones.
"""

import logging
from dataclasses import dataclass
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
from ..student.normalization_timedistill import fill_missing
from .forecast_trainer import ForecastTrainer, Ridge
from .known_targets import KnownTargets
from .moments import WindowMoments, series_of
from .normal_equations import INPUT_NOISES, Teaching, solve_known, solve_whole
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


def mixing_matrix(length: int, alpha: float, num_scales: int | None) -> torch.Tensor:
    """M `[S, S]`, float64: how much of the way from the truth to the teacher's forecast the labels go."""
    pull = alpha * multi_scale_form(length, num_scales)
    return torch.linalg.solve(torch.eye(length, dtype=torch.float64) + pull, pull)


@dataclass(frozen=True)
class TeacherMoments:
    """What the teacher says, d = its forecast less the truth `[S]`, 0 for one that is missing, summed over all series.

    Args:
        cross: `[L, S]`, float64: sum of window times d.
        total: `[S]`, float64: sum of d.
    """

    cross: torch.Tensor
    total: torch.Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, windows: Dataset, teacher: nn.Module | None, device: torch.device, batch_size: int):
        """One pass over the windows, which hold the teacher's forecasts where no `teacher` is given."""
        cross = total = 0.0
        for batch in tqdm(
            DataLoader(windows, batch_size=batch_size), desc="teacher's labels", unit="batch", leave=False
        ):
            batch = {name: value.to(device) for name, value in batch.items()}
            inputs, signal = split_signal(split_targets(batch)[0])
            forecast = (signal if signal is not None else teacher(**inputs)).prediction_outputs
            past = batch["past_values"]
            if "past_observed_mask" in batch:
                past = fill_missing(past, batch["past_observed_mask"])
            change = series_of(forecast - batch["future_values"])
            cross = cross + (series_of(past).T @ change).cpu().double()
            total = total + change.cpu().double().sum(dim=0)
        return cls(cross, total)


class ClosedForm:
    """Solves the linear students of one run; what they have in common is summed once.

    All distilled ones must hear the same teacher. What is minimised is the squared error and, with `alpha`, the
    squared multi-scale term, whatever losses the arguments name. Every process does all of it.
    """

    def __init__(self, data: ForecastData):
        self.data = data
        self._taught: TeacherMoments | None = None

    @cached_property
    def _train(self) -> WindowMoments | KnownTargets:
        return _sums_of(self.data.train)

    @cached_property
    def _validation(self) -> WindowMoments | KnownTargets:
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
        solve = solve_known if isinstance(self._train, KnownTargets) else solve_whole
        maps, biases, errors = solve(self._train, self._validation, _level(config), self._teaching(trainer))
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
            self._taught = TeacherMoments.of(trainer.train_dataset, trainer.teacher, args.device, args.eval_batch_size)
        length = self.data.processor.prediction_length
        return Teaching(
            pull=args.alpha * multi_scale_form(length, args.num_scales),
            mixing=mixing_matrix(length, args.alpha, args.num_scales),
            cross=self._taught.cross,
            total=self._taught.total,
        )


def _sums_of(windows: WindowDataset) -> WindowMoments | KnownTargets:
    return WindowMoments.of(windows) if windows.observed is None else KnownTargets(windows)


def _level(config: TimeDistillConfig) -> torch.Tensor:
    """`[L]`: its product with a look-back is the level that the student takes out."""
    level = torch.zeros(config.context_length, dtype=torch.float64)
    if config.normalization == "mean":
        level[:] = 1 / len(level)
    elif config.normalization == "last":
        level[-1] = 1
    return level
