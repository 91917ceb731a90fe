"""
===============================================
im2spec: predict a spectrum from an image patch
===============================================

A scanning probe takes an image quickly, and a spectrum at each pixel slowly. Does the image around
a pixel tell its spectrum? Models of patches and spectra are known as im2spec [1]_. We make one for
a map of a ferroelectric, look at what it predicts where it was not trained, and hold it against
simpler models on the same folds.
"""

# %%
# A map, patches and spectra
# --------------------------
# Each pixel of the map has a spectrum of the piezoresponse near resonance. The image is one
# channel of the map; a patch of 7 by 7 pixels goes with the spectrum of the pixel in its middle.
# The data are downloaded at first use; ``SKNESTEDAE_DATA`` may name a folder that has them. Where
# there is neither, a generated map of the same size stands in, and the page says so.

import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from sknestedae import SupervisedAutoencoder
from sknestedae.blocks import ImageBlock, SpectrumBlock
from sknestedae.datasets import fetch_bepfm, patches_at
from sknestedae.model_selection import GapKFold
from sknestedae.plotting import LatentMapDisplay, PairsDisplay

torch.set_num_threads(1)  # enough for networks as small as these

SIZE = 7  # pixels along a side of a patch: odd, so that a turned patch keeps its middle
CHANNEL = 55  # of the image, near the middle of the resonances


def make_map():
    """Make resonances whose height and place change slowly over a map of 32 by 32 pixels."""
    rng = np.random.RandomState(0)
    height, place = (gaussian_filter(rng.normal(size=(32, 32)), 2, mode="wrap") for _ in range(2))
    height, place = (field / field.std() for field in (height, place))
    channel = np.arange(102.0)
    peak = np.exp(-(((channel - 52 - 5 * place[..., None]) / 9) ** 2))
    return 0.3 * np.exp(0.4 * height)[..., None] * peak + rng.normal(scale=0.01, size=peak.shape)


folder = os.environ.get("SKNESTEDAE_DATA")
try:
    cube = fetch_bepfm(
        data_home=folder, download_if_missing=folder is None, n_retries=0
    ).cube.astype(np.float32)
except (OSError, ImportError) as error:
    print(f"A generated map, as the measured one cannot be had here: {error}")
    cube = make_map().astype(np.float32)
patches, spectra, positions = patches_at(cube[:, :, CHANNEL], cube, SIZE)
print(f"{len(patches)} patches of {SIZE} by {SIZE} pixels, spectra of {spectra.shape[1]} channels")

# %%
# Folds with a gap
# ----------------
# Patches of neighbouring pixels share most of their pixels, and their spectra are alike. In a
# random split nearly every test patch has such a twin among the training patches. ``GapKFold``
# holds out a slab of the map, and leaves out of training all that is nearer to it than a patch is
# wide. Four folds are four directions: the slab is at the top, the bottom, the left, the right.

folds = list(GapKFold(4, gap=SIZE - 1, test_size=8).split(patches, groups=positions))
train, test = folds[1]
role = np.full(len(patches), np.nan)
role[train], role[test] = 0, 1
figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained")
image = axes[0].imshow(cube[:, :, CHANNEL], cmap="viridis")
figure.colorbar(image, ax=axes[0], label=f"Amplitude in channel {CHANNEL}")
axes[0].set(title="The image", xlabel="Column", ylabel="Row")
for rows, label, color in ((train, "training", "#0072B2"), (test, "test", "#D55E00")):
    axes[1].scatter(*positions[rows].T[::-1], s=14, color=color, label=label)
axes[1].set(title="Middles of the patches of a fold", xlabel="Column", ylabel="Row")
axes[1].set(aspect="equal", xlim=(-0.5, 31.5), ylim=(31.5, -0.5))
axes[1].legend(loc="center", bbox_to_anchor=(0.5, 0.44), ncols=2, frameon=False)

# %%
# One model for each fold
# -----------------------
# ``target_block`` says that the target is a spectrum. A patch that is turned or reflected has the
# same spectrum in its middle: ``invariance="symmetries"`` tells the network so. The reconstruction
# of the patch is not what we are after, so that it weighs little. Of the second fold, whose slab
# is at the bottom, here is the test patch in the middle of each quartile of the error.

sae = SupervisedAutoencoder(
    16,
    blocks=ImageBlock(invariance="symmetries"),
    target_block=SpectrumBlock(),
    reconstruction_weight=0.1,
    dropout=0.2,
    batch_size=64,
    learning_rate_init=6e-3,
    max_iter=80,
    random_state=0,
)
models = [clone(sae).fit(patches[rows], spectra[rows]) for rows, _ in folds]
model = models[1]
predicted = model.predict(patches)
PairsDisplay.from_predictions(
    spectra[test], predicted[test], inputs=patches[test], label="Amplitude", n_cols=4
)

# %%
# Maps of latents and of errors
# -----------------------------
# All patches are encoded. The principal components of the latents are smooth maps of the sample,
# though the network was not told where a patch lies. Between the dashed lines is the gap; below it
# are the test patches. The errors there are largest along the walls between domains.

error = np.sqrt(np.mean((predicted - spectra) ** 2, axis=1))
Z = model.transform(patches)
components = PCA(2).fit(Z[train]).transform(Z)
maps = np.column_stack([components, error])
names = ["Latents, component 1", "Latents, component 2", "RMSE of the spectrum"]
display = LatentMapDisplay.from_values(maps, positions, names=names)
for ax in display.axes_:
    for row in (positions[train, 0].max() + 0.5, positions[test, 0].min() - 0.5):
        ax.axhline(row, color="#D55E00", linewidth=1.5, linestyle="--")

