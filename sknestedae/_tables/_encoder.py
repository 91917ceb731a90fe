"""A table to named blocks of arrays, and back.

A table is a DataFrame or a two-dimensional array. Its columns are dealt out to *blocks*: each is a
kind of data, with a codec that makes one float array of its columns. Nothing here knows of torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from .._notices import noticing
from ._base_codec import BlockColumns, Codec, MakeCodec
from ._categories import share_values
from ._codec import TabularCodec
from ._columns import resolve_columns
from ._dtypes import all_numbers, clip_to_float, dtype_spec, frame_of
from ._labels import ColumnLabels
from ._layout import DEFAULT_BLOCK, Encoded, Layout


def share_unlearnt(tables: Sequence[TableEncoder]) -> None:
    """Share the values of all parts of one table among the encoders of the parts."""
    for name, codec in tables[0].codecs.items():
        for j in codec.categorical:
            share_values([table.codecs[name].categories[j] for table in tables])


class TableEncoder:
    """Encode a table as blocks of float arrays, and decode them.

    It deals the table's columns out to blocks; what the columns of a block become is up to its
    codec.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like
        Which columns are categorical: by dtype, none, or names, indices or a mask.
    standardize : bool
        Whether numeric columns are centred and scaled to unit variance.
    blocks : sequence of (str, callable, columns), default=()
        Names of blocks, what makes the codec of each, and columns (names or indices); the other
        columns are numbers and categories, and make up the block ``"table"``.
    cell_shape : tuple of int, default=()
        Where the table was an array of more than two dimensions, those behind the first.

    Attributes
    ----------
    column_labels : ColumnLabels
    dtype : dtype
        Of the encoded values: float32 if it holds every number of the table, else float64.
    codecs : dict of str to Codec
        Of each block.
    """

    column_labels: ColumnLabels
    dtype: np.dtype
    codecs: dict[str, Codec]
    _dtype_specs: list[Any]  # of each column of a DataFrame, in which it is given back

    def __init__(
        self,
        categorical_features: Any = "from_dtype",
        standardize: bool = True,
        blocks: Sequence[tuple[str, MakeCodec, Any]] = (),
        cell_shape: tuple[int, ...] = (),
    ) -> None:
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.blocks = tuple(blocks)
        self.cell_shape = cell_shape

    # -- what was learnt

    @property
    def n_features(self) -> int:
        """Number of the table's columns."""
        return self.column_labels.n_columns

    @property
    def columns(self) -> dict[str, tuple[list[int], list[int]]]:
        """Positions in the table of each block's numbers and categories."""
        return {name: (codec.numeric, codec.categorical) for name, codec in self.codecs.items()}

    @property
    def layouts(self) -> dict[str, Layout]:
        """The layout of each block's values."""
        return {name: codec.layout for name, codec in self.codecs.items()}

    @property
    def categories(self) -> dict[int, np.ndarray]:
        """Categories of each categorical column, by its position in the table."""
        return {
            j: categories.values
            for codec in self.codecs.values()
            for j, categories in codec.categories.items()
        }

    @property
    def keeps_objects(self) -> bool:
        """Whether a table must not be read as an array of floats: it has categories or cells."""
        return any(codec.categorical or codec.has_cells for codec in self.codecs.values())

    def affine(self, columns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the scale that numbers are standardised with.

        A number ``x`` of a table is encoded as ``(x - mean) / scale``.

        Parameters
        ----------
        columns : sequence of int
            Positions in the table.

        Returns
        -------
        mean, scale : ndarray of float64, shape (n_columns,)
            0 and 1 for columns that are not standardised, for categories, and for cells that hold
            arrays.
        """
        mean, scale = np.zeros(self.n_features), np.ones(self.n_features)
        for codec in self.codecs.values():
            if not codec.has_cells:
                mean[codec.numeric], scale[codec.numeric] = codec.affine()
        positions = np.asarray(columns, dtype=int)
        return mean[positions], scale[positions]

    # -- fit

    def fit(
        self,
        X: pd.DataFrame | np.ndarray,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> TableEncoder:
        """Learn columns, categories and scales.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
        rows : ndarray of int, optional
            The rows to learn from; all of them by default. Kinds of columns are read from all.
        sample_weight : ndarray of shape (n_samples,), optional
            Weights of all rows; a mean and a scale are weighted with them.
        """
        self.column_labels = ColumnLabels.of(X)
        dtypes = X.dtypes if isinstance(X, pd.DataFrame) else ()
        self._dtype_specs = [dtype_spec(dtype) for dtype in dtypes]
        makers = {DEFAULT_BLOCK: TabularCodec, **{name: make for name, make, _ in self.blocks}}
        chosen = self._chosen_categories()
        self.codecs, found = {}, []
        for name, own in self._assign_blocks().items():
            with _naming(name):
                codec = makers[name](self._block_columns(own, chosen))
                found.append(codec.prepare(X))
            self.codecs[name] = codec
        self.dtype = _common_dtype(found)
        for name, codec in self.codecs.items():
            with _naming(name):
                codec.fit(X, self.dtype, rows, sample_weight)
        return self

    def _block_columns(self, own: list[int], chosen: tuple[int, ...] | None) -> BlockColumns:
        return BlockColumns(own, self.column_labels, self.standardize, chosen, self.cell_shape)

    def _chosen_categories(self) -> tuple[int, ...] | None:
        """Return the positions of the columns that a user chose as categorical; None by dtype."""
        chosen = self.categorical_features
        if isinstance(chosen, str) and chosen == "from_dtype":
            return None
        if chosen is None:
            return ()
        return tuple(self._resolve_columns(chosen, "categorical_features").tolist())

    def _resolve_columns(self, columns: Any, parameter: str) -> np.ndarray:
        """Return the positions of columns that are named, indexed or masked."""
        labels = self.column_labels.labels if self.column_labels.is_frame else None
        return resolve_columns(columns, labels, self.n_features, f"The '{parameter}' parameter")

    def _assign_blocks(self) -> dict[str, list[int]]:
        """Return the positions of each block's columns, in the order of the table."""
        owner: dict[int, str] = {}
        for name, _, columns in self.blocks:
            positions = self._resolve_columns(columns, "blocks")
            if not len(positions):
                raise ValueError(f"The 'blocks' parameter gives no column to {name!r}.")
            for j in positions.tolist():
                if j in owner:
                    raise ValueError(
                        f"The 'blocks' parameter gives column {self.column_labels.name(j)} to "
                        f"both {owner[j]!r} and {name!r}."
                    )
                owner[j] = name
        names = [name for name, _, _ in self.blocks]
        if len(owner) < self.n_features:
            names.append(DEFAULT_BLOCK)
        own: dict[str, list[int]] = {name: [] for name in names}
        for j in range(self.n_features):
            own[owner.get(j, DEFAULT_BLOCK)].append(j)
        return own

    # -- transform

    def check_labels(self, X: pd.DataFrame) -> None:
        """Refuse a DataFrame whose columns are not those of ``fit``, in their order."""
        self.column_labels.check(X)

    def transform(self, X: pd.DataFrame | np.ndarray) -> dict[str, Encoded]:
        """Encode a table with the columns that were fitted.

        Returns
        -------
        dict of str to Encoded
            For each block.
        """
        encoded = {}
        for name, codec in self.codecs.items():
            with _naming(name):
                encoded[name] = codec.encode(X)
        return encoded

    def check_cells(self, X: pd.DataFrame | np.ndarray) -> None:
        """Refuse cells of another kind than those of ``fit``, in any row of a table."""
        for name, codec in self.codecs.items():
            with _naming(name):
                codec.check_cells(X)

    def inverse_transform(
        self, decoded: dict[str, np.ndarray], index: pd.Index | None = None
    ) -> pd.DataFrame | np.ndarray:
        """Decode values to a table.

        Parameters
        ----------
        decoded : dict of str to ndarray of shape (n_samples, layout.n_values)
            For each block; of a categorical group, the largest value names the category.
        index : Index, optional
            Of the DataFrame, where a DataFrame was fitted.

        Returns
        -------
        DataFrame or ndarray of shape (n_samples, n_features)
            The fitted columns in their own units and order; with their dtypes, where a DataFrame
            was fitted. An array is of floats, or of objects if a category is not a number.
        """
        pieces = [
            piece for name, codec in self.codecs.items() for piece in codec.decode(decoded[name])
        ]
        if self.column_labels.is_frame:
            return frame_of(pieces, self.column_labels.index(), self._dtype_specs, index)
        if len(pieces) == 1 and pieces[0][1].dtype.kind == "f":
            return clip_to_float(pieces[0][1], self.dtype)
        n_rows = len(pieces[0][1])
        numbers = all(
            values.dtype.kind in "fiub" or all(map(all_numbers, values.T)) for _, values in pieces
        )
        table = np.empty((n_rows, self.n_features), dtype=self.dtype if numbers else object)
        for positions, values in pieces:
            table[:, positions] = clip_to_float(values, self.dtype) if numbers else values
        return table

    # -- what else stood in the table of fit

    def know_unlearnt(self, X: pd.DataFrame | np.ndarray) -> None:
        """Record categories that a table of ``fit`` has outside of the training rows."""
        for codec in self.codecs.values():
            codec.note_mixed(X)
            codec.note_unlearnt(X)

    def know_mixed(self, X: pd.DataFrame | np.ndarray) -> None:
        """Record the columns in which a whole table, which includes this one, mixes kinds.

        Any rows of such a column may hold numbers alone, or words alone.

        Parameters
        ----------
        X : DataFrame or array
            Of the first columns, or all.
        """
        for codec in self.codecs.values():
            codec.note_mixed(X)

    def notice_unseen(self, X: pd.DataFrame | np.ndarray) -> None:
        """Warn about values that were not in the table of ``fit``, in all rows of a table."""
        for codec in self.codecs.values():
            codec.notice_unseen(X)

    # -- in files

    def to_state(self) -> dict[str, Any]:
        """Return the fitted state as plain values."""
        return {
            "standardize": self.standardize,
            "cell_shape": self.cell_shape,
            "column_labels": self.column_labels.to_state(),
            "dtypes": self._dtype_specs,
            "dtype": self.dtype.name,
            "positions": {name: codec.columns.positions for name, codec in self.codecs.items()},
            "codecs": {name: codec.get_state() for name, codec in self.codecs.items()},
        }

    @classmethod
    def from_state(
        cls, state: dict[str, Any], makers: Mapping[str, MakeCodec] | None = None
    ) -> TableEncoder:
        """Make an encoder from the state of ``to_state``, without the user's choice of columns.

        Parameters
        ----------
        state : dict
        makers : mapping of str to callable, optional
            What makes the codec of each block; by default one of numbers and categories.
        """
        cell_shape = tuple(state["cell_shape"])
        encoder = cls(standardize=state["standardize"], cell_shape=cell_shape)
        encoder.column_labels = ColumnLabels.from_state(state["column_labels"])
        encoder._dtype_specs = state["dtypes"]
        encoder.dtype = np.dtype(state["dtype"])
        encoder.codecs = {}
        for name, own in state["codecs"].items():
            make = TabularCodec if makers is None else makers[name]
            codec = make(encoder._block_columns(state["positions"][name], None))
            codec.set_state(own)
            encoder.codecs[name] = codec
        return encoder


def _common_dtype(dtypes: Sequence[np.dtype | None]) -> np.dtype:
    """Return float32 where it holds the numbers of all blocks that have any, else float64."""
    found = [dtype for dtype in dtypes if dtype is not None]
    is_small = bool(found) and all(dtype == np.float32 for dtype in found)
    return np.dtype("float32" if is_small else "float64")


@contextmanager
def _naming(block: str) -> Iterator[None]:
    """Add the name of the block to an error or a warning, unless it is that of numbers."""
    if block == DEFAULT_BLOCK:
        yield
        return
    subject = f"In the block {block!r}"
    try:
        with noticing(subject):
            yield
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{subject}: {error}") from error
