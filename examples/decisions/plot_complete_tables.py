"""
=============================================
Imputation: missing values and missing scales
=============================================

Tables have missing values. Those of a crystal follow nearly from its measured values: an
autoencoder imputes them, and so do good imputers. A whole scale may be missing, too: nobody has
built a solar cell of a crystal. Which layers would go with it, and which efficiency would the
cell have? A chain proposes several answers. We test them on cells that it never saw.
"""

# %%
# Two tables
# ----------
# Crystals ABX3, with five properties of each ion, and solar cells made of such crystals, with the
# layers that carry electrons (ETL) and holes (HTL) away [1]_. The data are downloaded at first
# use; ``SKNESTEDAE_DATA`` may name a folder that has them. Where there is neither, generated
# tables of the same kind stand in, and the page says so.

import os
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, ScaleKFold, SupervisedAutoencoder, stack_scales
from sknestedae.datasets import fetch_perovskites, make_perovskites

torch.set_num_threads(1)  # enough for networks as small as these

folder = os.environ.get("SKNESTEDAE_DATA")
try:
    data = fetch_perovskites(data_home=folder, download_if_missing=folder is None, n_retries=0)
except (OSError, ImportError) as error:
    print(f"Generated data under the real names, as the perovskites cannot be had here: {error}")
    data = make_perovskites(random_state=0)
crystals = data.crystals.astype(float)
PERCENT = " (%)" if data.units else ""
print(f"{len(crystals)} crystals, {len(data.devices)} cells")

# %%
# Entries at random
# -----------------
# A fifth of the crystals is held out, and a part of their entries hidden. What all are asked for
# is what was hidden. The autoencoder has 12 latents; the imputers are scikit-learn's: the median,
# the mean of the five nearest neighbours, and a forest for each column in turn, in four rounds.
# ``tol=0`` asks for all of them: without missing values in ``fit``, they would seem to agree at
# once.

train, test = train_test_split(crystals, test_size=0.2, random_state=0)
forests = IterativeImputer(
    ExtraTreesRegressor(20, random_state=0), max_iter=4, tol=0, random_state=0
)
imputers = {
    "Median": SimpleImputer(strategy="median"),
    "Nearest neighbours": make_pipeline(StandardScaler(), KNNImputer()),
    "Forests in turn": forests,
}
autoencoder = SupervisedAutoencoder(12, max_iter=300, random_state=0).fit(
    train, data.gap[train.index]
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # of the rounds, see above
    for imputer in imputers.values():
        imputer.set_output(transform="pandas").fit(train)


def complete_by(name, incomplete):
    """Complete a table by one of the methods."""
    if name == "Autoencoder":
        return autoencoder.complete(incomplete)
    imputer = imputers[name]
    filled = imputer.transform(incomplete)
    if name == "Nearest neighbours":  # back to the columns' own units
        filled = filled * imputer[0].scale_ + imputer[0].mean_
    return filled


scale = train.std()
fractions = (0.1, 0.3, 0.5, 0.7)
names = [*imputers, "Autoencoder"]
errors = pd.DataFrame(index=fractions, columns=names, dtype=float)
by_column = pd.DataFrame(index=crystals.columns, columns=names, dtype=float)
rng = np.random.RandomState(0)
for fraction in fractions:
    hidden = pd.DataFrame(rng.uniform(size=test.shape) < fraction, test.index, test.columns)
    incomplete = test.mask(hidden)
    for name in names:
        error = ((complete_by(name, incomplete) - test).abs() / scale).where(hidden)
        errors.loc[fraction, name] = np.nanmean(error)
        if fraction == 0.5:
            by_column[name] = error.mean()
print("Mean absolute error of hidden entries, in standard deviations of their column\n")
print(errors.rename_axis("hidden").round(3).to_string())

# %%
# Five properties of an ion go together, so that a few of the perovskites' columns tell the others.
# Where little is hidden, a forest for each column does as well or better, as each has nearly all
# of its companions; the autoencoder gains where much is hidden.

colors = dict(zip(names, ("0.55", "#E69F00", "#009E73", "#0072B2"), strict=True))
markers = dict(zip(names, "sD^o", strict=True))
figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4.6), layout="constrained", width_ratios=(1, 1.15)
)
place = np.arange(len(by_column))[::-1]
for name in names:
    style = {"color": colors[name], "marker": markers[name], "markersize": 6}
    left.plot(100 * errors.index, errors[name], label=name, linewidth=1.6, **style)
    right.plot(by_column[name], place, linestyle="none", **style)
