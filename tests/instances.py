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
QUICK = {"max_iter": 7, "learning_rate_init": 0.05}
# Of a setting no check asks whether much is learnt.
QUICKER = {"max_iter": 4, "learning_rate_init": 0.03}
SETTINGS = {
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


# The checks want errors, and have classes of fewer rows than stratified folds want.
HOW = {"error_score": "raise", "cv": KFold(2, shuffle=True, random_state=0)}
# The checks whose outcome a setting can change: those of what fit does with rows and weights, and
# of what predictions follow from. How tables, labels, parameters and errors are read is the same
# code for all settings of an estimator.
OF_SETTINGS = {
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_readonly_memmap_input",
    "check_regressor_multioutput",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weights_not_overwritten",
    "check_transformer_general",
}


def tiny_instances() -> dict:
    """Give an instance of each public estimator, and of each kind of target that it predicts."""
    kinds = [("first", DenseBlock(), [0])]
    grid = {"alpha": [1e-3, 0.1]}  # of networks: a Gaussian process depends on none
    regressor = SupervisedAutoencoder(**QUICK, predictor="network", random_state=0)
    return {
        "regressor": SupervisedAutoencoder(**QUICK),
        "classifier": SupervisedAutoencoderClassifier(**QUICK),
        "dual regressor": DualAutoencoder(blocks=kinds, **QUICK),
        "dual classifier": DualAutoencoderClassifier(blocks=kinds, **QUICK),
        "chain": NestedAutoencoder(max_iter=QUICK["max_iter"]),
        "chain to classes": chain_of(SupervisedAutoencoderClassifier(**QUICK), latents="all"),
        "search": BatchedGridSearchCV(regressor, grid, **HOW),
        "random search": BatchedRandomizedSearchCV(regressor, grid, n_iter=1, **HOW),
    }


def tiny_settings() -> dict:
    """Give the estimators in settings that change the path through fit."""
    kinds = [("first", DenseBlock(), [0])]
    found = {
        f"regressor, {setting}": SupervisedAutoencoder(**{**QUICKER, **settings})
        for setting, settings in SETTINGS.items()
    }
    for setting in ("early stopping", "ensemble"):  # which draw rows of each class, or vote
        settings = {**QUICKER, **SETTINGS[setting]}
        found[f"classifier, {setting}"] = SupervisedAutoencoderClassifier(**settings)
    process = {**QUICKER, "predictor": "gaussian_process"}
    found["regressor, process"] = SupervisedAutoencoder(**process)
    found["regressor, process, ensemble"] = SupervisedAutoencoder(**process, n_members=2)
    found["regressor, auto"] = SupervisedAutoencoder(**QUICKER, predictor="auto")
    robust = {"reconstruction_loss": "huber", "prediction_loss": "absolute_error"}
    found["regressor, robust"] = SupervisedAutoencoder(**QUICKER, **robust)
    dual = {"blocks": kinds, **QUICKER}
    found["dual, separated"] = DualAutoencoder(**dual, alignment="separated")
    found["dual, ensemble"] = DualAutoencoder(**dual, n_members=2)
    classifier = SupervisedAutoencoderClassifier(**QUICKER, random_state=0)
    search = BatchedGridSearchCV(classifier, {"alpha": [1e-3, 0.1]}, **HOW)
    return {**found, **tiny_chains(), "search over classifiers": search}


def tiny_variational() -> dict:
    """Give estimators whose latents are drawn in training."""
    kinds = [("first", DenseBlock(), [0])]
    settings = {**QUICKER, "beta": 1e-3}
    return {
        "regressor": SupervisedAutoencoder(**settings),
        "classifier": SupervisedAutoencoderClassifier(**settings),
        "dual regressor": DualAutoencoder(blocks=kinds, **settings),
        "dual classifier": DualAutoencoderClassifier(blocks=kinds, **settings),
    }


def chain_of(last, predictor: str = "network", **settings) -> NestedAutoencoder:
    """Give a chain whose first stage has the first column, and its last one the others."""
    first = SupervisedAutoencoder(2, **QUICKER, predictor=predictor)
    return NestedAutoencoder([("a", first, [0]), ("b", last, slice(1, None))], **settings)


def tiny_chains() -> dict:
    """Give chains of explicit stages."""
    last = SupervisedAutoencoder(**QUICKER)
    return {
        "stages": chain_of(last),
        "stages, pipeline": chain_of(make_pipeline(StandardScaler(), last)),
        "stages, refined": chain_of(last, refine_iter=2, train_rows="all"),
        "stages, ensemble": chain_of(last, n_members=2),
        **{
            f"stages, {predictor}": chain_of(
                SupervisedAutoencoder(**QUICKER, predictor=predictor), predictor
            )
            for predictor in ("gaussian_process", "auto")
        },
    }
