"""The supervised autoencoder of one scale whose target is a class."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._ambient import isolated
from .._compat import StrOptions, check_sample_weight, fit_context
from .._persistence import public
from .._tables._input import read_rows
from .._tables._layout import Encoded
from .._tables._splits import count_distinct_rows
from .._tables._target import (
    ClassTarget,
    read_labels,
)
from .._tables._weights import factors_of_classes, scale_weights
from .._training._defaults import (
    LEAST_ALPHA_OF_CLASSES,
    MANY_DISTINCT_ROWS,
    MOST_JUDGED_ROWS,
    MOST_JUDGED_VALUES,
    alpha_of_classes,
    auto_alpha,
)
from ._base import BaseSupervisedAutoencoder, TrainingData
from ._ensemble import log_mean, mean_and_spread
from ._fitted import NetworkSetup, Target
from ._head import DenseValues
from ._torch_words import names_instead
from ._validation import all_or_nothing


@public("sknestedae")
class SupervisedAutoencoderClassifier(ClassifierMixin, BaseSupervisedAutoencoder):
    r"""Autoencoder whose latents also predict a class.

    An encoder maps a table to a few latents; a decoder maps them back to the table; a predictor
    maps them to the probabilities of classes. The three are trained together, so that the latents
    keep the information of the table, and its information about the classes [1]_ [2]_. The
    prediction error is the cross-entropy.

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
    reconstruction_weight : float, default=1.0
        Weight of the mean reconstruction error in the objective.
    prediction_weight : float, default=1.0
        Weight of the mean prediction error in the objective.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as ``{class: weight}``, with which the weights of rows are
        multiplied; a class without a key has the weight 1, as has a row without a label.
        "balanced": weights by which all classes count alike, however many rows they have; not in
        ``partial_fit``.
    l1 : float, default=0.0
        Strength of the L1 penalty on the encoder's weights (not its biases): ``l1`` times the sum
        of their absolute values.
    alpha : float or "auto", default="auto"
        Strength of the L2 penalty on all weights (not biases): ``alpha / 2`` times the sum of
        their squares. Unlike :class:`~sklearn.neural_network.MLPRegressor`'s it is not divided
        by the number of rows, so that the scale of sample weights does not matter. "auto" suits
        the table: the number of values of a row, divided by the number of distinct rows, times
        the share of the classes' variance that a ridge regression leaves open, divided by the
        number of classes but one; from 0.0025 to 0.15. So noisy classes of many columns are held
        firmly. In ``partial_fit`` it is 0.0025; with images, spectra, structures of atoms or more
        than 500 values, 300 divided by the square of the number of distinct rows, within the same
        limits.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels.
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
    SupervisedAutoencoder : The same for numbers.
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : Linear latents, with classes.
    sklearn.neural_network.MLPClassifier : A predictor without latents.

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
    >>> from sklearn.datasets import load_iris
    >>> from sknestedae import SupervisedAutoencoderClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> sae = SupervisedAutoencoderClassifier(n_components=2, max_iter=20, random_state=0)
    >>> sae.fit(X, y).predict_proba(X).shape
    (150, 3)
    >>> sae.transform(X).shape
    (150, 2)
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervisedAutoencoder._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
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
        class_weight=None,
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
        self.class_weight = class_weight

    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch on the rows given, at a constant learning rate.

        The first call learns columns, categories and scales, and later ones keep them; so its rows
        should be typical of later rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            As in ``fit``.
        y : array-like of shape (n_samples,)
            As in ``fit``.
        classes : array-like of shape (n_classes,), optional
            All classes there are; needed in the first call.
        sample_weight : array-like of shape (n_samples,), optional
            As in ``fit``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As in ``fit``; and if the columns, the classes or the network's settings
            are not those of the first call, or with ``class_weight="balanced"``.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "The 'class_weight' parameter is 'balanced', which partial_fit cannot take: it "
                "does not see all rows. Give a dict, of the weights that scikit-learn's "
                "compute_class_weight('balanced', classes=classes, y=y) finds for all of them."
            )
        with all_or_nothing(self):
            resume = self.__sklearn_is_fitted__()
            if self.n_members > 1:
                return self._fit_members(
                    X, y, sample_weight, resume=resume, method="partial_fit", classes=classes
                )
            if resume:
                target = self._target_of(y, resume=True)
                if classes is not None and not np.array_equal(
                    ClassTarget(classes).classes, self.classes_
                ):
                    raise ValueError(
                        f"classes must be those of the first call, {self.classes_.tolist()}, "
                        f"got {classes!r}."
                    )
            elif classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            else:
                target = ClassTarget(classes)
            return self._fit(X, y, sample_weight, target=target, resume=resume, incremental=True)

    @property
    def classes_(self) -> np.ndarray:
        """Class labels, of shape (n_classes,)."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no classes_ before fit.")
        target = self._fitted.target
        assert isinstance(target, ClassTarget)
        return target.classes

    @isolated
    def predict(self, X):
        """Predict the class of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The class with the largest probability; of an ensemble, the largest mean probability.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    @isolated
    def predict_proba(self, X, return_std=False):
        """Return the probabilities of classes.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            As in ``predict``.
        return_std : bool, default=False
            Whether to return the spread of an ensemble's members as well.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; each row sums to 1. Of an ensemble the members' mean.
        p_std : ndarray of the same shape
            Only with ``return_std=True``: the standard deviation of the members' probabilities.

        Raises
        ------
        ValueError
            If a spread is asked for, but there is only one member.
        """
        check_is_fitted(self)
        outputs = [softmax(m._predict(X), axis=1) for m in self.members_]
        return mean_and_spread(outputs, return_std)

    @isolated
    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of classes.

        They are exact where a probability is too small for a float, and its logarithm would be
        minus infinity.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            As in ``predict``.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. Of an ensemble, the logarithms of the members' mean.
        """
        check_is_fitted(self)
        return log_mean([log_softmax(m._predict(X), axis=1) for m in self.members_])

    @isolated
    def score(self, X, y=None, sample_weight=None):
        """Return the accuracy, or R² of the reconstruction where no classes are given.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            As in ``predict``.
        y : array-like of shape (n_samples,), optional
            Classes; rows where they are missing are left out.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of rows.

        Returns
        -------
        float
            Without y, as in :meth:`SupervisedAutoencoder.score`.

        Raises
        ------
        ValueError
            If y has no labelled row, or a weight is negative.
        """
        if y is None:
            return self._reconstruction_score(X, sample_weight)
        X, y, sample_weight = read_rows(X, y, sample_weight)
        labels, known = read_labels(y)
        prediction = self.predict(X)
        check_consistent_length(known, prediction)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
            sample_weight, _ = scale_weights(sample_weight[known])
        return accuracy_score(labels, prediction[known], sample_weight=sample_weight)

    def _choose_alpha(
        self,
        setup: NetworkSetup,
        data: TrainingData,
        encoded: dict[str, Encoded],
        learnt: np.ndarray | None,
        *,
        incremental: bool,
    ) -> float:
        if self.alpha != "auto":
            return self.alpha
        if incremental:
            return LEAST_ALPHA_OF_CLASSES
        dense = DenseValues.of(setup.table, np.arange(setup.table.n_features))
        known = np.flatnonzero(data.codes >= 0)
        if learnt is not None:
            known = np.intersect1d(known, learnt)
        has_arrays = len(dense.positions) < len(encoded)
        if has_arrays or len(dense.columns) > MOST_JUDGED_VALUES or not len(known):
            n_all = count_distinct_rows(data.X, data.codes, MANY_DISTINCT_ROWS)
            return auto_alpha(n_all, LEAST_ALPHA_OF_CLASSES)
        judged = known
        if len(known) > MOST_JUDGED_ROWS:  # evenly over all of them
            judged = known[np.linspace(0, len(known) - 1, MOST_JUDGED_ROWS).astype(int)]
        own = {name: block.take(judged) for name, block in encoded.items()}
        X, codes = dense.gather(own), data.codes[judged]
        n_judged = count_distinct_rows(X, codes, len(judged))
        weight = None if data.sample_weight is None else data.sample_weight[judged]
        n_distinct = n_judged * len(known) / len(judged)
        return alpha_of_classes(X, codes, weight, n_judged, n_distinct)

    def _make_target(self, y) -> ClassTarget:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        return ClassTarget()

    def _weigh_classes(
        self, X: Any, y: Any, sample_weight: Any, target: Target | None
    ) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        assert isinstance(target, ClassTarget)
        check_consistent_length(X, y)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        known = weight > 0
        # read before a class of weight 0 is left out, which stays a class
        codes = target.read(y, known, needs_label=False)
        if target.classes is None:  # no row is labelled, which is an error where they are read
            return weight
        factors = np.ones(len(weight))
        factors[known] = factors_of_classes(
            self.class_weight, target.classes, codes, weight[known]
        )
        return weight * factors

    @property
    def _loss_of_prediction(self) -> str:
        return "squared_error"  # no output is numeric
