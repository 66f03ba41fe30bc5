"""Which candidates there are, and what validation makes of them."""

import itertools

import numpy as np
import pytest
import torch

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf._utils.errors import InputError
from timedistill_hf.distillation.candidates import Candidate, find_candidates, select, validation_products

from .conftest import CHANNELS, CONTEXT, HORIZON


BASE = {"context_length": CONTEXT, "prediction_length": HORIZON, "num_input_channels": CHANNELS, "hidden_size": 8}


@pytest.fixture
def base():
    return TimeDistillConfig(**BASE, architecture="linear", loss="mae", frequency_weight=0.35, patch_length=8)


def form(architecture: str, **fields) -> dict:
    return {"architecture": architecture} | fields


def trained_on(member: dict, base: TimeDistillConfig, seed: int) -> TimeDistillForPrediction:
    torch.manual_seed(seed)
    model = TimeDistillForPrediction(Candidate(member).config(base)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


class TestForms:
    def test_what_a_form_says_holds_and_the_rest_is_the_base(self, base):
        config = Candidate(
            form("residual", normalization="last", core="patch_mixer", hidden_size=4, dropout=0.25)
        ).config(base)
        assert (config.architecture, config.normalization, config.core) == ("residual", "last", "patch_mixer")
        assert (config.hidden_size, config.dropout) == (4, 0.25)
        assert (config.loss, config.frequency_weight, config.context_length) == ("mae", 0.35, CONTEXT)
        assert not config.is_channel_bound

    def test_a_named_loss_leaves_out_the_spectra(self, base):
        config = Candidate(form("linear", loss="mse")).config(base)
        assert (config.loss, config.frequency_weight) == ("mse", 0.0)

    @pytest.mark.parametrize(
        ("member", "message"),
        [
            (form("linear", members=3), "'linear members=3' sets 'members', expected one of"),
            (form("linear", num_input_channels=5), "sets 'num_input_channels'"),
            (form("linear", revin_affine="yes"), "'linear yes': "),
            (form("linear", normalization="median"), "'linear median': "),
            (form("residual", hidden_size="wide"), "'residual wide': "),
            (form("residual", hiden_size=4), "sets 'hiden_size'; did you mean 'hidden_size'?"),
            (form("linear", ridge="yes"), "ridge='yes', expected true or false"),
            (form("lstm"), "'lstm': "),
            ({"normalization": ["a"]}, "members: "),
            (
                form("residual", ridge=True),
                "'residual ridge': only 'linear' with a normalization of none, mean, last has a closed form",
            ),
            (
                form("linear", normalization="revin", ridge=True),
                "only 'linear' with a normalization of none, mean, last",
            ),
            (form("linear", ridge=True, loss="mae"), "'linear mae ridge': a closed form is of squared errors"),
            (form("residual", hidden_size=0), "hidden_size=0: expected a positive number"),
            (form("periodic", period=99), "period=99: expected at most the 48 steps"),
        ],
    )
    def test_what_is_not_understood_is_named(self, base, member, message):
        with pytest.raises(InputError) as caught:
            Candidate(member).config(base)
        assert message in str(caught.value)


class TestFindCandidates:
    def test_every_form_with_every_pair_once(self, base):
        found = find_candidates([form("linear"), form("residual")], ["0,0", "0.5,0", "0.5,1"], base)
        pairs = [(candidate.form, candidate.alpha, candidate.beta) for candidate in found]
        # a linear form has no feature: its beta is 0, and what is then the same is there once
        assert pairs == [
            ("linear", 0, 0), ("linear", 0.5, 0), ("residual", 0, 0), ("residual", 0.5, 0), ("residual", 0.5, 1),
        ]  # fmt: skip
        assert len({candidate.name for candidate in found}) == 5
        assert not any(set(candidate.name) & set("/:=\\ ") for candidate in found)

    @pytest.mark.parametrize("pair", ["1", "a,b", "-1,0", "1,inf", "1,2,3", "nan,0"])
    def test_pairs_that_are_none(self, base, pair):
        with pytest.raises(InputError, match=r"teacher_weights: .*expected alpha,beta"):
            find_candidates([form("linear")], [pair], base)


def test_two_forms_that_are_the_same_are_refused(base):
    with pytest.raises(InputError, match="'linear mean' is the same as 'linear'"):
        find_candidates([form("linear"), form("linear", normalization="mean")], ["0,0"], base)


def test_two_solved_forms_that_differ_in_noise_are_the_same(base):
    """Validation chooses it, whatever they say."""
    with pytest.raises(InputError, match=r"'linear input_noise=0\.2 ridge' is the same as 'linear ridge'"):
        find_candidates([form("linear", ridge=True), form("linear", ridge=True, input_noise=0.2)], ["0,0"], base)


def test_the_closed_form_is_a_candidate_of_its_own(base):
    solved, trained = find_candidates(
        [form("linear", ridge=True), form("linear", loss="mse", input_noise=0.4)], ["0,0"], base
    )
    assert (solved.is_solved, trained.is_solved) == (True, False)
    assert solved.config(base).to_dict() == trained.config(base).to_dict()  # what is trained where it cannot be solved


class TestSelect:
    FORMS = {
        "linear": form("linear"),
        "linear:last": form("linear", normalization="last"),
        "periodic:period=12": form("periodic", period=12),
        "residual:last": form("residual", normalization="last"),
    }

    @pytest.fixture
    def models(self, base):
        return {name: trained_on(self.FORMS[name], base, seed) for seed, name in enumerate(self.FORMS)}

    def test_products_are_those_of_all_validation_errors(self, models, data):
        products = validation_products(models, data, batch_size=10)
        windows = [data.validation[index] for index in range(len(data.validation))]
        past, truth = (torch.stack([window[name] for window in windows]) for name in ("past_values", "future_values"))
        with torch.no_grad():
            errors = [(model(past).prediction_outputs - truth).flatten().numpy() for model in models.values()]
        expected = np.array([[np.mean(a.astype(float) * b) for b in errors] for a in errors])
        np.testing.assert_allclose(products, expected, rtol=1e-5)

    def test_no_weights_on_a_grid_are_better(self, models, data):
        products = validation_products(models, data, batch_size=32)
        selection = select(models, products, shrinkage=0.0, max_parameters=10**9, loss={}, label="student")
        steps = np.linspace(0, 1, 11)
        grid = [w for w in itertools.product(steps, repeat=len(models)) if abs(sum(w) - 1) < 1e-9]
        least = min(np.array(w) @ products.numpy() @ np.array(w) for w in grid)
        assert selection.error <= least + 1e-9
        assert sum(selection.weights.values()) == pytest.approx(1)
        assert selection.errors == dict(zip(models, products.diagonal().tolist(), strict=True))

    def test_the_student_forecasts_the_weighted_sum_with_the_error_that_was_said(self, models, data):
        with torch.no_grad():  # worse, so that the residual form is wanted beside them
            for form in ("linear", "linear:last", "periodic:period=12"):
                for parameter in models[form].parameters():
                    parameter.mul_(3)
        products = validation_products(models, data, batch_size=32)
        selection = select(models, products, shrinkage=0.3, max_parameters=10**9, loss={}, label="student")
        (again,) = validation_products({"student": selection.student}, data, batch_size=32).flatten().tolist()
        assert again == pytest.approx(selection.error, rel=1e-5)
        # all linear members and the linear path of the residual one are one map
        assert [member["architecture"] for member in selection.student.config.members] == ["linear", "mlp"]

    def test_little_weight_is_none(self, base, data):
        good, bad = trained_on(form("linear"), base, 0), trained_on(form("linear"), base, 1)
        with torch.no_grad():
            bad.backbone.projection.bias.add_(50)
        models = {"good": good, "bad": bad}
        selection = select(
            models,
            validation_products(models, data, 32),
            shrinkage=0.01,
            max_parameters=10**9,
            loss={},
            label="student",
        )
        assert selection.weights == {"good": 1.0, "bad": 0.0}
        for name, parameter in good.state_dict().items():
            torch.testing.assert_close(selection.student.state_dict()[name], parameter)

    def test_the_pull_is_within_a_kind(self, models):
        """Two linear models with errors of squares 1 and 2, apart from each other's and a residual one's of 1."""
        kept = {name: models[name] for name in ("linear", "linear:last", "residual:last")}
        products = torch.diag(torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64))
        selection = select(kept, products, shrinkage=1e6, max_parameters=10**9, loss={}, label="student")
        linear, last, residual = selection.weights.values()
        assert linear == pytest.approx(last, abs=1e-4)
        assert residual == pytest.approx(0.75 / 1.75, abs=1e-4)  # beside a mean of square 3/4

    def test_it_keeps_to_the_size(self, models, data):
        products = validation_products(models, data, batch_size=32)
        linear = CONTEXT * HORIZON + HORIZON
        selection = select(models, products, shrinkage=0.3, max_parameters=linear, loss={}, label="student")
        assert selection.student.num_parameters() == linear
        assert selection.weights["residual:last"] == 0.0
        assert min(weight for form, weight in selection.weights.items() if form != "residual:last") > 0

    def test_a_size_that_nothing_has_is_refused(self, models, data):
        products = validation_products(models, data, batch_size=32)
        with pytest.raises(InputError, match="max_parameters=3: the smallest member has "):
            select(models, products, shrinkage=0.0, max_parameters=3, loss={}, label="student")

    def test_the_best_member_is_left_out_where_it_is_too_large(self, models, data):
        products = validation_products(models, data, batch_size=32)
        products[-1, :] = products[:, -1] = 0.0  # as if it were perfect
        linear = CONTEXT * HORIZON + HORIZON
        selection = select(models, products, shrinkage=0.0, max_parameters=linear, loss={}, label="student")
        assert selection.weights["residual:last"] == 0.0
        assert selection.student.num_parameters() <= linear

    def test_nan_names_the_candidate(self, models, data):
        with torch.no_grad():
            models["linear:last"].backbone.projection.bias.fill_(float("nan"))
        with pytest.raises(InputError, match="candidate linear:last forecasts NaN"):
            validation_products(models, data, batch_size=32)
