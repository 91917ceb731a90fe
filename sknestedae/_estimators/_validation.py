"""Checks that estimators share: parameters, tables and targets, and the end of a training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf, isinf, isnan
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import validate_data
from skorch import NeuralNet

from .._compat import check_sample_weight, safe_indexing, stack_level_of_caller
from .._tables._cells import (
    cell_columns,
    cells_of,
    holds_structures,
    is_nothing,
    read_cell,
)
from .._tables._columns import keeps_column_types, take_column
from .._tables._encoder import TableEncoder
from .._tables._input import is_column_of_structures, read_table
from .._tables._layout import DEFAULT_BLOCK
from .._tables._structures import STRUCTURE_OF_A_WORD
from .._tables._weights import scale_weights
from .._training._allowed_callbacks import TORCH_PAGE
from ..blocks import ArrayBlock, AtomsBlock, Block, ImageBlock, SpectrumBlock
from ..exceptions import CollapsedLatentsWarning, DivergenceError, DivergenceWarning

# The name of a block that the whole table is.
WHOLE_BLOCK = "X"

# ---------------------------------------------------------------------------------------------
# Parameters


def check_layer_sizes(sizes: Any, parameter: str) -> tuple[int, ...]:
    """Return widths of hidden layers as a tuple of positive integers."""
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"The '{parameter}' parameter must be a positive int or a sequence of them, got "
            f"{sizes!r}."
        )
    return tuple(int(size) for size in sizes)


def check_blocks(blocks: Any, X: Any) -> list[tuple[str, Block, Any]]:
    """Check the parameter ``blocks``; return a list of (name, block, columns).

    Parameters
    ----------
    blocks : "auto", None, Block or list of (name, Block, columns)
    X : DataFrame or ndarray of shape (n_samples, n_features)
        For "auto": each column of arrays becomes a block of its own.
    """
    if isinstance(blocks, str):
        return _blocks_of_cells(X)
    if blocks is None:
        return []
    if isinstance(blocks, Block):
        return [(WHOLE_BLOCK, blocks, slice(None))]
    for entry in blocks:
        is_triple = isinstance(entry, tuple) and len(entry) == 3
        if not is_triple or not isinstance(entry[1], Block):
            is_module = is_triple and isinstance(entry[1], torch.nn.Module)
            raise ValueError(
                "The 'blocks' parameter must be a list of tuples (name, Block, columns), "
                f"got {entry!r} in it.{f' {TORCH_PAGE}' if is_module else ''}"
            )
    check_block_names([name for name, _, _ in blocks])
    return blocks


def own_blocks(blocks: Any, n_columns: int) -> Any:
    """Return the parameter ``blocks`` of a stage that takes latents behind its own columns.

    A block of all columns is one of its own columns, as the latents are numbers by themselves.
    """
    is_whole = isinstance(blocks, Block)
    return [(WHOLE_BLOCK, blocks, slice(0, n_columns))] if is_whole else blocks


def has_blocks_of_users(blocks: Any) -> bool:
    """Tell whether some block of the parameter ``blocks`` is not of a class of this package."""
    entries = blocks if isinstance(blocks, list) else [(None, blocks, None)]
    package = __name__.partition(".")[0]
    return any(
        isinstance(block, Block) and type(block).__module__.partition(".")[0] != package
        for _, block, _ in entries
    )


def check_block_names(names: list) -> None:
    """Refuse names of blocks that are not distinct, or that cannot name a part of a network."""
    usable = all(isinstance(name, str) and name.isidentifier() for name in names)
    # torch takes no name of its own; two underscores stand before a parameter
    taken = {DEFAULT_BLOCK, *dir(torch.nn.ModuleDict)}
    is_split = any("__" in str(name) for name in names)
    if not usable or is_split or len(set(names)) < len(names) or taken & set(names):
        raise ValueError(
            "The 'blocks' parameter must have distinct names that are identifiers without two "
            f"underscores, other than {DEFAULT_BLOCK!r} and the methods of a torch ModuleDict, "
            f"got {names}."
        )


def _blocks_of_cells(X: Any) -> list[tuple[str, Block, Any]]:
    """Make a block for each column of a table whose cells hold arrays or structures of atoms."""
    found: list[tuple[str, Block, Any]] = []
    is_frame = isinstance(X, pd.DataFrame)
    # cells of an array are read as they are only where they hold structures
    columns = cell_columns(X) if is_frame or isinstance(X, np.ndarray) else ()
    for j in columns:
        column = take_column(X, j)
        if not (is_frame or holds_structures(column)):
            continue
        label = X.columns[j] if is_frame else j
        name = label if isinstance(label, str) else "_".join(map(str, np.atleast_1d(label)))
        taken = {DEFAULT_BLOCK, *dir(torch.nn.ModuleDict), *(other for other, _, _ in found)}
        if not name.isidentifier() or "__" in name or name in taken:
            name = f"column_{j}"
        found.append((name, _block_of_cells(column), [j]))
    return found


def _block_of_cells(column: pd.Series | np.ndarray) -> Block:
    """Return the kind of a column whose cells hold arrays or structures of atoms."""
    if holds_structures(column):
        return AtomsBlock()
    arrays = (read_cell(cell) for cell in cells_of(column))
    n_dims = next(array.ndim for array in arrays if array is not None)
    return SpectrumBlock() if n_dims == 1 else ImageBlock()


def check_block_weights(weights: Any, names: Sequence[str]) -> dict[str, float]:
    """Return each block's share of the reconstruction error, by ``block_weights``."""
    if weights is None:
        return dict.fromkeys(names, 1 / len(names))
    unknown = [name for name in weights if name not in names]
    usable = all(
        isinstance(weight, Real) and not isinstance(weight, bool) and 0 <= float(weight) < inf
        for weight in weights.values()
    )
    total = float(sum(weights.values())) if usable else 0.0
    if unknown or set(names) - set(weights) or not total > 0:
        raise ValueError(
            "The 'block_weights' parameter must give each block a number of 0 or more, not all of "
            f"them 0; the blocks are {list(names)}, got {weights}."
        )
    return {name: float(weights[name]) / total for name in names}


