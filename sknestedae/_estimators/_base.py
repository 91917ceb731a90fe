"""Base class of the supervised autoencoders: fitting, encoding, decoding, storing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.utils import check_array, check_random_state, check_scalar
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._ambient import isolated, plain_torch
from .._compat import check_sample_weight, fit_context
from .._latents._density import LatentStatistics
from .._layers._device import available_device, resolve_device
from .._networks._batch import Batch, Subset
from .._persistence import check_stamp, stamp
from .._tables._encoder import TableEncoder
from .._tables._input import ArrayKind, TableKind, give_back, n_dims, read_rows, table_kind
from .._tables._missing import complete_table, give_back_filled
from .._tables._splits import row_keys, split_rows
from .._tables._weights import scale_weights
from .._training._allowed_callbacks import FitSettings
from .._training._concurrent import train
from .._training._job import TrainingJob
from .._training._state import get_state, history_from_frame, history_to_frame, set_state
from ..blocks import ArrayBlock, AtomsBlock, Block, DenseBlock, FittedBlock, SpectrumBlock
from ..exceptions import NoTargetError
from ._ensemble import (
    fit_members,
    hold_kinds,
    members_of,
    members_to_fit,
    share_parameters,
    strata_of_rows,
)
from ._fitted import FittedAutoencoder, NetworkSetup, Target, learn_pairs, settings_to_keep
from ._head import Head, Passed
from ._parameters import NetworkParameters
from ._validation import (
    all_or_nothing,
    check_blocks,
    check_divergence,
    check_spread,
    check_table,
    check_training_rows,
    has_blocks_of_users,
    warn_of_collapse,
)

# Above this number of rows early_stopping="auto" holds some of them out.
_MANY_ROWS = 10_000


def _is_variational(autoencoder: BaseSupervisedAutoencoder) -> bool:
    """Return whether the estimator has the method ``sample``."""
    if autoencoder.beta is None:
        raise AttributeError(
            "The 'beta' parameter is None: latents are points without a prior to draw them from. "
            "Give it a number, such as 1.0, for variational latents."
        )
    return True


class TrainingData(NamedTuple):
    """Training data of a network, checked.

    Parameters
    ----------
    whole : DataFrame or ndarray of shape (n_samples, n_features)
    kept : ndarray of bool, shape (n_samples,), or slice
        Which rows of it have a positive weight.
    X : DataFrame or ndarray of shape (n_rows, n_features)
        These rows.
    codes : ndarray of shape (n_rows,) or (n_rows, n_outputs), or None
        The target as its encoder reads it.
    sample_weight : ndarray of shape (n_rows,) or None
        Divided by a power of two, which leaves proportions as they are.
    power : int
        Which one.
    cell_shape : tuple of int
        Where X had more than two dimensions, those behind the first.
    """

    whole: pd.DataFrame | np.ndarray
    kept: np.ndarray | slice
    X: pd.DataFrame | np.ndarray
    codes: Any
    sample_weight: np.ndarray | None
    power: int
    cell_shape: tuple[int, ...]


class BaseSupervisedAutoencoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkParameters
):
    """Base class of the regressor and the classifier, for any kind of target.

    A fit stores its result as one FittedAutoencoder; the public attributes are parts of it.
    """

    _takes_unlabelled_rows = True

    # -- public methods

    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def fit(self, X, y=None, sample_weight=None):
        """Fit the autoencoder and, where there is a target, its predictor.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Numeric and categorical columns. NaN (or None, pd.NA) where not measured.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Target; missing where a row is not labelled. A classifier needs it, in one dimension.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of rows, 0 or more. A row of weight 0 is left out.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, a column or the target cannot be used; the message names it.
        TypeError
            If a column holds neither numbers nor categories.
        DivergenceError
            If the loss is NaN or infinite in the first epoch. Later, the best epoch is kept and a
            :class:`~sknestedae.exceptions.DivergenceWarning` is given.
        """
        return self._fit_beside(X, y, sample_weight)

    @property
    def members_(self) -> list:
        """The fitted members, of an ensemble or of one."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no members_ before fit.")
        return members_of(self)

    @property
    def blocks_(self) -> dict[str, FittedBlock]:
        """The blocks by name, each with its settings, its layout and its columns."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no blocks_ before fit.")
        return self._fitted.fitted_blocks

    @property
    @isolated
    def components_(self) -> np.ndarray:
        """The change of the decoded columns with each latent, as in scikit-learn's decompositions.

        The decoder need not be linear: these are the slopes of the least-squares plane through
        the decoded columns of the training rows' latents, or of 1000 of them. With ``mean_``,
        ``Z @ components_ + mean_`` is that plane, the best linear approximation of the decoder.

        Returns
        -------
        components : ndarray of shape (n_components, n_features)
            In the units of the columns; with more dimensions where X had more. An attribute error
            where a column does not hold numbers.
        """
        return self._decoded_plane("components_")[0]

    @property
    @isolated
    def mean_(self) -> np.ndarray:
        """The decoded columns at latents of 0, on the plane of ``components_``.

        Named as in :class:`~sklearn.decomposition.PCA`, whose latents have the mean 0. Those of an
        autoencoder need not: then this is not the mean of the columns, but the intercept with
        which ``Z @ components_ + mean_`` is the best linear approximation of the decoder.

        Returns
        -------
        mean : ndarray of shape (n_features,)
            In the units of the columns; with more dimensions where X had more. An attribute error
            where a column does not hold numbers.
        """
        return self._decoded_plane("mean_")[1][0]

    def _decoded_plane(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return slopes and intercept of the plane, each as rows of the form of X."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no {name} before fit.")
        slopes, intercept = self._fitted.decoded_plane()
        kind = self._fitted.frame_kind
        return give_back(slopes, kind), give_back(intercept[None], kind)

    @property
    def n_active_components_(self) -> int:
        """The number of variational latents that have not collapsed to their prior.

        A latent is active if the variance of its means over the training rows is above 0.01
        (Burda, Grosse and Salakhutdinov, ICLR 2016). With ``beta=None`` an attribute error.
        """
        if not self.__sklearn_is_fitted__() or self._fitted.n_active_components is None:
            raise AttributeError(
                f"This {type(self).__name__} has no n_active_components_ before a fit with 'beta'."
            )
        return self._fitted.n_active_components

    @isolated
    def transform(self, X, return_std=False):
        """Return the latents of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured.
        return_std : bool, default=False
            Whether to return the standard deviations of variational latents as well.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Latents, without unit: the means of variational ones. Of an ensemble, those of the
            first member.
        Z_std : ndarray of shape (n_samples, n_components)
            Only with ``return_std=True``: the encoder's uncertainty about the latents of a row.
            They are 1 where it knows nothing, as in the prior.

        Raises
        ------
        ValueError
            If standard deviations are asked for, but ``beta`` is None: latents are points.
        """
        check_is_fitted(self)
        if return_std:
            check_spread(self._fitted.is_variational)
        table = self._check_X(X, reset=False)
        if not return_std:
            return self._fitted.latents(table)
        return self._fitted.latents(table), self._fitted.latent_std(table)

    @available_if(_is_variational)
    @isolated
    def sample(self, n_samples=1, random_state=None):
        """Draw latents from their prior, N(0, 1), and decode them.

        There is no such method where ``beta=None``.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed of the latents.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            As ``inverse_transform`` gives it: expected numbers, and the most probable categories.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae import SupervisedAutoencoder
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) * [1, 2]
        >>> sae = SupervisedAutoencoder(1, beta=0.1, random_state=0).fit(X)
        >>> sae.sample(3, random_state=0).shape
        (3, 2)
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        Z = check_random_state(random_state).normal(size=(n_samples, self._n_features_out))
        return self.inverse_transform(Z)

    @isolated
    def inverse_transform(self, Z):
        """Decode latents to a table in the units of the columns.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Latents.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            The fitted columns in their own units, categories decoded; a DataFrame with the fitted
            dtypes, where a DataFrame was fitted.
        """
        check_is_fitted(self)
        fitted = self._fitted
        index = Z.index if isinstance(Z, pd.DataFrame) else None
        Z = check_array(Z, dtype=fitted.table.dtype, input_name="Z")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but the estimator has n_components="
                f"{self._n_features_out} latents."
            )
        X = fitted.table.inverse_transform(fitted.decode(Z), index)
        return give_back(X, fitted.frame_kind)

    @isolated
    def complete(self, X, *, n_candidates=None, tolerance=None):
        """Impute missing values from the posterior mode of the latents, given the measured ones.

        The latents of a row are those that are most probable given its measured entries. They are
        decoded. See the :ref:`User Guide <completion>`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted. NaN (or None, pd.NA) where not measured.
        n_candidates : int or None, default=None
            None: one completed table. Else the largest number of distinct completions of each row.
        tolerance : float or None, default=None
            Largest mismatch of a completion: the root mean square, over the measured columns of
            a row, of the error with which its latents reconstruct the measured values, in standard
            deviations of the column (of a category: one minus its probability). A completion above
            it gives a warning, and is no candidate. None: any.

        Returns
        -------
        completed : DataFrame or ndarray of shape (n_samples, n_features)
            X with its missing values imputed: measured entries are as they were, a DataFrame's
            dtypes too. Of an ensemble, the first member imputes.
        candidates : :class:`~sklearn.utils.Bunch`
            With ``n_candidates``, in place of the table, with attributes

            - X : DataFrame or ndarray of shape (n_completions, n_features). The rows of X, each
              in up to ``n_candidates`` completions that differ by a category, or by 0.1 standard
              deviations in a missing value; the more probable first. A row without missing values
              once, as it is.
            - row : ndarray of shape (n_completions,). Which row of X it completes, from 0.
            - mismatch : ndarray of shape (n_completions,).
            - prediction : ndarray of shape (n_completions,) or (n_completions, n_outputs).
              Predicted target; None without one.

        Warns
        -----
        ToleranceWarning
            If rows have no completion within the tolerance; it says how close they came.

        Examples
        --------
        The second column is twice the first:

        >>> import numpy as np
        >>> from sknestedae import SupervisedAutoencoder
        >>> X = np.linspace(-1, 1, 100)[:, None] * [1, 2]
        >>> sae = SupervisedAutoencoder(1, random_state=0).fit(X)
        >>> print(sae.complete([[0.5, np.nan], [np.nan, -1.0], [0.1, 0.2]]).round(1))
        [[ 0.5  1. ]
         [-0.5 -1. ]
         [ 0.1  0.2]]
        >>> sae.complete([[0.5, np.nan]], n_candidates=1).X.round(1)
        array([[0.5, 1. ]])
        """
        check_is_fitted(self)
        fitted = self._fitted
        predict = None if fitted.target is None else self.predict
        table = self._check_X(X, reset=False)
        fitted.check_rows(table)  # complete ones, too, which nothing else reads
        found = complete_table(table, fitted.complete, predict, n_candidates, tolerance)
        return give_back_filled(found, table_kind(X))

    @isolated
    def score_samples(self, X):
        """Compute how likely rows are: a log density, low for rows unlike the training rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted. NaN where not measured.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Logarithm of a probability density, up to a constant: the higher, the more alike. It
            has two parts: how far the latents are from those of the training rows, as half of a
            squared Mahalanobis distance, and how large the errors of its reconstruction are,
            compared with the variances and covariances of the training rows' errors. Of an
            ensemble, the members' median.

        Notes
        -----
        A threshold is best taken from rows that were held out, such as the 5 % quantile of their
        scores: training rows are reconstructed better than new ones. See the
        :ref:`User Guide <uncertainty>`.

        Examples
        --------
        >>> import numpy as np
        >>> from sknestedae import SupervisedAutoencoder
        >>> X = np.linspace(-1, 1, 100)[:, None] * [1, 2]
        >>> sae = SupervisedAutoencoder(1, random_state=0).fit(X)
        >>> known, far, off = sae.score_samples([[0.5, 1.0], [5.0, 10.0], [0.5, -1.0]])
        >>> bool(known > far), bool(known > off)
        (True, True)
        """
        check_is_fitted(self)
        members = self.members_
        return np.median([m._fitted.scores(m._check_X(X, reset=False)) for m in members], axis=0)

    # -- what a kind of estimator decides

    @abstractmethod
    def _make_target(self, y: Any) -> Target | None:
        """Return an encoder for a target that was not seen before, None for no target."""

    def _choose_blocks(self, X: pd.DataFrame | np.ndarray) -> list[tuple[str, Block, Any]]:
        """Choose the blocks of a table, each with its name and its columns."""
        return check_blocks(self.blocks, X)

    def _check_kinds(
        self,
        rows: Batch,
        learnt: np.ndarray | slice,
        setup: NetworkSetup,
        *,
        needs_partners: bool,
    ) -> None:
        """Refuse rows that no network can be trained on.

        Parameters
        ----------
        rows : Batch
        learnt : ndarray of int or slice
            Those that are not held out.
        setup : NetworkSetup
        needs_partners : bool
            Whether these must tell which kinds of data belong together.
        """

    def _rows_of_an_epoch(self, rows: Batch, learnt: np.ndarray | None) -> np.ndarray | None:
        """Return the rows of an epoch, of which some may come more than once; None for all, once.

        Parameters
        ----------
        rows : Batch
        learnt : ndarray of int or None
            Rows that are not held out; None for all.
        """
        return learnt

    def _weigh_classes(
        self, X: Any, y: Any, sample_weight: Any, target: Target | None
    ) -> np.ndarray | None:
        """Return the weights of rows; a classifier multiplies them with those of their classes."""
        return sample_weight

    def _choose_head(
        self, fitted: FittedAutoencoder, data: TrainingData, passed: Passed | None
    ) -> Head | None:
        """Fit a predictor in place of the network's; None where the network predicts."""
        return None

    # -- fitting

    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def _fit_beside(self, X, y=None, sample_weight=None, passed: Passed | None = None):
        """Fit as ``fit`` does; in a chain, with the values that the stages before pass on."""
        with all_or_nothing(self):
            resume = self.warm_start and self.__sklearn_is_fitted__()
            if self.n_members > 1:
                return self._fit_members(
                    X, y, sample_weight, resume=resume, method="_fit_beside", passed=passed
                )
            target = self._target_of(y, resume=resume)
            return self._fit(X, y, sample_weight, target=target, resume=resume, passed=passed)

    def _fit_members(
        self,
        X,
        y,
        sample_weight,
        *,
        resume: bool,
        method: str,
        passed: Passed | None = None,
        **parameters: Any,
    ) -> BaseSupervisedAutoencoder:
        """Fit all members of an ensemble, and store the first one's fitted state."""
        kind = self._fitted.frame_kind if resume else table_kind(X)
        whole, y, sample_weight = read_rows(X, y, sample_weight)
        members = members_to_fit(self, resume=resume)
        with all_or_nothing(*members):  # those that go on are fitted already
            if resume:
                share_parameters(self, members)
            X, strata = whole, None
            if self.bootstrap:
                # left out before rows are drawn: no draw may have rows of weight 0 alone
                rows = check_training_rows(whole, y, sample_weight)
                X, y, sample_weight = rows.X, rows.of(y), rows.sample_weight
                passed = None if passed is None else passed.take(rows.kept)
                strata = strata_of_rows(X, y, is_classifier(self))
                hold_kinds(members, X, resume=resume)
            fit_members(members, X, y, sample_weight, strata, method, passed, **parameters)
        if not resume:
            table = whole.reshape(len(whole), -1) if n_dims(whole) > 2 else whole
            validate_data(self, table, reset=True, skip_check_array=True)  # the members did
        for member in members:
            if self.bootstrap and not resume:
                member._fitted.table.know_unlearnt(whole)
            member._fitted.frame_kind = kind  # the members saw a frame of pandas
        self._store(members[0]._fitted, members)
        return self

    def _fit(
        self,
        X,
        y,
        sample_weight,
        *,
        target: Target | None,
        resume: bool,
        incremental: bool = False,
        passed: Passed | None = None,
    ) -> BaseSupervisedAutoencoder:
        """Fit one network anew, or continue from its present parameters.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        target : NumericTarget, ClassTarget or None
            Encoder of y, fitted already where ``resume``.
        resume : bool
            Whether columns, scales and parameters of the last fit are kept.
        incremental : bool
            Whether to run one epoch only, at a constant learning rate and from the optimizer's
            last state.
        passed : Passed or None
            In a chain, the values that the stages before pass on to the predictor.
        """
        if resume and self._members:
            members_to_fit(self, resume=True)  # says that there were more
        setup, job, data = self._prepare(
            X, y, sample_weight, target=target, resume=resume, incremental=incremental
        )
        train([job])  # beside others, where fits run side by side
        remedy = (
            f"Lower learning_rate_init (it is {self.learning_rate_init}), keep "
            "standardize=True, or look for extreme values in the data"
            + (" or in what your own block gives." if has_blocks_of_users(self.blocks) else ".")
        )
        best_iter = check_divergence(job.net, "The loss", remedy)
        goes_on = incremental and resume  # a part of a stream adds to what was learnt before
        before = self._fitted.pairs if goes_on else None
        learnt = job.distinct_rows()
        pairs = learn_pairs(job.net.module_, learnt, before, power=job.weight_power)
        statistics = LatentStatistics.learn(
            job.net.module_, learnt, setup.layouts, job.weight_power
        )
        if goes_on:
            statistics = self._fitted.latent_statistics.merge(statistics)
        history = history_to_frame(job.net.history)
        fitted = FittedAutoencoder.of(setup, job.net, statistics, history, best_iter, pairs)
        if not incremental:
            warn_of_collapse(fitted.n_active_components, fitted.n_components, self.beta)
        if target is not None and not incremental:  # a part of a stream is not all there is
            fitted.head = self._choose_head(fitted, data, passed)
        self._store(fitted)
        return self

    def _refit_head(self, X, y, sample_weight, passed: Passed | None) -> None:
        """Fit the predictor in place of the network's anew, to a table that has changed."""
        data = self._read(X, y, sample_weight, self._fitted.target, reset=False, needs_label=False)
        self._fitted.head = self._choose_head(self._fitted, data, passed)

    def _prepare(
        self, X, y, sample_weight, *, target: Target | None, resume: bool, incremental: bool
    ) -> tuple[NetworkSetup, TrainingJob, TrainingData]:
        """Learn columns and scales, and make the net that is to be trained, as ``_fit`` says."""
        kind = table_kind(X)
        needs_label = not (incremental and resume)  # a later part of a stream may have none
        data = self._read(X, y, sample_weight, target, reset=not resume, needs_label=needs_label)
        device = resolve_device(self.device)
        if resume:
            seed = self._fitted.seed
        else:
            seed = check_random_state(self.random_state).randint(2**31)
        stops_early = self.early_stopping
        if stops_early == "auto":
            stops_early = len(data.X) > _MANY_ROWS
        fit = FitSettings(
            self.learning_rate,
            holds_out=bool(stops_early) and not incremental,
            is_part=incremental,
            goes_on=resume,
            is_quiet=not self.verbose,
        )
        learnt, held_out = None, None
        if fit.holds_out:
            strata = None if target is None else target.strata(data.codes)
            learnt, held_out = split_rows(
                row_keys(data.X), strata, self.validation_fraction, seed, data.sample_weight
            )
        setup = self._set_up(data, learnt, target, seed, kind, resume=resume)
        encoded = setup.table.transform(data.X)
        rows = Batch.from_arrays(
            encoded,
            None if target is None else target.encode(data.codes),
            data.sample_weight,
            device,
        )
        self._check_kinds(
            rows,
            slice(None) if learnt is None else learnt,
            setup,
            needs_partners=not (incremental and resume),  # else earlier rows have told
        )
        alpha = self._choose_alpha(setup, data, encoded, learnt, incremental=incremental)
        learnt = self._rows_of_an_epoch(rows, learnt)
        n_samples = len(rows) if learnt is None else len(learnt)
        net = self._make_net(setup, device, alpha, fit=fit, n_samples=n_samples)
        if resume:
            state = get_state(self.net_)
            set_state(net, state if incremental else {**state, "optimizer": {}})
            net.history = history_from_frame(self.history_)
        job = TrainingJob(
            net,
            Subset(rows, None if learnt is None else torch.from_numpy(learnt)),
            None if held_out is None else Subset(rows, torch.from_numpy(held_out)),
            1 if incremental else self.max_iter,
            setup.architecture,
            data.power,
        )
        return setup, job, data

    def _read(
        self, X, y, sample_weight, target: Target | None, *, reset: bool, needs_label: bool
    ) -> TrainingData:
        """Check the data of ``fit``, and leave rows of weight 0 out."""
        X, y, sample_weight = read_rows(X, y, sample_weight)
        kind = table_kind(X)
        whole = self._check_X(X, reset=reset)
        weight = self._weigh_classes(X, y, sample_weight, target)
        rows = check_training_rows(whole, y, weight, scale=True)
        codes = None if target is None else target.read(y, rows.kept, needs_label=needs_label)
        cell_shape = kind.shape if isinstance(kind, ArrayKind) else ()
        return TrainingData(
            whole, rows.kept, rows.X, codes, rows.sample_weight, rows.power, cell_shape
        )

    def _set_up(
        self,
        data: TrainingData,
        learnt: np.ndarray | None,
        target: Target | None,
        seed: int,
        kind: TableKind,
        *,
        resume: bool,
    ) -> NetworkSetup:
        """Fit the encoders of columns and target to the training rows; or keep the old ones.

        Parameters
        ----------
        data : TrainingData
        learnt : ndarray of int or None
            The rows to learn from; None for all.
        target, seed, kind
            As in NetworkSetup; the target is fitted here.
        resume : bool
        """
        blocks = self._choose_blocks(data.X)
        settings = settings_to_keep(self.standardize, self.categorical_features, self.blocks)
        if resume:
            fitted = self._fitted
            architecture = self._make_architecture(fitted.blocks, fitted.table, fitted.target)
            fitted.check_same(architecture, settings)
            return fitted
        table = TableEncoder(
            self.categorical_features,
            self.standardize,
            [(name, block.make_codec, columns) for name, block, columns in blocks],
            data.cell_shape,
        ).fit(data.X, learnt, data.sample_weight)
        if len(data.whole) > len(data.X):
            table.know_unlearnt(data.whole)  # rows of weight 0 are no news at predict
        if target is not None:
            target.fit(data.codes, learnt, data.sample_weight)
        by_name = {name: clone(block) for name, block, _ in blocks}
        by_name = {name: by_name.get(name, DenseBlock()) for name in table.layouts}
        architecture = self._make_architecture(by_name, table, target)
        return NetworkSetup(table, target, architecture, settings, seed, kind)

    def _store(self, fitted: FittedAutoencoder, members: Sequence[Any] = ()) -> None:
        """Store the result of a fit: of an ensemble, the first member's."""
        self._fitted = fitted
        self._members = list(members)
        self.net_ = fitted.net
        self.history_ = fitted.history
        self.n_iter_ = len(fitted.history)
        self.best_iter_ = fitted.best_iter
        self.alpha_ = fitted.alpha

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in vars(self)

    # -- what a fit is made of

    def _check_X(self, X, *, reset: bool) -> pd.DataFrame | np.ndarray:
        """Check names and number of columns; give a DataFrame of pandas, all else as floats."""
        fitted = None if reset else self._fitted.table
        return check_table(self, X, self.categorical_features, fitted)

    def _target_of(self, y, *, resume: bool) -> Target | None:
        """Return the encoder of y: the fitted one to go on with, else a new one."""
        if not resume:
            return self._make_target(y)
        target = self._fitted.target
        if (y is None) != (target is None):
            was, now = ("without", "with") if target is None else ("with", "without")
            raise ValueError(f"The estimator was fitted {was} y and cannot go on {now} it.")
        return target

    # -- what subclasses and scikit-learn's mixins ask for

    def _predict(self, X, passed: Passed | None = None) -> np.ndarray:
        """Return the predictor's outputs, of shape (n_samples, n_outputs), in scaled units."""
        check_is_fitted(self)
        if self._fitted.target is None:
            raise NoTargetError(
                f"This {type(self).__name__} was fitted without a target (y=None), so that it "
                "has no prediction; it can transform and inverse_transform."
            )
        return self._fitted.predict(self._check_X(X, reset=False), passed)

    def _reconstruction_score(self, X, sample_weight=None) -> float:
        """Return R² of the reconstruction, over all measured entries in scaled units."""
        check_is_fitted(self)
        X, _, sample_weight = read_rows(X, None, sample_weight)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
            sample_weight, _ = scale_weights(sample_weight)
        return self._fitted.reconstruction_score(self._check_X(X, reset=False), sample_weight)

    @property
    def _n_features_out(self) -> int:
        return self._fitted.n_components  # scikit-learn's mixin names the latents by it

    # -- state

    def __getstate__(self) -> dict[str, Any]:
        """Return parameters and plain values, from which the fitted state is made anew."""
        state = dict(super().__getstate__())
        if self.__sklearn_is_fitted__():
            for name in ("net_", "history_", "n_iter_", "best_iter_", "alpha_"):
                del state[name]
            # that of an ensemble is its first member's
            state["_fitted"] = None if self._members else self._fitted.to_state()
        return stamp(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the fitted state, on the CPU if its device is not there."""
        state = check_stamp(state, self)
        fitted, members = state.pop("_fitted", None), state.pop("_members", None)
        super().__setstate__(state)
        if members:
            self._store(members[0]._fitted, members)
        elif fitted is not None:
            device = available_device(self.device)
            with plain_torch():
                self._store(
                    FittedAutoencoder.from_state(
                        fitted, lambda setup, alpha: self._make_net(setup, device, alpha)
                    )
                )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        is_whole = isinstance(self.blocks, Block)  # of X, which may then have more dimensions
        tags.input_tags.three_d_array = is_whole and not isinstance(
            self.blocks, SpectrumBlock | AtomsBlock
        )
        tags.input_tags.categorical = self.categorical_features is not None and not isinstance(
            self.blocks, ArrayBlock | AtomsBlock
        )
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
