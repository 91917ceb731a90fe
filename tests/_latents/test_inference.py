"""Completion: what is filled and what stays, the search for latents, candidates, scores."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from cases.completion import (
    LINEAR,
    chain_of,
    fitted_chain,
    fitted_plane,
    hide,
    plane,
    search_of_chain,
)
from cases.nested import cells, clf, sae
from cases.supervised import mixed_table
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_scales,
)
from sknestedae._estimators._fitted import fitted_part
from sknestedae._latents._inference import PosteriorModeSearch, choose_distinct, weightiest
from sknestedae._networks._batch import Batch
from sknestedae.exceptions import ToleranceWarning, UnmeasuredScaleWarning

# ---------------------------------------------------------------------------------------------
# What is filled, and with what


def test_rows_on_a_plane_are_found_again():
    """Two measured entries tell where on a plane a row is, so that all others follow."""
    estimator, X = fitted_plane()
    incomplete, hidden = hide(X, 0.4)
    hidden &= (~hidden).sum(axis=1, keepdims=True) >= 3  # one more, against near-parallel columns
    incomplete = np.where(hidden, np.nan, X)
    completed = estimator.complete(incomplete)
    # beside what the autoencoder itself gets wrong of a whole row, and one percent, which is what
    # a column is trusted to at most
    scale = X.std(axis=0)
    own = np.abs(estimator.inverse_transform(estimator.transform(X)) - X) / scale
    error = (np.abs(completed - X) / scale)[hidden]
    assert np.median(error) < 3 * (np.median(own) + 0.01)
    mean = np.abs((np.nanmean(incomplete, axis=0) - X) / scale)[hidden]
    assert error.mean() < 0.15 * mean.mean()


@pytest.mark.parametrize("as_frame", [False, True])
def test_measured_entries_are_untouched(as_frame):
    estimator, X = fitted_plane()
    X = pd.DataFrame(X, [f"row {i}" for i in range(len(X))]) if as_frame else X
    estimator = SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(X)
    incomplete, hidden = hide(X)
    before = incomplete.copy()
    completed = estimator.complete(incomplete)
    assert type(completed) is type(X)
    assert_array_equal(np.asarray(completed)[~hidden], np.asarray(X)[~hidden])
    assert np.isfinite(np.asarray(completed)).all()
    assert_array_equal(incomplete, before)  # nor is what was given
    if as_frame:
        assert completed.index.equals(X.index)
        assert completed.columns.equals(X.columns)


def test_without_missing_values_a_table_comes_back_as_a_copy():
    estimator, X = fitted_plane()
    completed = estimator.complete(X)
    assert_array_equal(completed, X)
    assert completed is not X


def test_dtypes_and_categories_stay():
    X, y = mixed_table()
    estimator = SupervisedAutoencoder(2, max_iter=2, random_state=0).fit(X, y)
    incomplete, _ = hide(X)
    completed = estimator.complete(incomplete)
    assert not completed.isna().any().any()
    assert (completed.dtypes == incomplete.dtypes).all()
    measured = incomplete.notna()
    assert measured.to_numpy().sum() > 0
    assert (
        completed.astype(object).where(measured).equals(incomplete.astype(object).where(measured))
    )
    for column in X.select_dtypes("category"):
        assert set(completed[column]) <= set(X[column].cat.categories)


def test_a_category_that_was_never_seen_is_measured_and_stays():
    X, y = cells()
    estimator = sae().fit(X, y)
    new = X.iloc[:4].copy()
    new["layer"] = new["layer"].cat.set_categories(["ZnO"])
    new.loc[new.index[0], "layer"] = "ZnO"
    new.loc[new.index[1], "mass"] = np.nan
    completed = estimator.complete(new)
    assert completed["layer"].iloc[0] == "ZnO"
    assert set(completed["layer"].iloc[1:]) <= {"TiO2", "SnO2"}


def test_a_column_that_is_empty_takes_the_dtype_of_fit():
    X, y = cells()
    estimator = sae().fit(X, y)
    completed = estimator.complete(X.assign(layer=np.nan, thickness=np.nan))
    assert set(completed["layer"]) <= {"TiO2", "SnO2"}
    assert completed["thickness"].dtype == X["thickness"].dtype
    assert completed["radius"].isna().sum() == 0


def test_what_is_filled_into_integers_is_rounded_and_in_their_range():
    """Also where the column held other numbers in fit."""
    X = pd.DataFrame(100 * plane(60), columns=list("abcdef"))
    estimator = SupervisedAutoencoder(2, max_iter=5, random_state=0).fit(X)
    incomplete = X.round().astype("Int64")
    incomplete.loc[::3, "a"] = pd.NA
    small = np.where(np.arange(60) % 2, 7, None)
    completed = estimator.complete(incomplete.assign(b=pd.array(small, dtype="Int8")))
    assert completed["a"].dtype == "Int64"
    assert not completed.isna().any().any()
    assert completed["b"].dtype == "Int8"
    assert (completed["b"][1::2] == 7).all()


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_frame_is_completed_by_what_learnt_of_an_array():
    estimator, X = fitted_plane()
    incomplete, _ = hide(X)
    completed = estimator.complete(pd.DataFrame(incomplete, columns=list("abcdef")))
    assert list(completed) == list("abcdef")
    assert_array_equal(completed, estimator.complete(incomplete))


def test_what_is_filled_follows_rows_that_are_alike():
    """Two columns on a curve, uncorrelated: all of the rows tell nothing, those nearby do.

    The network is linear and has a latent for each, so that one column leaves the other open.
    """
    a = np.linspace(-1, 1, 150)
    X = pd.DataFrame({"a": a, "square": a**2, "kind": np.where(a > 0.5, "high", "low")})
    estimator = SupervisedAutoencoder(3, **LINEAR).fit(X)
    assert estimator.score(X) > 0.9
    of_a = estimator.complete(X.assign(square=np.nan, kind=None))
    error = np.abs(of_a["square"] - X["square"])
    assert error.mean() < 0.25 * np.abs(X["square"].mean() - X["square"]).mean()
    # an example stands for rows within sqrt(0.03) standard deviations, here 0.1
    is_clear = np.abs(a - 0.5) > 0.2
    assert_array_equal(of_a["kind"][is_clear], X["kind"][is_clear])
    # and of the kind alone: the mean of its own rows
    kinds = pd.DataFrame({"a": np.nan, "square": np.nan, "kind": ["high", "low"]})
    of_kind = estimator.complete(kinds)
    own = X.groupby("kind")["a"].mean()
    assert_allclose(of_kind["a"], own[kinds["kind"]], atol=0.25 * (own["high"] - own["low"]))


def test_rows_do_not_touch_each_other():
    estimator, X = fitted_plane()
    incomplete, _ = hide(X)
    assert_allclose(
        estimator.complete(incomplete)[:7], estimator.complete(incomplete[:7]), rtol=1e-6
    )


def test_a_row_with_nothing_measured_is_a_typical_one():
    estimator, _ = fitted_plane()
    completed = estimator.complete(np.full((1, 6), np.nan))
    # the mean of all examples, each as likely as the others
    decoded = estimator.inverse_transform(
        fitted_part(estimator).latent_statistics.examples.mean(axis=0)[None]
    )
    assert_allclose(completed, decoded, rtol=1e-5)


def test_an_ensemble_completes_as_its_first_member_does():
    X, y = cells()
    one, many = (sae(n_members=n).fit(X, y) for n in (1, 2))
    incomplete, _ = hide(X)
    pd.testing.assert_frame_equal(one.complete(incomplete), many.complete(incomplete))


@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic"])
def test_latents_stay_where_their_activation_can_bring_them(activation):
    X = plane()
    estimator = SupervisedAutoencoder(
        2, latent_activation=activation, max_iter=5, random_state=0
    ).fit(X)
    incomplete, _ = hide(10 * X[:20])  # far from anything that was learnt from
    model = fitted_part(estimator).observation_model()
    search, rows = PosteriorModeSearch([model]), [model.rows(model.table.transform(incomplete))]
    low, high = fitted_part(estimator).observation_model().bounds
    latents = search.find(rows).latents
    assert latents.min() >= low
    assert latents.max() <= high


# ---------------------------------------------------------------------------------------------
# The search


def test_examples_weigh_as_they_are_likely():
    """By all that was measured, at both stages: their negative log-likelihoods add up."""
    search, parts = search_of_chain()
    with torch.no_grad():
        weights, scale = search.weigh_examples(parts)
        losses = sum(
            model.squared_distances_of_examples(decoded, rows) / 2
            + model.categories_of_examples(decoded, rows)
            for model, decoded, rows in zip(search.models, search.examples[1], parts, strict=True)
        )
    assert (scale == 1).all()  # of a table
    assert_allclose(weights.sum(dim=1).numpy(), 1)
    ratio = weights / weights.max(dim=1, keepdim=True).values
    expected = torch.exp(losses.min(dim=1, keepdim=True).values - losses)
    assert_allclose(ratio.numpy(), expected.numpy(), rtol=1e-9)


def test_the_gradient_is_that_of_the_negative_log_posterior():
    """The gradient of the search against torch's own, numbers, categories and both stages."""
    search, parts = search_of_chain()
    rng = np.random.default_rng(0)
    n_latents = search.slices[-1].stop
    latents = torch.from_numpy(rng.normal(size=(len(parts[0]), n_latents)))
    with torch.no_grad():
        densities, _ = search.densities(parts)
    given = latents.clone().requires_grad_()
    (expected,) = torch.autograd.grad(
        search.negative_log_posterior(given, parts, densities).sum(), given
    )
    with torch.no_grad():
        gradient, hessian = search.gradient_and_hessian(latents, parts, densities)
    assert_allclose(gradient.numpy(), expected.numpy(), rtol=1e-8, atol=1e-8)
    # of linear decoders the second derivatives are whole; here they are at least positive
    assert torch.linalg.eigvalsh(hessian).min() > 0


