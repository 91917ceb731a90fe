"""The folds: scores are those of scikit-learn, baselines are fair, bad splits are refused."""

import numpy as np
import pandas as pd
import pytest
from cases.report import (
    EVIL,
    TINY,
    Parser,
    cheap_and_dear,
    check_markdown,
    check_page,
    many,
    scores_of,
    two_scales,
    with_arrays,
)
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    log_loss,
    mean_absolute_error,
    r2_score,
)
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from sknestedae import (
    NestedAutoencoder,
    ScaleKFold,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    report,
    stack_scales,
)
from sknestedae._report._as_column import properties_as_columns
from sknestedae._report._content import fixed, mean_and_sd, percent
from sknestedae._report._folds import AS_COLUMN, baselines
from sknestedae._report._task import Target, read_task


def test_scores_of_numbers(sae, X, y):
    cv = KFold(3, shuffle=True, random_state=5)
    card = report(sae, X, y, cv=cv, random_state=0)
    predicted = cross_val_predict(clone(sae), X, y, cv=cv)
    folds = [test for _, test in cv.split(X)]
    r2 = [r2_score(y[test], predicted[test]) for test in folds]
    mae = [mean_absolute_error(y[test], predicted[test]) for test in folds]
    # networks trained together differ in the order of sums: a few hundred roundings
    assert_allclose(scores_of(card, "this model", "R²"), r2, rtol=1e-6)
    assert_allclose(scores_of(card, "this model", "MAE"), mae, rtol=1e-6)
    median = [
        mean_absolute_error(y[test], np.full(len(test), y[train].median()))
        for train, test in cv.split(X)
    ]
    assert_allclose(scores_of(card, "median", "MAE"), median)
    table = check_page(card.html).table("gap: mean ± SD")
    assert table.loc["this model", "R²"] == mean_and_sd(r2, 3)
    assert table.loc["median", "MAE"] == mean_and_sd(median)
    by_fold = Parser(card.html).table("gap: R² of each fold")
    assert by_fold.loc["this model"].to_list() == [fixed(value) for value in r2]
    learnt = clone(sae).fit(
        X.iloc[folds[0].tolist() + folds[1].tolist()].sort_index(),
        y.iloc[folds[0].tolist() + folds[1].tolist()].sort_index(),
    )
    rows = np.sort(np.concatenate(folds[:2]))
    expected = learnt.score(X.iloc[rows], y.iloc[rows])
    known = scores_of(card, "this model, on rows it learnt from", "R²")
    assert known[2] == pytest.approx(expected, rel=1e-6)


def test_gradient_boosting_has_the_table_as_it_is(sae, X, y):
    cv = KFold(3, shuffle=True, random_state=5)
    card = report(sae, X, y, cv=cv, random_state=0)
    boosting = HistGradientBoostingRegressor(categorical_features="from_dtype", max_iter=10)
    predicted = cross_val_predict(boosting, X, y, cv=cv)  # no early stopping: no randomness
    expected = [mean_absolute_error(y[test], predicted[test]) for _, test in cv.split(X)]
    assert_allclose(scores_of(card, "gradient boosting", "MAE"), expected)


def test_scores_of_classes(X, labels, rendered):
    cv = KFold(3, shuffle=True, random_state=5)
    sae = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    card = report(sae, X, labels, cv=cv, random_state=0)
    page = check_page(card.html)
    check_markdown(card.markdown)
    proba = cross_val_predict(clone(sae), X, labels, cv=cv, method="predict_proba")
    predicted = sae.classes_[proba.argmax(axis=1)]
    folds = [test for _, test in cv.split(X)]
    for metric, function, values in [
        ("accuracy", accuracy_score, predicted),
        ("balanced accuracy", balanced_accuracy_score, predicted),
        ("log loss", log_loss, proba),
    ]:
        expected = [function(labels[test], values[test]) for test in folds]
        found = scores_of(card, "this model", metric, "kind")
        assert_allclose(found, expected, rtol=1e-6)
        cell = page.table("kind: mean ± SD").loc["this model", metric]
        assert cell == mean_and_sd(expected, 3)
    assert "most frequent class" in set(card.scores["model"])
    assert "figure-calibration-0" in page.ids


