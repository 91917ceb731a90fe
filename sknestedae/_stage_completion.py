"""Filling the gaps of a chain's table, by the latents of its stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from ._base import BaseSupervisedAutoencoder, take_rows
from ._chain import LatentColumns
from ._columns import Columns
from ._completion import Explained, Explainer
from ._scales import innermost, last_scale, measured_scales
from ._stages import Stage, as_fitted, stage_table, transform_stage, unfrozen
from ._table import fill_missing, missing_entries
from ._training import Rows


class Completions(NamedTuple):
    """Completed rows of a chain's table.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_completions, n_features)
    rows : ndarray of int, shape (n_completions,)
        Which row each completes.
    mismatch : ndarray of shape (n_completions,)
    nearest : ndarray of shape (n_samples,)
        The smallest mismatch of each row.
    """

    X: Any
    rows: np.ndarray
    mismatch: np.ndarray
    nearest: np.ndarray


class ChainCompleter:
    """Complete rows of a chain's table.

    The stages up to the last one at which something was measured of a row are explained together,
    so that what was measured at a later scale serves the earlier ones. Stages after that follow
    from the latents of what is then complete.

    Parameters
    ----------
    stages : list of Stage
        Fitted.
    columns : Columns
        Of the table.

    Raises
    ------
    TypeError
        If a stage is no supervised autoencoder.
    """

    def __init__(self, stages: list[Stage], columns: Columns) -> None:
        self.stages = stages
        self.columns = columns
        self.estimators = []
        for stage in stages:
            estimator = unfrozen(innermost(unfrozen(stage.estimator), steps=False))
            if not isinstance(estimator, BaseSupervisedAutoencoder):
                raise TypeError(
                    "complete needs a supervised autoencoder at each stage; stage "
                    f"{stage.name!r} is a {type(estimator).__name__}."
                )
            self.estimators.append(estimator)
        self.links = [estimator._link() for estimator in self.estimators]
        self.between = [
            LatentColumns.of(later.table, earlier.n_components, torch.device("cpu"))
            for earlier, later in zip(self.links[:-1], self.links[1:], strict=True)
        ]

    def complete(self, X: Any) -> tuple[Any, np.ndarray]:
        """Complete each row once.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_features)
        mismatch : ndarray of shape (n_samples,)
            0 of rows without gaps.
        """
        gaps = np.flatnonzero(missing_entries(X).any(axis=1))
        mismatch = np.zeros(len(X))
        if not len(gaps):
            return fill_missing(X, X), mismatch
        part = take_rows(X, gaps)
        found = self._join(part, [self._complete(part, *group) for group in self._groups(part)])
        mismatch[gaps] = found.mismatch
        return fill_missing(X, found.X, gaps), mismatch

    def candidates(self, X: Any, n_candidates: int, tolerance: float) -> Completions:
        """Complete each row with gaps in up to so many ways."""
        gaps = np.flatnonzero(missing_entries(X).any(axis=1))
        nearest = np.zeros(len(X))
        if not len(gaps):
            return Completions(X[:0], gaps, np.zeros(0), nearest)
        part = take_rows(X, gaps)
        search = (n_candidates, tolerance)
        groups = self._groups(part)
        found = self._join(part, [self._complete(part, *group, search) for group in groups])
        nearest[gaps] = found.nearest
        return found._replace(rows=gaps[found.rows], nearest=nearest)

    def _groups(self, X: Any) -> Iterator[tuple[np.ndarray, int]]:
        """Give the rows whose last measured scale is the same, and that scale."""
        measured = measured_scales(X, [stage.columns for stage in self.stages])
        last = np.where(measured.any(axis=1), last_scale(measured), len(self.stages) - 1)
        for k in np.unique(last):
            yield np.flatnonzero(last == k), int(k)

    def _complete(self, X: Any, rows: np.ndarray, last: int, search: Any = None) -> Completions:
        """Complete rows of one group; with a search, in several ways."""
        part = take_rows(X, rows)
        n_stages = len(self.stages)
        explainer = Explainer(self.links[: last + 1], self.between[:last])
        parts = self._parts(part, range(last + 1), None)
        if last + 1 == n_stages and search is not None:
            found = explainer.candidates(parts, *search)
            own, explained = found.rows, found.explained
            X = self._decoded(take_rows(part, own), explained, range(n_stages))
            return Completions(X, rows[own], explained.mismatch, found.nearest)
        explained = explainer.explain(parts)
        X = self._decoded(part, explained, range(last + 1))
        nearest = np.where(self._has_gaps(part, range(last + 1)), explained.mismatch, 0)
        if last + 1 == n_stages:
            return Completions(X, rows, nearest, nearest)
        later = range(last + 1, n_stages)
        explainer = Explainer(self.links[last + 1 :], self.between[last + 1 :])
        parts = self._parts(X, later, self._latents(X, last))
        if search is None:
            explained = explainer.explain(parts)
            mismatch = np.maximum(nearest, explained.mismatch)
            return Completions(self._decoded(X, explained, later), rows, mismatch, mismatch)
        found = explainer.candidates(parts, *search)
        own = found.rows
        X = self._decoded(take_rows(X, own), found.explained, later)
        return Completions(X, rows[own], found.explained.mismatch, found.nearest)

    def _has_gaps(self, X: Any, stages: range) -> np.ndarray:
        """Tell which rows lack an own column of some stages."""
        own = [j for k in stages for j in self.stages[k].columns]
        return np.any(missing_entries(X)[:, own], axis=1)

    def _parts(self, X: Any, stages: range, latents: np.ndarray | None) -> list[Rows]:
        """Give rows as some stages see them: the first with latents before, if it has any."""
        parts = []
        for k in stages:
            before = self.stages[k - 1] if k else None
            if k and latents is None:
                latents = np.full((len(X), self.links[k - 1].n_components), np.nan)
            parts.append(self._rows(k, self._table(X, k, before, latents)))
            latents = None
        return parts

    def _table(self, X: Any, k: int, before: Stage | None, latents: np.ndarray | None) -> Any:
        stage = self.stages[k]
        table = stage_table(X, slice(None), self.columns, stage, before, latents)
        return as_fitted(stage.estimator, table)

    def _rows(self, k: int, table: Any) -> Rows:
        estimator, link = self.estimators[k], self.links[k]
        return link.rows(link.table.transform(estimator._check_X(table, reset=False)))

    def _latents(self, X: Any, last: int) -> np.ndarray:
        """Encode completed rows up to a stage."""
        latents = before = None
        for k in range(last + 1):
            table = self._table(X, k, before, latents)
            latents, before = transform_stage(self.estimators[k], table), self.stages[k]
        assert latents is not None
        return latents

    def _decoded(self, X: Any, explained: Explained, stages: range) -> Any:
        """Fill the own columns of some stages with what was decoded."""
        completed: dict[int, Any] = {}
        for k, decoded in zip(stages, explained.decoded, strict=True):
            table = self.links[k].table.inverse_transform(decoded)
            for i, j in enumerate(self.stages[k].columns):
                completed[j] = table.iloc[:, i] if hasattr(table, "iloc") else table[:, i]
        if isinstance(X, pd.DataFrame):
            columns = [
                completed[j].set_axis(X.index) if j in completed else X.iloc[:, j]
                for j in range(X.shape[1])
            ]
            return fill_missing(X, pd.concat(columns, axis=1))
        whole = np.array(X)
        for j, column in completed.items():
            whole[:, j] = column
        return fill_missing(X, whole)

    def _join(self, X: Any, found: list[Completions]) -> Completions:
        """Put the groups of rows together, in the order of the rows."""
        rows = np.concatenate([part.rows for part in found])
        order = np.argsort(rows, kind="stable")
        nearest = np.zeros(len(X))
        for part, (own, _) in zip(found, self._groups(X), strict=True):
            nearest[own] = part.nearest
        tables = [part.X for part in found]
        if isinstance(X, pd.DataFrame):
            whole = pd.concat(tables) if len(tables) > 1 else tables[0]
            whole = whole.iloc[order]
        else:
            whole = np.concatenate(tables)[order]
        mismatch = np.concatenate([part.mismatch for part in found])[order]
        return Completions(
            fill_missing(take_rows(X, rows[order]), whole), rows[order], mismatch, nearest
        )
