"""
==============================================
Prediction intervals for new groups of samples
==============================================

How far is a predicted band gap from the true one? MAPIE makes intervals that hold nine true
values in ten, from the errors of models on held-out rows. Which rows should be held out? We hold
out single crystals or all crystals of a metal, and look at crystals of metals that are new.
"""

# %%
# Crystals, and the metals in them
# --------------------------------
# 494 crystals, with a gap from density functional theory. Many share the metals on their B site,
# in the same shares: such crystals are one group. The data are downloaded at first use;
# ``SKNESTEDAE_DATA`` may name a folder that has them. Where there is neither, generated crystals
# stand in, whose gap has a part that only their metals tell.

import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from mapie.regression import CrossConformalRegressor
from matplotlib.ticker import MultipleLocator
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, train_test_split

from sknestedae import SupervisedAutoencoder
from sknestedae.datasets import fetch_perovskites, make_perovskites
from sknestedae.model_selection import batched_training

torch.set_num_threads(1)  # enough for networks as small as these
# sphinx_gallery_thumbnail_number = 3

folder = os.environ.get("SKNESTEDAE_DATA")
try:
    data = fetch_perovskites(data_home=folder, download_if_missing=folder is None, n_retries=0)
except (OSError, ImportError) as error:
    print(f"Generated data under the real names, as the perovskites cannot be had here: {error}")
    data = make_perovskites(500, random_state=0)
X, y, unit = data.crystals, data.gap, " (eV)" if data.units else ""
has_tin = data.crystal_formula.str.contains("Sn" if data.units else "B5").to_numpy()
metals = X.filter(regex="^B_").round(6).astype(str).agg("|".join, axis=1).to_numpy()
print(f"{len(X)} crystals of {len(np.unique(metals))} metals or mixtures of them")

# %%
# Two ways to calibrate
# ---------------------
# A fifth of the metals is held out: the crystals that we will be asked about. Of the others,
# ``CrossConformalRegressor`` makes five folds, fits a model to each four, and takes the errors
# on the fifth. With ``KFold`` these are errors on crystals whose metals the model has seen in
# other crystals; with ``GroupKFold``, on crystals of metals that it has not seen. Within
# ``batched_training`` the networks are trained at once.

sae = SupervisedAutoencoder(max_iter=50, random_state=0)


def calibrate(train, by):
    """Calibrate by folds of rows or of groups."""
    kind = {"crystals": KFold, "metals": GroupKFold}[by]
    groups = metals[train] if by == "metals" else None
    mapie = CrossConformalRegressor(
        sae, confidence_level=0.9, cv=kind(5, shuffle=True, random_state=0)
    )
    with batched_training():
        return mapie.fit_conformalize(X.iloc[train], y.iloc[train], groups=groups)


found, shown = [], []
splits = GroupShuffleSplit(5, test_size=0.2, random_state=0)
for split, (train, test) in enumerate(splits.split(X, y, metals)):
    judged = {}
    for by in ("crystals", "metals"):
        predicted, intervals = calibrate(train, by).predict_interval(X.iloc[test])
        low, high = intervals[:, :, 0].T
        true = y.iloc[test].to_numpy()
        inside = (low <= true) & (true <= high)
        found.append({"split": split, "by": by, "coverage": inside.mean(), "width": high - low})
        judged[by] = (predicted, low, high, true, inside)
    shown.append(judged)
found = pd.DataFrame(found).assign(width=lambda table: table["width"].map(np.mean))
print(found.groupby("by")[["coverage", "width"]].mean().round(2))

# %%
# The intervals
# -------------
# The middle one of the splits, by how many gaps the intervals hold: a bar is the interval of one
# crystal of a new metal, and orange where the true gap is outside.

