"""End-to-end training of a chain of fitted autoencoders: every stage's losses, all at once.

In the sequential fit a stage takes the latents before it as data. Here they are computed anew in
each step, so that the losses of a stage reach the encoders of all stages before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNet
from torch import Tensor, nn

from .._layers._dense import RandomStream
from .._networks._batch import Batch, Subset
from .._networks._chain import Chain, LatentColumns
from .._tables._weights import scale_weights
from .._training._callbacks import BestEpoch, LearningRate, Progress
from .._training._net import AutoencoderNet
from .._training._objective import Objective, Totals
from .._training._state import history_to_frame
from ._base import BaseSupervisedAutoencoder
from ._fitted import FittedAutoencoder, fitted_part
from ._validation import check_divergence


class StageData(NamedTuple):
    """The training data of one stage.

    Parameters
    ----------
    tables : list of {DataFrame, ndarray}
        For the rows of this stage, the table of each stage up to and with this one; in the
        sequential fit, this stage's alone.
    y : array-like or None
    sample_weight : ndarray of shape (n_rows,) or None
    """

    tables: list[pd.DataFrame | np.ndarray]
    y: Any
    sample_weight: np.ndarray | None


class ChainRows(torch.utils.data.Dataset):
    """The rows of all stages.

    Parameters
    ----------
    parts : list of list of Batch
        For each stage, its rows as each stage up to it sees them.
    batch_sizes : list of int
        For each stage.
    """

    def __init__(self, parts: list[list[Batch]], batch_sizes: list[int]) -> None:
        self.parts = parts
        self.batch_sizes = batch_sizes

    def __len__(self) -> int:
        return max(len(parts[-1]) for parts in self.parts)


class ChainIterator:
    """Iterator over batches of all stages side by side; a stage with few rows begins anew.

    An epoch ends when the stage with the most batches has given all of them.

    Parameters
    ----------
    dataset : ChainRows
    generator : torch.Generator, optional
        Of the order; by default torch's own.
    """

    def __init__(self, dataset: ChainRows, generator: torch.Generator | None = None) -> None:
        self.dataset = dataset
        self.generator = generator

    def __len__(self) -> int:
        sizes = zip(self.dataset.parts, self.dataset.batch_sizes, strict=True)
        return max(math.ceil(len(parts[-1]) / size) for parts, size in sizes)

    def __iter__(self) -> Iterator[list[list[Batch]]]:
        orders = [
            torch.randperm(len(parts[-1]), generator=self.generator)
            for parts in self.dataset.parts
        ]
        sizes = self.dataset.batch_sizes
        batches = [order.split(n) for order, n in zip(orders, sizes, strict=True)]
        for step in range(len(self)):
            yield [
                [rows[index[step % len(index)].to(rows.device)] for rows in parts]
                for parts, index in zip(self.dataset.parts, batches, strict=True)
            ]


class ChainObjective(nn.Module):
    """The objectives of all stages, and their sum.

    The latents that a stage reconstructs are those of the step, without a gradient: a stage must
    not make its own task easier by giving the next one less to reconstruct.

    Parameters
    ----------
    names : list of str
    objectives : list of Objective
    is_frozen : list of bool
        Stages whose weights stay, and bring no penalty.
    """

    def __init__(
        self, names: list[str], objectives: list[Objective], is_frozen: list[bool]
    ) -> None:
        super().__init__()
        self.names = names
        self.objectives = objectives
        self.is_frozen = is_frozen

    def totals(self, dataset: ChainRows) -> ChainTotals:
        """Sum up the weights of all measured entries, stage by stage."""
        stages = [
            objective.totals(Subset(parts[-1]))
            for objective, parts in zip(self.objectives, dataset.parts, strict=True)
        ]
        return ChainTotals(len(dataset), stages)

    def factors(self, totals: ChainTotals) -> list[dict[str, float]]:
        """Return the factor of each term's sum, stage by stage."""
        return [
            objective.factors(stage)
            for objective, stage in zip(self.objectives, totals.stages, strict=True)
        ]

    def add_penalty_gradients(self, module: Chain) -> None:
        """Add the gradients of the penalties of all stages that learn."""
        for objective, stage, frozen in zip(
            self.objectives, module.stages, self.is_frozen, strict=True
        ):
            if not frozen:
                objective.add_penalty_gradients(stage)  # type: ignore[arg-type]

    def penalty_terms(self, module: Chain) -> dict[str, Tensor]:
        """Return the penalties of all stages that learn."""
        return {
            f"{name}__{term}": value
            for name, objective, stage, frozen in zip(
                self.names, self.objectives, module.stages, self.is_frozen, strict=True
            )
            if not frozen
            for term, value in objective.penalty_terms(stage).items()  # type: ignore[arg-type]
        }

    def epoch_terms(self, sums: Mapping[str, Tensor], totals: ChainTotals) -> dict[str, float]:
        """Return each stage's means and their weighted sum, and as ``loss`` the sum of all."""
        terms: dict[str, float] = {"loss": 0.0}
        for name, objective, stage in zip(self.names, self.objectives, totals.stages, strict=True):
            prefix = f"{name}__"
            own = {
                key.removeprefix(prefix): value
                for key, value in sums.items()
                if key.startswith(prefix)
            }
            share = stage.rows / own.pop("n_seen").item()  # of few rows, some come more than once
            means = objective.epoch_terms({key: v * share for key, v in own.items()}, stage)
            terms |= {prefix + key: value for key, value in means.items()}
            terms["loss"] += means["loss"]
        return terms


