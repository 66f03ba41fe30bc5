"""Products of errors and the best convex weights, against plain loops, grids and the optimality conditions."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import CHANNELS, CONTEXT, HORIZON
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data.windows import WindowDataset
from timedistill_hf.evaluation.mixing import convex_weights, error_products
from timedistill_hf.student.modeling_timedistill import TimeDistillOutput


class LastSteps(torch.nn.Module):
    """Repeats what it saw, scaled; refuses to be told more."""

    def __init__(self, factor):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(float(factor)))

    def forward(self, past_values, past_observed_mask=None):
        return TimeDistillOutput(prediction_outputs=self.factor * past_values[:, -HORIZON:])


def rows_of(seed, missing):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(CONTEXT + HORIZON + 20, CHANNELS, generator=generator)
    observed = torch.rand(values.shape, generator=generator) > 0.3 if missing else None
    return values, observed


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("batch_size", [1, 8, 100])
def test_error_products_are_those_of_a_plain_loop(missing, batch_size):
    values, observed = rows_of(0, missing)
    windows = WindowDataset(values, (CONTEXT, len(values)), CONTEXT, HORIZON, observed)
    models = [LastSteps(factor).train() for factor in (0.0, 0.5, 1.0)]
    expected, entries = torch.zeros(3, 3, dtype=torch.float64), 0
    for index in range(len(windows)):
        item = windows[index]
        for step, channel in itertools.product(range(HORIZON), range(CHANNELS)):
            if observed is not None and not item["future_observed_mask"][step, channel]:
                continue
            last = item["past_values"][CONTEXT - HORIZON + step, channel].double()
            errors = [f * last - item["future_values"][step, channel].double() for f in (0.0, 0.5, 1.0)]
            entries += 1
            for i, j in itertools.product(range(3), range(3)):
                expected[i, j] += errors[i] * errors[j]
    found = error_products(models, windows, batch_size)
    assert found.dtype == torch.float64
    assert torch.allclose(found, expected / entries, rtol=1e-6)
    assert not any(model.training for model in models)
    assert not found.requires_grad


def test_what_is_hidden_by_the_mask_does_not_count():
    values, observed = rows_of(1, missing=True)
    windows = WindowDataset(values, (CONTEXT, len(values)), CONTEXT, HORIZON, observed)
    hidden = torch.where(observed, values, torch.nan)
    others = WindowDataset(values.clone(), (CONTEXT, len(values)), CONTEXT, HORIZON, observed)
    others.values[CONTEXT:] = hidden[CONTEXT:]
    assert others[0]["future_values"].isnan().any()

    class Constant(torch.nn.Module):
        def forward(self, past_values, **inputs):
            return TimeDistillOutput(prediction_outputs=torch.zeros(len(past_values), HORIZON, CHANNELS))

    constant = Constant()
    assert torch.equal(error_products([constant], windows), error_products([constant], others))
    nothing = WindowDataset(values, (CONTEXT, len(values)), CONTEXT, HORIZON, torch.zeros_like(observed))
    with pytest.raises(InputError, match="hold no observed truth"):
        error_products([constant], nothing)


def gram(seed, k, rank, spread=0.0):
    """Products of errors of k forecasters that err in `rank` directions, of sizes that differ by powers of ten."""
    generator = torch.Generator().manual_seed(seed)
    errors = torch.randn(k, rank, generator=generator, dtype=torch.float64) + 1
    sizes = 10 ** (spread * (torch.rand(k, 1, generator=generator, dtype=torch.float64) - 0.5))
    return (errors * sizes) @ (errors * sizes).T / rank


def objective(weights, products, shrinkage=0.0):
    k = len(products)
    pull = shrinkage * products.diagonal().min() * (weights - 1 / k).square().sum(-1)
    return torch.einsum("...i,ij,...j->...", weights, products, weights) + pull


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 10.0])
def test_no_point_of_a_grid_is_better(k, shrinkage):
    ticks = torch.arange(401, dtype=torch.float64) / 400
    grid = torch.cartesian_prod(*[ticks] * (k - 1)).reshape(-1, k - 1)
    grid = grid[grid.sum(dim=1) <= 1]
    grid = torch.cat([grid, 1 - grid.sum(dim=1, keepdim=True)], dim=1)
    for seed in range(8):
        products = gram(seed, k, rank=4, spread=1.0)
        weights = convex_weights(products, shrinkage)
        values = objective(grid, products, shrinkage)
        found = objective(weights, products, shrinkage)
        assert found <= values.min() + 1e-9
        assert found >= values.min() - 1e-4 * values.min()
        if shrinkage:
            assert (weights - grid[values.argmin()]).abs().max() < 0.01


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 2**31), k=st.integers(1, 8), rank=st.integers(1, 10), spread=st.sampled_from([0.0, 2.0, 6.0]),
    shrinkage=st.sampled_from([0.0, 0.0, 0.1, 5.0]),
)  # fmt: skip
def test_the_optimality_conditions_hold_however_singular(seed, k, rank, spread, shrinkage):
    """No direction inside the simplex goes down: each slope is at least the mean one; those in use are equal to it."""
    products = gram(seed, k, rank, spread)
    weights = convex_weights(products, shrinkage)
    assert weights.dtype == torch.float64
    assert bool((weights >= 0).all())
    assert weights.sum().item() == pytest.approx(1, abs=1e-9)
    least = products.diagonal().min()
    slopes = products @ weights + shrinkage * least * (weights - 1 / k)
    mean = weights @ slopes
    tolerance = 1e-7 * least + 1e-9 * products.diagonal().max()  # products are no more exact than the forecasts
    assert bool((slopes >= mean - tolerance).all())
    assert bool((weights * (slopes - mean) <= tolerance).all())
    assert torch.equal(convex_weights(products, shrinkage), weights)


def test_known_best_weights():
    two = torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    assert convex_weights(two).tolist() == pytest.approx([0.8, 0.2], abs=1e-6)
    worse = torch.tensor([[1.0, 1.5], [1.5, 4.0]])  # whatever the second adds is already in the first
    assert convex_weights(worse).tolist() == [1.0, 0.0]
    same = torch.full((3, 3), 0.5)
    assert convex_weights(same).tolist() == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert convex_weights(torch.zeros(2, 2)).tolist() == pytest.approx([0.5, 0.5], abs=1e-6)
    assert convex_weights(torch.diag(torch.tensor([1.0, 0.0]))).tolist() == pytest.approx([0, 1], abs=1e-6)
    assert convex_weights(two, shrinkage=1e6).tolist() == pytest.approx([0.5, 0.5], abs=1e-5)
    assert convex_weights(torch.tensor([[3.0]])).tolist() == [1.0]
    wild = torch.diag(torch.tensor([1.0, 1.0, 1e30], dtype=torch.float64))
    assert convex_weights(wild).tolist() == pytest.approx([0.5, 0.5, 0], abs=1e-6)


@pytest.mark.parametrize("shrinkage", [0.3, 3.0])
def test_within_groups_no_point_of_a_grid_is_better(shrinkage):
    """The pull is towards the mean weight of each group, which is free."""
    ticks = torch.arange(41, dtype=torch.float64) / 40
    grid = torch.cartesian_prod(*[ticks] * 3)
    grid = grid[grid.sum(dim=1) <= 1]
    grid = torch.cat([grid, 1 - grid.sum(dim=1, keepdim=True)], dim=1)

    def value(weights, products):
        first, second = weights[..., [0, 2]], weights[..., [1, 3]]
        apart = sum((pair - pair.mean(dim=-1, keepdim=True)).square().sum(dim=-1) for pair in (first, second))
        return objective(weights, products) + shrinkage * products.diagonal().min() * apart

    for seed in range(8):
        products = gram(seed, 4, rank=5, spread=1.0)
        weights = convex_weights(products, shrinkage, ["a", "b", "a", "b"])
        assert value(weights, products) <= value(grid, products).min() + 1e-9


def test_groups_make_their_own_alike_and_take_nothing_from_each_other():
    products = torch.diag(torch.tensor([1.0, 4.0, 2.0, 2.0], dtype=torch.float64))
    weights = convex_weights(products, 1e6, ["a", "a", "b", "b"])
    assert weights[0].item() == pytest.approx(weights[1].item(), abs=1e-4)
    # two means of two: squares 5/4 and 1
    assert weights[:2].sum().item() == pytest.approx(1 / (1 + 1.25), abs=1e-4)
    one_each = convex_weights(products, 1e6, list("abcd"))
    assert one_each.tolist() == pytest.approx(convex_weights(products).tolist(), abs=1e-9)


def test_what_are_no_products_is_refused():
    with pytest.raises(InputError, match=r"of shape \(2, 3\): expected \[K, K\]"):
        convex_weights(torch.ones(2, 3))
    with pytest.raises(InputError, match="hold NaN or infinite values"):
        convex_weights(torch.tensor([[1.0, torch.nan], [torch.nan, 1.0]]))
    with pytest.raises(InputError, match="with a negative square: give float64 ones"):
        convex_weights(torch.tensor([[1.0, -3.0], [-3.0, 1.0]]))
    with pytest.raises(InputError, match=r"shrinkage=-1: expected 0 or more"):
        convex_weights(torch.eye(2), shrinkage=-1)
    with pytest.raises(InputError, match="1 groups for 2 forecasters: expected one each"):
        convex_weights(torch.eye(2), 0.1, ["a"])
