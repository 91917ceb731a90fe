"""The search in the latents: decode, keep the constraints, encode again, predict."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import Tensor

from .._estimators._differentiable import DifferentiableChain, StageOutputs
from .._estimators._nested import NestedAutoencoder
from .._networks._batch import Batch
from ._constraints import Constraints, Kinds
from ._targets import DesignObjective

# How many candidates are looked at before the gradient is followed, and how many of its steps, of
# which size in standard deviations of the latents.
_N_POOL = 2000
_N_STEPS = 200
_STEP = 0.05
# Spread of what is drawn around known rows, in standard deviations of the latents.
_JITTER = 0.3
# How often the best are varied by single categories and rows of the library, of which at most so
# many are tried on each.
_N_ROUNDS = 2
_N_ROWS = 500
# The domain ends where this fraction of the known rows lies nearer to the mean.
_DOMAIN = 0.95


class Candidates(NamedTuple):
    """Candidates that can still be differentiated.

    ``numbers`` is of shape (n_candidates, n_numeric), in the units of the columns; ``shares``
    holds the probabilities of each categorical column, of shape (n_candidates, n_categories).
    """

    numbers: Tensor
    shares: dict[int, Tensor]

    def take(self, rows: np.ndarray) -> Candidates:
        """Give some of the candidates."""
        index = torch.from_numpy(rows)
        return Candidates(self.numbers[index], {j: p[index] for j, p in self.shares.items()})

    def joined(self, *others: Candidates) -> Candidates:
        """Give these candidates and others."""
        every = (self, *others)
        shares = {j: torch.cat([draft.shares[j] for draft in every]) for j in self.shares}
        return Candidates(torch.cat([draft.numbers for draft in every]), shares)


class Port:
    """The way between a draft and the values of one stage.

    Parameters
    ----------
    flow : DifferentiableChain
    k : int
        Stage.
    kinds : Kinds
    """

    def __init__(self, flow: DifferentiableChain, k: int, kinds: Kinds) -> None:
        fitted, own = flow.fitted[k], flow.columns[k]
        table, self.dtype, self.device = fitted.table, fitted.dtype, fitted.device
        self.layouts = table.layouts
        self.numeric: dict[str, tuple[Tensor, Tensor, Tensor, Tensor]] = {}
        self.categorical: dict[str, list[tuple[int, Tensor]]] = {}
        for name, (numeric, categorical) in table.columns.items():
            here = [(i, j) for i, j in enumerate(numeric) if j < len(own)]
            there = [kinds.numeric.index(own[j]) for _, j in here]
            mean, scale = table.affine([j for _, j in here])
            self.numeric[name] = (
                torch.tensor([i for i, _ in here], dtype=torch.long),
                torch.tensor(there, dtype=torch.long),
                torch.from_numpy(mean),
                torch.from_numpy(scale),
            )
            # a member of an ensemble may have seen fewer categories
            self.categorical[name] = [
                (own[j], torch.from_numpy(_same(kinds.categories[own[j]], table.categories[j])))
                for j in categorical
            ]

    def values(self, draft: Candidates) -> dict[str, Tensor]:
        """Give each block's values of a draft, where the network is; 0 where latents stand."""
        values = {}
        n_rows = len(draft.numbers)
        for name, layout in self.layouts.items():
            here, there, mean, scale = self.numeric[name]
            numbers = torch.zeros(n_rows, layout.n_numeric, dtype=torch.float64)
            scaled = (draft.numbers[:, there] - mean) / scale
            parts = [numbers.index_copy(1, here, scaled)]
            parts += [draft.shares[j] @ matrix for j, matrix in self.categorical[name]]
            values[name] = torch.cat(parts, dim=1).to(self.device, self.dtype)
        return values

    def read(
        self, decoded: dict[str, Tensor], numbers: list[Tensor | None], logits: dict[int, Tensor]
    ) -> None:
        """Take what a stage decoded, into columns of a draft."""
        for name, layout in self.layouts.items():
            values = decoded[name].cpu().double()
            here, there, mean, scale = self.numeric[name]
            own = values[:, here] * scale + mean
            for i, j in enumerate(there.tolist()):
                numbers[j] = own[:, i]
            groups = zip(self.categorical[name], layout.groups(), strict=True)
            for (j, _), group in groups:
                logits[j] = values[:, group]


