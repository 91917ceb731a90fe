"""The dual autoencoders of numbers and of classes, in what takes any supervised autoencoder."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from cases.dual import (
    N_ROWS,
    curves,
    dual,
    dual_of_curves,
    images_of,
    latent,
    spectra_of,
    three_kinds,
    two_kinds,
    without,
)
from cases.nested import sae
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sknestedae import (
    DualAutoencoder,
    DualAutoencoderClassifier,
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    report,
    translation_scorer,
)
from sknestedae._estimators._fitted import fitted_part
from sknestedae.blocks import DenseBlock, SpectrumBlock
from sknestedae.design import propose
from sknestedae.inspection import integrated_gradients, latent_correlations
from sknestedae.model_selection import BatchedGridSearchCV

ALIGNMENTS = [1.0, "separated"]
ROUNDING = {"rtol": 1e-9, "atol": 1e-9}


def labels_of(y):
    return np.where(y > 0, "right", "left")


@pytest.fixture(scope="module", params=ALIGNMENTS, ids=str)
def regressor(request):
    X, y = two_kinds()
    return dual(alignment=request.param).fit(X, y), X, y


# -- parameters


@pytest.mark.parametrize(
    ("cls", "plain"),
    [
        (DualAutoencoder, SupervisedAutoencoder),
        (DualAutoencoderClassifier, SupervisedAutoencoderClassifier),
    ],
)
def test_parameters_are_those_of_one_encoder_but_for_what_kinds_need(cls, plain):
    own, other = (inspect.signature(c.__init__).parameters for c in (cls, plain))
    assert own.keys() - other.keys() == {"alignment", "translation_weight"}
    # kinds are never hidden, as each has an encoder; and no process replaces the predictor
    assert other.keys() - own.keys() == {"block_dropout", "predictor"} & other.keys()
    differ = {n for n in own.keys() & other.keys() if own[n].default != other[n].default}
    # beside the reconstruction there are translations; the others were chosen on single tables
    assert differ - {"alpha", "max_iter"} == {"reconstruction_weight"}
    assert cls().get_params(deep=False).keys() == own.keys() - {"self"}
    missing = [name for name in own if name != "self" and f"\n    {name} : " not in cls.__doc__]
    assert not missing


def test_settings_of_blocks_are_parameters():
    model = dual().set_params(blocks__image__kernel_size=5, alignment="separated")
    assert model.get_params()["blocks__image__kernel_size"] == 5
    X, y = two_kinds(12)
    assert clone(model).fit(X, y).blocks_["image"].block.kernel_size == 5


# -- prediction


def test_a_prediction_is_that_of_the_mean_of_the_latents(regressor):
    model, X, _ = regressor
    module, target = model.net_.module_, fitted_part(model).target
    for rows in (X, without(X, image=slice(0, 10), spectrum=slice(10, 20))):
        found = model.predict(rows)
        Z = model.transform(rows)
        weight = module.predictor[-1].weight.detach().numpy()
        bias = module.predictor[-1].bias.detach().numpy()
        scaled = Z @ weight.T + bias
        assert_allclose(found, target.decode(scaled), **ROUNDING)


def test_each_kind_predicts():
    """Two kinds, each of which tells the target; without one of them it is known as well."""
    X, t = curves()
    settings = {"max_iter": 100, "learning_rate_init": 0.02}
    model = dual_of_curves(n_components=1, **settings).fit(X, t)
    new, truth = curves(60, seed=5)
    for own in (slice(0, 3), slice(3, 5)):
        alone = np.full_like(new, np.nan)
        alone[:, own] = new[:, own]
        assert model.score(alone, truth) > 0.9
    assert model.score(new, truth) > 0.9


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_few_labels_do(alignment):
    X, t = curves()
    y = t.copy()
    y[::2] = np.nan
    settings = {"max_iter": 100, "learning_rate_init": 0.02}
    model = dual_of_curves(n_components=1, alignment=alignment, **settings).fit(X, y)
    new, truth = curves(60, seed=5)
    assert model.score(new, truth) > 0.9


def test_without_a_target_the_score_is_that_of_the_reconstruction(regressor):
    model, X, y = regressor
    assert model.score(X, y) == pytest.approx(
        1 - ((model.predict(X) - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    )
    decoded = model.inverse_transform(model.transform(X))
    parts = []
    for name in ("image", "spectrum"):
        own = X[name].to_numpy()
        unit = own.var(axis=0).mean()  # of a block, which has one for all of its numbers
        error = ((decoded[name].to_numpy() - own) ** 2).mean() / unit
        parts.append((error, own.var(axis=0).mean() / unit))
    error, deviation = np.sum(parts, axis=0)
    assert model.score(X) == pytest.approx(1 - error / deviation, rel=1e-9)


@pytest.mark.parametrize(("alignment", "beta"), [(1.0, None), ("separated", 1e-3)])
def test_classes(alignment, beta):
    X, y = two_kinds(60)
    labels = labels_of(y).astype(object)
    labels[::4] = None
    settings = {"alignment": alignment, "beta": beta, "max_iter": 40, "learning_rate_init": 0.02}
    model = dual(DualAutoencoderClassifier, **settings).fit(X, labels)
    assert list(model.classes_) == ["left", "right"]
    alone = without(X, spectrum=slice(None))
    for rows in (X, alone):
        found = model.predict_proba(rows)
        assert_allclose(found.sum(axis=1), 1)
        assert_array_equal(model.predict(rows), model.classes_[found.argmax(axis=1)])
        assert model.score(rows, labels_of(y)) > 0.9
    assert model.translate(X, "image", "spectrum").shape == (60, 8)
    ensemble = dual(DualAutoencoderClassifier, n_members=2, max_iter=2).fit(X, labels)
    parts = [member.predict_proba(X) for member in ensemble.members_]
    assert_allclose(ensemble.predict_proba(X), np.mean(parts, axis=0))
    for own in (model, ensemble):
        for rows, settings in ((X, {}), (X["image"], {"block": "image"})):
            p, logs = own.predict_proba(rows, **settings), own.predict_log_proba(rows, **settings)
            assert_allclose(np.exp(logs), p, rtol=1e-9)


def test_weights_of_classes():
    X, y = two_kinds(30)
    labels = np.where(y > 0.5, "right", "left")
    weight = np.where(labels == "left", 1.0, 3.0)
    own = dual(DualAutoencoderClassifier, class_weight={"right": 3}).fit(X, labels)
    plain = dual(DualAutoencoderClassifier).fit(X, labels, weight)
    assert_array_equal(own.predict_proba(X), plain.predict_proba(X))


def test_targets_of_several_columns_and_of_arrays():
    X, y = two_kinds()
    both = np.column_stack([y, -y])
    both[::3, 1] = np.nan
    assert dual().fit(X, both).predict(X).shape == (N_ROWS, 2)
    curve = np.sin(y[:, None] * np.linspace(0, 1, 6))
    model = dual(target_block=SpectrumBlock(n_channels=(2,))).fit(X, curve)
    assert model.predict(X).shape == (N_ROWS, 6)
    bounded = dual(target_bounds=(-3, 3)).fit(X, y)
    assert np.abs(bounded.predict(X)).max() <= 3


# -- what any supervised autoencoder can


def test_tables_and_planes_of_decoded_columns(regressor):
    model, X, _ = regressor
    Z = model.transform(X)
    assert model.inverse_transform(Z).columns.equals(X.columns)
    plane = Z @ np.asarray(model.components_) + np.asarray(model.mean_).ravel()
    decoded = model.inverse_transform(Z).to_numpy()
    # the plane nearest to what is decoded: their difference has nothing linear in the latents
    difference = decoded - plane
    assert_allclose(difference.mean(axis=0), 0, atol=1e-9)
    assert_allclose(Z.T @ difference / len(Z), 0, atol=1e-9)


def test_known_rows_have_higher_scores():
    X, t = curves()
    settings = {"max_iter": 100, "learning_rate_init": 0.02}
    model = dual_of_curves(n_components=1, **settings).fit(X, t)
    new, _ = curves(40, seed=5)
    known = np.median(model.score_samples(new))
    apart = new.copy()
    apart[:, 3:] = new[::-1, 3:]  # each kind as ever, but not of one row
    assert known > np.median(model.score_samples(apart))
    assert known > np.median(model.score_samples(10 * new))


def test_names_and_frames_of_latents():
    X, y = two_kinds()
    model = dual().set_output(transform="pandas").fit(X, y)
    assert list(model.transform(X).columns) == ["dualautoencoder0", "dualautoencoder1"]
    assert model.transform(X).index.equals(X.index)
    one = model.transform(spectra_of(latent()), block="spectrum")
    assert list(one.columns) == list(model.get_feature_names_out())
    found = dual().fit_transform(X, y)
    assert_array_equal(found, model.transform(X))


def test_attributions_and_correlations():
    X, t = curves(N_ROWS)
    model = dual_of_curves().fit(X, t)
    frame = pd.DataFrame(integrated_gradients(model, X))
    assert frame.shape == (N_ROWS, 5)
    # their sums are what the prediction differs by from that of the mean row
    baseline = model.predict(X.mean(axis=0, keepdims=True))[0]
    assert_allclose(frame.sum(axis=1), model.predict(X) - baseline, rtol=0.02, atol=0.02)
    hidden = X.copy()
    hidden[:, 3:] = np.nan
    assert np.isfinite(integrated_gradients(model, hidden)).all(axis=None)
    assert latent_correlations(model, X, t).shape == (2, 1)


def test_weights_of_the_first_layer_are_of_no_common_encoder():
    from sknestedae.inspection import column_usage, encoder_weights

    X, t = curves(N_ROWS)
    model = dual_of_curves().fit(X, t)
    for function in (encoder_weights, column_usage):
        with pytest.raises(TypeError, match="a DualAutoencoder has one for each kind of data"):
            function(model)


def test_rows_are_proposed_for_a_target():
    X, t = curves()
    settings = {"max_iter": 100, "learning_rate_init": 0.02}
    model = dual_of_curves(n_components=1, **settings).fit(X, t)
    design = propose(model, X, 0.3, n_candidates=2, random_state=0)
    assert_allclose(model.predict(design.X), 0.3, atol=0.1)


def test_a_card_tells_of_a_dual_autoencoder():
    X, y = two_kinds()
    card = report(dual().fit(X, y), X, y, cv=2, random_state=0)
    assert card.title.startswith("DualAutoencoder")
    assert "DualAutoencoder" in card._repr_html_()


# -- searches and pipelines


@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
def test_the_alignment_is_searched_by_the_score_of_a_translation(search):
    X, y = two_kinds()
    grid = {"alignment": ["separated", 0.1, 1.0]}
    scoring = translation_scorer("image", "spectrum")
    found = search(dual(), grid, scoring=scoring, cv=2, error_score="raise").fit(X, y)
    best = found.best_estimator_
    assert best.alignment == found.best_params_["alignment"]
    assert found.score(X, y) == best.translation_score(X, "image", "spectrum")
    assert len(set(found.cv_results_["mean_test_score"])) == 3


@pytest.mark.parametrize(
    ("settings", "incomplete"),
    [({}, False), ({}, True), ({"beta": 1e-3, "dropout": 0.2}, True)],
    ids=str,
)
def test_networks_of_a_search_are_each_as_alone(stacks, settings, incomplete):
    X, y = two_kinds()
    if incomplete:
        X = without(X, image=slice(0, 30, 5), spectrum=slice(1, 30, 5))
        y[::4] = np.nan
    model = dual(batch_size=8, blocks=dense_blocks(), **settings)
    grid = {"alignment": ["separated", 0.1, 1.0], "translation_weight": [0.5, 1.0]}
    scoring = translation_scorer("spectrum", "image")
    searches = [
        search(model, grid, scoring=scoring, cv=2, error_score="raise").fit(X, y)
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    assert max(stacks) >= 4
    expected, found = (own.cv_results_["mean_test_score"] for own in searches)
    assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def dense_blocks():
    return [("image", DenseBlock(), "image"), ("spectrum", DenseBlock(), "spectrum")]


def test_members_are_trained_at_once_as_each_alone(stacks):
    X, y = two_kinds()
    settings = {"beta": 1e-3, "dropout": 0.2, "batch_size": 8}
    ensemble = dual(n_members=2, **settings).fit(X, y)
    assert stacks == [2]
    alone = dual(**settings).fit(X, y)
    # products of one network and of many may round otherwise; Adam makes more of it
    assert_allclose(ensemble.members_[0].transform(X), alone.transform(X), rtol=0, atol=1e-5)


def test_pipelines_end_in_one():
    X, y = two_kinds()
    pipeline = make_pipeline(FunctionTransformer(), dual()).fit(X, y)
    alone = dual().fit(X, y)
    assert_array_equal(pipeline.predict(X), alone.predict(X))
    scorer = translation_scorer("image", "spectrum")
    assert scorer(pipeline, X) == alone.translation_score(X, "image", "spectrum")
    X, t = curves(N_ROWS)
    pipeline = make_pipeline(StandardScaler(), dual_of_curves())
    assert cross_val_score(pipeline, X, t, cv=2, error_score="raise").shape == (2,)
    scores = cross_val_score(
        pipeline, X, t, cv=2, scoring=translation_scorer("a", "b"), error_score="raise"
    )
    assert np.isfinite(scores).all()


# -- stages of a chain


def chain(*stages, **settings):
    return NestedAutoencoder(list(stages), random_state=0, **settings)


def table():
    X, t = curves(N_ROWS)
    X = np.column_stack([X, np.cos(t), np.sin(3 * t)])
    return pd.DataFrame(X, columns=list("abcdepq")), t


KINDS = [("first", DenseBlock(), list("abc")), ("second", DenseBlock(), list("de"))]
OWN = list("abcde")


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("refine_iter", [0, 1])
def test_the_first_stage_gives_its_latents_to_the_next(refine_iter, alignment):
    X, y = table()
    first = dual(blocks=KINDS, alignment=alignment)
    model = chain(("kinds", first, OWN), ("device", sae(), ["p", "q"]), refine_iter=refine_iter)
    model.fit(X, y)
    Z = model["kinds"].transform(X[OWN])
    names = model["kinds"].get_feature_names_out()
    assert Z.shape[1] == len(names) == 2
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.score_samples(X)).all()
    lacking = X.copy()
    lacking.loc[:9, list("abc")] = np.nan
    assert np.isfinite(model.predict(lacking)).all()
    completed = model.complete(lacking)
    assert completed.notna().all(axis=None)
    assert_array_equal(completed.loc[10:], X.loc[10:])
    if refine_iter:
        # the maps and the moments are those of the network after the refinement
        pairs = fitted_part(model["kinds"]).pairs.of("first", "second")
        own = model["kinds"].net_.module_.latents_of(
            fitted_part(model["kinds"]).batch(X[OWN]), "first"
        )
        assert_allclose(pairs.mean[:2], own.mean.detach().numpy().mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("refine_iter", [0, 1])
def test_the_last_stage_has_the_latents_before_as_a_kind(refine_iter, alignment):
    X, y = table()
    last = dual(blocks=KINDS, alignment=alignment)
    model = chain(("device", sae(), ["p", "q"]), ("kinds", last, OWN), refine_iter=refine_iter)
    model.fit(X, y)
    assert list(model["kinds"].blocks_) == ["first", "second", "table"]
    assert np.isfinite(model.predict(X)).all()
    assert model.inverse_transform(model.transform(X)).notna().all(axis=None)
    lacking = X.copy()
    lacking.loc[:9, list("abc")] = np.nan
    assert model.complete(lacking).notna().all(axis=None)
    assert model.complete(lacking, n_candidates=2).X.notna().all(axis=None)


@pytest.mark.filterwarnings("ignore::sknestedae.exceptions.CollapsedLatentsWarning")
def test_a_chain_has_members_and_variational_stages():
    X, y = table()
    first = dual(blocks=KINDS, beta=1e-4)
    last = dual(blocks=[("p", DenseBlock(), ["p"])], beta=1e-4)
    model = chain(("one", first, OWN), ("two", last, ["p", "q"]), n_members=2).fit(X, y)
    parts = [member.predict(X) for member in model.members_]
    assert not np.allclose(*parts)
    assert_allclose(model.predict(X), np.mean(parts, axis=0))


# -- several kinds of columns


def test_whole_workflow_of_three_kinds():
    X, y = three_kinds()
    X = without(X, image=slice(0, 5), table=slice(5, 10))
    y[::3] = np.nan
    model = dual(beta=1e-4, n_members=2, bootstrap=True, batch_size=30).fit(X, y)
    assert model.predict(X).shape == (N_ROWS,)
    assert model.complete(X).notna().all(axis=None)
    assert model.sample(4, random_state=0).notna().all(axis=None)
    assert set(model.sample(9, random_state=0)["table", "phase"]) <= {"cubic", "hexagonal"}
    t = latent()
    index = model.retrieve(spectra_of(t), "spectrum", images_of(t), target="image")
    assert index.shape == (N_ROWS, 5)