def test_reconstruction_and_its_score(sae, X, y):
    folds = list(KFold(3, shuffle=True, random_state=5).split(X))
    card = report(sae, X, y, cv=folds, random_state=0)
    fitted = [clone(sae).fit(X.iloc[train], y[train]) for train, _ in folds]
    r2 = [e.score(X.iloc[test]) for e, (_, test) in zip(fitted, folds, strict=True)]
    page = Parser(card.html)
    row = page.table("Reconstruction of the table").loc["held out"].to_list()
    assert row == [mean_and_sd(r2, 3), *map(fixed, r2)]
    back = pd.concat(
        [
            e.inverse_transform(e.transform(X.iloc[test])).set_axis(X.index[test])
            for e, (_, test) in zip(fitted, folds, strict=True)
        ]
    ).sort_index()
    table = page.table("Reconstruction of each column")
    measured = X["radius"].notna()
    expected = r2_score(X["radius"][measured], back["radius"][measured])
    assert table.loc["radius", "R²"] == fixed(expected)
    right = np.mean(X["phase"].astype(str) == back["phase"].astype(str))
    assert table.loc["phase", "Right"] == percent(right)
    assert table.loc["phase", "Commonest"] == percent(1 / 3)


def test_principal_components_stand_beside(X):
    X = X[["energy", EVIL]].assign(sum=X["energy"] + X[EVIL])
    sae = SupervisedAutoencoder(**TINY).fit(X)
    page = check_page(report(sae, X, cv=3, random_state=0).html)
    table = page.table("Reconstruction of each column")
    assert set(table["Principal components"]) == {"1.000"}  # of rank 2


def test_baselines_of_many_targets_are_those_of_each(X):
    table, y, sae = many(3, X)  # noise asks for another strength of ridge than a line
    y.loc[:9, "t2"] = np.nan
    sae.fit(table, y)
    folds = list(KFold(3, shuffle=True, random_state=5).split(table))
    card = report(sae, table, y, cv=folds, random_state=0)
    for name in y.columns:
        ridge, boosting, median = [], [], []
        for train, test in folds:
            train, test = (part[y[name].iloc[part].notna()] for part in (train, test))
            (A, a), (B, b) = ((table.iloc[p], y[name].iloc[p]) for p in (train, test))
            line = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 13)))
            ridge.append(mean_absolute_error(b, line.fit(A, a).predict(B)))
            trees = HistGradientBoostingRegressor(max_iter=10).fit(A, a)
            boosting.append(mean_absolute_error(b, trees.predict(B)))
            median.append(np.mean(np.abs(b - a.median())))
        assert_allclose(scores_of(card, "ridge regression", "MAE", name), ridge)
        assert_allclose(scores_of(card, "gradient boosting", "MAE", name), boosting)
        assert_allclose(scores_of(card, "median", "MAE", name), median)


def test_baselines_have_the_columns_up_to_their_stage():
    rng = np.random.RandomState(0)
    tables = [
        pd.DataFrame(rng.normal(size=(40, 2)), columns=list(names)) for names in ("ab", "cd")
    ]
    both = pd.concat(tables, axis=1)
    y = [both.sum(axis=1).rename("first"), (both["a"] - both["d"]).rename("last")]
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(tables, y)
    folds = list(KFold(2, shuffle=True, random_state=5).split(both))
    card = report(nae, tables, y, cv=folds, random_state=0)
    for table, target in ((tables[0], y[0]), (both, y[1])):
        line = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 13)))
        predicted = cross_val_predict(line, table, target, cv=folds)
        expected = [mean_absolute_error(target[test], predicted[test]) for _, test in folds]
        assert_allclose(scores_of(card, "ridge regression", "MAE", target.name), expected)


