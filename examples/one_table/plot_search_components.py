"""
=====================================
Grid search for the number of latents
=====================================

How many latents does a table need? A grid search answers by cross-validation, here for two tables
of which the answer is known: the same thirteen functions, once of two variables that move
independently, and once of five.
"""

# %%
# Two tables
# ----------
# In the published sampling of the functions, four of the five variables move in step; the other
# sampling draws all five independently.

import matplotlib.pyplot as plt
import pandas as pd
import torch

from sknestedae import SupervisedAutoencoder
from sknestedae.datasets import make_nested_functions
from sknestedae.model_selection import BatchedGridSearchCV

torch.set_num_threads(1)  # enough for networks as small as these

tables = {}
for n_variables, sampling in ((2, "paper"), (5, "independent")):
    dataset = make_nested_functions(300, sampling=sampling, random_state=0)
    tables[n_variables] = pd.concat(dataset.data, axis=1)

# %%
# The search
# ----------
# Without a target, the score of an autoencoder is R² of the reconstruction. The search is
# scikit-learn's ``GridSearchCV`` with another import: the three folds of each number of latents
# are trained at once.

n_components = [1, 2, 3, 5, 8]
sae = SupervisedAutoencoder(max_iter=100, learning_rate_init=0.01, random_state=0)
results = {}
for n_variables, X in tables.items():
    X = X.sample(frac=1, random_state=0)  # the published sampling is ordered
    search = BatchedGridSearchCV(sae, {"n_components": n_components}, cv=3).fit(X)
    results[n_variables] = pd.DataFrame(search.cv_results_).set_index("param_n_components")

print("Mean R² of the reconstruction of the rows left out\n")
table = pd.DataFrame({k: result["mean_test_score"] for k, result in results.items()})
print(table.rename(columns="{} variables".format).rename_axis("latents").round(3).to_string())

# %%
# The curves
# ----------

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for (n_variables, result), color in zip(results.items(), ("#0072B2", "#D55E00"), strict=True):
    ax.errorbar(
        result.index,
        result["mean_test_score"],
        result["std_test_score"],
        marker="o",
        capsize=3,
        color=color,
        label=f"{n_variables} variables",
    )
    ax.axvline(n_variables, color=color, linestyle=":", linewidth=1)
ax.set(
    xlabel="Number of latents",
    ylabel="R² of the reconstruction",
    title="Mean and standard deviation of three folds",
    xticks=n_components,
)
ax.legend(loc="lower right")

# %%
# The curve of two variables bends at two, and that of five keeps rising up to five and beyond it:
# the number of variables (dotted) says how few latents can be enough, not how few a small network
# will find enough in a hundred epochs. Where the score still rises, more latents are worth their
# place; where it is flat within the error bars, take the smaller number.
