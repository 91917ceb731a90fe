"""Scores of the translation between kinds of data, and of predictions from each kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._ambient import isolated
from .._compat import safe_indexing
from .._estimators._dual_base import DualMixin, kinds_present
from .._estimators._fitted import fitted_part
from .._estimators._unwrap import innermost, unfrozen
from .._tables._input import read_rows
from .._tables._one_kind import table_of_kind
from .._tables._target import target_frame


@isolated
def translation_scores(estimator, X, y=None):
    """Score the translation of each kind of data to the others, and its prediction of the target.

    Read more in the :ref:`User Guide <dual_autoencoder>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted :class:`~sknestedae.DualAutoencoder` or its classifier, or a search for one. For a
        pipeline, pass the last step, and the table that it sees.
    X : array-like or DataFrame of shape (n_samples, n_features)
        A whole table, best of rows that were held out.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        Target, for one more column.

    Returns
    -------
    scores : DataFrame of shape (n_kinds, n_kinds) or (n_kinds, n_kinds + 1)
        R² of the kinds in the columns, decoded from those in the rows, as
        ``translation_score`` has it: on the diagonal the reconstruction. In the column
        ``prediction`` the ``score`` of predictions from each kind alone. NaN where no row has
        both kinds, or no row of a kind a label.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is of another kind.

    Notes
    -----
    The reconstruction of a kind shows how much its latents hold; a translation from another kind
    is worse. The difference is variance of the kind that the other does not determine, or that the
    network did not find; noise is in neither.

    Examples
    --------
    The first kind is a number, the second its square: one direction loses the sign.

    >>> import numpy as np
    >>> from sknestedae import DualAutoencoder
    >>> from sknestedae.blocks import DenseBlock
    >>> from sknestedae.inspection import translation_scores
    >>> x = np.random.default_rng(0).uniform(-1, 1, size=100)
    >>> X = np.column_stack([x, x**2])
    >>> kinds = [("number", DenseBlock(), [0]), ("square", DenseBlock(), [1])]
    >>> dual = DualAutoencoder(2, blocks=kinds, max_iter=60, random_state=0).fit(X)
    >>> translation_scores(dual, X).round(1)
            number  square
    number     1.0     1.0
    square     0.0     1.0
    """
    dual = innermost(unfrozen(estimator), steps=False)
    check_is_fitted(dual)
    if not isinstance(dual, DualMixin):
        raise TypeError(
            f"translation_scores needs a DualAutoencoder, got a {type(dual).__name__}. For a "
            "pipeline, pass the last step, and the table that it sees."
        )
    X, y, _ = read_rows(X, y, None)
    kinds = list(fitted_part(dual).layouts)
    table = fitted_part(dual).table
    present = kinds_present(dual, X)
    columns = [*kinds, *([] if y is None else ["prediction"])]
    scores = pd.DataFrame(np.nan, index=kinds, columns=columns)
    for source in kinds:
        for target in kinds:
            if (present[source] & present[target]).any():
                scores.loc[source, target] = dual.translation_score(X, source, target)
        rows = np.flatnonzero(present[source])
        if y is not None and _has_labels(dual, y, rows):
            alone = safe_indexing(table_of_kind(X, source, table), rows)
            scores.loc[source, "prediction"] = dual.score(alone, safe_indexing(y, rows))
    return scores


def _has_labels(dual: DualMixin, y: Any, rows: np.ndarray) -> bool:
    """Return whether some rows have what a score needs: a label of each output, or of an array."""
    known = target_frame(y)[0].notna().to_numpy()[rows].any(axis=0)
    is_array = fitted_part(dual).architecture["target_block"] is not None
    return bool(known.any() if is_array else known.all())
