"""The block of a spectrum."""

import pickle

import pytest
import torch
from sklearn.base import clone

from sknestedae.blocks import Layout, SpectrumBlock


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
