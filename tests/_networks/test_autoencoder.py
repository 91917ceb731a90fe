"""The autoencoder network."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from sknestedae._layers._bounds import Bounded, bound
from sknestedae._layers._dense import ACTIVATIONS, seed_streams
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
    latents, blocks, prediction, log_variance, *_ = module(draw())
    assert log_variance is None
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
    unlimited = DenseBlock(clip=None)
    module = make(unlimited, latent_activation="tanh")
    rows = Batch({name: 1e3 * values for name, values in draw().values.items()})
    assert module.encode(rows).abs().max() <= 1
    assert make(unlimited).encode(rows).abs().max() > 1


def test_dropout_acts_in_training_alone():
    module, rows = make(dropout=0.5), draw()
    assert not torch.equal(module(rows).prediction, module(rows).prediction)
    module.eval()
    assert torch.equal(module(rows).prediction, module(rows).prediction)


# -- variational latents


@pytest.mark.parametrize("sizes", [(), (7, 6)])
def test_shapes_of_variational_latents(sizes):
    module = make(is_variational=True, hidden_layer_sizes=sizes, decoder_hidden_layer_sizes=sizes)
    seed_streams(module, (0, 1))
    outputs = module(draw())
    assert outputs.latents.shape == outputs.log_variance.shape == (N_ROWS, 2)
    assert {name: out.shape[1] for name, out in outputs.blocks.items()} == {
        name: layout.n_values for name, layout in LAYOUTS.items()
    }
    widths = [layer.out_features for layer in module.encoder if isinstance(layer, nn.Linear)]
    assert widths == [*sizes, 4]  # a mean and a variance of each
    latents = module.latents(draw())
    assert torch.equal(latents.mean, module.encode(draw()))
    assert torch.equal(latents.log_variance, outputs.log_variance)


def test_latents_are_drawn_in_training_and_else_the_means():
    module, rows = make(is_variational=True), draw()
    seed_streams(module, (0, 1))
    first, second = module(rows), module(rows)
    assert torch.equal(first.latents, second.latents)  # the means
    for name in LAYOUTS:
        assert not torch.equal(first.blocks[name], second.blocks[name])
    assert not torch.equal(first.prediction, second.prediction)
    module.eval()
    outputs = module(rows)
    assert torch.equal(outputs.prediction, module.predict(outputs.latents))
    for name, decoded in module.decode(outputs.latents).items():
        assert torch.equal(outputs.blocks[name], decoded)


def test_blocks_and_prediction_see_the_same_latents():
    """One draw a row: what is drawn stands for the row."""
    seen = []
    module = make(is_variational=True)
    for part in (module.decoder, module.predictor):
        part.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    module(draw())
    assert seen[0] is seen[1]


def test_variances_are_numbers_whatever_the_encoder_gives():
    module = make(DenseBlock(clip=None), is_variational=True, hidden_layer_sizes=())
    rows = Batch({name: 1e30 * values for name, values in draw().values.items()})
    log_variance = module.latents(rows).log_variance
    assert set(log_variance.unique().tolist()) == {-20.0, 10.0}
    assert torch.isfinite(log_variance.exp()).all()


# -- targets of other kinds


class ScaledBlock(LinearBlock):
    """A block whose decoder is a module of its own."""

    def make_decoder(self, layout, n_inputs):
        return nn.Sequential(nn.Linear(n_inputs, layout.n_values, bias=False), nn.Softplus())


def test_a_block_of_the_target_makes_the_last_layer():
    module = make(target_block=ScaledBlock(), target_layout=Layout(6, shape=(2, 3)))
    prediction = module(draw()).prediction
    assert prediction.shape == (N_ROWS, 6)
    assert (prediction > 0).all()
    assert [type(layer) for layer in module.predictor[-1]] == [nn.Linear, nn.Softplus]
    # what a block brings keeps the weights that it drew
    assert module.predictor[-1][0] not in module.dense_layers
    assert module.predictor[0] in module.dense_layers
    with pytest.raises(ValueError, match=r"The block 'y' \(BlockOfNoDecoder\): make_decoder"):
        make(target_block=BlockOfNoDecoder())


class BlockOfNoDecoder(LinearBlock):
    def make_decoder(self, layout, n_inputs):
        return None


@pytest.mark.parametrize("target_block", [None, LinearBlock()])
def test_predictions_keep_to_the_bounds_of_the_target(target_block):
    settings = {"target_block": target_block, "target_layout": Layout(2)}
    module = make(target_bounds=(0.0, 5.0), **settings)
    low, high = torch.tensor([-1.0, -0.1]), torch.tensor([0.5, 3.0])
    module.set_target_bounds(low, high)
    far = 1e3 * draw().values["numbers"][:, :2]  # latents
    prediction = module.predict(far)
    assert (prediction >= low).all()
    assert (prediction <= high).all()
    free = make(**settings)
    free.load_state_dict(module.state_dict())
    assert (free.predict(far).abs() > 3).any()
    torch.testing.assert_close(prediction, bound(free.predict(far), low, high))
    assert torch.equal(module(draw()).prediction, module.predict(module.encode(draw())))


def test_without_bounds_or_predictor_there_is_no_layer_for_them():
    for module in (make(), make(target_layout=None, target_bounds=(0.0, None))):
        assert not any(isinstance(part, Bounded) for part in module.modules())
        module.set_target_bounds(torch.zeros(3), torch.ones(3))


# -- blocks that were not measured


def without(rows, **missing):
    """Give rows of which some blocks were not measured, in the rows of a mask."""
    measured = {
        name: ~torch.as_tensor(own)[:, None].expand(N_ROWS, LAYOUTS[name].n_columns)
        for name, own in missing.items()
    }
    return replace(rows, measured=measured)


SOME = [True, False, True, False, False]


def told(module):
    """Let the flags of missing blocks mean something."""
    with torch.no_grad():
        module.absence.weight.normal_(generator=torch.Generator().manual_seed(1))
    return module


def test_a_network_that_learnt_no_flag_is_told_nothing():
    module, rows = make(), draw()
    assert not module.absence.weight.any()
    assert torch.equal(module.encode(without(rows, mixed=SOME)), module.encode(rows))


@pytest.mark.parametrize("sizes", [(), (7, 6)])
def test_a_flag_tells_which_block_of_which_row_is_missing(sizes):
    module, rows = told(make(hidden_layer_sizes=sizes)), draw()
    known = module.encode(rows)
    assert torch.equal(module.encode(without(rows, mixed=[False] * N_ROWS)), known)
    differs = (module.encode(without(rows, mixed=SOME)) != known).any(dim=1)
    assert differs.tolist() == SOME
    other = module.encode(without(rows, numbers=SOME))
    assert not torch.equal(other, module.encode(without(rows, mixed=SOME)))
    # a flag is one more input of the first layer
    flags = torch.tensor([[0.0, float(s)] for s in SOME])
    joined = torch.cat(
        [encoder(rows.values[name]) for name, encoder in module.block_encoders.items()], dim=1
    )
    first, *others = module.encoder
    expected = first(joined) + flags @ module.absence.weight.T
    for layer in others:
        expected = layer(expected)
    torch.testing.assert_close(module.encode(without(rows, mixed=SOME)), expected)


def test_a_block_of_which_something_was_measured_is_not_missing():
    module, rows = told(make()), draw()
    measured = torch.zeros(N_ROWS, 4, dtype=torch.bool)
    measured[:, 2] = True
    partly = replace(rows, measured={"numbers": measured})
    assert torch.equal(module.encode(partly), module.encode(rows))


def test_flags_are_of_several_blocks():
    alone = make(layouts={"numbers": Layout(4)}, blocks={"numbers": LinearBlock()})
    assert alone.absence is None


class TellsMissing(nn.Module):
    """A module that is told what is missing, and gives it back beside the values."""

    def forward(self, values, missing):
        flags = torch.zeros_like(values) if missing is None else missing.to(values.dtype)
        return torch.cat([values, flags], dim=-1)


class ToldBlock(LinearBlock):
    reads_missing = True

    def make_encoder(self, layout):
        return TellsMissing(), layout.n_values + layout.n_columns


def test_a_block_is_told_what_of_it_is_missing():
    module, seen = make(blocks={"numbers": ToldBlock(), "mixed": LinearBlock()}), {}
    module.block_encoders["numbers"].register_forward_hook(
        lambda _, __, out: seen.update(out=out.detach())
    )
    rows = draw()
    module.encode(rows)
    assert not seen["out"][:, 4:].any()
    measured = torch.rand(N_ROWS, 4) > 0.5
    module.encode(replace(rows, measured={"numbers": measured}))
    assert torch.equal(seen["out"][:, 4:].bool(), ~measured)


class TellsSometimes(TellsMissing):
    def forward(self, values, missing):
        given = super().forward(values, missing)
        return given if missing is None else given[:, 1:]


class SometimesBlock(ToldBlock):
    def make_encoder(self, layout):
        return TellsSometimes(), layout.n_values + layout.n_columns


def test_a_block_keeps_its_promise_with_and_without_missing_entries():
    with pytest.raises(ValueError, match=r"The block 'numbers' .* gives the shape \(2, 7\)"):
        make(blocks={"numbers": SometimesBlock(), "mixed": LinearBlock()})


# -- blocks that are hidden


MISSING_ROWS = {
    "numbers": torch.tensor([10.0, 11.0, 12.0, 13.0]),
    "mixed": torch.tensor([20.0, 0.2, 0.3, 0.5, 0.6, 0.4]),
}


def hiding(p=0.5, **settings):
    module = told(make(block_dropout=p, **settings))
    module.set_missing_rows(MISSING_ROWS)
    seed_streams(module, (0, 1))
    return module


def given_to(module, rows):
    """Give what the encoder of each block is given, in training, and the flags."""
    seen = {}

    def note(name):
        return lambda _, given: seen.update({name: given[0].detach()})

    handles = [
        encoder.register_forward_pre_hook(note(name))
        for name, encoder in module.block_encoders.items()
    ]
    handles.append(module.absence.register_forward_pre_hook(note("flags")))
    latents = module.encode(rows)
    for handle in handles:
        handle.remove()
    return seen, latents


def test_a_hidden_block_is_as_if_it_had_not_been_measured():
    """Its values are those of a missing row, its flag is up; and the latents are those of both."""
    module = hiding()
    rows = Batch({name: values.repeat(40, 1) for name, values in draw().values.items()})
    seen, latents = given_to(module, rows)
    hidden = seen["flags"].bool()
    assert 0.1 < hidden.float().mean() < 0.6
    measured = {}
    for k, name in enumerate(LAYOUTS):
        own = hidden[:, k : k + 1]
        expected = torch.where(own, MISSING_ROWS[name], rows.values[name])
        assert torch.equal(seen[name], expected)
        measured[name] = (~own).expand(-1, LAYOUTS[name].n_columns)
    module.eval()
    values = {name: seen[name] for name in LAYOUTS}
    torch.testing.assert_close(module.encode(Batch(values, measured)), latents)


@pytest.mark.parametrize("p", [0.5, 0.99])
def test_one_block_at_least_is_left(p):
    rows = Batch({name: values.repeat(60, 1) for name, values in draw().values.items()})
    seen, _ = given_to(hiding(p), rows)
    n_hidden = seen["flags"].sum(dim=1)
    assert set(n_hidden.tolist()) == {0, 1}  # all that would be hidden are shown in place


def test_of_the_blocks_that_a_row_has_one_is_left():
    """The only block of a row is not hidden: it would learn from nothing."""
    rows = Batch({name: values.repeat(60, 1) for name, values in draw().values.items()})
    measured = torch.ones(len(rows), 4, dtype=torch.bool)
    measured[::2] = False
    seen, _ = given_to(hiding(), replace(rows, measured={"numbers": measured}))
    numbers, mixed = seen["flags"].bool().T
    assert numbers[::2].all()
    assert not mixed[::2].any()
    assert torch.equal(seen["mixed"][::2], rows.values["mixed"][::2])
    assert mixed[1::2].any()


def test_nothing_is_hidden_after_training():
    module, rows = hiding(), draw()
    module.eval()
    expected = told(make()).eval()
    expected.load_state_dict(module.state_dict())
    assert torch.equal(module.encode(rows), expected.encode(rows))


def test_what_is_hidden_follows_from_the_seed():
    module, rows = hiding(), draw()
    first, second = module.encode(rows), module.encode(rows)
    assert not torch.equal(first, second)
    seed_streams(module, (0, 1))
    assert torch.equal(module.encode(rows), first)
    assert torch.equal(module.encode(rows), second)
    seed_streams(module, (0, 2))
    assert not torch.equal(module.encode(rows), first)


def test_the_only_block_is_never_hidden():
    module = make(
        layouts={"numbers": Layout(4)}, blocks={"numbers": LinearBlock()}, block_dropout=0.9
    )
    assert module.block_dropout is None
    module.set_missing_rows(MISSING_ROWS)
    rows = Batch({"numbers": draw().values["numbers"]})
    assert torch.equal(module.encode(rows), module.encode(rows))


def test_missing_rows_have_the_type_of_the_network_and_are_no_parameters():
    module = make(block_dropout=0.5).double()
    module.set_missing_rows(MISSING_ROWS)
    assert module.missing_numbers.dtype == torch.float64
    assert module.missing_numbers.tolist() == MISSING_ROWS["numbers"].tolist()
    assert not [name for name in module.state_dict() if name.startswith("missing")]


# -- poses


class TurnsBlock(LinearBlock):
    """A block that turns what is decoded, by the sign of what was given."""

    def align(self, decoded, given, known, layout):
        self.seen = (given, known, layout)
        return decoded * given.sign()


def test_blocks_align_what_is_theirs():
    turns = TurnsBlock()
    module, rows = make(blocks={"numbers": turns, "mixed": LinearBlock()}), draw()
    measured = torch.ones(N_ROWS, 4, dtype=torch.bool)
    rows = replace(rows, measured={"numbers": measured})
    decoded = module.decode(module.encode(rows))
    aligned = module.align(decoded, rows)
    assert torch.equal(aligned["numbers"], decoded["numbers"] * rows.values["numbers"].sign())
    assert aligned["mixed"] is decoded["mixed"]
    assert [
        own is other
        for own, other in zip(
            turns.seen, (rows.values["numbers"], measured, LAYOUTS["numbers"]), strict=True
        )
    ] == [True] * 3


def test_an_encoder_alone_gives_the_same_latents_and_holds_nothing_else():
    module = make().eval()
    alone = module.encoder_alone()
    rows = draw()
    assert torch.equal(alone.encode(rows), module.encode(rows))
    assert {name.split(".")[0] for name, _ in alone.named_parameters()} == {
        "block_encoders",
        "encoder",
        "absence",
    }
    assert len(pickle.dumps(alone)) < len(pickle.dumps(module))
    with torch.no_grad():  # a copy
        alone.encoder[0].weight.zero_()
    assert module.encoder[0].weight.any()
