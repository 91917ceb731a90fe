"""Numbers and categories of one block to an array and back."""

import numpy as np
import pandas as pd
import pytest
from cases.tables import EPS, encode, numbers, round_trip, rounding, with_missing
from sklearn.preprocessing import StandardScaler

from sknestedae._tables._base_codec import BlockColumns
from sknestedae._tables._codec import TabularCodec
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._labels import ColumnLabels
from sknestedae._tables._layout import DEFAULT_BLOCK
from sknestedae._tables._splits import CHUNK_ROWS


def learn(X, rows=None, weight=None, **settings):
    """Fit a codec on a table whose columns are all numbers."""
    columns = BlockColumns(list(range(X.shape[1])), ColumnLabels.of(X), **settings)
    codec = TabularCodec(columns)
    codec.prepare(X)
    return codec.fit(X, np.dtype(float), rows, weight)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_standardises_as_standard_scaler_does(weighted, missing, subset):
    X = with_missing(numbers()) if missing else numbers()
    rng = np.random.default_rng(2)
    weight = rng.uniform(0.5, 2, len(X)) if weighted else None
    rows = rng.permutation(len(X))[:40] if subset else None
    used = np.arange(len(X)) if rows is None else rows
    scaler = StandardScaler().fit(X[used], sample_weight=weight[used] if weighted else None)

    values, measured = learn(X, rows, weight).encode(X)[:2]

    # An error of the mean, of the size of rounding, is divided by the column's scale.
    bound = rounding(X, 2 * len(X)) / scaler.scale_
    expected = np.nan_to_num(scaler.transform(X))  # NaN enters as the mean, which is 0
    assert (np.abs(values - expected) <= bound * (1 + np.abs(expected))).all()
    if missing:
        np.testing.assert_array_equal(measured, ~np.isnan(X))
    else:
        assert measured is None


def test_integer_weights_equal_repeated_rows():
    X = with_missing(numbers())
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    weighted = learn(X, None, weight.astype(float))
    repeated = learn(np.repeat(X, weight, axis=0))
    bound = rounding(X, 2 * weight.sum())
    assert (np.abs(weighted.mean - repeated.mean) <= bound).all()
    assert (np.abs(weighted.scale - repeated.scale) <= bound).all()


def test_without_standardize_numbers_stay_and_missing_ones_are_means():
    X = with_missing(numbers())
    _, (values, measured, _) = encode(X, standardize=False)
    mean = np.broadcast_to(np.nanmean(X, axis=0), X.shape)
    np.testing.assert_array_equal(values[measured], X[measured])
    assert (
        np.abs(values - mean)[~measured] <= np.broadcast_to(rounding(X, 60), X.shape)[~measured]
    ).all()
    np.testing.assert_array_equal(round_trip(numbers(), standardize=False), numbers())


@pytest.mark.parametrize("n_missing", [0, 3, 5, 7])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_do_not_depend_on_chunks(monkeypatch, n_missing, where, weighted):
    """Chunks of 5 rows; the missing 7 fills one chunk and part of the next."""
    X = numbers(23)
    start = {"first": 0, "middle": 10, "last": 23 - n_missing}[where]
    X[start : start + n_missing, 1] = np.nan
    weight = np.random.default_rng(0).uniform(0.5, 2, 23) if weighted else None
    whole = learn(X, None, weight)
    monkeypatch.setattr("sknestedae._tables._codec.CHUNK_ROWS", 5)
    chunked = learn(X, None, weight)
    bound = rounding(X, 2 * len(X))
    assert (np.abs(chunked.mean - whole.mean) <= bound).all()
    assert (np.abs(chunked.scale - whole.scale) <= bound).all()
    measured = chunked.encode(X).measured
    np.testing.assert_array_equal(
        np.ones_like(X, bool) if measured is None else measured, ~np.isnan(X)
    )


def test_more_rows_than_a_chunk():
    X = with_missing(numbers(CHUNK_ROWS + 11))
    codec = learn(X)
    # Summing n numbers of one size loses at most n eps of it, in practice far less.
    bound = rounding(X, len(X))
    assert (np.abs(codec.mean - np.nanmean(X, axis=0)) <= bound).all()
    assert (np.abs(codec.scale - np.nanstd(X, axis=0)) <= bound).all()


