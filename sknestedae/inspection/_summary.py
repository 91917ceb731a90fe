"""The layers of a fitted network as a table."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from .._ambient import isolated
from .._estimators._base import BaseSupervisedAutoencoder
from .._estimators._fitted import FittedAutoencoder, fitted_part
from .._estimators._nested import NestedAutoencoder
from .._estimators._unwrap import innermost, unfrozen

# The parts of the torch module in the order in which rows go through them, and what each is a
# part of; what is not here, stands at the end.
_PARTS = {
    "block_encoders": "encoder",
    "absence": "encoder",
    "encoder": "encoder",
    "noise": "encoder",
    "decoder": "decoder",
    "block_decoders": "decoder",
    "predictor": "predictor",
}
_COLUMNS = ["part", "block", "type", "input_shape", "output_shape", "n_parameters"]
# Layers that only hold others, or do nothing.
_CONTAINERS = (nn.Sequential, nn.ModuleDict, nn.ModuleList, nn.Identity)

Shapes = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


@isolated
def summary(estimator):
    """List the layers of a fitted network, with their shapes and numbers of parameters.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted supervised autoencoder or chain of such; or a pipeline or a search that ends in one.
        Of an ensemble, the first member: all have the same layers.

    Returns
    -------
    layers : DataFrame of shape (n_layers, 6)
        One row a layer, in the order in which rows of a table go through them, indexed by its name
        in ``net_.module_``; of a chain, by ``stage`` and ``layer``. The columns are

        - ``part``: "encoder", "decoder" or "predictor".
        - ``block``: the block that the layer is of; "" of a layer that all blocks share.
        - ``type``: the class of the layer.
        - ``input_shape``, ``output_shape``: shapes of its input and output for one row of the
          table; (n, width) where the parts of a row, such as its atoms, enter the layer as n rows.
          None where no row enters the layer itself: it is for missing values, or another layer
          uses its weights.
        - ``n_parameters``: the number of its weights and biases.

        A stage that is no supervised autoencoder, such as a PCA, has one row without a part. A
        Gaussian process that predicts is the last row, without parameters: it has no weights, but
        keeps the rows that it was fitted to.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is no supervised autoencoder, and no chain.

    See Also
    --------
    encoder_weights : The weights of the encoder's first layer.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknestedae import SupervisedAutoencoderClassifier
    >>> from sknestedae.inspection import summary
    >>> X, y = load_iris(return_X_y=True)
    >>> sae = SupervisedAutoencoderClassifier(2, hidden_layer_sizes=5, max_iter=5, random_state=0)
    >>> layers = summary(sae.fit(X, y))
    >>> print(layers[["part", "type", "output_shape", "n_parameters"]].rename_axis(None))
                               part    type output_shape  n_parameters
    block_encoders.table    encoder    Clip         (4,)             0
    encoder.0               encoder  Linear         (5,)            25
    encoder.1               encoder    SiLU         (5,)             0
    encoder.2               encoder  Linear         (2,)            12
    decoder.0               decoder  Linear         (5,)            15
    decoder.1               decoder    SiLU         (5,)             0
    block_decoders.table    decoder  Linear         (4,)            24
    predictor.0           predictor  Linear         (3,)             9
    >>> int(layers["n_parameters"].sum())
    85

    A layer by its name:

    >>> sae.net_.module_.get_submodule("encoder.2").weight.shape
    torch.Size([2, 5])
    """
    core = unfrozen(innermost(unfrozen(estimator)))
    check_is_fitted(core)
    if isinstance(core, NestedAutoencoder):
        stages, layers, rows = zip(*_rows_of_chain(core), strict=True)
        index = pd.MultiIndex.from_arrays([stages, layers], names=["stage", "layer"])
        return pd.DataFrame(list(rows), index=index, columns=_COLUMNS)
    if not isinstance(core, BaseSupervisedAutoencoder):
        raise TypeError(
            "summary needs a supervised autoencoder or a chain of them, got a "
            f"{type(core).__name__}."
        )
    found = dict(_rows_of_network(fitted_part(core)))
    index = pd.Index(list(found), name="layer")
    return pd.DataFrame(list(found.values()), index=index, columns=_COLUMNS)


def _rows_of_chain(chain: NestedAutoencoder) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield the stage, the name and the properties of each layer."""
    for name, estimator, _ in chain.stages_:
        core = unfrozen(innermost(unfrozen(estimator)))
        if isinstance(core, NestedAutoencoder):
            for inner, layer, row in _rows_of_chain(core):
                yield f"{name}__{inner}", layer, row
        elif isinstance(core, BaseSupervisedAutoencoder):
            for layer, row in _rows_of_network(fitted_part(core)):
                yield name, layer, row
        else:
            yield name, "", ["", "", type(core).__name__, None, None, 0]


def _rows_of_network(fitted: FittedAutoencoder) -> Iterator[tuple[str, list[Any]]]:
    """Yield the name and the properties of each layer, in the order of ``_PARTS``."""
    module, shapes = fitted.module, _shapes_of(fitted)
    places = list(_PARTS)

    def place(named: tuple[str, nn.Module]) -> int:
        stem = named[0].partition(".")[0]
        return places.index(stem) if stem in places else len(places)

    for name, layer in sorted(module.named_modules(), key=place):
        own = list(layer.parameters(recurse=False))
        is_layer = not isinstance(layer, _CONTAINERS) and next(layer.children(), None) is None
        if name and (own or is_layer):
            stem, _, rest = name.partition(".")
            block = rest.partition(".")[0]
            yield (
                name,
                [
                    _PARTS.get(stem, ""),
                    block if block in module.blocks else "",
                    type(layer).__name__,
                    *shapes.get(name, (None, None)),
                    sum(parameter.numel() for parameter in own),
                ],
            )
    if fitted.head is not None:
        yield "gaussian_process", ["predictor", "", "GaussianProcess", None, None, 0]


def _shapes_of(fitted: FittedAutoencoder) -> Shapes:
    """Send one row through a copy of the network, and record the shapes of each layer."""
    module = copy.deepcopy(fitted.module)
    shapes: Shapes = {}

    def note(name: str) -> Any:
        def hook(_: nn.Module, given: tuple[Any, ...], gave: Any) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(gave, Tensor):
                shapes.setdefault(name, (_shape(given[0]), _shape(gave)))

        return hook

    for name, layer in module.named_modules():
        layer.register_forward_hook(note(name))
    example = fitted.latent_statistics.examples[:1].astype(fitted.table.dtype)
    row = fitted.table.inverse_transform(fitted.decode(example))
    with torch.no_grad():
        module(fitted.batch(row))
    return shapes


def _shape(values: Tensor) -> tuple[int, ...]:
    """Return the shape of a layer's output for one row of a table."""
    return tuple(values.shape[1:]) if len(values) == 1 else tuple(values.shape)
