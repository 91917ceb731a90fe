"""The nested autoencoder: one stage a scale, each on the latents of the one before."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.utils import (
    Bunch,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    get_tags,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._ambient import isolated
from .._compat import HasMethods, Interval, StrOptions, check_sample_weight, fit_context
from .._persistence import public
from .._tables._encoder import share_unlearnt
from .._tables._input import TableKind, give_back, read_rows, table_kind
from .._tables._listed import read_given, stack_weights
from .._tables._missing import Completions, CompletionSearch, complete_table, give_back_filled
from .._tables._scales import is_scale_list, refuse_folded_lists
from .._tables._staged import StagedTable, StageTargets
from .._tables._target import target_frame
from ..exceptions import NoTargetError
from ._base import BaseSupervisedAutoencoder
from ._base_chain import BaseChain
from ._chain_fit import (
    TrainedStages,
    configure_stages,
    refine_stages,
    strata_of_scales,
    train_stages,
)
from ._chain_scores import score_reconstruction, score_rows, score_targets
from ._completion import ChainCompleter
from ._ensemble import fit_members, make_members
from ._fitted import fitted_part
from ._fitted_chain import FittedChain
from ._outputs import (
    decode_chain,
    join_outputs,
    outputs_with_stds,
    predict_chains,
    predict_log_proba_chains,
    predict_proba_chains,
)
from ._passing import describe_passed, plan_passing
from ._stages import Stage, check_stages
from ._torch_words import names_instead
from ._unwrap import innermost, unfrozen
from ._validation import all_or_nothing, check_training_rows

# Parameters of the chain that go to every stage which has them.
_PASSED_ON = ("max_iter", "verbose", "random_state")


def _has_classifier_last(nae: NestedAutoencoder) -> bool:
    return is_classifier(nae._last_estimator)


def _can_predict(nae: NestedAutoencoder) -> bool:
    stages = getattr(nae, "stages_", None) or nae._named_estimators or [("", nae._last_estimator)]
    return any(hasattr(stage[1], "predict") for stage in stages)


@public("sknestedae")
class NestedAutoencoder(BaseChain):
    r"""Chain of autoencoders over scales, each on the latents of the one before.

    A stage takes the latents of the stage before it and the columns of its own scale, reconstructs
    both, and predicts its own target [1]_. Scales may have rows of their own: in the paper,
    crystals (properties of ions, band gap) are one table, and solar cells made of such crystals
    (transport layers, efficiency) another. The information about its band gap in a crystal's
    latents then serves the solar cells.

    Read more in the :ref:`User Guide <nested_autoencoder>`.

    Parameters
    ----------
    stages : list of (str, estimator, columns) or None, default=None
        Name, estimator and own columns of each stage, in order. A later stage may have the same
        columns as an earlier one, or none (``[]``). An estimator is anything with
        ``fit`` and ``transform``: a :class:`SupervisedAutoencoder`, its classifier, a
        :class:`~sklearn.pipeline.Pipeline`, or a fitted one in a
        :class:`~sklearn.frozen.FrozenEstimator`, which stays as it is. Columns are names,
        indices, a slice, a mask, or a callable that is given X, as in
        :class:`~sklearn.compose.ColumnTransformer`; in a table with columns of two levels, the
        name of a scale stands for all of its columns. Columns of no stage are left out.
        None: one stage per scale of the data.
    estimator : estimator or None, default=None
        The estimator that is cloned for each scale where ``stages`` is None. None: a
        :class:`SupervisedAutoencoder`, or a :class:`SupervisedAutoencoderClassifier` where the
        scale's target holds strings, booleans or categories; after the first scale with
        ``alpha="auto"``, so that few rows are enough for it.
    n_components : int, sequence of {int, None} or None, default=None
        Number of latents: of every stage, or one number per stage. None: as the estimators say.
    passthrough : bool or "auto", default="auto"
        Whether a stage has more inputs from the stages before than latents: their columns, and the
        prediction of the last one that has a target (for a material that was measured there, the
        measured value). They go to the stage's Gaussian process, not to its network, so that
        latents and reconstructions do not change. "auto": to each stage that has one, which are
        those with ``predictor="gaussian_process"`` or ``"auto"``. True: to all with a target; an
        error where a stage cannot take it. False: latents alone, as in [1]_; the stages that the
        chain makes itself then predict by their networks.
    key : str, int, tuple or None, default=None
        Label (of arrays, the position) of a column that names materials, such as a formula: rows
        of an earlier stage with the same key are the same material, whose measured target is
        passed on. It is no column of a stage. None: the same material is one with equal columns
        of all scales up to that stage, none of them missing.
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
        The output of ``transform``: the last stage's latents, or those of all stages side by side.
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
        The columns of y that are the target of each stage.
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
        "passthrough": ["boolean", StrOptions({"auto"})],
        "key": [str, Integral, tuple, None],
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

    @names_instead
    def __init__(
        self,
        stages=None,
        *,
        estimator=None,
        n_components=None,
        passthrough="auto",
        key=None,
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
        self.passthrough = passthrough
        self.key = key
        self.same_rows = same_rows
        self.train_rows = train_rows
        self.latents = latents
        self.refine_iter = refine_iter
        self.max_iter = max_iter
        self.n_members = n_members
        self.bootstrap = bootstrap
        self.verbose = verbose
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    @isolated
    def fit(self, X, y=None, sample_weight=None):
        """Fit the stages, one after the other.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            One table, with NaN where a scale was not measured; or one table per scale, as
            :func:`stack_scales` takes them. A table with columns of two levels, (scale, feature),
            has the scales in its labels.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), list of them, or None, \
default=None
            Target, missing where it is not known. One of one dimension belongs to the last
            stage. Columns belong to the stages that they are named after, else to one stage each,
            in order. Beside a list of tables, a list of one target (or None) per scale. A target
            that is one array a row, of a stage with a ``target_block``, is one column whose cells
            hold the arrays, or an array of more dimensions.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, 0 or more. Beside a list of tables with rows of their own, a list.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If tables, columns, targets and stages do not fit together; the message says why.
        TypeError
            If a stage cannot transform or, with weights, not take them.
        """
        with all_or_nothing(self):
            names = None
            if self.stages is not None:
                names = check_stages(self.stages, self.get_params(deep=False))
            given = read_given(X, y, sample_weight, names, self.same_rows)
            fit = self._fit_members if self.n_members > 1 else self._fit
            fit(**given._asdict())
            return self

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
            Whether to return a standard deviation as well.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or list of them
            With the columns of the y that was fitted, in its units. Of numbers and class labels
            together an array of objects, as of arrays beside other columns; a target of arrays
            alone has their dimensions. Of an ensemble, the members' mean, and the class of the
            largest mean probability.
        y_std : ndarray of the same shape, or list of them
            Only with ``return_std=True``, as
            :meth:`SupervisedAutoencoder.predict` gives it: of Gaussian processes that of a new
            measurement, with the uncertainty of the predictions that are passed on; of an ensemble
            of networks, that of the members' predictions; of a class, of its probability. NaN
            where one network predicts, beside a stage with a Gaussian process.

        Raises
        ------
        NoTargetError
            If the chain was fitted without y.
        ValueError
            If a standard deviation is asked for, but there is one member and no Gaussian process.
        """
        check_is_fitted(self)
        if is_scale_list(X):
            predictions = [
                predict_chains(
                    part._chains, part._read(table), only_last=True, return_std=return_std
                )
                for part, table in self._parts(X)
            ]
            if not return_std:
                return predictions
            y, y_std = zip(*((None, None) if p is None else p for p in predictions), strict=True)
            return list(y), list(y_std)
        prediction = predict_chains(self._chains, self._read(X), return_std=return_std)
        if prediction is None:
            raise NoTargetError(
                f"This {type(self).__name__} was fitted without a target (y=None), so that it "
                "has no prediction; it can transform and inverse_transform."
            )
        return prediction

    @available_if(_has_classifier_last)
    @isolated
    def predict_proba(self, X, return_std=False):
        """Return the probabilities of the last stage's classes.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``predict``. Of a list, each table gives the probabilities of its own stage, or
            None where that has no classes.
        return_std : bool, default=False
            Whether to return the spread of an ensemble's members as well.

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
        return predict_proba_chains(self._chains, self._read(X), return_std=return_std)

    @available_if(_has_classifier_last)
    @isolated
    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the last stage's classes.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``predict_proba``.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes), or list of them
            In the order of ``classes_``. Of an ensemble, the logarithms of the members' mean.
        """
        check_is_fitted(self)
        if is_scale_list(X):
            return [
                part.predict_log_proba(table) if _has_classifier_last(part) else None
                for part, table in self._parts(X)
            ]
        return predict_log_proba_chains(self._chains, self._read(X))

    @isolated
    def inverse_transform(self, Z):
        """Decode latents down the chain to the columns of every scale.

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
            If Z does not have one column for each latent, or a stage does not decode all of its
            columns.
        AttributeError
            If a stage has no ``inverse_transform``.
        """
        check_is_fitted(self)
        if isinstance(Z, list | tuple) and is_scale_list(Z):
            parts = [self[: k + 1] for k in range(len(Z))]
            return [
                part._fitted.table_list.decoded_table(part._decode(latents))
                for part, latents in zip(parts, Z, strict=True)
            ]
        is_plain = self._fitted.labels.scales is None  # only pandas has columns of two levels
        return give_back(self._decode(Z), self._fitted.frame_kinds[0] if is_plain else None)

    @isolated
    def passed_on(self, X):
        """Return the predictions that stages pass on to later ones, and which were measured.

        A later stage's Gaussian process has the prediction of an earlier stage as an input; or,
        for a material that was measured there in ``fit``, the measured value (the mean, if there
        are several).

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``transform``. Of a list, each table goes up to its own stage.

        Returns
        -------
        passed : DataFrame of shape (n_samples, 3 * n_predictions), or list of them
            With columns of two levels: the stage that passes on (with the number of an output, as
            in ``crystal[1]``, if it has several); and ``"value"``, in the units of y (of classes,
            their probabilities), ``"std"``, its standard deviation where a Gaussian process
            predicts, else 0, and ``"measured"``, whether it was measured. Of an ensemble, the
            first chain's. Without columns where nothing is passed on.

        Examples
        --------
        One property by a cheap method of all rows, and by a dear one of ten. The last row is new:

        >>> import numpy as np
        >>> from sknestedae import NestedAutoencoder
        >>> X = np.linspace(0, 1, 30)[:, None] * [1, 2]
        >>> cheap, dear = np.sin(3 * X[:, 0]), np.sin(3 * X[:10, 0]) + 0.1
        >>> nae = NestedAutoencoder(max_iter=5, random_state=0).fit([X, X[:10]], [cheap, dear])
        >>> passed = nae.passed_on([[0.0, 0.0], [0.51, 1.02]])
        >>> print(passed["scale0"].round(2))
           value  std  measured
        0    0.0  0.0      True
        1    1.0  0.0     False
        """
        check_is_fitted(self)
        if is_scale_list(X):
            return [part.passed_on(table) for part, table in self._parts(X)]
        return describe_passed(self._read(X), self._fitted.stages, self._fitted.passing)

    @isolated
    def complete(self, X, *, n_candidates=None, tolerance=None):
        """Impute missing values from the posterior mode of the latents, given the measured ones.

        The latents of a row are those that are most probable given its measured entries of all
        stages up to the last one at which it was measured. A scale that is wholly
        missing is so imputed from the latents of the scale before it, and one before all that
        was measured by decoding the latents that the next stage finds for it. See the
        :ref:`User Guide <completion>`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or list of them
            As in ``transform``.
        n_candidates : int or None, default=None
            None: completed tables. Else the largest number of distinct completions of each row by
            the last stage; of a list, by each table's own stage.
        tolerance : float or None, default=None
            Largest mismatch of a completion: the root mean square, over what a stage was given of
            a row, of the error with which its latents reconstruct it, in standard deviations of
            the column (of a category: one minus its probability). A completion above it gives a
            warning, and is no candidate. None: any.

        Returns
        -------
        completed : DataFrame or ndarray of shape (n_samples, n_features), or list of them
            X with its missing values imputed, with all columns of ``fit``; measured entries are
            as they were. Of an ensemble, the first chain imputes.
        candidates : :class:`~sklearn.utils.Bunch`, or list of them
            With ``n_candidates``, as
            :meth:`SupervisedAutoencoder.complete` gives it: ``X``, ``row``, ``mismatch`` (the
            largest of the stages') and ``prediction`` (as ``predict`` gives it); and ``passed_on``
            (as the method of this name gives it of the completed rows).

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
            predict = partial(predict_chains, self._chains)
            found = self._complete(self._read(X), predict, n_candidates, tolerance)
            return give_back_filled(found, table_kind(X))
        completed = []
        for (part, table), given in zip(self._parts(X), X, strict=True):
            predict = partial(predict_chains, part._chains, only_last=True)
            found = part._complete(part._read(table), predict, n_candidates, tolerance)
            as_listed = part._fitted.table_list.completed_table
            if n_candidates is None:
                completed.append(as_listed(found, given, slice(None)))
            else:
                completed.append(Bunch(**{**found, "X": as_listed(found.X, given, found.row)}))
        return completed

    @isolated
    def score_samples(self, X):
        """Compute how likely rows are: a log density, low for rows unlike the training rows.

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
        return score_rows(self._chains, self._read(X))

    @isolated
    def score(self, X, y=None, sample_weight=None):
        """Return the mean score of the targets, or of the reconstructions where none is given.

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
            If no target has a measured row, or y does not have the columns that were fitted.
        """
        check_is_fitted(self)
        if is_scale_list(X):
            refuse_folded_lists()
            stacked = self._fitted.table_list.stack(X, y)
            if sample_weight is not None:
                sample_weight = stack_weights(sample_weight, stacked.rows, X)
            X, y = stacked.X, stacked.y
        X, y, sample_weight = read_rows(X, y, sample_weight)
        table = self._read(X)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, table.X, ensure_non_negative=True)
        if y is None:
            return score_reconstruction(self._fitted, table, sample_weight)
        check_consistent_length(table.X, y)
        return score_targets(self._chains, table, self._read_target(y, table), sample_weight)

    # -- how it is fitted

    def _fit_members(self, X: Any, y: Any, sample_weight: Any, **given: Any) -> None:
        """Fit all chains of an ensemble, and store the first one's fitted state."""
        members = make_members(self)
        whole = strata = None
        if self.bootstrap:
            kept = check_training_rows(X, y, sample_weight)
            X, y, sample_weight = kept.X, kept.of(y), kept.sample_weight
        X = self._check_table(X, reset=True)
        if self.bootstrap:
            whole = StagedTable.of(X, self.stages, y, given["scales"], self.key)
            target = whole.read_target(y)
            strata = strata_of_scales(whole, target, self._configure(whole.columns, target))
        fit_members(members, X, y, sample_weight, strata, "_fit", whole=whole, **given)
        if self.bootstrap:
            for stages in zip(*(member.stages_ for member in members), strict=True):
                estimators = [unfrozen(innermost(estimator)) for _, estimator, _ in stages]
                if all(isinstance(e, BaseSupervisedAutoencoder) for e in estimators):
                    share_unlearnt([fitted_part(e).table for e in estimators])
        self._fitted, self._members = members[0]._fitted, members

    @isolated  # a member is fitted in a thread of its own
    def _fit(
        self,
        X: pd.DataFrame | np.ndarray,
        y: Any,
        sample_weight: Any,
        *,
        frame_kinds: list[TableKind],
        same_rows: bool | None,
        scales: list[str] | None,
        whole: StagedTable | None = None,
    ) -> None:
        """Check everything, then fit one chain.

        Parameters
        ----------
        X, y, sample_weight
            Read.
        frame_kinds, same_rows, scales
            As in ``GivenTables``.
        whole : StagedTable, optional
            Of a member of an ensemble, the table that its rows were drawn from.
        """
        X = self._check_table(X, reset=True)
        given = X
        X, sample_weight, _, kept = check_training_rows(X, y, sample_weight)
        # a draw of rows must not say which columns a stage has
        if whole is None:
            table = StagedTable.of(X, self.stages, y, scales, self.key)
        else:
            table = whole.with_rows(X)
        if whole is None:
            whole = table if X is given else table.with_rows(given)
        if isinstance(y, np.ndarray) and y.shape[1:] == (1,):
            # one column belongs to the last of many stages, as if it had one dimension
            y = y if get_tags(self).target_tags.multi_output else column_or_1d(y, warn=True)
        target = table.read_target(y, kept)
        stages = self._configure(table.columns, target)
        key = None if self.key is None else table.labels.position(self.key, "key")
        passing = plan_passing(stages, target, self.passthrough, key)
        trained = train_stages(
            stages, table, target, sample_weight, whole, self.train_rows, passing
        )
        history = self._refine(stages, table, trained) if self.refine_iter else None
        if same_rows is None:  # a part that lacks nothing has all rows at each scale
            same_rows = all(len(own) == len(table) for own in trained.rows)
        self._fitted = FittedChain(
            stages,
            target.columns,
            target.is_1d,
            trained.n_latents,
            table.labels,
            frame_kinds,
            same_rows,
            trained.gathered.plan,
            history,
        )
        self._members: list[NestedAutoencoder] = []

    def _refine(
        self, stages: list[Stage], table: StagedTable, trained: TrainedStages
    ) -> pd.DataFrame:
        """Train all stages on together, in place; return the history."""
        return refine_stages(
            stages,
            table,
            trained,
            max_iter=self.refine_iter,
            seed=check_random_state(self.random_state).randint(2**31),
            verbose=self.verbose or 0,
        )

    def _configure(self, columns: dict[str, list[int]], target: StageTargets) -> list[Stage]:
        """Make the stages to fit, with the chain's parameters."""
        if self.stages is None:
            estimators = [self.estimator] * len(columns)
        else:
            estimators = [estimator for _, estimator, _ in self.stages]
        parameters = {name: getattr(self, name) for name in _PASSED_ON}
        return configure_stages(
            estimators, columns, target, self.n_components, parameters, self.passthrough
        )

    # -- one table after fit

    def _decode(self, Z: Any) -> pd.DataFrame | np.ndarray:
        """Check latents, and decode them to the own columns of all stages."""
        index = Z.index if isinstance(Z, pd.DataFrame) else None
        Z = check_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        n_latents, of_all = self._fitted.n_latents, self.latents == "all"
        expected = sum(n_latents) if of_all else n_latents[-1]
        if Z.shape[1] != expected:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but the chain gives {expected} latents "
                f"(latents={self.latents!r})."
            )
        return decode_chain(self._fitted, Z, index, of_all=of_all)

    def _complete(
        self, table: StagedTable, predict: Any, n_candidates: Any, tolerance: Any
    ) -> Any:
        """Impute a table's missing values, or return its rows in several completions."""
        fitted = self._fitted
        completer = ChainCompleter(fitted.stages)
        completer.check_cells(table)

        def find(X: Any, search: CompletionSearch | None) -> Completions:
            return completer.find(fitted.staged(X), search)

        def predict_rows(X: Any) -> Any:
            return predict(fitted.staged(X))

        found = complete_table(table.X, find, predict_rows, n_candidates, tolerance)
        if isinstance(found, Bunch):
            found.passed_on = describe_passed(
                fitted.staged(found.X), fitted.stages, fitted.passing
            )
        return found

    def _read_target(self, y: Any, table: StagedTable) -> StageTargets:
        """Read a target that has the columns of the one that was fitted."""
        frame, _ = target_frame(y)
        fitted = self._fitted
        n_outputs = sum(len(columns) for columns in fitted.targets.values())
        if not n_outputs:
            raise NoTargetError(
                f"This {type(self).__name__} was fitted without a target (y=None)."
            )
        if frame.shape[1] != n_outputs:
            raise ValueError(
                f"y has {frame.shape[1]} columns, but the chain was fitted with {n_outputs}."
            )
        return StageTargets(table.label(frame), fitted.y_is_1d, fitted.targets)


def std_of_scale(nae: NestedAutoencoder, X: Any, k: int) -> np.ndarray | None:
    """Return the standard deviation of one stage's prediction, whether or not others have one.

    Parameters
    ----------
    nae : NestedAutoencoder
        Fitted.
    X : DataFrame or array-like of shape (n_samples, n_features)
    k : int
        Position of the stage.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
        None where the stage does not know it: one network predicts, or there is no target.
    """
    part = nae[: k + 1]
    table, chains = part._read(X), part._chains
    stage = chains[0].stages[-1]
    wanted = {stage.name: chains[0].targets[stage.name]}
    if not wanted[stage.name]:
        return None
    if len(chains) > 1:
        return predict_chains(chains, table, only_last=True, return_std=True)[1]
    _, stds = outputs_with_stds(chains[0].iter_inputs(table, with_std=True), wanted)
    return join_outputs(stds, is_1d=True) if stds else None
