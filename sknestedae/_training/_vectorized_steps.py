"""The steps of a stack of networks: by automatic differentiation, or in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._networks._autoencoder import AutoencoderModule
from .._networks._flat import FlatParameters
from .._networks._penalties import add_penalty_gradients
from .._networks._stacked import take_networks
from ._closed_form import ClosedForm, Rows, Unsupported
from ._objective import Objective
from ._vectorized_adam import StackedAdam
from ._vectorized_batches import StackedBatches

# A network's parameters and moments, by name, as ``set_state`` takes them.
State = dict[str, dict[str, np.ndarray]]


def make_steps(
    module: AutoencoderModule, objective: Objective, n_networks: int, has_one_rate: bool
) -> AutogradSteps | ClosedFormSteps:
    """Choose how the steps of a stack are taken: in closed form where there is one.

    Parameters
    ----------
    module : AutoencoderModule
        The stack.
    objective : Objective
    n_networks : int
    has_one_rate : bool
        Whether all networks have the same learning rate, always.
    """
    parameters = list(module.parameters())
    is_of_one_kind = len({(p.dtype, p.device.type) for p in parameters}) == 1
    if is_of_one_kind and parameters[0].device.type == "cpu":
        try:
            return ClosedFormSteps(module, objective, n_networks, has_one_rate)
        except Unsupported:
            pass
    return AutogradSteps(module, objective, has_one_rate)


class AutogradSteps:
    """Steps by automatic differentiation, and torch's Adam.

    Parameters
    ----------
    module : AutoencoderModule
    objective : Objective
    has_one_rate : bool
    """

    def __init__(
        self, module: AutoencoderModule, objective: Objective, has_one_rate: bool
    ) -> None:
        self._module = module
        self._objective = objective
        self._parameters: list[nn.Parameter] = list(module.parameters())
        self._kept = [parameter.detach().clone() for parameter in self._parameters]
        self._adam = StackedAdam(self._parameters, has_one_rate)
        self._sums: dict[str, Tensor] = {}
        self.set_rates = self._adam.set_rates

    def _tensor(self, values: np.ndarray) -> Tensor:
        like = self._parameters[0]
        return torch.as_tensor(values, dtype=like.dtype, device=like.device)

    def set_factors(self, factors: Mapping[str, np.ndarray]) -> None:
        """Set the factor of each term's sum in the loss of each network."""
        self._factors = {name: self._tensor(factor) for name, factor in factors.items()}

    def set_penalties(self, penalties: Mapping[str, np.ndarray]) -> None:
        """Set the strength of each network's penalties, "l1" and "l2"."""
        self._strengths = {
            name: self._tensor(strength) if strength.any() else 0.0
            for name, strength in penalties.items()
        }

    def prepare(self, batches: StackedBatches) -> Any:
        """Prepare the batches of some steps for ``take``."""
        return batches

    def take(self, batches: StackedBatches, own: int) -> None:
        """Take one of the steps."""
        batch, share = batches[own], batches.share[own]
        terms = self._objective.data_terms(self._module(batch), batch)
        # A sum over networks: none has a parameter in common with another, so that the gradient
        # of the sum is that of each network's own loss.
        parts = [torch.dot(term, share * self._factors[name]) for name, term in terms.items()]
        for parameter in self._parameters:
            parameter.grad = None
        sum(parts[1:], parts[0]).backward()
        for parameter in self._parameters:
            if parameter.grad is None:  # nothing depends on it
                parameter.grad = torch.zeros_like(parameter)
        add_penalty_gradients(
            self._module.weights,
            self._module.encoder_weights,
            l1=self._strengths["l1"],
            alpha=self._strengths["l2"],
        )
        self._adam.step()
        with torch.no_grad():
            for name, term in terms.items():
                if name in self._sums:
                    self._sums[name] += term
                else:
                    self._sums[name] = term.detach().double()

    def take_sums(self, networks: np.ndarray) -> dict[str, np.ndarray]:
        """Return the sums of errors of some networks since their last call, by term."""
        where = torch.from_numpy(networks).to(self._parameters[0].device)
        found = {name: total[where].cpu().numpy() for name, total in self._sums.items()}
        for total in self._sums.values():
            total[where] = 0
        return found

    def are_finite(self) -> np.ndarray:
        """Return which networks have finite parameters."""
        with torch.no_grad():
            # (n_parameters, n_networks); one sum tells, as NaN and infinity remain in it
            squares = [p.reshape(len(p), -1).square().sum(dim=1) for p in self._parameters]
            return torch.stack(squares).sum(dim=0).isfinite().cpu().numpy()

    def keep(self, networks: np.ndarray) -> None:
        """Keep the parameters of some networks as their best ones."""
        where = torch.from_numpy(networks).to(self._parameters[0].device)
        with torch.no_grad():
            for kept, parameter in zip(self._kept, self._parameters, strict=True):
                if len(networks) == len(parameter):
                    kept.copy_(parameter)
                else:
                    kept[where] = parameter[where]

    def select(self, networks: Tensor) -> None:
        """Go on with some of the networks."""
        with torch.no_grad():
            for parameter in self._parameters:
                parameter.grad = None
                parameter.data = take_networks(parameter.data, networks)
            self._kept = [take_networks(kept, networks) for kept in self._kept]
        self._adam.select(networks)
        self._sums = {name: total[networks] for name, total in self._sums.items()}

    def state(self, network: int, is_kept: bool, names: Sequence[str]) -> State:
        """Return the parameters of a network, now or those that were kept, and its moments.

        ``names`` are those of its own module, in order; a stack may have others.
        """
        source = self._kept if is_kept else self._parameters
        values = [tensor[network].detach().cpu().numpy() for tensor in source]
        moments = zip(names, self._adam.moments(network), strict=True)
        return {
            "module": dict(zip(names, values, strict=True)),
            "optimizer": {
                f"{entry}/{name}": value for name, own in moments for entry, value in own.items()
            },
        }


