"""Structures of atoms: densities of states of crystals, a chain of scales, speed, invariance."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ase.neighborlist import neighbor_list
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae._atoms._neighbours import neighbours
from sknestedae._atoms._surroundings import CACHE, Channels, Geometry, surroundings_of
from sknestedae._estimators._fitted import fitted_part
from sknestedae._tables._structures import read_structure
from sknestedae.blocks import AtomsBlock, SpectrumBlock
from sknestedae.inspection import atom_predictions

from ._atoms_data import (
    N_CRYSTALS,
    N_SAMPLES,
    N_TEST,
    TEMPERATURES,
    WAYS,
    Nest,
    changed,
    compositions,
    crystals,
    described,
    draw_nest,
    heat_capacities,
    mean_frequencies,
)
from ._atoms_peers import Struct2prop
from ._atoms_qm9 import memory, qm9
from ._report import Report
from .spectra import pooled_r2

TREES = {"n_estimators": 300, "random_state": 0}
# Chosen by errors on the 152 crystals of the split that are neither learnt nor tested.
DOS: dict[str, Any] = {
    "n_components": 32,
    "prediction_loss": "absolute_error",
    "target_bounds": (0, None),
    "alpha": 1e-5,
    "learning_rate_init": 4e-3,
    "batch_size": 32,
    "max_iter": 100,
    "early_stopping": False,
}
N_UNITS = 192
CUMULATIVE_WEIGHT = 10.0
N_MEMBERS, SEEDS, DRAWS = 3, (0, 1, 2), (0, 1, 2, 3, 4)
CUTOFF = 7.0
N_OF_ASE = 100  # crystals whose neighbours ase finds; the time is of all
UNIT = "cm⁻¹"


def network(per_atom: bool = False, **settings: Any) -> SupervisedAutoencoder:
    """Make an autoencoder of crystals that predicts densities of states."""
    return SupervisedAutoencoder(
        blocks=AtomsBlock(cutoff=CUTOFF, n_units=N_UNITS, per_atom=per_atom),
        target_block=SpectrumBlock(cumulative_weight=CUMULATIVE_WEIGHT),
        **{**DOS, "random_state": 0, **settings},
    )


# --- densities of states ----------------------------------------------------------------------


class Scores(NamedTuple):
    """Errors of predicted densities of states; R² of reconstruction where there is one."""

    seconds: float
    mae: float
    r2: float
    frequency: float
    reconstruction: tuple[float, ...] = ()

    @classmethod
    def of(cls, seconds: float, true: np.ndarray, given: np.ndarray) -> Scores:
        """Compare densities of states."""
        frequency = np.abs(mean_frequencies(given) - mean_frequencies(true)).mean()
        mae = float(np.abs(true - given).mean())
        return cls(seconds, mae, pooled_r2(true, given), float(frequency))

    def row(self, name: str) -> list[str]:
        """Write a row of the table."""
        back = self.reconstruction
        return [
            name,
            f"{self.seconds:.0f}",
            f"{self.mae:.4f}",
            f"{self.r2:.3f}",
            f"{self.frequency:.1f}",
            f"{np.mean(back):.2f} ({', '.join(f'{own:.2f}' for own in back)})" if back else "",
        ]


def reconstruction(model: SupervisedAutoencoder, X: pd.DataFrame) -> tuple[float, ...]:
    """Give R² of compositions, radial densities and volumes, each pooled over its numbers."""
    part = fitted_part(model)
    (name, given), *_ = part.encode(X).items()
    decoded = part.decode(part.latents(X))[name]
    radial = model.blocks.n_radial
    fields = slice(0, -radial - 1), slice(-radial - 1, -1), slice(-1, None)
    return tuple(pooled_r2(given.values[:, own], decoded[:, own]) for own in fields)


def of_tables(describe: Callable[[pd.Series], np.ndarray]) -> Scores:
    """Fit trees to what a function tells of crystals; they learn from validation rows, too."""
    data = crystals()
    rows = np.concatenate([data.train, data.validation])
    X = describe(data.data["structure"])
    start = time.process_time()
    trees = ExtraTreesRegressor(**TREES).fit(X[rows], data.target[rows])
    seconds = time.process_time() - start
    return Scores.of(seconds, data.target[data.test], trees.predict(X[data.test]))


def of_networks(seeds: tuple[int, ...], **settings: Any) -> list[Scores]:
    """Fit autoencoders, one for each seed; the time has the surroundings of all crystals in it."""
    data, found = crystals(), []
    train, test = data.data.iloc[data.train], data.data.iloc[data.test]
    for seed in seeds:
        CACHE.clear()
        start = time.process_time()
        model = network(random_state=seed, **settings).fit(train, data.target[data.train])
        seconds = time.process_time() - start
        scores = Scores.of(seconds, data.target[data.test], model.predict(test))
        found.append(scores._replace(reconstruction=reconstruction(model, test)))
    return found


def of_struct2prop() -> Scores:
    """Fit the network of atoms in a row."""
    data = crystals()
    structures = data.data["structure"]
    start = time.process_time()
    model = Struct2prop().fit(list(structures.iloc[data.train]), data.target[data.train])
    seconds = time.process_time() - start
    given = model.predict(list(structures.iloc[data.test]))
    return Scores.of(seconds, data.target[data.test], given)


def dos(report: Report) -> None:
    """Compare models of densities of states."""
    data = crystals()
    report.text(
        f"Phonon densities of states (`fetch_phonon_dos`): {len(data.train)} crystals to learn "
        f"from, {len(data.test)} to test, in the split that the literature has. Trees learn from "
        f"the other {len(data.validation)}, too, by which the settings of networks were chosen. "
        "Structure2property is built from its description. Frequencies are means of a spectrum. "
        "Reconstruction: R² on test crystals, the mean of three (composition, radial density, "
        "volume per atom). CPU seconds of one thread have the surroundings of atoms in them."
    )
    mean = np.broadcast_to(data.target[data.train].mean(axis=0), data.target[data.test].shape)
    rows = [Scores.of(0, data.target[data.test], mean).row("the mean")]
    rows.append(of_struct2prop().row("structure2property"))
    rows.append(of_tables(compositions).row("ExtraTrees, composition"))
    rows.append(of_tables(described).row("ExtraTrees, element statistics and radial densities"))
    for name, settings in (("", {}), (", a mean over atoms", {"per_atom": True})):
        for seed, scores in zip(SEEDS, of_networks(SEEDS, **settings), strict=True):
            rows.append(scores.row(f"autoencoder{name}, seed {seed}"))
        (several,) = of_networks((0,), n_members=N_MEMBERS, **settings)
        rows.append(several._replace(reconstruction=()).row(f"{N_MEMBERS} members{name}"))
    columns = ["model", "CPU s", "MAE", "R²", f"mean frequency, {UNIT}", "reconstruction, R²"]
    report.table("Phonon densities of states", columns, rows)


# --- a chain ----------------------------------------------------------------------------------


def chains() -> dict[str, Callable[[Nest, int], np.ndarray]]:
    """Give functions that predict the heat capacities of the test samples of a draw."""
    return {
        "nested, as it comes": lambda nest, seed: of_chain(NestedAutoencoder, nest, seed),
        "nested, settings of densities of states": lambda nest, seed: of_chain(
            nested_with_settings, nest, seed
        ),
        "spectra of ExtraTrees, then a Gaussian process": lambda nest, seed: of_spectra(
            nest, process(seed), seed
        ),
        "spectra of ExtraTrees, then ExtraTrees": lambda nest, seed: of_spectra(
            nest, ExtraTreesRegressor(**{**TREES, "random_state": seed}), seed
        ),
        "ExtraTrees of the samples alone": lambda nest, seed: of_samples(
            nest, ExtraTreesRegressor(**{**TREES, "random_state": seed})
        ),
        "Gaussian process of the samples alone": lambda nest, seed: of_samples(
            nest, process(seed)
        ),
        "autoencoder of the samples alone": of_autoencoder,
        "the formula, on spectra of ExtraTrees": lambda nest, seed: heat_capacities(
            spectra_of_trees(nest, seed)[1], nest.test["temperature"].to_numpy()
        ),
    }


def process(seed: int) -> Any:
    """Make a Gaussian process of scaled columns, whose length and noise follow from the rows."""
    kernel = RBF(3.0, (0.1, 1e3)) + WhiteKernel(0.1)
    model = GaussianProcessRegressor(
        kernel, normalize_y=True, n_restarts_optimizer=2, random_state=seed
    )
    return make_pipeline(StandardScaler(), model)


def nested_with_settings(random_state: int) -> NestedAutoencoder:
    """Make a chain whose first stage has the settings of densities of states."""
    stages = [
        ("crystal", network(random_state=None), ["structure"]),
        ("sample", SupervisedAutoencoder(alpha="auto", predictor="auto"), ["temperature"]),
    ]
    return NestedAutoencoder(stages, random_state=random_state)


def of_chain(make: Callable[..., NestedAutoencoder], nest: Nest, seed: int) -> np.ndarray:
    """Fit a chain of crystals and samples."""
    chain = make(random_state=seed)
    chain.fit([nest.crystals, nest.samples], [nest.dos, nest.capacity])
    return np.asarray(chain.predict(nest.test))[:, -1]


def spectra_of_trees(nest: Nest, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give densities of states of samples and of test samples, as trees predict them."""
    trees = ExtraTreesRegressor(**{**TREES, "random_state": seed})
    trees.fit(described(nest.crystals["structure"]), nest.dos)
    samples, test = (
        trees.predict(described(table["structure"])) for table in (nest.samples, nest.test)
    )
    return samples, test


