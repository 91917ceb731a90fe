"""Bad input: the message names the parameter or column, the rule and the value."""

from __future__ import annotations

import signal

import numpy as np
import pandas as pd
import pytest
from cases.supervised import TINY, mixed_table, regression
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch import nn

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_kinds,
)
from sknestedae.blocks import DenseBlock, ImageBlock, SpectrumBlock
from sknestedae.exceptions import (
    ChannelOrderWarning,
    ConstantBlockWarning,
    DivergenceError,
    DivergenceWarning,
    UnseenCategoryWarning,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_components", 1.5),
        ("hidden_layer_sizes", (8, 0)),
        ("decoder_hidden_layer_sizes", "wide"),
        ("predictor_hidden_layer_sizes", (2.5,)),
        ("activation", "swish"),
        ("latent_activation", None),
        ("reconstruction_loss", "mse"),
        ("prediction_loss", "poisson"),
        ("reconstruction_weight", -1),
        ("prediction_weight", "auto"),
        ("l1", -0.1),
        ("alpha", -0.1),
        ("beta", -0.1),
        ("beta", "auto"),
        ("dropout", 1.0),
        ("categorical_features", "auto"),
        ("categorical_features", [99]),
        ("categorical_features", ["no such column"]),
        ("categorical_features", [True, False]),
        ("standardize", "yes"),
        ("blocks", [("spectrum", [0, 1])]),
        ("initialization", "zeros"),
        ("batch_size", 0),
        ("learning_rate", "adaptive"),
        ("learning_rate_init", 0),
        ("max_iter", 0),
        ("shuffle", "yes"),
        ("early_stopping", "always"),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("tol", -1),
        ("warm_start", "yes"),
        ("callbacks", Callback()),
        ("callbacks", [3]),
        ("device", "abacus"),
        ("device", "meta"),
        ("device", 3),
        ("verbose", -1),
        ("random_state", "seed"),
    ],
)
def test_parameter(name, value):
    X, y = regression()
    sae = SupervisedAutoencoder(**{**TINY, name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter") as caught:
        sae.fit(X, y)
    assert isinstance(value, Callback | list | tuple) or str(value) in str(caught.value)
    assert not hasattr(sae, "n_features_in_")


def frame(**columns):
    X, y = mixed_table()
    return X.assign(**columns), y


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"radius": np.nan}, ValueError, "Column 'radius' has no measured value"),
        ({"radius": np.inf}, ValueError, "Column 'radius' contains infinity.*row 0"),
        ({"radius": -np.inf}, ValueError, "Column 'radius' contains infinity"),
        ({"radius": 1 + 2j}, TypeError, "Column 'radius' has dtype complex128"),
        ({"layer": [None] * 60}, ValueError, "Column 'layer' has no measured value"),
        ({"day": pd.Timestamp("2024-02-27")}, TypeError, "Column 'day' has dtype datetime64"),
        ({"what": [{"a": 1}] * 60}, TypeError, "Column 'what' holds dict"),
    ],
)
def test_column_in_fit(columns, error, message):
    X, y = frame(**columns)
    sae = SupervisedAutoencoder(**TINY)
    with pytest.raises(error, match=message):
        sae.fit(X, y)
    with pytest.raises(NotFittedError):
        sae.transform(X)


def test_array_with_infinity():
    X, y = regression()
    X[7, 2] = np.inf
    with pytest.raises(ValueError, match=r"Column 2 contains infinity .*\(first in row 7\)"):
        SupervisedAutoencoder(**TINY).fit(X, y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: X.drop(columns="layer"), ValueError, "seen at fit time, yet now missing"),
        (lambda X: X.rename(columns={"layer": "Layer"}), ValueError, "unseen at fit time"),
        (lambda X: X[X.columns[::-1]], ValueError, "must be in the same order"),
        (lambda X: X.assign(extra=1.0), ValueError, "unseen at fit time"),
        (lambda X: X.assign(layer=1.5), TypeError, "'layer' was categorical in fit.*holds float"),
        (lambda X: X.assign(radius="wide"), TypeError, "'radius' is numeric.*holds 'wide'"),
        (lambda X: X.assign(radius=np.inf), ValueError, "'radius' contains infinity"),
        (lambda X: X.iloc[:0], ValueError, r"0 sample\(s\)"),
    ],
)
def test_table_in_predict(change, error, message):
    X, y = mixed_table()
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    with pytest.raises(error, match=message):
        sae.predict(change(X))


