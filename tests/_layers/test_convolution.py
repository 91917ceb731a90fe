"""Convolutions over an array a row: shapes, missing entries, symmetries, and many networks."""

import math

import pytest
import torch
from torch import nn

from sknestedae._layers._convolution import (
    ConvolutionDecoder,
    ConvolutionEncoder,
    PoolOverSymmetries,
    convolve_line,
    copies_by_place,
    count_symmetries,
    spread_line,
    symmetric_copies,
)

# Single channels and pixels, odd, even and unequal sides, and several channels.
SHAPES = [(1, n) for n in (1, 2, 3, 5, 7, 16, 33)]
SHAPES += [(1, 1, 1), (1, 1, 4), (1, 2, 3), (1, 5, 5), (1, 8, 8), (3, 7, 4), (2, 6, 6)]
IMAGES = [shape for shape in SHAPES if len(shape) == 3]
N_ROWS = 4


def make_rows(shape, n_rows=N_ROWS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_rows, math.prod(shape), dtype=torch.float64, generator=generator)


def make_encoder(shape, **settings):
    torch.manual_seed(0)
    return ConvolutionEncoder(
        shape, **{"n_channels": (3, 5), "kernel_size": 3, **settings}
    ).double()


def make_decoder(shape, n_inputs=6, **settings):
    torch.manual_seed(0)
    settings = {"n_channels": (3, 5), "kernel_size": 3, **settings}
    return ConvolutionDecoder(n_inputs, shape, **settings).double()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("n_channels", [(4,), (3, 5), (2, 3, 4)])
def test_shapes(shape, kernel_size, n_channels):
    encoder = make_encoder(shape, n_channels=n_channels, kernel_size=kernel_size)
    values = make_rows(shape)
    assert encoder(values).shape == (N_ROWS, encoder.n_outputs)
    decoder = make_decoder(shape, n_channels=n_channels, kernel_size=kernel_size)
    assert decoder(torch.randn(N_ROWS, 6, dtype=torch.float64)).shape == values.shape


def test_encoder_passes_the_array_on():
    """So that what is linear in the array needs no convolution."""
    encoder, values = make_encoder((1, 9)), make_rows((1, 9))
    assert torch.equal(encoder(values)[:, :9], values)


def test_encoder_halves_the_sides():
    n_pixels, n_small = 3 * 7 * 4, 2 * 1  # 7 to 4 to 2, and 4 to 2 to 1
    assert make_encoder((3, 7, 4)).n_outputs == n_pixels + 5 * n_small


def test_neighbours_are_seen_together():
    """A channel moves the features around it alone."""
    encoder, values = make_encoder((1, 32), n_channels=(3,)), make_rows((1, 32), 1)
    moved = values.clone()
    moved[0, 20] += 1
    features = (encoder(moved) != encoder(values))[0, 32:].view(16, 3).any(dim=1)
    assert features.nonzero().flatten().tolist() == [10]  # the kernel of 3 around 20, not 18 or 22
    moved[0, 21] += 1  # an odd place is in two kernels
    features = (encoder(moved) != encoder(values))[0, 32:].view(16, 3).any(dim=1)
    assert features.nonzero().flatten().tolist() == [10, 11]


