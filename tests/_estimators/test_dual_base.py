"""Dual autoencoders: translation, retrieval, latents of one kind, what was not measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.dual import (
    CURVES,
    N_ROWS,
    SHAPE,
    blocks_of,
    curves,
    dual,
    dual_of_curves,
    images_of,
    latent,
    numbers_of,
    spectra_of,
    three_kinds,
    two_kinds,
    without,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.metrics import r2_score

from sknestedae import DualAutoencoder, DualAutoencoderClassifier, stack_kinds
from sknestedae._estimators._dual_base import mean_of_values, recoded
from sknestedae._estimators._fitted import fitted_part
from sknestedae._latents._pairs import PairMoments
from sknestedae._tables._layout import Layout
from sknestedae._training._net import AutoencoderNet
from sknestedae.blocks import DenseBlock, ImageBlock, SpectrumBlock
from sknestedae.exceptions import CollapsedLatentsWarning

ALIGNMENTS = [1.0, "separated"]
# Of float64, through a network of two layers; latents and values are of the size of 1.
ROUNDING = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(scope="module", params=ALIGNMENTS, ids=str)
def fitted(request):
    X, y = two_kinds()
    return dual(alignment=request.param).fit(X, y), X, y


@pytest.fixture(scope="module")
def trained():
    """Give a dual autoencoder that has learnt two kinds which are functions of one latent."""
    X, t = curves()
    settings = {"max_iter": 150, "learning_rate_init": 0.02, "hidden_layer_sizes": (16,)}
    return dual_of_curves(n_components=1, **settings).fit(X, t)


# -- translation


@pytest.mark.parametrize("source", ["image", "spectrum"])
@pytest.mark.parametrize("target", ["image", "spectrum"])
def test_a_translation_is_what_the_latents_of_the_source_are_decoded_to(fitted, source, target):
    model, X, _ = fitted
    if source == target == "spectrum" and model.alignment == "separated":
        pytest.skip("its own latents are decoded, without a way through those of the image")
    found = model.translate(X, source, target)
    expected = model.inverse_transform(model.transform(X, block=source))[[target]]
    pd.testing.assert_frame_equal(found, expected.set_axis(X.index), rtol=1e-9)


@pytest.mark.parametrize("source", ["image", "spectrum"])
@pytest.mark.parametrize("target", ["image", "spectrum"])
def test_a_translation_sees_the_source_alone(fitted, source, target):
    """Not what is to be predicted, though it stands in the table."""
    model, X, _ = fitted
    other = "spectrum" if source == "image" else "image"
    expected = model.translate(X, source, target)
    pd.testing.assert_frame_equal(
        model.translate(without(X, **{other: slice(None)}), source, target), expected
    )
    wrong = X.copy()
    wrong[other] = X[other].to_numpy()[::-1]
    pd.testing.assert_frame_equal(model.translate(wrong, source, target), expected)


def test_a_kind_translated_to_itself_is_the_reconstruction_of_rows_that_have_it_alone(fitted):
    model, X, _ = fitted
    alone = without(X, spectrum=slice(None))
    expected = model.inverse_transform(model.transform(alone))
    found = model.translate(X, "image", "image")
    assert_allclose(found, expected["image"], **ROUNDING)


def test_arrays_come_as_arrays_and_frames_as_frames(fitted):
    model, X, _ = fitted
    t = latent()
    of_array = model.translate(images_of(t), "image", "spectrum")
    assert of_array.shape == spectra_of(t).shape
    assert model.translate(spectra_of(t), "spectrum", "image").shape == (N_ROWS, *SHAPE)
    rows = X.set_axis([f"row {i}" for i in range(N_ROWS)]).iloc[4:9]
    of_frame = model.translate(rows, "image", "spectrum")
    assert of_frame.index.equals(rows.index)
    assert of_frame.columns.equals(X[["spectrum"]].columns)
    assert_allclose(of_frame, of_array[4:9], **ROUNDING)
    own = model.translate(rows["image"], "image", "spectrum")
    pd.testing.assert_frame_equal(own, of_frame)


@pytest.mark.parametrize("package", ["polars", "pyarrow"])
def test_frames_of_other_packages_come_back_as_such(package):
    """Also where X has the source alone, and nothing of the target's types."""
    module = pytest.importorskip(package)
    X, t = curves(N_ROWS)
    X = pd.DataFrame(X, columns=list("abcde"))
    make = module.from_pandas if package == "polars" else module.Table.from_pandas
    kinds = [("first", DenseBlock(), list("abc")), ("second", DenseBlock(), list("de"))]
    model = dual_of_curves(blocks=kinds).fit(make(X), t)
    expected = model.translate(X, "first", "second")
    for given in (X, X[list("cab")]):
        found = model.translate(make(given), "first", "second")
        assert type(found) is type(make(X))
        assert_array_equal(found.to_pandas(), expected)
    completed = model.complete(make(X[list("cab")]), block="first")
    whole = model.complete(X.assign(d=np.nan, e=np.nan))
    candidates = model.complete(X[list("abc")], block="first", n_candidates=1).X
    for found in (completed, candidates):  # in the form of the table of fit
        assert type(found) is type(make(X))
    assert_array_equal(completed.to_pandas(), whole)
    of_pandas = dual_of_curves(blocks=kinds).fit(X, t)
    own = of_pandas.translate(make(X[list("abc")]), "first", "second")
    assert isinstance(own, pd.DataFrame)  # nothing tells what its columns were


