"""Images and spectra: one predicted from the other, and unmixing, beside other methods."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import NMF, PCA
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from sknestedae import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae.blocks import ImageBlock, SpectrumBlock
from sknestedae.datasets import make_nanoparticle_clusters, patches_at
from sknestedae.model_selection import GapKFold

from ._data import piezoresponse
from ._report import Report

# Clusters: 400 pairs to learn from, 500 to test, of each of two draws.
N_TRAIN, N_TEST, DRAWS = 400, 500, (0, 1)
# The map: patches of 8 x 8 pixels at one frequency, with the spectra at their centres. Of 25 lines
# of centres 7 are held out, 8 are left out, and 10 are learnt from: 175, 200 and 250 rows.
PATCH, BIN = 8, 55
FOLDS = GapKFold(4, gap=8, test_size=7)
SIDES = ["top", "bottom", "left", "right"]
# Unmixing: 819 of the 1024 pixels to learn from, 205 to test.
N_COMPONENTS, N_PIXELS = 3, 819
# Settings of autoencoders on the map: the best of some ten, by the errors of two sides of four,
# bottom and right.
IM2SPEC = {
    "latent_activation": "tanh",
    "dropout": 0.3,
    "batch_size": 64,
    "learning_rate_init": 6e-3,
    "max_iter": 60,
}
SPEC2IM = {"dropout": 0.3, "max_iter": 100}
N_MEMBERS = 4
TREES = {"n_estimators": 100, "random_state": 0}
# Numbers beside an image: five factors make the image, and the five numbers are independent of it.
N_NUMBERS, N_LATENTS, NOISE = 5, 10, 0.005
NAMES = [f"number {k + 1}" for k in range(N_NUMBERS)]
PENALTY = 10.0  # of ridge: the best power of ten by errors on the test rows, or close to it


class Fold(NamedTuple):
    """Rows to learn from and rows to test, of any shape beyond the first axis."""

    X: np.ndarray
    Y: np.ndarray
    X_test: np.ndarray
    Y_test: np.ndarray


Models = dict[str, Callable[[], Any]]
Score = Callable[[np.ndarray, np.ndarray], float]


class Flat:
    """A regressor of rows of numbers, for arrays of any shape."""

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Flat:
        self.shape = Y.shape[1:]
        self.fitted = clone(self.regressor).fit(X.reshape(len(X), -1), Y.reshape(len(Y), -1))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.fitted.predict(X.reshape(len(X), -1)).reshape(-1, *self.shape)


class Symmetric:
    """A model of images that learns from all eight turned and reflected ones, and averages."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Symmetric:
        self.model.fit(np.concatenate(symmetries(X)), np.concatenate([Y] * 8))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.mean([self.model.predict(images) for images in symmetries(X)], axis=0)


