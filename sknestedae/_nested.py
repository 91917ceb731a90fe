"""The nested autoencoder: one stage a scale, each on the latents of the one before."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin, clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import (
    Bunch,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    get_tags,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from ._base import (
    BaseSupervisedAutoencoder,
    all_or_nothing,
    as_plain_array,
    check_not_empty,
    drop_weightless,
)
from ._compat import (
    BaseComposition,
    HasMethods,
    Interval,
    StrOptions,
    VisualBlock,
    check_sample_weight,
    fit_context,
    stack_level_of_caller,
)
from ._refine import StageData, refine
from ._scales import (
    Stack,
    check_names,
    innermost,
    is_scale_list,
    last_scale,
    match_targets,
    measured_scales,
    refuse_folded_lists,
    scale_columns,
    stack,
    target_frame,
)
from ._supervised import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from ._table import is_categorical, resolve_columns, row_keys
from .exceptions import (
    DivergenceError,
    FewRowsWarning,
    NoTargetError,
    UnmeasuredScaleWarning,
)

__all__ = ["NestedAutoencoder"]

# Parameters of the chain that go to every stage which has them.
_PASSED_ON = ("n_components", "max_iter", "verbose", "random_state")
# With fewer rows of its own, and this many times more of later scales, a stage gives a warning.
_FEW_ROWS = 10


class Stage(NamedTuple):
    """A link of the chain.

    Parameters
    ----------
    name : str
    estimator : estimator
    columns : list of int
        Positions of the stage's own columns.
    """

    name: str
    estimator: Any
    columns: list[int]


def _has_classifier_last(nae: NestedAutoencoder) -> bool:
    return is_classifier(nae._last_estimator)


def _can_predict(nae: NestedAutoencoder) -> bool:
    stages = vars(nae).get("stages_") or nae._named_estimators or [("", nae._last_estimator)]
    return any(hasattr(stage[1], "predict") for stage in stages)


class NestedAutoencoder(TransformerMixin, BaseComposition):
    r"""Chain of autoencoders over scales, each on the latents of the one before.

    A stage takes the latents of the stage before it beside the columns of its own scale,
    reconstructs both, and predicts its own target [1]_. Scales may have rows of their own: in the
    paper, crystals (properties of ions, band gap) are one table, and solar cells made of such
    crystals (transport layers, efficiency) another. What a crystal's latents know of its band gap
    then serves the solar cells.

    Read more in the :ref:`User Guide <nested_autoencoder>`.

    Parameters
    ----------
    stages : list of (str, estimator, columns) or None, default=None
        Name, estimator and own columns of each stage, in order. An estimator is anything with
        ``fit`` and ``transform``: a :class:`SupervisedAutoencoder`, its classifier, a
        :class:`~sklearn.pipeline.Pipeline`, or a fitted one in a
        :class:`~sklearn.frozen.FrozenEstimator`, which stays as it is. Columns are names,
        indices, a slice, a mask, or a callable that is given X, as in
        :class:`~sklearn.compose.ColumnTransformer`; in a table with columns of two levels, the
        name of a scale stands for all of its columns. Columns of no stage are left out.
        None: one stage per scale of the data.
    estimator : estimator or None, default=None
        What is cloned for each scale where ``stages`` is None. None: a
        :class:`SupervisedAutoencoder`, or a :class:`SupervisedAutoencoderClassifier` where the
        scale's target holds strings, booleans or categories; after the first scale with
        ``alpha="auto"``, so that few rows are enough for it.
    n_components : int, sequence of {int, None} or None, default=None
        Number of latents: of every stage, or one number per stage. None: as the estimators say.
    train_rows : {"own", "all"}, default="own"
        Rows that a stage is trained on. "own", as in [1]_: those of its own scale, which is the
        last one at which they have a measured column or a known target; where there are none,
        because all scales describe the same rows, every row that has some of its columns.
        "all": always the latter, so that the rows of later scales help an earlier stage to
        reconstruct. Rows without a target do not count in the prediction error.
    latents : {"last", "all"}, default="last"
        What ``transform`` gives: the last stage's latents, or those of all stages side by side.
    refine_iter : int, default=0
        Number of epochs in which all stages are trained together, end to end, after each has been
        trained on its own. All stages must then be supervised autoencoders.
    max_iter : int or None, default=None
        Number of epochs of every stage; None: as the estimators say.
    verbose : bool, int or None, default=None
        Whether every stage shows its progress; None: as the estimators say.
    random_state : int, RandomState instance or None, default=None
        Seed of every stage; None: as the estimators say.

    Attributes
    ----------
    stages_ : list of (str, estimator, list of int)
        Name, fitted estimator and positions of the own columns of each stage.
    named_stages_ : :class:`~sklearn.utils.Bunch`
        The fitted estimators by name; so does ``nae["name"]``.
    targets_ : dict of str to list of int
        For each stage, which columns of y are its target.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where all are strings.
    classes_ : ndarray of shape (n_classes,)
        Class labels of the last stage, where it is a classifier.
    n_iter_ : int
        Number of epochs of all stages together; each stage has its own.
    history_ : DataFrame
        The histories of all stages, indexed by stage and epoch.
    refine_history_ : DataFrame
        The history of the refinement, with the loss terms of every stage; only if there was one.

    See Also
    --------
    SupervisedAutoencoder : One scale.
    stack_scales : Make one table of one table per scale.
    ScaleKFold : Folds of the rows of each scale.
    sknestedae.plotting.NestedDisplay : The chain as a figure.

    Notes
    -----
    Stage :math:`k` has columns :math:`x^{(k)}` of its own and, from the stage before, latents
    :math:`z^{(k-1)}`. Its latents are :math:`z^{(k)} = e_k(x^{(k)}, z^{(k-1)})`, and its
    objective is that of a :class:`SupervisedAutoencoder` on :math:`(x^{(k)}, z^{(k-1)})`. Stages
    are trained one after the other. The latents of a row that has no measured column up to a
    stage are missing for the next: they enter as the mean and are not reconstructed.

    A list of tables, one a scale, is the same as the one table that :func:`stack_scales` makes of
    it. Functions that split rows, such as :func:`~sklearn.model_selection.cross_validate`, need
    the one table.

    References
    ----------
    .. [1] N. Thota, M. Sharma Priyadarshini, R. Hernandez, Materials Horizons 11, 700 (2024).
       :doi:`10.1039/D3MH01484C`

    Examples
    --------
    Two scales that describe the same rows:

    >>> from sknestedae import NestedAutoencoder
    >>> from sknestedae.datasets import make_nested_functions
    >>> X_list, y_list = make_nested_functions(100, random_state=0, return_X_y=True)
    >>> nae = NestedAutoencoder(n_components=[2, 5], max_iter=5, random_state=0)
    >>> nae = nae.fit(X_list, y_list)
    >>> [Z.shape for Z in nae.transform(X_list)]
    [(100, 2), (100, 5)]
    >>> [y.shape for y in nae.predict(X_list)]
    [(100, 2), (100, 3)]

    Stages by name, over one table:

    >>> import pandas as pd
    >>> from sknestedae import SupervisedAutoencoder
    >>> X = pd.concat(X_list, axis=1)
    >>> nae = NestedAutoencoder(
    ...     [
    ...         ("inner", SupervisedAutoencoder(2, max_iter=5), ["f1", "f2", "f3", "f4"]),
    ...         ("outer", SupervisedAutoencoder(5, max_iter=5), slice("f5", "f13")),
    ...     ]
    ... )
    >>> nae.fit(X, y_list[1]["z5"]).get_feature_names_out()[:2]
    array(['outer__supervisedautoencoder0', 'outer__supervisedautoencoder1'],
          dtype=object)
    >>> nae["inner"].n_features_in_, nae["outer"].n_features_in_
    (4, 11)
    """

    _parameter_constraints: ClassVar[dict] = {
        "stages": [list, None],
        "estimator": [HasMethods(["fit", "transform"]), None],
        "n_components": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "train_rows": [StrOptions({"own", "all"})],
        "latents": [StrOptions({"last", "all"})],
        "refine_iter": [Interval(Integral, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        stages=None,
        *,
        estimator=None,
        n_components=None,
        train_rows="own",
        latents="last",
        refine_iter=0,
        max_iter=None,
        verbose=None,
        random_state=None,
    ):
        self.stages = stages
        self.estimator = estimator
        self.n_components = n_components
        self.train_rows = train_rows
        self.latents = latents
        self.refine_iter = refine_iter
        self.max_iter = max_iter
        self.verbose = verbose
        self.random_state = random_state

    # -- parameters

    @property
    def _named_estimators(self) -> Any:
        """Stages as pairs, which is how parameters by name are found; as they are if malformed."""
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
            Whether to give also the stages by name and their parameters, such as
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
            Such as ``crystal__n_components=8`` or ``crystal=SupervisedAutoencoder()``.

        Returns
        -------
        self : object
        """
        if "stages" in params:
            self.stages = params.pop("stages")
        self._set_params("_named_estimators", **params)
        return self

    # -- fit

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the stages, one after the other.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            One table, with NaN where a scale was not measured; or one table per scale, as
            :func:`stack_scales` takes them. A table with columns of two levels, (scale, feature),
            tells its scales itself.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), list of them, or None, \