def test_a_kind_is_translated_by_what_it_says_of_the_other(trained):
    """Both are functions of one latent, and new rows are translated as those of the fit."""
    X, _ = curves(60, seed=5)
    for source, target, own in (("a", "b", slice(3, 5)), ("b", "a", slice(0, 3))):
        found = trained.translate(X, source, target)
        assert r2_score(X[:, own], found) > 0.9
        assert trained.translation_score(X, source, target) > 0.9


def test_separated_autoencoders_translate_by_a_linear_map():
    """It is enough where latents are linear in each other, as of linear networks of two lines."""
    t = latent(80)
    X = t[:, None] * [1.0, 2, -1, 3, 1]
    settings = {"max_iter": 100, "learning_rate_init": 0.03, "hidden_layer_sizes": ()}
    model = dual_of_curves(n_components=1, alignment="separated", **settings).fit(X)
    assert model.translation_score(X, "a", "b") > 0.9
    assert model.translation_score(X, "b", "a") > 0.9
    assert "train_translation" not in model.history_
    assert "train_alignment" not in model.history_


def test_poses_that_latents_cannot_tell_are_averaged_or_one():
    X, y = two_kinds(12)
    X = stack_kinds(image=images_of(y / 3)[:, :, :4], spectrum=spectra_of(y / 3))
    model = dual(blocks=blocks_of(invariance="symmetries")).fit(X, y)
    found = model.translate(spectra_of(y / 3), "spectrum", "image")
    for copy in (found[:, ::-1], found[:, :, ::-1], found.swapaxes(1, 2)):
        assert_allclose(copy, found, **ROUNDING)
    one = model.translate(spectra_of(y / 3), "spectrum", "image", average_poses=False)
    assert np.abs(one - one[:, ::-1]).max() > 1e-3
    copies = [np.rot90(own, k, axes=(1, 2)) for k in range(4) for own in (one, one[:, ::-1])]
    assert_allclose(np.mean(copies, axis=0), found, **ROUNDING)


def test_separated_autoencoders_reconstruct_by_themselves():
    """Not by maps to the latents of the other kind and back, which know less."""
    X, y = two_kinds()
    model = dual(alignment="separated").fit(X, y)
    before = [model.translate(X, "spectrum", target) for target in ("spectrum", "image")]
    module = fitted_part(model).module
    nothing = torch.zeros(3, 2)  # slopes of two latents, and the offset
    module.set_maps({"spectrum": nothing}, {"spectrum": nothing})
    after = [model.translate(X, "spectrum", target) for target in ("spectrum", "image")]
    pd.testing.assert_frame_equal(before[0], after[0])
    assert not before[1].equals(after[1])


def test_an_image_translated_to_itself_keeps_its_pose():
    X, y = two_kinds(40)
    X = stack_kinds(image=images_of(y / 3)[:, :, :4], spectrum=spectra_of(y / 3))
    model = dual(blocks=blocks_of(invariance="symmetries"), max_iter=30).fit(X, y)
    own = model.translate(X, "image", "image").to_numpy().reshape(-1, 4, 4)
    given = X["image"].to_numpy().reshape(-1, 4, 4)
    copies = np.stack(
        [np.rot90(one, k, axes=(1, 2)) for k in range(4) for one in (own, own[:, ::-1])]
    )
    errors = ((copies - given) ** 2).sum(axis=(2, 3))  # (n_copies, n_samples)
    assert_allclose(errors[0], errors.min(axis=0), rtol=1e-9)
    assert errors[0].sum() < ((copies.mean(axis=0) - given) ** 2).sum()


# -- latents


@pytest.mark.parametrize("beta", [None, 1e-3])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_latents_of_a_kind_are_those_of_rows_that_have_it_alone(alignment, beta):
    X, y = two_kinds()
    model = dual(alignment=alignment, beta=beta).fit(X, y)
    found = {name: model.transform(X, block=name) for name in ("image", "spectrum")}
    for name, other in (("image", "spectrum"), ("spectrum", "image")):
        alone = without(X, **{other: slice(None)})
        assert_allclose(model.transform(alone), found[name], **ROUNDING)
        assert_allclose(model.transform(X[name], block=name), found[name], **ROUNDING)
        assert_allclose(
            model.predict(alone),
            model.predict(alone.sample(frac=1, random_state=0).sort_index()),
            **ROUNDING,
        )
    assert_allclose(model.transform(X), np.mean(list(found.values()), axis=0), **ROUNDING)
    assert not np.allclose(found["image"], found["spectrum"])
    if beta is None:
        return
    Z, std = model.transform(X, return_std=True, block="image")
    assert_array_equal(Z, found["image"])
    squares = [model.transform(X, return_std=True, block=name)[1] ** 2 for name in found]
    assert_allclose(squares[0], std**2)
    assert_allclose(model.transform(X, return_std=True)[1] ** 2, np.mean(squares, axis=0))


def test_rows_with_other_kinds_stand_side_by_side(fitted):
    model, X, _ = fitted
    some = without(X, image=slice(0, 10), spectrum=slice(10, 20))
    Z = model.transform(some)
    assert_allclose(Z[:10], model.transform(X, block="spectrum")[:10], **ROUNDING)
    assert_allclose(Z[10:20], model.transform(X, block="image")[10:20], **ROUNDING)
    assert_allclose(Z[20:], model.transform(X)[20:], **ROUNDING)
    assert np.isfinite(model.score_samples(some)).all()