left.set(
    xlabel="Entries hidden (%)",
    ylabel="Mean absolute error (standard deviations)",
    yscale="log",
    xticks=[100 * fraction for fraction in fractions],
)
left.legend(frameon=False)
right.set_yticks(place, by_column.index)
right.set(xlabel="Mean absolute error (standard deviations), half hidden", xscale="log")
right.grid(axis="y", color="0.9")
right.set_axisbelow(True)
figure.suptitle(f"Imputation of {len(test)} held-out crystals")

# %%
# A scale that is wholly missing
# ------------------------------
# Now the case of the paper: FAPbBr3, a known crystal, in a cell. The cells of this composition and
# a fifth of all compositions are left out; the chain learns from the rest. Its second stage has
# the latents of the crystal beside the layers. Where the layers are not known, it searches for
# latents of its own that give the crystal's latents back: ``mismatch`` says how nearly, in
# standard deviations. There are several such places: it begins at training cells that agree with
# the known values and differ in their layers, those first that are commonest. Five chains that
# differ by their seeds tell how sure the efficiency is, which ``target_bounds`` keeps above 0.

X, y = stack_scales([crystals, data.devices], [data.gap, data.pce], names=["crystal", "device"])
is_device = X.index.get_level_values("scale") == "device"
groups = np.empty(len(X), dtype=object)
groups[~is_device] = data.crystal_formula
groups[is_device] = data.device_composition
commonest = data.device_composition.mode()[0]
folds = ScaleKFold(5, shuffle=True, random_state=0).split(X, y, groups)
train, test = next((train, test) for train, test in folds if commonest not in groups[test])
train = train[groups[train] != "FAPbBr3"]
settings = {"predictor": "network", "max_iter": 60, "random_state": 0}
stages = [
    ("crystal", SupervisedAutoencoder(12, **settings), "crystal"),
    ("device", SupervisedAutoencoder(18, target_bounds=(0, None), **settings), "device"),
]
nae = NestedAutoencoder(stages, train_rows="all", n_members=5, random_state=0)
nae.fit(X.iloc[train], y.iloc[train])

is_wanted = data.crystal_formula == "FAPbBr_3"
wanted = crystals[is_wanted] if is_wanted.any() else crystals.iloc[[0]]
formula = "FAPbBr3" if is_wanted.any() else data.crystal_formula[0]
cell = wanted.assign(ETL=None, HTL=None)
found = nae.complete(cell, n_candidates=6)
mean, spread = nae.predict(found.X, return_std=True)
proposals = found.X["device"].assign(
    mismatch=found.mismatch, efficiency=mean[:, 1], spread=spread[:, 1]
)
print(f"Cells of {formula} that the chain proposes\n")
print(proposals.round(3).to_string(index=False))
is_same = data.device_composition == formula
measured = data.devices.loc[is_same, ["ETL", "HTL"]].assign(efficiency=data.pce[is_same])
if len(measured):
    print("\nMeasured, and left out\n")
    print(measured.to_string(index=False))

# %%
# Are such proposals any good? Of the compositions that were left out the layers are known. We ask
# for up to eight proposals for each composition, and count for how many of its cells the pair of
# layers is among the first few. To beat is a list that needs no model: the pairs of layers that
# are commonest among the cells that were learnt from.

