"""Candidates for one student: several forms, each with and without a teacher's help, of which validation decides."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from accelerate.utils import broadcast_object_list
from huggingface_hub.errors import StrictDataclassError
from tabulate import tabulate

from .._utils.errors import InputError, did_you_mean
from ..data.windows import ForecastData
from ..evaluation.mixing import convex_weights, error_products
from ..student import TimeDistillConfig, TimeDistillForPrediction, combine, fold
from ..training.closed_form import NORMALIZATIONS


logger = logging.getLogger(__name__)

_MIN_WEIGHT = 0.02
_RIDGE = "ridge"
_NOISE_IN_PLACE_OF_RIDGE = 0.4  # where the teacher's forecasts are missing for some windows: then nothing is solved


@dataclass(frozen=True)
class Candidate:
    """One way to make a student.

    Args:
        member: fields of its configuration, `{"architecture": "residual", "normalization": "last"}`; with `"ridge":
            True` it is solved, not trained.
        alpha: weight of the teacher's forecast, 0 for none.
        beta: weight of the teacher's feature.
    """

    member: Mapping[str, object]
    alpha: float = 0.0
    beta: float = 0.0

    @property
    def form(self) -> str:
        """For people: `"residual last hidden_size=64"`, `"linear ridge"`."""
        said = [
            str(value) if isinstance(value, str) else f"{name}={value}"
            for name, value in self.member.items()
            if name != _RIDGE or value is not True
        ]
        return " ".join([*said, _RIDGE] if self.is_solved else said)

    @property
    def title(self) -> str:
        """The form, and whether a teacher has a part in it."""
        weights = {"alpha": self.alpha, "beta": self.beta}
        return ", ".join([self.form, *(f"{name} {weight:g}" for name, weight in weights.items() if weight)])

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{self.form.replace(' ', '-').replace('=', '_')}-alpha{self.alpha:g}-beta{self.beta:g}"

    @property
    def is_distilled(self) -> bool:
        return bool(self.alpha or self.beta)

    @property
    def is_solved(self) -> bool:
        """Whether it has a closed form: squared errors, and a ridge that validation chooses."""
        return self.member.get(_RIDGE) is True

    def config(self, base: TimeDistillConfig) -> TimeDistillConfig:
        """The configuration of this form; what it does not change is the base's. A loss of its own has no spectra.

        Raises:
            InputError: a field is not known, or the configuration is not valid.
        """
        fields = dict(self.member)
        ridge = fields.pop(_RIDGE, False)
        known = [*base.as_member(), "loss", _RIDGE]
        for name in self.member:
            if name not in known:
                nearest = did_you_mean(name, known, f", expected one of {', '.join(known)}")
                raise InputError(f"members: {self.form!r} sets {name!r}{nearest}")
        if not isinstance(ridge, bool):
            raise InputError(f"members: {self.form!r}: ridge={ridge!r}, expected true or false")
        if ridge:
            fields = {"loss": "mse", "input_noise": _NOISE_IN_PLACE_OF_RIDGE} | fields
        if "loss" in fields:
            fields["frequency_weight"] = 0.0
        defaults = {"members": None, "hidden_norm": "layernorm", "revin_affine": False}
        try:
            config = TimeDistillConfig.from_dict(base.to_dict() | defaults | fields)
        except (StrictDataclassError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip().removeprefix("ValueError: ").removeprefix("TypeError: ")
            raise InputError(f"members: {self.form!r}: {reason}") from error
        if ridge and (config.architecture != "linear" or config.normalization not in NORMALIZATIONS):
            raise InputError(
                f"members: {self.form!r}: only 'linear' with a normalization of {', '.join(NORMALIZATIONS)} has a "
                f"closed form: leave out {_RIDGE!r}"
            )
        if ridge and config.loss != "mse":
            raise InputError(
                f"members: {self.form!r}: a closed form is of squared errors: leave out {_RIDGE!r} or the other loss"
            )
        return config


def find_candidates(
    members: Sequence[Mapping], teacher_weights: Sequence[str], base: TimeDistillConfig
) -> list[Candidate]:
    """All forms with all weights of the teacher's signal, each once; a form without feature has no beta.

    Args:
        members: see [`Candidate`].
        teacher_weights: `"alpha,beta"` each.
        base: the configuration of what the members do not say.

    Raises:
        InputError: a form or a pair of weights is not understood, or two forms are the same.
    """
    seen: dict[tuple, str] = {}
    found = {}
    pairs = [_pair(text) for text in teacher_weights]
    for member in members:
        candidate = Candidate(member)
        config = candidate.config(base)
        if candidate.is_solved:
            config.input_noise = 0.0  # whatever it says, validation chooses
        twin = seen.setdefault((config.to_json_string(), candidate.is_solved), candidate.form)
        if twin != candidate.form:
            raise InputError(f"members: {candidate.form!r} is the same as {twin!r}: leave out one of them")
        for alpha, beta in pairs:
            each = Candidate(member, alpha, beta if config.feature_size is not None else 0.0)
            found[each.name] = each
    return list(found.values())


def _pair(text: str) -> tuple[float, float]:
    try:
        alpha, beta = (float(number) for number in text.split(","))
    except ValueError:
        alpha = beta = -1.0
    if not (0 <= alpha < float("inf") and 0 <= beta < float("inf")):
        raise InputError(f"teacher_weights: {text!r}: expected alpha,beta from 0, such as 0.5,0")
    return alpha, beta


def kind_of(config: TimeDistillConfig) -> str:
    """What a form is, whatever it was trained with: its architecture, and the core of a residual one."""
    return f"residual {config.core}" if config.architecture == "residual" else config.architecture


@dataclass(frozen=True)
class Selection:
    """What validation made of the candidates.

    Args:
        student: the weighted sum of those that count, folded to its smallest form.
        weights: of all candidates by name, 0 for those left out.
        errors: validation MSE of each.
        error: validation MSE of the weighted sum.
    """

    student: TimeDistillForPrediction
    weights: dict[str, float]
    errors: dict[str, float]
    error: float


def validation_products(
    models: dict[str, TimeDistillForPrediction], data: ForecastData, batch_size: int
) -> torch.Tensor:
    """Mean products of the models' errors on the validation windows, float64 `[K, K]`, the same on all processes."""
    (products,) = broadcast_object_list([error_products(list(models.values()), data.validation, batch_size)])
    for name, error in zip(models, products.diagonal().tolist(), strict=True):
        if not error < float("inf"):
            raise InputError(f"candidate {name} forecasts NaN or infinite values: leave out that member")
    return products


