"""Two kinds of data in one latent space: translations, partners and labels."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.cross_decomposition import CCA, PLSRegression
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    DualAutoencoder,
    DualAutoencoderClassifier,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_kinds,
)
from sknestedae.blocks import DenseBlock, ImageBlock, SpectrumBlock
from sknestedae.datasets import make_nanoparticle_clusters

from ._phonons import Phonons, path, phonons
from ._report import Report
from .spectra import (
    PENALTY,
    TREES,
    Flat,
    Symmetric,
    accuracy,
    pooled_r2,
    rmse,
    to_image,
    to_spectrum,
    trees,
)

PARTS = ("clusters", "strategies", "phonons", "unpaired", "pairs", "cost")
# Clusters, as in the benchmark of spectra: 400 pairs to learn from, 500 to test, of two draws.
N_TRAIN, N_TEST, DRAWS = 400, 500, (0, 1)
N_BEST, N_MEMBERS = 5, 4
ENDINGS = ("", ", rotation")  # of the models' names
# Settings, chosen by errors on other draws, and on crystals that are neither learnt nor tested.
CLUSTERS = {"max_iter": 100}
PHONONS = {
    "n_components": 32,
    "block_weights": {"structure": 0.15, "spectrum": 0.85},
    "alpha": 1e-4,
    "dropout": 0.1,
    "max_iter": 400,
}
BETA = 1.0
N_LABELLED, N_GROUPS = 30, 6
# A hundred pairs, and a thousand images and spectra of other clusters: draws and rows.
FEW, MANY, FEW_DRAWS = 100, 1000, (2, 3, 4, 5, 6)
# The grid of pairs and of unpaired rows of each kind.
N_PAIRS, N_UNPAIRED, GRID_DRAW = (50, 100, 200, 400), (0, 500, 2000), 2
N_STEPS, N_STEPS_OF_GRID = 1000, 700
N_FITS = 7


class Scores(NamedTuple):
    """What is measured of one model on one draw; NaN where it cannot do it."""

    spectrum_rmse: float = np.nan
    spectrum_r2: float = np.nan
    image_rmse: float = np.nan
    accuracy: float = np.nan
    image_found: float = np.nan
    spectrum_found: float = np.nan


class Clusters(NamedTuple):
    """Images (n, 16, 16), spectra (n, 64) and numbers of particles (n,)."""

    images: np.ndarray
    spectra: np.ndarray
    n_particles: np.ndarray

    def rows(self, start: int, stop: int) -> Clusters:
        """Give some of the clusters."""
        return Clusters(*(array[start:stop] for array in self))


# --- data -------------------------------------------------------------------------------------


def clusters_of(draw: int, n_samples: int) -> Clusters:
    """Draw clusters."""
    data = make_nanoparticle_clusters(n_samples, random_state=draw)
    images, spectra = (array.astype(np.float32) for array in (data.images, data.spectra))
    return Clusters(images, spectra, data.n_particles)


def table_of(data: Clusters, n_pairs: int | None = None) -> pd.DataFrame:
    """Make one table; of clusters beyond the pairs half have an image, and half a spectrum."""
    X = stack_kinds(image=data.images, spectrum=data.spectra)
    if n_pairs is not None:
        middle, n_pixels = (n_pairs + len(X)) // 2, data.images[0].size
        X.iloc[n_pairs:middle, n_pixels:] = np.nan
        X.iloc[middle:, :n_pixels] = np.nan
    return X


def spectra_alone(data: Clusters) -> pd.DataFrame:
    """Make one table of clusters whose images are not known."""
    X = table_of(data)
    X.iloc[:, : data.images[0].size] = np.nan
    return X


# --- models -----------------------------------------------------------------------------------


def kinds(invariance: str) -> list[tuple[str, Any, str]]:
    """Give the blocks of clusters; latents do not know how an image was turned."""
    image = ImageBlock(invariance=invariance)
    return [("image", image, "image"), ("spectrum", SpectrumBlock(), "spectrum")]


def dual(classifies: bool = False, invariance: str = "symmetries", **settings: Any) -> Any:
    """Make a dual autoencoder of clusters."""
    make = DualAutoencoderClassifier if classifies else DualAutoencoder
    given = {"early_stopping": False, "random_state": 0, **CLUSTERS, **settings}
    return make(blocks=kinds(invariance), **given)


def share_found(index: np.ndarray) -> float:
    """Give the share of rows whose partner, of the same position, is among those found."""
    return float(np.mean([i in found for i, found in enumerate(index)]))


def best(scores: np.ndarray) -> np.ndarray:
    """Give the positions of the highest scores of each row."""
    return np.argsort(-scores, axis=1)[:, :N_BEST]


def score_dual(model: Any, test: Clusters) -> Scores:
    """Measure a fitted dual model."""
    spectra = model.translate(test.images, "image", "spectrum")
    images = model.translate(test.spectra, "spectrum", "image")
    labels = np.nan
    if isinstance(model, DualAutoencoderClassifier) and model.alignment != "separated":
        labels = accuracy(test.n_particles, model.predict(spectra_alone(test)))
    given_spectra = model.retrieve(test.spectra, "spectrum", test.images, n_neighbors=N_BEST)
    given_images = model.retrieve(test.images, "image", test.spectra, n_neighbors=N_BEST)
    return Scores(
        rmse(test.spectra, spectra),
        pooled_r2(test.spectra, spectra),
        rmse(test.images, images),
        labels,
        share_found(given_spectra),
        share_found(given_images),
    )


def score_regressors(
    to_spectra: Any, to_images: Any, classifier: Any, train: Clusters, test: Clusters
) -> Scores:
    """Measure a model of each direction, and a classifier of spectra where there is one."""
    spectra = to_spectra.fit(train.images, train.spectra).predict(test.images)
    images = to_images.fit(train.spectra, train.images).predict(test.spectra)
    labels = np.nan
    if classifier is not None:
        classifier.fit(train.spectra, train.n_particles)
        labels = accuracy(test.n_particles, classifier.predict(test.spectra))
    return Scores(
        rmse(test.spectra, spectra),
        pooled_r2(test.spectra, spectra),
        rmse(test.images, images),
        labels,
    )


def canonical(train: Clusters, test: Clusters, n_components: int = 8) -> Scores:
    """Find partners by canonical correlations."""
    flat = [data.reshape(len(data), -1) for data in (train.images, train.spectra)]
    model = CCA(n_components, max_iter=2000).fit(*flat)
    Z = model.transform(test.images.reshape(len(test.images), -1), test.spectra)
    scores = correlations(*Z)
    return Scores(
        image_found=share_found(best(scores.T)), spectrum_found=share_found(best(scores))
    )


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Give the cosine between rows of one array and rows of another."""
    first, second = (Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (first, second))
    return first @ second.T


