"""Losses of decoded values, against plain NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import energy_distance, wasserstein_distance
from torch.autograd import gradcheck

from sknestedae._tables._layout import Layout
from sknestedae.blocks._losses import (
    ELEMENTWISE,
    block_error,
    categorical_error,
    cumulative_errors,
    entry_errors,
    numeric_error,
)

N_ROWS = 7


# Sums of a hundred numbers of the size of 1, in float64.
ATOL = 1000 * np.finfo(np.float64).eps


REFERENCES = {
    "squared_error": lambda e: e**2,
    "absolute_error": np.abs,
    "huber": lambda e: np.where(np.abs(e) < 1, e**2 / 2, np.abs(e) - 0.5),
}


MIXED = Layout(2, (3, 2))


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * 2


def one_hot(n_rows, n_categories, seed=0):
    return np.eye(n_categories)[np.random.default_rng(seed).integers(n_categories, size=n_rows)]


def weights(kind, n_columns):
    """Give no weights, a mask, weights of rows, or weights of entries with some of them 0."""
    rng = np.random.default_rng(5)
    mask = (rng.random((N_ROWS, n_columns)) < 0.7).astype(float)
    return {
        None: None,
        "mask": mask,
        "rows": rng.uniform(0, 2, (N_ROWS, 1)),
        "entries": mask * rng.uniform(0, 2, (N_ROWS, n_columns)),
    }[kind]


def mixed_values():
    return np.hstack([draw(N_ROWS, 2, seed=1), one_hot(N_ROWS, 3), one_hot(N_ROWS, 2, seed=2)])


def tensor(array, requires_grad=False):
    return None if array is None else torch.tensor(array, requires_grad=requires_grad)


def test_every_loss_has_a_reference():
    assert set(ELEMENTWISE) == set(REFERENCES)


@pytest.mark.parametrize("loss", REFERENCES)
@pytest.mark.parametrize("kind", [None, "mask", "rows", "entries"])
def test_numeric_error(loss, kind):
    output, target, weight = draw(N_ROWS, 4), draw(N_ROWS, 4, seed=1), weights(kind, 4)
    expected = (REFERENCES[loss](output - target) * (1 if weight is None else weight)).sum()
    found = numeric_error(tensor(output), tensor(target), loss, tensor(weight))
    assert found.shape == ()
    assert found.item() == pytest.approx(expected, abs=ATOL)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_categorical_error(weighted, soft):
    logits, target = draw(N_ROWS, 4), one_hot(N_ROWS, 4)
    if soft:
        target = np.random.default_rng(1).dirichlet(np.ones(4), N_ROWS)
    weight = weights("entries", 1)[:, 0] if weighted else None
    errors = -(target * log_softmax(logits, axis=1)).sum(axis=1)
    expected = (errors * (1 if weight is None else weight)).sum()
    found = categorical_error(tensor(logits), tensor(target), tensor(weight))
    assert found.item() == pytest.approx(expected, abs=ATOL)


def mixed_entries(output, values, loss):
    entries = np.empty((N_ROWS, MIXED.n_columns))
    entries[:, :2] = REFERENCES[loss]((output - values)[:, :2])
    entries[:, 2] = -(values[:, 2:5] * log_softmax(output[:, 2:5], axis=1)).sum(axis=1)
    entries[:, 3] = -(values[:, 5:] * log_softmax(output[:, 5:], axis=1)).sum(axis=1)
    return entries


@pytest.mark.parametrize("loss", REFERENCES)
def test_errors_of_the_entries_of_a_mixed_block(loss):
    """Of many networks, too, each as alone."""
    output, values = draw(N_ROWS, MIXED.n_values), mixed_values()
    found = entry_errors(tensor(output), tensor(values), MIXED, loss)
    np.testing.assert_allclose(found, mixed_entries(output, values, loss), atol=ATOL)
    outputs = np.stack([output, draw(N_ROWS, MIXED.n_values, seed=3)])
    both = entry_errors(tensor(outputs), tensor(np.stack([values] * 2)), MIXED, loss)
    np.testing.assert_allclose(both[0], found, atol=ATOL)
    np.testing.assert_allclose(both[1], mixed_entries(outputs[1], values, loss), atol=ATOL)


@pytest.mark.parametrize("layout", [Layout(4), Layout(0, (2, 2)), Layout(4, shape=(2, 2))])
def test_errors_of_entries_of_one_kind_add_up_to_those_of_the_block(layout):
    output, values = tensor(draw(N_ROWS, 4)), tensor(one_hot(N_ROWS, 4))
    found = entry_errors(output, values, layout, "huber")
    assert found.shape == (N_ROWS, layout.n_columns)
    total = block_error(output, values, layout, "huber").item()
    assert found.sum().item() == pytest.approx(total, abs=ATOL)


@pytest.mark.parametrize("loss", REFERENCES)
@pytest.mark.parametrize("kind", [None, "mask", "rows", "entries"])
def test_block_error_of_a_mixed_block(loss, kind):
    output, values = draw(N_ROWS, MIXED.n_values), mixed_values()
    weight = weights(kind, MIXED.n_columns)
    entries = mixed_entries(output, values, loss)
    expected = (entries * (1 if weight is None else weight)).sum()
    found = block_error(tensor(output), tensor(values), MIXED, loss, tensor(weight))
    assert found.item() == pytest.approx(expected, abs=ATOL)


@pytest.mark.parametrize("layout", [Layout(3), Layout(0, (2, 3))])
def test_block_error_of_one_kind_of_column(layout):
    output = draw(N_ROWS, layout.n_values)
    values = draw(N_ROWS, 3, seed=1)
    if layout.n_categories:
        values = np.hstack([one_hot(N_ROWS, 2), one_hot(N_ROWS, 3)])
        parts = [
            categorical_error(tensor(output[:, g]), tensor(values[:, g])) for g in layout.groups()
        ]
    else:
        parts = [numeric_error(tensor(output), tensor(values), "huber")]
    found = block_error(tensor(output), tensor(values), layout, "huber")
    assert found.item() == pytest.approx(sum(part.item() for part in parts), abs=ATOL)


def test_what_is_not_measured_has_no_influence():
    output, values = draw(N_ROWS, MIXED.n_values), mixed_values()
    weight = weights("mask", MIXED.n_columns)
    hidden = MIXED.spread(weight) == 0
    given = tensor(output, requires_grad=True)
    error = block_error(given, tensor(values), MIXED, "squared_error", tensor(weight))
    error.backward()
    assert hidden.any()
    assert (given.grad.numpy()[hidden] == 0).all()
    assert (given.grad.numpy()[~hidden] != 0).all()
    changed = np.where(hidden, values + 100, values)
    other = block_error(tensor(output), tensor(changed), MIXED, "squared_error", tensor(weight))
    assert other.item() == pytest.approx(error.item(), abs=ATOL)


def test_sum_over_batches_is_the_sum_over_rows():
    output, values = tensor(draw(N_ROWS, MIXED.n_values)), tensor(mixed_values())
    weight = tensor(weights("entries", MIXED.n_columns))
    whole = block_error(output, values, MIXED, "huber", weight).item()
    parts = [
        block_error(output[rows], values[rows], MIXED, "huber", weight[rows]).item()
        for rows in (slice(0, 5), slice(5, None))
    ]
    assert sum(parts) == pytest.approx(whole, abs=ATOL)


@pytest.mark.parametrize("loss", REFERENCES)
@pytest.mark.parametrize("kind", [None, "entries", "rows"])
def test_gradients_of_the_block_error(loss, kind):
    """The inputs are away from the kinks of absolute_error and huber."""
    output = tensor(draw(N_ROWS, MIXED.n_values), requires_grad=True)
    weight = tensor(weights(kind, MIXED.n_columns))
    values = tensor(mixed_values())
    assert gradcheck(lambda given: block_error(given, values, MIXED, loss, weight), (output,))


# -- errors of cumulative distributions


@pytest.mark.parametrize("loss", REFERENCES)
@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7), (5, 1)])
def test_cumulative_errors(loss, shape):
    output, values = np.abs(draw(*shape)), np.abs(draw(*shape, seed=1))
    shares = [np.cumsum(x / x.sum(axis=-1, keepdims=True), axis=-1) for x in (output, values)]
    found = cumulative_errors(tensor(output), tensor(values), loss)
    np.testing.assert_allclose(found, REFERENCES[loss](shares[0] - shares[1]), atol=ATOL)
    assert not cumulative_errors(tensor(values), tensor(values), loss).any()


def test_cumulative_errors_are_distances_of_distributions():
    """Of a scipy that knows neither channels nor tensors, on an axis of length 1."""
    n = 40
    output, values = np.abs(draw(2, n))
    place = np.arange(n) / n

    def mean_error(loss):
        return cumulative_errors(tensor(output), tensor(values), loss).mean().item()

    distance = wasserstein_distance(place, place, output, values)
    assert mean_error("absolute_error") == pytest.approx(distance, rel=1e-10)
    # Szekely and Rizzo: the energy distance is twice the integral of the squared difference
    distance = energy_distance(place, place, output, values) ** 2 / 2
    assert mean_error("squared_error") == pytest.approx(distance, rel=1e-10)


@pytest.mark.parametrize("loss", REFERENCES)
def test_cumulative_errors_know_no_unit(loss):
    output, values = (tensor(np.abs(draw(4, 9, seed=seed))) for seed in (0, 1))
    expected = cumulative_errors(output, values, loss)
    found = cumulative_errors(3e5 * output, 1e-4 * values, loss)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=ATOL)


def test_cumulative_errors_grow_with_the_distance_of_a_peak():
    """By a channel's share of the axis for each channel; those of entries do not."""
    peaks = torch.eye(30, dtype=torch.float64)
    costs = [cumulative_errors(peaks[k], peaks[4], "absolute_error").mean() for k in range(4, 30)]
    np.testing.assert_allclose(np.diff(costs), 1 / 30, rtol=1e-10)