@dataclass
class ChainTotals:
    """Total weights of all stages."""

    rows: int
    stages: list[Totals]


class ChainNet(AutoencoderNet):
    """The net of all stages: the loop, callbacks and seeds of one stage's net."""

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> ChainNet:
        """Make skorch's optimizer, with a group of parameters for each stage."""
        # not one tensor for all parameters: each stage has a learning rate of its own
        self._tensors = list(self.module_.parameters())
        return NeuralNet.initialize_optimizer(self, triggered_directly)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return batches of all stages side by side."""
        return ChainIterator(dataset, self._order)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the objective of a batch of each stage, and the gradients."""
        objective = self.criterion_
        loss, sums = torch.zeros((), device=self.device), {}
        for k, (name, parts) in enumerate(zip(objective.names, batch, strict=True)):
            outputs, rows = self.module_(parts)
            # a stage must not make what it reconstructs easier: no gradient by way of the target
            rows = replace(rows, values={name: v.detach() for name, v in rows.values.items()})
            terms = objective.objectives[k].data_terms(outputs, rows)
            n_rows = self.totals_["train"].stages[k].rows
            for term, value in terms.items():
                # from the batch to all rows of the stage: however few they are, stages count alike
                loss = loss + value * (n_rows / len(rows) * self._factors[k][term])
                sums[f"{name}__{term}"] = value.detach()
            sums[f"{name}__n_seen"] = torch.tensor(float(len(rows)))
        loss.backward()
        objective.add_penalty_gradients(self.module_)
        return {"loss": loss, "y_pred": None, "terms": sums}


