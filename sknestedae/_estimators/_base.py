"""What the supervised autoencoders share: fitting, encoding, decoding, storing."""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from .._ambient import isolated, plain_torch
from .._compat import Interval, StrOptions, check_sample_weight, fit_context, stack_level_of_caller
from .._latents._density import LatentStatistics
from .._latents._inference import PosteriorModeSearch
from .._latents._observation import ObservationModel
from .._layers._dense import ACTIVATIONS, INITIALIZATIONS, RANGES, initialize
from .._layers._device import (
    available_device,
    forked_rng,
    resolve_device,
    seed_generators,
    to_array,
    to_tensor,
    torch_dtype,
)
from .._networks._autoencoder import AutoencoderModule
from .._networks._batch import Batch, Subset
from .._persistence import check_stamp, stamp
from .._tables._columns import keeps_column_types, kinds_by_content
from .._tables._encoder import TableEncoder
from .._tables._input import FrameKind, give_back, read_rows, read_table
from .._tables._layout import DEFAULT_BLOCK, Encoded
from .._tables._missing import Completions, CompletionSearch, complete_table, give_back_filled
from .._tables._splits import count_distinct_rows, row_keys, split_rows
from .._tables._target import (
    ClassTarget,
    NumericTarget,
    target_frame,
    target_from_state,
    target_to_state,
)
from .._tables._weights import scale_weights
from .._training._allowed_callbacks import FitSettings, check_callbacks
from .._training._callbacks import BestEpoch, LearningRate, Progress
from .._training._concurrent import train
from .._training._data import TensorIterator
from .._training._defaults import MANY_DISTINCT_ROWS, auto_alpha, auto_batch_size
from .._training._job import TrainingJob
from .._training._net import AutoencoderNet
from .._training._objective import Objective
from .._training._state import get_state, history_from_frame, history_to_frame, set_state
from ..blocks import Block, DenseBlock
from ..blocks._errors import ELEMENTWISE
from ..exceptions import DivergenceError, DivergenceWarning, NoTargetError
from ._ensemble import adopt_first_member, fit_members, members_of, members_to_fit, strata_of
from ._validation import (
    all_or_nothing,
    check_layer_sizes,
    check_not_empty,
    drop_weightless,
    leave_out_weightless,
)

# Above this number of rows early_stopping="auto" holds some of them out.
_MANY_ROWS = 10_000


# Rows that pass through the network at once after fit.
_CHUNK_ROWS = 16_384


class BaseSupervisedAutoencoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, metaclass=ABCMeta
):
    """What the regressor and the classifier share: all but the kind of target."""

    _takes_unlabelled_rows = True

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "decoder_hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "predictor_hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "latent_activation": [StrOptions(set(ACTIVATIONS))],
        "reconstruction_loss": [StrOptions(set(ELEMENTWISE))],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "prediction_weight": [Interval(Real, 0, None, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "standardize": ["boolean"],
        "blocks": [list, None],
        "initialization": [StrOptions(set(INITIALIZATIONS))],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "cosine", "plateau"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "device": [str],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components=16,
        *,
        hidden_layer_sizes=(100,),
        decoder_hidden_layer_sizes=None,
        predictor_hidden_layer_sizes=(),
        activation="silu",
        latent_activation="identity",
        reconstruction_loss="squared_error",
        reconstruction_weight=1.0,
        prediction_weight=1.0,
        l1=0.0,
        alpha=1e-3,
        dropout=0.0,
        categorical_features="from_dtype",
        standardize=True,
        blocks=None,
        initialization="xavier_uniform",
        batch_size="auto",
        learning_rate="cosine",
        learning_rate_init=3e-3,
        max_iter=300,
        shuffle=True,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=20,
        tol=1e-4,
        warm_start=False,
        callbacks=None,
        n_members=1,
        bootstrap=False,
        device="cpu",
        verbose=0,
        random_state=None,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_hidden_layer_sizes = decoder_hidden_layer_sizes
        self.predictor_hidden_layer_sizes = predictor_hidden_layer_sizes
        self.activation = activation
        self.latent_activation = latent_activation
        self.reconstruction_loss = reconstruction_loss
        self.reconstruction_weight = reconstruction_weight
        self.prediction_weight = prediction_weight
        self.l1 = l1
        self.alpha = alpha
        self.dropout = dropout
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.blocks = blocks
        self.initialization = initialization
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.n_members = n_members
        self.bootstrap = bootstrap
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    # -- what a kind of target decides

    @abstractmethod
    def _make_target(self, y: Any) -> NumericTarget | ClassTarget | None:
        """Give an encoder for a target that was not seen before, None for no target."""

    @property
    @abstractmethod
    def _loss_of_prediction(self) -> str:
        """Error of a numeric target."""

    # -- fit

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
        with all_or_nothing(self):
            resume = self.warm_start and self._is_fitted
            if self.n_members > 1:
                return self._fit_members(X, y, sample_weight, resume=resume)
            target = self._target_of(y, resume=resume)
            return self._fit(X, y, sample_weight, target=target, resume=resume)

    def _fit_members(
        self, X, y, sample_weight, *, resume: bool, method: str = "fit", **parameters
    ) -> BaseSupervisedAutoencoder:
        """Fit all members of an ensemble, and become the first of them."""
        kind = FrameKind.of(X)
        X, y, sample_weight = read_rows(X, y, sample_weight)
        strata = None
        whole = X
        if self.bootstrap:
            X, y, sample_weight = leave_out_weightless(X, y, sample_weight)
            strata = np.zeros(len(X) if hasattr(X, "__len__") else X.shape[0], dtype=int)
            if y is not None:
                check_consistent_length(X, y)
                frame, _ = target_frame(y)
                strata = strata_of(frame, [is_classifier(self)] * frame.shape[1])
        members = members_to_fit(self, resume=resume)
        if self.bootstrap:
            self._hold_kinds(members, X, resume=resume)
        fit_members(members, X, y, sample_weight, strata, method, **parameters)
        if self.bootstrap and not resume:
            for member in members:
                member._table.know_unlearnt(whole)
        for member in members:
            member._frame_kind = self._frame_kind if resume else kind
        adopt_first_member(self, members)
        return self

    def _hold_kinds(self, members: list[Any], X: Any, *, resume: bool) -> None:
        """Let the whole table say what a column is, and not the rows that a member draws.

        Of objects, a draw may miss all words, or all of some kind.
        """
        chosen = self.categorical_features
        if not (isinstance(chosen, str) and chosen == "from_dtype"):
            return
        for member in members:
            held = member._settings["categorical_features"] if resume else kinds_by_content(X)
            if held is not None:
                member.set_params(categorical_features=held)

    @property
    def members_(self) -> list:
        """The fitted members, of an ensemble or of one."""
        if not self._is_fitted:
            raise AttributeError(f"This {type(self).__name__} has no members_ before fit.")
        return members_of(self)

    @property
    def _is_fitted(self) -> bool:
        return "net_" in vars(self)

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted

    def _check_X(self, X, *, reset: bool) -> Any:
        """Check names and number of columns; give a DataFrame of pandas, all else as floats."""
        X = read_table(X)
        fitted_categories = not reset and bool(self._table.categories)
        if not keeps_column_types(X, self.categorical_features, fitted_categories):
            try:
                return validate_data(
                    self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False
                )
            except ValueError as error:
                if "could not convert" not in str(error):
                    raise
                advice = (
                    "name its categorical columns in categorical_features, or pass a DataFrame"
                )
                if not reset:
                    advice = "convert it to numbers, as it was in fit"
                raise ValueError(f"{error}. An array is read as numbers: {advice}.") from error
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not reset:
                self._table.check_labels(X)
            check_not_empty(X)
            return X
        X = np.asarray(X, dtype=object)
        return validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)

    def _fit(
        self, X, y, sample_weight, *, target: Any, resume: bool, incremental: bool = False
    ) -> BaseSupervisedAutoencoder:
        """Fit anew, or go on from the parameters there are.

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
        """
        if resume and "_others" in vars(self):
            members_to_fit(self, resume=True)  # says that there were more
        self.__dict__.pop("_others", None)  # of an ensemble before
        job = self._prepare(
            X, y, sample_weight, target=target, resume=resume, incremental=incremental
        )
        train([job])
        self._conclude(job, merges=incremental and resume)
        return self

    def _prepare(
        self, X, y, sample_weight, *, target: Any, resume: bool, incremental: bool
    ) -> TrainingJob:
        """Learn columns and scales, and make the net that is to be trained, as ``_fit`` says."""
        needs_label = not (incremental and resume)  # a later part of a stream may have none
        whole, X, codes, sample_weight, power = self._read(
            X, y, sample_weight, target, reset=not resume, needs_label=needs_label
        )
        device = resolve_device(self.device)
        seed = self._seed if resume else check_random_state(self.random_state).randint(2**31)
        learnt, held_out = None, None
        stops_early = not incremental and self._stops_early(X)
        if stops_early:
            strata = None if target is None else target.strata(codes)
            learnt, held_out = split_rows(
                row_keys(X), strata, self.validation_fraction, seed, sample_weight
            )

        blocks = self._check_blocks()
        if resume:
            self._check_same_settings(blocks)
        else:
            self._table = TableEncoder(
                self.categorical_features,
                self.standardize,
                [(name, columns) for name, _, columns in blocks],
            ).fit(X, learnt, sample_weight)
            if len(whole) > len(X):
                self._table.know_unlearnt(whole)
            if target is not None:
                target.fit(codes, learnt, sample_weight)
            self._target = target
            self._architecture = self._make_architecture(blocks)
            self._settings = self._gather_settings(blocks)
        rows = Batch.from_arrays(
            self._table.transform(X),
            None if target is None else target.encode(codes),
            sample_weight,
            device,
        )
        net = self._make_net(
            device,
            seed,
            self._choose_alpha(X, codes, incremental=incremental),
            n_samples=len(rows) if learnt is None else len(learnt),
            stops_early=stops_early,
            incremental=incremental,
            resume=resume,
        )
        if resume:
            state = get_state(self.net_)
            set_state(net, state if incremental else {**state, "optimizer": {}})
            net.history = history_from_frame(self.history_)
        return TrainingJob(
            net,
            Subset(rows, None if learnt is None else torch.from_numpy(learnt)),
            None if held_out is None else Subset(rows, torch.from_numpy(held_out)),
            1 if incremental else self.max_iter,
            self._architecture,
            power,
        )

    def _read(self, X, y, sample_weight, target: Any, *, reset: bool, needs_label: bool) -> tuple:
        """Check what ``fit`` was given, and leave rows of weight 0 out.

        Returns
        -------
        whole, X : DataFrame or ndarray of shape (n_samples, n_features), (n_rows, n_features)
            The table, and its rows with a positive weight.
        codes : ndarray of shape (n_rows,) or (n_rows, n_outputs), or None
            The target as its encoder reads it.
        sample_weight : ndarray of shape (n_rows,) or None
            Divided by a power of two, which leaves proportions as they are.
        power : int
            Which one.
        """
        kind = FrameKind.of(X)
        X, y, sample_weight = read_rows(X, y, sample_weight)
        X = whole = self._check_X(X, reset=reset)
        if reset:
            self._frame_kind = kind
        if y is not None:
            check_consistent_length(X, y)
        kept: Any = slice(None)
        power = 0
        if sample_weight is not None:
            sample_weight, power = scale_weights(
                check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            )
            X, sample_weight, kept = drop_weightless(X, sample_weight)
        codes = None if target is None else target.read(y, kept, needs_label=needs_label)
        return whole, X, codes, sample_weight, power

    def _choose_alpha(self, X: Any, codes: np.ndarray | None, *, incremental: bool) -> float:
        """Give the strength of the L2 penalty; a part of a stream is one of many rows."""
        if self.alpha != "auto":
            return self.alpha
        if incremental:
            return auto_alpha(MANY_DISTINCT_ROWS)
        return auto_alpha(count_distinct_rows(X, codes, MANY_DISTINCT_ROWS))

    def _conclude(self, job: TrainingJob, *, merges: bool) -> None:
        """Take a trained net over, unless no epoch of it is worth keeping.

        Parameters
        ----------
        job : TrainingJob
        merges : bool
            Whether its rows are a part of a stream, which adds to what was learnt of latents.
        """
        net = job.net
        best = dict(net.callbacks_)["_best_epoch"]
        if best.diverged_iter_ is not None:
            what = f"The loss diverged to NaN or infinity in epoch {best.diverged_iter_}"
            remedy = (
                f"Lower learning_rate_init (it is {self.learning_rate_init}), keep "
                "standardize=True, or look for extreme values in the data."
            )
            if not best.best_iter_:
                raise DivergenceError(f"{what}, before any epoch could be kept. {remedy}")
            warnings.warn(
                f"{what}; training stopped and the best epoch, {best.best_iter_}, is kept. "
                f"{remedy}",
                DivergenceWarning,
                stacklevel=stack_level_of_caller(),
            )
        self.net_ = net
        self.history_ = history_to_frame(net.history)
        self.n_iter_ = len(self.history_)
        self.best_iter_ = best.best_iter_
        self.alpha_ = net.criterion_.alpha
        self._seed = net.seed
        belief = LatentStatistics.learn(
            net.module_, job.train, self._table.layouts, job.weight_power
        )
        before: LatentStatistics | None = vars(self).get("_latent_statistics") if merges else None
        self._latent_statistics = belief if before is None else before.merge(belief)

    def _target_of(self, y, *, resume: bool) -> Any:
        """Give the encoder of y: the fitted one to go on with, else a new one."""
        if not resume:
            return self._make_target(y)
        if (y is None) != (self._target is None):
            was, now = ("without", "with") if self._target is None else ("with", "without")
            raise ValueError(f"The estimator was fitted {was} y and can't go on {now} it.")
        return self._target

    def _gather_settings(self, blocks: list[tuple[str, Block, Any]]) -> dict[str, Any]:
        """Gather what must stay as it is where training goes on, beside what sizes tell."""
        categorical = self.categorical_features
        return {
            "standardize": self.standardize,
            "categorical_features": categorical
            if categorical is None or isinstance(categorical, str)
            else np.asarray(categorical).tolist(),
            "blocks": [
                [name, type(block).__name__, repr(block), np.asarray(columns).tolist()]
                for name, block, columns in blocks
            ],
        }

    def _check_same_settings(self, blocks: list[tuple[str, Block, Any]]) -> None:
        """Refuse to go on training with another table or another network."""
        now = {**self._make_architecture(blocks), **self._gather_settings(blocks)}
        then = {**self._architecture, **self._settings}
        for name, value in now.items():
            fitted = then[name]
            if name != "layouts" and value != fitted:
                raise ValueError(
                    f"The '{name}' parameter was {fitted!r} in the last fit and is {value!r} "
                    "now; warm_start and partial_fit go on with the same network."
                )

    def _stops_early(self, X) -> bool:
        if self.early_stopping == "auto":
            return len(X) > _MANY_ROWS
        return bool(self.early_stopping)

    def _check_blocks(self) -> list[tuple[str, Block, Any]]:
        """Check the parameter ``blocks``."""
        blocks = list(self.blocks or [])
        for entry in blocks:
            is_triple = isinstance(entry, tuple) and len(entry) == 3
            if not is_triple or not isinstance(entry[1], Block):
                raise ValueError(
                    "The 'blocks' parameter must be a list of tuples (name, Block, columns), "
                    f"got {entry!r} in it."
                )
        names = [name for name, _, _ in blocks]
        usable = all(isinstance(name, str) and name.isidentifier() for name in names)
        taken = {DEFAULT_BLOCK, *dir(torch.nn.ModuleDict)}  # torch takes no name of its own
        if not usable or len(set(names)) < len(names) or taken & set(names):
            raise ValueError(
                "The 'blocks' parameter must have distinct names that are identifiers, other "
                f"than {DEFAULT_BLOCK!r} and the methods of a torch ModuleDict, got {names}."
            )
        return blocks

    def _make_architecture(self, blocks: list[tuple[str, Block, Any]]) -> dict[str, Any]:
        """Gather what the network is built from; it stays with the fitted estimator."""
        by_name = {name: clone(block) for name, block, _ in blocks}
        sizes = check_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        mirrored = self.decoder_hidden_layer_sizes is None
        return {
            "layouts": self._table.layouts,
            "blocks": {name: by_name.get(name, DenseBlock()) for name in self._table.layouts},
            "n_components": int(self.n_components),
            "hidden_layer_sizes": sizes,
            "decoder_hidden_layer_sizes": sizes[::-1]
            if mirrored
            else check_layer_sizes(self.decoder_hidden_layer_sizes, "decoder_hidden_layer_sizes"),
            "predictor_hidden_layer_sizes": check_layer_sizes(
                self.predictor_hidden_layer_sizes, "predictor_hidden_layer_sizes"
            ),
            "activation": self.activation,
            "latent_activation": self.latent_activation,
            "dropout": float(self.dropout),
            "n_outputs": 0 if self._target is None else self._target.layout.n_values,
        }

    def _rows_per_batch(self, n_samples: int | None, *, warns: bool) -> int:
        """Give the batch size for a number of rows; None where none are to be learnt from."""
        if self.batch_size == "auto":
            n_samples = n_samples or 1
            return min(auto_batch_size(n_samples), n_samples)
        if n_samples is None or self.batch_size <= n_samples:
            return self.batch_size
        if warns:
            warnings.warn(
                f"batch_size={self.batch_size} is larger than the {n_samples} rows to learn "
                "from; all of them make one batch.",
                stacklevel=stack_level_of_caller(),
            )
        return n_samples

    def _make_net(
        self,
        device: torch.device,
        seed: int,
        alpha: float,
        *,
        n_samples: int | None = None,
        trains: bool = True,
        stops_early: bool = False,
        incremental: bool = False,
        resume: bool = False,
    ) -> AutoencoderNet:
        """Build the skorch net, with parameters drawn anew if it is to be trained."""
        monitor = "valid_loss" if stops_early else "train_loss"
        max_iter = 1 if incremental else self.max_iter
        patience = self.n_iter_no_change
        callbacks: list = []
        if trains:
            fit = FitSettings(
                self.learning_rate, stops_early, incremental, resume, not self.verbose
            )
            callbacks = check_callbacks(self.callbacks, fit)
        # The epoch is judged before a user's callback can stop.
        best = BestEpoch(monitor, self.tol, patience if stops_early else None)
        callbacks.insert(0, ("_best_epoch", best))
        if trains and self.learning_rate != "constant" and not incremental:
            change = LearningRate(self.learning_rate, max_iter, monitor, max(patience // 2, 1))
            callbacks.insert(1, ("_learning_rate", change))
        if trains and self.verbose:
            callbacks.append(("_progress", Progress(max_iter, type(self).__name__)))
        cpu = torch.device("cpu")  # where the parameters are drawn: the same on every device
        with forked_rng(cpu):
            seed_generators(seed, cpu)
            module = AutoencoderModule(**self._architecture)
            if trains:
                initialize(module.dense_layers, self.initialization)
        objective = Objective(
            layouts=self._table.layouts,
            target_layout=None if self._target is None else self._target.layout,
            reconstruction_loss=self.reconstruction_loss,
            prediction_loss=self._loss_of_prediction,
            reconstruction_weight=self.reconstruction_weight,
            prediction_weight=self.prediction_weight,
            l1=self.l1,
            alpha=alpha,
        )
        net = AutoencoderNet(
            module.to(torch_dtype(self._table.dtype)),
            objective,
            seed=seed,
            optimizer=torch.optim.Adam,
            optimizer__fused=device.type in ("cpu", "cuda"),
            lr=self.learning_rate_init,
            batch_size=self._rows_per_batch(n_samples, warns=not incremental),
            iterator_train=TensorIterator,
            iterator_train__shuffle=self.shuffle,
            max_epochs=max_iter,
            callbacks=callbacks,
            device=device,
            verbose=int(self.verbose),  # for callbacks of skorch that print
        )
        return net.initialize()

    # -- after fit

    @isolated
    def transform(self, X):
        """Give the latents of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Latents, without unit; of an ensemble, those of the first member.
        """
        check_is_fitted(self)
        return self._apply(self._encode(X), lambda module, values: module.encode(values))

    @isolated
    def inverse_transform(self, Z):
        """Give the table that latents stand for.

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
        index = Z.index if isinstance(Z, pd.DataFrame) else None
        Z = check_array(Z, dtype=self._table.dtype, input_name="Z")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but the estimator has n_components="
                f"{self._n_features_out} latents."
            )
        return give_back(self._table.inverse_transform(self._decode(Z), index), self._frame_kind)

    @isolated
    def complete(self, X, *, n_candidates=None, tolerance=None):
        """Fill what was not measured with what the latents say of it.

        The latents are searched for that best explain the measured entries of a row, and decoded.
        See the :ref:`User Guide <completion>`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted. NaN (or None, pd.NA) where not measured.
        n_candidates : int or None, default=None
            None: one completed table. Else up to so many distinct completions of each row.
        tolerance : float or None, default=None
            Largest mismatch of a completion: the root mean square, over the measured columns of
            a row, of the error with which its latents give back what was measured, in standard
            deviations of the column (of a category: one minus its probability). What is above it
            gives a warning, and is no candidate. None: any.

        Returns
        -------
        completed : DataFrame or ndarray of shape (n_samples, n_features)
            X with its gaps filled: measured entries are as they were, a DataFrame's dtypes too.
            Of an ensemble, what is filled is the first member's.
        candidates : :class:`~sklearn.utils.Bunch`
            With ``n_candidates``, in place of the table, with attributes

            - X : DataFrame or ndarray of shape (n_completions, n_features). The rows of X, each
              in up to ``n_candidates`` completions that differ by a category, or by 0.1 standard
              deviations in what was not measured; the more probable first. A row without gaps
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
        predict = None if self._target is None else self.predict
        found = complete_table(
            self._check_X(X, reset=False), self._find, predict, n_candidates, tolerance
        )
        return give_back_filled(found, FrameKind.of(X))

    def _find(self, X, search: CompletionSearch | None) -> Completions:
        """Complete rows of a checked table, each once or as a search wants it."""
        link = self._observation_model()
        found = PosteriorModeSearch([link]).find([link.rows(self._table.transform(X))], search)
        completed = self._table.inverse_transform(found.decoded[0])
        return Completions(completed, found.rows, found.mismatch, found.nearest)

    def _observation_model(self) -> ObservationModel:
        bounds = RANGES.get(self._architecture["latent_activation"], (-np.inf, np.inf))
        return ObservationModel(
            self.net_.module_, self._table, self._latent_statistics, bounds, self._net_device
        )

    @isolated
    def score_samples(self, X):
        """Tell how much rows are like those that were learnt from.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted. NaN where not measured.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Logarithm of a probability density, but for a constant: the higher, the more alike. It
            has two parts: how far the latents are from those of the training rows, as half of a
            squared Mahalanobis distance, and how badly the row is reconstructed, beside the
            errors of the training rows, and with what these have in common (their covariance). Of
            an ensemble, the members' median.

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
        return np.median([m._observation_model().scores(m._encode(X)) for m in members], axis=0)

    def _predict(self, X) -> np.ndarray:
        """Give the predictor's outputs, of shape (n_samples, n_outputs), in scaled units."""
        check_is_fitted(self)
        if self._target is None:
            raise NoTargetError(
                f"This {type(self).__name__} was fitted without a target (y=None), so that it "
                "has no prediction; it can transform and inverse_transform."
            )
        return self._apply(
            self._encode(X), lambda module, values: module.predict(module.encode(values))
        )

    def _reconstruction_score(self, X, sample_weight=None) -> float:
        """Give R² of the reconstruction, over all measured entries in scaled units.

        The squared errors of all columns are pooled, and so are their squared deviations from the
        mean: a categorical column counts with its one-hot values against its probabilities.
        """
        check_is_fitted(self)
        X, _, sample_weight = read_rows(X, None, sample_weight)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
            sample_weight, _ = scale_weights(sample_weight)
        blocks = self._encode(X)
        latents = self._apply(blocks, lambda module, values: module.encode(values))
        decoded = self._decode(latents)
        for name, layout in self._table.layouts.items():
            for group in layout.groups():
                logits = torch.from_numpy(decoded[name][:, group])
                decoded[name][:, group] = torch.softmax(logits, dim=1).numpy()
        # divided by a power of two, so that squares stay in the range of floats
        pairs = [(blocks[name].values, decoded[name]) for name in blocks]
        power = np.frexp(max(np.abs(values).max() for pair in pairs for values in pair))[1]
        error = deviation = 0.0
        for name, (values, measured) in blocks.items():
            layout = self._table.layouts[name]
            values, output = np.ldexp(values, -power), np.ldexp(decoded[name], -power)
            weight = np.ones((len(values), layout.n_columns)) if measured is None else measured
            if sample_weight is not None:
                weight = weight * sample_weight[:, None]
            weight = layout.spread(weight)
            total = weight.sum(axis=0)
            mean = (weight * values).sum(axis=0) / np.where(total > 0, total, 1)
            error += (weight * (values - output) ** 2).sum()
            deviation += (weight * (values - mean) ** 2).sum()
        if deviation == 0:
            return 1.0 if error == 0 else 0.0
        return float(1 - error / deviation)

    def _encode(self, X) -> dict[str, Encoded]:
        return self._table.transform(self._check_X(X, reset=False))

    def _decode(self, Z: np.ndarray) -> dict[str, np.ndarray]:
        """Give each block's values, of shape (n_samples, layout.n_values), of latents."""
        with torch.no_grad():
            chunks = [
                self.net_.module_.decode(to_tensor(Z[i : i + _CHUNK_ROWS], self._net_device))
                for i in range(0, len(Z), _CHUNK_ROWS)
            ]
        return {
            name: np.concatenate([to_array(chunk[name]) for chunk in chunks])
            for name in self._table.layouts
        }

    def _apply(
        self, blocks: dict[str, Encoded], function: Callable[[Any, dict[str, Tensor]], Tensor]
    ) -> np.ndarray:
        """Apply a function of module and values to all rows, some thousand at a time."""
        rows = Subset(Batch.from_arrays(blocks, None, None, torch.device("cpu")))
        with torch.no_grad():
            chunks = [
                function(
                    self.net_.module_,
                    {name: values.to(self._net_device) for name, values in chunk.values.items()},
                )
                for chunk in TensorIterator(rows, _CHUNK_ROWS)
            ]
        return np.concatenate([to_array(chunk) for chunk in chunks])

    @property
    def _net_device(self) -> torch.device:
        return next(self.net_.module_.parameters()).device

    @property
    def _n_features_out(self) -> int:
        return self._architecture["n_components"]

    # -- state

    def __getstate__(self) -> dict[str, Any]:
        """Give parameters and plain values: what was fitted is made anew from them."""
        state = dict(super().__getstate__())
        if self._is_fitted:
            state["_net_state"] = get_state(state.pop("net_"))
            state["history_"] = {name: column.to_numpy() for name, column in self.history_.items()}
            state["_table"] = self._table.to_state()
            state["_target"] = target_to_state(self._target)
            state["_latent_statistics"] = dict(vars(self._latent_statistics))
            state["_frame_kind"] = FrameKind.to_state(self._frame_kind)
            architecture = dict(self._architecture)
            del architecture["layouts"]  # those of the table
            state["_architecture"] = architecture
        return stamp(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild what was fitted, on the CPU if its device is not there."""
        state = check_stamp(state, self)
        net_state = state.pop("_net_state", None)
        super().__setstate__(state)
        if net_state is not None:
            self._table = TableEncoder.from_state(state["_table"])
            self._target = target_from_state(state["_target"])
            self._latent_statistics = LatentStatistics(**state["_latent_statistics"])
            self._frame_kind = FrameKind.from_state(state["_frame_kind"])
            self._architecture = {**state["_architecture"], "layouts": self._table.layouts}
            self.history_ = history_to_frame(pd.DataFrame(self.history_).to_dict("records"))
            device = available_device(self.device)
            with plain_torch():
                self.net_ = self._make_net(device, self._seed, self.alpha_, trains=False)
                self.net_.history = history_from_frame(self.history_)
                set_state(self.net_, net_state)
                self.net_.module_.eval()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
