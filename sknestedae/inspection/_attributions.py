"""Attributions: the contribution of each entry of a row to a latent or a prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from .._ambient import isolated
from .._estimators._differentiable import DifferentiableChain, StageOutputs
from .._estimators._unwrap import check_one_table, stage_position
from .._extras import missing_package
from .._networks._batch import Batch
from .._tables._codec import TabularCodec
from .._tables._input import to_pandas
from .._tables._labels import entry_names
from .._tables._layout import Layout
from .._tables._target import ClassTarget, NumericTarget
from ..exceptions import NoTargetError

# Rows times steps that pass through the network at once, with their gradients; and how many values
# these may have together, which bounds the memory that a wide table takes.
_CHUNK_POINTS = 65_536
_CHUNK_VALUES = 2**22
# The outputs of convolutions are many times what enters them.
_VALUES_OF_ARRAYS = 16


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
    by="column",
    block=None,
    return_baseline=False,
):
    r"""Attribute a prediction, or a latent, to the entries of its row by integrated gradients.

    The attribution of an entry is the integral of the gradient along the straight line from a
    baseline to the row [1]_. It goes through the whole chain: a column of the first scale has its
    part in the last stage's prediction. The attributions of a row sum to its output minus that of
    the baseline.

    Read more in the :ref:`User Guide <interpretation>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted supervised autoencoder or chain of such, or a search for one. For a pipeline, pass
        the last step, and the table that it sees.
    X : array-like or DataFrame of shape (n_samples, n_features) or (n_samples, ...)
        The columns that were fitted.
    stage : str or int, default=None
        Name or position of a stage of a :class:`~sknestedae.NestedAutoencoder`, whose prediction
        or latent is explained. None: the last.
    latent : int, default=None
        Position of a latent; negative ones count from the last. None: the prediction.
    output : int, tuple of int, "mean" or class label, default=None
        Output to explain: the position among several outputs (of this stage); of a target with
        more dimensions, a position along each; ``"mean"`` for the mean of all, such as of a
        spectrum. For a classifier the class. None: the only output; the second one of two classes.
    baselines : array-like or DataFrame of shape (1 or n_samples, n_features), default=None
        Rows with the columns of X that the lines begin at. None: the mean of each number, and the
        frequencies of each category, as which a missing entry enters.
    n_steps : int, default=50
        Number of points on each line.
    by : {"column", "entry", "block"}, default="column"
        The columns of the result. "column": each column of the table; the parts of an array in a
        cell are summed. "entry": each number of such an array, too, as ``"spectrum[12]"`` or
        ``"image[3, 4]"``. "block": each block, all of its parts summed, behind its stage's name,
        as ``"device__image"``, where two stages have a block of that name.
    block : str, default=None
        Name of a block of arrays, as of ``by="block"``, whose parts are given in its shape, to be
        drawn as a line or an image.
    return_baseline : bool, default=False
        Whether to return the outputs of the baselines as well.

    Returns
    -------
    attributions : DataFrame of shape (n_samples, n_columns)
        One column for each column of the table that reaches the stage, or as ``by`` says, the
        parts of all categories summed. In the unit of the output: that of the target; for a class
        the log-odds :math:`\log p / (1 - p)`, without unit; for a latent none. 0 where an entry is
        missing. With ``block``, an ndarray of shape (n_samples, \*shape), such as (n_samples,
        height, width).
    outputs : ndarray of shape (n_samples,)
        Only with ``return_baseline=True``: the outputs for the rows' baselines. Missing entries of
        a row are missing in its baseline.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    NoTargetError
        If a prediction is asked for, but the stage has no target.
    TypeError
        If the estimator is of another kind, or X a list of tables.
    ValueError
        If there is no such stage, latent, output, class or block, or the baselines do not fit X.
    ImportError
        If captum is not installed.

    See Also
    --------
    atom_scores : The contribution of each atom. Here a structure is at both ends of the line, so
        that its own part is 0.
    sklearn.inspection.permutation_importance : The loss of score when a column is permuted.

    Notes
    -----
    For an ensemble, the mean over the members: for a number the attributions sum to the mean
    prediction, for a class to the mean log-odds. A latent is the first member's.

    The sum of a row, with its baseline's output, is its prediction up to the error of the
    integral; in a chain, that of a row for which no measured value is passed on. If the error is
    not small, raise `n_steps`: kinks, as of ``activation="relu"``, need more.

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

    Images of which one pixel is the target:

    >>> from sknestedae.blocks import ImageBlock
    >>> images = np.random.RandomState(0).normal(size=(200, 4, 4))
    >>> block = ImageBlock(n_channels=(2,))
    >>> sae = SupervisedAutoencoder(2, blocks=block, max_iter=30, random_state=0)
    >>> sae = sae.fit(images, images[:, 1, 2])
    >>> parts = integrated_gradients(sae, images, block="X")
    >>> parts.shape
    (200, 4, 4)
    >>> mean = np.abs(parts).mean(axis=0)
    >>> [int(i) for i in np.unravel_index(mean.argmax(), mean.shape)]
    [1, 2]
    """
    caller = "integrated_gradients"
    check_one_table(X, caller, "Pass one table, such as stack_scales makes of them.")
    X = to_pandas(X)
    if not isinstance(n_steps, Integral) or n_steps < 1:
        raise ValueError(f"The 'n_steps' parameter must be a positive int, got {n_steps!r}.")
    if latent is not None and output is not None:
        raise ValueError(
            f"Give either a 'latent' or an 'output' to explain, got {latent!r} and {output!r}."
        )
    if by not in ("column", "entry", "block"):
        raise ValueError(f"The 'by' parameter must be 'column', 'entry' or 'block', got {by!r}.")
    if block is not None and by != "column":
        raise ValueError(
            f"The 'block' parameter gives one block in its shape, so that by={by!r} has no use."
        )
    chain = DifferentiableChain(estimator, caller)
    if stage is not None:
        chain = chain.up_to(stage_position(chain.estimator, stage))
    key = None if block is None else _block_of_arrays(chain, block)
    if latent is not None:
        choose, chains = _latent_of(chain, latent), [chain]
    else:
        choose = output_of(chain, output)
        last = len(chain) - 1
        # of one network a stage each: their mean is the prediction of an ensemble of chains, and
        # of a last stage that is an ensemble itself
        chains = [own for member in chain.members() for own in member.members_of_stage(last)]
    found = [_attribute(own, X, choose, baselines, int(n_steps)) for own in chains]
    parts = {k: np.mean([own[k] for own, _ in found], axis=0) for k in found[0][0]}
    index = X.index if isinstance(X, pd.DataFrame) else None
    attributions = (
        _gather(chain, parts, by, index) if key is None else _in_shape(chain, parts, key)
    )
    if not return_baseline:
        return attributions
    return attributions, np.mean([outputs for _, outputs in found], axis=0)


def _block_of_arrays(chain: DifferentiableChain, block: str) -> tuple[int, str]:
    """Return the stage and the name of a block of arrays that the parameter names."""
    names = chain.block_names()
    known = {
        name: (k, own)
        for (k, own), name in names.items()
        if not isinstance(chain.stages[k].table.codecs[own], TabularCodec)
    }
    known |= {f"{chain.names[k]}__{own}": (k, own) for k, own in known.values()}
    if block not in known:
        shown = [name for name in names.values() if name in known]
        raise ValueError(
            f"The 'block' parameter must name a block of arrays, of which there are {shown}; got "
            f"{block!r}."
        )
    return known[block]


# The parts of each entry of a block, of shape (n_samples, layout.n_columns), by stage and name.
_Parts = dict[tuple[int, str], np.ndarray]


def _in_shape(chain: DifferentiableChain, parts: _Parts, key: tuple[int, str]) -> np.ndarray:
    """Return the parts of a block of arrays, of shape (n_samples, ...) with that of its arrays."""
    k, name = key
    layout = chain.stages[k].layouts[name]
    return parts[key].reshape(-1, *(layout.shape or (layout.n_columns,)))


def _gather(
    chain: DifferentiableChain, parts: _Parts, by: str, index: pd.Index | None
) -> pd.DataFrame:
    """Return parts as a table: by columns, by entries or by blocks."""
    if by == "block":
        names = chain.block_names()
        sums = {names[key]: own.sum(axis=1) for key, own in parts.items()}
        return pd.DataFrame(sums, index=index)
    if by == "entry":
        return _gather_entries(chain, parts, index)
    labels = chain.labels()
    n_samples = len(next(iter(parts.values())))
    attributions = np.zeros((n_samples, len(labels)))
    for (k, name), values in parts.items():
        at = chain.columns_of_entries(k)[name]
        is_own = at >= 0  # those of latents, which are -1, belong to none
        np.add.at(attributions.T, at[is_own], values[:, is_own].T)
    own = sorted(j for columns in chain.columns for j in columns)
    frame = pd.DataFrame(attributions[:, own], index=index)
    frame.columns = labels[own]
    return frame


def _gather_entries(
    chain: DifferentiableChain, parts: _Parts, index: pd.Index | None
) -> pd.DataFrame:
    """Return the part of each entry, in the order of the columns of X."""
    labels = chain.labels()
    entries = []  # the column of X, the place among the entries of its block, label, and values
    for (k, name), values in parts.items():
        layout = chain.stages[k].layouts[name]
        at = chain.columns_of_entries(k)[name].tolist()
        names = [labels[j] for j in at]
        if layout.shape and chain.stages[k].table.codecs[name].has_cells:
            names = entry_names(names[0], layout.shape)
        elif layout.shape and not chain.has_labels:
            names = entry_names(chain.block_names()[k, name], layout.shape)
        entries += [
            (j, i, label, values[:, i])
            for i, (j, label) in enumerate(zip(at, names, strict=True))
            if j >= 0
        ]
    entries.sort(key=lambda entry: entry[:2])
    frame = pd.DataFrame(np.column_stack([own for *_, own in entries]), index=index)
    frame.columns = pd.Index([label for _, _, label, _ in entries])
    return frame


# Picks what is divided from the outputs of the last stage of a chain, of shape (n_samples,).
_Choice = Callable[[DifferentiableChain, StageOutputs], Tensor]


def _latent_of(chain: DifferentiableChain, latent: Any) -> _Choice:
    """Return the function that picks a latent of the last stage."""
    n_latents = chain.stages[-1].n_components
    is_index = isinstance(latent, Integral) and not isinstance(latent, bool)
    if not is_index or not -n_latents <= int(latent) < n_latents:
        raise ValueError(
            f"The 'latent' parameter must be an int from {-n_latents} to {n_latents - 1}, as "
            f"there are {n_latents} latents; got {latent!r}."
        )
    return lambda _, outputs: outputs.latents[:, int(latent)]


def output_of(chain: DifferentiableChain, output: Any) -> _Choice:
    """Return the function that picks an output of the last stage's prediction, in its own unit."""
    target, name = chain.stages[-1].target, chain.names[-1]
    if target is None:
        what = f"Stage {name!r}" if name else f"This {type(chain.estimators[-1]).__name__}"
        raise NoTargetError(
            f"{what} was fitted without a target (y=None), so that it has no prediction; ask for "
            "a latent."
        )
    if isinstance(target, ClassTarget):
        return _log_odds(target.classes.tolist(), output)
    chosen = _position_of_output(output, target.layout)

    def number(chain: DifferentiableChain, outputs: StageOutputs) -> Tensor:
        # of the chain that is given: a member of an ensemble has a mean and a scale of its own
        own = chain.stages[-1].target
        assert isinstance(own, NumericTarget)
        assert outputs.prediction is not None
        mean, scale = (torch.as_tensor(part).to(outputs.prediction) for part in own.affine())
        return (outputs.prediction[:, chosen] * scale[chosen] + mean[chosen]).mean(dim=1)

    return number


def _position_of_output(output: Any, layout: Layout) -> slice | list[int]:
    """Return the outputs whose mean is divided: one, or all of them."""
    n_outputs = layout.n_numeric
    if isinstance(output, str) and output == "mean":
        return slice(None)
    if isinstance(output, tuple) and len(output) == len(layout.shape):
        sizes = layout.shape
        index = output
    else:
        sizes = (n_outputs,)
        index = (0 if output is None and n_outputs == 1 else output,)
    is_index = all(isinstance(i, Integral) and not isinstance(i, bool) for i in index)
    if not is_index or not all(-n <= int(i) < n for i, n in zip(index, sizes, strict=True)):
        shape = f", of the shape {layout.shape}" if len(layout.shape) > 1 else ""
        raise ValueError(
            f"The 'output' parameter must be an int from {-n_outputs} to {n_outputs - 1}, as "
            f"there are {n_outputs} outputs{shape}, or 'mean'; got {output!r}."
        )
    return [int(np.arange(n_outputs).reshape(sizes)[tuple(map(int, index))])]


def _log_odds(classes: list[Any], output: Any) -> _Choice:
    """Return the function that picks a class's log-odds."""
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
) -> tuple[_Parts, np.ndarray]:
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
    parts : dict of (int, str) to ndarray of shape (n_samples, layout.n_columns)
        Of each entry of each stage's blocks, the values of a category summed; 0 of latents.
    outputs : ndarray of shape (n_samples,)
        For the baselines.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise missing_package("integrated_gradients", "captum", "inspection") from error

    X = chain.check(X)
    rows = chain.encode(X)
    keys = [(k, name) for k, own in enumerate(rows) for name in own.values]
    masks = [(k, name) for k, own in enumerate(rows) for name in own.measured]
    ends = [rows[k].values[name] for k, name in keys]
    starts = _starts(chain, X, baselines, keys, rows)
    measured = [rows[k].measured[name] for k, name in masks]

    # captum knows functions of tensors alone: the values of all blocks of all stages, which are
    # followed from one end to the other, then the masks, which stay, and which rows they are, for
    # what has rows of several lengths, and stays as well
    def forward(*tensors: Tensor) -> Tensor:
        own = tensors[-1]
        given = [Batch({}, ragged=part[own].ragged if part.ragged else {}) for part in rows]
        for (k, name), values in zip(keys, tensors[: len(keys)], strict=True):
            given[k].values[name] = values
        for (k, name), mask in zip(masks, tensors[len(keys) : -1], strict=True):
            given[k].measured[name] = mask
        # a derivative is asked for by all values, also by those that do not enter
        nothing = [
            0 * part.values[name].sum(dim=1).to(tensors[0])
            for part in given
            for name in part.ragged
        ]
        return sum(nothing, choose(chain, chain.forward(given)[-1]))

    layouts = {(k, name): chain.stages[k].layouts[name] for k, name in keys}
    parts = {key: np.zeros((len(X), layout.n_columns)) for key, layout in layouts.items()}
    outputs = np.zeros(len(X))
    method = IntegratedGradients(forward)
    for chunk in gen_batches(len(X), _rows_at_once(list(layouts.values()), n_steps)):
        start, end = tuple(t[chunk] for t in starts), tuple(t[chunk] for t in ends)
        mask = (*(t[chunk] for t in measured), torch.arange(chunk.start, chunk.stop))
        found = method.attribute(end, start, additional_forward_args=mask, n_steps=n_steps)
        for key, values in zip(keys, found, strict=True):
            parts[key][chunk] = _sum_categories(values.detach().cpu().numpy(), layouts[key])
        with torch.no_grad():
            outputs[chunk] = forward(*start, *mask).cpu().numpy()
    return parts, outputs


def _sum_categories(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the part of each entry: of a number its own, of a category the sum of its group."""
    groups = [values[:, group].sum(axis=1, keepdims=True) for group in layout.groups()]
    return np.hstack([values[:, : layout.n_numeric], *groups])


def _rows_at_once(layouts: Sequence[Layout], n_steps: int) -> int:
    """Return how many rows fit into the memory at once; at least one, with all its steps."""
    n_values = sum(
        layout.n_values * (_VALUES_OF_ARRAYS if layout.shape else 1) for layout in layouts
    )
    n_points = min(_CHUNK_POINTS, _CHUNK_VALUES // max(n_values, 1))
    return max(n_points // n_steps, 1)


def _starts(
    chain: DifferentiableChain,
    X: pd.DataFrame | np.ndarray,
    baselines: Any,
    keys: list[tuple[int, str]],
    rows: Sequence[Batch],
) -> list[Tensor]:
    """Return the values at which the lines begin.

    A missing entry, and the values where latents belong, are the same at both ends: so they have
    no part in the difference.

    Parameters
    ----------
    chain : DifferentiableChain
    X : DataFrame or ndarray of shape (n_samples, n_features)
        Checked.
    baselines
        As in ``integrated_gradients``.
    keys : list of (int, str)
        Stage and block of each of the values.
    rows : sequence of Batch
        X as each stage sees it: the values at which the lines end.

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
    for (k, name), start in zip(keys, given, strict=True):
        own, end = chain.columns_of_values(k)[name], rows[k].values[name]
        # the -1 of latents would look up the last column, which does not matter beside own < 0
        kept = torch.as_tensor((own < 0) | missing[:, own], device=end.device)
        measured = rows[k].measured.get(name)
        if measured is not None and chain.stages[k].layouts[name].shape:
            kept = kept | ~measured  # of a cell that holds an array, X does not tell the entry
        starts.append(torch.where(kept, end, start.to(end)))
    return starts
