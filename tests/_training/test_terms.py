"""The named terms of the objective: which entries they are of, and what their errors are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from sknestedae._networks._autoencoder import Outputs
from sknestedae._networks._batch import Batch, Subset
from sknestedae._tables._layout import Layout
from sknestedae._training._objective import Objective
from sknestedae._training._terms import (
    AlignmentTerm,
    CumulativeTerm,
    DivergenceTerm,
    PredictionTerm,
    ReconstructionTerm,
    add_up,
    any_present,
    both,
    of_sources,
    sum_errors,
    times,
    with_mean,
)
from sknestedae.blocks import DenseBlock
from sknestedae.blocks._losses import block_error, cumulative_errors

N = 9

# -- sums of errors


class SpeltOut(DenseBlock):
    """The errors that every block has, by the general way."""

    def errors(self, decoded, given, layout, loss):
        return super().errors(decoded, given, layout, loss)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize("layout", [Layout(3), Layout(2, (3, 2)), Layout(0, (2,))], ids=str)
@pytest.mark.parametrize("n_networks", [None, 4])
@pytest.mark.parametrize("weight", ["none", "rows", "entries"])
def test_errors_of_a_block_have_the_sum_of_the_faster_ways(loss, layout, n_networks, weight):
    shape = (N,) if n_networks is None else (n_networks, N)
    generator = torch.Generator().manual_seed(0)
    decoded, given = torch.randn(2, *shape, layout.n_values, generator=generator).double()
    for group in layout.groups():
        given[..., group] = given[..., group].softmax(dim=-1)
    entries = torch.rand(*shape, layout.n_columns, generator=generator).double()
    weights = {"none": None, "rows": entries[..., :1], "entries": entries}[weight]
    found = sum_errors(SpeltOut(), decoded, given, layout, loss, weights)
    assert found.shape == shape[:-1]
    expected = block_error(decoded, given, layout, loss, weights)
    torch.testing.assert_close(found, expected.expand(shape[:-1]), rtol=1e-12, atol=0)
    torch.testing.assert_close(
        sum_errors(DenseBlock(), decoded, given, layout, loss, weights), expected, rtol=0, atol=0
    )


def test_sums_of_none_are_none():
    assert add_up([]) is None
    assert add_up(iter([torch.tensor(1.0), torch.tensor(2.0)])).item() == 3.0


# -- which rows have which blocks

LAYOUTS = {"a": Layout(3), "b": Layout(1, (2,)), "c": Layout(2)}
# of each row, whether it has the blocks; every row has one at least
PRESENT = torch.tensor(
    [[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
).bool()
N_ROWS, N_LATENTS = len(PRESENT), 2


def draw(incomplete=True, weights=False, labels="some"):
    """Give rows, and what the encoder of each block gives of them."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    values, measured = {}, {}
    for k, (name, layout) in enumerate(LAYOUTS.items()):
        one_hot = [
            torch.eye(n, dtype=torch.float64)[torch.arange(N_ROWS) % n]
            for n in layout.n_categories
        ]
        values[name] = torch.cat([normal(N_ROWS, layout.n_numeric), *one_hot], dim=1)
        if incomplete:
            measured[name] = PRESENT[:, k : k + 1].expand(-1, layout.n_columns).clone()
    if incomplete:
        measured["a"][0, 1] = False  # of a block that is there, not all was measured
    sources = {
        name: Outputs(
            normal(N_ROWS, N_LATENTS),
            {target: normal(N_ROWS, own.n_values) for target, own in LAYOUTS.items()},
            normal(N_ROWS, 1),
            normal(N_ROWS, N_LATENTS),
        )
        for name in LAYOUTS
    }
    rows = Batch(
        values,
        measured,
        target=None if labels == "none" else normal(N_ROWS, 1),
        labelled=normal(N_ROWS, 1) > 0 if labels == "some" else None,
        weight=normal(N_ROWS, 1).abs() + 0.1 if weights else None,
    )
    of_all = Outputs(
        normal(N_ROWS, N_LATENTS),
        {target: normal(N_ROWS, own.n_values) for target, own in LAYOUTS.items()},
        normal(N_ROWS, 1),
        normal(N_ROWS, N_LATENTS),
        sources,
    )
    return rows, of_all


def present(rows, name):
    own = rows.presence(name)
    return np.ones(N_ROWS, bool) if own is None else own[:, 0].numpy()


def weights_of(rows):
    return np.ones(N_ROWS) if rows.weight is None else rows.weight[:, 0].numpy()