def test_latents_between_stages_are_numbers_of_the_later_table():
    """What two stages disagree by counts as if the latents had been measured with its columns."""
    search, parts = search_of_chain()
    columns, own = search.between[0], search.slices[0]
    assert (columns.scale - 1).abs().min() > 0.1  # the later stage scales them
    rng = np.random.default_rng(0)
    latents = torch.from_numpy(rng.normal(size=(len(parts[0]), search.slices[-1].stop)))
    block, measured = columns.block, parts[1].measured[columns.block].clone()
    assert not measured[:, columns.index].any()
    measured[:, columns.index] = True
    known = Batch(parts[1].values, {block: measured})
    known = columns.put(known, latents[:, own])
    with torch.no_grad():
        densities, _ = search.densities(parts)
        total = search.negative_log_posterior(latents, parts, densities)
        step = latents[:, search.slices[1]] - densities.mean
        expected = torch.einsum("ni,nij,nj->n", step, densities.precision, step) / 2
        for model, rows, part in zip(search.models, (parts[0], known), search.slices, strict=True):
            errors = model.measured_errors(rows, torch.ones(len(rows)))
            expected = expected + model.negative_log_likelihood(
                model.decode(latents[:, part]), rows, errors
            )
    assert_allclose(total.numpy(), expected.numpy(), rtol=1e-10)