default=None
            Target, missing where it is not known. One of one dimension belongs to the last
            stage. Columns belong to the stages that they are named after, else to one stage each,
            in order. Beside a list of tables, a list of one target (or None) per scale.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, 0 or more. Beside a list of tables with rows of their own, a list.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If tables, columns, targets and stages do not go together; the message names what.
        TypeError
            If a stage can not transform or, with weights, not take them.
        """
        with all_or_nothing(self):
            if is_scale_list(X):
                refuse_folded_lists()
                stacked = self._stack(X, y, reset=True)
                sample_weight = _stack_weights(sample_weight, stacked.rows)
                X, y = stacked.X, stacked.y
            return self._fit(X, y, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> NestedAutoencoder:
        """Check everything, then fit stage after stage."""
        X = self._check_X(X, reset=True)
        if y is not None:
            check_consistent_length(X, y)
        kept: Any = slice(None)
        if sample_weight is not None:
            sample_weight = check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            X, sample_weight, kept = drop_weightless(X, sample_weight)
        stages = self._make_stages(X)
        if isinstance(y, np.ndarray) and y.shape[1:] == (1,):
            # one column belongs to the last of many stages, as if it had one dimension
            y = y if get_tags(self).target_tags.multi_output else column_or_1d(y, warn=True)
        target = _Target.of(y, kept, [name for name, _, _ in stages])
        stages = self._configure(stages, target)
        measured = measured_scales(X, [columns for _, _, columns in stages])
        rows = _training_rows(measured, target.known(len(X)), stages, X, self.train_rows)
        for stage, own in zip(stages, rows, strict=True):
            _check_stage(stage, target, own)

        fit_data: list[StageData] = []
        n_latents: list[int] = []
        latents: Any = None
        for k, (stage, own) in enumerate(zip(stages, rows, strict=True)):
            before = stages[k - 1] if k else None
            data = StageData(
                [self._table(X, own, stage, before, latents)],
                target.stage(stage.name, own),
                None if sample_weight is None else sample_weight[own],
            )
            with _naming(stage.name):
                _fit_stage(stage.estimator, data)
                # what later stages are trained on; of the last stage, a row to count its latents
                later = np.unique(np.concatenate(rows[k + 1 :] or [own[:1]]))
                table = self._table(X, later, stage, before, latents)
                seen = np.asarray(measured[later, : k + 1].any(axis=1))
                encoded = _encode_alike(stage.estimator, table, seen)
            latents = np.full((len(X), encoded.shape[1]), np.nan, dtype=encoded.dtype)
            latents[later] = encoded
            n_latents.append(encoded.shape[1])
            fit_data.append(data)
        self.stages_ = [(stage.name, stage.estimator, stage.columns) for stage in stages]
        self.targets_ = target.columns
        self._y_is_1d = target.is_1d
        self._n_latents = n_latents
        self._has_own_rows = any(len(own) < len(X) for own in rows)
        self.__dict__.pop("refine_history_", None)  # of an earlier fit
        if self.refine_iter:
            self._refine(X, rows, fit_data)
        return self

    def _stack(self, X_list: Any, y_list: Any = None, *, reset: bool = False) -> Stack:
        """Make one table of a list, with the scales named as the stages are.

        Parameters
        ----------
        X_list, y_list : list
        reset : bool
            Whether it is to be fitted. If not, later scales may be missing.
        """
        if reset and self.stages is None:
            return stack(X_list, y_list)
        if reset:
            names = self._stage_names()
        else:
            names = self._scales or [name for name, _, _ in self.stages_]
        if len(X_list) > len(names) or (reset and len(X_list) < len(names)):
            raise ValueError(
                f"X is a list of {len(X_list)} tables, but there are {len(names)} stages: "
                f"{names}. Pass one table per stage; or, where the list is a part of a longer "
                "one, such as a fold, make one table of the whole with stack_scales first."
            )
        return stack(X_list, y_list, names[: len(X_list)])

    def _check_X(self, X: Any, *, reset: bool) -> Any:
        """Check a table; give a DataFrame, or an array of floats or of objects."""
        X = as_plain_array(X)
        if not reset:
            X = self._align(X)
        if isinstance(X, pd.DataFrame):
            if not X.columns.is_unique:
                twice = X.columns[X.columns.duplicated()].unique().tolist()
                raise ValueError(f"X has the columns {twice} more than once.")
            validate_data(self, X, reset=reset, skip_check_array=True)
            check_not_empty(X)
        else:
            X = self._check_array(X, reset=reset)
        if reset:
            self._is_frame = isinstance(X, pd.DataFrame)
            columns = scale_columns(X)
            self._scales = None if columns is None else list(columns)
            self._labels: list[Any] = list(X.columns) if self._is_frame else []
            self._level_names = list(X.columns.names) if self._is_frame else []
        return X

    def _check_array(self, X: Any, *, reset: bool) -> Any:
        settings = {"reset": reset, "ensure_all_finite": False}
        try:
            return validate_data(self, X, dtype=[np.float64, np.float32], **settings)
        except ValueError as error:
            if "could not convert" not in str(error):
                raise
        # words: a stage may take some of its columns as categorical
        return validate_data(self, np.asarray(X, dtype=object), dtype=None, **settings)

    def _align(self, X: Any) -> Any:
        """Give a table the columns of ``fit``; those of a whole stage may be missing."""
        if not self._is_frame:
            return X
        if not isinstance(X, pd.DataFrame):
            X = pd.DataFrame(self._check_array(X, reset=False)).infer_objects()
            return X.set_axis(self._column_index(), axis=1)
        if list(X.columns) == self._labels:
            return X
        labels = self._fitted_labels(X)
        given = set(labels)
        lacking = {j for j, label in enumerate(self._labels) if label not in given}
        absent = self._absent_stages(lacking)
        is_subset = len(given) == len(labels) == len(self._labels) - len(lacking)
        is_usable = is_subset and absent is not None
        if self._scales is None and not (is_usable and lacking):
            return X  # scikit-learn tells what is wrong with it
        if not is_usable:
            problems = {
                "lacks": [self._labels[j] for j in sorted(lacking)],
                "has others:": [label for label in labels if label not in self._labels],
                "has more than once:": sorted({x for x in labels if labels.count(x) > 1}, key=str),
            }
            found = [f"{what} {which}" for what, which in problems.items() if which]
            raise ValueError(f"The columns must be those of fit. X {' and '.join(found)}.")
        if absent:
            warnings.warn(
                f"X has no column of stage {' and '.join(map(repr, absent))}; its columns enter "
                "as not measured.",
                UnmeasuredScaleWarning,
                stacklevel=stack_level_of_caller(),
            )
        X = X.set_axis(pd.Index(labels, tupleize_cols=False), axis=1)
        X = X.reindex(columns=pd.Index(self._labels, tupleize_cols=False))
        return X.set_axis(self._column_index(), axis=1)

    def _fitted_labels(self, X: pd.DataFrame) -> list:
        """Give the labels that columns had in ``fit``: features alone are found in their scale."""
        if self._scales is None or X.columns.nlevels > 1:
            return list(X.columns)
        of_feature: dict[Any, Any] = {}
        for label in self._labels:
            of_feature[label[1:]] = label if label[1:] not in of_feature else None
        return [of_feature.get((label,)) or label for label in X.columns]

    def _absent_stages(self, lacking: set[int]) -> list[str] | None:
        """Name the stages of which all columns are lacking; None if it is all, or some of one."""
        absent = [name for name, _, columns in self.stages_ if lacking >= set(columns)]
        needed = {j for name, _, columns in self.stages_ if name not in absent for j in columns}
        return None if not needed or needed & lacking else absent

    def _column_index(self) -> pd.Index:
        if self._scales is not None:
            return pd.MultiIndex.from_tuples(self._labels, names=self._level_names)
        return pd.Index(self._labels, name=self._level_names[0], tupleize_cols=False)

    # -- stages

    def _stage_names(self) -> list[str]:
        """Check the parameter ``stages`` and give the names."""
        for entry in self.stages:
            if not (isinstance(entry, tuple | list) and len(entry) == 3):
                raise ValueError(
                    "The 'stages' parameter must be a list of tuples (name, estimator, columns), "
                    f"got {entry!r} in it."
                )
        if not self.stages:
            raise ValueError("The 'stages' parameter must have at least one stage, got [].")
        names = check_names([name for name, _, _ in self.stages], "stages")
        taken = sorted(set(names) & set(self.get_params(deep=False)))
        if taken:
            raise ValueError(
                f"The 'stages' parameter must not have names that parameters have, got {taken}."
            )
        for name, estimator, _ in self.stages:
            if not (hasattr(estimator, "fit") and hasattr(estimator, "transform")):
                raise TypeError(
                    f"The estimator of stage {name!r} must have fit and transform; "
                    f"{estimator!r} has not."
                )
        return names

    def _make_stages(self, X: Any) -> list[Stage]:
        """Give the stages with their columns; where the data tell them, without an estimator."""
        if self.stages is None:
            if self._scales is None:
                return [Stage("scale0", None, list(range(X.shape[1])))]
            names = check_names(list(self._scales), "scale names of X as stage names; it")
            columns = list((scale_columns(X) or {}).values())
            return [Stage(*each) for each in zip(names, [None] * len(names), columns, strict=True)]
        stages = []
        owner: dict[int, str] = {}
        for name, (_, estimator, wanted) in zip(self._stage_names(), self.stages, strict=True):
            wanted = wanted(X) if callable(wanted) else wanted
            positions = resolve_columns(
                wanted,
                self._labels if self._is_frame else None,
                X.shape[1],
                f"The 'stages' parameter, in stage {name!r},",
            )
            if not len(positions):
                raise ValueError(
                    f"Stage {name!r} has no columns: {wanted!r} is none of X (n_features="
                    f"{X.shape[1]})."
                )
            for j in positions.tolist():
                if j in owner:
                    raise ValueError(
                        f"Column {self._label(j)} is given to stage {owner[j]!r} and again to "
                        f"stage {name!r}; a column is the own column of one stage."
                    )
                owner[j] = name
            stages.append(Stage(name, estimator, positions.tolist()))
        return stages

    def _label(self, j: int) -> str:
        return repr(self._labels[j]) if self._is_frame else f"{j}"

    def _configure(self, stages: list[Stage], target: _Target) -> list[Stage]:
        """Clone each stage's estimator and pass the chain's parameters on."""
        n_components = self.n_components
        if n_components is None or isinstance(n_components, Integral):
            n_components = [n_components] * len(stages)
        elif len(n_components) != len(stages):
            raise ValueError(
                f"The 'n_components' parameter has {len(n_components)} numbers, but there are "
                f"{len(stages)} stages: {[stage.name for stage in stages]}."
            )
        configured = []
        for k, (stage, n) in enumerate(zip(stages, n_components, strict=True)):
            estimator = stage.estimator if self.stages is not None else self.estimator
            if estimator is None:
                labels = target.holds_labels(stage.name)
                kind = SupervisedAutoencoderClassifier if labels else SupervisedAutoencoder
                # a later scale may have few rows, and must not learn the latents' noise by heart
                estimator = kind(alpha="auto") if k else kind()
            estimator = clone(estimator)
            values = {parameter: getattr(self, parameter) for parameter in _PASSED_ON}
            _pass_on(estimator, {**values, "n_components": n})
            configured.append(stage._replace(estimator=estimator))
        return configured

    @property
    def _last_estimator(self) -> Any:
        """The last stage's estimator; before ``fit``, what is to become of it."""
        if "stages_" in vars(self):
            return self.stages_[-1][1]
        try:
            last = self.stages[-1][1]
        except (TypeError, IndexError, KeyError):
            last = self.estimator
        return last if hasattr(last, "__sklearn_tags__") else SupervisedAutoencoder()

    def _table(
        self, X: Any, rows: Any, stage: Stage, before: Stage | None, latents: np.ndarray | None
    ) -> Any:
        """Give a stage's table: its own columns, then the latents of the stage before.

        Returns
        -------
        DataFrame or ndarray of shape (n_rows, n_own_columns + n_latents)
        """
        if not self._is_frame:
            own = X[rows][:, stage.columns]
            return own if latents is None else np.hstack([own, latents[rows]])
        own = X.iloc[rows, stage.columns]
        labels = [self._labels[j] for j in stage.columns]
        if self._scales is not None:
            labels = [label[1] if len(label) == 2 else label[1:] for label in labels]
        if before is None or latents is None:
            return own.set_axis(pd.Index(labels, tupleize_cols=False), axis=1)
        found = pd.DataFrame(latents[rows], index=own.index)
        names: list[Any] = [
            (before.name, name) for name in _names_of_latents(before.estimator, found.shape[1])
        ]
        if all(isinstance(label, str) for label in labels):  # names are strings, all or none
            names = ["__".join(name) for name in names]
        return pd.concat([own, found], axis=1).set_axis(
            pd.Index([*labels, *names], tupleize_cols=False), axis=1
        )

    def _walk(self, X: Any) -> Iterator[tuple[Stage, Any]]:
        """Send a checked table through the fitted chain; give each stage with its table."""
        stages = [Stage(*stage) for stage in self.stages_]
        measured = measured_scales(X, [stage.columns for stage in stages])
        latents = before = None
        for k, stage in enumerate(stages):
            table = self._table(X, slice(None), stage, before, latents)
            yield stage, table
            if k + 1 < len(stages):
                seen = np.asarray(measured[:, : k + 1].any(axis=1))
                latents, before = _encode_stage(stage.estimator, table, seen), stage

    def _refine(self, X: Any, rows: list[np.ndarray], data: list[StageData]) -> None:
        """Train all stages together."""
        names = [name for name, _, _ in self.stages_]
        estimators, is_frozen = [], []
        for name, estimator, _ in self.stages_:
            is_frozen.append(isinstance(estimator, FrozenEstimator))
            estimators.append(estimator.estimator if is_frozen[-1] else estimator)
            if not isinstance(estimators[-1], BaseSupervisedAutoencoder):
                raise TypeError(
                    f"With refine_iter={self.refine_iter} all stages must be supervised "
                    f"autoencoders; stage {name!r} is a {type(estimators[-1]).__name__}."
                )
        take = X.iloc if self._is_frame else X
        data = [
            own._replace(tables=[table for _, table in self._walk(take[own_rows])][: k + 1])
            for k, (own, own_rows) in enumerate(zip(data, rows, strict=True))
        ]
        self.refine_history_ = refine(
            names,
            estimators,
            is_frozen,
            data,
            max_iter=self.refine_iter,
            seed=check_random_state(self.random_state).randint(2**31),
            verbose=self.verbose or 0,
        )

    # -- after fit

    def transform(self, X):
        """Give the latents of X.

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
        """
        check_is_fitted(self)
        tables = list(self._walk(self._check_X(X, reset=False)))
        if self.latents == "last":
            tables = tables[-1:]
        return np.hstack([_transform(stage.estimator, table) for stage, table in tables])

    @available_if(_can_predict)
    def predict(self, X):
        """Predict the target of every stage that has one.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``transform``. Of a list, each table gives the target of its own stage, or None
            where that has none.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or list of them
            With the columns of the y that was fitted, in its units. Of numbers and class labels
            together an array of objects.

        Raises
        ------
        NoTargetError
            If the chain was fitted without y.
        """
        check_is_fitted(self)
        if is_scale_list(X):
            return [
                part._predict_columns(part._check_X(table, reset=False), only_last=True)
                for part, table in self._parts(X)
            ]
        prediction = self._predict_columns(self._check_X(X, reset=False))
        if prediction is None:
            raise NoTargetError(
                f"This {type(self).__name__} was fitted without a target (y=None), so that it "
                "has no prediction; it can transform and inverse_transform."
            )
        return prediction

    def _predict_columns(self, X: Any, *, only_last: bool = False) -> Any:
        """Predict all targets, or those of the last stage alone; None if there are none."""
        last = self.stages_[-1][0]
        wanted = {
            name: columns
            for name, columns in self.targets_.items()
            if columns and (name == last or not only_last)
        }
        columns: dict[int, np.ndarray] = {}
        for stage, table in self._walk(X):
            if stage.name in wanted:
                values = np.asarray(stage.estimator.predict(_as_fitted(stage.estimator, table)))
                values = values.reshape(len(values), -1)
                columns |= dict(zip(wanted[stage.name], values.T, strict=True))
        ordered = [columns[j] for j in sorted(columns)]
        if not ordered or (self._y_is_1d and len(ordered) == 1):
            return ordered[0] if ordered else None
        if only_last and len(ordered) == 1:
            return ordered[0]
        is_number = all(np.issubdtype(column.dtype, np.number) for column in ordered)
        return np.column_stack(ordered if is_number else [c.astype(object) for c in ordered])

    @available_if(_has_classifier_last)
    def predict_proba(self, X):
        """Give the probabilities of the last stage's classes.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            As in ``predict``.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        *_, (stage, table) = self._walk(self._check_X(X, reset=False))
        return stage.estimator.predict_proba(_as_fitted(stage.estimator, table))

    def inverse_transform(self, Z):
        """Walk back down the chain, from latents to the columns of every scale.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_latents), or list of them
            Latents, as ``transform`` gives them. With ``latents="last"`` each stage's decoder
            gives its own columns and the latents of the stage before, which are decoded in turn;
            with ``latents="all"`` each stage's latents give its own columns.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_columns), or list of DataFrame
            The own columns of all stages, in the order and the units of ``fit``. Of a list, each
            entry gives the table of its own scale, as ``fit`` was given it.
        """
        check_is_fitted(self)
        if isinstance(Z, list | tuple) and is_scale_list(Z):
            return [self[: k + 1]._inverse_table(latents) for k, latents in enumerate(Z)]
        index = Z.index if isinstance(Z, pd.DataFrame) else None
        decoded = self._decode(check_array(Z, dtype=[np.float64, np.float32], input_name="Z"))
        columns = [decoded[j] for j in sorted(decoded)]
        if not self._is_frame:
            is_number = all(np.issubdtype(column.dtype, np.number) for column in columns)
            return np.column_stack(columns if is_number else [c.astype(object) for c in columns])
        frame = pd.concat(columns, axis=1)
        frame.columns = self._column_index()[sorted(decoded)]
        return frame if index is None else frame.set_axis(index, axis=0)

    def _inverse_table(self, Z: Any) -> Any:
        """Give the table of the last scale as it stands in a list."""
        frame = self.inverse_transform(Z)
        _, _, columns = self.stages_[-1]
        if not self._is_frame:
            return frame
        if not self._has_own_rows:  # a table of the same rows has its own columns alone
            frame = frame.loc[:, [self._labels[j] for j in columns]]
        return frame if self._scales is None else frame.droplevel(0, axis=1)

    def _decode(self, Z: np.ndarray) -> dict[int, Any]:
        """Give the own columns of all stages, by position in X."""
        n_latents = self._n_latents
        expected = sum(n_latents) if self.latents == "all" else n_latents[-1]
        if Z.shape[1] != expected:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but the chain gives {expected} latents "
                f"(latents={self.latents!r})."
            )
        given = np.split(Z, np.cumsum(n_latents)[:-1], axis=1) if self.latents == "all" else None
        decoded: dict[int, Any] = {}
        for k in reversed(range(len(self.stages_))):
            name, estimator, columns = self.stages_[k]
            if not hasattr(estimator, "inverse_transform"):
                raise AttributeError(
                    f"Stage {name!r} is a {type(estimator).__name__} and has no inverse_transform."
                )
            table = estimator.inverse_transform(Z if given is None else given[k])
            if not isinstance(table, pd.DataFrame):
                table = pd.DataFrame(np.asarray(table))
            for i, j in enumerate(columns):
                decoded[j] = table.iloc[:, i] if self._is_frame else table.iloc[:, i].to_numpy()
            Z = table.iloc[:, len(columns) :].to_numpy(dtype=Z.dtype)
        return decoded

    def score(self, X, y=None, sample_weight=None):
        """Give the mean score of the targets, or of the reconstructions where none is given.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``predict``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), list of them, or None, \
