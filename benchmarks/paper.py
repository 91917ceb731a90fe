"""The published numbers beside ours: band gaps, solar cells, and the synthetic functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknestedae import NestedAutoencoder, ScaleKFold, SupervisedAutoencoder, stack_scales
from sknestedae.datasets import make_nested_functions

from . import accuracy
from ._data import Task, perceptron, perovskites
from ._report import Report

LAYERS = ["ETL", "HTL"]
BATCH = 100  # of the second stage

# The published settings of both stages in our words. The paper's efficiency is not scaled, ours
# is: its standard deviation, 4.74, is the weight that makes the errors of prediction one.
PAPER_CRYSTAL = accuracy.PAPER
PAPER_DEVICE = {
    **accuracy.PAPER,
    "n_components": 18,
    "prediction_weight": 4.74,
    # The paper adds three terms: the mean error of 12 latents, and a cross-entropy for each of
    # the two layers. Ours is the mean over all 14 columns: times 14, it is the two cross-entropies
    # as in the paper, and the latents 12 times as heavy.
    "reconstruction_weight": 14.0,
    "batch_size": BATCH,
}
# The single autoencoder has 15 ion properties in the place of the 12 latents.
PAPER_FLAT = {**PAPER_DEVICE, "reconstruction_weight": 17.0}
PAPER_LAYERS = {**PAPER_DEVICE, "reconstruction_weight": 2.0, "n_components": 8}

# One configuration for all folds.
CHOSEN_CRYSTAL = accuracy.CHOSEN
CHOSEN_DEVICE = {
    "n_components": 20,
    "hidden_layer_sizes": (),
    "predictor_hidden_layer_sizes": (100,),
    "activation": "relu",
    "prediction_loss": "absolute_error",
    "alpha": 1e-4,
    "dropout": 0.1,
    "batch_size": 64,
    "max_iter": 400,
}
# What the default chain gives its second stage.
DEFAULT_DEVICE = {"alpha": "auto"}

# Of the crystal's stage, of the device's stage, and of one autoencoder of all columns.
SETTINGS = {
    "the paper's settings": (PAPER_CRYSTAL, PAPER_DEVICE, PAPER_FLAT),
    "one configuration": (CHOSEN_CRYSTAL, CHOSEN_DEVICE, CHOSEN_DEVICE),
    "default": ({}, DEFAULT_DEVICE, {}),
}
COLUMNS = [
    "",
    "published, as printed",
    "the same checkpoints, evaluated",
    *(f"ours, {name}" for name in SETTINGS),
]
N_GROUPED = 4  # splits by composition

# The published networks of the synthetic functions, as far as the repository has them: hidden
# layers of 4 and 3 units and 2 latents, of 11, 8 and 6 units and 5 latents. The paper's decoder
# ends in tanh, ours is linear. That of the single autoencoder is not known: that of stage 2.
PAPER_FUNCTIONS = {
    "activation": "tanh",
    "reconstruction_loss": "absolute_error",
    "l1": 1e-3,
    "alpha": 0,
    "batch_size": 10,
    "learning_rate": "constant",
    "max_iter": 2000,
}
PAPER_FIRST = {**PAPER_FUNCTIONS, "hidden_layer_sizes": (4, 3), "learning_rate_init": 1e-4}
PAPER_SECOND = {**PAPER_FUNCTIONS, "hidden_layer_sizes": (11, 8, 6), "learning_rate_init": 1e-2}
N_SPLITS, N_PAPER_SPLITS = 10, 3


def spread(values: Iterable[float], digits: int = 3) -> str:
    """Write a mean and a standard deviation."""
    values = np.asarray(list(values))
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


# -- stage 1


def crystal_errors(settings: dict[str, Any], data: Any) -> np.ndarray:
    """Fit in each of five folds; give MAE and RMSE of the gap and MAE of the properties."""
    errors = []
    X, y = data.crystals, data.gap.to_numpy()
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        model = SupervisedAutoencoder(**settings, random_state=0).fit(X.iloc[train], y[train])
        gap = model.predict(X.iloc[test]) - y[test]
        back = model.inverse_transform(model.transform(X.iloc[test])).to_numpy()
        difference = (back - X.iloc[test].to_numpy()) / X.iloc[train].to_numpy().std(axis=0)
        errors.append([np.abs(gap).mean(), np.sqrt((gap**2).mean()), np.abs(difference).mean()])
    return np.array(errors)


def stage_1(report: Report, data: Any) -> None:
    """Report Table 1's first stage."""
    ours = [crystal_errors(crystal, data) for crystal, _, _ in SETTINGS.values()]
    published = [
        ["gap, MAE (eV)", "0.168 ± 0.027", "0.167 ± 0.026"],
        ["gap, RMSE (eV)", "0.232 ± 0.056", "0.263 ± 0.075"],
        ["ion properties, MAE", "0.0193 ± 0.0017", "0.0193 ± 0.0017"],
    ]
    rows = [
        [*row, *(spread(errors[:, k], 4 if k == 2 else 3) for errors in ours)]
        for k, row in enumerate(published)
    ]
    report.table("Table 1, stage 1: 494 crystals, held-out rows", COLUMNS, rows)


