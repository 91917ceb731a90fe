"""Settings of the networks of a stack, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ._callbacks import BestEpoch, LearningRate
from ._job import TrainingJob
from ._schedules import BestEpochs, LearningRates


@dataclass
class StackedSettings:
    """Settings in which the networks of a stack may differ, each an array of shape (n_networks,).

    Parameters
    ----------
    first_epoch : ndarray of int
        Number of epochs before this fit.
    max_iter : ndarray of int
        Number of epochs of this fit at most.
    n_batches : ndarray of int
        Number of steps in an epoch.
    warm_up : ndarray of int
        Number of the epochs in which the weights of terms that warm up grow.
    learning_rate : ndarray of float64
        At the beginning.
    totals : dict of str to dict of str to ndarray
        For "train" and, where rows are held out, "valid": the total weight of the measured
        entries of each term.
    weights : dict of str to ndarray
        For each term, the factor of its mean in the loss.
    factors : dict of str to ndarray
        For each term, the factor of its sum over the training rows.
    penalties : dict of str to ndarray
        Strengths of "l1" and "l2".
    """

    first_epoch: np.ndarray
    max_iter: np.ndarray
    n_batches: np.ndarray
    warm_up: np.ndarray
    learning_rate: np.ndarray
    totals: dict[str, dict[str, np.ndarray]]
    weights: dict[str, np.ndarray]
    factors: dict[str, np.ndarray]
    penalties: dict[str, np.ndarray]

    @classmethod
    def of_jobs(cls, jobs: Sequence[TrainingJob], n_batches: Sequence[int]) -> StackedSettings:
        """Gather the settings of nets that can be stacked: they have the same terms."""
        objectives = [job.net.criterion_ for job in jobs]
        totals = {"train": [job.net.criterion_.totals(job.train) for job in jobs]}
        if jobs[0].valid is not None:  # all of a shape hold rows out, or none does
            totals["valid"] = [job.net.criterion_.totals(job.valid) for job in jobs]
        factors = [
            objective.factors(own)
            for objective, own in zip(objectives, totals["train"], strict=True)
        ]
        return cls(
            first_epoch=np.array([len(job.net.history) for job in jobs]),
            max_iter=np.array([job.max_iter for job in jobs]),
            n_batches=np.array(n_batches),
            warm_up=np.array([job.net.warm_up for job in jobs]),
            learning_rate=np.array([job.net.lr for job in jobs]),
            totals={
                kind: _side_by_side([one.entries for one in own]) for kind, own in totals.items()
            },
            weights=_side_by_side([objective.weights for objective in objectives]),
            factors=_side_by_side(factors),
            penalties=_side_by_side([{"l1": o.l1, "l2": o.alpha} for o in objectives]),
        )

    def take(self, networks: np.ndarray) -> StackedSettings:
        """Return the settings of some of the networks."""

        def taken(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: array[networks] for name, array in arrays.items()}

        return StackedSettings(
            first_epoch=self.first_epoch[networks],
            max_iter=self.max_iter[networks],
            n_batches=self.n_batches[networks],
            warm_up=self.warm_up[networks],
            learning_rate=self.learning_rate[networks],
            totals={kind: taken(totals) for kind, totals in self.totals.items()},
            weights=taken(self.weights),
            factors=taken(self.factors),
            penalties=taken(self.penalties),
        )


def _side_by_side(numbers: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Return numbers by name of each network as arrays by name of shape (n_networks,)."""
    return {name: np.array([own[name] for own in numbers], dtype=float) for name in numbers[0]}


def best_epochs_of(callbacks: Sequence[BestEpoch], warm_up: np.ndarray) -> BestEpochs:
    """Return the rules of early stopping of many networks as one."""
    patience = [math.inf if one.patience is None else one.patience for one in callbacks]
    return BestEpochs([one.tol for one in callbacks], patience, warm_up)


def learning_rates_of(
    callbacks: Sequence[LearningRate | None], warm_up: np.ndarray
) -> LearningRates:
    """Return the learning-rate schedules of many networks as one; None is a constant rate."""
    return LearningRates(
        ["constant" if one is None else one.schedule for one in callbacks],
        [1 if one is None else one.max_iter for one in callbacks],
        [0 if one is None else one.patience for one in callbacks],
        warm_up,
    )


def share_one_rate(settings: StackedSettings, callbacks: Sequence[LearningRate | None]) -> bool:
    """Return whether all networks have the same learning rate in every step."""
    schedules = {None if one is None else (one.schedule, one.max_iter) for one in callbacks}
    return bool(
        len(schedules) == 1
        and (settings.n_batches == settings.n_batches[0]).all()  # epochs end together
        and (settings.learning_rate == settings.learning_rate[0]).all()
        and not any(one is not None and one.schedule == "plateau" for one in callbacks)
    )
