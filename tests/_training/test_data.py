"""Batches of tensors in memory: each row once, in order or shuffled."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from cases.training import numbered_rows

from sknestedae._networks._batch import Subset
from sknestedae._tables._layout import Layout
from sknestedae._training._data import CHUNK_ROWS, TensorIterator, rows_at_once


def numbers(batches):
    return [batch.target.ravel().tolist() for batch in batches]


def test_batches_in_order():
    batches = numbers(TensorIterator(Subset(numbered_rows()), 10))
    assert batches == [list(range(10)), list(range(10, 20)), [20, 21, 22]]


@pytest.mark.parametrize("index", [None, [3, 1, 4, 15, 9, 2, 6]])
@pytest.mark.parametrize("chunk_entries", [1, 30, 1 << 20])
def test_shuffled_batches_hold_each_row_once_whatever_the_chunks(
    monkeypatch, index, chunk_entries
):
    rows = numbered_rows(weights=True)
    subset = Subset(rows, None if index is None else torch.tensor(index))
    torch.manual_seed(0)
    expected = numbers(TensorIterator(subset, 5, shuffle=True))
    order = list(chain.from_iterable(expected))
    assert sorted(order) == sorted(index or range(23))
    assert order != list(index or range(23))
    monkeypatch.setattr("sknestedae._training._data.CHUNK_ENTRIES", chunk_entries)
    torch.manual_seed(0)
    batches = list(TensorIterator(subset, 5, shuffle=True))
    assert numbers(batches) == expected
    for batch in batches:  # what belongs to a row stays with it
        assert torch.equal(batch.values["table"][:, :1], batch.target)
        assert torch.equal(batch.weight, batch.target + 1)


def test_wide_rows_pass_through_the_network_in_smaller_parts():
    """Those of arrays in yet smaller ones, as convolutions make many channels of them."""
    columns, image = Layout(4096), Layout(4096, shape=(64, 64))
    assert rows_at_once([]) == rows_at_once([Layout(256)]) == CHUNK_ROWS
    assert rows_at_once([columns]) == 1024
    assert rows_at_once([image]) == 256
    assert rows_at_once([image, image]) == 128
    assert rows_at_once([Layout(1 << 30)]) == 1
