"""What is passed on from stage to stage: the plan, the rows, what was measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cases.nested import clf, sae
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae._estimators._head import Head
from sknestedae._estimators._passing import (
    PassedOn,
    PassedRows,
    as_columns,
    describe_passed,
    iter_inputs,
    learn_measured,
    measured_targets,
    plan_passing,
    take_columns,
)
from sknestedae._estimators._stages import Stage
from sknestedae._tables._labels import ColumnLabels
from sknestedae._tables._measured import MeasuredValues
from sknestedae._tables._staged import StagedTable, StageTargets
from sknestedae.blocks import SpectrumBlock
from sknestedae.exceptions import MaterialKeyWarning

GP = {"predictor": "gaussian_process"}


def target_of(n_outputs, n_rows=8):
    """Give a target of stages a, b, ... with so many outputs each."""
    names, ends = "abcd"[: len(n_outputs)], np.cumsum([0, *n_outputs])
    columns = {name: list(range(ends[k], ends[k + 1])) for k, name in enumerate(names)}
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(n_rows, ends[-1])))
    return StageTargets(frame, False, columns)


def stages_of(*estimators, columns=([0, 1], [2], [3], [4])):
    named = zip("abcd", estimators, columns, strict=False)
    return [Stage(*stage) for stage in named]


def plan(stages, n_outputs, passthrough="auto", key=None):
    return plan_passing(stages, target_of(n_outputs), passthrough, key)


def table_of(X, **columns):
    return StagedTable(X, ColumnLabels.of(X), columns)


# -- the plan


def test_columns_of_all_stages_and_the_last_prediction_are_passed():
    stages = stages_of(sae(), sae(), sae(**GP))
    first, second, third = plan(stages, [1, 1, 1])
    assert first is None
    assert second is None  # its network predicts
    assert third == PassedOn({0: [0, 1], 1: [0]}, source=1, identity=[0, 1, 2], by_key=False)
    # of a stage without target there is no prediction, and a material is what stands up to it
    assert plan(stages, [2, 0, 1])[2] == PassedOn({0: [0, 1], 1: [0]}, 0, [0, 1], False)
    # columns alone
    assert plan(stages, [0, 0, 1])[2] == PassedOn({0: [0, 1], 1: [0]}, None, [], False)


def test_nothing_is_passed_where_nothing_is_predicted_or_asked():
    stages = stages_of(sae(), sae(**GP))
    assert plan(stages, [1, 0]) == [None, None]
    assert plan(stages, [1, 1], passthrough=False) == [None, None]
    assert plan(stages_of(sae(), clf()), [1, 1]) == [None, None]
    assert plan(stages_of(sae(), sae(predictor="auto")), [1, 1])[1] is not None


def test_a_column_is_passed_once_and_not_to_a_stage_that_has_it():
    columns = ([0, 1, 2], [1, 3], [2], [2, 4])
    stages = stages_of(sae(), sae(), sae(), sae(**GP), columns=columns)
    passed = plan(stages, [1, 0, 1, 1])[3]
    # positions among the stage's own columns: 0 and 1 of the first, 3 of the second
    assert passed.columns == {0: [0, 1], 1: [1]}
    assert passed.identity == [0, 1, 2, 3]
    same = stages_of(sae(), sae(**GP), columns=([0, 1], [0, 1]))
    assert plan(same, [1, 1])[1] == PassedOn({}, 0, [0, 1], False)
    assert plan(same, [0, 1])[1] is None


def test_a_key_is_the_identity():
    passed = plan(stages_of(sae(), sae(**GP)), [1, 1], key=7)[1]
    assert (passed.identity, passed.by_key) == ([7], True)


def test_what_a_pipeline_and_a_frozen_stage_pass():
    pipeline = make_pipeline(StandardScaler(), sae())
    frozen = FrozenEstimator(sae())
    third = plan(stages_of(frozen, pipeline, sae(**GP)), [1, 1, 1])[2]
    # the columns within a pipeline are not those of the table
    assert third.columns == {0: [0, 1]}
    assert third.source == 1


@pytest.mark.parametrize(
    ("estimator", "what"),
    [
        (sae(), "'b' has predictor='network'"),
        (clf(), "'b' is a SupervisedAutoencoderClassifier"),
        (make_pipeline(StandardScaler(), sae(**GP)), "'b' is a Pipeline"),
        (FrozenEstimator(sae(**GP)), "'b' is a FrozenEstimator"),
    ],
)
def test_a_stage_that_cannot_take_it(estimator, what):
    message = f"'passthrough' parameter is True, but only.*stage {what}: give.*predictor='gauss"
    with pytest.raises(ValueError, match=message):
        plan(stages_of(sae(), estimator), [1, 1], passthrough=True)
    # without a target it predicts nothing
    assert plan(stages_of(sae(), estimator), [1, 0], passthrough=True) == [None, None]


def test_without_a_target_before_there_is_nothing_to_pass():
    with pytest.raises(
        ValueError, match=r"'passthrough' parameter is True, but no stage before 'b'"
    ):
        plan(stages_of(sae(), sae(**GP)), [0, 1], passthrough=True)


def test_a_target_of_arrays_is_not_passed():
    stages = stages_of(sae(), sae(**GP))
    target = target_of([1, 1])
    target.frame[0] = [np.arange(3.0)] * 8
    passed = plan_passing(stages, target, "auto", None)[1]
    assert passed == PassedOn({0: [0, 1]}, None, [], False)
    with pytest.raises(ValueError, match="no stage before 'b' has a target of numbers or classes"):
        plan_passing(stages, target, True, None)


def test_the_state_of_a_plan_is_plain():
    rows = np.arange(3.0)[:, None]
    learnt = PassedOn({0: [1]}, 0, [0], True, MeasuredValues.of(rows, rows))
    again = PassedOn.from_state(learnt.to_state())
    assert isinstance(learnt.to_state()["measured"], dict)
    assert_array_equal(again.measured.find(rows), rows)
    assert PassedOn.from_state(PassedOn({}, None, [], False).to_state()).measured is None


# -- rows


def fitted_stages(n_rows=12, **settings):
    """Give two fitted stages of one table, the second a Gaussian process, and the table."""
    X = pd.DataFrame(np.random.default_rng(1).normal(size=(n_rows, 3)), columns=list("abc"))
    first = sae(**settings).fit(X[["a", "b"]], X["a"] * 2 + 1)
    stages = [Stage("a", first, [0, 1]), Stage("b", sae(**GP), [2])]
    return stages, table_of(X, a=[0, 1], b=[2]), [None, PassedOn({0: [0, 1]}, 0, [0, 1], False)]


def test_rows_are_given_columns_then_predictions():
    stages, table, passing = fitted_stages(**GP)
    inputs = list(iter_inputs(stages, PassedRows(table, passing, with_std=True)))
    assert inputs[0].passed is None
    passed = inputs[1].passed
    own = table.X[["a", "b"]]
    expected, std = stages[0].estimator.predict(own, return_std=True)
    scaled = (own - own.mean()) / own.std(ddof=0)
    assert_allclose(passed.values, np.c_[scaled, expected], rtol=1e-5, atol=1e-6)
    assert_array_equal(passed.std[:, 0], std)
    assert passed.is_number.all()
    assert (passed.n_own, passed.n_predictions) == (1, 1)


@pytest.mark.parametrize(("block", "is_array"), [(SpectrumBlock(), True), (None, False)])
def test_a_spectrum_is_passed_with_the_unit_of_its_stage(block, is_array):
    # most of the spectrum is in the first channel; the last one hardly varies
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(12, 3)), columns=list("abc"))
    Y = rng.normal(size=(12, 3)) * [1, 0.5, 1e-4]
    stages = [
        Stage("a", sae(target_block=block).fit(X[["a", "b"]], Y), [0, 1]),
        Stage("b", sae(**GP), [2]),
    ]
    passing = [None, PassedOn({0: [0, 1]}, 0, [0, 1], False)]
    inputs = list(iter_inputs(stages, PassedRows(table_of(X, a=[0, 1], b=[2]), passing)))
    unit = inputs[1].passed.unit
    if not is_array:
        assert unit is None
        return
    assert_allclose(unit, np.sqrt(Y.var(axis=0).mean()), rtol=1e-6)


def test_what_was_measured_stands_for_the_prediction():
    stages, table, passing = fitted_stages(**GP)
    known = np.full((12, 1), np.nan)
    known[[2, 5], 0] = [40.0, 50.0]
    rows = [np.arange(12), np.arange(12)]
    passing = learn_measured(passing, 0, table, known, rows)
    other = table_of(table.X.iloc[[5, 7]].assign(c=9.0), **table.columns)
    described = describe_passed(other, stages, passing)["a"]
    assert described["measured"].tolist() == [True, False]
    assert described["value"].iloc[0] == 50.0
    expected = stages[0].estimator.predict(other.X[["a", "b"]], return_std=True)
    assert described["value"].iloc[1] == expected[0][1]
    assert described["std"].tolist() == [0.0, expected[1][1]]
    assert described.index.tolist() == [5, 7]


def test_the_target_of_the_row_itself_is_passed_in_training():
    """Also where its key is missing, and before the mean over replicates."""
    stages, table, passing = fitted_stages()
    known = np.arange(12.0)[:, None]
    known[3] = np.nan
    gathered = PassedRows(table, passing, known={0: known})
    gathered.add(0, stages[0], table.stage(0, None))
    assert gathered.is_measured[0][:, 0].tolist() == [k != 3 for k in range(12)]
    values = gathered.to(1, stages[1]).values[:, -1]
    assert_array_equal(np.delete(values, 3), np.delete(known[:, 0], 3))
    assert values[3] == stages[0].estimator.predict(table.X[["a", "b"]])[3]


def test_rows_of_a_part_stand_where_they_belong():
    stages, table, passing = fitted_stages()
    rows = np.array([7, 2])
    whole, part = PassedRows(table, passing), PassedRows(table, passing)
    whole.add(0, stages[0], table.stage(0, None))
    part.add(0, stages[0], table.stage(0, None, rows), rows)
    assert_allclose(part.to(1, stages[1], rows).values, whole.to(1, stages[1], rows).values)
    assert np.isnan(part.to(1, stages[1]).values[0]).all()


def test_nothing_passed_is_described_by_no_column():
    stages, table, _ = fitted_stages()
    described = describe_passed(table, stages, [None, None])
    assert described.shape == (12, 0)
    assert described.columns.nlevels == 2
    assert described.index.equals(table.X.index)


def test_several_outputs_are_named_by_number():
    X = pd.DataFrame(np.random.default_rng(1).normal(size=(12, 3)), columns=list("abc"))
    first = sae().fit(X[["a", "b"]], X[["a", "c"]])
    stages = [Stage("a", first, [0, 1]), Stage("b", sae(**GP), [2])]
    passing = [None, PassedOn({}, 0, [0, 1], False)]
    described = describe_passed(table_of(X, a=[0, 1], b=[2]), stages, passing)
    assert described.columns.tolist() == [
        (f"a[{i}]", what) for i in range(2) for what in ("value", "std", "measured")
    ]
    assert_array_equal(described["a[1]"]["value"], first.predict(X[["a", "b"]])[:, 1])


# -- what was measured


def test_labels_are_passed_as_probabilities_of_one():
    X = np.random.default_rng(0).normal(size=(6, 2))
    labels = pd.array(["x", "y", None, "z", "x", "y"], "string")
    stage = Stage("a", clf().fit(X, labels), [0, 1])
    target = StageTargets(pd.DataFrame({0: labels}), True, {"a": [0]})
    found = measured_targets(stage, target)
    expected = np.eye(3)[[0, 1, 0, 2, 0, 1]]
    expected[2] = np.nan
    assert_array_equal(found, expected)


def test_numbers_are_passed_in_their_units():
    frame = pd.DataFrame({0: pd.array([1, None, 3], "Int64"), 1: [True, False, True]})
    target = StageTargets(frame, False, {"a": [0], "b": [1]})
    assert_array_equal(measured_targets(Stage("a", sae(), [0]), target), [[1.0], [np.nan], [3.0]])
    assert_array_equal(measured_targets(Stage("b", sae(), [0]), target), [[1.0], [0.0], [1.0]])


def key_table(keys, mass):
    X = pd.DataFrame({"formula": keys, "mass": mass, "layer": 1.0})
    return table_of(X, first=[1], second=[2])


def learn(table, known, rows, wanted):
    passing = [None, PassedOn({}, 0, [0], True)]
    values = np.full((len(table), 1), np.nan)
    values[rows, 0] = known
    learnt = learn_measured(passing, 0, table, values, [np.array(rows), np.array(wanted)])
    assert passing[1].measured is None  # a new plan
    return learnt[1].measured


def test_a_key_that_finds_nothing_is_doubted():
    table = key_table(["A", "B", "C", "D"], [1.0, 2.0, 3.0, 4.0])
    message = (
        "No row of stage 'second' shares its value of the key 'formula' with a row of stage "
        r"'first' that has a known target: a prediction is passed on in all 2 rows, never a "
        r"measured value\."
    )
    with pytest.warns(MaterialKeyWarning, match=message):
        learn(table, [1.0, 2.0], [0, 1], [2, 3])


def test_a_key_of_rows_that_differ_is_doubted():
    table = key_table(["A", "A", "B", "A"], [1.0, 2.0, 3.0, 1.0])
    message = (
        r"The key 'formula' has 1 value that stands for rows of stage 'first' whose columns d"
    )
    with pytest.warns(MaterialKeyWarning, match=message):
        learnt = learn(table, [1.0, 2.0, 5.0], [0, 1, 2], [3])
    assert_array_equal(learnt.find(take_columns(table.X, [0], [3])), [[1.5]])


@pytest.mark.filterwarnings("error")
def test_a_gap_in_a_replicate_does_not_make_a_key_doubtful():
    table = key_table(["A", "A", "B", "A"], [1.0, np.nan, 3.0, 1.0])
    learnt = learn(table, [1.0, 2.0, 5.0], [0, 1, 2], [3])
    assert_array_equal(learnt.find(take_columns(table.X, [0], [3])), [[1.5]])


@pytest.mark.filterwarnings("error")
def test_a_key_in_order_is_not_doubted():
    table = key_table(["A", "A", None, None, "A", "Z"], [1.0, 1.0, 2.0, 3.0, 9.0, 9.0])
    learnt = learn(table, [1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3], [4, 5])
    assert_array_equal(
        learnt.find(table.X[["formula"]])[:, 0], [1.5, 1.5, *[np.nan] * 2, 1.5, np.nan]
    )


def test_helpers():
    assert_array_equal(as_columns(np.array([1, 2])), [[1.0], [2.0]])
    assert as_columns(np.zeros((3, 2))).shape == (3, 2)
    X = np.arange(6).reshape(3, 2)
    assert_array_equal(take_columns(X, [1], slice(None)), [[1], [3], [5]])
    assert_array_equal(take_columns(X, [1], np.array([2, 0])), [[5], [1]])
    frame = pd.DataFrame(X, columns=["a", "a"])  # by position
    assert_array_equal(take_columns(frame, [1], np.array([2])), [[5]])


def test_an_infinite_target_is_refused_before_it_is_passed():
    frame = pd.DataFrame({0: [1.0, np.nan, -np.inf]})
    with pytest.raises(ValueError, match=r"y contains infinity.*first in row 2\); a value must"):
        measured_targets(Stage("a", sae(), [0]), StageTargets(frame, True, {"a": [0]}))


def test_no_standard_deviation_is_computed_unasked(monkeypatch):
    """It takes longer than the prediction, and a mean alone does not need it."""
    stages, table, passing = fitted_stages(**GP)
    monkeypatch.delattr(Head, "std")
    gathered = PassedRows(table, passing)
    *_, last = iter_inputs(stages, gathered)
    assert np.isnan(last.passed.std).all()
    assert last.passed.n_predictions == 1
    with pytest.raises(AttributeError):
        list(iter_inputs(stages, PassedRows(table, passing, with_std=True)))
