"""Batches of many networks: whose rows, in which order, with which weights."""

from __future__ import annotations

import numpy as np
import torch
from numpy.testing import assert_array_equal

from sknestedae._networks._batch import Batch, Subset
from sknestedae._training._vectorized_batches import BatchSampler, gather


def test_orders_hold_each_row_once_an_epoch():
    subset = Subset(Batch({"table": torch.zeros(30, 1)}), torch.arange(0, 30, 3))
    sampler = BatchSampler(subset, seed=0, first_epoch=0, shuffle=True, batch_size=4)
    assert (sampler.n_rows, sampler.n_batches) == (10, 3)
    generator = torch.Generator()
    whole = np.empty((6, 4), dtype=np.int64)
    sampler.fill(whole, 0, generator)
    for epoch in (whole[:3], whole[3:]):
        assert sorted(epoch[epoch >= 0]) == list(range(0, 30, 3))
        assert (epoch[2] >= 0).sum() == 2
    assert not np.array_equal(whole[:3], whole[3:])
    for step in range(5):  # whatever the part, also across the end of an epoch
        part = np.empty((2, 4), dtype=np.int64)
        sampler.fill(part, step, generator)
        assert_array_equal(part, whole[step : step + 2])


def test_gather_fills_what_a_table_lacks_with_ones():
    plain = Batch({"table": torch.arange(3.0)[:, None]})
    weighted = Batch({"table": torch.arange(10.0, 12)[:, None]}, weight=torch.tensor([[2.0], [3]]))
    index = np.array([[2, 0], [1, -1]])
    rows = gather([plain, weighted], index)
    assert rows.values["table"][..., 0].tolist() == [[2, 0], [11, 10]]
    assert rows.weight[..., 0].tolist() == [[1, 1], [3, 0]]
    assert gather([plain, plain], index[[0, 0]]).weight is None