default=None
            With the columns that were fitted; a row without a target is left out of its score.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.

        Returns
        -------
        float
            R² of numbers and accuracy of classes, averaged over the stages that have a target
            with a measured row. Without y, the score of each stage's reconstruction of its own
            columns and of the latents before, averaged over the supervised autoencoders.

        Raises
        ------
        ValueError
            If no target has a measured row, or y has not the columns that were fitted.
        """
        check_is_fitted(self)
        if is_scale_list(X):
            refuse_folded_lists()
            stacked = self._stack(X, y)
            sample_weight = _stack_weights(sample_weight, stacked.rows)
            X, y = stacked.X, stacked.y
        X = self._check_X(X, reset=False)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        scores = []
        if y is None:
            for stage, table in self._walk(X):
                if isinstance(_unfrozen(innermost(stage.estimator)), BaseSupervisedAutoencoder):
                    with _naming(stage.name):
                        scores.append(stage.estimator.score(table))
            if not scores:
                raise ValueError("Without y only supervised autoencoders have a score.")
            return float(np.mean(scores))
        check_consistent_length(X, y)
        target = self._fitted_target(y)
        for stage, table in self._walk(X):
            rows = np.flatnonzero(target.known_of(stage.name))
            if len(rows):
                take = table.iloc if isinstance(table, pd.DataFrame) else table
                weight = {} if sample_weight is None else {"sample_weight": sample_weight[rows]}
                with _naming(stage.name):
                    part = _as_fitted(stage.estimator, take[rows])
                    scores.append(
                        stage.estimator.score(part, target.stage(stage.name, rows), **weight)
                    )
        if not scores:
            raise ValueError("y has no labelled row to score with: all targets are missing.")
        return float(np.mean(scores))

    def _fitted_target(self, y: Any) -> _Target:
        """Read a target that has the columns of the one that was fitted."""
        frame, _ = target_frame(y)
        n_outputs = sum(len(columns) for columns in self.targets_.values())
        if not n_outputs:
            raise NoTargetError(
                f"This {type(self).__name__} was fitted without a target (y=None)."
            )
        if frame.shape[1] != n_outputs:
            raise ValueError(
                f"y has {frame.shape[1]} columns, but the chain was fitted with {n_outputs}."
            )
        return _Target(frame, self._y_is_1d, self.targets_)

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
        stages = zip(self.stages_, self._n_latents, strict=True)
        names = [
            [f"{name}__{latent}" for latent in _names_of_latents(estimator, n_latents)]
            for (name, estimator, _), n_latents in stages
        ]
        names = names if self.latents == "all" else names[-1:]
        return np.asarray([name for stage in names for name in stage], dtype=object)

    # -- the chain as a sequence

    def __len__(self) -> int:
        """Give the number of stages."""
        return len(self._stage_list)

    def __getitem__(self, key: str | int | slice) -> Any:
        """Give a stage's estimator by name or position, or the first stages as a chain.

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
        if "stages_" in vars(self):
            return self.stages_
        if self.stages is None:
            raise TypeError(
                f"The scales of this {type(self).__name__} come from the data: it has no stages "
                "before fit."
            )
        return list(self.stages)

    def _first(self, n_stages: int) -> NestedAutoencoder:
        """Give a chain of the first stages."""
        if not n_stages:
            raise ValueError("A part of a chain has at least one stage.")
        part = type(self)(self._stage_list[:n_stages])
        if self.__sklearn_is_fitted__():
            part.__dict__.update({**vars(self), "stages": self.stages_[:n_stages]})
            part.stages_ = self.stages_[:n_stages]
            part.targets_ = {name: self.targets_[name] for name, _, _ in part.stages_}
            part._n_latents = self._n_latents[:n_stages]
            n_left = sum(map(len, part.targets_.values()))
            part._y_is_1d |= n_left == 1 < sum(map(len, self.targets_.values()))
            if part.n_components is not None and not isinstance(part.n_components, Integral):
                part.n_components = list(part.n_components)[:n_stages]
        return part

    def _parts(self, X_list: Any) -> Iterator[tuple[NestedAutoencoder, pd.DataFrame]]:
        """Give, for each table of a list, the chain up to its stage and its rows."""
        stacked = self._stack(X_list)
        for k, rows in enumerate(stacked.rows):
            yield self[: k + 1], stacked.X.iloc[rows]

    @property
    def named_stages_(self) -> Bunch:
        """The fitted estimators, by name."""
        return Bunch(**{name: estimator for name, estimator, _ in self.stages_})

    @property
    def classes_(self) -> np.ndarray:
        """Class labels of the last stage, of shape (n_classes,)."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no classes_ before fit.")
        return self.stages_[-1][1].classes_

    @property
    def n_iter_(self) -> int:
        """Number of epochs of all stages together; 1 where no stage has epochs."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no n_iter_ before fit.")
        innermosts = [innermost(estimator) for _, estimator, _ in self.stages_]
        return max(sum(int(np.sum(getattr(e, "n_iter_", 0))) for e in innermosts), 1)

    @property
    def history_(self) -> pd.DataFrame:
        """The histories of all stages that have one, indexed by stage and epoch."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no history_ before fit.")
        found = {
            name: innermost(estimator).history_
            for name, estimator, _ in self.stages_
            if hasattr(innermost(estimator), "history_")
        }
        if not found:
            raise AttributeError("No stage has a history_.")
        return pd.concat(found, names=["stage"])

    def __sklearn_is_fitted__(self) -> bool:
        return "stages_" in vars(self)

    def __getstate__(self) -> dict[str, Any]:
        """Give parameters and plain values alone, as a file that is safe to load needs them."""
        state = dict(super().__getstate__())
        if "refine_history_" in state:
            state["refine_history_"] = state["refine_history_"].to_dict("list")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what ``__getstate__`` gave."""
        state = dict(state)
        if "refine_history_" in state:
            history = pd.DataFrame(state["refine_history_"])
            history.index = pd.RangeIndex(1, len(history) + 1, name="epoch")
            state["refine_history_"] = history
        super().__setstate__(state)

    def _sk_visual_block_(self) -> VisualBlock:
        """Draw the chain in notebooks, one stage below the other."""
        if self.stages is None and not self.__sklearn_is_fitted__():
            each = SupervisedAutoencoder() if self.estimator is None else self.estimator
            named = {"each scale": (each, "its own columns, and the latents of the scale before")}
        else:
            named, before = {}, ""
            for name, estimator, columns in self._stage_list:
                named[name] = (estimator, f"{before}own columns: {columns!r}")
                before = f"latents of {name}, "
        # a block around each stage, as a block's name is drawn and a single estimator's is not
        blocks = [VisualBlock("serial", [e], dash_wrapped=False) for e, _ in named.values()]
        details = [detail for _, detail in named.values()]
        return VisualBlock("serial", blocks, names=list(named), name_details=details)

    def __sklearn_tags__(self):
        refuse_folded_lists()  # before a split of scikit-learn does, in words that do not help
        tags = super().__sklearn_tags__()
        last = get_tags(self._last_estimator)
        tags.estimator_type = last.estimator_type
        tags.classifier_tags = last.classifier_tags
        tags.regressor_tags = last.regressor_tags
        tags.target_tags = last.target_tags
        tags.target_tags.multi_output &= self.stages is None or len(self.stages) == 1
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        if tags.transformer_tags is not None and last.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = last.transformer_tags.preserves_dtype
        return tags


