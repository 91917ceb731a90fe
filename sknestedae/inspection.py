"""What drives a latent or a prediction: weights, correlations, attributions.

Each function gives a table of what a fitted autoencoder, or a chain of them, makes of its columns.
They answer different questions: :func:`encoder_weights` and :func:`column_usage` what enters the
first layer, :func:`latent_correlations` what a latent goes with, and :func:`integrated_gradients`
what each entry of a row adds to a latent or a prediction, through all stages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from sklearn.base import is_classifier
from sklearn.utils import check_consistent_length, gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ._ambient import isolated, isolated_but_output
from ._estimators._base import BaseSupervisedAutoencoder
from ._estimators._differentiable import DifferentiableChain, StageOutputs
from ._estimators._fitted import fitted_part
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
from .blocks import DenseBlock
from .exceptions import NoTargetError

__all__ = ["column_usage", "encoder_weights", "integrated_gradients", "latent_correlations"]

# Rows times steps that pass through the network at once, with their gradients; and how many values
# these may have together, which is what bounds the memory that a wide table takes.
_CHUNK_POINTS = 65_536
_CHUNK_VALUES = 2**22


# ---------------------------------------------------------------------------------------------
# Weights


@isolated
def encoder_weights(estimator, stage=None):
    """Give the weights of the encoder's first layer, by input.

    With an L1 penalty (the parameter ``l1``), they tell which inputs the encoder has use for [1]_;
    :func:`column_usage` sums them up by column. A weight says that an input enters, not what comes
    of it further on, for which see :func:`integrated_gradients`.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted supervised autoencoder or chain of such; or a pipeline or a search that ends in one.
        Of an ensemble the first member, whose latents ``transform`` gives.
    stage : str or int, default=None
        Name or position of a stage of a :class:`~sknestedae.NestedAutoencoder`. None: the last.

    Returns
    -------
    weights : DataFrame of shape (n_inputs, n_units)
        One row an input value: a number, or one category of a categorical column, indexed by
        ``column`` and ``category`` ("" of a number). The latents of the stage before are columns
        too. One column a unit of the first hidden layer; a latent, where there is no hidden layer.
        Unit: of the unit's input, per standard deviation of the column (without ``standardize``,
        per unit of the column), or from absence to presence of the category.

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
    A :class:`~sknestedae.blocks.Block` of another kind has weights of its own. Here are those that
    its outputs enter the common encoder by, indexed by the block's name and the number of the
    output.

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
    inputs = _inputs(core, labels)
    layer = core.net_.module_.encoder[0]
    weights = layer.weight.detach().cpu().numpy().T
    has_hidden_layer = bool(fitted_part(core).architecture["hidden_layer_sizes"])
    units = [f"unit{i}" for i in range(weights.shape[1])]
    if not has_hidden_layer:
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
    """Sum up by column with which weights the encoder's first layer takes it.

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
    estimator: Any, stage: Any, caller: str
) -> tuple[BaseSupervisedAutoencoder, list | None]:
    """Find the autoencoder that is asked for, and the labels of its columns where it has none."""
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


def _inputs(core: BaseSupervisedAutoencoder, labels: list | None) -> list[tuple]:
    """Say of each input of the common encoder where its column stands, and what it is.

    Returns
    -------
    list of (int, label, category)
        Position of the column in the table, its label, and the category ("" of a number).
    """
    fitted = fitted_part(core)
    table = fitted.table
    inputs: list[tuple] = []
    names = table.column_labels
    labels = names.labels if names.is_frame else labels or list(range(table.n_features))
    module: Any = fitted.module
    for name, (numeric, categorical) in table.columns.items():
        is_dense = isinstance(fitted.architecture["blocks"][name], DenseBlock)
        if not (is_dense and isinstance(module.block_encoders[name], torch.nn.Identity)):
            with torch.no_grad():
                values = torch.zeros(
                    (1, table.layouts[name].n_values), dtype=module.encoder[0].weight.dtype
                ).to(fitted.device)
                width = module.block_encoders[name](values).shape[1]
            first = min([*numeric, *categorical])
            inputs += [(first, name, i) for i in range(width)]
            continue
        inputs += [(j, labels[j], "") for j in numeric]
        inputs += [
            (j, labels[j], category) for j in categorical for category in table.categories[j]
        ]
    return inputs


# ---------------------------------------------------------------------------------------------
# Correlations


@isolated_but_output
def latent_correlations(estimator, X, variables, *, stage=None, method="pearson"):
    """Correlate the latents of rows with variables that are known of them.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted estimator with ``transform``, or a pipeline or search that ends in one.
    X : array-like or DataFrame of shape (n_samples, n_features)
        The columns that were fitted.
    variables : DataFrame, Series or array-like of shape (n_samples, n_variables) or (n_samples,)
        Of the same rows, in the same order (row labels, where both have some, must be in one
        order too): numbers or, by their dtype, categories, strings or booleans. A row counts for
        a variable where it is not missing.
    stage : str or int, default=None
        Name or position of a stage of a :class:`~sknestedae.NestedAutoencoder`, whose latents are
        taken. None: the latents that the estimator gives.
    method : {"pearson", "spearman"}, default="pearson"
        Linear correlation, or that of ranks, which knows any monotonic relation.

    Returns
    -------
    correlations : DataFrame of shape (n_latents, n_variables)
        From -1 to 1; of a category the correlation ratio, from 0 to 1. NaN where a latent or a
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
    The correlation ratio of a category is the square root of the fraction of the latent's variance
    (of its ranks' with "spearman") that lies between the categories. It has no sign, and is not 0
    by chance: of :math:`k` categories in :math:`n` rows without any relation its square has the
    mean :math:`(k - 1) / (n - 1)`.

    Latents of different fits are not the same: a latent has no sign of its own, and several may
    share what they know of a variable. Then each correlates little, and a regression on all of
    them tells.

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
    """Correlate columns with values of shape (n_samples,); NaN where one is constant."""
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
        Fitted supervised autoencoder or chain of such, or a search for one. Of a pipeline, pass
        the last step, and the table that it sees.
    X : array-like or DataFrame of shape (n_samples, n_features)
        The columns that were fitted.
    stage : str or int, default=None
        Name or position of a stage of a :class:`~sknestedae.NestedAutoencoder`, whose prediction
        or latent is divided. None: the last.
    latent : int, default=None
        Position of a latent; negative ones count from the last. None: the prediction.
    output : int or class label, default=None
        Which output is divided: of several outputs (of this stage) the position; of a classifier
        the class. None: the only output; the second one of two classes.
    baselines : array-like or DataFrame of shape (1 or n_samples, n_features), default=None
        Rows with the columns of X that the lines begin at. None: the mean of each number, and the
        frequencies of each category, which is how an entry that is not measured enters.
    n_steps : int, default=50
        Number of points on each line.
    return_baseline : bool, default=False
        Whether to give the outputs of the baselines as well.

    Returns
    -------
    attributions : DataFrame of shape (n_samples, n_columns)
        One column for each of the table's that the stage has heard of, the parts of all categories
        summed. In the unit of the output: that of the target; of a class the log-odds
        :math:`\log p / (1 - p)`, without unit; of a latent none. 0 where an entry is missing.
    outputs : ndarray of shape (n_samples,)
        Only with ``return_baseline=True``: what the rows' baselines give. Missing entries of a
        row are missing in its baseline.

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
    Of an ensemble, the mean over the members: for a number that divides the mean prediction, for a
    class the mean log-odds. A latent is the first member's.

    The sum of a row, with its baseline's output, is its prediction up to the error of the
    integral. Where that is not small, raise `n_steps`: kinks, as of ``activation="relu"``, need
    more.

    Attributions tell of the model, not of the world. Columns that move together share what they
    have in common in whatever way the fit has divided it.

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
    flow = DifferentiableChain(estimator, caller)
    if stage is not None:
        k = stage_position(flow.estimator, stage)
        flow = DifferentiableChain(flow.estimator[: k + 1], caller)
    choose = _latent_of(flow, latent) if latent is not None else _output_of(flow, output)
    parts = [
        _attribute(DifferentiableChain(network, caller), X, choose, baselines, int(n_steps))
        for network in _networks(flow.estimator, of_latent=latent is not None)
    ]
    mean = np.mean([values for values, _ in parts], axis=0)
    own = sorted(j for columns in flow.columns for j in columns)
    index = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(mean))
    attributions = pd.DataFrame(mean[:, own], index=index)
    attributions.columns = _labels_of_columns(flow.estimator)[own]
    if not return_baseline:
        return attributions
    return attributions, np.mean([outputs for _, outputs in parts], axis=0)