def of_spectra(nest: Nest, model: Any, seed: int) -> np.ndarray:
    """Fit a model to predicted densities of states and temperatures."""
    X, X_test = (
        np.column_stack([spectra, table["temperature"]])
        for spectra, table in zip(
            spectra_of_trees(nest, seed), (nest.samples, nest.test), strict=True
        )
    )
    return model.fit(X, nest.capacity).predict(X_test)


def of_samples(nest: Nest, model: Any) -> np.ndarray:
    """Fit a model to what is known of the samples alone."""
    X, X_test = (
        np.column_stack([described(table["structure"]), table["temperature"]])
        for table in (nest.samples, nest.test)
    )
    return model.fit(X, nest.capacity).predict(X_test)


def of_autoencoder(nest: Nest, seed: int) -> np.ndarray:
    """Fit one autoencoder to the samples alone, structures and temperatures."""
    model = SupervisedAutoencoder(alpha="auto", predictor="auto", random_state=seed)
    return model.fit(nest.samples, nest.capacity).predict(nest.test)


def nest(report: Report) -> None:
    """Ask what a chain learns from crystals for a few samples."""
    low, high = TEMPERATURES
    report.text(
        f"{N_CRYSTALS} crystals with a density of states; {N_SAMPLES} samples, each a crystal of "
        f"its own at a temperature from {low:.0f} to {high:.0f} K, with a heat capacity by the "
        f"harmonic formula; {N_TEST} samples of still other crystals to test. R² of draws "
        f"{DRAWS[0]} to {DRAWS[-1]}. The last row knows the formula, and no sample."
    )
    draws, rows = [draw_nest(draw) for draw in DRAWS], []
    for name, predict in chains().items():
        scores = [r2_score(own.truth, predict(own, seed)) for seed, own in enumerate(draws)]
        rows.append([name, f"{np.mean(scores):.3f}", *(f"{score:.3f}" for score in scores)])
    columns = ["model", "mean", *(str(draw) for draw in DRAWS)]
    report.table("Heat capacities of few samples, R²", columns, rows)


