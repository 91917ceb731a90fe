"""
===============================================
Data leakage in a molecular dynamics trajectory
===============================================

Frames of a molecular dynamics run are not independent: the next frame is almost the last one. A
random split puts one of the two into the training set and the other into the test set, and the
test error is that of a copy. We make a trajectory of C60, predict a gap of levels from its frames,
and see that a random split is not only too kind: it ranks the models in the wrong order.
"""

# %%
# A trajectory
# ------------
# The molecule vibrates as masses on springs, between atoms that are bonded and those that have a
# neighbour in common, in a heat bath of 300 K (Langevin dynamics). A frame is kept each
# femtosecond. The target is the gap between the highest occupied and the lowest empty level in a
# model of Hückel's kind [1]_, whose hopping falls off with the length of a bond. Neither is a good
# model of C60, but both are quick, and the target is exact.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from ase import Atoms, units
from ase.build import molecule
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors

from sknestedae import SupervisedAutoencoder
from sknestedae.blocks import AtomsBlock
from sknestedae.model_selection import GapKFold

torch.set_num_threads(1)  # enough for networks as small as these

N_FRAMES, N_WARM = 360, 2000
TEMPERATURE, FRICTION = 300, 0.002 / units.fs  # K; 1 / time
c60 = molecule("C60")
rest = c60.get_all_distances()
bonds = np.triu((rest > 0) & (rest < 1.6))  # in Angstrom
first, second = np.nonzero(np.triu((rest > 0) & (rest < 2.6)))
length = rest[first, second]
stiffness = np.where(length < 1.6, 30, 8)  # in eV / Angstrom^2


def forces(positions):
    """Give the forces of the springs, in eV / Angstrom."""
    vectors = positions[second] - positions[first]
    now = np.linalg.norm(vectors, axis=1)
    pulls = (stiffness * (now - length) / now)[:, None] * vectors
    total = np.zeros_like(positions)
    np.add.at(total, first, pulls)
    np.add.at(total, second, -pulls)
    return total


def make_trajectory(rng, step=1 * units.fs):
    """Give positions of all frames, of shape (n_frames, 60, 3), in Angstrom."""
    positions, mass = c60.positions.copy(), c60.get_masses()[0]
    spread = np.sqrt(units.kB * TEMPERATURE / mass)  # of velocities
    velocities, keep = spread * rng.normal(size=positions.shape), np.exp(-FRICTION * step)
    frames = []
    for _ in range(N_WARM + N_FRAMES):
        velocities += forces(positions) / mass * step / 2
        positions = positions + velocities * step / 2
        velocities *= keep
        velocities += np.sqrt(1 - keep**2) * spread * rng.normal(size=positions.shape)
        positions = positions + velocities * step / 2
        velocities += forces(positions) / mass * step / 2
        frames.append(positions)
    return np.array(frames[N_WARM:])


def gap_of_levels(positions):
    """Give the gap of the Hückel model, in meV."""
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
    hopping = np.where(bonds | bonds.T, -2.7 * np.exp(-(distances - 1.4) / 0.45), 0)
    levels = np.linalg.eigvalsh(hopping)  # in eV; 30 of the 60 are occupied
    return 1000 * (levels[30] - levels[29])


positions = make_trajectory(np.random.RandomState(0))
y = np.array([gap_of_levels(own) for own in positions])
time = np.arange(N_FRAMES)  # in fs
X = pd.DataFrame(
    {"molecule": pd.Series([Atoms("C60", positions=own) for own in positions], dtype=object)}
)
lags = np.arange(31)
centred = y - y.mean()
correlation = [np.mean(centred[: N_FRAMES - lag] * centred[lag:]) / y.var() for lag in lags]
print(f"{N_FRAMES} frames; the gap is {y.mean():.0f} meV, standard deviation {y.std():.0f} meV")

# %%
# Two ways to split it
# --------------------
# ``KFold`` with shuffled rows is the random split. ``GapKFold`` holds out one piece of the
# trajectory after the other, and leaves the 20 fs before and after it out of training. Positions
# of the rows, here times, are given as groups. The autocorrelation falls to 0 within less than
# 10 fs. It comes back later, as vibrations do, but then the other atoms are no longer where they
# were.

splits = {
    "random": list(KFold(3, shuffle=True, random_state=0).split(X)),
    "blocks": list(GapKFold(3, gap=20).split(X, groups=time)),
}
figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.6), layout="constrained", width_ratios=[2.4, 1])
axes[0].plot(time, y, color="0.7", linewidth=1, zorder=1)
low, high = y.min(), y.max()
for place, (name, folds) in enumerate(splits.items()):
    train, test = folds[1]
    height = high + (high - low) * (0.08 + 0.1 * place)
    for rows, color, label in ((train, "#0072B2", "training"), (test, "#D55E00", "test")):
        kept = label if place == 0 else None
        axes[0].scatter(time[rows], np.full(len(rows), height), s=6, color=color, label=kept)
    axes[0].text(-8, height, name, ha="right", va="center", fontsize="small")
