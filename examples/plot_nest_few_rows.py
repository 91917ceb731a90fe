"""
=====================================================
Transfer learning: nesting where the target is scarce
=====================================================

Hundreds of rows have a property that is cheap to compute. A few dozen other rows have the target,
which needs an experiment. A nested autoencoder learns the property at the first scale, and the
target at the second. We compare it with models that see the few rows alone, and with a plain model
that knows both scales as the chain does.

All data is made on the spot. As a script, this page prints its table and saves its figure in the
folder ``figures``.
"""

# %%
# Two scales with rows of their own
# ---------------------------------
# The columns f1 to f4 are functions of two hidden variables, z1 and z2 [1]_. At the first scale
# they are known of 600 rows, together with a property, the product z1 z2. The rows of the second
# scale have the same columns and three variables more, z3 to z5, beside them; their target,
# z1 z2 - z3 - z4 + sin z5, contains the property, which is not measured there. All five variables
# are independent, and every column has noise of a tenth of its standard deviation.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.datasets import make_nested_functions

torch.set_num_threads(1)  # enough for networks as small as these

SIZES, N_FIRST, N_TEST, SEEDS = (25, 50, 100), 600, 1000, (0, 1, 2)
FIRST_COLUMNS = ["f1", "f2", "f3", "f4"]
SAME_INFORMATION = "Predicted property, then ridge"


def make_rows(n_samples, rng):
    """Give the columns of both scales, the property and the target."""
    data = make_nested_functions(n_samples, sampling="independent", random_state=rng)
    table = pd.concat([data.data[0], data.z[["z3", "z4", "z5"]]], axis=1)
    table += 0.1 * rng.normal(size=table.shape) * table.std().to_numpy()
    z_product = (data.z["z1"] * data.z["z2"]).rename("property")
    return table, z_product, (data.data[1]["f5"] + np.sin(data.z["z5"])).rename("target")


first, first_property, _ = make_rows(N_FIRST, np.random.RandomState(0))
second, _, target = make_rows(max(SIZES), np.random.RandomState(1))
print("First scale: ", first.shape[0], "rows of", ", ".join(FIRST_COLUMNS))
print("Second scale:", SIZES, "rows of", ", ".join(second.columns))

# %%
# The chain
# ---------
# One table and one target per scale is all that the chain needs. What its first stage predicts is
# passed on to the second, whose predictor is a Gaussian process (``predictor="auto"`` takes it
# where rows are few). The first stage does not depend
# on the rows of the second scale. So it is fitted once for each seed; for the other sizes it goes
# into a new chain as a ``FrozenEstimator``, which gives the very same predictions, sooner.


def fit_chain(n_samples, fitted=None):
    """Fit a chain to some rows of the second scale, on a first stage that may be fitted."""
    stages = None
    if fitted is not None:
        stages = [
            ("scale0", FrozenEstimator(fitted), "scale0"),
            ("scale1", SupervisedAutoencoder(alpha="auto", predictor="auto"), "scale1"),
        ]
    nae = NestedAutoencoder(stages, random_state=seed)
    return nae.fit(
        [first[FIRST_COLUMNS], second[:n_samples]], [first_property, target[:n_samples]]
    )


# %%
# The others take the seven columns of the second scale's rows. "Flat" is one autoencoder of all
# of them. All are as they come; so boosting wants 20 rows in each leaf, and can do nothing with
# 25.


def others():
    """Make the models that see the second scale alone."""
    return {
        "Flat autoencoder": SupervisedAutoencoder(random_state=seed),
        "Gradient boosting": HistGradientBoostingRegressor(random_state=seed),
        "Random forest": RandomForestRegressor(random_state=seed),
        "Ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))),
    }


# %%
# All of them lack what the chain knows of the first scale. A rival with the same information is
# simple: gradient boosting learns the property from the 600 rows, and its prediction becomes one
# more column of a ridge regression.


def property_as_column(n_samples):
    """Predict from the columns of the second scale and a prediction of the property."""
    boosting = HistGradientBoostingRegressor(random_state=seed)
    boosting.fit(first[FIRST_COLUMNS], first_property)
    tables = [t.assign(p=boosting.predict(t[FIRST_COLUMNS])) for t in (second[:n_samples], test)]
    return others()["Ridge"].fit(tables[0], target[:n_samples]).predict(tables[1])


