"""Properties of small molecules (QM9) from their atoms, beside other methods; memory."""

from __future__ import annotations

import multiprocessing
import resource
import sysconfig
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from ase import Atoms
from scipy.linalg import cho_factor, cho_solve
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import euclidean_distances

from sknestedae import SupervisedAutoencoder
from sknestedae._atoms._surroundings import Channels, Geometry, surroundings_of
from sknestedae._estimators._fitted import fitted_part
from sknestedae._tables._structures import read_structure
from sknestedae.blocks import AtomsBlock

from ._report import Report

# A permutation by this seed: the first are learnt from, the last 10,000 are the test; the 2,000
# before them are those by which settings were chosen.
SEED, N_TEST, N_VALIDATION = 0, 10_000, 2_000
N_FEW, N_MANY = 10_000, 110_000
HARTREE = 27.211386  # eV
# Column, name, unit, and how many of the unit one of the file is.
TARGETS = {
    "HOMO_LUMO_gap_au": ("gap", "meV", 1e3 * HARTREE),
    "HOMO_au": ("HOMO", "meV", 1e3 * HARTREE),
    "LUMO_au": ("LUMO", "meV", 1e3 * HARTREE),
    "Polarizability_bohr3": ("α", "Bohr³", 1.0),
    "Heatcapacity_Cv_cal_mol_K": ("Cv", "cal/(mol K)", 1.0),
}
ELEMENTS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
BLOCK: dict[str, Any] = {"message_cutoff": 5.0, "n_features": 256}
SETTINGS: dict[str, Any] = {
    "n_components": 64,
    "hidden_layer_sizes": (128,),
    "prediction_loss": "absolute_error",
    "reconstruction_weight": 0.1,
    "alpha": 0.0,
    "batch_size": 64,
    "early_stopping": False,
    "random_state": 0,
}
# Molecules to learn from, networks whose predictions are averaged, epochs of each, and the first
# learning rate: what fits into eight minutes of one core, with the surroundings of all molecules;
# and a longer one.
EFFORTS = [(N_FEW, 2, 40, 2e-3), (N_MANY, 1, 5, 3e-3), (N_MANY, 1, 12, 3e-3)]
# Of the kernel ridge: cutoff of the densities, widths in medians of the distance, penalties.
KERNEL = Geometry(cutoff=6.0, n_radial=24)
WIDTHS, PENALTIES = (1.0, 2.0, 4.0), (1e-5, 1e-4, 1e-3)
# What others report of 110,000 molecules, on splits of their own and GPUs.
REPORTED = {
    "SCANN (Vu et al., npj Comput. Mater. 9, 215, 2023), as reported": (65, 51, 40, 0.15, 0.059)
}
# Of the measure of memory: few numbers of each atom, and as many as by default.
N_MOLECULES, N_FEATURES = 130_000, (64, 160)


class Molecules(NamedTuple):
    """Molecules with their targets (n, 5), in the units of TARGETS."""

    structures: pd.Series
    target: np.ndarray

    def take(self, rows: np.ndarray) -> Molecules:
        """Give some of them."""
        return Molecules(self.structures.iloc[rows], self.target[rows])


# --- data -------------------------------------------------------------------------------------


@cache
def molecules() -> Molecules:
    """Read the molecules of the package qm9pack, in the order of the permutation.

    Those whose geometry was not consistent are left out of its files: 130,831 of 133,885 stay.
    """
    folder = Path(sysconfig.get_paths()["purelib"], "qm9pack", "data")
    columns = ["Elements", "XYZ_Ang", *TARGETS]
    parts = [pd.read_csv(folder / f"qm9_part{k}.csv", usecols=columns) for k in (1, 2, 3)]
    table = pd.concat(parts, ignore_index=True)
    table = table.iloc[np.random.RandomState(SEED).permutation(len(table))]
    plain = str.maketrans("[],'", "    ")
    structures = [
        Atoms(
            numbers=[ELEMENTS[symbol] for symbol in elements.translate(plain).split()],
            positions=np.array(positions.translate(plain).split(), float).reshape(-1, 3),
        )
        for elements, positions in zip(table["Elements"], table["XYZ_Ang"], strict=True)
    ]
    factors = [factor for _, _, factor in TARGETS.values()]
    target = table[list(TARGETS)].to_numpy() * factors
    return Molecules(pd.Series(structures, dtype=object), target)


def split(n: int) -> tuple[Molecules, Molecules]:
    """Give the molecules to learn from, and those to test."""
    data = molecules()
    everything = np.arange(len(data.target))
    return data.take(everything[:n]), data.take(everything[-N_TEST:])


