"""Blocks for kinds of data: columns, spectra, images and structures of atoms.

A block says how some columns of a table enter the encoder and how they come back from the
decoder. :class:`DenseBlock` serves ordinary columns, :class:`SpectrumBlock` spectra,
:class:`ImageBlock` images and :class:`AtomsBlock` structures of atoms. A new kind of data is a new
:class:`Block`, which an estimator takes in its parameter ``blocks``.
"""

from .._tables._base_codec import BlockColumns, Codec
from .._tables._codec import TabularCodec
from .._tables._layout import Encoded, Layout, Ragged
from ._array import ArrayBlock
from ._atoms import AtomsBlock
from ._base import Block, FittedBlock
from ._image import ImageBlock
from ._spectrum import SpectrumBlock
from ._tabular import DenseBlock

__all__ = [
    "ArrayBlock",
    "AtomsBlock",
    "Block",
    "BlockColumns",
    "Codec",
    "DenseBlock",
    "Encoded",
    "FittedBlock",
    "ImageBlock",
    "Layout",
    "Ragged",
    "SpectrumBlock",
    "TabularCodec",
]
