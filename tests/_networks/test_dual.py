"""The dual network: an encoder and a decoder for each block, and one latent space."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sknestedae._layers._dense import seed_streams
from sknestedae._networks._autoencoder import AutoencoderModule, Latents
from sknestedae._networks._batch import Batch
from sknestedae._networks._dual import DualModule, make_module, moved
from sknestedae._networks._stacked import stack_modules
from sknestedae._tables._layout import Layout
from sknestedae.blocks import DenseBlock

LAYOUTS = {"numbers": Layout(4), "mixed": Layout(1, (3, 2)), "more": Layout(3)}
N_ROWS, N_LATENTS = 6, 2
# One row has all blocks, one has two of them, three have one, and the last one has none.
PRESENT = {
    "numbers": [True, True, True, False, False, False],
    "mixed": [True, True, False, True, False, False],
    "more": [True, False, False, False, True, False],
}


def make(*, is_separated=False, **settings):
    torch.manual_seed(0)
    architecture = {
        "layouts": LAYOUTS,
        "blocks": dict.fromkeys(LAYOUTS, DenseBlock()),
        "n_components": N_LATENTS,
        "hidden_layer_sizes": (7,),
        "decoder_hidden_layer_sizes": (5,),
        "predictor_hidden_layer_sizes": (),
        "activation": "silu",
        "latent_activation": "identity",
        "dropout": 0.0,
        "target_layout": Layout(1),
        "is_separated": is_separated,
    }
    module = make_module({**architecture, **settings}).double()
    if is_separated:
        names = list(LAYOUTS)[1:]
        module.set_maps(
            {name: torch.randn(N_LATENTS + 1, N_LATENTS) for name in names},
            {name: torch.randn(N_LATENTS + 1, N_LATENTS) for name in names},
        )
    return module


def draw(measured=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = {
        name: torch.randn(N_ROWS, layout.n_values, generator=generator).double()
        for name, layout in LAYOUTS.items()
    }
    return Batch(values, {} if measured is None else measured)


def some_blocks():
    """Tell what was measured: of a block of a row, something or nothing."""
    measured = {}
    for name, layout in LAYOUTS.items():
        own = torch.tensor(PRESENT[name])[:, None].expand(N_ROWS, layout.n_columns).clone()
        own[:, 0] = False  # of a block that is there, not all was measured
        measured[name] = own
    return measured


@pytest.fixture(params=[False, True], ids=["common", "separated"])
def module(request):
    return make(is_separated=request.param)


@pytest.fixture(params=[False, True], ids=["points", "variational"])
def is_variational(request):
    return request.param


def test_the_architecture_says_which_network_it_is_of():
    assert type(make()) is DualModule
    settings = {"hidden_layer_sizes": (), "decoder_hidden_layer_sizes": ()}
    plain = make_module(
        {
            **settings,
            "layouts": LAYOUTS,
            "blocks": dict.fromkeys(LAYOUTS, DenseBlock()),
            "n_components": 1,
            "predictor_hidden_layer_sizes": (),
            "activation": "silu",
            "latent_activation": "identity",
            "dropout": 0.0,
            "target_layout": None,
        }
    )
    assert type(plain) is AutoencoderModule


@pytest.mark.parametrize("is_separated", [False, True])
def test_latents_are_the_mean_over_the_blocks_that_were_measured(is_separated, is_variational):
    module = make(is_separated=is_separated, is_variational=is_variational)
    rows = draw(some_blocks())
    found = module.latents(rows)
    own = {name: module.common_latents_of(rows, name) for name in LAYOUTS}
    for i in range(N_ROWS):
        names = [name for name in LAYOUTS if PRESENT[name][i]]
        if not names:
            assert (found.mean[i] == 0).all()
            continue
        mean = torch.stack([own[name].mean[i] for name in names]).mean(dim=0)
        torch.testing.assert_close(found.mean[i], mean)
        if is_variational:
            variance = torch.stack([own[name].log_variance[i].exp() for name in names])
            torch.testing.assert_close(found.log_variance[i].exp(), variance.mean(dim=0))
    assert (found.log_variance is not None) == is_variational
    assert torch.equal(module.encode(rows), found.mean)


def test_complete_rows_have_the_mean_over_all_blocks(module):
    rows = draw()
    own = [module.common_latents_of(rows, name).mean for name in LAYOUTS]
    torch.testing.assert_close(module.encode(rows), torch.stack(own).mean(dim=0))


def test_a_block_does_not_move_the_latents_of_another(module):
    rows, other = draw(), draw()
    other.values["mixed"] = other.values["mixed"] + 1
    for name in LAYOUTS:
        same = torch.equal(
            module.common_latents_of(rows, name).mean, module.common_latents_of(other, name).mean
        )
        assert same == (name != "mixed")
    assert not torch.equal(module.encode(rows), module.encode(other))
    hidden = some_blocks()
    for own in (rows, other):
        own.measured.update(hidden)
    moves = (module.encode(rows) != module.encode(other)).any(dim=1)
    assert moves.tolist() == PRESENT["mixed"]


def test_each_decoder_gives_its_own_block(module):
    latents = torch.randn(N_ROWS, N_LATENTS).double()
    decoded = module.decode(latents)
    assert {name: tuple(values.shape) for name, values in decoded.items()} == {
        name: (N_ROWS, layout.n_values) for name, layout in LAYOUTS.items()
    }
    for name, values in decoded.items():
        assert torch.equal(values, module.decode_block(name, latents))
    with torch.no_grad():
        for parameter in module.block_decoders["mixed"].parameters():
            parameter.add_(1.0)
    again = module.decode(latents)
    assert {name for name in LAYOUTS if not torch.equal(again[name], decoded[name])} == {"mixed"}


def test_blocks_are_decoded_and_predicted_from_each_one_s_latents(is_variational):
    module, rows = make(is_variational=is_variational).eval(), draw()
    outputs = module(rows)
    assert list(outputs.sources) == list(LAYOUTS)
    for name, own in outputs.sources.items():
        latents = module.common_latents_of(rows, name)
        assert torch.equal(own.latents, latents.mean)
        assert (own.log_variance is not None) == is_variational
        assert list(own.blocks) == list(LAYOUTS)
        for target, values in own.blocks.items():
            assert torch.equal(values, module.decode_block(target, latents.mean))
        assert torch.equal(own.prediction, module.predict(latents.mean))


def test_outputs_of_all_blocks_are_of_the_mean_of_the_latents(module):
    module, rows = module.eval(), draw(some_blocks())
    outputs = module(rows)
    assert torch.equal(outputs.latents, module.encode(rows))
    assert outputs.log_variance is None
    assert torch.equal(outputs.prediction, module.predict(outputs.latents))
    for name, values in module.decode(outputs.latents).items():
        assert torch.equal(outputs.blocks[name], values)


def test_separated_networks_decode_each_block_of_its_own_latents_alone():
    module, rows = make(is_separated=True).eval(), draw()
    sources = module(rows).sources
    assert {name: list(own.blocks) for name, own in sources.items()} == {
        name: [name] for name in LAYOUTS
    }
    for name, own in sources.items():
        assert torch.equal(own.latents, module.latents_of(rows, name).mean)  # in its own space
        assert torch.equal(own.blocks[name], module.decode_own(name, own.latents))
    assert [name for name, own in sources.items() if own.prediction is not None] == ["numbers"]


def test_losses_of_separated_networks_reach_no_parameter_of_another():
    """Nor does training move the maps, which are learnt afterwards."""
    module, rows = make(is_separated=True), draw()
    for name in LAYOUTS:
        module.zero_grad()
        module(rows).sources[name].blocks[name].square().sum().backward()
        reached = {key for key, p in module.named_parameters() if p.grad is not None}
        assert {key.split(".")[1] for key in reached} == {name}
        rooms = {key.split(".")[0] for key in reached}
        assert rooms == {"encoder", "decoder", "block_decoders"}  # DenseBlock encodes nothing
    assert not any("common" in key for key, _ in module.named_parameters())


def test_common_networks_are_trained_from_every_source():
    module, rows = make(), draw()
    module(rows).sources["more"].blocks["numbers"].sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in module.encoder["more"].parameters())
    assert all(p.grad.abs().sum() > 0 for p in module.block_decoders["numbers"].parameters())
    assert all(p.grad is None for p in module.encoder["numbers"].parameters())
    assert all(p.grad is None for p in module.decoder["more"].parameters())


# -- maps


def test_maps_say_how_spaces_lie_in_that_of_the_first_block():
    module, rows = make(is_separated=True), draw()
    own = module.latents_of(rows, "mixed").mean
    to, back = module.map("mixed", "to"), module.map("mixed", "from")
    expected = own @ to[:N_LATENTS] + to[N_LATENTS]
    torch.testing.assert_close(module.common_latents_of(rows, "mixed").mean, expected)
    decoded = module.decode_block("mixed", expected)
    moved_back = expected @ back[:N_LATENTS] + back[N_LATENTS]
    torch.testing.assert_close(decoded, module.decode_own("mixed", moved_back))
    assert module.map("numbers", "to") is module.map("numbers", "from") is None
    assert make().map("mixed", "to") is None


def test_maps_keep_the_type_of_the_network_and_are_in_no_file():
    module = make(is_separated=True)
    given = torch.ones(N_LATENTS + 1, N_LATENTS, dtype=torch.float32)
    module.set_maps({"more": given}, {})
    assert module.map("more", "to").dtype == torch.float64
    assert not any("common" in name for name in module.state_dict())


def test_before_they_are_learnt_maps_change_nothing():
    module = make(is_separated=True, is_variational=True)
    same = torch.eye(N_LATENTS + 1, N_LATENTS)
    module.set_maps({"mixed": same}, {"mixed": same})
    rows = draw()
    own, common = module.latents_of(rows, "mixed"), module.common_latents_of(rows, "mixed")
    torch.testing.assert_close(common.mean, own.mean)
    torch.testing.assert_close(common.log_variance, own.log_variance)
    fresh = DualModule(
        layouts=LAYOUTS,
        blocks=dict.fromkeys(LAYOUTS, DenseBlock()),
        n_components=N_LATENTS,
        hidden_layer_sizes=(),
        decoder_hidden_layer_sizes=(),
        predictor_hidden_layer_sizes=(),
        activation="silu",
        latent_activation="identity",
        dropout=0.0,
        target_layout=None,
        is_separated=True,
    )
    assert torch.equal(fresh.map("mixed", "to"), same)
    assert torch.equal(fresh.map("mixed", "from"), same)


def test_moved_densities_are_those_of_moved_draws():
    """Up to what latents that are moved have in common, which no density here tells."""
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -1.0]])
    map_ = torch.tensor([[2.0, 1.0], [0.5, -1.0], [3.0, 4.0]])
    generator = torch.Generator().manual_seed(0)
    n = 200_000
    draws = mean + (log_variance / 2).exp() * torch.randn(n, 2, generator=generator)
    moved_draws = draws @ map_[:2] + map_[2]
    found = moved(Latents(mean, log_variance), map_)
    variance = found.log_variance.exp()
    # as a mean and a variance of n draws are known, five times
    assert ((moved_draws.mean(dim=0) - found.mean).abs() < 5 * (variance / n).sqrt()).all()
    assert ((moved_draws.var(dim=0) / variance - 1).abs() < 5 * (2 / n) ** 0.5).all()
    latents = Latents(mean, log_variance)
    assert moved(latents, None) is latents
    assert moved(Latents(mean), map_).log_variance is None


# -- sizes and stacks


def test_penalised_weights_are_all_weights_and_no_biases():
    module = make()
    names = {id(p): name for name, p in module.named_parameters()}
    weights = {name for name in names.values() if name.endswith("weight")}
    assert {names[id(p)] for p in module.weights} == weights
    encoder = {name for name in weights if name.startswith(("encoder.", "block_encoders."))}
    assert {names[id(p)] for p in module.encoder_weights} == encoder
    assert module.absence is None  # an encoder of one block has nothing to be told
    assert len(module.dense_layers) == sum(isinstance(m, nn.Linear) for m in module.modules())


def test_networks_without_hidden_layers():
    module = make(hidden_layer_sizes=(), decoder_hidden_layer_sizes=())
    outputs = module(draw())
    assert outputs.blocks["mixed"].shape == (N_ROWS, 6)
    assert outputs.sources["mixed"].blocks["numbers"].shape == (N_ROWS, 4)


@pytest.mark.parametrize("is_separated", [False, True])
@pytest.mark.parametrize("incomplete", [False, True])
def test_many_networks_as_one_are_each_as_alone(is_separated, incomplete, is_variational):
    settings = {"is_separated": is_separated, "is_variational": is_variational, "dropout": 0.3}
    modules = [make(**settings) for _ in range(3)]
    for k, module in enumerate(modules):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1 + k)
    stacked = stack_modules(modules)
    for module in modules:
        module.eval()
    stacked.eval()
    parts = [draw(some_blocks() if incomplete else None, seed=k) for k in range(3)]
    rows = Batch(
        {name: torch.stack([part.values[name] for part in parts]) for name in LAYOUTS},
        {name: torch.stack([part.measured[name] for part in parts]) for name in LAYOUTS}
        if incomplete
        else {},
    )
    found = stacked(rows)
    for k, module in enumerate(modules):
        alone = module(parts[k])
        for name, own in alone.sources.items():
            of_all = found.sources[name]
            torch.testing.assert_close(of_all.latents[k], own.latents)
            for target, values in own.blocks.items():
                torch.testing.assert_close(of_all.blocks[target][k], values)
            if own.prediction is not None:
                torch.testing.assert_close(of_all.prediction[k], own.prediction)
            if is_variational:
                torch.testing.assert_close(of_all.log_variance[k], own.log_variance)
        if is_separated:  # the means need the maps, which are learnt after the training
            continue
        torch.testing.assert_close(found.latents[k], alone.latents)
        torch.testing.assert_close(found.prediction[k], alone.prediction)
        for name, values in alone.blocks.items():
            torch.testing.assert_close(found.blocks[name][k], values)


def test_each_source_is_drawn_by_itself():
    module, rows = make(is_variational=True), draw()
    with torch.no_grad():  # the same densities of both blocks
        rows.values["more"] = rows.values["numbers"][:, :3]
        for name in ("numbers", "more"):
            for parameter in module.encoder[name].parameters():
                parameter.zero_()
    seed_streams(module, (0, 1))
    sources = module(rows).sources
    assert torch.equal(sources["numbers"].latents, sources["more"].latents)
    first, second = (sources[name].blocks["mixed"] for name in ("numbers", "more"))
    assert not torch.equal(first, second)


def test_gradients_are_those_of_the_masks_of_each_call():
    """A decoder is called for each source; its masks must not be drawn over."""
    module, rows = make(dropout=0.5), draw()
    seed_streams(module, (0, 1), 4)
    sources = module(rows).sources
    loss = sum(own.blocks["numbers"].square().sum() for own in sources.values())
    (gradient,) = torch.autograd.grad(
        loss, module.block_decoders["numbers"].parameters(), retain_graph=True
    )[:1]
    seed_streams(module, (0, 1), 4)
    again = module(rows).sources
    alone = [
        torch.autograd.grad(
            own.blocks["numbers"].square().sum(),
            module.block_decoders["numbers"].parameters(),
            retain_graph=True,
        )[0]
        for own in again.values()
    ]
    torch.testing.assert_close(gradient, sum(alone))
    assert not torch.equal(sources["numbers"].blocks["more"], sources["more"].blocks["more"])
