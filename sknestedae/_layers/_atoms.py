"""The network over a set of atoms: invariant to their order, for any number of atoms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._ragged import Gathered, RaggedTensors, row_softmax, row_sum

# Rows that pass through the network at once where nothing is learnt: what is computed for each
# of their atoms is many times as large as the atoms themselves.
_ROWS_AT_ONCE = 256

# Largest number of pairs of atoms, those of the largest set for each row, that are laid out as
# matrices; beyond it, or where most of them are too far from each other, pair after pair.
_DENSE_PAIRS = 1 << 21
_LEAST_FILLED = 0.1

# Angstrom; at smaller distances, which hydrogen alone has, the first Gaussian stands.
NEAREST_MESSAGE = 0.7


class AtomSets(NamedTuple):
    """The atoms of some rows, behind each other.

    Parameters
    ----------
    numbers : Tensor of int64, shape (n_atoms,)
        Atomic numbers.
    densities : Tensor of shape (n_atoms, n_features)
        Their surroundings, standardised.
    counts : Tensor of shape (n_atoms, 1)
        How many equal atoms each stands for: of a crystal, their share; of a molecule, by the mean
        number of atoms of the training rows.
    row : Tensor of int64, shape (n_atoms,)
        Which row each is of.
    totals : Tensor of shape (n_rows, 1)
        Sum of the counts: of a crystal 1, of a molecule near 1, of a row without atoms 0.
    """

    numbers: Tensor
    densities: Tensor
    counts: Tensor
    row: Tensor
    totals: Tensor

    @classmethod
    def of(cls, atoms: Gathered) -> AtomSets:
        """Make the sets from the outputs of the codec of structures."""
        columns, row = atoms.columns, atoms.row
        counts = columns["counts"][:, None]
        totals = row_sum(counts, row, len(atoms.lengths))
        # long: torch reads an index of uint8 as a mask
        return cls(columns["numbers"].long(), columns["densities"], counts, row, totals)

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the atoms of each row, of shape (n_rows, n_units)."""
        return row_sum(values * self.counts, self.row, len(self.totals))

    def mean(self, values: Tensor) -> Tensor:
        """Average over the atoms of each row; 0 without atoms."""
        return self.sum(values) / self.totals.clamp(min=1e-6)


class Pairs:
    """The neighbour list: pairs of atoms of a row, and Gaussians of their distances.

    Parameters
    ----------
    pairs : Gathered
        Columns "receiver" and "sender", which count the atoms of their own row, "distance"
        (Angstrom), and "number": an atom may stand for several equal ones, its members, and a
        pair for as many pairs of them. Two atoms that are a pair are so once: both receive.
    atoms : Gathered
        The atoms of the same rows, with a column "members".
    centres : Tensor of shape (n_gaussians,)
        In Angstrom.
    cutoff : float
        In Angstrom. A neighbour counts by half a cosine, which falls from 1 at distance 0 to 0
        here; and by the mean number of such neighbours of a member.
    """

    def __init__(self, pairs: Gathered, atoms: Gathered, centres: Tensor, cutoff: float) -> None:
        one, other = (pairs.columns[name].long() for name in ("receiver", "sender"))
        distance, number, row = pairs.columns["distance"], pairs.columns["number"], pairs.row
        back = torch.nonzero(one != other)[:, 0]
        receiver, sender = torch.cat([one, other[back]]), torch.cat([other, one[back]])
        distance, number, row = (torch.cat([own, own[back]]) for own in (distance, number, row))
        self.n_gaussians = len(centres)
        n_rows, first = len(atoms.lengths), atoms.starts
        members = atoms.columns["members"][receiver + first[row]]
        # made here, as there are many pairs: a weight of each in memory would take a third more
        weight = (distance / cutoff).clamp(max=1).mul(torch.pi).cos().add(1).div(2)
        weight = weight * (number.to(distance.dtype) / members.to(distance.dtype))
        n_most = int(atoms.lengths.max()) if n_rows else 0
        width = centres[1] - centres[0]
        steps = (distance[:, None] - centres) / width
        kernel = (-(steps**2) / 2).exp() * weight[:, None]  # (n_pairs, n_gaussians)
        n_dense = n_rows * n_most**2
        self.is_dense = n_dense <= _DENSE_PAIRS and n_dense * _LEAST_FILLED <= len(distance)
        if not self.is_dense:
            self.sender = sender + first[row]
            self.receiver = receiver + first[row]
            self.kernel = kernel
            return
        shape = (n_rows, n_most, self.n_gaussians, n_most)
        place = (row * n_most + receiver) * self.n_gaussians
        index = (place[:, None] + torch.arange(self.n_gaussians, device=place.device)) * n_most
        flat = kernel.new_zeros(shape).flatten()
        flat.index_add_(0, (index + sender[:, None]).flatten(), kernel.flatten())
        self.kernel = flat.view(n_rows, n_most * self.n_gaussians, n_most)
        within = torch.arange(len(atoms.row), device=place.device) - first[atoms.row]
        self.places = atoms.row * n_most + within

    def gather(self, sent: Tensor) -> Tensor:
        """Sum the messages of each atom's neighbours, by Gaussians of their distance.

        Parameters
        ----------
        sent : Tensor of shape (n_atoms, n_channels)

        Returns
        -------
        Tensor of shape (n_atoms, n_gaussians * n_channels)
        """
        n_channels = sent.shape[1]
        if not self.is_dense:
            of_pairs = (self.kernel[:, :, None] * sent[self.sender][:, None, :]).flatten(1)
            return row_sum(of_pairs, self.receiver, len(sent))
        n_rows, _, n_most = self.kernel.shape
        padded = sent.new_zeros(n_rows * n_most, n_channels).index_copy(0, self.places, sent)
        heard = torch.bmm(self.kernel, padded.view(n_rows, n_most, n_channels))
        return heard.view(n_rows * n_most, self.n_gaussians * n_channels)[self.places]