def test_column_of_unseen_categories_warns_and_enters_as_zeros():
    X, y = mixed_table()
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    with pytest.warns(UnseenCategoryWarning, match="60 of 60 rows .* 'layer'.*'WO3'"):
        assert np.isfinite(sae.predict(X.assign(layer="WO3"))).all()
    partly = X.assign(layer=["WO3"] * 30 + ["TiO2"] * 30)
    with pytest.warns(UnseenCategoryWarning, match="30 of 60 rows .* 'layer'.*'WO3'"):
        assert np.isfinite(sae.predict(partly)).all()


def test_non_string_column_names():
    X, y = regression()
    numbered = pd.DataFrame(X)
    sae = SupervisedAutoencoder(**TINY).fit(numbered, y)
    assert list(sae.inverse_transform(sae.transform(numbered)).columns) == [0, 1, 2, 3]
    numbered.columns = ["a", 1, 2, 3]
    with pytest.raises(TypeError, match="names are only supported if all input features have str"):
        SupervisedAutoencoder(**TINY).fit(numbered, y)


def test_array_of_words():
    X, y = mixed_table()
    with pytest.raises(ValueError, match=r"could not convert.*name its categorical columns"):
        SupervisedAutoencoder(**TINY).fit(X.to_numpy(), y)


def test_a_frame_that_bagging_made_an_array_of():
    """The message tells what happened, and what it advises works."""
    X, y = mixed_table()
    with pytest.raises(ValueError, match="BaggingRegressor and other estimators make an array"):
        BaggingRegressor(SupervisedAutoencoder(**TINY), n_estimators=1).fit(X, y)
    words = [k for k, name in enumerate(X) if not pd.api.types.is_numeric_dtype(X[name])]
    sae = SupervisedAutoencoder(**TINY, categorical_features=words)
    bag = BaggingRegressor(sae, n_estimators=1, random_state=0).fit(X, y)
    assert np.isfinite(bag.predict(X)).all()


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_array_in_predict_where_a_frame_was_fitted():
    X, y = mixed_table()
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    assert_array_equal(sae.predict(X.to_numpy()), sae.predict(X))
    with pytest.raises(TypeError, match=r"'layer' was categorical in fit.*holds float"):
        sae.predict(np.ones(X.shape))


def test_words_as_a_numeric_target():
    X, _ = regression()
    with pytest.raises(ValueError, match=r"y must hold numbers: .*'high'.*Classifier"):
        SupervisedAutoencoder(**TINY).fit(X, ["high"] * 60)


@pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
def test_target_of_the_wrong_length(cls):
    X, y = regression()
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 59\]"):
        cls(**TINY).fit(X, y[:-1] > 0)


def test_no_labelled_row():
    X, y = regression()
    with pytest.raises(ValueError, match="y has no labelled row: all 60 are NaN"):
        SupervisedAutoencoder(**TINY).fit(X, np.full(60, np.nan))
    two = np.column_stack([y, np.full(60, np.nan)])
    with pytest.raises(ValueError, match="Output 1 of y has no labelled row"):
        SupervisedAutoencoder(**TINY).fit(X, two)
    with pytest.raises(ValueError, match="y has no labelled row: all 60 are missing"):
        SupervisedAutoencoderClassifier(**TINY).fit(X, [None] * 60)


def test_one_class_only():
    X, _ = regression()
    with pytest.raises(ValueError, match="only one class, 'a'; a classifier needs at least two"):
        SupervisedAutoencoderClassifier(**TINY).fit(X, ["a"] * 60)


def test_sample_weight():
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY)
    with pytest.raises(ValueError, match=r"all rows|at least one non-zero"):
        sae.fit(X, y, sample_weight=np.zeros(60))
    with pytest.raises(ValueError, match=r"[Nn]egative values in data passed to `?sample_weight"):
        sae.fit(X, y, sample_weight=np.full(60, -1))


