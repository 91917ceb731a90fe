"""Variational latents: how they are trained, and all that is done with them after a fit."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from cases.nested import sae as stage
from cases.supervised import TINY, mixed_table, regression
from cases.vectorized import assert_same_fit, data
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae._estimators._fitted import fitted_part
from sknestedae.exceptions import CollapsedLatentsWarning
from sknestedae.model_selection import BatchedGridSearchCV


def sae(cls=SupervisedAutoencoder, **settings):
    return cls(**{**TINY, "beta": 1e-3, **settings})


def weights_of(estimator):
    return np.concatenate(
        [p.detach().numpy().ravel() for p in estimator.net_.module_.parameters()]
    )


# -- training


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_many_networks_at_once_are_each_as_alone(stacks, dropout):
    """Noise and masks are those of a single fit, also with other betas and warm-ups beside."""
    X, y = data(60)
    settings = {"dropout": dropout, "batch_size": 16, "max_iter": 6}
    one = sae(**settings)
    grid = {"beta": [1e-3, 0.1], "random_state": [0, 1]}
    searches = [
        search(one, grid, cv=2).fit(X[:, :5], X[:, 5])
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    assert max(stacks) >= 4
    found, expected = (search.cv_results_["mean_test_score"] for search in searches[::-1])
    assert_allclose(found, expected, rtol=1e-6)
    assert len(set(found)) == 4
    ensemble = sae(n_members=2, **settings).fit(X, y)
    assert_same_fit(ensemble.members_[0], sae(**settings).fit(X, y))


def test_the_noise_of_one_fit_is_that_of_many_to_the_last_bit(stacks):
    """Products of one network and of many may round otherwise; here they do not."""
    X, y = regression()
    settings = {"dropout": 0.3, "hidden_layer_sizes": (), "max_iter": 3}
    alone = sae(**settings).fit(X, y)
    ensemble = sae(n_members=2, **settings).fit(X, y)
    assert stacks == [2]
    assert_allclose(weights_of(ensemble), weights_of(alone), rtol=0, atol=1e-12)
    other = sae(**{**settings, "random_state": 1}).fit(X, y)
    assert np.abs(weights_of(other) - weights_of(alone)).max() > 0.01


def test_latents_that_are_points_have_nothing_of_it():
    X, y = regression()
    points = sae(beta=None).fit(X, y)
    assert not [name for name in points.history_ if "divergence" in name]
    module = points.net_.module_
    assert module.noise is None
    assert module.encoder[-2].out_features == 2
    for name in ("n_active_components_", "sample"):
        assert not hasattr(points, name)


def test_the_history_has_the_divergence_and_the_loss_contains_it():
    X, y = regression()
    fitted = sae(beta=0.5, early_stopping=True, alpha=0.0).fit(X, y)
    for part in ("train", "valid"):
        terms = {
            key: fitted.history_[f"{part}_{key}"]
            for key in ("loss", "reconstruction", "prediction", "divergence")
        }
        expected = terms["reconstruction"] + terms["prediction"]
        expected += 2 * 0.5 / 4 * terms["divergence"]  # of 4 columns
        assert_allclose(terms["loss"], expected, rtol=1e-12)
        assert (terms["divergence"] > 0).all()


def test_the_divergence_of_the_history_is_that_of_the_rows():
    """At a learning rate of almost 0 the network after the epoch is that of the epoch."""
    X, y = regression()
    weight = np.linspace(0.1, 3, 60)
    fitted = sae(max_iter=1, learning_rate_init=1e-15).fit(X, y, sample_weight=weight)
    mean, std = (torch.from_numpy(own) for own in fitted.transform(X, return_std=True))
    rows = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(0.0, 1.0)
    ).sum(dim=1)
    expected = np.average(rows.numpy(), weights=weight)
    assert_allclose(fitted.history_["train_divergence"], expected, rtol=1e-9)


def test_the_first_epoch_has_nothing_of_the_divergence():
    X, y = regression()
    first, other = (sae(beta=beta, max_iter=1).fit(X, y) for beta in (1e-6, 10.0))
    assert_array_equal(weights_of(first), weights_of(other))
    first, other = (sae(beta=beta, max_iter=2).fit(X, y) for beta in (1e-6, 10.0))
    assert np.abs(weights_of(first) - weights_of(other)).max() > 1e-3


class Factors(Callback):
    """Record the factor of the divergence in each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_grad_computed(self, net, **kwargs):
        factor = net._factors["divergence"] * net.totals_["train"].entries["divergence"]
        if len(self.seen) < len(net.history):
            self.seen.append(factor)


