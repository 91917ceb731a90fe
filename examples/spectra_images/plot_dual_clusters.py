"""
========================================
A dual autoencoder of images and spectra
========================================

An image shows a structure, a spectrum a property of it. How much does one tell of the other? A
*dual variational autoencoder* [1]_ has an encoder and a decoder for each kind of data, and one
latent space that both share. So it predicts spectra from images and images from spectra, and it
shows what each kind knows of the other. We try it on simulated clusters of metal particles, where
the truth is known.
"""

# %%
# Clusters of one, two or three particles
# ---------------------------------------
# A cluster has one to three metal spheres of one radius. Its image is what an electron microscope
# would show. Its spectrum is the extinction of light, as coupled dipoles have it: spheres that are
# near each other change each other's resonance. Both have noise. The direction in which a cluster
# lies has no influence on its spectrum, which is that of unpolarised light.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score

from sknestedae import DualAutoencoderClassifier, stack_kinds
from sknestedae.blocks import ImageBlock, SpectrumBlock
from sknestedae.datasets import make_nanoparticle_clusters
from sknestedae.inspection import translation_scores
from sknestedae.plotting import AlignmentDisplay, ManifoldDisplay

torch.set_num_threads(1)  # enough for networks as small as these

COLORS = {1: "#0072B2", 2: "#D55E00", 3: "#009E73"}
NAMES = {1: "one particle", 2: "two particles", 3: "three particles"}

data = make_nanoparticle_clusters(650, random_state=0)
energies = pd.Index(data.energies, name="Photon energy (eV)")
X = stack_kinds(image=data.images, spectrum=pd.DataFrame(data.spectra, columns=energies))
number = data.n_particles
train, test = np.arange(400), np.arange(400, 650)
X_train, X_test, true_number = X.iloc[train], X.iloc[test], number[test]
images, spectra = data.images[test], data.spectra[test]
print(f"{len(train)} pairs for training, {len(test)} for the tests; X has {X.shape[1]} columns")


def draw_image(ax, image, title=""):
    """Draw an image without ticks, all on one scale."""
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize="medium")


figure, axes = plt.subplots(
    2, 6, figsize=(11, 4), layout="constrained", sharey="row", height_ratios=[1, 1.1]
)
for k, (n, color) in enumerate(COLORS.items()):
    for j, row in enumerate(np.flatnonzero(number == n)[:2]):
        above, below = axes[:, 2 * k + j]
        draw_image(above, data.images[row], NAMES[n])
        below.plot(energies, data.spectra[row], color=color)
        below.set(xlabel="Energy (eV)")
axes[1, 0].set_ylabel("Extinction (scaled)")
plt.show()

# %%
# One latent space
# ----------------
# ``stack_kinds`` made one table of both kinds. The numbers of particles are the labels: a part of
# the latents must tell them, from each kind. ``invariance="symmetries"`` says that mirrored and
# turned images are the same, as they have the same spectrum. ``beta`` makes the latents
# variational: an encoder gives a mean and a standard deviation of each latent.

blocks = [
    ("image", ImageBlock(invariance="symmetries"), "image"),
    ("spectrum", SpectrumBlock(), "spectrum"),
]
dual = DualAutoencoderClassifier(8, blocks=blocks, beta=0.1, max_iter=60, random_state=0)
dual.fit(X_train, number[train])
names = pd.Categorical([NAMES[n] for n in true_number], list(NAMES.values()))
AlignmentDisplay.from_estimator(dual, X_test, names)
plt.show()

# %%
# Both kinds have their test clusters at the same places: the distance between the latents of a
# cluster, from its image and from its spectrum, is a sixth of that between two clusters. Single
# particles are far from the others. Two and three particles overlap in these two components of
# eight latents; the others tell more, as the next tables show.
#
# Agreement of the latents of image and spectrum
# ----------------------------------------------
# Here is each latent on test pairs: its standard deviation as the encoders give it, the
# difference between its values from image and spectrum (root mean square), and their correlation.

kinds = ["image", "spectrum"]
latents, spread = {}, {}
for kind in kinds:
    latents[kind], spread[kind] = dual.transform(X_test, block=kind, return_std=True)