def mean_of(term, rows, outputs):
    """Give the mean of a term over a data set, as training has it."""
    own = Objective([term], block_shares={}, groups={}, l1=0.0, alpha=0.0)
    totals = own.totals(Subset(rows))
    return own.epoch_terms(own.data_terms(outputs, rows), totals)[term.name]


def squares(decoded, given, layout):
    """Give the errors of entries: squares of numbers, the cross-entropy of a category."""
    n = layout.n_numeric
    errors = ((decoded - given)[:, :n] ** 2).numpy()
    if layout.n_categories:
        log = torch.log_softmax(decoded[:, n:], dim=1)
        errors = np.column_stack([errors, -(given[:, n:] * log).sum(dim=1).numpy()])
    return errors


every = pytest.mark.parametrize("weights", [False, True])
each = pytest.mark.parametrize("incomplete", [False, True])


@every
@each
@pytest.mark.parametrize("target", LAYOUTS)
@pytest.mark.parametrize("source", LAYOUTS)
def test_a_translation_is_of_the_rows_that_have_both_blocks(source, target, incomplete, weights):
    rows, outputs = draw(incomplete, weights)
    term = ReconstructionTerm(
        "t", target, DenseBlock(), LAYOUTS[target], "squared_error", 1.0, source
    )
    decoded = outputs.sources[source].blocks[target]
    errors = squares(decoded, rows.values[target], LAYOUTS[target])
    known = np.ones(errors.shape) if target not in rows.measured else rows.measured[target].numpy()
    weight = known * (present(rows, source) * weights_of(rows))[:, None]
    expected = (weight * errors).sum() / weight.sum()
    assert mean_of(term, rows, outputs) == pytest.approx(expected, rel=1e-12)


@every
def test_without_a_source_a_reconstruction_is_of_the_common_latents(weights):
    rows, outputs = draw(weights=weights)
    term = ReconstructionTerm("t", "c", DenseBlock(), LAYOUTS["c"], "squared_error", 1.0)
    errors = squares(outputs.blocks["c"], rows.values["c"], LAYOUTS["c"])
    weight = rows.measured["c"].numpy() * weights_of(rows)[:, None]
    expected = (weight * errors).sum() / weight.sum()
    assert mean_of(term, rows, outputs) == pytest.approx(expected, rel=1e-12)


def mean_over_sources(of_source, rows):
    """Give the mean over the blocks of each row, of something of shape (n_rows,) of each."""
    has = np.array([present(rows, name) for name in LAYOUTS])
    values = np.array([of_source(name) for name in LAYOUTS])
    return (has * values).sum(axis=0) / has.sum(axis=0)


@every
@each
@pytest.mark.parametrize("labels", ["some", "all"])
def test_a_row_is_predicted_once_however_many_blocks_it_has(labels, incomplete, weights):
    rows, outputs = draw(incomplete, weights, labels)
    term = PredictionTerm(DenseBlock(), Layout(1), "squared_error", 1.0, tuple(LAYOUTS))
    errors = mean_over_sources(
        lambda name: ((outputs.sources[name].prediction - rows.target) ** 2)[:, 0].numpy(), rows
    )
    known = np.ones(N_ROWS) if rows.labelled is None else rows.labelled[:, 0].numpy()
    weight = known * weights_of(rows)
    expected = (weight * errors).sum() / weight.sum()
    assert mean_of(term, rows, outputs) == pytest.approx(expected, rel=1e-12)


@every
@pytest.mark.parametrize("labels", ["some", "all"])
def test_the_mean_of_the_latents_predicts_beside_each(labels, weights):
    """Of a row with several blocks it is one more; of a row with one, the same as that one."""
    rows, outputs = draw(True, weights, labels)
    term = PredictionTerm(
        DenseBlock(), Layout(1), "squared_error", 1.0, tuple(LAYOUTS), has_mean=True
    )

    def errors_of(own):
        return ((own.prediction - rows.target) ** 2)[:, 0].numpy()

    has = np.array([present(rows, name) for name in LAYOUTS])
    n_blocks = has.sum(axis=0)
    total = (has * [errors_of(outputs.sources[name]) for name in LAYOUTS]).sum(axis=0)
    # what all blocks give together stands in the outputs themselves
    several = n_blocks > 1
    errors = (total + several * errors_of(outputs)) / (n_blocks + several)
    known = np.ones(N_ROWS) if rows.labelled is None else rows.labelled[:, 0].numpy()
    weight = known * weights_of(rows)
    expected = (weight * errors).sum() / weight.sum()
    assert mean_of(term, rows, outputs) == pytest.approx(expected, rel=1e-12)
    parts = with_mean(outputs, of_sources(outputs, rows, tuple(LAYOUTS)))
    assert torch.allclose(sum(share for _, share in parts), torch.ones(N_ROWS, 1).double())


