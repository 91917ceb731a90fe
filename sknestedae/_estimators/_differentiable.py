"""A fitted autoencoder, or a chain of them, as differentiable functions of encoded tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._networks._batch import Batch
from .._networks._chain import Chain, LatentColumns
from ._fitted import fitted_part
from ._nested import NestedAutoencoder
from ._unwrap import autoencoder_of, innermost, unfrozen


class StageOutputs(NamedTuple):
    """What one stage makes of rows.

    ``latents`` is of shape (n_samples, n_components); ``prediction``, in scaled units, of shape
    (n_samples, n_outputs), or None where the stage has no target.
    """

    latents: Tensor
    prediction: Tensor | None


class DifferentiableChain:
    """The stages of a fitted estimator, up and down, with gradients.

    Parameters
    ----------
    estimator : estimator
        Fitted supervised autoencoder or chain of such; also in a frozen estimator or a search.
    caller : str
        What is to be named where the estimator is of another kind.

    Attributes
    ----------
    names : list of str
        Of the stages; of a single autoencoder ``[""]``.
    estimators : list of BaseSupervisedAutoencoder
    fitted : list of FittedAutoencoder
        What is behind them.
    columns : list of list of int
        Positions in X of each stage's own columns.
    """

    def __init__(self, estimator: Any, caller: str = "This") -> None:
        estimator = unfrozen(innermost(estimator, steps=False))
        check_is_fitted(estimator)
        self.estimator = estimator
        stages: list[Any] = getattr(estimator, "stages_", None) or [("", estimator, None)]
        self.names = [name for name, _, _ in stages]
        self.estimators = [autoencoder_of(stage, caller, name) for name, stage, _ in stages]
        first = self.estimators[0]
        self.columns = [
            list(range(first.n_features_in_)) if own is None else list(own) for _, _, own in stages
        ]
        self.fitted = [fitted_part(stage) for stage in self.estimators]
        pairs = zip(self.fitted[:-1], self.fitted[1:], strict=True)
        device = self.fitted[0].device
        self.chain = Chain(
            [stage.module for stage in self.fitted],
            [
                LatentColumns.of(later.table, earlier.n_components, device)
                for earlier, later in pairs
            ],
        )

    def __len__(self) -> int:
        return len(self.estimators)

    def encode(self, X: Any) -> list[Batch]:
        """Give the values of a table as each stage sees them, the latents before included."""
        if isinstance(self.estimator, NestedAutoencoder):
            tables = [table for _, table in self.estimator._walk(self.check(X))]
        else:
            tables = [X]
        return [
            fitted.batch(stage._check_X(table, reset=False))
            for stage, fitted, table in zip(self.estimators, self.fitted, tables, strict=True)
        ]

    def check(self, X: Any) -> Any:
        """Bring a table to the columns of ``fit``."""
        return self.estimator._check_X(X, reset=False)

    def forward(self, parts: Sequence[Batch]) -> list[StageOutputs]:
        """Send values up the chain; latents of the stage before are computed anew.

        Parameters
        ----------
        parts : sequence of Batch
            What each stage sees, up to any stage. What stands where latents belong is replaced,
            so that no gradient flows there.
        """
        readings = []
        for module, values in zip(self.chain.stages, self.chain.walk(parts), strict=False):
            latents = module.encode(values)  # type: ignore[operator]
            readings.append(StageOutputs(latents, module.predict(latents)))  # type: ignore[operator]
        return readings

    def decode(self, latents: Tensor) -> list[dict[str, Tensor]]:
        """Send latents of the last stage down the chain; give each stage's decoded values.

        Each stage's are of its own dtype, which need not be that of the stage after it.
        """
        decoded: list[dict[str, Tensor]] = []
        for k in reversed(range(len(self))):
            values = self.chain.stages[k].decode(latents)  # type: ignore[operator]
            decoded.insert(0, values)
            if k:
                before = next(self.chain.stages[k - 1].parameters())
                latents = self.chain.latent_columns[k - 1].get(values).to(before)
        return decoded

    def columns_of_values(self, k: int) -> dict[str, np.ndarray]:
        """Tell which column of X each value of a stage's blocks belongs to; -1 of latents.

        Returns
        -------
        dict of str to ndarray of int, shape (layout.n_values,)
        """
        table, own = self.fitted[k].table, self.columns[k]
        position = np.full(table.n_features, -1)
        position[: len(own)] = own
        return {
            name: table.layouts[name].spread(position[[*numeric, *categorical]])
            for name, (numeric, categorical) in table.columns.items()
        }