known = pd.DataFrame(
    {
        "std, image": np.mean(spread["image"], axis=0),
        "std, spectrum": np.mean(spread["spectrum"], axis=0),
        "difference": np.sqrt(np.mean((latents["image"] - latents["spectrum"]) ** 2, axis=0)),
        "correlation": [
            np.corrcoef(a, b)[0, 1] for a, b in zip(*(latents[k].T for k in kinds), strict=True)
        ],
    }
).rename_axis("latent")
print(known.round(2).to_string())

# %%
# The standard deviations are alike, and smaller than the differences. They say how exactly a
# latent enters the decoder, and not what the other kind leaves open. This is in the difference and
# the correlation, on pairs that were held out: latents 0, 1 and 2 are told nearly alike by both
# kinds, and latent 6 least.
#
# What do the latents of each kind tell of the cluster? The simulation knows the truth. Linear
# functions of the latents are fitted to it on training pairs. R² on test pairs:

ends = data.positions
pairs = np.stack([np.hypot(*(ends[:, i] - ends[:, j]).T) for i, j in ((0, 1), (0, 2), (1, 2))])
truth = pd.DataFrame(
    {
        "number of particles": number,
        "radius": data.radii,
        "largest distance of two centres": np.nan_to_num(pairs).max(axis=0),
        "smallest gap": np.nanmin(np.where(np.isnan(pairs), np.inf, pairs), axis=0)
        - 2 * data.radii,
        "centre, from the middle": np.hypot(*np.nanmean(ends, axis=1).T),
    }
)
told = pd.DataFrame(index=truth.columns, columns=kinds, dtype=float)
for name, values in truth.items():
    has_it = np.isfinite(values.to_numpy())  # one particle has no gap
    for kind in kinds:
        Z = dual.transform(X, block=kind)
        own = LinearRegression().fit(Z[train][has_it[train]], values[train][has_it[train]])
        rows = test[has_it[test]]
        told.loc[name, kind] = own.score(Z[rows], values[rows])
print(told.round(2).to_string())

# %%
# - The image tells the number of particles, their radius and the size of the cluster; the
#   spectrum does so as well, but less surely.
# - The gap between particles is 2 to 14 nm, and a pixel is 12 nm wide. The *spectrum* tells the
#   gap better than the image does, as the coupling of near particles moves and splits the
#   resonance.
# - How far the cluster is from the middle of the image changes no spectrum. It is not found in
#   the latents, not even in those of images.
#
# Spectra from images
# -------------------
# Of each number of particles, the test clusters with the median error and with a large one (the
# 90 % quantile).

predicted = dual.translate(images, "image", "spectrum")
error = np.sqrt(np.mean((predicted - spectra) ** 2, axis=1))


def at_quantile(errors, n, quantile):
    """Give the test row of one number of particles whose error is nearest to a quantile."""
    rows = np.flatnonzero(true_number == n)
    return rows[np.argsort(errors[rows])[int(quantile * (len(rows) - 1))]]


figure, axes = plt.subplots(
    2, 6, figsize=(11, 4), layout="constrained", sharey="row", height_ratios=[1, 1.1]
)
for k, (n, color) in enumerate(COLORS.items()):
    for j, (quantile, label) in enumerate([(0.5, "median"), (0.9, "90 %")]):
        row = at_quantile(error, n, quantile)
        above, below = axes[:, 2 * k + j]
        draw_image(above, images[row], f"{NAMES[n]}, {label}")
        below.plot(energies, spectra[row], color="0.6", label="true")
        below.plot(energies, predicted[row], "--", color=color, label="predicted")
        below.set(xlabel="Energy (eV)")
        below.set_title(f"RMSE {error[row]:.3f}", fontsize="medium")
axes[1, 0].legend(frameon=False, fontsize="small", loc="upper left")
axes[1, 0].set(ylabel="Extinction (scaled)", ylim=(None, 1.4))


def by_number(true, given):
    """Give RMSE and pooled R² by the number of particles, and of all."""
    lines = {}
    for n, name in [*NAMES.items(), (None, "all")]:
        rows = np.full(len(true), True) if n is None else true_number == n
        flat, flat_given = true[rows].reshape(rows.sum(), -1), given[rows].reshape(rows.sum(), -1)
        squares = np.mean((flat_given - flat) ** 2)
        lines[name] = {
            "clusters": rows.sum(),
            "RMSE": np.sqrt(squares),
            "R²": 1 - squares / np.mean((flat - true.reshape(len(true), -1).mean(axis=0)) ** 2),
        }
    return pd.DataFrame(lines).T.astype({"clusters": int})


