"""What is promised not to matter: units, offsets, the size of weights, orders, names, seeds.

Tables are drawn, and numbers from all that are accepted: 5e-324 to 1.7e308. What is only moved by
a power of two must be the same to the last bit; what is rounded otherwise, to ``ROUNDING``.
"""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae import (
    DualAutoencoder,
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae._estimators._fitted import fitted_part
from sknestedae._tables._splits import row_keys, split_rows
from sknestedae.blocks import DenseBlock

# To make a failing table smaller takes a fit for each try; the first one tells enough.
few = settings(
    deadline=None,
    max_examples=8,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
# Adam divides a gradient by its size plus 1e-8. So it makes what rounding (2e-16) leaves larger by
# 1e8 at most, in steps of 0.003; a fit has a dozen of them, and what follows it some matrices.
ROUNDING = {"rtol": 1e-7, "atol": 1e-7}
N_ROWS = 32
TINY = {"hidden_layer_sizes": (4,), "max_iter": 4, "batch_size": 16, "random_state": 0}


def make(kind, **kwargs):
    """Make an estimator that is quick to fit."""
    parameters = {**TINY, **kwargs}
    if kind in ("chain", "regressor"):  # to a Gaussian process, weights say how sure a row is
        parameters.setdefault("predictor", "network")
    if kind == "chain":
        early = parameters.pop("early_stopping", False)
        one = SupervisedAutoencoder(2, early_stopping=early, **parameters)
        two = SupervisedAutoencoder(2, early_stopping=early, **parameters)
        stages = [("a", one, ["x0"]), ("b", two, ["x1", "x2"])]
        return NestedAutoencoder(stages, refine_iter=1, random_state=0)
    if kind == "classifier":
        return SupervisedAutoencoderClassifier(2, **parameters)
    if kind in ("dual", "separated"):
        alignment = "separated" if kind == "separated" else 1.0
        blocks = [("first", DenseBlock(), [0])]
        return DualAutoencoder(2, blocks=blocks, alignment=alignment, **parameters)
    return SupervisedAutoencoder(2, **parameters)


def table(dtype="float64", seed=0):
    """Draw columns of sizes that are usual, with some values missing in the last one."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_ROWS, 3)) * [0.01, 1, 300] + [5, 0, -1000]
    X[::7, 2] = np.nan
    return pd.DataFrame(X.astype(dtype), columns=["x0", "x1", "x2"])


def target(X, kind="regressor"):
    y = X["x0"] / 0.01 - X["x1"].to_numpy()
    return pd.Series(np.where(y > y.median(), "high", "low")) if kind == "classifier" else y


def outcome(estimator, X):
    """Gather, as arrays without unit, all that a fitted estimator says of rows."""
    found = {"latents": estimator.transform(X), "scores": estimator.score_samples(X)}
    if hasattr(estimator, "predict_proba") and not isinstance(estimator, NestedAutoencoder):
        found["probabilities"] = estimator.predict_proba(X)
    elif isinstance(estimator, SupervisedAutoencoder):
        found["prediction"] = estimator._predict(X)  # in standard deviations
    if isinstance(estimator, DualAutoencoder):
        found["pairs"] = estimator.retrieve(X, "first", X, return_scores=True)[1]
        found["r2"] = np.array(estimator.translation_score(X, "first", "table"))
    if isinstance(estimator, NestedAutoencoder):
        found["prediction"] = estimator.predict(X)
    else:
        found["losses"] = estimator.history_.to_numpy()
    return found


def assert_same(one, other):
    for name, values in one.items():
        assert_array_equal(values, other[name], err_msg=name)


def assert_close(one, other):
    for name, values in one.items():
        assert_allclose(values, other[name], err_msg=name, **ROUNDING)


KINDS = st.sampled_from(["regressor", "classifier", "chain", "dual", "separated"])
DTYPES = st.sampled_from(["float32", "float64"])
# Ten times the smallest and the largest of the weights below are numbers still.
POWERS = st.sampled_from([-1074, 1019]) | st.integers(-1074, 1019)
FACTORS = st.floats(-300, 300).map(lambda exponent: 10.0**exponent)
WEIGHTS = st.lists(st.integers(0, 9), min_size=N_ROWS, max_size=N_ROWS).filter(
    lambda weights: sum(w > 0 for w in weights) > N_ROWS // 2
)


# -- weights: only their proportions matter


@few
@given(kind=KINDS, dtype=DTYPES, weight=WEIGHTS, power=POWERS, early_stopping=st.booleans())
def test_the_size_of_weights_does_not_matter(kind, dtype, weight, power, early_stopping):
    X = table(dtype)
    y = target(X, kind)
    plain, scaled = (
        make(kind, early_stopping=early_stopping).fit(X, y, sample_weight=w)
        for w in (np.array(weight, float), np.ldexp(np.array(weight, float), power))
    )
    assert_same(outcome(plain, X), outcome(scaled, X))


@few
@given(kind=KINDS, weight=WEIGHTS, factor=FACTORS, early_stopping=st.booleans())
def test_the_size_of_weights_does_not_matter_but_for_rounding(
    kind, weight, factor, early_stopping
):
    X = table()
    y = target(X, kind)
    # which rows a later stage of a chain holds out follows from its latents, to the last bit
    early_stopping &= kind != "chain"
    plain, scaled = (
        make(kind, early_stopping=early_stopping).fit(X, y, sample_weight=np.array(weight) * f)
        for f in (1.0, factor)
    )
    assert_close(outcome(plain, X), outcome(scaled, X))


@few
@given(weight=WEIGHTS, power=POWERS)
def test_the_size_of_weights_of_a_stream_does_not_matter(weight, power):
    """Nor for what completion remembers of earlier calls."""
    X = table()
    weight = np.array(weight, float) + 1
    streams = []
    for w in (weight, np.ldexp(weight, power)):
        stream = make("regressor")
        for part in (slice(0, 20), slice(20, None)):
            stream.partial_fit(X[part], target(X)[part], sample_weight=w[part])
        streams.append(stream)
    assert_same(outcome(streams[0], X), outcome(streams[1], X))
    assert_array_equal(streams[0].complete(X), streams[1].complete(X))


@pytest.mark.parametrize("factor", [1e-300, 1e300])
def test_the_size_of_weights_of_one_call_against_another_is_remembered(factor):
    """Of a call of far heavier rows all is remembered, of one of far lighter ones nothing."""
    X = table()
    stream = make("regressor").partial_fit(X[:20], target(X)[:20])
    before = fitted_part(stream).latent_statistics
    stream.partial_fit(X[20:], target(X)[20:], sample_weight=np.full(12, factor))
    after = fitted_part(stream).latent_statistics
    remembers_first = np.isin(after.examples, before.examples).all(axis=1)
    assert_array_equal(remembers_first, factor < 1)
    assert_array_equal(after.mean == before.mean, factor < 1)


@few
@given(heavy=st.integers(0, N_ROWS - 1), power=st.integers(0, 99))
def test_a_heavy_row_leaves_something_to_learn_from_wherever_it_is_held(heavy, power):
    """In single precision, whether early stopping holds it out or not."""
    X = table("float32")
    weight = np.ones(N_ROWS)
    weight[heavy] = 2.0**power
    sae = make("regressor", early_stopping=True).fit(X, target(X), sample_weight=weight)
    losses = sae.history_[["train_reconstruction", "train_prediction", "valid_prediction"]]
    assert np.isfinite(losses).all(axis=None)
    assert (losses[["train_reconstruction", "valid_prediction"]] > 0).all(axis=None)


SCORED = {
    "regressor": ("regressor", {}),
    "ensemble": ("regressor", {"n_members": 2}),
    "classifier": ("classifier", {}),
    "chain": ("chain", {}),
}


def ensemble_of_chains(kind):
    stages = [("a", make("regressor"), ["x0"]), ("b", make(kind), ["x1", "x2"])]
    return NestedAutoencoder(stages, n_members=2, random_state=0)


@pytest.mark.parametrize("name", [*SCORED, "chains of regressor", "chains of classifier"])
def test_the_size_of_weights_does_not_matter_in_a_score(name):
    X = table()
    kind, parameters = SCORED.get(name, (name.split()[-1], {}))
    y = target(X, kind)
    is_plain = name in SCORED
    estimator = make(kind, **parameters) if is_plain else ensemble_of_chains(kind)
    estimator.fit(X, y)

    @few
    @given(weight=WEIGHTS, power=POWERS, with_y=st.booleans())
    def check(weight, power, with_y):
        truth = y if with_y else None
        weight = np.array(weight, float)
        score = estimator.score(X, truth, sample_weight=weight)
        assert score == estimator.score(X, truth, sample_weight=np.ldexp(weight, power))
        repeated = np.repeat(np.arange(N_ROWS), weight.astype(int))
        of_repeated = estimator.score(
            X.iloc[repeated], None if truth is None else y.iloc[repeated]
        )
        assert score == pytest.approx(of_repeated, rel=1e-12, abs=1e-12)

    check()


@few
@given(kind=KINDS, dtype=DTYPES, weight=WEIGHTS, power=POWERS, data=st.data())
def test_a_row_of_weight_0_is_left_out(kind, dtype, weight, power, data):
    """Whatever it holds, and whatever the other weights are."""
    X = table(dtype)
    y = target(X, kind)
    weight = np.ldexp(np.array(weight, float), power)
    kept = weight > 0
    largest = float(np.finfo(dtype).max)
    nasty = data.draw(st.sampled_from([largest, -largest, np.nan, 1e-300, 0.0]))
    changed = X.copy()
    changed.loc[~kept] = nasty
    one = make(kind).fit(changed, y, sample_weight=weight)
    other = make(kind).fit(X[kept], y[kept], sample_weight=weight[kept])
    assert_same(outcome(one, X), outcome(other, X))


@pytest.mark.filterwarnings("ignore:batch_size=10000 is larger")
@few
@given(kind=KINDS, weight=WEIGHTS, power=POWERS, early_stopping=st.booleans())
def test_an_integer_weight_is_the_same_as_repeating_the_row(kind, weight, power, early_stopping):
    """In one batch: which rows meet in a batch is drawn."""
    X = table()
    y = target(X, kind)
    early_stopping &= kind != "chain"  # as above
    settings = {"batch_size": 10_000, "early_stopping": early_stopping, "alpha": 0.1}
    weighted = make(kind, **settings).fit(
        X, y, sample_weight=np.ldexp(np.array(weight, float), power)
    )
    repeated = np.repeat(np.arange(N_ROWS), weight)
    plain = make(kind, **settings).fit(X.iloc[repeated], y.iloc[repeated])
    one, other = outcome(weighted, X), outcome(plain, X)
    # of few rows the covariance of errors is shrunk, and more rows shrink it less
    del one["scores"], other["scores"]
    assert_close(one, other)


# -- units and offsets


@st.composite
def units(draw, dtype):
    """Draw powers of two for three columns, so that all of their numbers stay normal."""
    most = 100 if dtype == "float32" else 1000
    return [draw(st.integers(-most, most)) for _ in range(3)]


def in_units(X, powers):
    columns = zip(X.columns, powers, strict=True)
    return pd.DataFrame({name: np.ldexp(X[name].to_numpy(), power) for name, power in columns})


@few
@given(kind=KINDS, dtype=DTYPES, data=st.data())
def test_the_unit_of_a_column_does_not_matter(kind, dtype, data):
    """But for the rows that early stopping holds out, which are drawn by what they hold."""
    X = table(dtype)
    powers = data.draw(units(dtype))
    y = target(X, kind)
    scaled = in_units(X, powers)
    one, other = (make(kind).fit(own, y) for own in (X, scaled))
    assert_same(outcome(one, X), outcome(other, scaled))
    assert_array_equal(in_units(one.complete(X), powers), other.complete(scaled))
    back = in_units(one.inverse_transform(one.transform(X)), powers)
    assert_array_equal(back, other.inverse_transform(other.transform(scaled)))
    assert one.score(X) == other.score(scaled)


@few
@given(kind=KINDS, factors=st.lists(FACTORS, min_size=3, max_size=3))
def test_the_unit_of_a_column_does_not_matter_but_for_rounding(kind, factors):
    """Rounding moves a number by 1e-16 of an offset, here of up to 500 standard deviations.

    That is still far below what Adam makes of it.
    """
    X = table()
    y = target(X, kind)
    scaled = X * factors
    one, other = (make(kind).fit(own, y) for own in (X, scaled))
    assert_close(outcome(one, X), outcome(other, scaled))


@few
@given(
    kind=st.sampled_from(["regressor", "chain"]),
    n_members=st.integers(1, 2),
    early_stopping=st.booleans(),
    power=st.integers(-1000, 1000),
)
def test_the_unit_of_the_target_does_not_matter(kind, n_members, early_stopping, power):
    """Neither to the network nor to a score; predictions and their spread follow it."""
    X = table()
    y = target(X)
    settings = {"n_members": n_members} if kind == "regressor" else {}
    one, other = (
        make(kind, early_stopping=early_stopping, **settings).fit(X, own)
        for own in (y, np.ldexp(y, power))
    )
    assert_array_equal(one.transform(X), other.transform(X))
    assert one.score(X, y) == other.score(X, np.ldexp(y, power))
    spread = {"return_std": True} if len(one.members_) > 1 else {}
    for a, b in zip(
        np.atleast_2d(one.predict(X, **spread)),
        np.atleast_2d(other.predict(X, **spread)),
        strict=True,
    ):
        assert_array_equal(np.ldexp(a, power), b)


@few
@given(kind=KINDS, power=st.integers(0, 40), sign=st.sampled_from([-1, 1]))
def test_an_offset_of_a_column_does_not_matter(kind, power, sign):
    """Of whole numbers, 32 of them: their sums, and so their means, are exact with the offset."""
    X = table().drop(columns="x2").assign(x2=0.0)
    X = (X * [3000, 30, 1]).round()
    X["x2"] = np.arange(N_ROWS) % 7
    y = target(X, kind)
    moved = X + sign * 2.0**power
    one, other = (make(kind).fit(own, y) for own in (X, moved))
    assert_close(outcome(one, X), outcome(other, moved))


@few
@given(least=st.sampled_from([5e-324, 1e-320, 1e-310]), dtype=DTYPES)
def test_numbers_below_the_normal_ones_enter_as_far_as_they_are_known(least, dtype):
    """The smallest numbers are whole numbers of one of them; so are their mean and their scale."""
    whole = np.arange(1, N_ROWS + 1) * 40
    smallest = float(np.finfo(dtype).smallest_subnormal)
    unit = max(least, smallest)
    unit = smallest * round(unit / smallest)
    X = (whole[:, None] * unit).astype(dtype)
    sae = make("regressor").fit(X)
    values = fitted_part(sae).encode(X)["table"].values[:, 0]
    expected = (whole - whole.mean()) / whole.std()
    assert_allclose(values, expected, atol=2 * 0.5 / whole.std() * (1 + np.abs(expected).max()))


# -- orders, names, seeds


@pytest.mark.filterwarnings("ignore:batch_size=10000 is larger")
@few
@given(
    kind=st.sampled_from(["regressor", "classifier"]),
    early_stopping=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_order_of_rows_does_not_matter_in_one_batch(kind, early_stopping, seed):
    """Nor to which rows early stopping holds out."""
    X = table()
    X = pd.concat([X, X.iloc[:9]])
    y = target(X, kind)
    order = np.random.default_rng(seed).permutation(len(X))
    settings = {"batch_size": 10_000, "early_stopping": early_stopping, "alpha": "auto"}
    one = make(kind, **settings).fit(X, y)
    other = make(kind, **settings).fit(X.iloc[order], y.iloc[order])
    assert_close(outcome(one, X), outcome(other, X))


@few
@given(seed=st.integers(0, 99), weights=WEIGHTS, power=POWERS)
def test_equal_rows_are_never_on_both_sides(seed, weights, power):
    """Zero has a sign, and NaN has bits; they are equal all the same."""
    rng = np.random.default_rng(seed)
    X = rng.choice([0.0, -0.0, 1.0, np.nan, -np.nan, np.copysign(np.nan, -1)], (N_ROWS, 3))
    for own in (X, X.astype(np.float32), pd.DataFrame(X)):
        weight = np.ldexp(np.array(weights, float), power)
        train, valid = split_rows(row_keys(own), np.arange(N_ROWS) % 2, 0.3, seed, weight)
        kinds = [tuple(map(str, row)) for row in np.asarray(own, float) + 0.0]
        assert len(train)
        assert len(valid)
        assert not {kinds[i] for i in train} & {kinds[i] for i in valid}


@few
@given(kind=KINDS, data=st.data())
def test_rows_do_not_see_each_other_after_fit(kind, data):
    """But for the rounding of products of matrices of other sizes."""
    X = table()
    estimator = make(kind).fit(X, target(X, kind))
    rows = data.draw(st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=9))
    methods = ("transform", "predict", "score_samples", "complete")
    for method in methods:
        every, some = (getattr(estimator, method)(own) for own in (X, X.iloc[rows]))
        if kind == "classifier" and method == "predict":
            assert_array_equal(every[rows], some)
        else:
            assert_allclose(np.asarray(every)[rows], some, rtol=1e-7, atol=1e-7)


@few
@given(kind=st.sampled_from(["regressor", "classifier"]), names=st.permutations("abc"))
def test_names_of_columns_do_not_matter(kind, names):
    X = table()
    y = target(X, kind)
    plain = outcome(make(kind).fit(X, y), X)
    for labels in (list(names), list(range(3)), pd.MultiIndex.from_product([["s"], names])):
        named = X.set_axis(labels, axis=1)
        assert_same(outcome(make(kind).fit(named, y), named), plain)
    # the sum of a column is rounded as it lies in memory
    assert_close(outcome(make(kind).fit(X.to_numpy(), y), X.to_numpy()), plain)


@few
@given(order=st.permutations(range(3)))
def test_columns_of_two_levels_come_in_any_order_in_a_chain(order):
    """In ``fit`` columns of another scale may stand between; after it they are found by name."""
    labels = [("a", "x0"), ("a", "x1"), ("b", "x2")]
    X = table().set_axis(pd.MultiIndex.from_tuples(labels), axis=1)
    y = target(table())
    chain = NestedAutoencoder([(s, SupervisedAutoencoder(2, **TINY), s) for s in "ab"])
    chain.fit(X, y)
    assert_array_equal(chain.predict(X), chain.predict(X.iloc[:, order]))
    between = X.iloc[:, [0, 2, 1]]
    again = NestedAutoencoder(chain.stages).fit(between, y)
    assert_same(outcome(chain, X), outcome(again, between))


@few
@given(kind=KINDS, seed=st.integers(0, 2**31 - 1))
def test_the_same_seed_gives_the_same_fit(kind, seed):
    X = table()
    settings = {"dropout": 0.2, "random_state": seed}
    np.random.seed(1)
    one = outcome(make(kind, **settings).fit(X, target(X, kind)), X)
    np.random.seed(2)
    assert_same(one, outcome(make(kind, **settings).fit(X, target(X, kind)), X))