def test_aligned_latents_are_nearer_to_each_other():
    X, y = curves()
    settings = {"max_iter": 20, "learning_rate_init": 0.02, "translation_weight": 0.0}

    def distance(alignment):
        model = dual_of_curves(alignment=alignment, **settings).fit(X, y)
        a, b = (model.transform(X, block=name) for name in "ab")
        return ((a - b) ** 2).mean() / (a.var() + b.var())

    assert distance(10.0) < 0.2 * distance(0.0)


# -- retrieval


def test_partners_are_found(trained):
    X, _ = curves(60, seed=5)
    for source, target, own, other in (
        ("a", "b", slice(0, 3), slice(3, 5)),
        ("b", "a", slice(3, 5), slice(0, 3)),
    ):
        found = trained.retrieve(X[:, own], source, X[:, other], n_neighbors=3)
        is_found = (found == np.arange(60)[:, None]).any(axis=1)
        assert is_found.mean() > 0.6  # by chance 0.05
        whole = trained.retrieve(X, source, X, n_neighbors=3, target=target)
        assert_array_equal(whole, found)


def test_the_most_probable_comes_first(fitted):
    model, X, _ = fitted
    t = latent()
    index, scores = model.retrieve(
        spectra_of(t), "spectrum", images_of(t)[:20], n_neighbors=20, return_scores=True
    )
    assert index.shape == scores.shape == (N_ROWS, 20)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert_array_equal(np.sort(index, axis=1), np.tile(np.arange(20), (N_ROWS, 1)))
    few = model.retrieve(X, "spectrum", X.iloc[:20])
    assert_array_equal(few, index[:, :5])


def test_not_all_pairs_are_in_memory_at_once(monkeypatch):
    X, _ = curves(50)
    model = dual_of_curves(n_members=2).fit(X)
    whole = model.retrieve(X, "a", X[:20], return_scores=True)
    sizes, log_ratio = [], PairMoments.log_ratio

    def counted(self, first, second):
        sizes.append(len(first) * len(second))
        return log_ratio(self, first, second)

    monkeypatch.setattr(PairMoments, "log_ratio", counted)
    monkeypatch.setattr("sknestedae._estimators._dual_base._PAIRS_AT_ONCE", 150)
    found = model.retrieve(X, "a", X[:20], return_scores=True)
    assert max(sizes) <= 150
    assert_array_equal(found[0], whole[0])
    assert_allclose(found[1], whole[1], **ROUNDING)


def test_scores_of_pairs_are_ratios_by_the_moments_of_the_training_pairs(fitted):
    model, X, _ = fitted
    first, second = X["image"].to_numpy(), X["spectrum"].to_numpy()
    index, scores = model.retrieve(
        first[:7], "image", second, n_neighbors=N_ROWS, return_scores=True
    )
    moments = fitted_part(model).pairs.of("image", "spectrum")
    module, batch = model.net_.module_, fitted_part(model).batch(X)
    Z = [module.latents_of(batch, name).mean.detach().numpy() for name in ("image", "spectrum")]
    expected = moments.log_ratio(Z[0][:7], Z[1])
    assert_allclose(scores, np.take_along_axis(expected, index, axis=1), **ROUNDING)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_one_pair_tells_no_partners(alignment):
    X, _ = two_kinds()
    one = without(X, image=slice(0, 15), spectrum=slice(16, 30))
    model = dual(alignment=alignment).fit(one)
    with pytest.raises(ValueError, match=r"are equal, or there was only one.* Fit with more"):
        model.retrieve(X, "image", X)
    two = without(X, image=slice(0, 14), spectrum=slice(16, 30))
    assert dual(alignment=alignment).fit(two).retrieve(X, "image", X).shape == (len(X), 5)


def test_of_three_kinds_the_library_s_is_named():
    X, y = three_kinds()
    model = dual().fit(X, y)
    t = latent()
    message = r"'target' parameter must name the kind of the library, one of \['image', 'table'\]"
    with pytest.raises(ValueError, match=message):
        model.retrieve(spectra_of(t), "spectrum", images_of(t))
    found = model.retrieve(spectra_of(t), "spectrum", numbers_of(t), target="table")
    assert found.shape == (N_ROWS, 5)
    whole = model.retrieve(X, "spectrum", X, target="table")
    assert_array_equal(whole, found)


# -- what was not measured


def test_a_kind_that_is_missing_is_completed(trained):
    X, _ = curves(60, seed=5)
    hidden = X.copy()
    hidden[:20, 3:] = np.nan
    hidden[20:40, :3] = np.nan
    found = trained.complete(hidden)
    known = ~np.isnan(hidden)
    assert_array_equal(found[known], X[known])
    scale = X.std(axis=0)
    # an R² of 0.9 is a root mean square error of 0.3 standard deviations
    error = (((found - X) / scale)[~known] ** 2).mean() ** 0.5
    assert error < 0.3
    candidates = trained.complete(hidden[[0, 25, 50]], n_candidates=3)
    assert set(candidates.row) == {0, 1, 2}
    assert np.isfinite(candidates.X).all()
    assert candidates.prediction.shape == candidates.row.shape


