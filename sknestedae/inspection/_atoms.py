"""Atom scores: the contribution of each atom of a structure to a prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from .._ambient import isolated
from .._atoms._codec import AtomsCodec
from .._atoms._elements import symbol_of
from .._atoms._surroundings import CACHE
from .._estimators._differentiable import DifferentiableChain, StageOutputs
from .._estimators._unwrap import check_one_table
from .._layers._atoms import AtomsEncoder
from .._networks._batch import Batch
from .._networks._parts import PartsModule
from .._tables._cells import cells_of
from .._tables._columns import take_column
from .._tables._structures import Structure, is_structure, read_structure
from .._tables._target import NumericTarget
from ..blocks import AtomsBlock
from ..exceptions import NoTargetError
from ._attributions import output_of

# Structures that pass through the network at once.
_AT_ONCE = 1024

# Structures without one of their atoms that are looked at once: the memory for what is looked at
# twice holds them.
_DELETIONS_AT_ONCE = 256


@isolated
def atom_scores(estimator, X, *, output=None, block=None):
    """Score the atoms of structures: share of the prediction, attention, and deletion.

    Three measures of how much an atom matters. They differ, and only the first two of the table's
    columns add up:

    - ``share``: the atom's contribution to the prediction, where this is a mean over atoms, as of
      an :class:`~sknestedae.blocks.AtomsBlock` with ``per_atom=True``. The shares of a structure
      sum to its prediction, exactly. Without ``per_atom`` there are none: NaN.
    - ``attention``: the atom's part of the network's attention, in the mean over its heads; 1 in
      all for a structure. A large attention is no proof of a large effect: the atom need not
      change the prediction.
    - ``deletion``: the difference between the predictions with the atom and without it, all
      others at their places. NaN where nothing is left, or an atom without neighbours.

    Read more in the :ref:`User Guide <atom_scores>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted supervised autoencoder or chain of such, or a search for one. Of a chain, the
        prediction is that of the stage that has the structures. For a pipeline, pass the last
        step, and the table that it sees.
    X : array-like or DataFrame of shape (n_samples, n_features)
        The columns that were fitted.
    output : int, tuple of int, "mean" or class label, default=None
        Output of the prediction to score, as in :func:`integrated_gradients`. None: the only
        output; the mean of several; of two classes the second one.
    block : str, default=None
        Name of the block of the structures, behind its stage's name, as ``"device__crystal"``,
        where two stages have a block of that name. None: the only one of structures.

    Returns
    -------
    scores : DataFrame of shape (n_atoms, 4)
        One row an atom, of all structures behind each other, with the index (row, atom): the row
        label of X, or its position, and the number of the atom, from 0. Columns: ``element``, and
        the three scores; share and deletion in the unit of the output, of a class its log-odds
        (which no mean over atoms is of: there is no share). Of an ensemble, the means over its
        members.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    NoTargetError
        If the stage of the structures was fitted without a target.
    ValueError
        If there is no such block or output, or a row has no structure.

    See Also
    --------
    atom_predictions : All outputs of each atom, such as its spectrum.
    sknestedae.plotting.AtomsDisplay : Draws scores in the structure.

    References
    ----------
    .. [1] S. Jain and B. C. Wallace, "Attention is not explanation", NAACL 3543 (2019).
       :doi:`10.18653/v1/N19-1357`

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.blocks import AtomsBlock
    >>> from sknestedae.inspection import atom_scores
    >>> molecules = [molecule(name) for name in ("H2O", "CH4", "NH3", "CO2")]
    >>> masses = [own.get_masses().sum() for own in molecules]
    >>> block = AtomsBlock(n_units=8, per_atom=True)
    >>> sae = SupervisedAutoencoder(2, blocks=block, max_iter=5, random_state=0)
    >>> scores = atom_scores(sae.fit(molecules, masses), molecules[:1])
    >>> scores["element"].tolist()
    ['O', 'H', 'H']
    >>> bool(abs(scores["share"].sum() - sae.predict(molecules)[0]) < 1e-4)
    True
    """
    task = _Task.of(estimator, X, block, "atom_scores")
    members = task.chain.members()
    outcomes = [_scores(_Task.of_chain(task, member), output) for member in members]
    frame = task.frame()
    for name in ("share", "attention", "deletion"):
        frame[name] = np.mean([own[name] for own in outcomes], axis=0)
    return frame


@isolated
def atom_predictions(estimator, X, *, block=None):
    """Predict the target of each atom, whose mean over a structure is the prediction.

    Parameters
    ----------
    estimator : estimator instance
        As in :func:`atom_scores`, with an :class:`~sknestedae.blocks.AtomsBlock` that has
        ``per_atom=True``. Its target is numbers.
    X : array-like or DataFrame of shape (n_samples, n_features)
        The columns that were fitted.
    block : str, default=None
        As in :func:`atom_scores`.

    Returns
    -------
    predictions : ndarray of shape (n_atoms, n_outputs) or (n_atoms,)
        Of the atoms of all structures behind each other, in the units of the target; in the rows
        of :func:`atom_scores`. Of an ensemble, the means over its members.

    Raises
    ------
    ValueError
        If the atoms have no predictions of their own.
    NotFittedError, NoTargetError
        As in :func:`atom_scores`.

    See Also
    --------
    atom_scores : One number an atom.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.blocks import AtomsBlock
    >>> from sknestedae.inspection import atom_predictions
    >>> molecules = [molecule(name) for name in ("H2O", "CH4", "NH3", "CO2")]
    >>> Y = [[float(len(own)), own.get_masses().sum()] for own in molecules]
    >>> block = AtomsBlock(n_units=8, per_atom=True)
    >>> sae = SupervisedAutoencoder(2, blocks=block, max_iter=2, random_state=0)
    >>> atom_predictions(sae.fit(molecules, Y), molecules).shape
    (15, 2)
    """
    task = _Task.of(estimator, X, block, "atom_predictions")
    found = []
    for member in task.chain.members():
        own = _Task.of_chain(task, member).predictions()
        if own is None:
            raise ValueError(
                "Atoms have no predictions of their own: the block "
                f"{task.block!r} needs per_atom=True, and a target of numbers that the network "
                "predicts."
            )
        found.append(own)
    predictions = np.mean(found, axis=0)
    return predictions[:, 0] if predictions.shape[1] == 1 else predictions


class _Task(NamedTuple):
    """The structures of a table, and the chain up to the stage that they enter.

    Attributes
    ----------
    chain : DifferentiableChain
        Its last stage has the structures.
    block : str
    table : DataFrame or ndarray
        Checked.
    column : int
        Position of the structures in the table.
    structures : list of Structure
        One a row.
    """

    chain: DifferentiableChain
    block: str
    table: Any
    column: int
    structures: list[Structure]

    @classmethod
    def of(cls, estimator: Any, X: Any, block: str | None, caller: str) -> _Task:
        check_one_table(X, caller, "Pass one table, such as stack_scales makes of them.")
        chain = DifferentiableChain(estimator, caller)
        k, name = _block_of_structures(chain, block)
        if chain.stages[k].target is None:
            what = f"Stage {chain.names[k]!r}" if chain.names[k] else "The estimator"
            raise NoTargetError(
                f"{what} was fitted without a target (y=None), so that atoms have no scores."
            )
        table = chain.check(X)
        codec = chain.stages[k].table.codecs[name]
        column = chain.columns[k][codec.columns.positions[0]]
        structures = []
        for row, cell in enumerate(cells_of(take_column(table, column))):
            if not is_structure(cell):
                raise ValueError(
                    f"X has no structure in row {row}, so that there are no atoms to score; drop "
                    "the row."
                )
            structures.append(read_structure(cell))
        whole = chain if k == len(chain) - 1 else chain.up_to(k)
        return cls(whole, name, table, column, structures)

    @classmethod
    def of_chain(cls, task: _Task, chain: DifferentiableChain) -> _Task:
        """Return the task for another member of an ensemble."""
        return task._replace(chain=chain)

    @property
    def codec(self) -> AtomsCodec:
        codec = self.chain.stages[-1].table.codecs[self.block]
        assert isinstance(codec, AtomsCodec)
        return codec

    def frame(self) -> pd.DataFrame:
        """Return the elements of all atoms, with the index of the result."""
        labels = self.table.index if isinstance(self.table, pd.DataFrame) else None
        rows = np.arange(len(self.structures)) if labels is None else labels
        n_atoms = [len(structure.numbers) for structure in self.structures]
        row = np.repeat(np.asarray(rows, dtype=object), n_atoms)
        atom = np.concatenate([np.arange(n) for n in n_atoms])
        index = pd.MultiIndex.from_arrays([row, atom], names=["row", "atom"])
        numbers = np.concatenate([structure.numbers for structure in self.structures])
        return pd.DataFrame({"element": [symbol_of(z) for z in numbers]}, index=index)

    def rows(self, table: Any) -> Batch:
        """Return the rows as inputs of the stage of the structures."""
        *_, rows = self.chain.network.iter_rows(self.chain.encode(table))
        return rows

    def spread(self, values: np.ndarray, *, is_shared: bool) -> np.ndarray:
        """Spread values of classes of equal atoms, of all structures, to each atom.

        Parameters
        ----------
        values : ndarray of shape (n_classes, ...)
        is_shared : bool
            Whether equal atoms share the value; else each has it.
        """
        found, first = [], 0
        for classes in self.codec.classes_of(self.structures):
            n_members = np.bincount(classes)
            own = values[first : first + len(n_members)]
            if is_shared:
                own = own / n_members.reshape(-1, *[1] * (own.ndim - 1))
            found.append(own[classes])
            first += len(n_members)
        return np.concatenate(found)

    def predictions(self) -> np.ndarray | None:
        """Return all outputs of each atom, of shape (n_atoms, n_outputs); None without such."""
        stage = self.chain.stages[-1]
        module, target = stage.module, stage.target
        if not isinstance(module, PartsModule) or module.of_parts != self.block:
            return None
        if not isinstance(target, NumericTarget) or self.chain.heads[-1] is not None:
            return None
        with torch.no_grad():
            parts = module.parts(self.rows(self.table))
            scaled = module.predict(parts.latents.mean)
        assert scaled is not None
        mean, scale = target.affine()
        return self.spread(scaled.cpu().double().numpy() * scale + mean, is_shared=False)

    def attention(self) -> np.ndarray:
        """Return the mean attention of each atom, of shape (n_atoms,)."""
        encoder = self.chain.stages[-1].module.block_encoders[self.block]
        assert isinstance(encoder, AtomsEncoder)
        ragged = self.rows(self.table).ragged[self.block]
        heads = []
        with torch.no_grad():
            for chunk in gen_batches(len(self.structures), _AT_ONCE):
                some = {name: own[chunk] for name, own in ragged.items()}
                heads.append(encoder.attention(*encoder.units(some)).mean(dim=1))
        return self.spread(torch.cat(heads).cpu().double().numpy(), is_shared=True)

    def outputs(self, table: Any, choose: _Choice) -> np.ndarray:
        """Return the output that is asked for, of shape (n_samples,)."""
        with torch.no_grad():
            outputs = self.chain.forward(self.chain.encode(table))[-1]
            return choose(self.chain, outputs).cpu().double().numpy()

    def with_structures(self, rows: Sequence[int], structures: Sequence[Structure]) -> Any:
        """Return rows of the table with other structures in them."""
        cells = np.empty(len(structures), dtype=object)
        for i, structure in enumerate(structures):
            cells[i] = structure
        if isinstance(self.table, pd.DataFrame):
            table = self.table.iloc[list(rows)].copy()
            table.isetitem(self.column, pd.Series(cells, index=table.index, dtype=object))
            return table
        table = self.table[list(rows)].copy()
        table[:, self.column] = cells
        return table


# Picks what is scored from the outputs of a stage, of shape (n_samples,).
_Choice = Callable[[DifferentiableChain, StageOutputs], Tensor]


def _scores(task: _Task, output: Any) -> dict[str, np.ndarray]:
    """Return the three scores of each atom, of one network."""
    target = task.chain.stages[-1].target
    several = isinstance(target, NumericTarget) and target.layout.n_numeric > 1
    choose = output_of(task.chain, "mean" if output is None and several else output)
    n_atoms = [len(structure.numbers) for structure in task.structures]
    share = np.full(sum(n_atoms), np.nan)
    predictions = task.predictions()
    if predictions is not None:
        like = _scaled(task.chain, predictions)
        chosen = choose(task.chain, StageOutputs(like, like)).numpy()
        share = chosen / np.repeat(n_atoms, n_atoms)
    return {"share": share, "attention": task.attention(), "deletion": _deletion(task, choose)}


def _scaled(chain: DifferentiableChain, predictions: np.ndarray) -> Tensor:
    """Return predictions as the network gives them, in scaled units."""
    target = chain.stages[-1].target
    assert isinstance(target, NumericTarget)
    mean, scale = target.affine()
    return torch.from_numpy((predictions - mean) / scale)


def _deletion(task: _Task, choose: _Choice) -> np.ndarray:
    """Return how much larger the output is with each atom than without it."""
    whole = task.outputs(task.table, choose)
    deletion = np.full(sum(len(structure.numbers) for structure in task.structures), np.nan)
    left = _without_one_atom(task)
    with CACHE.aside():  # no other call asks for what is left of a structure
        while some := list(islice(left, _DELETIONS_AT_ONCE)):
            places, rows, structures = zip(*some, strict=True)
            without = task.outputs(task.with_structures(rows, structures), choose)
            deletion[list(places)] = whole[list(rows)] - without
    return deletion


def _without_one_atom(task: _Task) -> Iterator[tuple[int, int, Structure]]:
    """Yield the place of each atom in the result, its row, and the structure of all others.

    An atom is left out where its structure cannot do without it.
    """
    place = 0
    for row, structure in enumerate(task.structures):
        for atom in range(len(structure.numbers)):
            others = np.delete(np.arange(len(structure.numbers)), atom)
            rest = structure._replace(
                numbers=structure.numbers[others], positions=structure.positions[others]
            )
            if len(others) and task.codec.can_describe(rest):
                yield place, row, rest
            place += 1


def _block_of_structures(chain: DifferentiableChain, block: str | None) -> tuple[int, str]:
    """Return the stage and the name of the block of structures that the parameter names."""
    names = {
        key: name
        for key, name in chain.block_names().items()
        if isinstance(chain.stages[key[0]].blocks[key[1]], AtomsBlock)
    }
    if not names:
        raise ValueError(
            "No block of the estimator holds structures of atoms: there are no atoms to score."
        )
    if block is None and len(names) == 1:
        return next(iter(names))
    for key, name in names.items():
        if block in (name, f"{chain.names[key[0]]}__{key[1]}"):
            return key
    raise ValueError(
        f"The 'block' parameter must name a block of structures, of which there are "
        f"{list(names.values())}; got {block!r}."
    )