# -- stage 2


class Split(NamedTuple):
    """How a model did in five folds.

    Parameters
    ----------
    folds : list of (ndarray of int, ndarray of int)
    prediction : ndarray of shape (n_samples,)
        Of each row by the model that was fitted without it.
    models : list of fitted estimators
    """

    folds: list[tuple[np.ndarray, np.ndarray]]
    prediction: np.ndarray
    models: list[Any]

    def errors(self, y: np.ndarray) -> np.ndarray:
        """Give the MAE of each fold."""
        return np.array([np.abs(self.prediction - y)[test].mean() for _, test in self.folds])

    def root_errors(self, y: np.ndarray) -> np.ndarray:
        """Give the RMSE of each fold."""
        return np.sqrt([((self.prediction - y)[test] ** 2).mean() for _, test in self.folds])


class MedianLookup(RegressorMixin, BaseEstimator):
    """The median of equal rows; where there are none, of rows with equal layers, or of all."""

    def fit(self, X: pd.DataFrame, y: pd.Series) -> MedianLookup:
        """Take the medians."""
        self.median_ = y.median()
        self.medians_ = [
            (columns, y.groupby([X[name].astype(object) for name in columns]).median())
            for columns in (LAYERS, list(X.columns))
        ]
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Look the rows up."""
        prediction = np.full(len(X), self.median_)
        for columns, medians in self.medians_:
            found = medians.reindex(pd.MultiIndex.from_frame(X[columns].astype(object)))
            prediction = np.where(found.isna(), prediction, found)
        return prediction


def row_folds(data: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give the paper's folds; make sure that they are those of a stacked table's devices."""
    folds = list(KFold(5, shuffle=True, random_state=0).split(data.devices))
    names = ["crystal", "device"]
    X, y = stack_scales([data.crystals, data.devices], [data.gap, data.pce], names)
    stacked = ScaleKFold(5, shuffle=True, random_state=0, scales=["device"]).split(X, y)
    for (_, test), (stacked_train, stacked_test) in zip(folds, stacked, strict=True):
        assert X.index[stacked_test].tolist() == [("device", row) for row in test]
        assert (X.index[stacked_train].get_level_values("scale") == "crystal").sum() == 494
    return folds