def _labels_of_columns(estimator: Any) -> pd.Index:
    """Give the labels of the table that was fitted; of an array the positions."""
    if isinstance(estimator, NestedAutoencoder):
        return estimator._columns.index()
    return fitted_part(estimator).table.column_labels.index()


def _networks(estimator: Any, *, of_latent: bool) -> list[Any]:
    """Give estimators of one network a stage, whose mean is the output that is asked for."""
    if of_latent:
        return [estimator]
    if not isinstance(estimator, NestedAutoencoder):
        return estimator.members_
    networks = []
    for chain in estimator.members_:
        name, last, columns = chain.stages_[-1]
        for member in unfrozen(innermost(last, steps=False)).members_:
            part = chain[: len(chain)]
            part.stages_ = [*part.stages_[:-1], (name, member, columns)]
            networks.append(part)
    return networks


def _latent_of(
    flow: DifferentiableChain, latent: Any
) -> Callable[[DifferentiableChain, StageOutputs], Tensor]:
    """Give what picks a latent of the last stage."""
    n_latents = flow.fitted[-1].n_components
    is_index = isinstance(latent, Integral) and not isinstance(latent, bool)
    if not is_index or not -n_latents <= int(latent) < n_latents:
        raise ValueError(
            f"The 'latent' parameter must be an int from {-n_latents} to {n_latents - 1}, as "
            f"there are {n_latents} latents; got {latent!r}."
        )
    return lambda _, reading: reading.latents[:, int(latent)]


