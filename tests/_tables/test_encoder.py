"""A table to blocks of arrays and back: equivalences with scikit-learn and pandas."""

import tracemalloc
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal
from sklearn.preprocessing import StandardScaler

from sknestedae._tables._columns import (
    factorize,
    is_categorical,
    keeps_column_types,
    resolve_columns,
    sort_categories,
)
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._layout import DEFAULT_BLOCK, Layout
from sknestedae._tables._splits import CHUNK_ROWS, count_distinct_rows, row_keys
from sknestedae._tables._statistics import column_statistics, standard_deviation
from sknestedae.exceptions import UnseenCategoryWarning

EPS = np.finfo(np.float64).eps


def encode(X, **settings):
    """Fit on a table and encode it as one block."""
    encoder = TableEncoder(**settings).fit(X)
    return encoder, encoder.transform(X)[DEFAULT_BLOCK]


def round_trip(X, **settings):
    """Encode a table and decode it again."""
    encoder = TableEncoder(**settings).fit(X)
    decoded = {name: block.values for name, block in encoder.transform(X).items()}
    return encoder.inverse_transform(decoded, X.index if isinstance(X, pd.DataFrame) else None)


def numbers(n_rows=60, n_columns=3, seed=0):
    """Draw columns of different means and scales."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, n_columns)) * [0.01, 1, 300] + [5, 0, -1000]


def gappy(X, share=0.2, seed=1):
    """Leave some entries out."""
    X = X.copy()
    X[np.random.default_rng(seed).random(X.shape) < share] = np.nan
    return X


def rounding(X, n_operations=8):
    """Bound what a few float64 operations lose, relative to the largest value of each column."""
    return n_operations * EPS * np.nanmax(np.abs(X), axis=0)


# -- layout


def test_layout_counts_values_and_columns():
    layout = Layout(2, (3, 1))
    assert (layout.n_values, layout.n_columns) == (6, 4)
    assert list(layout.groups()) == [slice(2, 5), slice(5, 6)]
    assert layout.spread(np.array([[10, 20, 30, 40]])).tolist() == [[10, 20, 30, 30, 30, 40]]


# -- standardising


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_standardises_as_standard_scaler_does(weighted, gaps, subset):
    X = gappy(numbers()) if gaps else numbers()
    rng = np.random.default_rng(2)
    weight = rng.uniform(0.5, 2, len(X)) if weighted else None
    rows = rng.permutation(len(X))[:40] if subset else None
    used = np.arange(len(X)) if rows is None else rows
    scaler = StandardScaler().fit(X[used], sample_weight=weight[used] if weighted else None)

    values, measured = TableEncoder().fit(X, rows, weight).transform(X)[DEFAULT_BLOCK]

    # An error of the mean, of the size of rounding, is divided by the column's scale.
    bound = rounding(X, 2 * len(X)) / scaler.scale_
    expected = np.nan_to_num(scaler.transform(X))  # NaN enters as the mean, which is 0
    assert (np.abs(values - expected) <= bound * (1 + np.abs(expected))).all()
    if gaps:
        np.testing.assert_array_equal(measured, ~np.isnan(X))
    else:
        assert measured is None


def test_integer_weights_equal_repeated_rows():
    X = gappy(numbers())
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    weighted = TableEncoder().fit(X, None, weight.astype(float))
    repeated = TableEncoder().fit(np.repeat(X, weight, axis=0))
    bound = rounding(X, 2 * weight.sum())
    assert (
        np.abs(weighted.codecs[DEFAULT_BLOCK].mean - repeated.codecs[DEFAULT_BLOCK].mean) <= bound
    ).all()
    assert (
        np.abs(weighted.codecs[DEFAULT_BLOCK].scale - repeated.codecs[DEFAULT_BLOCK].scale)
        <= bound
    ).all()


def test_without_standardize_numbers_stay_and_gaps_are_means():
    X = gappy(numbers())
    _, (values, measured) = encode(X, standardize=False)
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
    """Chunks of 5 rows; the gap of 7 fills one chunk and part of the next."""
    X = numbers(23)
    start = {"first": 0, "middle": 10, "last": 23 - n_missing}[where]
    X[start : start + n_missing, 1] = np.nan
    weight = np.random.default_rng(0).uniform(0.5, 2, 23) if weighted else None
    whole = TableEncoder().fit(X, None, weight)
    monkeypatch.setattr("sknestedae._tables._codec.CHUNK_ROWS", 5)
    chunked = TableEncoder().fit(X, None, weight)
    bound = rounding(X, 2 * len(X))
    assert (
        np.abs(chunked.codecs[DEFAULT_BLOCK].mean - whole.codecs[DEFAULT_BLOCK].mean) <= bound
    ).all()
    assert (
        np.abs(chunked.codecs[DEFAULT_BLOCK].scale - whole.codecs[DEFAULT_BLOCK].scale) <= bound
    ).all()
    measured = chunked.transform(X)[DEFAULT_BLOCK].measured
    np.testing.assert_array_equal(
        np.ones_like(X, bool) if measured is None else measured, ~np.isnan(X)
    )


def test_more_rows_than_a_chunk():
    X = gappy(numbers(CHUNK_ROWS + 11))
    encoder = TableEncoder().fit(X)
    # Summing n numbers of one size loses at most n eps of it, in practice far less.
    bound = rounding(X, len(X))
    assert (np.abs(encoder.codecs[DEFAULT_BLOCK].mean - np.nanmean(X, axis=0)) <= bound).all()
    assert (np.abs(encoder.codecs[DEFAULT_BLOCK].scale - np.nanstd(X, axis=0)) <= bound).all()


def test_column_statistics_counts_the_weight_of_measured_entries():
    rows = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 7.0]])
    weight = np.array([1.0, 2.0, 1.0])
    mean, scale, n_measured = column_statistics(iter([(rows, weight)]))
    assert mean.tolist() == [3.0, 7.0]
    assert scale.tolist() == [np.sqrt(2.0), 1.0]
    assert n_measured.tolist() == [4.0, 1.0]


@pytest.mark.parametrize("value", [0.0, 0.1, -1e-300, 1e150, 12345.678])
@pytest.mark.parametrize("weight", [None, 1e-4, 1e4])
def test_constant_column_has_scale_one(value, weight):
    X = np.full((50, 1), value)
    encoder = TableEncoder().fit(X, None, None if weight is None else np.full(50, weight))
    assert encoder.codecs[DEFAULT_BLOCK].scale == 1
    assert abs(encoder.codecs[DEFAULT_BLOCK].mean[0] - value) <= 50 * EPS * abs(value)


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
    _, (values, _) = encode(X)
    # The two values are 64 spacings apart, and a mean is rounded to one of them.
    np.testing.assert_allclose(values, [[-1], [1]], atol=1 / 16)


def exact_statistics(values, weight):
    """Compute mean and standard deviation without any rounding but the last."""
    values, weight = [[Fraction(float(v)) for v in part] for part in (values, weight)]
    total = sum(weight)
    mean = sum(w * v for w, v in zip(weight, values, strict=True)) / total
    variance = sum(w * (v - mean) ** 2 for w, v in zip(weight, values, strict=True)) / total
    power = int(np.frexp(float(max(np.abs(values))))[1])  # the root of a number near 1
    return float(mean), float(np.ldexp(np.sqrt(float(variance / Fraction(4) ** power)), power))


SPREADS = {
    "usual": (3.0, 1.0),
    "no offset": (0.0, 1.0),
    "an offset": (1e9, 0.002),
    "an offset, a few spacings": (-1e9, 40 * np.spacing(1e9)),
    "a small unit": (1e-200, 1e-200),
    "a smaller unit": (0.0, 1e-300),
    "a small unit, an offset": (-1e-200, 1e-212),
    "a large unit": (1e200, 1e201),
    "a large unit, an offset": (1e200, 1e188),
    "the largest numbers": (0.0, 1.7e308 / 4),
}


@pytest.mark.parametrize(("center", "spread"), SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_are_exact_but_for_rounding(monkeypatch, center, spread, weighted):
    """Of any size, and of any offset; in chunks of which the first is constant."""
    monkeypatch.setattr("sknestedae._tables._codec.CHUNK_ROWS", 7)
    rng = np.random.default_rng(0)
    x = center + spread * rng.uniform(-4, 4, 60)
    x[:7] = x[0]
    weight = rng.integers(1, 1000, 60) if weighted else np.ones(60)
    encoder = TableEncoder().fit(x[:, None], None, weight.astype(float) if weighted else None)
    mean, scale = exact_statistics(x, weight)
    # Sums of 60 numbers, and of their squares, lose less than twice 60 eps of what they hold: of
    # the span, and of an offset what its own last place rounds.
    lost = 120 * EPS * np.max(np.abs(x - x[0]) if spread < 1e-6 * abs(center) else np.abs(x))
    assert abs(encoder.codecs[DEFAULT_BLOCK].mean[0] - mean) <= lost + np.spacing(abs(center))
    assert abs(encoder.codecs[DEFAULT_BLOCK].scale[0] - scale) <= lost
    values = encoder.transform(x[:, None])[DEFAULT_BLOCK].values
    assert np.abs(values).max() < 10
    back = encoder.inverse_transform({DEFAULT_BLOCK: values})[:, 0]
    np.testing.assert_allclose(back / 4, x / 4, rtol=8 * EPS, atol=8 * EPS * scale)


@pytest.mark.parametrize("n_rows", [20, 108_000])
def test_a_number_at_a_large_offset_is_not_constant(n_rows):
    x = 1e9 + 0.002 * np.random.default_rng(0).normal(size=n_rows)
    encoder = TableEncoder().fit(x[:, None])
    # x - 1e9 is exact; the rest is the rounding of sums of numbers of both signs
    np.testing.assert_allclose(
        encoder.codecs[DEFAULT_BLOCK].scale[0], (x - 1e9).std(), rtol=n_rows * EPS
    )


@pytest.mark.parametrize("n_rows", [3, 40_000])
@pytest.mark.parametrize("weight", [None, 1e-300, "random"])
@pytest.mark.parametrize("power", [0, 900, -900])
def test_what_differs_by_the_order_of_a_computation_is_constant(n_rows, weight, power):
    """Eight fractions sum up to 1 but for rounding; the same, and 64 spacings more, is no sum."""
    rng = np.random.default_rng(0)
    part = rng.dirichlet(np.ones(8), size=n_rows)
    x = np.array([np.add.accumulate(row)[-1] for row in part])
    assert len(set(x)) > 1
    X = np.ldexp(np.column_stack([x, np.where(np.arange(n_rows) == 1, 1 + 64 * EPS, x)]), power)
    weight = rng.uniform(1, 2, n_rows) if weight == "random" else weight
    weight = np.full(n_rows, weight) if isinstance(weight, float) else weight
    constant, varied = TableEncoder().fit(X, None, weight).codecs[DEFAULT_BLOCK].scale
    assert constant == 1
    assert varied < np.ldexp(64 * EPS, power)


def test_a_row_of_weight_0_makes_no_column_vary():
    rows = np.array([[1.0], [1e300], [1.0]])
    mean, scale, n_measured = column_statistics(iter([(rows, np.array([1.0, 0.0, 1.0]))]))
    assert (mean, scale, n_measured) == (1, 1, 2)


@pytest.mark.parametrize("power", [-700, -300, -40, 40, 300, 700])
def test_a_unit_changes_mean_and_scale_alone(monkeypatch, power):
    """To the last bit, for a power of two."""
    monkeypatch.setattr("sknestedae._tables._codec.CHUNK_ROWS", 16)
    X = gappy(np.hstack([numbers(), numbers() + 1e9]))
    plain, scaled = TableEncoder().fit(X), TableEncoder().fit(np.ldexp(X, power))
    np.testing.assert_array_equal(
        scaled.codecs[DEFAULT_BLOCK].mean, np.ldexp(plain.codecs[DEFAULT_BLOCK].mean, power)
    )
    np.testing.assert_array_equal(
        scaled.codecs[DEFAULT_BLOCK].scale, np.ldexp(plain.codecs[DEFAULT_BLOCK].scale, power)
    )
    a, b = plain.transform(X)[DEFAULT_BLOCK], scaled.transform(np.ldexp(X, power))[DEFAULT_BLOCK]
    np.testing.assert_array_equal(a.values, b.values)


def test_chunks_of_very_different_size(monkeypatch):
    monkeypatch.setattr("sknestedae._tables._codec.CHUNK_ROWS", 2)
    x = np.array([0, 0, 1e-200, 3e-200, 1e-3, 2, 5e250, -1e250, 1, np.nan, 7e-300, np.nan])
    encoder = TableEncoder().fit(x[:, None])
    mean, scale = exact_statistics(x[~np.isnan(x)], np.ones(10))
    np.testing.assert_allclose(
        [encoder.codecs[DEFAULT_BLOCK].mean[0], encoder.codecs[DEFAULT_BLOCK].scale[0]],
        [mean, scale],
        rtol=60 * EPS,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_and_the_smallest_numbers(dtype):
    """A difference of the largest is no number, nor is a product that a decoder may ask for."""
    top, least = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    X = np.array([[top, 0], [-top, 40 * least]] + [[-top, 80 * least]] * 3, dtype)
    encoder, (values, _) = encode(X)
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
    _, (values, _) = encode(X)
    assert values[7] == 20
    assert values.sum() == 20


def test_standard_deviation_of_numbers_of_any_size():
    x = numbers()[:, 1]
    for power in (-900, -1, 0, 900):
        assert standard_deviation(np.ldexp(x, power)) == np.ldexp(x.std(), power)
    assert standard_deviation(np.full(7, 0.1)) == standard_deviation(np.array([])) == 0
    assert np.full(7, 0.1).std() > 0  # what rounding leaves


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


# -- categories


def test_categories_are_one_hot():
    X = pd.DataFrame({"word": ["b", "a", "b", "c"], "number": [1.0, 2, 3, 4]})
    encoder, (values, measured) = encode(X)
    assert encoder.layouts == {DEFAULT_BLOCK: Layout(1, (3,))}
    np.testing.assert_array_equal(values[:, 1:], pd.get_dummies(X["word"], dtype=float).to_numpy())
    assert measured is None


@pytest.mark.parametrize("weighted", [False, True])
def test_missing_category_enters_as_frequencies(weighted):
    X = pd.DataFrame({"word": ["a", "b", None, "b", "a"]})
    weight = np.array([1.0, 2, 5, 1, 4]) if weighted else None
    encoder = TableEncoder().fit(X, None, weight)
    values, measured = encoder.transform(X)[DEFAULT_BLOCK]
    expected = [5 / 8, 3 / 8] if weighted else [0.5, 0.5]
    assert values[2].tolist() == expected
    assert measured.ravel().tolist() == [True, True, False, True, True]


def test_unseen_category_enters_as_zeros_and_is_not_measured():
    encoder = TableEncoder().fit(pd.DataFrame({"word": ["a", "b"]}))
    with pytest.warns(UnseenCategoryWarning):
        values, measured = encoder.transform(pd.DataFrame({"word": ["b", "new"]}))[DEFAULT_BLOCK]
    assert values.tolist() == [[0, 1], [0, 0]]
    assert measured.ravel().tolist() == [True, False]


def test_every_unseen_category_is_counted_and_named():
    encoder = TableEncoder().fit(pd.DataFrame({"word": ["a", "b"]}))
    words = ["a"] * 97 + ["new", "other", None]
    with pytest.warns(UnseenCategoryWarning) as caught:
        encoder.transform(pd.DataFrame({"word": words}))
    (said,) = caught
    assert "2 of 100 rows have a value in column 'word'" in str(said.message)
    assert "('new', 'other')" in str(said.message)
    encoder.transform(pd.DataFrame({"word": [None, "a", "b"]}, dtype=object))


@pytest.mark.parametrize(
    ("word", "hint"),
    [(" b", "but for blanks"), ("B", "but for capitals"), ("B ", "but for blanks and")],
)
def test_an_unseen_category_that_is_nearly_a_known_one(word, hint):
    encoder = TableEncoder().fit(pd.DataFrame({"word": ["a", "b"]}))
    with pytest.warns(UnseenCategoryWarning, match=f"{word!r} is 'b' {hint}"):
        encoder.transform(pd.DataFrame({"word": ["a", word]}))


def test_categories_of_rows_held_out_are_no_news():
    X = pd.DataFrame({"word": ["a", "b", "c"]})
    encoder = TableEncoder().fit(X, np.array([0, 2]))
    (block,) = encoder.transform(X).values()
    assert block.values.tolist() == [[1, 0], [0, 0], [0, 1]]


def test_categories_are_those_of_the_rows_to_learn_from():
    X = pd.DataFrame({"word": ["a", "b", "c"]})
    encoder = TableEncoder().fit(X, np.array([0, 2]))
    assert encoder.categories[0].tolist() == ["a", "c"]
    encoder = TableEncoder().fit(X, None, np.array([1.0, 0.0, 1.0]))
    assert encoder.categories[0].tolist() == ["a", "c"]


@pytest.mark.parametrize("order", [["a", 1, "b"], [1, "a", "b"], ["b", "a", 1]])
def test_words_and_numbers_in_one_column(order):
    X = pd.DataFrame({"mix": pd.Series(order, dtype=object)})
    assert_frame_equal(round_trip(X), X)
    encoder = TableEncoder().fit(X)
    for value in order:  # a table of one kind alone is no change of kind
        encoder.transform(pd.DataFrame({"mix": pd.Series([value], dtype=object)}))


def test_sort_categories_of_one_and_of_several_types():
    assert sort_categories(np.array([3, 1, 2], object)).tolist() == [1, 2, 3]
    assert sort_categories(np.array(["b", 2, "a", 1], object)).tolist() == [1, 2, "a", "b"]


def test_factorize_gives_missing_as_minus_one():
    codes, distinct = factorize(pd.Series(["b", None, "a", "b"]), "'w'")
    assert codes.tolist() == [0, -1, 1, 0]
    assert distinct.tolist() == ["b", "a"]
    with pytest.raises(TypeError, match="Column 'w' is categorical and its argument must be"):
        factorize(pd.Series([["b"], ["a"]]), "'w'")


# -- kinds of columns


NUMERIC = {
    "int": [1, 2],
    "float": [1.5, np.nan],
    "Int64": pd.array([1, None], "Int64"),
    "Float64": pd.array([1.5, None], "Float64"),
    "objects": np.array([1, 2.5], object),
    "nothing": np.array([None, None], object),
    "sparse": pd.arrays.SparseArray([0, 1]),
}
CATEGORICAL = {
    "bool": [True, False],
    "boolean": pd.array([True, None], "boolean"),
    "words": ["x", "y"],
    "string": pd.array(["x", None], "string"),
    "category": pd.Categorical([1, 2]),
    "intervals": pd.cut([1.0, 2.0], 2),
    "bool objects": np.array([True, None], object),
    "mixed": np.array(["x", 1.5], object),
}
REFUSED = {
    "dates": pd.to_datetime(["2020-01-01", "2021-01-01"]),
    "durations": pd.to_timedelta([1, 2]),
    "periods": pd.period_range("2020-01", periods=2, freq="M"),
    "complex": np.array([1j, 2]),
    "complex objects": np.array([1j, 2], object),
    "bytes": np.array([b"x", b"y"], object),
    "lists": pd.Series([[1], [2]]),
}


@pytest.mark.parametrize("column", NUMERIC.values(), ids=NUMERIC)
def test_numeric_kinds(column):
    assert not is_categorical(pd.Series(column), "'a'")


@pytest.mark.parametrize("column", CATEGORICAL.values(), ids=CATEGORICAL)
def test_categorical_kinds(column):
    assert is_categorical(pd.Series(column), "'a'")


@pytest.mark.parametrize("column", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("categorical_features", ["from_dtype", None])
def test_refused_kinds(column, categorical_features):
    X = pd.DataFrame({"fine": [1, 2], "odd": column})
    with pytest.raises(TypeError, match=r"Column 'odd' (has dtype|holds)"):
        TableEncoder(categorical_features).fit(X)
    with pytest.raises(TypeError, match=r"Column 'odd' (has dtype|holds)"):
        TableEncoder().fit(pd.DataFrame({"fine": [1, 2], "odd": [1.0, 2]})).transform(X)


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


# -- the round trip

COLUMNS = {
    **{
        name: np.array([1, 100, 3, 7], dtype=name)
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    "float32": np.array([1, -2, 3, 5], np.float32),
    "float64": [0.25, 1e6, -3, 5],
    "Int8": pd.array([1, 100, 3, 7], "Int8"),
    "UInt64": pd.array([1, 100, 3, 7], "UInt64"),
    "Float32": pd.array([1, 2, 3, 4], "Float32"),
    "Float64": pd.array([0.25, 2, 3, 4], "Float64"),
    "sparse": pd.arrays.SparseArray([0, 0, 1, 2]),
    "sparse floats": pd.arrays.SparseArray([0.0, 0.0, 1.5, 2.5], fill_value=0.0),
    "constant": [7, 7, 7, 7],
    "bool": [True, False, False, True],
    "boolean": pd.array([True, False, True, True], "boolean"),
    "str": ["x", "y", "", "x"],
    "string": pd.array(["x", "y", "", "x"], "string"),
    "string of Python": pd.array(["x", "y", "", "x"], pd.StringDtype("python")),
    "Arrow's strings": pd.array(["x", "y", "", "x"], pd.ArrowDtype(pa.string())),
    "Arrow's integers": pd.array([1, 100, 3, 7], pd.ArrowDtype(pa.int16())),
    "Arrow's booleans": pd.array([True, False, True, True], pd.ArrowDtype(pa.bool_())),
    "Arrow's decimals": pd.array(
        [Decimal("1.25"), Decimal("2.50"), Decimal("3.00"), Decimal("-4.75")],
        pd.ArrowDtype(pa.decimal128(9, 2)),
    ),
    "objects": np.array(["x", "y", True, 2.5], object),
    "numbers as objects": np.array([1.0, 2, 3, 4], object),
    "category": pd.Categorical(list("abca"), categories=list("zcba")),
    "ordered": pd.Categorical(list("abca"), categories=list("zcba"), ordered=True),
    "integers": pd.Categorical([3, 1, 2, 3]),
    "floats": pd.Categorical([0.5, 1.5, 0.5, 2.5]),
    "bools": pd.Categorical([True, False, False, True]),
    "dates": pd.Categorical(pd.to_datetime(["2020-01-01", "2021-01-01"] * 2)),
    "intervals": pd.cut([1.0, 2.0, 3.0, 4.0], 3),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_round_trip_of_a_column(column):
    X = pd.DataFrame({"a": column}, index=["r", "s", "t", "u"])
    # float32's eps, relative to the largest value
    assert_frame_equal(round_trip(X), X, rtol=0, atol=8 * np.finfo(np.float32).eps * 100)


def test_round_trip_of_all_columns_at_once():
    X = pd.DataFrame(COLUMNS, index=pd.date_range("2020-01-01", periods=4, freq="W"))
    assert_frame_equal(round_trip(X), X, rtol=0, atol=8 * EPS * 1e6)


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


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "Int16"])
def test_decoded_integers_stay_in_their_range(dtype, standardize):
    X = pd.DataFrame({"a": pd.array([0, 100], dtype=dtype)})
    encoder = TableEncoder(standardize=standardize).fit(X)
    far = encoder.inverse_transform({DEFAULT_BLOCK: np.array([[-1e6], [1e6]])})
    bounds = np.iinfo(dtype.lower())
    assert far["a"].tolist() == [bounds.min, bounds.max]
    assert far["a"].dtype == X["a"].dtype


@pytest.mark.parametrize("dtype", ["float16", "float32", "Float32", "float64"])
def test_decoded_floats_stay_in_their_range(dtype):
    X = pd.DataFrame({"a": pd.Series([0, 1], dtype=dtype), "b": [0.0, 1.0]})
    encoder = TableEncoder(standardize=False).fit(X)
    far = encoder.inverse_transform({DEFAULT_BLOCK: np.array([[-1e300, 0], [1e300, 0]])})
    bounds = np.finfo(dtype.lower())
    top = min(float(bounds.max), 1e300)
    assert far["a"].tolist() == [-top, top]
    assert far["a"].dtype == X["a"].dtype
    encoder = TableEncoder().fit(np.array([[-3e38], [3e38], [3e38]], np.float32))
    found = encoder.inverse_transform({DEFAULT_BLOCK: np.array([[-2.0], [2.0]], np.float32)})
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_decoded_integers_and_bools_are_rounded():
    X = pd.DataFrame({"i": [0, 9], "n": pd.array([0, 9], "Int64"), "b": [False, True]})
    encoder = TableEncoder(None, standardize=False).fit(X)
    decoded = np.array([[1.7, 1.7, 0.7], [-0.6, -0.6, 0.3]])
    found = encoder.inverse_transform({DEFAULT_BLOCK: decoded})
    expected = pd.DataFrame({"i": [2, -1], "n": [2, -1], "b": [True, False]})
    assert_frame_equal(found, expected.astype({"n": "Int64"}))


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_decoded_64_bit_integers_do_not_wrap(dtype):
    bounds = np.iinfo(dtype)
    X = pd.DataFrame({"a": np.array([bounds.min, bounds.max], dtype)})
    found = round_trip(X)["a"]
    assert found.dtype == dtype
    # A float64 near the largest integer has a spacing of eps times it.
    assert abs(int(found[1]) - bounds.max) <= 4 * EPS * bounds.max
    assert abs(int(found[0]) - bounds.min) <= 4 * EPS * bounds.max


def test_round_trip_of_gaps_gives_means_and_frequent_categories():
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


def test_bools_as_numbers_come_back_as_bools():
    X = pd.DataFrame({"a": [True, False, True]})
    encoder, (values, _) = encode(X, categorical_features=None)
    assert encoder.layouts == {DEFAULT_BLOCK: Layout(1)}
    assert values.shape == (3, 1)
    assert_frame_equal(round_trip(X, categorical_features=None), X)


def test_one_hot_of_a_decoder_is_read_by_its_largest_value():
    encoder = TableEncoder().fit(pd.DataFrame({"w": ["a", "b", "c"]}))
    logits = np.array([[-3.0, -1.0, -2.0], [5.0, 5.1, 9.0]])
    assert encoder.inverse_transform({DEFAULT_BLOCK: logits})["w"].tolist() == ["b", "c"]


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
    encoder, (_, measured) = encode(X, categorical_features=[1])
    assert encoder.layouts == {DEFAULT_BLOCK: Layout(2, (2,))}
    assert measured.tolist() == [[True] * 3, [True, False, True], [True] * 3]
    found = round_trip(X, categorical_features=[1])
    assert found.dtype == object
    assert found[:, 1].tolist() == ["x", "y", "x"]
    np.testing.assert_allclose(found[:, 2].astype(float), [3.5, 2.0, 0.5], atol=8 * EPS * 4)
    with pytest.raises(TypeError, match="Column 1 is numeric and must hold numbers; it holds 'x'"):
        TableEncoder([2]).fit(X)


def test_input_is_left_alone():
    X = gappy(numbers())
    frame = pd.DataFrame(X, columns=list("abc")).assign(word="x")
    before, frame_before = X.copy(), frame.copy()
    round_trip(X)
    round_trip(frame)
    np.testing.assert_array_equal(X, before)
    assert_frame_equal(frame, frame_before)


# -- dtype and memory


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
    encoder, (values, _) = encode(X)
    assert encoder.dtype == values.dtype == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_array_keeps_its_float_dtype(dtype):
    X = numbers().astype(dtype)
    _, (values, _) = encode(X)
    assert values.dtype == round_trip(X).dtype == dtype


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("blocks", [(), [("most", range(19))]])
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


# -- choosing columns


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


@pytest.mark.parametrize(
    ("X", "categorical_features", "expected"),
    [
        (TABLE, "from_dtype", True),
        (TABLE, None, True),
        (numbers(), "from_dtype", False),
        (numbers(), [0], False),
        (numbers().astype(object), [0], True),
        (numbers().astype(object), None, False),
        ([[1, "x"]], [1], True),
        ([[1, 2]], "from_dtype", False),
    ],
)
def test_keeps_column_types(X, categorical_features, expected):
    assert keeps_column_types(X, categorical_features, False) is expected


# -- blocks


def test_blocks_hold_their_columns_and_the_rest_is_the_table():
    encoder = TableEncoder(blocks=[("second", ["c", "b"])]).fit(TABLE)
    assert encoder.columns == {"second": ([1], [2]), DEFAULT_BLOCK: ([0], [])}
    blocks = encoder.transform(TABLE)
    whole = TableEncoder().fit(TABLE).transform(TABLE)[DEFAULT_BLOCK].values
    np.testing.assert_array_equal(blocks[DEFAULT_BLOCK].values, whole[:, [0]])
    np.testing.assert_array_equal(blocks["second"].values, whole[:, 1:])
    assert_frame_equal(round_trip(TABLE, blocks=[("second", ["c", "b"])]), TABLE)


def test_blocks_of_all_columns_leave_no_table():
    encoder = TableEncoder(blocks=[("x", [0]), ("y", [1, 2])]).fit(numbers())
    assert list(encoder.layouts) == ["x", "y"]


def test_block_without_columns_raises():
    with pytest.raises(ValueError, match="'blocks' parameter gives no column to 'x'"):
        TableEncoder(blocks=[("x", [False, False, False])]).fit(TABLE)


def test_overlapping_blocks_raise():
    with pytest.raises(ValueError, match="'blocks' parameter gives column 'b' to both 'x' and"):
        TableEncoder(blocks=[("x", ["a", "b"]), ("y", [1])]).fit(TABLE)


# -- keys of rows


def test_equal_rows_have_equal_keys_wherever_they_stand():
    X = pd.concat([TABLE.assign(d=pd.Categorical(["u", None, "u"]))] * 2, ignore_index=True)
    keys = row_keys(X)
    assert keys[0] == keys[3]
    assert len(set(keys)) == 3
    order = np.array([4, 2, 0, 5, 1, 3])
    np.testing.assert_array_equal(row_keys(X.iloc[order]), keys[order])


def test_keys_follow_from_values_not_from_the_coding_of_categories():
    words = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["x", "y"])})
    recoded = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["y", "z", "x"])})
    np.testing.assert_array_equal(row_keys(words), row_keys(recoded))


def test_keys_of_arrays():
    X = gappy(numbers())
    X[7] = X[3]
    keys = row_keys(X)
    assert keys[7] == keys[3]
    assert len(set(keys)) == len(X) - 1
    np.testing.assert_array_equal(row_keys(X[::-1]), keys[::-1])


# -- columns by name, place or level


LABELS = [("a", "x"), ("a", "y"), ("b", "z"), ("b", "x")]


@pytest.mark.parametrize(
    ("columns", "labels", "expected"),
    [
        (slice(1, None), None, [1, 2, 3]),
        (slice(None, None, 2), None, [0, 2]),
        (slice("q", "r"), list("pqrs"), [1, 2]),
        (slice("r"), list("pqrs"), [0, 1, 2]),
        (slice("r", None), list("pqrs"), [2, 3]),
        ("a", LABELS, [0, 1]),
        ("z", LABELS, [2]),
        (("b", "x"), LABELS, [3]),
        ([("b", "x"), "y", 0], LABELS, [3, 1, 0]),
        (slice("a"), LABELS, [0, 1]),
        (slice("b", None), LABELS, [2, 3]),
        (-1, None, [3]),
    ],
)
def test_columns_are_resolved(columns, labels, expected):
    assert resolve_columns(columns, labels, 4, "It").tolist() == expected


def test_a_feature_of_two_scales_must_be_told_apart():
    with pytest.raises(ValueError, match="It names the column 'x'; X has columns"):
        resolve_columns("x", LABELS, 4, "It")


def test_distinct_rows_are_counted():
    X = np.repeat(np.arange(5.0), 3)[:, None]
    y = np.tile([0.0, 1.0, 1.0], 5)
    assert count_distinct_rows(X, None, 100) == 5
    assert count_distinct_rows(X, y, 100) == 10
    assert count_distinct_rows(pd.DataFrame(X), y[:, None], 100) == 10
    large = np.arange(40_000.0)[:, None]
    assert 10 <= count_distinct_rows(large, None, 10) < 40_000  # it need not look at all
