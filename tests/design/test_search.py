"""The search: it sees what the estimator sees, and follows its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.design import (
    TINY,
    a_chain,
    a_chain_with_arrays,
    a_classifier,
    arrays,
    one_scale,
    problem_of,
    table,
    with_arrays,
)
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae.design._objectives import set_acquisition

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


OF_ARRAYS = {
    "arrays": with_arrays,
    "ensemble of arrays": lambda: with_arrays(n_members=2, bootstrap=True),
    "chain of arrays": a_chain_with_arrays,
    "ensemble of chains of arrays": lambda: a_chain_with_arrays(n_members=2, bootstrap=True),
}


@pytest.mark.parametrize("case", [*CASES, *OF_ARRAYS])
def test_the_search_predicts_as_the_estimator_does(case):
    """Known rows, sent through all members by the search's own way."""
    estimator, X, target = {**CASES, **OF_ARRAYS}[case]()
    problem, known, rows = problem_of(estimator, X, target)
    with torch.no_grad():
        found = problem.predict(known)
    if case == "classifier":
        expected = estimator.predict_proba(rows)[:, [1]]
    else:
        expected = estimator.predict(rows).reshape(len(rows), -1)
    assert len(found) == expected.shape[1]
    # another scale than the first member's is a product and a sum in the arrays' single precision
    atol = 1e-5 if case in OF_ARRAYS else 1e-8
    assert_allclose(np.column_stack([p.numpy() for p in found]), expected, rtol=1e-6, atol=atol)


@pytest.mark.parametrize("case", ["ensemble", "ensemble of chains"])
def test_the_spread_of_members_is_the_estimators(case):
    estimator, X, _ = CASES[case]()
    names = ["a", "b"] if "chain" in case else ["target"]
    problem, known, rows = problem_of(estimator, X, dict.fromkeys(names, "max"))
    with torch.no_grad():
        found = problem.moments(known)
    _, expected = estimator.predict(rows, return_std=True)
    assert all(problem.knows_std(objective) for objective in problem.objectives)
    std = np.column_stack([own.std.numpy() for own in found])
    # predictions are of single precision, and the spread is a difference of them
    atol = 1e-5 * np.abs(estimator.predict(rows)).max()
    assert_allclose(std, expected.reshape(len(rows), -1), atol=atol)


def test_the_spread_of_a_process_is_that_of_its_function():
    """What the estimator tells has the noise of a measurement in it as well."""
    estimator, X, _ = one_scale(predictor="gaussian_process")
    problem, known, rows = problem_of(estimator, X, "max")
    set_acquisition(problem.objectives, estimator.predict(rows), "expected_improvement", 0.0)
    with torch.no_grad():
        (found,) = problem.moments(known)
    _, std = estimator.predict(rows, return_std=True)
    covariance, noise = problem.covariance(0, found, 3)
    # float32 values enter the network, and double ones the process
    assert_allclose(found.std.numpy() ** 2 + noise, std**2, rtol=1e-5)
    assert_allclose(covariance[3], found.std.numpy()[3] ** 2, rtol=1e-5)
    assert (np.abs(covariance) <= found.std.numpy() * found.std.numpy()[3] * (1 + 1e-5)).all()


def test_one_network_knows_no_spread():
    estimator, X, _ = one_scale(predictor="network")
    problem, _, _ = problem_of(estimator, X, "max")
    assert not problem.knows_std(problem.objectives[0])


@pytest.mark.parametrize(
    "settings", [{"predictor": "gaussian_process"}, {"predictor": "network", **ENSEMBLE}]
)
def test_the_gradient_of_an_acquisition_leads_to_a_lower_loss(settings):
    """A walk keeps the best that it saw: only one along the gradient gets any lower."""
    estimator, X, _ = one_scale(**settings)
    problem, _, rows = problem_of(estimator, X, "max")
    set_acquisition(problem.objectives, estimator.predict(rows), "expected_improvement", 0.0)
    start = problem.latents_of_known[:20]
    decided = problem.decide_all(start)
    before, after = (
        problem.loss(problem.decode(latents, decided)).detach()
        for latents in (start, problem.descend(start, decided))
    )
    assert (after <= before).all()
    assert (after < before).double().mean() > 0.5


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


# ---------------------------------------------------------------------------------------------
# Arrays


