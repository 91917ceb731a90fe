"""The search in the latents: decode, keep the constraints, encode again, predict."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from .._estimators._differentiable import DifferentiableChain, StageOutputs
from ._candidate_chain import CandidateChain, MemberPrediction, Moments
from ._candidates import Candidates
from ._constraints import Constraints
from ._library import Library
from ._objectives import DesignObjective

# Number of candidates in the pool; number of steps along the gradient, and their size in standard
# deviations of the latents.
_N_POOL = 2000
_N_STEPS = 200
_STEP = 0.05
# Spread of latents that are drawn around known rows, in standard deviations of the latents.
_JITTER = 0.3
# How often the best are varied by single categories and rows of the library, of which at most so
# many are tried on each.
_N_ROUNDS = 2
_N_ROWS = 500
# Where candidates have nothing else than rows of libraries, so many combinations are all tried;
# of one library all rows, however many.
_N_COMBINATIONS = 10_000
# How many values of arrays pass through the networks at once, which bounds the memory.
_CHUNK_VALUES = 2**18
# The domain ends where this fraction of the known rows lies nearer to the mean.
_DOMAIN = 0.95


class SearchProblem:
    """Candidates as latents of the last stage of the first member.

    The search goes through latents, but each loss is that of a row: latents are decoded to the
    columns of all scales, these are brought into the constraints, encoded again and predicted. A
    candidate's latents are thus those of its row, which need not be those of the search.

    Parameters
    ----------
    chains : list of DifferentiableChain
        Of each member of an ensemble, or of the one estimator.
    constraints : Constraints
    objectives : list of DesignObjective
    known : Candidates
        Known rows.
    domain_weight : float
        Weight of the penalty for leaving the domain of the known rows.

    Attributes
    ----------
    latents_of_known : Tensor of float64, shape (n_known, n_components)
        Of the last stage.
    factor : Tensor of float64, shape (n_components, n_components)
        Cholesky factor of the last latents' covariance: it brings standard deviations to latents.
    """

    def __init__(
        self,
        chains: list[DifferentiableChain],
        constraints: Constraints,
        objectives: list[DesignObjective],
        known: Candidates,
        domain_weight: float,
    ) -> None:
        self.constraints = constraints
        self.columns = constraints.columns
        self.objectives = objectives
        self.domain_weight = domain_weight
        libraries = constraints.libraries
        self.chains = [CandidateChain(chain, self.columns, libraries) for chain in chains]
        # For each of the chains, and each stage with an objective: chains that end in the other
        # members of that stage. Most often there are none, as a stage is no ensemble.
        self.other_members = [
            {
                k: [
                    CandidateChain(other, self.columns, libraries)
                    for other in chain.members_of_stage(k)[1:]
                ]
                for k in {objective.stage for objective in objectives}
            }
            for chain in chains
        ]
        models = [stage.observation_model() for stage in chains[0].stages]
        self.bounds = models[-1].bounds
        self.means = [model.mean for model in models]
        self.precisions = [torch.linalg.inv(model.covariance) for model in models]
        self.factor = torch.linalg.cholesky(models[-1].covariance)
        with torch.no_grad():
            parts = [self.latents(known.take(chunk)) for chunk in self._chunks(known.n_rows)]
            latents = [torch.cat(of_stage) for of_stage in zip(*parts, strict=True)]
            self.latents_of_known = latents[-1]
            self.limits = [
                torch.quantile(self._distance(k, z), _DOMAIN).clamp(min=1e-12)
                for k, z in enumerate(latents)
            ]

    @property
    def values_of_libraries(self) -> dict[str, Tensor]:
        """Values of the blocks of arrays that are taken from libraries, of each of their rows."""
        return {
            name: own
            for library in self.constraints.libraries
            for name, own in library.values.items()
        }

    def _chunks(self, n_rows: int) -> list[slice]:
        """Divide rows into parts that pass through the networks at once."""
        n_values = sum(own.n_entries for own in self.columns.arrays.values())
        n_at_once = max(_CHUNK_VALUES // n_values, 1) if n_values else max(n_rows, 1)
        return list(gen_batches(n_rows, n_at_once)) or [slice(0, 0)]

    # -- from latents to a loss

    def decode(self, latents: Tensor, decided: Candidates | None = None) -> Candidates:
        """Decode latents, and bring the columns into the constraints.

        Parameters
        ----------
        latents : Tensor of shape (n_candidates, n_components)
        decided : Candidates, optional
            Whose categories and rows of the library are decided already.
        """
        numbers, logits, arrays = self.chains[0].decode(latents)
        numbers = self.constraints.project(numbers)
        arrays = {name: self.columns.arrays[name].clamp(own) for name, own in arrays.items()}
        if decided is not None:
            pinned = torch.tensor(self.constraints.pinned, dtype=torch.long)
            numbers = numbers.index_copy(1, pinned, decided.numbers[:, pinned])
            arrays = {name: own for name, own in arrays.items() if name not in decided.rows}
            return Candidates(numbers, decided.shares, arrays, decided.rows)
        # probabilities, with which a gradient leads from one category to another; the estimator
        # itself only knows one category a row, so that they are decided before the second descent
        shares = {
            j: torch.softmax(self.constraints.logits(j, values), dim=1)
            for j, values in logits.items()
        }
        candidates = Candidates(numbers, shares, arrays)
        for library in self.constraints.libraries:
            if len(library) == 1:  # such as an array that is fixed: there is nothing to decide
                candidates = library.place(candidates, torch.zeros(len(latents)).long())
        return candidates

    def decide(self, candidates: Candidates) -> Candidates:
        """Choose the most probable categories, whole numbers, and rows of the library."""
        whole = torch.from_numpy(self.columns.is_integer[self.columns.numeric])
        numbers = torch.where(whole, candidates.numbers.round(), candidates.numbers)
        shares = {
            j: torch.nn.functional.one_hot(p.argmax(dim=1), p.shape[1]).double()
            for j, p in candidates.shares.items()
        }
        snapped = self.constraints.snap(candidates._replace(numbers=numbers, shares=shares))
        arrays = {name: self._rounded(name, own) for name, own in snapped.arrays.items()}
        return snapped._replace(arrays=arrays)

    def _rounded(self, name: str, values: Tensor) -> Tensor:
        """Round the values of arrays as a table does."""
        own = self.columns.arrays[name]
        if not own.is_rounded:
            return values
        return torch.from_numpy(own.encode(own.decode(values.numpy())).values)

    @torch.no_grad()
    def decide_all(self, latents: Tensor, decided: Candidates | None = None) -> Candidates:
        """Decode and decide any number of latents, some at a time; without gradients."""
        chunks = self._chunks(len(latents))
        found = [
            self.decide(self.decode(latents[c], None if decided is None else decided.take(c)))
            for c in chunks
        ]
        return found[0].joined(*found[1:])

    def latents(self, candidates: Candidates) -> list[Tensor]:
        """Return the first member's latents of each stage."""
        return self.chains[0].latents(candidates)

    def predict(
        self, candidates: Candidates, outputs: list[StageOutputs] | None = None
    ) -> list[Tensor]:
        """Return the members' mean prediction for each objective, of shape (n_candidates,).

        Members are those of an ensemble of chains, and those of a stage that is an ensemble.

        Parameters
        ----------
        candidates : Candidates
        outputs : list of StageOutputs, optional
            Of the first chain, where they are known.
        """
        return [moments.mean for moments in self.moments(candidates, outputs)]

    def moments(
        self, candidates: Candidates, outputs: list[StageOutputs] | None = None
    ) -> list[Moments]:
        """Return mean and standard deviation of the prediction for each objective.

        Parameters
        ----------
        candidates : Candidates
        outputs : list of StageOutputs, optional
            Of the first chain, where they are known.

        Returns
        -------
        list of Moments
        """
        given = [outputs, *[None] * (len(self.chains) - 1)]
        found = [self._members(i, candidates, own) for i, own in enumerate(given)]
        return [
            Moments.of_members([member for of_chain in found for member in of_chain[i]])
            for i in range(len(self.objectives))
        ]

    @torch.no_grad()
    def moments_of_all(self, candidates: Candidates) -> list[Moments]:
        """Return the moments of any number of candidates, some at a time; without gradients."""
        parts = [self.moments(candidates.take(chunk)) for chunk in self._chunks(candidates.n_rows)]
        return [Moments.joined(list(own)) for own in zip(*parts, strict=True)]

    def _members(
        self, i: int, candidates: Candidates, outputs: list[StageOutputs] | None
    ) -> list[list[MemberPrediction]]:
        """Return the predictions of one chain for each objective, one of each member.

        Where a stage is an ensemble, its prediction is the mean over its members; but the latents
        that it is given, as those that it passes on, are the first members'.
        """
        chain = self.chains[i]
        outputs = chain.forward(candidates) if outputs is None else outputs
        others = {
            k: [(other, other.forward(candidates)) for other in members]
            for k, members in self.other_members[i].items()
        }
        return [
            [
                own.member_prediction(objective, of_stages)
                for own, of_stages in [(chain, outputs), *others[objective.stage]]
            ]
            for objective in self.objectives
        ]

    def covariance(self, i: int, moments: Moments, row: int) -> tuple[np.ndarray, float]:
        """Return the covariance of the prediction for an objective between candidates and one.

        Parameters
        ----------
        i : int
            Position of the objective.
        moments : Moments
            Of all candidates, for that objective.
        row : int
            Position of the one among the candidates.

        Returns
        -------
        covariance : ndarray of shape (n_candidates,)
            In squared units of y: that between members' means, and the mean of the members' own.
        noise : float
            Variance of a measurement, as far as the members know one.
        """
        objective = self.objectives[i]
        means = torch.stack([member.mean for member in moments.members]).numpy()
        apart = means - means.mean(axis=0)
        covariance = apart.T @ apart[:, row] / max(len(means) - 1, 1)
        chains = [
            own
            for chain, others in zip(self.chains, self.other_members, strict=True)
            for own in [chain, *others[objective.stage]]
        ]
        noise = 0.0
        for chain, member in zip(chains, moments.members, strict=True):
            if member.std is not None:
                of_member, of_noise = chain.covariance(objective, member, row)
                covariance += of_member / len(means)
                noise += of_noise / len(means)
        return covariance, noise

    def knows_std(self, objective: DesignObjective) -> bool:
        """Return whether there is a standard deviation of the predictions for an objective."""
        has_members = len(self.chains) > 1 or self.other_members[0][objective.stage]
        return bool(has_members) or self.chains[0].has_process(objective)

    def loss(self, candidates: Candidates) -> Tensor:
        """Sum the objectives' losses and the penalty for leaving the domain, of shape (n_rows,).

        The penalty of a stage is the fraction by which a squared Mahalanobis distance of its
        latents is above the limit.
        """
        total = torch.zeros(candidates.n_rows, dtype=torch.float64)
        outputs = self.chains[0].forward(candidates)
        found = self.moments(candidates, outputs)
        for objective, moments in zip(self.objectives, found, strict=True):
            total = total + objective.loss(moments.mean, moments.std)
        if self.domain_weight:
            for k, of_stage in enumerate(outputs):
                distance = self._distance(k, of_stage.latents.cpu().double())
                beyond = (distance / self.limits[k] - 1).clamp(min=0)
                total = total + self.domain_weight * beyond
        return total

    @torch.no_grad()
    def loss_of_all(self, candidates: Candidates) -> Tensor:
        """Return the loss of any number of candidates, some at a time; without gradients."""
        parts = [self.loss(candidates.take(chunk)) for chunk in self._chunks(candidates.n_rows)]
        return torch.cat(parts)

    def _distance(self, k: int, latents: Tensor) -> Tensor:
        """Return squared Mahalanobis distances of a stage's latents, of shape (n_candidates,)."""
        step = latents - self.means[k]
        return ((step @ self.precisions[k]) * step).sum(dim=1)

    # -- the search

    def search(self, n_starts: int, rng: np.random.RandomState) -> tuple[Candidates, Tensor]:
        """Search over a pool, then along the gradient from its best and from others.

        Last, the best are varied where no gradient leads.

        Parameters
        ----------
        n_starts : int
            Half of them the best of the pool, the others drawn from the rest of it.
        rng : RandomState

        Returns
        -------
        candidates : Candidates
            With decided categories; those of the pool too, which the gradient did not start from.
        losses : Tensor of shape (n_candidates,)
        """
        n_combinations = prod(map(len, self.constraints.libraries))
        is_one = sum(len(library) > 1 for library in self.constraints.libraries) == 1
        if not self.constraints.leaves_some_free and (is_one or n_combinations <= _N_COMBINATIONS):
            return self.try_all()
        pool = self.pool(rng)
        of_pool = self.decide_all(pool)
        losses = self.loss_of_all(of_pool)
        order = np.argsort(losses.numpy(), kind="stable")
        n_best = n_starts // 2
        # the best may all lie in one valley, so that the others begin anywhere
        others = rng.permutation(order[n_best:])[: n_starts - n_best]
        chosen = np.concatenate([order[:n_best], others])
        found, decided = pool[chosen], of_pool.take(chosen)
        # first with shares of categories, then with the categories and whole rows decided: the
        # numbers are to be the best for these, and not for a mixture of them. Arrays cost more
        # than all else, and a descent with arrays that no library has is of little use.
        if not self.columns.arrays:
            found = self._descend_all(found)
            decided = self.decide_all(found)
        found = self._descend_all(found, decided)
        ends = self.decide_all(found, decided)
        every, losses = ends.joined(of_pool), torch.cat([self.loss_of_all(ends), losses])
        for _ in range(_N_ROUNDS):
            varied = self.vary(every.take(_best(every, losses, n_starts // 4)), rng)
            every, losses = every.joined(varied), torch.cat([losses, self.loss_of_all(varied)])
        return every, losses

    def try_all(self) -> tuple[Candidates, Tensor]:
        """Try each combination of rows of the libraries, if no other column is free."""
        candidates = self.decide_all(self.latents_of_known[:1])
        for library in self.constraints.libraries:
            each = np.repeat(np.arange(candidates.n_rows), len(library))
            rows = torch.arange(len(library)).repeat(candidates.n_rows)
            candidates = library.place(candidates.take(each), rows)
        return candidates, self.loss_of_all(candidates)

    def _descend_all(self, latents: Tensor, decided: Candidates | None = None) -> Tensor:
        """Descend from any number of latents, some at a time."""
        parts = [
            self.descend(latents[chunk], None if decided is None else decided.take(chunk))
            for chunk in self._chunks(len(latents))
        ]
        return torch.cat(parts)

    def pool(self, rng: np.random.RandomState) -> Tensor:
        """Draw latents around known rows and between them, of shape (n_pool, n_components)."""
        known = self.latents_of_known
        a, b = (known[rng.randint(len(known), size=_N_POOL)] for _ in range(2))
        share = torch.from_numpy(rng.uniform(size=(_N_POOL, 1)))
        noise = torch.from_numpy(rng.normal(size=tuple(a.shape))) @ self.factor.T
        some = known[np.linspace(0, len(known) - 1, min(len(known), _N_POOL)).astype(int)]
        return torch.cat([some, a + share * (b - a) + _JITTER * noise]).clamp(*self.bounds)

    @torch.enable_grad()
    def descend(self, latents: Tensor, decided: Candidates | None = None) -> Tensor:
        """Descend along the loss's gradient, by Adam in whitened latents; keep the best of each.

        Parameters
        ----------
        latents : Tensor of shape (n_candidates, n_components)
        decided : Candidates, optional
            As in ``decode``.

        Returns
        -------
        Tensor of shape (n_candidates, n_components)
        """
        center = latents.detach()
        # in standard deviations of the latents, so that one size of step suits all directions
        step = torch.zeros_like(center, requires_grad=True)
        optimizer = torch.optim.Adam([step], lr=_STEP)
        best = center.clone()
        least = torch.full((len(center),), torch.inf, dtype=torch.float64)
        for _ in range(_N_STEPS):
            moved = (center + step @ self.factor.T).clamp(*self.bounds)
            losses = self.loss(self.decode(moved, decided))
            with torch.no_grad():
                better = losses < least
                best[better], least[better] = moved[better], losses[better]
            optimizer.zero_grad()
            # rows do not mix, and so the gradient of the sum is each one's own; nor does it reach
            # the networks' parameters, which backward() would give a gradient
            (step.grad,) = torch.autograd.grad(losses.nan_to_num().sum(), step)
            optimizer.step()
        return best

    def vary(self, candidates: Candidates, rng: np.random.RandomState) -> Candidates:
        """Vary the categories of each candidate, column by column, and its rows of the library.

        No gradient leads from one to the next, and the category that decoded latents come nearest
        to need not be the best.
        """
        parts = []
        of_libraries = {j for library in self.constraints.libraries for j in library.positions}
        for j, allowed in self.constraints.allowed.items():
            if j in of_libraries:
                continue
            for code in np.flatnonzero(allowed):
                share = torch.zeros_like(candidates.shares[j])
                share[:, code] = 1.0
                parts.append(candidates._replace(shares={**candidates.shares, j: share}))
        for library in self.constraints.libraries:
            if len(library) == 1:
                continue
            rows = self._rows_to_try(library, candidates, rng)
            each = np.repeat(np.arange(candidates.n_rows), len(rows))
            tried = torch.from_numpy(np.tile(rows, candidates.n_rows))
            parts.append(library.place(candidates.take(each), tried))
        varied = candidates.joined(*parts)
        return varied.take(varied.first_of_each()) if self.columns.arrays else varied

    def _rows_to_try(
        self, library: Library, candidates: Candidates, rng: np.random.RandomState
    ) -> np.ndarray:
        """Choose rows of a library: all of a small one, else at random.

        Of arrays half are those that suit the best candidate most, as it takes many arrays to
        find a good one by chance.
        """
        rows = rng.permutation(len(library))
        if not library.arrays or len(library) <= _N_ROWS:
            return rows[:_N_ROWS]
        best = candidates.take(np.zeros(len(library), dtype=int))
        losses = self.loss_of_all(library.place(best, torch.arange(len(library))))
        suited = np.argsort(losses.numpy(), kind="stable")[: _N_ROWS // 2]
        others = rows[~np.isin(rows, suited)][: _N_ROWS - len(suited)]
        return np.concatenate([suited, others])


def _best(candidates: Candidates, losses: Tensor, n: int) -> np.ndarray:
    """Return the positions of the best candidates that differ, of shape (n,) at most."""
    first = candidates.first_of_each()
    order = np.argsort(losses.numpy()[first], kind="stable")
    return first[order[:n]]
