"""The tables of the benchmark of nesting."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._nesting_data import (
    DATA_SETS,
    JUDGED,
    N_TEST,
    N_TEST_GAPS,
    N_TEST_MOLECULES,
    NEW_MOLECULES,
    NOISES,
    DataSet,
    function_cell,
)
from ._nesting_models import BY_HAND
from ._nesting_runs import CHAIN, FLAT_KIND, NESTED, NESTED_PAPER, PART, RIVAL
from ._report import Report

KINDS = (CHAIN, FLAT_KIND, RIVAL)
SMALL = 1e-3  # 1 - R² below which numbers are written with an exponent, and ratios say nothing


def number(value: float, like: float | None = None) -> str:
    """Write three digits that count, or as many decimals as another number has."""
    like = abs(value if like is None else like)
    if like < SMALL:
        return f"{value:.1e}"
    return f"{value:.{max(2 - int(np.floor(np.log10(like))), 0)}f}"


def spread(values: pd.Series) -> str:
    """Write a mean and a standard deviation."""
    mean = values.mean()
    std = f" ± {number(values.std(ddof=1), mean)}" if len(values) > 1 else ""
    return number(mean) + std


def show(data_set: DataSet, errors: pd.Series) -> str:
    """Write errors as the tables show them."""
    if data_set.shows_r2:
        std = f" ± {errors.std(ddof=1):.3f}" if len(errors) > 1 else ""
        return f"{1 - errors.mean():.3f}{std}"
    return spread(errors)


def means_of(errors: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Give mean errors of the models of one kind, of shape (n_models, n_cells)."""
    chosen = errors.loc[kind].mean(axis=1)
    return chosen.unstack("cell", sort=False)


def measure(data_set: DataSet) -> str:
    """Say what the errors are."""
    if data_set.unit:
        return f"mean absolute error, {data_set.unit}"
    return "R²" if data_set.shows_r2 else "1 - R²"


def rows_of_kind(
    data_set: DataSet, errors: pd.DataFrame, kind: str, cells: list[str]
) -> list[list[str]]:
    """Write the errors of the models of one kind."""
    models = errors.loc[kind].index.unique("model")
    rows = []
    for model in models:
        found = errors.loc[kind].loc[model]
        rows.append(
            [
                model,
                *(
                    show(data_set, found.loc[cell]) if cell in found.index else ""
                    for cell in cells
                ),
            ]
        )
    return rows


def tables_of(data_set: DataSet, cells: list[str]) -> dict[str, list[str]]:
    """Give the cells of each table, by its title: one a noise of the functions."""
    if data_set.name != "functions":
        return {data_set.title: cells}
    tables: dict[str, list[str]] = {}
    for cell in cells:
        tables.setdefault(f"{data_set.title}, {cell.split(',')[0]}", []).append(cell)
    return tables


def report_data_set(report: Report, data_set: DataSet, errors: pd.DataFrame) -> None:
    """Report all models in all cells, and the chain with one part after the other."""
    cells = list(errors.index.unique("cell"))
    kinds = [kind for kind in KINDS if kind in errors.index.unique("kind")]
    for title, some in tables_of(data_set, cells).items():
        rows = []
        for kind in kinds:
            rows += [[f"*{kind}*", *[""] * len(some)], *rows_of_kind(data_set, errors, kind, some)]
        report.table(f"{title} ({measure(data_set)})", ["model", *some], rows)
    if PART in errors.index.unique("kind"):
        ablated = [cell for cell in cells if cell in data_set.ablated]
        default = [show(data_set, errors.loc[CHAIN, NESTED, cell]) for cell in ablated]
        report.table(
            f"What each part gives: {data_set.name} ({measure(data_set)})",
            ["chain", *ablated],
            [*rows_of_kind(data_set, errors, PART, ablated), [NESTED, *default]],
        )


def report_functions(report: Report, errors: pd.DataFrame) -> None:
    """Report the geometric mean over the cells of each model's ratio to boosting, then ridge."""
    cells = [function_cell(noise, n) for noise in NOISES for n in JUDGED]
    cells = [cell for cell in cells if cell in errors.index.unique("cell")]
    reference = errors.loc[(RIVAL, BY_HAND)].mean(axis=1)[cells]
    rows = []
    for kind in KINDS:
        if kind not in errors.index.unique("kind"):
            continue
        ratios = means_of(errors, kind)[cells] / reference
        for model, ratio in ratios.iterrows():
            geometric = np.exp(np.log(ratio).mean())
            rows.append([model, kind, number(geometric), number(ratio.max())])
    report.table(
        f"Functions: 1 - R² ÷ that of {BY_HAND}, over {len(cells)} cells",
        ["model", "it sees", "geometric mean", "worst"],
        rows,
    )


def summary_rows(data_set: DataSet, errors: pd.DataFrame) -> tuple[list[list[str]], pd.Series]:
    """Write a row for each cell; give the ratios to the best rival with the same information."""
    flat, rivals = (means_of(errors, kind) for kind in (FLAT_KIND, RIVAL))
    chains = means_of(errors, CHAIN) if CHAIN in errors.index.unique("kind") else None
    ratios = rivals.min() * np.nan if chains is None else chains.loc[NESTED] / rivals.min()

    def text(error: float) -> str:
        return show(data_set, pd.Series([error]))

    rows = []
    for cell in rivals.columns:
        best_flat, best = flat[cell].min(), rivals[cell].min()
        row = [
            data_set.name,
            cell,
            f"{text(best_flat)} ({flat[cell].idxmin()})",
            f"{text(best)} ({rivals[cell].idxmin()})",
        ]
        if chains is None:
            rows.append([*row, "", "", "", ""])
            continue
        error = chains.loc[NESTED, cell]
        row += [text(chains.loc[NESTED_PAPER, cell]), text(error)]
        row.append(f"{error / best_flat:.2f}" if best_flat >= SMALL else "")
        row.append(f"{ratios[cell]:.2f}" if best >= SMALL else "")
        rows.append(row)
    return rows, ratios


