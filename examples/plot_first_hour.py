"""
=============================================================
Your first hour: from two messy files to the next experiments
=============================================================

You have two CSV files. The first has a few hundred crystals with a computed band gap. The second
has fewer rows: solar cells (devices) made of such crystals, with a measured efficiency. Which
devices should you build next? This page goes from the files to a list of experiments, and checks
each step. At its end you can download it as a notebook.

The files come with the package. A formula made them, with noise: nobody computed these crystals or
built these devices. So the last step can be checked against the truth.
"""

# %%
# 1. Look at the files
# --------------------
# ``load_solar_cells`` knows where the files are. Put the names of your own files here.

import textwrap
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sknestedae.datasets import load_solar_cells

crystals_file, devices_file = load_solar_cells().filenames
crystals = pd.read_csv(crystals_file)
crystals

# %%
# The second file has semicolons between its columns.

devices = pd.read_csv(devices_file, sep=";")
devices

# %%
# 2. Look for faults in the files
# -------------------------------
# Fit a small estimator to each table as it is, and read its warnings. They name the columns that
# would be misread, and each says what to do. Here we print where each of them begins.

from sknestedae import SupervisedAutoencoder

for table in (crystals, devices):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SupervisedAutoencoder(2, max_iter=1, random_state=0).fit(table)
    for warning in caught:
        print("-", textwrap.shorten(str(warning.message), 78, placeholder=" ..."))

# %%
# Some things it cannot know: rows that are in the file twice, a number that stands for a missing
# value, two spellings of one layer that differ by more than capitals. Look for them yourself:

print("Repeated rows:", crystals.duplicated().sum(), devices.duplicated().sum())
print(crystals["volume"].value_counts().head(3).to_dict())
print(devices["HTL"].value_counts().to_dict())

# %%
# 3. Clean them
# -------------
# pandas does all of it. It knows ``n/a`` by itself, and other spellings of a missing value once
# you name them. There is no need to fill them in: the estimators take NaN. (For larger tables, see
# also the ``Cleaner`` and the ``TableReport`` of `skrub <https://skrub-data.org>`_, and the page
# :ref:`before_you_fit`.)

crystals = pd.read_csv(crystals_file, na_values=["-", "-999"])
crystals = crystals.drop_duplicates(ignore_index=True)
crystals["gap"] = crystals["gap"].str.removesuffix(" eV").astype(float)

devices = pd.read_csv(devices_file, sep=";", decimal=",", na_values=["-"])
devices = devices.drop_duplicates(ignore_index=True)
devices["thickness"] = devices["thickness"].str.removesuffix(" nm").astype(float)
devices["ETL"] = devices["ETL"].str.strip().astype("category")
spelling = {"Spiro OMeTAD": "spiro-OMeTAD", "spiro-ometad": "spiro-OMeTAD"}
devices["HTL"] = devices["HTL"].replace(spelling).astype("category")

# %%
# Identifiers, dates and comments stay out of the tables that the model learns from, and so does
# what you will not choose in the next experiment, such as who was at the bench. The formula is a
# name, too: the shares of the ions say what the formula says, in numbers.

ions = ["FA", "MA", "Cs", "Sn", "I", "Br", "Cl"]
crystal_columns = [*ions, "volume"]
layer_columns = ["thickness", "annealing", "ETL", "HTL"]
X = [crystals[crystal_columns], devices[crystal_columns + layer_columns]]
y = [crystals["gap"], devices["efficiency"]]
compound = devices["formula"]
is_measured = devices["efficiency"].notna()
print(f"{len(X[0])} crystals, {y[0].notna().sum()} with a computed gap")
print(f"{len(X[1])} devices, {is_measured.sum()} measured")
print(f"{compound.nunique()} compounds in the devices")
print("Missing values:", {name: int(X[1][name].isna().sum()) for name in layer_columns})

# %%
# Plot the data before you fit a model. The gap tells a good part of the efficiency, but not all of
# it.

BLUE, ORANGE = "#0072B2", "#D55E00"
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
points = axes[0].scatter(crystals["I"], crystals["gap"], c=crystals["Sn"])
figure.colorbar(points, ax=axes[0], label="Share of tin")
axes[0].set(
    xlabel="Share of iodine",
    ylabel="Computed band gap (eV)",
    title="Crystals",
)
gap_of_device = compound.map(crystals.set_index("formula")["gap"])
axes[1].scatter(gap_of_device, devices["efficiency"], color=BLUE, alpha=0.6)
axes[1].set(
    xlabel="Computed band gap (eV), where there is one",
    ylabel="Measured efficiency (%)",
    title="Devices",
)
plt.show()

