"""Placeholder until merge."""

from ._base_codec import Codec


class ArrayCodec(Codec):
    def __init__(self, columns, *, kind, shape=None, scale="block"):
        super().__init__(columns)
