"""Weights of the encoder's first layer, by input and by column."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted

from .._ambient import isolated
from .._estimators._base import BaseSupervisedAutoencoder
from .._estimators._fitted import FittedAutoencoder, fitted_part
from .._estimators._nested import NestedAutoencoder
from .._estimators._unwrap import innermost, names_of_latents, stage_position, unfrozen
from .._layers._dense import Clip, Dropout
from ..blocks import DenseBlock


@isolated
def encoder_weights(estimator, stage=None):
    """Return the weights of the encoder's first layer, by input.

    With an L1 penalty (the parameter ``l1``), they show which inputs the encoder uses [1]_;
    :func:`column_usage` sums them up by column. A weight shows that an input enters the network,
    not how much it changes a latent or a prediction, for which see :func:`integrated_gradients`.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted supervised autoencoder or chain of such; or a pipeline or a search that ends in one.
        For an ensemble the first member, whose latents ``transform`` gives.
    stage : str or int, default=None
        Name or position of a stage of a :class:`~sknestedae.NestedAutoencoder`. None: the last.

    Returns
    -------
    weights : DataFrame of shape (n_inputs, n_units)
        One row for each input value: a number, or one category of a categorical column, indexed by
        ``column`` and ``category`` ("" for a number). The latents of the stage before are columns
        too. One column a unit of the first hidden layer; a latent, where there is no hidden layer.
        In units of the hidden unit's input, per standard deviation of the column (without
        ``standardize``, per unit of the column), or from absence to presence of the category.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it, or the stage, is no supervised autoencoder.
    ValueError
        If there is no such stage.

    See Also
    --------
    column_usage : One row a column.

    Notes
    -----
    A :class:`~sknestedae.blocks.Block` of another kind, such as that of an image, has weights of
    its own. Those given here are the weights with which its outputs enter the common encoder,
    indexed by the block's name and the number of the output. No weight shows which pixels matter;
    :func:`integrated_gradients` does.

    References
    ----------
    .. [1] N. Thota, M. Sharma Priyadarshini, R. Hernandez, Materials Horizons 11, 700 (2024).
       :doi:`10.1039/D3MH01484C`

    Examples
    --------
    >>> import pandas as pd
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.inspection import encoder_weights
    >>> X = pd.DataFrame({"radius": [1.0, 2.0, 4.0], "phase": ["cubic", "cubic", "hexagonal"]})
    >>> sae = SupervisedAutoencoder(1, hidden_layer_sizes=(3,), max_iter=5, random_state=0)
    >>> weights = encoder_weights(sae.fit(X))
    >>> weights.shape
    (3, 3)
    >>> list(weights.index)
    [('radius', ''), ('phase', 'cubic'), ('phase', 'hexagonal')]
    """
    core, labels = _autoencoder(estimator, stage, "encoder_weights")
    fitted = fitted_part(core)
    inputs = _inputs(fitted, labels)
    if not fitted.module.joins_blocks:
        raise TypeError(
            f"encoder_weights needs one encoder for all columns; a {type(core).__name__} has one "
            "for each kind of data. Use attributions."
        )
    layer: Any = next(fitted.module.encoder.children())
    weights = layer.weight.detach().cpu().numpy().T
    if fitted.architecture["hidden_layer_sizes"]:
        units = [f"unit{i}" for i in range(weights.shape[1])]
    else:  # the first layer gives the latents, and behind them what variances they have
        weights = weights[:, : fitted.n_components]
        units = names_of_latents(core, weights.shape[1])
    order = np.argsort([position for position, _, _ in inputs], kind="stable")
    columns = [inputs[i][1] for i in order]
    index = pd.MultiIndex.from_arrays(
        [pd.Index(columns, tupleize_cols=False, dtype=object), [inputs[i][2] for i in order]],
        names=["column", "category"],
    )
    return pd.DataFrame(weights[order], index=index, columns=units)


@isolated
def column_usage(estimator, stage=None, *, threshold=0.01):
    """Sum up the weights of the encoder's first layer by column.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator, stage
        As in :func:`encoder_weights`.
    threshold : float, default=0.01
        A weight counts if its absolute value is more than this fraction of the layer's largest.
        Training with an L1 penalty does not make weights exactly 0: they come to lie about 0, at a
        distance of the order of the last learning rate. With ``learning_rate="cosine"`` that is
        less than a thousandth of the largest, and hardly any lie between a thousandth and a
        hundredth.

    Returns
    -------
    usage : DataFrame of shape (n_columns, 5)
        For each column of the stage's table, latents of the stage before included: ``l1`` and
        ``l2``, the norms of all its weights; ``largest``, the largest absolute value as a fraction
        of the layer's largest; ``n_units``, the number of units with a weight that counts; and
        ``used``, whether there is such a unit.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As in :func:`encoder_weights`; and if the threshold is not between 0 and 1.

    See Also
    --------
    encoder_weights : The weights themselves.

    Notes
    -----
    Numbers are standardised inside, so that their weights can be compared (not so with
    ``standardize=False``). A categorical column has a weight for each category, of values that are
    0 or 1, and so a smaller standard deviation: compare such columns among each other.

    Examples
    --------
    A target that follows from one of three columns, and an encoder that serves the target alone:

    >>> import numpy as np
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.inspection import column_usage
    >>> X = np.random.RandomState(0).normal(size=(100, 3))
    >>> sae = SupervisedAutoencoder(
    ...     1,
    ...     hidden_layer_sizes=(),
    ...     reconstruction_weight=0,
    ...     l1=0.03,
    ...     max_iter=300,
    ...     random_state=0,
    ... )
    >>> column_usage(sae.fit(X, X[:, 1]))["used"].to_list()
    [False, True, False]
    """
    if not isinstance(threshold, Real) or not 0 <= float(threshold) < 1:
        raise ValueError(
            f"The 'threshold' parameter must be a float from 0 to below 1, got {threshold!r}."
        )
    weights = encoder_weights(estimator, stage).abs()
    top = weights.to_numpy().max()
    labels = weights.index.get_level_values("column")
    codes, columns = pd.factorize(labels)
    rows = []
    for k in range(len(columns)):
        own = weights.to_numpy()[codes == k]
        n_units = int((own > threshold * top).any(axis=0).sum())
        rows.append(
            {
                "l1": own.sum(),
                "l2": np.sqrt((own**2).sum()),
                "largest": own.max() / top if top else 0.0,
                "n_units": n_units,
                "used": n_units > 0,
            }
        )
    index = pd.Index(list(columns), tupleize_cols=False, name="column")
    return pd.DataFrame(rows, index=index)


def _autoencoder(
    estimator: Any, stage: str | int | None, caller: str
) -> tuple[BaseSupervisedAutoencoder, list[Any] | None]:
    """Find an autoencoder, and the labels of its columns where it was fitted to an array.

    Parameters
    ----------
    estimator : estimator
    stage : str, int or None
    caller : str
        The function that the message names where the estimator is of another kind.

    Returns
    -------
    core : BaseSupervisedAutoencoder
    labels : list or None
        For a stage of a chain, unless steps stand before it: those of its own columns, and the
        names of the latents of the stage before.
    """
    core = unfrozen(innermost(unfrozen(estimator)))
    check_is_fitted(core)
    labels: list[Any] | None = None
    where = ""
    if isinstance(core, NestedAutoencoder) or stage is not None:
        k = stage_position(core, -1 if stage is None else stage)
        name, found, own = core.stages_[k]
        where = f" as stage {name!r}"
        if unfrozen(found) is unfrozen(innermost(unfrozen(found))):  # no steps stand before
            labels = list(own)
            if k:
                before = core[:k].set_params(latents="last")
                labels += [str(label) for label in before.get_feature_names_out()]
        core = unfrozen(innermost(unfrozen(found)))
    if not isinstance(core, BaseSupervisedAutoencoder):
        raise TypeError(
            f"{caller} needs a supervised autoencoder or a chain of them, got a "
            f"{type(core).__name__}{where}."
        )
    return core, labels


def _keeps_columns(encoder: torch.nn.Module) -> bool:
    """Return whether each output of a block's encoder is one of its inputs."""
    layers = list(encoder) if isinstance(encoder, torch.nn.Sequential) else [encoder]
    return all(isinstance(layer, torch.nn.Identity | Clip | Dropout) for layer in layers)


def _inputs(
    fitted: FittedAutoencoder, labels: list[Any] | None
) -> list[tuple[int, Hashable, Hashable]]:
    """List the inputs of the common encoder.

    Parameters
    ----------
    fitted : FittedAutoencoder
    labels : list or None
        Of the columns, where the autoencoder was fitted to an array; None: their positions.

    Returns
    -------
    list of (int, label, category)
        Position of the input's column in the table, its label, and the category ("" for a
        number).
    """
    table, module = fitted.table, fitted.module
    own = table.column_labels
    labels = own.labels if own.is_frame else labels or list(range(table.n_features))
    inputs: list[tuple[int, Hashable, Hashable]] = []
    for name, (numeric, categorical) in table.columns.items():
        block, encoder = fitted.architecture["blocks"][name], module.block_encoders[name]
        if isinstance(block, DenseBlock) and _keeps_columns(encoder):
            inputs += [(j, labels[j], "") for j in numeric]
            inputs += [
                (j, labels[j], category) for j in categorical for category in table.categories[j]
            ]
            continue
        # the encoder of another block mixes its columns: only its width is known
        first = min([*numeric, *categorical])
        inputs += [(first, name, i) for i in range(module.block_widths[name])]
    return inputs