# %%
# 4. Fit a chain
# --------------
# The first stage learns crystals and their gap; the second learns devices, with what the first
# stage knows about the crystal in them. A list of two tables and a list of two targets is all that
# ``fit`` needs. Devices without a measured efficiency stay in the table: the target is NaN, and
# their columns still count (semi-supervised learning).
#
# ``predictor="auto"`` predicts by a Gaussian process where there are few rows, and
# ``target_bounds`` says that no efficiency is negative. The numbers of latents, 4 and 6, are
# hyperparameters; :class:`~sknestedae.model_selection.BatchedGridSearchCV` searches for better
# ones.

from sknestedae import NestedAutoencoder
from sknestedae.plotting import NestedDisplay

of_crystal = SupervisedAutoencoder(4, predictor="auto")
of_device = SupervisedAutoencoder(
    6,
    predictor="auto",
    alpha="auto",
    target_bounds=(0, None),
)
stages = [
    ("crystal", of_crystal, crystal_columns),
    ("device", of_device, layer_columns),
]
chain = NestedAutoencoder(stages, max_iter=100, random_state=0)
chain.fit(X, y)
display = NestedDisplay.from_estimator(chain)
plt.show()

# %%
# 5. Compare it with baselines
# ----------------------------
# A score on training rows says nothing. In a cross-validation each fold is the test set once. But
# which rows go into a fold together? Many devices are made of one compound, and some are even
# replicates of one recipe. If one of them is in the test set and its twin is a training row, the
# score is too good: that is a *data leak*. You want to predict *new* compounds. So hold out whole
# compounds (``groups``).
#
# :func:`~sknestedae.report` fits the chain anew in each fold, beside baselines: the median, ridge
# regression and gradient boosting. Two more baselines have the same information as the chain: the
# predicted gap is one more column of their table. Here the report is made twice, to show the leak.

from sknestedae import report

units = load_solar_cells().units
leaky = report(chain, X, y, random_state=0)
card = report(chain, X, y, groups=[None, compound], units=units, random_state=0)
errors = {}
for name, one in {"folds of rows": leaky, "folds of compounds": card}.items():
    scores = one.scores.query("target == 'efficiency' and metric == 'MAE'")
    scores = scores.replace("predicted property as a column", "gap as a column", regex=True)
    errors[name] = scores.pivot(index="model", columns="fold", values="score")
mean = pd.DataFrame({name: table.mean(axis=1) for name, table in errors.items()})
mean = mean.drop("this model, on rows it learnt from")
mean = mean.sort_values("folds of compounds")
print("Mean absolute error of the efficiency, in percentage points\n")
print(mean.round(2).to_string())

# %%
# Bars are means over the folds, points are single folds.

figure, axes = plt.subplots(
    1,
    2,
    figsize=(9, 3.6),
    sharex=True,
    sharey=True,
    layout="constrained",
)
models = mean.index[::-1]
for ax, (name, table) in zip(axes, errors.items(), strict=True):
    colors = [BLUE if model == "this model" else "0.8" for model in models]
    ax.barh(models, table.loc[models].mean(axis=1), color=colors)
    for fold in table:
        ax.plot(table.loc[models, fold], models, "o", color="0.25", markersize=5)
    ax.set(title=name.capitalize())
figure.supxlabel("Mean absolute error of the efficiency (percentage points)")
plt.show()

# %%
# Folds of rows make every model look better than it is for a new compound, and the flexible ones
# most of all. The folds of compounds differ much, as 37 compounds are few. So a difference between
# two means may be luck, even where one model is ahead in nearly all folds. The report tests this,
# and says in words what speaks against the model:

for limit in card.limits:
    print(textwrap.fill(limit, 78, initial_indent="- ", subsequent_indent="  "))

# %%
# If a baseline is better on your data, take the baseline; the :doc:`benchmarks </benchmarks>` say
# on which data that was so.
#
# 6. Error bars
# -------------
# ``return_std=True`` gives a standard deviation with each prediction. Can you believe it? Predict
# each compound while it is held out, and count how often the truth is as near as it should be. A
# device that was not measured is a training row like others, but there is no truth to count with.

from sklearn.model_selection import GroupKFold

