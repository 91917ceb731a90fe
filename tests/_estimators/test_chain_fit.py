"""The fit of a chain: which rows a stage is trained on, and what its estimator is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.nested import cells, crystals, sae, same_rows, two_scales
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator

from sknestedae import NestedAutoencoder, stack_scales
from sknestedae.exceptions import FewRowsWarning


def test_train_rows_own_and_all():
    X_list, y_list = two_scales()
    own = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    every = clone(own).set_params(train_rows="all").fit(X_list, y_list)
    X, y = stack_scales(X_list, y_list)
    assert_array_equal(
        every["scale0"].transform(X["scale0"]),
        sae().fit(X["scale0"], y["scale0"]["gap"]).transform(X["scale0"]),
    )
    assert not np.allclose(every.predict(X), own.predict(X))
    # where no row ends at the first scale, both are the same
    tables, targets = same_rows()
    own, every = (
        NestedAutoencoder(estimator=sae(), train_rows=rows).fit(tables, targets)
        for rows in ("own", "all")
    )
    assert_array_equal(own.transform(tables)[1], every.transform(tables)[1])


def test_a_known_target_makes_a_row_one_of_its_scale():
    """A missing value in all columns of the last scale does not send a row to the scale before."""
    tables, targets = same_rows(n_rows=60)
    tables[1].iloc[:3] = np.nan
    chain = NestedAutoencoder(estimator=sae()).fit(tables, [None, targets[1].fillna(0.0)])
    assert_array_equal(
        chain["scale0"].transform(tables[0]), sae().fit(tables[0]).transform(tables[0])
    )
    with pytest.warns(FewRowsWarning, match=r"'scale0' is trained on the 3 rows.*not on 60"):
        NestedAutoencoder(estimator=sae()).fit(tables)


def test_latents_of_rows_without_an_earlier_scale_are_missing():
    tables, targets = same_rows(n_rows=60)
    tables[0].iloc[:20] = np.nan
    chain = NestedAutoencoder(estimator=sae()).fit(tables, targets)
    latents = chain["scale0"].transform(tables[0])
    latents[:20] = np.nan
    by_hand = sae().fit(np.hstack([tables[1], latents]), targets[1])
    assert_array_equal(chain.predict(tables)[1], by_hand.predict(np.hstack([tables[1], latents])))
    # and a transformer that cannot take them need not
    with_pca = NestedAutoencoder([("a", PCA(1), ["u0", "v0"]), ("b", sae(), ["u1", "v1"])])
    assert np.isfinite(
        with_pca.fit(pd.concat(tables, axis=1), targets[1]).predict(pd.concat(tables, axis=1))
    ).all()


def test_later_scales_hold_the_weights_of_few_rows_firmly():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(max_iter=1).fit(X_list, y_list)
    assert [estimator.alpha for _, estimator, _ in chain.stages_] == [1e-3, "auto"]
    assert chain["scale1"].alpha_ == 0.15  # 30 rows
    chain = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    assert [estimator.alpha for _, estimator, _ in chain.stages_] == [1e-3, 1e-3]


def test_one_number_of_latents_per_scale():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae(5), n_components=[3, None]).fit(X_list, y_list)
    assert [Z.shape[1] for Z in chain.transform(X_list)] == [3, 5]
    with pytest.raises(ValueError, match=r"'n_components' parameter has 3 numbers.* 2 stages"):
        clone(chain).set_params(n_components=[1, 2, 3]).fit(X_list, y_list)


def test_a_stage_that_needs_every_target_is_given_the_labelled_rows():
    X, y = crystals()
    incomplete = y.copy()
    incomplete[::3] = np.nan
    pls = PLSRegression(1)
    stages = [("crystal", pls, ["radius", "mass"])]
    chain = NestedAutoencoder(stages).fit(X, incomplete)
    known = incomplete.notna()
    assert_allclose(chain.predict(X), pls.fit(X[known], incomplete[known]).predict(X))


@pytest.mark.parametrize("as_array", [True, False])
def test_a_frozen_stage_stays_as_it_is(as_array):
    (first, gap), (second, pce) = crystals(), cells()
    fitted = sae(3).fit(first.to_numpy() if as_array else first, gap)
    before = fitted.transform(first.to_numpy() if as_array else first)
    chain = NestedAutoencoder(
        [
            ("crystal", FrozenEstimator(fitted), ["radius", "mass"]),
            ("device", sae(), ["layer", "thickness"]),
        ],
        n_components=2,
        max_iter=1,
    ).fit([first, second], [None, pce])
    assert_array_equal(chain[:1].transform(first), before)
    assert chain["crystal"].n_components == 3
    assert chain.transform(second).shape == (30, 2)
    with pytest.raises(ValueError, match=r"not fitted"):
        NestedAutoencoder([("a", FrozenEstimator(sae()), [0, 1])]).fit(first, gap)
