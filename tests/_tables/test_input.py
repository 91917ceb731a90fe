"""Every spelling of a table is the same table, and what is no value is refused by name."""

from __future__ import annotations

import datetime as dt
import sys
import warnings
from decimal import Decimal
from pathlib import Path

import matplotlib.pyplot as plt
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from ase.build import bulk
from cases.array_tables import as_cells
from cases.spellings import SPELLINGS
from cases.supervised import TINY, regression
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import OneHotEncoder

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    inspection,
    plotting,
    report,
    stack_scales,
    stage_scorer,
)
from sknestedae._tables._input import (
    check_same_rows,
    give_back,
    holds_categories,
    is_column_of_structures,
    kind_from_state,
    kind_to_state,
    n_dims,
    read_table,
    read_target,
    table_kind,
)
from sknestedae.design import propose
from sknestedae.exceptions import RowLabelWarning

N = 30


def frame(n=N):
    """Give a table of numbers, with missing values, words and booleans."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.integers(0, 9, n),
            "kind": rng.choice(["SnO2", "TiO2"], n),
            "is_dry": rng.random(n) < 0.5,
        }
    )
    X.loc[3, "a"] = np.nan
    X.loc[5, "kind"] = None
    return X


def target(X):
    return np.nan_to_num(X["a"]) - 2 * X["b"] + (X["kind"] == "SnO2")


X, Y = frame(), target(frame())
FRAMES = {name: SPELLINGS[name] for name in ("polars", "pyarrow")}


def columns_of(given, names):
    if isinstance(given, pa.Table):
        return given.select(names)
    return given[names]


def plain(given):
    """Give a table of any kind as pandas holds it, without its dtypes."""
    given = read_table(given)
    return given.astype(object).where(given.notna(), None)


def fitted(X=X, y=Y, **parameters):
    return SupervisedAutoencoder(**{**TINY, **parameters}).fit(X, y)


# -- one table in many spellings


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_spelling_changes_nothing(spell):
    expected, found = fitted(), fitted(spell(X))
    for method in ("transform", "predict", "score_samples"):
        assert_array_equal(getattr(found, method)(spell(X)), getattr(expected, method)(X))
        assert_array_equal(getattr(expected, method)(spell(X)), getattr(expected, method)(X))
    assert found.score(spell(X), Y) == expected.score(X, Y)
    assert found.score(spell(X)) == expected.score(X)
    expected_rows, rows = expected.complete(X), plain(found.complete(spell(X)))
    assert_array_equal(rows["a"].astype(float), expected_rows["a"])
    assert rows["kind"].tolist() == expected_rows["kind"].tolist()


@pytest.mark.parametrize("spell", FRAMES.values(), ids=FRAMES)
def test_the_kind_of_frame_that_came_in_comes_back(spell):
    given = spell(X)
    model = fitted(given)
    kind = given.schema
    back = model.inverse_transform(model.transform(given))
    assert type(back) is type(given)
    assert back.schema == kind if isinstance(given, pl.DataFrame) else back.schema.equals(kind)
    completed = model.complete(given)
    assert type(completed) is type(given)
    assert not plain(completed).isna().any(axis=None)
    whole = X.notna().all(axis=1)
    assert_frame_equal(plain(completed)[whole], plain(given)[whole])
    candidates = model.complete(given, n_candidates=1)
    assert type(candidates.X) is type(given)
    # a table of pandas is completed as pandas, whatever was fitted
    assert isinstance(model.complete(X), pd.DataFrame)


@pytest.mark.parametrize("spell", FRAMES.values(), ids=FRAMES)
def test_columns_go_by_name_in_every_method(spell):
    """In another order they are refused, as scikit-learn refuses them of pandas."""
    model, other = fitted(), columns_of(spell(X), ["b", "a", "kind", "is_dry"])
    labels = np.where(Y.mean() < Y, "u", "v")
    classifier = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    chain = NestedAutoencoder(
        [("x", SupervisedAutoencoder(**TINY), ["a", "b"]), ("y", SupervisedAutoencoder(**TINY), 2)]
    ).fit(X, Y)
    for estimator in (model, classifier, chain):
        for method in ("transform", "predict", "complete", "score_samples", "partial_fit"):
            if not hasattr(estimator, method):
                continue
            more = (labels if estimator is classifier else Y,) if method == "partial_fit" else ()
            with pytest.raises(ValueError, match="same order"):
                getattr(estimator, method)(other, *more)
        with pytest.raises(ValueError, match="same order"):
            estimator.score(other, labels if estimator is classifier else Y)


@pytest.mark.parametrize("spell", FRAMES.values(), ids=FRAMES)
def test_names_are_found_in_parameters(spell):
    stages = [
        ("x", SupervisedAutoencoder(**TINY, categorical_features=["b"]), ["a", "b"]),
        ("y", SupervisedAutoencoder(**TINY), ["kind", "is_dry"]),
    ]
    expected = NestedAutoencoder(stages).fit(X, Y)
    found = NestedAutoencoder(stages).fit(spell(X), Y)
    assert_array_equal(found.predict(spell(X)), expected.predict(X))
    back = found.inverse_transform(found.transform(spell(X)))
    assert type(back) is type(spell(X))
    assert type(found.complete(spell(X))) is type(spell(X))


@pytest.mark.parametrize("spell", FRAMES.values(), ids=FRAMES)
def test_lists_of_frames(spell):
    coarse, fine = X[["a", "b"]], X.iloc[:20]
    targets = [Y, pl.Series("gap", Y[:20].to_numpy())]
    expected = NestedAutoencoder(max_iter=2, random_state=0).fit(
        [coarse, fine], [Y.to_numpy(), Y[:20].to_numpy()]
    )
    given = [spell(coarse), spell(fine)]
    found = NestedAutoencoder(max_iter=2, random_state=0).fit(given, targets)
    for ours, theirs in zip(found.predict(given), expected.predict([coarse, fine]), strict=True):
        assert_array_equal(ours, theirs)
    assert [type(table) for table in found.complete(given)] == [type(spell(X))] * 2
    tables = found.inverse_transform(found.transform(given))
    assert [type(table) for table in tables] == [type(spell(X))] * 2
    assert list(plain(tables[1]).columns) == list(fine.columns)
    stacked, _ = stack_scales(given, targets)
    assert list(stacked.columns) == [
        ("scale0", "a"), ("scale0", "b"), ("scale1", "kind"), ("scale1", "is_dry")
    ]  # fmt: skip


@pytest.mark.parametrize("spell", FRAMES.values(), ids=FRAMES)
def test_what_follows_a_fit_reads_frames(spell):
    given, y = spell(X), pl.Series("gap", Y.to_numpy())
    model = fitted(given, y)
    design = {"n_candidates": 1, "fixed": {"kind": "SnO2"}, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a network that learnt for two epochs
        found, expected = (propose(model, table, 0.0, **design) for table in (given, X))
    assert_frame_equal(found.to_frame(), expected.to_frame(), check_dtype=False)
    names = ["a", "b"]
    assert_frame_equal(
        inspection.latent_correlations(model, given, columns_of(given, names)),
        inspection.latent_correlations(model, X, X[names]),
    )
    plotting.LatentDisplay.from_estimator(model, given, color="kind")
    metrics = [
        plotting.ReconstructionDisplay.from_estimator(model, table).metrics_
        for table in (given, X)
    ]
    assert_frame_equal(*metrics)
    plotting.TraversalDisplay.from_estimator(model, given)
    plt.close("all")
    if isinstance(given, pl.DataFrame):  # scikit-learn 1.6 does not fold tables of pyarrow
        assert_array_equal(
            cross_val_score(SupervisedAutoencoder(**TINY), given, Y.to_numpy()),
            cross_val_score(SupervisedAutoencoder(**TINY), X, Y),
        )


# -- columns of other packages


POLARS = pl.DataFrame(
    {
        "int8": pl.Series([1, None, 3], dtype=pl.Int8),
        "uint64": pl.Series([1, 2, 2**63 + 7], dtype=pl.UInt64),
        "float32": pl.Series([1.5, None, float("nan")], dtype=pl.Float32),
        "string": ["x", None, "y"],
        "boolean": [True, None, False],
        "category": pl.Series(["x", None, "y"], dtype=pl.Categorical),
        "enum": pl.Series(["x", None, "y"], dtype=pl.Enum(["y", "x", "z"])),
        "decimal": pl.Series([Decimal("1.25"), None, Decimal("3.50")], dtype=pl.Decimal(9, 2)),
        "nothing": pl.Series([None, None, None], dtype=pl.Null),
    }
)


@pytest.mark.parametrize("name", POLARS.columns)
@pytest.mark.parametrize("make", [lambda t: t, lambda t: t.to_arrow()], ids=["polars", "pyarrow"])
def test_round_trip_of_a_column(make, name):
    given = make(POLARS.select(name))
    table = read_table(given)
    values = POLARS[name].to_list()
    for value, found in zip(values, table[name].tolist(), strict=True):
        if value is None or value != value:
            assert pd.isna(found)
        else:
            assert found == value
    back = table_kind(given).restore(table)
    assert type(back) is type(given)
    if name != "nothing":
        assert nw.from_native(back).schema == nw.from_native(given).schema
    listed = nw.from_native(back)[name].to_list()
    assert listed == [None if v is None or v != v else v for v in values]


def test_a_kind_of_frame_is_plain_values():
    kind = table_kind(POLARS)
    state = kind_to_state(kind)
    assert kind_from_state(state) == kind
    assert kind_to_state(None) is None
    assert kind_from_state(None) is None
    for spec in state["dtypes"].values():
        assert all(isinstance(value, str | int | list) for value in spec.values())


def test_a_category_that_an_enumeration_has_not_is_kept():
    given = pl.DataFrame({"a": pl.Series(["x", None], dtype=pl.Enum(["x"]))})
    filled = pd.DataFrame({"a": ["x", "new"]})
    assert table_kind(given).restore(filled)["a"].to_list() == ["x", "new"]


def test_frames_that_are_not_in_memory_are_refused():
    with pytest.raises(TypeError, match=r"X is a LazyFrame of polars.*X\.collect\(\)"):
        SupervisedAutoencoder(**TINY).fit(pl.from_pandas(X).lazy(), Y)


def test_without_narwhals_a_frame_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError, match=r"X is a DataFrame of polars.*narwhals"):
        read_table(pl.from_pandas(X))
    assert read_table(3) == 3


# -- missing entries


def test_masked_entries_are_missing():
    values, y = regression()
    mask = np.random.default_rng(0).random(values.shape) < 0.2
    masked = np.ma.masked_array(values, mask)
    holed = np.where(mask, np.nan, values)
    assert_array_equal(fitted(masked, y).predict(masked), fitted(holed, y).predict(holed))
    whole = np.ma.masked_array(values, False)
    assert_array_equal(read_table(whole), values)
    integers = np.ma.masked_array([[1, 2], [3, 4]], [[False, True], [False, False]])
    assert_array_equal(read_table(integers), [[1, np.nan], [3, 4]])
    hidden = np.ma.masked_array(y, np.arange(len(y)) < 5)
    expected = fitted(values, np.where(np.arange(len(y)) < 5, np.nan, y))
    assert_array_equal(fitted(values, hidden).predict(values), expected.predict(values))


@pytest.mark.parametrize("missing", [None, pd.NA, np.nan, pd.NaT, Decimal("nan")])
def test_every_word_for_missing_is_missing(missing):
    table = read_table([[1.0, missing], [2.0, 3.0]])
    assert np.isnan(table[0, 1])
    assert pd.isna(read_target([1.0, missing])[1])
    assert_array_equal(np.asarray(table[:, 0], float), [1, 2])


def test_tensors_are_read_as_numpy():
    values, y = regression()
    tensor = torch.tensor(values, requires_grad=True)
    model = fitted(tensor, torch.tensor(y))
    assert_array_equal(model.predict(tensor), fitted(values, y).predict(values))


# -- what a value is


NO_VALUES = {
    "dates": [dt.date(2020, 1, 1)] * N,
    "times": [pd.Timestamp("2020-01-01")] * N,
    "NumPy's dates": [np.datetime64("2020-01-01")] * N,
    "durations": [dt.timedelta(days=1)] * N,
    "NumPy's durations": [np.timedelta64(1, "s")] * N,
    "complex numbers": [1 + 2j] * N,
    "NumPy's complex numbers": [np.complex128(1 + 2j)] * N,
    "periods": [pd.Period("2020")] * N,
    "dicts": [{"a": 1}] * N,
}
AS_COLUMN = {
    "a series": pd.Series,
    "objects": lambda values: pd.Series(values, dtype=object),
}


def as_frame(values):
    return pd.Series(values).to_frame("when")


@pytest.mark.parametrize("values", NO_VALUES.values(), ids=NO_VALUES)
@pytest.mark.parametrize("make", AS_COLUMN.values(), ids=AS_COLUMN)
@pytest.mark.parametrize(
    "estimator",
    [SupervisedAutoencoder(**TINY), NestedAutoencoder(max_iter=1)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_column_of_no_values_is_refused(estimator, make, values):
    with pytest.raises(TypeError, match=r"Column 'when' (holds|has dtype)"):
        estimator.fit(X.assign(when=make(values)), Y)


@pytest.mark.parametrize("values", NO_VALUES.values(), ids=NO_VALUES)
@pytest.mark.parametrize("make", [lambda v: v, np.array, *AS_COLUMN.values(), as_frame])
@pytest.mark.parametrize(
    "estimator",
    [
        SupervisedAutoencoder(**TINY),
        SupervisedAutoencoderClassifier(**TINY),
        NestedAutoencoder(max_iter=1),
        SupervisedAutoencoder(**TINY, n_members=2, bootstrap=True),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_target_of_no_values_is_refused(estimator, make, values):
    with pytest.raises((TypeError, ValueError), match=r"y (holds|has dtype)|Complex data"):
        estimator.fit(X, make(values))


@pytest.fixture(scope="module")
def known_model():
    """Give a fitted model, to be read alone."""
    return fitted()


@pytest.mark.parametrize("values", NO_VALUES.values(), ids=NO_VALUES)
def test_a_target_of_no_values_has_no_score(known_model, values):
    for make in (lambda v: v, np.array, *AS_COLUMN.values(), as_frame):
        with pytest.raises((TypeError, ValueError), match=r"y (holds|has dtype)|Complex data"):
            known_model.score(X, make(values))


@pytest.mark.parametrize("values", NO_VALUES.values(), ids=NO_VALUES)
def test_an_array_of_no_values_is_refused(values):
    rows = [[value, 1.0] for value in values]
    for given in (rows, np.array(rows, dtype=object)):
        with pytest.raises(TypeError, match="X holds"):
            SupervisedAutoencoder(**TINY).fit(given, Y)


def test_polars_dates_are_refused():
    dated = pl.from_pandas(X).with_columns(when=pl.lit(dt.date(2020, 1, 1)))
    with pytest.raises(TypeError, match="Column 'when' holds date"):
        SupervisedAutoencoder(**TINY).fit(dated, Y)
    with pytest.raises(TypeError, match="y holds date"):
        SupervisedAutoencoder(**TINY).fit(X, dated["when"])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, 2.5, None], False),
        ([Decimal("1"), 2], False),
        (["a", 1], True),
        ([True, False], True),
        ([True, 2], True),
        (pd.array(["a", None], "string"), True),
        (pd.array([1, None], "Int64"), False),
        (pd.array([1.5, None], pd.ArrowDtype(pa.float64())), False),
        (pd.array(["a", None], pd.ArrowDtype(pa.string())), True),
        (pd.array([Decimal("1.5"), None], pd.ArrowDtype(pa.decimal128(5, 2))), False),
        (pd.array([True, None], pd.ArrowDtype(pa.bool_())), True),
    ],
)
def test_which_columns_are_categories(column, expected):
    column = pd.Series(column, dtype=object) if isinstance(column, list) else pd.Series(column)
    assert holds_categories(column, "It") is expected


# -- tables that are none


@pytest.mark.parametrize("loads", [False, True])
def test_a_data_set_of_torch_is_refused_with_what_to_pass(loads):
    data = torch.utils.data.TensorDataset(torch.zeros(3, 2))
    given = torch.utils.data.DataLoader(data) if loads else data
    message = rf"X is a {type(given).__name__} of torch, but a table .*torch\.stack.*torch users"
    with pytest.raises(TypeError, match=message):
        SupervisedAutoencoder(**TINY).fit(given)


def test_tables_of_another_form_are_refused_by_what_they_are():
    model = SupervisedAutoencoder(**TINY)
    encoded = OneHotEncoder().fit_transform(X[["b"]])
    with pytest.raises(TypeError, match=r"X is a sparse csr.*sparse_output=False"):
        model.fit(encoded)
    with pytest.raises(TypeError, match=r"X is a list of 2 tables, but one .* stack_kinds does"):
        model.fit([X, X])
    with pytest.raises(TypeError, match=r"X is a dict of named columns.* stack_kinds\(\*\*X\)"):
        model.fit({"a": [1, 2]})
    with pytest.raises(TypeError, match="X is a recarray of named columns"):
        model.fit(X[["a", "b"]].to_records(index=False))
    twice = pd.concat([X, X[["a"]]], axis=1)
    for estimator in (model, NestedAutoencoder(max_iter=1)):
        with pytest.raises(ValueError, match=r"X has the columns \['a'\] more than once"):
            estimator.fit(twice, Y)
    with pytest.raises(ValueError, match=r"X has the columns \['a'\] more than once"):
        fitted().predict(twice)


LISTS = {
    "array": (pl.Array(pl.Float32, 2), [[1.0, 2.0], None, [3.0, 4.0]]),
    "array with a null": (pl.Array(pl.Float32, 2), [[1.0, 2.0], None, [3.0, None]]),
    "list": (pl.List(pl.Float64), [[1.0, 2.0], None, [3.0, 4.0]]),
    "image": (pl.Array(pl.Float32, (2, 2)), [[[1.0, 2.0], [3.0, 4.0]], None, [[5.0, 6.0]] * 2]),
    "pixels": (pl.Array(pl.UInt8, 2), [[1, 2], [255, 0], [3, 4]]),
}


@pytest.mark.parametrize("arrow", [False, True])
@pytest.mark.parametrize("name", LISTS)
def test_columns_of_lists_are_cells_with_arrays_and_come_back(name, arrow):
    dtype, values = LISTS[name]
    given = pl.DataFrame({"a": [1.0, 2.0, 3.0], "x": pl.Series(values, dtype=dtype)})
    given = given.to_arrow() if arrow else given
    read = read_table(given)
    for cell, expected in zip(read["x"], values, strict=True):
        if expected is None:
            assert cell is None
        else:
            assert_array_equal(np.asarray(cell, float), np.array(expected, dtype=float))
            if name == "pixels":
                assert cell.dtype == np.uint8
    back = give_back(read, table_kind(given))
    assert type(back) is type(given)
    assert back.schema == given.schema
    if "null" not in name:  # within a list, what was missing comes back as NaN
        assert back.equals(given)


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64, pl.UInt8, pl.Int64])
@pytest.mark.parametrize("has_null", [False, True])
@pytest.mark.parametrize("arrow", [False, True])
def test_frames_of_one_dtype_are_read_as_each_column_is(dtype, has_null, arrow):
    values = np.arange(12).reshape(4, 3)
    given = pl.DataFrame(values, schema=["a", "b", "c"], orient="row").cast(dtype)
    if has_null:
        given[1, "b"] = None
    given = given.to_arrow() if arrow else given
    read = read_table(given)
    for label in "abc":
        alone = read_table(given.select([label]))
        pd.testing.assert_frame_equal(read[[label]], alone)
    back = give_back(read, table_kind(given))
    assert back.schema == given.schema
    assert back.equals(given)


def test_arrays_in_an_array_of_objects_are_left_to_blocks():
    X = np.empty((2, 2), dtype=object)
    X[:, 0], X[0, 1], X[1, 1] = 1.5, np.ones(3), None
    read = read_table(X)
    assert read[0, 1] is X[0, 1]
    assert np.isnan(read[1, 1])
    for spell in (np.asarray, pd.DataFrame):
        with pytest.raises(
            TypeError,
            match=r"Column 1 holds ndarray; .* for a SpectrumBlock, .* an ArrayBlock of your own",
        ):
            SupervisedAutoencoder(**TINY, blocks=None).fit(spell(X))
    with pytest.raises(TypeError, match="y holds ndarray"):
        read_target(X)


def test_columns_of_plain_numbers_of_a_target_are_not_looked_at(monkeypatch):
    """There may be thousands of them; a column of any other dtype is."""
    y = pd.DataFrame({"a": [1.5, 2.5], "b": [1, 2], "c": [True, False]})
    with monkeypatch.context() as patch:
        patch.setattr("sknestedae._tables._input.holds_categories", None)
        assert read_target(y) is y
    with pytest.raises(TypeError, match="Column 'd' of y has dtype datetime64"):
        read_target(y.assign(d=pd.Timestamp("2024-01-01")))


def test_a_column_of_nothing_but_nulls_in_lists():
    given = pl.DataFrame({"x": pl.Series([None, None], dtype=pl.List(pl.Float64))})
    read = read_table(given)
    assert read["x"].isna().all()
    assert give_back(read, table_kind(given)).equals(given)


def test_dimensions():
    tables = [X, X.to_numpy(), pl.from_pandas(X), pa.Table.from_pandas(X), [[1, 2]]]
    assert [n_dims(table) for table in tables] == [2] * 5
    columns = [X["a"], np.ones(3), pl.Series([1]), pa.chunked_array([[1]]), [1, 2]]
    assert [n_dims(column) for column in columns] == [1] * 5
    assert n_dims(scipy.sparse.eye(2)) == 2
    assert n_dims("text") == 0


# -- labels of rows


def test_equal_labels_in_another_order_are_refused():
    labelled = X.set_axis([f"row {k}" for k in range(N)])
    for table in (X, labelled, X.set_axis(pd.MultiIndex.from_arrays([range(N), range(N)]))):
        y = Y.set_axis(table.index)
        shuffled = y.sample(frac=1, random_state=0)
        weight = pd.Series(1.0, shuffled.index)
        model = fitted(table, y)
        for call in (
            lambda: fitted(table, shuffled),  # noqa: B023
            lambda: SupervisedAutoencoder(**TINY).fit(table, y, sample_weight=weight),  # noqa: B023
            lambda: model.score(table, shuffled),  # noqa: B023
            lambda: model.score(table, y, sample_weight=weight),  # noqa: B023
            lambda: model.score(table, sample_weight=weight),  # noqa: B023
            lambda: fitted(table, shuffled.to_frame()),  # noqa: B023
            lambda: fitted(table, shuffled, n_members=2),  # noqa: B023
            lambda: NestedAutoencoder(max_iter=1).fit(table, shuffled),  # noqa: B023
            lambda: NestedAutoencoder(max_iter=1).fit(table, y).score(table, shuffled),  # noqa: B023
            lambda: report(model, table, shuffled, cv=2),  # noqa: B023
            lambda: next(ScaleKFold(2).split(table, groups=shuffled)),  # noqa: B023
            lambda: plotting.LatentDisplay.from_estimator(model, table, color=shuffled),  # noqa: B023
            lambda: inspection.latent_correlations(model, table, shuffled),  # noqa: B023
        ):
            with pytest.raises(ValueError, match="same row labels in another order: row 0 is"):
                call()


def test_labels_within_lists_are_compared():
    coarse, fine = X[["a", "b"]], X
    shuffled = Y.sample(frac=1, random_state=0)
    chain = NestedAutoencoder(max_iter=1)
    with pytest.raises(ValueError, match="target of scale 'scale0' have the same row labels"):
        chain.fit([coarse, fine], [shuffled, Y])
    weights = [np.ones(N), pd.Series(1.0, shuffled.index)]
    with pytest.raises(ValueError, match=r"sample_weight\[1\] have the same row labels"):
        chain.fit([coarse, fine], [Y, Y], sample_weight=weights)
    stacked, y = stack_scales([coarse, fine], [Y, Y])
    y = y.sample(frac=1, random_state=0)
    for call in (
        lambda: chain.fit(stacked, y),
        lambda: next(ScaleKFold(2).split(stacked, y)),
        lambda: stage_scorer(lambda a, b: 0, 1)(
            NestedAutoencoder(max_iter=1).fit(stacked, y.loc[stacked.index]), stacked, y
        ),
    ):
        with pytest.raises(ValueError, match="X and y have the same row labels in another order"):
            call()


def test_rows_go_by_position_where_labels_do_not_speak():
    expected = fitted().predict(X)
    for y in (Y.to_numpy(), Y.set_axis(range(100, 100 + N)), list(Y), Y.set_axis(X.index)):
        assert_array_equal(fitted(X, y).predict(X), expected)
    part = X.iloc[5:]  # as of a split, beside a target that has new labels
    assert_array_equal(
        fitted(part, Y[5:].reset_index(drop=True)).predict(part), fitted(part, Y[5:]).predict(part)
    )


def test_labels_that_are_partly_the_same_give_a_warning():
    names = [f"row {k}" for k in range(N + 1)]
    given, shifted = X.set_axis(names[:-1]), Y.set_axis(names[1:])
    with pytest.warns(RowLabelWarning, match=f"{N - 1} of the {N} row labels of X are in y too"):
        check_same_rows(given, y=shifted)


def test_folds_of_rows_that_go_by_position_give_no_warning():
    """The target counts anew, beside rows of a table of which some were left out."""
    part = X.iloc[5:]
    scores = cross_val_score(SupervisedAutoencoder(**TINY), part, Y[5:].reset_index(drop=True))
    assert_array_equal(scores, cross_val_score(SupervisedAutoencoder(**TINY), part, Y[5:]))
    order = np.random.default_rng(0).permutation(N - 5)  # as a shuffled split takes rows
    check_same_rows(part.iloc[order], y=Y[5:].reset_index(drop=True).iloc[order])


def test_folds_of_a_shuffled_target_give_a_warning():
    """Within a fold the labels are not the same ones, but most of them are, in another order."""
    with pytest.warns(RowLabelWarning, match="row labels of X are in y too"):
        cross_val_score(SupervisedAutoencoder(**TINY), X, Y.sample(frac=1, random_state=0))


def test_equal_labels_that_stand_twice():
    index = ["r", "r", "s"]
    check_same_rows(X[:3].set_axis(index), y=Y[:3].set_axis(index))
    with pytest.raises(ValueError, match="another order: row 1 is 'r' in X and 's' in y"):
        check_same_rows(X[:3].set_axis(index), y=Y[:3].set_axis(["r", "s", "r"]))


def test_stages_see_the_rows_of_table_and_target_as_one():
    """A list has no labels; its parts are not compared with those of the table as if it had."""
    some = frame(N + 3).sample(N, random_state=0)
    first = np.arange(N) % 5 == 0  # rows of the first scale alone
    some["kind"] = some["kind"].mask(first)
    labels = np.where(first, None, np.where(np.arange(N) % 2, "u", "v")).tolist()
    stages = [
        ("a", SupervisedAutoencoder(**TINY), ["a", "b"]),
        ("kind", SupervisedAutoencoderClassifier(**TINY), ["kind"]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RowLabelWarning)
        chain = NestedAutoencoder(stages).fit(some, labels)
        assert 0 <= chain.score(some, labels) <= 1


# -- structures of atoms


def structures():
    return [bulk("NaCl", "rocksalt", a=a) for a in (5.5, 5.6, 5.7)]


@pytest.mark.parametrize("spell", [list, tuple, as_cells], ids=["list", "tuple", "array"])
@pytest.mark.parametrize("missing", [(), (0,), (1, 2)])
def test_structures_of_a_list_are_a_column(spell, missing):
    """NumPy would make a table of atoms of a list of structures, which are lists of atoms."""
    given = structures()
    cells = [None if i in missing else own for i, own in enumerate(given)]
    assert is_column_of_structures(spell(cells))
    table = read_table(spell(cells))
    assert table.shape == (3, 1)
    for i, own in enumerate(given):
        assert table[i, 0] is own or (i in missing and pd.isna(table[i, 0]))


def test_structures_of_a_series_are_a_table():
    column = pd.Series(as_cells(structures()), index=[5, 6, 7], name="crystal")
    table = read_table(column)
    assert table.columns.tolist() == ["crystal"]
    assert table.index.equals(column.index)
    assert_frame_equal(read_table(table), table)


def test_a_column_of_structures_may_hold_what_whoever_reads_it_refuses():
    for other in ("NaCl", 3.5, {"a": 1}, np.ones(3)):
        table = read_table([*structures(), other])
        assert table.shape == (4, 1)
        assert table[3, 0] is other or table[3, 0] == other


@pytest.mark.parametrize(
    "X",
    [[[1.0, 2.0]], [1.0, 2.0], ["a", "b"], np.ones((2, 2)), pd.Series(["a", "b"]), [], [None]],
    ids=repr,
)
def test_what_is_no_column_of_structures(X):
    assert not is_column_of_structures(X)


def test_one_structure_is_refused():
    with pytest.raises(TypeError, match=r"^X is one structure of atoms, .*; give a list .* \[X\]"):
        read_table(structures()[0])


@pytest.mark.parametrize("rows", [list, tuple])
def test_rows_with_structures_are_refused(rows):
    """NumPy would make a table of atoms of them."""
    some = [rows([own]) for own in structures()]
    with pytest.raises(TypeError, match=r"^X is a list of rows, of which row 0 holds a structure"):
        read_table(some)
    some = [rows([None, 280.0]), *(rows([own, 300.0]) for own in structures())]
    with pytest.raises(TypeError, match=r"row 1 .* such as pd.DataFrame\(X, columns="):
        read_table(some)
    # what the message advises
    table = pd.DataFrame(some, columns=["structure", "temperature"])
    assert_frame_equal(read_table(table), table)
    assert table["structure"][1] is some[1][0]


@pytest.mark.parametrize("spell", [list, tuple, as_cells, lambda own: pd.Series(as_cells(own))])
def test_a_column_of_none_has_no_kind(spell):
    with pytest.raises(ValueError, match=r"^X is 2 times None. .* pd.DataFrame\(\{'structure': X"):
        read_table(spell([None, None]))
    assert read_table([]) == []  # who reads it says that there are no rows


@pytest.mark.parametrize("spell", [list, as_cells, lambda own: pd.Series(as_cells(own))])
def test_structures_are_no_target(spell):
    own = spell(structures())
    with pytest.raises(TypeError, match=r"^y holds structures of atoms, which can be columns of"):
        read_target(own)


def test_a_name_in_place_of_values_is_told_how_to_pass_the_column():
    X, y = regression()
    for call in (
        lambda: SupervisedAutoencoder(**TINY).fit(X, "gap"),
        lambda: SupervisedAutoencoderClassifier(**TINY).fit(X, "gap"),
        lambda: NestedAutoencoder(max_iter=1).fit(X, "gap"),
        lambda: SupervisedAutoencoder(**TINY).fit(X, y).score(X, "gap"),
    ):
        with pytest.raises(TypeError, match=r"y is the text 'gap'.*table\['gap'\]"):
            call()
    with pytest.raises(TypeError, match="sample_weight is the text 'mass'"):
        SupervisedAutoencoder(**TINY).fit(X, y, sample_weight="mass")


@pytest.mark.parametrize("names", [["mass"], ("mass", "gap")])
def test_so_are_names_in_a_list(names):
    table = pd.DataFrame({"mass": range(6), "gap": range(6), "size": range(6)}, dtype=float)
    with pytest.raises(TypeError, match=r"y is .'mass'.*names of columns.*table\[\['mass'"):
        SupervisedAutoencoder(**TINY).fit(table, names)
    # as many words as rows are labels, whatever the columns are called
    labels = ["mass", "gap", "gap", "mass", "gap", "mass"]
    clf = SupervisedAutoencoderClassifier(**TINY).fit(table, labels)
    assert list(clf.classes_) == ["gap", "mass"]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SupervisedAutoencoder(**TINY).fit(table, ["1", "2"])


def test_the_name_of_a_file_is_no_table():
    with pytest.raises(TypeError, match=r"X is 'devices.csv'.*pd.read_csv\('devices.csv'\)"):
        SupervisedAutoencoder(**TINY).fit("devices.csv")
    with pytest.raises(TypeError, match=r"pd\.read_csv"):
        read_table(Path("devices.csv"))
