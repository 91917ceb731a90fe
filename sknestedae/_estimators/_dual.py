"""Dual autoencoders: a regressor and a classifier of several kinds of data."""

from __future__ import annotations

from typing import ClassVar

from .._ambient import isolated
from .._persistence import public
from ._classifier import SupervisedAutoencoderClassifier
from ._dual_base import DualMixin, check_no_kind
from ._supervised import SupervisedAutoencoder
from ._torch_words import names_instead


@public("sknestedae")
class DualAutoencoder(DualMixin, SupervisedAutoencoder):
    r"""Autoencoder for several kinds of data, such as images and spectra, with one latent space.

    Each kind of data has an encoder and a decoder of its own; all meet in one latent space
    [1]_. They are trained to reconstruct each kind from itself, to translate it to the others, and
    to give one row the same latents from each kind. Rows may lack kinds, and labels. With
    ``beta`` the latents are variational [2]_.

    Read more in the :ref:`User Guide <dual_autoencoder>`.

    Parameters
    ----------
    n_components : int, default=16
        Number of latents.
    blocks : "auto" or list of (str, Block, columns), default="auto"
        The kinds of data, two or more: for each its name, its block, and its columns (names,
        indices or a slice; of columns of two levels, a first level). All other columns share a
        :class:`~sknestedae.blocks.DenseBlock`, the kind ``"table"``. "auto": of columns of two
        levels, as :func:`~sknestedae.stack_kinds` gives them, each first level is a kind: an
        image where the second level has rows and columns of pixels, else a
        :class:`~sknestedae.blocks.DenseBlock`; a column whose cells hold arrays is a kind as well.
    alignment : float or "separated", default=0.3
        Weight of the squared distances between the latents of a row from its kinds. "separated"
        is the control: an autoencoder for each kind, trained without the others, and linear maps
        (a ridge regression) between their latents, learnt afterwards from the rows that have
        both. Then the latents are those of the first kind, and labels are learnt from these.
    translation_weight : float, default=1.0
        Weight of the mean error with which each kind is decoded from the latents of another one.
    reconstruction_weight : float, default=0.3
        Weight of the mean error with which each kind is decoded from its own latents.
    prediction_weight : float, default=1.0
        Weight of the mean error of the prediction, from the latents of each kind and from their
        mean.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Widths of the hidden layers of each encoder, behind the layers of its block.
    decoder_hidden_layer_sizes : int, sequence of int or None, default=None
        Those of each decoder; None for the mirror image of the encoder.
    predictor_hidden_layer_sizes : int or sequence of int, default=()
        Those of the predictor.
    activation : str, default="silu"
        Activation of the hidden layers, as in :class:`SupervisedAutoencoder`.
    latent_activation : str, default="identity"
        Activation of the latents; "identity" with ``beta``.
    reconstruction_loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        Error of a decoded number; a category's is the cross-entropy.
    prediction_loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        Error of a predicted number.
    l1 : float, default=0.0
        Strength of the L1 penalty on the encoders' weights.
    alpha : float or "auto", default=1e-3
        Strength of the L2 penalty on all weights, as in :class:`SupervisedAutoencoder`.
    beta : float or None, default=None
        None: latents are points. A number: weight of their divergence from N(0, 1), as in
        :class:`SupervisedAutoencoder`.
    dropout : float, default=0.0
        Probability that a hidden unit is left out in a training step.
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Categorical columns.
    standardize : bool, default=True
        Whether numbers are centred and scaled inside.
    block_weights : dict of str to float or None, default=None
        Shares of the kinds in the errors of decoded values, by name. None: all count alike.
    target_block : Block or None, default=None
        Kind of a target that is an array, as in :class:`SupervisedAutoencoder`.
    target_bounds : (float or None, float or None) or None, default=None
        Least and largest value that the target can have, in its own unit.
    initialization : str, default="xavier_uniform"
        Distribution of the initial weights of dense layers.
    batch_size : int or "auto", default="auto"
        Number of rows in a training step.
    learning_rate : {"constant", "cosine", "plateau"}, default="cosine"
        Schedule of the learning rate.
    learning_rate_init : float, default=3e-3
        Learning rate of the first epoch.
    max_iter : int, default=300
        Number of epochs, at most.
    shuffle : bool, default=True
        Whether rows come in a new order in each epoch.
    early_stopping : bool or "auto", default="auto"
        Whether to hold rows out, and to stop when their loss no longer falls.
    validation_fraction : float, default=0.1
        Fraction of the distinct rows that early stopping holds out.
    n_iter_no_change : int, default=20
        Number of epochs without improvement after which early stopping stops.
    tol : float, default=1e-4
        Smallest decrease of the loss that counts as an improvement.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters, columns and scales of the last fit.
    callbacks : list or None, default=None
        Callbacks of skorch, as in :class:`SupervisedAutoencoder`.
    n_members : int, default=1
        Number of networks of an ensemble. Predictions and translations are their mean; latents
        are the first member's.
    bootstrap : bool, default=False
        Whether each member of an ensemble sees rows drawn with replacement.
    device : str, default="cpu"
        "cpu", "cuda", any other device of torch, or "auto": CUDA where there is one.
    verbose : bool or int, default=0
        Whether to show a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of rows, noise, dropout and the held-out rows.

    Attributes
    ----------
    net_ : skorch.net.NeuralNet
        The fitted net; ``net_.module_`` is the torch module.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where all are strings.
    history_ : DataFrame
        One row for each epoch, with the mean of each term: ``train_reconstruction__image``,
        ``train_translation__image__spectrum``, ``train_alignment``, ``train_divergence`` (in nats
        a row), ``train_prediction``, and of all kinds together ``train_reconstruction`` and
        ``train_translation``; those of ``valid_`` of held-out rows.
    n_iter_ : int
        Number of epochs that were run.
    alpha_ : float
        Strength of the L2 penalty that was used.
    best_iter_ : int
        Number of the epoch whose parameters were kept: the last one without early stopping.
    blocks_ : dict of str to FittedBlock
        The kinds by name, each with its settings, its layout and the positions of its columns.
    components_ : ndarray of shape (n_components, n_features)
        Slopes of the decoded columns by latents, of tables of numbers alone.
    mean_ : ndarray of shape (n_features,)
        With it, ``Z @ components_ + mean_`` is the plane nearest to the decoded columns.
    predictor_ : str
        "network".
    members_ : list of estimators
        The fitted members of an ensemble, the first one included; without one, the estimator.
    n_active_components_ : int
        Number of variational latents that have not collapsed to their prior.

    See Also
    --------
    SupervisedAutoencoder : One encoder for all kinds of data.
    sknestedae.stack_kinds : One table of arrays and tables of several kinds.
    sknestedae.translation_scorer : The translation as the score of a search.

    References
    ----------
    .. [1] M. Y. Yaman, S. V. Kalinin, K. N. Guye, D. S. Ginger, M. Ziatdinov, "Learning and
       predicting photonic responses of plasmonic nanoparticle assemblies via dual variational
       autoencoders", arXiv:2208.03861 (2022).
    .. [2] D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", arXiv:1312.6114 (2013).

    Examples
    --------
    >>> from sknestedae import DualAutoencoder, stack_kinds
    >>> from sknestedae.blocks import ImageBlock, SpectrumBlock
    >>> from sknestedae.datasets import make_nanoparticle_clusters
    >>> data = make_nanoparticle_clusters(60, random_state=0)
    >>> X = stack_kinds(image=data.images, spectrum=data.spectra)
    >>> blocks = [
    ...     ("image", ImageBlock((16, 16)), "image"),
    ...     ("spectrum", SpectrumBlock(), "spectrum"),
    ... ]
    >>> dual = DualAutoencoder(4, blocks=blocks, max_iter=3, random_state=0).fit(X)
    >>> dual.translate(data.images[:5], "image", "spectrum").shape
    (5, 64)
    >>> dual.retrieve(data.spectra[:5], "spectrum", library=data.images, n_neighbors=2).shape
    (5, 2)
    """

    _parameter_constraints: ClassVar[dict] = {
        **SupervisedAutoencoder._parameter_constraints,
        **DualMixin._parameter_constraints,
    }

    @names_instead
    def __init__(
        self,
        n_components=16,
        *,
        blocks="auto",
        alignment=0.3,
        translation_weight=1.0,
        reconstruction_weight=0.3,
        prediction_weight=1.0,
        hidden_layer_sizes=(100,),
        decoder_hidden_layer_sizes=None,
        predictor_hidden_layer_sizes=(),
        activation="silu",
        latent_activation="identity",
        reconstruction_loss="squared_error",
        prediction_loss="squared_error",
        l1=0.0,
        alpha=1e-3,
        beta=None,
        dropout=0.0,
        categorical_features="from_dtype",
        standardize=True,
        block_weights=None,
        target_block=None,
        target_bounds=None,
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
        super().__init__(
            n_components=n_components,
            blocks=blocks,
            reconstruction_weight=reconstruction_weight,
            prediction_weight=prediction_weight,
            hidden_layer_sizes=hidden_layer_sizes,
            decoder_hidden_layer_sizes=decoder_hidden_layer_sizes,
            predictor_hidden_layer_sizes=predictor_hidden_layer_sizes,
            activation=activation,
            latent_activation=latent_activation,
            reconstruction_loss=reconstruction_loss,
            prediction_loss=prediction_loss,
            l1=l1,
            alpha=alpha,
            beta=beta,
            dropout=dropout,
            categorical_features=categorical_features,
            standardize=standardize,
            block_weights=block_weights,
            target_block=target_block,
            target_bounds=target_bounds,
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
        self.alignment = alignment
        self.translation_weight = translation_weight

    @isolated
    def predict(self, X, return_std=False, *, block=None):
        """Predict the target of X, from any of the kinds.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured. With ``block``,
            the kind's own columns or arrays.
        return_std : bool, default=False
            Whether to return the standard deviation of an ensemble's members as well.
        block : str or None, default=None
            The name of a kind: X has this one alone.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the unit and shape of the y that was fitted; of an ensemble the members' mean.
        y_std : ndarray of the same shape
            Only with ``return_std=True``.

        Raises
        ------
        NoTargetError
            If the estimator was fitted without y.
        ValueError
            If a standard deviation is asked for, but there is only one network, or a row has none
            of the kinds.
        """
        check_no_kind(return_std)
        return super().predict(self._whole_table(X, block), return_std=return_std)


@public("sknestedae")
class DualAutoencoderClassifier(DualMixin, SupervisedAutoencoderClassifier):
    r"""Autoencoder for several kinds of data whose latents also predict classes.

    Each kind of data has an encoder and a decoder of its own; all meet in one latent space
    [1]_. They are trained to reconstruct each kind from itself, to translate it to the others, and
    to give one row the same latents from each kind. Rows may lack kinds, and labels. With
    ``beta`` the latents are variational [2]_.

    Read more in the :ref:`User Guide <dual_autoencoder>`.

    Parameters
    ----------
    n_components : int, default=16
        Number of latents.
    blocks : "auto" or list of (str, Block, columns), default="auto"
        The kinds of data, two or more: for each its name, its block, and its columns (names,
        indices or a slice; of columns of two levels, a first level). All other columns share a
        :class:`~sknestedae.blocks.DenseBlock`, the kind ``"table"``. "auto": of columns of two
        levels, as :func:`~sknestedae.stack_kinds` gives them, each first level is a kind: an
        image where the second level has rows and columns of pixels, else a
        :class:`~sknestedae.blocks.DenseBlock`; a column whose cells hold arrays is a kind as well.
    alignment : float or "separated", default=0.3
        Weight of the squared distances between the latents of a row from its kinds. "separated"
        is the control: an autoencoder for each kind, trained without the others, and linear maps
        (a ridge regression) between their latents, learnt afterwards from the rows that have
        both. Then the latents are those of the first kind, and labels are learnt from these.
    translation_weight : float, default=1.0
        Weight of the mean error with which each kind is decoded from the latents of another one.
    reconstruction_weight : float, default=0.3
        Weight of the mean error with which each kind is decoded from its own latents.
    prediction_weight : float, default=1.0
        Weight of the mean error of the prediction, from the latents of each kind and from their
        mean.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as in :class:`SupervisedAutoencoderClassifier`.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Widths of the hidden layers of each encoder, behind the layers of its block.
    decoder_hidden_layer_sizes : int, sequence of int or None, default=None
        Those of each decoder; None for the mirror image of the encoder.
    predictor_hidden_layer_sizes : int or sequence of int, default=()
        Those of the predictor.
    activation : str, default="silu"
        Activation of the hidden layers, as in :class:`SupervisedAutoencoderClassifier`.
    latent_activation : str, default="identity"
        Activation of the latents; "identity" with ``beta``.
    reconstruction_loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        Error of a decoded number; a category's is the cross-entropy.
    l1 : float, default=0.0
        Strength of the L1 penalty on the encoders' weights.
    alpha : float or "auto", default=1e-3
        Strength of the L2 penalty on all weights, as in :class:`SupervisedAutoencoderClassifier`.
    beta : float or None, default=None
        None: latents are points. A number: weight of their divergence from N(0, 1), as in
        :class:`SupervisedAutoencoderClassifier`.
    dropout : float, default=0.0
        Probability that a hidden unit is left out in a training step.
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Categorical columns.
    standardize : bool, default=True
        Whether numbers are centred and scaled inside.
    block_weights : dict of str to float or None, default=None
        Shares of the kinds in the errors of decoded values, by name. None: all count alike.
    initialization : str, default="xavier_uniform"
        Distribution of the initial weights of dense layers.
    batch_size : int or "auto", default="auto"
        Number of rows in a training step.
    learning_rate : {"constant", "cosine", "plateau"}, default="cosine"
        Schedule of the learning rate.
    learning_rate_init : float, default=3e-3
        Learning rate of the first epoch.
    max_iter : int, default=300
        Number of epochs, at most.
    shuffle : bool, default=True
        Whether rows come in a new order in each epoch.
    early_stopping : bool or "auto", default="auto"
        Whether to hold rows out, and to stop when their loss no longer falls.
    validation_fraction : float, default=0.1
        Fraction of the distinct rows that early stopping holds out.
    n_iter_no_change : int, default=20
        Number of epochs without improvement after which early stopping stops.
    tol : float, default=1e-4
        Smallest decrease of the loss that counts as an improvement.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters, columns and scales of the last fit.
    callbacks : list or None, default=None
        Callbacks of skorch, as in :class:`SupervisedAutoencoderClassifier`.
    n_members : int, default=1
        Number of networks of an ensemble. Predictions and translations are their mean; latents
        are the first member's.
    bootstrap : bool, default=False
        Whether each member of an ensemble sees rows drawn with replacement.
    device : str, default="cpu"
        "cpu", "cuda", any other device of torch, or "auto": CUDA where there is one.
    verbose : bool or int, default=0
        Whether to show a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of rows, noise, dropout and the held-out rows.

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
        One row for each epoch, with the mean of each term: ``train_reconstruction__image``,
        ``train_translation__image__spectrum``, ``train_alignment``, ``train_divergence`` (in nats
        a row), ``train_prediction``, and of all kinds together ``train_reconstruction`` and
        ``train_translation``; those of ``valid_`` of held-out rows.
    n_iter_ : int
        Number of epochs that were run.
    alpha_ : float
        Strength of the L2 penalty that was used.
    best_iter_ : int
        Number of the epoch whose parameters were kept: the last one without early stopping.
    blocks_ : dict of str to FittedBlock
        The kinds by name, each with its settings, its layout and the positions of its columns.
    components_ : ndarray of shape (n_components, n_features)
        Slopes of the decoded columns by latents, of tables of numbers alone.
    mean_ : ndarray of shape (n_features,)
        With it, ``Z @ components_ + mean_`` is the plane nearest to the decoded columns.
    members_ : list of estimators
        The fitted members of an ensemble, the first one included; without one, the estimator.
    n_active_components_ : int
        Number of variational latents that have not collapsed to their prior.

    See Also
    --------
    SupervisedAutoencoderClassifier : One encoder for all kinds of data.
    sknestedae.stack_kinds : One table of arrays and tables of several kinds.
    sknestedae.translation_scorer : The translation as the score of a search.

    References
    ----------
    .. [1] M. Y. Yaman, S. V. Kalinin, K. N. Guye, D. S. Ginger, M. Ziatdinov, "Learning and
       predicting photonic responses of plasmonic nanoparticle assemblies via dual variational
       autoencoders", arXiv:2208.03861 (2022).
    .. [2] D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", arXiv:1312.6114 (2013).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknestedae import DualAutoencoderClassifier
    >>> from sknestedae.blocks import DenseBlock
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", DenseBlock(), [0, 1]), ("petal", DenseBlock(), [2, 3])]
    >>> dual = DualAutoencoderClassifier(2, blocks=blocks, max_iter=20, random_state=0).fit(X, y)
    >>> dual.predict_proba(X).shape
    (150, 3)
    >>> dual.translate(X[:5, :2], "sepal", "petal").shape
    (5, 2)
    """

    _parameter_constraints: ClassVar[dict] = {
        **SupervisedAutoencoderClassifier._parameter_constraints,
        **DualMixin._parameter_constraints,
    }

    @names_instead
    def __init__(
        self,
        n_components=16,
        *,
        blocks="auto",
        alignment=0.3,
        translation_weight=1.0,
        reconstruction_weight=0.3,
        prediction_weight=1.0,
        class_weight=None,
        hidden_layer_sizes=(100,),
        decoder_hidden_layer_sizes=None,
        predictor_hidden_layer_sizes=(),
        activation="silu",
        latent_activation="identity",
        reconstruction_loss="squared_error",
        l1=0.0,
        alpha=1e-3,
        beta=None,
        dropout=0.0,
        categorical_features="from_dtype",
        standardize=True,
        block_weights=None,
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
        super().__init__(
            n_components=n_components,
            blocks=blocks,
            reconstruction_weight=reconstruction_weight,
            prediction_weight=prediction_weight,
            class_weight=class_weight,
            hidden_layer_sizes=hidden_layer_sizes,
            decoder_hidden_layer_sizes=decoder_hidden_layer_sizes,
            predictor_hidden_layer_sizes=predictor_hidden_layer_sizes,
            activation=activation,
            latent_activation=latent_activation,
            reconstruction_loss=reconstruction_loss,
            l1=l1,
            alpha=alpha,
            beta=beta,
            dropout=dropout,
            categorical_features=categorical_features,
            standardize=standardize,
            block_weights=block_weights,
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
        self.alignment = alignment
        self.translation_weight = translation_weight

    @isolated
    def predict(self, X, *, block=None):
        """Predict the class of X, from any of the kinds.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured. With ``block``,
            the kind's own columns or arrays.
        block : str or None, default=None
            The name of a kind: X has this one alone.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The class with the largest probability; of an ensemble, the largest mean probability.
        """
        return super().predict(self._whole_table(X, block))

    @isolated
    def predict_proba(self, X, return_std=False, *, block=None):
        """Return the probabilities of classes, from any of the kinds.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured. With ``block``,
            the kind's own columns or arrays.
        return_std : bool, default=False
            Whether to return the spread of an ensemble's members as well.
        block : str or None, default=None
            The name of a kind: X has this one alone.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; each row sums to 1. Of an ensemble the members' mean.
        p_std : ndarray of the same shape
            Only with ``return_std=True``.
        """
        check_no_kind(return_std)
        return super().predict_proba(self._whole_table(X, block), return_std=return_std)

    @isolated
    def predict_log_proba(self, X, *, block=None):
        """Return the logarithms of the probabilities of classes, from any of the kinds.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured. With ``block``,
            the kind's own columns or arrays.
        block : str or None, default=None
            The name of a kind: X has this one alone.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``. Of an ensemble, the logarithms of the members' mean.
        """
        return super().predict_log_proba(self._whole_table(X, block))
