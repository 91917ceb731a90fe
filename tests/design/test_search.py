"""The search: it sees what the estimator sees, and follows its gradient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.design import TINY, a_chain, a_classifier, one_scale, table
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae.design._constraints import Constraints
from sknestedae.design._design import _as_draft, _as_table, _kinds, _known_rows
from sknestedae.design._search import Route, SearchProblem
from sknestedae.design._targets import read_objectives

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


def space_of(estimator, X, target, **constraints):
    flow = DifferentiableChain(estimator)
    known, _ = _known_rows(flow, X)
    kinds = _kinds(flow, known)
    limits = {"fixed": None, "bounds": None, "sums": None, **constraints}
    flows = [DifferentiableChain(member) for member in estimator.members_]
    draft = _as_draft(known, kinds)
    space = SearchProblem(
        flows, Constraints(kinds, **limits), read_objectives(target, flow), draft, 1.0
    )
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
        space, draft, known = space_of(chain, X, "good")
        with torch.no_grad():
            (found,) = space.predict(draft)
        assert_allclose(found.numpy(), chain.predict_proba(known)[:, 1], rtol=1e-6)


def test_values_are_sent_to_where_the_networks_are():
    """As far as a device without storage shows: its tensors have a place, and no numbers."""
    estimator, X, target = a_chain()
    space, draft, _ = space_of(estimator, X, target)
    for _, stage, _ in estimator.stages_:
        stage.net_.module_.to("meta")
    route = Route(DifferentiableChain(estimator), space.kinds)
    readings = route.send(draft)
    decoded = route.decode(space.known)
    values = [v for part in decoded for v in part.values()]
    for tensor in [*values, *(r.latents for r in readings), *(r.prediction for r in readings)]:
        assert tensor.device.type == "meta"
        assert len(tensor) == len(X)


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


def test_the_gradient_is_followed_where_others_want_none():
    estimator, X, target = one_scale()
    space, _, _ = space_of(estimator, X, target)
    expected = space.descend(space.known[:4])
    with torch.no_grad():
        assert torch.equal(space.descend(space.known[:4]), expected)
        assert not torch.is_grad_enabled()


def test_many_drafts_are_joined_at_once():
    estimator, X, target = one_scale()
    _, draft, _ = space_of(estimator, X, target)
    parts = [draft.take(np.arange(i, i + 2)) for i in range(0, 6, 2)]
    joined = parts[0].joined(*parts[1:])
    assert torch.equal(joined.numbers, draft.numbers[:6])
    assert torch.equal(joined.shares[2], draft.shares[2][:6])


def test_the_best_are_varied_in_each_category():
    estimator, X, target = one_scale()
    space, draft, _ = space_of(estimator, X, target, bounds={"kind": ["p", "r"]})
    some = draft.take(np.arange(5))
    varied = space.vary(some, np.random.RandomState(0))
    assert torch.equal(varied.numbers, some.numbers.repeat(3, 1))
    codes = varied.shares[2].argmax(dim=1).reshape(3, 5)
    assert torch.equal(
        codes, torch.stack([some.shares[2].argmax(dim=1), *torch.tensor([[0], [2]]).expand(2, 5)])
    )


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
