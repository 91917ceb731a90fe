"""A table of several kinds of data, with the latents and translations of each kind."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .._estimators._unwrap import check_one_table, steps_before
from .._tables._input import to_pandas
from ._arrays import ArrayColumns, axis_of, fitted_arrays, flat_table, read_array, stack_cells
from ._base import check_has, core_of


class Kinds(NamedTuple):
    """A table and the kinds of data in it.

    Parameters
    ----------
    dual : estimator
        Fitted dual autoencoder.
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The table that it sees.
    columns : dict of str to list of int
        Positions of the columns of each kind.
    arrays : dict of str to ArrayColumns
        Those of the kinds that are one array.
    """

    dual: Any
    X: pd.DataFrame | np.ndarray
    columns: dict[str, list[int]]
    arrays: dict[str, ArrayColumns]

    @classmethod
    def read(cls, estimator: Any, X: Any, caller: str) -> Kinds:
        """Take a table through the steps before a dual autoencoder.

        Parameters
        ----------
        estimator : estimator
            Fitted dual autoencoder, or a pipeline or search that ends in one.
        X : array-like or DataFrame
        caller : str
            The function that messages name.
        """
        check_one_table(X, caller, "Make one table of them with stack_kinds.")
        dual = core_of(estimator)
        check_has(dual, ["transform", "translate", "blocks_"], caller)
        X = to_pandas(X)
        for step in steps_before(estimator):
            X = step.transform(X)
        X = flat_table(to_pandas(X))[0]
        columns = {name: list(fitted.columns) for name, fitted in dual.blocks_.items()}
        expected = sum(map(len, columns.values()))
        if np.ndim(X) != 2 or np.shape(X)[1] != expected:
            raise ValueError(
                f"X must be a whole table, with the {expected} columns that were fitted, of the "
                f"kinds {list(columns)}; got the shape {np.shape(X)}. Make one with stack_kinds."
            )
        return cls(dual, X, columns, {array.name: array for array in fitted_arrays(dual)})

    def check(self, name: Any, parameter: str) -> None:
        """Refuse the name of an unknown kind."""
        if not isinstance(name, str) or name not in self.columns:
            raise ValueError(
                f"The '{parameter}' parameter must name kinds of data, which are "
                f"{list(self.columns)}, got {name!r}."
            )

    def present(self, name: str) -> np.ndarray:
        """Return which rows have something of a kind, of shape (n_samples,)."""
        table = pd.DataFrame(self.X)
        if name in self.arrays:
            return ~np.isnan(read_array(table, self.arrays[name])).all(axis=1)
        return table.iloc[:, self.columns[name]].notna().any(axis=1).to_numpy()

    def rows(self, chosen: np.ndarray) -> pd.DataFrame | np.ndarray:
        """Return some rows of the table."""
        return self.X.iloc[chosen] if isinstance(self.X, pd.DataFrame) else self.X[chosen]

    def latents(self, name: str) -> np.ndarray:
        """Return the latents of a kind, NaN where a row lacks it; (n_samples, n_latents)."""
        present = self.present(name)
        if not present.any():
            raise ValueError(f"No row of X has the kind {name!r}.")
        own = np.asarray(self.dual.transform(self.rows(np.flatnonzero(present)), block=name))
        Z = np.full((len(present), own.shape[1]), np.nan)
        Z[present] = own
        return Z

    def values(self, name: str) -> np.ndarray:
        """Return the arrays of a kind, NaN where not measured, of shape (n_samples, n_values)."""
        return read_array(pd.DataFrame(self.X), self.arrays[name])

    def axis(self, name: str) -> pd.Index | None:
        """Return the numbers that label the channels of a spectrum, if they do."""
        return axis_of(pd.DataFrame(self.X), self.arrays[name])

    def translated(self, source: str, target: str, *, average_poses: bool) -> np.ndarray:
        """Return the arrays of a kind from another one, of the rows that have both; else NaN.

        Where poses are not averaged, each array comes in the pose of the true one.
        """
        true, array = self.values(target), self.arrays[target]
        known = np.flatnonzero(self.present(source) & self.present(target))
        result = np.full(true.shape, np.nan)
        if not len(known):
            raise ValueError(
                f"No row of X has both kinds, {source!r} and {target!r}, so that there is nothing "
                "to compare."
            )
        keywords = {} if average_poses else {"average_poses": False}
        found = self.dual.translate(self.rows(known), source, target, **keywords)
        values = np.asarray(stack_cells(found), dtype=float).reshape(len(known), -1)
        if not average_poses and array.align is not None:
            values = array.align(values, true[known])
        result[known] = values
        return result
