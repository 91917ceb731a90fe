"""
=============================================
A chain of phonon spectra and heat capacities
=============================================

Hundreds of crystals have a density of states. Forty samples of other crystals have a measured
property, each at some temperature. A chain learns structures and their vibrations at its first
scale, and the samples at its second. We compare it with models that see the samples alone, and
with trees that know both scales as the chain does.
"""

# %%
# Two scales
# ----------
# The first table has one column, of structures; its target is the phonon density of states. The
# second has a structure and a temperature in each row. Its target, the heat capacity, is computed
# here from the sample's own density of states, which no model is shown: in units of Boltzmann's
# constant per atom it is the integral of the density times :math:`3 (x / \sinh x)^2`, where
# :math:`x = h \nu / 2 k T`. So it lies between 0 and 3.
#
# The densities were computed from first principles [1]_ [2]_. They are downloaded at first use;
# ``SKNESTEDAE_DATA`` may name a folder that has them. Where there is neither, simulated crystals
# stand in, and the page says so.

import os
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from ase.data import atomic_masses, covalent_radii
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score
from vesin import ase_neighbor_list

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.blocks import SpectrumBlock
from sknestedae.datasets import fetch_phonon_dos, make_crystals
from sknestedae.exceptions import UnseenCategoryWarning
from sknestedae.plotting import LatentDisplay

torch.set_num_threads(1)  # enough for networks as small as these
# Forty samples do not have all elements: new ones enter by their properties, with a warning.
warnings.simplefilter("ignore", UnseenCategoryWarning)

N_SAMPLES, N_TEST, N_DRAWS = 40, 300, 3
CM_KELVIN = 1.438777  # h c / k: from a wave number in cm^-1 to a temperature in K

folder = os.environ.get("SKNESTEDAE_DATA")
try:
    crystals = fetch_phonon_dos(data_home=folder, download_if_missing=folder is None, n_retries=0)
    n_known = 500
except (OSError, ImportError) as error:
    print(f"Simulated crystals, as the computed spectra cannot be had here: {error}")
    crystals, n_known = make_crystals(700, random_state=0), 260
structures, dos, frequencies = crystals.data, crystals.target, crystals.frequencies
order = np.random.RandomState(0).permutation(len(dos))
known, others = order[:n_known], order[n_known:]


def heat_capacity(spectra, temperature):
    """Give the heat capacity of harmonic crystals, in Boltzmann's constant per atom."""
    x = CM_KELVIN * np.maximum(frequencies, 1e-9) / temperature[:, None] / 2
    weight = 3 * (x / np.sinh(np.minimum(x, 300))) ** 2
    return (spectra * weight).sum(axis=1) / spectra.sum(axis=1)


def draw_samples(seed):
    """Give a few samples to learn from, others to test, and their places among the crystals."""
    rng = np.random.RandomState(seed)
    rows = rng.permutation(others)[: N_SAMPLES + N_TEST]
    temperature = rng.uniform(50, 300, size=len(rows))
    table = structures.iloc[rows].assign(temperature=temperature)
    capacity = pd.Series(heat_capacity(dos[rows], temperature), table.index, name="capacity")
    few, new = slice(0, N_SAMPLES), slice(N_SAMPLES, None)
    return table[few], capacity[few], rows[few], table[new], capacity[new], rows[new]


samples, capacity, *_ = draw_samples(0)
print(f"First scale: {n_known} crystals with a density of states at {dos.shape[1]} frequencies")
least, most = capacity.min(), capacity.max()
print(f"Second scale: {len(samples)} samples, heat capacities from {least:.2f} to {most:.2f}")

# %%
# The chain
# ---------
# A list of two tables and a list of two targets is what the chain is given. The settings of the
# first stage are those of densities of states, but for few latents. The second one predicts by a
# Gaussian process, which ``predictor="auto"`` takes where rows are few, and is told the bounds of
# heat capacities. By default the first stage would pass on its prediction as well. This is a
# whole spectrum, more columns than there are samples; with ``passthrough=False`` it passes on
# its latents alone.
#
# The first stage does not depend on the samples, so that it is fitted once, and goes into the
# chains of further draws of samples as a ``FrozenEstimator``.

first = SupervisedAutoencoder(
    8,
    target_block=SpectrumBlock(cumulative_weight=10),
    target_bounds=(0, None),
    prediction_loss="absolute_error",
    alpha=1e-5,
    batch_size=32,
    learning_rate_init=4e-3,
    max_iter=30,
)
of_samples = SupervisedAutoencoder(alpha="auto", predictor="auto", target_bounds=(0, 3))


def fit_chain(crystal_stage, samples, capacity):
    """Fit a chain of crystals and samples."""
    stages = [
        ("crystal", crystal_stage, ["structure"]),
        ("sample", of_samples, ["temperature"]),
    ]
    nae = NestedAutoencoder(stages, passthrough=False, random_state=0)
    return nae.fit([structures.iloc[known], samples], [dos[known], capacity])


# %%
# Other models
# ------------
# One autoencoder of structures and temperatures sees the samples alone, for half of the default
# number of epochs, which is enough for so few rows. So do trees, which get
# numbers made by hand in place of structures. Two more know the first scale: trees that learn the
# densities of states, and hand them to other trees that learn the samples; and those who know the
# formula, and put in the density that the chain's first stage predicts. The last one needs no
# sample; it is there to tell how much of the error lies in the second scale.

