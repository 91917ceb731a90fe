"""Tables that packages ship, by which defaults are chosen, and tables by which they are judged.

The rule of the split was written down before any of the tables with ``is_new`` was looked at:
a table that an earlier benchmark or trial had looked at chooses. The others are sorted by name,
within each kind of target, and every third of them chooses, too. All that remain judge: no
default is chosen by them.

A table has at least 100 rows, and its rows are not repeated measurements of one thing without a
column that names it. Of more than 2000 rows, 2000 are drawn.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
    make_friedman2,
    make_friedman3,
)

from ._data import Task, perovskites

MOST_ROWS = 2000


class Shipped(NamedTuple):
    """A table in a package.

    Parameters
    ----------
    name : str
        As it is shown.
    package : str
        That ships it.
    file : str
        Its place in the package.
    target : str
        Column, or a formula of columns, that is predicted.
    dropped : tuple of str
        Columns that are left out: those that the target is made of, and labels of single rows.
    categories : tuple of str
        Columns of whole numbers that name things.
    is_new : bool
        Whether no benchmark or trial had looked at it.
    """

    name: str
    package: str
    file: str
    target: str
    dropped: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    is_new: bool = True

    def read(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Give columns and target of the rows that have all of them."""
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise ImportError(f"The table {self.name!r} is in the package {self.package}.")
        path = Path(spec.origin).parent / self.file
        # one of statsmodels' tables is written with tabs and single quotes
        table = pd.read_csv(path, sep=None, engine="python", quotechar=_quote(path)).dropna()
        y = table.eval(self.target).to_numpy()
        used = [name for name in self.dropped if name in table]
        X = table.drop(columns=used).reset_index(drop=True)
        for name in X.columns:
            if name in self.categories or X[name].dtype.kind not in "iuf":
                X[name] = X[name].astype(str).astype("category")
        return X, y


def _quote(path: Path) -> str:
    with path.open() as lines:
        return "'" if next(lines).startswith("'") else '"'


NUMBERS = [
    Shipped("Auto", "ISLP", "data/Auto.csv", "mpg", ("mpg", "name"), ("origin",)),
    Shipped(
        "Bikeshare",
        "ISLP",
        "data/Bikeshare.csv",
        "bikers",
        ("bikers", "casual", "registered"),
        ("season",),
    ),
    Shipped("Boston", "ISLP", "data/Boston.csv", "medv", ("medv",)),
    Shipped("Carseats", "ISLP", "data/Carseats.csv", "Sales", ("Sales",)),
    Shipped("College", "ISLP", "data/College.csv", "Outstate", ("Outstate",)),
    Shipped("Credit", "ISLP", "data/Credit.csv", "Balance", ("Balance", "ID")),
    Shipped("grunfeld", "statsmodels", "datasets/grunfeld/grunfeld.csv", "invest", ("invest",)),
    Shipped("Hitters", "ISLP", "data/Hitters.csv", "log10(Salary)", ("Salary",), is_new=False),
    Shipped(
        "star98",
        "statsmodels",
        "datasets/star98/star98.csv",
        "PR50M / MATHTOT",  # the share of pupils above the national median
        ("PR50M", "MATHTOT"),
        is_new=False,
    ),
    Shipped("Wage", "ISLP", "data/Wage.csv", "wage", ("wage", "logwage")),
]

CLASSES = [
    Shipped("anes96", "statsmodels", "datasets/anes96/anes96.csv", "vote", ("vote",)),
    Shipped("Caravan", "ISLP", "data/Caravan.csv", "Purchase", ("Purchase",)),
    Shipped("Default", "ISLP", "data/Default.csv", "default", ("default",)),
    Shipped("fair", "statsmodels", "datasets/fair/fair.csv", "affairs > 0", ("affairs",)),
    Shipped("OJ", "ISLP", "data/OJ.csv", "Purchase", ("Purchase",)),
    Shipped("penguins", "palmerpenguins", "data/penguins.csv", "sex", ("sex",)),
    Shipped("Smarket", "ISLP", "data/Smarket.csv", "Direction", ("Direction", "Today")),
]


def capped(task: Task) -> Task:
    """Draw rows of a table that has too many."""
    if task.groups is not None or len(task.y) <= MOST_ROWS:
        return task
    rows = np.sort(np.random.RandomState(0).permutation(len(task.y))[:MOST_ROWS])
    X = task.X.iloc[rows].reset_index(drop=True)
    return Task(task.name, X, task.y[rows], task.is_classification)


def friedman(make, name: str) -> Task:
    """Give 500 rows of a function of Friedman, with noise of 0.3 standard deviations."""
    X, y = make(n_samples=500, random_state=0)
    y = y + 0.3 * y.std() * np.random.RandomState(1).normal(size=500)
    return Task(name, pd.DataFrame(X).add_prefix("x"), y, False)


def looked_at() -> list[Task]:
    """Give tables that are in no other package, or that earlier benchmarks have."""
    data = perovskites()
    classes = {"breast cancer": load_breast_cancer, "digits": load_digits, "wine": load_wine}
    return [
        Task("band gap", data.crystals, data.gap.to_numpy(), False),
        Task("diabetes", *load_diabetes(return_X_y=True, as_frame=True), False),
        Task("efficiency", data.devices, data.pce.to_numpy(), False, data.device_composition),
        friedman(make_friedman1, "friedman1"),
        friedman(make_friedman2, "friedman2"),
        friedman(make_friedman3, "friedman3"),
        *(
            Task(name, *load(return_X_y=True, as_frame=True), True)
            for name, load in classes.items()
        ),
    ]


def halves() -> tuple[list[Task], list[Task]]:
    """Give the tables that choose, and those that judge."""
    choose, judge = looked_at(), []
    for shipped, is_classification in ((NUMBERS, False), (CLASSES, True)):
        new = [own.name for own in shipped if own.is_new]
        new += ["iris"] if is_classification else []
        chosen = sorted(new, key=str.lower)[2::3]
        for own in shipped:
            task = capped(Task(own.name, *own.read(), is_classification))
            (choose if own.name in chosen or not own.is_new else judge).append(task)
        if is_classification:
            iris = Task("iris", *load_iris(return_X_y=True, as_frame=True), True)
            (choose if "iris" in chosen else judge).append(iris)
    return [_plain(task) for task in choose], [_plain(task) for task in judge]


def _plain(task: Task) -> Task:
    """Give the target as an array."""
    return Task(task.name, task.X, np.asarray(task.y), task.is_classification, task.groups)
