"""Tests of what the displays read of a table of several kinds."""

import numpy as np
import pandas as pd
import pytest
from cases.arrays import ENERGY
from cases.kinds import KINDS, make_dual, make_kinds
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknestedae.blocks import SpectrumBlock
from sknestedae.plotting._kinds import Kinds


@pytest.fixture(scope="module")
def data():
    return make_kinds()


@pytest.fixture(scope="module")
def dual(data):
    return make_dual().fit(data[0])


def test_rows_of_each_kind(dual, data):
    X, present = data
    table = Kinds.read(dual, X, "caller")
    assert sorted(table.columns) == KINDS
    assert sorted(table.arrays) == ["image", "spectrum"]
    for name in KINDS:
        assert_array_equal(table.present(name), present[name])
        Z = table.latents(name)
        assert_array_equal(~np.isnan(Z).any(axis=1), present[name])
        assert_allclose(Z[present[name]], dual.transform(X[present[name]], block=name))


def test_an_array_of_numbers_is_read_as_the_table(data):
    X, present = data
    numbers = X.to_numpy()
    blocks = [("spectrum", SpectrumBlock(n_channels=(2,), kernel_size=3), slice(30, 54))]
    dual = make_dual().set_params(blocks=blocks).fit(numbers)
    table = Kinds.read(dual, numbers, "caller")
    assert_array_equal(table.present("spectrum"), present["spectrum"])
    assert_array_equal(table.present("table"), present["image"] | present["table"])
    assert table.axis("spectrum") is None


def test_translations_of_rows_that_have_both(dual, data):
    X, present = data
    table = Kinds.read(dual, X, "caller")
    both = present["image"] & present["spectrum"]
    found = table.translated("image", "spectrum", average_poses=True)
    assert_array_equal(~np.isnan(found).any(axis=1), both)
    assert_allclose(found[both], dual.translate(X[both], "image", "spectrum"))
    assert_allclose(table.axis("spectrum"), ENERGY)


def test_steps_before_the_estimator(dual, data):
    X = data[0]
    flipped = X.iloc[:, ::-1]
    back = FunctionTransformer(lambda table: table.iloc[:, ::-1])
    steps = make_pipeline(back, dual)
    plain, behind = Kinds.read(dual, X, "caller"), Kinds.read(steps, flipped, "caller")
    assert_allclose(behind.latents("image"), plain.latents("image"))


def test_cells_that_hold_arrays(data):
    X, present = data
    cells = pd.DataFrame({"image": list(X["image"].to_numpy().reshape(-1, 5, 6))})
    cells["spectrum"] = list(X["spectrum"].to_numpy())
    cells["image"] = cells["image"].where(present["image"], None)  # or arrays of missing values
    dual = make_dual().set_params(blocks="auto").fit(cells)
    table = Kinds.read(dual, cells, "caller")
    for name in ("image", "spectrum"):
        assert_array_equal(table.present(name), present[name])
    both = present["image"] & present["spectrum"]
    found = table.translated("spectrum", "image", average_poses=True)
    expected = dual.translate(cells[both], "spectrum", "image")["image"]
    assert_allclose(found[both], np.stack(expected.to_list()).reshape(both.sum(), -1))


def test_errors_of_kinds(dual, data):
    X, present = data
    table = Kinds.read(dual, X, "caller")
    with pytest.raises(ValueError, match=r"'source' parameter must name kinds .* got 'picture'"):
        table.check("picture", "source")
    with pytest.raises(ValueError, match=r"got \['image'\]"):
        table.check(["image"], "source")
    lacking = Kinds.read(dual, X[~present["image"]], "caller")
    with pytest.raises(ValueError, match="No row of X has the kind 'image'"):
        lacking.latents("image")
    with pytest.raises(ValueError, match="No row of X has both kinds, 'image' and 'spectrum'"):
        lacking.translated("image", "spectrum", average_poses=True)
    numbers = X["spectrum"].to_numpy()
    with pytest.raises(ValueError, match=r"whole table, with the \d+ columns .* got the shape \("):
        Kinds.read(dual, numbers, "caller")
    with pytest.raises(TypeError, match="of caller must have translate and blocks_; PCA does not"):
        Kinds.read(PCA(), X, "caller")
    with pytest.raises(TypeError, match=r"of caller must be one table, got 2 .* stack_kinds"):
        Kinds.read(dual, [X["image"], X["spectrum"]], "caller")
