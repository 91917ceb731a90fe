"""Accuracy: the paper's band gaps, and the default estimator against other models."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import SupervisedAutoencoder

from ._data import (
    Task,
    autoencoder,
    boosting,
    gaussian_process,
    mean_score,
    perceptron,
    perovskites,
    support_vectors,
    tasks,
)
from ._report import Report

# The published network and training, in our words. The paper's target is in eV, ours is
# standardised inside: its standard deviation, 1.3 eV, is the weight that makes the objectives one.
PAPER = {
    "n_components": 12,
    "hidden_layer_sizes": (),
    "predictor_hidden_layer_sizes": (100,),
    "activation": "relu",
    "latent_activation": "tanh",
    "dropout": 0.1,
    "l1": 0.01,
    "alpha": 0,
    "reconstruction_loss": "absolute_error",
    "prediction_loss": "absolute_error",
    "prediction_weight": 1.3,
    "initialization": "xavier_normal",
    "batch_size": 10,
    "learning_rate": "constant",
    "learning_rate_init": 1e-3,
    "max_iter": 1500,
}
# One configuration for all folds; found by trying widths, batch sizes and learning rates.
CHOSEN = {
    "n_components": 12,
    "hidden_layer_sizes": (128,),
    "predictor_hidden_layer_sizes": (128,),
    "reconstruction_loss": "absolute_error",
    "prediction_loss": "absolute_error",
    "alpha": 0,
    "batch_size": 16,
    "learning_rate_init": 3e-3,
    "max_iter": 800,
}
N_SEEDS = 3
REFERENCE = "histogram gradient boosting"  # of the ratio in the first table
MAX_PROCESS_ROWS = 1000  # a Gaussian process of more rows takes longer than all the rest


def band_gap_errors(model: Any, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    """Fit in each fold; give gap errors (eV) and reconstruction errors (scaled units)."""
    gaps, reconstructions = [], []
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        model.fit(X[train], y[train])
        gaps.append(np.abs(model.predict(X[test]) - y[test]).mean())
        if hasattr(model, "inverse_transform"):
            scale = X[train].std(axis=0)
            back = model.inverse_transform(model.transform(X[test]))
            reconstructions.append(np.abs((back - X[test]) / scale).mean())
    return gaps, reconstructions


def rivals_of_band_gaps(task: Task) -> dict[str, Any]:
    """Make the models that are no autoencoders."""
    whole = {"tol": 0, "n_iter_no_change": 2000}  # never stops before its last iteration
    return {
        "random forest, 300 trees": RandomForestRegressor(300, random_state=0),
        REFERENCE: boosting(task),
        "the same, 500 iterations": boosting(task, max_iter=500),
        "the same, 500 iterations, absolute error": boosting(
            task, max_iter=500, loss="absolute_error"
        ),
        "multi-layer perceptron": perceptron(task),
        "the same, all of 2000 iterations": perceptron(task, **whole),
        "support vector machine": support_vectors(task),
        "Gaussian process": gaussian_process(task),
        "ridge": make_pipeline(StandardScaler(), Ridge()),
    }


def band_gaps(report: Report) -> None:
    """Compare on the crystals: gap, and the ion properties from 12 latents."""
    data = perovskites()
    X, y = data.crystals.to_numpy(), data.gap.to_numpy()
    models = {
        f"{name}, seed {seed}" if n_seeds > 1 else name: SupervisedAutoencoder(
            **settings, random_state=seed
        )
        for name, settings, n_seeds in [
            ("ours, the paper's settings", PAPER, 1),
            ("ours, one configuration", CHOSEN, N_SEEDS),
            ("ours, default", {}, N_SEEDS),
        ]
        for seed in range(n_seeds)
    }
    models |= rivals_of_band_gaps(Task("band gap", X, y, False))
    reference = None
    rows = []
    for name, model in models.items():
        gaps, reconstructions = band_gap_errors(model, X, y)
        rows.append([name, gaps, reconstructions])
        if name == REFERENCE:
            reference = np.mean(gaps)
    pca = [
        np.abs((back - X[test]) / X[train].std(axis=0)).mean()
        for train, test in KFold(5, shuffle=True, random_state=0).split(X)
        for pipeline in [make_pipeline(StandardScaler(), PCA(12)).fit(X[train])]
        for back in [pipeline.inverse_transform(pipeline.transform(X[test]))]
    ]
    report.table(
        "Band gaps of 494 crystals from 15 ion properties",
        ["model", "gap MAE (eV)", "ratio to boosting", "properties MAE"],
        [
            [
                name,
                f"{np.mean(gaps):.3f} ± {np.std(gaps, ddof=1):.3f}",
                f"{np.mean(gaps) / reference:.2f}",
                f"{np.mean(errors):.4f}" if errors else "",
            ]
            for name, gaps, errors in rows
        ]
        + [
            ["PCA, 12 components", "", "", f"{np.mean(pca):.4f}"],
            ["published checkpoints, last epoch", "0.167 ± 0.026", "", "0.0193"],
            ["published checkpoints, best validation epoch", "0.154 ± 0.024", "", "0.0156"],
        ],
    )
    explain_band_gaps(report)


def explain_band_gaps(report: Report) -> None:
    """Say how the band gaps were measured."""
    report.text(
        "Five shuffled folds (`KFold(5, shuffle=True, random_state=0)`), mean ± standard "
        "deviation over folds; all is fitted inside the fold. Errors of the properties are in "
        "standard deviations. Our one configuration was found by trying some on these folds, "
        "which favours it; the defaults were chosen over six data sets, of which this is one, on "
        "these folds, too. The perceptron, the support vector machine and the Gaussian process "
        "see scaled columns and a scaled target. The perceptron may take 2000 iterations, and "
        "stops where 50 bring little. The support vector machine chooses `C` (1, 10, 100) and "
        "`epsilon` (0.01, 0.1) by five folds of the training rows; the Gaussian process has a "
        "length scale for each property, and white noise. The published rows are "
        "the authors' checkpoints, evaluated in eval mode and weighted by samples; the last of "
        "them picks its epoch on the rows that it is judged by."
    )


def takes(task: Task, name: str) -> bool:
    """Whether a rival is fitted to a data set."""
    is_small = len(task.y) <= MAX_PROCESS_ROWS and not task.is_classification
    return name != "Gaussian process" or is_small


def default_against_others(report: Report) -> None:
    """Compare the default estimator with other models on six data sets."""
    models = {
        "ours": autoencoder,
        "perceptron": perceptron,
        "support vector machine": support_vectors,
        "boosting": boosting,
        "boosting, 500 iterations": lambda task: boosting(task, max_iter=500),
        "Gaussian process": gaussian_process,
    }
    rows = []
    scores = np.full((len(tasks()), len(models)), np.nan)
    for i, task in enumerate(tasks()):
        for j, (name, make) in enumerate(models.items()):
            if takes(task, name):
                scores[i, j], _ = mean_score(task, make)
        score = "accuracy" if task.is_classification else "R²"
        rows.append([task.name, score, *texts(scores[i], 3)])
        print(rows[-1], flush=True)
    ratios = np.exp(np.nanmean(np.log((1 - scores[:, :1]) / (1 - scores)), axis=0))
    rows.append(["all", "error ratio", *texts(ratios, 2)])
    report.table("The default estimator and others", ["data", "score", *models], rows)
    report.text(
        "Means over five shuffled folds; the efficiency is judged on compositions that are not in "
        "the training rows. The error ratio is (1 - our score) ÷ (1 - the other's score), "
        "geometric mean over the data sets that the other was fitted to: below 1, ours is better. "
        "**Our defaults were chosen on these six data sets and these folds (see Defaults below), "
        "so that the ratios are optimistic for us**; on other data expect less. The others have "
        "the settings of the first table, but for squared errors of boosting; a few were tried on "
        "the band gaps' folds, on none of the others. The Gaussian process is left out of "
        f"classes, and where there are more than {MAX_PROCESS_ROWS} rows."
    )


def texts(values: np.ndarray, n_digits: int) -> list[str]:
    """Write numbers, and nothing where there is none."""
    return ["" if np.isnan(value) else f"{value:.{n_digits}f}" for value in values]


if __name__ == "__main__":
    REPORT = Report("accuracy", __doc__)
    # A Gaussian process, where a length scale reaches its bound: the column has no part in it;
    # a perceptron, where it takes all of its iterations, as it is told to.
    warnings.simplefilter("ignore", ConvergenceWarning)
    band_gaps(REPORT)
    default_against_others(REPORT)
    REPORT.close()
