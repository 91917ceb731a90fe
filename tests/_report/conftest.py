"""Small data, a model of them and its report."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases.report import EVIL, TINY

from sknestedae import SupervisedAutoencoder, report
from sknestedae._report import _report


@pytest.fixture(scope="module")
def X():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["radius", "energy", EVIL])
    X.loc[::5, "radius"] = np.nan
    X["phase"] = pd.Categorical(np.resize(["cubic", "hexagonal", "<i>other</i>"], 60))
    return X


@pytest.fixture(scope="module")
def y(X):
    rng = np.random.RandomState(1)
    return (2 * X["energy"] + X[EVIL] + rng.normal(scale=0.3, size=60) + 10).rename("gap")


@pytest.fixture(scope="module")
def labels(y):
    return pd.Series(np.where(y > 10, "wide <gap>", "narrow"), name="kind")


@pytest.fixture(scope="module")
def sae(X, y):
    return SupervisedAutoencoder(**TINY).fit(X, y)


@pytest.fixture(scope="module")
def card(sae, X, y):
    return report(sae, X, y, cv=3, units={"gap": "eV", "radius": "Å"}, random_state=0)


@pytest.fixture(scope="module")
def evaluations():
    """Keep what was computed of an estimator, by itself and by the settings of the report."""
    return {}


@pytest.fixture
def with_scores(monkeypatch, evaluations):
    """Write a report of scores that are given, as {(model, metric): a score a fold}."""
    evaluate = _report.evaluate

    def write(estimator, X, y, scores, **settings):
        def invent(*args):
            key = estimator, repr(settings)
            if key not in evaluations:
                evaluations[key] = evaluate(*args)
            evaluation = evaluations[key]
            rows = evaluation.scores.copy()
            for (model, metric), values in scores.items():
                own = (rows["model"] == model) & (rows["metric"] == metric)
                rows.loc[own, "score"] = np.resize(values, own.sum())
            return replace(evaluation, scores=rows)

        monkeypatch.setattr(_report, "evaluate", invent)
        return report(estimator, X, y, random_state=0, **settings)

    return write
