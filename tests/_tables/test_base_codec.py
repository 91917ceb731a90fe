"""What every codec has: a user's own, with the least that it must define."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sknestedae._tables._base_codec import BlockColumns, Codec
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._labels import ColumnLabels
from sknestedae._tables._layout import Encoded, Layout


class SumCodec(Codec):
    """One number a row, the sum of its columns; it comes back as equal parts."""

    def prepare(self, X):
        self.numeric = self.columns.positions[:1]
        return np.dtype(np.float64)

    def fit(self, X, dtype, rows=None, sample_weight=None):
        self.seen = (np.dtype(dtype).name, rows, sample_weight)
        return self

    @property
    def layout(self):
        return Layout(1)

    def affine(self):
        return np.zeros(1), np.ones(1)

    def encoded_scale(self):
        return np.ones(1)

    def missing_row(self):
        return np.zeros(1)

    def encode(self, X):
        return Encoded(np.asarray(X)[:, self.columns.positions].sum(axis=1, keepdims=True), None)

    def decode(self, values):
        n = len(self.columns.positions)
        return [(self.columns.positions, np.repeat(values / n, n, axis=1))]

    def get_state(self):
        return {"numeric": self.numeric}

    def set_state(self, state):
        self.numeric = state["numeric"]


def columns(positions=(0, 1), n_columns=3, **settings):
    return BlockColumns(list(positions), ColumnLabels.of(np.zeros((1, n_columns))), **settings)


def test_a_codec_begins_with_nothing_learnt():
    codec = SumCodec(columns())
    assert (codec.numeric, codec.categorical, codec.categories) == ([], [], {})
    assert codec.columns == columns()
    assert not codec.has_cells
    assert codec.entry_columns == []


def test_entries_are_numbers_then_categories():
    codec = SumCodec(columns())
    codec.numeric, codec.categorical = [2, 0], [1]
    assert codec.entry_columns == [2, 0, 1]
    assert not codec.has_cells


def test_a_column_of_several_numbers_has_cells():
    codec = SumCodec(columns())
    codec.numeric, codec.categorical = [1, 1, 1], [0]
    assert codec.has_cells
    assert codec.entry_columns == [1, 1, 1, 0]


def test_notes_are_not_asked_for():
    codec, X = SumCodec(columns()), np.zeros((2, 3))
    before = dict(vars(codec))
    for note in (codec.note_unlearnt, codec.note_mixed, codec.notice_unseen):
        assert note(X) is None
    assert vars(codec) == before


@pytest.mark.parametrize(
    "name",
    [
        "prepare",
        "fit",
        "layout",
        "affine",
        "encoded_scale",
        "missing_row",
        "encode",
        "decode",
        "get_state",
        "set_state",
    ],
)
def test_what_a_codec_must_define(name):
    incomplete = type("Incomplete", (SumCodec,), {name: getattr(Codec, name)})
    with pytest.raises(TypeError, match=name):
        incomplete(columns())


def test_columns_of_a_block_are_as_the_table_said():
    own = columns()
    assert (own.standardize, own.categorical, own.cell_shape) == (True, None, ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        own.standardize = False


def test_a_codec_of_a_user_beside_the_table():
    """It is given the block's columns, the common dtype, the rows and the weights."""
    X = np.arange(12.0).reshape(4, 3)
    encoder = TableEncoder(blocks=[("sums", SumCodec, [0, 2])])
    rows, weight = np.array([0, 1, 3]), np.ones(4)
    encoder.fit(X, rows, weight)
    codec = encoder.codecs["sums"]
    assert codec.columns.positions == [0, 2]
    assert codec.seen == ("float64", rows, weight)
    encoded = encoder.transform(X)
    np.testing.assert_array_equal(encoded["sums"].values, X[:, [0]] + X[:, [2]])
    back = encoder.inverse_transform({name: own.values for name, own in encoded.items()})
    middle = (X[:, 0] + X[:, 2]) / 2
    np.testing.assert_allclose(back, np.column_stack([middle, X[:, 1], middle]))
    makers = {"sums": SumCodec, "table": type(encoder.codecs["table"])}
    again = TableEncoder.from_state(encoder.to_state(), makers)
    assert type(again.codecs["sums"]) is SumCodec
    np.testing.assert_array_equal(again.transform(X)["sums"].values, encoded["sums"].values)
