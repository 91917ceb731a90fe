"""The candidates of a design, with predictions, distances and nearest known rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from .._persistence import public


@public("sknestedae.design")
@dataclass(repr=False)
class Design:
    """Candidates for a wanted target, the best first; made by :func:`propose`.

    Attributes
    ----------
    X : DataFrame or ndarray of shape (n_candidates, n_features) or (n_candidates, ...)
        The candidates, as a table or an array that the estimator takes.
    prediction : ndarray of shape (n_candidates,) or (n_candidates, n_outputs)
        The estimator's predictions for them.
    prediction_std : ndarray of the same shape
        As ``predict(X, return_std=True)`` gives it: of Gaussian processes, that of a new
        measurement; of an ensemble of networks, the spread of its members. NaN of a network alone.
    meets : ndarray of bool, shape (n_candidates,), or None
        Whether predictions meet the target: the values, ranges and classes in it. None where all
        of it is "max" and "min", which have nothing to meet.
    loss : ndarray of shape (n_candidates,)
        The loss that was minimised: distances of predictions from the targets, in standard
        deviations of the known rows' predictions (squared; for "max" and "min" minus the
        acquisition function: the prediction itself, its confidence bound, or the logarithm of the
        expected improvement; for a class minus the logarithm of its probability), and the penalty
        for the distance of the candidate from the domain.
    latent_distance, input_distance : ndarray of shape (n_candidates,)
        Distance to the nearest known row, in the last latents and in the columns: root mean
        squares, in standard deviations; a category that differs counts 1. An array is one column:
        its distance is the root mean square over its entries, in one unit for all of them.
    domain : ndarray of shape (n_candidates,)
        Fraction of the known rows whose ``score_samples`` is lower: near 0, the candidate is less
        like the training rows than nearly all known rows.
    nearest : ndarray of shape (n_candidates, n_nearest)
        Index of the known rows that are nearest in the columns; for an array the position in X.
        For a list of tables, labels of the one table that they make: ``(scale, index)``, where
        index is that of the scale's own table.
    target_names : list of str
        Of the predictions.
    wanted : dict of str to str
        The target, in words: ``{"crystal": "1.8 +- 0.05", "cell": "max"}``.
    """

    X: pd.DataFrame | np.ndarray
    prediction: np.ndarray
    prediction_std: np.ndarray
    meets: np.ndarray | None
    loss: np.ndarray
    latent_distance: np.ndarray
    input_distance: np.ndarray
    domain: np.ndarray
    nearest: np.ndarray
    target_names: list[str]
    wanted: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.loss)

    def __repr__(self) -> str:
        parts = [f"{len(self)} candidates"]
        sought = [name for name, wanted in self.wanted.items() if wanted in ("max", "min")]
        if self.meets is not None:
            others = [repr(name) for name in self.wanted if name not in sought]
            of = f" of {', '.join(others)}" if sought else ""
            parts.append(f"{int(self.meets.sum())} meet the target{of}")
        columns = self.prediction.reshape(len(self), len(self.target_names))
        for name in sought if len(self) else []:
            own = columns[:, self.target_names.index(name)].astype(float)
            low, high = f"{own.min():.4g}", f"{own.max():.4g}"
            ends = low if low == high else f"{low} to {high}"
            parts.append(f"{name!r} predicted {ends} ({self.wanted[name]})")
        return f"<Design: {', '.join(parts)}>"

    def take(self, rows: np.ndarray) -> Design:
        """Return some of the candidates, in another order.

        Parameters
        ----------
        rows : ndarray of int, shape (n_rows,)
            Positions.

        Returns
        -------
        Design
        """
        values = vars(self).copy()
        for name, value in values.items():
            if isinstance(value, pd.DataFrame):
                values[name] = value.iloc[rows].reset_index(drop=True)
            elif isinstance(value, np.ndarray):
                values[name] = value[rows]
        return Design(**values)

    def to_frame(self) -> pd.DataFrame:
        """Return one table: the candidates' columns, then the predictions and distances.

        Of an array of more dimensions, each row is the cell of a column ``"X"``. There is a column
        ``"meets"`` unless all targets are "max" or "min".

        Returns
        -------
        DataFrame of shape (n_candidates, n_columns)

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.datasets import load_iris
        >>> from sknestedae import SupervisedAutoencoder
        >>> from sknestedae.design import propose
        >>> iris = load_iris(as_frame=True).data
        >>> X, y = iris.iloc[:, :2], iris["petal length (cm)"]
        >>> sae = SupervisedAutoencoder(2, max_iter=20, random_state=0).fit(X, y)
        >>> frame = propose(sae, X, "max", n_candidates=2, random_state=0).to_frame()
        >>> frame.columns.to_list()[2:5]
        ['predicted target', 'predicted target, std', 'latent_distance']
        """
        # of an array of more dimensions, each row is a cell
        is_table = np.ndim(self.X) == 2
        frame = pd.DataFrame(self.X if is_table else {"X": list(self.X)})
        if frame.columns.nlevels > 1:
            frame.columns = [": ".join(map(str, label)) for label in frame.columns]
        frame = frame.reset_index(drop=True)
        shape = (len(self), len(self.target_names))
        prediction = self.prediction.reshape(shape)
        std = self.prediction_std.reshape(shape)
        for i, name in enumerate(self.target_names):
            frame[f"predicted {name}"] = prediction[:, i]
            frame[f"predicted {name}, std"] = std[:, i]
        if self.meets is not None:
            frame["meets"] = self.meets
        for name in ("latent_distance", "input_distance", "domain"):
            frame[name] = getattr(self, name)
        frame["nearest"] = pd.Series(self.nearest[:, 0].tolist(), dtype=object)
        return frame
