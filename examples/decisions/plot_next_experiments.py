"""
===========================================
Bayesian optimisation: the next experiments
===========================================

You can measure three samples a week, and want the best one soon. The best prediction alone
misleads: where nothing was measured yet, something better may be. The expected improvement weighs
the prediction and how sure it is. Here is one parameter of a process, so that all of it can be
drawn.
"""

# %%
# A process with one parameter
# ----------------------------
# The yield depends on the temperature; a formula stands for the laboratory. Four temperatures were
# measured, all on the side of a low maximum. The true curve is drawn dashed: nobody knows it.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from sknestedae import SupervisedAutoencoder
from sknestedae.design import propose

torch.set_num_threads(1)  # enough for networks as small as these
BLUE, ORANGE = "#0072B2", "#D55E00"
N_ROUNDS, N_BATCH = 3, 3


def true_yield(temperature):
    """Give the yield in percent, at a temperature in °C."""
    low = 45 * np.exp(-(((temperature - 130) / 35) ** 2))
    high = 80 * np.exp(-(((temperature - 270) / 30) ** 2))
    return low + high


def measure(table, rng):
    """Measure yields, with a noise of 1 %."""
    return true_yield(table["temperature"]) + rng.normal(size=len(table))


def fit(known, measured):
    """Fit an autoencoder whose predictor is a Gaussian process: it knows how sure it is."""
    sae = SupervisedAutoencoder(1, predictor="gaussian_process", max_iter=50, random_state=0)
    return sae.fit(known, measured)


# %%
# Three rounds
# ------------
# In each round three temperatures are proposed, measured, and learnt from. ``domain_weight=0``
# lets the search leave the range in which the first samples lie: to explore is what we want here.
# By the best prediction (top), all three lie at the low maximum, in each round. By the expected
# improvement (bottom), each of the three is chosen as if those before it had been measured: they
# differ, one of them finds the high maximum in the second round, and the third round measures
# around it.


def run(acquisition):
    """Give what was known before each round, what was predicted, and what was proposed."""
    rng = np.random.default_rng(0)
    known = pd.DataFrame({"temperature": [90.0, 115.0, 150.0, 175.0]})
    measured = measure(known, rng)
    rounds = []
    for k in range(N_ROUNDS):
        sae = fit(known, measured)
        design = propose(
            sae,
            known,
            "max",
            acquisition=acquisition,
            n_candidates=N_BATCH,
            bounds={"temperature": (50, 350)},
            domain_weight=0,
            random_state=k,
        )
        rounds.append((sae, known, measured, design.X))
        known = pd.concat([known, design.X], ignore_index=True)
        measured = pd.concat([measured, measure(design.X, rng)], ignore_index=True)
    return rounds, measured


def draw(axes, rounds, title):
    """Draw each round: the prediction, what is known, and what is proposed."""
    grid = pd.DataFrame({"temperature": np.linspace(50, 350, 301)})
    x = grid["temperature"]
    for k, (ax, (sae, known, measured, proposed)) in enumerate(zip(axes, rounds, strict=True)):
        mean, std = sae.predict(grid, return_std=True)
        ax.plot(x, true_yield(x), "--", color="0.4", linewidth=1, label="true yield")
        ax.fill_between(x, mean - 2 * std, mean + 2 * std, color=BLUE, alpha=0.15, linewidth=0)
        ax.plot(x, mean, color=BLUE, label="predicted, ± 2 standard deviations")
        ax.plot(known, measured, "o", color="0.2", markersize=5, label="measured")
        for place in proposed["temperature"]:
            ax.axvline(place, color=ORANGE, linewidth=1.2)
        ax.plot([], [], color=ORANGE, label="proposed next")
        ax.set(ylim=(-5, 130), title=f"{title}, round {k + 1}")


figure, axes = plt.subplots(
    2, N_ROUNDS, figsize=(11, 6), sharex=True, sharey=True, layout="constrained"
)
best = {}
for row, (acquisition, title) in zip(
    axes,
    {"mean": "best prediction", "expected_improvement": "expected improvement"}.items(),
    strict=True,
):
    rounds, measured = run(acquisition)
    draw(row, rounds, title)
    best[title] = [own.max() for _, _, own, _ in rounds] + [measured.max()]
    row[0].set_ylabel("Yield (%)")
for ax in axes[1]:
    ax.set_xlabel("Temperature (°C)")
figure.legend(
    *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False
)

# %%
# The best yield that was measured, before the first round and after each. The formula has 80 % at
# most. One curve proves nothing: the :doc:`benchmarks </benchmarks>` have several functions of
# five variables, other models, and draws of the first samples. See :ref:`acquisition`.

columns = ["at the start", *(f"round {k + 1}" for k in range(N_ROUNDS))]
print(pd.DataFrame(best, index=columns).T.round(0).to_string())
plt.show()