def refine(
    names: list[str],
    estimators: list[BaseSupervisedAutoencoder],
    is_frozen: list[bool],
    data: list[StageData],
    *,
    max_iter: int,
    seed: int,
    verbose: int,
) -> pd.DataFrame:
    """Train fitted stages on together, in place.

    Parameters
    ----------
    names : list of str
    estimators : list of BaseSupervisedAutoencoder
        Fitted one after the other.
    is_frozen : list of bool
        Stages whose parameters stay as they are.
    data : list of StageData
        The data that each stage was fitted on.
    max_iter : int
        Number of epochs. The learning rates begin at those of the stages, and fall to 0.
    seed : int
    verbose : int

    Returns
    -------
    DataFrame
        One row an epoch: ``train_loss``, the sum over stages, and each stage's terms, such as
        ``crystal__train_reconstruction``.

    Raises
    ------
    DivergenceError
        If the loss is not finite in the first epoch.
    """
    fitted = [fitted_part(estimator) for estimator in estimators]
    data = [
        own._replace(sample_weight=e._weigh_classes(own.tables[-1], own.y, own.sample_weight, t))
        for e, own, t in zip(estimators, data, [part.target for part in fitted], strict=True)
    ]
    device = fitted[0].device
    columns = [
        LatentColumns.of(later.table, earlier.n_components, device)
        for earlier, later in zip(fitted[:-1], fitted[1:], strict=True)
    ]
    chain = Chain([part.module for part in fitted], columns)
    dataset = ChainRows(
        [_stage_rows(estimators, own, device) for own in data],
        [part.net.batch_size for part in fitted],
    )
    net = ChainNet(
        chain,
        ChainObjective(names, [part.net.criterion_ for part in fitted], is_frozen),
        seed=seed,
        optimizer=torch.optim.Adam,
        optimizer__param_groups=[
            (f"stages.{k}.*", {"lr": e.learning_rate_init}) for k, e in enumerate(estimators)
        ],
        max_epochs=max_iter,
        callbacks=_callbacks(max_iter, verbose),
        device=device,
        verbose=0,
    )
    still = [part.module for part, frozen in zip(fitted, is_frozen, strict=True) if frozen]
    try:
        with without_gradients(still), shared_streams(chain):
            net.initialize()
            chain.train()  # with the dropout and the noise of each stage that learns
            for module in still:
                module.eval()
            net.train(dataset, None, max_iter)  # type: ignore[arg-type]
    finally:
        chain.eval()
    remedy = "Lower learning_rate_init of the stages, or leave refine_iter at 0."
    check_divergence(net, "In refinement, the loss", remedy)
    for stage, parts, frozen, own in zip(fitted, dataset.parts, is_frozen, data, strict=True):
        if not frozen:
            _learn_latents(stage, chain, parts, own.sample_weight)
    history = history_to_frame(net.history)
    return history.rename(columns=lambda column: _own_name(column, names))


def _callbacks(max_iter: int, verbose: int) -> list[tuple[str, Any]]:
    """Return the callbacks of the net: the epoch of the lowest loss is kept."""
    callbacks: list[tuple[str, Any]] = [
        ("_best_epoch", BestEpoch("train_loss", 0.0, None)),
        ("_learning_rate", LearningRate("cosine", max_iter, "train_loss", 1)),
    ]
    if verbose:
        callbacks.append(("_progress", Progress(max_iter, "refinement")))
    return callbacks


@contextmanager
def shared_streams(chain: Chain) -> Iterator[None]:
    """Draw new noise in each call of an encoder that several stages call in one step."""
    streams = [part for part in chain.modules() if isinstance(part, RandomStream)]
    before = [stream.is_shared for stream in streams]
    for stream in streams:
        stream.is_shared = True
    try:
        yield
    finally:
        for stream, is_shared in zip(streams, before, strict=True):
            stream.is_shared = is_shared


@contextmanager
def without_gradients(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Keep the parameters of some modules fixed while others are trained.

    Gradients still flow through these modules. Parameters that had none before have none after.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def _learn_latents(
    fitted: FittedAutoencoder,
    chain: Chain,
    parts: list[Batch],
    sample_weight: np.ndarray | None,
) -> None:
    """Compute a stage's latents and errors anew, with the present latents of the stage before."""
    with torch.no_grad():
        *_, rows = chain.iter_rows(parts)
        power = 0 if sample_weight is None else scale_weights(sample_weight)[1]
        fitted.learn_latents(Subset(rows), power)


def _stage_rows(
    estimators: list[BaseSupervisedAutoencoder], data: StageData, device: torch.device
) -> list[Batch]:
    """Encode the rows of one stage as each stage up to it sees them, the last with its target."""
    parts = []
    for k, (estimator, table) in enumerate(zip(estimators, data.tables, strict=False)):
        is_own = k == len(data.tables) - 1
        fitted, target = fitted_part(estimator), None
        if is_own and fitted.target is not None:
            target = fitted.target.encode(fitted.target.read(data.y, needs_label=False))
        weight = data.sample_weight if is_own else None
        if weight is not None:
            weight, _ = scale_weights(weight)
        checked = estimator._check_X(table, reset=False)
        parts.append(Batch.from_arrays(fitted.encode(checked), target, weight, device))
    return parts


def _own_name(column: str, names: list[str]) -> str:
    """Put a stage's name before the kind of rows: ``train_a__loss`` becomes ``a__train_loss``."""
    for name in names:
        if column.startswith(f"train_{name}__"):
            return f"{name}__train_{column.removeprefix(f'train_{name}__')}"
    return column
