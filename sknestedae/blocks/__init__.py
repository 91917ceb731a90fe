"""Kinds of data that can be encoded and decoded, each by a small pair of modules.

A block says how some columns of a table enter the encoder and how they come back from the
decoder. :class:`DenseBlock` serves ordinary columns. A new kind of data, such as a spectrum, is a
new :class:`Block`, which an estimator takes in its parameter ``blocks``.
"""

from .._tables._layout import Layout
from ._base import Block
from ._image import ImageBlock
from ._spectrum import SpectrumBlock
from ._tabular import DenseBlock

__all__ = ["Block", "DenseBlock", "ImageBlock", "Layout", "SpectrumBlock"]