def test_one_source_predicts_the_rows_that_have_it():
    rows, outputs = draw(labels="all")
    term = PredictionTerm(DenseBlock(), Layout(1), "squared_error", 1.0, ("b",))
    errors = ((outputs.sources["b"].prediction - rows.target) ** 2)[:, 0].numpy()
    expected = errors[present(rows, "b")].mean()
    assert mean_of(term, rows, outputs) == pytest.approx(expected, rel=1e-12)


def test_without_a_target_nothing_is_predicted():
    rows, outputs = draw(labels="none")
    term = PredictionTerm(DenseBlock(), Layout(1), "squared_error", 1.0, tuple(LAYOUTS))
    assert term.error(outputs, rows) is None


@every
@each
def test_the_divergence_is_that_of_a_row_once(incomplete, weights):
    rows, outputs = draw(incomplete, weights)

    def of(own):
        density = Normal(own.latents, (own.log_variance / 2).exp())
        return kl_divergence(density, Normal(0.0, 1.0)).sum(dim=1).numpy()

    values = mean_over_sources(lambda name: of(outputs.sources[name]), rows)
    expected = np.average(values, weights=weights_of(rows))
    found = mean_of(DivergenceTerm(1.0, tuple(LAYOUTS)), rows, outputs)
    assert found == pytest.approx(expected, rel=1e-12)
    alone = np.average(of(outputs), weights=weights_of(rows))
    assert mean_of(DivergenceTerm(1.0), rows, outputs) == pytest.approx(alone, rel=1e-12)


@every
@each
def test_the_alignment_is_of_each_pair_of_blocks_of_a_row(incomplete, weights):
    rows, outputs = draw(incomplete, weights)
    total = count = 0.0
    for a, b in (("a", "b"), ("a", "c"), ("b", "c")):
        step = outputs.sources[a].latents - outputs.sources[b].latents
        weight = present(rows, a) * present(rows, b) * weights_of(rows)
        total += (weight * (step.numpy() ** 2).mean(axis=1)).sum()
        count += weight.sum()
    term = AlignmentTerm(1.0, tuple(LAYOUTS), N_LATENTS)
    assert mean_of(term, rows, outputs) == pytest.approx(total / count, rel=1e-12)


def test_latents_that_are_the_same_are_aligned():
    rows, outputs = draw()
    first = outputs.sources["a"].latents
    same = {name: own._replace(latents=first) for name, own in outputs.sources.items()}
    term = AlignmentTerm(1.0, tuple(LAYOUTS), N_LATENTS)
    assert mean_of(term, rows, outputs._replace(sources=same)) == 0


def test_pairs_that_no_row_has_say_nothing():
    """A mean of none is no number, and the loss does not count it."""
    rows, outputs = draw()
    has_a = PRESENT[:, :1]
    rows.measured["a"] = has_a.expand(-1, 3)
    rows.measured["b"] = ~has_a.expand(-1, 2)
    term = AlignmentTerm(1.0, ("a", "b"), N_LATENTS)
    assert np.isnan(mean_of(term, rows, outputs))


def test_only_the_divergence_warms_up():
    terms = [
        ReconstructionTerm("t", "a", DenseBlock(), LAYOUTS["a"], "squared_error", 1.0),
        PredictionTerm(DenseBlock(), Layout(1), "squared_error", 1.0),
        AlignmentTerm(1.0, ("a", "b"), N_LATENTS),
        DivergenceTerm(1.0),
    ]
    assert [term.warms_up for term in terms] == [False, False, False, True]
    assert [term.name for term in terms] == ["t", "prediction", "alignment", "divergence"]


def test_none_stands_for_all_rows_and_for_a_weight_of_1():
    some, others = torch.tensor([[True], [False], [True]]), torch.tensor([[True], [True], [False]])
    assert both(None, None) is None
    assert both(some, None) is both(None, some) is some
    assert both(some, others).tolist() == [[True], [False], [False]]
    weight, share = torch.tensor([[2.0], [3.0]]), torch.tensor([[0.5], [1.0]])
    assert times(None, None) is None
    assert times(weight, None) is times(None, weight) is weight
    assert times(weight, share).tolist() == [[1.0], [3.0]]


def test_rows_have_any_of_some_blocks():
    rows, outputs = draw()
    assert any_present(rows, ()) is None
    assert any_present(rows, ("b", "c"))[:, 0].tolist() == PRESENT[:, 1:].any(dim=1).tolist()
    del rows.measured["c"]  # complete
    assert any_present(rows, ("b", "c")) is None
    assert of_sources(outputs, rows, ()) == [(outputs, None)]
    shares = [share for _, share in of_sources(outputs, rows, tuple(LAYOUTS))]
    assert torch.equal(sum(shares), torch.ones(N_ROWS, 1).double())


