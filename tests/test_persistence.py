"""A fitted estimator is stored and comes back: skops, pickle, joblib; another device."""

from __future__ import annotations

import importlib
import io
import pickle
import zipfile
from functools import cache

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
from cases.dual import dual, three_kinds, two_kinds, without
from cases.nested import AB, sae, two_scales
from cases.supervised import TINY, mixed_table, regression
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    __version__,
    stack_scales,
)
from sknestedae._persistence import FORMAT
from sknestedae.blocks import DenseBlock, ImageBlock
from sknestedae.exceptions import DeviceWarning, StateFormatError


def through_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def search_over(estimator, X, y, **grid):
    """Search in two folds over a grid of the last step of a pipeline."""
    pipeline = make_pipeline(StandardScaler(), estimator)
    name = pipeline.steps[-1][0]
    grid = {f"{name}__{parameter}": values for parameter, values in grid.items()}
    return GridSearchCV(pipeline, grid, cv=2).fit(X, y)


# What a search needs of scikit-learn that skops does not trust by itself, whatever it searches
# over: its scorer and its splitter, with the versions of today.
OF_A_SEARCH = skops.io.get_untrusted_types(
    data=skops.io.dumps(search_over(Ridge(), *regression(), alpha=[1, 2]))
)


def through_skops(estimator):
    """Load with our own classes as the only trusted ones; there is no pickle in the file."""
    dumped = skops.io.dumps(estimator)
    untrusted = skops.io.get_untrusted_types(data=dumped)
    ours = [name for name in untrusted if name.startswith("sknestedae.")]
    allowed = ours + (OF_A_SEARCH if isinstance(estimator, GridSearchCV) else [])
    assert ours
    assert set(untrusted) <= set(allowed)
    with zipfile.ZipFile(io.BytesIO(dumped)) as archive:
        schema = archive.read("schema.json").decode()
        assert "pickle" not in schema.lower()
        for name in archive.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            else:
                assert name == "schema.json"
    return skops.io.loads(dumped, trusted=untrusted)


ROUNDS = [through_pickle, through_joblib, through_skops]
# For what takes long: joblib pickles too, and only stores arrays in another way.
WAYS = [through_pickle, through_skops]


@pytest.mark.parametrize("through", ROUNDS)
@pytest.mark.parametrize("frame", [True, False])
def test_regressor(through, frame):
    X, y = mixed_table() if frame else regression()
    sae = SupervisedAutoencoder(**TINY, early_stopping=True).fit(X, y)
    loaded = through(sae)
    assert_array_equal(loaded.predict(X), sae.predict(X))
    latents = sae.transform(X)
    assert_array_equal(loaded.transform(X), latents)
    assert_equal_tables(loaded.inverse_transform(latents), sae.inverse_transform(latents))
    pd.testing.assert_frame_equal(loaded.history_, sae.history_)
    assert (loaded.n_iter_, loaded.best_iter_) == (sae.n_iter_, sae.best_iter_)
    assert loaded.get_params() == sae.get_params()


@pytest.mark.parametrize("through", ROUNDS)
def test_classifier(through):
    X, y = mixed_table()
    labels = np.where(y > y.mean(), "wide", "narrow")
    clf = SupervisedAutoencoderClassifier(**TINY).fit(X, labels)
    loaded = through(clf)
    assert_array_equal(loaded.classes_, clf.classes_)
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("through", ROUNDS)
@pytest.mark.parametrize("explicit", [True, False])
def test_chain(through, explicit):
    X_list, y_list = two_scales()
    X, y = stack_scales(X_list, y_list)
    chain = NestedAutoencoder(AB if explicit else None, refine_iter=1, random_state=0)
    chain.set_params(estimator=None if explicit else sae(), max_iter=3).fit(X, y)
    loaded = through(chain)
    assert_array_equal(loaded.predict(X), chain.predict(X))
    for ours, theirs in zip(loaded.predict(X_list), chain.predict(X_list), strict=True):
        assert_array_equal(ours, theirs)
    Z = chain.transform(X)
    assert_equal_tables(loaded.inverse_transform(Z), chain.inverse_transform(Z))
    assert loaded.targets_ == chain.targets_
    pd.testing.assert_frame_equal(loaded.refine_history_, chain.refine_history_)
    assert_array_equal(
        loaded["scale0" if not explicit else "a"].predict(X_list[0]), chain[0].predict(X_list[0])
    )


