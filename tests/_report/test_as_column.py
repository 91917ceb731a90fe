"""The earlier property as a column: what was measured, else predicted, and never a row's own."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cases.report import cheap_and_dear, places, two_scales
from numpy.testing import assert_array_equal
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.pipeline import make_pipeline

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, stack_scales
from sknestedae._report import _as_column
from sknestedae._report._as_column import earlier_targets, prepared, properties_as_columns
from sknestedae._report._task import read_task

ONE_EPOCH = {"n_components": 2, "max_iter": 1, "random_state": 0}


def own_rows(**settings):
    """Give a task of two scales with rows of their own: 60 cheap ones, then 30 dear ones."""
    tables, y = cheap_and_dear()
    if "key" in settings:
        tables = [X.assign(name=[f"m{i}" for i in range(len(X))]) for X in tables]
        tables[1] = tables[1].assign(a=tables[1]["a"] + 1)
    nae = NestedAutoencoder(**ONE_EPOCH, **settings).fit(tables, y)
    return read_task(nae, tables, y, None, {}), y


def shared_rows(groups=None, repeat=1):
    """Give a task of one table, of which all rows have both properties."""
    (X, _), (cheap, _) = cheap_and_dear()
    X, cheap = (pd.concat([part] * repeat, ignore_index=True) for part in (X, cheap))
    y = pd.concat([cheap, 2 * cheap], axis=1).set_axis(["p", "q"], axis=1)
    own = {"p": list("ab"), "q": ["c"]}
    stages = [(name, SupervisedAutoencoder(), columns) for name, columns in own.items()]
    return read_task(NestedAutoencoder(stages, **ONE_EPOCH).fit(X, y), X, y, groups, {})


def with_values(task, rows, values):
    """Give a task with other values of the first property."""
    first, *others = task.targets
    changed = first.values.copy()
    changed[rows] = values
    return replace(task, targets=[replace(first, values=changed), *others])


def column(task, learnt, wanted, k=1):
    """Give the one column of a later target."""
    (found,) = properties_as_columns(task, task.targets[k], learnt, wanted, 0).to_numpy().T
    return found


@pytest.mark.parametrize("settings", [{}, {"key": "name"}])
def test_measured_where_the_material_is_known_and_predicted_elsewhere(settings):
    task, (cheap, _) = own_rows(**settings)
    measured, new = places(task.X, "scale0", range(10, 60)), range(10)
    learnt = np.concatenate([measured, places(task.X, "scale1", new)])
    found = column(task, learnt, places(task.X, "scale1", range(30)))
    assert_array_equal(found[10:], cheap[10:30])
    X = task.frame(0)
    forest = make_pipeline(prepared(X), ExtraTreesRegressor(10, random_state=0))
    forest.fit(X.iloc[measured], task.targets[0].values[measured])
    assert_array_equal(found[:10], forest.predict(X.iloc[places(task.X, "scale1", new)]))


def test_a_row_with_a_missing_entry_is_no_known_material(monkeypatch):
    stumps = {"n_estimators": 10, "max_depth": 1, "random_state": 0}  # which learn no row by heart
    monkeypatch.setattr(_as_column, "forest_settings", lambda *args: stumps)
    tables, y = cheap_and_dear()
    tables = [X.copy() for X in tables]
    for X in tables:
        X.loc[12, "a"] = np.nan
    task = read_task(NestedAutoencoder(**ONE_EPOCH).fit(tables, y), tables, y, None, {})
    found = column(task, *(places(task.X, f"scale{k}", range(n)) for k, n in ((0, 60), (1, 30))))
    assert_array_equal(np.flatnonzero(found != y[0][:30]), [12])


def test_very_many_categories_are_told_apart():
    """The rarest of them are one for a model, but they are not one material."""
    names = [f"m{i}" for i in range(300)]
    X = pd.DataFrame({"name": pd.Categorical([*names[:270] * 3, *names[270:]])})  # the last: rare
    tables = [X, X[-30:]]
    cheap = pd.Series(np.arange(840.0), name="cheap")
    y = [cheap, -cheap[-30:].rename("dear")]
    task = read_task(NestedAutoencoder(**ONE_EPOCH).fit(tables, y), tables, y, None, {})
    last = range(810, 840)
    found = column(task, places(task.X, "scale0", range(840)), places(task.X, "scale1", last))
    assert_array_equal(found, cheap[-30:])


def test_nothing_comes_from_rows_held_out():
    task, _ = own_rows()
    learnt = places(task.X, "scale0", range(10, 60))
    wanted = places(task.X, "scale1", range(30))
    found = column(task, learnt, wanted)
    other = with_values(task, places(task.X, "scale0", range(10)), 100)
    assert_array_equal(column(other, learnt, wanted), found)
    other = with_values(task, places(task.X, "scale0", range(10, 20)), 100)
    assert (column(other, learnt, wanted) != found)[:20].all()


def test_no_row_is_told_its_own_value():
    task = shared_rows()
    rows = np.arange(40)
    found, again = column(task, rows, rows), column(with_values(task, 7, 100), rows, rows)
    assert again[7] == found[7]
    assert (again != found).sum() > 20  # four of five others are predicted with it


def test_groups_stay_in_one_part():
    """A replicate in another part would be a known material; rows of a new group are none."""
    rows = np.arange(120)
    for groups, is_told in ((None, True), (np.tile(np.arange(60), 2), False)):
        task = shared_rows(groups, repeat=2)
        found = column(task, rows, rows)
        assert ((found == task.targets[0].values).sum() > 60) == is_told


def test_several_properties_have_a_column_each():
    tables, (cheap, dear) = cheap_and_dear()
    both = pd.concat([cheap, -cheap.rename("other")], axis=1)
    both.loc[:9, "other"] = np.nan
    nae = NestedAutoencoder(**ONE_EPOCH).fit(tables, [both, dear])
    task = read_task(nae, tables, [both, dear], None, {})
    rows = (places(task.X, f"scale{k}", range(n)) for k, n in ((0, 60), (1, 30)))
    found = properties_as_columns(task, task.targets[2], *rows, 0)
    assert_array_equal(found["p0"], cheap[:30])
    assert_array_equal(found["p1"][10:], -cheap[10:30])
    assert found["p1"].notna().all()


def test_no_property_that_is_a_number():
    (X, few), (cheap, dear) = cheap_and_dear()
    kind = pd.Series(np.where(cheap > 0, "u", "v"), name="kind")
    for y in ([kind, dear], [None, dear]):
        nae = NestedAutoencoder(**ONE_EPOCH).fit([X, few], y)
        task = read_task(nae, [X, few], y, None, {})
        last = task.targets[-1]
        assert not earlier_targets(task, last)
        assert properties_as_columns(task, last, np.arange(60), np.r_[60:90], 0) is None
    task, _ = own_rows()
    rows = places(task.X, "scale0", range(60))
    assert properties_as_columns(task, task.targets[0], rows, rows, 0) is None
    rows = places(task.X, "scale1", range(30))  # none of them has the first property
    assert properties_as_columns(task, task.targets[1], rows, rows, 0) is None


def test_rows_of_a_table_are_those_of_a_list():
    tables, y = two_scales()
    nae = NestedAutoencoder(**ONE_EPOCH).fit(tables, y)
    rows = np.arange(50), np.r_[45:70]
    found = []
    for given in ((tables, y), stack_scales(tables, y)):
        task = read_task(nae, *given, None, {})
        found.append(properties_as_columns(task, task.targets[1], *rows, 0))
    pd.testing.assert_frame_equal(*found)
