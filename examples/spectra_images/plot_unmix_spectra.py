"""
================================================
Unmixing of spectra, and classes from few labels
================================================

A map with a spectrum at each pixel is unmixed into a few components, mostly by linear methods.
Are latents better? Then each spectrum has a class, and few are labelled: how far do few labels
go, and can clusters of latents replace them?
"""

# %%
# A map of spectra
# ----------------
# Each pixel of a ferroelectric has a spectrum of the piezoresponse near resonance [1]_. The data
# are downloaded at first use; ``SKNESTEDAE_DATA`` may name a folder that has them. Where there is
# neither, a generated map of the same size stands in, and the page says so.

import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from sklearn.base import clone
from sklearn.decomposition import NMF, PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae.blocks import SpectrumBlock
from sknestedae.datasets import fetch_bepfm, make_nanoparticle_clusters
from sknestedae.model_selection import GapKFold
from sknestedae.plotting import LatentMapDisplay

torch.set_num_threads(1)  # enough for networks as small as these


def make_map():
    """Make resonances whose height and place change slowly over a map of 32 by 32 pixels."""
    rng = np.random.RandomState(0)
    height, place = (gaussian_filter(rng.normal(size=(32, 32)), 2, mode="wrap") for _ in range(2))
    height, place = (field / field.std() for field in (height, place))
    channel = np.arange(102.0)
    peak = np.exp(-(((channel - 52 - 5 * place[..., None]) / 9) ** 2))
    noise = rng.normal(scale=0.005, size=peak.shape)
    return np.abs(0.3 * np.exp(0.4 * height)[..., None] * peak + noise)


folder = os.environ.get("SKNESTEDAE_DATA")
try:
    cube = fetch_bepfm(data_home=folder, download_if_missing=folder is None, n_retries=0).cube
except (OSError, ImportError) as error:
    print(f"A generated map, as the measured one cannot be had here: {error}")
    cube = make_map()
positions = np.indices(cube.shape[:2]).reshape(2, -1).T
pixels = cube.reshape(len(positions), -1).astype(np.float32)
train, test = next(GapKFold(4, gap=2, test_size=8).split(pixels, groups=positions))
print(f"{len(train)} pixels to learn from; {len(test)} of the eight topmost lines held out")

# %%
# Three components
# ----------------
# Each method learns three numbers a pixel, and the way back, from the same pixels. The error is
# that of pixels of another part of the map. One scale for the whole spectrum, the default of a
# ``SpectrumBlock``, lets strong channels count more, as they do in PCA and NMF.

methods = {
    "PCA": PCA(3),
    "NMF": NMF(3, init="nndsvda", max_iter=2000, random_state=0),
    "autoencoder": SupervisedAutoencoder(
        3,
        blocks=SpectrumBlock(),
        batch_size=64,
        learning_rate_init=6e-3,
        max_iter=60,
        random_state=0,
    ),
}
maps, components, errors = {}, {}, {}


def rmse(spectra):
    """Give the root mean square of the errors of held-out spectra."""
    return float(np.sqrt(np.mean((spectra - pixels[test]) ** 2)))


for name, method in methods.items():
    method.fit(pixels[train])
    maps[name] = method.transform(pixels)
    components[name] = method.components_
    errors[name] = rmse(method.inverse_transform(maps[name][test]))
errors["mean spectrum"] = rmse(pixels[train].mean(axis=0))
print("RMSE of held-out spectra (amplitude), three numbers a pixel")
print(pd.Series(errors).round(4).to_string())

# %%
# A resonance that moves is no sum of a few fixed spectra. So linear methods need more components
# than there are things that change; a decoder that is curved does not. How many does PCA need to
# be as good?

for k in range(3, 13):
    pca = PCA(k).fit(pixels[train])
    error = rmse(pca.inverse_transform(pca.transform(pixels[test])))
    if error <= errors["autoencoder"]:
        break
print(f"PCA with {k} components: RMSE {error:.4f}")

# %%
# Maps of the components
# ----------------------
# The three maps of each method, of all pixels. Those of PCA and NMF come in an order of their own,
# and NMF's are not negative. Latents have no order and no sign, and any turned set would do as
# well. So read the map as a whole, and no latent as a substance.

values = np.hstack([maps[name] for name in methods])
names = [f"{name}, {k + 1}" for name in methods for k in range(3)]
LatentMapDisplay.from_values(values, positions, names=names, n_cols=3)

