"""What drives a latent or a prediction: weights, correlations, attributions.

Each function gives a table about a fitted autoencoder, or a chain of them. They answer different
questions: :func:`encoder_weights` and :func:`column_usage`, which columns enter the first layer;
:func:`latent_correlations`, with which variables a latent goes; and :func:`integrated_gradients`,
how much each entry of a row adds to a latent or a prediction, through all stages.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from sklearn.utils import check_consistent_length, gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ._ambient import isolated, isolated_but_output
from ._estimators._base import BaseSupervisedAutoencoder
from ._estimators._differentiable import DifferentiableChain, StageOutputs
from ._estimators._fitted import FittedAutoencoder, fitted_part
from ._estimators._nested import NestedAutoencoder
from ._estimators._unwrap import (
    check_one_table,
    innermost,
    names_of_latents,
    stage_position,
    unfrozen,
    up_to_stage,
)
from ._networks._batch import Batch
from ._tables._columns import factorize, is_categorical
from ._tables._input import check_same_rows, to_pandas
from ._tables._statistics import standard_deviation
from ._tables._target import ClassTarget, NumericTarget
from .blocks import DenseBlock
from .exceptions import NoTargetError

__all__ = ["column_usage", "encoder_weights", "integrated_gradients", "latent_correlations"]

# Rows times steps that pass through the network at once, with their gradients; and how many values
# these may have together, which bounds the memory that a wide table takes.
_CHUNK_POINTS = 65_536
_CHUNK_VALUES = 2**22


# ---------------------------------------------------------------------------------------------
# Weights


@isolated
def encoder_weights(estimator, stage=None):
    """Give the weights of the encoder's first layer, by input.

    With an L1 penalty (the parameter ``l1``), they tell which inputs the encoder uses [1]_;
    :func:`column_usage` sums them up by column. A weight says that an input enters the network,
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
        One row an input value: a number, or one category of a categorical column, indexed by
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
    A :class:`~sknestedae.blocks.Block` of another kind has weights of its own. Those given here
    are the weights with which its outputs enter the common encoder, indexed by the block's name
    and the number of the output.

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
    layer: Any = fitted.module.encoder[0]
    weights = layer.weight.detach().cpu().numpy().T
    if fitted.architecture["hidden_layer_sizes"]:
        units = [f"unit{i}" for i in range(weights.shape[1])]
    else:  # the first layer gives the latents
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
    ...     1, hidden_layer_sizes=(), reconstruction_weight=0, l1=0.03, random_state=0
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
        if isinstance(block, DenseBlock) and isinstance(encoder, torch.nn.Identity):
            inputs += [(j, labels[j], "") for j in numeric]
            inputs += [
                (j, labels[j], category) for j in categorical for category in table.categories[j]
            ]
            continue
        # the encoder of another block mixes its columns: only its width is known, from one row
        row = torch.zeros(
            (1, table.layouts[name].n_values), dtype=fitted.dtype, device=fitted.device
        )
        with torch.no_grad():
            width = encoder(row).shape[1]
        first = min([*numeric, *categorical])
        inputs += [(first, name, i) for i in range(width)]
    return inputs


# ---------------------------------------------------------------------------------------------
# Correlations


