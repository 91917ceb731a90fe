"""Rows of several lengths: taken, gathered, moved, and what is summed over their entries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sknestedae._layers._ragged import RaggedTensors, row_softmax, row_sum
from sknestedae._tables._layout import Ragged

LENGTHS = [2, 0, 3, 1]
# the entries of each row say which row they are of, and which entry
ENTRIES = [[(row, i) for i in range(length)] for row, length in enumerate(LENGTHS)]


def rows():
    marks = np.array([mark for row in ENTRIES for mark in row], dtype=np.int64)
    lengths = np.array(LENGTHS)
    columns = {"mark": marks, "value": marks @ [10.0, 1.0]}
    return Ragged(columns, np.cumsum(lengths) - lengths, lengths)


def tensors():
    return RaggedTensors.from_arrays(rows(), torch.device("cpu"))


def marks_of(ragged):
    """Give the marks of the entries of each row."""
    gathered = ragged.gather()
    return [gathered.columns["mark"][gathered.row == i].tolist() for i in range(len(ragged))]


def as_lists(order):
    return [[list(mark) for mark in ENTRIES[row]] for row in order]


@pytest.mark.parametrize(
    ("index", "order"),
    [
        (slice(None), [0, 1, 2, 3]),
        (slice(2, 4), [2, 3]),
        ([3, 0, 3], [3, 0, 3]),
        (torch.tensor([2, 1, 0]), [2, 1, 0]),
        ([1], [1]),
        (slice(0, 0), []),
    ],
    ids=str,
)
def test_rows_are_taken_in_any_order_and_number(index, order):
    some = tensors()[index]
    assert len(some) == len(order)
    assert marks_of(some) == as_lists(order)
    assert marks_of(some[slice(None)]) == as_lists(order)
    gathered = some.gather()
    assert gathered.lengths.tolist() == [LENGTHS[i] for i in order]
    assert gathered.columns["value"].tolist() == [
        10.0 * r + i for row in order for r, i in ENTRIES[row]
    ]
    # where the entries of a row begin
    for row, (start, length) in enumerate(zip(gathered.starts, gathered.lengths, strict=True)):
        own = slice(int(start), int(start + length))
        assert gathered.row[own].tolist() == [row] * int(length)


def test_taking_rows_does_not_copy_their_entries():
    whole = tensors()
    some = whole[torch.tensor([3, 0])]
    assert some.columns["value"].data_ptr() == whole.columns["value"].data_ptr()
    arrays = rows()
    shared = RaggedTensors.from_arrays(arrays, torch.device("cpu"))
    assert np.shares_memory(shared.columns["value"].numpy(), arrays.columns["value"])


def test_compact_rows_hold_no_entries_of_others():
    some = tensors()[torch.tensor([3, 1, 0])]
    own = some.compact()
    assert marks_of(own) == marks_of(some) == as_lists([3, 1, 0])
    assert len(own.columns["mark"]) == 3
    assert own.starts.tolist() == [0, 1, 1]


def test_rows_go_to_a_device_alone():
    some = tensors()[torch.tensor([3, 0])]
    assert some.to(torch.device("cpu")) is some
    there = some.to(torch.device("meta"))
    assert {t.device.type for t in there.tensors()} == {"meta"}
    assert there.columns["mark"].shape == (3, 2)
    assert len(there.tensors()) == 4


def test_rows_without_entries():
    none = tensors().without_entries(3)
    assert len(none) == 3
    gathered = none.gather()
    assert gathered.columns["mark"].shape == (0, 2)
    assert gathered.columns["mark"].dtype == torch.int64
    assert gathered.row.shape == (0,)


# -- over the entries of each row


def draw(n, width, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).double()


ROW = torch.tensor([row for row, length in enumerate(LENGTHS) for _ in range(length)])


def test_sums_of_rows():
    values = draw(6, 3)
    found = row_sum(values, ROW, 4)
    for row in range(4):
        torch.testing.assert_close(found[row], values[row == ROW].sum(dim=0))
    assert not found[1].any()


def test_softmax_over_each_row():
    """As torch's own, row by row, whatever the size of the numbers."""
    scores, weight = 3000 * draw(6, 2), draw(6, 1, seed=1).abs() + 0.1
    found = row_softmax(scores, weight, ROW, 4)
    for row in (0, 2, 3):
        own = row == ROW
        expected = (scores[own] + weight[own].log()).softmax(dim=0)
        torch.testing.assert_close(found[own], expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(row_sum(found, ROW, 4)[[0, 2, 3]], torch.ones(3, 2).double())


def test_a_weight_is_a_repetition():
    scores = draw(3, 2)
    once = row_softmax(scores, torch.tensor([[3.0], [1.0], [2.0]]), torch.zeros(3).long(), 1)
    rows = torch.tensor([0, 0, 0, 1, 2, 2])
    many = row_softmax(scores[rows], torch.ones(6, 1), torch.zeros(6).long(), 1)
    torch.testing.assert_close(row_sum(many, rows, 3), once)


def test_gradients_of_a_softmax():
    """The largest score is taken off, which cancels: it has no part in the slope."""
    scores = draw(6, 2).requires_grad_()
    weight = draw(6, 1, seed=1).abs() + 0.1
    assert torch.autograd.gradcheck(lambda own: row_softmax(own, weight, ROW, 4), (scores,))