CENTRES = np.linspace(1, 7, 20)  # of the radial densities, in Angstrom


def describe(atoms):
    """Give the shares of the elements, and numbers on masses, radii, volume and neighbours."""
    own = np.column_stack([atomic_masses, covalent_radii])[atoms.numbers]
    _, distances = ase_neighbor_list("id", atoms, 7.0)
    peaks = np.exp(-(((distances[:, None] - CENTRES) / 0.3) ** 2) / 2) / distances[:, None] ** 2
    return np.concatenate(
        [
            np.bincount(atoms.numbers, minlength=len(atomic_masses)) / len(atoms),
            *(summary(own, axis=0) for summary in (np.mean, np.std, np.min, np.max)),
            [atoms.get_volume() / len(atoms)],
            peaks.sum(axis=0) / len(atoms),
        ]
    )


described = np.array([describe(atoms) for atoms in structures["structure"]])
trees_of_dos = ExtraTreesRegressor(50, random_state=0).fit(described[known], dos[known])
dos_of_trees = trees_of_dos.predict(described)


def of_trees(values, rows, new_rows):
    """Fit trees to numbers of crystals and temperatures; predict other samples."""
    trees = ExtraTreesRegressor(100, random_state=0)
    trees.fit(np.column_stack([values[rows], samples["temperature"]]), capacity)
    return trees.predict(np.column_stack([values[new_rows], new["temperature"]]))


# %%
# The comparison
# --------------
# R² of new samples, for three draws of samples.

scores, stage = {}, first
for draw in range(N_DRAWS):
    samples, capacity, rows, new, true, new_rows = draw_samples(draw)
    nae = fit_chain(stage, samples, capacity)
    stage = FrozenEstimator(nae["crystal"])
    flat = SupervisedAutoencoder(target_bounds=(0, 3), max_iter=150, random_state=0)
    flat.fit(samples, capacity)
    by_chain = np.asarray(nae.predict(new))
    predicted = {
        "nested autoencoder": by_chain[:, -1],
        "flat autoencoder": flat.predict(new),
        "trees": of_trees(described, rows, new_rows),
        "trees on trees' densities": of_trees(dos_of_trees, rows, new_rows),
        "formula on the chain's densities": heat_capacity(
            by_chain[:, :-1], new["temperature"].to_numpy()
        ),
    }
    scores[draw] = {name: r2_score(true, own) for name, own in predicted.items()}
    if draw == 0:
        shown = predicted, true, new, new_rows, nae, flat
table = pd.DataFrame(scores)
table.insert(0, "mean", table.mean(axis=1))
print(f"R² of {len(new)} new samples, by the draw of {N_SAMPLES} samples")
print(table.round(3).to_string())

# %%
# True and predicted
# ------------------
# The first draw. What no model of the samples alone can know is how stiff a new crystal is.

predicted, true, new, new_rows, nae, flat = shown
figure, axes = plt.subplots(
    1, 3, figsize=(11.5, 4.2), layout="constrained", sharex=True, sharey=True
)
for ax, name in zip(axes, ["nested autoencoder", "flat autoencoder", "trees"], strict=True):
    ax.plot([0, 3], [0, 3], color="0.4", linestyle="--", linewidth=1)
    points = ax.scatter(true, predicted[name], s=14, c=new["temperature"], cmap="viridis")
    ax.set(title=f"{name.capitalize()}, R² {scores[0][name]:.2f}", aspect="equal")
    ax.set_xlabel("True heat capacity (k per atom)")
axes[0].set_ylabel("Predicted heat capacity (k per atom)")
figure.colorbar(points, ax=axes, label="Temperature (K)", shrink=0.8)

# %%
# The latents
# -----------
# The same new crystals in the two principal components of the latents, coloured by the mean
# frequency of their own density of states: the higher it is, the hotter a crystal must be before
# its vibrations are excited, as with the frequency of Debye's model. No frequency was a column.

frequency = dos[new_rows] @ frequencies / dos[new_rows].sum(axis=1)
figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
latents = {
    "first stage of the chain": nae["crystal"].transform(new[["structure"]]),
    "flat autoencoder": flat.transform(new),
}
for ax, (name, Z) in zip(axes, latents.items(), strict=True):
    LatentDisplay.from_latents(
        PCA(2).fit_transform(Z),
        color=frequency,
        color_label="Mean frequency (cm⁻¹)",
        ax=ax,
        scatter_kwargs={"s": 16},
    )
    ax.set(title=f"Latents of the {name}", xlabel="Component 1", ylabel="Component 2")

# %%
# The chain is ahead of the models that see the samples alone, and of the trees that know both
# scales: ask the mean of the draws, as forty samples are few, and each draw is another task. What
# is left is an error of the second scale: with the formula, the chain's densities of states would
# give the heat capacities almost exactly. Where a formula is known, use it. The chain is for
# properties without one.
#
# .. rubric:: References
#
# .. [1] G. Petretto et al., Sci. Data 5, 180065 (2018).
# .. [2] Z. Chen et al., Adv. Sci. 8, 2004214 (2021).