def test_batch_larger_than_the_data():
    X, y = regression()
    with pytest.warns(UserWarning, match="batch_size=100 is larger than the 60 rows"):
        clipped = SupervisedAutoencoder(**TINY, batch_size=100).fit(X, y)
    whole = SupervisedAutoencoder(**TINY, batch_size=60).fit(X, y)
    assert_array_equal(clipped.predict(X), whole.predict(X))


def test_latents_of_the_wrong_width():
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    with pytest.raises(ValueError, match="Z has 3 columns, but the estimator has n_components=2"):
        sae.inverse_transform(np.zeros((5, 3)))


def test_early_stopping_without_distinct_rows():
    with pytest.raises(ValueError, match=r"two distinct rows.*n_samples=9 with 1 distinct"):
        SupervisedAutoencoder(**TINY, early_stopping=True).fit(np.ones((9, 2)), np.arange(9))


def test_going_on_with_another_kind_of_fit():
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="fitted with y and cannot go on without it"):
        sae.fit(X)
    with pytest.raises(ValueError, match=r"y has 2 outputs, .* fitted with 1\. .* a new fit"):
        sae.fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 4"):
        sae.fit(X[:, :3], y)


# -- training that breaks off


class Spoil(Callback):
    """Make the parameters infinite in some epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            for parameter in net.module_.parameters():
                parameter.data.fill_(np.inf)


def test_divergence_keeps_the_best_epoch():
    X, y = regression()
    settings = {**TINY, "learning_rate": "constant", "predictor": "network"}
    sae = SupervisedAutoencoder(**settings, callbacks=[Spoil(4)])
    with pytest.warns(DivergenceWarning, match=r"epoch 4.*best epoch, 3, .*learning_rate_init"):
        sae.fit(X, y)
    assert sae.best_iter_ == 3
    healthy = SupervisedAutoencoder(**{**settings, "max_iter": 3}).fit(X, y)
    # with a callback, parameters are trained one by one: the same steps but for rounding
    assert_allclose(sae.predict(X), healthy.predict(X), rtol=1e-10)


def test_divergence_in_the_first_epoch():
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, callbacks=[Spoil(1)])
    with pytest.raises(DivergenceError, match=r"epoch 1, before any.*Lower learning_rate_init"):
        sae.fit(X, y)
    with pytest.raises(NotFittedError):
        sae.predict(X)


class NothingBlock(DenseBlock):
    """Its encoder gives no numbers."""

    def make_encoder(self, layout):
        encoder, n_outputs = super().make_encoder(layout)
        return nn.Sequential(encoder, Nothing()), n_outputs


class Nothing(nn.Module):
    def forward(self, values):
        return values * np.nan


@pytest.mark.parametrize("as_list", [True, False])
def test_divergence_by_a_block_of_a_user(as_list):
    X, y = regression()
    blocks = [("mine", NothingBlock(), slice(2))] if as_list else NothingBlock()
    with pytest.raises(DivergenceError, match="in the data or in what your own block gives"):
        SupervisedAutoencoder(**TINY, blocks=blocks).fit(X, y)
    with pytest.raises(DivergenceError, match=r"in the data\.$"):
        SupervisedAutoencoder(**TINY, blocks=DenseBlock(), callbacks=[Spoil(1)]).fit(X, y)


def test_learning_rate_that_is_far_too_high():
    """Divergence as users meet it."""
    X, y = regression()
    sae = SupervisedAutoencoder(**{**TINY, "max_iter": 50}, learning_rate_init=1e200)
    with pytest.raises(DivergenceError, match="it is 1e"):
        sae.fit(X, y)


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C raise KeyboardInterrupt; where tests run in the background it may be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupt(Callback):
    """Send this process what Ctrl-C sends, in some epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("epoch", [1, 3])
def test_interrupt_is_raised_and_nothing_is_half_fitted(epoch):
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, callbacks=[Interrupt(epoch)])
    with pytest.raises(KeyboardInterrupt):
        sae.fit(X, y)
    assert vars(sae) == vars(SupervisedAutoencoder(**TINY, callbacks=sae.callbacks))
    with pytest.raises(NotFittedError):
        sae.predict(X)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_interrupt_leaves_the_last_fit_as_it_was(method):
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, warm_start=True).fit(X, y)
    expected, history = sae.predict(X), sae.history_
    sae.set_params(callbacks=[Interrupt(6)])
    with pytest.raises(KeyboardInterrupt):
        getattr(sae, method)(X[:30], y[:30])
    assert_array_equal(sae.predict(X), expected)
    assert sae.history_ is history