def test_decoder_is_linear_in_part():
    """Without its convolutions it is a linear layer, as for ordinary columns."""
    decoder = make_decoder((2, 6, 6))
    inputs = torch.randn(N_ROWS, 6, dtype=torch.float64)
    for parameter in decoder.convolutions[-1].parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(decoder(inputs), decoder.linear(inputs))


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("length", [1, 2, 3, 8, 9])
def test_lines_are_convolved_as_by_torch(length, kernel_size):
    """Convolutions by way of windows and of sums of pairs are those of torch."""
    torch.manual_seed(0)
    settings = {"stride": 2, "padding": kernel_size // 2, "dtype": torch.float64}
    convolution = nn.Conv1d(1, 3, kernel_size, **settings)
    values = make_rows((1, length))
    own = convolve_line(values, convolution.weight[:, 0], convolution.bias)
    # sums of at most nine products of numbers of size 1 to 3, in another order
    close = {"rtol": 0, "atol": 9 * 3 * 2**-52}
    expected = convolution(values[:, None]).transpose(1, 2)
    torch.testing.assert_close(own, expected, **close)

    spread = nn.ConvTranspose1d(3, 1, kernel_size, output_padding=1, bias=False, **settings)
    arrays = make_rows((length, 3)).view(N_ROWS, length, 3)
    expected = spread(arrays.transpose(1, 2))[:, 0]
    own = spread_line(arrays, spread.weight[:, 0])
    torch.testing.assert_close(own, expected, **{**close, "atol": 3 * close["atol"]})


@pytest.mark.parametrize("n_channels", [(4,), (3, 5)])
@pytest.mark.parametrize("length", [8, 9])
def test_modules_of_lines_are_convolutions(length, n_channels):
    """The modules of one channel are the same functions as those of an array of one line."""
    encoder = make_encoder((1, length), n_channels=n_channels)
    values, missing = make_rows((1, length)), make_rows((1, length), seed=1) > 0
    nn.init.normal_(encoder.missing.weight)
    first, *others = encoder.convolutions
    arrays = first(values[:, None]) + encoder.missing(missing.double()[:, None])
    for convolution in others:
        arrays = convolution(nn.functional.silu(arrays))
    if not others:
        arrays = arrays.transpose(1, 2)
    expected = nn.functional.silu(arrays).flatten(1)
    # two layers of sums of up to 25 products of numbers of size 1
    close = {"rtol": 0, "atol": 100 * 2**-52}
    torch.testing.assert_close(encoder(values, missing)[:, length:], expected, **close)

    decoder = make_decoder((1, length), n_channels=n_channels)
    inputs = torch.randn(N_ROWS, 6, dtype=torch.float64)
    arrays = decoder.to_small(inputs).unflatten(-1, decoder.small)
    if len(n_channels) == 1:
        arrays = arrays.transpose(1, 2)
    for convolution in decoder.convolutions:
        arrays = convolution(nn.functional.silu(arrays))
    expected = decoder.linear(inputs) + arrays.flatten(1)
    torch.testing.assert_close(decoder(inputs), expected, **close)


@pytest.mark.parametrize("shape", [(1, 9), (1, 6, 5), (2, 4, 4)])
def test_missing_entries_are_told(shape):
    encoder, values = make_encoder(shape), make_rows(shape)
    missing = make_rows(shape, seed=1) > 0
    whole = encoder(values)
    # nothing was learnt about them yet
    assert torch.equal(encoder(values, missing), whole)
    nn.init.ones_(encoder.missing.weight)
    assert torch.equal(encoder(values), whole)
    assert torch.equal(encoder(values, torch.zeros_like(missing)), whole)
    own = encoder(values, missing)
    assert (own != whole).any(dim=1).all()
    # and the flags of one row move no other
    one = missing & (torch.arange(N_ROWS) == 1)[:, None]
    assert (encoder(values, one) != whole).any(dim=1).tolist() == [False, True, False, False]


def test_missing_entries_are_learnt():
    encoder, values = make_encoder((1, 9)), make_rows((1, 9))
    encoder(values).sum().backward()
    assert encoder.missing.weight.grad is None
    encoder(values, values > 0).sum().backward()
    assert encoder.missing.weight.grad.abs().min() > 0


@pytest.mark.parametrize(("shape", "n_copies"), [((2, 3, 3), 8), ((2, 3, 4), 4), ((1, 4, 1), 4)])
def test_symmetric_copies(shape, n_copies):
    images = torch.arange(math.prod(shape)).view(1, *shape)
    copies = symmetric_copies(images)
    assert len(copies) == n_copies
    assert torch.equal(copies[0], images)
    distinct = {tuple(copy.flatten().tolist()) for copy in copies}
    assert len(distinct) == (n_copies if min(shape[1:]) > 1 else 2)
    for copy in copies:  # a group: what is done to a copy leads to another copy
        assert copy.shape == images.shape
        again = {tuple(image.flatten().tolist()) for image in symmetric_copies(copy)}
        assert again == distinct


def make_pool(shape):
    torch.manual_seed(0)
    pool = PoolOverSymmetries(make_encoder(shape), 7).double()
    nn.init.ones_(pool.encoder.missing.weight)
    return pool


@pytest.mark.parametrize("shape", IMAGES)
def test_pool_over_symmetries_is_the_same_for_all_copies(shape):
    pool = make_pool(shape).eval()
    values, missing = make_rows(shape), make_rows(shape, seed=1) > 0
    expected = pool(values), pool(values, missing)
    assert expected[0].shape == (N_ROWS, pool.n_outputs)
    for image, flags in zip(
        symmetric_copies(values.unflatten(-1, shape)),
        symmetric_copies(missing.unflatten(-1, shape)),
        strict=True,
    ):
        # sums of at most eight features of size 1, in another order
        own = pool(image.flatten(1)), pool(image.flatten(1), flags.flatten(1))
        torch.testing.assert_close(own, expected, rtol=0, atol=8 * 2**-52 * 10)
    if math.prod(shape) > 4:  # and no more than that
        rolled = values.unflatten(-1, shape).roll(1, dims=-1).flatten(1)
        assert (pool(rolled) - expected[0]).abs().max() > 1e-3


@pytest.mark.parametrize("shape", [(1, 5, 5), (2, 5, 4)])
def test_pool_over_symmetries_sees_each_copy_in_training(shape):
    """All places of a row together give the average over its copies, flags included."""
    pool = make_pool(shape)
    n_copies = count_symmetries(shape)
    values, missing = make_rows(shape, 1), make_rows(shape, 1, seed=1) > 0
    repeated = values.repeat(n_copies, 1), missing.repeat(n_copies, 1)
    seen = pool(*repeated)
    assert len(torch.unique(seen.round(decimals=9), dim=0)) == n_copies
    torch.testing.assert_close(seen.mean(dim=0, keepdim=True), pool.eval()(values, missing))


@pytest.mark.parametrize("shape", [(1, 3, 3), (2, 3, 4)])
@pytest.mark.parametrize("n_rows", [1, 3, 19])
def test_copies_by_place(shape, n_rows):
    images = make_rows(shape, n_rows).unflatten(-1, shape)
    before = images.clone()
    copies = copies_by_place(images)
    assert torch.equal(images, before)
    every = symmetric_copies(images)
    assert len(every) == count_symmetries(shape)
    for i in range(n_rows):
        assert torch.equal(copies[i], every[i % len(every)][i])


@pytest.mark.parametrize("make", [make_encoder, make_decoder, make_pool])
@pytest.mark.parametrize("shape", [(1, 7), (2, 5, 4), (1, 4, 4)])
@pytest.mark.parametrize("with_missing", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_many_networks_at_once(make, shape, with_missing, training):
    """torch's vectorizing map gives what each network gives, gradients included."""
    if (make is make_pool and len(shape) == 2) or (make is make_decoder and with_missing):
        return  # of images alone; of encoders alone
    n_rows = 11  # more than there are copies of an image
    modules = [make(shape).train(training) for _ in range(3)]
    for k, module in enumerate(modules):
        for parameter in module.parameters():
            generator = torch.Generator().manual_seed(k)
            nn.init.normal_(parameter, generator=generator)
    n_inputs = 6 if make is make_decoder else math.prod(shape)
    inputs = (torch.stack([make_rows((n_inputs,), n_rows, seed=k) for k in range(3)]),)
    if with_missing:
        inputs += (inputs[0] > 0.5,)

    def call(parameters, *inputs):
        return torch.func.functional_call(modules[0], parameters, inputs)

    names = dict(modules[0].named_parameters())
    assert not list(modules[0].buffers())
    stacked = {
        name: torch.stack([m.get_parameter(name).detach() for m in modules]).requires_grad_()
        for name in names
    }
    outputs = torch.func.vmap(call)(stacked, *inputs)
    outputs.square().sum().backward()
    for k, module in enumerate(modules):
        own = module(*(values[k] for values in inputs))
        torch.testing.assert_close(outputs[k], own)
        own.square().sum().backward()
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(stacked[name].grad[k], parameter.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_have_the_type_of_the_parameters(dtype):
    encoder, decoder = make_encoder((1, 9)).to(dtype), make_decoder((1, 9)).to(dtype)
    values = make_rows((1, 9)).to(dtype)
    assert encoder(values, values > 0).dtype == dtype
    assert decoder(torch.randn(2, 6, dtype=dtype)).dtype == dtype
