"""Latents of rows that are arrays: errors that are correlated, poses, and rows far from all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from sknestedae import SupervisedAutoencoder
from sknestedae._estimators._fitted import fitted_part
from sknestedae._latents import _density, _inference, _residuals
from sknestedae._latents._inference import PosteriorModeSearch
from sknestedae.blocks import ImageBlock, SpectrumBlock

N, N_CHANNELS, SIDE = 80, 30, 6
SPECTRUM = SpectrumBlock(n_channels=(4,), kernel_size=3)
SETTINGS = {"max_iter": 20, "hidden_layer_sizes": (8,), "random_state": 0}


def spectra(n_rows, rng):
    """One peak of which the height is learnt, on a tilt that one latent cannot learn as well."""
    x = np.linspace(-1, 1, N_CHANNELS)
    height, tilt = rng.normal(size=(2, n_rows, 1))
    return 3 * height * np.exp(-8 * x**2) + tilt * x + 0.05 * rng.normal(size=(n_rows, N_CHANNELS))


def images(n_rows, rng):
    """Images of one spot, somewhere."""
    grid = np.linspace(-1, 1, SIDE)
    down, right = rng.uniform(-0.7, 0.7, size=(2, n_rows, 1, 1))
    return np.exp(-4 * ((grid[:, None] - down) ** 2 + (grid - right) ** 2))


@pytest.fixture(scope="module")
def fitted():
    X = spectra(N, np.random.default_rng(0))
    return SupervisedAutoencoder(1, blocks=SPECTRUM, **SETTINGS).fit(X)


def search_of(estimator, X):
    fitted = fitted_part(estimator)
    model = fitted.observation_model()
    return PosteriorModeSearch([model]), [model.rows(fitted.encode(X))]


def test_errors_of_neighbours_fill_what_is_missing(fitted):
    """One latent leaves the tilt out: what was measured of a row tells the rest of its errors."""
    X = spectra(40, np.random.default_rng(1))
    hidden = np.zeros(X.shape, dtype=bool)
    hidden[:, ::3] = True
    shown = np.where(hidden, np.nan, X)
    filled = fitted.complete(shown)
    assert np.array_equal(filled[~hidden], X[~hidden])
    statistics = fitted_part(fitted).latent_statistics
    kept, statistics.factors = statistics.factors, statistics.factors[:, :0]
    try:
        alone = fitted.complete(shown)
    finally:
        statistics.factors = kept
    with_factors, without = (np.mean((v - X)[hidden] ** 2) for v in (filled, alone))
    assert with_factors < without / 4


def test_an_error_that_training_rows_have_as_well_is_no_reason_for_a_low_score(fitted):
    """Of two changes of one size, the tilt is known, and noise of each channel is not."""
    rng = np.random.default_rng(1)
    X = spectra(40, rng)
    tilt = np.linspace(-1, 1, N_CHANNELS)
    noise = rng.normal(size=X.shape)
    noise *= np.linalg.norm(tilt) / np.linalg.norm(noise, axis=1, keepdims=True)
    tilted, noisy = fitted.score_samples(X + tilt), fitted.score_samples(X + noise)
    assert (noisy < tilted).all()


def test_a_row_far_from_all_examples_has_larger_errors(fitted):
    """As its distance by that of an example from the next, squared, and 1 more."""
    rng = np.random.default_rng(1)
    X = np.vstack([spectra(20, rng), 20 + spectra(20, rng)])
    search, parts = search_of(fitted, X)
    with torch.no_grad():
        _, scale = search.weigh_examples(parts)
        (model,), (decoded,) = search.models, search.examples[1]
        to_rows = model.squared_distances_of_examples(decoded, parts[0]).min(dim=1).values
        examples = model.as_rows(decoded, [True])
        between = model.squared_distances_of_examples(decoded, examples)
        between.fill_diagonal_(torch.inf)
        # all 80 examples are among the 100 whose neighbours are looked at; a row has an error too
        errors = (model.errors.variance / model._width(next(iter(model.layouts)))).sum()
        expected = between.min(dim=1).values.mean() + errors
    assert_allclose(scale, 1 + to_rows / expected, rtol=1e-9)
    assert scale[20:].min() > 10 * scale[:20].max()


def test_the_distance_of_a_row_is_judged_by_the_kinds_that_it_has():
    """An image that lies among the others is near, also where the spectrum is missing."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"image": list(images(N, rng)), "spectrum": list(spectra(N, rng))})
    estimator = SupervisedAutoencoder(3, **SETTINGS).fit(X)
    half = X.copy()
    half["spectrum"] = None
    search, parts = search_of(estimator, half)
    with torch.no_grad():
        assert not search.models[0].present_blocks(parts[0]).all(dim=1).any()
        _, scale = search.weigh_examples(parts)
        (spacing,) = search._spacing((True, False))
        width = search.models[0]._width("image")
    # the mean over its own training rows: they are examples, but for the network's error
    assert 1 < scale.mean() < 3
    # nearest by their images, examples differ by more in the spectrum than nearest by both
    (both,) = search._spacing((True, True))
    n_pixels = SIDE * SIDE
    assert spacing[n_pixels:].sum() > both[n_pixels:].sum()
    assert (spacing[:n_pixels] / width).sum() < (both[:n_pixels] / width).sum()


