"""A chain as a sequence of named stages: parameters, parts, latents and stored state."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._ambient import isolated
from .._compat import BaseComposition, DocumentationLink, VisualBlock
from .._persistence import check_stamp, stamp
from .._tables._cells import cell_columns
from .._tables._input import as_cells, read_table
from .._tables._scales import is_scale_list
from .._tables._staged import StagedTable
from ._diagram import diagram_of, label_each_scale, label_fitted_stages, label_stages
from ._ensemble import members_of
from ._fitted_chain import FittedChain
from ._outputs import latents_of_chain
from ._supervised import SupervisedAutoencoder
from ._unwrap import innermost, names_of_latents
from ._validation import check_not_empty


class OneTableTransformer(TransformerMixin):
    """The transformer part of a chain, for one table; ``set_output`` wraps its latents.

    It is a class of its own because scikit-learn wraps each ``transform`` where a class defines
    it, and cannot wrap the list that a chain gives of a list of tables.
    """

    latents: str
    _fitted: FittedChain

    @isolated
    def transform(self, X: Any) -> np.ndarray:
        """Return the latents of one table, of shape (n_samples, n_latents)."""
        check_is_fitted(self)
        return latents_of_chain(self._fitted, self._read(X), of_all=self.latents == "all")

    def _check_table(self, X: Any, *, reset: bool) -> pd.DataFrame | np.ndarray:
        """Check names and number of columns; give a DataFrame, or an array of one dtype."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            check_not_empty(X)
            return X
        return self._check_array(X, reset=reset)

    def _check_array(self, X: Any, *, reset: bool) -> np.ndarray:
        """Return an array of floats; of objects, where it holds words, or structures of atoms."""
        settings = {"reset": reset, "ensure_all_finite": False}
        has_cells = isinstance(X, np.ndarray) and bool(cell_columns(X))
        try:
            if not has_cells:
                return validate_data(self, X, dtype=[np.float64, np.float32], **settings)
        except ValueError as error:
            if "could not convert" not in str(error):
                raise
        # words: a stage may take some of its columns as categorical
        return validate_data(self, np.asarray(X, dtype=object), dtype=None, **settings)

    def _read(self, X: Any) -> StagedTable:
        """Read a table, bring it to the columns of ``fit``, and give it as the stages see it."""
        X = as_cells(read_table(X))
        labels = self._fitted.labels
        if not labels.is_frame:  # names of columns tell nothing
            return self._fitted.staged(self._check_array(X, reset=False))
        if not isinstance(X, pd.DataFrame):
            X = labels.name_columns_of(self._check_array(X, reset=False))
        X = labels.align(X, self._fitted.columns)
        return self._fitted.staged(self._check_table(X, reset=False))