def _lists_in_lists_out(transform: Any) -> Any:
    """Let ``transform`` take a list of tables and give a list, each wrapped by ``set_output``."""

    @wraps(transform)
    def dispatch(self: NestedAutoencoder, X: Any) -> Any:
        if not is_scale_list(X):
            return transform(self, X)
        check_is_fitted(self)
        return [transform(part, table) for part, table in self._parts(X)]

    return dispatch


# scikit-learn wraps the output of a class's own ``transform`` when the class is made; it can not
# wrap a list, so that lists are taken apart outside of it.
NestedAutoencoder.transform = _lists_in_lists_out(  # type: ignore[method-assign]
    NestedAutoencoder.transform
)


# ---------------------------------------------------------------------------------------------
# Targets and rows


class _Target(NamedTuple):
    """A target, and which of its columns belong to which stage.

    Parameters
    ----------
    frame : DataFrame of shape (n_samples, n_outputs) or None
    is_1d : bool
        Whether it was given with one dimension.
    columns : dict of str to list of int
        For each stage.
    """

    frame: pd.DataFrame | None
    is_1d: bool
    columns: dict[str, list[int]]

    @classmethod
    def of(cls, y: Any, rows: Any, names: list[str]) -> _Target:
        """Read what ``fit`` was given, in some of its rows."""
        if y is None:
            return cls(None, True, {name: [] for name in names})
        frame, is_1d = target_frame(y)
        columns = match_targets(frame, names)
        return cls(frame[rows], is_1d, dict(zip(names, columns, strict=True)))

    def stage(self, name: str, rows: np.ndarray) -> Any:
        """Give a stage's target in some rows: a column, a DataFrame of several, or None."""
        columns = self.columns[name]
        if self.frame is None or not columns:
            return None
        part = self.frame.iloc[rows, columns]
        if len(columns) > 1:
            return part.to_numpy() if all(d.kind in "fiu" for d in part.dtypes) else part
        column = part.iloc[:, 0]
        return column.to_numpy() if isinstance(column.dtype, np.dtype) else column

    def known(self, n_samples: int) -> np.ndarray:
        """Tell of which stages a row has a target; of shape (n_samples, n_stages)."""
        if self.frame is None:
            return np.zeros((n_samples, len(self.columns)), dtype=bool)
        return measured_scales(self.frame, list(self.columns.values()))

    def known_of(self, name: str) -> np.ndarray:
        """Tell which rows have a target of one stage, of shape (n_samples,)."""
        return measured_scales(self.frame, [self.columns[name]])[:, 0]

    def holds_labels(self, name: str) -> bool:
        """Tell whether a stage's target is of classes: strings, booleans or categories."""
        columns = self.columns[name]
        if self.frame is None or len(columns) != 1:
            return False
        return is_categorical(self.frame.iloc[:, columns[0]], f"of y for stage {name!r}")


