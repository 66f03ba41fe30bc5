"""Linear students in closed form: what gradient descent on squared errors approaches, found in one pass.

For squared errors the supervised term and the multi-scale term on forecasts are one regression on mixed labels. With Q
the quadratic form of the multi-scale term (equation 3 of TimeDistill, arXiv 2502.15016) and a its weight,

    |e|^2 + a e_T' Q e_T  =  (e - M d)' (I + a Q) (e - M d) + what no forecast changes,   M = (I + a Q)^-1 a Q,

where e is the forecast's distance from the truth, e_T that from the teacher's forecast and d the teacher's from the
truth. The best map for the mixed labels, truth + M d, does not depend on the metric I + a Q; noise on the window adds
a ridge to its normal equations (Bishop, 1995). The multi-period term has no closed form and is left out.
"""

import logging
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from ..data.windows import split_targets
from ..student import TimeDistillForPrediction
from ..teachers.store import split_signal
from ..teachers.table import ForecastWindows
from .forecast_trainer import ForecastTrainer
from .trainer import TimeDistillTrainer


logger = logging.getLogger(__name__)

INPUT_NOISES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def multi_scale_form(length: int, num_scales: int) -> torch.Tensor:
    """Q `[S, S]`, float64: the multi-scale loss of an error e `[S]` is `e' Q e / S`."""
    pooled = torch.eye(length, dtype=torch.float64)
    form = pooled.clone()
    for _ in range(num_scales):
        pooled = F.avg_pool1d(pooled.T.unsqueeze(1), kernel_size=2).squeeze(1).T
        form += pooled.T @ pooled * (length / len(pooled))
    return form / (num_scales + 1)


def mixing_matrix(length: int, alpha: float, num_scales: int) -> torch.Tensor:
    """M `[S, S]`, float64: how much of the way from the truth to the teacher's forecast the labels go."""
    pull = alpha * multi_scale_form(length, num_scales)
    return torch.linalg.solve(torch.eye(length, dtype=torch.float64) + pull, pull)


@dataclass
class NormalEquations:
    """Sums over N series, each with what the map sees of its window `[L]`, 1, and its centred label `[S]`.

    Args:
        gram: `[L + 1, L + 1]`, the products of what is seen; the last row and column are of the 1.
        cross: `[L + 1, S]`, its products with the labels.
        power: sum of the squared labels.
        variance: sum of the windows' variances, what noise is relative to.
        entries: N S.
    """

    gram: torch.Tensor
    cross: torch.Tensor
    power: float = 0.0
    variance: float = 0.0
    entries: int = 0

    @classmethod
    def of(
        cls,
        model: TimeDistillForPrediction,
        windows: Dataset,
        *,
        mixing: torch.Tensor | None = None,
        teacher: nn.Module | None = None,
        batch_size: int,
        label: str,
    ) -> "NormalEquations":
        """One pass over the windows, of which nothing may be missing in the horizons.

        Args:
            mixing: M of [`mixing_matrix`]; `None` for the truth alone as label.
            teacher: a live one, where the windows do not hold its forecasts.
            label: what the progress bar says.
        """
        length, horizon = model.config.context_length, model.config.prediction_length
        sums = cls(torch.zeros(length + 1, length + 1, dtype=torch.float64), torch.zeros(length + 1, horizon).double())
        for batch in tqdm(DataLoader(windows, batch_size=batch_size), desc=label, unit="batch", leave=False):
            sums._add(model, {name: value.to(model.device) for name, value in batch.items()}, mixing, teacher)
        return sums

    @torch.no_grad()
    def _add(
        self,
        model: TimeDistillForPrediction,
        batch: dict[str, torch.Tensor],
        mixing: torch.Tensor | None,
        teacher: nn.Module | None,
    ) -> None:
        inputs, targets = split_targets(batch)
        inputs, signal = split_signal(inputs)
        truth = targets["future_values"]
        values = inputs["past_values"]
        loc, scale = model.normalization.statistics(values)
        centred = model.normalization.normalize(values, loc, scale) * scale
        label = truth - loc
        if mixing is not None:
            forecast = (signal if signal is not None else teacher(**inputs)).prediction_outputs
            label = label + torch.einsum("bsc,st->btc", forecast - truth, mixing.to(truth))
        seen = _series_of(torch.cat([centred, scale], dim=1))
        wanted = _series_of(label)
        self.gram += (seen.T @ seen).double().cpu()
        self.cross += (seen.T @ wanted).double().cpu()
        self.power += wanted.double().square().sum().item()
        self.variance += centred.double().var(dim=1, correction=0).sum().item()
        self.entries += wanted.numel()

    def solve(self, input_noises: tuple[float, ...]) -> torch.Tensor:
        """The best map and, in its last row, bias for each deviation of noise: float64 `[K, L + 1, S]`."""
        total, count = self.gram[:-1, -1:], self.gram[-1, -1]
        centred = self.gram[:-1, :-1] - total @ total.T / count
        values, vectors = torch.linalg.eigh(centred)
        wanted = vectors.T @ (self.cross[:-1] - total @ self.cross[-1:] / count)
        maps = []
        for noise in input_noises:
            penalty = noise**2 * self.variance
            weight = vectors @ (wanted / (values.clamp(min=0) + penalty).unsqueeze(1))
            bias = (self.cross[-1:] - total.T @ weight) / count
            maps.append(torch.cat([weight, bias]))
        return torch.stack(maps)

    def errors(self, maps: torch.Tensor) -> torch.Tensor:
        """Mean squared error of each map `[K, L + 1, S]`: `[K]`."""
        fitted = (maps * (self.gram @ maps)).sum(dim=(1, 2))
        return (self.power - 2 * (maps * self.cross).sum(dim=(1, 2)) + fitted) / self.entries