@isolated_but_output
def latent_correlations(estimator, X, variables, *, stage=None, method="pearson"):
    """Correlate the latents of rows with known variables of the same rows.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with ``transform``, or a pipeline or search that ends in one.
    X : array-like or DataFrame of shape (n_samples, n_features)
        The columns that were fitted.
    variables : DataFrame, Series or array-like of shape (n_samples, n_variables) or (n_samples,)
        For the same rows, in the same order (row labels, where both have some, must be in one
        order too): numbers or, by their dtype, categories, strings or booleans. A row counts for
        a variable where it is not missing.
    stage : str or int, default=None
        Name or position of a stage of a :class:`~sknestedae.NestedAutoencoder`, whose latents are
        taken. None: the latents that the estimator gives.
    method : {"pearson", "spearman"}, default="pearson"
        Linear correlation, or that of ranks, which finds any monotonic relation.

    Returns
    -------
    correlations : DataFrame of shape (n_latents, n_variables)
        From -1 to 1; for categories the correlation ratio, from 0 to 1. NaN where a latent or a
        variable is constant in the rows that count.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If X is a list of tables, or a variable holds neither numbers nor categories.
    ValueError
        If there are not as many rows of variables as of X, a variable is infinite, or there is no
        such stage or method.

    See Also
    --------
    sknestedae.plotting.LatentDisplay : The latents as a plane, coloured by a variable.

    Notes
    -----
    The correlation ratio is the square root of the fraction of the latent's variance (of its
    ranks' with "spearman") that lies between the categories. It has no sign, and is above 0 by
    chance alone: for :math:`k` categories in :math:`n` rows without any relation its square has
    the mean :math:`(k - 1) / (n - 1)`.

    Latents of different fits are not the same: a latent has no sign of its own, and several may
    share the information about a variable. Then each correlates little, and only a regression on
    all of them tells.

    Examples
    --------
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.datasets import make_nested_functions
    >>> from sknestedae.inspection import latent_correlations
    >>> data = make_nested_functions(100, random_state=0)
    >>> sae = SupervisedAutoencoder(1, max_iter=20, random_state=0).fit(data.data[0])
    >>> latent_correlations(sae, data.data[0], data.z[["z1"]], method="spearman").abs().round(2)
                             z1
    supervisedautoencoder0  1.0
    """
    if method not in ("pearson", "spearman"):
        raise ValueError(
            f"The 'method' parameter must be 'pearson' or 'spearman', got {method!r}."
        )
    check_one_table(X, "latent_correlations", "Pass one table, and stage=... for its latents.")
    X, variables = to_pandas(X), to_pandas(variables, "variables")
    check_same_rows(X, variables=variables)
    if stage is not None:
        estimator = up_to_stage(estimator, stage)
    Z = estimator.transform(X)
    Z = np.asarray(Z.toarray() if hasattr(Z, "toarray") else Z, dtype=float)
    frame = pd.DataFrame(variables)
    check_consistent_length(Z, frame)
    correlations = {}
    for j, label in enumerate(frame.columns):
        column = frame.iloc[:, j]
        known = column.notna().to_numpy()
        latents = Z[known]
        if method == "spearman" and len(latents):
            latents = rankdata(latents, axis=0)
        name = f"{label!r} of 'variables'"
        if is_categorical(column, name):
            codes, _ = factorize(column[known], name)
            correlations[j] = _correlation_ratio(latents, codes)
            continue
        values = pd.to_numeric(column[known]).to_numpy(dtype=float)
        if np.isinf(values).any():
            raise ValueError(f"Column {name} contains infinity; leave it out as NaN.")
        values = rankdata(values) if method == "spearman" else values
        correlations[j] = _correlation(latents, values)
    index = pd.Index(names_of_latents(estimator, Z.shape[1]))
    return pd.DataFrame(correlations, index=index).set_axis(frame.columns, axis=1)