def _training_rows(
    measured: np.ndarray, known: np.ndarray, stages: list[Stage], X: Any, train_rows: str
) -> list[np.ndarray]:
    """Give the rows that each stage is trained on.

    Parameters
    ----------
    measured, known : ndarray of bool, shape (n_samples, n_stages)
        At which stages a row has a measured column, and a known target.
    stages : list of Stage
    X : DataFrame or ndarray
        For the messages.
    train_rows : "own" or "all"

    Returns
    -------
    list of ndarray of int
    """
    empty = np.flatnonzero(~measured.any(axis=1))
    if len(empty):
        label = f" (index {X.index[empty[0]]!r})" if isinstance(X, pd.DataFrame) else ""
        raise ValueError(
            f"Row {empty[0]}{label} has nothing measured at any scale, and so do {len(empty) - 1} "
            "others; leave such rows out."
        )
    last = last_scale(measured | known)
    rows = []
    for k, stage in enumerate(stages):
        own, some = np.flatnonzero(last == k), np.flatnonzero(measured[:, k])
        takes_own = train_rows == "own" and len(own) > 0
        if takes_own and len(own) < _FEW_ROWS and len(some) > _FEW_ROWS * len(own):
            warnings.warn(
                f"Stage {stage.name!r} is trained on the {len(own)} rows of which it is the last "
                f"measured scale, and not on {len(some)} that have its columns. If the others "
                "only lack later columns, set train_rows='all'.",
                FewRowsWarning,
                stacklevel=stack_level_of_caller(),
            )
        rows.append(own if takes_own else some)
    return rows