def cluster_models() -> dict[str, Callable[[Clusters, Clusters], Scores]]:
    """Give functions that fit a model to some clusters, and measure it on others."""
    ridge = Flat(Ridge(PENALTY))

    def duals(**settings: Any) -> Callable[[Clusters, Clusters], Scores]:
        def measure(train: Clusters, test: Clusters) -> Scores:
            model = dual(True, **settings).fit(table_of(train), train.n_particles)
            return score_dual(model, test)

        return measure

    def trees_of(train: Clusters, test: Clusters) -> Scores:
        classifier = ExtraTreesClassifier(**TREES)
        return score_regressors(Symmetric(trees()), trees(), classifier, train, test)

    def networks(train: Clusters, test: Clusters) -> Scores:
        classifier = SupervisedAutoencoderClassifier(
            6, blocks=SpectrumBlock(), dropout=0.2, max_iter=50, random_state=0
        )
        return score_regressors(to_spectrum(), to_image(), classifier, train, test)

    return {
        "dual": duals(),
        "dual, rotation": duals(invariance="rotation"),
        "dual, rotation, variational": duals(invariance="rotation", beta=BETA),
        f"dual, rotation, {N_MEMBERS} members": duals(invariance="rotation", n_members=N_MEMBERS),
        "separated": duals(alignment="separated"),
        "separated, rotation": duals(invariance="rotation", alignment="separated"),
        "an autoencoder for each direction": networks,
        "ExtraTrees": trees_of,
        "ridge": lambda train, test: score_regressors(
            Symmetric(ridge), Flat(Ridge(PENALTY)), None, train, test
        ),
        "canonical correlations": canonical,
    }