# %%
# The comparison
# --------------
# The unexplained variance, 1 - R², of a thousand new rows; all is drawn anew for each seed.

records = []
for seed in SEEDS:
    rng = np.random.RandomState(seed)
    first, first_property, _ = make_rows(N_FIRST, rng)
    second, _, target = make_rows(max(SIZES), rng)
    test, _, test_target = make_rows(N_TEST, rng)
    fitted = None
    for n in SIZES:
        nae = fit_chain(n, fitted)
        fitted = fitted or nae["scale0"]
        predictions = {"Nested autoencoder": nae.predict(test)[:, 1]}
        for name, model in others().items():
            predictions[name] = model.fit(second[:n], target[:n]).predict(test)
        predictions[SAME_INFORMATION] = property_as_column(n)
        records += [
            {"model": name, "rows": n, "seed": seed, "error": 1 - r2_score(test_target, y)}
            for name, y in predictions.items()
        ]
results = pd.DataFrame(records)
mean = results.pivot_table("error", "model", "rows", sort=False)
print(f"Unexplained variance of {N_TEST} new rows, mean of {len(SEEDS)} seeds\n")
print(mean.round(3).to_string())
nested = mean.loc["Nested autoencoder"]
without_first = mean.drop(["Nested autoencoder", SAME_INFORMATION]).min()
print("\nThe nested autoencoder's, divided by that of")
print("  the best without the first scale:", (nested / without_first).round(2).to_dict())
print(
    "  ridge with the predicted property:",
    (nested / mean.loc[SAME_INFORMATION]).round(2).to_dict(),
)

# %%
# The curves
# ----------
# Lines are means; the small points beside them are single seeds.

styles = {
    "Nested autoencoder": {"color": "#0072B2", "marker": "o", "linewidth": 2.5},
    SAME_INFORMATION: {"color": "#009E73", "marker": "s", "linestyle": "--", "linewidth": 2.5},
    "Flat autoencoder": {"color": "#D55E00", "marker": "^"},
    "Ridge": {"color": "#009E73", "marker": "D"},
    "Gradient boosting": {"color": "#CC79A7", "marker": "v"},
    "Random forest": {"color": "#000000", "marker": "P"},
}
figure, ax = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
for k, (name, style) in enumerate(styles.items()):
    ax.plot(mean.columns, mean.loc[name], label=name, markersize=6, **style)
    own = results[results["model"] == name]
    shifted = own["rows"] * 1.015 ** (k - 2.5)  # so that the points of models stand side by side
    ax.scatter(shifted, own["error"], s=9, color=style["color"], alpha=0.5, linewidth=0)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="Labelled rows at the second scale",
    ylabel="Unexplained variance of new rows",
    title="With and without 600 rows of the first scale",
)
ax.set_xticks(SIZES, labels=SIZES)
ax.set_yticks([0.03, 0.1, 0.3, 1], labels=["0.03", "0.1", "0.3", "1"])
ax.minorticks_off()
handles, labels = ax.get_legend_handles_labels()
known = [ax.plot([], [], " ")[0]]
legend = ax.legend(
    [*known, *handles[:2], *known, *handles[2:]],
    ["Both scales known", *labels[:2], "Second scale alone", *labels[2:]],
    loc="upper left",
    bbox_to_anchor=(1.01, 1),
    frameon=False,
)
for text in (legend.get_texts()[0], legend.get_texts()[3]):
    text.set_weight("bold")

folder = Path("figures")
folder.mkdir(exist_ok=True)
figure.savefig(folder / "nest_few_rows.png", dpi=200)
print(f"The figure is saved as {folder / 'nest_few_rows.png'}")

# %%
# Whoever knows the first scale is ahead of all who do not: what pays are its 600 labelled rows,
# and a property which the target contains. The chain is also ahead of the plain model with the
# same information: its second stage gets the predicted property, too, beside all columns, and a
# Gaussian process learns the linear and the other parts from both. The target is all but linear in
# the property, so that ridge with the predicted property is a strong rival: keep it as the
# yardstick on data of your own. Where both scales have many rows, or the property says little of
# the target, there is little to gain: see :ref:`the perovskites
# <sphx_glr_auto_examples_chains_plot_nest_perovskites.py>`.
#
# .. rubric:: References
#
# .. [1] N. Thota, M. Sharma Priyadarshini, R. Hernandez, Materials Horizons 11, 700 (2024).
