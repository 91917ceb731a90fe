"""The objective: totals, terms of an epoch, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.supervised import TINY, regression
from cases.training import numbered_rows
from numpy.testing import assert_allclose
from skorch.callbacks import Callback
from torch.distributions import Normal, kl_divergence

from sknestedae import SupervisedAutoencoder
from sknestedae._networks._autoencoder import Outputs
from sknestedae._networks._batch import Batch, Subset
from sknestedae._tables._layout import Layout
from sknestedae._training._objective import Objective, cumulative_terms, divergence_weight
from sknestedae.blocks import DenseBlock, SpectrumBlock


def objective(**changes):
    settings = {
        "layouts": {"table": Layout(2)},
        "blocks": {"table": DenseBlock()},
        "target_layout": Layout(1),
        "target_block": DenseBlock(),
        "block_shares": {"table": 1.0},
        "reconstruction_loss": "squared_error",
        "prediction_loss": "squared_error",
        "reconstruction_weight": 1.0,
        "prediction_weight": 1.0,
        "l1": 0.0,
        "alpha": 0.0,
    }
    return Objective.supervised(**{**settings, **changes})


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("incomplete", [True, False])
@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
def test_totals_are_sums_whatever_the_chunks(monkeypatch, chunk_rows, incomplete, weights):
    monkeypatch.setattr("sknestedae._training._objective.CHUNK_ROWS", chunk_rows)
    rows = numbered_rows(incomplete=incomplete, weights=weights)
    totals = objective().totals(Subset(rows))
    weight = np.arange(23) + 1.0 if weights else np.ones(23)
    measured = rows.measured["table"].numpy() if incomplete else np.ones((23, 2))
    labelled = rows.labelled.numpy() if incomplete else np.ones((23, 1))
    assert (totals.rows, totals.weight) == (23, weight.sum())
    assert totals.entries["reconstruction"] == (weight[:, None] * measured).sum()
    assert totals.entries["prediction"] == (weight[:, None] * labelled).sum()


@pytest.mark.parametrize("batch_size", [7, 16, 60])
def test_a_metric_of_an_epoch_is_a_mean_over_rows(batch_size):
    """At a learning rate of almost 0 the batches cannot matter; means of batch means would."""
    X, y = regression()
    weight = np.linspace(0.1, 3, 60)
    settings = {**TINY, "max_iter": 1, "learning_rate_init": 1e-15}
    fits = [
        SupervisedAutoencoder(**settings, batch_size=size).fit(X, y, sample_weight=weight)
        for size in (batch_size, 60)
    ]
    assert_allclose(fits[0].history_, fits[1].history_, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [7, 16])
def test_gradients_of_batches_add_up_to_that_of_all_rows(batch_size):
    """A batch's gradient, times its share of the rows, is an unbiased part of the whole."""

    class Gradients(Callback):
        def __init__(self):
            self.total = 0.0

        def on_grad_computed(self, net, named_parameters, batch, **kwargs):
            share = len(batch) / net.totals_["train"].rows
            gradient = torch.cat([p.grad.ravel() for _, p in named_parameters])
            self.total = self.total + share * gradient

    X, y = regression()
    X[::7, 1] = np.nan
    y[::5] = np.nan
    weight = np.linspace(0.1, 3, 60)
    spies = []
    for size in (batch_size, 60):
        spy = Gradients()
        SupervisedAutoencoder(
            **{**TINY, "max_iter": 1, "learning_rate_init": 1e-15},
            batch_size=size,
            l1=0.1,
            callbacks=[spy],
        ).fit(X, y, sample_weight=weight)
        spies.append(spy.total.numpy())
    assert_allclose(spies[0], spies[1], rtol=1e-9, atol=1e-12)


def test_terms_are_a_list_and_only_of_what_there_is():
    assert [term.name for term in objective().terms] == ["reconstruction", "prediction"]
    without = objective(target_layout=None, prediction_weight=3.0)
    assert [term.name for term in without.terms] == list(without.weights) == ["reconstruction"]
    totals = without.totals(Subset(numbered_rows()))
    assert totals.entries == {"reconstruction": 46.0}
    assert without.factors(totals) == {"reconstruction": 1 / 46}


