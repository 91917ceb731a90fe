"""Filling the gaps of a chain's table, by the latents of its stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from .._latents._inference import PosteriorModes, PosteriorModeSearch
from .._networks._batch import Batch
from .._networks._chain import LatentColumns
from .._tables._labels import ColumnLabels
from .._tables._missing import (
    Completions,
    CompletionSearch,
    fill_missing,
    missing_entries,
    take_rows,
)
from .._tables._scales import last_scale, measured_scales
from ._fitted import fitted_part
from ._stages import Stage, as_fitted, iter_stages, stage_table, transform_stage
from ._unwrap import autoencoder_of


class ChainCompleter:
    """Complete rows of a chain's table.

    The stages up to the last one at which something was measured of a row are explained together,
    so that what was measured at a later scale serves the earlier ones. Stages after that follow
    from the latents of what is then complete.

    Parameters
    ----------
    stages : list of Stage
        Fitted.
    columns : ColumnLabels
        Of the table.

    Raises
    ------
    TypeError
        If a stage is no supervised autoencoder.
    """

    def __init__(self, stages: list[Stage], columns: ColumnLabels) -> None:
        self.stages = stages
        self.columns = columns
        self.estimators = [
            autoencoder_of(stage.estimator, "complete", stage.name) for stage in stages
        ]
        self.links = [fitted_part(estimator).observation_model() for estimator in self.estimators]
        self.between = [
            LatentColumns.of(later.table, earlier.n_components, torch.device("cpu"))
            for earlier, later in zip(self.links[:-1], self.links[1:], strict=True)
        ]

    def find(self, X: Any, search: CompletionSearch | None) -> Completions:
        """Complete rows, each once or as a search wants it.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Rows with gaps.
        search : (int, float) or None
            How many completions of each row, at most, and within which mismatch: the largest of
            the stages'.
        """
        nearest = np.zeros(len(X))
        found = []
        for rows, last in self._groups(X):
            part = self._find(take_rows(X, rows), last, search)
            nearest[rows] = part.nearest
            found.append(part._replace(rows=rows[part.rows]))
        rows = np.concatenate([part.rows for part in found])
        order = np.argsort(rows, kind="stable")
        tables = [part.X for part in found]
        is_frame = isinstance(X, pd.DataFrame)
        whole = pd.concat(tables) if is_frame else np.concatenate(tables)
        mismatch = np.concatenate([part.mismatch for part in found])
        return Completions(take_rows(whole, order), rows[order], mismatch[order], nearest)

    def _groups(self, X: Any) -> Iterator[tuple[np.ndarray, int]]:
        """Give the rows whose last measured scale is the same, and that scale."""
        measured = measured_scales(X, [stage.columns for stage in self.stages])
        last = np.where(measured.any(axis=1), last_scale(measured), len(self.stages) - 1)
        for k in np.unique(last):
            yield np.flatnonzero(last == k), int(k)

    def _find(self, X: Any, last: int, search: CompletionSearch | None) -> Completions:
        """Complete rows whose last measured scale is the same."""
        n_stages = len(self.stages)
        some, later = range(last + 1), range(last + 1, n_stages)
        explainer = PosteriorModeSearch(self.links[: last + 1], self.between[:last])
        found = explainer.find(self._parts(X, some, None), None if later else search)
        completed = self._decoded(take_rows(X, found.rows), found, some)
        has_gaps = self._has_gaps(X, some)
        mismatch = np.where(has_gaps[found.rows], found.mismatch, 0.0)
        nearest = np.where(has_gaps, found.nearest, 0.0)
        if not later:
            return Completions(completed, found.rows, mismatch, nearest)
        explainer = PosteriorModeSearch(self.links[last + 1 :], self.between[last + 1 :])
        found = explainer.find(
            self._parts(completed, later, self._latents(completed, last)), search
        )
        completed = self._decoded(take_rows(completed, found.rows), found, later)
        mismatch = np.maximum(mismatch[found.rows], found.mismatch)
        nearest = np.maximum(nearest, found.nearest)
        is_near = np.full(len(mismatch), True) if search is None else mismatch <= search[1]
        return Completions(
            take_rows(completed, is_near), found.rows[is_near], mismatch[is_near], nearest
        )

    def _has_gaps(self, X: Any, stages: range) -> np.ndarray:
        """Tell which rows lack an own column of some stages."""
        own = [j for k in stages for j in self.stages[k].columns]
        return np.any(missing_entries(X)[:, own], axis=1)

    def _parts(self, X: Any, stages: range, latents: np.ndarray | None) -> list[Batch]:
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

    def _rows(self, k: int, table: Any) -> Batch:
        estimator, link = self.estimators[k], self.links[k]
        return link.rows(link.table.transform(estimator._check_X(table, reset=False)))

    def _latents(self, X: Any, last: int) -> np.ndarray:
        """Encode completed rows up to a stage."""
        *_, (stage, table) = iter_stages(X, self.columns, self.stages[: last + 1])
        return transform_stage(stage.estimator, table)

    def _decoded(self, X: Any, explained: PosteriorModes, stages: range) -> Any:
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