def test_more_targets_need_no_more_predictions_or_lines(X, monkeypatch):
    predict, counts = SupervisedAutoencoder.predict, []
    fit, n_lines = RidgeCV.fit, []

    def counted_fit(self, *args, **kwargs):
        n_lines[-1] += 1
        return fit(self, *args, **kwargs)

    def counted(self, X, *args, **kwargs):
        counts[-1] += len(X) > 1
        return predict(self, X, *args, **kwargs)

    monkeypatch.setattr(SupervisedAutoencoder, "predict", counted)
    monkeypatch.setattr(RidgeCV, "fit", counted_fit)
    for n_targets in (1, 6):
        table, y, sae = many(n_targets, X)
        counts.append(0)
        n_lines.append(0)
        report(sae, table, y, cv=3, random_state=0)
    assert counts == [6, 6]  # rows held out, and rows learnt from, of each fold
    assert n_lines == [3, 3]


def test_baselines_of_few_rows_take_one_thread(sae, X, y, monkeypatch):
    fit, seen = HistGradientBoostingRegressor.fit, []

    def threads():
        return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "openmp"}

    def watched(self, *args, **kwargs):
        seen.append(threads())
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(HistGradientBoostingRegressor, "fit", watched)
    with threadpool_limits(2, "openmp"):
        report(sae, X, y, cv=2, random_state=0)
        assert threads() == {2}
    assert seen == [{1}, {1}]


def test_a_chain_stands_beside_its_earlier_property_as_a_column():
    X, y = stack_scales(*cheap_and_dear())
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(X, y)
    folds = list(ScaleKFold(2, shuffle=True, random_state=5).split(X, y))
    card = report(nae, X, y, cv=folds, random_state=0)
    task = read_task(nae, X, y, None, {})
    cheap, dear = task.targets
    expected = []
    for train, test in folds:
        learnt, held = (part[dear.known[part]] for part in (train, test))
        line = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 13)))
        seed = np.random.RandomState(0).randint(2**31)
        both = properties_as_columns(task, dear, train, np.r_[learnt, held], seed)
        table = np.column_stack([X.to_numpy()[np.r_[learnt, held]], both])
        line.fit(table[: len(learnt)], dear.values[learnt])
        expected.append(mean_absolute_error(dear.values[held], line.predict(table[len(learnt) :])))
    assert_allclose(scores_of(card, f"{AS_COLUMN}ridge regression", "MAE", "dear"), expected)
    ridge = scores_of(card, "ridge regression", "MAE", "dear")
    assert (np.array(expected) < ridge).all()  # the sine in it is no line
    names = set(card.scores["model"])
    assert f"{AS_COLUMN}extra-trees forest" in names
    of_cheap = card.scores[card.scores["target"] == cheap.name]["model"]
    assert not of_cheap.str.startswith(AS_COLUMN).any()


def test_a_later_class_has_the_earlier_property_as_a_column():
    tables, (cheap, dear) = cheap_and_dear()
    kind = pd.Series(np.where(dear > 0, "u", "v"), name="kind")
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0)
    card = report(nae.fit(tables, [cheap, kind]), tables, [cheap, kind], cv=2, random_state=0)
    known = scores_of(card, f"{AS_COLUMN}logistic regression", "balanced accuracy", "kind")
    assert (known > scores_of(card, "this model", "balanced accuracy", "kind")).all()
    # of a class there is no such column
    y = [pd.Series(np.where(cheap > 0, "u", "v")), dear]
    card = report(nae.fit(tables, y), tables, y, cv=2, random_state=0)
    assert not card.scores["model"].str.startswith(AS_COLUMN).any()


def test_scores_of_a_chain():
    X, y = stack_scales(*two_scales())
    nae = NestedAutoencoder(n_components=2, max_iter=3, random_state=0).fit(X, y)
    cv = ScaleKFold(3, shuffle=True, random_state=7)
    card = report(nae, X, y, cv=cv, random_state=0)
    for k, name in enumerate(["gap", "pce"]):
        expected = []
        for train, test in cv.split(X, y):
            fitted = clone(nae).fit(X.iloc[train], y.iloc[train])
            known = y.iloc[test, k].notna().to_numpy()
            predicted = fitted.predict(X.iloc[test])[known, k]
            expected.append(mean_absolute_error(y.iloc[test, k][known], predicted))
        assert_allclose(scores_of(card, "this model", "MAE", name), expected, rtol=1e-6)
    # the device's rows say nothing of the gap: its baseline has 40 rows less a fold
    train, test = next(cv.split(X, y))
    gap = y[("scale0", "gap")]
    median = np.nanmedian(gap.iloc[train])
    expected = np.nanmean(np.abs(gap.iloc[test] - median))
    assert scores_of(card, "median", "MAE", "gap")[0] == pytest.approx(expected)