figure, axes = plt.subplots(
    1, 2, figsize=(9.2, 4.6), sharex=True, sharey=True, layout="constrained"
)
middle = sorted(shown, key=lambda judged: judged["crystals"][-1].mean())[len(shown) // 2]
true = middle["metals"][3]
ends = [true.min(), true.max()]
for ax, (by, (predicted, low, high, true, inside)) in zip(axes, middle.items(), strict=True):
    for rows, color, label in ((inside, "#0072B2", "holds it"), (~inside, "#D55E00", "does not")):
        bars = np.stack([predicted - low, high - predicted])[:, rows]
        ax.errorbar(
            true[rows],
            predicted[rows],
            yerr=np.maximum(bars, 0),
            fmt="o",
            color=color,
            markersize=3,
            elinewidth=0.8,
            alpha=0.7,
            label=f"{label}: {rows.sum()}",
        )
    ax.plot(ends, ends, color="0.4", linewidth=1, zorder=0)
    ax.set(
        title=f"Calibrated by {by}: {inside.mean():.0%} hold the true gap",
        xlabel=f"Band gap{unit}, true",
    )
    ax.legend(loc="upper left", frameon=False)
axes[0].set_ylabel(f"Band gap{unit}, predicted")
figure.suptitle("Crystals of new metals, with intervals of nominal 90 %")

# %%
# Nominal and actual coverage
# ---------------------------
# One split of groups says little, as a few metals decide. Five of them, each a pair of points:

figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), layout="constrained")
for ax, column, label in zip(
    axes,
    ("coverage", "width"),
    ("Crystals whose interval holds the gap", f"Mean width{unit}"),
    strict=True,
):
    table = found.pivot_table(index="split", columns="by", values=column)
    ax.plot([0, 1], table.to_numpy().T, "o-", color="0.75", markersize=4, linewidth=1)
    ax.plot([0, 1], table.mean(), "o-", color="#0072B2", markersize=8, label="mean of the splits")
    ax.set(
        xticks=[0, 1],
        xticklabels=[f"by {by}" for by in table.columns],
        xlim=(-0.3, 1.3),
        ylabel=label,
    )
axes[0].axhline(0.9, color="#D55E00", linestyle="--", linewidth=1, label="promised")
axes[0].yaxis.set_major_locator(MultipleLocator(0.05))
axes[0].yaxis.set_major_formatter("{x:.0%}")
axes[0].legend(loc="lower right", frameon=False)
axes[1].set_ylim(bottom=0)

# %%
# Applicability domain
# --------------------
# No calibration holds for crystals of another kind. To see whether they would be noticed, we hold
# out all crystals with tin. ``score_samples`` tells how much a row is like the training rows; the
# threshold comes from other crystals that were held out: at the 5 % quantile of their scores, one
# in twenty of them is a false alarm.

train, known = train_test_split(np.flatnonzero(~has_tin), test_size=0.25, random_state=0)
sae.fit(X.iloc[train], y.iloc[train])
parts = {"held out, without tin": known, "held out, with tin": np.flatnonzero(has_tin)}
scores = {name: sae.score_samples(X.iloc[rows]) for name, rows in parts.items()}
threshold = np.quantile(scores["held out, without tin"], 0.05)
for name, rows in parts.items():
    error = np.abs(sae.predict(X.iloc[rows]) - y.iloc[rows]).mean()
    below = np.mean(scores[name] < threshold)
    print(f"{name}: {below:.0%} below the threshold, mean error {error:.2f}{unit}")

figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
together = -np.concatenate(list(scores.values()))
bins = -np.geomspace(together.min(), together.max(), 30)[::-1]
for (label, values), color in zip(scores.items(), ("#0072B2", "#E69F00"), strict=True):
    weights = np.full(len(values), 1 / len(values))
    ax.hist(values, bins, weights=weights, color=color, alpha=0.6, label=label)
ax.axvline(threshold, color="0.2", linestyle="--", linewidth=1, label="threshold")
ax.set_xscale("symlog")
ax.set_xlim(bins[0], bins[-1])
ax.set(xlabel="score_samples (higher: more alike)", ylabel="Share of the crystals")
ax.yaxis.set_major_locator(MultipleLocator(0.05))
ax.yaxis.set_major_formatter("{x:.0%}")
ax.legend(frameon=False, loc="upper right")

plt.show()

# %%
# On the perovskites, intervals that are calibrated by crystals hold about nine gaps in ten of new
# metals on average over the splits, but far fewer in one of them. Those that are calibrated by
# metals hold more in every split, and are wider: that is what is known of a new metal. So
# calibrate by what will be new. The score adds what no
# interval tells: whether a crystal is one of those that the model can speak of. It does not notice
# all that have tin; the lines above say how many, and how large their errors are. See
# :ref:`uncertainty` for tables of other kinds, and :doc:`the benchmarks </benchmarks>` for more
# data.
