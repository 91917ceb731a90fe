"""Correlations between latents and known variables."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.utils import check_consistent_length

from .._ambient import isolated_but_output
from .._estimators._unwrap import check_one_table, names_of_latents, up_to_stage
from .._tables._cells import array_columns, cells_of, holds_structures, read_cell
from .._tables._columns import factorize, is_categorical
from .._tables._input import as_array, check_same_rows, column_of_structures, n_dims, to_pandas
from .._tables._labels import entry_names
from .._tables._statistics import column_deviations


@isolated_but_output
def latent_correlations(estimator, X, variables, *, stage=None, method="pearson"):
    """Correlate the latents of rows with known variables of the same rows.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with ``transform``, or a pipeline or search that ends in one.
    X : array-like or DataFrame of shape (n_samples, n_features)
        The columns that were fitted.
    variables : DataFrame, Series or array-like of shape (n_samples, ...) or (n_samples,)
        For the same rows, in the same order (row labels, where both have some, must be in one
        order too): numbers or, by their dtype, categories, strings or booleans. A row counts for
        a variable where it is not missing. Of arrays, such as images in an array of more
        dimensions or spectra in cells, each entry is a variable. Columns of structures of atoms
        are left out.
    stage : str or int, default=None
        Name or position of a stage of a :class:`~sknestedae.NestedAutoencoder`, whose latents are
        taken. None: the latents that the estimator gives.
    method : {"pearson", "spearman"}, default="pearson"
        Linear correlation, or that of ranks, which finds any monotonic relation.

    Returns
    -------
    correlations : DataFrame of shape (n_latents, n_variables)
        From -1 to 1; for categories the correlation ratio, from 0 to 1. NaN where a latent or a
        variable is constant in the rows that count. The entries of arrays are named
        ``"spectrum[12]"`` or ``"image[3, 4]"``, in C order; those of an array without a name
        ``"[3, 4]"``.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If X is a list of tables, or a variable holds neither numbers nor categories.
    ValueError
        If there are not as many rows of variables as of X, a variable is infinite, or there is no
        such stage or method.

    See Also
    --------
    sknestedae.plotting.LatentDisplay : The latents as a plane, coloured by a variable.

    Notes
    -----
    The correlation ratio is the square root of the fraction of the latent's variance (of its
    ranks' with "spearman") that lies between the categories. It has no sign, and is above 0 by
    chance alone: for :math:`k` categories in :math:`n` rows without any relation its square has
    the mean :math:`(k - 1) / (n - 1)`.

    Latents of different fits are not the same: a latent has no sign of its own, and several may
    share the information about a variable. Then each correlates little, and only a regression on
    all of them shows the information.

    Examples
    --------
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.datasets import make_nested_functions
    >>> from sknestedae.inspection import latent_correlations
    >>> data = make_nested_functions(100, random_state=0)
    >>> sae = SupervisedAutoencoder(1, max_iter=20, random_state=0).fit(data.data[0])
    >>> latent_correlations(sae, data.data[0], data.z[["z1"]], method="spearman").abs().round(2)
                             z1
    supervisedautoencoder0  1.0
    """
    if method not in ("pearson", "spearman"):
        raise ValueError(
            f"The 'method' parameter must be 'pearson' or 'spearman', got {method!r}."
        )
    check_one_table(X, "latent_correlations", "Pass one table, and stage=... for its latents.")
    X, variables = to_pandas(X), to_pandas(variables, "variables")
    check_same_rows(X, variables=variables)
    if stage is not None:
        estimator = up_to_stage(estimator, stage)
    Z = estimator.transform(X)
    Z = np.asarray(Z.toarray() if hasattr(Z, "toarray") else Z, dtype=float)
    frame = _variables(variables)
    check_consistent_length(Z, frame)
    correlations = np.empty((Z.shape[1], frame.shape[1]))
    together = []  # numbers without missing values: thousands of them at once
    for j, label in enumerate(frame.columns):
        column = frame.iloc[:, j]
        known = column.notna().to_numpy()
        name = f"{label!r} of 'variables'"
        if is_categorical(column, name):
            codes, _ = factorize(column[known], name)
            correlations[:, j] = _correlation_ratio(_ranks(Z[known], method), codes)
            continue
        values = pd.to_numeric(column[known]).to_numpy(dtype=float)
        if np.isinf(values).any():
            raise ValueError(f"Column {name} contains infinity; leave it out as NaN.")
        if known.all():
            together.append(j)
            continue
        ranked = _ranks(values[:, None], method)
        correlations[:, [j]] = _correlation(_ranks(Z[known], method), ranked)
    if together:
        values = frame.iloc[:, together].to_numpy(dtype=float)
        correlations[:, together] = _correlation(_ranks(Z, method), _ranks(values, method))
    index = pd.Index(names_of_latents(estimator, Z.shape[1]))
    return pd.DataFrame(correlations, index=index, columns=frame.columns)


def _variables(variables: Any) -> pd.DataFrame:
    """Return variables as a table in which each entry of an array is a column."""
    variables = column_of_structures(variables, "variables")
    if n_dims(variables) > 2:
        values = np.asarray(as_array(variables))
        names = entry_names("", values.shape[1:])
        return pd.DataFrame(values.reshape(len(values), -1), columns=names)
    frame = pd.DataFrame(variables)
    frame = frame.iloc[
        :, [j for j in range(frame.shape[1]) if not holds_structures(frame.iloc[:, j])]
    ]
    cells = array_columns(frame)
    if not cells:
        return frame
    parts = [
        _spread_cells(frame.iloc[:, j], frame.columns[j]) if j in cells else frame.iloc[:, [j]]
        for j in range(frame.shape[1])
    ]
    return pd.concat(parts, axis=1)


def _spread_cells(column: pd.Series, label: Hashable) -> pd.DataFrame:
    """Make a column of each entry of the arrays in a column's cells; NaN for a missing cell."""
    cells = [read_cell(value) for value in cells_of(column)]
    shapes = {cell.shape for cell in cells if cell is not None}
    if len(shapes) > 1:
        raise ValueError(
            f"Column {label!r} of 'variables' has arrays of several shapes, such as "
            f"{sorted(shapes)[:2]}; all must have one."
        )
    (shape,) = shapes
    nothing = np.full(shape, np.nan)
    values = np.stack([nothing if cell is None else cell for cell in cells])
    frame = pd.DataFrame(values.reshape(len(values), -1), index=column.index)
    frame.columns = pd.Index(entry_names(label, shape))
    return frame