@torch.no_grad()
def solve(trainer: ForecastTrainer) -> bool:
    """In place of `trainer.train()`: give its linear student the best map, with the noise that validation prefers.

    What is minimised is the squared error and, in a [`TimeDistillTrainer`] with `alpha`, the squared multi-scale term,
    whatever losses the arguments name. Every process does all of it.

    Args:
        trainer: of a `"linear"` student, on windows without missing values in their horizons.

    Returns:
        Whether it was found: there is no closed form where the teacher's signal is missing on some windows.
    """
    windows = trainer.train_dataset
    if isinstance(windows, ForecastWindows) and not windows.coverage.is_complete:
        logger.info("the teacher has not spoken on all windows: there is no closed form")
        return False
    model, args = trainer.model, trainer.args
    config, batch_size = model.config, args.eval_batch_size
    mixing = teacher = None
    if isinstance(trainer, TimeDistillTrainer) and args.alpha:
        mixing, teacher = mixing_matrix(config.prediction_length, args.alpha, args.num_scales), trainer.teacher
    train = NormalEquations.of(
        model, trainer.train_dataset, mixing=mixing, teacher=teacher, batch_size=batch_size, label="train windows"
    )
    validation = NormalEquations.of(model, trainer.eval_dataset, batch_size=batch_size, label="validation windows")
    maps = train.solve(INPUT_NOISES)
    errors = validation.errors(maps)
    best = int(errors.argmin())
    projection = model.backbone.projection
    projection.weight.copy_(maps[best, :-1].T)
    projection.bias.copy_(maps[best, -1])
    config.input_noise = INPUT_NOISES[best]
    trainer.state.log_history = [
        {"input_noise": noise, "eval_mse": error} for noise, error in zip(INPUT_NOISES, errors.tolist(), strict=True)
    ]
    logger.info("solved in closed form: input_noise=%g, validation MSE %.4f", config.input_noise, errors[best])
    return True


def _series_of(values: torch.Tensor) -> torch.Tensor:
    """`[B, L, C]` as one row a series: `[B C, L]`."""
    return values.transpose(1, 2).flatten(0, 1)