def test_interrupt_while_an_epoch_is_judged(monkeypatch):
    """Callbacks of skorch stop a net by KeyboardInterrupt; a user's own must not look like one."""
    X, y = regression()

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sknestedae._training._net.AutoencoderNet.is_finite", interrupt)
    sae = SupervisedAutoencoder(**TINY)
    with pytest.raises(KeyboardInterrupt):
        sae.fit(X, y)
    assert not hasattr(sae, "net_")


class StopIn(Callback):
    """Stop as skorch's callbacks do, in some epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch", [1, 3])
def test_epoch_in_which_a_callback_stops_counts(epoch):
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, early_stopping=True, callbacks=[StopIn(epoch)]).fit(X, y)
    assert sae.n_iter_ == epoch
    assert sae.best_iter_ == sae.history_["valid_loss"].idxmin()


def test_divergence_in_the_epoch_in_which_a_callback_stops():
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, callbacks=[Spoil(2), StopIn(2)])
    with pytest.warns(DivergenceWarning, match=r"epoch 2.*best epoch, 1,"):
        sae.fit(X, y)
    assert np.isfinite(sae.predict(X)).all()


# -- going on, and what must stay as it was


@pytest.mark.parametrize(
    ("name", "value"),
    [("standardize", False), ("categorical_features", [0]), ("activation", "relu")],
)
def test_going_on_with_other_settings(name, value):
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=f"'{name}' parameter was .* in the last fit and is"):
        sae.set_params(**{name: value}).fit(X, y)


@pytest.mark.parametrize(
    "columns", [[0, 1, 2], pd.MultiIndex.from_product([["a"], ["p", "q", "r"]])]
)
def test_columns_whose_names_are_not_strings(columns):
    X, y = regression(n_features=3)
    table = pd.DataFrame(X, columns=columns)
    sae = SupervisedAutoencoder(**TINY).fit(table, y)
    with pytest.raises(ValueError, match=r"columns must be those of fit.*column 0 was"):
        sae.predict(table[table.columns[::-1]])


@pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
def test_target_without_a_label_where_training_goes_on(cls):
    X, y = regression()
    unknown = [None] * 60
    estimator = cls(**TINY, warm_start=True).fit(X, np.where(y > 0, 1.0, 0.0))
    with pytest.raises(ValueError, match="y has no labelled row"):
        estimator.fit(X, unknown)
    assert estimator.partial_fit(X, unknown).n_iter_ == 6  # a part of a stream may have none


def test_infinite_category():
    X, y = mixed_table()
    dose = [np.inf, *[1.0, 2.0, 3.0] * 19, 1.0, 2.0]
    with pytest.raises(ValueError, match="Column 'dose' contains infinity; a category"):
        SupervisedAutoencoder(**TINY, categorical_features=["dose"]).fit(
            X[["radius"]].assign(dose=dose), y
        )


def test_dates():
    X, y = regression()
    dates = np.array(["2024-02-27"] * 60, dtype="datetime64[D]")
    with pytest.raises(TypeError, match=r"y holds datetime64.*must hold numbers"):
        SupervisedAutoencoder(**TINY).fit(X, dates)
    with pytest.raises(TypeError, match=r"X holds datetime64.*must hold numbers"):
        SupervisedAutoencoder(**TINY).fit(dates[:, None], y)


def test_labels_that_are_not_scalar():
    X, _ = regression()
    with pytest.raises(TypeError, match=r"y contains \(1, 2\); a label must be"):
        SupervisedAutoencoderClassifier(**TINY).fit(X, [(1, 2), (3, 4)] * 30)


def test_classes_of_partial_fit():
    X, y = regression()
    labels = y > 0
    with pytest.raises(ValueError, match="classes has only one class, 'hi'"):
        SupervisedAutoencoderClassifier(**TINY).partial_fit(X, labels, classes=["hi"])
    clf = SupervisedAutoencoderClassifier(**TINY).partial_fit(X, labels, classes=[False, True])
    with pytest.raises(
        ValueError, match=r"classes must be those of the first call, \[False, True"
    ):
        clf.partial_fit(X, labels, classes=[0, 1, 2])


def test_classes_before_fit():
    with pytest.raises(AttributeError, match="no classes_ before fit"):
        _ = SupervisedAutoencoderClassifier().classes_


# -- scores


@pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
@pytest.mark.parametrize("with_target", [True, False])
def test_sample_weight_of_a_score(cls, with_target):
    X, y = regression()
    y = (y > 0).astype(float)
    estimator = cls(**TINY).fit(X, y)
    target = y if with_target else None
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(59,\), expected \(60,\)"):
        estimator.score(X, target, sample_weight=np.ones(59))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        estimator.score(X, target, sample_weight=-np.ones(60))


def test_target_of_a_score():
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY).fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="y has 1 outputs, but the estimator was fitted with 2"):
        sae.score(X, y)
    with pytest.raises(ValueError, match="no labelled row to score with"):
        sae.score(X, np.full((60, 2), np.nan))


# ---------------------------------------------------------------------------------------------
# Spectra and images

RNG = np.random.default_rng(0)
IMAGES, SPECTRA, Y = RNG.normal(size=(20, 4, 6)), RNG.normal(size=(20, 5)), RNG.normal(size=20)
DOORS = ["predict", "transform", "complete", "score", "score_samples"]


def in_cells(images=IMAGES, spectra=SPECTRA):
    return pd.DataFrame({"image": list(images), "dos": list(spectra)})


def with_blocks(blocks, **settings):
    return SupervisedAutoencoder(blocks=blocks, **{**TINY, **settings})


@pytest.fixture(scope="module")
def fitted_kinds():
    """Fit an array of images, cells, and a chain of cells."""
    stages = [("first", with_blocks("auto"), ["image"]), ("second", with_blocks("auto"), ["dos"])]
    return {
        "array": with_blocks(ImageBlock(n_channels=(2,))).fit(IMAGES, Y),
        "cells": with_blocks("auto").fit(in_cells(), Y),
        "chain": NestedAutoencoder(stages).fit(in_cells(), Y),
    }


@pytest.mark.parametrize("door", DOORS)
def test_another_shape_than_in_fit(fitted_kinds, door):
    other = np.moveaxis(IMAGES, 1, 2)
    with pytest.raises(
        ValueError, match=r"X have the shape \(6, 4\), but those of fit had \(4, 6\)"
    ):
        getattr(fitted_kinds["array"], door)(other)
    rule = r"block 'image': .* shape \(6, 4\) in row 0; it must have the shape \(4, 6\), as in fit"
    for name in ("cells", "chain"):
        with pytest.raises(ValueError, match=rule):
            getattr(fitted_kinds[name], door)(in_cells(other))
    one_other = in_cells()
    one_other.at[7, "dos"] = np.zeros(4)
    with pytest.raises(ValueError, match=r"block 'dos': .* shape \(4,\) in row 7"):
        getattr(fitted_kinds["chain"], door)(one_other)
    with pytest.raises(TypeError, match=r"block 'image': .* must hold arrays .* row 0 holds 1.5"):
        getattr(fitted_kinds["cells"], door)(in_cells().assign(image=1.5))


def test_latents_of_another_number(fitted_kinds):
    with pytest.raises(ValueError, match="Z has 1 columns"):
        fitted_kinds["array"].inverse_transform(np.zeros((3, 1)))


NO_CHANNEL, NO_PIXEL = SPECTRA.copy(), IMAGES.copy()
NO_CHANNEL[:, 3], NO_PIXEL[:, 1, 2] = np.nan, np.nan
RAGGED = in_cells()
RAGGED.at[5, "image"] = np.zeros((4, 5))
LAST = np.zeros((20, 6, 6, 3))


@pytest.mark.parametrize(
    ("X", "blocks", "message"),
    [
        (
            RAGGED,
            "auto",
            r"block 'image': .* \(4, 6\) in row 0 and \(4, 5\) in row 5; all must have",
        ),
        (IMAGES, ImageBlock(shape=(6, 4)), r"block 'X': .* of shape \(4, 6\), but shape=\(6, 4\)"),
        (
            SPECTRA,
            ImageBlock(shape=(2, 3)),
            r"block 'X': .* 5 columns, but shape=\(2, 3\) needs 6",
        ),
        (in_cells(), [("im", ImageBlock(), "picture")], "'blocks' .* 'picture'; X has columns"),
        (SPECTRA, [("im", SpectrumBlock(), [9])], "'blocks' .* the column 9; X has 5 columns"),
        (NO_CHANNEL, SpectrumBlock(), "block 'X': .* no measured value of channel 3"),
        (in_cells(spectra=NO_CHANNEL), "auto", "block 'dos': .* no measured value of channel 3"),
        (NO_PIXEL, ImageBlock(), r"block 'X': .* no measured value of pixel \(1, 2\)"),
        (
            LAST,
            ImageBlock(),
            r"block 'X': .* \(6, 6, 3\), which looks like \(height, width, channels",
        ),
        (in_cells(LAST), "auto", r"block 'image': .* \(6, 6, 3\), which looks like"),
        (
            SPECTRA,
            [("a", SpectrumBlock(), slice(3)), ("b", SpectrumBlock(), slice(2, 5))],
            "'blocks' parameter gives column 2 to both 'a' and 'b'",
        ),
    ],
)
def test_kinds_that_cannot_be_fitted(X, blocks, message):
    with pytest.raises(ValueError, match=message):
        with_blocks(blocks).fit(X, Y)
    if not isinstance(blocks, list):  # which names columns of one stage
        chain = NestedAutoencoder(estimator=with_blocks(blocks))
        with pytest.raises(ValueError, match=f"In stage 'scale0': .*{message}"):
            chain.fit(X, Y)


def test_kinds_of_which_nothing_can_be_learnt():
    for X, blocks, name in (
        (np.ones((20, 4, 6)), ImageBlock(), "X"),
        (in_cells(images=np.ones((20, 4, 6))), "auto", "image"),
    ):
        with pytest.warns(ConstantBlockWarning, match=f"block '{name}': .* none of its 24 pixels"):
            with_blocks(blocks).fit(X, Y)
    with pytest.warns(ConstantBlockWarning, match="In y: .* none of its 5 channels varies"):
        with_blocks(None, target_block=SpectrumBlock()).fit(SPECTRA, np.ones((20, 5)))
    flat = RNG.normal(size=(20, 108))
    with pytest.warns(
        ChannelOrderWarning, match=r"block 'X': shape=\(6, 6, 3\) .* 6 channels of 6"
    ):
        with_blocks(ImageBlock(shape=(6, 6, 3))).fit(flat, Y)


@pytest.mark.parametrize(
    ("y", "block", "message"),
    [
        (IMAGES, ImageBlock(), "within .0.0, None., but y is -.* in row 0, output"),
        (pd.Series(list(SPECTRA)), SpectrumBlock(), "within .0.0, None., but y is"),
        (Y, None, "within .0.0, None., but y is"),
        (
            np.abs(IMAGES),
            None,
            r"shape \(4, 6\); the 'target_block' parameter must say .* got None",
        ),
        (np.abs(NO_CHANNEL), SpectrumBlock(), "Output 3 of y has no labelled row"),
        (np.abs(IMAGES), ImageBlock(shape=(6, 4)), r"In y: .* \(4, 6\), but shape=\(6, 4\)"),
        (
            np.abs(LAST),
            ImageBlock(),
            r"In y: .* \(6, 6, 3\), which looks like \(height, width, ch",
        ),
    ],
)
def test_targets_that_cannot_be_fitted(y, block, message):
    sae = with_blocks(None, target_block=block, target_bounds=(0, None))
    with pytest.raises(ValueError, match=message):
        sae.fit(SPECTRA, y)
    chain = NestedAutoencoder([("only", sae, slice(0, 5))])
    if not (isinstance(y, np.ndarray) and y.ndim == 2):  # columns of y, each of a stage
        with pytest.raises(ValueError, match=f"In stage 'only': .*{message}"):
            chain.fit(SPECTRA, y)


def test_rows_of_kinds_that_do_not_match():
    table = pd.DataFrame(SPECTRA, index=[f"a{i}" for i in range(20)])
    with pytest.raises(ValueError, match="No row label of first, such as 'a0', is in another"):
        stack_kinds(first=table, second=table.set_axis(range(20), axis=0))
    some = stack_kinds(first=table[:12], second=table[8:])  # the others are missing values
    assert some.shape == (20, 10)
    assert some.notna().all(axis=1).sum() == 4
