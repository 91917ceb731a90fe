"""Crystals with densities of states, what tables of numbers tell of them, and heat capacities."""

from __future__ import annotations

import os
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms
from sklearn.utils import Bunch

from sknestedae.datasets import fetch_phonon_dos

from ._phonons import features

# h c / k, in cm K.
_SECOND_RADIATION = 1.438777
# Of the nest: crystals with a density of states, samples with a heat capacity, samples to test.
N_CRYSTALS, N_SAMPLES, N_TEST = 800, 40, 300
TEMPERATURES = (50.0, 300.0)  # K


@cache
def crystals() -> Bunch:
    """Read the crystals, from SKNESTEDAE_DATA or the cache."""
    return fetch_phonon_dos(data_home=os.environ.get("SKNESTEDAE_DATA"))


def compositions(structures: pd.Series) -> np.ndarray:
    """Give the shares of the elements 1 to 118, of shape (n_samples, 118)."""
    found = [np.bincount(own.numbers, minlength=119)[1:] / len(own) for own in structures]
    return np.array(found)


@cache
def _described() -> dict[str, np.ndarray]:
    return {
        name: features({"numbers": own.numbers, "positions": own.positions, "cell": own.cell[:]})
        for name, own in crystals().data["structure"].items()
    }


def described(structures: pd.Series) -> np.ndarray:
    """Give statistics of the elements, volume and radial densities, (n_samples, 48)."""
    return np.array([_described()[name] for name in structures.index])


def mean_frequencies(dos: np.ndarray) -> np.ndarray:
    """Give the mean frequency of densities of states, in 1/cm."""
    return dos @ crystals().frequencies / dos.sum(axis=1)


def heat_capacities(dos: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Give heat capacities of harmonic crystals at a constant volume.

    Parameters
    ----------
    dos : ndarray of shape (n_samples, n_frequencies)
        In any unit.
    temperature : ndarray of shape (n_samples,)
        In K.

    Returns
    -------
    ndarray of shape (n_samples,)
        Per atom, in units of the Boltzmann constant; 3 where it is hot.
    """
    half = _SECOND_RADIATION * crystals().frequencies / temperature[:, None] / 2
    ratio = np.ones_like(half)  # the limit of no frequency
    np.divide(half, np.sinh(np.minimum(half, 300)), out=ratio, where=half > 0)
    return 3 * (dos * ratio**2).sum(axis=1) / dos.sum(axis=1)


class Nest(NamedTuple):
    """A draw of the nest: two tables, their targets, and samples of other crystals.

    Parameters
    ----------
    crystals : DataFrame
        Column "structure".
    dos : ndarray of shape (n_crystals, 51)
    samples, test : DataFrame
        Columns "structure" and "temperature" (K).
    capacity, truth : ndarray
        Heat capacities of samples and test.
    """

    crystals: pd.DataFrame
    dos: np.ndarray
    samples: pd.DataFrame
    capacity: np.ndarray
    test: pd.DataFrame
    truth: np.ndarray


def draw_nest(seed: int) -> Nest:
    """Draw crystals, and samples of crystals that are not among them."""
    data, generator = crystals(), np.random.default_rng(seed)
    order = generator.permutation(len(data.data))
    known, own, new = np.split(order[: N_CRYSTALS + N_SAMPLES + N_TEST], [N_CRYSTALS, -N_TEST])

    def samples_of(rows: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        temperature = generator.uniform(*TEMPERATURES, len(rows))
        table = data.data.iloc[rows].assign(temperature=temperature)
        return table, heat_capacities(data.target[rows], temperature)

    first = data.data.iloc[known], data.target[known]
    return Nest(*first, *samples_of(own), *samples_of(new))


def changed(atoms: Atoms, way: str, generator: np.random.Generator) -> Atoms:
    """Give the same crystal, written down in another way."""
    other: Any = atoms.copy()
    if way == "another order":
        return other[generator.permutation(len(other))]
    if way == "moved":
        other.positions += generator.normal(size=3)
        return other
    if way == "turned":
        other.rotate(generator.uniform(30, 150), generator.normal(size=3), rotate_cell=True)
        return other
    repeat = [1, 1, 1]
    repeat[generator.integers(3)] = 2
    return other.repeat(repeat)


WAYS = ("another order", "moved", "turned", "doubled cell")