def _stack_weights(sample_weight: Any, rows: list[np.ndarray]) -> Any:
    """Bring the weights of a list of tables into the order of the one table."""
    if sample_weight is None:
        return None
    n_rows = [len(own) for own in rows]
    n_samples = 1 + max(own.max() for own in rows)
    if n_samples == n_rows[0]:  # the same rows at every scale
        return sample_weight
    if (
        not isinstance(sample_weight, list | tuple)
        or [np.size(w) for w in sample_weight] != n_rows
    ):
        raise ValueError(
            "sample_weight must be a list of the weights of each table's rows, of lengths "
            f"{n_rows}."
        )
    weights = np.empty(n_samples)
    for own, weight in zip(rows, sample_weight, strict=True):
        weights[own] = weight
    return weights


# ---------------------------------------------------------------------------------------------
# One stage's estimator


@contextmanager
def _naming(stage: str) -> Iterator[None]:
    """Say of an error which stage it comes from."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError, DivergenceError):
            raise
        raise type(error)(f"In stage {stage!r}: {error}") from error


def _unfrozen(estimator: Any) -> Any:
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def _pass_on(estimator: Any, values: dict[str, Any]) -> None:
    """Set parameters that are not None on an estimator, or on the last step of a pipeline."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    if isinstance(estimator, FrozenEstimator):
        return
    known = estimator.get_params(deep=False)
    estimator.set_params(
        **{name: v for name, v in values.items() if v is not None and name in known}
    )