# --- parts ------------------------------------------------------------------------------------


def number(value: float, digits: int = 4) -> str:
    """Write a number; nothing where there is none."""
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def clusters(report: Report) -> None:
    """Compare models of images and spectra of simulated clusters."""
    report.text(
        f"Simulated clusters (`make_nanoparticle_clusters`): {N_TRAIN} pairs to learn from, "
        f"{N_TEST} to test, mean of draws {DRAWS[0]} and {DRAWS[1]}. Errors are root mean squares "
        "over all numbers, R² is pooled over channels. The label is the number of particles. A "
        f"partner is found if it is among the {N_BEST} that `retrieve` gives of {N_TEST} rows; by "
        f"chance that is {N_BEST / N_TEST:.3f}. ExtraTrees and ridge see all eight turned images "
        "on the way to spectra. Separated: two autoencoders that do not see one another, and "
        'linear maps between their latents (`alignment="separated"`). Rotation: '
        '`ImageBlock(invariance="rotation")`, else `"symmetries"`. Variational: '
        f"`beta={BETA:g}`."
    )
    data = [clusters_of(draw, N_TRAIN + N_TEST) for draw in DRAWS]
    found = {}
    for name, measure in cluster_models().items():
        start = time.process_time()
        scores = [
            measure(own.rows(0, N_TRAIN), own.rows(N_TRAIN, N_TRAIN + N_TEST)) for own in data
        ]
        seconds = (time.process_time() - start) / len(data)
        found[name] = [*np.mean(scores, axis=0), seconds]
    report.table(
        "Clusters, two kinds of data",
        [
            *("model", "image to spectrum, RMSE", "R²", "spectrum to image, RMSE"),
            *("label of spectra, accuracy", "image of a spectrum found"),
            *("spectrum of an image found", "CPU s"),
        ],
        [
            [name, *map(number, v[:3]), *(number(share, 3) for share in v[3:6]), f"{v[6]:.0f}"]
            for name, v in found.items()
        ],
    )
    ratios = [found[f"dual{more}"][0] / found[f"separated{more}"][0] for more in ENDINGS]
    report.text(
        f"Error of spectra, dual by separated: {ratios[0]:.2f}; with rotation, {ratios[1]:.2f}."
    )


def strategies(report: Report) -> None:
    """Measure each strategy of labelling and of translation once, on the same clusters."""
    report.text(
        f"Ways to use images and spectra, on the same clusters: with {N_LABELLED} known labels of "
        f"{N_TRAIN} clusters (the first three rows), or with {N_TRAIN} pairs."
    )
    found = []
    for draw in DRAWS:
        data = clusters_of(draw, N_TRAIN + N_TEST)
        train, test = data.rows(0, N_TRAIN), data.rows(N_TRAIN, N_TRAIN + N_TEST)
        found.append({**labelled(train, test), **translated(train, test)})
    rows = []
    for name in found[0]:
        values = [own[name] for own in found]
        rows.append([*name, *map(number, values), number(float(np.mean(values)))])
    names = [f"draw {draw}" for draw in DRAWS]
    report.table("Strategies", ["strategy", "measured", *names, "mean"], rows)


def labelled(train: Clusters, test: Clusters) -> dict[tuple[str, str], float]:
    """Give the accuracy of labels of spectra, of which few are known."""
    known = train.rows(0, N_LABELLED)
    trees_of = ExtraTreesClassifier(**TREES).fit(known.spectra, known.n_particles)
    y = train.n_particles.astype(float)
    y[N_LABELLED:] = np.nan
    model = dual(True).fit(table_of(train), y)
    found = {
        "classifier of the labelled spectra, ExtraTrees": trees_of.predict(test.spectra),
        "labels of groups of an autoencoder's latents": labels_of_groups(train, test),
        "dual, whose latents are labelled": model.predict(spectra_alone(test)),
    }
    measured = "label of spectra, accuracy"
    return {(name, measured): accuracy(test.n_particles, labels) for name, labels in found.items()}


