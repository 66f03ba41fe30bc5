"""The best linear maps of windows, with a ridge for each of several strengths of noise.

Where nothing is missing one decomposition of the look-backs solves for all of them, and no more is to be done. With
missing values the squared error is of the known targets, and each step of the horizon has equations of its own, which
are close to those of all windows: conjugate gradients, started and preconditioned with these, take a few rounds.
"""

import logging
from dataclasses import dataclass

import torch

from .known_targets import KnownTargets
from .moments import WholeWindows


logger = logging.getLogger(__name__)

INPUT_NOISES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
_REST = 1e-4  # of the size of a solution: what may be left to find
_MAX_ROUNDS = 40
_MAX_CHOICES = 3
_FIRST_NOISE = 0.2  # where it is looked for first

Map = tuple[torch.Tensor, torch.Tensor]
"""Weight `[L, S]` and bias `[S]`; or `[K, L, S]` and `[K, S]` of K maps; or sums of products with them."""
Sums = WholeWindows | KnownTargets


@dataclass(frozen=True)
class Teaching:
    """The teacher's term, a (f - t)' Q (f - t) for forecasts f and t of student and teacher.

    Args:
        pull: `[S, S]`, float64, a Q.
        cross, total: `[L, S]` and `[S]`, float64: sums of window times d and of d, the teacher's forecast less the
            truth, 0 in place of one that is missing.
    """

    pull: torch.Tensor
    cross: torch.Tensor
    total: torch.Tensor


class LookBacks:
    """The half of the normal equations that no label changes.

    Args:
        gram, total: float64 `[L, L]` and `[L]`, sums over all look-backs of their products and of themselves.
        count: how many there are.
        level: `[L]`: its product with a look-back is the level that is taken out of that and of its targets.
    """

    def __init__(self, gram: torch.Tensor, total: torch.Tensor, count: int, level: torch.Tensor):
        identity = torch.eye(len(level), dtype=torch.float64)
        self.level = level
        self.centring = identity - level
        variance = ((identity - 1 / len(level)) @ gram).trace().item() / len(level)  # what noise is relative to
        self.penalties = torch.tensor(INPUT_NOISES, dtype=torch.float64).square() * variance
        self.level_total = level @ total
        self.level_cross = self.centring @ gram @ level
        self.gram, self.total, self.count = self.centring @ gram @ self.centring.T, self.centring @ total, count
        self._values, self._vectors = torch.linalg.eigh(self.gram - torch.outer(self.total, self.total) / count)

    def solve(self, sums: Map, penalties: torch.Tensor) -> Map:
        """The best map for each of K penalties.

        Args:
            sums: over all windows, of centred look-back times label and of labels.
        """
        cross, total = sums
        wanted = self._vectors.T @ (cross - torch.outer(self.total, total) / self.count)
        strength = (self._values.clamp(min=0) + penalties.unsqueeze(1)).unsqueeze(2)
        # where constant channels say nothing and there is no penalty, nothing is the answer
        weights = self._vectors @ torch.where(strength > 0, wanted / strength, 0.0)
        return weights, (total - self.total @ weights) / self.count

    def products(self, weight: torch.Tensor, bias: torch.Tensor) -> Map:
        """Sums over all windows, of centred look-back times forecast and of forecasts."""
        return self.gram @ weight + torch.outer(self.total, bias), self.total @ weight + self.count * bias

    def of_raw(self, weights: torch.Tensor) -> torch.Tensor:
        """The maps of windows as they are, less the level, that are `weights` of the centred ones."""
        return weights - self.level.unsqueeze(1) * weights.sum(dim=-2, keepdim=True)