def test_the_search_ends_where_the_negative_log_posterior_is_flat():
    search, parts = search_of_chain()
    with torch.no_grad():
        densities, _ = search.densities(parts)
        start, _ = search.decode_down(densities.mean)
        latents = search.minimize(parts, start, densities)
        before, after = (
            search.negative_log_posterior(z, parts, densities) for z in (start, latents)
        )
        gradient, hessian = search.gradient_and_hessian(latents, parts, densities)
        # what one more step of Newton's method would gain, beside the value itself
        gain = torch.einsum("ni,ni->n", gradient, torch.linalg.solve(hessian, gradient)) / 2
    assert (after <= before).all()
    assert (after < before).any()
    assert (gain / (1 + after)).max() < 1e-3


def test_what_is_stored_completes_alike():
    X, y = cells()
    estimator = sae().fit(X, y)
    incomplete, _ = hide(X)
    loaded = pickle.loads(pickle.dumps(estimator))
    pd.testing.assert_frame_equal(loaded.complete(incomplete), estimator.complete(incomplete))


# ---------------------------------------------------------------------------------------------
# Chains


def test_a_chain_of_one_stage_completes_as_the_stage():
    X, y = cells()
    chain = NestedAutoencoder([("only", sae(), list(X))]).fit(X, y)
    incomplete, _ = hide(X)
    pd.testing.assert_frame_equal(chain.complete(incomplete), chain["only"].complete(incomplete))