# -- which folds are taken


def test_folds_that_overlap_or_leave_rows_out(sae, X, y):
    cv = ShuffleSplit(3, test_size=0.2, random_state=0)
    card = report(sae, X, y, cv=cv, random_state=0)
    check_page(card.html)
    assert card.scores["fold"].nunique() == 3
    assert "ShuffleSplit(" in card.html
    check_page(report(sae, X, y, cv=[(np.arange(40), np.arange(40, 60))], random_state=0).html)


def test_folds_may_be_masks_of_rows(sae, X, y):
    rows = np.arange(60)
    folds = [(rows % 3 != k, rows % 3 == k) for k in range(3)]
    card = report(sae, X, y, cv=folds, random_state=0)
    positions = [(rows[train], rows[test]) for train, test in folds]
    expected = report(sae, X, y, cv=positions, random_state=0)
    pd.testing.assert_frame_equal(card.scores, expected.scores)
    assert card.html == expected.html


def test_a_fold_without_a_known_target_has_no_score(X, y):
    target = y.mask(np.arange(60) < 20)
    sae = SupervisedAutoencoder(**TINY).fit(X, target)
    rows = np.arange(60)
    folds = [(rows[20:], rows[:20]), (rows[:40], rows[40:])]
    card = report(sae, X, target, cv=folds, random_state=0)
    assert set(card.scores.query("model == 'this model'")["fold"]) == {1}


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"cv": 1}, ValueError, "at least 2 folds, got 1"),
        ({"cv": 61}, ValueError, "asks for 61 folds, but X has 60 rows"),
        ({"cv": "five"}, TypeError, "'cv' parameter must be .* got 'five'"),
        ({"cv": []}, ValueError, r"gives no fold: \[\]"),
        (
            {"cv": 4, "groups": np.resize([0, 1, 2], 60)},
            ValueError,
            "asks for 4 folds, but groups has 3 distinct groups",
        ),
    ],
)
def test_errors_of_folds(sae, X, y, parameters, error, message):
    with pytest.raises(error, match=message):
        report(sae, X, y, **parameters)


def test_too_few_known_targets(X, y):
    target = y.where(np.arange(60) < 4)
    sae = SupervisedAutoencoder(**TINY).fit(X, target)
    with pytest.raises(ValueError, match="5 folds, but the target 'gap' has 4 known values"):
        report(sae, X, target)


def test_folds_that_hold_out_no_known_target(X, y):
    target = y.mask(np.arange(60) < 30)
    sae = SupervisedAutoencoder(**TINY).fit(X, target)
    rows = np.arange(60)
    said = "the target 'gap' is known, got 1 fold with 20 held-out rows and no known value"
    with pytest.raises(ValueError, match=said):
        report(sae, X, target, cv=[(rows[20:], rows[:20])])
    # of a chain it is enough that one target is never held out
    table, both = stack_scales(*two_scales())
    nae = NestedAutoencoder(n_components=2, max_iter=1, random_state=0).fit(table, both)
    is_device = table.index.get_level_values("scale") == "scale1"
    crystals, devices = np.flatnonzero(~is_device), np.flatnonzero(is_device)
    folds = [
        (np.r_[crystals, devices[10:]], devices[:10]),
        (np.r_[crystals, devices[:10]], devices[10:]),
    ]
    said = "the target 'gap' is known, got 2 folds with 30 held-out rows and no known value"
    with pytest.raises(ValueError, match=said):
        report(nae, table, both, cv=folds)


def test_folds_of_groups_are_those_of_scikit_learn(sae, X, y):
    groups = np.resize(np.arange(20), 60)
    card = report(sae, X, y, cv=GroupKFold(4), groups=groups, random_state=0)
    predicted = cross_val_predict(clone(sae), X, y, cv=GroupKFold(4), groups=groups)
    expected = [
        mean_absolute_error(y[test], predicted[test])
        for _, test in GroupKFold(4).split(X, y, groups)
    ]
    assert_allclose(scores_of(card, "this model", "MAE"), expected, rtol=1e-6)