def factors_of(estimator):
    return np.array(estimator.callbacks[0].seen) / (2 * estimator.beta / 4)


def test_the_divergence_grows_to_its_weight_in_a_quarter_of_the_epochs():
    X, y = regression()
    fitted = sae(max_iter=12, callbacks=[Factors()], learning_rate="constant").fit(X, y)
    assert_allclose(factors_of(fitted), [0, 1 / 3, 2 / 3, *[1] * 9])


@pytest.mark.parametrize("method", ["partial_fit", "warm_start"])
def test_training_that_goes_on_does_not_warm_up_again(method):
    X, y = regression()
    fitted = sae(callbacks=[Factors()], learning_rate="constant", warm_start=True)
    if method == "partial_fit":  # nor do the first rows of a stream, of which more are to come
        fitted.partial_fit(X, y)
        assert_allclose(factors_of(fitted), [1])
        fitted.partial_fit(X, y)
    else:
        fitted.fit(X, y)
        assert factors_of(fitted)[0] == 0
        fitted.fit(X, y)
    assert_allclose(factors_of(fitted)[0], 1)


def test_a_fit_is_the_same_again_and_noise_follows_the_seed():
    X, y = regression()
    first, again, other = (sae(random_state=seed).fit(X, y) for seed in (0, 0, 1))
    assert_array_equal(first.transform(X), again.transform(X))
    assert not np.array_equal(first.transform(X), other.transform(X))


def test_a_large_beta_draws_latents_to_their_prior():
    X, y = regression(n_samples=60)
    settings = {"max_iter": 60, "learning_rate_init": 0.02, "predictor_hidden_layer_sizes": ()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapsedLatentsWarning)
        small, large = (sae(beta=beta, **settings).fit(X, y) for beta in (1e-3, 100.0))
    assert large.history_["train_divergence"].iloc[-1] < 0.05
    assert small.history_["train_divergence"].iloc[-1] > 1
    mean, std = large.transform(X, return_std=True)
    assert_allclose(std, 1, atol=0.1)
    assert np.abs(mean).max() < 0.3
    _, std = small.transform(X, return_std=True)
    assert np.median(std) < 0.7


# -- what a fit tells


def test_collapsed_latents_are_counted_and_said():
    X, y = regression()
    settings = {"max_iter": 60, "learning_rate_init": 0.02}
    message = r"2 of 2 latents have collapsed to their prior.*lower 'beta' \(it is 100.0\)"
    with pytest.warns(CollapsedLatentsWarning, match=message):
        fitted = sae(beta=100.0, **settings).fit(X, y)
    assert fitted.n_active_components_ == 0


def test_active_latents_are_those_whose_means_differ_from_row_to_row():
    X, y = regression()
    fitted = sae().fit(X, y)  # and nothing is said
    assert fitted.n_active_components_ == 2
    assert (fitted.transform(X).var(axis=0) > 0.01).all()
    wide = np.repeat(X[:, :1], 3, axis=1)
    settings = {"max_iter": 200, "learning_rate_init": 0.02, "hidden_layer_sizes": ()}
    message = "2 of 3 latents have collapsed"
    with pytest.warns(CollapsedLatentsWarning, match=message):
        one = sae(n_components=3, beta=0.3, **settings).fit(wide)
    assert one.n_active_components_ == 1
    assert ((one.transform(wide).var(axis=0) > 0.01).sum()) == 1


def test_part_of_a_stream_warns_of_nothing():
    X, y = regression()
    fitted = sae(beta=100.0, learning_rate_init=0.05, batch_size=20)
    for _ in range(30):
        fitted.partial_fit(X, y)
    assert fitted.n_active_components_ == 0