def test_fits_of_rows_that_lack_kinds_and_labels(fitted):
    """What is missing is no part of any mean."""
    alignment = fitted[0].alignment
    X, y = two_kinds()
    X = without(X, image=slice(0, 8), spectrum=slice(8, 16))
    y[::3] = np.nan
    wrong = X.copy()
    model = dual(alignment=alignment, early_stopping=True).fit(X, y)
    assert np.isfinite(model.history_).all(axis=None)
    assert np.isfinite(model.predict(X)).all()
    again = dual(alignment=alignment, early_stopping=True).fit(wrong, y)
    assert_array_equal(again.transform(X), model.transform(X))


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_a_weight_is_as_many_rows(alignment):
    X, y = two_kinds(12)
    X = without(X, image=slice(0, 3), spectrum=slice(3, 6))
    y[::5] = np.nan
    weight = np.arange(12) % 3 + 1
    repeated = np.repeat(np.arange(12), weight)
    settings = {"alignment": alignment, "shuffle": False, "max_iter": 4, "alpha": 0.0}
    one = dual(batch_size=12, **settings).fit(X, y, sample_weight=weight)
    other = dual(batch_size=len(repeated), **settings).fit(
        X.iloc[repeated].reset_index(drop=True), y[repeated]
    )
    # Adam makes what rounding leaves (1e-16) larger by up to 1e8, in a few steps of 0.003
    assert_allclose(one.transform(X), other.transform(X), rtol=1e-6, atol=1e-6)
    scores = [
        one.translation_score(X, "image", "spectrum", sample_weight=weight),
        one.translation_score(X.iloc[repeated].reset_index(drop=True), "image", "spectrum"),
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)


@pytest.mark.parametrize(
    ("n_pairs", "n_times"), [(30, 1), (11, 1), (10, 1), (9, 2), (4, 4), (1, 15)]
)
def test_pairs_make_a_third_of_the_rows_of_an_epoch(n_pairs, n_times, monkeypatch):
    seen, own_train = [], AutoencoderNet.train

    def train(self, train, *others):
        seen.append(train)
        return own_train(self, train, *others)

    monkeypatch.setattr(AutoencoderNet, "train", train)
    X, _ = two_kinds()
    n_images = (N_ROWS + n_pairs) // 2
    some = without(X, image=slice(n_images, None), spectrum=slice(n_pairs, n_images))
    model = dual().fit(some)
    (rows,) = seen
    index = np.arange(N_ROWS) if rows.index is None else rows.index.numpy()
    counts = np.bincount(index, minlength=N_ROWS)
    assert_array_equal(counts, np.where(np.arange(N_ROWS) < n_pairs, n_times, 1))
    moments = fitted_part(model).pairs.of("image", "spectrum")
    assert moments.weight == n_pairs  # what is learnt of the latents counts them once


def test_rows_of_no_weight_are_left_out():
    X, y = two_kinds()
    wild = X.copy()
    wild.iloc[20:] = 1e6
    weight = np.repeat([1.0, 0.0], [20, 10])
    one = dual().fit(X.iloc[:20], y[:20])
    other = dual().fit(wild, y, sample_weight=weight)
    assert_allclose(one.transform(X), other.transform(X), **ROUNDING)


@pytest.mark.parametrize("beta", [None, 0.5])
def test_kinds_do_not_move_each_other_where_they_are_separated(beta):
    """The autoencoder and the prediction of the first kind are as if it stood alone."""
    X, y = two_kinds()
    other = X.copy()
    other["spectrum"] = X["spectrum"].to_numpy() ** 2
    other = without(other, spectrum=slice(0, 20))  # nor do rows that lack the other kind
    first, second = (dual(alignment="separated", beta=beta).fit(own, y) for own in (X, other))
    assert_array_equal(first.transform(X, block="image"), second.transform(X, block="image"))
    alone = without(X, spectrum=slice(None))
    assert_array_equal(first.predict(alone), second.predict(alone))
    assert not np.allclose(
        first.transform(X, block="spectrum"), second.transform(X, block="spectrum")
    )
    joint = [dual().fit(own, y).transform(X, block="image") for own in (X, other)]
    assert not np.allclose(*joint)


def test_separated_kinds_have_a_divergence_each():
    X, _ = two_kinds()
    n_columns = X.shape[1]
    model = dual(alignment="separated", beta=0.5, alpha=0.0, max_iter=1).fit(X)
    found = model.history_.iloc[0]
    parts = [found[f"train_divergence__{name}"] for name in ("image", "spectrum")]
    assert found["train_divergence"] == pytest.approx(np.mean(parts))
    loss = 0.3 * found["train_reconstruction"] + 2 * 0.5 / n_columns * found["train_divergence"]
    assert found["train_loss"] == pytest.approx(loss)


def test_labels_of_separated_kinds_are_those_of_rows_with_the_first():
    """At a learning rate of almost 0 the network after the epoch is that of the epoch."""
    X, y = two_kinds()
    X = without(X, image=slice(0, 8), spectrum=slice(8, 16))
    settings = {"max_iter": 1, "learning_rate_init": 1e-15, "alignment": "separated"}
    model = dual(**settings).fit(X, y)
    first = without(X, spectrum=slice(None)).iloc[8:]
    error = ((model.predict(first) - y[8:]) / y.std()) ** 2
    assert_allclose(model.history_["train_prediction"], error.mean(), rtol=1e-9)


# -- the score of a translation


