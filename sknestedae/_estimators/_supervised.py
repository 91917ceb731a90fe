"""The supervised autoencoder of one scale whose target is numeric."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._ambient import isolated
from .._compat import StrOptions, check_sample_weight, fit_context
from .._persistence import public
from .._tables._input import read_rows
from .._tables._target import (
    Bounds,
    NumericTarget,
    pooled_r2,
    r2,
    read_numbers,
)
from ..blocks import Block
from ..blocks._losses import ELEMENTWISE
from ._base import BaseSupervisedAutoencoder, TrainingData
from ._ensemble import mean_and_spread
from ._fitted import FittedAutoencoder
from ._head import Head, Passed, choose_head
from ._torch_words import names_instead
from ._validation import all_or_nothing, check_target_bounds

# Weights of rows, as a Gaussian process divides its noise by them.
_WEIGHTS = (1e-12, 1e12)


def _trains_in_parts(sae: SupervisedAutoencoder) -> bool:
    """Return whether the estimator has the method ``partial_fit``."""
    if sae.predictor == "gaussian_process":
        raise AttributeError(
            "The 'predictor' parameter is 'gaussian_process', which needs all rows at once; "
            "partial_fit trains the network: set it to 'network' or 'auto', or use fit."
        )
    return True


@public("sknestedae")
class SupervisedAutoencoder(RegressorMixin, BaseSupervisedAutoencoder):
    r"""Autoencoder whose latents also predict numbers.

    An encoder maps a table to a few latents; a decoder maps them back to the table; a predictor
    maps them to a target. The three are trained together, so that the latents keep the information
    of the table, and its information about the target [1]_ [2]_. Without a target it is a plain
    autoencoder.

    Read more in the :ref:`User Guide <supervised_autoencoder>`.

    Parameters
    ----------
    n_components : int, default=16
        Number of latents.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Widths of the encoder's hidden layers, from the input to the latents; ``()`` for none.
    decoder_hidden_layer_sizes : int, sequence of int or None, default=None
        Widths of the decoder's hidden layers, from the latents to the output. None mirrors the
        encoder.
    predictor_hidden_layer_sizes : int or sequence of int, default=()
        Widths of the predictor's hidden layers, from the latents to the target. With ``()`` a
        predicted number is linear in the latents.
    activation : str, default="silu"
        Activation of the hidden layers: "identity", "logistic", "tanh", "relu", "leaky_relu",
        "elu", "selu", "gelu", "silu" or "softplus".
    latent_activation : str, default="identity"
        Activation of the latents; the same choices. "tanh" bounds them by -1 and 1, as in [1]_.
    reconstruction_loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        Error of a reconstructed number, in standard deviations of its column. "huber" is
        quadratic up to 1 and linear beyond. A category's error is the cross-entropy.
    prediction_loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        Error of a predicted number, in standard deviations of the target.
    target_block : Block or None, default=None
        Kind of a target that is one array for each row, such as a spectrum: y is then (n_samples,
        n_channels), has more dimensions, or is a column whose cells hold the arrays; the block
        makes the predictor's last layer. A prediction is compared with y as it stands: an
        ``invariance`` of the block turns none. None: each output is a number by itself.
    target_bounds : (float or None, float or None) or None, default=None
        Least and largest value that the target can have, in its own unit, such as ``(0, None)``
        of an efficiency. The network's last layer keeps to them. A target outside is an error.
    predictor : {"network", "gaussian_process", "auto"}, default="auto"
        The predictor of the target. "network": a part of the network, from the latents.
        "gaussian_process": a Gaussian process of the columns (in a chain, also of the values that
        earlier stages pass on), which is better where few rows are labelled; the network is
        trained as before, and keeps encoder, decoder and latents. It takes numbers and categories
        as they enter the network, and 2000 distinct rows at most. "auto": a Gaussian process where
        at most 2000 distinct rows are labelled, for at most 10 outputs, and its leave-one-out R²
        is above 0; else the network. The network, too, where ``predictor_hidden_layer_sizes`` or
        ``prediction_loss`` are not the defaults: these are settings of the network's predictor.
        The Gaussian processes of an ensemble's members are all but the same without
        ``bootstrap``; with it they differ, and each is less accurate.
    reconstruction_weight : float, default=1.0
        Weight of the mean reconstruction error in the objective.
    prediction_weight : float, default=1.0
        Weight of the mean prediction error in the objective.
    l1 : float, default=0.0
        Strength of the L1 penalty on the encoder's weights (not its biases): ``l1`` times the sum
        of their absolute values.
    alpha : float or "auto", default=1e-3
        Strength of the L2 penalty on all weights (not biases): ``alpha / 2`` times the sum of
        their squares. Unlike :class:`~sklearn.neural_network.MLPRegressor`'s it is not divided
        by the number of rows, so that the scale of sample weights does not matter. "auto" suits
        few rows: 300 divided by the square of the number of distinct rows, but at least 0.001
        (548 rows) and at most 0.15 (45 rows); in ``partial_fit`` 0.001.
    beta : float or None, default=None
        None: latents are points. A number: latents are normal densities, whose divergence from
        N(0, 1) has this weight (a variational autoencoder [3]_ [4]_); 1 is the evidence lower
        bound with a noise as large as a column's standard deviation. Smaller values reconstruct
        better, larger ones give fewer active latents. See the :ref:`User Guide <variational>`.
    dropout : float, default=0.0
        Probability that a hidden unit (of encoder, decoder or predictor; never a latent) is left
        out in a training step.
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Categorical columns. "from_dtype": a DataFrame's columns of categories, strings or
        booleans; none of an array. None: none. Else names, indices or a mask of columns.
    standardize : bool, default=True
        Whether numeric columns, and a numeric target, are centred and scaled to unit variance
        inside, with the statistics of the training rows.
    blocks : "auto", Block, list of (str, Block, columns) or None, default="auto"
        Kinds of data. A :class:`~sknestedae.blocks.Block`: the whole of X is one kind, and X may
        have more than two dimensions, such as (n_samples, height, width) of images. A list:
        columns (names, indices or a slice; of two levels, a first level) that enter and leave the
        network by a block of their own, each with a name; all others share a
        :class:`~sknestedae.blocks.DenseBlock`. "auto": a column of a DataFrame whose cells hold
        arrays has a :class:`~sknestedae.blocks.SpectrumBlock` or
        :class:`~sknestedae.blocks.ImageBlock` of its own. None: all columns are numbers and
        categories. Settings of blocks are parameters, such as ``blocks__image__kernel_size``.
    block_weights : dict of str to float or None, default=None
        Shares of the blocks in the reconstruction error, by name; the columns without a block are
        ``"table"``. None: all blocks count alike, however many entries they have.
    block_dropout : float, default=0.0
        Probability that a whole block of a row is hidden from the encoder in a training step, so
        that it learns to do without; one block at least is left.
    initialization : str, default="xavier_uniform"
        Distribution of the initial weights of dense layers: "xavier_uniform", "xavier_normal",
        "kaiming_uniform" or "kaiming_normal". Their biases begin at 0. Layers of a block other
        than :class:`~sknestedae.blocks.DenseBlock` keep the weights that the block gave them.
    batch_size : int or "auto", default="auto"
        Number of rows in a training step. "auto" grows with the number of rows, from 32 to 1024.
    learning_rate : {"constant", "cosine", "plateau"}, default="cosine"
        "cosine" lets the learning rate fall to 0 along half a cosine in ``max_iter`` epochs;
        "plateau" halves it after ``n_iter_no_change // 2`` epochs without a decrease of the loss.
    learning_rate_init : float, default=3e-3
        Learning rate of the first epoch. The optimizer is Adam.
    max_iter : int, default=200
        Number of epochs, at most.
    shuffle : bool, default=True
        Whether rows come in a new order in each epoch.
    early_stopping : bool or "auto", default="auto"
        Whether to hold ``validation_fraction`` of the rows out, to stop when their loss has not
        fallen by ``tol`` in ``n_iter_no_change`` epochs, and to keep the parameters of the epoch
        of this fit in which it was lowest. Equal rows are never on both sides. "auto": where
        there are more than 10,000 rows.
    validation_fraction : float, default=0.1
        Fraction of the distinct rows that early stopping holds out.
    n_iter_no_change : int, default=20
        Number of epochs without improvement after which early stopping stops.
    tol : float, default=1e-4
        Smallest decrease of the loss that counts as an improvement.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters, columns and scales of the last fit.
    callbacks : list or None, default=None
        Callbacks of skorch, or (name, callback) pairs. They see a
        :class:`skorch.net.NeuralNet` and its history, which holds epochs but not batches.
        Callbacks that cannot work are refused before training: scores of batches or epochs
        (:class:`skorch.callbacks.EpochScoring`), :class:`skorch.callbacks.LRScheduler` unless
        ``learning_rate="constant"`` and in ``partial_fit``, and a monitor of ``valid_loss`` where
        no rows are held out. See the :ref:`User Guide <callbacks>`.
    n_members : int, default=1
        Number of networks of an ensemble, which differ by their seeds and are trained together.
        Predictions are their mean. Latents, reconstructions, ``net_`` and ``history_`` are the
        first member's, which without ``bootstrap`` is the network of ``n_members=1``.
    bootstrap : bool, default=False
        Whether each member of an ensemble sees rows drawn with replacement: as many rows, and as
        many that are labelled (of each class, for a classifier), as there are.
    device : str, default="cpu"
        "cpu", "cuda", any other device of torch, or "auto": CUDA where there is one.
    verbose : bool or int, default=0
        Whether to show a progress bar, on the standard error stream.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of rows, dropout and the held-out rows.

    Attributes
    ----------
    net_ : skorch.net.NeuralNet
        The fitted net; ``net_.module_`` is the torch module.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where all are strings.
    history_ : DataFrame
        One row for each epoch. ``train_loss`` is ``reconstruction_weight`` times
        ``train_reconstruction`` plus ``prediction_weight`` times ``train_prediction``: means over
        the epoch's rows during training, with dropout. ``valid_...`` are the same of held-out rows
        after the epoch, without dropout. ``l1`` and ``l2`` are the penalties, where there are any;
        ``learning_rate`` is the epoch's.
    n_iter_ : int
        Number of epochs that were run.
    alpha_ : float
        Strength of the L2 penalty that was used.
    predictor_ : {"network", "gaussian_process"}
        The predictor that is used.
    leave_one_out_score_ : float
        R² of the Gaussian process where each distinct row is predicted from all others; only if
        there is one.
    best_iter_ : int
        Number of the epoch whose parameters were kept: the last one without early stopping.
    blocks_ : dict of str to FittedBlock
        The blocks by name, each with its settings (``block``), the ``layout`` of its values and
        the positions of its ``columns``.
    components_ : ndarray of shape (n_components, n_features)
        Slopes of the decoded columns by latents, of tables of numbers alone.
    mean_ : ndarray of shape (n_features,)
        With it, ``Z @ components_ + mean_`` is the plane nearest to the decoded columns.
    members_ : list of estimators
        The fitted members of an ensemble, the first one included; without one, the estimator.

    See Also
    --------
    SupervisedAutoencoderClassifier : The same for classes.
    sklearn.decomposition.PCA : Linear latents, without a target.
    sklearn.cross_decomposition.PLSRegression : Linear latents, with a target.
    sklearn.neural_network.MLPRegressor : A predictor without latents.

    Notes
    -----
    In scaled units :math:`x` and :math:`y`, with latents :math:`z = e(x)`, the objective is

    .. math::

        w_r \, \overline{L_r(d(z), x)} + w_p \, \overline{L_p(p(z), y)}
        + \lambda_1 \lVert W_e \rVert_1 + \frac{\alpha}{2} \lVert W \rVert_2^2

    with encoder :math:`e`, decoder :math:`d` and predictor :math:`p`. The bars are means over
    measured entries, weighted by samples: a missing entry enters as its column's mean and is left
    out of the error. An integer sample weight gives the same objective as repeating the row.

    References
    ----------
    .. [1] N. Thota, M. Sharma Priyadarshini, R. Hernandez, Materials Horizons 11, 700 (2024).
    .. [2] L. Le, A. Patterson, M. White, "Supervised autoencoders: Improving generalization
       performance with unsupervised regularizers", NeurIPS 31 (2018).
    .. [3] D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", arXiv:1312.6114 (2013).
    .. [4] I. Higgins et al., "beta-VAE: Learning basic visual concepts with a constrained
       variational framework", ICLR (2017).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknestedae import SupervisedAutoencoder
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> sae = SupervisedAutoencoder(n_components=3, max_iter=20, random_state=0).fit(X, y)
    >>> sae.transform(X).shape
    (442, 3)
    >>> sae.predict(X).shape
    (442,)
    >>> sae.inverse_transform(sae.transform(X)).columns.equals(X.columns)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervisedAutoencoder._parameter_constraints,
        "prediction_loss": [StrOptions(set(ELEMENTWISE))],
        "target_block": [Block, None],
        "target_bounds": [tuple, list, None],
        "predictor": [StrOptions({"network", "gaussian_process", "auto"})],
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
        prediction_loss="squared_error",
        target_block=None,
        target_bounds=None,
        predictor="auto",
        reconstruction_weight=1.0,
        prediction_weight=1.0,
        l1=0.0,
        alpha=1e-3,
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
        super().__init__(
            n_components,
            hidden_layer_sizes=hidden_layer_sizes,
            decoder_hidden_layer_sizes=decoder_hidden_layer_sizes,
            predictor_hidden_layer_sizes=predictor_hidden_layer_sizes,
            activation=activation,
            latent_activation=latent_activation,
            reconstruction_loss=reconstruction_loss,
            reconstruction_weight=reconstruction_weight,
            prediction_weight=prediction_weight,
            l1=l1,
            alpha=alpha,
            beta=beta,
            dropout=dropout,
            categorical_features=categorical_features,
            standardize=standardize,
            blocks=blocks,
            block_weights=block_weights,
            block_dropout=block_dropout,
            initialization=initialization,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            shuffle=shuffle,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            callbacks=callbacks,
            n_members=n_members,
            bootstrap=bootstrap,
            device=device,
            verbose=verbose,
            random_state=random_state,
        )
        self.prediction_loss = prediction_loss
        self.target_block = target_block
        self.target_bounds = target_bounds
        self.predictor = predictor

    @available_if(_trains_in_parts)
    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch on the rows given, at a constant learning rate.

        It trains a network, which then predicts: with ``predictor="gaussian_process"`` there is
        no such method. The first call learns columns, categories and scales, and later ones keep
        them; so its rows should be typical of later rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            As in ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            As in ``fit``.
        sample_weight : array-like of shape (n_samples,), optional
            As in ``fit``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As in ``fit``; and if the columns, the number of outputs or the network's settings
            are not those of the first call.
        """
        with all_or_nothing(self):
            resume = self.__sklearn_is_fitted__()
            if self.n_members > 1:
                return self._fit_members(X, y, sample_weight, resume=resume, method="partial_fit")
            target = self._target_of(y, resume=resume)
            return self._fit(X, y, sample_weight, target=target, resume=resume, incremental=True)

    @isolated
    def predict(self, X, return_std=False):
        """Predict the target of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured.
        return_std : bool, default=False
            Whether to return a standard deviation as well.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the unit and shape of the y that was fitted; of an ensemble the members' mean.
        y_std : ndarray of the same shape
            Only with ``return_std=True``. Of a Gaussian process, the standard deviation of a new
            measurement, its noise included. Of an ensemble of networks, that of the members'
            predictions: it shows how far they agree, not how large the error is. Of an ensemble of
            Gaussian processes, both together.

        Raises
        ------
        NoTargetError
            If the estimator was fitted without y.
        ValueError
            If a standard deviation is asked for, but there is only one network.
        """
        return self._predict_beside(X, None, return_std=return_std)

    def _predict_beside(self, X, passed: Passed | None, *, return_std: bool = False) -> Any:
        """Predict as ``predict`` does; in a chain, with the values that are passed on."""
        check_is_fitted(self)
        outputs = [(member, member._predict(X, passed)) for member in self.members_]
        decoded = [member._fitted.target.decode(own) for member, own in outputs]
        stds = (
            [member._prediction_std(X, passed) for member in self.members_] if return_std else ()
        )
        return mean_and_spread(decoded, return_std, stds)

    def _prediction_std(self, X, passed: Passed | None) -> np.ndarray | None:
        """Return the standard deviation of predictions in the units of y; None where not known."""
        std = self._fitted.predict_std(self._check_X(X, reset=False), passed)
        if std is None:
            return None
        target = self._fitted.target
        assert isinstance(target, NumericTarget)
        std = std * target.affine()[1]
        return std[:, 0] if target.is_1d else std

    @isolated
    def score(self, X, y=None, sample_weight=None):
        """Return R² of the prediction, or of the reconstruction where no target is given.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            As in ``predict``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Target; rows where it is NaN are left out. R² of several outputs is their mean; with a
            ``target_block``, whose outputs have one unit, their errors are pooled.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of rows.

        Returns
        -------
        float
            Without y, errors and deviations of all measured entries are pooled in scaled units,
            a category's as its one-hot values against their probabilities.

        Raises
        ------
        ValueError
            If y has no labelled row or not as many outputs as in ``fit``, or a weight is negative.
        """
        if y is None:
            return self._reconstruction_score(X, sample_weight)
        return self._score_beside(X, y, sample_weight, None)

    def _score_beside(self, X, y, sample_weight, passed: Passed | None) -> float:
        """Score a prediction as ``score`` does; in a chain, with the values that are passed on."""
        X, y, sample_weight = read_rows(X, y, sample_weight)
        prediction = self._predict_beside(X, passed)
        prediction = prediction.reshape(len(prediction), -1)
        truth = read_numbers(y, allow_nd=self.target_block is not None)
        truth = truth.reshape(len(truth), -1)
        check_consistent_length(truth, prediction)
        if truth.shape != prediction.shape:
            raise ValueError(
                f"y has {truth.shape[1]} outputs, but the estimator was fitted with "
                f"{prediction.shape[1]}."
            )
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if self.target_block is not None:
            return pooled_r2(truth, prediction, sample_weight)
        scores = []
        for k in range(truth.shape[1]):
            known = ~np.isnan(truth[:, k])
            if not known.any():
                raise ValueError("y has no labelled row to score with: all are NaN.")
            weight = None if sample_weight is None else sample_weight[known]
            scores.append(r2(truth[known, k], prediction[known, k], weight))
        return float(np.mean(scores))

    def _make_target(self, y) -> NumericTarget | None:
        if y is None:
            return None
        block = self.target_block
        return NumericTarget(self.standardize, block and block.make_codec, self._bounds_of_target)

    def _choose_head(
        self, fitted: FittedAutoencoder, data: TrainingData, passed: Passed | None
    ) -> Head | None:
        assert isinstance(fitted.target, NumericTarget)
        weight = data.sample_weight
        if weight is not None:
            # as they were given: of a Gaussian process, a row of weight 2 is two equal rows
            weight = np.clip(np.ldexp(weight, data.power), *_WEIGHTS)
        predictor = self.predictor
        if predictor == "auto" and self._describes_network_predictor():
            predictor = "network"
        return choose_head(
            predictor,
            fitted.table,
            fitted.target,
            data.X,
            data.codes,
            weight,
            None if passed is None else passed.take(data.kept),
            fitted.seed,
        )

    def _describes_network_predictor(self) -> bool:
        """Return whether a setting of the network's predictor is not the default."""
        return len(np.atleast_1d(self.predictor_hidden_layer_sizes)) > 0 or (
            self.prediction_loss != "squared_error"
        )

    @property
    def predictor_(self) -> str:
        """The predictor: "network" or "gaussian_process"."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no predictor_ before fit.")
        return "network" if self._fitted.head is None else "gaussian_process"

    @property
    def leave_one_out_score_(self) -> float:
        """R² of the Gaussian process where each distinct row is predicted from all others.

        In closed form, with the hyperparameters of all rows. An attribute error where the network
        predicts.
        """
        if not self.__sklearn_is_fitted__() or self._fitted.head is None:
            raise AttributeError(
                f"This {type(self).__name__} has no leave_one_out_score_: no Gaussian process was "
                "fitted."
            )
        return self._fitted.head.score

    @property
    def _loss_of_prediction(self) -> str:
        return self.prediction_loss

    @property
    def _block_of_target(self) -> Block | None:
        return self.target_block

    @property
    def _bounds_of_target(self) -> Bounds:
        return check_target_bounds(self.target_bounds)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False  # scikit-learn's mixin has said that it is
        tags.target_tags.multi_output = True
        low = None
        if isinstance(self.target_bounds, tuple | list) and self.target_bounds:
            low = self.target_bounds[0]  # the parameter is checked in fit
        tags.target_tags.positive_only = isinstance(low, Real) and float(low) >= 0
        return tags
