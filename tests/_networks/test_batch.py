"""Rows as tensors: slices, entries' weights, keys."""

from __future__ import annotations

import pytest
import torch
from cases.training import numbered_rows

from sknestedae._networks._batch import Batch, Subset


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