def check_beta(beta: float | None, latent_activation: str) -> bool:
    """Return whether latents are variational; then they must be unbounded, as their prior is."""
    if beta is not None and latent_activation != "identity":
        raise ValueError(
            "The 'latent_activation' parameter must be 'identity' with variational latents "
            f"(beta={beta}), whose prior is N(0, 1); got {latent_activation!r}."
        )
    return beta is not None


def check_spread(is_variational: bool) -> None:
    """Refuse to give standard deviations of latents that are points."""
    if not is_variational:
        raise ValueError(
            "return_std=True needs variational latents: the 'beta' parameter must have been a "
            "number in fit, got None."
        )


def check_target_bounds(bounds: Any) -> tuple[float | None, float | None]:
    """Check the parameter ``target_bounds``; return (low, high), None where there is no bound."""
    if bounds is None:
        return None, None
    is_pair = isinstance(bounds, tuple | list) and len(bounds) == 2
    usable = is_pair and all(
        end is None or (isinstance(end, Real) and not isinstance(end, bool) and not isnan(end))
        for end in bounds
    )
    low, high = (
        (None if end is None or isinf(end) else float(end) for end in bounds)
        if usable
        else (None, None)
    )
    if not usable or (low is not None and high is not None and low >= high):
        raise ValueError(
            "The 'target_bounds' parameter must be None or (low, high), numbers or None, with "
            f"low < high; got {bounds!r}."
        )
    return low, high


def check_batch_size(batch_size: int, n_samples: int, *, warns: bool) -> int:
    """Return a batch size that is not above the number of rows."""
    if batch_size <= n_samples:
        return batch_size
    if warns:
        warnings.warn(
            f"batch_size={batch_size} is larger than the {n_samples} rows to learn from; all of "
            "them make one batch.",
            stacklevel=stack_level_of_caller(),
        )
    return n_samples


# ---------------------------------------------------------------------------------------------
# Tables, targets and weights