def labels_of_groups(train: Clusters, test: Clusters) -> np.ndarray:
    """Name groups of latents by the most frequent known label in each."""
    model = SupervisedAutoencoder(6, blocks=SpectrumBlock(), random_state=0)
    Z = model.fit(train.spectra).transform(train.spectra)
    mixture = GaussianMixture(N_GROUPS, n_init=5, random_state=0).fit(Z)
    group, known = mixture.predict(Z)[:N_LABELLED], train.n_particles[:N_LABELLED]
    usual = np.bincount(known).argmax()  # of a group without a known label
    names = [
        np.bincount(known[group == k]).argmax() if (group == k).any() else usual
        for k in range(N_GROUPS)
    ]
    return np.array(names)[mixture.predict(model.transform(test.spectra))]


def translated(train: Clusters, test: Clusters) -> dict[tuple[str, str], float]:
    """Give R² of spectra and errors of images, by models of one direction and of both."""
    to, back = "image to spectrum, R²", "spectrum to image, RMSE"
    im2spec = to_spectrum().fit(train.images, train.spectra)
    spec2im = to_image().fit(train.spectra, train.images)
    found = {
        ("im2spec, an autoencoder of images", to): pooled_r2(
            test.spectra, im2spec.predict(test.images)
        ),
        ("spec2im, an autoencoder of spectra", back): rmse(
            test.images, spec2im.predict(test.spectra)
        ),
    }
    for name, settings in {"separated": {"alignment": "separated"}, "dual": {}}.items():
        scores = score_dual(dual(**settings).fit(table_of(train)), test)
        found[name, to], found[name, back] = scores.spectrum_r2, scores.image_rmse
    return found


def phonon_spectra(report: Report) -> None:
    """Predict phonon densities of states of crystals, and find partners."""
    if not path().is_file():
        report.text(f"No phonons: SKNESTEDAE_DATA has no {path().name}.")
        return
    data = phonons()
    report.text(
        f"Phonon densities of states (51 bins) of crystals, and {data.X.shape[1]} features: "
        "statistics of the elements, volume and radial densities. The split of seed 73: "
        f"{len(data.X)} crystals to learn from, {len(data.X_test)} to test. By chance "
        f"{N_BEST / len(data.X_test):.3f} of the partners are among {N_BEST}."
    )
    columns = ["model", "R²", "spectrum of a crystal found", "crystal of a spectrum found"]
    rows = [
        [name, *(number(value, 3) for value in values), f"{seconds:.0f}"]
        for name, values, seconds in phonon_scores(data)
    ]
    report.table("Phonons", [*columns, "CPU s"], rows)


