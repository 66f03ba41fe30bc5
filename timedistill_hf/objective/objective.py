"""The sum of the five terms of TimeDistill, weighted and named."""

from dataclasses import dataclass

import torch

from ..student.losses_timedistill import forecast_loss
from .multi_period import KL_REDUCTIONS, check_floor, multi_period_loss
from .multi_scale import multi_scale_loss


@dataclass(frozen=True)
class TimeDistillObjective:
    r"""L = L_sup + alpha (L_scale^Y + L_period^Y) + beta (L_scale^H + L_period^H), arXiv 2502.15016, equation of 4.3.

    Each L_scale may have the weight `scale_weight` and each L_period `period_weight`, both 1 in the paper.

    Args:
        alpha: weight of the two terms on predictions; at 0 they are not computed.
        beta: weight of the two terms on features; at 0, or without features, they are not computed.
        scale_weight: weight of the two multi-scale terms within their pairs; at 0 they are not computed.
        period_weight: weight of the two multi-period terms within their pairs; at 0 they are not computed.
        num_scales: M, how often the series is halved; 3, or what fits a shorter one, where `None`.
        temperature: tau of the period distributions.
        kl_reduction: `"element"` (published implementation) or `"distribution"`.
        kl_floor: added to the student's distribution before its logarithm (1e-8 in the published implementation).
        loss: supervised error against the truth, `"mse"` or `"mae"`.
        frequency_weight: share of that error which is taken between the spectra, see [`forecast_loss`].
        teacher_loss: error against the teacher's forecast at every scale, `"mse"` (published) or `"mae"`.
    """

    alpha: float = 1.0
    beta: float = 1.0
    scale_weight: float = 1.0
    period_weight: float = 1.0
    num_scales: int | None = None
    temperature: float = 0.5
    kl_reduction: str = "element"
    kl_floor: float = 0.0
    loss: str = "mse"
    frequency_weight: float = 0.0
    teacher_loss: str = "mse"

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "scale_weight", "period_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}={getattr(self, name)}: expected a number from 0")
        if (self.alpha or self.beta) and not (self.scale_weight or self.period_weight):
            raise ValueError(
                "scale_weight=0 with period_weight=0 leaves no term of the teacher: set alpha=0 and beta=0 to train "
                "without it, or raise one of the two"
            )
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature}: expected a number above 0")
        if self.num_scales is not None and self.num_scales < 0:
            raise ValueError(f"num_scales={self.num_scales}: expected 0 or more")
        if self.kl_reduction not in KL_REDUCTIONS:
            raise ValueError(f"kl_reduction={self.kl_reduction!r}: expected one of {KL_REDUCTIONS}")
        check_floor(self.kl_floor)
        for name in ("loss", "teacher_loss"):
            if getattr(self, name) not in ("mse", "mae"):
                raise ValueError(f"{name}={getattr(self, name)!r}: expected 'mse' or 'mae'")
        if not 0 <= self.frequency_weight <= 1:
            raise ValueError(f"frequency_weight={self.frequency_weight}: expected a share from 0 to 1")

    def __call__(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        teacher_prediction: torch.Tensor | None = None,
        feature: torch.Tensor | None = None,
        teacher_feature: torch.Tensor | None = None,
        observed: torch.Tensor | None = None,
        known: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Compute the terms of one batch.

        Args:
            prediction: the student's forecast `[B, S, C]`.
            target: the truth `[B, S, C]`.
            teacher_prediction: the teacher's forecast `[B, S, C]`.
            feature: the student's feature `[B, C, D]`.
            teacher_feature: the teacher's feature after the regressor `[B, C, D]`.
            observed: `[B, S, C]`, 1 where the truth was observed.
            known: `[B]`, true where the teacher has said something; in its terms all other windows count as 0.

        Returns:
            The unweighted terms by name (`supervised`, `prediction_scale`, `prediction_period`, `feature_scale`,
            `feature_period`, as far as computed) and their weighted sum, `loss`.
        """
        supervised = forecast_loss(prediction, target, observed, self.loss, self.frequency_weight)
        terms = {"supervised": supervised}
        total = terms["supervised"]
        if self.alpha and teacher_prediction is not None:
            pair = self._pair("prediction", prediction, teacher_prediction, dim=1, known=known, kind=self.teacher_loss)
            terms |= pair
            total = total + self.alpha * self._sum(pair)
        if self.beta and feature is not None and teacher_feature is not None:
            pair = self._pair("feature", feature, teacher_feature, dim=2, known=known)
            terms |= pair
            total = total + self.beta * self._sum(pair)
        return terms | {"loss": total}

    def _pair(
        self,
        name: str,
        student: torch.Tensor,
        teacher: torch.Tensor,
        dim: int,
        known: torch.Tensor | None,
        kind: str = "mse",
    ) -> dict[str, torch.Tensor]:
        share = 1.0
        if known is not None:
            share = known.float().mean()
            student, teacher = student[known.bool()], teacher[known.bool()]
        distances = {
            "scale": (self.scale_weight, self.scale_distance),
            "period": (self.period_weight, self.period_distance),
        }
        # of no window: 0, with a gradient, so that all processes have the same terms
        nothing = student.sum() + teacher.sum() if len(student) == 0 else None
        return {
            f"{name}_{term}": share * distance(student, teacher, dim, kind) if nothing is None else nothing
            for term, (weight, distance) in distances.items()
            if weight
        }

    def scale_distance(self, student: torch.Tensor, teacher: torch.Tensor, dim: int, kind: str) -> torch.Tensor:
        """How far two forecasts (`dim` 1) or features (`dim` 2) are apart over the scales; for a subclass to change.

        Args:
            student, teacher: of the same shape; only the student's carries a gradient to the model.
            dim: that of the steps.
            kind: `"mse"` or `"mae"`.
        """
        return multi_scale_loss(student, teacher, self.num_scales, dim, kind)

    def period_distance(self, student: torch.Tensor, teacher: torch.Tensor, dim: int, kind: str) -> torch.Tensor:
        """How far their periods are apart; see `scale_distance`."""
        return multi_period_loss(student, teacher, self.temperature, self.kl_reduction, dim, self.kl_floor)

    def _sum(self, pair: dict[str, torch.Tensor]) -> torch.Tensor | float:
        """The terms of one pair with their weights."""
        return sum(
            term * (self.scale_weight if name.endswith("_scale") else self.period_weight)
            for name, term in pair.items()
        )
