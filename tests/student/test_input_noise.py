"""Noise on the window: in training only, of the size that is said, and a ridge penalty for a linear map."""

import pytest
import torch

from tests.student.models import tiny
from timedistill_hf.student import combine


LENGTH, HORIZON = 29, 10


def test_there_is_none_in_evaluation_and_none_at_zero():
    values = torch.randn(2, LENGTH, 3)
    noisy = tiny("linear", input_noise=0.7)
    assert torch.equal(noisy(values).prediction_outputs, noisy(values).prediction_outputs)
    plain = tiny("linear").train()
    assert torch.equal(plain(values).prediction_outputs, plain(values).prediction_outputs)
    noisy.train()
    assert not torch.equal(noisy(values).prediction_outputs, noisy(values).prediction_outputs)


@pytest.mark.parametrize("normalization", ["none", "mean", "last", "revin"])
def test_its_deviation_is_a_share_of_the_windows(normalization):
    model = tiny("linear", normalization=normalization, input_noise=0.5).train()
    values = torch.randn(1, LENGTH, 2) * torch.tensor([0.1, 10.0]) + 3
    loc, scale = model.normalization.statistics(values)
    centred = model.normalization.normalize(values, loc, scale)
    noise = torch.stack([model.normalization.perturb(centred) - centred for _ in range(4000)])
    expected = 0.5 * centred.std(dim=1, correction=0).expand(LENGTH, 2)
    torch.testing.assert_close(noise.std(dim=0)[0], expected, rtol=0.06, atol=0)
    assert noise.mean(dim=0).abs().max() < 0.05 * expected.max()


def test_the_mean_squared_error_grows_by_a_ridge_penalty():
    noise = 0.6
    model = tiny("linear", input_noise=noise)
    values, truth = torch.randn(3, LENGTH, 2), torch.randn(3, HORIZON, 2)
    with torch.no_grad():
        clean = model(values, future_values=truth).loss.item()
        variance = values.var(dim=1, correction=0).mean().item()
        weights = model.backbone.projection.weight.square().sum(dim=1).mean().item()
        model.train()
        mean = sum(model(values, future_values=truth).loss.item() for _ in range(6000)) / 6000
    assert mean - clean == pytest.approx(noise**2 * variance * weights, rel=0.03)


def test_members_of_a_combination_have_their_own():
    combination = combine([tiny("linear", input_noise=0.5), tiny("linear")], [0.5, 0.5]).train()
    values = torch.randn(1, LENGTH, 1)
    noisy, plain = combination.backbone.members
    windows = values.transpose(1, 2)
    assert not torch.equal(noisy(windows)[0], noisy(windows)[0])
    assert torch.equal(plain(windows)[0], plain(windows)[0])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_combination_adds_none_of_its_own(order):
    students = [tiny("linear", normalization="last", input_noise=0.5), tiny("linear")]
    combination = combine(
        [students[index] for index in order], [0.0 if index == 0 else 1.0 for index in order]
    ).train()
    values = torch.randn(1, LENGTH, 1)
    assert torch.equal(combination(values).prediction_outputs, combination(values).prediction_outputs)


def test_less_than_nothing_is_refused():
    with pytest.raises(Exception, match="input_noise=-1"):
        tiny("linear", input_noise=-1.0)
