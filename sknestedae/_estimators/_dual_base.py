"""Base of the dual autoencoders: several kinds of data of the same rows in one latent space."""

from __future__ import annotations

import math
from itertools import permutations
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.utils import check_scalar, gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._ambient import isolated
from .._compat import Interval, StrOptions, check_sample_weight
from .._latents._pairs import PairMoments
from .._networks._autoencoder import AutoencoderModule
from .._networks._batch import Batch
from .._networks._dual import DualModule
from .._tables._array_codec import indices_of_labels
from .._tables._base_codec import Codec
from .._tables._input import FrameKind, give_back, read_rows, table_kind
from .._tables._labels import scale_columns
from .._tables._layout import Layout
from .._tables._missing import give_back_filled
from .._tables._one_kind import kind_of_table, read_kind, table_of_kind
from .._tables._weights import scale_weights
from .._training._objective import Objective, cumulative_terms, divergence_weight
from .._training._terms import (
    AlignmentTerm,
    DivergenceTerm,
    PredictionTerm,
    ReconstructionTerm,
    Term,
)
from ..blocks import Block, DenseBlock, ImageBlock
from ._base import BaseSupervisedAutoencoder
from ._fitted import (
    FittedAutoencoder,
    NetworkSetup,
    Target,
    check_rows_measured,
    reconstruction_r2,
)
from ._validation import check_block_names, check_block_weights, check_spread

SEPARATED = "separated"

# Rows of several kinds come as often in an epoch as makes them this share of its rows, but not
# more often than so many times.
_LEAST_SHARE = 1 / 3
_MOST_TIMES = 20

# Number of pairs whose scores are in memory at once, of each member: 32 MB.
_PAIRS_AT_ONCE = 1 << 22


