"""The autoencoder network."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from sknestedae._layers._dense import (
    ACTIVATIONS,
)
from sknestedae._networks._autoencoder import AutoencoderModule
from sknestedae._networks._batch import Batch
from sknestedae._tables._layout import Layout
from sknestedae.blocks import Block, DenseBlock

LAYOUTS = {"numbers": Layout(4), "mixed": Layout(1, (3, 2))}
N_ROWS = 5


class LinearBlock(Block):
    """A block with parameters of its own, and an activation on them."""

    def make_encoder(self, layout):
        return nn.Sequential(nn.Linear(layout.n_values, 3), nn.Tanh()), 3

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


def make(block=None, **settings):
    torch.manual_seed(0)
    block = LinearBlock() if block is None else block
    return AutoencoderModule(
        **{
            "layouts": LAYOUTS,
            "blocks": dict.fromkeys(LAYOUTS, block),
            "n_components": 2,
            "hidden_layer_sizes": (7, 6),
            "decoder_hidden_layer_sizes": (5,),
            "predictor_hidden_layer_sizes": (4,),
            "activation": "silu",
            "latent_activation": "identity",
            "dropout": 0.0,
            "target_layout": Layout(3),
            **settings,
        }
    )


def draw(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        {
            name: torch.randn(N_ROWS, layout.n_values, generator=generator)
            for name, layout in LAYOUTS.items()
        }
    )


def changed(rows, **values):
    """Give rows with other values of some blocks."""
    return replace(rows, values={**rows.values, **values})


def as_double(rows):
    return Batch({name: values.double() for name, values in rows.values.items()})


@pytest.mark.parametrize("block", [DenseBlock(), LinearBlock()])
@pytest.mark.parametrize("sizes", [(), (7,), (7, 6)])
@pytest.mark.parametrize("n_outputs", [0, 1, 3])
def test_shapes(block, sizes, n_outputs):
    module = make(
        block,
        hidden_layer_sizes=sizes,
        decoder_hidden_layer_sizes=sizes[::-1],
        predictor_hidden_layer_sizes=sizes,
        target_layout=Layout(n_outputs) if n_outputs else None,
    )
    latents, blocks, prediction = module(draw())
    assert latents.shape == (N_ROWS, 2)
    assert {name: out.shape for name, out in blocks.items()} == {
        name: (N_ROWS, layout.n_values) for name, layout in LAYOUTS.items()
    }
    if n_outputs:
        assert prediction.shape == (N_ROWS, n_outputs)
    else:
        assert prediction is None
    widths = [layer.out_features for layer in module.encoder if isinstance(layer, nn.Linear)]
    assert widths == [*sizes, 2]


def test_forward_is_encode_decode_predict():
    module, rows = make(), draw()
    outputs = module(rows)
    latents = module.encode(rows)
    assert torch.equal(outputs.latents, latents)
    assert torch.equal(outputs.prediction, module.predict(latents))
    for name, decoded in module.decode(latents).items():
        assert torch.equal(outputs.blocks[name], decoded)


def test_a_block_does_not_move_the_encoding_of_another():
    module, seen = make(), {}
    for name, encoder in module.block_encoders.items():
        encoder.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    rows = draw()
    first = module.encode(rows)
    before = dict(seen)
    second = module.encode(changed(rows, mixed=rows.values["mixed"] + 1))
    assert torch.equal(seen["numbers"], before["numbers"])
    assert not torch.equal(seen["mixed"], before["mixed"])
    assert not torch.equal(first, second)  # the latents are common


def test_a_block_s_reconstruction_moves_its_own_decoder_only():
    module = make()
    module(draw()).blocks["numbers"].sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in module.block_decoders["numbers"].parameters())
    assert all(p.grad is None for p in module.block_decoders["mixed"].parameters())
    assert all(p.grad is None for p in module.predictor.parameters())
    assert all(p.grad.abs().sum() > 0 for p in module.encoder_weights)


def test_rows_do_not_move_each_other():
    module, rows = make(), draw()
    whole = module(rows).prediction
    alone = module(rows[:1]).prediction
    torch.testing.assert_close(whole[:1], alone)


def test_penalised_weights_are_all_weights_and_no_biases():
    module = make()
    names = {id(p): name for name, p in module.named_parameters()}
    weights = {name for name in names.values() if name.endswith("weight")}
    assert {names[id(p)] for p in module.weights} == weights
    biases = {name.replace("weight", "bias") for name in weights - {"absence.weight"}}
    assert set(names.values()) == weights | biases
    encoder = {name for name in weights if name.startswith(("encoder.", "block_encoders."))}
    assert {names[id(p)] for p in module.encoder_weights} == encoder


@pytest.mark.parametrize("change", [copy.deepcopy, lambda module: module.to(torch.float64)])
def test_penalised_weights_stay_the_module_s_own(change):
    original = make()
    module = change(original)
    own = {id(p) for p in module.parameters()}
    for weights in (module.weights, module.encoder_weights):
        assert weights
        assert {id(p) for p in weights} <= own
    if module is not original:
        assert own.isdisjoint(id(p) for p in original.parameters())


def test_float64():
    module = make().to(torch.float64)
    outputs = module(as_double(draw()))
    assert outputs.latents.dtype == outputs.prediction.dtype == torch.float64
    assert {out.dtype for out in outputs.blocks.values()} == {torch.float64}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    """With the identity the whole network is affine, with any other it is not."""
    module = make(DenseBlock(), activation=activation, latent_activation=activation).double()
    a, b = (as_double(draw(seed)) for seed in (0, 1))
    middle = changed(a, **{name: (a.values[name] + b.values[name]) / 2 for name in a.values})
    out = [module(rows).prediction for rows in (a, b, middle)]
    assert torch.isfinite(out[2]).all()
    is_affine = torch.allclose((out[0] + out[1]) / 2, out[2], rtol=0, atol=1e-12)
    assert is_affine == (activation == "identity")


def test_latent_activation_bounds_the_latents():
    module = make(DenseBlock(), latent_activation="tanh")
    rows = Batch({name: 1e3 * values for name, values in draw().values.items()})
    assert module.encode(rows).abs().max() <= 1
    assert make(DenseBlock()).encode(rows).abs().max() > 1


def test_dropout_acts_in_training_alone():
    module, rows = make(dropout=0.5), draw()
    assert not torch.equal(module(rows).prediction, module(rows).prediction)
    module.eval()
    assert torch.equal(module(rows).prediction, module(rows).prediction)
