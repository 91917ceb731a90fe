"""Accuracy: the paper's band gaps, and the default estimator against a perceptron."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import SupervisedAutoencoder

from ._data import autoencoder, mean_score, perceptron, perovskites, tasks
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


def band_gap_errors(model: Any, X: np.ndarray, y: np.ndarray) -> tuple[Any, Any, Any]:
    """Fit in each fold; give gap errors (eV), reconstruction errors (scaled units), seconds."""
    gaps, reconstructions, seconds = [], [], []
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        start = time.perf_counter()
        model.fit(X[train], y[train])
        seconds.append(time.perf_counter() - start)
        gaps.append(np.abs(model.predict(X[test]) - y[test]).mean())
        if hasattr(model, "inverse_transform"):
            scale = X[train].std(axis=0)
            back = model.inverse_transform(model.transform(X[test]))
            reconstructions.append(np.abs((back - X[test]) / scale).mean())
    return gaps, reconstructions, seconds


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
    models |= {
        "random forest, 300 trees": RandomForestRegressor(300, random_state=0),
        "histogram gradient boosting": HistGradientBoostingRegressor(random_state=0),
        "multi-layer perceptron, scaled": make_pipeline(
            StandardScaler(), MLPRegressor(random_state=0)
        ),
        "ridge, scaled": make_pipeline(StandardScaler(), Ridge()),
    }
    reference = None
    rows = []
    for name, model in models.items():
        gaps, reconstructions, seconds = band_gap_errors(model, X, y)
        rows.append([name, gaps, reconstructions, seconds])
        if name.startswith("histogram"):
            reference = np.mean(gaps)
    pca = [
        np.abs((back - X[test]) / X[train].std(axis=0)).mean()
        for train, test in KFold(5, shuffle=True, random_state=0).split(X)
        for pipeline in [make_pipeline(StandardScaler(), PCA(12)).fit(X[train])]
        for back in [pipeline.inverse_transform(pipeline.transform(X[test]))]
    ]
    report.table(
        "Band gaps of 494 crystals from 15 ion properties",
        ["model", "gap MAE (eV)", "ratio to boosting", "properties MAE", "seconds a fold"],
        [
            [
                name,
                f"{np.mean(gaps):.3f} ± {np.std(gaps, ddof=1):.3f}",
                f"{np.mean(gaps) / reference:.2f}",
                f"{np.mean(errors):.4f}" if errors else "",
                f"{np.mean(seconds):.1f}",
            ]
            for name, gaps, errors, seconds in rows
        ]
        + [
            ["PCA, 12 components", "", "", f"{np.mean(pca):.4f}", ""],
            ["published checkpoints, last epoch", "0.167 ± 0.026", "", "0.0193", ""],
            ["published checkpoints, best validation epoch", "0.154 ± 0.024", "", "0.0156", ""],
        ],
    )
    report.text(
        "Five shuffled folds (`KFold(5, shuffle=True, random_state=0)`), mean ± standard "
        "deviation over folds; all is fitted inside the fold. Errors of the properties are in "
        "standard deviations. Our one configuration was found by trying some on these folds, "
        "which favours it; the defaults were chosen over six data sets. The published rows are "
        "the authors' checkpoints, evaluated in eval mode and weighted by samples; the last of "
        "them picks its epoch on the rows that it is judged by."
    )


def default_against_perceptron(report: Report) -> None:
    """Compare the default estimator with scikit-learn's perceptron on six data sets."""
    rows, ratios = [], []
    for task in tasks():
        ours, our_seconds = mean_score(task, autoencoder)
        theirs, their_seconds = mean_score(task, perceptron)
        ratios.append((1 - ours) / (1 - theirs))
        rows.append(
            [
                task.name,
                "accuracy" if task.is_classification else "R²",
                f"{ours:.3f}",
                f"{theirs:.3f}",
                f"{ratios[-1]:.2f}",
                f"{our_seconds:.1f}",
                f"{their_seconds:.1f}",
            ]
        )
    columns = ["data", "score", "ours", "perceptron", "error ratio", "seconds", "its seconds"]
    report.table("The default estimator against scikit-learn's perceptron", columns, rows)
    report.text(
        f"The error ratio is (1 - score) ÷ (1 - the perceptron's score): below 1, ours is "
        f"better. "
        f"Geometric mean over the data sets: {np.exp(np.mean(np.log(ratios))):.2f}; median: "
        f"{np.median(ratios):.2f}. The perceptron does not scale its target, which costs it the "
        "diabetes data; without them the geometric mean is "
        f"{np.exp(np.mean(np.log(ratios[1:]))):.2f}. Ours passes everything through 16 latents "
        "and reconstructs the table beside; where the ratio is above 1, that costs more than it "
        "gives. The efficiency is judged on compositions that are not in the training rows."
    )


if __name__ == "__main__":
    REPORT = Report("accuracy", __doc__)
    # The perceptron's 200 epochs are not enough; what it gives by default is what is compared.
    warnings.simplefilter("ignore", ConvergenceWarning)
    band_gaps(REPORT)
    default_against_perceptron(REPORT)
    REPORT.close()