def report_summary(report: Report, found: dict[str, pd.DataFrame]) -> None:
    """Report when nesting pays: the best model of each kind in each cell."""
    rows, kept, left_out = [], {}, []
    for data_set in DATA_SETS:
        if data_set.name not in found:
            continue
        data_rows, ratios = summary_rows(data_set, found[data_set.name])
        rows += data_rows
        best = means_of(found[data_set.name], RIVAL).min()
        for cell, ratio in ratios.items():
            if best[cell] < SMALL:
                left_out.append(f"{data_set.name}, {cell}")
            elif np.isfinite(ratio):
                kept[data_set.name, cell] = ratio
    report.table(
        "When does nesting pay?",
        [
            "data",
            "cell",
            "best with the second scale alone",
            "best with both scales, by hand",
            NESTED_PAPER,
            NESTED,
            "default ÷ best with the second scale alone",
            "default ÷ best by hand",
        ],
        rows,
    )
    if kept:
        report_worst(report, pd.Series(kept), left_out)


def report_worst(report: Report, ratios: pd.Series, left_out: list[str]) -> None:
    """Report the default chain's ratios to the best rival with the same information."""
    data, cell = ratios.idxmax()
    text = (
        "The default chain's error ÷ that of the best rival with the same information is "
        f"{ratios.max():.2f} at worst ({data}, {cell}), and "
        f"{np.exp(np.log(ratios).mean()):.2f} in the geometric mean over {len(ratios)} cells. "
        "The best rival is picked cell by cell on the test sets, which favours it."
    )
    if left_out:
        text += (
            f" Cells whose best rival leaves less than {SMALL:g} of the variance unexplained are "
            f"not counted, as a ratio to next to nothing says nothing: {'; '.join(left_out)}."
        )
    report.text(text)


DESCRIPTION = (
    "Mean ± standard deviation over 10 splits, each with seeds of its own; all models see the "
    "same rows. Errors are mean absolute errors in the unit of the data, of the functions 1 - R² "
    "on new rows; the bottleneck has R². *second scale alone*: models that do not see the first "
    "table. *both scales*: `X, then Y`: the property as predicted by X, which was fitted to the "
    "first table, is one more column for Y. `measured where known`: where a row's columns equal "
    "those of rows in the first table, the mean of their property; else the Gaussian process's "
    "prediction. "
    "Extra trees give back the property of rows that they were fitted to; `out of fold` is, for "
    "those rows, the prediction by trees of the other four fifths of the first table. "
    "`co-kriging`: a + b · property by least squares, then a Gaussian process of the rest. Ridge "
    "finds its penalty by leave-one-out. Gaussian processes are scikit-learn's, with an isotropic "
    "squared-exponential kernel and white noise, on scaled columns; they find the kernel on at "
    "most 400 rows. All others have their defaults, and 200 trees.",
    "`nested, default` is `NestedAutoencoder(random_state=seed)` as it comes. The paper's passes "
    'latents alone (`passthrough=False`), and networks predict (`predictor="network"`). A first '
    "stage that gives the same predictions in another chain, which the script tests, is fitted "
    "once per split and table, and used frozen. The look-up of measured values is no option of "
    "the chain: in the two lines before the last of the parts, the rows of the second scale are "
    "taken out of the first table in its place, so that the first stage does not learn from them, "
    "either.",
    f"Molecules: FreeSolv, 31 descriptors at both scales; {N_TEST_MOLECULES} measured test "
    f"molecules, which stand in the first table, too, except in `{NEW_MOLECULES}`. Gaps: 34 "
    f"columns that describe the composition, at both scales; {N_TEST_GAPS} test compounds, of "
    "which next to none stand in the first table. Functions: variables z1 to z5 of "
    '`make_nested_functions(sampling="independent")`; the first scale has f1 to f4 and the '
    "property z1 z2, the second z3, z4 and z5 beside them and the target f5 + sin z5, which "
    "contains the property as a term. `target f11` is cos z1 + cos z5, which does not. The noise "
    "is Gaussian, on every column, and in standard deviations of the column; property and target "
    "have none. Bottleneck: 40 independent normal columns, property x0, target x0 + x30 + a "
    f"column of its own. {N_TEST} new rows for functions and bottleneck. Perovskites: five folds "
    "of each of two shuffles, by rows and by composition; boosting has the absolute error.",
    "The chain's Gaussian process: its priors were set before, and 19 others on the molecules and "
    "the gaps changed next to nothing. Its additive term came later: whether to have it, and the "
    "mode of its prior (of three), was chosen on four of these ten splits of the molecules, the "
    "gaps and the functions. The perovskites, and the eight tables of the benchmark of the "
    "Gaussian process, did not choose.",
)


def describe(report: Report) -> None:
    """Say what was compared, and how."""
    for paragraph in DESCRIPTION:
        report.text(paragraph)