@dataclass
class _Prepared:
    """Batches of some steps as arrays, and the factors of the terms in each."""

    rows: Rows
    without_weight: tuple[np.ndarray | None, ...]
    is_full: list[bool]
    factors: dict[str, np.ndarray]  # of shape (n_steps, n_networks, 1, 1)

    def __len__(self) -> int:
        return len(self.is_full)


class ClosedFormSteps:
    """Steps in closed form, on arrays, and torch's Adam, for which all parameters are one.

    Parameters
    ----------
    module : AutoencoderModule
    objective : Objective
    n_networks : int
    has_one_rate : bool

    Raises
    ------
    Unsupported
        If there is no closed form.
    """

    def __init__(
        self,
        module: AutoencoderModule,
        objective: Objective,
        n_networks: int,
        has_one_rate: bool,
    ) -> None:
        ClosedForm.check(module, objective)
        self._module = module
        self._objective = objective
        self._flat = FlatParameters(module, n_networks)
        self._closed_form = ClosedForm(module, objective, self._flat)
        self._kept = self._flat.arrays[0].copy()
        self._adam = StackedAdam([self._flat.as_one()], has_one_rate, keeps_gradients=True)
        self.set_rates = self._adam.set_rates
        self._sums: dict[str, np.ndarray] = {}
        self._penalties: dict[str, np.ndarray | None] = {}

    def _column(self, values: np.ndarray) -> np.ndarray:
        """Return numbers of each network as a column, in the network's precision."""
        return values.astype(self._kept.dtype)[:, None]

    def set_factors(self, factors: Mapping[str, np.ndarray]) -> None:
        """Set the factor of each term's sum in the loss of each network."""
        self._factors = {name: self._column(factor)[..., None] for name, factor in factors.items()}

    def set_penalties(self, penalties: Mapping[str, np.ndarray]) -> None:
        """Set the strength of each network's penalties, "l1" and "l2"."""
        self._penalties = {
            name: self._column(strength) if strength.any() else None
            for name, strength in penalties.items()
        }

    def prepare(self, batches: StackedBatches) -> Any:
        """Prepare the batches of some steps for ``take``."""
        rows = self._closed_form.rows(batches.rows)
        share = batches.share.numpy()[..., None, None]
        return _Prepared(
            rows,
            self._closed_form.weights(replace(batches.rows, weight=None)),
            batches.is_full,
            {name: share * factor for name, factor in self._factors.items()},
        )

    def take(self, batches: _Prepared, own: int) -> None:
        """Take one of the steps."""
        rows = batches.rows
        if batches.is_full[own]:
            rows = replace(rows, weights=batches.without_weight)
        with np.errstate(all="ignore"):  # what is no number is found at the epoch's end
            factors = {name: factor[own] for name, factor in batches.factors.items()}
            sums = self._closed_form.step(rows.take(own), factors)
            self._flat.add_penalty_gradients(self._penalties["l1"], self._penalties["l2"])
        self._adam.step()
        for name, total in sums.items():
            if name in self._sums:
                self._sums[name] += total
            else:
                self._sums[name] = total.astype(np.float64)

    def take_sums(self, networks: np.ndarray) -> dict[str, np.ndarray]:
        """Return the sums of errors of some networks since their last call, by term."""
        found = {name: total[networks] for name, total in self._sums.items()}
        for total in self._sums.values():
            total[networks] = 0
        return found

    def are_finite(self) -> np.ndarray:
        """Return which networks have finite parameters."""
        values = self._flat.arrays[0]
        with np.errstate(all="ignore"):
            return np.isfinite(np.einsum("kp,kp->k", values, values))

    def keep(self, networks: np.ndarray) -> None:
        """Keep the parameters of some networks as their best ones."""
        self._kept[networks] = self._flat.arrays[0][networks]

    def select(self, networks: Tensor) -> None:
        """Go on with some of the networks."""
        where = networks.numpy()
        self._flat.select(networks)
        self._closed_form = ClosedForm(self._module, self._objective, self._flat)
        self._kept = self._kept[where]
        self._adam.select(networks)
        self._sums = {name: total[where] for name, total in self._sums.items()}

    def state(self, network: int, is_kept: bool, names: Sequence[str]) -> State:
        """Return the parameters of a network, now or those that were kept, and its moments.

        ``names`` are those of its own module, in order; a stack may have others.
        """
        of = {id(p): name for p, name in zip(self._module.parameters(), names, strict=True)}
        flat_names = [of[id(parameter)] for parameter in self._flat.parameters]

        def named(flat: np.ndarray) -> dict[str, np.ndarray]:
            """Return the parts of an array of shape (n_parameters,)."""
            parts = self._flat.views(torch.from_numpy(flat[None]))
            return {name: part[0].numpy() for name, part in zip(flat_names, parts, strict=True)}

        (moments,) = self._adam.moments(network)
        by_name: dict[str, np.ndarray] = {}
        for entry, value in moments.items():
            # the number of steps is one for all
            own = named(value) if value.ndim else dict.fromkeys(names, value)
            by_name |= {f"{entry}/{name}": part for name, part in own.items()}
        values = self._kept if is_kept else self._flat.arrays[0]
        return {"module": named(values[network]), "optimizer": by_name}
