"""Every kind of estimator, table and target, and those that are refused."""

import numpy as np
import pandas as pd
import pytest
from cases.report import (
    EVIL,
    TINY,
    cheap_and_dear,
    check_markdown,
    check_page,
    scores_of,
    two_scales,
    with_arrays,
)
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    report,
    stack_scales,
)
from sknestedae._report._task import _decoded_positions, flat_cells, read_task, row_means


def test_columns_of_several_stages_are_those_of_the_first():
    (X, _), (cheap, dear) = cheap_and_dear(60)
    y = pd.concat([cheap, dear], axis=1)
    stages = [(name, SupervisedAutoencoder(**TINY), list("abc")) for name in ("p", "q")]
    nae = NestedAutoencoder(stages, random_state=0).fit(X, y)
    task = read_task(nae, X, y, None, {})
    assert [column.stage for column in task.columns] == [0, 0, 0]
    assert _decoded_positions(nae, 3) == {0: 0, 1: 1, 2: 2}  # each comes back once
    card = report(nae, X, y, cv=2, random_state=0)
    table = check_page(card.html).table("Reconstruction of each column")
    assert list(table.index) == list("abc")
    assert len(scores_of(card, "ridge regression", "MAE", "cheap")) == 2


def test_a_key_is_no_property():
    tables, y = cheap_and_dear()
    tables = [X.assign(name=[f"m{i}" for i in range(len(X))], extra=1.0 * X["a"]) for X in tables]
    tables[0] = tables[0].drop(columns="extra")
    nae = NestedAutoencoder(n_components=2, max_iter=1, key="name", random_state=0)
    task = read_task(nae.fit(tables, y), tables, y, None, {})
    assert {column.name: column.stage for column in task.columns} == {
        **dict.fromkeys("abc", 0),
        "name": -1,
        "extra": 1,
    }
    assert task.key.name == "name"
    assert task.frame().shape[1] == 4
    X = tables[0].drop(columns="name").to_numpy()
    nae = NestedAutoencoder([("p", SupervisedAutoencoder(**TINY), [0, 1])], key=2)
    task = read_task(nae.fit(X, y[0]), X, y[0], None, {})
    assert task.key.positions == (2,)
    # a step before the chain may give it another place
    scaled = make_pipeline(StandardScaler(), nae).fit(X, y[0])
    assert read_task(scaled, X, y[0], None, {}).key is None


def test_many_targets_of_an_array(X):
    table = X[["energy", EVIL]].to_numpy()
    target = np.column_stack([table @ [1, 2], table @ [2, -1]])
    sae = SupervisedAutoencoder(**TINY).fit(table, target)
    card = report(sae, table, target, cv=2, random_state=0, units={0: "eV", "y1": "%"})
    page = check_page(card.html)
    assert set(card.scores["target"]) == {"y0", "y1"}
    assert "Column 0 (eV)" in "".join(page.text)
    assert "y1 (%)" in page.table("Targets").index


def test_without_a_target(X, rendered):
    card = report(SupervisedAutoencoder(**TINY).fit(X), X, cv=2, random_state=0)
    page = check_page(card.html)
    assert not len(card.scores)
    assert "figure-predictions-0" not in page.ids
    assert "figure-latents-0-0" in page.ids
    assert card.title == "SupervisedAutoencoder"
    check_markdown(card.markdown)


def test_a_pipeline(X, y):
    table = X[["energy", EVIL]]
    model = make_pipeline(StandardScaler(), SupervisedAutoencoder(**TINY)).fit(table, y)
    card = report(model, table, y, cv=2, random_state=0)
    page = check_page(card.html)
    assert card.title == "StandardScaler → SupervisedAutoencoder of gap"
    assert (page.table("All parameters").index == "step StandardScaler").any()
    assert "Reconstruction of each column" in [t["caption"][:29] for t in page.tables]