def _check_stage(stage: Stage, target: _Target, rows: np.ndarray) -> None:
    """Refuse, before anything is trained, what a stage can not be trained on."""
    if isinstance(stage.estimator, FrozenEstimator):
        return
    if len(rows) < 2:
        raise ValueError(
            f"Stage {stage.name!r} has {len(rows)} row(s) to train on (n_samples={len(rows)}); at "
            "least 2 are needed."
        )
    if not target.columns[stage.name]:
        return
    if not hasattr(stage.estimator, "predict"):
        raise TypeError(
            f"Stage {stage.name!r} has a target, but its estimator has no predict: "
            f"{stage.estimator!r}."
        )
    if not target.known_of(stage.name)[rows].any():
        elsewhere = target.known_of(stage.name).sum()
        raise ValueError(
            f"The target of stage {stage.name!r} has no measured row among the {len(rows)} rows "
            f"that it is trained on ({elsewhere} are measured in rows of other scales)."
        )


def _fit_stage(estimator: Any, data: StageData) -> None:
    """Fit a stage's estimator, unless it is frozen."""
    (table,), y, weight = data
    if isinstance(estimator, FrozenEstimator):
        estimator.fit(table, y)  # checks that it was fitted
        return
    reads_gaps = isinstance(innermost(estimator), BaseSupervisedAutoencoder | NestedAutoencoder)
    if y is not None and not reads_gaps:
        missing = pd.isna(pd.DataFrame(y)).any(axis=1).to_numpy()
        if missing.any():
            table, y = table[~missing], np.asarray(y)[~missing]
            weight = None if weight is None else weight[~missing]
    parameters = {}
    if weight is not None:
        prefix, last = "", estimator
        while isinstance(last, Pipeline):
            prefix, last = f"{prefix}{last.steps[-1][0]}__", last.steps[-1][1]
        if not has_fit_parameter(last, "sample_weight"):
            raise TypeError(f"{type(last).__name__} can not be fitted with sample_weight.")
        parameters[f"{prefix}sample_weight"] = weight
    estimator.fit(table, y, **parameters)