def check_not_empty(X: pd.DataFrame) -> None:
    """Refuse a DataFrame without rows or columns, in scikit-learn's words for an array."""
    if 0 in X.shape:
        raise ValueError(
            f"Found array with {len(X)} sample(s) and {X.shape[1]} feature(s) "
            f"(shape={X.shape}) while a minimum of 1 is required of each."
        )


def check_table(
    estimator: BaseEstimator, X: Any, categorical_features: Any, fitted: TableEncoder | None
) -> pd.DataFrame | np.ndarray:
    """Check names and number of an autoencoder's columns.

    Parameters
    ----------
    estimator : estimator
        Whose ``n_features_in_`` and ``feature_names_in_`` are compared, or set.
    X : array-like or DataFrame of shape (n_samples, n_features)
    categorical_features
        Its parameter.
    fitted : TableEncoder or None
        Of an earlier fit, whose columns X must have; None where X is to be fitted.

    Returns
    -------
    DataFrame of pandas, ndarray of floats or, where categories are named, of objects
    """
    reset = fitted is None
    X = read_table(X)
    if isinstance(X, np.ndarray):
        X = _flatten(X, estimator.blocks, fitted)
    keeps_objects = fitted is not None and fitted.keeps_objects
    if not keeps_column_types(X, categorical_features, keeps_objects):
        try:
            return validate_data(
                estimator, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False
            )
        except ValueError as error:
            if "could not convert" not in str(error):
                raise
            _refuse_words_beside_structures(X)
            advice = (
                "name its categorical columns in categorical_features, by position, or pass a "
                "DataFrame; BaggingRegressor and other estimators make an array of one"
            )
            if _has_atoms(estimator.blocks):
                advice = f"words are no structures of atoms. {STRUCTURE_OF_A_WORD}"
            elif not reset:
                advice = "convert it to numbers, as it was in fit"
            raise ValueError(f"{error}. An array is read as numbers: {advice}.") from error
    if isinstance(X, pd.DataFrame):
        # an array of its values would lose the columns' dtypes
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if fitted is not None:
            fitted.check_labels(X)
        check_not_empty(X)
        return X
    X = np.asarray(X, dtype=object)
    return validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)


def _has_atoms(blocks: Any) -> bool:
    """Return whether a block of the parameter is for structures; the rest of it may be wrong."""
    entries = blocks if isinstance(blocks, list) else [blocks]
    parts = [part for own in entries for part in (own if isinstance(own, tuple) else [own])]
    return any(isinstance(part, AtomsBlock) for part in parts)


def _refuse_words_beside_structures(X: Any) -> None:
    """Refuse a column of an array that holds structures of atoms, but begins with a word."""
    for j, column in enumerate(np.asarray(X, dtype=object).T):
        if is_column_of_structures(column):
            first = next(value for value in column if not is_nothing(value))
            raise TypeError(
                f"Column {j} holds structures of atoms, and {first!r:.60}, which is "
                f"{type(first).__name__}; each of its cells must be a structure, or None where a "
                f"row was not measured. {STRUCTURE_OF_A_WORD}."
            )


def _flatten(X: np.ndarray, blocks: Any, fitted: TableEncoder | None) -> np.ndarray:
    """Flatten an array of rows of any shape to two dimensions, if a block takes all of it.

    Integers of at most 16 bits, such as pixels, become float32, which holds them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    blocks
        Parameter of the estimator.
    fitted : TableEncoder or None
        Of an earlier fit, whose shape the rows must have.
    """
    is_array = isinstance(blocks, ArrayBlock)
    if is_array and X.dtype.kind in "biu" and X.dtype.itemsize <= 2:
        X = X.astype(np.float32)
    if X.ndim <= 2:
        return X
    if not isinstance(blocks, Block):
        raise ValueError(
            f"Found array with dim {X.ndim}, but a table has 2: X has the shape {X.shape}. Rows "
            "that are arrays need a block that takes all of X, such as blocks=ImageBlock(); for "
            "several kinds of arrays, make one table with stack_kinds."
        )
    shape = X.shape[1:]
    if fitted is not None:
        (layout,) = fitted.layouts.values()
        expected = fitted.cell_shape or layout.shape or (layout.n_numeric,)
        if shape != expected:
            raise ValueError(
                f"The rows of X have the shape {shape}, but those of fit had {expected}."
            )
    return X.reshape(len(X), -1)