def test_a_list_of_tables_is_the_one_table():
    tables, targets = two_scales()
    groups = [None, np.resize(["u", "v", "w"], 30)]
    nae = NestedAutoencoder(n_components=2, max_iter=3, random_state=0).fit(tables, targets)
    units = {"gap": "eV", "a": "Å"}
    card = report(nae, tables, targets, cv=3, groups=groups, units=units, random_state=0)
    page = check_page(card.html)
    check_markdown(card.markdown)
    assert set(card.scores["target"]) == {"gap", "pce"}
    assert "each scale&#x27;s rows dealt out on their own" in card.html
    assert "of whole groups (43 of them)" in card.html  # 40 rows without one
    assert page.table("Targets").loc["gap (eV)"].to_list()[:3] == ["scale0", "40", "0"]
    assert {"figure-chain", "figure-latents-0-0", "figure-latents-1-0"} < set(page.ids)

    X, y = stack_scales(tables, targets)
    of_rows = pd.Series(groups[1], index=range(30))
    stacked = [of_rows.get(i) if scale == "scale1" else None for scale, i in X.index]
    other = report(nae, X, y, cv=3, groups=stacked, units=units, random_state=0)
    assert other.html == card.html


def test_a_chain_that_ends_in_classes_with_other_transformers():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(50, 5)), columns=list("abcde"))
    y = pd.Series(rng.randint(3, size=50)).astype("Int64").rename("phase")
    y[:5] = pd.NA
    nae = NestedAutoencoder(
        [
            ("first", PCA(1), ["a", "b"]),
            ("last", SupervisedAutoencoderClassifier(**TINY), ["d", "e"]),
        ]
    )
    card = report(nae.fit(X, y), X, y, cv=3, random_state=0)
    page = check_page(card.html)
    assert page.table("Classes of phase").index.to_list() == ["0", "1", "2", "(missing)"]
    assert {"figure-latents-0-0", "figure-latents-1-0", "figure-history-1"} < set(page.ids)
    assert "figure-history-0" not in page.ids
    row = page.table("Columns").loc["c"]  # of no stage
    assert row["Stage"] == "none"
    assert "log loss" in set(card.scores["metric"])


def test_categories_that_are_numbers(X, y):
    table = pd.DataFrame({"site": np.resize([1, 2, 3], 60), "energy": X["energy"]})
    sae = SupervisedAutoencoder(categorical_features=["site"], **TINY).fit(table, y)
    page = check_page(report(sae, table, y, cv=2, random_state=0).html)
    row = page.table("Columns").loc["site"]
    assert row["Kind"] == "categories"
    assert row["Values"].startswith("1 (20), 2 (20), 3 (20)")
    assert page.table("Reconstruction of each column").loc["site", "Commonest"] == "33 %"


def test_errors_of_estimators(sae, X, y):
    with pytest.raises(NotFittedError, match="'estimator' parameter must be fitted, got a Super"):
        report(SupervisedAutoencoder(), X, y)
    with pytest.raises(NotFittedError, match="'estimator' parameter must be fitted, got a Super"):
        report(make_pipeline(StandardScaler(), SupervisedAutoencoder()), X, y)
    line = LinearRegression().fit(X[["energy"]], y)
    with pytest.raises(TypeError, match=r"'estimator' parameter .* got LinearRegression"):
        report(line, X[["energy"]], y)
    with pytest.raises(ValueError, match="fitted without a target: fit it with y, or pass"):
        report(SupervisedAutoencoder(**TINY).fit(X), X, y)
    with pytest.raises(ValueError, match=r"fitted to a target of 1 column\(s\), but y is None"):
        report(sae, X)
    with pytest.raises(ValueError, match=r"y has 2 column\(s\), but the .* was fitted to 1"):
        report(sae, X, np.column_stack([y, y]))


