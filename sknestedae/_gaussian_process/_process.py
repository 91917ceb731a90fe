"""Gaussian process regression: fit, mean, standard deviation, leave-one-out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from .._threads import one_blas_thread
from ._evidence import (
    DistinctRows,
    diagonal_of_inverse,
    factor,
    merge_rows,
    most_probable,
    precisions,
    prior_of,
)
from ._kernel import CENTRES, Hyperparameters, covariance, variance

# Entries of the kernel matrix that are in memory at once in a prediction: 32 MB.
MAX_ENTRIES = 2**22
# With fewer rows a fit takes one thread: several save little, and on a shared machine they wait
# for each other, twenty times longer than one of them works.
WORTH_THREADS = 1000
# A target whose spread is below this share of its size is constant: the rest is rounding.
LEAST_SPREAD = 1e-9


class LeaveOneOut(NamedTuple):
    """Errors of predictions from all other distinct rows.

    Attributes
    ----------
    error : ndarray of shape (n_rows,)
        Target minus prediction, in the target's units.
    weight : ndarray of shape (n_rows,)
        Summed weights of the rows.
    """

    error: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A fitted Gaussian process of one target.

    The covariance is a Matérn 3/2 term with a length scale for each column, a linear term for each
    block of columns, smooth functions of single columns, and noise, which is larger where a row is
    far from the prediction of the others. Columns and target are centred, so that there is no
    constant term.

    Attributes
    ----------
    rows : DistinctRows
        On which it is conditioned, in the units of the inputs and of the target.
    widths : tuple of int
        Numbers of columns of the blocks.
    parameters : Hyperparameters
        For the standardised target.
    centre : ndarray of shape (n_columns,)
        Subtracted from the inputs.
    offset, scale : float
        Of the target: standardised, it is (y - offset) / scale.
    precisions : ndarray of shape (n_rows,)
        The noise of a row is divided by its weight and by this; one in the mean over rows.
    spread : float
        Variance of a new measurement of weight one about the function, for the standardised
        target.
    """

    rows: DistinctRows
    widths: tuple[int, ...]
    parameters: Hyperparameters
    centre: np.ndarray
    offset: float
    scale: float
    precisions: np.ndarray
    spread: float

    @classmethod
    def fit(
        cls,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None = None,
        *,
        widths: Sequence[int],
        parameters: Hyperparameters | None = None,
        max_rows: int = 2000,
        max_search_rows: int = 400,
        seed: int = 0,
    ) -> GaussianProcess:
        """Fit a Gaussian process.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)
            Standardised inputs, the columns of each block side by side.
        y : ndarray of shape (n_samples,)
            Target, NaN in rows without one.
        sample_weight : ndarray of shape (n_samples,) or None
            A row of weight two counts as two equal rows; one of weight zero is left out.
        widths : sequence of int
            Numbers of columns of the blocks.
        parameters : Hyperparameters or None
            If None, those of the highest posterior density.
        max_rows, max_search_rows : int
            At most so many distinct rows are conditioned on, and the hyperparameters are
            searched with at most so many of these; a first search, which begins at two places,
            sees half as many. More rows are drawn at random.
        seed : int
            Of the draws.

        Returns
        -------
        GaussianProcess

        Raises
        ------
        ValueError
            If the widths do not sum to the number of columns, if X has a value that is not
            finite, or if no row has a target and a weight above zero.
        """
        X = checked_inputs(X, widths)
        rows = merge_rows(X, y, sample_weight)
        if not len(rows.y):
            raise ValueError(
                "y must have a value in at least one row whose weight is above zero; none of the "
                f"{len(X)} rows has one."
            )
        offset, scale, is_constant = location_and_scale(rows)
        centre = np.average(rows.X, axis=0, weights=rows.weight)
        rng = np.random.default_rng(seed)
        used = drawn(rows, max_rows, rng)
        widths = tuple(widths)
        if parameters is None and (is_constant or len(rows.y) == 1):
            # such a target says nothing about how a function varies
            parameters = Hyperparameters.from_log(prior_of(widths).mode)
        elif parameters is None:
            searched = drawn(used, max_search_rows, rng)
            first = drawn(searched, max(max_search_rows // 2, 1), rng)
            return cls._with_heavy_tails(used, searched, first, widths, centre, offset, scale)
        equal = np.ones(len(used.y))
        return cls(used, widths, parameters, centre, offset, scale, equal, parameters.noise)

    @classmethod
    def _with_heavy_tails(
        cls,
        rows: DistinctRows,
        searched: DistinctRows,
        first: DistinctRows,
        widths: tuple[int, ...],
        centre: np.ndarray,
        offset: float,
        scale: float,
    ) -> GaussianProcess:
        """Find the hyperparameters from some of the rows, and the precision of each row.

        Parameters
        ----------
        rows, searched, first : DistinctRows
            Those that it is conditioned on, those of them that the search sees, and those of these
            that tell it where to begin.
        widths, centre, offset, scale
            As of the class.
        """

        def found(own: DistinctRows, parameters: Hyperparameters) -> tuple[np.ndarray, float]:
            return precisions(own, covariance(own.X, own.X, widths, parameters), parameters.noise)

        with one_blas_thread():  # hundreds of steps with matrices of a few hundred rows
            searched = standardised(searched, centre, offset, scale)
            parameters = most_probable(standardised(first, centre, offset, scale), widths)
            # outliers that count as much as other rows make all noise large: once more without
            of_searched, _ = found(searched, parameters)
            searched = searched.with_precisions(of_searched)
            parameters = most_probable(searched, widths, parameters, with_relevances=True)
        with one_blas_thread(len(rows.y) < WORTH_THREADS):
            of_rows, spread = found(standardised(rows, centre, offset, scale), parameters)
        return cls(rows, widths, parameters, centre, offset, scale, of_rows, spread)

    def given(self, rows: DistinctRows, precisions: np.ndarray | None = None) -> GaussianProcess:
        """Condition on other rows, with the same hyperparameters and the same units.

        Parameters
        ----------
        rows : DistinctRows
            As ``merge_rows`` gives them, in the units of ``fit``.
        precisions : ndarray of shape (n_rows,) or None, default=None
            None: all are as precise as their weights say.
        """
        if precisions is None:
            precisions = np.ones(len(rows.y))
        return replace(self, rows=rows, precisions=precisions)

    # -- predictions

    def mean(self, X: np.ndarray) -> np.ndarray:
        """Predict the mean of the target.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._in_parts(X, self._mean_of_part)

    def std(self, X: np.ndarray, with_noise: bool = True) -> np.ndarray:
        """Predict the standard deviation of the target.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)
        with_noise : bool
            Of an observation of weight one, or of the function alone.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        explained = self._in_parts(X, self._variance_of_part)
        noise = self.spread if with_noise else 0.0
        return self.scale * np.sqrt(np.maximum(explained, 0.0) + noise)

    def covariance(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        """Compute the covariance that the function has between the rows of two tables.

        Given the rows that it is conditioned on; without noise.

        Parameters
        ----------
        A, B : ndarray of shape (n_a, n_columns), (n_b, n_columns)
            B should have few rows.

        Returns
        -------
        ndarray of shape (n_a, n_b)
            In squares of the target's units.
        """
        A, B = (checked_inputs(X, self.widths) - self.centre for X in (A, B))
        to_a, to_b = (covariance(X, self.inputs, self.widths, self.parameters) for X in (A, B))
        explained = to_a @ cho_solve((self._factor, True), to_b.T, check_finite=False)
        return self.scale**2 * (covariance(A, B, self.widths, self.parameters) - explained)

    @property
    def noise_variance(self) -> float:
        """Variance of a new measurement of weight one about the function, in squared units."""
        return self.scale**2 * self.spread

    def leave_one_out(self) -> LeaveOneOut:
        """Compute the error in each distinct row, as predicted from all others.

        In closed form (Rasmussen & Williams 2006, eq. 5.12). The hyperparameters, the precisions
        of rows and the mean of the target are held.

        Returns
        -------
        LeaveOneOut
            With arrays of shape (n_rows,).
        """
        with one_blas_thread(len(self.rows.y) < WORTH_THREADS):
            of_inverse = diagonal_of_inverse(self._factor)
        return LeaveOneOut(self.scale * self.coefficients / of_inverse, self.rows.weight)

    def leave_one_out_score(self) -> float:
        """Compute R² of the leave-one-out predictions, over all rows with their weights.

        The spread among equal rows is in it. NaN where it is not defined: for a single distinct
        row and for a constant target.
        """
        mean, _, is_constant = location_and_scale(self.rows)
        if is_constant or len(self.rows.y) == 1:
            return float("nan")
        error, weight = self.leave_one_out()
        within = self.rows.within.sum()
        total = weight @ (self.rows.y - mean) ** 2 + within
        return float(1.0 - (weight @ error**2 + within) / total)

    @cached_property
    def inputs(self) -> np.ndarray:
        """The centred inputs of its rows, of shape (n_rows, n_columns)."""
        return self._standardised.X

    @cached_property
    def coefficients(self) -> np.ndarray:
        """The coefficient of the covariance with each row in the mean, of shape (n_rows,)."""
        return cho_solve((self._factor, True), self._standardised.y, check_finite=False)

    @property
    def root_of_precision(self) -> np.ndarray:
        """A square root R of the inverse covariance of its rows: that is R.T @ R.

        Returns
        -------
        ndarray of shape (n_rows, n_rows)
            Lower triangular.
        """
        identity = np.eye(len(self.rows.y))
        return solve_triangular(self._factor, identity, lower=True, check_finite=False)

    @cached_property
    def _standardised(self) -> DistinctRows:
        return standardised(self.rows, self.centre, self.offset, self.scale)

    @cached_property
    def _factor(self) -> np.ndarray:
        with one_blas_thread(len(self.inputs) < WORTH_THREADS):
            K = covariance(self.inputs, self.inputs, self.widths, self.parameters)
            K.flat[:: len(K) + 1] += self.parameters.noise / (self.rows.weight * self.precisions)
            return factor(K)

    def _in_parts(self, X: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Compute a value for each row, some rows at a time, so that memory is bounded."""
        X = checked_inputs(X, self.widths)
        widest = max(len(self.rows.y), X.shape[1] * len(CENTRES))
        size = max(MAX_ENTRIES // widest, 1)
        parts = [compute(X[k : k + size] - self.centre) for k in range(0, len(X), size)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _mean_of_part(self, part: np.ndarray) -> np.ndarray:
        K = covariance(part, self.inputs, self.widths, self.parameters)
        return self.offset + self.scale * (K @ self.coefficients)

    def _variance_of_part(self, part: np.ndarray) -> np.ndarray:
        K = covariance(self.inputs, part, self.widths, self.parameters)
        half = solve_triangular(self._factor, K, lower=True, check_finite=False, overwrite_b=True)
        return variance(part, self.widths, self.parameters) - (half**2).sum(axis=0)

    # -- state

    def to_state(self) -> dict[str, Any]:
        """Return the fitted state as arrays and numbers."""
        parameters = self.parameters
        return {
            **self.rows._asdict(),
            "widths": np.array(self.widths, dtype=int),
            "smooth": parameters.smooth,
            "length": parameters.length,
            "noise": parameters.noise,
            "linear": np.array(parameters.linear),
            "additive": parameters.additive,
            "relevances": np.array(parameters.relevances, dtype=float),
            "centre": self.centre,
            "offset": self.offset,
            "scale": self.scale,
            "precisions": self.precisions,
            "spread": self.spread,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> GaussianProcess:
        """Make a process from the state of ``to_state``."""
        return cls(
            rows=DistinctRows(*(np.asarray(state[name]) for name in DistinctRows._fields)),
            widths=tuple(np.asarray(state["widths"]).tolist()),
            parameters=Hyperparameters(
                smooth=float(state["smooth"]),
                length=float(state["length"]),
                noise=float(state["noise"]),
                linear=tuple(np.asarray(state["linear"]).tolist()),
                additive=float(state["additive"]),
                relevances=tuple(np.asarray(state["relevances"]).tolist()),
            ),
            centre=np.asarray(state["centre"]),
            offset=float(state["offset"]),
            scale=float(state["scale"]),
            precisions=np.asarray(state["precisions"]),
            spread=float(state["spread"]),
        )


class GaussianProcesses:
    """Independent Gaussian processes, one for each target.

    Parameters
    ----------
    processes : sequence of GaussianProcess
    """

    def __init__(self, processes: Sequence[GaussianProcess]) -> None:
        self.processes = tuple(processes)

    def __len__(self) -> int:
        return len(self.processes)

    def __iter__(self) -> Iterator[GaussianProcess]:
        return iter(self.processes)

    def __getitem__(self, k: int) -> GaussianProcess:
        return self.processes[k]

    @classmethod
    def fit(
        cls,
        X: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None = None,
        **settings: Any,
    ) -> GaussianProcesses:
        """Fit a Gaussian process to each target, with the rows that have it.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)
        y : ndarray of shape (n_samples, n_outputs)
            NaN where a row has no such target.
        sample_weight : ndarray of shape (n_samples,) or None
        **settings
            As of ``GaussianProcess.fit``.

        Returns
        -------
        GaussianProcesses

        Raises
        ------
        ValueError
            As ``GaussianProcess.fit`` raises it, with the position of the target.
        """
        processes = []
        for k, target in enumerate(np.asarray(y, dtype=float).T):
            try:
                processes.append(GaussianProcess.fit(X, target, sample_weight, **settings))
            except ValueError as error:
                # of its own kind, such as LinAlgError, which is one of them
                raise type(error)(f"Column {k} of y: {error}") from error
        return cls(processes)

    def mean(self, X: np.ndarray) -> np.ndarray:
        """Predict the means: an array of shape (n_samples, n_outputs)."""
        return np.column_stack([process.mean(X) for process in self])

    def std(self, X: np.ndarray) -> np.ndarray:
        """Predict the standard deviations: an array of shape (n_samples, n_outputs)."""
        return np.column_stack([process.std(X) for process in self])

    def leave_one_out_score(self) -> np.ndarray:
        """Compute R² of the leave-one-out predictions: an array of shape (n_outputs,)."""
        return np.array([process.leave_one_out_score() for process in self])

    def to_state(self) -> dict[str, Any]:
        """Return the fitted state as arrays and numbers: ``"0.scale"`` is of the first process."""
        states = enumerate(process.to_state() for process in self)
        return {f"{k}.{name}": value for k, state in states for name, value in state.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> GaussianProcesses:
        """Make the processes from the state of ``to_state``."""
        own: dict[int, dict[str, Any]] = {}
        for key, value in state.items():
            k, _, name = key.partition(".")
            own.setdefault(int(k), {})[name] = value
        return cls([GaussianProcess.from_state(own[k]) for k in sorted(own)])


def checked_inputs(X: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Return X in double precision, with as many columns as the blocks have, and finite."""
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or X.shape[1] != sum(widths):
        raise ValueError(
            f"X must have sum(widths) = {sum(widths)} columns; it has the shape {X.shape}."
        )
    finite = np.isfinite(X).all(axis=0)
    if not finite.all():
        raise ValueError(f"X must be finite; it is not in column {np.argmin(finite)}.")
    return X


def location_and_scale(rows: DistinctRows) -> tuple[float, float, bool]:
    """Return the weighted mean of the target, its scale, and whether it is constant.

    The scale is the weighted standard deviation. A constant target has none: of several rows, the
    scale is the spread that would be rounding; of a single row it is the target's own size, since
    nothing is known about how it varies.
    """
    total = rows.weight.sum()
    # deviations from one of the targets: the mean of a constant target is exactly that
    mean = float(rows.y[0] + rows.weight @ (rows.y - rows.y[0]) / total)
    squares = rows.weight @ (rows.y - mean) ** 2 + rows.within.sum()
    spread = float(np.sqrt(squares / total))
    size = float(np.abs(rows.y).max()) or 1.0
    if spread > LEAST_SPREAD * size:
        return mean, spread, False
    return mean, size if len(rows.y) == 1 else LEAST_SPREAD * size, True


def standardised(
    rows: DistinctRows, centre: np.ndarray, offset: float, scale: float
) -> DistinctRows:
    """Return rows with centred inputs and a standardised target."""
    return DistinctRows(
        rows.X - centre, (rows.y - offset) / scale, rows.weight, rows.within / scale**2
    )


def drawn(rows: DistinctRows, n_most: int, rng: np.random.Generator) -> DistinctRows:
    """Draw a number of rows, if there are more."""
    if len(rows.y) <= n_most:
        return rows
    return rows.take(rng.choice(len(rows.y), n_most, replace=False))
