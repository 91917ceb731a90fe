"""A fitted autoencoder, or a chain of them, as differentiable functions of encoded tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._gaussian_process._differentiable import ProcessStd
from .._networks._batch import Batch
from .._networks._chain import Chain, LatentColumns
from .._tables._input import to_pandas
from .._tables._labels import ColumnLabels
from .._tables._scales import is_scale_list
from .._tables._target import ClassTarget, NumericTarget
from ._fitted import fitted_part
from ._head import DenseValues, HeadMean
from ._nested import NestedAutoencoder
from ._unwrap import autoencoder_of, innermost, unfrozen


class StageOutputs(NamedTuple):
    """The latents and the prediction of one stage.

    Attributes
    ----------
    latents : Tensor of shape (n_samples, n_components)
    prediction : Tensor of shape (n_samples, n_outputs) or None
        In scaled units; None where the stage has no target.
    inputs : Tensor of float64, shape (n_samples, n_inputs) or None
        Of the Gaussian process that predicts; None where the network does.
    """

    latents: Tensor
    prediction: Tensor | None
    inputs: Tensor | None = None


class DifferentiableChain:
    """The stages of a fitted estimator, up and down, with gradients.

    A single autoencoder is a chain of one stage. Of an ensemble, the first member, whose latents
    ``transform`` gives; ``members`` has the others.

    Parameters
    ----------
    estimator : estimator
        Fitted supervised autoencoder or chain of such; also in a frozen estimator or a search.
    caller : str
        The function that the message names where the estimator is of another kind.

    Attributes
    ----------
    estimator : BaseSupervisedAutoencoder or NestedAutoencoder
        Taken out of its search or frozen estimator.
    names : list of str
        Of the stages; for a single autoencoder ``[""]``.
    estimators : list of BaseSupervisedAutoencoder
    stages : list of FittedAutoencoder
    columns : list of list of int
        Positions in X of each stage's own columns.
    network : Chain
        The modules of all stages.
    """

    def __init__(self, estimator: Any, caller: str = "This") -> None:
        estimator = unfrozen(innermost(estimator, steps=False))
        check_is_fitted(estimator)
        self.estimator = estimator
        self.caller = caller
        stages: list[Any] = getattr(estimator, "stages_", None) or [("", estimator, None)]
        self.names = [name for name, _, _ in stages]
        self.estimators = [autoencoder_of(stage, caller, name) for name, stage, _ in stages]
        self.stages = [fitted_part(stage) for stage in self.estimators]
        first = self.estimators[0]
        self.columns = [
            list(range(first.n_features_in_)) if own is None else list(own) for _, _, own in stages
        ]
        is_chain = isinstance(estimator, NestedAutoencoder)
        self._passing = estimator._fitted.passing if is_chain else [None]
        self.heads = [self._make_head(k) for k in range(len(self.stages))]
        self._stds: dict[tuple[int, int], ProcessStd] = {}  # made where they are asked for
        self._dense = [self._find_dense(k) for k in range(len(self.stages))]
        # latents pass from one network to the next without arrays between: on one device
        device = self.stages[0].device
        self.network = Chain(
            [stage.module for stage in self.stages],
            [
                LatentColumns.of(later.table, earlier.n_components, device)
                for earlier, later in zip(self.stages[:-1], self.stages[1:], strict=True)
            ],
        )

    def __len__(self) -> int:
        return len(self.stages)

    def _make_head(self, k: int) -> HeadMean | None:
        """Return the Gaussian process that predicts in place of a stage's network, if any does."""
        head, target = self.stages[k].head, self.stages[k].target
        # frozen, a stage may have been passed what this chain does not pass on
        if head is None or bool(head.n_passed) != (self._passing[k] is not None):
            return None
        assert isinstance(target, NumericTarget)
        return HeadMean(head, target.scaled_bounds()).to(self.stages[k].device)

    def _find_dense(self, k: int) -> list[tuple[int, DenseValues]]:
        """Return the positions of the columns that a head takes: stage by stage, its own first."""
        if self.heads[k] is None:
            return []
        passed = self._passing[k]
        earlier = {} if passed is None else passed.columns
        return [
            (k, self.stages[k].dense),
            *((j, DenseValues.of(self.stages[j].table, own)) for j, own in earlier.items()),
        ]

    # -- parts of it

    def up_to(self, k: int) -> DifferentiableChain:
        """Return the chain that ends in a stage."""
        return DifferentiableChain(self.estimator[: k + 1], self.caller)

    def members(self) -> list[DifferentiableChain]:
        """Return the chains of an ensemble's members; of no ensemble, one chain alone."""
        return [DifferentiableChain(member, self.caller) for member in self.estimator.members_]

    def members_of_stage(self, k: int) -> list[DifferentiableChain]:
        """Return chains that end in each member of a stage which is an ensemble itself.

        The latents that it is given are those of the first members, whichever member is the last.
        A single autoencoder, which is no stage, has its members in ``members``.

        Returns
        -------
        list of n_members DifferentiableChain
        """
        if not isinstance(self.estimator, NestedAutoencoder):
            return [self]
        part = self.estimator[: k + 1]
        return [
            DifferentiableChain(part._with_last_estimator(member), self.caller)
            for member in self.estimators[k].members_
        ]

    # -- tables

    @property
    def has_labels(self) -> bool:
        """Whether the columns that were fitted have labels, as those of a DataFrame."""
        return self.column_labels.is_frame

    def labels(self) -> pd.Index:
        """Return the labels of the columns that were fitted; for an array, the positions."""
        return self.column_labels.index()

    @property
    def column_labels(self) -> ColumnLabels:
        """The labels of the columns that were fitted, as one object."""
        if isinstance(self.estimator, NestedAutoencoder):
            return self.estimator._fitted.labels
        return self.stages[0].table.column_labels

    def check(self, X: Any) -> pd.DataFrame | np.ndarray:
        """Bring a table to the columns of ``fit``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        """
        if isinstance(self.estimator, NestedAutoencoder):
            return self.estimator._read(X).X
        return self.estimator._check_X(X, reset=False)

    def stack(self, X_list: list[Any]) -> pd.DataFrame:
        """Join a list of tables, one for each scale, to one table."""
        return self.estimator._fitted.table_list.stack(X_list).X

    def known_rows(self, X: Any) -> tuple[pd.DataFrame | np.ndarray, np.ndarray]:
        """Return the rows of the last scale without missing values, and their index.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            A list only for a chain.

        Returns
        -------
        rows : DataFrame or ndarray of shape (n_rows, n_features)
            Completed.
        index : ndarray of shape (n_rows,)
            Their labels; for an array, their positions in X.

        Raises
        ------
        ValueError
            If there are none.
        """
        X = to_pandas(X)
        if is_scale_list(X) and isinstance(self.estimator, NestedAutoencoder):
            X = self.stack(X)
        # a DataFrame has its labels, also where the estimator was fitted to an array
        labels = X.index.to_numpy() if isinstance(X, pd.DataFrame) else None
        if not isinstance(self.estimator, NestedAutoencoder):
            completed = self.estimator.complete(self.check(X))
            return completed, np.arange(len(completed)) if labels is None else labels
        table = self.estimator._read(X)
        # a stage without columns of its own, or with those of another, has the rows of that
        with_columns = [k for k, own in enumerate(self.columns) if own]
        rows = np.flatnonzero(table.last >= with_columns[-1])
        if not len(rows):
            raise ValueError(
                f"X has no row with a measured column of the last stage, {self.names[-1]!r}, "
                f"among its {len(table)} rows."
            )
        index = rows if labels is None else labels[rows]
        return self.estimator.complete(table.take(rows).X), index

    def block_names(self) -> dict[tuple[int, str], str]:
        """Name each block of each stage: by its own name, behind the stage's if it is not unique.

        Returns
        -------
        dict of (int, str) to str
            By position of the stage and name of the block: ``"image"``, or ``"device__image"``
            where another stage has a block of that name.
        """
        blocks = [(k, name) for k, stage in enumerate(self.stages) for name in stage.layouts]
        counts = Counter(name for _, name in blocks)
        return {
            (k, name): name if counts[name] == 1 else f"{self.names[k]}__{name}"
            for k, name in blocks
        }

    def columns_of_entries(self, k: int) -> dict[str, np.ndarray]:
        """Return which column of X each entry of a stage's blocks belongs to; -1 for latents.

        Returns
        -------
        dict of str to ndarray of int, shape (layout.n_columns,)
            Of a cell that holds an array, the same for all of its entries.
        """
        table, own = self.stages[k].table, self.columns[k]
        position = np.full(table.n_features, -1)
        position[: len(own)] = own  # the latents before are a stage's last columns
        return {name: position[codec.entry_columns] for name, codec in table.codecs.items()}

    def columns_of_values(self, k: int) -> dict[str, np.ndarray]:
        """Return which column of X each value of a stage's blocks belongs to; -1 for latents.

        Returns
        -------
        dict of str to ndarray of int, shape (layout.n_values,)
        """
        layouts = self.stages[k].layouts
        return {
            name: layouts[name].spread(own) for name, own in self.columns_of_entries(k).items()
        }

    # -- up and down the chain

    def encode(self, X: Any) -> list[Batch]:
        """Return the values of a table as each stage sees them, the latents before included."""
        if isinstance(self.estimator, NestedAutoencoder):
            table = self.estimator._read(X)
            tables = [own for _, own in self.estimator._fitted.iter_stages(table)]
        else:
            tables = [X]
        return [
            stage.batch(estimator._check_X(table, reset=False))
            for stage, estimator, table in zip(self.stages, self.estimators, tables, strict=True)
        ]

    def forward(self, parts: Sequence[Batch]) -> list[StageOutputs]:
        """Send values up the chain; latents of the stage before are computed anew.

        Measured values of known materials are not used: they would be jumps at single points.

        Parameters
        ----------
        parts : sequence of Batch
            The values that each stage sees, up to any stage. Those where latents belong are
            replaced, so that no gradient reaches them.

        Returns
        -------
        list of StageOutputs
            One a stage.
        """
        outputs: list[StageOutputs] = []
        given: list[Batch] = []
        for k, rows in enumerate(self.network.iter_rows(parts)):
            given.append(rows)
            module = self.stages[k].module
            latents, prediction = module.encode_and_predict(rows)
            head, inputs = self.heads[k], None
            if head is not None:
                inputs = self._head_inputs(k, given, outputs).to(head.centre.device)
                prediction = head(inputs).to(latents)
            outputs.append(StageOutputs(latents, prediction, inputs))
        return outputs

    def _head_inputs(self, k: int, given: list[Batch], outputs: list[StageOutputs]) -> Tensor:
        """Return the inputs of a stage's Gaussian process, in double precision."""
        inputs = [
            values
            for j, dense in self._dense[k]
            for values in dense.gather_tensors(given[j].values)
        ]
        passed = self._passing[k]
        if passed is not None and passed.source is not None:
            inputs.append(self._in_units(passed.source, outputs[passed.source].prediction))
        return torch.cat([own.cpu() for own in inputs], dim=1)

    def std(self, k: int, output: int, outputs: Sequence[StageOutputs]) -> Tensor | None:
        """Return the standard deviation of the function that predicts an output of a stage.

        The noise of a measurement is not in it. The uncertainty of a passed prediction is, as far
        as the mean depends on it.

        Parameters
        ----------
        k, output : int
            Stage, and position among its outputs.
        outputs : sequence of StageOutputs
            As ``forward`` gives them.

        Returns
        -------
        Tensor of float64, shape (n_samples,), or None
            In scaled units; None where no Gaussian process predicts.
        """
        inputs, mean, head = outputs[k].inputs, self.heads[k], self.stages[k].head
        if inputs is None or mean is None or head is None:
            return None
        if (k, output) not in self._stds:
            process = head.processes[output]
            self._stds[k, output] = ProcessStd(process).to(mean.centre.device)
        variance = self._stds[k, output]((inputs - mean.centre) / mean.scale) ** 2
        passed = self._passing[k]
        source = None if passed is None else passed.source
        if source is None or self.heads[source] is None:
            return variance.sqrt()
        _, scale = self._numeric_target(source).affine()
        for i, unit in enumerate(scale.tolist()):
            of_source = self.std(source, i, outputs)
            assert of_source is not None
            shift = torch.zeros_like(inputs)
            shift[:, inputs.shape[1] - len(scale) + i] = of_source * unit
            apart = mean(inputs + shift)[:, output] - mean(inputs - shift)[:, output]
            variance = variance + (apart / 2) ** 2
        return variance.sqrt()

    def covariance(
        self, k: int, output: int, inputs: np.ndarray, others: np.ndarray
    ) -> np.ndarray:
        """Return the covariance of a stage's function between inputs of its Gaussian process.

        Without the uncertainty of passed predictions.

        Parameters
        ----------
        k, output : int
            Stage, and position among its outputs.
        inputs, others : ndarray of shape (n_samples, n_inputs) and (n_others, n_inputs)
            As in ``StageOutputs``.

        Returns
        -------
        ndarray of shape (n_samples, n_others)
            In scaled units.
        """
        head = self.stages[k].head
        assert head is not None
        scaled = ((own - head.centre) / head.scale for own in (inputs, others))
        return head.processes[output].covariance(*scaled)

    def noise_variance(self, k: int, output: int) -> float:
        """Return the variance of a measurement about a stage's function, in scaled units."""
        head = self.stages[k].head
        return 0.0 if head is None else head.processes[output].noise_variance

    def _numeric_target(self, k: int) -> NumericTarget:
        target = self.stages[k].target
        assert isinstance(target, NumericTarget)
        return target

    def _in_units(self, k: int, prediction: Tensor | None) -> Tensor:
        """Return a stage's prediction as it is passed on: in the units of y, or probabilities."""
        target = self.stages[k].target
        assert prediction is not None
        prediction = prediction.double()
        if isinstance(target, ClassTarget):
            return torch.softmax(prediction, dim=1)
        assert isinstance(target, NumericTarget)
        mean, scale = (torch.as_tensor(part).to(prediction) for part in target.affine())
        return prediction * scale + mean

    def decode(self, latents: Tensor) -> list[dict[str, Tensor]]:
        """Send latents of the last stage down the chain.

        Parameters
        ----------
        latents : Tensor of shape (n_samples, n_components)

        Returns
        -------
        list of dict of str to Tensor of shape (n_samples, layout.n_values)
            Each stage's decoded values by block, in the stage's own dtype, which need not be that
            of the stage after it.
        """
        decoded: list[dict[str, Tensor]] = []
        for k in reversed(range(len(self))):
            values = self.stages[k].module.decode(latents)
            decoded.insert(0, values)
            if k:
                # among what a stage decodes are the latents of the stage before
                before = next(self.stages[k - 1].module.parameters())
                latents = self.network.latent_columns[k - 1].get(values).to(before)
        return decoded
