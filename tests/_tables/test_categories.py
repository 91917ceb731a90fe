"""Categories of a column: one-hot, missing, unseen, and of mixed kinds."""

import numpy as np
import pandas as pd
import pytest
from cases.tables import encode, round_trip
from pandas.testing import assert_frame_equal

from sknestedae._tables._categories import Categories, share_values
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._layout import DEFAULT_BLOCK, Layout
from sknestedae.exceptions import UnseenCategoryWarning


def test_categories_are_one_hot():
    X = pd.DataFrame({"word": ["b", "a", "b", "c"], "number": [1.0, 2, 3, 4]})
    encoder, (values, measured, _) = encode(X)
    assert encoder.layouts == {DEFAULT_BLOCK: Layout(1, (3,))}
    np.testing.assert_array_equal(values[:, 1:], pd.get_dummies(X["word"], dtype=float).to_numpy())
    assert measured is None


@pytest.mark.parametrize("weighted", [False, True])
def test_missing_category_enters_as_frequencies(weighted):
    X = pd.DataFrame({"word": ["a", "b", None, "b", "a"]})
    weight = np.array([1.0, 2, 5, 1, 4]) if weighted else None
    encoder = TableEncoder().fit(X, None, weight)
    values, measured = encoder.transform(X)[DEFAULT_BLOCK][:2]
    expected = [5 / 8, 3 / 8] if weighted else [0.5, 0.5]
    assert values[2].tolist() == expected
    assert measured.ravel().tolist() == [True, True, False, True, True]


def test_unseen_category_enters_as_zeros_and_is_not_measured():
    encoder = TableEncoder().fit(pd.DataFrame({"word": ["a", "b"]}))
    with pytest.warns(UnseenCategoryWarning):
        values, measured = encoder.transform(pd.DataFrame({"word": ["b", "new"]}))[DEFAULT_BLOCK][
            :2
        ]
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


def test_one_hot_of_a_decoder_is_read_by_its_largest_value():
    encoder = TableEncoder().fit(pd.DataFrame({"w": ["a", "b", "c"]}))
    logits = np.array([[-3.0, -1.0, -2.0], [5.0, 5.1, 9.0]])
    assert encoder.inverse_transform({DEFAULT_BLOCK: logits})["w"].tolist() == ["b", "c"]


def test_parts_of_one_column_know_what_the_others_saw():
    column = pd.Series(["a", "b", "c", "d"], dtype=object)
    parts = [Categories.learn(column, "'w'", np.array(rows)) for rows in ([0, 1], [1, 2])]
    assert [part.unlearnt.tolist() for part in parts] == [["c", "d"], ["a", "d"]]
    narrow = [Categories.learn(column[rows], "'w'") for rows in ([0, 1], [1, 2])]
    share_values(narrow)
    assert [part.unlearnt.tolist() for part in narrow] == [["c"], ["a"]]
    for part in narrow:  # so that none warns of them
        part.notice_unseen(pd.Series(["a", "b", "c", None], dtype=object))


def test_a_column_without_a_value_has_no_categories():
    assert Categories.learn(pd.Series([None, None], dtype=object), "'w'") is None
    column = pd.Series(["a", None], dtype=object)
    assert Categories.learn(column, "'w'", np.array([1])) is None


def test_a_part_of_a_column_of_mixed_kinds_may_hold_one_kind():
    whole = pd.Series(["a", 1, "b", 2], dtype=object)
    words = Categories.learn(whole[[0, 2]], "'w'")
    out = np.zeros((2, 2))
    with pytest.raises(TypeError, match="Column 'w' was categorical in fit"):
        words.encode(whole[[1, 3]], out)
    words.note_kinds(whole)
    with pytest.warns(UnseenCategoryWarning):
        assert not words.encode(whole[[1, 3]], out).any()


@pytest.mark.parametrize(
    ("known", "given"),
    [
        (["b", "a"], ["a", "c", "b", "a"]),
        (["b", "a"], ["a", 1, True]),
        ([2, 1], [1, 2.0, 3, "1"]),
        ([True, False], [False, True]),
        ([False, "a", 1.5], ["a", False, 1.5, 2]),
        ([], ["a"]),
        (["a"], []),
    ],
)
def test_values_are_found_as_pandas_finds_them(known, given):
    known, given = (np.array(values, dtype=object) for values in (known, given))
    found = Categories("'x'", known, np.ones(len(known))).find(given)
    np.testing.assert_array_equal(found, pd.Index(known).get_indexer(given))
