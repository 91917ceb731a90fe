"""Tags that estimators have for scikit-learn: each is true of what they do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from instances import QUICKER, tiny_instances
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from sknestedae import (
    DualAutoencoder,
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae.blocks import AtomsBlock, DenseBlock, ImageBlock, SpectrumBlock

TINY = {**QUICKER, "hidden_layer_sizes": (4,), "n_components": 2, "random_state": 0}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 16))  # each row may be an image of 4 x 4 pixels
WORDS = pd.DataFrame(RNG.choice(["a", "b"], size=(16, 3)), columns=list("xyz"))
NUMBERS, LABELS = RNG.normal(size=16), np.tile(["no", "yes"], 8)


def sae(**settings):
    return SupervisedAutoencoder(**{**TINY, **settings})


def clf(**settings):
    return SupervisedAutoencoderClassifier(**{**TINY, **settings})


def chain(first, last):
    return NestedAutoencoder([("a", first, [0]), ("b", last, [1, 2])])


ESTIMATORS = {
    "regressor": sae(),
    "regressor of numbers": sae(categorical_features=None),
    "regressor of images": sae(blocks=ImageBlock(n_channels=(2,))),
    "regressor of spectra": sae(blocks=SpectrumBlock(n_channels=(2,), kernel_size=3)),
    "regressor of one block": sae(blocks=DenseBlock()),
    "regressor of a part": sae(blocks=[("a", DenseBlock(), [0])]),
    "classifier": clf(),
    "chain": NestedAutoencoder(estimator=sae()),
    "chain to a class": chain(sae(), clf()),
    "chain from a class": chain(clf(), sae()),
    "chain to numbers": chain(sae(categorical_features=None), PCA(1)),
    "chain with a pipeline": chain(make_pipeline(StandardScaler(), sae()), sae()),
    "dual": DualAutoencoder(2, blocks=[("a", DenseBlock(), [0])], **QUICKER, random_state=0),
}
of_all = pytest.mark.parametrize("name", ESTIMATORS)


def fits(estimator, X, y=None):
    """Tell whether fit takes some data; errors of other kinds are raised."""
    try:
        estimator.fit(X, y)
    except (TypeError, ValueError):
        return False
    return True


def target_of(name):
    """Give a target for the estimator of a name, with labels for each stage that has classes."""
    if name == "chain from a class":
        return pd.DataFrame({"a": LABELS, "b": NUMBERS})
    if name == "chain to numbers":
        return None
    return LABELS if "class" in name else NUMBERS


@of_all
def test_the_kind_of_X(name):
    estimator, y, tags = ESTIMATORS[name], target_of(name), get_tags(ESTIMATORS[name]).input_tags
    assert tags.two_d_array
    assert fits(estimator, X, y)
    assert fits(estimator, RNG.normal(size=(16, 4, 4)), y) == tags.three_d_array
    assert not tags.one_d_array
    assert not fits(estimator, X[:, 0], y)
    assert not tags.sparse
    assert not fits(estimator, csr_array(X), y)
    assert not tags.dict
    assert not fits(estimator, {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}, y)
    assert not tags.positive_only
    assert not tags.pairwise


@of_all
def test_words_enter_as_categories(name):
    """Of a frame. An array of words is no text: it is refused where no column is named."""
    tags = get_tags(ESTIMATORS[name]).input_tags
    table = WORDS.assign(x=NUMBERS) if "pipeline" in name else WORDS  # one stage takes them
    assert fits(ESTIMATORS[name], table, target_of(name)) == tags.categorical
    assert not tags.string
    assert not fits(ESTIMATORS[name], WORDS.to_numpy(dtype=str), target_of(name))


@of_all
def test_missing_values(name):
    """Of single entries, and of all columns of a stage."""
    incomplete, estimator = X.copy(), ESTIMATORS[name]
    incomplete[3, 0] = np.nan
    incomplete[5:8, 1:] = np.nan
    fitted = fits(estimator, incomplete, target_of(name))
    assert fitted == get_tags(estimator).input_tags.allow_nan
    if fitted:
        assert np.isfinite(estimator.transform(incomplete)[[0, 3]]).all()


@of_all
def test_the_target(name):
    estimator, tags = ESTIMATORS[name], get_tags(ESTIMATORS[name])
    assert fits(estimator, X) != tags.target_tags.required
    if name == "dual" or name.startswith("regressor"):
        assert tags.target_tags.multi_output
        y = RNG.normal(size=(16, 2))
        assert estimator.fit(X, y).predict(X).shape == (16, 2)
    if tags.estimator_type == "classifier":
        assert not tags.target_tags.multi_output
        assert not tags.classifier_tags.multi_label
        assert tags.classifier_tags.multi_class
    assert not tags.target_tags.positive_only
    assert tags.target_tags.single_output


def test_a_classifier_has_one_label_a_row():
    with pytest.raises(
        ValueError, match=r"y should be a 1d array, got an array of shape \(16, 2\)"
    ):
        clf().fit(X, np.column_stack([LABELS, LABELS]))


@pytest.mark.parametrize("low", [0, 1.5])
def test_bounds_make_a_target_positive(low):
    estimator = sae(target_bounds=(low, None))
    assert get_tags(estimator).target_tags.positive_only
    with pytest.raises(ValueError, match="target_bounds"):
        estimator.fit(X, NUMBERS - 1)
    assert estimator.fit(X, np.abs(NUMBERS) + 2).predict(X).min() >= low
    for bounds in ((-1, None), (None, 1), None):
        assert not get_tags(sae(target_bounds=bounds)).target_tags.positive_only


def test_structures_are_no_categories():
    tags = get_tags(sae(blocks=AtomsBlock())).input_tags
    assert not tags.categorical
    assert not tags.three_d_array


@pytest.mark.parametrize(
    "estimator",
    [
        sae(target_bounds="wide"),
        sae(target_bounds=()),
        sae(blocks=3),
        NestedAutoencoder(stages=3),
        NestedAutoencoder(stages=[]),
        NestedAutoencoder(stages=[("a",)]),
    ],
    ids=str,
)
def test_parameters_are_refused_by_fit_and_not_by_tags(estimator):
    get_tags(estimator)
    with pytest.raises(ValueError, match="parameter"):
        estimator.fit(X, NUMBERS)


def test_every_estimator_transforms():
    for estimator in tiny_instances().values():
        tags = get_tags(estimator)
        if hasattr(estimator, "transform"):
            assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
        assert tags.requires_fit
        assert not tags.no_validation
        assert not tags.non_deterministic
