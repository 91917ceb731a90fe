"""Columns of candidates: what known rows say of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.design import (
    SIDE,
    TINY,
    a_chain_with_arrays,
    arrays,
    table_of_arrays,
    with_arrays,
    with_structures,
)
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import SupervisedAutoencoder
from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae.blocks import ImageBlock
from sknestedae.design._columns import CandidateColumns
from sknestedae.design._design import candidate_columns


def test_scales_are_standard_deviations_and_1_of_constants():
    X = pd.DataFrame({"small": [0, 1e-200, 2e-200], "large": [0, 1e200, 2e200], "same": 0.1})
    assert np.std(np.full(3, 0.1)) > 0  # by rounding
    assert_allclose(
        CandidateColumns(X, {}).scale, [np.sqrt(2 / 3) * 1e-200, np.sqrt(2 / 3) * 1e200, 1]
    )


def test_ranges_and_whole_numbers_are_those_of_the_known_rows():
    X = pd.DataFrame({"on": [True, False], "a": [0.5, 1.0], "n": [3, 1], "kind": ["p", "q"]})
    columns = CandidateColumns(X, {3: np.array(["p", "q"], dtype=object)})
    assert columns.numeric == [0, 1, 2]
    assert_array_equal(columns.is_integer, [True, False, True, False])
    assert_array_equal(columns.low, [0, 0.5, 1, np.nan])
    assert_array_equal(columns.high, [1, 1, 3, np.nan])


def test_a_column_of_no_stage_has_no_position():
    columns = CandidateColumns(pd.DataFrame({"a": [1.0], "b": [2.0]}), {}, used=[1])
    assert columns.n_columns == 1
    assert columns.position("b", "fixed") == 1
    with pytest.raises(ValueError, match="'fixed' parameter names column 'a', which no stage has"):
        columns.position("a", "fixed")


# ---------------------------------------------------------------------------------------------
# Arrays


def columns_of(make=with_arrays):
    estimator, X, _ = make()
    return candidate_columns(DifferentiableChain(estimator), X), X


def test_an_array_is_one_column_beside_numbers_and_categories():
    columns, _ = columns_of()
    assert columns.numeric == [0]
    assert list(columns.arrays) == ["image", "spectrum"]
    assert columns.n_columns == 4
    image = columns.arrays["image"]
    assert (image.positions, image.shape, image.has_cells) == ([1], (SIDE, SIDE), True)


def test_arrays_are_as_far_apart_as_their_entries_on_average():
    """In units of the root mean square of the entries' standard deviations."""
    columns, X = columns_of()
    images, image = np.stack(list(X["image"])).astype(float), columns.arrays["image"]
    values = image.encode(image.take(X)).values
    unit = np.sqrt(images.var(axis=0).mean())
    step = (values[1:] - values[0]) * image.weight
    expected = np.sqrt(((images[1:] - images[0]) ** 2).mean(axis=(1, 2))) / unit
    assert_allclose(np.linalg.norm(step, axis=1), expected, rtol=1e-5)


def test_the_rows_of_arrays_come_back_whatever_holds_them():
    images, _, _ = arrays()
    pixels = (255 * images).astype(np.uint8)
    block = ImageBlock(n_channels=(2,))
    tables = {
        "cells": pd.DataFrame({"image": list(pixels)}),
        "numbers": pd.DataFrame(pixels.reshape(len(pixels), -1)),
        "floats": pd.DataFrame(images.reshape(len(images), -1)),
    }
    for name, X in tables.items():
        estimator = SupervisedAutoencoder(2, **TINY, blocks=[("image", block, list(X))]).fit(X)
        columns = candidate_columns(DifferentiableChain(estimator), X)
        own = columns.arrays["image"]
        assert own.is_rounded == (name != "floats")
        rows = own.take(X)
        values = own.encode(rows).values
        if own.is_rounded:
            values = values + 0.4 / own.codec.affine()[1]
        decoded = own.decode(values.astype(np.float32))
        assert decoded.shape == rows.shape
        for given, found in zip(rows.ravel(), decoded.ravel(), strict=True):
            assert_allclose(found, given, rtol=1e-5, atol=1e-6)


def test_decoded_arrays_stay_in_the_range_of_each_entry():
    columns, X = columns_of()
    own = columns.arrays["spectrum"]
    values = torch.from_numpy(own.encode(own.take(X)).values)
    assert torch.equal(own.clamp(values), values)
    clamped = own.clamp(values * 9)
    assert torch.equal(clamped.max(dim=0).values, values.max(dim=0).values)
    assert torch.equal(clamped.min(dim=0).values, values.min(dim=0).values)


def test_arrays_are_named_by_block_by_stage_and_by_column():
    columns, _ = columns_of(a_chain_with_arrays)
    assert list(columns.arrays) == ["a__shape", "b__shape"]
    for key in ("a__shape", "image", 1):
        assert columns.array(key, "fixed") is columns.arrays["a__shape"]
    for key in ("u", "nothing", ["u", "image"]):
        assert columns.array(key, "fixed") is None
    one, _ = columns_of()
    assert one.array("spectrum", "fixed") is one.arrays["spectrum"]
    assert one.owner("spectrum", "library") is one.arrays["spectrum"]
    assert one.owner("u", "library") is None
    with pytest.raises(ValueError, match="'bounds' parameter names 'image', which is of the bl"):
        one.position("image", "bounds")
    with pytest.raises(ValueError, match=r"'imag'; X has .*\. The blocks of arrays are 'image',"):
        one.position("imag", "fixed")
    with pytest.raises(ValueError, match="names 'u', which is no block of arrays"):
        one.known_array("u", "library")
    with pytest.raises(ValueError, match="There are no blocks of arrays"):
        CandidateColumns(pd.DataFrame({"u": [1.0]}), {}).known_array("u", "library")


def test_a_label_of_a_column_goes_before_the_name_of_a_block():
    X, _ = table_of_arrays()
    X = X[["u", "image"]].rename(columns={"u": "shape"})
    block = [("shape", ImageBlock(n_channels=(2,)), "image")]
    estimator = SupervisedAutoencoder(2, **TINY, blocks=block).fit(X)
    columns = candidate_columns(DifferentiableChain(estimator), X)
    assert columns.array("shape", "fixed") is None
    assert columns.position("shape", "fixed") == 0
    assert columns.array("image", "fixed") is columns.arrays["shape"]


# ---------------------------------------------------------------------------------------------
# Structures of atoms


def test_structures_are_a_stock():
    """None can be invented: candidates have one of the known rows, or of a library."""
    columns, X = columns_of(with_structures)
    own = columns.arrays["crystal"]
    assert (own.is_stocked, own.is_rounded, own.has_cells) == (True, False, True)
    assert all(a is b for a, b in zip(own.stock[:, 0], X["structure"], strict=True))
    assert_array_equal(own.values_of_stock, own.encode(own.take(X)).values)
    more = own.take(X.iloc[[3, 5]])
    assert own.add_to_stock(more) == len(X)
    assert len(own.stock) == len(own.values_of_stock) == len(X) + 2
    assert_array_equal(own.values_of_stock[len(X) :], own.values_of_stock[[3, 5]])
    images, _ = columns_of()
    assert not images.arrays["image"].is_stocked
    assert not len(images.arrays["image"].stock)
