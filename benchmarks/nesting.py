"""Nesting: a property known for many rows, and a target known for few."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.datasets import make_nested_functions

from ._report import Report

N_FIRST, N_TEST = 2000, 1000
SIZES = (25, 50, 100, 200, 400)
JUDGED = (25, 50, 100)  # the sizes that the means are of
NOISES = (0.0, 0.1, 0.3)
N_SEEDS = 10

NESTED, ON_LATENTS, BY_HAND = "nested", "ridge on the nested latents", "boosting, then ridge"
PENALTIES = np.logspace(-3, 3, 13)


class Data(NamedTuple):
    """Tables and targets of the two scales, and new rows of the second."""

    first: pd.DataFrame
    first_property: pd.Series
    second: pd.DataFrame
    target: pd.Series
    test: pd.DataFrame
    test_property: pd.Series
    test_target: pd.Series


def make_data(noise: float, seed: int) -> Data:
    """Draw independent variables, and the columns of both scales with their noise."""
    rng = np.random.RandomState(seed)
    drawn = [
        make_nested_functions(n, sampling="independent", random_state=rng)
        for n in (N_FIRST, max(SIZES), N_TEST)
    ]
    tables = [pd.concat([data.data[0], data.z[["z3", "z4", "z5"]]], axis=1) for data in drawn]
    std = tables[0].std().to_numpy()
    first, second, test = (table + noise * std * rng.normal(size=table.shape) for table in tables)
    property_, _, test_property = (data.z["z1"] * data.z["z2"] for data in drawn)
    _, target, test_target = (data.data[1]["f5"] + np.sin(data.z["z5"]) for data in drawn)
    first = first[["f1", "f2", "f3", "f4"]]
    return Data(first, property_, second, target, test, test_property, test_target)


def rivals(seed: int) -> dict[str, Any]:
    """Make the models that see the rows of the second scale alone."""
    return {
        "flat": SupervisedAutoencoder(random_state=seed),
        'flat, `alpha="auto"`': SupervisedAutoencoder(alpha="auto", random_state=seed),
        "boosting": HistGradientBoostingRegressor(random_state=seed),
        "forest": RandomForestRegressor(200, random_state=seed),
        "ridge": make_pipeline(StandardScaler(), RidgeCV(PENALTIES)),
        "ridge, untuned": make_pipeline(StandardScaler(), Ridge()),
    }


def fit_whole(data: Data, n_samples: int, seed: int) -> NestedAutoencoder:
    """Fit the default chain to both scales."""
    X_list = [data.first, data.second[:n_samples]]
    y_list = [data.first_property, data.target[:n_samples]]
    return NestedAutoencoder(random_state=seed).fit(X_list, y_list)


def fit_second(data: Data, first: Any, n_samples: int, seed: int) -> NestedAutoencoder:
    """Fit the default second stage on a first one that is fitted: the same chain, sooner."""
    stages = [
        ("scale0", FrozenEstimator(first), "scale0"),
        ("scale1", SupervisedAutoencoder(alpha="auto"), "scale1"),
    ]
    X_list = [data.first, data.second[:n_samples]]
    y_list = [data.first_property, data.target[:n_samples]]
    return NestedAutoencoder(stages, random_state=seed).fit(X_list, y_list)


def check_is_the_same(data: Data, first: Any, seed: int) -> None:
    """Make sure that a chain on a first stage that was fitted before is the whole chain."""
    whole = fit_whole(data, SIZES[1], seed).predict(data.test)
    assert np.array_equal(whole, fit_second(data, first, SIZES[1], seed).predict(data.test))


def by_hand(data: Data, boosting: Any, n_samples: int) -> np.ndarray:
    """Predict by ridge, with boosting's prediction of the property as one more column."""
    train, test = (
        table.assign(prediction=boosting.predict(table[data.first.columns]))
        for table in (data.second[:n_samples], data.test)
    )
    ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    return ridge.fit(train, data.target[:n_samples]).predict(test)