def solve(
    train: Sums, validation: Sums, level: torch.Tensor, teaching: Teaching | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A map of centred windows for each of `INPUT_NOISES`, `[K, L, S]` and `[K, S]`; validation errors `[K]`.

    Where targets are missing the map of least validation error is found to the end, the others nearly.
    """
    equations = _Equations(train, level, teaching)
    look_backs = equations.look_backs
    best, rounds = INPUT_NOISES.index(_FIRST_NOISE), 0
    nothing = tuple(torch.zeros_like(part) for part in equations.wanted)
    weights, biases = look_backs.solve(equations.labels(nothing), look_backs.penalties)
    for _ in range(_MAX_CHOICES):
        found, more = equations.solve((weights[best], biases[best]), look_backs.penalties[best])
        rounds += more
        weights, biases = look_backs.solve(equations.labels(found), look_backs.penalties)
        errors = validation.errors(look_backs.of_raw(weights) + level.unsqueeze(1), biases)
        chosen, best = best, int(errors.argmin())
        if best == chosen:
            break
    missing = 100 * (1 - train.known.mean().item() / train.count)
    if missing:
        logger.info(
            "%.3g %% of the train targets are missing: solved from the known ones in %d rounds", missing, rounds
        )
    return weights, biases, errors


class _Equations:
    """The normal equations, `products(map) + ridge(map) = wanted`.

    Args:
        train: the windows.
        level: see [`LookBacks`].
    """

    def __init__(self, train: Sums, level: torch.Tensor, teaching: Teaching | None):
        self.train = train
        self.look_backs = look_backs = LookBacks(train.gram, train.total, train.count, level)
        self.teaching = teaching
        # how much a forecast's error counts, were all windows alike in what is missing
        self.metric = torch.diag(train.known.clamp(min=1) / train.count)
        steps = len(train.known)
        of_level = train.products(level.unsqueeze(1).expand(-1, steps), torch.zeros(steps, dtype=torch.float64))
        cross = look_backs.centring @ (train.label_cross - of_level[0])
        total = train.label_total - of_level[1]
        if teaching is not None:
            self.metric = self.metric + teaching.pull
            said = look_backs.centring @ (teaching.cross + train.label_cross) - look_backs.level_cross.unsqueeze(1)
            cross = cross + said @ teaching.pull
            total = total + (teaching.total + train.label_total - look_backs.level_total) @ teaching.pull
        self._unweighted = torch.linalg.inv(self.metric)
        self.wanted = (cross, total)

    def products(self, found: Map) -> Map:
        """What the map's forecasts add to both sides, but for the ridge."""
        weight, bias = found
        cross, total = self.train.products(self.look_backs.of_raw(weight), bias)
        cross = self.look_backs.centring @ cross
        if self.teaching is None:
            return cross, total
        return tuple(
            known + every @ self.teaching.pull
            for known, every in zip((cross, total), self.look_backs.products(weight, bias), strict=True)
        )

    def labels(self, found: Map) -> Map:
        """Sums of labels that are what this map forecasts, corrected by what is known of its errors."""
        errors = (wanted - given for wanted, given in zip(self.wanted, self.products(found), strict=True))
        forecasts = self.look_backs.products(*found)
        return tuple(forecast + error @ self._unweighted for forecast, error in zip(forecasts, errors, strict=True))

    def solve(self, start: Map, penalty: torch.Tensor) -> tuple[Map, int]:
        """Conjugate gradients: the map for one penalty, and how many rounds that took."""

        def left_side(of: Map) -> Map:
            cross, total = self.products(of)
            return cross + penalty * of[0] @ self.metric, total

        def nearly(sums: Map) -> Map:
            weights, biases = self.look_backs.solve(
                tuple(part @ self._unweighted for part in sums), penalty.unsqueeze(0)
            )
            return weights[0], biases[0]

        least = _REST**2 * _inner(nearly(self.wanted), self.wanted)
        found = start
        rest = _add(self.wanted, left_side(found), -1.0)
        direction = step = nearly(rest)
        power = _inner(step, rest)
        rounds = 0
        while power > least and rounds < _MAX_ROUNDS:
            change = left_side(direction)
            size = power / _inner(direction, change)
            found, rest = _add(found, direction, size), _add(rest, change, -size)
            step = nearly(rest)
            power, before = _inner(step, rest), power
            direction = _add(step, direction, power / before)
            rounds += 1
        return found, rounds


def _add(one: Map, other: Map, factor: float) -> Map:
    return tuple(first + factor * second for first, second in zip(one, other, strict=True))


def _inner(one: Map, other: Map) -> float:
    return sum((first * second).sum().item() for first, second in zip(one, other, strict=True))