class AtomRound(nn.Module):
    """A round of message passing: atoms get the mean over their set, and neighbours' messages.

    Parameters
    ----------
    n_units : int
        Width of the representation of an atom.
    n_gaussians, n_channels : int
        Of the messages between neighbours; ``n_gaussians=0`` for none.
    """

    def __init__(self, n_units: int, n_gaussians: int, n_channels: int) -> None:
        super().__init__()
        self.own = nn.Linear(n_units, n_units)
        self.common = nn.Linear(n_units, n_units, bias=False)
        self.out = nn.Linear(n_units, n_units)
        self.send = self.hear = None
        if n_gaussians:
            self.send = nn.Linear(n_units, n_channels)
            self.hear = nn.Linear(n_gaussians * n_channels, n_units, bias=False)

    def forward(self, units: Tensor, atoms: AtomSets, pairs: Pairs | None) -> Tensor:
        """Update the representations of atoms; of shape (n_atoms, n_units)."""
        common = self.common(atoms.mean(units))[atoms.row]
        heard = self.own(units) + common
        if pairs is not None and self.send is not None and self.hear is not None:
            heard = heard + self.hear(pairs.gather(self.send(units)))
        return units + self.out(F.silu(heard))


class PartOutputs(NamedTuple):
    """The outputs of an encoder for the parts of rows, such as atoms.

    Parameters
    ----------
    values : Tensor of shape (n_parts, n_outputs)
    row : Tensor of int64, shape (n_parts,)
        Which row each part is of; each row has one at least.
    share : Tensor of shape (n_parts, 1)
        How much each counts in its row; 1 in all.
    """

    values: Tensor
    row: Tensor
    share: Tensor