def _same(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Give a matrix that tells which categories are the same."""
    return (ours.astype(object)[:, None] == theirs.astype(object)[None, :]).astype(np.float64)


class Route:
    """A flow, with the ports that lead a draft into its stages.

    Drafts, latents and predictions are on the CPU and in double precision, whatever the networks
    are.
    """

    def __init__(self, flow: DifferentiableChain, kinds: Kinds) -> None:
        self.flow = flow
        self.ports = [Port(flow, k, kinds) for k in range(len(flow))]

    def send(self, draft: Candidates) -> list[StageOutputs]:
        """Send a draft up the stages."""
        return self.flow.forward([Batch(port.values(draft)) for port in self.ports])

    def latents(self, draft: Candidates) -> list[Tensor]:
        """Give the latents of each stage."""
        return [reading.latents.cpu().double() for reading in self.send(draft)]

    def decode(self, latents: Tensor) -> list[dict[str, Tensor]]:
        """Send latents of the last stage down."""
        port = self.ports[-1]
        return self.flow.decode(latents.to(port.device, port.dtype))

    def wished(self, wish: DesignObjective, reading: StageOutputs) -> Tensor:
        """Give what a stage's reading predicts of a wish, in the units of y; of a class its share.

        Of shape (n_candidates,).
        """
        estimator = self.flow.estimators[wish.stage]
        output: Any = reading.prediction
        output = output.cpu().double()
        if is_classifier(estimator):
            return torch.softmax(output, dim=1)[:, wish.code]
        target: Any = self.flow.fitted[wish.stage].target
        mean, scale = target.affine()
        return output[:, wish.output] * scale[wish.output] + mean[wish.output]


def _flows_of_others(flow: DifferentiableChain, k: int) -> list[DifferentiableChain]:
    """Give flows that end in the other members of a stage which is an ensemble itself.

    The latents that it is given, as those that it passes on, are the first members'.
    """
    if not isinstance(flow.estimator, NestedAutoencoder):
        return []
    flows = []
    for member in flow.estimators[k].members_[1:]:
        part = flow.estimator[: k + 1]
        name, _, columns = part.stages_[-1]
        part.stages_ = [*part.stages_[:-1], (name, member, columns)]
        flows.append(DifferentiableChain(part))
    return flows


class SearchProblem:
    """Candidates as latents of the last stage of the first member.

    Parameters
    ----------
    flows : list of DifferentiableChain
        Of each member of an ensemble, or of the one estimator.
    constraints : Constraints
    wishes : list of DesignObjective
    known : Candidates
        Known rows.
    domain_weight : float
        Weight of leaving the domain of the known rows, beside what is missed of the target.
    """

    def __init__(
        self,
        flows: list[DifferentiableChain],
        constraints: Constraints,
        wishes: list[DesignObjective],
        known: Candidates,
        domain_weight: float,
    ) -> None:
        self.constraints = constraints
        self.kinds = constraints.kinds
        self.wishes = wishes
        self.domain_weight = domain_weight
        self.routes = [Route(flow, self.kinds) for flow in flows]
        # for each of the flows and each stage of which something is wanted
        self.others = [
            {
                k: [Route(own, self.kinds) for own in _flows_of_others(flow, k)]
                for k in {wish.stage for wish in wishes}
            }
            for flow in flows
        ]
        links = [fitted.observation_model() for fitted in flows[0].fitted]
        self.bounds = links[-1].bounds
        self.means = [link.mean for link in links]
        self.precisions = [torch.linalg.inv(link.covariance) for link in links]
        self.factor = torch.linalg.cholesky(links[-1].covariance)
        with torch.no_grad():
            latents = self.latents(known)
            self.known = latents[-1]
            self.limits = [
                torch.quantile(self._distance(k, z), _DOMAIN).clamp(min=1e-12)
                for k, z in enumerate(latents)
            ]

    def _distance(self, k: int, latents: Tensor) -> Tensor:
        step = latents - self.means[k]
        return ((step @ self.precisions[k]) * step).sum(dim=1)

    def latents(self, draft: Candidates) -> list[Tensor]:
        """Give the first member's latents of each stage."""
        return self.routes[0].latents(draft)

    def decode(self, latents: Tensor, decided: Candidates | None = None) -> Candidates:
        """Decode latents, and bring what comes out into the constraints.

        Parameters
        ----------
        latents : Tensor of shape (n_candidates, n_components)
        decided : Candidates, optional
            Whose categories and rows of the library are decided already.
        """
        route = self.routes[0]
        numbers: list[Tensor | None] = [None] * len(self.kinds.numeric)
        logits: dict[int, Tensor] = {}
        for port, of_stage in zip(route.ports, route.decode(latents), strict=True):
            port.read(of_stage, numbers, logits)
        table = torch.stack(numbers, dim=1) if numbers else latents[:, :0]  # type: ignore[arg-type]
        table = self.constraints.project(table)
        if decided is not None:
            pinned = torch.tensor(self.constraints.pinned, dtype=torch.long)
            table = table.index_copy(1, pinned, decided.numbers[:, pinned])
            return Candidates(table, decided.shares)
        shares = {
            j: torch.softmax(self.constraints.logits(j, values), dim=1)
            for j, values in logits.items()
        }
        return Candidates(table, shares)

    def predict(self, draft: Candidates) -> list[Tensor]:
        """Give each wish's mean prediction over members, of shape (n_candidates,).

        Members are those of an ensemble of chains, and those of a stage that is an ensemble.
        """
        found = [self._predict(i, draft) for i in range(len(self.routes))]
        return [torch.stack(own).mean(dim=0) for own in zip(*found, strict=True)]

    def _predict(self, i: int, draft: Candidates) -> list[Tensor]:
        """Give what one chain predicts of each wish."""
        route, others = self.routes[i], self.others[i]
        readings = route.send(draft)
        more = {k: [(own, own.send(draft)[k]) for own in routes] for k, routes in others.items()}
        found = []
        for wish in self.wishes:
            every = [(route, readings[wish.stage]), *more[wish.stage]]
            values = [own.wished(wish, reading) for own, reading in every]
            found.append(torch.stack(values).mean(dim=0))
        return found

    def loss(self, draft: Candidates) -> Tensor:
        """Say how far candidates are from what is wanted, of shape (n_candidates,)."""
        total = torch.zeros(len(draft.numbers), dtype=torch.float64)
        for wish, prediction in zip(self.wishes, self.predict(draft), strict=True):
            total = total + wish.loss(prediction)
        if self.domain_weight:
            for k, latents in enumerate(self.latents(draft)):
                beyond = (self._distance(k, latents) / self.limits[k] - 1).clamp(min=0)
                total = total + self.domain_weight * beyond
        return total

    def pool(self, rng: np.random.RandomState) -> Tensor:
        """Draw latents around known rows and between them, of shape (n_pool, n_components)."""
        n_known = len(self.known)
        a, b = (self.known[rng.randint(n_known, size=_N_POOL)] for _ in range(2))
        share = torch.from_numpy(rng.uniform(size=(_N_POOL, 1)))
        noise = torch.from_numpy(rng.normal(size=tuple(a.shape))) @ self.factor.T
        some = self.known[np.linspace(0, n_known - 1, min(n_known, _N_POOL)).astype(int)]
        return torch.cat([some, a + share * (b - a) + _JITTER * noise]).clamp(*self.bounds)

    @torch.enable_grad()
    def descend(self, latents: Tensor, decided: Candidates | None = None) -> Tensor:
        """Follow the gradient of the loss, by Adam in whitened latents; keep the best of each."""
        center = latents.detach()
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
            (step.grad,) = torch.autograd.grad(losses.nan_to_num().sum(), step)
            optimizer.step()
        return best

    def decide(self, draft: Candidates) -> Candidates:
        """Choose the most probable categories, whole numbers, and rows of the library."""
        whole = torch.from_numpy(self.kinds.is_integer[self.kinds.numeric])
        numbers = torch.where(whole, draft.numbers.round(), draft.numbers)
        shares = {
            j: torch.nn.functional.one_hot(p.argmax(dim=1), p.shape[1]).double()
            for j, p in draft.shares.items()
        }
        return Candidates(*self.constraints.snap(numbers, shares))

    def search(self, n_starts: int, rng: np.random.RandomState) -> tuple[Candidates, Tensor]:
        """Look for candidates: over many, then along the gradient from the best and from others.

        Last, the best are varied where no gradient leads.

        Returns
        -------
        draft : Candidates
            With decided categories, also of those that the gradient did not reach.
        losses : Tensor of shape (n_candidates,)
        """
        with torch.no_grad():
            pool = self.pool(rng)
            draft = self.decide(self.decode(pool))
            losses = self.loss(draft)
        order = np.argsort(losses.numpy(), kind="stable")
        others = rng.permutation(order[n_starts // 2 :])[: n_starts - n_starts // 2]
        starts = pool[np.concatenate([order[: n_starts // 2], others])]
        found = self.descend(starts)
        with torch.no_grad():
            decided = self.decide(self.decode(found))
        found = self.descend(found, decided)
        with torch.no_grad():
            ends = self.decide(self.decode(found, decided))
            every, losses = ends.joined(draft), torch.cat([self.loss(ends), losses])
            for _ in range(_N_ROUNDS):
                varied = self.vary(every.take(_best(every, losses, n_starts // 4)), rng)
                every, losses = every.joined(varied), torch.cat([losses, self.loss(varied)])
            return every, losses

    def vary(self, draft: Candidates, rng: np.random.RandomState) -> Candidates:
        """Give each candidate every other category, column by column, and rows of the library.

        No gradient leads from one to the next, and what decoded latents come nearest to need not
        be the best.
        """
        library = self.constraints.library
        parts = []
        for j, allowed in self.constraints.allowed.items():
            if library is not None and j in library:
                continue
            for code in np.flatnonzero(allowed):
                share = torch.zeros_like(draft.shares[j])
                share[:, code] = 1.0
                parts.append(Candidates(draft.numbers, {**draft.shares, j: share}))
        if library is not None:
            rows = rng.permutation(len(library))[:_N_ROWS]
            each = np.repeat(np.arange(len(draft.numbers)), len(rows))
            tried = torch.from_numpy(np.tile(rows, len(draft.numbers)))
            parts.append(Candidates(*self.constraints.place(*draft.take(each), tried)))
        return draft.joined(*parts)


def _best(draft: Candidates, losses: Tensor, n: int) -> np.ndarray:
    """Give the positions of the best that differ."""
    table = torch.cat([draft.numbers, *draft.shares.values()], dim=1).numpy()
    _, first = np.unique(table, axis=0, return_index=True)
    order = np.argsort(losses.numpy()[first], kind="stable")
    return first[order[:n]]