def test_the_score_is_r2_in_units_of_the_block(fitted):
    """A spectrum has one unit for all of its channels, so that it is that of plain numbers."""
    model, X, _ = fitted
    found = model.translate(X, "image", "spectrum")
    expected = r2_score(X["spectrum"], found, multioutput="variance_weighted")
    assert model.translation_score(X, "image", "spectrum") == pytest.approx(expected, rel=1e-9)
    weight = np.linspace(0, 3, N_ROWS)
    expected = r2_score(
        X["spectrum"], found, multioutput="variance_weighted", sample_weight=weight
    )
    score = model.translation_score(X, "image", "spectrum", sample_weight=weight)
    assert score == pytest.approx(expected, rel=1e-9)


def test_the_score_is_of_the_rows_that_have_both_kinds(fitted):
    model, X, _ = fitted
    some = without(X, image=slice(0, 5), spectrum=slice(5, 10))
    expected = model.translation_score(X.iloc[10:], "image", "spectrum")
    assert model.translation_score(some, "image", "spectrum") == pytest.approx(expected)
    weight = np.ones(N_ROWS)
    weight[:10] = 7.0
    weighted = model.translation_score(some, "image", "spectrum", sample_weight=weight)
    assert weighted == pytest.approx(expected)
    nothing = np.where(np.arange(N_ROWS) < 10, 1.0, 0.0)
    with pytest.raises(ValueError, match="both kinds, 'image' and 'spectrum' and a positive wei"):
        model.translation_score(some, "image", "spectrum", sample_weight=nothing)
    partly = X.copy()
    partly.isetitem(X.shape[1] - 1, np.nan)  # one channel of every spectrum
    assert np.isfinite(model.translation_score(partly, "image", "spectrum"))


def test_categories_are_scored_by_their_probabilities():
    X, y = three_kinds()
    model = dual(max_iter=40, learning_rate_init=0.02).fit(X, y)
    assert model.translation_score(X, "spectrum", "table") > 0.5


# -- ensembles


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_an_ensemble_gives_the_mean_of_its_members(alignment, bootstrap):
    X, y = two_kinds()
    model = dual(alignment=alignment, n_members=3, bootstrap=bootstrap).fit(X, y)
    for source, target in (("image", "spectrum"), ("spectrum", "image")):
        parts = [member.translate(X, source, target) for member in model.members_]
        assert not np.allclose(parts[0], parts[1])
        found = model.translate(X, source, target)
        assert_allclose(found, np.mean(parts, axis=0), **ROUNDING)
    _, scores = model.retrieve(X, "image", X, n_neighbors=N_ROWS, return_scores=True)
    parts = []
    for member in model.members_:
        index, own = member.retrieve(X, "image", X, n_neighbors=N_ROWS, return_scores=True)
        parts.append(np.take_along_axis(own, np.argsort(index, axis=1), axis=1))
    assert_allclose(scores, -np.sort(-np.mean(parts, axis=0), axis=1), **ROUNDING)
    first = model.members_[0]
    assert_array_equal(model.transform(X, block="image"), first.transform(X, block="image"))
    assert_allclose(model.predict(X), np.mean([m.predict(X) for m in model.members_], axis=0))


def test_members_may_have_learnt_other_scales_and_categories():
    columns = pd.DataFrame({"size": [1.0, 3.0, 5.0, 7.0], "phase": list("abca")})
    parts = [columns, columns.iloc[[1, 2, 1, 2]].assign(size=[10.0, 20, 30, 40])]
    codecs = [fitted_part(dual_of_table(part)).table.codecs["table"] for part in parts]
    values = np.array([[0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 2.0, 1.0]])
    found = recoded(values, codecs[0], codecs[1])
    (mean, scale), (other_mean, other_scale) = (codec.affine() for codec in codecs)
    assert_allclose(found[:, 0] * other_scale + other_mean, values[:, 0] * scale + mean)
    # "b" and "c" are known to both, "a" to the first alone
    names = [list(codec.categories[j].values) for codec in codecs for j in codec.categorical]
    assert names == [["a", "b", "c"], ["b", "c"]]
    assert_array_equal(found[:, 1:], values[:, [2, 3]])
    back = recoded(found, codecs[1], codecs[0])
    assert_allclose(back[:, 0], values[:, 0], atol=1e-12)
    assert (back[:, 1] == -np.inf).all()
    assert_array_equal(back[:, 2:], values[:, 2:])
    assert recoded(values, codecs[0], codecs[0]) is values
    # of a member that knows none of the categories, all are as probable
    alone = fitted_part(dual_of_table(columns.iloc[[0, 0, 0]])).table.codecs["table"]
    assert_array_equal(recoded(found, codecs[1], alone)[:, 1:], np.zeros((2, 1)))


def dual_of_table(part):
    """Fit a dual autoencoder to a table beside something else."""
    X = part.reset_index(drop=True).assign(other=np.arange(len(part)) * 1.0)
    blocks = [("other", DenseBlock(), ["other"])]
    return dual(blocks=blocks, max_iter=1, n_components=1).fit(X)


def test_mean_values_are_mean_numbers_and_mean_probabilities():
    rng = np.random.default_rng(0)
    layout = Layout(2, (3, 2))
    parts = [rng.normal(size=(5, 7)) for _ in range(3)]
    parts[0][:, 3] = -np.inf  # a category that one member does not know
    found = mean_of_values(parts, layout)
    assert_allclose(found[:, :2], np.mean([own[:, :2] for own in parts], axis=0))
    for group in layout.groups():
        expected = np.mean([softmax(own[:, group], axis=1) for own in parts], axis=0)
        assert_allclose(softmax(found[:, group], axis=1), expected)
    assert mean_of_values(parts[:1], layout) is parts[0]


