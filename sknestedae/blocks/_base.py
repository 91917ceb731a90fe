"""The interface of a block, which is a kind of data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sklearn.base import BaseEstimator
from torch import Tensor, nn

from .._compat import DocumentationLink
from .._persistence import public
from .._tables._base_codec import BlockColumns, Codec
from .._tables._codec import TabularCodec
from .._tables._layout import Layout
from ._drawing import draw_values
from ._losses import entry_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@public("sknestedae.blocks")
class FittedBlock(NamedTuple):
    """A block of a fitted estimator.

    Parameters
    ----------
    block : Block
        Its settings.
    layout : Layout
        The order of its values; ``layout.shape`` of an array.
    columns : list of int
        Positions of its columns in the table.
    """

    block: Block
    layout: Layout
    columns: list[int]


@public("sknestedae.blocks")
class Block(DocumentationLink, BaseEstimator, ABC):
    """Base class of kinds of data: conversion to arrays, encoder, decoder, errors and plots.

    A block holds settings only, as keyword arguments of its ``__init__``; the codec that it makes
    holds the fitted state of the data, and the modules hold the parameters. It is cloned and
    stored as an estimator is, and its settings are parameters of the estimator that it is given
    to, such as ``blocks__spectrum__kernel_size``.

    Two methods are enough for a block of numbers and categories: ``make_encoder`` and
    ``make_decoder``. A kind whose rows are arrays of one shape is an :class:`ArrayBlock`.

    See Also
    --------
    DenseBlock : The block of ordinary columns.
    ArrayBlock : The base class of blocks whose rows are arrays.

    Examples
    --------
    A block of columns that enter by a layer of their own:

    >>> from torch import nn
    >>> from sknestedae.blocks import Block
    >>> class NarrowBlock(Block):
    ...     def __init__(self, n_units=4):
    ...         self.n_units = n_units
    ...
    ...     def make_encoder(self, layout):
    ...         return nn.Linear(layout.n_values, self.n_units), self.n_units
    ...
    ...     def make_decoder(self, layout, n_inputs):
    ...         return nn.Linear(n_inputs, layout.n_values)
    >>> NarrowBlock()
    NarrowBlock()
    """

    # Whether the encoder's module is called with the values and with what of them is missing: a
    # bool tensor of shape (n_samples, layout.n_columns), or None where nothing is.
    reads_missing: ClassVar[bool] = False

    # Whether it is called with what has rows of several lengths, too: a dict of RaggedTensors by
    # the names that the codec gives them, behind the values and what of them is missing.
    reads_ragged: ClassVar[bool] = False

    # Whether parts of a row, such as atoms, have latents and predictions of their own, whose means
    # are those of the row. Then the encoder has a method ``parts``.
    per_atom: bool = False

    # How much the error of the cumulative distribution counts beside those of entries; a setting
    # of blocks whose numbers can be a distribution along an axis.
    cumulative_weight: float = 0.0

    def make_codec(self, columns: BlockColumns) -> Codec:
        """Make the codec of the block's columns; by default one of numbers and categories.

        Parameters
        ----------
        columns : BlockColumns

        Returns
        -------
        codec : Codec
            Not fitted.
        """
        return TabularCodec(columns)

    @abstractmethod
    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make the module that turns the block's values into inputs of the common encoder.

        Parameters
        ----------
        layout : Layout
            The order of the values: ``n_numeric`` numbers, of an array in the order of its
            ``shape``, then the one-hot groups of ``n_categories``; ``n_values`` in all.

        Returns
        -------
        encoder : torch.nn.Module
            From (n_samples, layout.n_values) to (n_samples, n_outputs). With ``reads_missing`` it
            takes the missing entries as a second argument.
        n_outputs : int
            Width of its outputs.
        """

    @abstractmethod
    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make the module that turns outputs of the common decoder into the block's values.

        Parameters
        ----------
        layout : Layout
            The order of the values.
        n_inputs : int
            Width of the common decoder's outputs.

        Returns
        -------
        decoder : torch.nn.Module
            From (n_samples, n_inputs) to (n_samples, layout.n_values): numbers in scaled units,
            and unnormalised log-probabilities (logits) for each one-hot group.
        """

    def align(
        self, decoded: Tensor, given: Tensor, known: Tensor | None, layout: Layout
    ) -> Tensor:
        """Bring decoded values to the pose of the given ones; by default they are as they are.

        A block whose latents do not hold the pose of an object decodes it in a pose of its own.
        Errors, scores and plots compare decoded with given values after this.

        Parameters
        ----------
        decoded, given : Tensor of shape (..., n_samples, layout.n_values)
        known : Tensor of bool, shape (..., n_samples, layout.n_columns), or None
            Which entries were measured; None if all were.
        layout : Layout

        Returns
        -------
        Tensor of shape (..., n_samples, layout.n_values)
        """
        return decoded

    def average_poses(self, decoded: Tensor, layout: Layout) -> Tensor:
        """Average decoded values over the poses that latents do not hold; by default, one pose.

        Where the pose of an object is unknown, the mean over all poses has the smallest expected
        squared error.

        Parameters
        ----------
        decoded : Tensor of shape (..., n_samples, layout.n_values)
        layout : Layout

        Returns
        -------
        Tensor of shape (..., n_samples, layout.n_values)
        """
        return decoded

    def errors(self, decoded: Tensor, given: Tensor, layout: Layout, loss: str) -> Tensor:
        """Return the error of each entry, neither masked nor summed.

        Parameters
        ----------
        decoded, given : Tensor of shape (..., n_samples, layout.n_values)
            In scaled units, with logits of categories.
        layout : Layout
        loss : str
            Error of a number: "squared_error", "absolute_error" or "huber". A category's is the
            cross-entropy, in nats.

        Returns
        -------
        Tensor of shape (..., n_samples, layout.n_columns)
        """
        return entry_errors(decoded, given, layout, loss)

    def plot(self, ax: Axes, given: Any, decoded: Any, layout: Layout, **keywords: Any) -> Any:
        """Draw rows: a line of a spectrum, pictures of an image, dots of the rest.

        Parameters
        ----------
        ax : matplotlib Axes
        given : array-like of shape (n_values,) or (n_rows, n_values)
            NaN where not measured.
        decoded : array-like of the same shape, or None
            None where there is nothing to compare with.
        layout : Layout
            Its ``shape`` decides what is drawn.
        **keywords
            ``label``, ``unit``, ``x``, ``names`` and ``titles``, for the axes and the legend.

        Returns
        -------
        sequence of matplotlib artists
        """
        return draw_values(ax, given, decoded, layout, **keywords)