def counts(structures: pd.Series) -> np.ndarray:
    """Give how many atoms of each element there are, of shape (n_molecules, 5)."""
    numbers = list(ELEMENTS.values())
    return np.array([[(own.numbers == z).sum() for z in numbers] for own in structures], float)


def summed_densities(structures: pd.Series) -> np.ndarray:
    """Sum the radial densities of the atoms of each element, (n_molecules, 5 * n_densities)."""
    numbers = np.array(list(ELEMENTS.values()))
    channels = Channels.of_elements(numbers)
    found = surroundings_of([read_structure(own) for own in structures], KERNEL, channels)
    rows = []
    for own in found:
        n_equal = own.shares * len(own.classes)
        of_element = (own.numbers[None] == numbers[:, None]) * n_equal
        rows.append((of_element @ own.densities**2).ravel())  # they are given as square roots
    return np.array(rows)


# --- models -----------------------------------------------------------------------------------


class CompositionRidge:
    """Predict from the number of atoms of each element."""

    def fit(self, structures: pd.Series, target: np.ndarray) -> CompositionRidge:
        self.ridge = Ridge(1e-3).fit(counts(structures), target)
        return self

    def predict(self, structures: pd.Series) -> np.ndarray:
        return self.ridge.predict(counts(structures))


def composition_ridge(train: Molecules, test: Molecules) -> np.ndarray:
    """Predict from the composition alone."""
    return CompositionRidge().fit(*train).predict(test.structures)


class KernelRidge(NamedTuple):
    """What a kernel ridge of one width and penalty learnt; rows of a Gaussian kernel."""

    X: np.ndarray
    width: float
    mean: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray, Y: np.ndarray, width: float, penalty: float) -> KernelRidge:
        """Solve for the coefficients."""
        kernel = euclidean_distances(X, squared=True)
        kernel *= -0.5 / width**2
        np.exp(kernel, out=kernel)
        kernel[np.diag_indices_from(kernel)] += penalty
        mean = Y.mean(axis=0)
        factor = cho_factor(kernel, overwrite_a=True, check_finite=False)
        return cls(X, width, mean, cho_solve(factor, Y - mean))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Give the targets of rows."""
        kernel = np.exp(-0.5 / self.width**2 * euclidean_distances(X, self.X, squared=True))
        return self.mean + kernel @ self.coefficients


def kernel_ridge(train: Molecules, test: Molecules) -> np.ndarray:
    """Predict from summed densities; width and penalty by a fifth of the training rows."""
    X, X_test = summed_densities(train.structures), summed_densities(test.structures)
    median = np.median(euclidean_distances(X[:1000], X[1000:2000]))
    Y, some = train.target, slice(0, len(X) // 5)
    unit = Y.std(axis=0)

    def error(width: float, penalty: float) -> float:
        tried = KernelRidge.fit(X[some], Y[some], width, penalty).predict(X[-len(X) // 5 :])
        return float((np.abs(tried - Y[-len(X) // 5 :]) / unit).mean())

    tried = {(w * median, p): error(w * median, p) for w in WIDTHS for p in PENALTIES}
    return KernelRidge.fit(X, Y, *min(tried, key=lambda key: tried[key])).predict(X_test)


def network(n_members: int, n_epochs: int, rate: float, **block: Any) -> SupervisedAutoencoder:
    """Make autoencoders of molecules that predict all targets at once."""
    return SupervisedAutoencoder(
        blocks=AtomsBlock(**{**BLOCK, **block}),
        n_members=n_members,
        max_iter=n_epochs,
        learning_rate_init=rate,
        **SETTINGS,
    )


class OfTheRest:
    """An autoencoder of what a ridge of the composition leaves of the targets.

    What grows with the number of atoms, such as the polarisability, is mostly a sum over elements.
    """

    def __init__(self, model: SupervisedAutoencoder) -> None:
        self.model = model

    def fit(self, structures: pd.Series, target: np.ndarray) -> OfTheRest:
        self.sums = CompositionRidge().fit(structures, target)
        rest = target - self.sums.predict(structures)
        self.model.fit(structures.to_frame("molecule"), rest)
        return self

    def predict(self, structures: pd.Series) -> np.ndarray:
        rest = self.model.predict(structures.to_frame("molecule"))
        return self.sums.predict(structures) + rest


# --- the parts --------------------------------------------------------------------------------


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Give what a function gives, and the CPU seconds that it takes."""
    start = time.process_time()
    return function(), time.process_time() - start


