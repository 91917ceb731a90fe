"""
=========================
The spread of an ensemble
=========================

Five networks that differ only by their seeds agree where there are data, and differ where there
are none. This example draws the spread of such an ensemble over a range without data. It also
shows that the spread does not contain the noise of the target.
"""

# %%
# A range without data
# --------------------
# A target of one column, measured with noise, and never between 1 and 2.5.

import matplotlib.pyplot as plt
import numpy as np
import torch

from sknestedae import SupervisedAutoencoder

torch.set_num_threads(1)  # enough for networks as small as these

rng = np.random.default_rng(0)
x = rng.uniform(-3, 4, size=400)
x = x[(x < 1) | (x > 2.5)]


def truth(x):
    return np.sin(2 * x) + 0.3 * x


NOISE = 0.2
y = truth(x) + rng.normal(0, NOISE, size=len(x))

# %%
# An ensemble
# -----------
# ``n_members`` networks are trained at once; ``return_std`` asks for their spread beside their
# mean. With ``bootstrap=True`` each of them sees rows of its own draw. The hidden layer of the
# predictor says that the network is to predict: with so few rows, a Gaussian process would do so
# by default, and its standard deviation has the noise in it.

ensemble = SupervisedAutoencoder(
    n_components=4,
    hidden_layer_sizes=(50, 50),
    predictor_hidden_layer_sizes=(50,),
    prediction_weight=5,
    learning_rate_init=0.01,
    max_iter=300,
    n_members=5,
    bootstrap=True,
    random_state=0,
).fit(x[:, None], y)
grid = np.linspace(-4, 5, 400)
mean, spread = ensemble.predict(grid[:, None], return_std=True)

is_known = ((grid > -3) & (grid < 1)) | ((grid > 2.5) & (grid < 4))
is_between = (grid >= 1) & (grid <= 2.5)
error = np.abs(mean - truth(grid))
for name, rows in (("with data", is_known), ("between data", is_between)):
    print(f"{name}: mean spread {spread[rows].mean():.3f}, mean error {error[rows].mean():.3f}")

# %%
# The figure
# ----------

figure, ax = plt.subplots(figsize=(7.2, 4), layout="constrained")
ax.plot(x, y, ".", color="0.7", markersize=4, label="measured")
ax.plot(grid, truth(grid), color="black", linestyle=":", label="without noise")
ax.plot(grid, mean, color="#0072B2", label="mean of five members")
ax.fill_between(
    grid, mean - 2 * spread, mean + 2 * spread, color="#0072B2", alpha=0.25, label="± 2 spreads"
)
for member in ensemble.members_:
    ax.plot(grid, member.predict(grid[:, None]), color="#0072B2", linewidth=0.5, alpha=0.7)
ax.axvspan(1, 2.5, color="#E69F00", alpha=0.12, linewidth=0)
ax.text(1.75, ax.get_ylim()[0], "no data", ha="center", va="bottom", color="#9a6a00")
ax.set(xlabel="column", ylabel="target", xlim=(grid[0], grid[-1]))
ax.legend(loc="upper left", ncols=2, fontsize="small")

inside = np.abs(y - np.interp(x, grid, mean)) < 2 * np.interp(x, grid, spread)
print(f"{inside.mean():.0%} of the measured points lie within two spreads of the mean")

# %%
# The band widens between the data and beyond their ends, where members follow nothing but their
# own beginnings. Two things it does not tell. Where there are data, most measured points lie
# outside of it: they scatter by the noise of the target, of which members that agree say nothing.
# And at the right end the truth leaves it: members can be wrong together. Read the spread as a
# sign of where not to trust a prediction, not as an error bar.