@pytest.mark.parametrize("case", OF_ARRAYS)
def test_arrays_decode_as_the_estimator_does(case):
    """Where the decoded ones are within the range of the known rows, entry by entry."""
    estimator, X, target = OF_ARRAYS[case]()
    problem, _, rows = problem_of(estimator, X, target)
    Z = problem.latents_of_known
    with torch.no_grad():
        given = problem.decide_all(Z).to_table(rows, problem.columns)
    expected = estimator.members_[0].inverse_transform(Z.numpy())
    for name in ("image", "spectrum"):
        known, own = np.stack(list(rows[name])), np.stack(list(expected[name]))
        clipped = np.clip(own, known.min(axis=0), known.max(axis=0))
        assert (clipped == own).mean() > 0.5
        assert given[name][0].dtype == np.float32
        assert_allclose(np.stack(list(given[name])), clipped, atol=1e-5)


@pytest.mark.parametrize("case", ["arrays", "ensemble of chains of arrays"])
def test_rows_of_a_library_are_predicted_as_the_estimator_does(case):
    """With a pixel that was not measured, of which all networks are told."""
    estimator, X, target = OF_ARRAYS[case]()
    images, spectra, _ = arrays(5, seed=3)
    images[2, 1, 3] = np.nan
    name = "image" if case == "arrays" else "a__shape"
    problem, known, rows = problem_of(
        estimator, X, target, library={name: images}, fixed={"spectrum": spectra[4]}
    )
    fixed, library = problem.constraints.libraries
    some = fixed.place(known.take(np.arange(5)), torch.zeros(5).long())
    some = library.place(some, torch.arange(5))
    with torch.no_grad():
        found = problem.predict(some)
    taken = {k: v for own in (fixed, library) for k, v in own.arrays.items()}
    X_some = some.to_table(rows, problem.columns, taken)
    assert_array_equal(np.stack(list(X_some["image"])), images)
    assert all(np.array_equal(cell, spectra[4]) for cell in X_some["spectrum"])
    expected = estimator.predict(X_some).reshape(5, -1)
    assert_allclose(np.column_stack([p.numpy() for p in found]), expected, atol=1e-5)
    full = images.copy()
    full[2, 1, 3] = np.nanmean(images)
    other = estimator.predict(X_some.assign(image=list(full))).reshape(5, -1)
    assert np.abs(other - expected)[2].max() > 1e-4  # the tolerance would tell the pixel


def test_rows_pass_through_the_networks_some_at_a_time(monkeypatch):
    estimator, X, target = with_arrays()
    Z = None
    found = []
    for n_values in (10**6, 100):  # all 30 rows of 45 values, and two at a time
        monkeypatch.setattr("sknestedae.design._search._CHUNK_VALUES", n_values)
        problem, _, _ = problem_of(estimator, X, target)
        Z = problem.latents_of_known if Z is None else Z
        with torch.no_grad():
            decided = problem.decide_all(Z)
            found.append((decided.arrays["image"], problem.loss_of_all(decided)))
        assert len(problem._chunks(30)) == (1 if n_values == 10**6 else 15)
        torch.testing.assert_close(problem.latents_of_known, Z, rtol=0, atol=1e-5)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


def test_where_nothing_is_free_all_rows_of_libraries_are_tried():
    estimator, X, target = with_arrays()
    images, spectra, _ = arrays(4, seed=3)
    given = {"library": {"image": images, "spectrum": spectra[:3]}, "fixed": {"u": 0.0}}
    problem, _, _ = problem_of(estimator, X, target, **given)
    assert problem.constraints.leaves_some_free  # the category
    given["fixed"]["kind"] = "p"
    problem, _, _ = problem_of(estimator, X, target, **given)
    assert not problem.constraints.leaves_some_free
    found, losses = problem.search(8, np.random.RandomState(0))
    pairs = set(zip(found.rows["image"].tolist(), found.rows["spectrum"].tolist(), strict=True))
    assert pairs == {(i, j) for i in range(4) for j in range(3)}
    assert found.n_rows == len(losses) == 12
    assert (found.numbers == 0).all()


def test_rows_of_a_large_library_are_those_that_suit_the_best_and_others(monkeypatch):
    monkeypatch.setattr("sknestedae.design._search._N_ROWS", 6)
    estimator, X, target = with_arrays()
    images, _, _ = arrays(20, seed=3)
    problem, known, _ = problem_of(estimator, X, target, library={"image": images})
    (library,) = problem.constraints.libraries
    best = library.place(known.take(np.zeros(2, dtype=int)), torch.zeros(2).long())
    with torch.no_grad():
        rows = problem._rows_to_try(library, best, np.random.RandomState(0))
        losses = problem.loss(library.place(best.take(np.zeros(20, dtype=int)), torch.arange(20)))
    assert len(set(rows)) == 6
    assert set(rows[:3]) == set(np.argsort(losses.numpy())[:3])
    varied = problem.vary(best, np.random.RandomState(0))
    assert {*rows, 0} == set(varied.rows["image"].tolist())
    assert len(varied.first_of_each()) == varied.n_rows  # the two were equal
