"""Gradients of dense networks in closed form, on NumPy arrays of the parameters' own memory.

torch's modules are the definition. Where a network is made of dense layers and is small, nine
tenths of its step are the overhead of automatic differentiation; the same products, written out,
have none. All functions here hold for one network, whose arrays are of shape (n_samples,
n_values), and for a stack, with a first dimension over networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._layers._bounds import Bounded, offset
from .._layers._dense import Clip, Dropout
from .._layers._derivatives import DERIVATIVES
from .._networks._autoencoder import AutoencoderModule
from .._networks._batch import Batch
from .._networks._flat import FlatParameters
from .._networks._stacked import StackedDropout, StackedLinear
from ..blocks import Block
from ..blocks._slopes import BlockSlope
from ._objective import Objective
from ._terms import PredictionTerm, ReconstructionTerm, Term

# Of a term, a float; of each network of a stack, an array of shape (n_networks,).
Sums = dict[str, Any]


class Unsupported(Exception):
    """A network, or its objective, has no gradient here."""


# ---------------------------------------------------------------------------------------------
# Layers. ``forward`` turns inputs of shape (..., n_samples, n_inputs) into outputs, and keeps what
# the gradient needs. ``backward`` takes the gradient of the outputs, which it may change in place;
# it sets the gradients of the layer's own parameters, and gives that of the inputs, which may be
# None where no layer before it has parameters.


class _Linear:
    """A linear layer: outputs = inputs @ weight.T + bias.

    Parameters
    ----------
    weight, weight_gradient : ndarray of shape (..., n_outputs, n_inputs)
    bias, bias_gradient : ndarray of shape (..., n_outputs), or None
    """

    def __init__(
        self,
        weight: np.ndarray,
        weight_gradient: np.ndarray,
        bias: np.ndarray | None,
        bias_gradient: np.ndarray | None,
    ) -> None:
        self.weight = weight
        self.transposed = weight.swapaxes(-1, -2)
        self.bias = None if bias is None else bias[..., None, :]
        self.weight_gradient = weight_gradient
        self.bias_gradient = None if bias_gradient is None else bias_gradient[..., None, :]
        # of two matrices, dot has the smaller cost of a call
        self.multiply = np.dot if weight.ndim == 2 else np.matmul
        self.ones = np.ones((1, 0), weight.dtype)

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        self.inputs = inputs
        outputs = self.multiply(inputs, self.transposed)
        if self.bias is not None:
            outputs += self.bias
        return outputs

    def backward(self, gradient: np.ndarray, has_parameters_before: bool) -> np.ndarray | None:
        self.multiply(gradient.swapaxes(-1, -2), self.inputs, out=self.weight_gradient)
        if self.bias_gradient is not None:
            # as a product: a sum over rows reads the memory across
            if self.ones.shape[1] != gradient.shape[-2]:
                self.ones = np.ones((1, gradient.shape[-2]), gradient.dtype)
            self.multiply(self.ones, gradient, out=self.bias_gradient)
        return self.multiply(gradient, self.weight) if has_parameters_before else None


class _Activation:
    """A function of each entry.

    Parameters
    ----------
    kind : type
        A key of ``DERIVATIVES``.
    owns_inputs : bool
        Whether nobody else needs the inputs, so that they may become the outputs.
    """

    def __init__(self, kind: type[nn.Module], owns_inputs: bool) -> None:
        self.apply, self.chain = DERIVATIVES[kind]
        self.owns_inputs = owns_inputs

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        self.outputs = inputs if self.owns_inputs else inputs.copy()
        self.kept = self.apply(self.outputs)
        return self.outputs

    def backward(self, gradient: np.ndarray, has_parameters_before: bool) -> np.ndarray | None:
        if not has_parameters_before:
            return None
        self.chain(gradient, self.outputs, self.kept)
        return gradient


class _Dropout:
    """Dropout, with the masks of torch's layer."""

    def __init__(self, layer: Dropout | StackedDropout) -> None:
        self.layer = layer

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        # a callback may have taken the layer out of training
        self.mask = self.layer.take_array(inputs) if self.layer.training else None
        return inputs if self.mask is None else inputs * self.mask

    def backward(self, gradient: np.ndarray, has_parameters_before: bool) -> np.ndarray | None:
        if not has_parameters_before:
            return None
        if self.mask is not None:
            gradient *= self.mask
        return gradient


