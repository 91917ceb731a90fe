"""
============================================
Latents of a mixed table with missing values
============================================

A table of solar cells: numbers that describe the crystal, two categories that name the layers
around it, and an efficiency to predict. We take every tenth number away, fit two latents, and look
at what they say, what they give back, and how well they impute the missing values.
"""

# %%
# The table
# ---------
# The solar cells come from the data of Thota, Sharma Priyadarshini and Hernandez [1]_, which are
# downloaded at first use. ``SKNESTEDAE_DATA`` may name a folder that has them. Where there is
# neither the folder nor a connection, a generated table of the same kind stands in, and the page
# says so.

import os

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GroupShuffleSplit

from sknestedae import SupervisedAutoencoder
from sknestedae.datasets import fetch_perovskites, make_perovskites
from sknestedae.plotting import HistoryDisplay, LatentDisplay, ReconstructionDisplay

torch.set_num_threads(1)  # enough for a network as small as this
# sphinx_gallery_thumbnail_number = 2

folder = os.environ.get("SKNESTEDAE_DATA")
try:
    data = fetch_perovskites(data_home=folder, download_if_missing=folder is None, n_retries=0)
except (OSError, ImportError) as error:
    print(f"Generated data under the real names, as the perovskites cannot be had here: {error}")
    data = make_perovskites(random_state=0)
X_full, y, groups = data.devices, data.pce.rename("efficiency"), data.device_composition
unit = data.units.get("pce")
categorical = list(X_full.select_dtypes("category").columns)
numeric = [column for column in X_full.columns if column not in categorical]
print(f"Solar cells: {X_full.shape[0]} rows, {X_full.shape[1]} columns")

# %%
# Now the missing values: every tenth number, at random. We keep the full table to compare with.
# Many cells are of one composition, so that a split by rows would find most inputs in both parts;
# whole compositions are held out instead.

is_missing = np.random.RandomState(0).uniform(size=(len(X_full), len(numeric))) < 0.1
X = X_full.copy()
X[numeric] = X[numeric].mask(is_missing)
train, test = next(GroupShuffleSplit(test_size=0.25, random_state=0).split(X, y, groups))
print(
    f"{len(train)} rows to learn from, {len(test)} held out; {is_missing.sum()} numbers taken away"
)

# %%
# Two latents
# -----------
# The table goes in as it is: numbers are standardised, categories become one-hot, and a missing
# value enters as the mean and is left out of the reconstruction error. ``predictor="network"``
# makes the prediction a function of the two latents; by default, a Gaussian process of the columns
# would predict.

positive = (0, None)  # what an efficiency can be
sae = SupervisedAutoencoder(
    n_components=2, predictor="network", target_bounds=positive, random_state=0
)
sae.fit(X.iloc[train], y.iloc[train])
HistoryDisplay.from_estimator(sae, terms=["reconstruction", "prediction"])

# %%
# The latents, coloured by columns
# --------------------------------
# The held-out rows, coloured by the target and by a category of the table. Rare compositions lie
# far out, as they do in the table; the crowd is where most cells are.

LatentDisplay.from_estimator(sae, X.iloc[test], color=y.iloc[test], color_unit=unit)
LatentDisplay.from_estimator(sae, X.iloc[test], color=categorical[0])

# %%
# Reconstruction
# --------------
# So many columns cannot pass through two latents unharmed. Some do well; others are the price.

ReconstructionDisplay.from_estimator(
    sae,
    X.iloc[test],
    columns=[*numeric[::3][:4], *categorical],
    units=data.units,
    n_cols=3,
)

# %%
# In numbers
# ----------
# Beside each number stands what needs no model: the commonest category, the mean of the column,
# the median of the target.

Z = sae.transform(X.iloc[test])
decoded = sae.inverse_transform(Z).set_axis(X.index[test])
true, seen = X_full.iloc[test], X_full.iloc[train]
lines = {}
for column in categorical:
    commonest = seen[column].mode()[0]
    lines[f"{column}: fraction correct"] = (
        (decoded[column].astype(str) == true[column].astype(str)).mean(),
        (true[column] == commonest).mean(),
    )
scale, hidden = X.iloc[train][numeric].std(), is_missing[test]
error = ((decoded[numeric] - true[numeric]) / scale).to_numpy()[hidden]
deviation = ((X.iloc[train][numeric].mean() - true[numeric]) / scale).to_numpy()[hidden]
lines["missing values: RMS error (standard deviations)"] = (
    np.sqrt(np.mean(error**2)),
    np.sqrt(np.mean(deviation**2)),
)
lines[f"{y.name}: mean absolute error" + (f" ({unit})" if unit else "")] = (
    mean_absolute_error(y.iloc[test], sae.predict(X.iloc[test])),
    mean_absolute_error(y.iloc[test], np.full(len(test), y.iloc[train].median())),
)
table = pd.DataFrame.from_dict(lines, orient="index", columns=["two latents", "no model"])
print(table.round(2).to_string())

# %%
# Two latents are a map to look at, not the best model there is: with more of them, the
# reconstruction and the imputation improve, and :ref:`the search for their number
# <sphx_glr_auto_examples_one_table_plot_search_components.py>` tells how far.
#
# .. rubric:: References
#
# .. [1] N. Thota, M. Sharma Priyadarshini, R. Hernandez, Materials Horizons 11, 700 (2024).