# -- training


@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.CollapsedLatentsWarning")
def test_the_history_has_each_kind_and_their_means():
    X, y = three_kinds()
    weights = {"image": 1, "spectrum": 2, "table": 5}
    model = dual(
        alignment=0.3,
        translation_weight=0.7,
        reconstruction_weight=2.0,
        prediction_weight=0.5,
        block_weights=weights,
        beta=0.01,
        alpha=0.0,
        early_stopping=True,
    ).fit(X, y)
    shares = {name: weight / 8 for name, weight in weights.items()}
    for part in ("train", "valid"):
        own = {
            name.removeprefix(f"{part}_"): column
            for name, column in model.history_.items()
            if name.startswith(part)
        }
        reconstruction = sum(shares[name] * own[f"reconstruction__{name}"] for name in weights)
        translation = sum(
            shares[target] / 2 * own[f"translation__{source}__{target}"]
            for source in weights
            for target in weights
            if source != target
        )
        assert_allclose(own["reconstruction"], reconstruction, rtol=1e-12)
        assert_allclose(own["translation"], translation, rtol=1e-12)
        n_columns = X.shape[1]
        loss = 2.0 * reconstruction + 0.7 * translation + 0.5 * own["prediction"]
        loss += 0.3 * own["alignment"] + 2 * 0.01 / n_columns * own["divergence"]
        assert_allclose(own["loss"], loss, rtol=1e-9)


def test_every_kind_counts_alike_without_weights():
    X, _ = three_kinds()
    model = dual().fit(X)
    objective = model.net_.criterion_
    assert objective.block_shares == dict.fromkeys(["image", "spectrum", "table"], 1 / 3)
    assert objective.weights["translation__image__table"] == pytest.approx(1 / 6)
    assert "prediction" not in objective.weights


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_training_goes_on(alignment):
    X, y = two_kinds()
    model = dual(alignment=alignment, warm_start=True).fit(X, y)
    before = model.transform(X)
    model.fit(X, y)
    assert len(model.history_) == 6
    assert not np.allclose(model.transform(X), before)
    stream = dual(alignment=alignment)
    for rows in (slice(0, 15), slice(15, 30)):
        stream.partial_fit(X.iloc[rows], y[rows])
    assert np.isfinite(stream.translate(X, "image", "spectrum")).all(axis=None)
    assert fitted_part(stream).pairs.of("image", "spectrum").weight == pytest.approx(0.9 * 15 + 15)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_later_parts_of_a_stream_may_have_one_kind_alone(alignment):
    X, y = two_kinds()
    stream = dual(alignment=alignment).partial_fit(X.iloc[:15], y[:15])
    moments = fitted_part(stream).pairs.of("image", "spectrum")
    stream.partial_fit(without(X, spectrum=slice(None)).iloc[15:], y[15:])
    assert_array_equal(fitted_part(stream).pairs.of("image", "spectrum").mean, moments.mean)
    assert np.isfinite(stream.translate(X, "image", "spectrum")).all(axis=None)
    assert np.isfinite(stream.translate(X, "spectrum", "image")).all(axis=None)


def test_heavy_parts_of_a_stream_outweigh_the_others():
    """Weights are large by a power of two, that of pairs as that of latents."""
    X, _ = curves(40)
    stream = dual_of_curves().partial_fit(X[:20], sample_weight=np.ones(20))
    stream.partial_fit(X[20:], sample_weight=np.full(20, 2.0**40))
    found = fitted_part(stream)
    moments, statistics = found.pairs.of("a", "b"), found.latent_statistics
    assert (moments.weight, moments.power) == (statistics.weight, statistics.power)
    assert moments.power == 40


def test_a_separated_fit_is_not_gone_on_with_as_a_common_one():
    X, y = two_kinds()
    model = dual(warm_start=True).fit(X, y)
    message = "'alignment' parameter was a number in the last fit and is 'separated' now"
    with pytest.raises(ValueError, match=message):
        model.set_params(alignment="separated").fit(X, y)
    model.set_params(alignment=0.5).fit(X, y)


@pytest.mark.parametrize("beta", [None, 1e-3])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_float32_stays(alignment, beta):
    X, y = two_kinds(dtype="float32")
    model = dual(alignment=alignment, beta=beta).fit(X, y)
    assert {p.dtype.itemsize for p in model.net_.module_.parameters()} == {4}
    assert model.transform(X).dtype == model.transform(X, block="spectrum").dtype == "float32"
    assert set(model.translate(X, "image", "spectrum").dtypes) == {np.dtype("float32")}
    arrays = X["image"].to_numpy()
    assert model.translate(arrays, "image", "spectrum").dtype == "float32"


# -- kinds


def test_kinds_are_read_from_two_levels_of_columns():
    X, y = three_kinds()
    model = dual(blocks="auto").fit(X, y)
    assert list(model.blocks_) == ["image", "spectrum", "table"]
    assert [type(own.block) for own in model.blocks_.values()] == [
        ImageBlock,
        DenseBlock,
        DenseBlock,
    ]
    assert model.blocks_["image"].layout.shape == SHAPE
    found = model.translate(X, "image", "table")
    assert list(found["table"].columns) == ["size", "count", "phase"]
    assert set(found["table", "phase"]) <= {"cubic", "hexagonal"}
    assert found.dtypes.iloc[2] == "category"