@pytest.mark.parametrize("through", ROUNDS)
def test_autoencoder_without_target(through):
    X, _ = regression()
    sae = SupervisedAutoencoder(**TINY).fit(X)
    assert_array_equal(through(sae).transform(X), sae.transform(X))


@pytest.mark.parametrize("through", ROUNDS)
def test_pipeline_and_grid_search(through):
    X, y = regression()
    search = search_over(SupervisedAutoencoder(**TINY), X, y, n_components=[1, 2])
    loaded = through(search)
    assert_array_equal(loaded.predict(X), search.predict(X))
    assert loaded.best_params_ == search.best_params_
    pipeline = search.best_estimator_
    assert_array_equal(through(pipeline).predict(X), pipeline.predict(X))


@pytest.mark.parametrize("through", ROUNDS)
def test_training_goes_on_as_if_nothing_had_happened(through):
    """Not even the optimizer's moments and the order of the rows are lost."""
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY, dropout=0.2, batch_size=16).fit(X, y)
    loaded = through(sae).partial_fit(X, y)
    assert_array_equal(loaded.predict(X), sae.partial_fit(X, y).predict(X))


def test_a_state_can_be_read_twice():
    X, y = regression()
    state = SupervisedAutoencoder(**TINY).fit(X, y).__getstate__()
    before = dict(state)
    first, second = (SupervisedAutoencoder.__new__(SupervisedAutoencoder) for _ in range(2))
    first.__setstate__(state)
    assert state.keys() == before.keys()
    second.__setstate__(state)
    assert_array_equal(first.predict(X), second.predict(X))


KINDS = {
    "one block": {"blocks": DenseBlock()},
    "blocks": {
        "blocks": [("a", DenseBlock(), [0, 1]), ("b", DenseBlock(), slice(2, 3))],
        "block_weights": {"a": 1, "b": 2, "table": 0.5},
        "block_dropout": 0.3,
    },
    "a bound": {"target_bounds": (-9000, None)},
    "bounds, without scale": {"target_bounds": (-9000, 9000), "standardize": False},
    "block of a target": {"target_block": DenseBlock(), "target_bounds": (None, 9000)},
    "variational": {"beta": 1e-3},
}
for invariance in ("symmetries", "rotation"):
    image = ImageBlock((2, 2), n_channels=(2,), invariance=invariance)
    KINDS[invariance] = {"blocks": [("image", image, [0, 1, 2, 3])]}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_kinds_of_data(settings, dtype):
    """Also where training goes on, and for rows that are far away or lack a block."""
    X, y = regression()
    X[::5, :2] = np.nan
    X = X.astype(dtype)
    wild = np.vstack([X, np.nan_to_num(1e4 * X)])

    def outcome(estimator):
        Z = estimator.transform(wild)
        found = [estimator.predict(wild), Z, estimator.inverse_transform(Z), estimator.score(X)]
        return [*found, estimator.partial_fit(X, y).predict(wild)]

    sae = SupervisedAutoencoder(**TINY, **settings).fit(X, y)
    loaded = [through(sae) for through in WAYS]
    expected = outcome(sae)
    for own in loaded:
        for one, other in zip(outcome(own), expected, strict=True):
            assert_array_equal(one, other)


@pytest.mark.parametrize("through", ROUNDS)
def test_rows_and_targets_of_any_shape(through):
    X, y = regression()
    X, y = X.reshape(60, 2, 2), np.stack([y, -y, 2 * y], axis=1)[:, None]
    settings = {"blocks": DenseBlock(), "target_block": DenseBlock()}
    sae = SupervisedAutoencoder(**TINY, **settings).fit(X, y)
    loaded = through(sae)
    assert loaded.predict(X).shape == y.shape
    assert_array_equal(loaded.predict(X), sae.predict(X))
    Z = sae.transform(X)
    assert loaded.inverse_transform(Z).shape == X.shape
    assert_array_equal(loaded.inverse_transform(Z), sae.inverse_transform(Z))
    with pytest.raises(ValueError, match=r"shape \(4, 1\), but those of fit had \(2, 2\)"):
        loaded.predict(X.reshape(60, 4, 1))