# --- invariance -------------------------------------------------------------------------------


def invariance(report: Report) -> None:
    """Measure how predictions change where a crystal is written down in another way."""
    data, generator = crystals(), np.random.default_rng(0)
    train, test = (data.data["structure"].iloc[rows] for rows in (data.train, data.test))
    short = {"max_iter": 10}
    plain = network(**short).fit(train.to_frame(), data.target[data.train])
    shared = network(per_atom=True, **short).fit(train.to_frame(), data.target[data.train])
    peer = Struct2prop().fit(list(train), data.target[data.train])
    models = {
        "autoencoder": lambda own: plain.predict(pd.DataFrame({"structure": own})),
        "autoencoder, a mean over atoms": lambda own: shared.predict(
            pd.DataFrame({"structure": own})
        ),
        "structure2property": peer.predict,
    }
    others = {way: [changed(own, way, generator) for own in test] for way in WAYS}
    rows = []
    for name, predict in models.items():
        before = predict(list(test))
        changes = [np.abs(predict(own) - before) for own in others.values()]
        rows.append([name, *(f"{tiny(own.mean())} ({tiny(own.max())})" for own in changes)])
    report.table(
        f"Change of predicted densities of states of {len(test)} crystals, mean (largest)",
        ["model", *WAYS],
        rows,
    )
    atoms = atom_predictions(shared, test.to_frame())
    last = np.cumsum([len(own) for own in test])[:-1]
    means = np.array([own.mean(axis=0) for own in np.split(atoms, last)])
    difference = np.abs(means - shared.predict(test.to_frame())).max()
    report.text(f"Means of atoms' spectra against predictions: {difference:.1e} at most.")


