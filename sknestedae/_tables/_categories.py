"""The categories of one column: found, encoded as a one-hot group, and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .._notices import notice
from ..exceptions import UnseenCategoryWarning
from ._columns import factorize, mixes_kinds, sort_categories
from ._text import hint_of_spelling


@dataclass
class Categories:
    """The categories of one column, and the values that its whole table holds there.

    Parameters
    ----------
    label : str
        How a message names the column.
    values : ndarray of object, shape (n_categories,)
        Distinct values in the training rows, sorted.
    frequencies : ndarray of shape (n_categories,)
        Share of each in the weight of these rows.
    unlearnt : ndarray of object, shape (n_unlearnt,)
        Distinct values that the table of ``fit`` held outside of the training rows.
    is_mixed : bool
        Whether the whole table, of which that of ``fit`` may be a part, holds numbers beside words
        in this column. Then any rows of it may hold numbers alone, or words alone.
    """

    label: str
    values: np.ndarray
    frequencies: np.ndarray
    unlearnt: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=object))
    is_mixed: bool = False

    @classmethod
    def learn(
        cls,
        column: pd.Series | np.ndarray,
        label: str,
        rows: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> Categories | None:
        """Learn from some rows of a column; None if these rows hold no value.

        Parameters
        ----------
        column : Series or ndarray of shape (n_samples,)
        label : str
        rows : ndarray of int, optional
            The rows to learn from; all of them by default.
        sample_weight : ndarray of shape (n_samples,), optional
            Of all rows.
        """
        codes, distinct = factorize(column, label)
        weight = np.ones(len(codes)) if sample_weight is None else sample_weight
        if rows is not None:
            codes, weight = codes[rows], weight[rows]
        measured = codes >= 0
        if not measured.any():
            return None
        total = np.bincount(codes[measured], weight[measured], minlength=len(distinct))
        # a value that only rows of weight 0 have is not learnt: leaving them out is the same
        values = sort_categories(distinct[total > 0])
        order = _positions(values, distinct)
        return cls(label, values, total[order] / total.sum(), distinct[total == 0])

    def find(self, values: np.ndarray) -> np.ndarray:
        """Return the position of each value among the categories; -1 where it is none."""
        return _positions(values, self.values)

    def note_values(self, values: np.ndarray) -> None:
        """Record the distinct values of a whole table that includes the training rows."""
        self.unlearnt = values[self.find(values) < 0]

    def note_column(self, column: pd.Series | np.ndarray) -> None:
        """Record the distinct values of a whole table's column."""
        self.note_values(factorize(column, self.label)[1])

    def note_kinds(self, column: pd.Series | np.ndarray) -> None:
        """Record whether a whole table's column mixes numbers and words."""
        self.is_mixed |= isinstance(column, pd.Series) and mixes_kinds(column)

    def encode(self, column: pd.Series | np.ndarray, out: np.ndarray) -> np.ndarray:
        """Encode a column as a one-hot group.

        Parameters
        ----------
        column : Series or ndarray of shape (n_samples,)
        out : ndarray of zeros, shape (n_samples, n_categories)
            Takes the group: the frequencies where a value is missing, and zeros where it is no
            category.

        Returns
        -------
        ndarray of bool, shape (n_samples,)
            Where the column holds a category.
        """
        codes, distinct = factorize(column, self.label)
        self._check_kind(distinct)
        lookup = self.find(distinct)
        self._warn_of_unseen(codes, distinct, lookup)
        position = np.append(lookup, -1)[codes]  # the code -1 of a missing value reads the last
        known = position >= 0
        out[np.flatnonzero(known), position[known]] = 1.0
        out[codes < 0] = self.frequencies
        return known

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return each row's category with the largest value.

        Parameters
        ----------
        values : ndarray of shape (n_samples, n_categories)

        Returns
        -------
        ndarray of object, shape (n_samples,)
        """
        return self.values[values.argmax(axis=1)]

    def notice_unseen(self, column: pd.Series | np.ndarray) -> None:
        """Warn about values that were not in the table of ``fit``."""
        codes, distinct = factorize(column, self.label)
        self._warn_of_unseen(codes, distinct, self.find(distinct))

    def _warn_of_unseen(self, codes: np.ndarray, distinct: np.ndarray, lookup: np.ndarray) -> None:
        """Warn about distinct values that were not in the table of ``fit``."""
        unknown = distinct[lookup < 0]
        if not len(unknown):  # the usual case, which is to cost nothing
            return
        unseen = unknown[_positions(unknown, self.unlearnt) < 0]
        if not len(unseen):
            return
        n_rows = int(np.append(lookup < 0, False)[codes].sum())
        shown = ", ".join(map(repr, unseen[:5].tolist())) + (", ..." if len(unseen) > 5 else "")
        hints = (hint_of_spelling(value, self.values) for value in unseen[:50])
        notice(
            f"{n_rows} of {len(codes)} rows have a value in column {self.label} that fit did not "
            f"see ({shown}); there the column enters as zeros, as none of the {len(self.values)} "
            f"categories, such as {self.values[0]!r}.{next(filter(None, hints), '')}",
            UnseenCategoryWarning,
            key=(UnseenCategoryWarning, self.label, shown),
            weight=n_rows,
        )

    def _check_kind(self, distinct: np.ndarray) -> None:
        """Refuse numbers in a column of words, and words in a column of numbers."""
        is_word = {isinstance(value, str) for value in (*self.values, *self.unlearnt)}
        is_word_now = {isinstance(value, str) for value in distinct}
        if not self.is_mixed and is_word_now and is_word.isdisjoint(is_word_now):
            raise TypeError(
                f"Column {self.label} was categorical in fit, with categories such as "
                f"{self.values[0]!r}; it holds {type(distinct[0]).__name__} such as "
                f"{distinct[0]!r} now."
            )

    def to_state(self) -> dict[str, Any]:
        """Return the fitted state as plain values."""
        return dict(vars(self))


def share_values(parts: Sequence[Categories]) -> None:
    """Share the values of parts of one column, so that no part takes them for unseen."""
    seen = [value for part in parts for value in (*part.values, *part.unlearnt)]
    every = pd.unique(np.array(seen, dtype=object))
    for part in parts:
        part.note_values(every)


def _positions(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the position of each value among some that are distinct; -1 where it is none of them.

    Parameters
    ----------
    values : ndarray of object, shape (n_values,)
    among : ndarray of object, shape (n_distinct,)

    Returns
    -------
    ndarray of int, shape (n_values,)
    """
    if all(type(value) is str for value in (*among, *values)):
        # the same as below, without the cost of an Index, which is most of that of a few rows
        position = {value: i for i, value in enumerate(among)}
        return np.array([position.get(value, -1) for value in values], dtype=np.intp)
    # numbers and booleans: pandas tells True from 1 where all values of a column are of a kind
    return pd.Index(among).get_indexer(values)
