"""SupervisedAutoencoderClassifier: weights of classes, probabilities, labels, penalty."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from cases.supervised import TINY, regression
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification

from sknestedae import SupervisedAutoencoderClassifier
from sknestedae._estimators import _classifier
from sknestedae._estimators._parameters import NetworkParameters
from sknestedae._training._defaults import alpha_of_classes


def three_classes(unlabelled=5):
    """Give a table with 30, 20 and 10 rows of three classes, of which some have no label."""
    X, y = regression()
    labels = np.array(["a", "b", "c"], dtype=object)[np.digitize(y, np.quantile(y, [0.5, 5 / 6]))]
    labels[:unlabelled] = None
    return X, labels


@pytest.mark.parametrize("class_weight", [{"b": 3, "c": 0.5}, "balanced"], ids=str)
@pytest.mark.parametrize("settings", [{}, {"n_members": 2}, {"early_stopping": True}], ids=str)
def test_weights_of_classes_multiply_those_of_rows(class_weight, settings):
    X, labels = three_classes()
    given = np.random.default_rng(0).uniform(0.5, 2, len(X))
    given[7] = 0.0
    before = given.copy()
    own = {"a": 1, "b": 3, "c": 0.5}
    if class_weight == "balanced":
        totals = pd.Series(given).groupby(labels).sum()  # without those that have no label
        own = (totals.sum() / 3 / totals).to_dict()
    factors = np.array([1.0 if label is None else own[label] for label in labels])
    weighted, plain = (
        SupervisedAutoencoderClassifier(**TINY, **settings, class_weight=w).fit(X, labels, weight)
        for w, weight in ((class_weight, given), (None, given * factors))
    )
    # the same weights but for their last bit
    assert_allclose(weighted.predict_proba(X), plain.predict_proba(X), rtol=1e-9)
    assert_allclose(weighted.transform(X), plain.transform(X), rtol=1e-9, atol=1e-12)
    without = SupervisedAutoencoderClassifier(**TINY, **settings).fit(X, labels, given)
    assert np.abs(weighted.predict_proba(X) - without.predict_proba(X)).max() > 1e-4
    assert_array_equal(given, before)


def test_a_class_of_weight_0_is_left_out_but_stays_a_class():
    X, labels = three_classes()
    out = {"c": 0}
    clf = SupervisedAutoencoderClassifier(**TINY, class_weight=out).fit(X, labels)
    assert list(clf.classes_) == ["a", "b", "c"]
    moved = X.copy()
    moved[labels == "c"] += 100
    again = clone(clf).fit(moved, labels)
    assert_array_equal(again.transform(X), clf.transform(X))


def test_weights_of_classes_in_parts():
    X, labels = three_classes()
    stream = SupervisedAutoencoderClassifier(**TINY, class_weight={"b": 3, "c": 0.5})
    plain = SupervisedAutoencoderClassifier(**TINY)
    weight = np.array([{None: 1, "a": 1, "b": 3, "c": 0.5}[label] for label in labels])
    for rows in (slice(0, 40), labels == "a", labels == None):  # noqa: E711
        stream.partial_fit(X[rows], labels[rows], classes=["a", "b", "c"])
        plain.partial_fit(X[rows], labels[rows], ["a", "b", "c"], weight[rows])
    assert_array_equal(stream.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(
        ValueError, match="'class_weight' parameter is 'balanced', which partial_fit"
    ):
        stream.set_params(class_weight="balanced").partial_fit(X, labels)


def test_bad_weights_of_classes():
    X, labels = three_classes()
    clf = SupervisedAutoencoderClassifier(**TINY)
    with pytest.raises(ValueError, match="'class_weight' parameter of SupervisedAutoencoderClass"):
        clf.set_params(class_weight=[1, 2, 3]).fit(X, labels)
    with pytest.raises(ValueError, match=r"has weights for \['d'\], but not for \['b', 'c'\]"):
        clf.set_params(class_weight={"a": 1, "d": 2}).fit(X, labels)
    with pytest.raises(ValueError, match="y has no labelled row"):
        clf.set_params(class_weight="balanced").fit(X, [None] * len(X))


@pytest.mark.parametrize("n_members", [1, 3])
def test_logarithms_of_probabilities(n_members):
    X, labels = three_classes()
    clf = SupervisedAutoencoderClassifier(**TINY, n_members=n_members).fit(X, labels)
    expected = np.log(clf.predict_proba(X))
    assert_allclose(clf.predict_log_proba(X), expected, rtol=1e-9, atol=1e-12)
    with torch.no_grad():  # odds beyond the range of floats
        for member in clf.members_:
            for parameter in member.net_.module_.predictor.parameters():
                parameter *= 1e3
    assert (clf.predict_proba(X) == 0).any()
    logs = clf.predict_log_proba(X)
    assert np.isfinite(logs).all()
    assert_array_equal(logs.argmax(axis=1), clf.predict_proba(X).argmax(axis=1))
    assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-12)


def test_auto_alpha_of_classes_follows_their_noise(monkeypatch):
    """It is the default, and the same whatever units, repeated rows and unlabelled ones."""
    X, y = regression(300)
    labels = y + y.std() * np.random.default_rng(0).normal(size=300) > 0
    auto = SupervisedAutoencoderClassifier(**TINY)
    expected = alpha_of_classes(X, labels, None, 300, 300)
    assert expected > 1.5 * alpha_of_classes(X, y > 0, None, 300, 300)
    assert auto.fit(1000 * X + 5, labels).alpha_ == pytest.approx(expected)
    assert auto.fit(np.tile(X, (2, 1)), np.tile(labels, 2)).alpha_ == pytest.approx(expected)
    some = np.where(np.arange(300) < 100, None, labels)
    of_some = alpha_of_classes(X[100:], labels[100:], None, 200, 200)
    assert auto.fit(X, some).alpha_ == pytest.approx(of_some)
    assert clone(auto).partial_fit(X, labels, classes=[False, True]).alpha_ == 2.5e-3
    monkeypatch.setattr(_classifier, "MOST_JUDGED_ROWS", 100)  # of very many
    few = np.linspace(0, 299, 100).astype(int)
    of_few = alpha_of_classes(X[few], labels[few], None, 100, 300)
    assert auto.fit(X, labels).alpha_ == pytest.approx(of_few)
    monkeypatch.setattr(_classifier, "MOST_JUDGED_VALUES", X.shape[1] - 1)
    assert auto.fit(X, labels).alpha_ == 300 / 300**2


def test_partial_fit_of_classes():
    X, y = make_classification(60, random_state=0)
    clf = SupervisedAutoencoderClassifier(**TINY)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        clf.partial_fit(X, y)
    clf.partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 2]).partial_fit(X, y)
    assert clf.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match=r"label 8, which is not one of the classes \[0, 1, 2\]"):
        clf.partial_fit(X, y + 7)


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_classifier_takes_any_missing_label(missing):
    X, y = load_iris(return_X_y=True)
    labels = pd.Series(np.array(["a", "b", "c"], dtype=object)[y])
    labels[:10] = missing
    clf = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    assert_array_equal(clf.classes_, ["a", "b", "c"])
    assert_allclose(clf.predict_proba(X).sum(axis=1), 1)
    known = labels.notna()
    assert clf.score(X, labels) == (clf.predict(X)[known] == labels[known]).mean()


@pytest.mark.parametrize("dtype", ["boolean", "Int64", "string", "category", object])
def test_classifier_scores_what_it_fits(dtype):
    X, y = load_iris(return_X_y=True)
    labels = pd.Series(y[y < 2]).astype(bool if dtype == "boolean" else int).astype(dtype)
    labels[3] = np.nan if dtype == "category" else pd.NA
    clf = SupervisedAutoencoderClassifier(**{**TINY, "max_iter": 50}).fit(X[y < 2], labels)
    assert clf.score(X[y < 2], labels) > 0.9


def test_minus_one_is_a_class():
    X, y = make_classification(60, random_state=0)
    clf = SupervisedAutoencoderClassifier(**TINY).fit(X, np.where(y, 1, -1))
    assert_array_equal(clf.classes_, [-1, 1])


def test_the_classifier_has_the_defaults_of_all_networks():
    own, base = (
        {name: p.default for name, p in inspect.signature(cls.__init__).parameters.items()}
        for cls in (SupervisedAutoencoderClassifier, NetworkParameters)
    )
    assert own == {**base, "class_weight": None}