# No wrapping here: ``BaseChain.transform`` gives lists, and calls the wrapped one for each table.
# A subclass has ``set_output`` all the same, and inherits a transform that is not wrapped again.
class BaseChain(  # type: ignore[call-arg]
    OneTableTransformer, DocumentationLink, BaseComposition, auto_wrap_output_keys=None
):
    """A sequence of named stages, each on the latents of the one before.

    It has the parameters ``stages``, ``estimator``, ``n_components`` and ``latents``; after
    ``fit``, ``_fitted`` holds all that was learnt, and ``_members`` the chains of an ensemble.
    """

    stages: Any
    estimator: Any
    n_components: Any
    _members: list[BaseChain]  # empty where there is but one chain

    # -- parameters

    @property
    def _named_estimators(self) -> Any:
        """Pairs (name, estimator), for parameters by name; the stages themselves if malformed."""
        try:
            return [(name, estimator) for name, estimator, _ in self.stages]
        except (TypeError, ValueError):
            return self.stages

    @_named_estimators.setter
    def _named_estimators(self, pairs: list[tuple[str, Any]]) -> None:
        self.stages = [
            (name, estimator, columns)
            for (name, estimator), (_, _, columns) in zip(pairs, self.stages, strict=True)
        ]

    def get_params(self, deep=True):
        """Get the parameters, also those of the stages.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return also the stages by name and their parameters, such as
            ``crystal__n_components``.

        Returns
        -------
        params : dict of str to object
        """
        return self._get_params("_named_estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters, also those of a stage, or a whole stage by its name.

        Parameters
        ----------
        **params : dict
            Such as ``crystal__n_components=8`` or ``crystal=SupervisedAutoencoder()``. With
            ``estimator__alpha=0.1``, say, ``estimator`` becomes a :class:`SupervisedAutoencoder`
            where it is None.

        Returns
        -------
        self : object
        """
        if "stages" in params:
            self.stages = params.pop("stages")
        has_default = self.estimator is None and "estimator" not in params
        if has_default and any(name.startswith("estimator__") for name in params):
            self.estimator = SupervisedAutoencoder()
        self._set_params("_named_estimators", **params)
        return self

    # -- tables

    def _parts(self, X_list: Any) -> Iterator[tuple[Any, pd.DataFrame]]:
        """Give, for each table of a list, the chain up to its stage and its rows."""
        stacked = self._fitted.table_list.stack(X_list)
        for k, rows in enumerate(stacked.rows):
            yield self[: k + 1], stacked.X.iloc[rows]

    def transform(self, X):
        """Return the latents of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            The columns that were fitted; those of a whole stage may be missing from a DataFrame,
            and enter as not measured, with a warning. Of a list, each table gives the latents of
            its own stage.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_latents), or list of them
            The last stage's latents, or with ``latents="all"`` those of all stages side by side.

        Raises
        ------
        ValueError
            If the columns are not those of ``fit``, or a list has more tables than there are
            stages.
        """
        if not is_scale_list(X):
            return super().transform(X)
        check_is_fitted(self)
        return [part.transform(table) for part, table in self._parts(X)]

    def fit_transform(self, X, y=None, **fit_params):
        """Fit the stages and give the latents of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
        y : array-like, list of them, or None, default=None
        **fit_params : dict
            As in ``fit``.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_latents), or list of them
            As ``transform`` gives them.
        """
        return self.fit(X, y, **fit_params).transform(X)

    def get_feature_names_out(self, input_features=None):
        """Get the names of the latents.

        Parameters
        ----------
        input_features : object
            Not used.

        Returns
        -------
        names : ndarray of str objects
            Each with its stage, such as ``crystal__supervisedautoencoder0``.
        """
        check_is_fitted(self)
        stages = zip(self.stages_, self._fitted.n_latents, strict=True)
        names = [
            [f"{name}__{latent}" for latent in names_of_latents(estimator, n_latents)]
            for (name, estimator, _), n_latents in stages
        ]
        names = names if self.latents == "all" else names[-1:]
        return np.asarray([name for stage in names for name in stage], dtype=object)

    # -- the chain as a sequence

    def __len__(self) -> int:
        """Return the number of stages."""
        return len(self._stage_list)

    def __getitem__(self, key: str | int | slice) -> Any:
        """Return a stage's estimator by name or position, or the first stages as a chain.

        ``nae["crystal"]`` is fitted where the chain is. ``nae[:2]`` is a chain of the first two
        stages, which shares them with this one.
        """
        stages = self._stage_list
        if isinstance(key, slice):
            if key.step not in (None, 1) or key.start not in (None, 0):
                raise ValueError(
                    f"A part of a chain begins with its first stage, such as nae[:2], got {key}."
                )
            return self._first(len(stages[key]))
        if isinstance(key, str):
            for name, estimator, _ in stages:
                if name == key:
                    return estimator
            raise KeyError(f"There is no stage {key!r}; the stages are {[s[0] for s in stages]}.")
        return stages[key][1]

    @property
    def _stage_list(self) -> list:
        if self.__sklearn_is_fitted__():
            return self.stages_
        if self.stages is None:
            raise TypeError(
                f"The scales of this {type(self).__name__} come from the data: it has no stages "
                "before fit."
            )
        return list(self.stages)

    def _first(self, n_stages: int) -> Any:
        """Return a chain of the first stages."""
        if not n_stages:
            raise ValueError("A part of a chain has at least one stage.")
        if not self.__sklearn_is_fitted__():
            return type(self)(self._stage_list[:n_stages])
        part = copy(self)  # of which the estimators are the same ones
        part.stages = self.stages_[:n_stages]
        if part.n_components is not None and not isinstance(part.n_components, Integral):
            part.n_components = list(part.n_components)[:n_stages]
        part._fitted = self._fitted.first(n_stages)
        part._members = [member._first(n_stages) for member in self._members]
        return part

    def _with_last_estimator(self, estimator: Any) -> Any:
        """Return a fitted chain, of one member, whose last stage has another fitted estimator.

        Such as another member of a stage which is an ensemble itself: the latents that it is given
        stay those of the first members.
        """
        changed = self._first(len(self))
        changed._fitted = self._fitted.with_last_estimator(estimator)
        changed._members = []
        return changed

    @property
    def _last_estimator(self) -> Any:
        """The last stage's estimator; before ``fit``, the one to clone for it."""
        return self._estimators[-1]

    @property
    def _estimators(self) -> list[Any]:
        """The stages' estimators; before ``fit``, those to clone for them."""
        if self.__sklearn_is_fitted__():
            return [estimator for _, estimator, _ in self.stages_]
        try:
            found = [stage[1] for stage in self.stages] or [None]
        except (TypeError, IndexError, KeyError):
            found = [self.estimator]
        return [e if hasattr(e, "__sklearn_tags__") else SupervisedAutoencoder() for e in found]

    # -- what was fitted

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in vars(self)

    def _fitted_or_refuse(self, attribute: str) -> FittedChain:
        """Return the fitted state, or raise an error for an attribute that needs it."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no {attribute} before fit.")
        return self._fitted

    @property
    def stages_(self) -> list[tuple[str, Any, list[int]]]:
        """The name, the fitted estimator and the positions of the own columns of each stage."""
        return [tuple(stage) for stage in self._fitted_or_refuse("stages_").stages]

    @property
    def targets_(self) -> dict[str, list[int]]:
        """The columns of y that are the target of each stage."""
        return self._fitted_or_refuse("targets_").targets

    @property
    def members_(self) -> list[Any]:
        """The fitted chains, of an ensemble or of one."""
        self._fitted_or_refuse("members_")
        return members_of(self)

    @property
    def _chains(self) -> list[FittedChain]:
        """The fitted chains of the members, or the one chain."""
        return [member._fitted for member in self.members_]

    @property
    def named_stages_(self) -> Bunch:
        """The fitted estimators, by name."""
        return Bunch(**{name: estimator for name, estimator, _ in self.stages_})

    @property
    def classes_(self) -> np.ndarray:
        """Class labels of the last stage, of shape (n_classes,)."""
        return self._fitted_or_refuse("classes_").stages[-1].estimator.classes_

    @property
    def n_iter_(self) -> int:
        """Number of epochs of all stages together; 1 where no stage has epochs."""
        stages = self._fitted_or_refuse("n_iter_").stages
        innermosts = [innermost(stage.estimator) for stage in stages]
        return max(sum(int(np.sum(getattr(e, "n_iter_", 0))) for e in innermosts), 1)

    @property
    def history_(self) -> pd.DataFrame:
        """The histories of all stages that have one, indexed by stage and epoch."""
        found = {}
        for name, estimator, _ in self._fitted_or_refuse("history_").stages:
            history = getattr(innermost(estimator), "history_", None)
            if history is not None and history.index.nlevels > 1:  # of a chain as a stage
                for inner, part in history.groupby(level=0, sort=False):
                    found[f"{name}__{inner}"] = part.droplevel(0)
            elif history is not None:
                found[name] = history
        if not found:
            raise AttributeError("No stage has a history_.")
        return pd.concat(found, names=["stage"])

    @property
    def refine_history_(self) -> pd.DataFrame:
        """The history of the refinement, with the loss terms of every stage."""
        history = self._fitted_or_refuse("refine_history_").refine_history
        if history is None:
            raise AttributeError(f"This {type(self).__name__} was fitted without a refinement.")
        return history

    # -- in files

    def __getstate__(self) -> dict[str, Any]:
        """Return parameters and plain values alone, so that a stored file is safe to load."""
        state = dict(super().__getstate__())
        if self.__sklearn_is_fitted__():
            state["_fitted"] = self._fitted.to_state()
        return stamp(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state of ``__getstate__``."""
        state = check_stamp(state, self)
        if "_fitted" in state:
            state["_fitted"] = FittedChain.from_state(state["_fitted"])
        super().__setstate__(state)

    # -- what scikit-learn asks

    def _sk_visual_block_(self) -> VisualBlock:
        """Draw the chain in notebooks, one stage below the other."""
        if self.__sklearn_is_fitted__():
            labels = label_fitted_stages(self._fitted)
        elif self.stages is None:
            each = SupervisedAutoencoder() if self.estimator is None else self.estimator
            return diagram_of([each], [label_each_scale()])
        else:
            labels = label_stages(self.stages)
        return diagram_of([estimator for _, estimator, _ in self._stage_list], labels)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        of_stages = [get_tags(estimator) for estimator in self._estimators]
        last = of_stages[-1]
        tags.estimator_type = last.estimator_type
        tags.classifier_tags = last.classifier_tags
        tags.regressor_tags = last.regressor_tags
        tags.target_tags = last.target_tags
        tags.target_tags.multi_output &= self.stages is None or len(of_stages) == 1
        tags.target_tags.required = any(own.target_tags.required for own in of_stages)
        tags.input_tags.three_d_array = self.stages is None  # as one column of arrays
        tags.input_tags.allow_nan = all(
            # a pipeline or a search does not say whether what is in it takes missing values
            own.input_tags.allow_nan
            or isinstance(estimator, Pipeline)
            or hasattr(estimator, "refit")
            for estimator, own in zip(self._estimators, of_stages, strict=True)
        )
        tags.input_tags.categorical = any(own.input_tags.categorical for own in of_stages)
        if tags.transformer_tags is not None and last.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = last.transformer_tags.preserves_dtype
        return tags
