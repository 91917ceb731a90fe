"""The stages of a chain one by one: their rows, their columns, what they are refused for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.nested import AB, cells, crystals, sae, same_rows, two_scales
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer

from sknestedae import NestedAutoencoder, stack_scales
from sknestedae.exceptions import FewRowsWarning, NoTargetError

# -- which rows a stage is trained on


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
    """A gap in all columns of the last scale does not send a row to the scale before."""
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


def round_by_place(X):
    """Give back what is given, rounded in another way at each place, as a product may be."""
    values = np.array(X, dtype=float)
    return values * (1 + np.finfo(float).eps * (np.arange(len(values)) % 3))[:, None]


def test_replicates_stay_together_at_a_later_stage_too():
    """Early stopping tells them by their latents, which are the same to the last bit."""
    (first, second), (_, target) = same_rows(n_rows=40)
    X = pd.concat([first, second], axis=1)
    stages = [
        ("a", FunctionTransformer(round_by_place), ["u0", "v0"]),
        ("b", sae(early_stopping=True, validation_fraction=0.2), ["u1", "v1"]),
    ]
    many = pd.concat([X] * 4, ignore_index=True)
    chain = NestedAutoencoder(stages).fit(many, pd.concat([target] * 4, ignore_index=True))
    totals = chain["b"].net_.totals_
    assert (totals["train"].rows, totals["valid"].rows) == (4 * 32, 4 * 8)


# -- what cannot be trained


def bad_fit(stages=None, X=None, y=None, **parameters):
    X = cells()[0] if X is None else X
    return NestedAutoencoder(stages, **{"max_iter": 1, **parameters}).fit(X, y)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([("a", sae(), ["radius"]), ("b", sae(), ["radius", "mass"])], "'radius' is given to"),
        ([("a", sae(), ["radius"]), ("b", sae(), [])], r"Stage 'b' has no columns: \[\] is none"),
        ([("a", sae(), ["radius"]), ("b", sae(), ["mess"])], "in stage 'b', names the .*'mess'"),
        ([("a__b", sae(), ["radius"])], "without '__', got 'a__b'"),
        ([("a", sae(), ["radius"]), ("a", sae(), ["mass"])], r"\['a'\] are there more than once"),
        ([("latents", sae(), ["radius"])], r"names that parameters have, got \['latents'\]"),
        ([("a", sae())], "must be a list of tuples"),
        ([], "at least one stage"),
    ],
)
def test_stages_that_can_not_be(stages, message):
    with pytest.raises(ValueError, match=message):
        bad_fit(stages)


def test_stages_that_can_not_do_what_they_must():
    with pytest.raises(TypeError, match="stage 'a' must have fit and transform"):
        bad_fit([("a", 3, ["radius"])])
    X, y = crystals()
    with pytest.raises(
        TypeError, match="Stage 'a' has a target, but its estimator has no predict"
    ):
        bad_fit([("a", PCA(1), [0]), ("b", sae(), [1])], X, np.column_stack([y, y]))
    with pytest.raises(TypeError, match="In stage 'a': PCA cannot be fitted with sample_weight"):
        NestedAutoencoder([("a", PCA(1), [0, 1])]).fit(X, sample_weight=np.ones(40))
    chain = NestedAutoencoder([("a", FunctionTransformer(), [0, 1])]).fit(X)
    assert chain.get_feature_names_out().tolist() == ["a__latent0", "a__latent1"]
    with pytest.raises(NoTargetError, match="without a target"):
        NestedAutoencoder(max_iter=1).fit(X).predict(X)


def test_tables_that_do_not_go_together():
    (first, gap), (second, pce) = crystals(), cells()
    with pytest.raises(ValueError, match=r"lacks \['mass'\]"):
        bad_fit(None, [first, second.drop(columns="mass")], [gap, pce])
    with pytest.raises(ValueError, match="y_list has 1 targets, but there are 2 scales"):
        bad_fit(None, [first, second], [gap])
    with pytest.raises(ValueError, match="a list of 1 tables, but there are 2 stages"):
        bad_fit(AB, [first], [gap])
    with pytest.raises(ValueError, match="'scale1' has 29 rows, but its table has 30"):
        bad_fit(None, [first, second], [gap, pce[1:]])
    twice = pd.concat([second, second[["mass"]]], axis=1)
    with pytest.raises(ValueError, match=r"X has the columns \['mass'\] more than once"):
        bad_fit(None, twice)
    with pytest.raises(ValueError, match="sample_weight must be a list of the weights"):
        NestedAutoencoder(max_iter=1).fit([first, second], sample_weight=np.ones(70))


def test_targets_and_rows_that_are_not_there():
    (first, gap), (second, pce) = crystals(), cells()
    with pytest.raises(ValueError, match="'scale0' has no measured row among the 40 rows"):
        bad_fit(None, [first, second], [gap * np.nan, pce])
    X, y = stack_scales([first, second], [gap, pce])
    y.loc[X.index.get_level_values(0) == "scale1", ("scale0", "gap")] = 1.0
    y.loc[X.index.get_level_values(0) == "scale0", ("scale0", "gap")] = np.nan
    with pytest.raises(ValueError, match=r"30 are measured in rows of other scales"):
        bad_fit(None, X, y)
    empty = second.copy()
    empty.iloc[[4, 6]] = None
    with pytest.raises(ValueError, match=r"Row 4 \(index 4\) has nothing measured.*so do 1 other"):
        bad_fit(AB, empty, pce)
    with pytest.raises(ValueError, match=r"Stage 'scale1' has 1 row\(s\) to train on"):
        bad_fit(None, [first, second.iloc[:1]], [gap, pce[:1]])
    with pytest.raises(ValueError, match=r"y has the columns .* but the scales are"):
        bad_fit(AB, second, np.ones((30, 3)))
    infinite = second.copy()
    infinite["thickness"] = np.inf
    with pytest.raises(ValueError, match="In stage 'b': Column 'thickness' contains infinity"):
        bad_fit(AB, infinite, pce)