def test_a_spectrum_of_zeros_is_no_distribution():
    values = tensor(np.abs(draw(3, 6)))
    values[1] = 0
    output = tensor(np.abs(draw(3, 6, seed=1)), requires_grad=True)
    errors = cumulative_errors(output, values, "squared_error")
    assert not errors[1].any()
    assert errors[[0, 2]].sum(dim=-1).min() > 0
    errors.sum().backward()
    assert not output.grad[1].any()
    assert torch.isfinite(output.grad).all()


def test_what_is_below_0_counts_as_0():
    output, values = draw(2, 3, 9)
    found = cumulative_errors(tensor(output), tensor(values), "absolute_error")
    clipped = cumulative_errors(*map(tensor, (output.clip(0), values.clip(0))), "absolute_error")
    assert torch.equal(found, clipped)
    all_below = cumulative_errors(-tensor(values).abs(), tensor(values), "absolute_error")
    assert torch.isfinite(all_below).all()


def test_gradients_of_cumulative_errors():
    values = tensor(np.abs(draw(3, 6)) + 0.1)
    output = tensor(np.abs(draw(3, 6, seed=1)) + 0.1, requires_grad=True)
    assert gradcheck(lambda own: cumulative_errors(own, values, "squared_error"), (output,))


@pytest.mark.parametrize("loss", REFERENCES)
def test_next_to_nothing_has_no_large_gradient(loss):
    """Where a network begins with nothing, shares of it are ratios of small numbers.

    A sum below a hundredth of the given one is taken for that: so the slope of a share is at most
    100 by the given sum, and that of the errors of a row its number of channels times as large.
    """
    values = tensor(np.full((1, 6), 0.5))
    output = torch.full((1, 6), 1e-12, dtype=torch.float64, requires_grad=True)
    cumulative_errors(output, values, loss).sum().backward()
    assert output.grad.abs().max() <= 6 * 2 * 100 / 3