@pytest.mark.parametrize(
    ("dtype", "alignment", "beta"),
    [
        ("float32", 1.0, 1e-3),
        ("float32", "separated", None),
        ("float64", 1.0, None),
        ("float64", "separated", 1e-3),
    ],
)
def test_kinds_with_an_encoder_each(dtype, alignment, beta):
    """Also the maps between separated spaces, what pairs have in common, and what streams add."""
    X, y = two_kinds(dtype=dtype)
    X = without(X, image=slice(0, 5), spectrum=slice(5, 10)).astype(dtype)
    model = dual(alignment=alignment, beta=beta).fit(X, y)
    whole = X.iloc[10:]

    def outcome(own):
        found = {
            "translation": own.translate(whole, "image", "spectrum"),
            "back": own.translate(whole, "spectrum", "image"),
            "latents": own.transform(X, return_std=beta is not None),
            "pairs": own.retrieve(whole, "image", whole, return_scores=True),
            "prediction": own.predict(X),
            "scores": own.score_samples(X),
        }
        own.partial_fit(X, y)
        found["pairs later"] = own.retrieve(whole, "spectrum", whole, return_scores=True)[1]
        return found

    loaded = [through(model) for through in WAYS]
    expected = outcome(model)
    for found in map(outcome, loaded):
        for name, values in expected.items():
            for one, other in zip(np.atleast_1d(found[name]), np.atleast_1d(values), strict=True):
                assert_array_equal(one, other)


@pytest.mark.parametrize("through", ROUNDS)
def test_ensembles_of_kinds(through):
    X, y = three_kinds()
    model = dual(n_members=2, bootstrap=True).fit(X, y)
    loaded = through(model)
    for target in ("image", "spectrum", "table"):
        assert_equal_tables(
            loaded.translate(X, "spectrum", target), model.translate(X, "spectrum", target)
        )


@pytest.mark.parametrize("through", ROUNDS)
def test_unfitted(through):
    sae = SupervisedAutoencoder(3, alpha=0.5)
    assert through(sae).get_params() == sae.get_params()


@pytest.mark.parametrize("through", ROUNDS)
def test_later_set_params_do_not_change_what_was_fitted(through):
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    expected = sae.predict(X)
    sae.set_params(n_components=5, hidden_layer_sizes=(3, 3), activation="relu")
    sae.set_params(initialization="none", learning_rate="none", callbacks=[3], batch_size=-1)
    assert_array_equal(through(sae).predict(X), expected)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there: nothing falls back")