class _Bounds:
    """A last layer with bounds, as ``bound`` defines it.

    Parameters
    ----------
    layer : Bounded
        Of one network, or of a stack.
    """

    def __init__(self, layer: Bounded) -> None:
        low, high = layer.low if layer.has_low else None, layer.high if layer.has_high else None
        self.shift: Any = offset(low, high).numpy()
        self.low: Any = None if low is None else low.numpy()
        self.high: Any = None if high is None else high.numpy()

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        if self.low is None:
            outputs = self.shift - inputs
            self.slope: Any = DERIVATIVES[nn.Softplus].apply(outputs)
            return self.high - outputs
        outputs = inputs + self.shift
        if self.high is None:
            self.slope = DERIVATIVES[nn.Softplus].apply(outputs)
            return self.low + outputs
        DERIVATIVES[nn.Sigmoid].apply(outputs)
        width = self.high - self.low
        self.slope = outputs * (1 - outputs) * width
        return self.low + width * outputs

    def backward(self, gradient: np.ndarray, has_parameters_before: bool) -> np.ndarray | None:
        gradient *= self.slope
        return gradient


_Layer = _Linear | _Activation | _Dropout | _Bounds


class _Chain:
    """Layers one after the other; of none, the inputs are the outputs.

    Parameters
    ----------
    layers : sequence of layer
    limit : float, default=inf
        Inputs beyond it become the limit before they are given to ``forward``.
    """

    def __init__(self, layers: Sequence[_Layer], limit: float = np.inf) -> None:
        self.layers = list(layers)
        self.limit = limit
        is_linear = [isinstance(layer, _Linear) for layer in layers]
        self.has_parameters = any(is_linear)
        # of each layer, from the last one: whether a layer before it has parameters
        self._backwards = [(la, any(is_linear[:k])) for k, la in enumerate(layers)][::-1]

    def forward(self, values: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            values = layer.forward(values)
        return values

    def backward(self, gradient: np.ndarray, has_parameters_before: bool) -> np.ndarray | None:
        """Set the gradients of the parameters, and return that of the inputs if it is needed."""
        found: np.ndarray | None = gradient
        for layer, has_own in self._backwards:
            if not (has_own or has_parameters_before or isinstance(layer, _Linear)):
                return None
            assert found is not None
            found = layer.backward(found, has_own or has_parameters_before)
        return found


# ---------------------------------------------------------------------------------------------
# From torch's modules


class _Compiler:
    """Turn torch's modules, of a network or of a stack, into layers on the same memory.

    Parameters
    ----------
    flat : FlatParameters
        Of all parameters of the network.
    """

    def __init__(self, flat: FlatParameters) -> None:
        arrays = zip(flat.views(flat.values), flat.views(flat.gradients), strict=True)
        self._arrays = {
            id(parameter): (value.numpy(), gradient.numpy())
            for parameter, (value, gradient) in zip(flat.parameters, arrays, strict=True)
        }

    def chain(self, module: nn.Module, takes_inputs: bool = False) -> _Chain:
        """Compile a module of layers that are called one after the other.

        Parameters
        ----------
        module : torch.nn.Module
        takes_inputs : bool, default=False
            Whether it takes the values of rows, which are clipped before.

        Raises
        ------
        Unsupported
            If a layer is of another kind, or would do more than its kind does.
        """
        layers: list[_Layer] = []
        limit = np.inf
        for layer in _flattened(module):
            _check_layer(layer)
            kind = type(layer)
            if type(layer) is Clip:
                if layers or not takes_inputs:
                    raise Unsupported("numbers are clipped that are no values of rows")
                limit = min(limit, layer.limit)
            elif kind in _LINEAR:
                layers.append(self.linear(layer))
            elif kind in _DROPOUT:
                layers.append(_Dropout(layer))  # type: ignore[arg-type]
            elif kind is Bounded:
                layers.append(_Bounds(layer))  # type: ignore[arg-type]
            elif kind in DERIVATIVES:
                layers.append(_Activation(kind, bool(layers) and type(layers[-1]) is _Linear))
        return _Chain(layers, limit)

    def linear(self, layer: nn.Module) -> _Linear:
        """Compile a linear layer."""
        of_bias = (None, None) if layer.bias is None else self._arrays_of(layer.bias)
        return _Linear(*self._arrays_of(layer.weight), *of_bias)

    def _arrays_of(self, parameter: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the values and the gradient of a parameter as arrays."""
        found = self._arrays.get(id(parameter))
        if found is None:  # put there since
            raise Unsupported("there is a parameter that the optimizer does not see")
        return found


def _flattened(module: nn.Module) -> Iterable[nn.Module]:
    """Yield the layers of a Sequential, and of those in it."""
    if type(module) is not nn.Sequential:
        yield module
        return
    for child in module.children():
        yield from _flattened(child)


_LINEAR = (nn.Linear, StackedLinear)
_DROPOUT = (Dropout, StackedDropout)
_CONTAINERS = (AutoencoderModule, nn.Sequential, nn.ModuleDict)


def _check_layer(layer: nn.Module) -> None:
    """Refuse a layer of another kind, or one with hooks or a forward of its own."""
    kind = type(layer)  # a subclass may compute something else
    is_activation = kind in DERIVATIVES and layer.extra_repr() == kind().extra_repr()
    if not (
        is_activation or kind in (*_LINEAR, *_DROPOUT, *_CONTAINERS, Bounded, Clip, nn.Identity)
    ):
        raise Unsupported(f"there is a layer {kind.__name__}")
    if any(_hooks(layer)) or any(map(_has_hooks, layer.parameters(recurse=False))):
        raise Unsupported("there are hooks, which would not be called")
    if "forward" in vars(layer):
        raise Unsupported(f"a layer {kind.__name__} has a forward of its own")


def _hooks(layer: nn.Module) -> tuple[dict, ...]:
    """Return the hooks of a layer, as torch keeps them: later ones will be there, too."""
    return (
        layer._forward_hooks,
        layer._forward_pre_hooks,
        layer._backward_hooks,
        layer._backward_pre_hooks,
    )


def _has_hooks(parameter: nn.Parameter) -> bool:
    return bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)


class _Snapshot:
    """The layers of a network at one time, to detect later changes.

    A callback may change them in the middle of an epoch.

    Parameters
    ----------
    module : torch.nn.Module
    """

    def __init__(self, module: nn.Module) -> None:
        layers = list(module.modules())
        self._parameters = list(module.parameters())
        self._hooks = [own for layer in layers for own in _hooks(layer)]
        self._attributes = [vars(layer) for layer in layers]
        within = [own for layer in layers for own in (layer._modules, layer._parameters)]
        self._counts = [(own, len(own)) for own in within]
        self._parts = [(own, name, part) for own in within for name, part in own.items()]

    def is_current(self) -> bool:
        """Return whether all layers and parameters are the same, without hooks."""
        return not (
            any(self._hooks)
            or any("forward" in own for own in self._attributes)
            or any(len(own) != count for own, count in self._counts)
            or any(own.get(name) is not part for own, name, part in self._parts)
            or any(map(_has_hooks, self._parameters))
        )


# ---------------------------------------------------------------------------------------------
# The network


@dataclass
class Rows:
    """Rows of a batch, or of many batches, as arrays.

    Parameters
    ----------
    given : tuple of ndarray of shape (..., n_samples, layout.n_values)
        The values of each block, which are to be reconstructed.
    inputs : tuple of ndarray of the same shapes
        As they enter the encoders of the blocks. Empty where these do nothing.
    joined : ndarray of shape (..., n_samples, n_inputs) or None
        There: all blocks side by side, as they enter the common encoder.
    absent : ndarray of shape (..., n_samples, n_blocks) or None
        Which blocks were not measured.
    target : ndarray of shape (..., n_samples, n_outputs) or None
    weights : tuple of ndarray or None
        For each term, the weight of each entry; None where it is 1.
    """

    given: tuple[np.ndarray, ...]
    inputs: tuple[np.ndarray, ...]
    joined: np.ndarray | None
    absent: np.ndarray | None
    target: np.ndarray | None
    weights: tuple[np.ndarray | None, ...]

    def take(self, own: Any) -> Rows:
        """Return some rows, as views; of a stack's batches, those of a step."""
        return Rows(
            tuple([array[own] for array in self.given]),
            tuple([array[own] for array in self.inputs]),
            None if self.joined is None else self.joined[own],
            None if self.absent is None else self.absent[own],
            None if self.target is None else self.target[own],
            tuple([None if array is None else array[own] for array in self.weights]),
        )


@dataclass
class _Decoded:
    """The decoder of a block: its layers, and the term of the loss for its outputs."""

    chain: _Chain
    slope: BlockSlope
    term: str
    place: int  # of the term, among all


class ClosedForm:
    """The gradients of a supervised autoencoder of dense layers, or of a stack of them.

    Parameters
    ----------
    module : AutoencoderModule
        Of one network, or the stack of many.
    objective : Objective
    flat : FlatParameters
        Of the module.

    Raises
    ------
    Unsupported
        If the module has other layers than dense ones, or the objective other terms than the
        errors of blocks and target.
    """

    def __init__(
        self, module: AutoencoderModule, objective: Objective, flat: FlatParameters
    ) -> None:
        self.check(module, objective)
        self._predicted: np.ndarray | None = None
        self._gradients = flat.arrays[1]
        self._terms: Sequence[Term] = objective.terms
        self._module = module
        self._snapshot = _Snapshot(module)
        compiler = _Compiler(flat)
        self._encoders = [compiler.chain(one, True) for one in module.block_encoders.values()]
        self._joins_first = not any(own.layers for own in self._encoders)
        # where the outputs of each block's encoder lie in the inputs of the common one
        ends = np.cumsum([module.block_widths[name] for name in module.block_encoders])
        self._slices = [slice(*own) for own in zip([0, *ends[:-1]], ends, strict=True)]
        self._encoder = compiler.chain(module.encoder)
        absence = module.absence
        self._absence = None if absence is None else compiler.linear(absence)
        self._decoder = compiler.chain(module.decoder)
        names = [term.name for term in self._terms]
        self._blocks = [
            _Decoded(
                compiler.chain(module.block_decoders[term.block_name]),
                BlockSlope(term.layout, term.loss),
                term.name,
                names.index(term.name),
            )
            for name in module.block_decoders
            for term in self._terms
            if isinstance(term, ReconstructionTerm) and term.block_name == name
        ]
        self._predictor = None if module.predictor is None else compiler.chain(module.predictor)
        self._of_target = next(
            (
                (BlockSlope(term.layout, term.loss), k)
                for k, term in enumerate(self._terms)
                if isinstance(term, PredictionTerm)
            ),
            None,
        )

    def is_current(self) -> bool:
        """Return whether the network is unchanged since this was made."""
        return self._snapshot.is_current()

    def prediction(self) -> Tensor | None:
        """Return the prediction of the last step's rows, None without a target."""
        return None if self._predicted is None else torch.from_numpy(self._predicted)

    @staticmethod
    def check(module: AutoencoderModule, objective: Objective) -> None:
        """Refuse networks without a closed form, before their parameters become one array.

        Raises
        ------
        Unsupported
        """
        if type(module) is not AutoencoderModule:
            raise Unsupported(f"it is a {type(module).__name__}")
        if module.noise is not None or module.block_dropout is not None:
            raise Unsupported("it draws latents, or hides blocks")
        layers = [layer for _, layer in module.named_modules(remove_duplicate=False)]
        for layer in layers:
            _check_layer(layer)
        parameters = [p for layer in layers for p in layer.parameters(recurse=False)]
        if any(len(set(map(id, own))) < len(own) for own in (layers, parameters)):
            raise Unsupported("a layer or a parameter is used twice")
        for term in objective.terms:
            if type(term) is ReconstructionTerm:
                has_sources = term.source is not None
            elif type(term) is PredictionTerm:
                has_sources = bool(term.sources) or term.has_mean
            else:
                raise Unsupported(f"there is a term {term.name!r}")
            kind = type(term.block)
            is_usual = kind.errors is Block.errors and kind.align is Block.align
            if has_sources or not is_usual or 0 in term.layout.n_categories:
                raise Unsupported(f"the term {term.name!r} has errors of its own")

    # -- rows

    def rows(self, batch: Batch) -> Rows:
        """Make arrays of rows, with the weights of the entries that each term is of."""
        given = tuple([batch.values[name].numpy() for name in self._module.block_encoders])
        inputs = tuple(
            [_clipped(own, chain.limit) for own, chain in zip(given, self._encoders, strict=True)]
        )
        joined = None
        if self._joins_first:
            joined = inputs[0] if len(inputs) == 1 else np.concatenate(inputs, axis=-1)
            inputs = ()
        flags = self._module.absent_of(batch)
        return Rows(
            given,
            inputs,
            joined,
            None if flags is None else flags.numpy(),
            None if batch.target is None else batch.target.numpy(),
            self.weights(batch),
        )

    def weights(self, batch: Batch) -> tuple[np.ndarray | None, ...]:
        """Return the weights of the entries that each term is of; None where all are 1."""
        weights = [batch.entry_weight(term.entries(batch)[0]) for term in self._terms]
        return tuple([None if own is None else own.numpy() for own in weights])

    # -- a step

    def step(self, rows: Rows, factors: Mapping[str, Any]) -> Sums:
        """Set the gradients of all parameters, and return the sum of each term's errors.

        Parameters
        ----------
        rows : Rows
        factors : mapping of str to float or ndarray of shape (n_networks, 1, 1)
            Of each term's sum, in the loss.
        """
        self._gradients.fill(0.0)  # of those that these rows do not reach
        latents = self._encode(rows)
        hidden = self._decoder.forward(latents)
        sums: Sums = {}
        to_hidden, to_latents = None, None
        for own, given in zip(self._blocks, rows.given, strict=True):
            decoded = own.chain.forward(hidden)
            total, gradient = own.slope(decoded, given, rows.weights[own.place])
            sums[own.term] = total
            gradient *= factors[own.term]
            to_hidden = _add(to_hidden, own.chain.backward(gradient, True))
        if to_hidden is not None:
            to_latents = self._decoder.backward(to_hidden, True)
        if self._of_target is not None and rows.target is not None:
            slope, place = self._of_target
            assert self._predictor is not None
            self._predicted = self._predictor.forward(latents)
            total, gradient = slope(self._predicted, rows.target, rows.weights[place])
            sums[PredictionTerm.name] = total
            gradient *= factors[PredictionTerm.name]
            to_latents = _add(to_latents, self._predictor.backward(gradient, True))
        if to_latents is not None:
            self._backpropagate_encoder(to_latents, rows.absent)
        return sums

    def _encode(self, rows: Rows) -> np.ndarray:
        joined = rows.joined
        if joined is None:
            parts = [
                own.forward(given) for own, given in zip(self._encoders, rows.inputs, strict=True)
            ]
            joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        first, *others = self._encoder.layers
        values = first.forward(joined)
        if rows.absent is not None and self._absence is not None:
            values += self._absence.forward(rows.absent)
        for layer in others:
            values = layer.forward(values)
        return values

    def _backpropagate_encoder(self, gradient: np.ndarray, absent: np.ndarray | None) -> None:
        has_before = any(own.has_parameters for own in self._encoders)
        found: Any = gradient  # None behind the first layer, where nothing is before it
        for k, layer in reversed(list(enumerate(self._encoder.layers))):
            if k == 0 and absent is not None and self._absence is not None:
                self._absence.backward(found, False)
            found = layer.backward(found, has_before or k > 0)
        if not has_before:
            return
        for own, part in zip(self._encoders, self._slices, strict=True):
            if own.has_parameters:
                own.backward(np.ascontiguousarray(found[..., part]), False)


def _clipped(values: np.ndarray, limit: float) -> np.ndarray:
    """Clip values, of many batches at once; without a copy where none is beyond the limit."""
    if np.isinf(limit) or not values.size or (-values.min() <= limit and values.max() <= limit):
        return values
    return np.clip(values, -limit, limit)


def _add(total: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Add up gradients, of which there may be none yet."""
    if total is None:
        return other
    total += other
    return total
