"""A table to blocks of arrays and back."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from cases.tables import EPS, encode, numbers, round_trip, rounding, with_missing
from pandas.testing import assert_frame_equal

from sknestedae._tables._codec import TabularCodec
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._layout import DEFAULT_BLOCK, Layout


@pytest.mark.parametrize(
    "columns",
    [
        pd.Index([3, 1, 2], name="number"),
        pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")], names=["scale", None]),
        pd.Index([("a", "x"), ("a", "y"), ("b", "x")], tupleize_cols=False),
        pd.Index(["same", "same", "other"]),
    ],
)
def test_round_trip_of_column_labels(columns):
    X = pd.DataFrame([[1, "x", True], [2, "y", False]], columns=columns)
    assert_frame_equal(round_trip(X), X)


def test_round_trip_of_missing_entries_gives_means_and_frequent_categories():
    X = pd.DataFrame(
        {
            "n": pd.array([1, 3, None], "Int64"),
            "f": [1.0, 3.0, np.nan],
            "w": pd.Categorical(["x", "x", None], categories=["x", "y"]),
            "b": pd.array([False, False, None], "boolean"),
        }
    )
    filled = X.fillna({"n": 2, "f": 2.0, "w": "x", "b": False})
    assert_frame_equal(round_trip(X), filled)


def test_array_comes_back_as_array():
    X = numbers()
    found = round_trip(X)
    assert found.dtype == X.dtype
    assert (np.abs(found - X) <= rounding(X)).all()
    np.testing.assert_array_equal(
        round_trip(X[:, :1] // 0.01, categorical_features=[0]), X[:, :1] // 0.01
    )


def test_array_of_objects():
    X = np.array([[1, "x", 3.5], [2, "y", None], [4, "x", 0.5]], dtype=object)
    encoder, (_, measured, _) = encode(X, categorical_features=[1])
    assert encoder.layouts == {DEFAULT_BLOCK: Layout(2, (2,))}
    assert measured.tolist() == [[True] * 3, [True, False, True], [True] * 3]
    found = round_trip(X, categorical_features=[1])
    assert found.dtype == object
    assert found[:, 1].tolist() == ["x", "y", "x"]
    np.testing.assert_allclose(found[:, 2].astype(float), [3.5, 2.0, 0.5], atol=8 * EPS * 4)
    with pytest.raises(TypeError, match="Column 1 is numeric and must hold numbers; it holds 'x'"):
        TableEncoder([2]).fit(X)


def test_input_is_left_alone():
    X = with_missing(numbers())
    frame = pd.DataFrame(X, columns=list("abc")).assign(word="x")
    before, frame_before = X.copy(), frame.copy()
    round_trip(X)
    round_trip(frame)
    np.testing.assert_array_equal(X, before)
    assert_frame_equal(frame, frame_before)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["float32", "float32"], "float32"),
        (["float16", "float32"], "float32"),
        (["float32", "float64"], "float64"),
        (["float32", "int8"], "float64"),
        (["float32", "category"], "float32"),
        (["category", "category"], "float64"),
    ],
)
def test_float_dtype_follows_the_numeric_columns(dtypes, expected):
    X = pd.DataFrame({i: pd.Series([1, 2]).astype(dtype) for i, dtype in enumerate(dtypes)})
    encoder, (values, *_) = encode(X)
    assert encoder.dtype == values.dtype == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_array_keeps_its_float_dtype(dtype):
    X = numbers().astype(dtype)
    _, (values, *_) = encode(X)
    assert values.dtype == round_trip(X).dtype == dtype


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("blocks", [(), [("most", TabularCodec, range(19))]])
def test_transform_needs_one_copy(frame, blocks):
    X = np.random.default_rng(0).random((200_000, 20), dtype=np.float32)
    n_bytes = X.nbytes
    X = pd.DataFrame(X) if frame else X
    encoder = TableEncoder(blocks=blocks).fit(X)
    tracemalloc.start()
    try:
        encoder.transform(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_bytes <= peak <= 1.25 * n_bytes


TABLE = pd.DataFrame({"a": [1, 2, 1], "b": [0.5, 1.5, 2.5], "c": ["x", "y", "x"]})


@pytest.mark.parametrize(
    "categorical_features",
    [
        ["a", "c"],
        ("c", "a"),
        pd.Index(["a", "c"]),
        [0, 2],
        [0, -1],
        np.array([0, 2]),
        [True, False, True],
        np.array([True, False, True]),
        pd.Series([True, False, True]),
    ],
)
def test_categorical_features_by_name_index_or_mask(categorical_features):
    encoder = TableEncoder(categorical_features).fit(TABLE)
    assert encoder.columns == {DEFAULT_BLOCK: ([1], [0, 2])}
    assert_frame_equal(round_trip(TABLE, categorical_features=categorical_features), TABLE)


@pytest.mark.parametrize(
    ("categorical_features", "message"),
    [
        (["a", "zz"], r"'categorical_features' parameter names the column 'zz'; X has columns"),
        ([3], r"names the column 3; X has columns"),
        ([-4], r"names the column -4"),
        ([1.0], r"names the column 1.0"),
        ([None], r"names the column None"),
        ([True], r"is a mask of 1 columns, but X has 3"),
        (np.ones(4, bool), r"is a mask of 4 columns, but X has 3"),
        (3.5, r"must give columns as names, indices or a mask, got 3.5"),
    ],
)
def test_bad_categorical_features_raise(categorical_features, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder(categorical_features).fit(TABLE)


def test_none_and_from_dtype():
    assert TableEncoder("from_dtype").fit(TABLE).columns == {DEFAULT_BLOCK: ([0, 1], [2])}
    assert TableEncoder(None).fit(TABLE[["a", "b"]]).columns == {DEFAULT_BLOCK: ([0, 1], [])}
    assert TableEncoder([]).fit(TABLE[["a", "b"]]).columns == {DEFAULT_BLOCK: ([0, 1], [])}
    assert TableEncoder("from_dtype").fit(numbers()).columns == {DEFAULT_BLOCK: ([0, 1, 2], [])}
    with pytest.raises(TypeError, match="Column 'c' is numeric and must hold numbers"):
        TableEncoder(None).fit(TABLE)


def test_labels_go_before_positions():
    X = pd.DataFrame([[1, 2.5], [3, 4.5]], columns=[1, 0])
    assert TableEncoder([1]).fit(X).columns == {DEFAULT_BLOCK: ([1], [0])}


def test_blocks_hold_their_columns_and_the_rest_is_the_table():
    encoder = TableEncoder(blocks=[("second", TabularCodec, ["c", "b"])]).fit(TABLE)
    assert encoder.columns == {"second": ([1], [2]), DEFAULT_BLOCK: ([0], [])}
    blocks = encoder.transform(TABLE)
    whole = TableEncoder().fit(TABLE).transform(TABLE)[DEFAULT_BLOCK].values
    np.testing.assert_array_equal(blocks[DEFAULT_BLOCK].values, whole[:, [0]])
    np.testing.assert_array_equal(blocks["second"].values, whole[:, 1:])
    assert_frame_equal(round_trip(TABLE, blocks=[("second", TabularCodec, ["c", "b"])]), TABLE)


def test_blocks_of_all_columns_leave_no_table():
    encoder = TableEncoder(blocks=[("x", TabularCodec, [0]), ("y", TabularCodec, [1, 2])]).fit(
        numbers()
    )
    assert list(encoder.layouts) == ["x", "y"]


def test_block_without_columns_raises():
    with pytest.raises(ValueError, match="'blocks' parameter gives no column to 'x'"):
        TableEncoder(blocks=[("x", TabularCodec, [False, False, False])]).fit(TABLE)


def test_overlapping_blocks_raise():
    with pytest.raises(ValueError, match="'blocks' parameter gives column 'b' to both 'x' and"):
        TableEncoder(blocks=[("x", TabularCodec, ["a", "b"]), ("y", TabularCodec, [1])]).fit(TABLE)


@pytest.mark.parametrize("standardize", [False, True])
def test_affine_is_of_columns_wherever_they_stand(standardize):
    X = TABLE[["c", "b", "a"]]
    encoder = TableEncoder(standardize=standardize, blocks=[("last", TabularCodec, ["a"])]).fit(X)
    mean, scale = encoder.affine([2, 0, 1])
    own = X[["a", "b"]].to_numpy()
    expected = [own.mean(axis=0), own.std(axis=0)] if standardize else [[0, 0], [1, 1]]
    np.testing.assert_allclose([mean[[0, 2]], scale[[0, 2]]], expected)
    assert (mean[1], scale[1]) == (0, 1)  # a category


@pytest.mark.parametrize("cell_shape", [(), (3, 1)])
def test_an_encoder_is_made_anew_of_its_state(cell_shape):
    blocks = [("second", TabularCodec, ["c", "b"])]
    encoder = TableEncoder(blocks=blocks, cell_shape=cell_shape).fit(TABLE)
    makers = {"second": TabularCodec, DEFAULT_BLOCK: TabularCodec}
    for again in (
        TableEncoder.from_state(encoder.to_state()),
        TableEncoder.from_state(encoder.to_state(), makers),
    ):
        assert (again.layouts, again.columns, again.dtype) == (
            encoder.layouts,
            encoder.columns,
            encoder.dtype,
        )
        for name, codec in encoder.codecs.items():
            ours, theirs = again.codecs[name].columns, codec.columns
            assert (ours.positions, ours.cell_shape) == (theirs.positions, cell_shape)
            assert ours.labels is again.column_labels
        blocks = again.transform(TABLE)
        for name, block in encoder.transform(TABLE).items():
            np.testing.assert_array_equal(blocks[name].values, block.values)
        decoded = {name: block.values for name, block in blocks.items()}
        assert_frame_equal(again.inverse_transform(decoded), TABLE)


def test_a_block_has_the_codec_that_it_makes():
    """With its columns, and what the user said of the table."""
    seen = {}

    def make(columns):
        seen["columns"] = columns
        return TabularCodec(columns)

    settings = {"standardize": False, "cell_shape": (3,)}
    encoder = TableEncoder(["a", "c"], blocks=[("x", make, ["c", "b"])], **settings).fit(TABLE)
    own = seen["columns"]
    assert (own.positions, own.categorical) == ([1, 2], (0, 2))
    assert (own.standardize, own.cell_shape) == (False, (3,))
    assert own.labels is encoder.column_labels
    assert encoder.columns == {"x": ([1], [2]), DEFAULT_BLOCK: ([], [0])}


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["float32", "float32", "category"], "float32"),
        (["float32", "float64", "category"], "float64"),
        (["float64", "float32", "category"], "float64"),
        (["category", "category", "category"], "float64"),
        (["float32", "category", "category"], "float32"),
    ],
)
def test_blocks_have_one_dtype(dtypes, expected):
    X = pd.DataFrame({i: pd.Series([1, 2]).astype(dtype) for i, dtype in enumerate(dtypes)})
    encoder = TableEncoder(blocks=[("x", TabularCodec, [1])]).fit(X)
    assert encoder.dtype == expected
    assert {block.values.dtype for block in encoder.transform(X).values()} == {np.dtype(expected)}


def test_an_error_names_the_block_that_it_is_about():
    X = TABLE[["a", "b"]].astype(float)
    bad = X.assign(b=[0.5, np.inf, 2.5])
    encoder = TableEncoder(blocks=[("second", TabularCodec, ["b"])])
    message = r"^In the block 'second': Column 'b' contains infinity"
    with pytest.raises(ValueError, match=message) as caught:
        encoder.fit(bad)
    assert type(caught.value.__cause__) is ValueError
    with pytest.raises(ValueError, match=message):
        encoder.fit(X).transform(bad)
    dates = X.assign(b=pd.Timestamp(0))
    with pytest.raises(TypeError, match=r"^In the block 'second': Column 'b'"):
        encoder.fit(dates)
    with pytest.raises(ValueError, match=r"^Column 'a' contains infinity"):  # of the rest
        encoder.fit(X.assign(a=np.inf))


def test_an_error_of_another_class_stays_what_it_is():
    class OfAUser(ValueError):
        pass

    class Refuses(TabularCodec):
        def encode(self, X):
            raise OfAUser("no such rows", 3)

    encoder = TableEncoder(blocks=[("second", Refuses, ["b"])]).fit(TABLE)
    with pytest.raises(OfAUser) as caught:
        encoder.transform(TABLE)
    assert caught.value.args == ("no such rows", 3)


class CellCodec(TabularCodec):
    """Columns of cells that hold two numbers each."""

    def prepare(self, X):
        self.numeric = [j for j in self.columns.positions for _ in range(2)]
        return np.dtype(np.float64)

    def fit(self, X, dtype, rows=None, sample_weight=None):
        self.dtype, n = dtype, len(self.numeric)
        self.mean, self.scale = np.full(n, 7.0), np.full(n, 2.0)
        return self


def test_cells_of_several_numbers_have_no_scale_of_their_column():
    X = np.ones((3, 3))
    encoder = TableEncoder(blocks=[("cells", CellCodec, [1])]).fit(X)
    assert encoder.keeps_objects
    mean, scale = encoder.affine([1])
    assert (mean.tolist(), scale.tolist()) == ([0], [1])
    assert not TableEncoder(blocks=[("x", TabularCodec, [1])]).fit(X).keeps_objects
    assert TableEncoder().fit(TABLE).keeps_objects
