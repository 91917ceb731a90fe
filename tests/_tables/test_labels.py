"""Tables whose columns are not, or not in their order, those that a chain was fitted to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.nested import cells, sae, two_scales
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer

from sknestedae import NestedAutoencoder, stack_kinds, stack_scales
from sknestedae._tables._labels import ColumnLabels, entry_names
from sknestedae.exceptions import UnmeasuredScaleWarning


def test_labels_with_and_without_scales():
    X = pd.DataFrame(
        np.ones((2, 3)),
        columns=pd.MultiIndex.from_tuples(
            [("a", "u"), ("b", "v"), ("b", 3)], names=["scale", None]
        ),
    )
    columns = ColumnLabels.of(X)
    assert columns.scales == ["a", "b"]
    assert columns.features([0, 1]) == ["u", "v"]
    assert columns.features([2]) == [3]
    assert columns.index().equals(X.columns)
    assert columns.index().names == ["scale", None]
    assert columns.align(X.droplevel(0, axis=1), {"a": [0], "b": [1, 2]}).columns.equals(X.columns)
    flat = ColumnLabels.of(X.droplevel(0, axis=1))
    assert flat.scales is None
    assert flat.features([1]) == ["v"]
    assert flat.name(1) == "'v'"
    assert ColumnLabels.of(X.to_numpy()).name(1) == "1"
    assert ColumnLabels.of(X.to_numpy()).index().equals(pd.RangeIndex(3))
    for labels in (columns, flat, ColumnLabels.of(X.to_numpy())):
        assert ColumnLabels.from_state(labels.to_state()) == labels


def test_a_feature_of_two_scales_is_named_in_full():
    """Its own name alone would stand for either of them."""
    X = pd.DataFrame(
        np.arange(6.0).reshape(2, 3),
        columns=pd.MultiIndex.from_tuples([("a", "u"), ("b", "u"), ("b", "v")]),
    )
    columns, stages = ColumnLabels.of(X), {"a": [0], "b": [1, 2]}
    pd.testing.assert_frame_equal(columns.align(X[[("b", "v"), *X.columns[:2]]], stages), X)
    with pytest.raises(ValueError, match="has others: \\['u'\\]"):
        columns.align(X[["b"]].droplevel(0, axis=1), stages)


def test_features_that_cannot_stand_alone_keep_their_scale():
    """scikit-learn refuses strings beside other names, and two columns of one name."""
    labels = [("a", "u"), ("b", 0.5), ("b", 1.0), ("c", "u"), ("c", "v")]
    X = pd.DataFrame(np.ones((2, 5)), columns=pd.MultiIndex.from_tuples(labels))
    columns = ColumnLabels.of(X)
    assert columns.features([1, 2]) == [0.5, 1.0]
    assert columns.features([0, 4]) == ["u", "v"]
    assert columns.features([0, 1]) == labels[:2]
    assert columns.features([0, 3]) == [labels[0], labels[3]]


def test_kinds_with_numbers_and_with_names_in_one_stage():
    rng = np.random.default_rng(0)
    spectra = pd.DataFrame(rng.normal(size=(30, 3)), columns=[0.1, 0.2, 0.3])
    sizes = pd.DataFrame(rng.normal(size=(30, 2)), columns=["a", "b"])
    X = stack_kinds(other=rng.normal(size=(30, 2)), spectrum=spectra, size=sizes)
    stages = [("first", sae(), "other"), ("second", sae(), ["spectrum", "size"])]
    for order in (stages, stages[::-1]):
        chain = NestedAutoencoder(order).fit(X, sizes["a"])
        assert chain.inverse_transform(chain.transform(X)).columns.equals(X.columns)
        assert chain.complete(X.mask(X > 1)).notna().all(axis=None)
    flat = NestedAutoencoder([("first", sae(), slice(2)), ("second", sae(), slice(2, None))])
    named = NestedAutoencoder(stages).fit(X, sizes["a"]).predict(X)
    # another order in memory rounds sums of five columns otherwise, over three epochs
    array = X.to_numpy()
    assert_allclose(flat.fit(array, sizes["a"]).predict(array), named, rtol=0, atol=1e-10)


def test_a_frame_where_an_array_was_fitted():
    X = np.random.default_rng(0).normal(size=(40, 3))
    chain = NestedAutoencoder([("p", sae(), [2, 0]), ("q", sae(), [1])]).fit(X, X[:, 0])
    with pytest.warns(UserWarning, match="X has feature names, but NestedAutoencoder was fitted"):
        prediction = chain.predict(pd.DataFrame(X, columns=list("abc")))
    assert_array_equal(prediction, chain.predict(X))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        clone(chain).fit(pd.DataFrame(X, columns=list("abc")), X[:, 0]).predict(X)


def test_prediction_without_a_later_scale_warns():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    with pytest.warns(UnmeasuredScaleWarning, match="no column of stage 'scale1'") as record:
        prediction = chain.predict(X_list[0])
    with pytest.warns(UnmeasuredScaleWarning) as of_transform:
        chain.transform(X_list[0])
    assert [w.filename for w in (*record, *of_transform)] == [__file__] * 2
    X, _ = stack_scales(X_list, y_list)
    rows = X.index.get_level_values(0) == "scale0"
    assert_array_equal(prediction, chain.predict(X[rows]))
    flat, pce = cells()
    stages = [("a", sae(), ["radius", "mass"]), ("b", sae(), ["layer", "thickness"])]
    chain = NestedAutoencoder(stages).fit(flat, pce)
    with pytest.warns(UnmeasuredScaleWarning, match="no column of stage 'b'"):
        assert np.isfinite(chain.predict(flat[["radius", "mass"]])).all()
    with pytest.warns(UnmeasuredScaleWarning, match="no column of stage 'a'"):
        assert np.isfinite(chain.predict(flat[["layer", "thickness"]])).all()


def test_tables_that_are_not_those_of_fit():
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae()).fit(X_list, y_list)
    with pytest.raises(ValueError, match=r"has others: \['colour'\]"):
        chain.predict(X_list[1].assign(colour=1))
    with pytest.raises(ValueError, match=r"lacks \[\('scale0', 'mass'\)\]"):
        chain.predict(X_list[1].drop(columns="mass"))
    with pytest.raises(ValueError, match=r"X has the columns \['mass'\] more than once"):
        chain.predict(pd.concat([X_list[1], X_list[1][["mass"]]], axis=1))
    with pytest.raises(ValueError, match="3 features, but NestedAutoencoder is expecting 4"):
        chain.predict(np.ones((2, 3)))
    with pytest.raises(ValueError, match="a list of 3 tables, but there are 2 stages"):
        chain.predict([*X_list, X_list[1]])
    with pytest.raises(ValueError, match="Z has 5 columns, but the chain gives 2 latents"):
        chain.inverse_transform(np.ones((2, 5)))
    with pytest.raises(ValueError, match="y has 3 columns, but the chain was fitted with 2"):
        chain.score(X_list[1], np.ones((30, 3)))
    with pytest.raises(ValueError, match="no labelled row to score with"):
        chain.score(X_list[1], np.full((30, 2), np.nan))
    no_inverse = NestedAutoencoder([("a", FunctionTransformer(np.abs, check_inverse=False), [0])])
    assert no_inverse.fit(X_list[0]).transform(X_list[0]).shape == (40, 1)


def test_entries_are_named_in_the_order_of_their_values():
    names = entry_names("image", (2, 3))
    assert names[:4] == ["image[0, 0]", "image[0, 1]", "image[0, 2]", "image[1, 0]"]
    assert entry_names(("device", "spectrum"), (2,)) == [
        ("device", "spectrum[0]"),
        ("device", "spectrum[1]"),
    ]


def test_a_column_of_a_list_of_arrays_is_found_by_its_position():
    columns = pd.MultiIndex.from_tuples([("scale0", "x0"), ("scale0", "x1"), ("scale1", "x2")])
    labels = ColumnLabels.of(pd.DataFrame(np.zeros((1, 3)), columns=columns))
    assert [labels.position(wanted, "key") for wanted in (1, "x1", ("scale0", "x1"))] == [1, 1, 1]
    with pytest.raises(ValueError, match="must be the label of one column of X, got 3: no column"):
        labels.position(3, "key")
    # of an array and of other labels, an integer is what it is
    assert ColumnLabels.of(np.zeros((1, 3))).position(2, "key") == 2
    frame = pd.DataFrame(np.zeros((1, 2)), columns=[1, 0])
    assert ColumnLabels.of(frame).position(1, "key") == 0
    with pytest.raises(ValueError, match="got 'x0': no column has this label"):
        ColumnLabels.of(frame).position("x0", "key")
    twice = pd.DataFrame(np.zeros((1, 2)), columns=["a", "a"])
    with pytest.raises(ValueError, match="got 'a': 2 columns have this label"):
        ColumnLabels.of(twice).position("a", "key")