def _as_fitted(estimator: Any, table: Any) -> Any:
    """Give a frozen estimator an array, if that is what it was fitted with."""
    is_frozen = isinstance(estimator, FrozenEstimator) and isinstance(table, pd.DataFrame)
    return table.to_numpy() if is_frozen and not hasattr(estimator, "feature_names_in_") else table


def _transform(estimator: Any, table: Any) -> np.ndarray:
    """Give an estimator's output as an array of shape (n_samples, n_latents)."""
    Z = estimator.transform(_as_fitted(estimator, table))
    Z = np.asarray(Z.toarray() if hasattr(Z, "toarray") else Z)
    if Z.ndim != 2:
        raise ValueError(
            f"{type(estimator).__name__} gave latents of shape {Z.shape}; they must have two "
            "dimensions."
        )
    return Z


def _encode_stage(estimator: Any, table: Any, seen: np.ndarray) -> np.ndarray:
    """Give the latents for the next stage: missing where nothing was measured of a row so far."""
    if seen.all():
        return _transform(estimator, table)
    encoded = _transform(estimator, table[seen] if seen.any() else table)
    latents = np.full((len(table), encoded.shape[1]), np.nan, dtype=encoded.dtype)
    if seen.any():
        latents[seen] = encoded
    return latents


def _encode_alike(estimator: Any, table: Any, seen: np.ndarray) -> np.ndarray:
    """Do so for rows that are learnt from: equal rows get equal latents, to the last bit.

    A matrix product may round equal rows differently. The next stage tells replicates, which
    early stopping must not part, by their equal content.
    """
    _, first, group = np.unique(row_keys(table), return_index=True, return_inverse=True)
    if len(first) == len(group):
        return _encode_stage(estimator, table, seen)
    take = table.iloc if isinstance(table, pd.DataFrame) else table
    return _encode_stage(estimator, take[first], seen[first])[group]


def _names_of_latents(estimator: Any, n_latents: int) -> list[str]:
    """Give the names of an estimator's output, or numbered ones where it has none."""
    try:
        names = list(estimator.get_feature_names_out())
    except (AttributeError, NotImplementedError, ValueError):
        names = []
    return names if len(names) == n_latents else [f"latent{i}" for i in range(n_latents)]