print(by_number(spectra, predicted).round(3).to_string())

# %%
# The noise of the spectra alone is 0.02: of single particles no spectrum can be predicted better
# than here. The more particles there are, the larger is the error, but R² is high for each number
# of particles.
#
# Images from spectra
# -------------------
# The other way is harder, as a spectrum has more than one image: all those in which the cluster is
# turned. By default, ``translate`` gives the mean over the eight poses, which has the smallest
# expected squared error.

drawn = dual.translate(spectra, "spectrum", "image")
shape = images.shape


def average_over_poses(given):
    """Average square images over their eight mirrored and turned copies."""
    turned = [np.rot90(given, k, axes=(1, 2)) for k in range(4)]
    return np.mean(turned + [np.swapaxes(copy, 1, 2) for copy in turned], axis=0)


print("Images predicted from spectra")
print(by_number(images, drawn).round(3).to_string())
print("True images, averaged over their poses")
print(by_number(images, average_over_poses(images)).round(3).to_string())

# %%
# R² is low, and it cannot be high: the second table has the *true* images, averaged over their
# poses. What knows all but the pose cannot do better, and the spectra come near to it.
#
# A mean of poses is not an image that one could measure. ``complete`` gives several candidates
# instead, each in one pose, with the mismatch between the given spectrum and the one that the
# candidate has.

chosen = [row for n in NAMES for row in np.flatnonzero(true_number == n)[:2]]
asked = X_test.iloc[chosen].copy()
asked["image"] = np.nan
found = dual.complete(asked, n_candidates=3)
candidates = found.X["image"].to_numpy().reshape(-1, *shape[1:])
figure, axes = plt.subplots(6, 6, figsize=(8.6, 8.6), layout="constrained")
for line, row in zip(axes, chosen, strict=True):
    n = true_number[row]
    line[0].plot(energies, spectra[row], color=COLORS[n])
    line[0].set(ylim=(-0.1, 1.3), ylabel=NAMES[n])
    line[0].tick_params(labelbottom=row == chosen[-1])
    draw_image(line[1], images[row])
    draw_image(line[2], drawn[row])
for k, line in enumerate(axes):
    own = np.flatnonzero(found.row == k)
    for ax, j in zip(line[3:], own, strict=False):
        draw_image(ax, candidates[j], f"mismatch {found.mismatch[j]:.2f}")
axes[0, 0].set_title("given", fontsize="medium")
axes[0, 1].set_title("true", fontsize="medium")
axes[0, 2].set_title("mean of poses", fontsize="medium")
axes[-1, 0].set_xlabel("Energy (eV)")
plt.show()

# %%
# The rings in the third column are means over poses. Many candidates have the true number of
# particles, but not all: two particles and a chain of three have spectra that are alike. For
# single particles the third candidate is wrong, and its mismatch is larger (``tolerance`` leaves
# such candidates out). The direction of a candidate has no meaning.
#
# The number of particles from the spectrum alone
# -----------------------------------------------


def without(table, kind):
    """Give a table in which one kind was not measured."""
    table = table.copy()
    table[kind] = np.nan
    return table


figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
for ax, kind, other in zip(axes, kinds, kinds[::-1], strict=True):
    told_number = dual.predict(without(X_test, other))
    ConfusionMatrixDisplay.from_predictions(
        true_number, told_number, ax=ax, cmap="Blues", colorbar=False
    )
    accuracy = accuracy_score(true_number, told_number)
    ax.set(title=f"From the {kind}: {accuracy:.0%} right")
    ax.set(xlabel="Predicted number", ylabel="True number")
told_number = dual.predict(without(X_test, "image"))
right = pd.Series(told_number == true_number).groupby(true_number).mean()
print("From spectra alone, share that is right, by the true number")
print(right.rename(NAMES).round(3).to_string())

# %%
# An image tells the number each time. A spectrum tells a single particle each time, 89 % of the
# clusters of two and 80 % of those of three. These are taken for each other, never for a single
# particle. Measured spectra gave the same order: single particles were told best, clusters of
# three worst [1]_.
#
# Which image belongs to this spectrum?
# -------------------------------------
# ``retrieve`` looks for the partner of a test spectrum among all 250 test images.