def phonon_scores(data: Phonons) -> list[tuple[str, list[float], float]]:
    """Measure all models of phonons."""
    scaler = StandardScaler().fit(data.X)
    X, X_test = scaler.transform(data.X), scaler.transform(data.X_test)
    blocks = [
        ("structure", DenseBlock(), "structure"),
        ("spectrum", SpectrumBlock(), "spectrum"),
    ]
    table = stack_kinds(structure=data.X, spectrum=data.Y)

    def dual_of(**settings: Any) -> list[float]:
        given = {**PHONONS, "early_stopping": False, "random_state": 0, **settings}
        model = DualAutoencoder(blocks=blocks, **given).fit(table)
        return [
            pooled_r2(data.Y_test, model.translate(data.X_test, "structure", "spectrum")),
            share_found(model.retrieve(data.X_test, "structure", data.Y_test, n_neighbors=N_BEST)),
            share_found(model.retrieve(data.Y_test, "spectrum", data.X_test, n_neighbors=N_BEST)),
        ]

    def regression(model: Any) -> list[float]:
        return [pooled_r2(data.Y_test, model.fit(X, data.Y).predict(X_test)), np.nan, np.nan]

    def canonical_of() -> list[float]:
        model = CCA(12, max_iter=2000).fit(X, data.Y)
        scores = correlations(*model.transform(X_test, data.Y_test))
        r2 = pooled_r2(data.Y_test, model.predict(X_test))
        return [r2, share_found(best(scores)), share_found(best(scores.T))]

    supervised = SupervisedAutoencoder(32, target_block=SpectrumBlock(), random_state=0)
    models: dict[str, Callable[[], list[float]]] = {
        "dual": dual_of,
        "dual, 5 members": lambda: dual_of(n_members=5),
        "separated": lambda: dual_of(alignment="separated"),
        "an autoencoder of features that predicts spectra": lambda: regression(supervised),
        "ExtraTrees": lambda: regression(ExtraTreesRegressor(**TREES)),
        "partial least squares, 12": lambda: regression(PLSRegression(12, max_iter=2000)),
        "canonical correlations, 12": canonical_of,
    }
    found = []
    for name, measure in models.items():
        start = time.process_time()
        values = measure()
        found.append((name, values, time.process_time() - start))
    return found


def epochs(n_rows: int, n_steps: int) -> int:
    """Give the number of epochs of some steps, however many rows there are."""
    batch = min(int(np.clip(2 ** int(np.log2(n_rows / 16)), 32, 1024)), n_rows)
    return round(n_steps / np.ceil(n_rows / batch))


def fit_pairs(
    data: Clusters,
    n_pairs: int,
    n_unpaired: int,
    n_steps: int = N_STEPS,
    **settings: Any,
) -> Any:
    """Fit a dual autoencoder to pairs, and to as many unpaired images and spectra."""
    X = table_of(data.rows(0, n_pairs + 2 * n_unpaired), n_pairs)
    n_rows = len(X)
    if settings.get("alignment") != "separated":  # in an epoch, a third of the rows are pairs
        n_times = min(int(np.ceil(n_unpaired / n_pairs)), 20)
        n_rows += n_pairs * max(n_times - 1, 0)
    return dual(**{"max_iter": epochs(n_rows, n_steps), **settings}).fit(X)