# %%
# spec2im: from a spectrum to a patch
# -----------------------------------
# *spec2im* is the same with the kinds exchanged: the patch from the spectrum in its middle. A
# spectrum cannot tell how the patch around it lies, so there is no symmetry to use, and the
# prediction is a mean over the patches that there may be, a blurred one. The pixel in the middle
# is a channel of the spectrum: a linear model reads it off, and is better there. Over the whole
# patch the network is ahead.

spec2im = SupervisedAutoencoder(
    16,
    blocks=SpectrumBlock(),
    target_block=ImageBlock(),
    dropout=0.3,
    batch_size=64,
    learning_rate_init=6e-3,
    max_iter=60,
    random_state=0,
)
drawn = spec2im.fit(spectra[train], patches[train]).predict(spectra[test])
PairsDisplay.from_predictions(
    patches[test], drawn, inputs=spectra[test], label="Amplitude", n_cols=4
)
linear = RidgeCV(np.logspace(-4, 3, 15)).fit(
    spectra[train], patches[train].reshape(len(train), -1)
)
of_patches = {
    "mean patch": patches[train].mean(axis=0),
    "ridge": linear.predict(spectra[test]).reshape(drawn.shape),
    "autoencoder": drawn,
}
for name, given in of_patches.items():
    squares = (given - patches[test]) ** 2
    middle_pixel = np.sqrt(squares[:, SIZE // 2, SIZE // 2].mean())
    print(
        f"{name}: RMSE of the patch {np.sqrt(squares.mean()):.4f}, its middle {middle_pixel:.4f}"
    )

# %%
# Beside simpler models
# ---------------------
# All on the same folds: the mean spectrum; a linear model of the pixel in the middle alone, which
# is one channel of the spectrum itself; a linear model of all pixels; and extremely randomised
# trees, which see each training patch in its eight positions and average over those of a test
# patch.


def eight_copies(images):
    """Turn and reflect square images."""
    turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
    return turned + [np.swapaxes(copy, 1, 2) for copy in turned]


def flat(images):
    """Give each image as a row."""
    return images.reshape(len(images), -1)


def fit_trees(X, y, X_new):
    """Predict by trees of all eight copies of a patch."""
    trees = ExtraTreesRegressor(30, min_samples_leaf=2, random_state=0)
    trees.fit(flat(np.concatenate(eight_copies(X))), np.tile(y, (8, 1)))
    return np.mean([trees.predict(flat(copy)) for copy in eight_copies(X_new)], axis=0)


def middle(images):
    """Give the pixel in the middle, its square and its cube."""
    pixel = images[:, SIZE // 2, SIZE // 2, None]
    return np.hstack([pixel, pixel**2, pixel**3])


ridge = RidgeCV(np.logspace(-4, 3, 15))
methods = {
    "mean spectrum": lambda X, y, new: DummyRegressor().fit(X, y).predict(new),
    "pixel in the middle, ridge": lambda X, y, new: ridge.fit(middle(X), y).predict(middle(new)),
    "all pixels, ridge": lambda X, y, new: ridge.fit(flat(X), y).predict(flat(new)),
    "extremely randomised trees": fit_trees,
}


def rmse(true, predicted):
    """Give the root mean square of the errors of all rows and channels."""
    return float(np.sqrt(np.mean((predicted - true) ** 2)))


def errors_of(fit, splits):
    """Give the RMSE of each fold."""
    return [rmse(spectra[b], fit(patches[a], spectra[a], patches[b])) for a, b in splits]


sides = ["top", "bottom", "left", "right"]
table = pd.DataFrame({name: errors_of(fit, folds) for name, fit in methods.items()}, sides).T
table.loc["autoencoder"] = [
    rmse(spectra[b], fitted.predict(patches[b]))
    for fitted, (_, b) in zip(models, folds, strict=True)
]
table.insert(0, "mean", table.mean(axis=1))
print("RMSE of the spectra (amplitude), by the side that is held out")
print(table.round(4).to_string())

# %%
# What would a random split have said? Here it is, of the models that are quickly fitted. Some of
# the difference is that its folds leave more rows to learn from, and that no side of the map is
# unseen; but it is a map's other side that a model is made for.

shuffled = list(KFold(3, shuffle=True, random_state=0).split(patches))
quick = list(methods)
leaky = pd.DataFrame(
    {
        "folds with a gap": table["mean"][quick],
        "random folds": [np.mean(errors_of(methods[name], shuffled)) for name in quick],
    }
)
print(leaky.round(4).to_string())

# %%
figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
order = list(table.index)[::-1]
ax.barh(order, table.loc[order, "mean"], color="#56B4E9", label="mean")
for side, marker in zip(sides, "^v<>", strict=True):
    ax.plot(table.loc[order, side], order, marker, color="#333333", label=side)
ax.set(xlabel="RMSE of the spectrum (amplitude)", title="The same four folds for each model")
ax.legend(title="held out", loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# On the measured map the trees are ahead of the network, and a model that sees the pixel in the
# middle alone is not far behind either: most of what a patch says of its spectrum is in one pixel,
# which is a channel of that spectrum. Which model is best changes with the side that is held out,
# and one map of 32 by 32 pixels decides little. The network's part is what comes with the
# prediction: latents to map, the patch given back, missing pixels, and one model of both kinds
# (see :ref:`spectra_images`).
#
# .. rubric:: References
#
# .. [1] S. V. Kalinin, K. P. Kelley, R. K. Vasudevan, M. Ziatdinov, ACS Appl. Mater. Interfaces
#    13, 1693 (2021).