def test_a_term_without_entries_is_nan_and_adds_nothing():
    rows = numbered_rows()
    rows.labelled = torch.zeros(len(rows), 1, dtype=torch.bool)
    own = objective(reconstruction_weight=0.5)
    totals = own.totals(Subset(rows))
    assert own.factors(totals) == {"reconstruction": 0.5 / 46, "prediction": 0.0}
    terms = own.epoch_terms(
        {"reconstruction": torch.tensor(92.0), "prediction": torch.tensor(0.0)}, totals
    )
    assert terms["loss"] == 1.0
    assert np.isnan(terms["prediction"])


# -- several blocks

LAYOUTS = {"a": Layout(3), "b": Layout(1, (2,))}
N = 9


def several(block_shares=None, **changes):
    own = {
        "layouts": LAYOUTS,
        "blocks": dict.fromkeys(LAYOUTS, DenseBlock()),
        "target_layout": None,
        "block_shares": {"a": 0.5, "b": 0.5} if block_shares is None else block_shares,
    }
    return objective(**{**own, **changes})


def draw(layouts=LAYOUTS, incomplete=True, weights=True, seed=0):
    """Give rows, and what they are decoded to."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    values, decoded, measured = {}, {}, {}
    for name, layout in layouts.items():
        one_hot = [
            torch.eye(n, dtype=torch.float64)[torch.arange(N) % n] for n in layout.n_categories
        ]
        values[name] = torch.cat([normal(N, layout.n_numeric), *one_hot], dim=1)
        decoded[name] = normal(N, layout.n_values)
        if incomplete:
            measured[name] = normal(N, layout.n_columns) > -0.5
    weight = normal(N, 1).abs() if weights else None
    return Batch(values, measured, weight=weight), Outputs(normal(N, 2), decoded, None)


def loss_of(own, rows, outputs):
    """Give the loss of all rows, as training adds it up."""
    totals = own.totals(Subset(rows))
    factors, terms = own.factors(totals), own.data_terms(outputs, rows)
    total = sum(factors[name] * term for name, term in terms.items()).item()
    told = own.epoch_terms(terms, totals)
    assert told["loss"] == pytest.approx(total, rel=1e-12)
    return total, told


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.0, 1.0)])
@pytest.mark.parametrize("incomplete", [True, False])
@pytest.mark.parametrize("weights", [True, False])
def test_the_loss_is_the_mean_of_the_blocks_means_by_their_shares(shares, incomplete, weights):
    rows, outputs = draw(incomplete=incomplete, weights=weights)
    own = several(dict(zip(LAYOUTS, shares, strict=True)), reconstruction_weight=3.0)
    found, told = loss_of(own, rows, outputs)
    means = {}
    for name, layout in LAYOUTS.items():
        given, decoded = rows.values[name].numpy(), outputs.blocks[name].numpy()
        n = layout.n_numeric
        errors = (given[:, :n] - decoded[:, :n]) ** 2
        if layout.n_categories:
            logits = decoded[:, n:]
            log = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            errors = np.column_stack([errors, -(given[:, n:] * log).sum(axis=1)])
        known = rows.measured[name].numpy() if incomplete else np.ones(errors.shape)
        known = known * (rows.weight.numpy() if weights else 1.0)
        means[name] = (known * errors).sum() / known.sum()
        assert told[f"reconstruction__{name}"] == pytest.approx(means[name], rel=1e-12)
    expected = sum(share * means[name] for share, name in zip(shares, LAYOUTS, strict=True))
    assert told["reconstruction"] == pytest.approx(expected, rel=1e-12)
    assert found == pytest.approx(3.0 * expected, rel=1e-12)


def test_each_block_has_a_term_by_its_name():
    own = several(target_layout=Layout(1), prediction_weight=7.0, reconstruction_weight=4.0)
    assert own.weights == {
        "reconstruction__a": 2.0,
        "reconstruction__b": 2.0,
        "prediction": 7.0,
    }
    assert own.groups == {"reconstruction": {"reconstruction__a": 0.5, "reconstruction__b": 0.5}}
    assert objective().groups == {}  # of one block the term is the whole


@pytest.mark.parametrize("n_times", [2, 5])
def test_the_loss_does_not_depend_on_how_many_columns_a_block_has(n_times):
    """Its columns, once more: of a mean over all entries their block would count the more."""
    rows, outputs = draw()
    expected, _ = loss_of(several(), rows, outputs)
    layouts = {**LAYOUTS, "a": Layout(3 * n_times)}
    again = Batch(
        {**rows.values, "a": rows.values["a"].repeat(1, n_times)},
        {**rows.measured, "a": rows.measured["a"].repeat(1, n_times)},
        weight=rows.weight,
    )
    decoded = {**outputs.blocks, "a": outputs.blocks["a"].repeat(1, n_times)}
    own = several(layouts=layouts)
    found, _ = loss_of(own, again, outputs._replace(blocks=decoded))
    assert found == pytest.approx(expected, rel=1e-12)


def test_totals_are_of_each_block():
    rows, _ = draw()
    totals = several().totals(Subset(rows))
    for name in LAYOUTS:
        known = (rows.measured[name] * rows.weight).sum().item()
        assert totals.entries[f"reconstruction__{name}"] == pytest.approx(known, rel=1e-12)


class CubicBlock(DenseBlock):
    """A block with errors of its own, and a pose."""

    def errors(self, decoded, given, layout, loss):
        self.asked = (layout, loss)
        return (decoded - given).abs() ** 3

    def align(self, decoded, given, known, layout):
        self.known = known
        return decoded + 1


@pytest.mark.parametrize("incomplete", [True, False])
def test_a_block_s_own_errors_and_pose_are_those_of_the_loss(incomplete):
    rows, outputs = draw({"a": Layout(3)}, incomplete=incomplete)
    block = CubicBlock()
    own = objective(
        layouts={"a": Layout(3)},
        blocks={"a": block},
        block_shares={"a": 1.0},
        target_layout=None,
        reconstruction_loss="huber",
    )
    found = own.data_terms(outputs, rows)["reconstruction"].item()
    errors = (outputs.blocks["a"] + 1 - rows.values["a"]).abs() ** 3
    known = rows.measured["a"] * rows.weight if incomplete else rows.weight
    assert found == pytest.approx((errors * known).sum().item(), rel=1e-12)
    assert block.asked == (Layout(3), "huber")
    assert block.known is rows.measured.get("a")


def test_a_target_block_s_own_errors_are_those_of_the_prediction():
    rows, outputs = draw({"a": Layout(3)}, incomplete=False)
    target = rows.values["a"][:, :2] + 1
    rows = Batch(rows.values, target=target, labelled=target > 0, weight=rows.weight)
    prediction = outputs.blocks["a"][:, :2]
    own = several(
        layouts={"a": Layout(3)},
        block_shares={"a": 1.0},
        target_layout=Layout(2),
        target_block=CubicBlock(),
    )
    found = own.data_terms(outputs._replace(prediction=prediction), rows)["prediction"]
    expected = ((prediction - target).abs() ** 3 * rows.labelled * rows.weight).sum()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


# -- variational latents


def variational(n_rows=7, layouts=LAYOUTS, seed=0):
    """Give rows of numbers, and what they are decoded to, with densities of the latents."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    given = {name: normal(n_rows, layout.n_values) for name, layout in layouts.items()}
    decoded = {name: normal(n_rows, layout.n_values) for name, layout in layouts.items()}
    return Batch(given), Outputs(normal(n_rows, 2), decoded, None, normal(n_rows, 2))


