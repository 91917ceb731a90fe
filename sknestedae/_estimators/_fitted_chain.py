"""The fitted state of one chain, as one object of plain values and fitted stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .._tables._input import TableKind, kind_from_state, kind_to_state
from .._tables._labels import ColumnLabels
from .._tables._listed import TableList
from .._tables._staged import StagedTable
from ._passing import PassedOn, PassedRows, StageInput, iter_inputs
from ._stages import Stage, iter_stages


@dataclass(frozen=True)
class FittedChain:
    """A fitted chain, without the parameters that it was fitted with.

    Parameters
    ----------
    stages : list of Stage
        With fitted estimators.
    targets : dict of str to list of int
        The columns of y that are the target of each stage.
    y_is_1d : bool
        Whether predictions of one target have one dimension, as the y that was fitted.
    n_latents : list of int
        Of each stage.
    labels : ColumnLabels
        Of the one table.
    frame_kinds : list of {FrameKind, ArrayKind, None}
        Of the tables that ``fit`` was given.
    same_rows : bool
        Whether the tables of a list describe the same rows.
    passing : list of {PassedOn, None}
        The inputs that each stage's predictor has from the stages before.
    refine_history : DataFrame or None
        Of the training of all stages together; None where there was none.
    """

    stages: list[Stage]
    targets: dict[str, list[int]]
    y_is_1d: bool
    n_latents: list[int]
    labels: ColumnLabels
    frame_kinds: list[TableKind]
    same_rows: bool
    passing: list[PassedOn | None]
    refine_history: pd.DataFrame | None = None

    @property
    def columns(self) -> dict[str, list[int]]:
        """Positions of the own columns of each stage."""
        return {stage.name: stage.columns for stage in self.stages}

    @property
    def table_list(self) -> TableList:
        """The list of tables that is equivalent to the one table."""
        return TableList(self.columns, self.labels, self.frame_kinds, self.same_rows)

    def staged(self, X: pd.DataFrame | np.ndarray) -> StagedTable:
        """Return a checked table as the stages see it."""
        return StagedTable(X, self.labels, self.columns)

    def iter_stages(self, table: StagedTable) -> Iterator[tuple[Stage, Any]]:
        """Send a table up the chain; yield each stage with its table."""
        return iter_stages(table, self.stages)

    def iter_inputs(self, table: StagedTable, *, with_std: bool = False) -> Iterator[StageInput]:
        """Do the same; yield also the values that the stages before pass on to each predictor.

        The standard deviations of passed predictions take as long as all else: ``with_std`` asks
        for them.
        """
        gathered = PassedRows(table, self.passing, with_std=with_std)
        return iter_inputs(self.stages, gathered)

    def first(self, n_stages: int) -> FittedChain:
        """Return the chain of the first stages; it has the same table, and needs a part of it."""
        stages = self.stages[:n_stages]
        targets = {stage.name: self.targets[stage.name] for stage in stages}
        n_left, n_outputs = (sum(map(len, own.values())) for own in (targets, self.targets))
        return replace(
            self,
            stages=stages,
            targets=targets,
            # one column that is left of many is no table of one column
            y_is_1d=self.y_is_1d or n_left == 1 < n_outputs,
            n_latents=self.n_latents[:n_stages],
            passing=self.passing[:n_stages],
            # the history is of all stages together
            refine_history=self.refine_history if n_stages >= len(self.stages) else None,
        )

    def with_last_estimator(self, estimator: Any) -> FittedChain:
        """Return a chain whose last stage has another fitted estimator."""
        last = self.stages[-1]._replace(estimator=estimator)
        return replace(self, stages=[*self.stages[:-1], last])

    # -- in files

    def to_state(self) -> dict[str, Any]:
        """Return plain values, and the estimators of the stages."""
        history = self.refine_history
        return {
            **vars(self),
            "stages": [tuple(stage) for stage in self.stages],  # a file names no private class
            "labels": self.labels.to_state(),
            "frame_kinds": [kind_to_state(kind) for kind in self.frame_kinds],
            "passing": [passed and passed.to_state() for passed in self.passing],
            "refine_history": None if history is None else history.to_dict("list"),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> FittedChain:
        """Make a chain from the state of ``to_state``."""
        history = state["refine_history"]
        if history is not None:
            history = pd.DataFrame(history)
            history.index = pd.RangeIndex(1, len(history) + 1, name="epoch")
        restored = {
            "stages": [Stage(*stage) for stage in state["stages"]],
            "labels": ColumnLabels.from_state(state["labels"]),
            "frame_kinds": [kind_from_state(kind) for kind in state["frame_kinds"]],
            "passing": [passed and PassedOn.from_state(passed) for passed in state["passing"]],
            "refine_history": history,
        }
        return cls(**{**state, **restored})
