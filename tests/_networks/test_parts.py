"""The autoencoder of rows that are made of parts: means over parts, and the share of each."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases.atom_sets import N_FEATURES, draw_rows, ragged_of
from cases.structures import atoms_block
from torch import nn

from sknestedae._layers._dense import seed_streams
from sknestedae._networks._autoencoder import AutoencoderModule
from sknestedae._networks._batch import Batch
from sknestedae._networks._dual import make_module
from sknestedae._networks._parts import PartsModule, blocks_of_parts
from sknestedae._tables._layout import Layout
from sknestedae.blocks import DenseBlock

LENGTHS = (3, 5, 1, 4)
LAYOUTS = {
    "atoms": Layout(6, ragged=(("atoms", N_FEATURES),)),
    "numbers": Layout(2),
}


def make(**settings):
    torch.manual_seed(0)
    architecture = {
        "layouts": LAYOUTS,
        "blocks": {"atoms": atoms_block(per_atom=True), "numbers": DenseBlock()},
        "n_components": 2,
        "hidden_layer_sizes": (7,),
        "decoder_hidden_layer_sizes": (5,),
        "predictor_hidden_layer_sizes": (4,),
        "activation": "silu",
        "latent_activation": "identity",
        "dropout": 0.0,
        "target_layout": Layout(3),
    }
    return make_module({**architecture, **settings}).double().eval()


def draw(lengths=LENGTHS, measured=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = {
        name: torch.randn(len(lengths), layout.n_values, generator=generator).double()
        for name, layout in LAYOUTS.items()
    }
    atoms, pairs = draw_rows(lengths)
    sets = {"atoms": ragged_of(atoms, pairs)["atoms"]}
    return Batch(values, measured or {}, ragged={"atoms": sets})


def test_a_block_of_parts_makes_the_network():
    assert isinstance(make(), PartsModule)
    plain = make(blocks={"atoms": atoms_block(), "numbers": DenseBlock()})
    assert type(plain) is AutoencoderModule
    assert blocks_of_parts({"a": atoms_block(per_atom=True), "b": DenseBlock()}) == ["a"]


@pytest.mark.parametrize("sizes", [(), (7,), (7, 6)])
def test_shapes(sizes):
    module = make(hidden_layer_sizes=sizes)
    rows = draw()
    parts = module.parts(rows)
    assert parts.latents.mean.shape == (sum(LENGTHS), 2)
    assert parts.n_rows == 4
    outputs = module(rows)
    assert outputs.latents.shape == (4, 2)
    assert outputs.prediction.shape == outputs.prediction_of_latents.shape == (4, 3)
    assert {name: own.shape for name, own in outputs.blocks.items()} == {
        "atoms": (4, 6),
        "numbers": (4, 2),
    }
    assert make(target_layout=None)(rows).prediction is None


def test_latents_and_predictions_are_means_over_parts():
    module, rows = make(), draw()
    parts = module.parts(rows)
    latents, prediction = module.encode_and_predict(rows)
    counts = rows.ragged["atoms"]["atoms"].gather().columns["counts"]
    of_parts = module.predict(parts.latents.mean)
    for row in range(4):
        own = parts.row == row
        weight = counts[own] / counts[own].sum()
        torch.testing.assert_close(parts.share[own][:, 0], weight)
        torch.testing.assert_close(latents[row], weight @ parts.latents.mean[own])
        torch.testing.assert_close(prediction[row], weight @ of_parts[own])
    torch.testing.assert_close(module.encode(rows), latents)
    # parts differ, and the predictor is not linear: it is no prediction of the mean
    assert parts.latents.mean[:3].std(dim=0).min() > 1e-4
    assert (module.predict(latents) - prediction).abs().max() > 1e-8


def test_forward_is_what_its_parts_are():
    module, rows = make(), draw()
    outputs, (latents, prediction) = module(rows), module.encode_and_predict(rows)
    torch.testing.assert_close(outputs.latents, latents)
    torch.testing.assert_close(outputs.prediction, prediction)
    torch.testing.assert_close(outputs.prediction_of_latents, module.predict(latents))
    for name, decoded in module.decode(latents).items():
        torch.testing.assert_close(outputs.blocks[name], decoded)


def test_rows_do_not_move_each_other():
    module, rows = make(), draw()
    whole = module(rows)
    for index in ([2], [3, 0, 3]):
        some = module(rows[index])
        torch.testing.assert_close(some.latents, whole.latents[index])
        torch.testing.assert_close(some.prediction, whole.prediction[index])


def test_what_is_known_of_the_row_is_known_to_each_part():
    module, rows = make(), draw()
    other = replace(rows, values={**rows.values, "numbers": rows.values["numbers"] + 1})
    change = module.parts(other).latents.mean - module.parts(rows).latents.mean
    assert change.abs().amax(dim=1).min() > 1e-4


def test_a_row_without_atoms_has_one_part():
    """Its latents follow from what else there is, and a flag says that it has no structure."""
    rows = draw(lengths=(3, 0, 2, 0))
    present = torch.tensor([True, False, True, False])
    measured = {"atoms": present[:, None].expand(-1, 6)}
    rows = replace(rows, measured=measured)
    module = make()
    nn.init.normal_(module.absence.weight)
    parts = module.parts(rows)
    assert sorted(parts.row.tolist()) == [0, 0, 0, 1, 2, 2, 3]
    outputs = module(rows)
    assert torch.isfinite(outputs.latents).all()
    torch.testing.assert_close(outputs.prediction[1], outputs.prediction_of_latents[1])
    # the flags go to the parts of their own rows
    told = module(replace(rows, measured={"atoms": torch.ones(4, 6, dtype=torch.bool)}))
    torch.testing.assert_close(told.latents[[0, 2]], outputs.latents[[0, 2]])
    assert (told.latents - outputs.latents)[[1, 3]].abs().max() > 1e-3


def test_variational_latents_have_the_mean_variance():
    module, rows = make(is_variational=True), draw()
    parts, latents = module.parts(rows), module.latents(rows)
    variance = parts.mean(parts.latents.log_variance.exp())
    torch.testing.assert_close(latents.log_variance.exp(), variance)
    assert module(rows).log_variance.shape == (4, 2)


def test_parts_move_as_their_row_is_drawn():
    """So that the prediction learns what the decoder sees; without noise it is that of means."""
    module, rows = make(is_variational=True), draw()
    quiet = module(rows)
    module.train()
    seed_streams(module, (0, 1))
    drawn = module(rows)
    assert torch.equal(drawn.latents, quiet.latents)
    assert (drawn.prediction - quiet.prediction).abs().max() > 1e-3
    assert (drawn.prediction_of_latents - quiet.prediction_of_latents).abs().max() > 1e-3


def test_dropout_acts_in_training_alone():
    module, rows = make(dropout=0.5), draw()
    torch.testing.assert_close(module(rows).latents, make()(rows).latents)
    module.train()
    seed_streams(module, (0, 1))
    first, second = module(rows).latents, module(rows).latents
    assert (first - second).abs().max() > 1e-3
    seed_streams(module, (0, 1))
    assert torch.equal(module(rows).latents, first)


def test_a_gradient_finds_the_masks_of_both_calls():
    """The predictor is called for parts and for rows; numbers drawn in place would be lost."""
    module, rows = make(dropout=0.5, predictor_hidden_layer_sizes=(9,)), draw()
    module.train()
    seed_streams(module, (0, 1), 1)
    outputs = module(rows)
    (outputs.prediction.square().sum() + outputs.prediction_of_latents.square().sum()).backward()
    assert module.predictor[0].weight.grad.any()


def test_a_hidden_structure_is_as_if_it_had_not_been_measured():
    module, rows = make(block_dropout=0.5), draw()
    nn.init.normal_(module.absence.weight)
    module.train()
    hidden = {"atoms": set(), "numbers": set()}
    for seed in range(20):
        seed_streams(module, (seed, 1))
        visible = module._visible(rows)
        for name in hidden:
            present = visible.presence(name)
            if present is not None:
                hidden[name] |= set(torch.nonzero(~present[:, 0])[:, 0].tolist())
        seed_streams(module, (seed, 1))
        found = module(rows).latents
        module.eval()
        torch.testing.assert_close(found, module(visible).latents)
        module.train()
    assert hidden == {"atoms": {0, 1, 2, 3}, "numbers": {0, 1, 2, 3}}


def test_two_blocks_of_parts_are_refused():
    blocks = dict.fromkeys(LAYOUTS, atoms_block(per_atom=True))
    layouts = dict.fromkeys(LAYOUTS, LAYOUTS["atoms"])
    with pytest.raises(ValueError, match=r"per_atom=True .* one block, .*\['atoms', 'numbers'\]"):
        make(blocks=blocks, layouts=layouts)


def test_every_weight_learns():
    """Also those of the last layer, of which the rows' latents and their parts have a share."""
    module, rows = make(), draw()
    outputs = module(rows)
    total = outputs.prediction.square().sum() + outputs.prediction_of_latents.square().sum()
    total = total + sum(own.square().sum() for own in outputs.blocks.values())
    total.backward()
    for name, weight in module.named_parameters():
        if not name.startswith("absence"):
            assert weight.grad is not None, name
            assert weight.grad.any(), name