def _output_of(
    flow: DifferentiableChain, output: Any
) -> Callable[[DifferentiableChain, StageOutputs], Tensor]:
    """Give what picks an output of the last stage's prediction, in its own unit."""
    estimator, name = flow.estimators[-1], flow.names[-1]
    target = flow.fitted[-1].target
    if target is None:
        what = f"Stage {name!r}" if name else f"This {type(estimator).__name__}"
        raise NoTargetError(
            f"{what} was fitted without a target (y=None), so that it has no prediction; ask for "
            "a latent."
        )
    if is_classifier(estimator):
        classes = estimator.classes_.tolist()
        if output is None and len(classes) == 2:
            output = classes[1]
        if output not in classes:
            raise ValueError(
                f"The 'output' parameter must be one of the classes {classes}, got {output!r}."
            )
        c = classes.index(output)
        others = [i for i in range(len(classes)) if i != c]

        def log_odds(_: DifferentiableChain, reading: StageOutputs) -> Tensor:
            logits: Any = reading.prediction
            return logits[:, c] - torch.logsumexp(logits[:, others], dim=1)

        return log_odds
    n_outputs = target.layout.n_numeric
    j = 0 if output is None and n_outputs == 1 else output
    is_index = isinstance(j, Integral) and not isinstance(j, bool)
    if not is_index or not -n_outputs <= int(j) < n_outputs:
        raise ValueError(
            f"The 'output' parameter must be an int from {-n_outputs} to {n_outputs - 1}, as "
            f"there are {n_outputs} outputs; got {output!r}."
        )

    def number(flow: DifferentiableChain, reading: StageOutputs) -> Tensor:
        prediction: Any = reading.prediction
        target: Any = flow.fitted[-1].target
        mean, scale = target.affine()
        return prediction[:, int(j)] * scale[int(j)] + mean[int(j)]

    return number


