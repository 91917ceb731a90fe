"""The block of a spectrum."""

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import energy_distance
from sklearn.base import clone

from sknestedae import DualAutoencoder, SupervisedAutoencoder, stack_kinds
from sknestedae.blocks import Layout, SpectrumBlock

LOSSES = ["squared_error", "absolute_error", "huber"]


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4, 5, 6, 7, 102])
def test_modules_of_any_length(n_channels):
    block, layout = SpectrumBlock(), Layout(n_channels, shape=(n_channels,))
    encoder, n_outputs = block.make_encoder(layout)
    values = torch.randn(3, n_channels)
    assert encoder(values).shape == (3, n_outputs)
    assert encoder(values, values > 0).shape == (3, n_outputs)
    assert block.make_decoder(layout, 4)(torch.randn(3, 4)).shape == values.shape
    assert block.reads_missing


def test_settings_reach_the_modules():
    layout = Layout(16, shape=(16,))
    block = SpectrumBlock(n_channels=[2, 3, 4], kernel_size=7)
    encoder, n_outputs = block.make_encoder(layout)
    decoder = block.make_decoder(layout, 5)
    assert n_outputs == 16 + 4 * 2
    for module in (encoder, decoder):
        weights = [convolution.weight for convolution in module.convolutions]
        expected = [(2, 1, 7), (3, 2, 7), (4, 3, 7)]  # in a transposed one, the input comes first
        assert [w.shape for w in weights] == (expected if module is encoder else expected[::-1])


def test_a_layout_that_tells_no_shape():
    """Columns of numbers are a spectrum in the order in which they stand."""
    assert SpectrumBlock().make_encoder(Layout(8))[1] == 8 + 4 * 4


@pytest.mark.parametrize(
    ("layout", "what"),
    [
        (Layout(64, shape=(8, 8)), r"numbers along one axis, got an array of the shape \(8, 8\)"),
        (Layout(8, (3,)), "numbers along one axis, got 1 columns? of categories"),
    ],
)
def test_no_spectrum(layout, what):
    with pytest.raises(ValueError, match=what):
        SpectrumBlock().make_encoder(layout)
    with pytest.raises(ValueError, match=what):
        SpectrumBlock().make_decoder(layout, 3)


@pytest.mark.parametrize("setting", [{"n_channels": ()}, {"kernel_size": 4}])
def test_settings_are_checked_when_modules_are_made(setting):
    block, layout = SpectrumBlock(**setting), Layout(8, shape=(8,))
    for make in (block.make_encoder, lambda layout: block.make_decoder(layout, 3)):
        with pytest.raises(ValueError, match=next(iter(setting))):
            make(layout)


def test_clone_and_pickle():
    block = SpectrumBlock(n_channels=(4,), kernel_size=3, scale=None)
    for copied in (clone(block), pickle.loads(pickle.dumps(block))):
        assert copied.get_params() == block.get_params()
    assert repr(SpectrumBlock()) == "SpectrumBlock()"


# -- the error of the cumulative distribution, in a fit; the error itself is in test_losses


@pytest.mark.parametrize("weight", [-0.1, np.inf, np.nan, True, "1", None])
def test_a_weight_that_is_none(weight):
    block = SpectrumBlock(cumulative_weight=weight)
    with pytest.raises(ValueError, match=r"cumulative_weight must be a number of 0 or more, got"):
        block.make_decoder(Layout(8, shape=(8,)), 3)


@pytest.mark.parametrize("scale", ["block", "column", None])
def test_a_weight_beside_any_scale(scale):
    SpectrumBlock(scale=scale, cumulative_weight=0.5).make_decoder(Layout(8, shape=(8,)), 3)


def spectra(n=60, n_channels=12):
    place = np.random.RandomState(0).uniform(2, 10, size=(n, 1))
    return np.exp(-((np.arange(n_channels) - place) ** 2) / 4), place[:, 0]


SETTINGS = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


def fit(Y, X, as_target, weight=5.0, loss="squared_error", scale="block", **settings):
    """Fit to spectra Y: as what is reconstructed, or as the target of X."""
    block = SpectrumBlock(n_channels=(2,), cumulative_weight=weight, scale=scale)
    settings = {**SETTINGS, **settings}
    if as_target:
        own = {"target_block": block, "prediction_loss": loss}
        return SupervisedAutoencoder(**settings, **own).fit(X, Y)
    return SupervisedAutoencoder(**settings, blocks=block, reconstruction_loss=loss).fit(Y)


