"""The parameters of an autoencoder, and the network, net and objective made from them."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone

from .._compat import DocumentationLink, Interval, StrOptions
from .._layers._dense import ACTIVATIONS, INITIALIZATIONS
from .._tables._encoder import TableEncoder
from .._tables._layout import Encoded
from .._tables._splits import count_distinct_rows
from .._tables._target import Bounds
from .._training._allowed_callbacks import FitSettings, check_callbacks
from .._training._callbacks import BestEpoch, LearningRate, Progress
from .._training._data import TensorIterator
from .._training._defaults import (
    LEAST_ALPHA,
    MANY_DISTINCT_ROWS,
    auto_alpha,
    auto_batch_size,
)
from .._training._net import AutoencoderNet
from .._training._objective import Objective
from .._training._schedules import SCHEDULES, n_epochs_of_warm_up
from ..blocks import Block, DenseBlock
from ..blocks._losses import ELEMENTWISE
from ._fitted import NetworkSetup, Target
from ._torch_words import check_names, names_instead, with_page
from ._validation import check_batch_size, check_beta, check_block_weights, check_layer_sizes


class NetworkParameters(DocumentationLink, BaseEstimator, metaclass=ABCMeta):
    """The parameters of an autoencoder for any kind of target, and all that is made from them."""

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
        "beta": [Interval(Real, 0, None, closed="left"), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "standardize": ["boolean"],
        "blocks": [StrOptions({"auto"}), Block, list, None],
        "block_weights": [dict, None],
        "block_dropout": [Interval(Real, 0, 1, closed="left")],
        "initialization": [StrOptions(set(INITIALIZATIONS))],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
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

    @names_instead
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
        alpha="auto",
        beta=None,
        dropout=0.0,
        categorical_features="from_dtype",
        standardize=True,
        blocks="auto",
        block_weights=None,
        block_dropout=0.0,
        initialization="xavier_uniform",
        batch_size="auto",
        learning_rate="cosine",
        learning_rate_init=3e-3,
        max_iter=200,
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
        self.beta = beta
        self.dropout = dropout
        self.categorical_features = categorical_features
        self.standardize = standardize
        self.blocks = blocks
        self.block_weights = block_weights
        self.block_dropout = block_dropout
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

    # -- parameters

    def get_params(self, deep=True):
        """Return the parameters; with those of blocks, such as ``blocks__image__kernel_size``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return those of the blocks, too.

        Returns
        -------
        params : dict
        """
        params = super().get_params(deep=deep)
        for name, block in self._named_blocks().items() if deep else ():
            params[f"blocks__{name}"] = block
            of_block = block.get_params(deep=True)
            params |= {f"blocks__{name}__{key}": value for key, value in of_block.items()}
        return params

    def set_params(self, **params):
        """Set parameters, those of blocks included.

        Parameters
        ----------
        **params : dict
            By the names that ``get_params`` gives.

        Returns
        -------
        self : object
        """
        check_names(type(self), params, ValueError)
        if "blocks" in params:  # before what is within them
            self.blocks = params.pop("blocks")
        named = self._named_blocks()
        replaced = {
            name: params.pop(f"blocks__{name}") for name in named if f"blocks__{name}" in params
        }
        if replaced:
            self.blocks = [(n, replaced.get(n, block), own) for n, block, own in self.blocks]
            named |= replaced
        for key in list(params):
            _, _, rest = key.partition("__")
            name, is_nested, of_block = rest.partition("__")
            if key.startswith("blocks__") and not isinstance(self.blocks, Block):
                if not is_nested or name not in named:
                    raise ValueError(
                        f"Invalid parameter {key!r} for estimator {type(self).__name__}. The "
                        f"names of its blocks are {list(named)}."
                    )
                named[name].set_params(**{of_block: params.pop(key)})
        return super().set_params(**params)

    def _validate_params(self) -> None:
        """Check the parameters, as scikit-learn's ``fit`` asks for it."""
        try:
            super()._validate_params()
        except ValueError as error:
            raise with_page(error, self.get_params(deep=False)) from None

    def _named_blocks(self) -> dict[str, Block]:
        """Return the blocks of a list of them by their names."""
        entries = self.blocks if isinstance(self.blocks, list) else []
        triples = [entry for entry in entries if isinstance(entry, tuple) and len(entry) == 3]
        return {name: block for name, block, _ in triples if isinstance(block, Block)}

    # -- what a kind of target decides

    @property
    @abstractmethod
    def _loss_of_prediction(self) -> str:
        """The loss of a numeric target."""

    @property
    def _block_of_target(self) -> Block | None:
        """The kind of a target that is one array; None where it is numbers or a class."""
        return None

    @property
    def _bounds_of_target(self) -> Bounds:
        """The bounds of a numeric target."""
        return None, None

    # -- what is made of the parameters

    def _choose_alpha(
        self,
        setup: NetworkSetup,
        data: Any,
        encoded: dict[str, Encoded],
        learnt: np.ndarray | None,
        *,
        incremental: bool,
    ) -> float:
        """Return the strength of the L2 penalty; a part of a stream is one of many rows.

        Parameters
        ----------
        setup : NetworkSetup
        data : TrainingData
        encoded : dict of str to Encoded
            Its rows as they enter the network.
        learnt : ndarray of int or None
            Rows that are not held out; None for all.
        incremental : bool
            Whether the rows are a part of a stream.
        """
        if self.alpha != "auto":
            return self.alpha
        if incremental:
            return LEAST_ALPHA
        return auto_alpha(count_distinct_rows(data.X, data.codes, MANY_DISTINCT_ROWS))

    def _make_architecture(
        self, blocks: dict[str, Block], table: TableEncoder, target: Target | None
    ) -> dict[str, Any]:
        """Gather the arguments of the network; they stay with the fitted estimator."""
        sizes = check_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        mirrored = self.decoder_hidden_layer_sizes is None
        return {
            "layouts": table.layouts,
            "blocks": blocks,
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
            "target_layout": None if target is None else target.layout,
            "target_block": clone(self._block_of_target, safe=False),
            "target_bounds": self._bounds_of_target,
            "block_dropout": float(self.block_dropout),
            "is_variational": check_beta(self.beta, self.latent_activation),
        }

    def _make_net(
        self,
        setup: NetworkSetup,
        device: torch.device,
        alpha: float,
        *,
        fit: FitSettings | None = None,
        n_samples: int = 1,
    ) -> AutoencoderNet:
        """Build the skorch net.

        Parameters
        ----------
        setup : NetworkSetup
        device : torch.device
        alpha : float
            Strength of the L2 penalty.
        fit : FitSettings or None
            How it is to be trained; None if its parameters come from a file.
        n_samples : int
            Number of rows to learn from.
        """
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = min(auto_batch_size(n_samples), n_samples)
        elif fit is not None:
            batch_size = check_batch_size(batch_size, n_samples, warns=not fit.is_part)
        max_iter = 1 if fit is not None and fit.is_part else self.max_iter
        # latents that are learnt already need no time without a divergence
        is_new = fit is not None and not fit.is_part and not fit.goes_on
        objective = self._make_objective(setup, alpha)
        net = AutoencoderNet(
            setup.make_module(None if fit is None else self.initialization),
            objective,
            seed=setup.seed,
            warm_up=n_epochs_of_warm_up(max_iter) if is_new and objective.warms_up else 0,
            optimizer=torch.optim.Adam,
            optimizer__fused=device.type in ("cpu", "cuda"),
            lr=self.learning_rate_init,
            batch_size=batch_size,
            iterator_train=TensorIterator,
            iterator_train__shuffle=self.shuffle,
            iterator_valid__batch_size=setup.rows_at_once,
            max_epochs=max_iter,
            callbacks=self._make_callbacks(fit, max_iter),
            device=device,
            verbose=int(self.verbose),  # for callbacks of skorch that print
        )
        return net.initialize()

    def _make_callbacks(self, fit: FitSettings | None, max_iter: int) -> list:
        """Return a user's callbacks, with those of the package around them."""
        if fit is None:
            return [("_best_epoch", BestEpoch("train_loss", self.tol, None))]
        monitor = "valid_loss" if fit.holds_out else "train_loss"
        patience = self.n_iter_no_change
        # The epoch is judged before a user's callback can stop.
        callbacks: list[Any] = [
            ("_best_epoch", BestEpoch(monitor, self.tol, patience if fit.holds_out else None))
        ]
        if self.learning_rate != "constant" and not fit.is_part:
            change = LearningRate(self.learning_rate, max_iter, monitor, max(patience // 2, 1))
            callbacks.append(("_learning_rate", change))
        callbacks += check_callbacks(self.callbacks, fit)
        if self.verbose:
            callbacks.append(("_progress", Progress(max_iter, type(self).__name__)))
        return callbacks

    def _make_objective(self, setup: NetworkSetup, alpha: float) -> Objective:
        """Put the terms of the loss together."""
        return Objective.supervised(
            layouts=setup.layouts,
            blocks=setup.blocks,
            target_layout=setup.architecture["target_layout"],
            target_block=setup.architecture["target_block"] or DenseBlock(),
            block_shares=check_block_weights(self.block_weights, list(setup.layouts)),
            reconstruction_loss=self.reconstruction_loss,
            prediction_loss=self._loss_of_prediction,
            reconstruction_weight=self.reconstruction_weight,
            prediction_weight=self.prediction_weight,
            l1=self.l1,
            alpha=alpha,
            beta=self.beta,
            scales=setup.scales,
        )