class TrainingRows(NamedTuple):
    """The training rows of a table: those with a positive weight.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_features)
    sample_weight : ndarray of shape (n_rows,) or None
    power : int
        Power of two that the weights were divided by.
    kept : ndarray of bool, shape (n_samples,), or slice
        Which rows of the whole table they are.
    """

    X: Any
    sample_weight: np.ndarray | None
    power: int
    kept: np.ndarray | slice

    def of(self, y: Any) -> Any:
        """Return these rows of an object with as many rows as the whole table; None for None."""
        if y is None or isinstance(self.kept, slice):
            return y
        return safe_indexing(y, np.flatnonzero(self.kept))


def check_training_rows(
    X: Any, y: Any, sample_weight: Any, *, scale: bool = False
) -> TrainingRows:
    """Check that a target and weights belong to a table, and leave rows of weight 0 out.

    Nothing is learnt from such a row, not even a column's categories or its mean.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
    y : array-like or None
    sample_weight : array-like of shape (n_samples,) or None
    scale : bool, default=False
        Whether to divide weights by a power of two, as ``scale_weights`` does; a row that weighs
        next to nothing compared with the others then is one of weight 0.

    Raises
    ------
    ValueError
        If numbers of rows differ, a weight is negative, or none is positive.
    """
    if y is not None:
        check_consistent_length(X, y)
    if sample_weight is None:
        return TrainingRows(X, None, 0, slice(None))
    sample_weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    sample_weight, power = scale_weights(sample_weight) if scale else (sample_weight, 0)
    kept = sample_weight > 0
    if kept.all():
        return TrainingRows(X, sample_weight, power, slice(None))
    if not kept.any():
        raise ValueError("sample_weight is 0 for all rows; at least one must be positive.")
    return TrainingRows(safe_indexing(X, np.flatnonzero(kept)), sample_weight[kept], power, kept)


# ---------------------------------------------------------------------------------------------
# How a fit ends


@contextmanager
def all_or_nothing(*estimators: BaseEstimator) -> Iterator[None]:
    """Restore estimators if fitting fails.

    A fit replaces the objects that are stored on an estimator, and changes nothing in place; so it
    is enough to remember the objects from before.
    """
    before = [vars(estimator).copy() for estimator in estimators]
    try:
        yield
    except BaseException:
        for estimator, attributes in zip(estimators, before, strict=True):
            vars(estimator).clear()
            vars(estimator).update(attributes)
        raise


def warn_of_collapse(n_active: int | None, n_components: int, beta: float | None) -> None:
    """Warn about variational latents that are the same for all rows."""
    if n_active is None or n_active == n_components:
        return
    warnings.warn(
        f"{n_components - n_active} of {n_components} latents have collapsed to their prior: "
        "their means hardly differ from row to row. More latents than the data need do no harm; "
        f"to use more of them, train longer or lower 'beta' (it is {beta}).",
        CollapsedLatentsWarning,
        stacklevel=stack_level_of_caller(),
    )


def check_divergence(net: NeuralNet, subject: str, remedy: str) -> int:
    """Return the number of a trained net's best epoch; warn if the training diverged after it.

    Parameters
    ----------
    net : NeuralNet
        With the callback ``_best_epoch``.
    subject, remedy : str
        Begin and end of the message, such as "The loss" and a remedy.

    Raises
    ------
    DivergenceError
        If the loss was NaN or infinite before an epoch could be kept.
    """
    best = dict(net.callbacks_)["_best_epoch"]
    if best.diverged_iter_ is None:
        return best.best_iter_
    what = f"{subject} diverged to NaN or infinity in epoch {best.diverged_iter_}"
    if not best.best_iter_:
        raise DivergenceError(f"{what}, before any epoch could be kept. {remedy}")
    warnings.warn(
        f"{what}; training stopped and the best epoch, {best.best_iter_}, is kept. {remedy}",
        DivergenceWarning,
        stacklevel=stack_level_of_caller(),
    )
    return best.best_iter_