def test_what_is_learnt_and_found_does_not_depend_on_the_chunks(fitted, monkeypatch):
    X = spectra(30, np.random.default_rng(1))
    X[:, 5:12] = np.nan
    expected = fitted.complete(X), fitted.score_samples(X)
    statistics = fitted_part(fitted).latent_statistics
    for module in (_residuals, _inference):
        name = "CHUNK_BYTES" if module is _residuals else "_CHUNK_BYTES"
        monkeypatch.setattr(module, name, 5 * 8 * N_CHANNELS)
    monkeypatch.setattr(_residuals.rows_of_size, "__defaults__", (5 * 8 * N_CHANNELS,))
    assert_allclose(fitted.complete(X), expected[0], rtol=1e-9, atol=1e-9)
    assert_allclose(fitted.score_samples(X), expected[1], rtol=1e-9)
    again = SupervisedAutoencoder(1, blocks=SPECTRUM, **SETTINGS)
    again.fit(spectra(N, np.random.default_rng(0)))
    other = fitted_part(again).latent_statistics
    assert_allclose(
        other.factors @ other.factors.T, statistics.factors @ statistics.factors.T, rtol=1e-6
    )


def test_errors_that_are_kept_are_of_rows_spread_evenly(monkeypatch):
    """The mean squares are of all rows; the factors of so many as there is room for."""
    X = spectra(N, np.random.default_rng(0))
    whole = SupervisedAutoencoder(1, blocks=SPECTRUM, **SETTINGS).fit(X)
    monkeypatch.setattr(_density, "_ERROR_BYTES", 8 * N_CHANNELS * N // 2)
    part = SupervisedAutoencoder(1, blocks=SPECTRUM, **SETTINGS).fit(X)
    one, other = (fitted_part(fit).latent_statistics for fit in (whole, part))
    (name,) = one.error
    assert np.array_equal(one.error[name], other.error[name])
    assert not np.array_equal(one.factors, other.factors)
    assert_allclose(other.factors @ other.factors.T, one.factors @ one.factors.T, atol=0.5)


@pytest.fixture(scope="module", params=["symmetries", "rotation"])
def turned(request):
    X = images(N, np.random.default_rng(0))
    block = ImageBlock(n_channels=(4,), invariance=request.param)
    return SupervisedAutoencoder(3, blocks=block, **SETTINGS).fit(X), X


@pytest.mark.parametrize("k", [1, 2])
def test_a_pose_that_latents_cannot_tell_is_no_error(turned, k, monkeypatch):
    """A turned image has the score of the image, and it is filled as the image is, turned."""
    estimator, X = turned
    statistics = fitted_part(estimator).latent_statistics
    # of one size at all pixels, as poses share them
    alike = {name: np.full_like(v, v.mean()) for name, v in statistics.error.items()}
    monkeypatch.setattr(statistics, "error", alike)
    monkeypatch.setattr(statistics, "factors", statistics.factors[:, :0])
    rotated = np.rot90(X, k, axes=(1, 2))
    assert_allclose(estimator.score_samples(rotated), estimator.score_samples(X), rtol=1e-6)
    holey = X.copy()
    holey[:, 1:3, 4] = np.nan
    filled = estimator.complete(holey)
    assert np.isfinite(filled).all()
    assert_allclose(
        estimator.complete(np.rot90(holey, k, axes=(1, 2))),
        np.rot90(filled, k, axes=(1, 2)),
        rtol=1e-6,
        atol=1e-6,
    )


def test_statistics_of_turned_images_are_small_ones(turned):
    """Errors are those of the decoded image in the pose of the row, as training has them."""
    estimator, X = turned
    reconstructed = estimator.inverse_transform(estimator.transform(X))
    fitted = fitted_part(estimator)
    (errors,) = fitted.latent_statistics.error.values()
    aligned = errors.mean()
    scale = next(iter(fitted.table.codecs.values())).affine()[1]
    as_decoded = (((reconstructed - X).reshape(N, -1) / scale) ** 2).mean()
    assert aligned < 0.7 * as_decoded


def both_kinds(n_rows, rng):
    """An image of a spot, and a spectrum of a peak that is where the spot is."""
    X = images(n_rows, rng)
    grid = np.linspace(-1, 1, SIDE)
    right = (X.sum(axis=1) * grid).sum(axis=1) / X.sum(axis=(1, 2))
    x = np.linspace(-1, 1, N_CHANNELS)
    peaks = np.exp(-10 * (x - right[:, None]) ** 2)
    return pd.DataFrame({"image": list(X), "spectrum": list(peaks)})


@pytest.fixture(scope="module")
def hidden_in_training():
    X = both_kinds(N, np.random.default_rng(0))
    return SupervisedAutoencoder(3, block_dropout=0.3, **SETTINGS).fit(X)


def test_the_prior_of_a_row_without_a_kind_is_pulled_to_its_encoded_latents(hidden_in_training):
    """As the product of two normal densities; other rows keep theirs."""
    table = both_kinds(12, np.random.default_rng(1))
    table.loc[:5, "spectrum"] = None
    search, parts = search_of(hidden_in_training, table)
    (model,), rows = search.models, parts[0]
    with torch.no_grad():
        weights, scale = search.weigh_examples(parts)
        mean, precision = search.local_prior(weights)
        densities, _ = search.densities(parts)
        assert torch.equal(densities.mean[6:], mean[6:])
        assert torch.equal(densities.precision[6:], precision[6:])
        # how well latents are encoded from images alone is seen on the examples
        (decoded,) = search.examples[1]
        alone = {name: values.to(model.dtype) for name, values in decoded.items()}
        errors = model.encode(model.as_rows(alone, [True, False])) - search.examples[0]
        products = torch.einsum("ni,nj->ij", errors, errors) / len(errors)
        # a row is further away than an example, and its errors are larger
        added = torch.linalg.inv(products + 0.01 * model.covariance) / scale[:6, None, None]
        encoded = model.encode(rows[:6])
    assert_allclose(densities.precision[:6], precision[:6] + added, rtol=1e-9)
    pull = torch.einsum("nij,nj->ni", precision[:6], mean[:6])
    pull = pull + torch.einsum("nij,nj->ni", added, encoded)
    expected = torch.linalg.solve(densities.precision[:6], pull)
    assert_allclose(densities.mean[:6], expected, rtol=1e-9)


def test_a_block_of_categories_alone_is_measured_as_any_other():
    """It has no number to tell how far a row is, and still is no block that is missing."""
    X = both_kinds(N, np.random.default_rng(0)).assign(spectrum=["a", "b"] * (N // 2))
    estimator = SupervisedAutoencoder(3, block_dropout=0.3, **SETTINGS).fit(X)
    holey = X.iloc[:4].copy()
    holey.at[1, "image"] = np.where(np.eye(SIDE) > 0, np.nan, X.at[1, "image"])
    holey.at[2, "image"] = None
    holey.at[3, "spectrum"] = None
    search, parts = search_of(estimator, holey)
    with torch.no_grad():
        assert search.models[0].measured_blocks(parts[0]).tolist() == [
            *([True, True], [True, True], [False, True], [True, False])
        ]
        _, precision = search.local_prior(search.weigh_examples(parts)[0])
        densities, _ = search.densities(parts)
    pulled = (densities.precision != precision).flatten(1).any(dim=1)
    assert pulled.tolist() == [False, False, True, True]
