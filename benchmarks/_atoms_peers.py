"""A network of atoms in a row, as structure2property has it, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from sknestedae._atoms._neighbours import neighbours
from sknestedae._tables._structures import read_structure

_N_BINS, _REACH, _WIDTH = 100, 10.0, 0.2  # of pair distributions; Angstrom
_EPOCHS, _BATCH = 60, 32
_DECAY, _EVERY = 0.92, 4


class RowOfAtoms(nn.Module):
    """Atoms one after another: elements as tokens, and pair distributions of each.

    D. Shermukhamedov et al., structure2property (2023), built from its description: a
    bidirectional LSTM over the pair distributions, another over both, and a dense layer.
    """

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(119, 128)
        self.distributions = nn.LSTM(_N_BINS, 8, bidirectional=True, batch_first=True)
        self.atoms = nn.LSTM(128 + 16, 256, batch_first=True)
        self.out = nn.Linear(256, n_outputs)

    def forward(self, numbers: list[Tensor], distributions: list[Tensor]) -> Tensor:
        """Give (n_samples, n_outputs) of the atoms of each crystal."""
        lengths = torch.tensor([len(own) for own in numbers])
        pairs = pad_sequence(distributions, batch_first=True)
        packed = pack_padded_sequence(pairs, lengths, batch_first=True, enforce_sorted=False)
        read, _ = self.distributions(packed)
        tokens = torch.cat(numbers)  # in the order of the packed sequence
        at = torch.cat([torch.full((len(own),), k) for k, own in enumerate(numbers)])
        padded, _ = nn.utils.rnn.pad_packed_sequence(read, batch_first=True)
        within = torch.cat([torch.arange(len(own)) for own in numbers])
        embedded = padded.new_zeros(*padded.shape[:2], 128)
        embedded[at, within] = self.embed(tokens)
        both = torch.cat([embedded, padded], dim=-1)
        packed = pack_padded_sequence(both, lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = self.atoms(packed)
        return torch.relu(self.out(last[0]))


class Struct2prop:
    """The network with its training, as an estimator."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, structures: Sequence[Atoms], Y: np.ndarray) -> Struct2prop:
        """Train with the mean absolute error and Adam, whose rate falls step by step."""
        numbers, distributions = self._read(structures)
        self.scale_ = torch.cat(distributions).std()
        target = torch.as_tensor(Y, dtype=torch.float32)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.module_ = RowOfAtoms(Y.shape[1])
            optimizer = torch.optim.Adam(self.module_.parameters(), lr=1e-3)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, _EVERY, _DECAY)
            for _ in range(_EPOCHS):
                for rows in torch.randperm(len(target)).split(_BATCH):
                    some = rows.tolist()
                    own = [numbers[k] for k in some], [distributions[k] for k in some]
                    error = (self._forward(*own) - target[rows]).abs().mean()
                    optimizer.zero_grad()
                    error.backward()
                    optimizer.step()
                schedule.step()
        return self

    def predict(self, structures: Sequence[Atoms]) -> np.ndarray:
        """Give (n_samples, n_outputs)."""
        with torch.no_grad():
            return self._forward(*self._read(structures)).numpy()

    def _forward(self, numbers: list[Tensor], distributions: list[Tensor]) -> Tensor:
        return self.module_(numbers, [own / self.scale_ for own in distributions])

    @staticmethod
    def _read(structures: Sequence[Atoms]) -> tuple[list[Tensor], list[Tensor]]:
        """Give atomic numbers, and how many pairs there are at each distance, smoothed."""
        centres = (np.arange(_N_BINS) + 0.5) * _REACH / _N_BINS
        found = []
        for own in structures:
            near = neighbours(read_structure(own), _REACH)
            counts = np.zeros((len(own), _N_BINS))
            place = np.minimum((near.distances / _REACH * _N_BINS).astype(int), _N_BINS - 1)
            np.add.at(counts, (near.source, place), 1 / near.distances**2)
            kernel = np.exp(-(((centres[:, None] - centres) / _WIDTH) ** 2) / 2)
            found.append(torch.as_tensor(counts @ kernel, dtype=torch.float32))
        return [torch.as_tensor(own.numbers).long() for own in structures], found