def test_a_scale_that_is_wholly_missing_is_filled():
    chain, X, _ = fitted_chain()
    later = X[1].assign(layer=np.nan, thickness=np.nan)
    earlier = X[1].assign(radius=np.nan, mass=np.nan)
    for given in (later, earlier):
        _, completed = chain.complete([X[0], given])
        assert list(completed) == list(X[1])
        assert not completed.isna().any().any()
        assert set(completed["layer"]) <= {"TiO2", "SnO2"}
        known = [c for c in given if given[c].notna().all()]
        pd.testing.assert_frame_equal(completed[known], given[known])


def test_tables_of_the_same_rows_are_completed_in_a_list():
    """The first table's chain imputes nothing in the second one, be it a number or a category."""
    X = pd.concat({"a": cells()[0][["radius"]], "b": cells()[0].drop(columns="radius")}, axis=1)
    chain = NestedAutoencoder(estimator=sae()).fit(X)
    incomplete, _ = hide(X)
    completed = chain.complete([incomplete["a"], incomplete["b"]])
    whole = chain.complete(incomplete)
    assert [list(table) for table in completed] == [list(X["a"]), list(X["b"])]
    pd.testing.assert_frame_equal(completed[1], whole["b"])
    assert not completed[0].isna().any().any()


def test_a_first_scale_follows_from_the_second():
    """Where the later scale tells the earlier one, the chain brings it back."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(150, 1))
    first = pd.DataFrame({"u": a[:, 0], "v": -2 * a[:, 0]})
    second = pd.DataFrame({"s": 3 * a[:, 0] + 1, "t": -a[:, 0]})
    chain = NestedAutoencoder(
        [
            ("a", SupervisedAutoencoder(1, **LINEAR), ["u", "v"]),
            ("b", SupervisedAutoencoder(1, **LINEAR), ["s", "t"]),
        ]
    )
    X = pd.concat([first, second], axis=1)
    chain.fit(X.iloc[:100])
    test = X.iloc[100:]
    completed = chain.complete(test.assign(u=np.nan, v=np.nan))
    spread = np.abs(test).mean()
    # Four columns of one cause: what is left is what Adam leaves, and the one percent to which a
    # column is trusted; ten times that is still a tenth of what the mean would miss.
    assert np.abs(completed - test).to_numpy().mean() < 0.1 * spread[["u", "v"]].mean()
    completed = chain.complete(test.assign(s=np.nan, t=np.nan))
    assert np.abs(completed - test).to_numpy().mean() < 0.1 * spread[["s", "t"]].mean()


def test_rows_of_an_earlier_scale_get_the_later_columns():
    chain, X, y = fitted_chain()
    table, _ = stack_scales(X, y, names=["a", "b"])
    completed = chain.complete(table)
    assert not completed.isna().any().any()
    assert completed.index.equals(table.index)
    known = table.notna()
    assert completed.where(known).astype(object).equals(table.where(known).astype(object))


def test_the_mismatch_of_a_row_is_the_largest_of_what_was_filled_at_any_scale():
    """What was wholly measured at a scale is not filled, however ill it is explained."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 6)), columns=list("abcdef"))
    stages = [("x", sae(1), list("abcd")), ("y", sae(3, max_iter=200), list("ef"))]
    chain = NestedAutoencoder(stages).fit(X)
    table = X.iloc[:10].assign(e=np.nan, f=np.nan)
    table.iloc[::2, 0] = np.nan
    staged = chain._read(table)
    found = chain_of(chain).find(staged, None)
    of_first = chain_of(chain[:1]).find(chain[:1]._read(table.iloc[::2]), None).mismatch
    assert_array_equal(found.rows, np.arange(10))
    assert_array_equal(found.mismatch, found.nearest)
    assert (found.mismatch[::2] >= of_first).all()
    # one latent explains three numbers less well than three latents explain one
    assert np.median(found.mismatch[1::2]) < np.median(of_first)
    several = chain_of(chain).find(staged, (2, np.inf))
    assert (several.mismatch >= several.nearest[several.rows]).all()