def test_values_too_large_to_standardise_raise():
    encoder = TableEncoder().fit(np.array([[0.0], [1e-150]]))
    with pytest.raises(ValueError, match=r"Column 0 contains infinity or a value too large"):
        encoder.transform(np.array([[1e200]]))
    encoder = TableEncoder().fit(np.array([[0.0], [1.0]], np.float32))
    with pytest.raises(ValueError, match=r"too large for float32 \(first in row 1\)"):
        encoder.transform(np.array([[1.0], [1e200]]))
    with pytest.raises(ValueError, match="Column 'a' holds an integer too large"):
        TableEncoder().fit(pd.DataFrame({"a": [10**400, 1]}))


def test_large_mean_with_large_scale_is_standardised():
    """Each is finite, their product is not."""
    X = np.array([[1e165], [1e165 * (1 + 64 * EPS)]])
    _, (values, *_) = encode(X)
    # The two values are 64 spacings apart, and a mean is rounded to one of them.
    np.testing.assert_allclose(values, [[-1], [1]], atol=1 / 16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_and_the_smallest_numbers(dtype):
    """A difference of the largest is no number, nor is a product that a decoder may ask for."""
    top, least = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    X = np.array([[top, 0], [-top, 40 * least]] + [[-top, 80 * least]] * 3, dtype)
    encoder, (values, *_) = encode(X)
    assert values.dtype == dtype
    # five rows, of which one differs by 5 / 2 standard deviations and the others by -1 / 2
    np.testing.assert_allclose(values[:, 0], [2, *[-0.5] * 4], rtol=8 * np.finfo(dtype).eps)
    # 58, the mean's distance, and 32, the scale, are whole numbers of the smallest
    expected = (np.array([0, 40, 80, 80, 80]) - 56) / 32
    np.testing.assert_allclose(values[:, 1], expected, atol=1 / 32)
    np.testing.assert_allclose(
        encoder.inverse_transform({DEFAULT_BLOCK: values}).astype(np.float64) / 2,
        X.astype(np.float64) / 2,
        rtol=8 * np.finfo(dtype).eps,
        atol=float(least),
    )
    decoded = encoder.inverse_transform({DEFAULT_BLOCK: np.array([[9, 0], [-9, 0]], dtype)})
    assert decoded[:, 0].tolist() == [top, -top]


def test_a_scale_is_never_0():
    """One number of many differs, by twenty of the smallest: a deviation of a fifth of it."""
    X = np.zeros((10_000, 1))
    X[7] = 20 * 5e-324
    _, (values, *_) = encode(X)
    assert values[7] == 20
    assert values.sum() == 20


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("standardize", [False, True])
def test_infinity_raises_with_column_and_row(monkeypatch, sign, frame, standardize):
    monkeypatch.setattr("sknestedae._tables._codec.CHUNK_ROWS", 4)
    X = numbers(10)
    bad = X.copy()
    bad[6, 2] = sign * np.inf
    name = "2"
    if frame:
        X, bad, name = pd.DataFrame(X, columns=list("abc")), pd.DataFrame(bad), "'c'"
        bad.columns = X.columns
    match = rf"Column {name} contains infinity .*\(first in row 6\)"
    with pytest.raises(ValueError, match=match):
        TableEncoder(standardize=standardize).fit(bad)
    with pytest.raises(ValueError, match=match):
        TableEncoder(standardize=standardize).fit(X).transform(bad)


def test_column_without_a_value_raises():
    X = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 4.0]])
    rows = np.array([0, 1])
    with pytest.raises(ValueError, match="Column 1 has no measured value"):
        TableEncoder().fit(X, rows)
    frame = pd.DataFrame({"a": [1, 2], "b": pd.Categorical([None, None], categories=["x"])})
    with pytest.raises(ValueError, match="Column 'b' has no measured value"):
        TableEncoder().fit(frame)
    with pytest.raises(ValueError, match="Column 'b' has no measured value"):
        TableEncoder().fit(frame.assign(b=[None, None]))