def unpaired(report: Report) -> None:
    """Ask whether images and spectra of other clusters help."""
    report.text(
        f"{FEW} pairs, and {MANY} images and {MANY} spectra of other clusters; {N_TEST} pairs to "
        f"test; draws {FEW_DRAWS[0]} to {FEW_DRAWS[-1]}. The autoencoder of images that predicts "
        f"spectra sees the pairs alone, 150 times; dual models take {N_STEPS} steps. Differences "
        "from the first row are of the same draws, with their standard error."
    )
    data = [clusters_of(draw, FEW + 2 * MANY + N_TEST) for draw in FEW_DRAWS]
    tests = [own.rows(FEW + 2 * MANY, FEW + 2 * MANY + N_TEST) for own in data]

    def scores_of(n_unpaired: int, **settings: Any) -> np.ndarray:
        models = [fit_pairs(own, FEW, n_unpaired, **settings) for own in data]
        return scores(lambda k, images: models[k].translate(images, "image", "spectrum"))

    def scores(predict: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
        return np.array(
            [pooled_r2(test.spectra, predict(k, test.images)) for k, test in enumerate(tests)]
        )

    def alone_with(**settings: Any) -> np.ndarray:
        models = [to_spectrum(**settings).fit(own.images[:FEW], own.spectra[:FEW]) for own in data]
        return scores(lambda k, images: models[k].predict(images))

    alone = alone_with()
    found = {
        "an autoencoder of images, the pairs alone": alone,
        "the same, with as many steps as dual ones": alone_with(max_iter=epochs(FEW, N_STEPS)),
        "dual, the pairs alone": scores_of(0),
        "dual, unpaired rows too": scores_of(MANY),
    }
    rows = []
    for name, values in found.items():
        difference = values - alone
        error = difference.std(ddof=1) / np.sqrt(len(values))
        shown = "" if values is alone else f"{difference.mean():+.4f} ± {error:.4f}"
        rows.append([name, f"{values.mean():.4f}", shown])
    title = "Clusters, few pairs and many unpaired rows, R² of spectra from images"
    report.table(title, ["model", "R²", "difference"], rows)


def pairs(report: Report) -> None:
    """Ask how many pairs a dual model needs, and when it pays."""
    report.text(
        f"When does a dual model pay? Numbers of pairs, and of unpaired images and as many "
        f"unpaired spectra, of draw {GRID_DRAW}; {N_TEST} pairs to test. Dual and separated "
        f"models take {N_STEPS_OF_GRID} steps, whatever the number of rows. All others see the "
        "pairs alone."
    )
    n_rows = max(N_PAIRS) + 2 * max(N_UNPAIRED)
    data = clusters_of(GRID_DRAW, n_rows + N_TEST)
    test = data.rows(n_rows, n_rows + N_TEST)
    spectra, images = [], []
    for n_pairs in N_PAIRS:
        plain = others_on(data.rows(0, n_pairs), test)
        for n_unpaired in N_UNPAIRED:
            ours = [
                score_dual(fit_pairs(data, n_pairs, n_unpaired, N_STEPS_OF_GRID, **settings), test)
                for settings in ({}, {"alignment": "separated"})
            ]
            found = [*ours, *plain]
            first = [str(n_pairs), str(n_unpaired)]
            spectra.append([*first, *(number(own.spectrum_r2) for own in found)])
            images.append([*first, *(number(own.image_rmse) for own in found)])
    others = ["autoencoder", "ExtraTrees", "ridge"]
    columns = ["pairs", "unpaired, each", "dual", "separated", *others]
    report.table("Clusters, image to spectrum, R²", columns, spectra)
    report.table("Clusters, spectrum to image, RMSE", columns, images)


def others_on(train: Clusters, test: Clusters) -> list[Scores]:
    """Measure models of one direction each, which see pairs alone."""
    ridge = Flat(Ridge(PENALTY))
    models = [
        (to_spectrum(), to_image()),
        (Symmetric(trees()), trees()),
        (Symmetric(ridge), Flat(Ridge(PENALTY))),
    ]
    return [score_regressors(*both, None, train, test) for both in models]


def cost(report: Report) -> None:
    """Measure how much longer a fit with variational latents takes."""
    X = table_of(clusters_of(0, N_TRAIN))
    seconds: dict[float | None, list[float]] = {None: [], BETA: []}
    for _ in range(N_FITS):
        for beta, taken in seconds.items():
            model = dual(beta=beta, max_iter=20)
            start = time.process_time()
            model.fit(X)
            taken.append(time.process_time() - start)
    plain, variational = (float(np.median(taken)) for taken in seconds.values())
    report.text(
        f"CPU time of a fit of {N_TRAIN} clusters and 20 epochs, medians of {N_FITS} fits of each "
        f"kind in turn: variational by plain {variational / plain:.2f}."
    )


def some_of(text: str) -> list[str]:
    """Read names of parts, separated by commas."""
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown} are none of {', '.join(PARTS)}")
    return names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which parts are to be run."""
    parser.add_argument("--only", type=some_of, default=list(PARTS), help=", ".join(PARTS))


def main() -> None:
    """Run all parts, or those that are asked for."""
    report = Report("dual", __doc__, add_arguments)
    if report.write and report.arguments.only != list(PARTS):
        raise SystemExit("The tables are written of all parts together: leave out --only.")
    report.text(
        "ExtraTrees: 100 extremely randomised trees, the rest default. All networks have seed 0. "
        "Settings of dual models were chosen on other draws of clusters, and on 152 crystals that "
        "are not in these tables. CPU seconds were taken on a busy machine: compare them with one "
        "another."
    )
    functions = (clusters, strategies, phonon_spectra, unpaired, pairs, cost)
    for name, function in zip(PARTS, functions, strict=True):
        if name in report.arguments.only:
            function(report)
    report.close()


if __name__ == "__main__":
    main()