def test_cells_that_hold_arrays_are_kinds():
    t = latent()
    cells = pd.DataFrame({"image": list(images_of(t)), "spectrum": list(spectra_of(t))})
    model = dual(blocks="auto").fit(cells, t)
    assert [type(own.block) for own in model.blocks_.values()] == [ImageBlock, SpectrumBlock]
    found = model.translate(cells, "image", "spectrum")
    assert_array_equal(
        np.stack(found["spectrum"].tolist()), model.translate(images_of(t), "image", "spectrum")
    )
    hidden = cells.copy()
    hidden.loc[:4, "spectrum"] = None
    again = dual(blocks="auto").fit(hidden, t)
    completed = again.complete(hidden)
    assert np.stack(completed["spectrum"].tolist()).shape == (N_ROWS, 8)
    assert_array_equal(completed.loc[5, "spectrum"], cells.loc[5, "spectrum"])


def test_all_other_columns_are_a_kind():
    X, t = curves(N_ROWS)
    model = dual(blocks=CURVES[:1]).fit(X, t)
    assert list(model.blocks_) == ["a", "table"]
    assert model.translate(X[:, :3], "a", "table").shape == (N_ROWS, 2)


def test_three_kinds_and_rows_with_any_two_of_them():
    X, y = three_kinds()
    X = without(X, image=slice(0, 10), spectrum=slice(10, 20), table=slice(20, 30))
    model = dual().fit(X, y)
    for source in ("image", "spectrum", "table"):
        rows = X[X[source].notna().all(axis=1)]
        for target in ("image", "spectrum", "table"):
            found = model.translate(rows, source, target)
            assert found.notna().all(axis=None)
            assert len(found) == 20
    assert model.complete(X).notna().all(axis=None)


# -- what is refused


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"alignment": "joint"}, "'alignment' parameter of DualAutoencoder must be .*'separated'"),
        ({"alignment": -1.0}, "'alignment' parameter of DualAutoencoder must be .*Got -1.0"),
        ({"alignment": None}, "'alignment' parameter of DualAutoencoder must be .*Got None"),
        ({"translation_weight": -1}, "'translation_weight' parameter .*Got -1"),
        ({"block_weights": {"image": 1}}, "'block_weights' parameter"),
        ({"latent_activation": "tanh", "beta": 1.0}, "'latent_activation' parameter"),
    ],
)
def test_parameters(settings, rule):
    X, y = two_kinds(12)
    with pytest.raises(ValueError, match=rule):
        dual(**settings).fit(X, y)


@pytest.mark.parametrize("cls", [DualAutoencoder, DualAutoencoderClassifier])
def test_one_kind_alone_is_not_dual(cls):
    X, t = curves(N_ROWS)
    for blocks in ("auto", None, DenseBlock(), [("a", DenseBlock(), slice(None))]):
        message = rf"A {cls.__name__} needs two or more kinds of data, but X has one, .* of 5 feat"
        with pytest.raises(ValueError, match=message):
            dual(cls, blocks=blocks).fit(X, t > 0)


def test_kinds_need_rows_that_have_both():
    X, y = two_kinds()
    apart = without(X, image=slice(0, 15), spectrum=slice(15, 30))
    with pytest.raises(ValueError, match="No row of X has the kind 'image' and another kind"):
        dual().fit(apart, y)
    message = "No row of X has the kind 'spectrum' and the kind 'image' as well"
    with pytest.raises(ValueError, match=message):
        dual(alignment="separated").fit(apart, y)
    X, y = three_kinds()
    apart = without(X, image=slice(0, 15), spectrum=slice(15, 30))
    dual().fit(apart, y)  # the table is beside each of them
    with pytest.raises(ValueError, match=message):
        dual(alignment="separated").fit(apart, y)


def test_rows_that_tell_what_belongs_together_are_not_all_held_out():
    X, y = two_kinds()
    apart = without(X, image=slice(0, 15), spectrum=slice(16, 30))
    settings = {"early_stopping": True, "validation_fraction": 0.4, "max_iter": 1}
    told = []
    for seed in range(8):
        model = dual(random_state=seed, **settings)
        try:
            model.fit(apart, y)
        except ValueError as error:
            told.append(str(error))
        else:
            assert fitted_part(model).pairs.of("image", "spectrum").weight == 1
    assert 0 < len(told) < 8
    message = "No row of X that is not held out has the kind 'image' and another kind as well"
    assert all(message in one for one in told)


def test_labels_need_the_kind_that_they_are_learnt_from():
    """Separated latents predict from the first kind alone: others bring no label to it."""
    X, t = curves(N_ROWS)
    X[:20, :3] = np.nan
    y = np.where(np.arange(N_ROWS) < 20, t, np.nan)
    dual_of_curves().fit(X, y)  # "b" predicts
    separated = dual_of_curves(alignment="separated")
    message = "No row of X with a label has the kind 'a', which labels are learnt from with align"
    with pytest.raises(ValueError, match=message):
        separated.fit(X, y)
    with pytest.raises(ValueError, match=message):
        separated.fit(X, np.c_[t, y])  # one of two outputs
    y[-1] = t[-1]
    separated.fit(X, y).partial_fit(X[:20], y[:20])


