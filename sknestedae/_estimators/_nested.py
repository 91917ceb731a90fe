"""The nested autoencoder: one stage a scale, each on the latents of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, wraps
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin, clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import (
    Bunch,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    get_tags,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._ambient import isolated
from .._compat import (
    BaseComposition,
    HasMethods,
    Interval,
    StrOptions,
    VisualBlock,
    check_sample_weight,
    fit_context,
)
from .._persistence import check_stamp, public, stamp
from .._tables._encoder import share_unlearnt
from .._tables._input import FrameKind, give_back, label_rows, read_rows, read_table
from .._tables._labels import ColumnLabels
from .._tables._missing import complete_table, fill_missing, give_back_filled, take_rows
from .._tables._scales import (
    StackedScales,
    is_scale_list,
    last_scale,
    measured_scales,
    refuse_folded_lists,
    stack,
)
from .._tables._target import target_frame
from ..exceptions import NoTargetError
from ._base import BaseSupervisedAutoencoder
from ._completion import ChainCompleter
from ._ensemble import fit_members, mean_and_spread, members_of, members_to_fit, strata_of
from ._fitted import fitted_part
from ._outputs import (
    decode_stages,
    join_columns,
    mean_of_members,
    predict_stages,
    score_of_members,
)
from ._refinement import StageData, refine
from ._stages import (
    Stage,
    StageTargets,
    as_fitted,
    check_stage,
    check_stages,
    encode_alike,
    find_stages,
    fit_stage,
    hold_kinds,
    iter_stages,
    naming,
    set_stage_params,
    stack_weights,
    stage_table,
    tell_mixed,
    training_rows,
    transform_stage,
)
from ._supervised import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from ._unwrap import innermost, names_of_latents, unfrozen
from ._validation import all_or_nothing, check_not_empty, check_training_rows

# Parameters of the chain that go to every stage which has them.
_PASSED_ON = ("n_components", "max_iter", "verbose", "random_state")


def _has_classifier_last(nae: NestedAutoencoder) -> bool:
    return is_classifier(nae._last_estimator)


def _can_predict(nae: NestedAutoencoder) -> bool:
    stages = vars(nae).get("stages_") or nae._named_estimators or [("", nae._last_estimator)]
    return any(hasattr(stage[1], "predict") for stage in stages)


@public("sknestedae")
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
    same_rows : bool or "auto", default="auto"
        Whether the tables of a list describe the same rows, as in :func:`stack_scales`. "auto":
        if they have as many rows and no column in common. Later lists of arrays mean what the
        list in ``fit`` meant.
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
    n_members : int, default=1
        Number of chains of an ensemble, which differ by their seeds and are trained together.
        Predictions are their mean. Latents, reconstructions, ``stages_`` and histories are the
        first chain's, which without ``bootstrap`` is the one of ``n_members=1``. A single stage
        may be an ensemble by its own ``n_members``: what follows then has its first member's
        latents, and the spread of its latents does not reach the next stage's prediction.
    bootstrap : bool, default=False
        Whether each chain of an ensemble sees rows drawn with replacement: as many rows of each
        scale, and as many of each class or with each target known, as there are.
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
    members_ : list of NestedAutoencoder
        The fitted chains of an ensemble, the first one included; without one, the chain.

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

    _takes_unlabelled_rows = True

    _parameter_constraints: ClassVar[dict] = {
        "stages": [list, None],
        "estimator": [HasMethods(["fit", "transform"]), None],
        "n_components": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "same_rows": ["boolean", StrOptions({"auto"})],
        "train_rows": [StrOptions({"own", "all"})],
        "latents": [StrOptions({"last", "all"})],
        "refine_iter": [Interval(Integral, 0, None, closed="left")],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
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
        same_rows="auto",
        train_rows="own",
        latents="last",
        refine_iter=0,
        max_iter=None,
        n_members=1,
        bootstrap=False,
        verbose=None,
        random_state=None,
    ):
        self.stages = stages
        self.estimator = estimator
        self.n_components = n_components
        self.same_rows = same_rows
        self.train_rows = train_rows
        self.latents = latents
        self.refine_iter = refine_iter
        self.max_iter = max_iter
        self.n_members = n_members
        self.bootstrap = bootstrap
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

    # -- fit

    @fit_context(prefer_skip_nested_validation=False)
    @isolated
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
            If a stage cannot transform or, with weights, not take them.
        """
        with all_or_nothing(self):
            if is_scale_list(X):
                refuse_folded_lists()
                stacked = self._stack(X, y, reset=True)
                sample_weight = stack_weights(sample_weight, stacked.rows, X)
                kinds, same_rows = [FrameKind.of(table) for table in X], stacked.same_rows
                X, y = stacked.X, stacked.y
            else:
                kinds, same_rows = [FrameKind.of(X)], None
            X, y, sample_weight = read_rows(X, y, sample_weight)
            if self.n_members > 1:
                self._fit_members(X, y, sample_weight)
            else:
                self._members: list[NestedAutoencoder] = []
                self._fit(X, y, sample_weight)
            for member in (self, *self._members):
                member._frame_kinds = kinds
                member._same_rows = not self._has_own_rows if same_rows is None else same_rows
            return self

    def _fit_members(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Fit all chains of an ensemble, and take over what the first of them learnt."""
        members = members_to_fit(self, resume=False)
        strata = None
        if self.bootstrap:
            kept = check_training_rows(X, y, sample_weight)
            X, y, sample_weight = kept.X, kept.of(y), kept.sample_weight
            strata = self._strata(X, y)
            for member in members:  # a draw of some rows must not say what a column is
                member._whole_table = X
        fit_members(members, X, y, sample_weight, strata)
        if self.bootstrap:
            for stages in zip(*(member.stages_ for member in members), strict=True):
                estimators = [unfrozen(innermost(estimator)) for _, estimator, _ in stages]
                if all(isinstance(e, BaseSupervisedAutoencoder) for e in estimators):
                    share_unlearnt([fitted_part(e).table for e in estimators])
        self._check_X(X, reset=True)  # as the members did
        self._members = members
        self._take_chain(members[0])

    def _take_chain(self, other: Any) -> None:
        """Take over the fitted stages of another chain."""
        self.stages_ = other.stages_
        self.targets_ = other.targets_
        self._y_is_1d = other._y_is_1d
        self._n_latents = other._n_latents
        self._has_own_rows = other._has_own_rows
        self.__dict__.pop("refine_history_", None)  # of an earlier fit
        if hasattr(other, "refine_history_"):
            self.refine_history_ = other.refine_history_

    def _strata(self, X: Any, y: Any) -> np.ndarray:
        """Say which rows are of a kind, that a draw must keep as many of."""
        X = self._check_X(X, reset=True)
        stages = find_stages(self.stages, X, self._columns)
        target = StageTargets.of(y, slice(None), [stage.name for stage in stages], X)
        measured = measured_scales(X, [stage.columns for stage in stages])
        kinds = pd.DataFrame({"scale": last_scale(measured | target.known(len(X)))})
        is_class = [True]
        if target.frame is not None:
            kinds = pd.concat([kinds, target.frame.reset_index(drop=True)], axis=1)
            classes = {
                j
                for stage in self._configure(stages, target)
                if is_classifier(stage.estimator)
                for j in target.columns[stage.name]
            }
            is_class += [j in classes for j in range(target.frame.shape[1])]
        return strata_of(kinds, is_class)

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Check everything, then fit stage after stage."""
        whole = self.__dict__.pop("_whole_table", X)
        X = self._check_X(X, reset=True)
        X, sample_weight, _, kept = check_training_rows(X, y, sample_weight)
        if self.stages is not None:
            check_stages(self.stages, self.get_params(deep=False))
        stages = find_stages(self.stages, X, self._columns)
        if isinstance(y, np.ndarray) and y.shape[1:] == (1,):
            # one column belongs to the last of many stages, as if it had one dimension
            y = y if get_tags(self).target_tags.multi_output else column_or_1d(y, warn=True)
        target = StageTargets.of(y, kept, [name for name, _, _ in stages], X)
        stages = self._configure(stages, target)
        for stage in stages:
            hold_kinds(stage, whole)
        measured = measured_scales(X, [columns for _, _, columns in stages])
        rows = training_rows(measured, target.known(len(X)), stages, X, self.train_rows)
        for stage, own in zip(stages, rows, strict=True):
            check_stage(stage, target, own)

        fit_data: list[StageData] = []
        n_latents: list[int] = []
        latents: Any = None
        for k, (stage, own) in enumerate(zip(stages, rows, strict=True)):
            before = stages[k - 1] if k else None
            data = StageData(
                [stage_table(X, own, self._columns, stage, before, latents)],
                target.stage(stage.name, own),
                None if sample_weight is None else sample_weight[own],
            )
            with naming(stage.name):
                fit_stage(stage.estimator, data)
                tell_mixed(stage, whole)
                # what later stages are trained on; of the last stage, a row to count its latents
                later = np.unique(np.concatenate(rows[k + 1 :] or [own[:1]]))
                table = stage_table(X, later, self._columns, stage, before, latents)
                seen = np.asarray(measured[later, : k + 1].any(axis=1))
                encoded = encode_alike(stage.estimator, table, seen)
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

    def _stack(self, X_list: Any, y_list: Any = None, *, reset: bool = False) -> StackedScales:
        """Make one table of a list, with the scales named as the stages are.

        Parameters
        ----------
        X_list, y_list : list
        reset : bool
            Whether it is to be fitted. If not, later scales may be missing.
        """
        if reset and self.stages is None:
            return stack(X_list, y_list, None, self.same_rows)
        if reset:
            names = check_stages(self.stages, self.get_params(deep=False))
        else:
            names = self._columns.scales or [name for name, _, _ in self.stages_]
        if len(X_list) > len(names) or (reset and len(X_list) < len(names)):
            raise ValueError(
                f"X is a list of {len(X_list)} tables, but there are {len(names)} stages: "
                f"{names}. Pass one table per stage; or, where the list is a part of a longer "
                "one, such as a fold, make one table of the whole with stack_scales first."
            )
        same_rows = self.same_rows
        if not reset:  # names of columns tell by themselves; what arrays mean, fit has decided
            frames = [isinstance(read_table(table), pd.DataFrame) for table in X_list]
            same_rows = "auto" if any(frames) else self._same_rows
        return stack(X_list, y_list, names[: len(X_list)], same_rows)

    def _check_X(self, X: Any, *, reset: bool) -> Any:
        """Check a table; give a DataFrame, or an array of floats or of objects."""
        X = read_table(X)
        if not reset and self._columns.is_frame:
            if not isinstance(X, pd.DataFrame):
                X = self._columns.name_columns_of(self._check_array(X, reset=False))
            X = self._columns.align(X, {name: own for name, _, own in self.stages_})
        if isinstance(X, pd.DataFrame) and (reset or self._columns.is_frame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            check_not_empty(X)
        else:
            X = self._check_array(X, reset=reset)
        if reset:
            self._columns: ColumnLabels = ColumnLabels.of(X)
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

    # -- stages

    def _configure(self, stages: list[Stage], target: StageTargets) -> list[Stage]:
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
                if labels:
                    target.doubt_labels(stage.name)
                kind = SupervisedAutoencoderClassifier if labels else SupervisedAutoencoder
                # a later scale may have few rows, and must not learn the latents' noise by heart
                estimator = kind(alpha="auto") if k else kind()
            estimator = clone(estimator)
            values = {parameter: getattr(self, parameter) for parameter in _PASSED_ON}
            set_stage_params(estimator, {**values, "n_components": n})
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

    def _walk(self, X: Any) -> Iterator[tuple[Stage, Any]]:
        """Send a checked table through the fitted chain; give each stage with its table."""
        return iter_stages(X, self._columns, [Stage(*stage) for stage in self.stages_])

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
        take = X.iloc if self._columns.is_frame else X
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

    @property
    def members_(self) -> list[NestedAutoencoder]:
        """The fitted chains, of an ensemble or of one."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no members_ before fit.")
        return members_of(self)

    # -- after fit

    @isolated
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

        Raises
        ------
        ValueError
            If the columns are not those of ``fit``, or a list has more tables than there are
            stages.
        """
        check_is_fitted(self)
        tables = list(self._walk(self._check_X(X, reset=False)))
        if self.latents == "last":
            tables = tables[-1:]
        return np.hstack([transform_stage(stage.estimator, table) for stage, table in tables])

    @available_if(_can_predict)
    @isolated
    def predict(self, X, return_std=False):
        """Predict the target of every stage that has one.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``transform``. Of a list, each table gives the target of its own stage, or None
            where that has none.
        return_std : bool, default=False
            Whether to give the spread of an ensemble's members as well.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or list of them
            With the columns of the y that was fitted, in its units. Of numbers and class labels
            together an array of objects. Of an ensemble, the members' mean, and the class of the
            largest mean probability.
        y_std : ndarray of the same shape, or list of them
            Only with ``return_std=True``: the standard deviation of the members' predictions; of
            a class, that of its probability.

        Raises
        ------
        NoTargetError
            If the chain was fitted without y.
        ValueError
            If a spread is asked of one member.
        """
        check_is_fitted(self)
        if is_scale_list(X):
            predictions = [
                part._predict_columns(
                    part._check_X(table, reset=False), only_last=True, return_std=return_std
                )
                for part, table in self._parts(X)
            ]
            if not return_std:
                return predictions
            y, y_std = zip(*((None, None) if p is None else p for p in predictions), strict=True)
            return list(y), list(y_std)
        prediction = self._predict_columns(self._check_X(X, reset=False), return_std=return_std)
        if prediction is None:
            raise NoTargetError(
                f"This {type(self).__name__} was fitted without a target (y=None), so that it "
                "has no prediction; it can transform and inverse_transform."
            )
        return prediction

    def _predict_columns(
        self, X: Any, *, only_last: bool = False, return_std: bool = False
    ) -> Any:
        """Predict all targets, or those of the last stage alone; None if there are none."""
        last = self.stages_[-1][0]
        wanted = {
            name: columns
            for name, columns in self.targets_.items()
            if columns and (name == last or not only_last)
        }
        if not wanted:
            return None
        if len(self.members_) == 1 and not return_std:
            return self._join(predict_stages(self._walk(X), wanted, as_labels=True), only_last)
        means, spreads = mean_of_members(self._outputs(X, wanted), self._classes_of_targets)
        mean = self._join(means, only_last)
        return (mean, self._join(spreads, only_last)) if return_std else mean

    def _outputs(self, X: Any, wanted: dict[str, list[int]]) -> list[dict[int, np.ndarray]]:
        """Give each member's prediction of each wanted column of y, classes as probabilities."""
        return [predict_stages(m._walk(X), wanted, as_labels=False) for m in self.members_]

    @property
    def _classes_of_targets(self) -> dict[int, np.ndarray]:
        """Classes of the columns of y that hold some."""
        return {
            j: self[name].classes_
            for name, columns in self.targets_.items()
            for j in columns
            if is_classifier(self[name])
        }

    def _join(self, columns: dict[int, np.ndarray], only_last: bool) -> np.ndarray:
        """Make an array of predicted columns, with the dimensions of the y that was fitted."""
        if len(columns) == 1 and (self._y_is_1d or only_last):
            return next(iter(columns.values()))
        return join_columns(columns)

    @available_if(_has_classifier_last)
    @isolated
    def predict_proba(self, X, return_std=False):
        """Give the probabilities of the last stage's classes.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``predict``. Of a list, each table gives the probabilities of its own stage, or
            None where that has no classes.
        return_std : bool, default=False
            Whether to give the spread of an ensemble's members as well.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes), or list of them
            In the order of ``classes_``. Of an ensemble the members' mean.
        p_std : ndarray of the same shape, or list of them
            Only with ``return_std=True``: the standard deviation of the members' probabilities.
        """
        check_is_fitted(self)
        if is_scale_list(X):
            found = [
                part.predict_proba(table, return_std) if _has_classifier_last(part) else None
                for part, table in self._parts(X)
            ]
            if not return_std:
                return found
            p, p_std = zip(*((None, None) if own is None else own for own in found), strict=True)
            return list(p), list(p_std)
        X = self._check_X(X, reset=False)
        members = []
        for member in self.members_:
            *_, (stage, table) = member._walk(X)
            members.append(stage.estimator.predict_proba(as_fitted(stage.estimator, table)))
        return mean_and_spread(members, return_std)

    @isolated
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

        Raises
        ------
        ValueError
            If Z has not as many columns as there are latents, or a stage does not give back what
            it was given.
        AttributeError
            If a stage has no ``inverse_transform``.
        """
        check_is_fitted(self)
        if isinstance(Z, list | tuple) and is_scale_list(Z):
            return [self[: k + 1]._inverse_table(latents) for k, latents in enumerate(Z)]
        is_plain = self._columns.scales is None  # only pandas has columns of two levels
        return give_back(self._decode(Z), self._frame_kinds[0] if is_plain else None)

    def _decode(self, Z: Any) -> Any:
        """Give the own columns of all stages, as a DataFrame of pandas or an array."""
        index = Z.index if isinstance(Z, pd.DataFrame) else None
        Z = check_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        of_all = self.latents == "all"
        expected = sum(self._n_latents) if of_all else self._n_latents[-1]
        if Z.shape[1] != expected:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but the chain gives {expected} latents "
                f"(latents={self.latents!r})."
            )
        stages = [Stage(*stage) for stage in self.stages_]
        decoded = decode_stages(stages, Z, self._n_latents, of_all=of_all)
        if not self._columns.is_frame:
            return join_columns(decoded)
        columns = [decoded[j] for j in sorted(decoded)]
        frame = pd.concat(columns, axis=1)
        frame.columns = self._columns.index()[sorted(decoded)]
        return frame if index is None else frame.set_axis(index, axis=0)

    def _inverse_table(self, Z: Any) -> Any:
        """Give the table of the last scale as it stands in a list."""
        frame = self._decode(Z)
        _, _, columns = self.stages_[-1]
        if not self._columns.is_frame:
            return frame
        if self._same_rows:  # such a table has its own columns alone
            frame = frame.loc[:, [self._columns.labels[j] for j in columns]]
        if self._columns.scales is not None:
            frame = frame.droplevel(0, axis=1)
        kinds = dict(enumerate(self._frame_kinds))
        return give_back(frame, kinds.get(len(self.stages_) - 1))

    @isolated
    def complete(self, X, *, n_candidates=None, tolerance=None):
        """Fill what was not measured with what the latents say of it.

        Each stage searches for the latents that best explain what was measured of its own columns
        and of the latents before. A scale that is wholly missing is so completed from the
        latents of the scale before it, and one before all that was measured by decoding the
        latents that the next stage finds for it. See the :ref:`User Guide <completion>`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``transform``.
        n_candidates : int or None, default=None
            None: completed tables. Else up to so many distinct completions of each row by the
            last stage; of a list, each table's own stage.
        tolerance : float or None, default=None
            Largest mismatch of a completion: the root mean square, over what a stage was given of
            a row, of the error with which its latents give it back, in standard deviations of
            the column (of a category: one minus its probability). What is above it gives a
            warning, and is no candidate. None: any.

        Returns
        -------
        completed : DataFrame or ndarray of shape (n_samples, n_features), or list of them
            X with its gaps filled, with all columns of ``fit``; measured entries are as they
            were. Of an ensemble, what is filled is the first chain's.
        candidates : :class:`~sklearn.utils.Bunch`, or list of them
            With ``n_candidates``, as
            :meth:`SupervisedAutoencoder.complete` gives it: ``X``, ``row``, ``mismatch`` (the
            largest of the stages') and ``prediction`` (as ``predict`` gives it).

        Raises
        ------
        TypeError
            If a stage is no supervised autoencoder, such as a pipeline.

        Warns
        -----
        ToleranceWarning
            If rows have no completion within the tolerance; it says how close they came.

        Examples
        --------
        Rows of which the second scale is not known:

        >>> from sknestedae import NestedAutoencoder
        >>> from sknestedae.datasets import make_nested_functions
        >>> X = make_nested_functions(100, random_state=0).data
        >>> nae = NestedAutoencoder(n_components=[2, 5], max_iter=5, random_state=0).fit(X)
        >>> unknown = X[1][:3] * float("nan")
        >>> _, completed = nae.complete([X[0][:3], unknown])
        >>> completed.shape, int(completed.isna().sum().sum())
        ((3, 9), 0)
        """
        check_is_fitted(self)
        if not is_scale_list(X):
            kind = FrameKind.of(X)
            X = self._check_X(X, reset=False)
            found = self._complete(X, self._predict_columns, n_candidates, tolerance)
            return give_back_filled(found, kind)
        completed = []
        for (part, table), given in zip(self._parts(X), X, strict=True):
            predict = partial(part._predict_columns, only_last=True)
            table = part._check_X(table, reset=False)
            found = part._complete(table, predict, n_candidates, tolerance)
            if n_candidates is None:
                completed.append(part._as_listed(found, given, slice(None)))
            else:
                completed.append(
                    Bunch(**{**found, "X": part._as_listed(found.X, given, found.row)})
                )
        return completed

    def _complete(self, X: Any, predict: Any, n_candidates: Any, tolerance: Any) -> Any:
        """Complete a checked table."""
        completer = ChainCompleter([Stage(*stage) for stage in self.stages_], self._columns)
        return complete_table(X, completer.find, predict, n_candidates, tolerance)

    def _as_listed(self, X: Any, given: Any, rows: Any) -> Any:
        """Give rows of a table of all columns the form of the one that was given in a list."""
        X = X.iloc[:, self._listed_columns()]
        kind, given = FrameKind.of(given), read_table(given)
        if not isinstance(given, pd.DataFrame):
            return X.to_numpy()
        X = X.droplevel(0, axis=1) if self._columns.scales else X
        given = given.iloc[rows]
        return give_back(fill_missing(given, X[list(given.columns)]), kind)

    def _listed_columns(self) -> list[int]:
        """Give the positions of the columns that the last scale's table has in a list."""
        if self._same_rows:  # such a table has its own columns alone
            return list(self.stages_[-1][2])
        return sorted(j for _, _, columns in self.stages_ for j in columns)

    @isolated
    def score_samples(self, X):
        """Tell how much rows are like those that were learnt from.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``transform``.

        Returns
        -------
        scores : ndarray of shape (n_samples,), or list of them
            The sum of the stages' scores, of those at which something was measured of a row: the
            higher, the more alike. Compare rows of one scale with each other. Of an ensemble, the
            chains' median.

        Raises
        ------
        AttributeError
            If a stage has no ``score_samples``.

        See Also
        --------
        SupervisedAutoencoder.score_samples : The score of one stage.

        Examples
        --------
        >>> from sknestedae import NestedAutoencoder
        >>> from sknestedae.datasets import make_nested_functions
        >>> X = make_nested_functions(100, random_state=0).data
        >>> nae = NestedAutoencoder(n_components=[2, 5], max_iter=5, random_state=0).fit(X)
        >>> [scores.shape for scores in nae.score_samples(X)]
        [(100,), (100,)]
        """
        check_is_fitted(self)
        if is_scale_list(X):
            return [part.score_samples(table) for part, table in self._parts(X)]
        X = self._check_X(X, reset=False)
        measured = measured_scales(X, [columns for _, _, columns in self.stages_])
        members = []
        for member in self.members_:
            scores = np.zeros(len(X))
            for k, (stage, table) in enumerate(member._walk(X)):
                rows = np.flatnonzero(measured[:, k])
                if len(rows):
                    part = as_fitted(stage.estimator, take_rows(table, rows))
                    scores[rows] += unfrozen(stage.estimator).score_samples(part)
            members.append(scores)
        return np.median(members, axis=0)

    @isolated
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
            sample_weight = stack_weights(sample_weight, stacked.rows, X)
            X, y = stacked.X, stacked.y
        X, y, sample_weight = read_rows(X, y, sample_weight)
        X = self._check_X(X, reset=False)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        scores = []
        if y is None:
            weight = {} if sample_weight is None else {"sample_weight": sample_weight}
            for stage, table in self._walk(X):
                if isinstance(unfrozen(innermost(stage.estimator)), BaseSupervisedAutoencoder):
                    with naming(stage.name):
                        scores.append(stage.estimator.score(table, **weight))
            if not scores:
                raise ValueError("Without y only supervised autoencoders have a score.")
            return float(np.mean(scores))
        check_consistent_length(X, y)
        target = self._fitted_target(y, X)
        if len(self.members_) > 1:
            wanted = {name: own for name, own in self.targets_.items() if own}
            outputs = self._outputs(X, wanted)
            scores = score_of_members(outputs, target, self._classes_of_targets, sample_weight)
        for stage, table in [] if scores else self._walk(X):
            rows = np.flatnonzero(target.known_of(stage.name))
            if len(rows):
                take = table.iloc if isinstance(table, pd.DataFrame) else table
                weight = {} if sample_weight is None else {"sample_weight": sample_weight[rows]}
                with naming(stage.name):
                    part = as_fitted(stage.estimator, take[rows])
                    scores.append(
                        stage.estimator.score(part, target.stage(stage.name, rows), **weight)
                    )
        if not scores:
            raise ValueError("y has no labelled row to score with: all targets are missing.")
        return float(np.mean(scores))

    def _fitted_target(self, y: Any, X: Any) -> StageTargets:
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
        return StageTargets(label_rows(frame, X), self._y_is_1d, self.targets_)

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
            [f"{name}__{latent}" for latent in names_of_latents(estimator, n_latents)]
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
            part._members = [member._first(n_stages) for member in self._members]
            n_left = sum(map(len, part.targets_.values()))
            if n_stages < len(self.stages_):  # what is left was refined with what is not
                part.__dict__.pop("refine_history_", None)
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
        found = {}
        for name, estimator, _ in self.stages_:
            history = getattr(innermost(estimator), "history_", None)
            if history is not None and history.index.nlevels > 1:  # of a chain as a stage
                for inner, part in history.groupby(level=0, sort=False):
                    found[f"{name}__{inner}"] = part.droplevel(0)
            elif history is not None:
                found[name] = history
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
        if self.__sklearn_is_fitted__():
            state["_columns"] = self._columns.to_state()
            state["_frame_kinds"] = [FrameKind.to_state(kind) for kind in self._frame_kinds]
        return stamp(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what ``__getstate__`` gave."""
        state = check_stamp(state, self)
        if "stages_" in state:
            state["_columns"] = ColumnLabels.from_state(state["_columns"])
            state["_frame_kinds"] = [FrameKind.from_state(kind) for kind in state["_frame_kinds"]]
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


# scikit-learn wraps the output of a class's own ``transform`` when the class is made; it cannot
# wrap a list, so that lists are taken apart outside of it.
NestedAutoencoder.transform = _lists_in_lists_out(  # type: ignore[method-assign]
    NestedAutoencoder.transform
)