def test_candidates_differ_in_columns_that_were_not_measured_and_not_in_latents():
    chain, X, _ = fitted_chain()
    incomplete, _ = hide(X[1], 0.3, seed=3)
    stacked, _ = stack_scales([X[0], incomplete], names=["a", "b"])
    table = stacked.loc[["b"]]
    completer = chain_of(chain)
    parts = completer.batches(chain._read(table), range(2), None)
    numbers, codes = PosteriorModeSearch(completer.models, completer.between)._is_open(parts)
    n_open = numbers.sum(axis=1) + codes.sum(axis=1)
    assert_array_equal(n_open, table.isna().sum(axis=1))


def test_columns_of_a_scale_that_are_not_there_are_added():
    chain, X, _ = fitted_chain()
    with pytest.warns(UnmeasuredScaleWarning):
        completed = chain.complete(X[0])
    assert completed.shape == (len(X[0]), 4)
    assert not completed.isna().any().any()


def test_three_stages_are_filled_from_any_one():
    X = pd.DataFrame(plane(60), columns=list("abcdef"))
    chain = NestedAutoencoder(
        [("x", sae(), ["a", "b"]), ("y", sae(), ["c", "d"]), ("z", sae(), ["e", "f"])]
    ).fit(X)
    for known in (["a", "b"], ["c", "d"], ["e", "f"], ["a", "f"]):
        given = X.assign(**{c: np.nan for c in X if c not in known})
        completed = chain.complete(given)
        assert np.isfinite(completed.to_numpy()).all()
        assert_array_equal(completed[known], X[known])
        candidates = chain.complete(given.iloc[:2], n_candidates=2)
        assert np.isfinite(candidates.X.to_numpy()).all()
    array = NestedAutoencoder([("x", sae(), [0, 1]), ("y", sae(), [2, 3, 4, 5])]).fit(X.to_numpy())
    incomplete, _ = hide(X.to_numpy())
    assert isinstance(array.complete(incomplete), np.ndarray)


def test_a_stage_that_is_no_autoencoder_is_named():
    from sklearn.decomposition import PCA

    X = pd.DataFrame(plane(40), columns=list("abcdef"))
    chain = NestedAutoencoder([("x", PCA(2), ["a", "b"]), ("y", sae(), ["c", "d"])]).fit(X)
    with pytest.raises(TypeError, match="stage 'x' is a PCA"):
        chain.complete(X.assign(c=np.nan))


def test_a_classifier_completes():
    X, y = cells()
    labels = np.where(y > y.median(), "good", "bad")
    estimator = clf().fit(X, labels)
    assert not estimator.complete(X).isna().any().any()
    found = estimator.complete(X.iloc[:6], n_candidates=2)
    assert set(found.prediction) <= {"good", "bad"}
    assert isinstance(estimator, SupervisedAutoencoderClassifier)