def test_members_that_draw_no_pair_are_told_apart_from_tables_without_one():
    X, _ = curves(N_ROWS)
    X[:15, :3], X[15:-1, 3:] = np.nan, np.nan  # one pair
    told = set()
    for seed in range(8):
        try:
            dual_of_curves(n_members=2, bootstrap=True, max_iter=1, random_state=seed).fit(X)
        except ValueError as error:
            told.add(str(error).split(": ")[1])
    hint = "With bootstrap=True, these are rows that a member of the ensemble has drawn."
    assert told == {f"their relation cannot be learnt. {hint}"}


def test_rows_of_which_nothing_was_measured():
    X, y = two_kinds()
    empty = without(X, image=[2, 7], spectrum=[2, 7])
    with pytest.raises(ValueError, match=r"2 rows of X have no measured value of any kind; drop"):
        dual().fit(empty, y)
    model = dual().fit(X, y)
    message = r"2 row\(s\) have no measured value of any kind, the first of them row 2 \(from 0\)"
    for method in ("transform", "predict", "complete", "score_samples", "score"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(empty)
    some = without(X, image=[3])
    message = r"1 row\(s\) have no measured value of the kind 'image', the first of them row 3"
    for call in (
        lambda: model.transform(some, block="image"),
        lambda: model.translate(some, "image", "spectrum"),
        lambda: model.retrieve(some, "image", X),
        lambda: model.retrieve(X, "spectrum", some),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match="Drop them from library"):
        model.retrieve(X, "spectrum", some)
    with pytest.raises(ValueError, match="Drop them from X"):
        model.retrieve(some, "image", X)
    for name in ("image", "spectrum"):
        lacking = without(X, **{name: slice(None)})
        with pytest.raises(ValueError, match="No row of X has both kinds, 'image' and 'spectrum'"):
            model.translation_score(lacking, "image", "spectrum")


def test_arrays_of_a_kind_come_as_a_list_or_a_series(fitted):
    model, X, _ = fitted
    images = X["image"].to_numpy().reshape(-1, *SHAPE)
    expected = model.translate(images, "image", "spectrum")
    index = [f"row {i}" for i in range(len(images))]
    for given in (list(images), pd.Series(list(images), index)):
        assert_array_equal(model.translate(given, "image", "spectrum"), expected)
    found = model.retrieve(X, "spectrum", images)
    assert_array_equal(model.retrieve(X, "spectrum", pd.Series(list(images))), found)
    completed = model.complete(pd.Series(list(images), index), block="image")
    assert completed.index.tolist() == index


def test_one_kind_s_arrays_are_named(fitted):
    """An array of one kind in the place of a table, a kind's name in that of another parameter."""
    model, X, _ = fitted
    spectra = X["spectrum"].to_numpy()
    images = X["image"].to_numpy().reshape(-1, *SHAPE)
    for method in (model.transform, model.predict, model.complete):
        message = rf"X has {spectra.shape[1]} features, but .* say so with block='spectrum'"
        with pytest.raises(ValueError, match=message):
            method(spectra)
        message = r"X has the shape \(.* The kind 'image' alone .* say so with block='image'"
        with pytest.raises(ValueError, match=message):
            method(images)
    for method in (model.transform, model.predict):
        message = "'return_std' parameter must be True or False, got 'image'.* block='image'"
        with pytest.raises(ValueError, match=message):
            method(images, "image")
    message = r"'source' parameter must be one of the kinds \['image', 'spectrum'\], got array"
    with pytest.raises(ValueError, match=message):
        model.translate("image", images, "spectrum")
    with pytest.raises(ValueError, match="kinds of arrays, make one table with stack_kinds"):
        model.score(images)


def test_kinds_and_rows_that_are_not_there(fitted):
    model, X, _ = fitted
    kinds = r"must be one of the kinds \['image', 'spectrum'\], got 'sound'"
    for name, call in (
        ("source", lambda: model.translate(X, "sound", "image")),
        ("target", lambda: model.translate(X, "image", "sound")),
        ("block", lambda: model.transform(X, block="sound")),
        ("source", lambda: model.translation_score(X, "sound", "image")),
        ("target", lambda: model.translation_score(X, "image", "sound")),
        ("source", lambda: model.retrieve(X, "sound", X)),
        ("target", lambda: model.retrieve(X, "image", X, target="sound")),
    ):
        with pytest.raises(ValueError, match=f"'{name}' parameter {kinds}"):
            call()
    message = "'target' parameter must be another kind than the source, 'image'"
    with pytest.raises(ValueError, match=message):
        model.retrieve(X, "image", X, target="image")
    message = "'n_neighbors' parameter must be at most the number of rows .* 4, got 5"
    with pytest.raises(ValueError, match=message):
        model.retrieve(X, "image", X.iloc[:4])
    with pytest.raises(ValueError, match="n_neighbors == 0, must be >= 1"):
        model.retrieve(X, "image", X, n_neighbors=0)
    with pytest.raises(ValueError, match=r"got the shape \(30, 3, 5\)"):
        model.retrieve(X, "spectrum", images_of(latent())[:, 1:])
    with pytest.raises(ValueError, match="return_std=True needs variational latents"):
        model.transform(X, return_std=True, block="image")


def test_collapsed_latents_of_all_kinds_are_counted():
    X, _ = curves()
    settings = {"max_iter": 40, "learning_rate_init": 0.03}
    with pytest.warns(CollapsedLatentsWarning, match="2 of 2 latents have collapsed"):
        model = dual_of_curves(beta=100.0, **settings).fit(X)
    assert model.n_active_components_ == 0
    drawn = model.sample(3, random_state=0)
    assert drawn.shape == (3, 5)