ranks = dual.retrieve(spectra, "spectrum", images, n_neighbors=5)
is_partner = ranks == np.arange(len(test))[:, None]
hit = pd.Series(is_partner.any(axis=1)).groupby(true_number).mean()
print(f"partner among the first five: {is_partner.any(axis=1).mean():.3f}")
print(f"partner at the first place:   {is_partner[:, 0].mean():.3f}")
print(f"five at random:               {5 / len(test):.3f}")
print(hit.rename(NAMES).round(3).to_string())
figure, axes = plt.subplots(3, 6, figsize=(9, 4.8), layout="constrained")
for line, n in zip(axes, NAMES, strict=True):
    row = np.flatnonzero(true_number == n)[2]
    line[0].plot(energies, spectra[row], color=COLORS[n])
    line[0].set(ylim=(-0.1, 1.3), ylabel=NAMES[n])
    for place, (ax, k) in enumerate(zip(line[1:], ranks[row], strict=True)):
        draw_image(ax, images[k], f"{place + 1}: partner" if k == row else f"{place + 1}")
        if k == row:
            ax.spines[:].set(color="#E69F00", linewidth=4)
axes[-1, 0].set_xlabel("Energy (eV)")
plt.show()

# %%
# For three of four spectra the partner is among the first five; five at random would have it in
# one case of fifty. Single particles differ in their radius alone, so that many images fit as
# well as the partner. In the second and the third row the images have two or three particles, and
# in the third the partner is not among them: five candidates are not one answer.
#
# The control: two autoencoders that are trained alone
# ----------------------------------------------------
# With ``alignment="separated"`` each kind has an autoencoder of its own, trained without the
# other, and linear maps between their latents are fitted afterwards. The same numbers:

separated = clone(dual).set_params(alignment="separated").fit(X_train, number[train])


def numbers_of(model):
    """Give what was computed above, of one model."""
    index = model.retrieve(spectra, "spectrum", images, n_neighbors=5)
    accuracy = {
        kind: np.mean(model.predict(without(X_test, other)) == true_number)
        for kind, other in zip(kinds, kinds[::-1], strict=True)
    }
    return {
        "spectrum from image, R²": model.translation_score(X_test, "image", "spectrum"),
        "image from spectrum, R²": model.translation_score(X_test, "spectrum", "image"),
        "number from spectrum, right": accuracy["spectrum"],
        "number from image, right": accuracy["image"],
        "partner among the first five": np.mean([row in own for row, own in enumerate(index)]),
    }


control = pd.DataFrame({"dual": numbers_of(dual), "separated": numbers_of(separated)})
print(control.round(3).to_string())

# %%
# In all that goes from one kind to the other the dual autoencoder is ahead. Each separated
# autoencoder keeps in its latents what its own kind has most of, which need not be what the other
# one depends on. The number from the image is the same: there, nothing is translated. All
# this is of one draw of clusters and one seed.
#
# How predictive is one kind of the other, and what else varies?
# --------------------------------------------------------------
# On the diagonal is what the latents of a kind hold of it, with the image in its own pose; beside
# it, what the other kind tells of it; in the last column, the share of numbers that are right.

print(translation_scores(dual, X_test, true_number).round(2).to_string())

# %%
# The image tells nearly all of the spectrum that the latents of the spectrum hold. The spectrum
# tells less of the image: it knows neither where the particles lie nor how they are turned.
#
# A map of structures and properties
# ----------------------------------
# The plane of the first two principal components of the latents, decoded to both kinds. At the
# same place stand the image and its spectrum. The last panel has the clusters for training.

ManifoldDisplay.from_estimator(
    dual,
    X_train,
    components="pca",
    n_steps=8,
    show_rows=True,
    image_kwargs={"cmap": "gray", "vmin": 0, "vmax": 1},
)
plt.show()

# %%
# From the right to the left there are more particles, and the peak of the spectrum becomes higher
# and wider. Upwards, particles are larger. Many places of the plane are empty, such as those
# between the single particles and the others: they are decoded to mixtures that do not exist.
#
# .. rubric:: References
#
# .. [1] M. Y. Yaman, S. V. Kalinin, K. N. Guye, D. S. Ginger, M. Ziatdinov, "Learning and
#    predicting photonic responses of plasmonic nanoparticle assemblies via dual variational
#    autoencoders", arXiv:2208.03861 (2022).