# -- arrays


def test_scores_of_an_array_are_of_all_its_elements():
    X, y, sae = with_arrays()
    y = y.copy()
    y[3, 5], y[4] = np.nan, np.nan
    folds = list(KFold(3, shuffle=True, random_state=5).split(X))
    card = report(sae, X, y, cv=folds, random_state=0)
    assert set(card.scores["target"]) == {"y"}
    own, median = [], []
    for train, test in folds:
        learnt, held = (part[part != 4] for part in (train, test))
        fitted = clone(sae).fit(X.iloc[train], y[train])
        own.append(np.nanmean(np.abs(fitted.predict(X.iloc[held]) - y[held])))
        middle = np.where(np.isnan(y), np.nanmean(y[learnt], axis=0), y)[learnt]
        median.append(np.nanmean(np.abs(np.median(middle, axis=0) - y[held])))
    assert_allclose(scores_of(card, "this model", "MAE", "y"), own)
    assert_allclose(scores_of(card, "median", "MAE", "y"), median)


def test_baselines_of_an_array_learn_all_of_it():
    X, y, sae = with_arrays()
    folds = list(KFold(2, shuffle=True, random_state=5).split(X))
    card = report(sae, X, y, cv=folds, random_state=0)
    assert "gradient boosting" not in set(card.scores["model"])
    line = make_pipeline(
        StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 13), alpha_per_target=True)
    )
    expected = [
        r2_score(
            y[test],
            line.fit(X.iloc[train], y[train]).predict(X.iloc[test]),
            multioutput="variance_weighted",
        )
        for train, test in folds
    ]
    assert_allclose(scores_of(card, "ridge regression", "R²", "y"), expected)
    assert (scores_of(card, "extra-trees forest", "R²", "y") > 0.5).all()


def test_trees_of_very_many_outputs_learn_components():
    rng = np.random.RandomState(0)
    table = pd.DataFrame(rng.normal(size=(60, 3)))
    y = table.to_numpy() @ rng.normal(size=(3, 200))
    target = Target("y", "", 0, None, None, {}, y, tuple(range(200)), (200,))
    models = baselines(table, target, 0, 200)
    assert list(models) == ["median", "ridge regression", "extra-trees forest"]
    ridge = models["ridge regression"].fit(table, y)
    assert r2_score(y, ridge.predict(table)) > 0.99  # three components hold all of it
    assert models["extra-trees forest"].fit(table, y)[-1].regressor_.n_outputs_ == 32
    one = Target("y0", "", 0, None, None, {}, y[:, 0])
    assert "gradient boosting" in baselines(table, one, 0, 12)
    assert "extra-trees forest" in baselines(table, one, 0, 13)
    wide = pd.DataFrame(rng.normal(size=(60, 513))).add_prefix("x")
    wide["x7"] = y[:, 0] > 0
    classes = Target("y0", "", 0, None, ["a", "b"], {}, (y[:, 0] > 0).astype(float))
    for target in (one, classes):
        assert "gradient boosting" in baselines(wide.iloc[:, :512], target, 0)
        forest = baselines(wide, target, 0)["extra-trees forest"]
        assert forest.fit(wide, target.values).score(wide, target.values) > 0.9


def test_an_array_is_decoded_as_one():
    X, y, sae = with_arrays(target_shape=(5, 6))
    folds = list(KFold(2, shuffle=True, random_state=5).split(X))
    page = check_page(report(sae, X, y, cv=folds, random_state=0).html)
    table = page.table("Reconstruction of each column")
    assert list(table.index) == ["centre", "height", "image"]
    back = np.empty((40, 30))
    for train, test in folds:
        fitted = clone(sae).fit(X.iloc[train], y[train])
        back[test] = fitted.inverse_transform(fitted.transform(X.iloc[test])).iloc[:, 2:]
    expected = r2_score(X.iloc[:, 2:], back, multioutput="variance_weighted")
    assert table.loc["image", "Measured"] == "40"
    assert table.loc["image", "R²"] == fixed(expected)
    assert table.loc["image", "Principal components"] != "–"  # noqa: RUF001