def select(
    models: dict[str, TimeDistillForPrediction],
    products: torch.Tensor,
    *,
    shrinkage: float,
    max_parameters: int,
    loss: dict,
    label: str,
    titles: Mapping[str, str] | None = None,
) -> Selection:
    """The convex combination with the least squared validation error, of few members and within a size.

    Candidates of one kind (linear, residual with a patch mixer, ...) are pulled towards equal weights: they differ by
    what validation is a poor judge of, such as the teacher, which was itself chosen by its validation error.

    Members of little weight are left out, and as long as the folded student has more than `max_parameters` those with
    a hidden layer, first the one without which the error grows least; the others' weights are found anew.

    Args:
        models: by name, in the order of `products`.
        products: `[K, K]` from [`validation_products`].
        shrinkage: the pull, see [`convex_weights`].
        max_parameters: of the folded student.
        loss: what fine-tuning the student will minimise, see [`combine`].
        label: what the log calls it.
        titles: what the log calls the models; their names where `None`.

    Raises:
        InputError: every single model has more than `max_parameters`.
    """
    names = list(models)
    small = [index for index, name in enumerate(names) if models[name].num_parameters() <= max_parameters]
    if not small:
        smallest = min(model.num_parameters() for model in models.values())
        raise InputError(f"max_parameters={max_parameters}: the smallest member has {smallest}; raise it")
    kinds = [kind_of(model.config) for model in models.values()]
    mixture = Mixture.of(products, small, shrinkage, kinds)
    while True:
        student = fold(combine([models[names[row]] for row in mixture.rows], mixture.weights, loss=loss))
        if student.num_parameters() <= max_parameters or len(mixture.rows) == 1:
            break
        hidden = [row for row in mixture.rows if models[names[row]].config.feature_size is not None]
        mixture = min((mixture.without(row) for row in hidden or mixture.rows), key=lambda fewer: fewer.error)
    chosen = dict.fromkeys(names, 0.0) | {names[row]: weight for row, weight in zip(mixture.rows, mixture.weights)}
    selection = Selection(student, chosen, dict(zip(names, products.diagonal().tolist())), mixture.error)
    rows = [((titles or {}).get(name, name), selection.errors[name], weight) for name, weight in chosen.items()]
    rows.append((f"{label}: {student.num_parameters():,} parameters", mixture.error, 1.0))
    table = tabulate(rows, headers=["candidate", "validation MSE", "weight"], floatfmt=("", ".4f", ".3f"))
    logger.info("Chosen on validation:\n%s", table)
    return selection


@dataclass(frozen=True)
class Mixture:
    """Some of the models, with the best weights for them.

    Args:
        products: `[K, K]` of all models.
        rows: which of them.
        weights: one a row, 1 in all.
        shrinkage: pull of those of one kind towards equal weights.
        kinds: of all models.
    """

    products: torch.Tensor
    rows: list[int]
    weights: list[float]
    shrinkage: float
    kinds: list[str]

    @classmethod
    def of(cls, products: torch.Tensor, rows: list[int], shrinkage: float, kinds: list[str]) -> "Mixture":
        """The best weights, none of them little."""
        while True:
            weights = convex_weights(products[rows][:, rows], shrinkage, [kinds[row] for row in rows])
            lightest = int(weights.argmin())
            if len(rows) == 1 or weights[lightest] >= _MIN_WEIGHT:
                return cls(products, rows, weights.tolist(), shrinkage, kinds)
            rows = [row for row in rows if row != rows[lightest]]

    def without(self, row: int) -> "Mixture":
        rows = [other for other in self.rows if other != row]
        return Mixture.of(self.products, rows, self.shrinkage, self.kinds)

    @property
    def error(self) -> float:
        """Mean squared error of the weighted sum."""
        weights = torch.tensor(self.weights, dtype=torch.float64)
        return (weights @ self.products[self.rows][:, self.rows] @ weights).item()
