"""Missing values of a chain's table, imputed from the latents of its stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from .._latents._inference import PosteriorModes, PosteriorModeSearch
from .._networks._batch import Batch
from .._networks._chain import LatentColumns
from .._tables._missing import (
    Completions,
    CompletionSearch,
    fill_missing,
    missing_entries,
    take_rows,
)
from .._tables._staged import StagedTable, StageLatents
from ._fitted import fitted_part
from ._stages import Stage, as_fitted, iter_stages, latents_of, naming, transform_stage
from ._unwrap import autoencoder_of


class ChainCompleter:
    """Impute the missing values in rows of a chain's table.

    The latents of all stages up to a row's last measured scale are searched for at once, so that
    values measured at a later scale serve the earlier ones. Later stages follow from the latents
    of the row that is then complete.

    Parameters
    ----------
    stages : list of Stage
        Fitted.

    Raises
    ------
    TypeError
        If a stage is no supervised autoencoder.
    """

    def __init__(self, stages: list[Stage]) -> None:
        self.stages = stages
        self.estimators = [
            autoencoder_of(stage.estimator, "complete", stage.name) for stage in stages
        ]
        self.models = [fitted_part(estimator).observation_model() for estimator in self.estimators]
        self.between = [
            LatentColumns.of(later.table, earlier.n_components, torch.device("cpu"))
            for earlier, later in zip(self.models[:-1], self.models[1:], strict=True)
        ]

    def check_cells(self, table: StagedTable) -> None:
        """Refuse cells of another kind than those of ``fit``, in any row."""
        for k, (stage, model) in enumerate(zip(self.stages, self.models, strict=True)):
            with naming(stage.name):
                model.table.check_cells(table.own_columns(k))

    def find(self, table: StagedTable, search: CompletionSearch | None) -> Completions:
        """Complete rows, each once or as a search wants it.

        Parameters
        ----------
        table : StagedTable
            Rows with missing values.
        search : (int, float) or None
            How many completions of each row, at most, and within which mismatch: the largest of
            the stages'.
        """
        nearest = np.zeros(len(table))
        found = []
        # a row without anything measured is completed as one of the last stage
        last = np.where(table.last == -1, len(self.stages) - 1, table.last)
        for k in np.unique(last):
            rows = np.flatnonzero(last == k)
            part = self._find(table.take(rows), int(k), search)
            nearest[rows] = part.nearest
            found.append(part._replace(rows=rows[part.rows]))
        rows = np.concatenate([part.rows for part in found])
        order = np.argsort(rows, kind="stable")
        tables = [part.X for part in found]
        is_frame = isinstance(table.X, pd.DataFrame)
        whole = pd.concat(tables) if is_frame else np.concatenate(tables)
        mismatch = np.concatenate([part.mismatch for part in found])
        return Completions(take_rows(whole, order), rows[order], mismatch[order], nearest)

    def _find(self, table: StagedTable, last: int, search: CompletionSearch | None) -> Completions:
        """Complete rows whose last measured scale is the same."""
        n_stages = len(self.stages)
        some, later = range(last + 1), range(last + 1, n_stages)
        # first the stages at which rows may have measured columns, all of them together ...
        modes = PosteriorModeSearch(self.models[: last + 1], self.between[:last])
        found = modes.find(self.batches(table, some, None), None if later else search)
        completed = self._decoded(take_rows(table.X, found.rows), found, some)
        is_incomplete = self._is_incomplete(table.X, some)
        mismatch = np.where(is_incomplete[found.rows], found.mismatch, 0.0)
        nearest = np.where(is_incomplete, found.nearest, 0.0)
        if not later:
            return Completions(completed, found.rows, mismatch, nearest)
        # ... then the later ones, of which rows have nothing, from the latents of what is complete
        table = table.with_rows(completed)
        modes = PosteriorModeSearch(self.models[last + 1 :], self.between[last + 1 :])
        found = modes.find(self.batches(table, later, self._latents(table, last)), search)
        completed = self._decoded(take_rows(completed, found.rows), found, later)
        mismatch = np.maximum(mismatch[found.rows], found.mismatch)
        nearest = np.maximum(nearest, found.nearest)
        is_near = np.full(len(mismatch), True) if search is None else mismatch <= search[1]
        return Completions(
            take_rows(completed, is_near), found.rows[is_near], mismatch[is_near], nearest
        )

    def _is_incomplete(self, X: pd.DataFrame | np.ndarray, stages: range) -> np.ndarray:
        """Return which rows lack an own column of some stages."""
        own = [j for k in stages for j in self.stages[k].columns]
        return np.any(missing_entries(X)[:, own], axis=1)

    def batches(
        self, table: StagedTable, stages: range, latents: StageLatents | None
    ) -> list[Batch]:
        """Return rows as some stages see them: the first with latents before, if it has any.

        The latents that the others see are missing: the search is for them.
        """
        batches = []
        for k in stages:
            if k and latents is None:
                before = self.stages[k - 1]
                unknown = np.full((len(table), self.models[k - 1].n_components), np.nan)
                latents = latents_of(before, unknown)
            stage, model = self.stages[k], self.models[k]
            own = as_fitted(stage.estimator, table.stage(k, latents))
            checked = self.estimators[k]._check_X(own, reset=False)
            batches.append(model.rows(model.table.transform(checked)))
            latents = None
        return batches

    def _latents(self, table: StagedTable, last: int) -> StageLatents:
        """Encode completed rows up to a stage."""
        *_, (stage, own) = iter_stages(table, self.stages[: last + 1])
        return latents_of(stage, transform_stage(stage.estimator, own))

    def _decoded(
        self, X: pd.DataFrame | np.ndarray, found: PosteriorModes, stages: range
    ) -> pd.DataFrame | np.ndarray:
        """Fill the own columns of some stages with decoded values."""
        completed: dict[int, Any] = {}
        for k, decoded in zip(stages, found.decoded, strict=True):
            table = self.models[k].table.inverse_transform(decoded)
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
