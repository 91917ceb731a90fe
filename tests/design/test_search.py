"""The search: it sees what the estimator sees, and follows its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.design import TINY, a_chain, a_classifier, one_scale, problem_of, table
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)

ENSEMBLE = {"n_members": 3, "bootstrap": True}


CASES = {
    "one scale": one_scale,
    "not standardised": lambda: one_scale(standardize=False),
    "ensemble": lambda: one_scale(n_members=2, bootstrap=True),
    "classifier": a_classifier,
    "chain": a_chain,
    "ensemble of chains": lambda: a_chain(n_members=2, bootstrap=True),
    "chain of ensembles": lambda: a_chain(ENSEMBLE),
    "ensemble of chains of ensembles": lambda: a_chain(ENSEMBLE, n_members=2, bootstrap=True),
}


@pytest.mark.parametrize("case", CASES)
def test_the_search_predicts_as_the_estimator_does(case):
    """Known rows, sent through all members by the search's own way."""
    estimator, X, target = CASES[case]()
    problem, known, rows = problem_of(estimator, X, target)
    with torch.no_grad():
        found = problem.predict(known)
    if case == "classifier":
        expected = estimator.predict_proba(rows)[:, [1]]
    else:
        expected = estimator.predict(rows).reshape(len(rows), -1)
    assert len(found) == expected.shape[1]
    assert_allclose(np.column_stack([p.numpy() for p in found]), expected, rtol=1e-6, atol=1e-8)


def test_classes_of_a_stage_that_is_an_ensemble():
    """Have the mean probability of its members, other chains included."""
    X, y = table()
    stages = [
        ("a", SupervisedAutoencoder(2, **TINY), ["u", "v"]),
        ("b", SupervisedAutoencoderClassifier(2, **TINY, **ENSEMBLE), ["kind", "count"]),
    ]
    for n_members in (1, 2):
        chain = NestedAutoencoder(stages, random_state=0, n_members=n_members)
        chain.fit(X, np.where(y > y.median(), "good", "bad"))
        problem, known, rows = problem_of(chain, X, "good")
        with torch.no_grad():
            (found,) = problem.predict(known)
        assert_allclose(found.numpy(), chain.predict_proba(rows)[:, 1], rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_latents_decode_as_the_estimator_does(case):
    estimator, X, target = CASES[case]()
    problem, _, rows = problem_of(
        estimator, X, target, bounds={"u": (-1e9, 1e9), "v": (-1e9, 1e9)}
    )
    with torch.no_grad():
        decoded = problem.decide(problem.decode(problem.latents_of_known))
    given = decoded.to_table(rows, problem.columns)
    Z = problem.latents_of_known.numpy()
    expected = estimator.members_[0].inverse_transform(Z)[list(rows)]
    assert_allclose(given[["u", "v"]], expected[["u", "v"]], rtol=1e-6)
    assert_array_equal(given["kind"].astype(str), expected["kind"].astype(str))
    within = expected["count"].clip(rows["count"].min(), rows["count"].max())
    assert_array_equal(given["count"], within)


@pytest.mark.parametrize("case", ["one scale", "chain", "classifier"])
def test_the_gradient_is_followed_down(case):
    estimator, X, target = CASES[case]()
    problem, _, _ = problem_of(estimator, X, target)
    start = problem.latents_of_known[:8]
    with torch.no_grad():
        before = problem.loss(problem.decode(start))
    found = problem.descend(start)
    with torch.no_grad():
        after = problem.loss(problem.decode(found))
    assert (after <= before + 1e-9).all()
    assert (after < before).any()


def test_the_gradient_is_followed_where_others_want_none():
    estimator, X, target = one_scale()
    problem, _, _ = problem_of(estimator, X, target)
    expected = problem.descend(problem.latents_of_known[:4])
    with torch.no_grad():
        assert torch.equal(problem.descend(problem.latents_of_known[:4]), expected)
        assert not torch.is_grad_enabled()


def test_the_best_are_varied_in_each_category():
    estimator, X, target = one_scale()
    problem, known, _ = problem_of(estimator, X, target, bounds={"kind": ["p", "r"]})
    some = known.take(np.arange(5))
    varied = problem.vary(some, np.random.RandomState(0))
    assert torch.equal(varied.numbers, some.numbers.repeat(3, 1))
    codes = varied.shares[2].argmax(dim=1).reshape(3, 5)
    assert torch.equal(
        codes, torch.stack([some.shares[2].argmax(dim=1), *torch.tensor([[0], [2]]).expand(2, 5)])
    )


def test_the_domain_has_its_price():
    estimator, X, target = one_scale()
    problem, known, _ = problem_of(estimator, X, target)
    far = known._replace(numbers=known.numbers * 100)
    with torch.no_grad():
        priced = problem.loss(far)
        problem.domain_weight = 0.0
        assert (priced >= problem.loss(far)).all()
        assert (priced > problem.loss(far)).any()


def test_no_gradient_reaches_the_estimator():
    estimator, X, target = one_scale()
    problem, _, _ = problem_of(estimator, X, target)
    parameters = list(estimator.net_.module_.parameters())
    before = [
        (p.detach().clone(), p.grad if p.grad is None else p.grad.clone()) for p in parameters
    ]
    problem.descend(problem.latents_of_known[:4])
    for parameter, (value, grad) in zip(parameters, before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.grad is grad is None or torch.equal(parameter.grad, grad)