def _correlation(Z: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Correlate columns with values of shape (n_samples,); NaN where either is constant."""
    result = np.full(Z.shape[1], np.nan)
    if standard_deviation(values) == 0:
        return result
    values = np.ldexp(values, -np.frexp(np.abs(values).max())[1])  # near 1, to be squared
    varies = np.ptp(Z, axis=0) > 0
    Z, values = Z[:, varies] - Z[:, varies].mean(axis=0), values - values.mean()
    norms = np.linalg.norm(Z, axis=0) * np.linalg.norm(values)
    result[varies] = np.clip(values @ Z / norms, -1, 1)
    return result


def _correlation_ratio(Z: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Give the root of the fraction of variance between groups; NaN where there is but one."""
    result = np.full(Z.shape[1], np.nan)
    counts = np.bincount(codes)
    if len(counts) < 2:
        return result
    varies = np.ptp(Z, axis=0) > 0
    Z = Z[:, varies] - Z[:, varies].mean(axis=0)
    sums = np.zeros((len(counts), Z.shape[1]))
    np.add.at(sums, codes, Z)
    between = (sums**2 / counts[:, None]).sum(axis=0)
    result[varies] = np.sqrt(np.clip(between / (Z**2).sum(axis=0), 0, 1))
    return result


# ---------------------------------------------------------------------------------------------
# Attributions


@isolated
def integrated_gradients(
    estimator,
    X,
    *,
    stage=None,
    latent=None,
    output=None,
    baselines=None,
    n_steps=50,
    return_baseline=False,
):
    r"""Divide a prediction, or a latent, among the entries of its row.

    The attribution of an entry is the integral of the gradient along the straight line from a
    baseline to the row [1]_. It goes through the whole chain: a column of the first scale has its
    part in the last stage's prediction. The attributions of a row sum to its output less that of
    the baseline.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted supervised autoencoder or chain of such, or a search for one. For a pipeline, pass
        the last step, and the table that it sees.
    X : array-like or DataFrame of shape (n_samples, n_features)
        The columns that were fitted.
    stage : str or int, default=None
        Name or position of a stage of a :class:`~sknestedae.NestedAutoencoder`, whose prediction
        or latent is divided. None: the last.
    latent : int, default=None
        Position of a latent; negative ones count from the last. None: the prediction.
    output : int or class label, default=None
        Which output is divided: the position among several outputs (of this stage); for a
        classifier the class. None: the only output; the second one of two classes.
    baselines : array-like or DataFrame of shape (1 or n_samples, n_features), default=None
        Rows with the columns of X that the lines begin at. None: the mean of each number, and the
        frequencies of each category, as which a missing entry enters.
    n_steps : int, default=50
        Number of points on each line.
    return_baseline : bool, default=False
        Whether to give the outputs of the baselines as well.

    Returns
    -------
    attributions : DataFrame of shape (n_samples, n_columns)
        One column for each column of the table that reaches the stage, the parts of all categories
        summed. In the unit of the output: that of the target; for a class the log-odds
        :math:`\log p / (1 - p)`, without unit; for a latent none. 0 where an entry is missing.
    outputs : ndarray of shape (n_samples,)
        Only with ``return_baseline=True``: the outputs for the rows' baselines. Missing entries of
        a row are missing in its baseline.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    NoTargetError
        If a prediction is asked of a stage without a target.
    TypeError
        If the estimator is of another kind, or X a list of tables.
    ValueError
        If there is no such stage, latent, output or class, or the baselines do not go with X.
    ImportError
        If captum is not installed.

    See Also
    --------
    sklearn.inspection.permutation_importance : What a score loses without a column.

    Notes
    -----
    For an ensemble, the mean over the members: for a number that divides the mean prediction, for
    a class the mean log-odds. A latent is the first member's.

    The sum of a row, with its baseline's output, is its prediction up to the error of the
    integral. Where that is not small, raise `n_steps`: kinks, as of ``activation="relu"``, need
    more.

    Attributions are about the model, not about the world. Columns that move together share their
    common part in whatever way the fit has divided it.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML
       (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.inspection import integrated_gradients
    >>> X = np.random.RandomState(0).normal(size=(100, 3))
    >>> sae = SupervisedAutoencoder(2, max_iter=50, random_state=0).fit(X, 5 * X[:, 1])
    >>> attributions, outputs = integrated_gradients(sae, X, return_baseline=True)
    >>> attributions.abs().mean().idxmax()
    1
    >>> bool(np.allclose(outputs + attributions.sum(axis=1), sae.predict(X), atol=1e-4))
    True
    """
    caller = "integrated_gradients"
    check_one_table(X, caller, "Pass one table, such as stack_scales makes of them.")
    X = to_pandas(X)
    if not isinstance(n_steps, Integral) or n_steps < 1:
        raise ValueError(f"The 'n_steps' parameter must be a positive int, got {n_steps!r}.")
    if latent is not None and output is not None:
        raise ValueError(
            f"Either a 'latent' or an 'output' can be divided, got {latent!r} and {output!r}."
        )
    chain = DifferentiableChain(estimator, caller)
    if stage is not None:
        chain = chain.up_to(stage_position(chain.estimator, stage))
    if latent is not None:
        choose, chains = _latent_of(chain, latent), [chain]
    else:
        choose = _output_of(chain, output)
        last = len(chain) - 1
        # of one network a stage each: their mean is the prediction of an ensemble of chains, and
        # of a last stage that is an ensemble itself
        chains = [own for member in chain.members() for own in member.members_of_stage(last)]
    parts = [_attribute(own, X, choose, baselines, int(n_steps)) for own in chains]
    mean = np.mean([values for values, _ in parts], axis=0)
    own = sorted(j for columns in chain.columns for j in columns)
    index = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(mean))
    attributions = pd.DataFrame(mean[:, own], index=index)
    attributions.columns = chain.labels()[own]
    if not return_baseline:
        return attributions
    return attributions, np.mean([outputs for _, outputs in parts], axis=0)