axes[0].set(xlabel="Time (fs)", ylabel="Gap (meV)", title="The gap, and a fold of each split")
axes[0].set(xlim=(-55, N_FRAMES + 5))
axes[0].legend(loc="lower left", fontsize="small")
axes[1].axhline(0, color="0.6", linewidth=0.8)
axes[1].plot(lags, correlation, "o-", color="#0072B2", markersize=3)
axes[1].set(xlabel="Lag (fs)", ylabel="Autocorrelation", title="Memory of the trajectory")

# %%
# Distances to the nearest training frame
# ---------------------------------------
# For each test frame, the training frame that is nearest in all distances between atoms. In the
# random split this is mostly the frame just before or after.

upper = np.triu_indices(60, 1)
distances = np.array([np.linalg.norm(own[upper[0]] - own[upper[1]], axis=-1) for own in positions])
for name, folds in splits.items():
    apart = []
    for train, test in folds:
        search = NearestNeighbors(n_neighbors=1).fit(distances[train])
        nearest = search.kneighbors(distances[test], return_distance=False)[:, 0]
        apart.append(np.abs(time[test] - time[train][nearest]))
    print(
        f"{name}: nearest training frame {np.median(np.concatenate(apart)):.0f} fs away (median)"
    )

# %%
# Two errors of the same models
# -----------------------------
# The others get distances between numbered atoms, which only a trajectory of one molecule can
# give. The network gets structures: atoms in any order, at any place, turned in any way.

sae = SupervisedAutoencoder(
    8,
    blocks=AtomsBlock(cutoff=3, n_radial=12, n_units=32, n_rounds=1, degree=0, message_cutoff=0),
    prediction_loss="absolute_error",
    reconstruction_weight=0.1,
    alpha=1e-5,
    batch_size=16,
    learning_rate_init=4e-3,
    max_iter=30,
    random_state=0,
)
lengths = distances[:, bonds[upper]]
models = {
    "mean": (DummyRegressor(), lengths),
    "nearest frame": (KNeighborsRegressor(1), distances),
    "ridge, lengths of bonds": (RidgeCV(np.logspace(-6, 4, 11)), lengths),
    "trees, lengths of bonds": (ExtraTreesRegressor(50, random_state=0), lengths),
    "autoencoder, structures": (sae, X),
}
predicted = {
    split: {
        name: cross_val_predict(clone(model), table, y, cv=folds)
        for name, (model, table) in models.items()
    }
    for split, folds in splits.items()
}
table = pd.DataFrame(
    {
        split: {name: np.mean(np.abs(own - y)) for name, own in of_split.items()}
        for split, of_split in predicted.items()
    }
)
print("MAE of the gap (meV)")
print(table.round(1).to_string())

# %%
# One bar is cut off: the error of the ridge in blocks is larger than the axis is long.

figure, ax = plt.subplots(figsize=(7.6, 3.6), layout="constrained")
place, end = np.arange(len(table)), 1.6 * table.loc["mean"].max()
for k, (split, color) in enumerate({"random": "#56B4E9", "blocks": "#D55E00"}.items()):
    bars = ax.barh(place + 0.2 - 0.4 * k, table[split], 0.38, color=color, label=split)
    for bar, value in zip(bars, table[split], strict=True):
        x = min(value, end)
        style = {"ha": "right", "color": "white"} if value > end else {"ha": "left"}
        ax.text(x, bar.get_y() + 0.19, f" {value:.0f} ", va="center", fontsize="small", **style)
ax.axvline(table.loc["mean", "blocks"], color="0.4", linestyle="--", linewidth=1)
ax.set_yticks(place, table.index)
ax.set(xlim=(0, end), xlabel="MAE of the gap (meV)", title="The same models, two splits")
ax.legend(title="Split", loc="upper right")

# %%
# Conclusions
# -----------
# By the random split, trees and a linear model of bonds predict the gap far better than the
# network. By the blocks they have learnt this trajectory and nothing else: they are no better than
# the mean, or much worse. The network, which knows that atoms have no order, is the worst of the
# four models by one split and the best by the other. It has not learnt much either, from so short
# a trajectory. But only the blocks say so.
#
# The same holds for relaxations, for slices of a film and for pixels of a map: for all that comes
# in an order in which neighbours are alike. Frames near a held-out frame must leave the training
# set as well. How near, the autocorrelation tells, and the look at the nearest training frame.
#
# .. rubric:: References
#
# .. [1] E. Hückel, Z. Phys. 70, 204 (1931).