class DualMixin(BaseSupervisedAutoencoder):
    """Mixin that gives a supervised autoencoder one encoder for each kind of data.

    Tables, training, completion, scores, ensembles and files are those of the base class.
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervisedAutoencoder._parameter_constraints,
        "alignment": [StrOptions({SEPARATED}), Interval(Real, 0, None, closed="left")],
        "translation_weight": [Interval(Real, 0, None, closed="left")],
    }

    # -- public methods

    @isolated
    def transform(self, X, return_std=False, *, block=None):
        """Return the latents of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN where not measured. With ``block``,
            the kind's own columns or arrays are enough.
        return_std : bool, default=False
            Whether to return the standard deviations of variational latents as well.
        block : str or None, default=None
            None: the mean of the latents over the kinds that a row has. The name of a kind: its
            latents alone.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Latents, without unit: the means of variational ones. Of an ensemble, those of the
            first member.
        Z_std : ndarray of shape (n_samples, n_components)
            Only with ``return_std=True``: the uncertainty of the encoder of a kind about its own
            latents, of several kinds the root of the mean variance. It does not include what one
            kind leaves open about another: for that, compare ``transform`` of both.

        Raises
        ------
        ValueError
            If a row has none of the kinds, or not the one that is asked for; if there is no such
            kind; or if standard deviations are asked for, but ``beta`` is None.
        """
        check_is_fitted(self)
        check_no_kind(return_std)
        if block is None:
            self._check_whole(X)
            return super().transform(X, return_std=return_std)
        if return_std:
            check_spread(self._fitted.is_variational)
        encoded = self._encode_kind(X, block, "block")
        Z = self._fitted.apply(_latents_of(block), encoded)
        if not return_std:
            return Z
        return Z, self._fitted.apply(_std_of(block), encoded)

    @isolated
    def translate(self, X, source, target, *, average_poses=True):
        """Predict one kind of data from another.

        Parameters
        ----------
        X : array-like or DataFrame
            The columns or arrays of the kind ``source``, of shape (n_samples, ...); or a whole
            table, of which they are taken.
        source, target : str
            Names of kinds. The same name twice gives the reconstruction, from the latents of this
            kind alone.
        average_poses : bool, default=True
            For a target whose latents do not hold its pose, such as an image with an
            ``invariance``: whether to average over the poses, which has the smallest expected
            squared error. If not, it comes in one pose.

        Returns
        -------
        X_target : ndarray or DataFrame of shape (n_samples, ...)
            In the units of ``fit``: a DataFrame of the target's columns where X is a DataFrame,
            else an array, with the shape of a spectrum or an image. Of an ensemble, the members'
            mean.

        Raises
        ------
        ValueError
            If there is no such kind, or a row of X lacks the source.
        """
        check_is_fitted(self)
        self._check_kind(source, "source")
        self._check_kind(target, "target")
        fitted, own = self._fitted, read_kind(X)
        values = self._translated(own, source, target, average_poses)
        is_frame = isinstance(own, pd.DataFrame)
        decoded = {
            name: np.broadcast_to(codec.missing_row(), (len(values), codec.layout.n_values))
            for name, codec in fitted.table.codecs.items()
        }
        index = own.index if isinstance(own, pd.DataFrame | pd.Series) else None
        table = fitted.table.inverse_transform({**decoded, target: values}, index)
        found = kind_of_table(table, target, fitted.table, as_array=not is_frame)
        if not isinstance(found, pd.DataFrame):
            return found
        kind = table_kind(X)
        if isinstance(kind, FrameKind) and not set(found.columns) <= kind.dtypes.keys():
            kind = fitted.frame_kind  # X has the source's columns alone: dtypes are those of fit
        return give_back(found, kind)

    @isolated
    def translation_score(self, X, source, target, sample_weight=None):
        """Return R² of the translation of one kind to another, over the rows that have both.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            A whole table. NaN where not measured.
        source, target : str
            Names of kinds.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of rows.

        Returns
        -------
        float
            Errors and deviations of all measured entries are pooled in scaled units, a category's
            as its one-hot values against their probabilities.

        Raises
        ------
        ValueError
            If there is no such kind, or no row that has both.
        """
        check_is_fitted(self)
        X, _, sample_weight = read_rows(X, None, sample_weight)
        self._check_kind(source, "source")
        self._check_kind(target, "target")
        table = self._check_X(X, reset=False)
        encoded = self._fitted.table.transform(table)
        known = encoded[source].present() & encoded[target].present()
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
            known &= sample_weight > 0
        if not known.any():
            positive = "" if sample_weight is None else " and a positive weight"
            raise ValueError(
                f"No row of X has both kinds, {source!r} and {target!r}{positive}, so that no "
                "translation can be scored."
            )
        if sample_weight is not None:
            sample_weight, _ = scale_weights(sample_weight[known])
        rows = table[known] if isinstance(table, np.ndarray) else table.loc[known]
        values = self._translated(rows, source, target, True)
        given = {target: encoded[target].take(known)}
        layouts = {target: self._fitted.layouts[target]}
        return reconstruction_r2(given, {target: values}, layouts, {target: 1.0}, sample_weight)

    @isolated
    def retrieve(self, X, source, library, *, target=None, n_neighbors=5, return_scores=False):
        """Find the rows of a library that most probably belong to the rows of X.

        For example, the images in a library that show the samples of some spectra. Latents from
        two kinds of one row are taken as jointly normal, with the moments of the training pairs;
        the score of a pair is how much more probable its latents are together than by chance.

        Parameters
        ----------
        X : array-like or DataFrame
            The columns or arrays of the kind ``source``, of shape (n_samples, ...); or a whole
            table.
        source : str
            Name of the kind of X.
        library : array-like or DataFrame
            The columns or arrays of the kind ``target``, of shape (n_library, ...); or a whole
            table.
        target : str or None, default=None
            Name of the kind of the library. None where there are two: the other one.
        n_neighbors : int, default=5
            Number of rows to find.
        return_scores : bool, default=False
            Whether to return the scores as well.

        Returns
        -------
        index : ndarray of int, shape (n_samples, n_neighbors)
            Positions in the library, the most probable first.
        scores : ndarray of shape (n_samples, n_neighbors)
            Only with ``return_scores=True``: logarithms of ratios of probability densities, but
            for a constant. Of an ensemble, the members' mean.

        Raises
        ------
        ValueError
            If there is no such kind, no training row had both, a row lacks its kind, or the
            library has fewer rows than are asked for.
        """
        check_is_fitted(self)
        self._check_kind(source, "source")
        if target is None:
            others = [name for name in self._fitted.layouts if name != source]
            if len(others) > 1:
                raise ValueError(
                    f"The 'target' parameter must name the kind of the library, one of {others}."
                )
            (target,) = others
        self._check_kind(target, "target")
        if target == source:
            raise ValueError(
                f"The 'target' parameter must be another kind than the source, {source!r}."
            )
        check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
        members = [m._latents_to_match(X, source, library, target) for m in self.members_]
        _, Z, others = members[0]
        if n_neighbors > len(others):
            raise ValueError(
                f"The 'n_neighbors' parameter must be at most the number of rows of the library, "
                f"{len(others)}, got {n_neighbors}."
            )
        index = np.empty((len(Z), n_neighbors), dtype=np.intp)
        scores = np.empty((len(Z), n_neighbors))
        # never all pairs at once: of large libraries they need not fit into memory
        for rows in gen_batches(len(Z), max(_PAIRS_AT_ONCE // len(others), 1)):
            own = sum(moments.log_ratio(Z[rows], others) for moments, Z, others in members)
            own = own / len(members)
            index[rows] = np.argsort(-own, axis=1, kind="stable")[:, :n_neighbors]
            scores[rows] = np.take_along_axis(own, index[rows], axis=1)
        return (index, scores) if return_scores else index

    @isolated
    def complete(self, X, *, n_candidates=None, tolerance=None, block=None):
        """Impute missing values from the posterior mode of the latents, given the measured ones.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted. NaN (or None, pd.NA) where not measured.
        n_candidates, tolerance
            As in :meth:`SupervisedAutoencoder.complete`: with ``n_candidates``, up to that number
            of distinct completions of each row, such as several images for one spectrum.
        block : str or None, default=None
            The name of a kind: X has its own columns or arrays alone.

        Returns
        -------
        completed : DataFrame or ndarray of shape (n_samples, n_features)
            All kinds, in the form of the table of ``fit`` where ``block`` is given.
        candidates : :class:`~sklearn.utils.Bunch`
            With ``n_candidates``, in place of the table.

        Warns
        -----
        ToleranceWarning
            If rows have no completion within the tolerance.
        """
        X = self._whole_table(X, block)
        found = super().complete(X, n_candidates=n_candidates, tolerance=tolerance)
        return found if block is None else give_back_filled(found, self._fitted.frame_kind)

    # -- one kind

    def _whole_table(self, X: Any, block: Any) -> Any:
        """Return X; if it holds one kind alone, a table in which all others are missing."""
        check_is_fitted(self)
        if block is None:
            self._check_whole(X)
            return X
        self._encode_kind(X, block, "block")  # which checks its rows
        return table_of_kind(X, block, self._fitted.table)

    def _check_whole(self, X: Any) -> None:
        """Refuse the arrays of one kind that are passed without its name."""
        table = self._fitted.table
        shape: tuple[int, ...] = tuple(getattr(X, "shape", ()))
        if len(shape) < 2 or (len(shape) == 2 and shape[1] == table.n_features):
            return
        for name, codec in table.codecs.items():
            if shape[1:] in (codec.layout.shape, (len(codec.columns.positions),)):
                got = f"{shape[1]} features" if len(shape) == 2 else f"the shape {shape}"
                raise ValueError(
                    f"X has {got}, but {type(self).__name__} is expecting {table.n_features} "
                    f"features as input. The kind {name!r} alone has such arrays: if X is of it, "
                    f"say so with block={name!r}; else make a whole table with stack_kinds."
                )

    def _check_kind(self, name: Any, parameter: str) -> None:
        """Refuse the name of an unknown kind."""
        kinds = list(self._fitted.layouts)
        if not isinstance(name, str) or name not in kinds:  # an array has no one truth value
            raise ValueError(
                f"The '{parameter}' parameter must be one of the kinds {kinds}, got {name!r:.60}."
            )

    def _encode_kind(self, X: Any, name: str, parameter: str, where: str = "X") -> dict:
        """Encode one kind's data, as blocks of a table in which all others are missing."""
        self._check_kind(name, parameter)
        table = self._check_X(table_of_kind(X, name, self._fitted.table, where), reset=False)
        encoded = self._fitted.table.transform(table)
        check_rows_measured(encoded, name, where)
        return encoded

    def _translated(self, X: Any, source: str, target: str, average_poses: bool) -> np.ndarray:
        """Return the values of one kind from another, as the first member's codec has them."""
        self._check_kind(target, "target")
        block, codec = self._fitted.blocks[target], self._fitted.table.codecs[target]
        parts: list[Tensor] = []
        for member in self.members_:
            fitted = member._fitted
            encoded = member._encode_kind(X, source, "source")
            found = fitted.apply(_translation(source, target), encoded)
            if source == target:  # in the pose of what was given
                found = fitted.align({target: found}, encoded)[target]
            own = torch.from_numpy(recoded(found, fitted.table.codecs[target], codec))
            if source != target and average_poses:
                own = block.average_poses(own, codec.layout)
            elif parts:  # in the pose of the first member's
                own = block.align(own, parts[0], None, codec.layout)
            parts.append(own)
        return mean_of_values([own.numpy() for own in parts], codec.layout)

    def _latents_to_match(
        self, X: Any, source: str, library: Any, target: str
    ) -> tuple[PairMoments, np.ndarray, np.ndarray]:
        """Return the moments of two kinds, and the latents of X and of a library in these."""
        fitted = self._fitted
        assert fitted.pairs is not None
        moments = fitted.pairs.of(source, target)
        if moments is None:
            raise ValueError(
                f"No row of fit had both kinds, {source!r} and {target!r}: rows of one cannot "
                "be matched with rows of the other."
            )
        if not moments.covariance.any():  # all of the library would have one score
            raise ValueError(
                f"All rows of fit that had both kinds, {source!r} and {target!r}, are equal, or "
                "there was only one: rows cannot be matched. Fit with more of them."
            )
        Z = fitted.apply(_own_latents(source), self._encode_kind(X, source, "source"))
        others = self._encode_kind(library, target, "target", "library")
        return moments, Z, fitted.apply(_own_latents(target), others)

    # -- fitting

    @property
    def _is_separated(self) -> bool:
        return isinstance(self.alignment, str)

    def _choose_blocks(self, X: pd.DataFrame | np.ndarray) -> list[tuple[str, Block, Any]]:
        """Return the blocks; of columns of two levels, each first level is one."""
        columns = scale_columns(X)
        if columns is None or not isinstance(self.blocks, str):
            return super()._choose_blocks(X)
        assert isinstance(X, pd.DataFrame)
        found: list[tuple[str, Block, Any]] = []
        for name, positions in columns.items():
            features = [X.columns[j][1] for j in positions]
            is_image = len(positions) > 1 and indices_of_labels(features) is not None
            if name != "table":  # which the columns without a block are, anyway
                found.append((name, ImageBlock() if is_image else DenseBlock(), positions))
        check_block_names([name for name, _, _ in found])
        return found

    def _check_kinds(
        self,
        rows: Batch,
        learnt: np.ndarray | slice,
        setup: NetworkSetup,
        *,
        needs_partners: bool,
    ) -> None:
        """Refuse one kind alone, rows without a kind, and kinds that never occur with another."""
        names = list(setup.layouts)
        if len(names) < 2:
            raise ValueError(
                f"A {type(self).__name__} needs two or more kinds of data, but X has one, "
                f"{names[0]!r}, of {setup.table.n_features} feature(s). Name the columns of each "
                "in the 'blocks' parameter, or make X by stack_kinds."
            )
        known = {name: rows.has(name) for name in names}
        n_kinds = np.sum(list(known.values()), axis=0)
        if not n_kinds.all():
            raise ValueError(
                f"{(n_kinds == 0).sum()} rows of X have no measured value of any kind; drop "
                "them, from a DataFrame with X.dropna(how='all')."
            )
        if needs_partners:
            self._check_partners(known, learnt)
            self._check_labels(rows, known[names[0]], learnt, names[0])

    def _rows_of_an_epoch(self, rows: Batch, learnt: np.ndarray | None) -> np.ndarray | None:
        """Choose the rows of an epoch: those with several kinds more than once, if they are few.

        They alone tell what the kinds have in common. A step sees a third of them at least.
        """
        if self._is_separated:
            return learnt
        index = np.arange(len(rows)) if learnt is None else learnt
        n_kinds = np.sum([rows.has(name) for name in rows.values], axis=0)[index]
        shared = index[n_kinds > 1]
        n_alone = len(index) - len(shared)
        n_times = math.ceil(_LEAST_SHARE / (1 - _LEAST_SHARE) * n_alone / max(len(shared), 1))
        n_times = min(n_times, _MOST_TIMES)
        if n_times < 2 or not len(shared):
            return learnt
        return np.concatenate([index, np.tile(shared, n_times - 1)])

    def _check_partners(self, known: dict[str, np.ndarray], learnt: np.ndarray | slice) -> None:
        """Refuse kinds that no row has together with another.

        Parameters
        ----------
        known : dict of str to ndarray of bool, shape (n_rows,)
            Which rows have which kinds.
        learnt : ndarray of int or slice
            Rows that are not held out.
        """
        first, *_ = known
        # maps of separated spaces are from and to the first
        others = known[first] if self._is_separated else np.sum(list(known.values()), axis=0) > 1
        alone = [name for name, own in known.items() if not (own & others)[learnt].any()]
        if alone:
            other = f"the kind {first!r}" if self._is_separated else "another kind"
            raise ValueError(
                f"No row of {_name_of_rows(learnt)} has the kind {alone[0]!r} and {other} as "
                f"well: their relation cannot be learnt.{self._hint_of_draws()}"
            )

    def _check_labels(
        self, rows: Batch, has_first: np.ndarray, learnt: np.ndarray | slice, first: str
    ) -> None:
        """Refuse labels without any on a row with the first kind, where spaces are separated.

        Each output of a target needs one.
        """
        if not self._is_separated or rows.labelled is None:
            return
        is_labelled = rows.labelled.cpu().numpy()  # (n_rows, 1) or (n_rows, n_outputs)
        learns = (is_labelled & has_first[:, None])[learnt].any(axis=0)
        if (is_labelled[learnt].any(axis=0) & ~learns).any():
            raise ValueError(
                f"No row of {_name_of_rows(learnt)} with a label has the kind {first!r}, which "
                f"labels are learnt from with alignment='separated'.{self._hint_of_draws()}"
            )

    def _hint_of_draws(self) -> str:
        if not self.bootstrap:
            return ""
        return " With bootstrap=True, these are rows that a member of the ensemble has drawn."

    def _make_architecture(
        self, blocks: dict[str, Block], table: Any, target: Target | None
    ) -> dict[str, Any]:
        architecture = super()._make_architecture(blocks, table, target)
        return {**architecture, "is_separated": self._is_separated}

    def _make_objective(self, setup: NetworkSetup, alpha: float) -> Objective:
        """Put the terms of the loss together."""
        names = tuple(setup.layouts)
        shares = check_block_weights(self.block_weights, list(names))
        terms, groups = self._array_terms(setup, shares)
        target_layout = setup.architecture["target_layout"]
        if target_layout is not None:
            block = setup.architecture["target_block"] or DenseBlock()
            sources = names[:1] if self._is_separated else names
            terms.append(
                PredictionTerm(
                    block,
                    target_layout,
                    self._loss_of_prediction,
                    self.prediction_weight,
                    sources,
                    has_mean=not self._is_separated,
                )
            )
        terms += cumulative_terms(terms, setup.scales)
        if not self._is_separated:
            terms.append(AlignmentTerm(self.alignment, names, setup.n_components))
        if self.beta is not None:
            weight = divergence_weight(self.beta, setup.layouts)
            if self._is_separated:  # a term each: rows without a kind do not move its own
                share = 1 / len(names)
                own = {f"divergence__{name}": name for name in names}
                groups["divergence"] = dict.fromkeys(own, share)
                terms += [
                    DivergenceTerm(weight * share, (name,), key) for key, name in own.items()
                ]
            else:
                terms.append(DivergenceTerm(weight, names))
        return Objective(terms, block_shares=shares, groups=groups, l1=self.l1, alpha=alpha)

    def _array_terms(
        self, setup: NetworkSetup, shares: dict[str, float]
    ) -> tuple[list[Term], dict[str, dict[str, float]]]:
        """Return the terms of decoded kinds, and the shares of their means over all kinds."""
        names = list(setup.layouts)

        def term(name: str, source: str, target: str, weight: float) -> ReconstructionTerm:
            block, layout = setup.blocks[target], setup.layouts[target]
            loss = self.reconstruction_loss
            return ReconstructionTerm(name, target, block, layout, loss, weight, source)

        terms: list[Term] = []
        groups: dict[str, dict[str, float]] = {"reconstruction": {}}
        for name in names:
            key = f"reconstruction__{name}"
            groups["reconstruction"][key] = shares[name]
            terms.append(term(key, name, name, self.reconstruction_weight * shares[name]))
        if self._is_separated:
            return terms, groups
        groups["translation"] = {}
        for source, target in permutations(names, 2):
            key = f"translation__{source}__{target}"
            share = shares[target] / (len(names) - 1)
            groups["translation"][key] = share
            terms.append(term(key, source, target, self.translation_weight * share))
        return terms, groups

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self._is_separated:  # labels are learnt from the first kind alone
            for own in (tags.regressor_tags, tags.classifier_tags):
                if own is not None:
                    own.poor_score = True
        return tags

    def _choose_head(self, fitted: FittedAutoencoder, data: Any, passed: Any) -> None:
        """Let the network predict: other predictors would need all kinds of a row."""
        return