# -- latents


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transform_gives_means_and_deviations(dtype):
    X, y = regression()
    X = X.astype(dtype)
    fitted = sae().fit(X, y)
    mean, std = fitted.transform(X, return_std=True)
    assert_array_equal(mean, fitted.transform(X))
    assert mean.shape == std.shape == (60, 2)
    assert mean.dtype == std.dtype == dtype
    assert (std > 0).all()
    module = fitted.net_.module_
    latents = module.latents(fitted_part(fitted).batch(X))
    assert_allclose(std, (latents.log_variance / 2).exp().detach().numpy())
    # the prediction is of the means
    prediction = module.predict(torch.from_numpy(mean)).detach().numpy()[:, 0]
    codes = fitted._predict(X)[:, 0]
    assert_allclose(codes, prediction, rtol=1e-5)


def test_frames_that_were_asked_for():
    X, y = mixed_table()
    fitted = sae().set_output(transform="pandas").fit(X, y)
    mean, std = fitted.transform(X, return_std=True)
    assert list(mean.columns) == ["supervisedautoencoder0", "supervisedautoencoder1"]
    assert mean.index.equals(X.index)
    assert np.shape(std) == mean.shape
    pd.testing.assert_frame_equal(fitted.transform(X), mean)


# Linear networks without a penalty on their weights, which would change the size of latents.
LINEAR = {"hidden_layer_sizes": (), "alpha": 0.0, "max_iter": 100, "learning_rate_init": 0.05}


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_all_latents_together_have_the_variance_of_their_prior(beta):
    """Whatever beta is: were they larger, the divergence would fall as they are scaled down.

    With c z for z, and a decoder that divides by c, nothing changes but the divergence; by c it
    is c^2 (E mean^2 + E std^2) / 2 - log c, and least at c = 1.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 1)) @ np.ones((1, 4)) + 0.3 * rng.normal(size=(100, 4))
    fitted = sae(n_components=1, beta=beta, batch_size=20, **LINEAR).fit(X)
    mean, std = fitted.transform(X, return_std=True)
    # noise of 100 draws an epoch moves what is learnt: sqrt(2 / 100)
    assert_allclose((mean**2).mean() + (std**2).mean(), 1, atol=0.14)


# -- sample


def test_samples_are_decoded_draws_of_the_prior():
    X, y = regression()
    fitted = sae().fit(X, y)
    drawn = fitted.sample(7, random_state=3)
    Z = np.random.RandomState(3).normal(size=(7, 2))
    assert_array_equal(drawn, fitted.inverse_transform(Z))
    assert_array_equal(fitted.sample(7, random_state=3), drawn)
    assert not np.array_equal(fitted.sample(7, random_state=4), drawn)
    assert fitted.sample().shape == (1, 4)
    state = np.random.RandomState(0)
    assert not np.array_equal(fitted.sample(random_state=state), fitted.sample(random_state=state))


def test_samples_are_rows_of_the_table():
    X, y = mixed_table()
    fitted = sae().fit(X, y)
    drawn = fitted.sample(20, random_state=0)
    assert list(drawn.columns) == list(X.columns)
    assert drawn.notna().all(axis=None)
    assert set(drawn["layer"]) <= set(X["layer"].dropna())
    assert drawn["phase"].dtype == X["phase"].dtype
    assert drawn["mixed"].dtype == bool
    with pytest.raises(ValueError, match="n_samples == 0, must be >= 1"):
        fitted.sample(0)


def test_samples_have_the_distribution_of_the_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1)) @ [[1.0, -2.0, 3.0]] + [5, 0, 1]
    fitted = sae(n_components=1, beta=0.3, **LINEAR).fit(X)
    drawn = fitted.sample(2000, random_state=0)
    # as in probabilistic PCA: of the variance 3 of the plane, the noise, which is beta, is taken
    # for none of it (Tipping and Bishop, J. R. Stat. Soc. B 61, 611, 1999)
    scale = X.std(axis=0) * (1 - 0.3 / 3) ** 0.5
    # the mean of 200 rows is known to 0.07 of a deviation, the deviation to 5 %; twice that
    assert_allclose((drawn.mean(axis=0) - X.mean(axis=0)) / scale, 0, atol=0.14)
    assert_allclose(drawn.std(axis=0) / scale, 1, atol=0.1)
    assert_allclose(np.corrcoef(drawn.T)[0, 1:], [-1, 1], atol=1e-6)


# -- scores, completion


def plane(n_rows=80, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, 1)) @ [[1.0, -2.0, 3.0, 0.5]]


def fitted_plane():
    settings = {"hidden_layer_sizes": (), "max_iter": 150, "learning_rate_init": 0.03}
    return sae(n_components=1, beta=1e-3, **settings).fit(plane())


def test_known_rows_have_higher_scores():
    fitted, X = fitted_plane(), plane(20, seed=1)
    known = fitted.score_samples(X)
    assert np.isfinite(known).all()
    off = X * [1, 1, -1, 1]
    assert (known > fitted.score_samples(np.sign(X) * 10)).all()
    far = np.abs(X[:, 0]) > 0.3
    assert (known > fitted.score_samples(off))[far].all()


def test_missing_values_are_those_of_the_plane():
    fitted, X = fitted_plane(), plane(20, seed=1)
    X = X[np.abs(X[:, 0]) > 0.2]
    hidden = X.copy()
    hidden[:, 1] = hidden[::2, 3] = np.nan
    found = fitted.complete(hidden)
    assert_array_equal(found[:, [0, 2]], X[:, [0, 2]])
    scale = plane().std(axis=0)
    assert np.abs((found - X) / scale).max() < 0.2
    candidates = fitted.complete(hidden[:3], n_candidates=2)
    assert np.isfinite(candidates.X).all()


@pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
def test_ensembles_have_the_latents_of_the_first_and_the_median_score(cls):
    X, y = regression()
    y = y > 0 if cls is SupervisedAutoencoderClassifier else y
    fitted = sae(cls, n_members=3).fit(X, y)
    first = fitted.members_[0]
    for own, other in zip(
        fitted.transform(X, return_std=True), first.transform(X, return_std=True), strict=True
    ):
        assert_array_equal(own, other)
    scores = [member.score_samples(X) for member in fitted.members_]
    assert_allclose(fitted.score_samples(X), np.median(scores, axis=0))
    assert fitted.n_active_components_ == first.n_active_components_
    assert_array_equal(fitted.sample(3, random_state=0), first.sample(3, random_state=0))


# -- chains


@pytest.mark.parametrize("refine_iter", [0, 1])
def test_a_chain_takes_the_means(refine_iter):
    X, y = regression()
    stages = [("a", stage(2, beta=1e-3), [0, 1]), ("b", stage(2, beta=1e-3), [2, 3])]
    chain = NestedAutoencoder(stages, refine_iter=refine_iter, random_state=0).fit(X, y)
    first, last = chain["a"], chain["b"]
    Z = first.transform(X[:, :2])
    assert_allclose(chain.transform(X), last.transform(np.hstack([X[:, 2:], Z])), rtol=1e-9)
    assert_array_equal(chain.predict(X), chain.predict(X))
    assert np.isfinite(chain.score_samples(X)).all()
    X[:5, 0] = np.nan
    assert np.isfinite(chain.complete(X)).all()
    for own in (first, last):
        assert own.n_active_components_ == 2


# -- what is refused


@pytest.mark.parametrize("beta", [-0.1, "auto", np.nan])
def test_beta(beta):
    X, y = regression()
    with pytest.raises(ValueError, match="'beta' parameter of SupervisedAutoencoder must be"):
        sae(beta=beta).fit(X, y)


def test_another_activation_of_latents_contradicts_their_prior():
    X, y = regression()
    message = r"'latent_activation' parameter must be 'identity' .*\(beta=0.001\).*got 'tanh'"
    with pytest.raises(ValueError, match=message):
        sae(latent_activation="tanh").fit(X, y)


def test_points_have_no_deviation_and_no_samples():
    X, y = regression()
    points = sae(beta=None).fit(X, y)
    with pytest.raises(ValueError, match=r"return_std=True needs .* 'beta' parameter .* got None"):
        points.transform(X, return_std=True)
    with pytest.raises(AttributeError, match="has no attribute 'sample'") as caught:
        points.sample()
    assert "The 'beta' parameter is None" in str(caught.value.__cause__)
    with pytest.raises(AttributeError, match="no n_active_components_ before a fit with 'beta'"):
        _ = points.n_active_components_


def test_training_goes_on_with_the_same_kind_of_latents():
    X, y = regression()
    fitted = sae(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="'is_variational' parameter was"):
        fitted.set_params(beta=None).fit(X, y)
    fitted.set_params(beta=0.1).fit(X, y)  # another weight of the same term
    assert fitted.n_active_components_ is not None