def term_of(sae, as_target):
    name = f"train_{'prediction' if as_target else 'reconstruction'}"
    return sae.history_[name], sae.history_[f"{name}__cumulative"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("as_target", [False, True])
def test_the_weight_reaches_the_fit(loss, as_target):
    """It is a factor of a term of its own, and other weights are found with it."""
    Y, place = spectra()
    X = place[:, None]
    without, with_term = (fit(Y, X, as_target, weight, loss) for weight in (0.0, 5.0))
    assert not any("cumulative" in name for name in without.history_)
    entries, cumulative = term_of(with_term, as_target)
    # the same network and the same rows in the first epoch, but for what it learns in it
    assert entries.iloc[0] == pytest.approx(term_of_entries(without, as_target).iloc[0], rel=0.1)
    others = with_term.history_["train_loss"] - entries - 5.0 * cumulative
    if as_target:
        others -= with_term.history_["train_reconstruction"]
    # the penalty on weights is alpha times their mean square, far below 1 percent
    assert others.abs().max() < 0.01 * with_term.history_["train_loss"].max()
    given = X if as_target else Y
    stored = pickle.loads(pickle.dumps(with_term))
    for method in ("predict", "transform") if as_target else ("transform",):
        found = [getattr(sae, method)(given) for sae in (without, with_term, stored)]
        assert not np.allclose(found[0], found[1])
        np.testing.assert_array_equal(found[1], found[2])
    name = "target_block" if as_target else "blocks"
    assert clone(with_term).get_params()[f"{name}__cumulative_weight"] == 5.0


def term_of_entries(sae, as_target):
    return sae.history_[f"train_{'prediction' if as_target else 'reconstruction'}"]


@pytest.mark.parametrize("scale", ["block", "column", None])
@pytest.mark.parametrize("as_target", [False, True])
def test_it_is_the_distance_of_spectra_in_their_own_unit(as_target, scale):
    """Of a network that learns nothing more, the history has the distance of what it gives.

    The mean over channels of squared differences, which is half the energy distance on an axis of
    length 1.
    """
    Y, place = spectra(20)
    X = place[:, None]
    settings = {"learning_rate_init": 1e-12, "max_iter": 1, "learning_rate": "constant"}
    sae = fit(Y, X, as_target, scale=scale, **settings)
    found = sae.predict(X) if as_target else sae.inverse_transform(sae.transform(Y))
    channels = np.arange(12) / 12
    expected = [
        energy_distance(channels, channels, own.clip(0), given) ** 2 / 2
        for own, given in zip(found, Y, strict=True)
    ]
    assert term_of(sae, as_target)[1].iloc[0] == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize("as_target", [False, True])
def test_spectra_without_a_distribution_have_no_part(as_target):
    """A missing entry, or nothing but zeros: neither is a distribution."""
    Y, place = spectra(40)
    X = place[:, None]
    settings = {"learning_rate_init": 1e-12, "max_iter": 1, "learning_rate": "constant"}

    def cumulative(Y, **others):
        return term_of(fit(Y, X, as_target, scale=None, **settings, **others), as_target)[1].iloc[
            0
        ]

    some, gone = Y.copy(), Y.copy()
    some[::4, 3] = np.nan
    gone[::4] = np.nan
    if as_target:  # the network's inputs stay the same, so that the terms can be compared
        assert cumulative(some) == pytest.approx(cumulative(gone), rel=1e-5)
    assert np.isfinite(cumulative(some))
    none = np.zeros_like(Y)
    none[:2] = Y[:2]
    assert np.isfinite(cumulative(none))


def test_moments_are_better_with_it():
    """What it is for: the mean along the axis, where noise hides how far a peak has moved."""
    rng = np.random.default_rng(0)
    axis, place = np.arange(40), rng.uniform(5, 35, size=120)
    noise = rng.uniform(0.2, 1.8, size=(120, 40))
    Y = np.exp(-((axis - place[:, None]) ** 2) / 2) * noise
    X = np.c_[place, rng.normal(size=120)]
    moments = (Y @ axis) / Y.sum(axis=1)
    errors = []
    for weight in (0.0, 30.0):
        settings = {"max_iter": 60, "target_bounds": (0, None)}
        found = fit(Y[:80], X[:80], True, weight, **settings).predict(X[80:])
        errors.append(np.abs((found @ axis) / found.sum(axis=1) - moments[80:]).mean())
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("as_target", [False, True])
def test_members_trained_at_once_are_as_alone(as_target):
    Y, place = spectra()
    block = SpectrumBlock(n_channels=(2,), cumulative_weight=5.0)
    own = {"target_block": block} if as_target else {"blocks": block}
    data = (place[:, None], Y) if as_target else (Y,)
    ensemble = SupervisedAutoencoder(**SETTINGS, **own, n_members=2).fit(*data)
    alone = SupervisedAutoencoder(**SETTINGS, **own).fit(*data)
    found = [sae.inverse_transform(sae.transform(data[0])) for sae in (ensemble, alone)]
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-4)


def test_each_encoder_of_a_dual_autoencoder_has_it():
    """In all that decodes the spectrum, from itself and from the other kind."""
    Y, place = spectra()
    X = stack_kinds(spectrum=Y, table=np.c_[place, place**2])
    block = SpectrumBlock(n_channels=(2,), cumulative_weight=5.0)
    dual = DualAutoencoder(blocks=[("spectrum", block, "spectrum")], **SETTINGS).fit(X)
    names = [name for name in dual.history_ if name.endswith("__cumulative")]
    of_spectra = [n for n in dual.history_ if n.startswith("train_") and n.endswith("spectrum")]
    assert len(names) == len(of_spectra) == 2
    assert np.isfinite(dual.history_[names].to_numpy()).all()
    other = clone(dual).set_params(blocks__spectrum__cumulative_weight=0.0).fit(X)
    assert np.abs(other.transform(X) - dual.transform(X)).max() > 1e-4