def bound_of(rows, outputs, noise):
    """Give the evidence lower bound of each row, with the noise of each block's numbers."""
    latents = Normal(outputs.latents, (outputs.log_variance / 2).exp())
    bound = -kl_divergence(latents, Normal(0.0, 1.0)).sum(dim=1)
    for name, std in noise.items():
        bound = bound + Normal(outputs.blocks[name], std).log_prob(rows.values[name]).sum(dim=1)
    return bound


@pytest.mark.parametrize("n_columns", [1, 4])
def test_at_a_beta_of_1_the_loss_is_the_evidence_lower_bound(n_columns):
    """Negative, times 2 / n_columns and but for the constant of the normal density."""
    layouts = {"table": Layout(n_columns)}
    rows, outputs = variational(layouts=layouts)
    own = objective(layouts=layouts, target_layout=None, beta=1.0)
    found, told = loss_of(own, rows, outputs)
    bound = bound_of(rows, outputs, {"table": 1.0}).mean().item()
    assert found == pytest.approx(-2 / n_columns * bound - np.log(2 * np.pi), rel=1e-12)
    divergence = kl_divergence(
        Normal(outputs.latents, (outputs.log_variance / 2).exp()), Normal(0.0, 1.0)
    )
    assert told["divergence"] == pytest.approx(divergence.sum(dim=1).mean().item(), rel=1e-12)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1)])
