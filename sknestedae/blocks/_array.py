"""The base class of blocks whose rows are arrays of one shape."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .._persistence import public
from .._tables._array_codec import ArrayCodec
from .._tables._base_codec import BlockColumns, Codec
from ._base import Block
from ._settings import SCALES, check_choice


@public("sknestedae.blocks")
class ArrayBlock(Block):
    """A kind of data whose rows are arrays of numbers of one shape, such as spectra.

    A row is an element of an N-D array, a cell of a column that holds arrays, or many columns of
    numbers. The codec brings it to floats of shape (n_samples, layout.n_values), in C order;
    ``layout.shape`` is the shape of a row. A subclass makes the two modules. It may have the
    settings ``scale``, as in :class:`SpectrumBlock`, and ``shape``, the shape of a row where many
    columns hold it and do not show it.

    Attributes
    ----------
    kind : str
        Class attribute: a noun for a row, for messages.

    See Also
    --------
    SpectrumBlock, ImageBlock : The blocks of the package.
    """

    kind: ClassVar[str] = "array"
    reads_missing: ClassVar[bool] = True

    def make_codec(self, columns: BlockColumns) -> Codec:
        """Make a codec that reads arrays, and scales them as ``scale`` says."""
        shape = getattr(self, "shape", None)
        scale = getattr(self, "scale", "block")
        check_choice("scale", scale, SCALES)
        return ArrayCodec(columns, kind=self.kind, shape=shape, scale=scale, copies=self.copies)

    def copies(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return copies of an array that must have the same latents, such as mirrored ones.

        Parameters
        ----------
        shape : tuple of int
            Of the array of a row.

        Returns
        -------
        ndarray of int, shape (n_copies, n_values), or None
            The position in the array of each entry of a copy; the first copy is the array itself.
            None where there is no other. Entries are centred by their means over all copies.
        """
        return None
