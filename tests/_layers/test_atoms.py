"""The network over sets of atoms: order, number, repetition, messages, parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.atom_sets import N_ELEMENTS, N_FEATURES, draw_rows, ragged_of
from torch import nn

from sknestedae._atoms._surroundings import smooth_cutoff
from sknestedae._layers import _atoms
from sknestedae._layers._atoms import AtomsEncoder, Pairs
from sknestedae._layers._ragged import row_sum

N_VALUES = 4
SETTINGS = {"n_units": 6, "n_rounds": 2, "n_heads": 4, "embedding": 3}
MESSAGES = {"n_gaussians": 3, "n_channels": 2, "cutoff": 4.0}
KINDS = {"no messages": {}, "messages": MESSAGES}


def encoder(**settings):
    torch.manual_seed(0)
    properties = torch.randn(N_ELEMENTS + 1, 2)
    made = AtomsEncoder(N_FEATURES, properties, **{**SETTINGS, **settings}).double()
    nn.init.normal_(made.embed.weight)  # zeros before training
    return made.eval()


def values_of(n, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, N_VALUES, generator=generator).double()


def encode(network, atoms, pairs, values=None, missing=None):
    values = values_of(len(atoms)) if values is None else values
    return network(values, missing, ragged_of(atoms, pairs))


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_shapes(settings):
    network = encoder(**settings)
    found = encode(network, *draw_rows())
    assert found.shape == (4, network.n_outputs)
    assert torch.isfinite(found).all()
    per_atom = encoder(**settings, per_atom=True)
    parts = per_atom.parts(values_of(4), None, ragged_of(*draw_rows()))
    assert parts.values.shape == (13, per_atom.n_outputs)
    assert parts.row.tolist() == [0] * 3 + [1] * 5 + [2] + [3] * 4


def reordered(atoms, pairs, seed=2):
    """Give the atoms and the pairs of each row in another order."""
    rng = np.random.default_rng(seed)
    new_atoms, new_pairs = [], []
    for own, between in zip(atoms, pairs, strict=True):
        order, shuffled = (
            rng.permutation(len(own["numbers"])),
            rng.permutation(len(between["number"])),
        )
        place = np.argsort(order).astype(np.int32)
        new_atoms.append({name: column[order] for name, column in own.items()})
        moved = {name: column[shuffled] for name, column in between.items()}
        moved["receiver"], moved["sender"] = place[moved["receiver"]], place[moved["sender"]]
        new_pairs.append(moved)
    return new_atoms, new_pairs


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_the_order_of_atoms_does_not_matter(settings):
    network = encoder(**settings)
    given = draw_rows()
    found = encode(network, *reordered(*given))
    torch.testing.assert_close(found, encode(network, *given), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_a_row_is_what_it_is_alone(settings):
    network = encoder(**settings)
    atoms, pairs = draw_rows()
    whole = encode(network, atoms, pairs)
    for k in range(4):
        alone = encode(network, atoms[k : k + 1], pairs[k : k + 1], values_of(4)[k : k + 1])
        torch.testing.assert_close(alone, whole[k : k + 1], rtol=1e-10, atol=1e-12)


def repeated(atoms, pairs, times):
    """Give each atom as often as it counts, with the pairs of all copies.

    The pairs of two atoms are dealt out to the pairs of their copies, of which each of two of the
    same atom is there once.
    """
    new_atoms, new_pairs = [], []
    for own, between in zip(atoms, pairs, strict=True):
        counts = times(own)
        index = np.repeat(np.arange(len(counts)), counts)
        first = np.cumsum(counts) - counts
        new_atoms.append(
            {
                "numbers": own["numbers"][index],
                "densities": own["densities"][index],
                "counts": own["counts"][index] / counts[index],
                "members": own["members"][index] / counts[index],
            }
        )
        copies = [
            (first[r] + i, first[s] + j, distance, number / (counts[r] * counts[s]))
            for r, s, distance, number in zip(*between.values(), strict=True)
            for i in range(counts[r])
            for j in range(i if r == s else 0, counts[s])
        ]
        columns = zip(*copies, strict=True) if copies else [[]] * 4
        new_pairs.append(
            {
                name: np.array(list(column), dtype=float if name == "number" else None)
                for name, column in zip(between, columns, strict=True)
            }
        )
    return new_atoms, new_pairs


@pytest.mark.parametrize("share", [False, True], ids=["molecules", "crystals"])
@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_equal_atoms_count_as_one_of_their_number(settings, share):
    network = encoder(**settings)
    given = draw_rows(share=share)
    rng = np.random.default_rng(1)
    many = repeated(*given, times=lambda own: rng.integers(1, 4, size=len(own["numbers"])))
    assert sum(len(own["numbers"]) for own in many[0]) > 20
    torch.testing.assert_close(
        encode(network, *many), encode(network, *given), rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_more_atoms_of_a_molecule_are_another_row(settings):
    """Sums over atoms tell how many there are, beside a mean that does not."""
    network = encoder(**settings)
    atoms, pairs = draw_rows()
    doubled = [{**own, "counts": 2 * own["counts"]} for own in atoms]
    found, before = encode(network, doubled, pairs), encode(network, atoms, pairs)
    n_sums = SETTINGS["n_units"] + SETTINGS["embedding"] + 1
    torch.testing.assert_close(found[:, -n_sums:], 2 * before[:, -n_sums:])
    torch.testing.assert_close(found[:, :-n_sums], before[:, :-n_sums])


def test_what_comes_back_does_not_enter():
    """Else the composition alone would tell a network most of the crystals it learns from."""
    network, given = encoder(), draw_rows()
    found = encode(network, *given, values=values_of(4, seed=7))
    assert torch.equal(found, encode(network, *given))


def test_pairs_as_matrices_are_pairs_one_by_one(monkeypatch):
    network = encoder(**MESSAGES)
    given = draw_rows()
    gathered = {name: own.gather() for name, own in ragged_of(*given).items()}
    sent = values_of(13)
    dense = Pairs(gathered["pairs"], gathered["atoms"], network.centres, network.cutoff)
    assert dense.is_dense
    found = encode(network, *given)
    monkeypatch.setattr(_atoms, "_DENSE_PAIRS", 0)
    one_by_one = Pairs(gathered["pairs"], gathered["atoms"], network.centres, network.cutoff)
    assert not one_by_one.is_dense
    torch.testing.assert_close(dense.gather(sent), one_by_one.gather(sent), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(encode(network, *given), found, rtol=1e-10, atol=1e-12)


def test_messages_are_sums_over_neighbours():
    """Each atom hears what its neighbours send, by Gaussians of their distance."""
    network = encoder(**MESSAGES)
    given = draw_rows(lengths=(3,))
    gathered = {name: own.gather() for name, own in ragged_of(*given).items()}
    sent, centres = values_of(3), network.centres.numpy()
    expected = np.zeros((3, len(centres), N_VALUES))
    members = given[0][0]["members"]
    for r, s, distance, number in zip(*given[1][0].values(), strict=True):
        steps = (distance - centres) / (centres[1] - centres[0])
        kernel = np.exp(-(steps**2) / 2)[:, None] * smooth_cutoff(distance, MESSAGES["cutoff"])
        for one, other in {(r, s), (s, r)}:
            expected[one] += number / members[one] * kernel * sent[other].numpy()
    found = Pairs(gathered["pairs"], gathered["atoms"], network.centres, network.cutoff).gather(
        sent
    )
    np.testing.assert_allclose(found, expected.reshape(3, -1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("lengths", "is_dense"),
    [((3, 4, 3), True), ((60, *[1] * 60), False)],
    ids=["of one size", "one large set among small ones"],
)
def test_matrices_that_would_be_empty_are_not_made(lengths, is_dense):
    gathered = {name: own.gather() for name, own in ragged_of(*draw_rows(lengths)).items()}
    assert Pairs(gathered["pairs"], gathered["atoms"], torch.arange(3.0), 3.0).is_dense == is_dense


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("gone", [False, True])
def test_many_rows_at_once_are_those_of_chunks(monkeypatch, settings, gone):
    network = encoder(**settings, per_atom=True)
    atoms, pairs = draw_rows(lengths=(3, 2, 0, 4, 1, 0, 2))
    values, ragged = values_of(7), ragged_of(atoms, pairs)
    missing = torch.zeros(7, N_VALUES, dtype=torch.bool)
    missing[[2, 4, 5]] = True
    missing = missing if gone else None
    whole, parts = network(values, missing, ragged), network.parts(values, missing, ragged)
    monkeypatch.setattr(_atoms, "_ROWS_AT_ONCE", 3)
    torch.testing.assert_close(network(values, missing, ragged), whole, rtol=1e-10, atol=1e-12)
    chunks = network.parts(values, missing, ragged)
    for row in range(7):  # those without atoms stand at the end of their chunk
        own, other = chunks.row == row, parts.row == row
        torch.testing.assert_close(chunks.values[own], parts.values[other])
        torch.testing.assert_close(chunks.share[own], parts.share[other])


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_rows_without_atoms(settings):
    """They have no infinite share, and do not change those beside them."""
    network = encoder(**settings, per_atom=True)
    atoms, pairs = draw_rows(lengths=(0, 3, 0))
    values = values_of(3)
    found = encode(network, atoms, pairs, values)
    assert torch.isfinite(found).all()
    assert not found[[0, 2]].any()
    parts = network.parts(values, None, ragged_of(atoms, pairs))
    assert sorted(parts.row.tolist()) == [0, 1, 1, 1, 2]
    torch.testing.assert_close(row_sum(parts.share, parts.row, 3), torch.ones(3, 1).double())
    assert not parts.values[parts.row != 1].any()
    nothing = draw_rows(lengths=(0, 0))
    assert not encode(network, *nothing).any()


def test_a_missing_row_has_outputs_of_0():
    network = encoder()
    atoms, pairs = draw_rows()
    missing = torch.zeros(4, N_VALUES, dtype=torch.bool)
    missing[1] = True
    missing[2, 0] = True  # a part of one row alone
    found = encode(network, atoms, pairs, missing=missing)
    assert not found[1].any()
    rest = [0, 2, 3]
    torch.testing.assert_close(found[rest], encode(network, atoms, pairs)[rest])


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_the_mean_over_parts_has_what_is_known_of_the_set(settings):
    """Beside each atom's own, parts carry the outputs of their row; shares are 1 in all."""
    network = encoder(**settings, per_atom=True)
    ragged, values = ragged_of(*draw_rows()), values_of(4)
    parts = network.parts(values, None, ragged)
    torch.testing.assert_close(row_sum(parts.share, parts.row, 4), torch.ones(4, 1).double())
    of_set = network(values, None, ragged)
    width = of_set.shape[1]
    assert width + SETTINGS["n_units"] == network.n_outputs
    torch.testing.assert_close(parts.values[:, :width], of_set[parts.row])
    units, _ = network.units(ragged)
    torch.testing.assert_close(parts.values[:, width:], units)