def _ranks(values: np.ndarray, method: str) -> np.ndarray:
    """Return the ranks of each column for "spearman", else the values."""
    return rankdata(values, axis=0) if method == "spearman" and len(values) else values


def _correlation(Z: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Correlate columns with columns; NaN where either is constant.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_latents)
    values : ndarray of shape (n_samples, n_variables)

    Returns
    -------
    ndarray of shape (n_latents, n_variables)
    """
    result = np.full((Z.shape[1], values.shape[1]), np.nan)
    if not len(Z):
        return result
    _, deviation, _ = column_deviations(iter([(values, None)]))  # 0 where rounding alone varies
    rows, columns = np.flatnonzero(Z.min(axis=0) < Z.max(axis=0)), np.flatnonzero(deviation)
    Z, values = Z[:, rows], values[:, columns]
    values = np.ldexp(values, -np.frexp(np.abs(values).max(axis=0))[1])  # near 1, to be squared
    Z, values = Z - Z.mean(axis=0), values - values.mean(axis=0)
    norms = np.linalg.norm(Z, axis=0)[:, None] * np.linalg.norm(values, axis=0)
    result[np.ix_(rows, columns)] = np.clip(Z.T @ values / norms, -1, 1)
    return result


def _correlation_ratio(Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the root of the fraction of variance between groups; NaN where there is but one."""
    result = np.full(Z.shape[1], np.nan)
    counts = np.bincount(codes)
    if len(counts) < 2:
        return result
    varies = np.ptp(Z, axis=0) > 0
    Z = Z[:, varies] - Z[:, varies].mean(axis=0)
    sums = np.zeros((len(counts), Z.shape[1]))
    np.add.at(sums, codes, Z)
    between = (sums**2 / counts[:, None]).sum(axis=0)
    result[varies] = np.sqrt(np.clip(between / (Z**2).sum(axis=0), 0, 1))
    return result