class AtomsEncoder(nn.Module):
    """Encode sets of atoms as vectors of one length.

    Each atom enters by its element and its surroundings. After some rounds, in which atoms
    exchange messages, the set is represented by an attention pooling with several heads, the mean
    and the sum of its atoms, and its composition.

    Parameters
    ----------
    n_features : int
        Number of features of an atom's surroundings.
    properties : Tensor of shape (n_numbers, n_properties)
        Of each element, at its atomic number, so that row 0 is of none; standardised.
    n_units : int
        Width of the representation of an atom.
    n_rounds, n_heads : int
    embedding : int
        Width of the learnt embedding of each element, beside its properties.
    n_gaussians, n_channels : int
        Of the messages between neighbours; ``n_gaussians=0`` for none.
    cutoff : float
        Largest distance of neighbours that send messages, in Angstrom.
    per_atom : bool
        Whether ``parts`` is called: the outputs then are of each atom.
    """

    properties: Tensor
    centres: Tensor

    def __init__(
        self,
        n_features: int,
        properties: Tensor,
        *,
        n_units: int,
        n_rounds: int,
        n_heads: int,
        embedding: int,
        n_gaussians: int = 0,
        n_channels: int = 32,
        cutoff: float = 0.0,
        per_atom: bool = False,
    ) -> None:
        super().__init__()
        n_numbers, n_properties = properties.shape
        self.register_buffer("properties", properties, persistent=False)
        self.cutoff = cutoff
        centres = torch.linspace(NEAREST_MESSAGE, cutoff, n_gaussians + 1)[:-1]
        self.register_buffer("centres", centres, persistent=False)
        self.describe = nn.Linear(n_properties, embedding)
        # of an element that was not learnt from its properties alone are known
        self.embed = nn.Embedding(n_numbers, embedding)
        nn.init.zeros_(self.embed.weight)
        self.enter = nn.Sequential(
            nn.Linear(embedding + n_features, n_units), nn.SiLU(), nn.Linear(n_units, n_units)
        )
        self.rounds = nn.ModuleList(
            AtomRound(n_units, n_gaussians, n_channels) for _ in range(n_rounds)
        )
        self.score = nn.Linear(n_units, n_heads)
        self.choose = nn.Linear(n_units, n_heads * (-(-n_units // n_heads)))
        self.average = nn.Linear(n_units, n_units)
        self.n_outputs = self.choose.out_features + 2 * n_units + embedding + 1
        if per_atom:
            self.n_outputs += n_units

    def forward(
        self, values: Tensor, missing: Tensor | None, ragged: Mapping[str, RaggedTensors]
    ) -> Tensor:
        """Return the outputs of rows, of shape (n_rows, n_outputs); 0 for a missing row.

        Parameters
        ----------
        values : Tensor of shape (n_rows, n_values)
            That the decoder is to give back; they do not enter.
        missing : Tensor of bool, shape (n_rows, n_columns), or None
            A row is missing where all of its entries are.
        ragged : mapping of str to RaggedTensors
            "atoms", and "pairs" of neighbours where messages are sent.
        """
        if self.training or len(values) <= _ROWS_AT_ONCE:
            outputs = self.pool(*self.units(ragged))
        else:
            outputs = torch.cat(
                [self.pool(*self.units(parts)) for _, parts in _in_chunks(values, ragged)]
            )
        return outputs if missing is None else outputs * ~missing.all(dim=1, keepdim=True)

    def parts(
        self, values: Tensor, missing: Tensor | None, ragged: Mapping[str, RaggedTensors]
    ) -> PartOutputs:
        """Return the outputs of each atom: its own representation, and that of its set.

        A row without atoms has one part. Its outputs are 0, as are those of all atoms of a row
        that is missing.

        Parameters
        ----------
        values, missing, ragged
            As in ``forward``.
        """
        if self.training or len(values) <= _ROWS_AT_ONCE:
            return self._parts(missing, ragged)
        found, first = [], 0
        for own, chunk in _in_chunks(values, ragged):
            rows = slice(first, first + len(own))
            part = self._parts(None if missing is None else missing[rows], chunk)
            found.append(part._replace(row=part.row + first))
            first += len(own)
        return PartOutputs(*(torch.cat(own) for own in zip(*found, strict=True)))

    def _parts(self, missing: Tensor | None, ragged: Mapping[str, RaggedTensors]) -> PartOutputs:
        units, atoms = self.units(ragged)
        of_set = self.pool(units, atoms)
        outputs = torch.cat([of_set[atoms.row], units], dim=1)
        row, share = atoms.row, atoms.counts / atoms.totals[atoms.row]
        if missing is not None:
            outputs = outputs * ~missing.all(dim=1, keepdim=True)[row]
        empty = torch.nonzero(atoms.totals[:, 0] == 0)[:, 0]
        if len(empty):
            outputs = torch.cat([outputs, outputs.new_zeros(len(empty), outputs.shape[1])])
            row, share = torch.cat([row, empty]), torch.cat([share, share.new_ones(len(empty), 1)])
        return PartOutputs(outputs, row, share)

    def units(self, ragged: Mapping[str, RaggedTensors]) -> tuple[Tensor, AtomSets]:
        """Return the representation of each atom, of shape (n_atoms, n_units), and the sets."""
        gathered = ragged["atoms"].gather()
        atoms = AtomSets.of(gathered)
        pairs = None
        if len(self.centres) and "pairs" in ragged:
            pairs = Pairs(ragged["pairs"].gather(), gathered, self.centres, self.cutoff)
        units = self.enter(torch.cat([self.elements(atoms), atoms.densities], dim=1))
        for layer in self.rounds:
            units = layer(units, atoms, pairs)
        return units, atoms

    def elements(self, atoms: AtomSets) -> Tensor:
        """Return the embedding of each atom's element, of shape (n_atoms, embedding)."""
        return self.describe(self.properties[atoms.numbers]) + self.embed(atoms.numbers)

    def attention(self, units: Tensor, atoms: AtomSets) -> Tensor:
        """Return how much each head attends to each atom, of shape (n_atoms, n_heads).

        Its sum over the atoms of a row is 1.
        """
        return row_softmax(self.score(units), atoms.counts, atoms.row, len(atoms.totals))

    def pool(self, units: Tensor, atoms: AtomSets) -> Tensor:
        """Return the representation of each set, of shape (n_rows, n_outputs); 0 without atoms."""
        n_rows = len(atoms.totals)
        chosen = self.choose(units).unflatten(1, (self.score.out_features, -1))
        chosen = (chosen * self.attention(units, atoms)[:, :, None]).flatten(1)
        mean = atoms.mean(F.silu(self.average(units)))
        total = mean * atoms.totals
        composition = atoms.sum(self.elements(atoms))
        return torch.cat(
            [row_sum(chosen, atoms.row, n_rows), mean, total, composition, atoms.totals], dim=1
        )


def _in_chunks(
    values: Tensor, ragged: Mapping[str, RaggedTensors]
) -> Iterator[tuple[Tensor, dict[str, RaggedTensors]]]:
    """Yield rows some hundred at a time."""
    for start in range(0, len(values), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        yield values[rows], {name: own[rows] for name, own in ragged.items()}


# What an encoder of atoms is made of, beside layers of torch.
ATOMS_MODULES = (AtomsEncoder, AtomRound, nn.Embedding)
