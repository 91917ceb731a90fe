"""The search: it sees what the estimator sees, and follows its gradient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae._flow import Flow
from sknestedae.design._constraints import Constraints, Kinds
from sknestedae.design._design import _as_draft, _as_table, _categories, _known_rows
from sknestedae.design._search import Space
from sknestedae.design._targets import read_wishes

TINY = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


def table(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"u": rng.normal(3, 2, n_rows), "v": rng.normal(size=n_rows)})
    X["kind"] = pd.Categorical(rng.choice(list("pqr"), n_rows))
    X["count"] = rng.integers(1, 9, n_rows)
    return X, X["u"] + X["count"] + (X["kind"] == "p")


def one_scale(**parameters):
    X, y = table()
    return SupervisedAutoencoder(3, **TINY, **parameters).fit(X, y), X, 5.0


def a_classifier():
    X, y = table()
    labels = np.where(y > y.median(), "good", "bad")
    return SupervisedAutoencoderClassifier(3, **TINY).fit(X, labels), X, "good"


def a_chain(**parameters):
    X, y = table()
    stages = [
        ("a", SupervisedAutoencoder(2, **TINY), ["u", "v"]),
        ("b", SupervisedAutoencoder(2, **TINY), ["kind", "count"]),
    ]
    targets = np.column_stack([X["u"] + X["v"], y])
    chain = NestedAutoencoder(stages, random_state=0, **parameters)
    return chain.fit(X, targets), X, {"a": 1.0, "b": "max"}


CASES = {
    "one scale": one_scale,
    "not standardised": lambda: one_scale(standardize=False),
    "ensemble": lambda: one_scale(n_members=2, bootstrap=True),
    "classifier": a_classifier,
    "chain": a_chain,
    "ensemble of chains": lambda: a_chain(n_members=2, bootstrap=True),
}


def space_of(estimator, X, target, **constraints):
    flow = Flow(estimator)
    known = _known_rows(flow, X)
    kinds = Kinds(known, _categories(flow))
    limits = {"fixed": None, "bounds": None, "sums": None, **constraints}
    flows = [Flow(member) for member in estimator.members_]
    draft = _as_draft(known, kinds)
    space = Space(flows, Constraints(kinds, **limits), read_wishes(target, flow), draft, 1.0)
    return space, draft, known


@pytest.mark.parametrize("case", CASES)
def test_the_search_predicts_as_the_estimator_does(case):
    """Known rows, sent through all members by the search's own way."""
    estimator, X, target = CASES[case]()
    space, draft, known = space_of(estimator, X, target)
    with torch.no_grad():
        found = space.predict(draft)
    if case == "classifier":
        expected = estimator.predict_proba(known)[:, [1]]
    else:
        expected = estimator.predict(known).reshape(len(known), -1)
    assert len(found) == expected.shape[1]
    assert_allclose(np.column_stack([p.numpy() for p in found]), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_latents_decode_as_the_estimator_does(case):
    estimator, X, target = CASES[case]()
    space, _, known = space_of(estimator, X, target, bounds={"u": (-1e9, 1e9), "v": (-1e9, 1e9)})
    with torch.no_grad():
        decoded = space.decide(space.decode(space.known))
    given = _as_table(decoded, known, space.kinds)
    expected = estimator.members_[0].inverse_transform(space.known.numpy())[list(known)]
    assert_allclose(given[["u", "v"]], expected[["u", "v"]], rtol=1e-6)
    assert_array_equal(given["kind"].astype(str), expected["kind"].astype(str))
    within = expected["count"].clip(known["count"].min(), known["count"].max())
    assert_array_equal(given["count"], within)


def test_a_row_comes_back_from_its_draft():
    estimator, X, target = one_scale()
    space, draft, known = space_of(estimator, X, target)
    pd.testing.assert_frame_equal(_as_table(draft, known, space.kinds), known)


@pytest.mark.parametrize("case", ["one scale", "chain", "classifier"])
def test_the_gradient_is_followed_down(case):
    estimator, X, target = CASES[case]()
    space, _, _ = space_of(estimator, X, target)
    start = space.known[:8]
    with torch.no_grad():
        before = space.loss(space.decode(start))
    found = space.descend(start)
    with torch.no_grad():
        after = space.loss(space.decode(found))
    assert (after <= before + 1e-9).all()
    assert (after < before).any()


def test_the_domain_has_its_price():
    estimator, X, target = one_scale()
    space, draft, _ = space_of(estimator, X, target)
    far = draft._replace(numbers=draft.numbers * 100)
    with torch.no_grad():
        priced = space.loss(far)
        space.domain_weight = 0.0
        assert (priced >= space.loss(far)).all()
        assert (priced > space.loss(far)).any()


def test_no_gradient_reaches_the_estimator():
    estimator, X, target = one_scale()
    space, _, _ = space_of(estimator, X, target)
    parameters = list(estimator.net_.module_.parameters())
    before = [
        (p.detach().clone(), p.grad if p.grad is None else p.grad.clone()) for p in parameters
    ]
    space.descend(space.known[:4])
    for parameter, (value, grad) in zip(parameters, before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.grad is grad is None or torch.equal(parameter.grad, grad)