# Picks what is divided from the outputs of the last stage of a chain, of shape (n_samples,).
_Choice = Callable[[DifferentiableChain, StageOutputs], Tensor]


def _latent_of(chain: DifferentiableChain, latent: Any) -> _Choice:
    """Give the function that picks a latent of the last stage."""
    n_latents = chain.stages[-1].n_components
    is_index = isinstance(latent, Integral) and not isinstance(latent, bool)
    if not is_index or not -n_latents <= int(latent) < n_latents:
        raise ValueError(
            f"The 'latent' parameter must be an int from {-n_latents} to {n_latents - 1}, as "
            f"there are {n_latents} latents; got {latent!r}."
        )
    return lambda _, outputs: outputs.latents[:, int(latent)]


def _output_of(chain: DifferentiableChain, output: Any) -> _Choice:
    """Give the function that picks an output of the last stage's prediction, in its own unit."""
    target, name = chain.stages[-1].target, chain.names[-1]
    if target is None:
        what = f"Stage {name!r}" if name else f"This {type(chain.estimators[-1]).__name__}"
        raise NoTargetError(
            f"{what} was fitted without a target (y=None), so that it has no prediction; ask for "
            "a latent."
        )
    if isinstance(target, ClassTarget):
        return _log_odds(target.classes.tolist(), output)
    n_outputs = target.layout.n_numeric
    j = 0 if output is None and n_outputs == 1 else output
    is_index = isinstance(j, Integral) and not isinstance(j, bool)
    if not is_index or not -n_outputs <= int(j) < n_outputs:
        raise ValueError(
            f"The 'output' parameter must be an int from {-n_outputs} to {n_outputs - 1}, as "
            f"there are {n_outputs} outputs; got {output!r}."
        )

    def number(chain: DifferentiableChain, outputs: StageOutputs) -> Tensor:
        # of the chain that is given: a member of an ensemble has a mean and a scale of its own
        own = chain.stages[-1].target
        assert isinstance(own, NumericTarget)
        assert outputs.prediction is not None
        mean, scale = own.affine()
        return outputs.prediction[:, int(j)] * scale[int(j)] + mean[int(j)]

    return number


def _log_odds(classes: list[Any], output: Any) -> _Choice:
    """Give the function that picks a class's log-odds."""
    if output is None and len(classes) == 2:
        output = classes[1]
    if output not in classes:
        raise ValueError(
            f"The 'output' parameter must be one of the classes {classes}, got {output!r}."
        )
    c = classes.index(output)
    others = [i for i in range(len(classes)) if i != c]

    def log_odds(_: DifferentiableChain, outputs: StageOutputs) -> Tensor:
        logits = outputs.prediction
        assert logits is not None
        # log p / (1 - p): the normalisation, which is in both, cancels
        return logits[:, c] - torch.logsumexp(logits[:, others], dim=1)

    return log_odds


