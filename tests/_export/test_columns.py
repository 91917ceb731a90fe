"""Columns of a table as one tensor, and what the blocks of a network make of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal

from sknestedae._export._columns import UNKNOWN, BlockInput, TensorColumns, refusal_of
from sknestedae._tables._codec import TabularCodec
from sknestedae._tables._encoder import TableEncoder
from sknestedae.exceptions import UnseenCategoryWarning


def table():
    return pd.DataFrame(
        {
            "radius": [1.0, np.nan, 4.0, 3.0],
            "phase": ["cubic", "hexagonal", None, "cubic"],
            "spectrum": [[1.0, 2.0], None, [3.0, np.nan], [0.0, 1.0]],
            "mass": [5.0, 6.0, 8.0, 7.0],
        }
    )


def encoder_of(X, **settings):
    return TableEncoder(**settings).fit(X)


def columns_of(X, **stages):
    labels = TableEncoder().fit(X[["radius", "phase", "mass"]]).column_labels
    tables = [encoder_of(X[["radius", "phase", "mass"]].iloc[:, own]) for own in stages.values()]
    return TensorColumns.of(labels, stages, tables)


def test_a_category_is_its_position_and_what_is_missing_is_nan():
    X = table()[["radius", "phase", "mass"]]
    columns = columns_of(X, all=[0, 1, 2])
    assert columns.names() == ["radius", "phase", "mass"]
    assert columns.categories_by_name() == {"phase": ["cubic", "hexagonal"]}
    expected = [[1, 0, 5], [np.nan, 1, 6], [4, np.nan, 8], [3, 0, 7]]
    assert_array_equal(columns.read(X), np.array(expected, dtype=float))


def test_what_is_no_category_has_a_code_of_its_own():
    X = table()[["radius", "phase", "mass"]]
    columns = columns_of(X, all=[0, 1, 2])
    with pytest.warns(UnseenCategoryWarning, match="'liquid'"):
        codes = columns.read(X.assign(phase=["liquid", None, "cubic", "cubic"]))[:, 1]
    assert_array_equal(codes, [UNKNOWN, np.nan, 0, 0])


def test_columns_of_no_stage_are_left_out_and_places_count_the_others():
    X = table()[["radius", "phase", "mass"]]
    columns = columns_of(X, last=[2], first=[1])
    assert columns.names() == ["phase", "mass"]
    assert columns.places(2) == [1]
    assert columns.read(X.assign(radius="words")).shape == (4, 2)


def test_stages_that_know_other_categories_of_a_column_share_its_codes():
    X = table()[["radius", "phase", "mass"]]
    labels = encoder_of(X).column_labels
    tables = [encoder_of(X.iloc[:1, [1]]), encoder_of(X.iloc[:, [1]])]
    columns = TensorColumns.of(labels, {"a": [1], "b": [1]}, tables)
    assert columns.categories_by_name() == {"phase": ["cubic", "hexagonal"]}
    assert_array_equal(columns.read(X), [[0], [1], [np.nan], [0]])


def test_a_column_is_of_one_kind_in_all_stages():
    X = pd.DataFrame({"year": [2000.0, 2001.0, 2002.0]})
    tables = [encoder_of(X), encoder_of(X, categorical_features=["year"])]
    with pytest.raises(ValueError, match=r"Column 'year' holds numbers in one stage and categ"):
        TensorColumns.of(tables[0].column_labels, {"a": [0], "b": [0]}, tables)


@pytest.mark.parametrize("standardize", [True, False])
def test_the_values_of_a_block_are_those_of_its_codec(standardize):
    X = table()[["radius", "phase", "mass"]]
    encoder = encoder_of(X, standardize=standardize)
    (codec,) = encoder.codecs.values()
    columns = TensorColumns.of(encoder.column_labels, {"": [0, 1, 2]}, [encoder])
    block = BlockInput(codec, [0, 2], [(1, np.array([0, 1]))])
    values, measured = block(torch.from_numpy(columns.read(X)))
    expected = codec.encode(X)
    assert_array_equal(values, expected.values)  # the same operations on each entry alone
    assert_array_equal(measured, expected.measured)


def test_what_another_codec_reads_is_refused():
    class Squared(TabularCodec):
        def encode(self, X):
            encoded = super().encode(X)
            return encoded._replace(values=encoded.values**2)

    (codec,) = encoder_of(table()[["mass"]]).codecs.values()
    assert refusal_of(codec) is None
    assert "read by a Squared, which is not written in torch" in refusal_of(Squared(codec.columns))


def test_a_cell_must_hold_an_array_of_the_shape_of_fit():
    X = table()[["mass"]]
    columns = TensorColumns(encoder_of(table()[["mass"]]).column_labels, {}, {0: (2,)}, {"": [0]})
    assert columns.names() == ["mass[0]", "mass[1]"]
    X["mass"] = [[1.0, 2.0], None, [3.0, np.nan], [0.0, 1.0]]
    expected = [[1, 2], [np.nan, np.nan], [3, np.nan], [0, 1]]
    assert_array_equal(columns.read(X), np.array(expected, dtype=float))
    X["mass"] = [[1.0, 2.0], None, [3.0, np.nan, 4.0], [0.0, 1.0]]
    message = r"'mass' has an array of shape \(3,\) in row 2; it must have the shape \(2,\)"
    with pytest.raises(ValueError, match=message):
        columns.read(X)
