"""Sets of atoms as the network takes them, drawn at random: no structures have them."""

from __future__ import annotations

import numpy as np
import torch

from sknestedae._layers._ragged import RaggedTensors
from sknestedae._tables._layout import Ragged

N_FEATURES, N_ELEMENTS = 5, 9


def draw_rows(lengths=(3, 5, 1, 4), seed=0, share=False):
    """Give sets of atoms of several sizes, with some pairs in each.

    Parameters
    ----------
    share : bool
        Whether the counts of each row are 1 in all, as those of crystals.
    """
    rng = np.random.default_rng(seed)
    atoms, pairs = [], []
    for n in lengths:
        counts = rng.integers(1, 4, size=n).astype(float)
        atoms.append(
            {
                "numbers": rng.integers(1, N_ELEMENTS + 1, size=n),
                "densities": rng.normal(size=(n, N_FEATURES)),
                "counts": counts / counts.sum() if share and n else counts,
                "members": rng.integers(1, 4, size=n),
            }
        )
        receiver, sender = np.nonzero(rng.uniform(size=(n, n)) < 0.6)
        pairs.append(
            {
                "receiver": receiver.astype(np.int32),
                "sender": sender.astype(np.int32),
                "distance": rng.uniform(0.7, 4, size=len(receiver)),
                "number": rng.integers(1, 4, size=len(receiver)),
            }
        )
    return atoms, pairs


def ragged_of(atoms, pairs):
    cpu = torch.device("cpu")
    return {
        "atoms": RaggedTensors.from_arrays(Ragged.of_rows(atoms), cpu),
        "pairs": RaggedTensors.from_arrays(Ragged.of_rows(pairs), cpu),
    }