def grouped_folds(data: Any, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give five folds that keep the devices of one composition together."""
    splitter = GroupKFold(5, shuffle=True, random_state=seed)
    return list(splitter.split(data.devices, groups=data.device_composition))


def chain(data: Any, crystal: Any, settings: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """Say how to fit the chain to devices, on a first stage that is fitted to all crystals."""
    stages = [
        ("crystal", FrozenEstimator(crystal), "crystal"),
        ("device", SupervisedAutoencoder(**settings), "device"),
    ]

    def fit(X: pd.DataFrame, y: pd.Series) -> NestedAutoencoder:
        nae = NestedAutoencoder(stages, random_state=0)
        return nae.fit([data.crystals, X], [data.gap, y])

    return fit


def layers_alone(settings: dict[str, Any]) -> Any:
    """Make an autoencoder that does not see the ion properties."""
    columns = make_column_transformer(
        ("passthrough", LAYERS), verbose_feature_names_out=False
    ).set_output(transform="pandas")
    return make_pipeline(columns, SupervisedAutoencoder(**settings, random_state=0))


def split(data: Any, fit: Callable[[Any, Any], Any], folds: Any) -> Split:
    """Fit in each fold and predict what is held out."""
    prediction, models = np.empty(len(data.devices)), []
    for train, test in folds:
        models.append(fit(data.devices.iloc[train], data.pce.iloc[train]))
        found = np.asarray(models[-1].predict(data.devices.iloc[test]))
        prediction[test] = found.reshape(len(test), -1)[:, -1]  # a chain predicts the gap, too
    return Split(folds, prediction, models)


def device_reconstruction(data: Any, found: Split) -> np.ndarray:
    """Give, per fold, the MAE of the crystal's latents and the accuracies of both layers."""
    errors = []
    for nae, (train, test) in zip(found.models, found.folds, strict=True):
        X_test = data.devices.iloc[test]
        back = nae["device"].inverse_transform(nae.transform(X_test))
        latents, test_latents = (
            nae["crystal"].transform(data.devices.iloc[rows][data.crystals.columns])
            for rows in (train, test)
        )
        scale = StandardScaler().fit(latents).scale_
        difference = (back.drop(columns=LAYERS).to_numpy(dtype=float) - test_latents) / scale
        is_right = back[LAYERS].astype(str).to_numpy() == X_test[LAYERS].astype(str).to_numpy()
        errors.append([np.abs(difference).mean(), *is_right.mean(axis=0)])
    return np.array(errors)


def controls() -> dict[str, Any]:
    """Make the models that are no autoencoders."""
    numbers = make_column_selector(dtype_include="number")
    one_hot = (OneHotEncoder(handle_unknown="ignore"), LAYERS)
    scaled = make_column_transformer((StandardScaler(), numbers), one_hot)
    unscaled = make_column_transformer(("passthrough", numbers), one_hot)
    boosting = HistGradientBoostingRegressor(loss="absolute_error", random_state=0)
    return {
        "random forest, 200 trees": make_pipeline(
            unscaled, RandomForestRegressor(200, random_state=0)
        ),
        "histogram gradient boosting, absolute error": boosting,
        "ridge, scaled": make_pipeline(scaled, Ridge()),
        "median of equal inputs": MedianLookup(),
        "median of all": DummyRegressor(strategy="median"),
    }


class Entry(NamedTuple):
    """A model of the efficiency, and how many of the splits by composition it is judged in."""

    name: str
    fit: Callable[[Any, Any], Any]
    n_grouped: int


def entries(data: Any, crystals: dict[str, Any]) -> Iterator[Entry]:
    """Give all models of the efficiency."""
    for name, (_, device, alone) in SETTINGS.items():
        n_grouped = 1 if device is PAPER_DEVICE else N_GROUPED
        yield Entry(f"nested, {name}", chain(data, crystals[name], device), n_grouped)
        flat = SupervisedAutoencoder(**alone, random_state=0)
        yield Entry(f"one autoencoder, {name}", flat.fit, n_grouped)
    yield Entry(
        "one without ion properties, the paper's settings", layers_alone(PAPER_LAYERS).fit, 1
    )
    yield Entry("one without ion properties, default", layers_alone({}).fit, 1)
    for name, model in controls().items():
        yield Entry(name, model.fit, N_GROUPED)
    task = Task("efficiency", data.devices, data.pce, False)
    yield Entry("multi-layer perceptron", perceptron(task).fit, N_GROUPED)


def batch_means(error: np.ndarray, folds: Any) -> np.ndarray:
    """Give, per fold, the mean of batches' means without weights: the published average."""
    return np.array(
        [
            np.mean([error[test[k : k + BATCH]].mean() for k in range(0, len(test), BATCH)])
            for _, test in folds
        ]
    )


def stage_2(report: Report, data: Any, crystals: dict[str, Any]) -> None:
    """Report Table 1's second stage, the controls, and how the printed error came about."""
    y = data.pce.to_numpy()
    folds = row_folds(data)
    groupings = [grouped_folds(data, seed) for seed in range(N_GROUPED)]
    by_rows, rows = {}, []
    for name, fit, n_grouped in entries(data, crystals):
        found = by_rows[name] = split(data, fit, folds)
        grouped = [split(data, fit, grouping) for grouping in groupings[:n_grouped]]
        means = [each.errors(y).mean() for each in grouped]
        pooled = [np.abs(each.prediction - y).mean() for each in grouped]
        is_repeated = n_grouped > 1
        rows.append(
            [
                name,
                spread(found.errors(y)),
                spread(found.root_errors(y)),
                spread(grouped[0].errors(y), 2),
                spread(means, 2) if is_repeated else "",
                spread(pooled, 2) if is_repeated else "",
            ]
        )
        print(rows[-1], flush=True)
    chains = [by_rows[f"nested, {name}"] for name in SETTINGS]
    report_devices(report, data, chains)
    report_artefact(report, y, chains)
    report.table(
        "Efficiency of 2018 solar cells: errors in percentage points",
        [
            "model",
            "by rows, MAE",
            "by rows, RMSE",
            "by composition, MAE",
            f"the same, {N_GROUPED} splits",
            f"all rows, {N_GROUPED} splits",
        ],
        rows,
    )
    explain_devices(report, data, folds)


def known_inputs(data: Any, folds: Any) -> tuple[int, list[float], float]:
    """Say how far the devices' inputs repeat.

    Give the number of distinct inputs; for each fold, the percentage of held-out rows whose input
    is in the training rows; and the MAE of the median of equal inputs on the very rows that it is
    taken from, below which no function of the input can come.
    """
    code = data.devices.groupby(list(data.devices), observed=True).ngroup()
    shares = [100 * code.iloc[test].isin(code.iloc[train]).mean() for train, test in folds]
    medians = data.pce.groupby(code).transform("median")
    return code.nunique(), shares, float(np.abs(data.pce - medians).mean())


def explain_devices(report: Report, data: Any, folds: Any) -> None:
    """Say how the devices were split, and what bounds the errors."""
    n_distinct, shares, bound = known_inputs(data, folds)
    report.text(
        f"By rows: the paper's folds, in which {min(shares):.0f} to {max(shares):.0f} % of the "
        "held-out rows have their very input among the training rows: there are "
        f"{n_distinct} distinct inputs. By composition: `GroupKFold(5, shuffle=True, "
        "random_state=r)`, r = 0, mean ± standard deviation over folds; then the mean of each "
        f"split's folds, ± over r = 0 to {N_GROUPED - 1}; and the mean over all rows of each "
        "split. One of the folds holds the 984 cells of MAPbI3. The paper has no split by "
        "composition. Everything but the first stage is fitted inside the fold. All crystals are "
        "in training, so that the first stage is the same in each fold: it is fitted once, and "
        "used frozen. `one autoencoder` sees all 17 columns of the devices and no crystal: the "
        "authors' files hold this control too (printed the same way, 2.392 ± 0.035 against their "
        "nested 2.384 ± 0.034), the paper does not. It shows the one without ion properties "
        "(2.889 ± 0.118, printed the same way). `median of equal inputs` falls back on the "
        "median of the same two layers, then on that of all. Taken from all rows and judged on "
        f"the same, it has an error of {bound:.3f}: no function of the input has less. The "
        "perceptron has a scaled target, and may take 2000 iterations."
    )


def report_devices(report: Report, data: Any, chains: list[Split]) -> None:
    """Report Table 1's second stage."""
    y = data.pce.to_numpy()
    backs = [device_reconstruction(data, found) for found in chains]
    report.table(
        "Table 1, stage 2: 2018 solar cells, held-out rows",
        COLUMNS,
        [
            [
                "efficiency, MAE (%)",
                "2.384 ± 0.034",
                "2.619 ± 0.091",
                *(spread(found.errors(y)) for found in chains),
            ],
            [
                "efficiency, RMSE (%)",
                "3.240 ± 0.077",
                "3.636 ± 0.153",
                *(spread(found.root_errors(y)) for found in chains),
            ],
            [
                "crystal's latents, MAE",
                "0.030 ± 0.010",
                "0.033 ± 0.012",
                *(spread(back[:, 0]) for back in backs),
            ],
            [
                "electron transport layer, accuracy",
                "0.819 ± 0.105",
                "0.998 ± 0.003",
                *(spread(back[:, 1]) for back in backs),
            ],
            [
                "hole transport layer, accuracy",
                "0.996 ± 0.003",
                "1.000 ± 0.000",
                *(spread(back[:, 2]) for back in backs),
            ],
        ],
    )
    report.text(
        "Mean ± standard deviation over the five folds `KFold(5, shuffle=True, random_state=0)`, "
        "the paper's. Errors of ion properties and of latents are in standard deviations; "
        "latents differ between the columns, in number and in what they are. Printed: logs of "
        "the last epoch, which average the means of batches without weights, and a layer's "
        "accuracy by thresholds on each class (the paper prints it in percent, and its spread as "
        "a fraction). Evaluated: the authors' own checkpoints of the "
        "last epoch, without dropout, each row weighing the same, and the most probable layer. "
        "Ours are evaluated in this way. The authors scale all rows before they split, and the "
        "devices by a scaler of their own; ours is fitted inside the fold, and one scaler serves "
        "both tables. Our one configuration was found by trying about thirty on these "
        "folds, which favours it. By default a Gaussian process of the columns predicts, where "
        "the other settings leave that to the network; the reconstruction is the network's."
    )


def report_artefact(report: Report, y: np.ndarray, chains: list[Split]) -> None:
    """Report what an average of batches' means does to the efficiency's error."""
    rows = [["published checkpoints", "2.619 ± 0.091", "2.384 ± 0.034", "−0.235"]]
    for name, found in zip(SETTINGS, chains, strict=True):
        true = found.errors(y)
        printed = batch_means(np.abs(found.prediction - y), found.folds)
        difference = f"{(printed - true).mean():+.3f}".replace("-", "−")
        rows.append([f"ours, {name}", spread(true), spread(printed), difference])
    report.table(
        "The same predictions, averaged in two ways: MAE of the efficiency (%)",
        ["", "each row weighs the same", "each batch weighs the same", "difference"],
        rows,
    )
    report.text(
        "A fold holds 404 or 403 rows back. In batches of 100 the last one has 4 or 3 rows, and "
        "a fifth of the weight: 25 or 33 times as much a row as the others. These few rows happen "
        "to be predicted well, by models of any kind."
    )


def scaler(report: Report, data: Any, crystals: dict[str, Any]) -> None:
    """Report the gap of MAPbI3 as the chain's first stage gives it, and with another scaler."""
    X = data.devices[data.crystals.columns]
    is_mapbi3 = (data.device_composition == "MAPbI3").to_numpy()
    crystal_scaler, device_scaler = StandardScaler().fit(data.crystals), StandardScaler().fit(X)
    # what the network gets from a scaler of the devices, in the units of the crystals
    shifted = pd.DataFrame(
        crystal_scaler.inverse_transform(device_scaler.transform(X)), columns=X.columns
    )
    rows = [["published checkpoint (fold 0)", "1.83", "2.52", "1.01 to 2.20", "from 0.00"]]
    for name, crystal in crystals.items():
        right, wrong = crystal.predict(X), crystal.predict(shifted)
        rows.append(
            [
                f"ours, {name}",
                *(f"{gap[is_mapbi3].mean():.2f}" for gap in (right, wrong)),
                *(f"{gap.min():.2f} to {gap.max():.2f}" for gap in (right, wrong)),
            ]
        )
    truth = data.gap[data.crystal_formula == "MAPbI_3"].item()
    report.table(
        f"Gap of MAPbI3 (eV), the theory's value: {truth:.2f}",
        [
            "",
            "the training rows' scaler",
            "a scaler of the devices",
            "all devices, the former",
            "all devices, the latter",
        ],
        rows,
    )
    report.text(
        "The published code fits a scaler of its own to the rows that it predicts, so that the "
        "crystal's network gets numbers that mean something else. The latents and gaps of the "
        "devices in the paper are of this kind. A chain cannot do so: a stage keeps the scaler "
        "of its training rows."
    )


# -- the synthetic functions


def functions(noise: float) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Give the thirteen functions, the same without noise, and the columns' deviations."""
    z5_max = 10.0 if noise else 1.0
    data = make_nested_functions(noise=noise, z5_max=z5_max, random_state="paper")
    X = pd.concat(data.data, axis=1)
    return X, np.hstack(data.noise_free), X.to_numpy().std(axis=0)


def nested_functions_errors(
    stages: list[Any], X: pd.DataFrame, noise_free: np.ndarray, std: np.ndarray, rows: Any
) -> list[float]:
    """Fit the chain; score it as the paper does on training and new rows, and end to end."""
    train, test = rows
    first_columns, second_columns = X.columns[:4], X.columns[4:]
    nae = NestedAutoencoder(
        [("first", stages[0], first_columns), ("second", stages[1], second_columns)],
        n_components=[2, 5],
    ).fit(X.iloc[train])
    latents = nae["first"].transform(X[first_columns])
    table = np.hstack([X[second_columns], latents])
    scale = np.concatenate([std[4:], latents[train].std(axis=0)])
    back_1 = np.asarray(nae["first"].inverse_transform(latents))
    back_2 = np.asarray(nae["second"].inverse_transform(nae.transform(X)))
    error_1 = np.abs((back_1 - X[first_columns].to_numpy()) / std[:4])
    error_2 = np.abs((back_2 - table) / scale)
    back = nae.inverse_transform(nae.transform(X)).to_numpy()
    return [
        *((error_1[part].mean() + error_2[part].mean()) / 2 for part in (train, test)),
        *(np.abs((back - truth) / std)[test].mean() for truth in (X.to_numpy(), noise_free)),
    ]


def single_functions_errors(
    model: Any, X: pd.DataFrame, noise_free: np.ndarray, std: np.ndarray, rows: Any
) -> list[float]:
    """Fit one model of all thirteen functions; score it on training and new rows."""
    train, test = rows
    model.fit(X.iloc[train])
    back = np.asarray(model.inverse_transform(model.transform(X)))
    error = np.abs((back - X.to_numpy()) / std)
    against_truth = np.abs((back - noise_free) / std)[test].mean()
    return [error[train].mean(), error[test].mean(), error[test].mean(), against_truth]


def pca_functions_errors(
    X: pd.DataFrame, noise_free: np.ndarray, std: np.ndarray, rows: Any
) -> list[float]:
    """Score two components of the first four functions, and nothing beyond."""
    first = X.iloc[:, :4]
    model = make_pipeline(StandardScaler(), PCA(2))
    return single_functions_errors(model, first, noise_free[:, :4], std[:4], rows)


PUBLISHED_FUNCTIONS = {
    0.0: [
        ["published, nested", "0.221 ± 0.018", "0.222 ± 0.027", "", ""],
        ["published, single", "0.271 ± 0.028", "0.275 ± 0.040", "", ""],
    ],
    1.0: [
        ["published, nested", "0.447 ± 0.013", "0.458 ± 0.023", "", ""],
        ["published, single", "0.501 ± 0.024", "0.528 ± 0.025", "", ""],
    ],
}


class Networks(NamedTuple):
    """Settings of a chain's two stages and of a single autoencoder, and how often they are fitted.

    Parameters
    ----------
    first, second : dict
    single : dict or None
        None: the single one is the same as another.
    n_splits : int
    """

    first: dict[str, Any]
    second: dict[str, Any]
    single: dict[str, Any] | None
    n_splits: int


NETWORKS = {
    "default": Networks({}, DEFAULT_DEVICE, {}, N_SPLITS),
    "default, but `alpha=0.001` in both stages": Networks({}, {}, None, N_SPLITS),
    "the paper's networks": Networks(PAPER_FIRST, PAPER_SECOND, PAPER_SECOND, N_PAPER_SPLITS),
}


def functions_errors(
    X: pd.DataFrame, noise_free: np.ndarray, std: np.ndarray
) -> dict[str, list[list[float]]]:
    """Fit and score all models in each split; give four errors a split, by model."""
    found: dict[str, list[list[float]]] = {}
    for seed in range(N_SPLITS):
        rows = train_test_split(np.arange(len(X)), test_size=0.2, random_state=seed)
        arguments = (X, noise_free, std, rows)
        found.setdefault("PCA, 5 components of f1 to f13", []).append(
            single_functions_errors(make_pipeline(StandardScaler(), PCA(5)), *arguments)
        )
        found.setdefault("PCA, 2 components of f1 to f4 alone", []).append(
            pca_functions_errors(*arguments)
        )
        for name, networks in NETWORKS.items():
            if seed >= networks.n_splits:
                continue
            stages = [
                SupervisedAutoencoder(**settings, random_state=seed)
                for settings in (networks.first, networks.second)
            ]
            found.setdefault(f"ours, nested, {name}", []).append(
                nested_functions_errors(stages, *arguments)
            )
            if networks.single is not None:
                single = SupervisedAutoencoder(5, **networks.single, random_state=seed)
                found.setdefault(f"ours, single, {name}", []).append(
                    single_functions_errors(single, *arguments)
                )
    return found


def figure_2(report: Report) -> None:
    """Report the paper's figure 2 for both published files."""
    for noise, title in [(0.0, "without noise"), (1.0, "with noise")]:
        X, noise_free, std = functions(noise)
        found = functions_errors(X, noise_free, std)
        names = sorted(found, key=lambda name: name.startswith("PCA"))
        oracle = np.abs((noise_free - X.to_numpy()) / std)
        rows = [
            *PUBLISHED_FUNCTIONS[noise],
            *([name, *(spread(x) for x in np.transpose(found[name]))] for name in names),
        ]
        if noise:
            paper = (oracle[:, :4].mean() + oracle[:, 4:].mean()) / 2
            scores = [f"{paper:.3f}", f"{paper:.3f}", f"{oracle.mean():.3f}", "0.000"]
            rows.append(["the functions without their noise, all rows", *scores])
        report.table(
            f"Figure 2, {title}: MAE of the reconstruction",
            [
                "",
                "as the paper scores, training",
                "as the paper scores, new rows",
                "end to end, new rows",
                "the same, against no noise",
            ],
            rows,
        )
    report.text(
        f"The two published files (200 rows), {N_SPLITS} random splits with a fifth of new rows "
        f"({N_PAPER_SPLITS} for the paper's networks), mean ± standard deviation; errors in "
        "standard deviations of the column. As the paper scores: of a chain the mean of two "
        "errors, that of f1 to f4 from the first stage's two latents, and that of f5 to f13 and "
        "the two latents from the second stage's five. f1 to f4 never go through the five, and "
        "two latents count as much as two functions. End to end: all thirteen functions from the "
        "last five latents alone, by `inverse_transform`, which is what a single autoencoder is "
        "scored by. The last column compares with the functions without noise: to reconstruct "
        "noise is no merit. All points lie on a surface of two dimensions, so that PCA is a "
        "strong peer. The published decoders end in tanh, which cannot reach beyond one "
        "standard deviation: an error of 0.15 to 0.17 at the least. The published single network "
        'is not known; ours is as the second stage. A default chain has `alpha="auto"` in its '
        "second stage, which holds 160 rows firmly; the single one has 0.001, and so has the "
        "chain below the default one."
    )


def main(report: Report) -> None:
    """Report everything, in the paper's order."""
    data = perovskites()
    stage_1(report, data)
    crystals = {
        name: SupervisedAutoencoder(**settings, random_state=0).fit(data.crystals, data.gap)
        for name, (settings, _, _) in SETTINGS.items()
    }
    stage_2(report, data, crystals)
    scaler(report, data, crystals)
    figure_2(report)


if __name__ == "__main__":
    REPORT = Report("paper", __doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)  # where 2000 iterations are too few
    main(REPORT)
    REPORT.close()