columns = X["crystal"].columns
held_out = data.devices.loc[X.iloc[test].loc["device"].index]
learnt = data.devices.loc[X.iloc[train].loc["device"].index]
composition = data.device_composition[held_out.index]
new = held_out.groupby(composition).head(1)
asked = nae.complete(new.assign(ETL=None, HTL=None), n_candidates=8)


def pairs(table):
    """Give both layers of each cell as one text."""
    return table["ETL"].astype(str) + " / " + table["HTL"].astype(str)


proposed = pairs(asked.X["device"]).to_numpy()
of_new = {c: proposed[asked.row == i] for i, c in enumerate(composition[new.index])}
common = pairs(learnt).value_counts().index
true = pairs(held_out)
ranks = np.arange(1, 9)
hits = pd.DataFrame(
    {
        "chain": [
            np.mean([p in of_new[c][:k] for p, c in zip(true, composition, strict=True)])
            for k in ranks
        ],
        "commonest pairs": [true.isin(common[:k]).mean() for k in ranks],
    },
    index=pd.Index(ranks, name="proposals"),
)
print(f"Fraction of {len(held_out)} held-out cells, of {len(new)} compositions,")
print("whose layers are among the first proposals\n")
print(hits.round(2).T.to_string())

# %%
# On the perovskites the first proposal is about as good as the commonest pair: layers hardly
# follow from the crystal, as every laboratory has its habits. Further down the list the chain's
# proposals are mostly the better ones.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 3.8), layout="constrained", width_ratios=(1.2, 1)
)
labels = pairs(proposals)
place = pd.Series(np.arange(len(proposals))[::-1], labels)
left.errorbar(
    proposals["efficiency"],
    place,
    xerr=proposals["spread"],
    fmt="o",
    color="#0072B2",
    capsize=4,
    markersize=8,
    label="Predicted, with the spread of five chains",
)
for at, value, mismatch in zip(place, proposals["efficiency"], proposals["mismatch"], strict=True):
    left.annotate(
        f"mismatch {mismatch:.3f}",
        (value, at),
        (0, 8),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        color="0.3",
    )
is_proposed = pairs(measured).isin(place.index).to_numpy()
if is_proposed.any():
    shown = measured[is_proposed]
    at = place[pairs(shown)]
    left.plot(shown["efficiency"], at, "*", color="#D55E00", markersize=14, label="Measured")
left.set_yticks(place, place.index)
left.set(
    xlabel=f"Efficiency{PERCENT}",
    ylim=(-1.8, len(proposals) - 0.3),
    title=f"Layers proposed for {formula}",
)
left.grid(axis="y", color="0.9")
left.margins(x=0.15)
left.legend(frameon=False, loc="lower center")
right.plot(ranks, hits["chain"], "o-", color="#0072B2", label="Proposals of the chain")
right.plot(ranks, hits["commonest pairs"], "s--", color="0.45", label="Commonest pairs")
right.set(
    xlabel="Number of proposals",
    ylabel="Cells whose layers are among them",
    ylim=(0, 1.03),
    xticks=ranks,
    title=f"{len(held_out)} held-out cells",
)
right.legend(frameon=False, loc="lower right")

# %%
# So: entries at random are filled well, and a good imputer does that too; the first table tells
# where which is better. For a new crystal the chain gives a list of layers, which the right panel
# holds against what everybody does anyway, and the efficiency that it expects of each. Where a
# measured cell, the star, lies far beside its bar, it shows what the spread of chains is not: an
# error bar for a composition unlike those that were learnt from. :ref:`The guide <completion>` has
# the rest, :doc:`the benchmarks </benchmarks>` more splits and other imputers.
#
# .. rubric:: References
#
# .. [1] N. Thota, M. Sharma Priyadarshini, R. Hernandez, Materials Horizons 11, 700 (2024).
