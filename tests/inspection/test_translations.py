"""What each kind of data tells of the others, and of the target."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.dual import N_ROWS, curves, dual, dual_of_curves, three_kinds, two_kinds, without
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import DualAutoencoder, DualAutoencoderClassifier, SupervisedAutoencoder
from sknestedae.inspection import translation_scores


@pytest.mark.parametrize("alignment", [0.3, "separated"])
def test_scores_are_those_of_each_translation_and_of_each_prediction(alignment):
    X, y = three_kinds()
    model = dual(alignment=alignment).fit(X, y)
    found = translation_scores(model, X, y)
    kinds = ["image", "spectrum", "table"]
    assert list(found.index) == kinds
    assert list(found.columns) == [*kinds, "prediction"]
    for source in kinds:
        for target in kinds:
            assert found.loc[source, target] == model.translation_score(X, source, target)
        others = {name: slice(None) for name in kinds if name != source}
        expected = model.score(without(X, **others), y)
        assert found.loc[source, "prediction"] == pytest.approx(expected, rel=1e-9)
    pd.testing.assert_frame_equal(translation_scores(model, X), found[kinds])


def test_rows_that_lack_kinds_are_left_out():
    X, y = two_kinds()
    model = dual().fit(X, y)
    some = without(X, image=slice(0, 6), spectrum=slice(6, 12))
    found = translation_scores(model, some, y)
    assert found.loc["image", "image"] == pytest.approx(
        model.translation_score(X.iloc[6:], "image", "image")
    )
    assert found.loc["image", "spectrum"] == pytest.approx(
        model.translation_score(X.iloc[12:], "image", "spectrum")
    )
    alone = without(X.iloc[6:], spectrum=slice(None))
    assert found.loc["image", "prediction"] == pytest.approx(model.score(alone, y[6:]))
    none = translation_scores(model, without(X, image=slice(None)), y)
    assert none.loc["image"].isna().all()
    assert none["image"].isna().all()
    assert none.loc["spectrum", ["spectrum", "prediction"]].notna().all()


@pytest.mark.parametrize("cls", [DualAutoencoder, DualAutoencoderClassifier])
def test_a_kind_without_labels_has_no_score_of_predictions(cls):
    X, t = curves(N_ROWS)
    y = np.where(t > 0, "right", "left").astype(object) if "Class" in cls.__name__ else np.c_[t, t]
    model = dual_of_curves(cls).fit(X, y)
    X[10:20, 3:], X[20:, :3] = np.nan, np.nan  # ten rows of both, of "a" alone, of "b" alone
    y[:10], y[20:] = None, None
    found = translation_scores(model, X, y)["prediction"]
    assert found["a"] == model.score(X[:20], y[:20])
    assert np.isnan(found["b"])
    if y.ndim == 2:  # of two outputs, each needs a label
        y[10:20, 1] = None
        assert translation_scores(model, X, y)["prediction"].isna().all()


def test_what_a_kind_knows_of_another_is_at_most_what_is_in_its_latents():
    X, t = curves()
    settings = {"max_iter": 100, "learning_rate_init": 0.02}
    found = translation_scores(dual_of_curves(n_components=1, **settings).fit(X, t), X, t)
    assert (found > 0.9).all(axis=None)


def test_classes_are_scored_by_their_accuracy():
    X, y = two_kinds()
    labels = np.where(y > 0, "right", "left")
    model = dual(DualAutoencoderClassifier).fit(X, labels)
    found = translation_scores(model, X, labels)
    alone = without(X, spectrum=slice(None))
    assert found.loc["image", "prediction"] == model.score(alone, labels)


def test_searches_and_frozen_estimators():
    X, t = curves(30)
    search = GridSearchCV(dual_of_curves(), {"alignment": [0.3]}, cv=2).fit(X, t)
    expected = translation_scores(search.best_estimator_, X)
    pd.testing.assert_frame_equal(translation_scores(search, X), expected)
    frozen = FrozenEstimator(search.best_estimator_)
    pd.testing.assert_frame_equal(translation_scores(frozen, X), expected)


def test_what_is_no_dual_autoencoder():
    X, t = curves(30)
    plain = SupervisedAutoencoder(2, max_iter=1).fit(X, t)
    with pytest.raises(TypeError, match="needs a DualAutoencoder, got a SupervisedAutoencoder"):
        translation_scores(plain, X)
    pipeline = make_pipeline(StandardScaler(), dual_of_curves()).fit(X, t)
    with pytest.raises(TypeError, match=r"got a Pipeline\. For a pipeline, pass the last step"):
        translation_scores(pipeline, X)
    with pytest.raises(NotFittedError):
        translation_scores(dual_of_curves(), X)
