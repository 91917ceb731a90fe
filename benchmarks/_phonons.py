"""Features of crystals beside their phonon densities of states."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# The split of those who first predicted these spectra: 80, 10 and 10 %.
SEED, N_TRAIN, N_TEST = 73, 1216, 153
# Radial densities: distances (Angstrom) at which neighbours are counted, with Gaussian weights.
DISTANCES, WIDTH = np.linspace(1.2, 6.0, 24), 0.3
_REACH = DISTANCES[-1] + 1.0
# First elements of the periods.
_PERIODS = np.array([1, 3, 11, 19, 37, 55, 87])
# Standard atomic weights (u), and covalent radii (Angstrom; Cordero et al., Dalton Trans. 2832
# (2008), doi:10.1039/b801115j) of the elements 1 to 83.
_WEIGHTS = np.fromstring(
    """
    1.008 4.0026 6.94 9.0122 10.81 12.011 14.007 15.999 18.998 20.18 22.99 24.305 26.982 28.085
    30.974 32.06 35.45 39.948 39.098 40.078 44.956 47.867 50.941 51.996 54.938 55.845 58.933 58.693
    63.546 65.38 69.723 72.63 74.922 78.971 79.904 83.798 85.468 87.62 88.906 91.224 92.906 95.95
    97.907 101.07 102.91 106.42 107.87 112.41 114.82 118.71 121.76 127.6 126.9 131.29 132.91 137.33
    138.91 140.12 140.91 144.24 144.91 150.36 151.96 157.25 158.93 162.5 164.93 167.26 168.93
    173.05 174.97 178.49 180.95 183.84 186.21 190.23 192.22 195.08 196.97 200.59 204.38 207.2
    208.98
    """,
    sep=" ",
)
_RADII = np.fromstring(
    """
    0.31 0.28 1.28 0.96 0.84 0.76 0.71 0.66 0.57 0.58 1.66 1.41 1.21 1.11 1.07 1.05 1.02 1.06 2.03
    1.76 1.7 1.6 1.53 1.39 1.39 1.32 1.26 1.24 1.32 1.22 1.22 1.2 1.19 1.2 1.2 1.16 2.2 1.95 1.9
    1.75 1.64 1.54 1.47 1.46 1.42 1.39 1.45 1.44 1.42 1.39 1.39 1.38 1.39 1.4 2.44 2.15 2.07 2.04
    2.03 2.01 1.99 1.98 1.98 1.96 1.94 1.92 1.92 1.89 1.9 1.87 1.87 1.75 1.7 1.62 1.51 1.44 1.41
    1.36 1.36 1.32 1.45 1.46 1.48
    """,
    sep=" ",
)


class Phonons(NamedTuple):
    """Features (n, 48) and densities of states (n, 51), to learn from and to test."""

    X: np.ndarray
    Y: np.ndarray
    X_test: np.ndarray
    Y_test: np.ndarray


def path() -> Path:
    """Give where the crystals of SKNESTEDAE_DATA would be."""
    return Path(os.environ.get("SKNESTEDAE_DATA", ""), "phonon_dos", "phonon_dos_1521.csv")


def phonons() -> Phonons:
    """Read the crystals, describe them, and split them; 152 are neither learnt nor tested."""
    table = pd.read_csv(path())
    X = np.array([features(ast.literal_eval(text)) for text in table["structure"]], np.float32)
    Y = np.array([ast.literal_eval(text) for text in table["phdos"]], np.float32)
    order = np.random.RandomState(SEED).permutation(len(X))
    train, test = order[:N_TRAIN], order[-N_TEST:]
    return Phonons(X[train], Y[train], X[test], Y[test])


def features(crystal: dict[str, Any]) -> np.ndarray:
    """Describe a crystal by statistics of its elements, its volume, and radial densities."""
    numbers, cell = np.array(crystal["numbers"]), np.array(crystal["cell"])
    elements = describe_elements(numbers)
    volume = abs(np.linalg.det(cell)) / len(numbers)
    density = _WEIGHTS[numbers - 1].mean() / volume
    sizes = [len(set(crystal["numbers"])), np.log(len(numbers)), np.log(volume), np.log(density)]
    statistics = [function(elements, axis=0) for function in (np.mean, np.std, np.min, np.max)]
    return np.concatenate([*statistics, sizes, radial(np.array(crystal["positions"]), cell)])


def describe_elements(numbers: np.ndarray) -> np.ndarray:
    """Give period, group, logarithm of the weight, radius and number of elements, (n, 5)."""
    period = np.searchsorted(_PERIODS, numbers, side="right")
    place, length = numbers - _PERIODS[period - 1], np.array([2, 8, 8, 18, 18, 32, 32])[period - 1]
    # The blocks of the short periods stand at both ends of the 18 groups, the lanthanoids in 3.
    skipped = np.where(length == 32, np.clip(place - 2, 0, 14), 0)
    wide = np.where(length < 18, (place >= np.where(length == 2, 1, 2)) * (18 - length), -skipped)
    weight, radius = np.log(_WEIGHTS[numbers - 1]), _RADII[numbers - 1]
    return np.stack([period, place + 1 + wide, weight, radius, numbers], axis=1)


def radial(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Give the density of neighbours at some distances, a mean over atoms."""
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    axes = [np.arange(-n, n + 1) for n in np.ceil(_REACH / heights).astype(int) + 1]
    shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    between = positions[None, :, None] - positions[:, None, None] + shifts
    distances = np.linalg.norm(between, axis=-1).ravel()
    near = distances[(distances > WIDTH) & (distances < _REACH)]
    weights = np.exp(-(((near - DISTANCES[:, None]) / WIDTH) ** 2) / 2)
    return weights.sum(axis=1) / len(positions) / DISTANCES**2