def _name_of_rows(learnt: np.ndarray | slice) -> str:
    """Describe the training rows in a message: all, or those that are not held out."""
    return "X" if isinstance(learnt, slice) else "X that is not held out"


def check_no_kind(return_std: Any) -> None:
    """Refuse the name of a kind in the place of ``return_std``, which comes before it."""
    if isinstance(return_std, str):
        raise ValueError(
            f"The 'return_std' parameter must be True or False, got {return_std!r}. To name a "
            f"kind, write block={return_std!r}."
        )


def kinds_present(dual: DualMixin, X: Any) -> dict[str, np.ndarray]:
    """Return which rows of a table have which kinds, each of shape (n_samples,).

    Parameters
    ----------
    dual : DualAutoencoder or DualAutoencoderClassifier
        Fitted.
    X : array-like or DataFrame of shape (n_samples, n_features)
    """
    encoded = dual._fitted.table.transform(dual._check_X(X, reset=False))
    return {name: own.present() for name, own in encoded.items()}


def _latents_of(name: str) -> Any:
    def latents(module: AutoencoderModule, rows: Batch) -> Tensor:
        assert isinstance(module, DualModule)
        return module.common_latents_of(rows, name).mean

    return latents


def _std_of(name: str) -> Any:
    def std(module: AutoencoderModule, rows: Batch) -> Tensor:
        assert isinstance(module, DualModule)
        log_variance = module.common_latents_of(rows, name).log_variance
        assert log_variance is not None  # the public method refuses latents that are points
        return (log_variance / 2).exp()

    return std