class Middle:
    """A model of what is around the centre of a patch alone: an odd number of pixels a side."""

    def __init__(self, model: Any, size: int) -> None:
        self.model = model
        self.size = size

    def cut(self, X: np.ndarray) -> np.ndarray:
        start = X.shape[-1] // 2 - self.size // 2
        return X[:, start : start + self.size, start : start + self.size]

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Middle:
        self.model.fit(self.cut(X), Y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.model.predict(self.cut(X))


class Joint:
    """An autoencoder of images and spectra, asked for spectra that were not measured.

    Parameters
    ----------
    completes : bool
        Whether to search for the most probable latents, rather than to encode the images.
    """

    def __init__(self, model: SupervisedAutoencoder, *, completes: bool) -> None:
        self.model = model
        self.completes = completes

    def fit(self, X: np.ndarray, Y: np.ndarray) -> Joint:
        self.model.fit(pd.DataFrame({"image": list(X), "spectrum": list(Y)}))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        rows = pd.DataFrame({"image": list(X), "spectrum": [None] * len(X)})
        if self.completes:
            filled = self.model.complete(rows)
        else:
            filled = self.model.inverse_transform(self.model.transform(rows))
        return np.stack(filled["spectrum"])


def symmetries(images: np.ndarray) -> list[np.ndarray]:
    """Give images (n, size, size) as the eight symmetries of a square show them."""
    return [
        np.rot90(shown, k, axes=(1, 2)) for shown in (images, images[:, :, ::-1]) for k in range(4)
    ]


def trees() -> Flat:
    """Give extremely randomised trees with the default settings."""
    return Flat(ExtraTreesRegressor(**TREES))


# --- data -------------------------------------------------------------------------------------


def first_and_last(X: np.ndarray, Y: np.ndarray) -> Fold:
    """Give the clusters to learn from, and those to test."""
    return Fold(X[:N_TRAIN], Y[:N_TRAIN], X[N_TRAIN:], Y[N_TRAIN:])


def map_folds() -> list[Fold]:
    """Give patches and spectra of the four directions."""
    cube = piezoresponse().astype(np.float32)
    patches, spectra, positions = patches_at(cube[:, :, BIN], cube, PATCH)
    return [
        Fold(patches[train], spectra[train], patches[test], spectra[test])
        for train, test in FOLDS.split(patches, groups=positions)
    ]


def swapped(folds: list[Fold]) -> list[Fold]:
    """Give what is predicted as what is known, and the other way round."""
    return [Fold(fold.Y, fold.X, fold.Y_test, fold.X_test) for fold in folds]


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """Give spectra of pixels to learn from, and of held-out ones, drawn at random."""
    cube = piezoresponse().astype(np.float32)
    spectra = cube.reshape(-1, cube.shape[-1])
    order = np.random.default_rng(0).permutation(len(spectra))
    return spectra[order[:N_PIXELS]], spectra[order[N_PIXELS:]]


def spots_and_numbers(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give images of a spot, which five factors determine, and numbers that they do not."""
    n, rng, pixel = N_TRAIN + N_TEST, np.random.default_rng(seed), np.arange(16.0)
    height = rng.uniform(0.5, 1, n)[:, None, None]
    row, column = (rng.uniform(5, 10, n)[:, None, None] for _ in range(2))
    high, wide = (rng.uniform(1.5, 3.5, n)[:, None, None] for _ in range(2))
    squares = ((pixel[:, None] - row) / high) ** 2 + ((pixel - column) / wide) ** 2
    images = height * np.exp(-squares / 2)
    noisy = images + rng.normal(scale=NOISE, size=images.shape)
    return noisy.astype(np.float32), rng.normal(size=(n, N_NUMBERS)).astype(np.float32)


# --- models: a line for each ------------------------------------------------------------------


def to_spectrum(invariance: str | None = "symmetries", **settings: Any) -> SupervisedAutoencoder:
    """Make an autoencoder of images that predicts spectra."""
    return SupervisedAutoencoder(
        16,
        blocks=ImageBlock(invariance=invariance),
        target_block=SpectrumBlock(),
        **{"reconstruction_weight": 0.1, "max_iter": 150, "random_state": 0, **settings},
    )


def to_image(**settings: Any) -> SupervisedAutoencoder:
    """Make an autoencoder of spectra that predicts images."""
    return SupervisedAutoencoder(
        16,
        blocks=SpectrumBlock(),
        target_block=ImageBlock(),
        **SPEC2IM,
        random_state=0,
        **settings,
    )


def joint(n_components: int, *, completes: bool) -> Joint:
    """Make an autoencoder of both kinds, whose latents do not see how an image was turned."""
    blocks = [
        ("image", ImageBlock(invariance="symmetries"), ["image"]),
        ("spectrum", SpectrumBlock(), ["spectrum"]),
    ]
    model = SupervisedAutoencoder(
        n_components, blocks=blocks, block_dropout=0.3, max_iter=150, random_state=0
    )
    return Joint(model, completes=completes)


def both_kinds(n_components: int) -> Models:
    """Give makers of autoencoders of both kinds, which decode what is missing or complete it."""
    return {
        "both kinds, decoded": lambda: joint(n_components, completes=False),
        "both kinds, completed": lambda: joint(n_components, completes=True),
    }


def image_to_spectrum_models() -> Models:
    """Give makers of models of whole images, in which turning leaves the spectrum."""
    ridge = Flat(Ridge(PENALTY))
    return {
        "mean": lambda: Flat(DummyRegressor()),
        "ridge": lambda: ridge,
        "ridge, symmetries": lambda: Symmetric(ridge),
        "5 nearest neighbours": lambda: Flat(KNeighborsRegressor()),
        "ExtraTrees": trees,
        "ExtraTrees, symmetries": lambda: Symmetric(trees()),
        "autoencoder": lambda: to_spectrum(None),
        "autoencoder, symmetries": to_spectrum,
        **both_kinds(8),
    }


def im2spec_models() -> Models:
    """Give makers of models of patches, of which one pixel is the centre."""
    ridge = Flat(Ridge(PENALTY))
    odd = PATCH - 1  # only an odd patch is turned about its centre
    return {
        "mean": lambda: Flat(DummyRegressor()),
        "ridge": lambda: ridge,
        "ridge, symmetries": lambda: Middle(Symmetric(ridge), odd),
        "5 nearest neighbours": lambda: Flat(KNeighborsRegressor()),
        "centre pixel alone, 10 neighbours": lambda: Middle(Flat(KNeighborsRegressor(10)), 1),
        "ExtraTrees": trees,
        "ExtraTrees, symmetries": lambda: Middle(Symmetric(trees()), odd),
        "autoencoder": lambda: to_spectrum(None, **IM2SPEC),
        "autoencoder, symmetries": lambda: Middle(to_spectrum(**IM2SPEC), odd),
        f"{N_MEMBERS} autoencoders, symmetries": lambda: Middle(
            to_spectrum(**IM2SPEC, n_members=N_MEMBERS), odd
        ),
        **{name: lambda make=make: Middle(make(), odd) for name, make in both_kinds(4).items()},
    }


def spectrum_to_image_models() -> Models:
    """Give makers of models of spectra."""
    return {
        "mean": lambda: Flat(DummyRegressor()),
        "ridge": lambda: Flat(Ridge(PENALTY)),
        "5 nearest neighbours": lambda: Flat(KNeighborsRegressor()),
        "ExtraTrees": trees,
        "autoencoder": to_image,
        f"{N_MEMBERS} autoencoders": lambda: to_image(n_members=N_MEMBERS),
    }


def label_models() -> Models:
    """Give makers of classifiers of spectra."""
    return {
        "most frequent": DummyClassifier,
        "ExtraTrees": lambda: ExtraTreesClassifier(**TREES),
        "autoencoder": lambda: SupervisedAutoencoderClassifier(
            6, blocks=SpectrumBlock(), dropout=0.2, max_iter=50, random_state=0
        ),
    }


def unmixing_models() -> Models:
    """Give makers of transformers with few components."""
    return {
        "PCA": lambda: PCA(N_COMPONENTS),
        "NMF": lambda: NMF(N_COMPONENTS, max_iter=2000),
        "autoencoder": lambda: SupervisedAutoencoder(
            N_COMPONENTS, blocks=SpectrumBlock(), random_state=0
        ),
        "autoencoder, columns that stand by themselves": lambda: SupervisedAutoencoder(
            N_COMPONENTS, random_state=0
        ),
    }


# --- scores -----------------------------------------------------------------------------------


def rmse(true: np.ndarray, given: np.ndarray) -> float:
    """Give the root mean square error of all numbers."""
    return float(np.sqrt(np.mean((true - given) ** 2, dtype=np.float64)))


def pooled_r2(true: np.ndarray, given: np.ndarray) -> float:
    """Give R² pooled over channels: squares of errors over those around each channel's mean."""
    around = np.mean((true - true.mean(axis=0)) ** 2, dtype=np.float64)
    return float(1 - np.mean((true - given) ** 2, dtype=np.float64) / around)


def accuracy(true: np.ndarray, given: np.ndarray) -> float:
    """Give the share of right labels."""
    return float(np.mean(true == given))


def run(folds: list[Fold], models: Models, score: Score) -> dict[str, tuple[list[float], float]]:
    """Give for each model its scores in all folds, and the mean CPU seconds of a fit."""
    found = {}
    for name, make in models.items():
        scores, seconds = [], []
        for fold in folds:
            model = make()
            start = time.process_time()
            model.fit(fold.X, fold.Y)
            seconds.append(time.process_time() - start)
            scores.append(score(fold.Y_test, model.predict(fold.X_test)))
        found[name] = scores, float(np.mean(seconds))
    return found


def show(
    report: Report, title: str, folds: list[str], found: dict[str, tuple[list[float], float]]
) -> None:
    """Tabulate scores of folds and their mean, and the seconds of a fit."""
    rows = [
        [
            name,
            *(f"{score:.4f}" for score in scores),
            f"{np.mean(scores):.4f}",
            "" if np.isnan(seconds) else f"{seconds:.1f}",
        ]
        for name, (scores, seconds) in found.items()
    ]
    report.table(title, ["model", *folds, "mean", "CPU s a fit"], rows)


# --- the parts --------------------------------------------------------------------------------


def clusters(report: Report) -> None:
    """Predict spectra, images and numbers of particles of simulated clusters."""
    report.text(
        f"Simulated clusters (`make_nanoparticle_clusters`, default noise): {N_TRAIN} pairs to "
        f"learn from and {N_TEST} to test, of each of {len(DRAWS)} draws. R² is pooled over the "
        "channels: squares of errors over squares of differences from each channel's mean. The "
        "noise alone keeps it below that of the noise-free spectra."
    )
    draws = [make_nanoparticle_clusters(N_TRAIN + N_TEST, random_state=draw) for draw in DRAWS]
    names = [f"draw {draw}" for draw in DRAWS]
    folds = [first_and_last(data.images, data.spectra) for data in draws]
    found = run(folds, image_to_spectrum_models(), pooled_r2)
    truth = [
        pooled_r2(data.spectra[N_TRAIN:], data.noise_free_spectra[N_TRAIN:]) for data in draws
    ]
    found["noise-free spectra"] = truth, np.nan
    show(report, "Clusters, image to spectrum, R²", names, found)
    found = run(swapped(folds), spectrum_to_image_models(), rmse)
    show(report, "Clusters, spectrum to image, RMSE", names, found)
    labelled = [first_and_last(data.spectra, data.n_particles) for data in draws]
    found = run(labelled, label_models(), accuracy)
    show(report, "Clusters, number of particles from spectrum, accuracy", names, found)


def map_of_spectra(report: Report) -> None:
    """Predict spectra from patches, and patches from spectra."""
    report.text(
        f"The piezoresponse map (`fetch_bepfm`): patches of {PATCH} × {PATCH} pixels at frequency "
        f"bin {BIN}, and the spectra at their centres, 625 rows. `GapKFold` holds out one side of "
        "the map after the other: 175 rows to test, 250 to learn from, and 8 lines of centres "
        "between them. An even patch does not turn about its centre: methods with symmetries see "
        f"the {PATCH - 1} × {PATCH - 1} pixels around it. Settings of autoencoders were chosen by "
        "the errors of two sides, bottom and right, so that top and left are the ones to judge by."
    )
    folds = map_folds()
    found = run(folds, im2spec_models(), rmse)
    show(report, "Map, patch to spectrum (im2spec), RMSE", SIDES, found)
    found = run(swapped(folds), spectrum_to_image_models(), rmse)
    show(report, "Map, spectrum to patch (spec2im), RMSE", SIDES, found)


def unmixing(report: Report) -> None:
    """Reconstruct spectra of held-out pixels from few components."""
    known, held_out = pixels()
    report.text(
        f"Unmixing the map: {N_COMPONENTS} components of the spectra of {len(known)} pixels, "
        "drawn at random, without scaling; root mean square error of the other "
        f"{len(held_out)} spectra, each reconstructed from its own components."
    )
    rows = []
    for name, make in unmixing_models().items():
        start = time.process_time()
        model = make().fit(known)
        seconds = time.process_time() - start
        error = rmse(held_out, model.inverse_transform(model.transform(held_out)))
        rows.append([name, f"{error:.4f}", f"{seconds:.1f}"])
    title = f"Map, unmixing with {N_COMPONENTS} components, RMSE"
    report.table(title, ["model", "held-out pixels", "CPU s a fit"], rows)


def numbers_beside_an_image(report: Report) -> None:
    """Reconstruct numbers and an image from the same latents."""
    images, numbers = spots_and_numbers(0)
    X = pd.DataFrame(numbers, columns=NAMES).assign(image=list(images))
    new = X.iloc[N_TRAIN:]
    spread = np.mean((images[N_TRAIN:] - images[N_TRAIN:].mean(axis=0)) ** 2)
    report.text(
        f"Images of 16 × 16 pixels of a spot, whose height, place and widths are random, with "
        f"noise of {NOISE}; beside them {N_NUMBERS} independent numbers. A DataFrame, with "
        f'`blocks="auto"`: {N_TRAIN} rows to learn from, {N_TEST} to test, each reconstructed '
        f"from its {N_LATENTS} latents, as many as there are factors. R² is pooled over numbers, "
        f"and over pixels; noise-free images would have {1 - NOISE**2 / spread:.4f}."
    )
    rows = []
    for name, weights in {
        "autoencoder": None,
        "autoencoder, each entry counts alike": {"image": 256, "table": N_NUMBERS},
    }.items():
        start = time.process_time()
        model = SupervisedAutoencoder(N_LATENTS, block_weights=weights, random_state=0)
        model.fit(X.iloc[:N_TRAIN])
        seconds = time.process_time() - start
        decoded = model.inverse_transform(model.transform(new))
        of_numbers = pooled_r2(numbers[N_TRAIN:], decoded[NAMES].to_numpy())
        of_images = pooled_r2(images[N_TRAIN:], np.stack(decoded["image"]))
        rows.append([name, f"{of_numbers:.4f}", f"{of_images:.4f}", f"{seconds:.1f}"])
    report.table(
        "Numbers beside an image, R² of the reconstruction",
        ["model", "numbers", "image", "CPU s a fit"],
        rows,
    )


def main() -> None:
    """Run all parts."""
    report = Report("spectra", __doc__)
    report.text(
        "ExtraTrees: 100 extremely randomised trees, the rest default. Symmetries: the model "
        "learns from all eight turned and reflected images, and its prediction is the mean over "
        f"them. The penalty of ridge, {PENALTY:g}, is the best power of ten by the errors on the "
        "test rows, or close to it, which favours ridge."
    )
    report.text(
        "Autoencoders have seed 0. With symmetries means "
        '`ImageBlock(invariance="symmetries")`. They predict a `target_block`, except where it '
        "says both kinds: these have images and spectra in X, symmetries, and "
        "`block_dropout=0.3`, and give the spectrum of an image from its latents (decoded), or "
        "by `complete`. All data are float32. CPU seconds were taken on a busy machine: compare "
        "them with one another."
    )
    clusters(report)
    map_of_spectra(report)
    unmixing(report)
    numbers_beside_an_image(report)
    report.close()


if __name__ == "__main__":
    main()