def test_errors_of_tables(sae, X, y):
    with pytest.raises(ValueError, match="X and y must have as many rows, got 60 and 59"):
        report(sae, X, y[1:])
    with pytest.raises(ValueError, match="X and groups must have as many rows, got 60 and 3"):
        report(sae, X, y, groups=[1, 2, 3])
    with pytest.raises(ValueError, match="feature names"):
        report(sae, X.rename(columns={"energy": "other"}), y)
    with pytest.raises(ValueError, match="X must have two dimensions"):
        report(sae, np.ones(3), y)
    with pytest.raises(TypeError, match=r"'units' parameter .* got 'eV'"):
        report(sae, X, y, units="eV")
    tables, targets = two_scales()
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(tables, targets)
    with pytest.raises(ValueError, match="list of 1 tables, but the estimator has 2 stages"):
        report(nae, tables[:1], targets[:1])
    with pytest.raises(ValueError, match=r"'groups' parameter .* lengths \[40, 30\]"):
        report(nae, tables, targets, groups=np.arange(70))
    with pytest.raises(ValueError, match=r"lengths \[40, 30\]; got 3 in place of 30"):
        report(nae, tables, targets, groups=[None, [1, 2, 3]])


def test_a_target_of_none_of_the_classes(X, y):
    labels = np.where(y > y.mean(), "wide", "narrow")
    model = SupervisedAutoencoderClassifier(2, max_iter=2, random_state=0).fit(X, labels)
    with pytest.raises(ValueError, match=r"none of the classes .* \['narrow', 'wide'\]"):
        report(model, X, y, cv=2)


def test_an_array_is_one_column_and_one_target():
    X, y, sae = with_arrays()
    task = read_task(sae, X, y, None, {"image": "counts", "y": "eV", "height": "nm"})
    assert [(c.name, c.unit, c.positions) for c in task.columns] == [
        ("centre", "", (0,)),
        ("height", "nm", (1,)),
        ("image", "counts", tuple(range(2, 32))),
    ]
    np.testing.assert_array_equal(task.columns[2].elements, X.iloc[:, 2:])
    np.testing.assert_allclose(task.columns[2].values, X.iloc[:, 2:].mean(axis=1))
    (target,) = task.targets
    assert (target.name, target.label, target.shape) == ("y", "y (eV)", (24,))
    np.testing.assert_array_equal(target.values, y)
    np.testing.assert_allclose(target.row_values, y.mean(axis=1))
    assert task.frame().shape == X.shape
    _, _, other = with_arrays(target_shape=(5, 6))
    assert read_task(other, X, X.iloc[:, 2:], None, {}).targets[0].shape == (5, 6)


def test_a_row_of_an_array_is_known_where_an_element_is():
    X, y, sae = with_arrays()
    y, X = y.copy(), X.copy()
    y[0], y[1, 3] = np.nan, np.nan
    X.iloc[2, 2:], X.iloc[3, 4] = np.nan, np.nan
    task = read_task(sae, X, y, None, {})
    assert np.flatnonzero(~task.targets[0].known).tolist() == [0]
    assert np.flatnonzero(~task.columns[2].measured).tolist() == [2]


def test_means_of_rows():
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [2.0, 2.0, 2.0]])
    np.testing.assert_array_equal(row_means(values), [2.0, np.nan, 2.0])


def test_arrays_in_cells_have_a_column_for_each_number():
    frame = pd.DataFrame(
        {"gap": [1.0, 2.0], "dos": [np.arange(4).reshape(2, 2), None], "layer": ["a", "b"]},
        index=[7, 3],
    )
    flat, owners, shapes = flat_cells(frame)
    assert owners == [0, 1, 1, 1, 1, 2]
    assert shapes == {1: (2, 2)}
    assert flat.columns.tolist() == ["gap", *["dos"] * 4, "layer"]
    assert flat.index.equals(frame.index)
    np.testing.assert_array_equal(flat["dos"], [[0, 1, 2, 3], [np.nan] * 4])
    assert flat["layer"].tolist() == ["a", "b"]
    same, owners, shapes = flat_cells(frame[["gap", "layer"]])
    assert owners == [0, 1]
    assert not shapes
    assert same.equals(frame[["gap", "layer"]])