# -- predictions from parts


def test_the_mean_over_parts_and_the_latents_of_the_row_predict_alike():
    """Each has half of the error, of rows that have a target."""
    rows, outputs = draw(labels="some", weights=True)
    other = outputs._replace(prediction_of_latents=outputs.prediction + 1, sources={})
    term = PredictionTerm(DenseBlock(), Layout(1), "squared_error", 1.0)
    errors = [
        ((own - rows.target) ** 2)[:, 0].numpy()
        for own in (other.prediction, other.prediction_of_latents)
    ]
    weight = rows.labelled[:, 0].numpy() * weights_of(rows)
    expected = (weight * np.mean(errors, axis=0)).sum() / weight.sum()
    assert mean_of(term, rows, other) == pytest.approx(expected, rel=1e-12)


# -- cumulative distributions

CHANNELS = 4


def spectra(incomplete=False, weights=False, labels="all"):
    """Give rows of spectra, decoded ones, and the term of both in units of their own."""
    generator = torch.Generator().manual_seed(0)
    given, decoded, predicted = torch.rand(3, 6, CHANNELS, generator=generator).double()
    mean, scale = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([2.0, 1.0, 0.5, 3.0])
    measured = torch.rand(6, CHANNELS, generator=generator) > 0.2
    measured[0] = True
    rows = Batch(
        {"s": (given - mean) / scale},
        {"s": measured} if incomplete else {},
        target=(given - mean) / scale,
        labelled={"all": None, "entries": measured, "rows": measured[:, :1]}[labels],
        weight=torch.arange(1.0, 7).double()[:, None] if weights else None,
    )
    zeros = torch.zeros(6, 2).double()
    outputs = Outputs(zeros, {"s": (decoded - mean) / scale}, (predicted - mean) / scale)
    return rows, outputs, (mean, scale), (given, decoded, predicted), measured


@every
@each
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_a_cumulative_error_is_of_spectra_in_their_unit(loss, incomplete, weights):
    """Of rows whose channels are all known; another row has no part in the mean."""
    rows, outputs, units, (given, decoded, _), measured = spectra(incomplete, weights)
    base = ReconstructionTerm("r", "s", DenseBlock(), Layout(CHANNELS), loss, 2.0)
    term = CumulativeTerm(base, 5.0, *units)
    assert (term.name, term.weight, term.warms_up) == ("r__cumulative", 10.0, False)
    errors = cumulative_errors(decoded, given, loss).mean(dim=1).numpy()
    weight = weights_of_rows(rows) * (measured.all(dim=1).numpy() if incomplete else 1)
    expected = (weight * errors).sum() / weight.sum()
    # scaling there and back rounds the numbers of float32
    assert mean_of_rows(term, rows, outputs) == pytest.approx(expected, rel=1e-5)


@every
@pytest.mark.parametrize("labels", ["all", "entries", "rows"])
def test_a_cumulative_error_of_predictions(labels, weights):
    rows, outputs, units, (given, _, predicted), measured = spectra(weights=weights, labels=labels)
    base = PredictionTerm(DenseBlock(), Layout(CHANNELS), "squared_error", 1.0)
    term = CumulativeTerm(base, 5.0, *units)
    assert term.name == "prediction__cumulative"
    errors = cumulative_errors(predicted, given, "squared_error").mean(dim=1).numpy()
    known = {"all": 1, "entries": measured.all(dim=1).numpy(), "rows": measured[:, 0].numpy()}
    weight = weights_of_rows(rows) * known[labels]
    expected = (weight * errors).sum() / weight.sum()
    assert mean_of_rows(term, rows, outputs) == pytest.approx(expected, rel=1e-5)
    rows.target = None
    assert term.error(outputs, rows) is None


def weights_of_rows(rows):
    return np.ones(len(rows)) if rows.weight is None else rows.weight[:, 0].numpy()


def mean_of_rows(term, rows, outputs):
    own = Objective([term], block_shares={}, groups={}, l1=0.0, alpha=0.0)
    return own.epoch_terms(own.data_terms(outputs, rows), own.totals(Subset(rows)))[term.name]


def test_rows_that_all_miss_a_channel_have_no_cumulative_error():
    rows, outputs, units, *_ = spectra(incomplete=True)
    rows.measured["s"][:, 1] = False
    base = ReconstructionTerm("r", "s", DenseBlock(), Layout(CHANNELS), "squared_error", 1.0)
    assert CumulativeTerm(base, 5.0, *units).error(outputs, rows) == 0