def _own_latents(name: str) -> Any:
    def latents(module: AutoencoderModule, rows: Batch) -> Tensor:
        assert isinstance(module, DualModule)
        return module.latents_of(rows, name).mean

    return latents


def _translation(source: str, target: str) -> Any:
    def translation(module: AutoencoderModule, rows: Batch) -> Tensor:
        assert isinstance(module, DualModule)
        if source == target:  # by no map there and back
            return module.decode_own(target, module.latents_of(rows, source).mean)
        return module.decode_block(target, module.common_latents_of(rows, source).mean)

    return translation


def recoded(values: np.ndarray, codec: Codec, other: Codec) -> np.ndarray:
    """Convert values of one codec to those of another one for the same columns.

    Members of an ensemble may have learnt other scales, and other categories.

    Parameters
    ----------
    values : ndarray of shape (n_samples, codec.layout.n_values)
        With logits of categories.
    codec, other : Codec

    Returns
    -------
    ndarray of shape (n_samples, other.layout.n_values)
    """
    if codec is other:
        return values
    n = codec.layout.n_numeric
    (mean, scale), (other_mean, other_scale) = codec.affine(), other.affine()
    result = np.full((len(values), other.layout.n_values), -np.inf)
    result[:, :n] = (values[:, :n] * scale + mean - other_mean) / other_scale
    columns = zip(codec.categorical, codec.layout.groups(), other.layout.groups(), strict=True)
    for j, group, other_group in columns:
        known = list(codec.categories[j].values)
        for k, value in enumerate(other.categories[j].values):
            if value in known:
                result[:, other_group.start + k] = values[:, group.start + known.index(value)]
        if not set(known) & set(other.categories[j].values):
            result[:, other_group] = 0.0  # not one is known: all are as probable
    return result.astype(values.dtype)


def mean_of_values(parts: list[np.ndarray], layout: Layout) -> np.ndarray:
    """Return mean numbers, and logarithms of mean probabilities, of several members.

    Parameters
    ----------
    parts : list of ndarray of shape (n_samples, layout.n_values)
        With logits of categories.
    layout : Layout
    """
    if len(parts) == 1:
        return parts[0]
    result = np.mean([own[:, : layout.n_numeric] for own in parts], axis=0)
    logs = []
    for group in layout.groups():
        probabilities = np.mean([softmax(own[:, group], axis=1) for own in parts], axis=0)
        with np.errstate(divide="ignore"):
            logs.append(np.log(probabilities))
    return np.hstack([result, *logs]).astype(parts[0].dtype)