# ---------------------------------------------------------------------------------------------
# Candidates


def test_candidates_are_distinct_within_tolerance_and_reproducible():
    chain, X, _ = fitted_chain()
    given = X[1].iloc[:5].assign(layer=np.nan, thickness=np.nan)

    def search(**parameters):
        return chain.complete([X[0], given], n_candidates=4, **parameters)[1]

    free = search()
    tolerance = np.quantile(free.mismatch, 0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ToleranceWarning)
        found = search(tolerance=tolerance)
    again = search()
    pd.testing.assert_frame_equal(free.X, again.X)
    assert found.mismatch.max() <= tolerance < free.mismatch.max()
    for candidates in (free, found):
        for row in np.unique(candidates.row):
            own = candidates.row == row
            assert own.sum() <= 4
            assert not candidates.X[own].duplicated().any()
        known = ["radius", "mass"]
        pd.testing.assert_frame_equal(
            candidates.X[known].dropna(), given[known].iloc[candidates.row].fillna(candidates.X)
        )
    # of a list, each table's own target, as predict gives it
    completed = [X[0], free.X]
    assert_allclose(free.prediction, chain.predict(completed)[1])


def test_the_mismatch_is_a_root_mean_square_over_measured_columns():
    """Of all stages that are searched together; latents between them are not measured."""
    search, parts = search_of_chain()
    with torch.no_grad():
        densities, _ = search.densities(parts)
        start, _ = search.decode_down(densities.mean)
        latents = search.minimize(parts, start, densities)
        errors = []  # each of shape (n_rows,), NaN where nothing was measured
        for model, rows, own in zip(search.models, parts, search.slices, strict=True):
            values, decoded = rows.values["table"], model.decode(latents[:, own])["table"]
            measured, layout = rows.measured["table"].numpy(), model.layouts["table"]
            error = (decoded - values).numpy()
            every = [error[:, j] for j in range(layout.n_numeric)]
            for group in layout.groups():
                p = torch.softmax(decoded[:, group], dim=1)
                every.append(1 - (p * values[:, group]).sum(dim=1).numpy())
            errors += [np.where(m, e, np.nan) for e, m in zip(every, measured.T, strict=True)]
    n_measured = np.isfinite(errors).sum(axis=0)
    assert len(set(n_measured)) > 1
    expected = np.sqrt(np.nanmean(np.square(errors), axis=0))
    assert_allclose(search.find(parts).mismatch, expected, rtol=1e-9)


def test_the_unit_of_the_mismatch_is_a_column_s_standard_deviation():
    """Also where a table is not standardised: columns, and a whole one's number of them."""
    X = plane() * [1, 10, 100, 1000, 1e4, 1e5]
    settings = {"standardize": False, "max_iter": 1, "random_state": 0}
    estimator = SupervisedAutoencoder(2, **settings).fit(X)
    X = X[:6].copy()
    X[:, 0] = np.nan
    model = fitted_part(estimator).observation_model()
    rows = model.rows(model.table.transform(X))
    found = PosteriorModeSearch([model]).find([rows])
    scale = plane()[:, 1:].std(axis=0) * [10, 100, 1000, 1e4, 1e5]
    error = (found.decoded[0]["table"] - rows.values["table"].numpy())[:, 1:] / scale
    assert_allclose(found.mismatch, np.sqrt((error**2).mean(axis=1)), rtol=1e-9)


def test_one_candidate_predicts_as_predict_does():
    X, y = cells()
    estimator = sae().fit(X, y)
    found = estimator.complete(X, n_candidates=1)
    assert_array_equal(found.row, np.arange(len(X)))
    assert_array_equal(found.prediction, estimator.predict(found.X))
    assert sae().fit(X).complete(X, n_candidates=1).prediction is None