def test_attention_is_a_share_of_each_row():
    network = encoder()
    units, atoms = network.units(ragged_of(*draw_rows()))
    attention = network.attention(units, atoms)
    assert attention.shape == (13, SETTINGS["n_heads"])
    torch.testing.assert_close(row_sum(attention, atoms.row, 4), torch.ones(4, 4).double())
    assert attention[:3].std(dim=0).min() > 1e-3  # heads choose


def test_an_element_that_was_not_learnt_has_its_properties_alone():
    made = AtomsEncoder(N_FEATURES, torch.randn(10, 2), **SETTINGS)
    assert not made.embed.weight.any()
    names = [name for name, _ in made.named_buffers()]
    assert sorted(names) == ["centres", "properties"]
    assert not made.state_dict().keys() & set(names)  # they follow from the package


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_every_weight_learns(settings):
    network = encoder(**settings, per_atom=True).train()
    ragged = ragged_of(*draw_rows())
    parts = network.parts(values_of(4), None, ragged)
    parts.values.square().sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


@pytest.mark.parametrize("n_heads", [1, 3, 6, 7])
def test_any_number_of_heads(n_heads):
    network = encoder(n_heads=n_heads)
    assert encode(network, *draw_rows()).shape == (4, network.n_outputs)


def test_no_rounds_and_no_pairs():
    network = encoder(n_rounds=0, **MESSAGES)
    assert not len(network.rounds)
    assert torch.isfinite(encode(network, *draw_rows())).all()
    with_rounds = encoder(**MESSAGES)
    alone = [{**own, **{k: v[:0] for k, v in own.items()}} for own in draw_rows()[1]]
    assert torch.isfinite(encode(with_rounds, draw_rows()[0], alone)).all()