held_out = pd.DataFrame(index=devices.index, columns=["prediction", "std"], dtype=float)
folds = GroupKFold(5, shuffle=True, random_state=0)
for train, test in folds.split(X[1], groups=compound):
    chain.fit([X[0], X[1].iloc[train]], [y[0], y[1].iloc[train]])
    prediction, std = chain.predict(X[1].iloc[test], return_std=True)
    held_out.iloc[test] = np.column_stack([prediction[:, 1], std[:, 1]])
held_out = held_out[is_measured]
error = (held_out["prediction"] - y[1][is_measured]).abs()
inside = error < 1.645 * held_out["std"]
print(f"within 1.645 standard deviations: {inside.mean():.0%}")
print("of a normal distribution: 90%")

# %%
# A *prediction interval* is then the prediction, plus and minus so many standard deviations. How
# many, the held-out rows can say themselves. That is conformal prediction; the chapter
# :ref:`uncertainty` does it with the package MAPIE.

n_std = np.quantile(error / held_out["std"], 0.9)
print(f"90% of the held-out devices are within {n_std:.2f} standard deviations")
low = (held_out["prediction"] - n_std * held_out["std"]).clip(lower=0)
high = held_out["prediction"] + n_std * held_out["std"]

figure, ax = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
ax.vlines(y[1][is_measured], low, high, color="0.8")
ax.plot(y[1][is_measured], held_out["prediction"], "o", color=BLUE, markersize=5)
ax.axline((0, 0), slope=1, color=ORANGE)
ax.set(
    xlabel="Measured efficiency (%)",
    ylabel="Predicted efficiency (%)",
    title="Held-out compounds, with 90 % prediction intervals",
)
plt.show()

# %%
# 7. Feature importance
# ---------------------
# Feature importance, by permutation: by how much does the error grow when one column of the test
# set is shuffled? The chain is that of the last fold, and the test set the compounds that it did
# not see.

from sklearn.inspection import permutation_importance
from sklearn.metrics import mean_absolute_error


def minus_error(model, X, y):
    return -mean_absolute_error(y, model.predict(X)[:, -1])


rows = test[is_measured.iloc[test]]
found = permutation_importance(
    chain,
    X[1].iloc[rows],
    y[1].iloc[rows],
    scoring=minus_error,
    n_repeats=10,
    random_state=0,
)
order = found.importances_mean.argsort()
names = X[1].columns[order]
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ax.barh(
    names,
    found.importances_mean[order],
    xerr=found.importances_std[order],
    color=[ORANGE if name in layer_columns else BLUE for name in names],
)
ax.set(
    xlabel="Growth of the mean absolute error (percentage points)",
    title="Feature importance: crystal (blue), layers (orange)",
)
plt.show()

# %%
# The shares of the ions sum up to 1, so that one of them can stand for another: the importance of
# one share alone is not to be trusted. See :ref:`interpretation`.
#
# 8. Impute missing values
# ------------------------
# No step needs a complete table. Where you want one, such as the list of crystals in the next
# step, ``complete`` imputes missing values and leaves all others as they are. Here the truth is
# known, so that we can compare with the mean and with scikit-learn's linear imputer. (The volume
# is linear in the shares of the ions, so that a linear imputer is the right model for it.)

from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from sknestedae.datasets import solar_cell_formula

chain.fit(X, y)  # on all rows again
complete_crystals, complete_devices = chain.complete(X)
is_missing = crystals["volume"].isna()
imputer = IterativeImputer(random_state=0).set_output(transform="pandas")
imputed = {
    "chain": complete_crystals["volume"],
    "linear imputer": imputer.fit_transform(X[0])["volume"],
    "mean": X[0]["volume"].fillna(X[0]["volume"].mean()),
}
truth = solar_cell_formula(crystals)["volume"]
for name, volume in imputed.items():
    print(f"{name}: mean error {(volume - truth)[is_missing].abs().mean():.1f} Å³")

# %%
# 9. The next experiments
# -----------------------
# :func:`~sknestedae.design.propose` searches for devices with the highest predicted efficiency
# (inverse design). Say what you can build: a crystal of the list (``library``), a thickness from
# 300 to 800 nm, an annealing temperature from 80 to 180 °C. Six devices of six compounds teach
# more than six of one. So we ask for twenty candidates and keep the best of each compound.

from sknestedae.design import propose