def test_a_tolerance_that_nothing_meets_is_told_with_its_numbers():
    estimator, X = fitted_plane()
    incomplete, _ = hide(100 * X)
    with pytest.warns(ToleranceWarning, match=r"tolerance=1e-06.*smallest mismatch is \d"):
        completed = estimator.complete(incomplete, tolerance=1e-6)
    assert np.isfinite(completed).all()
    with pytest.warns(ToleranceWarning, match="has no candidate"):
        found = estimator.complete(incomplete, n_candidates=2, tolerance=1e-6)
    whole = np.flatnonzero(np.isfinite(incomplete).all(axis=1))  # need none
    assert_array_equal(found.row, whole)
    assert_array_equal(found.X, incomplete[whole])
    assert_array_equal(found.mismatch, 0)
    none = estimator.complete(X[:3], n_candidates=2, tolerance=1e-6)
    assert_array_equal(none.X, X[:3])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_candidates": 0}, "'n_candidates' parameter must be a positive int or None, got 0"),
        ({"n_candidates": True}, "got True"),
        ({"tolerance": -1}, "'tolerance' parameter must be a positive number or None, got -1"),
    ],
)
def test_parameters_of_the_search_are_checked(parameters, message):
    X, y = cells()
    for estimator in (sae().fit(X, y), NestedAutoencoder([("s", sae(), list(X))]).fit(X, y)):
        with pytest.raises(ValueError, match=message):
            estimator.complete(X, **parameters)


def test_examples_that_are_alike_count_together():
    numbers = np.array([[0.0], [0.02], [1.0], [0.01], [5.0]])
    codes = np.array([[0], [0], [0], [0], [1]])
    weights = np.array([0.2, 0.15, 0.3, 0.1, 0.25])
    assert weightiest(numbers, codes, weights, 9).tolist() == [0, 2, 4]  # 0.45, 0.3, 0.25
    assert weightiest(numbers, codes, weights, 2).tolist() == [0, 2]
    assert weightiest(numbers[:, :0], codes, weights, 9).tolist() == [2, 4]  # 0.75, 0.25


def test_a_row_that_is_near_one_example_has_other_candidates():
    """Each training row is near one example alone, but the category is open."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"u": rng.uniform(-1, 1, 80), "v": rng.uniform(-1, 1, 80)})
    X["kind"] = pd.Categorical(rng.choice(list("abc"), 80))
    estimator = SupervisedAutoencoder(5, max_iter=200, learning_rate_init=0.01, random_state=0)
    incomplete = X.iloc[:10].assign(kind=np.nan)
    found = estimator.fit(X).complete(incomplete, n_candidates=3)
    assert set(found.X["kind"]) == set("abc")
    assert np.bincount(found.row).min() == 3


def test_choose_distinct_keeps_the_first_of_those_alike():
    numbers = np.array([[0.0, 0.0], [0.01, 0.0], [1.0, 0.0], [0.0, 0.0]])
    codes = np.array([[0], [0], [0], [1]])
    assert choose_distinct(numbers, codes, np.array([1, 0, 2, 3]), 9) == [1, 2, 3]
    assert choose_distinct(numbers, codes, np.array([1, 0, 2, 3]), 2) == [1, 2]
    empty = np.empty((4, 0))
    assert choose_distinct(empty, codes, np.arange(4), 9) == [0, 3]


def test_a_row_further_away_than_numbers_go():
    """Its errors squared are infinite; what is filled and scored is a number all the same."""
    sae, X = fitted_plane()
    far = np.array(X[:2], dtype=float)
    far[0, 0], far[0, 1] = 1e200, np.nan
    filled = sae.complete(far)
    assert np.isfinite(filled).all()
    near, distant = sae.score_samples(np.where(np.isnan(far), 0.0, far))[::-1]
    assert distant == -np.inf
    assert np.isfinite(near)
    both = np.array(X[:1], dtype=float)
    both[0, :2] = 1e200  # the product of two such errors has no sign
    assert sae.score_samples(both) == -np.inf
