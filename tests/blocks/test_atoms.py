"""The block of structures of atoms: its settings, its codec, its modules."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from cases.array_tables import as_cells
from cases.structures import TINY_ATOMS, atoms_block, crooked, molecules
from sklearn.base import clone

from sknestedae._layers._ragged import RaggedTensors
from sknestedae._tables._base_codec import BlockColumns
from sknestedae._tables._columns import ColumnLabels
from sknestedae.blocks import AtomsBlock, Layout

SETTINGS = {"cutoff": 5.0, "n_radial": 9, **TINY_ATOMS}
KINDS = {"crystals": crooked, "molecules": lambda: molecules()[0]}


def fitted(block, structures):
    """Give a table, and the codec of a block that was fitted to it."""
    X = pd.DataFrame({"structure": as_cells(structures)})
    codec = block.make_codec(BlockColumns([0], ColumnLabels.of(X)))
    return X, codec.fit(X, codec.prepare(X))


def as_tensors(encoded):
    cpu = torch.device("cpu")
    return {name: RaggedTensors.from_arrays(own, cpu) for name, own in encoded.ragged.items()}


@pytest.mark.parametrize("per_atom", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_modules_fit_what_the_codec_gives(kind, per_atom):
    block, structures = AtomsBlock(**SETTINGS, per_atom=per_atom), KINDS[kind]()
    X, codec = fitted(block, structures)
    encoded = codec.encode(X)
    values = torch.from_numpy(encoded.values)
    encoder, width = block.make_encoder(codec.layout)
    if per_atom:
        found = encoder.parts(values, None, as_tensors(encoded)).values
        assert found.shape == (len(encoded.ragged["atoms"].columns["numbers"]), width)
    else:
        found = encoder(values, None, as_tensors(encoded))
        assert found.shape == (len(structures), width)
    assert torch.isfinite(found).all()
    decoder = block.make_decoder(codec.layout, 3)
    assert decoder(torch.zeros(2, 3)).shape == (2, codec.layout.n_values)


def layout_of(block, kind):
    return fitted(block, KINDS[kind]())[1].layout


def test_auto_is_what_pays_for_each_kind():
    """No angles and messages between the atoms of crystals; both in molecules."""
    names = {kind: dict(layout_of(atoms_block(), kind).ragged) for kind in KINDS}
    assert names["crystals"].keys() == {"atoms"}
    assert names["molecules"].keys() == {"atoms", "pairs"}
    for kind, degree, messages in (("crystals", 0, 0.0), ("molecules", 3, 5.0)):
        same = atoms_block(degree=degree, message_cutoff=messages)
        assert layout_of(same, kind) == layout_of(atoms_block(), kind)


def test_settings_reach_the_codec():
    layout = layout_of(atoms_block(n_radial=9, n_features=11), "crystals")
    assert layout.n_values == len(np.unique([own.numbers for own in crooked()])) + 9 + 1
    assert layout.ragged == (("atoms", 11),)
    with_angles = atoms_block(degree=1, n_radial=9, n_features=10_000)
    plain = atoms_block(degree=0, n_radial=9, n_features=10_000)
    n_atoms = [layout_of(block, "molecules").ragged[0][1] for block in (plain, with_angles)]
    assert n_atoms[1] > n_atoms[0]
    assert "pairs" in dict(layout_of(atoms_block(message_cutoff=3.0), "crystals").ragged)
    assert "pairs" not in dict(layout_of(atoms_block(message_cutoff=0), "molecules").ragged)


def test_the_cutoff_of_messages_ends_them():
    structures = molecules()[0]
    found = {}
    for cutoff in (1.6, 3.0):
        X, codec = fitted(atoms_block(message_cutoff=cutoff), structures)
        distances = codec.encode(X).ragged["pairs"].columns["distance"]
        found[cutoff] = len(distances)
        assert distances.max() < cutoff
    assert 0 < found[1.6] < found[3.0]


def test_settings_reach_the_network():
    layout = Layout(20, ragged=(("atoms", 7), ("pairs", 2)))
    encoder, width = AtomsBlock(n_units=6, n_rounds=3, n_heads=4, embedding=5).make_encoder(layout)
    assert len(encoder.rounds) == 3
    assert encoder.score.out_features == 4
    assert encoder.embed.weight.shape == (119, 5)
    assert encoder.enter[0].in_features == 5 + 7
    assert encoder.average.out_features == 6
    # heads of 2, mean and sum of 6, the composition of 5 and the number of atoms
    assert width == 4 * 2 + 2 * 6 + 5 + 1
    assert encoder.rounds[0].hear is not None
    without = AtomsBlock(n_units=6).make_encoder(Layout(20, ragged=(("atoms", 7),)))[0]
    assert without.rounds[0].hear is None
    _, of_atoms = AtomsBlock(n_units=6, n_heads=4, embedding=5, per_atom=True).make_encoder(layout)
    assert of_atoms == width + 6


REFUSED = [
    *[("cutoff", value) for value in (0, -1.0, np.inf, np.nan, None, "7", True)],
    *[("n_radial", value) for value in (1, 2.5, "9", True)],
    *[("degree", value) for value in (-1, 4, 1.0, "all", None, True)],
    *[("message_cutoff", value) for value in (-1, np.inf, "all", None, True)],
    *[("n_features", value) for value in (0, 1.5, None)],
]
REFUSED_BY_MODULES = [
    *[("n_units", value) for value in (0, 1.5, None, True)],
    *[("n_rounds", value) for value in (-1, 0.5, None, True)],
    *[("n_heads", value) for value in (0, 1.5, None)],
    *[("embedding", value) for value in (0, "4")],
    *[("per_atom", value) for value in (1, None, "auto")],
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_settings_of_the_codec_are_checked(name, value):
    X = pd.DataFrame({"structure": as_cells(crooked(2))})
    with pytest.raises(ValueError, match=rf"^{name} must be .*; got ") as error:
        AtomsBlock(**{name: value}).make_codec(BlockColumns([0], ColumnLabels.of(X)))
    assert str(error.value).endswith(f"got {value!r}.")


@pytest.mark.parametrize(("name", "value"), REFUSED_BY_MODULES)
def test_settings_of_the_network_are_checked(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be .*; got ") as error:
        AtomsBlock(**{name: value}).make_encoder(Layout(20, ragged=(("atoms", 7),)))
    assert str(error.value).endswith(f"got {value!r}.")


@pytest.mark.parametrize("value", [np.int64(3), 3])
def test_integers_of_any_kind_will_do(value):
    encoder, _ = AtomsBlock(n_units=value, n_rounds=value).make_encoder(
        Layout(20, ragged=(("atoms", 7),))
    )
    assert len(encoder.rounds) == 3


def test_clone_and_pickle():
    block = AtomsBlock(cutoff=4.0, per_atom=True, degree=2)
    for copied in (clone(block), pickle.loads(pickle.dumps(block))):
        assert copied.get_params() == block.get_params()
    assert repr(AtomsBlock()) == "AtomsBlock()"
    assert repr(AtomsBlock(cutoff=6.0)) == "AtomsBlock(cutoff=6.0)"


def test_what_it_promises():
    assert AtomsBlock.kind == "structure"
    assert AtomsBlock().reads_missing
    assert AtomsBlock().reads_ragged
    assert not AtomsBlock().per_atom