# %%
# Mean spectra of the components
# ------------------------------
# Of each component, two pictures. Above, its spectrum, ``components_``: for the autoencoder this
# is the slope of the decoded spectrum by a latent, an average over the map. Below, the mean
# spectrum of the 5 % of all pixels that have the most of it: measured spectra, which no method can
# distort.

figure, axes = plt.subplots(2, 3, figsize=(10.5, 5.6), layout="constrained", sharex=True)
for (above, below), name in zip(axes.T, methods, strict=True):
    for k in range(3):
        most = np.argsort(maps[name][:, k])[-len(pixels) // 20 :]
        style = {"color": ("#0072B2", "#D55E00", "#009E73")[k], "label": f"{k + 1}"}
        above.plot(components[name][k] / np.abs(components[name][k]).max(), **style)
        below.plot(pixels[most].mean(axis=0), **style)
    above.set(title=name)
    below.set(xlabel="Frequency bin", ylim=(0, None))
axes[0, 0].set(ylabel="Component, scaled to 1")
axes[1, 0].set(ylabel="Mean amplitude of\nthe pixels with most")
figure.legend(*axes[0, 0].get_legend_handles_labels(), title="Component", loc="outside right")

# %%
# Few labels
# ----------
# Now spectra that have a kind: extinction of simulated clusters of one, two or three particles. A
# row without a label is NaN in the target. It has no part in the prediction error, and still
# teaches the encoder what spectra look like. Whether it does, an autoencoder of the labelled rows
# alone can tell; the other rivals can use no others.

clusters = make_nanoparticle_clusters(800, random_state=0)
known, new, y_known, y_new = train_test_split(
    clusters.spectra, clusters.n_particles, test_size=400, random_state=0
)
classifier = SupervisedAutoencoderClassifier(
    6,
    blocks=SpectrumBlock(),
    batch_size=64,
    learning_rate_init=6e-3,
    dropout=0.2,
    max_iter=50,
    random_state=0,
)
scores = {}
for n_labels in (12, 40, 400):
    y_few = np.full(len(known), np.nan)
    y_few[:n_labels] = y_known[:n_labels]
    trees = ExtraTreesClassifier(200, random_state=0).fit(known[:n_labels], y_known[:n_labels])
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    logistic.fit(known[:n_labels], y_known[:n_labels])
    # as many steps on few rows, of one batch an epoch, as on all of them
    alone = clone(classifier).set_params(max_iter=350, batch_size=min(64, n_labels))
    scores[n_labels] = {
        "autoencoder, all spectra": clone(classifier).fit(known, y_few).score(new, y_new),
        "autoencoder, labelled spectra": (
            alone.fit(known[:n_labels], y_known[:n_labels]).score(new, y_new)
            if n_labels < len(known)
            else np.nan
        ),
        "logistic regression, labelled spectra": logistic.score(new, y_new),
        "trees, labelled spectra": trees.score(new, y_new),
    }
print("Fraction of 400 new clusters whose number of particles is right, by number of labels")
print(pd.DataFrame(scores).round(3).to_string(na_rep=""))

# %%
# Clusters are not labels
# -----------------------
# A mixture of three Gaussians finds three clusters of latents without a label. Are these the
# numbers of particles? The adjusted Rand index is 1 for the same groups, and 0 for groups by
# chance.

unsupervised = SupervisedAutoencoder(
    3,
    blocks=SpectrumBlock(),
    batch_size=64,
    learning_rate_init=6e-3,
    max_iter=50,
    random_state=0,
).fit(known)
latents = {
    "latents, no label": unsupervised.transform(clusters.spectra),
    "PCA, no label": PCA(3).fit(known).transform(clusters.spectra),
}
agreement = {}
for name, Z in latents.items():
    mixture = GaussianMixture(3, n_init=5, random_state=0)
    agreement[name] = adjusted_rand_score(clusters.n_particles, mixture.fit_predict(Z))
print("Adjusted Rand index of three clusters and the numbers of particles")
print(pd.Series(agreement).round(2).to_string())

# %%
# On the measured map a curved decoder makes three numbers do what takes PCA five. With 12 labels
# and with 400 the network is ahead of the others, with 40 trees are as good. The spectra without a
# label have no part in it: learnt from the labelled rows alone, it is at least as good. The groups
# of latents have much to do with the numbers of particles, but they are not the numbers, and those
# of PCA are as good. Groups need some labels to be named at all, and a classifier can learn from
# these.
#
# .. rubric:: References
#
# .. [1] S. Jesse et al., Nanotechnology 18, 435503 (2007).
