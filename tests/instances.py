"""Tiny instances of every public estimator, for checks that run over all of them."""

from __future__ import annotations

from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    DualAutoencoder,
    DualAutoencoderClassifier,
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae.blocks import DenseBlock
from sknestedae.model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV

# A fit takes hundredths of a second: few epochs, at a learning rate that suits so few.
QUICK = {"max_iter": 30, "learning_rate_init": 0.01}
SETTINGS = {
    "default": {},
    "early stopping": {"early_stopping": True},
    "categorical": {"categorical_features": [0]},
    "plateau, penalties": {"learning_rate": "plateau", "alpha": 0.1, "l1": 1e-4},
    "ensemble": {"n_members": 2},
    "narrow, bounded": {
        "n_components": 2,
        "hidden_layer_sizes": (),
        "latent_activation": "tanh",
        "learning_rate_init": 0.05,
    },
}


def tiny_instances() -> list:
    """Give the estimators in several settings."""
    instances = [
        cls(**{**QUICK, **settings})
        for cls in (SupervisedAutoencoder, SupervisedAutoencoderClassifier)
        for settings in SETTINGS.values()
    ]
    processes = [
        SupervisedAutoencoder(**QUICK, predictor=predictor, **settings)
        for predictor in ("gaussian_process", "auto")
        for settings in ({}, {"n_members": 2})
    ]
    robust = {"reconstruction_loss": "huber", "prediction_loss": "absolute_error"}
    robust = SupervisedAutoencoder(**QUICK, **robust)
    return [*instances, *processes, robust, *tiny_duals(), *tiny_chains(), *tiny_searches()]


def tiny_duals() -> list:
    """Give dual autoencoders of tables whose first column is a kind of its own."""
    kinds = [("first", DenseBlock(), [0])]
    settings: list[dict] = [{}, {"alignment": "separated"}, {"n_members": 2}]
    return [
        cls(blocks=kinds, **QUICK, **own)
        for cls in (DualAutoencoder, DualAutoencoderClassifier)
        for own in settings
    ]


def tiny_variational() -> list:
    """Give estimators whose latents are drawn in training."""
    kinds = [("first", DenseBlock(), [0])]
    settings = {**QUICK, "beta": 1e-3, "max_iter": 60}
    return [
        SupervisedAutoencoder(**settings),
        SupervisedAutoencoderClassifier(**settings),
        DualAutoencoder(blocks=kinds, **settings),
        DualAutoencoderClassifier(blocks=kinds, **settings),
    ]


def tiny_chains() -> list:
    """Give chains whose scales come from the data, and chains of explicit stages."""
    first = ("first", SupervisedAutoencoder(2, **QUICK), [0])
    rest = slice(1, None)
    classifier = SupervisedAutoencoderClassifier(**QUICK)
    behind_scaler = make_pipeline(StandardScaler(), SupervisedAutoencoder(**QUICK))
    return [
        NestedAutoencoder(),
        NestedAutoencoder([first, ("second", SupervisedAutoencoder(**QUICK), rest)]),
        NestedAutoencoder([first, ("second", classifier, rest)], latents="all"),
        NestedAutoencoder([first, ("second", behind_scaler, rest)]),
        NestedAutoencoder(
            [first, ("second", SupervisedAutoencoder(**QUICK), rest)],
            refine_iter=2,
            train_rows="all",
        ),
        NestedAutoencoder([first, ("second", SupervisedAutoencoder(**QUICK), rest)], n_members=2),
        *(
            NestedAutoencoder(
                [
                    ("first", SupervisedAutoencoder(2, **QUICK, predictor=predictor), [0]),
                    ("second", SupervisedAutoencoder(**QUICK, predictor=predictor), rest),
                ]
            )
            for predictor in ("gaussian_process", "auto")
        ),
    ]


def tiny_searches() -> list:
    """Give searches, over few candidates and folds."""
    grid, settings = {"alpha": [1e-3, 0.1]}, {**QUICK, "random_state": 0}
    # the checks want errors, and have classes of fewer rows than stratified folds want
    how = {"error_score": "raise", "cv": KFold(2, shuffle=True, random_state=0)}
    return [
        BatchedGridSearchCV(SupervisedAutoencoder(**settings), grid, **how),
        BatchedGridSearchCV(SupervisedAutoencoderClassifier(**settings), grid, **how),
        BatchedRandomizedSearchCV(SupervisedAutoencoder(**settings), grid, n_iter=2, **how),
    ]