@pytest.mark.parametrize("through", ROUNDS)
def test_model_of_a_gpu_loads_on_a_cpu(through):
    X, y = regression()
    sae = SupervisedAutoencoder(**TINY).fit(X, y)
    expected = sae.predict(X)
    sae.set_params(device="cuda")  # what a file says that was written beside a GPU
    with pytest.warns(DeviceWarning, match=r"got 'cuda'.*loaded to the CPU"):
        loaded = through(sae)
    assert_array_equal(loaded.predict(X), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_model_moves_between_cpu_and_gpu():
    X, y = regression()
    on_gpu = SupervisedAutoencoder(**TINY, device="cuda").fit(X, y)
    on_cpu = through_skops(SupervisedAutoencoder(**TINY).fit(X, y).set_params(device="cuda"))
    assert next(on_cpu.net_.module_.parameters()).is_cuda
    np.testing.assert_allclose(on_cpu.predict(X), on_gpu.predict(X), rtol=1e-9, atol=1e-9)
    assert_array_equal(through_skops(on_gpu).predict(X), on_gpu.predict(X))


def assert_equal_tables(first, second):
    if isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(first, second)
    else:
        assert_array_equal(first, second)


# -- what a file holds


@cache
def unfitted_estimators():
    """Give one estimator of each kind, with all that a state may hold, and what to fit it to."""
    X, y = mixed_table()
    labels = np.where(y > y.mean(), "wide", "narrow")
    scales = two_scales()
    block = [("spectrum", DenseBlock(), ["radius"])]
    process = sae(predictor="gaussian_process")
    return {
        "regressor": (SupervisedAutoencoder(**TINY, blocks=block), (X, y)),
        "classifier": (SupervisedAutoencoderClassifier(**TINY), (X, labels)),
        "ensemble": (SupervisedAutoencoder(**TINY, n_members=2), (X, y)),
        "polars": (SupervisedAutoencoder(**TINY), (pl.from_pandas(X), y)),
        "variational": (SupervisedAutoencoder(**TINY, beta=1e-3), (X, y)),
        "chain": (NestedAutoencoder(estimator=sae(), refine_iter=1), scales),
        "process": (SupervisedAutoencoder(**TINY, predictor="gaussian_process"), (X, y)),
        "passing chain": (NestedAutoencoder(estimator=process, refine_iter=1), scales),
        "dual": (dual(), two_kinds()),
        "separated": (dual(alignment="separated", n_members=2), three_kinds()),
    }


@cache
def fitted_estimator(kind):
    """Fit one of them, for all tests that only read it."""
    estimator, data = unfitted_estimators()[kind]
    return estimator.fit(*data)


def values_in(state):
    """Give every value of a state, those inside of others too."""
    if isinstance(state, dict):
        for key, value in state.items():
            yield from values_in(key)
            yield from values_in(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from values_in(value)
    elif isinstance(state, BaseEstimator):
        yield state
        yield from values_in(state.__getstate__())
    else:
        yield state


def test_states_hold_plain_values_and_public_classes():
    """So that a file outlives the rooms that its estimators were made in."""
    plain = (str, bool, int, float, type(None), np.ndarray, np.generic)
    for name in unfitted_estimators():
        for value in values_in(fitted_estimator(name)):
            if isinstance(value, plain):
                continue
            cls = type(value)
            module = importlib.import_module(cls.__module__)
            assert isinstance(value, BaseEstimator), (name, value)
            assert not any(part.startswith("_") for part in cls.__module__.split(".")), cls
            assert getattr(module, cls.__name__) is cls


def test_files_name_public_classes_alone():
    dumped = {
        name: skops.io.get_untrusted_types(data=skops.io.dumps(fitted_estimator(name)))
        for name in unfitted_estimators()
    }
    named = set().union(*dumped.values())
    assert {name for name in named if "._" in name} == set()
    assert {"sknestedae.SupervisedAutoencoder", "sknestedae.blocks.DenseBlock"} <= named


@pytest.mark.parametrize("number", [None, 1, FORMAT + 1])
@pytest.mark.parametrize("kind", ["regressor", "chain"])
def test_another_format_is_refused_by_both_versions(kind, number):
    estimator = fitted_estimator(kind)
    state = estimator.__getstate__()
    assert state["_format"] == FORMAT
    if number is None:  # as before there was one
        del state["_format"], state["_sknestedae_version"]
        written = "an early version of sknestedae, in the format None"
    else:
        state |= {"_format": number, "_sknestedae_version": "9.8.7"}
        written = f"version 9.8.7 of sknestedae, in the format {number}"
    empty = type(estimator).__new__(type(estimator))
    with pytest.raises(StateFormatError, match=f"{written}; version {__version__} reads"):
        empty.__setstate__(state)
    assert vars(empty) == {}


# Those of one table, and those of two scales: dual ones have tables of their own, further above.
KINDS = [kind for kind in unfitted_estimators() if kind not in ("dual", "separated")]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_works_as_before(kind):
    estimator = fitted_estimator(kind)
    loaded = [through(estimator) for through in WAYS]
    is_chain = "chain" in kind
    X = two_scales()[0] if is_chain else mixed_table()[0]
    holed = X
    if not is_chain:
        holed = X.assign(radius=X["radius"].where(np.arange(len(X)) % 7 > 0))
    for method in ("transform", "predict", "score_samples", "complete"):
        expected, *found = (getattr(e, method)(holed) for e in (estimator, *loaded))
        for given in found:
            pairs = zip(given, expected, strict=True) if is_chain else [(given, expected)]
            for ours, theirs in pairs:
                assert_equal_tables(ours, theirs)
    Z = estimator.transform(X)
    theirs = estimator.inverse_transform(Z)
    for own in loaded:
        ours = own.inverse_transform(Z)
        assert type(ours) is type(theirs)
        if kind == "polars":
            assert ours.equals(theirs)
    if kind in ("process", "passing chain"):
        expected, *found = (
            np.hstack(e.predict(X, return_std=True)[1]) for e in (estimator, *loaded)
        )
        for stds in found:
            assert_array_equal(stds, expected)
    if kind == "passing chain":
        expected, *found = (e.passed_on(X) for e in (estimator, *loaded))
        for given in found:
            for ours, theirs in zip(given, expected, strict=True):
                pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