def test_of_several_blocks_the_shares_say_how_large_the_noise_is(shares):
    """A block's variance is its share of the columns by its share of the error."""
    layouts = {"a": Layout(3), "b": Layout(5)}
    rows, outputs = variational(layouts=layouts)
    own = several(
        dict(zip(layouts, shares, strict=True)),
        layouts=layouts,
        blocks=dict.fromkeys(layouts, DenseBlock()),
        beta=1.0,
    )
    found, _ = loss_of(own, rows, outputs)
    noise = {
        name: (layout.n_columns / 8 / share) ** 0.5
        for (name, layout), share in zip(layouts.items(), shares, strict=True)
    }
    bound = bound_of(rows, outputs, noise).mean().item()
    constant = sum(layouts[name].n_columns * np.log(2 * np.pi * s**2) for name, s in noise.items())
    assert found == pytest.approx(2 / 8 * (-bound - constant / 2), rel=1e-12)


def test_the_divergence_has_the_weight_of_beta_and_of_rows():
    assert divergence_weight(3.0, LAYOUTS) == 2 * 3.0 / 5
    layouts = {"table": Layout(4)}
    rows, outputs = variational(layouts=layouts)
    weighted = Batch(rows.values, weight=torch.arange(7.0, dtype=torch.float64)[:, None])
    repeated = torch.repeat_interleave(torch.arange(7), torch.arange(7))
    own = objective(layouts=layouts, target_layout=None, beta=0.7)
    found, told = loss_of(own, weighted, outputs)
    of_rows = Outputs(
        outputs.latents[repeated],
        {"table": outputs.blocks["table"][repeated]},
        None,
        outputs.log_variance[repeated],
    )
    expected, of_repeated = loss_of(own, rows[repeated], of_rows)
    assert found == pytest.approx(expected, rel=1e-12)
    assert told["divergence"] == pytest.approx(of_repeated["divergence"], rel=1e-12)


def test_the_divergence_alone_warms_up():
    layouts = {"table": Layout(4)}
    own = objective(layouts=layouts, beta=2.0, target_layout=Layout(1))
    assert own.warms_up
    assert not objective(layouts=layouts).warms_up
    rows = Batch({"table": torch.zeros(5, 4)}, target=torch.zeros(5, 1))
    totals = own.totals(Subset(rows))
    assert totals.entries["divergence"] == 5  # one a row
    factors = {share: own.factors(totals, share) for share in (0.0, 0.25, 1.0)}
    assert factors[1.0] == own.factors(totals)
    for share, found in factors.items():
        assert found["divergence"] == share * 2 * 2.0 / 4 / 5
        for name in ("reconstruction", "prediction"):
            assert found[name] == factors[1.0][name]


def test_blocks_that_ask_for_it_have_a_term_of_cumulative_distributions():
    spectrum = SpectrumBlock(cumulative_weight=3.0)
    scales = {
        name: (torch.full((2,), mean), torch.ones(2))
        for name, mean in (("table", 0.0), ("a", 1.0), ("b", 2.0), (None, 3.0))
    }
    made = objective(
        layouts={name: Layout(2) for name in ("table", "a", "b")},
        blocks={"table": DenseBlock(), "a": spectrum, "b": SpectrumBlock()},
        target_block=spectrum,
        target_layout=Layout(2),
        block_shares={"table": 0.5, "a": 0.2, "b": 0.3},
        prediction_weight=4.0,
        scales=scales,
    )
    found = {term.name: term for term in cumulative_terms(made.terms, scales)}
    assert set(found) == {"reconstruction__a__cumulative", "prediction__cumulative"}
    assert {name for name in (term.name for term in made.terms) if "cumulative" in name} == set(
        found
    )
    assert found["prediction__cumulative"].weight == 12.0
    assert found["prediction__cumulative"].mean.tolist() == [3.0, 3.0]
    own = found["reconstruction__a__cumulative"]
    assert own.weight == pytest.approx(3 * own.base.weight)
    assert own.mean.tolist() == [1.0, 1.0]
    assert not cumulative_terms(objective().terms, {})
