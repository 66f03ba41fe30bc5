"""Linear students in closed form: what gradient descent on squared errors approaches, found in one solve.

For squared errors the supervised term and the multi-scale term on forecasts are one regression on mixed labels. With Q
the quadratic form of the multi-scale term (equation 3 of TimeDistill, arXiv 2502.15016) and a its weight,

    |e|^2 + a e_T' Q e_T  =  (e - M d)' (I + a Q) (e - M d) + what no forecast changes,   M = (I + a Q)^-1 a Q,

where e is the forecast's distance from the truth, e_T that from the teacher's forecast and d the teacher's from the
truth. The best map for the mixed labels, truth + M d, does not depend on the metric I + a Q; noise on the window adds
a ridge to its normal equations (Bishop, 1995). The multi-period term has no closed form and is left out.
"""

import logging
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from ..data.windows import ForecastData, split_targets
from ..objective.multi_scale import scales_that_fit
from ..student import TimeDistillConfig
from ..teachers.store import split_signal
from ..teachers.table import ForecastWindows
from .forecast_trainer import ForecastTrainer
from .moments import WindowMoments, complete_series, series_of
from .trainer import TimeDistillTrainer


logger = logging.getLogger(__name__)

INPUT_NOISES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
NORMALIZATIONS = ("none", "mean", "last")
"""Those that are linear in the window."""
_LEAST_SHARE = 0.25


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
    """What the teacher says, d = its forecast less the truth `[S]`, summed over all series.

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
            past, is_complete = complete_series(batch)
            seen, change = past[is_complete], series_of(forecast - batch["future_values"])[is_complete]
            cross = cross + (seen.T @ change).cpu().double()
            total = total + change.cpu().double().sum(dim=0)
        return cls(cross, total)


class ClosedForm:
    """Solves the linear students of one run; what they have in common is summed once.

    All distilled ones must hear the same teacher. What is minimised is the squared error and, with `alpha`, the
    squared multi-scale term, whatever losses the arguments name, over the series whose horizon lacks nothing. Every
    process does all of it.
    """

    def __init__(self, data: ForecastData):
        self.data = data
        self._taught: TeacherMoments | None = None

    @cached_property
    def _train(self) -> WindowMoments:
        return WindowMoments.of(self.data.train)

    @cached_property
    def _validation(self) -> WindowMoments:
        return WindowMoments.of(self.data.validation)

    @torch.no_grad()
    def __call__(self, trainer: ForecastTrainer) -> bool:
        """In place of `trainer.train()`: the best map, with the noise that validation prefers.

        Args:
            trainer: of a student that has a closed form.

        Returns:
            Whether it was found: there is none where the teacher's signal is missing on some windows, and it is not
            sought where more than three quarters of the horizons lack a value.
        """
        windows = trainer.train_dataset
        if isinstance(windows, ForecastWindows) and not windows.coverage.is_complete:
            logger.info("the teacher has not spoken on all windows: there is no closed form")
            return False
        for part, moments in (("train", self._train), ("validation", self._validation)):
            series = len(getattr(self.data, part)) * self.data.num_input_channels
            if moments.count < _LEAST_SHARE * series:
                logger.info(
                    "%d of %d %s horizons lack no value: too few for a closed form", moments.count, series, part
                )
                return False
        config, projection = trainer.model.config, trainer.model.backbone.projection
        centring = _centring(config)
        length = config.context_length
        train, validation = (part.transformed(centring) for part in (self._train, self._validation))
        cross, label_total = train.gram[:length, length:], train.total[length:]
        alpha = trainer.args.alpha if isinstance(trainer, TimeDistillTrainer) else 0.0
        if alpha:
            mixing = mixing_matrix(config.prediction_length, alpha, trainer.args.num_scales)
            taught = self._taught_by(trainer)
            cross = cross + centring[:length, :length] @ taught.cross @ mixing.T
            label_total = label_total + mixing @ taught.total
        maps, biases = _solve(train, cross, label_total, self._variance(length))
        errors = _errors(validation, maps, biases)
        best = int(errors.argmin())
        projection.weight.copy_(maps[best].T)
        projection.bias.copy_(biases[best])
        config.input_noise = INPUT_NOISES[best]
        trainer.state.log_history = [
            {"input_noise": noise, "eval_mse": error}
            for noise, error in zip(INPUT_NOISES, errors.tolist(), strict=True)
        ]
        logger.info("solved in closed form: input_noise=%g, validation MSE %.4f", config.input_noise, errors[best])
        return True

    def _taught_by(self, trainer: TimeDistillTrainer) -> TeacherMoments:
        if self._taught is None:
            args = trainer.args
            self._taught = TeacherMoments.of(trainer.train_dataset, trainer.teacher, args.device, args.eval_batch_size)
        return self._taught

    def _variance(self, length: int) -> float:
        """Sum of the look-backs' variances, which is what noise is relative to."""
        around_mean = torch.eye(length, dtype=torch.float64) - 1 / length
        return (around_mean @ self._train.gram[:length, :length]).trace().item() / length


def _centring(config: TimeDistillConfig) -> torch.Tensor:
    """`[L + S, L + S]`: takes the look-back's level out of look-back and horizon."""
    length, steps = config.context_length, config.context_length + config.prediction_length
    level = torch.zeros(steps, dtype=torch.float64)
    if config.normalization == "mean":
        level[:length] = 1 / length
    elif config.normalization == "last":
        level[length - 1] = 1
    return torch.eye(steps, dtype=torch.float64) - level


def _solve(
    train: WindowMoments, cross: torch.Tensor, label_total: torch.Tensor, variance: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The best map `[K, L, S]` and bias `[K, S]` for each of `INPUT_NOISES`, float64."""
    length = len(cross)
    seen_total = train.total[:length]
    values, vectors = torch.linalg.eigh(
        train.gram[:length, :length] - torch.outer(seen_total, seen_total) / train.count
    )
    wanted = vectors.T @ (cross - torch.outer(seen_total, label_total) / train.count)
    penalties = torch.tensor(INPUT_NOISES, dtype=torch.float64).square() * variance
    strength = (values.clamp(min=0) + penalties.unsqueeze(1)).unsqueeze(2)
    # where constant channels say nothing and there is no penalty, nothing is the answer
    maps = vectors @ torch.where(strength > 0, wanted / strength, 0.0)
    return maps, (label_total - seen_total @ maps) / train.count


def _errors(windows: WindowMoments, maps: torch.Tensor, biases: torch.Tensor) -> torch.Tensor:
    """Mean squared error of each map on the windows: `[K]`."""
    length = maps.shape[1]
    seen, cross, power = (
        windows.gram[:length, :length],
        windows.gram[:length, length:],
        windows.gram[length:, length:].trace(),
    )
    seen_total, label_total = windows.total[:length], windows.total[length:]
    squares = power - 2 * (maps * cross).sum(dim=(1, 2)) + (maps * (seen @ maps)).sum(dim=(1, 2))
    offsets = windows.count * biases.square() + 2 * biases * (seen_total @ maps - label_total)
    return (squares + offsets.sum(dim=1)) / (windows.count * biases.shape[1])
