"""Ensembles: how members differ, what they give together, and what the first one is."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cases.nested import two_scales
from cases.vectorized import ATOL, SMALL, data
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae._estimators._ensemble import log_mean, mean_and_spread, strata_of
from sknestedae._estimators._fitted import fitted_part
from sknestedae._tables._splits import bootstrap_rows
from sknestedae.blocks import ImageBlock
from sknestedae.exceptions import TextColumnWarning, UnseenCategoryWarning

SMALL = {**SMALL, "max_iter": 6}
NETWORK = {**SMALL, "predictor": "network"}  # processes of the same rows would be equal


def sae(n_members=3, **settings):
    return SupervisedAutoencoder(
        **{**NETWORK, "n_members": n_members, "random_state": 0, **settings}
    )


def chain(n_members=3, **settings):
    return NestedAutoencoder(
        estimator=SupervisedAutoencoder(**NETWORK),
        **{"n_members": n_members, "random_state": 0, **settings},
    )


def labels(X):
    return np.where(np.nan_to_num(X[:, 0]) > 0.7, "high", "low")


def test_the_first_member_is_the_one_of_a_single_fit():
    X, y = data()
    single, ensemble = sae(1).fit(X, y), sae().fit(X, y)
    for method in ("transform", "predict"):
        first = getattr(ensemble.members_[0], method)(X)
        assert_allclose(first, getattr(single, method)(X), rtol=0, atol=ATOL)
    assert_array_equal(ensemble.transform(X), ensemble.members_[0].transform(X))
    Z = single.transform(X)
    assert_allclose(ensemble.inverse_transform(Z), single.inverse_transform(Z), atol=ATOL)
    assert_allclose(ensemble.score(X), single.score(X), atol=ATOL)
    assert ensemble.n_iter_ == single.n_iter_


def test_latents_stay_with_more_members():
    X, y = data()
    Z = [sae(n).fit(X, y).transform(X) for n in (2, 5)]
    assert_allclose(Z[0], Z[1], rtol=0, atol=ATOL)


def test_mean_and_spread_of_numbers():
    X, y = data()
    ensemble = sae().fit(X, y)
    each = [member.predict(X) for member in ensemble.members_]
    assert len(each) == 3
    assert len({float(own[0]) for own in each}) == 3
    mean, spread = ensemble.predict(X, return_std=True)
    assert_allclose(mean, np.mean(each, axis=0))
    assert_allclose(spread, np.std(each, axis=0, ddof=1))
    assert_array_equal(ensemble.predict(X), mean)
    known = ~np.isnan(y)
    assert ensemble.score(X, y) == r2_score(y[known], mean[known])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mean_and_spread_of_numbers_of_any_size(dtype):
    most = np.finfo(dtype).maxexp - 4
    values = np.random.default_rng(0).normal(size=(3, 20)).astype(dtype)
    powers = np.linspace(-most, most, 20).astype(int)
    scaled = list(np.ldexp(values, powers))
    mean, spread = mean_and_spread(scaled, True)
    assert_array_equal(mean, np.ldexp(values.mean(axis=0), powers))
    assert_array_equal(spread, np.ldexp(values.std(axis=0, ddof=1), powers))
    assert_array_equal(mean_and_spread(scaled, False), mean)


def test_members_keep_the_shape_of_y():
    X, y = data(incomplete=False)
    mean, spread = sae().fit(X, np.column_stack([y, -y])).predict(X, return_std=True)
    assert mean.shape == spread.shape == (len(X), 2)


def test_mean_and_spread_of_probabilities():
    X, _ = data()
    y = labels(X)
    ensemble = SupervisedAutoencoderClassifier(**SMALL, n_members=3, random_state=0).fit(X, y)
    each = [member.predict_proba(X) for member in ensemble.members_]
    mean, spread = ensemble.predict_proba(X, return_std=True)
    assert_allclose(mean, np.mean(each, axis=0))
    assert_allclose(spread, np.std(each, axis=0, ddof=1))
    assert_array_equal(ensemble.predict(X), ensemble.classes_[mean.argmax(axis=1)])
    assert ensemble.score(X, y) == accuracy_score(y, ensemble.predict(X))


@pytest.mark.parametrize("make", [sae, chain])
def test_spread_of_one_member_raises(make):
    X, y = data(incomplete=False)
    with pytest.raises(ValueError, match="'n_members' parameter must have been 2 or more"):
        make(1).fit(X, y).predict(X, return_std=True)


@pytest.mark.parametrize("n_members", [0, -1, 1.5])
def test_bad_number_of_members(n_members):
    with pytest.raises(ValueError, match="'n_members' parameter"):
        sae(n_members).fit(*data())


def test_no_members_before_fit():
    with pytest.raises(AttributeError, match="no members_ before fit"):
        _ = sae().members_
    with pytest.raises(AttributeError, match="no members_ before fit"):
        _ = chain().members_


def test_a_failing_member_leaves_nothing_half_fitted():
    estimator = sae(learning_rate_init=1e200)
    with pytest.raises(ValueError, match="diverged"):
        estimator.fit(*data())
    assert not vars(estimator).keys() - estimator.get_params().keys()


def test_fit_anew_without_members_forgets_them():
    X, y = data()
    ensemble = sae().fit(X, y).set_params(n_members=1).fit(X, y)
    assert len(ensemble.members_) == 1


def test_nothing_of_an_earlier_fit_is_left():
    X, y = data()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    ensemble = sae().fit(frame, y).fit(X, y)
    assert not hasattr(ensemble, "feature_names_in_")
    X_list, y_list = two_scales()
    nae = chain(refine_iter=1).fit(X_list, y_list)
    assert hasattr(nae, "refine_history_")
    assert not hasattr(nae.set_params(refine_iter=0).fit(X_list, y_list), "refine_history_")


def test_first_member_of_a_generator_is_that_of_a_single_fit():
    X, y = data()
    single, ensemble = (sae(n, random_state=np.random.RandomState(0)).fit(X, y) for n in (1, 2))
    assert_allclose(ensemble.transform(X), single.transform(X), rtol=0, atol=ATOL)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_with_fewer_members_raises(method):
    X, y = data()
    ensemble = sae(warm_start=True).fit(X, y).set_params(n_members=1)
    with pytest.raises(ValueError, match=r"'n_members' parameter was 3 in the last fit and is 1"):
        getattr(ensemble, method)(X, y)
    assert len(ensemble.members_) == 3


# -- bootstrap


def test_bootstrap_members_see_rows_of_their_own():
    X, y = data()
    plain, bootstrap = sae(alpha=0).fit(X, y), sae(alpha=0, bootstrap=True).fit(X, y)
    means = [fitted_part(m).table.affine([0, 1, 2])[0] for m in bootstrap.members_]
    assert len({float(mean[0]) for mean in means}) == 3
    assert_array_equal(
        *(fitted_part(plain.members_[k]).table.affine([0, 1, 2])[0] for k in (0, 2))
    )
    again = sae(alpha=0, bootstrap=True).fit(X, y)
    assert_array_equal(again.predict(X), bootstrap.predict(X))


def test_bootstrap_is_a_fit_to_drawn_rows():
    X, y = data()
    weight = np.linspace(0.1, 3, len(X))
    ensemble = sae(bootstrap=True).fit(pd.DataFrame(X), y, weight)
    for k, member in enumerate(ensemble.members_):
        rows = bootstrap_rows(~np.isnan(y), member.random_state, (k, 0))
        alone = clone(member).fit(pd.DataFrame(X[rows]), y[rows], weight[rows])
        assert_allclose(member.predict(pd.DataFrame(X)), alone.predict(pd.DataFrame(X)), atol=ATOL)


def test_bootstrap_keeps_rare_classes():
    X, _ = data()
    y = np.full(len(X), "common")
    y[0] = "rare"
    clf = SupervisedAutoencoderClassifier(
        **SMALL, n_members=4, bootstrap=True, random_state=0
    ).fit(X.tolist(), y.tolist())
    assert {tuple(member.classes_) for member in clf.members_} == {("common", "rare")}


def test_bootstrap_rows_by_strata():
    strata = np.array([0, 1, 1, 1, 2, 2, 0, 2])
    rows = bootstrap_rows(strata, 0, (1,))
    assert_array_equal(np.bincount(strata[rows]), np.bincount(strata))
    assert not np.array_equal(rows, bootstrap_rows(strata, 0, (2,)))
    assert_array_equal(rows, np.sort(rows))


def test_strata_are_classes_and_what_is_known():
    y = pd.DataFrame(
        {
            "number": [1.0, np.nan, 3.0, np.nan],
            "other": [np.nan, np.nan, 1.0, 2.0],
            "label": ["a", "a", "b", "a"],
        }
    )
    strata = strata_of(y, [False, False, True])
    assert strata[0] == strata[3]
    assert len(set(strata)) == 3
    assert len(set(strata_of(y[["number"]], [False]))) == 2


# -- going on, saving


def test_every_member_goes_on():
    X, y = data()
    ensemble = sae(warm_start=True).fit(X, y)
    before = [member.predict(X) for member in ensemble.members_]
    ensemble.set_params(max_iter=2).fit(X, y)
    assert [member.n_iter_ for member in ensemble.members_] == [8, 8, 8]
    ensemble.partial_fit(X, y)
    assert [member.n_iter_ for member in ensemble.members_] == [9, 9, 9]
    after = [member.predict(X) for member in ensemble.members_]
    for k in range(3):
        assert not np.array_equal(before[k], after[k])
    with pytest.raises(ValueError, match=r"'n_members' parameter was 3 in the last fit and is 5"):
        ensemble.set_params(n_members=5).fit(X, y)
    assert len(ensemble.members_) == 3


def test_partial_fit_of_members_is_that_of_each():
    """Each goes on with the moments of its own optimizer."""
    X, y = data()
    ensemble = sae().fit(X, y)
    each = [pickle.loads(pickle.dumps(member)).partial_fit(X, y) for member in ensemble.members_]
    ensemble.partial_fit(X, y)
    for member, alone in zip(ensemble.members_, each, strict=True):
        assert_array_equal(member.predict(X), alone.predict(X))


def test_each_part_of_a_stream_is_drawn_anew():
    """Else the same places of every part would be left out."""
    X, y = data(incomplete=False)
    ensemble = sae(bootstrap=True).partial_fit(X, y)
    before = [pickle.loads(pickle.dumps(member)) for member in ensemble.members_]
    ensemble.partial_fit(X, y)
    for k, (member, alone) in enumerate(zip(ensemble.members_, before, strict=True)):
        rows = bootstrap_rows(np.zeros(len(X)), member.random_state, (k, 1))
        alone.partial_fit(X[rows], y[rows])
        assert_array_equal(member.predict(X), alone.predict(X))


def test_partial_fit_from_the_start():
    X, _ = data()
    y = labels(X)
    clf = SupervisedAutoencoderClassifier(**SMALL, n_members=2, bootstrap=True, random_state=0)
    clf.partial_fit(X, y, classes=["high", "low", "none"]).partial_fit(X, y)
    assert [member.n_iter_ for member in clf.members_] == [2, 2]
    assert clf.predict_proba(X).shape == (len(X), 3)


def test_an_ensemble_shares_what_its_first_member_learnt():
    X, y = data()
    ensemble = sae().fit(X, y)
    first = ensemble.members_[0]
    assert first is not ensemble
    assert fitted_part(ensemble) is fitted_part(first)
    assert ensemble.net_ is first.net_
    assert ensemble.history_ is first.history_
    assert [member.n_members for member in ensemble.members_] == [1, 1, 1]
    loaded = pickle.loads(pickle.dumps(ensemble))
    assert fitted_part(loaded) is fitted_part(loaded.members_[0])
    single = sae(1).fit(X, y)
    assert single.members_ == [single]


def test_members_go_on_in_place():
    X, y = data()
    ensemble = sae(warm_start=True).fit(X, y)
    members = ensemble.members_
    ensemble.set_params(learning_rate_init=1e-4).fit(X, y)
    assert all(a is b for a, b in zip(ensemble.members_, members, strict=True))
    assert [member.learning_rate_init for member in members] == [1e-4] * 3
    assert fitted_part(ensemble) is fitted_part(members[0])


def test_members_are_put_back_where_one_of_them_fails(monkeypatch):
    X, y = data()
    ensemble = sae(warm_start=True).fit(X, y)
    before = [member.predict(X) for member in ensemble.members_]

    def fail(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble.members_[1], "_fit_beside", fail)
    with pytest.raises(KeyboardInterrupt):
        ensemble.set_params(max_iter=1).fit(X, y)
    for member, own in zip(ensemble.members_, before, strict=True):
        assert_array_equal(member.predict(X), own)
        assert (member.n_iter_, member.max_iter) == (6, 6)
    assert ensemble.n_iter_ == 6


def test_one_network_after_an_ensemble_has_no_members_left():
    X, y = data()
    ensemble = sae().fit(X, y).set_params(n_members=1).fit(X, y)
    assert ensemble.members_ == [ensemble]
    assert_array_equal(ensemble.predict(X), sae(1).fit(X, y).predict(X))


@pytest.mark.parametrize("make", [sae, chain])
def test_members_survive_saving(make):
    X, y = data(incomplete=False)
    ensemble = make().fit(X, y)
    loaded = pickle.loads(pickle.dumps(ensemble))
    for a, b in zip(
        ensemble.predict(X, return_std=True), loaded.predict(X, return_std=True), strict=True
    ):
        assert_array_equal(a, b)


# -- chains


def test_chain_members_are_whole_chains():
    X_list, y_list = two_scales()
    single, ensemble = chain(1).fit(X_list, y_list), chain().fit(X_list, y_list)
    for a, b in zip(single.transform(X_list), ensemble.transform(X_list), strict=True):
        assert_allclose(a, b, rtol=0, atol=ATOL)
    mean, spread = ensemble.predict(X_list, return_std=True)
    each = [member.predict(X_list) for member in ensemble.members_]
    for k in range(2):
        assert_allclose(mean[k], np.mean([own[k] for own in each], axis=0))
        assert_allclose(spread[k], np.std([own[k] for own in each], axis=0, ddof=1))
        assert (spread[k] > 0).all()
    last = ensemble.predict(X_list[1], return_std=True)
    assert_allclose(last[0][:, 1], mean[1])
    assert_allclose(last[1][:, 1], spread[1])


def test_part_of_a_chain_keeps_its_members():
    X_list, y_list = two_scales()
    ensemble = chain().fit(X_list, y_list)
    mean, spread = ensemble[:1].predict(X_list[:1], return_std=True)
    assert_allclose(mean[0], ensemble.predict(X_list)[0])
    assert len(ensemble[:1].members_) == 3
    assert spread[0].shape == mean[0].shape


def test_chain_score_is_that_of_the_mean():
    X_list, y_list = two_scales()
    ensemble = chain(bootstrap=True).fit(X_list, y_list)
    means = ensemble.predict(X_list)
    expected = []
    for truth, mean in zip(y_list, means, strict=True):
        known = ~np.isnan(np.asarray(truth, float))
        expected.append(r2_score(np.asarray(truth)[known], mean[known]))
    # stages are scored on all rows with their target, which a list gives table by table
    assert_allclose(ensemble.score(X_list, y_list), np.mean(expected), rtol=1e-6)


def test_bootstrap_of_a_chain_keeps_the_rows_of_each_scale():
    X_list, y_list = two_scales()
    ensemble = chain(bootstrap=True, n_members=4).fit(X_list, y_list)
    tables = [fitted_part(member["scale0"]).table for member in ensemble.members_]
    means = {table.affine([0])[0].item() for table in tables}
    assert len(means) == 4
    again = chain(bootstrap=True, n_members=4).fit(X_list, y_list)
    for a, b in zip(again.predict(X_list), ensemble.predict(X_list), strict=True):
        assert_array_equal(a, b)


def test_chain_of_classes():
    X, y = data(incomplete=False)
    X = pd.DataFrame(X, columns=list("abcdef"))
    y = pd.DataFrame({"first": y, "second": np.where(y > 1, "good", "bad")})
    ensemble = NestedAutoencoder(
        [
            ("first", SupervisedAutoencoder(**SMALL), list("abc")),
            ("second", SupervisedAutoencoderClassifier(**SMALL), list("def")),
        ],
        n_members=3,
        random_state=0,
    ).fit(X, y)
    proba, spread = ensemble.predict_proba(X, return_std=True)
    each = [member.predict_proba(X) for member in ensemble.members_]
    assert_allclose(proba, np.mean(each, axis=0))
    assert_allclose(np.exp(ensemble.predict_log_proba(X)), proba, rtol=1e-9)
    mean, both = ensemble.predict(X, return_std=True)
    best = proba.argmax(axis=1)
    assert_array_equal(mean[:, 1], ensemble.classes_[best])
    assert_allclose(both[:, 1].astype(float), spread[np.arange(len(X)), best])
    expected = [r2_score(y["first"], mean[:, 0].astype(float))]
    expected.append(accuracy_score(y["second"], mean[:, 1]))
    assert_allclose(ensemble.score(X, y), np.mean(expected))


def test_the_logarithm_of_a_mean_is_that_of_the_numbers():
    numbers = [np.array([0.25, 0.0, 1e-300]), np.array([0.75, 0.0, 1.0])]
    with np.errstate(divide="ignore"):
        logs, expected = [np.log(own) for own in numbers], np.log(np.mean(numbers, axis=0))
    assert_allclose(log_mean(logs), expected, rtol=1e-12)
    far = [np.array([-2000.0]), np.array([-2000.0 + np.log(3)])]  # of which floats know no number
    assert_allclose(log_mean(far), [-2000 + np.log(2)], rtol=1e-12)


# -- what a column is, is decided by the whole table


MIXED = pd.DataFrame({"n": range(6), "o": pd.Series(["a", 1, 2, 3, 4, 5], dtype=object)})


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_draw_does_not_say_what_a_column_is(method):
    """Five of six values are numbers, so that many draws have numbers alone."""
    ensemble = sae(8, bootstrap=True, random_state=0, batch_size=6)
    with pytest.warns(TextColumnWarning, match="numbers beside the text 'a'"):
        getattr(ensemble, method)(MIXED, np.arange(6.0))
    drawn = [fitted_part(member).table.categories[1].tolist() for member in ensemble.members_]
    assert sum("a" in categories for categories in drawn) < len(drawn)
    assert np.isfinite(ensemble.predict(MIXED)).all()
    back = ensemble.inverse_transform(ensemble.transform(MIXED))
    assert back.dtypes.tolist() == MIXED.dtypes.tolist()
    assert ensemble.categorical_features == "from_dtype"
    assert np.isfinite(ensemble.partial_fit(MIXED, np.arange(6.0)).predict(MIXED)).all()


def test_a_draw_of_a_chain_does_not_say_what_a_column_is():
    ensemble = NestedAutoencoder(n_members=8, bootstrap=True, max_iter=1, random_state=0)
    with pytest.warns(TextColumnWarning):
        ensemble.fit(MIXED, np.arange(6.0))
    assert np.isfinite(ensemble.predict(MIXED)).all()


def test_the_rows_of_a_stage_do_not_say_what_a_column_is():
    """Of the first scale's rows the column has numbers alone, of the second's a word too."""
    first = pd.DataFrame({"o": pd.Series([1, 2, 3, 4] * 3, dtype=object)})
    second = pd.DataFrame({"o": pd.Series([1, "a"] * 4, dtype=object), "z": np.arange(8.0)})
    chain = NestedAutoencoder(max_iter=1, random_state=0)
    with (
        pytest.warns(TextColumnWarning, match="Column .*'o'.* beside the text 'a'"),
        pytest.warns(UnseenCategoryWarning, match="4 of 8 rows have a value in column 'o'"),
    ):
        chain.fit([first, second], [np.arange(12.0), np.arange(8.0)])
    assert 0 in fitted_part(chain[0]).table.categories


def test_the_kind_of_frame_is_that_of_every_member():
    X, y = two_scales()[0][1], two_scales()[1][1]
    given = pl.from_pandas(X.drop(columns="layer"))
    for estimator in (sae(2, bootstrap=True), chain(2)):
        estimator.fit(given, y)
        for fitted in (estimator, *estimator.members_):
            assert isinstance(fitted.inverse_transform(fitted.transform(given)), pl.DataFrame)


def test_rows_of_numbers_alone_are_rows_of_a_mixed_column():
    """A stage that saw words alone takes numbers, which the whole table has too."""
    first = pd.DataFrame({"o": pd.Series(["a", "b"] * 6, dtype=object)})
    second = pd.DataFrame({"o": pd.Series([1, 2] * 4, dtype=object), "z": np.arange(8.0)})
    chain = NestedAutoencoder(max_iter=1, random_state=0)
    with pytest.warns(TextColumnWarning), pytest.warns(UnseenCategoryWarning):
        chain.fit([first, second], [np.arange(12.0), np.arange(8.0)])
    with pytest.warns(UnseenCategoryWarning, match="8 of 8 rows"):
        assert np.isfinite(chain.predict([first, second])[1]).all()


@pytest.mark.parametrize("bootstrap", [False, True])
def test_members_of_arrays_of_more_dimensions(bootstrap):
    """The ensemble counts an array's entries, as its members do."""
    images = np.random.default_rng(0).normal(size=(20, 4, 4))
    block = ImageBlock(n_channels=(2,))
    ensemble = sae(2, bootstrap=bootstrap, blocks=block).fit(images)
    assert ensemble.n_features_in_ == 16
    assert_array_equal(ensemble.transform(images), ensemble.members_[0].transform(images))
    assert ensemble.complete(images).shape == images.shape