def _attribute(
    flow: DifferentiableChain,
    X: Any,
    choose: Callable[[DifferentiableChain, StageOutputs], Tensor],
    baselines: Any,
    n_steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Integrate the gradients of one network a stage.

    Returns
    -------
    attributions : ndarray of shape (n_samples, n_features)
        For each column of the table that was fitted.
    outputs : ndarray of shape (n_samples,)
        Of the baselines.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ImportError(
            "integrated_gradients needs the package 'captum'. Install it with "
            "`pip install 'sknestedae[inspection]'`."
        ) from error

    X = flow.check(X)
    parts = flow.encode(X)
    keys = [(k, name) for k, rows in enumerate(parts) for name in rows.values]
    masks = [(k, name) for k, rows in enumerate(parts) for name in rows.measured]
    columns = [flow.columns_of_values(k)[name] for k, name in keys]
    ends = [parts[k].values[name] for k, name in keys]
    starts = _starts(flow, X, baselines, keys, columns, ends)
    measured = [parts[k].measured[name] for k, name in masks]

    def forward(*tensors: Tensor) -> Tensor:
        rows = [Batch({}) for _ in parts]
        for (k, name), values in zip(keys, tensors, strict=False):
            rows[k].values[name] = values
        for (k, name), mask in zip(masks, tensors[len(keys) :], strict=True):
            rows[k].measured[name] = mask
        return choose(flow, flow.forward(rows)[-1])

    n_features = flow.estimator.n_features_in_
    attributions, outputs = np.zeros((len(X), n_features)), np.zeros(len(X))
    method = IntegratedGradients(forward)
    n_values = sum(values.shape[1] for values in ends)
    for chunk in gen_batches(len(X), _rows_at_once(n_values, n_steps)):
        start, end = tuple(t[chunk] for t in starts), tuple(t[chunk] for t in ends)
        mask = tuple(t[chunk] for t in measured)
        found = method.attribute(end, start, additional_forward_args=mask, n_steps=n_steps)
        for values, own in zip(found, columns, strict=True):
            is_column = own[:, None] == np.arange(n_features)  # latents are none
            attributions[chunk] += values.detach().cpu().numpy() @ is_column
        with torch.no_grad():
            outputs[chunk] = forward(*start, *mask).cpu().numpy()
    return attributions, outputs


def _rows_at_once(n_values: int, n_steps: int) -> int:
    """Give how many rows fit into the memory at once; at least one, with all its steps."""
    n_points = min(_CHUNK_POINTS, _CHUNK_VALUES // max(n_values, 1))
    return max(n_points // n_steps, 1)


def _starts(
    flow: DifferentiableChain,
    X: Any,
    baselines: Any,
    keys: Iterable[tuple[int, str]],
    columns: list[np.ndarray],
    ends: list[Tensor],
) -> list[Tensor]:
    """Give the values at which the lines begin, of the shapes of those at which they end.

    What is not measured in a row, and what stands where latents belong, is the same at both ends.
    """
    if baselines is None:
        given = [
            torch.as_tensor(flow.fitted[k].table.codecs[name].missing_row()[None])
            for k, name in keys
        ]
    else:
        check_one_table(baselines, "integrated_gradients", "Pass one table.")
        baselines = flow.check(baselines)
        if len(baselines) not in (1, len(X)):
            raise ValueError(
                f"The 'baselines' parameter must have one row or the {len(X)} rows of X, got "
                f"{len(baselines)}."
            )
        parts = flow.encode(baselines)
        given = [parts[k].values[name] for k, name in keys]
    missing = pd.isna(pd.DataFrame(X)).to_numpy()
    starts = []
    for start, own, end in zip(given, columns, ends, strict=True):
        kept = torch.as_tensor((own < 0) | missing[:, own], device=end.device)
        starts.append(torch.where(kept, end, start.to(end)))
    return starts
