"""Rows as tensors: slices, entries' weights, keys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.training import numbered_rows
from torch.utils._python_dispatch import TorchDispatchMode

from sknestedae._networks._batch import Batch, Subset
from sknestedae._tables._layout import Encoded, Ragged


def test_batch_of_a_slice_shares_memory():
    rows = numbered_rows()
    part = rows[5:9]
    assert part.values["table"].data_ptr() == rows.values["table"][5:].data_ptr()


@pytest.mark.parametrize("rows", [slice(3, 9), torch.tensor([7, 0, 7])])
def test_rows_of_a_batch_keep_what_belongs_to_them(rows):
    whole = numbered_rows(incomplete=True, weights=True)
    part = whole[rows]
    assert len(part) == len(part.target)
    for taken, tensor in zip(part.tensors(), whole.tensors(), strict=True):
        assert torch.equal(taken, tensor[rows])


def test_rows_are_taken_by_what_needs_no_threads():
    """An index in brackets starts all threads in each epoch, for a few hundred rows."""
    names = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.append(func.name())
            return func(*args, **(kwargs or {}))

    whole, index = numbered_rows(incomplete=True, weights=True), torch.tensor([7, 0, 7])
    with Watch():
        whole[index]
    assert set(names) == {"aten::index_select"}


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("incomplete", [False, True])
def test_an_entry_weighs_what_its_row_does_if_it_is_known(incomplete, weights):
    batch = numbered_rows(incomplete=incomplete, weights=weights)
    found = batch.entry_weight(batch.measured.get("table"))
    assert (found is None) == (not incomplete and not weights)
    if found is not None:
        known = batch.measured["table"] if incomplete else torch.ones(23, 1)
        weight = batch.weight if weights else torch.ones(23, 1)
        assert torch.equal(found, known * weight.double())


def test_a_key_is_that_of_the_content():
    keys = [numbered_rows(incomplete=incomplete).key() for incomplete in (False, True, False)]
    assert keys[0] == keys[2] != keys[1]
    changed = numbered_rows()
    changed.values["table"][4, 1] = -1
    assert changed.key() != keys[0]


def test_a_subset_holds_its_rows_alone():
    rows = Batch({"table": torch.arange(5.0)[:, None]})
    subset = Subset(rows, torch.tensor([4, 1]))
    assert len(subset) == 2
    assert subset[0].values["table"].tolist() == [[4.0]]
    assert len(Subset(rows)) == 5


def test_rows_go_to_a_device_whole():
    rows = numbered_rows(incomplete=True, weights=True)
    assert rows.to(rows.device) is rows
    there = rows.to(torch.device("meta"))
    assert there.device.type == "meta"
    assert list(there.measured) == list(rows.measured)
    for moved, tensor in zip(there.tensors(), rows.tensors(), strict=True):
        assert (moved.device.type, moved.shape) == ("meta", tensor.shape)
    bare = Batch({"table": torch.zeros(3, 2)}).to(torch.device("meta"))
    assert (bare.measured, bare.target, bare.labelled, bare.weight) == ({}, None, None, None)


def kinds():
    """Give rows of two blocks; of the first row only a part of one was measured."""
    values = {"a": torch.zeros(4, 3), "b": torch.zeros(4, 2)}
    measured = {
        "a": torch.tensor([[0, 1, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0]]).bool(),
        "b": torch.tensor([[0, 0], [1, 1], [1, 0], [0, 0]]).bool(),
    }
    return Batch(values, measured)


def test_a_row_has_a_block_of_which_anything_was_measured():
    rows = kinds()
    assert rows.presence("a").tolist() == [[True], [True], [False], [False]]
    assert rows.presence("b").tolist() == [[False], [True], [True], [False]]
    assert rows.has("b").tolist() == [False, True, True, False]
    del rows.measured["b"]
    assert rows.presence("b") is None
    assert rows.has("b").tolist() == [True] * 4


def test_shares_of_the_blocks_of_a_row_are_1_in_all():
    rows = kinds()
    shares = rows.shares(["a", "b"])
    assert shares["a"].tolist() == [[1.0], [0.5], [0.0], [0.0]]
    assert shares["b"].tolist() == [[0.0], [0.5], [1.0], [0.0]]
    assert rows.shares(["b"])["b"].tolist() == [[0.0], [1.0], [1.0], [0.0]]
    del rows.measured["b"]
    assert rows.shares(["a", "b"])["b"].tolist() == [[0.5], [0.5], [1.0], [1.0]]
    assert shares["a"].dtype == torch.float32


# -- rows of several lengths


def sets(lengths=(2, 0, 3, 1)):
    """Give rows with sets, whose entries hold the number of their row."""
    lengths = np.array(lengths)
    own = Ragged(
        {"row": np.repeat(np.arange(len(lengths)), lengths)}, np.cumsum(lengths) - lengths, lengths
    )
    blocks = {
        "atoms": Encoded(np.zeros((len(lengths), 2)), None, {"atoms": own}),
        "table": Encoded(np.arange(len(lengths), dtype=float)[:, None], None),
    }
    return Batch.from_arrays(blocks, None, None, torch.device("cpu"))


def rows_of(batch):
    """Give the numbers of the rows, by their sets and by their table."""
    gathered = batch.ragged["atoms"]["atoms"].gather()
    number = gathered.columns["row"].tolist()
    return number, batch.values["table"][gathered.row, 0].tolist()


@pytest.mark.parametrize(
    "rows", [slice(None), slice(2, 4), torch.tensor([3, 0, 3]), [2], [1]], ids=str
)
def test_sets_go_with_their_rows(rows):
    batch = sets()[rows]
    assert list(batch.ragged) == ["atoms"]
    assert len(batch.ragged["atoms"]["atoms"]) == len(batch)
    number, expected = rows_of(batch)
    assert number == expected
    again = batch[torch.arange(len(batch)).flip(0)]
    assert rows_of(again)[0] == rows_of(again)[1]
    subset = Subset(sets(), torch.tensor([2]))
    assert rows_of(subset[0])[0] == [2, 2, 2]


def test_sets_are_part_of_the_content():
    assert sets().key() == sets().key()
    assert sets((2, 0, 3, 1)).key() != sets((2, 1, 2, 1)).key()
    changed = sets()
    changed.ragged["atoms"]["atoms"].columns["row"][0] = 7
    assert changed.key() != sets().key()
    assert sets().n_bytes > sum(t.nbytes for t in sets().values.values())


def test_sets_go_to_a_device():
    there = sets().to(torch.device("meta"))
    assert {t.device.type for t in there.tensors() if t is not None} == {"meta"}
    assert sets().to(torch.device("cpu")).ragged
