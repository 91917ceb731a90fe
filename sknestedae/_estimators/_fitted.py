"""The fitted state of an autoencoder, in one object: the network, its encoders, its latents.

The estimators keep the public methods, the checks of a user's input, and the units of the results.
The steps between, from a checked table to arrays, are here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._latents._density import LatentStatistics
from .._latents._inference import PosteriorModeSearch
from .._latents._observation import ObservationModel
from .._latents._pairs import PairStatistics
from .._layers._dense import RANGES, initialize
from .._layers._device import forked_rng, seed_generators, to_array, to_tensor, torch_dtype
from .._networks._autoencoder import AutoencoderModule
from .._networks._batch import Batch, Subset
from .._networks._dual import DualModule, make_module
from .._tables._encoder import TableEncoder
from .._tables._input import TableKind, kind_from_state, kind_to_state
from .._tables._layout import Encoded, Layout
from .._tables._missing import Completions, CompletionSearch
from .._tables._target import ClassTarget, NumericTarget, target_from_state, target_to_state
from .._training._data import TensorIterator, rows_at_once
from .._training._net import AutoencoderNet
from .._training._state import get_state, history_from_frame, history_to_frame, set_state
from ..blocks import Block, FittedBlock
from ._head import DenseValues, Head, Passed

Target = NumericTarget | ClassTarget

# A variational latent is active if the variance of its means over rows is above this (Burda,
# Grosse and Salakhutdinov, "Importance weighted autoencoders", ICLR 2016, section 5.2).
_ACTIVE = 0.01

# Of what is on or off in a network: the parameter that says it, and its values for off and on.
_SWITCHES = {
    "is_variational": ("beta", "None", "a number"),
    "is_separated": ("alignment", "a number", "'separated'"),
}

# From the module and some rows to a tensor with one row a sample.
ModuleFunction = Callable[[AutoencoderModule, Batch], Tensor]


@dataclass
class NetworkSetup:
    """The encoders of the data and the settings of the network: all that is known before training.

    Parameters
    ----------
    table : TableEncoder
        Fitted.
    target : NumericTarget, ClassTarget or None
        Fitted; None without a target.
    architecture : dict
        Arguments of the module.
    settings : dict
        Parameters that must stay where training goes on, and do not show in the architecture.
    seed : int
        Of the initial weights, the order of rows and dropout.
    frame_kind : FrameKind, ArrayKind or None
        The kind of frame that ``fit`` was given, if not of pandas.
    """

    table: TableEncoder
    target: Target | None
    architecture: dict[str, Any]
    settings: dict[str, Any]
    seed: int
    frame_kind: TableKind

    @property
    def layouts(self) -> dict[str, Layout]:
        """The layout of each block's values."""
        return self.table.layouts

    @property
    def blocks(self) -> dict[str, Block]:
        """The settings of each block."""
        return self.architecture["blocks"]

    @property
    def fitted_blocks(self) -> dict[str, FittedBlock]:
        """Each block with its layout and its columns."""
        return {
            name: FittedBlock(self.blocks[name], codec.layout, codec.columns.positions)
            for name, codec in self.table.codecs.items()
        }

    @property
    def scales(self) -> dict[str | None, tuple[Tensor, Tensor]]:
        """Mean and scale of the numbers of each block, and under None of the target."""
        found: dict[str | None, tuple[np.ndarray, np.ndarray]] = {
            name: codec.affine() for name, codec in self.table.codecs.items()
        }
        if isinstance(self.target, NumericTarget):
            found[None] = self.target.affine()
        return {
            name: (
                torch.as_tensor(mean, dtype=self.dtype),
                torch.as_tensor(scale, dtype=self.dtype),
            )
            for name, (mean, scale) in found.items()
        }

    @property
    def rows_at_once(self) -> int:
        """The number of rows that pass through the network at once."""
        targets = [] if self.target is None else [self.target.layout]
        return rows_at_once([*self.layouts.values(), *targets])

    @property
    def n_components(self) -> int:
        """Number of latents."""
        return self.architecture["n_components"]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters and of the encoded values."""
        return torch_dtype(self.table.dtype)

    def check_same(self, architecture: dict[str, Any], settings: dict[str, Any]) -> None:
        """Refuse to go on training with another table or another network."""
        # the blocks of the settings, which know their columns, stand for those of the architecture
        now, then = {**architecture, **settings}, {**self.architecture, **self.settings}
        for name, value in now.items():
            if name in ("layouts", "target_layout"):  # they follow from the data
                continue
            if _plain(value) != _plain(then[name]):
                parameter, was, is_now = name, repr(then[name]), repr(value)
                if name in _SWITCHES:
                    parameter, off, on = _SWITCHES[name]
                    was, is_now = (on, off) if then[name] else (off, on)
                raise ValueError(
                    f"The '{parameter}' parameter was {was} in the last fit and is {is_now} "
                    "now; warm_start and partial_fit go on with the same network."
                )

    def make_module(self, initialization: str | None) -> AutoencoderModule:
        """Build the network, on the CPU.

        Parameters
        ----------
        initialization : str or None
            The distribution of initial weights of dense layers; None where they are to be loaded.
        """
        cpu = torch.device("cpu")  # where the parameters are drawn: the same on every device
        with forked_rng(cpu):
            seed_generators(self.seed, cpu)
            module = make_module(self.architecture)
            if initialization is not None:
                initialize(module.dense_layers, initialization)
        module = module.to(self.dtype)
        module.set_missing_rows(
            {name: torch.from_numpy(c.missing_row()) for name, c in self.table.codecs.items()}
        )
        if isinstance(self.target, NumericTarget):
            module.set_target_bounds(*map(torch.from_numpy, self.target.scaled_bounds()))
        return module


@dataclass
class FittedAutoencoder(NetworkSetup):
    """A trained network with the encoders of its table and its target.

    An ensemble shares the object of its first member; nobody copies it. Training on makes a new
    one, so that the old one stays as it is until the training has come to its end.

    Parameters
    ----------
    table, target, architecture, settings, seed, frame_kind
        As in NetworkSetup.
    net : AutoencoderNet
        Trained.
    latent_statistics : LatentStatistics
        Latents and errors of the training rows.
    history : DataFrame
        One row an epoch.
    best_iter : int
        Number of the epoch whose parameters were kept.
    pairs : PairStatistics or None
        The joint statistics of latents from different blocks; None for one encoder of all blocks.
    head : Head or None
        The predictor in place of the network's; None where the network predicts.
    """

    net: AutoencoderNet
    latent_statistics: LatentStatistics
    history: pd.DataFrame
    best_iter: int
    pairs: PairStatistics | None = None
    head: Head | None = None

    @classmethod
    def of(
        cls,
        setup: NetworkSetup,
        net: AutoencoderNet,
        latent_statistics: LatentStatistics,
        history: pd.DataFrame,
        best_iter: int,
        pairs: PairStatistics | None = None,
    ) -> FittedAutoencoder:
        """Join the setup and the results of the training."""
        known = {field.name: getattr(setup, field.name) for field in fields(NetworkSetup)}
        return cls(
            **known,
            net=net,
            latent_statistics=latent_statistics,
            history=history,
            best_iter=best_iter,
            pairs=pairs,
        )

    # -- the network

    @property
    def module(self) -> AutoencoderModule:
        """The torch module, in eval mode."""
        return self.net.module_

    @property
    def device(self) -> torch.device:
        """The device of the module's parameters."""
        return next(self.module.parameters()).device

    @property
    def alpha(self) -> float:
        """Strength of the L2 penalty."""
        return self.net.criterion_.alpha

    @property
    def is_variational(self) -> bool:
        """Whether latents are normal densities."""
        return self.latent_statistics.spread is not None

    @property
    def n_active_components(self) -> int | None:
        """The number of variational latents that have not collapsed; None for points."""
        if not self.is_variational:
            return None
        return int((np.diag(self.latent_statistics.covariance) > _ACTIVE).sum())

    # -- from a checked table

    def encode(self, X: pd.DataFrame | np.ndarray) -> dict[str, Encoded]:
        """Return the blocks of a table that was checked: with the columns that were fitted.

        Raises
        ------
        ValueError
            If each block has an encoder of its own, and a row has none of the blocks.
        """
        blocks = self.table.transform(X)
        if isinstance(self.module, DualModule):
            check_rows_measured(blocks)
        return blocks

    def check_rows(self, X: pd.DataFrame | np.ndarray) -> None:
        """Refuse rows of a checked table that cannot be completed, by their numbers in it."""
        self.table.check_cells(X)
        if isinstance(self.module, DualModule):
            self.encode(X)

    def batch(self, X: pd.DataFrame | np.ndarray) -> Batch:
        """Return the encoded rows of a checked table as tensors on the module's device."""
        return Batch.from_arrays(self.encode(X), None, None, self.device)

    def latents(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Return the latents of a checked table, of shape (n_samples, n_components)."""
        return self.apply(_encode, self.encode(X))

    def latent_std(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Return the standard deviations of variational latents of a checked table's rows."""
        return self.apply(_latent_std, self.encode(X))

    def predict(self, X: pd.DataFrame | np.ndarray, passed: Passed | None = None) -> np.ndarray:
        """Return the predictor's outputs, of shape (n_samples, n_outputs), in scaled units.

        The network predicts where there is no head, or what the head needs is not passed on: a
        stage of a chain that is asked alone.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Checked.
        passed : Passed or None
            In a chain, the values that the stages before pass on.
        """
        blocks = self.encode(X)
        if self.head is None or not self.head.takes(passed):
            return self.apply(_predict, blocks)
        assert isinstance(self.target, NumericTarget)
        low, high = self.target.scaled_bounds()
        return np.clip(self.head.mean(self.dense.gather(blocks), passed), low, high)

    def predict_std(
        self, X: pd.DataFrame | np.ndarray, passed: Passed | None = None
    ) -> np.ndarray | None:
        """Return the standard deviation of predictions in scaled units; None where not known."""
        if self.head is None or not self.head.takes(passed):
            return None
        return self.head.std(self.dense.gather(self.encode(X)), passed)

    @property
    def dense(self) -> DenseValues:
        """The positions of the head's inputs among the values that enter the network."""
        assert self.head is not None
        return DenseValues.of(self.table, np.arange(self.head.n_columns))

    def scores(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Return the logarithms of densities of a checked table's rows, of shape (n_samples,)."""
        return self.observation_model().scores(self.encode(X))

    def reconstruction_score(
        self, X: pd.DataFrame | np.ndarray, sample_weight: np.ndarray | None
    ) -> float:
        """Return R² of the reconstruction of a checked table, as ``reconstruction_r2`` has it."""
        blocks = self.encode(X)
        decoded = self.decode(self.apply(_encode, blocks))
        decoded = self.align(decoded, blocks)
        shares = self.net.criterion_.block_shares
        return reconstruction_r2(blocks, decoded, self.layouts, shares, sample_weight)

    def complete(
        self, X: pd.DataFrame | np.ndarray, search: CompletionSearch | None
    ) -> Completions:
        """Complete rows of a checked table, each once or as a search wants it."""
        model = self.observation_model()
        found = PosteriorModeSearch([model]).find([model.rows(self.encode(X))], search)
        completed = self.table.inverse_transform(found.decoded[0])
        return Completions(completed, found.rows, found.mismatch, found.nearest)

    # -- arrays through the network

    def apply(self, function: ModuleFunction, blocks: Mapping[str, Encoded]) -> np.ndarray:
        """Apply a function of module and rows to all rows, some thousand at a time.

        Only the rows that are under way are on the module's device: a table need not fit there.
        """
        rows = Subset(Batch.from_arrays(blocks, None, None, torch.device("cpu")))
        device = self.device
        with torch.no_grad():
            chunks = [
                function(self.module, chunk.to(device))
                for chunk in TensorIterator(rows, self.rows_at_once)
            ]
        return np.concatenate([to_array(chunk) for chunk in chunks])

    def decode(self, Z: np.ndarray) -> dict[str, np.ndarray]:
        """Decode latents to each block's values, of shape (n_samples, layout.n_values).

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_components)
            Of the type of the encoded values.
        """
        decoded = {
            name: np.empty((len(Z), layout.n_values), dtype=Z.dtype)
            for name, layout in self.layouts.items()
        }
        with torch.no_grad():
            for rows in gen_batches(len(Z), self.rows_at_once):
                for name, values in self.module.decode(to_tensor(Z[rows], self.device)).items():
                    decoded[name][rows] = to_array(values)
        return decoded

    def decoded_plane(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the least-squares plane through the decoded columns of the examples' latents.

        Returns
        -------
        slopes : ndarray of shape (n_components, n_features)
        intercept : ndarray of shape (n_features,)

        Raises
        ------
        AttributeError
            If a column does not hold numbers.
        """
        if self.table.keeps_objects:
            raise AttributeError("components_ and mean_ exist only for tables of numbers.")
        Z = self.latent_statistics.examples
        decoded = self.table.inverse_transform(self.decode(Z.astype(self.table.dtype)))
        return least_squares_plane(Z, np.asarray(decoded, dtype=np.float64))

    def align(
        self, decoded: Mapping[str, np.ndarray], blocks: Mapping[str, Encoded]
    ) -> dict[str, np.ndarray]:
        """Bring decoded values to the pose of the given ones, as ``Block.align`` has it."""
        cpu = torch.device("cpu")
        values = {name: to_tensor(own, cpu) for name, own in decoded.items()}
        aligned = self.module.align(values, Batch.from_arrays(blocks, None, None, cpu))
        return {name: own.numpy() for name, own in aligned.items()}

    # -- latents and errors of the training rows

    def observation_model(self) -> ObservationModel:
        """Return the likelihood model of measured entries, given latents."""
        bounds = RANGES.get(self.architecture["latent_activation"], (-np.inf, np.inf))
        return ObservationModel(
            self.module, self.table, self.latent_statistics, bounds, self.device
        )

    def learn_latents(self, rows: Subset, power: int) -> None:
        """Compute latents and errors anew after further training.

        Parameters
        ----------
        rows : Subset
            Training rows of the network.
        power : int
            Power of two that their weights were divided by.
        """
        self.pairs = learn_pairs(self.module, rows, power=power)
        self.latent_statistics = LatentStatistics.learn(self.module, rows, self.layouts, power)

    # -- in files

    def to_state(self) -> dict[str, Any]:
        """Return plain values, arrays and blocks, from which all else is made anew."""
        architecture = dict(self.architecture)
        del architecture["layouts"], architecture["target_layout"]  # known of table and target
        return {
            "table": self.table.to_state(),
            "target": target_to_state(self.target),
            "architecture": architecture,
            "settings": self.settings,
            "seed": self.seed,
            "frame_kind": kind_to_state(self.frame_kind),
            "net": get_state(self.net),
            "alpha": self.alpha,
            "latent_statistics": dict(vars(self.latent_statistics)),
            "history": {name: column.to_numpy() for name, column in self.history.items()},
            "best_iter": self.best_iter,
            "pairs": None if self.pairs is None else self.pairs.to_state(),
            "head": None if self.head is None else self.head.to_state(),
        }

    @classmethod
    def from_state(
        cls, state: dict[str, Any], make_net: Callable[[NetworkSetup, float], AutoencoderNet]
    ) -> FittedAutoencoder:
        """Make the object from the state of ``to_state``.

        Parameters
        ----------
        state : dict
        make_net : callable
            A function of the network's setup and the strength of the L2 penalty. It returns a net
            that was initialized, but not trained.
        """
        architecture = state["architecture"]
        makers = {name: block.make_codec for name, block in architecture["blocks"].items()}
        table = TableEncoder.from_state(state["table"], makers)
        of_target = architecture["target_block"]
        target = target_from_state(state["target"], of_target and of_target.make_codec)
        layouts = {
            "layouts": table.layouts,
            "target_layout": None if target is None else target.layout,
        }
        setup = NetworkSetup(
            table=table,
            target=target,
            architecture={**architecture, **layouts},
            settings=state["settings"],
            seed=state["seed"],
            frame_kind=kind_from_state(state["frame_kind"]),
        )
        net = make_net(setup, state["alpha"])
        history = history_to_frame(pd.DataFrame(state["history"]).to_dict("records"))
        net.history = history_from_frame(history)
        set_state(net, state["net"])
        net.module_.eval()
        statistics = LatentStatistics(**state["latent_statistics"])
        pairs = None
        if state["pairs"] is not None:
            pairs = PairStatistics.from_state(state["pairs"])
            pairs.set_maps(net.module_)
        fitted = cls.of(setup, net, statistics, history, state["best_iter"], pairs)
        fitted.head = None if state["head"] is None else Head.from_state(state["head"])
        return fitted


def learn_pairs(
    module: AutoencoderModule,
    dataset: Subset,
    before: PairStatistics | None = None,
    *,
    power: int,
) -> PairStatistics | None:
    """Learn the joint statistics of latents from different blocks, and store them in the network.

    Parameters
    ----------
    module : AutoencoderModule
    dataset : Subset
    before : PairStatistics or None
        Of earlier rows of a stream.
    power : int
        Power of two that the weights of the rows were divided by.

    Returns
    -------
    PairStatistics or None
        None where all blocks share an encoder.
    """
    if not isinstance(module, DualModule):
        return None
    pairs = PairStatistics.learn(module, dataset, power)
    pairs = pairs if before is None else before.merge(pairs)
    pairs.set_maps(module)
    return pairs


def check_rows_measured(
    blocks: Mapping[str, Encoded], name: str | None = None, parameter: str = "X"
) -> None:
    """Refuse rows without any measured value, or without any of one block.

    Parameters
    ----------
    blocks : mapping of str to Encoded
    name : str or None, default=None
        Of the block; None for all.
    parameter : str, default="X"
        Name of the parameter that has the rows, in messages.
    """
    present = [own.present() for key, own in blocks.items() if name in (None, key)]
    absent = np.flatnonzero(~np.any(present, axis=0))
    if len(absent):
        what = "of any kind" if name is None else f"of the kind {name!r}"
        raise ValueError(
            f"{len(absent)} row(s) have no measured value {what}, the first of them row "
            f"{absent[0]} (from 0), so that they have no latents. Drop them from {parameter}."
        )


def settings_to_keep(standardize: bool, categorical_features: Any, blocks: Any) -> dict[str, Any]:
    """Gather settings that must stay where training goes on, and do not show elsewhere.

    Parameters
    ----------
    standardize, categorical_features, blocks
        Parameters of the estimator.
    """
    categorical = categorical_features
    if categorical is not None and not isinstance(categorical, str):
        categorical = np.asarray(categorical).tolist()
    if isinstance(blocks, list):
        blocks = [
            [name, *_plain(block), _plain_columns(columns)] for name, block, columns in blocks
        ]
    return {
        "standardize": standardize,
        "categorical_features": categorical,
        "blocks": _plain(blocks),
    }


def _plain(value: Any) -> Any:
    """Return a block as plain values, which can be compared and stored; all else as it is."""
    return [type(value).__name__, repr(value)] if isinstance(value, Block) else value


def _plain_columns(columns: Any) -> Any:
    """Return the names or indices of columns as plain values."""
    if isinstance(columns, slice):
        return ["slice", columns.start, columns.stop, columns.step]
    return np.asarray(columns).tolist()


def fitted_part(estimator: BaseEstimator) -> FittedAutoencoder:
    """Return the fitted network and encoders of an autoencoder, or of an ensemble's first member.

    Other folders reach the fitted state behind the public methods by this function alone.

    Parameters
    ----------
    estimator : BaseSupervisedAutoencoder
        Itself, and not in a frozen estimator, a search or a pipeline.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is another estimator.
    """
    check_is_fitted(estimator)
    fitted = vars(estimator).get("_fitted")
    if not isinstance(fitted, FittedAutoencoder):
        raise TypeError(f"A {type(estimator).__name__} is no supervised autoencoder.")
    return fitted


def _encode(module: AutoencoderModule, rows: Batch) -> Tensor:
    return module.encode(rows)


def _latent_std(module: AutoencoderModule, rows: Batch) -> Tensor:
    log_variance = module.latents(rows).log_variance
    assert log_variance is not None  # the public method refuses latents that are points
    return (log_variance / 2).exp()


def _predict(module: AutoencoderModule, rows: Batch) -> Tensor:
    _, prediction = module.encode_and_predict(rows)
    assert prediction is not None  # the public methods refuse an estimator without a target
    return prediction


def least_squares_plane(Z: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least-squares plane ``Z @ slopes + intercept`` through values.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_components)
    values : ndarray of shape (n_samples, n_features)

    Returns
    -------
    slopes : ndarray of shape (n_components, n_features)
        The smallest, where latents are not independent of each other.
    intercept : ndarray of shape (n_features,)
        The values of the plane at latents of 0.
    """
    mean, middle = values.mean(axis=0), Z.mean(axis=0)
    slopes = np.linalg.lstsq(Z - middle, values - mean, rcond=None)[0]
    return slopes, mean - middle @ slopes


def reconstruction_r2(
    blocks: Mapping[str, Encoded],
    decoded: Mapping[str, np.ndarray],
    layouts: Mapping[str, Layout],
    shares: Mapping[str, float],
    sample_weight: np.ndarray | None = None,
) -> float:
    """Return R² of a reconstruction, over all measured entries in scaled units.

    The squared errors of a block's columns are pooled, and so are their squared deviations from
    the mean: a categorical column counts with its one-hot values against its probabilities. Of
    several blocks, the means over their entries count by the blocks' shares.

    Parameters
    ----------
    blocks : mapping of str to Encoded
        The table.
    decoded : mapping of str to ndarray of shape (n_samples, layout.n_values)
        Decoded values of each block, with logits of categories.
    layouts : mapping of str to Layout
    shares : mapping of str to float
        Of the blocks in the reconstruction error.
    sample_weight : ndarray of shape (n_samples,), optional
        Near 1, as ``scale_weights`` gives them.

    Returns
    -------
    float
        Where no entry deviates from its mean, 1 if all are reconstructed exactly, else 0.
    """
    outputs = {name: _with_probabilities(decoded[name], layouts[name]) for name in blocks}
    # divided by a power of two, so that squares stay in the range of floats
    pairs = [(blocks[name].values, outputs[name]) for name in blocks]
    power = np.frexp(max(np.abs(values).max() for pair in pairs for values in pair))[1]
    error = deviation = 0.0
    for name, (values, measured, _) in blocks.items():
        layout = layouts[name]
        values, output = np.ldexp(values, -power), np.ldexp(outputs[name], -power)
        weight = np.ones((len(values), layout.n_columns)) if measured is None else measured
        if sample_weight is not None:
            weight = weight * sample_weight[:, None]
        weight = layout.spread(weight)
        total = weight.sum(axis=0)
        mean = (weight * values).sum(axis=0) / np.where(total > 0, total, 1)
        factor = 1.0
        if len(blocks) > 1:
            factor = shares[name] / total.sum() if total.any() else 0.0
        error += factor * (weight * (values - output) ** 2).sum()
        deviation += factor * (weight * (values - mean) ** 2).sum()
    if deviation == 0:
        return 1.0 if error == 0 else 0.0
    return float(1 - error / deviation)


def _with_probabilities(decoded: np.ndarray, layout: Layout) -> np.ndarray:
    """Replace the logits of categories in a block's decoded values by probabilities."""
    if not layout.n_categories:
        return decoded
    output = np.array(decoded)
    for group in layout.groups():
        output[:, group] = torch.softmax(torch.from_numpy(decoded[:, group]), dim=1).numpy()
    return output