def unexplained(noise: float, seed: int) -> tuple[pd.DataFrame, list[float]]:
    """Give 1 - R² on new rows per model and size; and R² of the property from the first scale.

    Returns
    -------
    DataFrame of shape (n_models, n_sizes)
    list of two floats
        Of the first stage, and of boosting on the same rows.
    """
    data = make_data(noise, seed)
    first = fit_whole(data, SIZES[0], seed)["scale0"]
    if seed == 0:
        check_is_the_same(data, first, seed)
    boosting = HistGradientBoostingRegressor(random_state=seed)
    boosting.fit(data.first, data.first_property)
    found: dict[int, dict[str, float]] = {}
    for n in SIZES:
        X, y = data.second[:n], data.target[:n]
        nae = fit_second(data, first, n, seed)
        ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
        ridge.fit(nae.transform(X), y)
        predictions = {
            NESTED: nae.predict(data.test)[:, 1],
            ON_LATENTS: ridge.predict(nae.transform(data.test)),
            BY_HAND: by_hand(data, boosting, n),
        }
        for name, model in rivals(seed).items():
            predictions[name] = model.fit(X, y).predict(data.test)
        found[n] = {
            name: 1 - r2_score(data.test_target, prediction)
            for name, prediction in predictions.items()
        }
    columns = data.test[data.first.columns]
    properties = [nae.predict(data.test)[:, 0], boosting.predict(columns)]
    return pd.DataFrame(found), [r2_score(data.test_property, p) for p in properties]


def report_noise(report: Report, noise: float) -> tuple[pd.Series, list[float]]:
    """Report one level of noise; give the ratio to the best rival per size, and R² of property."""
    results = [unexplained(noise, seed) for seed in range(N_SEEDS)]
    errors = np.stack([table.to_numpy() for table, _ in results])
    index, sizes = results[0][0].index, results[0][0].columns
    mean = pd.DataFrame(errors.mean(axis=0), index, sizes)
    std = pd.DataFrame(errors.std(axis=0, ddof=1), index, sizes)
    names = list(rivals(0))
    ratio = mean.loc[NESTED] / mean.loc[names].min()
    rows = [
        [name, *(f"{mean.loc[name, n]:.4f} ± {std.loc[name, n]:.4f}" for n in sizes)]
        for name in [NESTED, *names, ON_LATENTS, BY_HAND]
    ]
    rows.insert(1 + len(names), ["best rival", *(str(x) for x in mean.loc[names].idxmin())])
    rows.insert(2 + len(names), ["nested ÷ best rival", *(f"{x:.2f}" for x in ratio)])
    report.table(
        f"Unexplained variance, noise {noise:g}", ["model", *(f"{n} rows" for n in sizes)], rows
    )
    return ratio, np.mean([properties for _, properties in results], axis=0).tolist()


def main(report: Report) -> None:
    """Report each level of noise, and the means."""
    found = {noise: report_noise(report, noise) for noise in NOISES}
    rows = []
    for noise, (ratio, properties) in found.items():
        judged = ratio[list(JUDGED)]
        rows.append(
            [
                f"{noise:g}",
                *(f"{r2:.3f}" for r2 in properties),
                *(f"{x:.2f}" for x in judged),
                f"{np.exp(np.log(judged).mean()):.2f}",
                f"{judged.mean():.2f}",
            ]
        )
    everything = np.concatenate([ratio[list(JUDGED)] for ratio, _ in found.values()])
    means = [np.exp(np.log(everything).mean()), everything.mean()]
    rows.append(["all", *[""] * (2 + len(JUDGED)), *(f"{x:.2f}" for x in means)])
    report.table(
        "Nested ÷ best rival",
        [
            "noise",
            "R² of the property, first stage",
            "the same, boosting",
            *(f"{n} rows" for n in JUDGED),
            "geometric mean",
            "arithmetic mean",
        ],
        rows,
    )
    report.text(
        'Variables z1 to z5 of `make_nested_functions(sampling="independent")`. First scale: '
        f"{N_FIRST} rows of f1 to f4, with the property z1 z2. Second scale: rows of its own, "
        "with z3, z4 and z5 beside f1 to f4, and the target f5 + sin z5. The noise is Gaussian, "
        "on every column of both scales and of the new rows, and in standard deviations of the "
        f"column; property and target have none. 1 - R² on {N_TEST} new rows, mean ± standard "
        f"deviation over {N_SEEDS} seeds of data and model; a ratio is that of the means."
    )
    report.text(
        "`nested` is `NestedAutoencoder(random_state=seed)` as it comes, fitted to both scales. "
        "Its first stage, which does not depend on the rows of the second, is fitted once per "
        "seed and used frozen for every size: the script checks that this gives the same "
        "predictions. The rivals see the seven columns of the second scale's rows alone. `flat` "
        "is one `SupervisedAutoencoder`, with its defaults and with the `alpha` that the second "
        "stage has. So the ratio says what the first scale's rows are worth, and not that an "
        "autoencoder is the only way to use them: the last two rows do so by other means and are "
        "no rivals. `boosting, then ridge` gives boosting's prediction of the property to a ridge "
        "as an eighth column, which suits a target that is all but linear in it."
    )


if __name__ == "__main__":
    REPORT = Report("nesting", __doc__)
    main(REPORT)
    REPORT.close()
