"""The data sets of the benchmark of nesting: two tables, their targets, and new rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import Bunch

from sknestedae.datasets import make_nested_functions

from ._data import perovskites, two_fidelities

N_SPLITS = 10
N_FOLDS = 5

SIZES = (25, 50, 100, 200)
N_TEST_MOLECULES, N_TEST_GAPS = 150, 400
NEW_MOLECULES = "50 rows, new molecules"

N_FIRST, N_SECOND, N_TEST = 2000, 400, 1000  # of the functions
JUDGED = (25, 50, 100)  # the sizes that the means are of
NOISES = (0.0, 0.1, 0.3)
WITHOUT_SIZE = 50  # of the cells whose target does not contain the property

N_FIRST_WIDE, N_SECOND_WIDE, N_COLUMNS_WIDE = 500, 200, 40

FILES = {"freesolv": ["freesolv.csv"], "gaps": ["mp_gap_1500.csv", "expt_gap_1000.csv"]}


class Case(NamedTuple):
    """One split of one cell.

    Parameters
    ----------
    key : str
        Name of the first table: cases of one split with the same name have the same one.
    first, second, test : DataFrame
        The first scale, the training rows of the second, and new rows of the second.
    first_property, target, truth : ndarray of float
        What belongs to them.
    """

    key: str
    first: pd.DataFrame
    first_property: np.ndarray
    second: pd.DataFrame
    target: np.ndarray
    test: pd.DataFrame
    truth: np.ndarray


class DataSet(NamedTuple):
    """A pair of scales, and the cells that it is judged in.

    Parameters
    ----------
    name, title : str
        For the command line, and for the tables.
    unit : str
        Of the mean absolute error; where it is empty, 1 - R² is the error.
    cells : tuple of str
    ablated : tuple of str
        The cells for which each part of the chain is taken away.
    make : callable
        From the number of a split to the case of each cell.
    cases_overlap : bool
        Whether rows of the second scale stand in the first table, too.
    shows_r2 : bool
        Whether the tables show R² and not 1 - R².
    boosting_loss : str
    has_processes : bool
        Whether Gaussian processes are among the rivals; not where rows are many and hold
        categories.
    """

    name: str
    title: str
    unit: str
    cells: tuple[str, ...]
    ablated: tuple[str, ...]
    make: Callable[[int], dict[str, Case]]
    cases_overlap: bool = False
    shows_r2: bool = False
    boosting_loss: str = "squared_error"
    has_processes: bool = True


def rows_of(n: int) -> str:
    """Name a cell by its number of rows."""
    return f"{n} rows"


# -- measured and calculated


def keys_of(rows: pd.DataFrame) -> list[bytes]:
    """Give one key a row, equal where all columns are."""
    values = rows.to_numpy(dtype=float) + 0.0  # -0.0 becomes 0.0
    return [row.tobytes() for row in values]


def molecules(split: int) -> dict[str, Case]:
    """Hydration free energies of 642 molecules: all are calculated, few are measured."""
    table = pd.read_csv(two_fidelities("freesolv.csv"))
    X = table.drop(columns=["smiles", "expt", "calc"])
    calculated, measured = table["calc"].to_numpy(), table["expt"].to_numpy()
    order = np.random.RandomState(split).permutation(len(table))
    test, train = order[:N_TEST_MOLECULES], order[N_TEST_MOLECULES:]
    # Rows with equal descriptors are one row to all models: their like is taken out as well.
    tested = set(keys_of(X.iloc[test]))
    others = np.array([key not in tested for key in keys_of(X)])
    everything = np.ones(len(table), dtype=bool)

    def case(key: str, known: np.ndarray, n: int) -> Case:
        rows = train[:n]
        return Case(
            key,
            X[known],
            calculated[known],
            X.iloc[rows],
            measured[rows],
            X.iloc[test],
            measured[test],
        )

    cases = {rows_of(n): case("all molecules", everything, n) for n in SIZES}
    return cases | {NEW_MOLECULES: case("other molecules", others, 50)}


def gaps(split: int) -> dict[str, Case]:
    """Band gaps: computed for 1500 compounds, measured for few others."""
    computed, measured = (pd.read_csv(two_fidelities(name)) for name in FILES["gaps"])
    columns = [name for name in computed if name not in ("composition", "gap_eV")]
    order = np.random.RandomState(split).permutation(len(measured))
    test, train = order[:N_TEST_GAPS], order[N_TEST_GAPS:]
    X, y = measured[columns], measured["gap_eV"].to_numpy()
    first, first_property = computed[columns], computed["gap_eV"].to_numpy()
    return {
        rows_of(n): Case(
            "all compounds",
            first,
            first_property,
            X.iloc[train[:n]],
            y[train[:n]],
            X.iloc[test],
            y[test],
        )
        for n in SIZES
    }


# -- crystals and devices


def devices(split: int) -> dict[str, Case]:
    """Perovskites: gaps of 494 crystals, and efficiencies of 2018 solar cells."""
    data = perovskites()
    seed, fold = divmod(split, N_FOLDS)
    by_rows = KFold(N_FOLDS, shuffle=True, random_state=seed)
    by_composition = GroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    folds = {
        "by rows": list(by_rows.split(data.devices)),
        "by composition": list(by_composition.split(data.devices, groups=data.device_composition)),
    }
    X, y = data.devices, data.pce.to_numpy()
    cases = {}
    for name, found in folds.items():
        train, test = found[fold]
        cases[name] = Case(
            "all crystals",
            data.crystals,
            data.gap.to_numpy(),
            X.iloc[train],
            y[train],
            X.iloc[test],
            y[test],
        )
    return cases


# -- functions


def function_cell(noise: float, n: int) -> str:
    """Name a cell of the functions."""
    return f"noise {noise:g}, {n} rows"


def without_cell(noise: float) -> str:
    """Name a cell of the functions whose target does not contain the property."""
    return f"noise {noise:g}, {WITHOUT_SIZE} rows, target f11"


def function_tables(noise: float, seed: int) -> tuple[list[pd.DataFrame], list[Bunch]]:
    """Draw independent variables, and the columns of three tables with their noise.

    Returns
    -------
    list of three DataFrames
        First scale, second, and new rows of the second.
    list of three Bunch
        Their variables and functions, without noise.
    """
    rng = np.random.RandomState(seed)
    drawn = [
        make_nested_functions(n, sampling="independent", random_state=rng)
        for n in (N_FIRST, N_SECOND, N_TEST)
    ]
    tables = [pd.concat([data.data[0], data.z[["z3", "z4", "z5"]]], axis=1) for data in drawn]
    std = tables[0].std().to_numpy()
    first, *others = (table + noise * std * rng.normal(size=table.shape) for table in tables)
    return [first[["f1", "f2", "f3", "f4"]], *others], drawn


def functions(split: int) -> dict[str, Case]:
    """Analytic functions: the property is z1 z2, the target contains it, or does not."""
    cases = {}
    for noise in NOISES:
        (first, second, test), drawn = function_tables(noise, split)
        product = (drawn[0].z["z1"] * drawn[0].z["z2"]).to_numpy()
        key = f"noise {noise:g}"
        y, truth = ((d.data[1]["f5"] + np.sin(d.z["z5"])).to_numpy() for d in drawn[1:])
        for n in JUDGED:
            cases[function_cell(noise, n)] = Case(
                key, first, product, second[:n], y[:n], test, truth
            )
        y, truth = (data.data[1]["f11"].to_numpy() for data in drawn[1:])
        n = WITHOUT_SIZE
        cases[without_cell(noise)] = Case(key, first, product, second[:n], y[:n], test, truth)
    return cases


# -- bottleneck


def bottleneck(split: int) -> dict[str, Case]:
    """Forty independent columns: the property is one of them, the target needs another."""
    rng = np.random.RandomState(split)
    names = [f"x{k}" for k in range(N_COLUMNS_WIDE)]
    sizes = (N_FIRST_WIDE, N_SECOND_WIDE, N_TEST)
    first, second, test = (
        pd.DataFrame(rng.normal(size=(n, N_COLUMNS_WIDE)), columns=names) for n in sizes
    )
    second, test = (table.assign(own=rng.normal(size=len(table))) for table in (second, test))
    y, truth = ((table["x0"] + table["x30"] + table["own"]).to_numpy() for table in (second, test))
    case = Case("forty columns", first, first["x0"].to_numpy(), second, y, test, truth)
    return {rows_of(N_SECOND_WIDE): case}


DATA_SETS = (
    DataSet(
        "freesolv",
        "Hydration free energies: 642 calculated, then few measured",
        "kcal/mol",
        (*(rows_of(n) for n in SIZES), NEW_MOLECULES),
        (rows_of(50),),
        molecules,
        cases_overlap=True,
    ),
    DataSet(
        "gaps",
        "Band gaps: 1500 computed, then few measured",
        "eV",
        tuple(rows_of(n) for n in SIZES),
        (rows_of(100),),
        gaps,
    ),
    DataSet(
        "functions",
        f"Functions: {N_FIRST} rows with the property, then few with the target",
        "",
        (
            *(function_cell(noise, n) for noise in NOISES for n in JUDGED),
            *(without_cell(noise) for noise in NOISES),
        ),
        (function_cell(0.1, 50), without_cell(0.1)),
        functions,
    ),
    DataSet(
        "bottleneck",
        f"Bottleneck: {N_FIRST_WIDE} rows of {N_COLUMNS_WIDE} columns, then {N_SECOND_WIDE} rows",
        "",
        (rows_of(N_SECOND_WIDE),),
        (rows_of(N_SECOND_WIDE),),
        bottleneck,
        shows_r2=True,
    ),
    DataSet(
        "perovskites",
        "Perovskites: gaps of 494 crystals, then efficiencies of 2018 solar cells",
        "percentage points",
        ("by rows", "by composition"),
        (),
        devices,
        boosting_loss="absolute_error",
        has_processes=False,
    ),
)


def missing_files(data_set: DataSet) -> list[str]:
    """Give the files of a data set that are not in SKNESTEDAE_DATA."""
    return [name for name in FILES.get(data_set.name, []) if not two_fidelities(name).is_file()]