def _attribute(
    chain: DifferentiableChain,
    X: Any,
    choose: _Choice,
    baselines: Any,
    n_steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate the gradients of one network a stage.

    Parameters
    ----------
    chain : DifferentiableChain
    X, baselines
        As in ``integrated_gradients``.
    choose : callable
        Picks the output that is divided.
    n_steps : int
        Number of points on each line.

    Returns
    -------
    attributions : ndarray of shape (n_samples, n_features)
        For each column of the table that was fitted.
    outputs : ndarray of shape (n_samples,)
        For the baselines.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ImportError(
            "integrated_gradients needs the package 'captum'. Install it with "
            "`pip install 'sknestedae[inspection]'`."
        ) from error

    X = chain.check(X)
    parts = chain.encode(X)
    keys = [(k, name) for k, rows in enumerate(parts) for name in rows.values]
    masks = [(k, name) for k, rows in enumerate(parts) for name in rows.measured]
    columns = [chain.columns_of_values(k)[name] for k, name in keys]
    ends = [parts[k].values[name] for k, name in keys]
    starts = _starts(chain, X, baselines, keys, columns, ends)
    measured = [parts[k].measured[name] for k, name in masks]

    # captum knows functions of tensors alone: the values of all blocks of all stages, which are
    # followed from one end to the other, and then the masks, which stay
    def forward(*tensors: Tensor) -> Tensor:
        rows = [Batch({}) for _ in parts]
        for (k, name), values in zip(keys, tensors[: len(keys)], strict=True):
            rows[k].values[name] = values
        for (k, name), mask in zip(masks, tensors[len(keys) :], strict=True):
            rows[k].measured[name] = mask
        return choose(chain, chain.forward(rows)[-1])

    n_features = chain.estimator.n_features_in_
    attributions, outputs = np.zeros((len(X), n_features)), np.zeros(len(X))
    method = IntegratedGradients(forward)
    n_values = sum(values.shape[1] for values in ends)
    for chunk in gen_batches(len(X), _rows_at_once(n_values, n_steps)):
        start, end = tuple(t[chunk] for t in starts), tuple(t[chunk] for t in ends)
        mask = tuple(t[chunk] for t in measured)
        found = method.attribute(end, start, additional_forward_args=mask, n_steps=n_steps)
        for values, own in zip(found, columns, strict=True):
            # sums the values of a column, such as its categories; those of latents, which are -1,
            # belong to none
            is_column = own[:, None] == np.arange(n_features)
            attributions[chunk] += values.detach().cpu().numpy() @ is_column
        with torch.no_grad():
            outputs[chunk] = forward(*start, *mask).cpu().numpy()
    return attributions, outputs


def _rows_at_once(n_values: int, n_steps: int) -> int:
    """Give how many rows fit into the memory at once; at least one, with all its steps."""
    n_points = min(_CHUNK_POINTS, _CHUNK_VALUES // max(n_values, 1))
    return max(n_points // n_steps, 1)


def _starts(
    chain: DifferentiableChain,
    X: pd.DataFrame | np.ndarray,
    baselines: Any,
    keys: Iterable[tuple[int, str]],
    columns: list[np.ndarray],
    ends: list[Tensor],
) -> list[Tensor]:
    """Give the values at which the lines begin.

    A missing entry, and the values where latents belong, are the same at both ends: so they have
    no part in the difference.

    Parameters
    ----------
    chain : DifferentiableChain
    X : DataFrame or ndarray of shape (n_samples, n_features)
        Checked.
    baselines
        As in ``integrated_gradients``.
    keys : iterable of (int, str)
        Stage and block of each of the values.
    columns : list of ndarray of int, shape (n_values,)
        Which column of X each value belongs to; -1 for latents.
    ends : list of Tensor of shape (n_samples, n_values)
        The values of X, at which the lines end.

    Returns
    -------
    list of Tensor of shape (n_samples, n_values)
    """
    if baselines is None:
        given = [
            torch.as_tensor(chain.stages[k].table.codecs[name].missing_row()[None])
            for k, name in keys
        ]
    else:
        check_one_table(baselines, "integrated_gradients", "Pass one table.")
        baselines = chain.check(baselines)
        if len(baselines) not in (1, len(X)):
            raise ValueError(
                f"The 'baselines' parameter must have one row or the {len(X)} rows of X, got "
                f"{len(baselines)}."
            )
        parts = chain.encode(baselines)
        given = [parts[k].values[name] for k, name in keys]
    missing = pd.isna(pd.DataFrame(X)).to_numpy()
    starts = []
    for start, own, end in zip(given, columns, ends, strict=True):
        # the -1 of latents would look up the last column, which does not matter beside own < 0
        kept = torch.as_tensor((own < 0) | missing[:, own], device=end.device)
        starts.append(torch.where(kept, end, start.to(end)))
    return starts
