"""Run the models of the benchmark of nesting on all splits of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score

from ._nesting_data import NEW_MOLECULES, Case, DataSet
from ._nesting_models import (
    ABLATION,
    DEFAULT,
    PAPER,
    FirstScale,
    Reuse,
    by_column,
    find_reuse,
    flat_models,
    without_known,
)

# Kinds of models, in the order of the tables.
CHAIN, FLAT_KIND, RIVAL, PART = "chain", "second scale alone", "both scales", "parts"
NESTED, NESTED_PAPER = "nested, default", "nested, the paper's"
Model = tuple[str, str, Callable[[], np.ndarray]]


def error(data_set: DataSet, case: Case, prediction: np.ndarray) -> float:
    """Give the mean absolute error in the unit of the data, or 1 - R²."""
    if data_set.unit:
        return mean_absolute_error(case.truth, prediction)
    return 1 - r2_score(case.truth, prediction)


def chains(case: Case, first: FirstScale) -> Iterator[Model]:
    """Give the default chain, and the paper's."""
    for name, setting in ((NESTED, DEFAULT), (NESTED_PAPER, PAPER)):
        yield CHAIN, name, partial(first.predict_chain, case, setting)


def predict_flat(model: Any, case: Case) -> np.ndarray:
    """Fit to the rows of the second scale alone, and predict new rows."""
    return np.ravel(model.fit(case.second, case.target).predict(case.test))


def parts(data_set: DataSet, case: Case, first: FirstScale) -> Iterator[Model]:
    """Give the chains with one part after the other."""
    # Where no row is in both tables, the look-up has nothing to find.
    other_case = without_known(case) if data_set.cases_overlap else case
    other = first
    if data_set.cases_overlap:
        other = FirstScale(data_set, other_case, first.seed, first.reuse)
    for name, (setting, is_known) in ABLATION.items():
        if is_known:
            yield PART, name, partial(first.predict_chain, case, setting)
        else:
            yield PART, name, partial(other.predict_chain, other_case, setting)


def models(
    data_set: DataSet, cell: str, case: Case, first: FirstScale, rivals_only: bool
) -> Iterator[Model]:
    """Give all models of one cell: kind, name, and how to predict new rows."""
    if not rivals_only:
        yield from chains(case, first)
        if cell in data_set.ablated:
            yield from parts(data_set, case, first)
    for name, model in flat_models(data_set, first.seed, not rivals_only).items():
        yield FLAT_KIND, name, partial(predict_flat, model, case)
    is_new = cell == NEW_MOLECULES
    # An autoencoder on the column takes as long as a chain: only where parts are compared.
    with_ours = cell in data_set.ablated and not rivals_only
    for name, predict in by_column(data_set, case, first, is_new, with_ours):
        yield RIVAL, name, predict


def run_split(
    data_set: DataSet, split: int, cells: tuple[str, ...], rivals_only: bool, reuse: Reuse
) -> list[dict[str, object]]:
    """Give the error of each model in each cell of one split."""
    firsts: dict[str, FirstScale] = {}
    records = []
    cases = data_set.make(split)
    for cell in cells:
        case = cases[cell]
        first = firsts.setdefault(case.key, FirstScale(data_set, case, split, reuse))
        for kind, name, predict in models(data_set, cell, case, first, rivals_only):
            value = error(data_set, case, predict())
            records.append(
                {"cell": cell, "kind": kind, "model": name, "split": split, "error": value}
            )
    return records


def run(
    data_set: DataSet, n_splits: int, n_jobs: int, rivals_only: bool, cells: tuple[str, ...]
) -> pd.DataFrame:
    """Run all splits.

    Returns
    -------
    DataFrame of shape (n_models * n_cells, n_splits)
        Errors, indexed by kind, model and cell.
    """
    reuse = Reuse(stages=False, latents=False)
    if not rivals_only:
        cases = data_set.make(0)
        pair = [cases[cell] for cell in cells if cases[cell].key == cases[cells[0]].key][:2]
        reuse = find_reuse(pair[-1], pair[0], 0)
        print(f"{data_set.name}: {reuse}", flush=True)
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        found = joblib.Parallel(n_jobs)(
            joblib.delayed(run_split)(data_set, split, cells, rivals_only, reuse)
            for split in range(n_splits)
        )
    records = pd.DataFrame([record for records in found for record in records])
    index = ["kind", "model", "cell"]
    return records.pivot_table("error", index, "split", sort=False)