def row(name: str, n: int | str, seconds: str, errors: Any, back: str = "") -> list[str]:
    """Write a row of the table."""
    return [name, f"{n:,}" if isinstance(n, int) else n, seconds, *map(_number, errors), back]


def _number(error: float) -> str:
    return f"{error:.0f}" if error >= 10 else f"{error:.3f}"


def of_network(n: int, n_members: int, n_epochs: int, rate: float) -> list[str]:
    """Fit autoencoders to n molecules."""
    train, test = split(n)
    model, fitted = timed(lambda: OfTheRest(network(n_members, n_epochs, rate)).fit(*train))
    given, predicted = timed(lambda: model.predict(test.structures))
    errors = np.abs(given - test.target).mean(axis=0)
    part = fitted_part(model.model)
    some = test.structures.iloc[:1000].to_frame("molecule")
    (name, encoded), *_ = part.encode(some).items()
    decoded = part.decode(part.latents(some))[name]
    back = r2_score(encoded.values, decoded, multioutput="variance_weighted")
    name = f"{n_members} autoencoders" if n_members > 1 else "autoencoder"
    name += f", {n_epochs} epochs"
    return row(name, n, f"{fitted:.0f} + {predicted:.0f}", errors, f"{back:.3f}")


def of_rival(name: str, predict: Callable[[Molecules, Molecules], np.ndarray]) -> list[str]:
    """Fit another model to the smaller number of molecules."""
    train, test = split(N_FEW)
    given, seconds = timed(lambda: predict(train, test))
    return row(name, N_FEW, f"{seconds:.0f}", np.abs(given - test.target).mean(axis=0))


def qm9(report: Report) -> None:
    """Predict five properties of molecules at once."""
    report.text(
        f"QM9 (the package qm9pack): {len(molecules().target):,} molecules with energies of the "
        "frontier orbitals, polarisability and heat capacity. A permutation "
        f"(`RandomState({SEED})`): the first to learn from, the last {N_TEST:,} to test. Mean "
        "absolute errors; all five are predicted by one model. CPU seconds of one thread have the "
        f"surroundings of atoms in them: to fit + to predict {N_TEST:,}. Autoencoders learn what "
        "a ridge of the composition leaves. Reconstruction: R² of composition, radial density and "
        "size of 1,000 test molecules. Settings and number of epochs by "
        f"{N_VALIDATION:,} other molecules."
    )
    rows = [
        of_rival("ridge of the composition", composition_ridge),
        of_rival("kernel ridge (Gauss) of summed radial densities", kernel_ridge),
        *(of_network(*effort) for effort in EFFORTS),
    ]
    rows += [row(name, N_MANY, "GPU", errors) for name, errors in REPORTED.items()]
    targets = [f"{name}, {unit}" for name, unit, _ in TARGETS.values()]
    columns = ["model", "molecules", "CPU s", *targets, "reconstruction, R²"]
    report.table("QM9, mean absolute errors", columns, rows)


class Sizes(NamedTuple):
    """Bytes: of the process before, at its largest, and of the arrays that were learnt from."""

    before: float
    largest: float
    arrays: float


def sizes(n: int, n_features: int) -> Sizes:
    """Learn from n molecules for one epoch, in a process of its own, and measure its memory."""
    torch.set_num_threads(1)
    data = molecules()
    X, Y = data.structures.iloc[:n].to_frame("molecule"), data.target[:n]
    before = _resident()
    model = network(1, 1, 3e-3, n_features=n_features).fit(X, Y)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (encoded,) = fitted_part(model).encode(X.iloc[:2000]).values()
    columns = [own for part in encoded.ragged.values() for own in part.columns.values()]
    arrays = sum(own.nbytes for own in (encoded.values, *columns))
    return Sizes(before, largest, arrays * n / 2000)


def _resident() -> float:
    """Give the memory of this process now, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * resource.getpagesize())


def memory(report: Report) -> None:
    """Measure the memory that many molecules take."""
    rows = []
    for n_features in N_FEATURES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(sizes, (N_MOLECULES, n_features))
        given = (found.before, found.largest, found.largest - found.before, found.arrays)
        rows.append([f"{n_features}", *(f"{own / 1e9:.2f}" for own in given)])
    report.text(
        f"One epoch of {N_MOLECULES:,} molecules of QM9, by the settings above but for "
        "`n_features`, in a process of its own. Before: the packages, and the molecules as "
        "`ase.Atoms`. Arrays: what the network learns from, as measured of 2,000 molecules."
    )
    columns = ["n_features", "before the fit", "at most in it", "at most, less before", "arrays"]
    report.table("Memory of molecules, GB", columns, rows)
