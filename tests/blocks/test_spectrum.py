"""The block of a spectrum."""

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import energy_distance, wasserstein_distance
from sklearn.base import clone

from sknestedae import SupervisedAutoencoder
from sknestedae.blocks import Layout, SpectrumBlock
from sknestedae.blocks._losses import ELEMENTWISE

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


# -- the error of the cumulative sum


def errors(decoded, given, weight, loss="squared_error"):
    block, layout = SpectrumBlock(cumulative_weight=weight), Layout(decoded.shape[-1])
    return block.errors(decoded, given, layout, loss)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7), (5, 1)])
def test_the_second_part_is_the_same_error_of_the_sums(loss, shape):
    decoded, given = draw(*shape), draw(*shape, seed=1)
    entries = ELEMENTWISE[loss](decoded, given, reduction="none")
    sums = [np.cumsum(x.numpy(), axis=-1) / shape[-1] for x in (decoded, given)]
    expected = entries + 0.7 * ELEMENTWISE[loss](*map(torch.tensor, sums), reduction="none")
    found = errors(decoded, given, 0.7, loss)
    assert found.shape == shape
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(errors(decoded, given, 0.0, loss), entries, rtol=0, atol=0)
    assert not errors(given, given, 0.7, loss).any()


def test_distances_of_two_distributions():
    """Channels are at (i + 1) / n; both distances are integrals over that axis."""
    n = 40
    first, second = draw(2, n).softmax(dim=-1)
    place = np.arange(n) / n
    # a channel's share of a distribution is its density times 1 / n
    parts = {
        loss: (errors(n * first, n * second, 1.0, loss) - errors(n * first, n * second, 0.0, loss))
        for loss in ("squared_error", "absolute_error")
    }
    weights = {"u_weights": first.numpy(), "v_weights": second.numpy()}
    found = parts["absolute_error"].mean().item()
    assert found == pytest.approx(wasserstein_distance(place, place, **weights), rel=1e-10)
    # Szekely and Rizzo: the energy distance is twice the integral of the squared difference
    found = parts["squared_error"].mean().item()
    expected = energy_distance(place, place, **weights) ** 2 / 2
    assert found == pytest.approx(expected, rel=1e-10)


def test_it_grows_with_the_distance_of_a_misplaced_peak():
    peaks = torch.eye(30, dtype=torch.float64)
    costs = [errors(peaks[k], peaks[4], 1.0, "absolute_error").sum().item() for k in range(4, 30)]
    np.testing.assert_allclose(np.diff(costs[1:]), 1 / 30, rtol=1e-10)
    plain = [errors(peaks[k], peaks[4], 0.0).sum().item() for k in range(5, 30)]
    assert set(plain) == {2.0}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_error_does_not_depend_on_the_number_of_channels(loss):
    """The sum at n channels is a Riemann sum of the integral, with an error of order 1 / n."""

    def mean_error(n, weight):
        x = torch.linspace(0, 1, n + 1, dtype=torch.float64)[1:]
        decoded, given = torch.exp(-(((x - 0.4) / 0.1) ** 2)), torch.exp(-(((x - 0.6) / 0.2) ** 2))
        return errors(decoded, given, weight, loss).mean().item()

    cumulative = [mean_error(n, 1.0) - mean_error(n, 0.0) for n in (400, 800, 1600)]
    np.testing.assert_allclose(cumulative, cumulative[-1], rtol=4 / 400)
    assert cumulative[-1] > 0.01 * mean_error(1600, 0.0)


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        (
            {"cumulative_weight": -0.1},
            r"_weight must be a number of 0 or more, got -0\.1",
        ),
        ({"cumulative_weight": np.inf}, "cumulative_weight must be .*, got inf"),
        ({"cumulative_weight": True}, "cumulative_weight must be .*, got True"),
        ({"cumulative_weight": "1"}, "cumulative_weight must be .*, got '1'"),
        ({"cumulative_weight": 0.5, "scale": "column"}, "must be 0 with scale='column'.* got 0.5"),
    ],
)
def test_a_weight_that_is_none(setting, what):
    with pytest.raises(ValueError, match=what):
        SpectrumBlock(**setting).make_decoder(Layout(8, shape=(8,)), 3)
    SpectrumBlock(scale="column").make_decoder(Layout(8, shape=(8,)), 3)


class Doubled(SpectrumBlock):
    def errors(self, decoded, given, layout, loss):
        return 2 * super().errors(decoded, given, layout, loss)


def test_the_faster_ways_are_taken_where_they_can_be():
    assert not SpectrumBlock().has_own_errors()
    assert SpectrumBlock(cumulative_weight=0.1).has_own_errors()
    assert Doubled().has_own_errors()


def spectra(n=60, n_channels=12):
    place = np.random.RandomState(0).uniform(2, 10, size=(n, 1))
    return np.exp(-((np.arange(n_channels) - place) ** 2) / 4), place[:, 0]


SETTINGS = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("as_target", [False, True])
def test_the_weight_reaches_the_fit(loss, as_target):
    """The first epoch begins at the same weights: its loss is larger, and others are found."""
    Y, place = spectra()
    Y[::7, 3] = np.nan if not as_target else Y[::7, 3]
    X = place[:, None]
    fitted = []
    for weight in (0.0, 5.0):
        block = SpectrumBlock(n_channels=(2,), cumulative_weight=weight)
        if as_target:
            own = {"target_block": block, "prediction_loss": loss}
            fitted.append(SupervisedAutoencoder(**SETTINGS, **own).fit(X, Y))
        else:
            own = {"blocks": block, "reconstruction_loss": loss}
            fitted.append(SupervisedAutoencoder(**SETTINGS, **own).fit(Y))
    term = "train_prediction" if as_target else "train_reconstruction"
    without, with_sums = (sae.history_[term].iloc[0] for sae in fitted)
    assert with_sums > 1.05 * without
    stored = pickle.loads(pickle.dumps(fitted[1]))
    given = X if as_target else Y
    for method in ("predict", "transform") if as_target else ("transform",):
        found = [getattr(sae, method)(given) for sae in (*fitted, stored)]
        assert not np.allclose(found[0], found[1])
        np.testing.assert_array_equal(found[1], found[2])
    name = "target_block" if as_target else "blocks"
    assert clone(fitted[1]).get_params()[f"{name}__cumulative_weight"] == 5.0


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