@pytest.mark.parametrize(
    ("fitted", "given"),
    [
        ([1.0, 2.0], ["1", "2"]),
        ([1.0, 2.0], ["x", None]),
        ([1.0, 2.0], np.array([1, "x"], object)),
        ([1.0, 2.0], pd.Categorical([1, 2])),
        ([1.0, 2.0], pd.Categorical([True, False])),
        (["x", "y"], [1, 2]),
        (["x", "y"], [True, False]),
        (pd.Categorical(["x", "y"]), [1.0, np.nan]),
        (pd.Categorical([1, 2]), ["x", "y"]),
        ([True, False], ["x", "y"]),
    ],
)
def test_changed_kind_raises(fitted, given):
    encoder = TableEncoder().fit(pd.DataFrame({"a": fitted, "b": [1, 2]}))
    with pytest.raises(TypeError, match=r"Column 'a' (is numeric|was categorical)"):
        encoder.transform(pd.DataFrame({"a": given, "b": [1, 2]}))


@pytest.mark.parametrize(
    ("fitted", "given"),
    [
        ([1, 2], pd.array([1, 2], "Int64")),
        ([1, 2], np.array([1, 2], object)),
        ([True, False], pd.array([True, False], "boolean")),
        ([True, False], [1, 0]),
        ([1, 0], [True, False]),
        ([1, 0], np.array([True, 0], object)),
        (["x", "y"], pd.Categorical(["x", "y"])),
        (pd.Categorical([1, 2]), [1.0, 2.0]),
        (pd.Categorical(["x", "y"], ordered=True), np.array(["x", "y"], object)),
    ],
)
def test_same_values_in_another_dtype_are_the_same(fitted, given):
    fitted, given = pd.DataFrame({"a": fitted}), pd.DataFrame({"a": given})
    encoder = TableEncoder().fit(fitted)
    expected = encoder.transform(fitted)[DEFAULT_BLOCK]
    found = encoder.transform(given)[DEFAULT_BLOCK]
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.measured is None


# -- what encoded values mean


MIXED = pd.DataFrame(
    {"w": ["a", "b", "a", None], "x": [1.0, 2.0, np.nan, 6.0], "y": [0.5, 1.5, 2.5, 5.5]}
)


def fit_mixed(standardize, positions=(0, 1, 2)):
    columns = BlockColumns(list(positions), ColumnLabels.of(MIXED), standardize)
    codec = TabularCodec(columns)
    codec.prepare(MIXED)
    return codec.fit(MIXED, np.dtype(float))


@pytest.mark.parametrize("standardize", [False, True])
def test_affine_is_what_encoding_does_to_numbers(standardize):
    codec = fit_mixed(standardize)
    mean, scale = codec.affine()
    values, measured = codec.encode(MIXED)[:2]
    expected = (MIXED[["x", "y"]].to_numpy() - mean) / scale
    known = measured[:, :2]
    np.testing.assert_allclose(values[:, :2][known], expected[known], rtol=8 * EPS)
    assert (mean == 0).all() == (scale == 1).all() == (not standardize)
    # their standard deviation is that of the numbers divided by the scale
    np.testing.assert_allclose(codec.encoded_scale(), codec.scale / scale, rtol=8 * EPS)


@pytest.mark.parametrize("standardize", [False, True])
def test_a_row_without_any_value_is_encoded_as_the_missing_row(standardize):
    codec = fit_mixed(standardize)
    nothing = pd.DataFrame({"w": [None], "x": [np.nan], "y": [np.nan]}).astype({"w": object})
    values, measured = codec.encode(nothing)[:2]
    np.testing.assert_array_equal(values[0], codec.missing_row())
    assert not measured.any()


@pytest.mark.parametrize("standardize", [False, True])
def test_a_codec_is_made_anew_of_its_state(standardize):
    codec = fit_mixed(standardize)
    codec.note_unlearnt(MIXED.assign(w=["a", "b", "c", "c"]))
    again = TabularCodec(codec.columns)
    again.set_state(codec.get_state())
    assert again.layout == codec.layout
    given = MIXED.assign(w=["b", "c", None, "a"])  # "c" is no news, so that none warns
    np.testing.assert_array_equal(again.encode(given).values, codec.encode(given).values)
    values = codec.encode(MIXED).values
    for ours, theirs in zip(*(c.decode(values) for c in (codec, again)), strict=True):
        assert ours[0] == theirs[0]
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_a_codec_gives_back_its_own_columns_by_their_place_in_the_table():
    codec = fit_mixed(True, positions=(0, 2))
    (numbers, values), (words, categories) = codec.decode(codec.encode(MIXED).values)
    assert (numbers, words) == ([2], [0])
    np.testing.assert_allclose(values, MIXED[["y"]], rtol=8 * EPS)
    assert categories.tolist() == [["a"], ["b"], ["a"], ["a"]]