def tiny(value: float) -> str:
    """Write a small number; 0 where it is that exactly."""
    return f"{value:.1e}" if value else "0"


# --- speed ------------------------------------------------------------------------------------


def speed(report: Report) -> None:
    """Measure how long it takes to find and describe the surroundings of atoms."""
    structures = list(crystals().data["structure"])
    read = [read_structure(own) for own in structures]
    some = structures[:: len(structures) // N_OF_ASE][:N_OF_ASE]
    geometry, channels = Geometry(cutoff=CUTOFF), Channels.of_properties()

    def seconds(function: Callable[[], Any]) -> float:
        start = time.process_time()
        function()
        return time.process_time() - start

    def find(use_vesin: bool) -> None:
        for own in read:
            neighbours(own, CUTOFF, use_vesin=use_vesin)

    by_numpy, by_vesin = (seconds(lambda use=use: find(use)) for use in (False, True))
    of_ase = seconds(lambda: [neighbor_list("ijD", own, CUTOFF) for own in some])
    whole = seconds(lambda: surroundings_of(read, geometry, channels))
    described_in = whole - by_vesin
    of_all = of_ase * len(structures) / len(some)
    rows = [
        ["NumPy", f"{by_numpy:.1f}", f"{by_numpy + described_in:.1f}"],
        ["vesin", f"{by_vesin:.1f}", f"{whole:.1f}"],
        ["ase", f"{of_all:.0f}", f"{of_all + described_in:.0f}"],
    ]
    report.text(
        f"Neighbours up to {CUTOFF:.0f} Å of the atoms of {len(structures)} crystals, and what is "
        f"made of them. ase: from the time of {len(some)} crystals."
    )
    columns = ["neighbours by", "neighbours, CPU s", "with radial densities, CPU s"]
    report.table("Surroundings of atoms", columns, rows)


def main() -> None:
    """Run all parts, or those that are asked for."""
    report = Report("atoms", __doc__, parts=(dos, nest, invariance, speed, qm9, memory))
    report.text(
        f"ExtraTrees: {TREES['n_estimators']} extremely randomised trees, the rest default. CPU "
        "seconds were taken on a busy machine: compare them with one another."
    )
    report.run()


if __name__ == "__main__":
    main()