design = propose(
    chain,
    X,
    {"device": "max"},
    n_candidates=20,
    library=complete_crystals,
    bounds={"thickness": (300, 800), "annealing": (80, 180)},
    random_state=0,
)
candidates = design.X.droplevel("scale", axis=1)  # the columns of both tables
candidates["predicted"] = design.prediction[:, -1]
candidates["low"] = candidates["predicted"] - n_std * design.prediction_std[:, -1]
candidates["high"] = candidates["predicted"] + n_std * design.prediction_std[:, -1]
candidates["domain"] = design.domain
candidates = candidates.merge(crystals[["formula", *ions]], on=ions)
experiments = candidates.drop_duplicates("formula", ignore_index=True)[:6]
shown = ["formula", *layer_columns, "predicted", "low", "high", "domain"]
experiments[shown].round(2)  # and .to_csv("experiments.csv") for the laboratory

# %%
# ``domain`` is the share of the known devices that are less typical of the training rows than this
# one. Near 0, the model knows little about such a device: doubt its interval. And all six were
# chosen because their prediction is high, so that the intervals may hold less often than they
# promise.
#
# 10. The proposed devices against the truth
# ------------------------------------------
# Usually only the laboratory knows the truth. Here the formula does.

truth = solar_cell_formula(experiments)["efficiency"]
best_so_far = y[1].max()
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
lines = experiments["formula"]
ax.hlines(lines, experiments["low"], experiments["high"], color="0.8", lw=4)
ax.plot(experiments["predicted"], lines, "o", color=BLUE, ms=8, label="predicted")
ax.plot(truth, lines, "D", color=ORANGE, ms=7, label="truth")
ax.axvline(best_so_far, color="0.3", ls="--", label="best device so far, measured")
ax.margins(y=0.1)
ax.invert_yaxis()
ax.set(
    xlabel="Efficiency (%)",
    title="Six proposed devices, with 90 % prediction intervals",
)
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, frameon=False)
plt.show()

# sphinx_gallery_thumbnail_number = 6

# %%
# A simple rival has the same information: gradient boosting with the predicted gap as a column
# picks the best of 20,000 devices that are drawn at random within the same limits, again one for
# each compound. The control is six devices drawn at random.

from sklearn.ensemble import HistGradientBoostingRegressor

rng = np.random.default_rng(0)
drawn = rng.integers(len(crystals), size=20_000)
pool = complete_crystals.iloc[drawn].reset_index(drop=True)
pool["thickness"] = rng.uniform(300, 800, len(pool))
pool["annealing"] = rng.uniform(80, 180, len(pool))
for name in ("ETL", "HTL"):
    kinds = devices[name].cat.categories
    pool[name] = pd.Categorical(rng.choice(kinds, len(pool)), categories=kinds)
has_gap = crystals["gap"].notna()
of_gap = HistGradientBoostingRegressor(random_state=0)
of_gap.fit(X[0][has_gap], y[0][has_gap])
known, candidates = (
    table.assign(gap=of_gap.predict(table[crystal_columns]))
    for table in (X[1][is_measured], pool[X[1].columns])
)
boosting = HistGradientBoostingRegressor(random_state=0)
boosting.fit(known, y[1][is_measured])
pool["predicted"] = boosting.predict(candidates)
ranked = pool.sort_values("predicted", ascending=False).drop_duplicates(ions)
lists = {"chain": experiments, "boosting": ranked[:6], "random": pool[:6]}
lists = {name: solar_cell_formula(table)["efficiency"] for name, table in lists.items()}
summary = pd.DataFrame({name: list(values) for name, values in lists.items()})
print(f"best device so far: {best_so_far} % (measured)")
print("True efficiency of the six devices (%)\n")
print(summary.agg(["mean", "min", "max"]).T.round(1).to_string())

# %%
# On average, both lists are far better than the best device so far; not each of their devices has
# to be. One run tells little about which of two good lists is better: the :doc:`benchmarks
# </benchmarks>` repeat such searches.
#
# Now build the six, add their rows to the file, and run the page again. To learn from each round
# what to measure in the next is called *active learning*.
#
# 11. The report
# --------------
# The report of step 5 is a page for a colleague, or for the supplement of a paper.
# ``card.save("card.html")`` writes it to one file. In a notebook it shows itself.

card

# %%
# Where to go on: :ref:`before_you_fit` for your own files, :ref:`nested_autoencoder` for chains,
# :ref:`uncertainty` for error bars, :ref:`design` for what may be asked of ``propose``.
