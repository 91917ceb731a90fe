"""What each entry of a row adds to a latent or a prediction, on data with a known answer."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import IntegratedGradients
from cases.array_tables import as_cells
from cases.design import ARRAYS, N_CHANNELS, SIDE, a_chain_with_arrays, arrays
from cases.inspection import LINEAR, TINY, two_stages
from cases.structures import atoms_block, salts
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logit
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_kinds,
)
from sknestedae.datasets import make_nested_functions
from sknestedae.exceptions import NoTargetError
from sknestedae.inspection import (
    _attributions,
    column_usage,
    encoder_weights,
    integrated_gradients,
    latent_correlations,
)

# captum rounds the weights of its sum to float32, and smooth networks need no more than 50 points.
COMPLETE = {"rtol": 0, "atol": 1e-5}


def test_lists_of_tables_are_refused(chain, X):
    tables = [X[["energy", "radius"]], X[["phase", "mass"]]]
    with pytest.raises(TypeError, match="'X' parameter of latent_correlations must be one table"):
        latent_correlations(chain, tables, np.ones(60))
    with pytest.raises(TypeError, match="'X' parameter of integrated_gradients must be one table"):
        integrated_gradients(chain, tables)


def test_attributions_sum_to_the_prediction_less_the_baseline_s(sae, X, y):
    attributions, outputs = integrated_gradients(sae, X, return_baseline=True)
    assert attributions.columns.to_list() == X.columns.to_list()
    assert attributions.index.equals(X.index)
    assert_allclose(outputs + attributions.sum(axis=1), sae.predict(X), **COMPLETE)
    assert_allclose(outputs, outputs[0])  # one baseline for all rows


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_more_steps_come_closer_to_the_sum(X, y, activation):
    sae = SupervisedAutoencoder(**TINY, activation=activation, predictor="network").fit(X, y)
    errors = []
    for n_steps in (4, 400):
        attributions, outputs = integrated_gradients(sae, X, n_steps=n_steps, return_baseline=True)
        errors.append(np.abs(outputs + attributions.sum(axis=1) - sae.predict(X)).max())
    # With a kink the error falls as one over the number of steps, on a smooth line much faster.
    assert errors[1] < errors[0] / 20
    assert errors[0] < 0.5 * np.ptp(sae.predict(X))


def test_attributions_of_a_chain_are_those_of_all_its_columns(chain, X, y):
    attributions, outputs = integrated_gradients(chain, X, return_baseline=True)
    assert attributions.columns.to_list() == X.columns.to_list()
    prediction = chain.predict(X)
    assert_allclose(outputs + attributions.sum(axis=1), prediction[:, 1], **COMPLETE)
    assert (attributions.abs().mean() > 0).all()
    first, outputs = integrated_gradients(chain, X, stage="inner", return_baseline=True)
    assert first.columns.to_list() == ["radius", "energy"]
    assert_allclose(outputs + first.sum(axis=1), prediction[:, 0], **COMPLETE)
    alone = integrated_gradients(chain["inner"], X[["energy", "radius"]])
    assert_allclose(first, alone[["radius", "energy"]])


@pytest.mark.parametrize("kind", ["sae", "chain"])
def test_a_linear_model_s_attributions_are_its_coefficients(X, y, kind):
    """Of what is linear, an entry's part is its coefficient times its distance from the mean."""
    table = X[["radius", "energy", "mass"]]
    model = SupervisedAutoencoder(**LINEAR, predictor="network")
    if kind == "chain":
        model = NestedAutoencoder([("a", model, ["mass", "radius"]), ("b", model, ["energy"])])
    model.fit(table, y)
    coefficients = LinearRegression().fit(table, model.predict(table)).coef_
    expected = (table - table.mean()) * coefficients
    assert_allclose(integrated_gradients(model, table, n_steps=3), expected, **COMPLETE)


def test_attributions_of_a_latent(chain, X):
    for stage, part in [("outer", chain), ("inner", chain[:1])]:
        attributions, outputs = integrated_gradients(
            chain, X, stage=stage, latent=-1, return_baseline=True
        )
        latent = part.transform(X)[:, -1]
        assert_allclose(outputs + attributions.sum(axis=1), latent, **COMPLETE)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_attributions_of_a_class_are_of_its_log_odds(X, n_classes):
    labels = X["phase"].astype(str)
    labels = labels if n_classes == 3 else labels == "cubic"
    table = X.drop(columns="phase")
    model = SupervisedAutoencoderClassifier(**TINY).fit(table, labels)
    for c, label in enumerate(model.classes_):
        attributions, outputs = integrated_gradients(
            model, table, output=label, return_baseline=True
        )
        log_odds = logit(model.predict_proba(table)[:, c])
        assert_allclose(outputs + attributions.sum(axis=1), log_odds, **COMPLETE)
    if n_classes == 2:
        assert_array_equal(integrated_gradients(model, table), attributions)


def test_attributions_of_one_of_several_outputs(X, y):
    both = np.column_stack([y, -3 * y + X["mass"]])
    sae = SupervisedAutoencoder(**TINY).fit(X, both)
    attributions, outputs = integrated_gradients(sae, X, output=1, return_baseline=True)
    assert_allclose(outputs + attributions.sum(axis=1), sae.predict(X)[:, 1], **COMPLETE)


def test_attributions_of_an_ensemble_are_of_its_mean(X, y):
    ensemble = SupervisedAutoencoder(**TINY, n_members=3, bootstrap=True).fit(X, y)
    chains = two_stages().set_params(n_members=2).fit(X, y)
    last = NestedAutoencoder(
        [("a", SupervisedAutoencoder(**TINY), ["mass"]), ("b", ensemble, ["energy", "phase"])]
    ).fit(X, y)
    for model in (ensemble, chains, last):
        attributions, outputs = integrated_gradients(model, X, return_baseline=True)
        assert_allclose(outputs + attributions.sum(axis=1), model.predict(X), **COMPLETE)
    parts = [integrated_gradients(member, X) for member in ensemble.members_]
    assert_allclose(integrated_gradients(ensemble, X), sum(parts) / 3)
    latents = integrated_gradients(ensemble, X, latent=0)
    assert_array_equal(latents, integrated_gradients(ensemble.members_[0], X, latent=0))


@pytest.mark.parametrize("baselines", [None, "row"])
def test_a_missing_entry_has_no_part(chain, sae, X, baselines):
    table = X.copy()
    table.loc[::3, "energy"] = np.nan
    table.loc[::4, "phase"] = np.nan
    table.loc[[5, 6], ["energy", "radius"]] = np.nan  # nothing of the first scale
    baselines = None if baselines is None else X.iloc[[7]]
    for model in (sae, chain):
        attributions, outputs = integrated_gradients(
            model, table, baselines=baselines, return_baseline=True
        )
        assert (attributions.to_numpy()[table.isna()] == 0).all()
        prediction = np.reshape(model.predict(table), (len(table), -1))[:, -1]
        assert_allclose(outputs + attributions.sum(axis=1), prediction, **COMPLETE)


def test_a_baseline_of_one_s_own(chain, X):
    row = X.iloc[[7]]
    attributions, outputs = integrated_gradients(chain, X, baselines=row, return_baseline=True)
    assert_allclose(outputs, np.full(60, chain.predict(row)[0, 1]))
    assert_allclose(attributions.iloc[7], 0)
    same = X.eq(row.iloc[0], axis="columns").to_numpy()
    assert (attributions.to_numpy()[same] == 0).all()
    each = integrated_gradients(chain, X, baselines=X[::-1])
    assert_allclose(each.iloc[3], integrated_gradients(chain, X, baselines=X.iloc[[56]]).iloc[3])


def test_the_default_baseline_is_what_a_missing_row_enters_as(sae, X):
    nothing = X.mask(np.ones(X.shape, dtype=bool))
    _, outputs = integrated_gradients(sae, X, return_baseline=True)
    assert_allclose(outputs, sae.predict(nothing))
    raw = SupervisedAutoencoder(**TINY, standardize=False).fit(X, X["mass"])
    _, outputs = integrated_gradients(raw, X, return_baseline=True)
    assert_allclose(outputs, raw.predict(nothing))


def test_rows_do_not_meet_each_other(chain, X, monkeypatch):
    expected = integrated_gradients(chain, X)
    monkeypatch.setattr(_attributions, "_CHUNK_POINTS", 7 * 50)
    assert_allclose(integrated_gradients(chain, X), expected)
    part = integrated_gradients(chain, X.iloc[[4, 50]])
    assert_allclose(part, expected.iloc[[4, 50]])


@pytest.mark.parametrize(("width", "n_rows"), [(4, 10), (10, 4), (100, 1)])
def test_a_wider_table_goes_in_fewer_rows_at_once(width, n_rows, monkeypatch):
    """Memory goes with the values that pass at once, of which there is at least a row's line."""
    table = np.random.RandomState(0).normal(size=(20, width))
    sae = SupervisedAutoencoder(**TINY).fit(table, table[:, 0])
    expected = integrated_gradients(sae, table, n_steps=5)
    sizes, attribute = [], IntegratedGradients.attribute

    def note_size(self, inputs, *args, **kwargs):
        sizes.append(len(inputs[0]))
        return attribute(self, inputs, *args, **kwargs)

    monkeypatch.setattr(IntegratedGradients, "attribute", note_size)
    monkeypatch.setattr(_attributions, "_CHUNK_VALUES", 5 * 40)  # 40 values at each of five steps
    found = integrated_gradients(sae, table, n_steps=5)
    assert sizes == [n_rows] * (20 // n_rows)
    assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_attributions_of_arrays_blocks_float32_and_dropout(with_block, X, y):
    table = X[["radius", "energy", "mass"]].to_numpy(dtype=np.float32)
    sae = SupervisedAutoencoder(**TINY, dropout=0.5)
    chain = NestedAutoencoder([("a", sae, [2]), ("b", sae, [0])])
    for model, columns in [(sae, [0, 1, 2]), (chain, [0, 2])]:
        model.fit(table, y)
        attributions, outputs = integrated_gradients(model, table, return_baseline=True)
        assert attributions.columns.to_list() == columns
        assert_allclose(outputs + attributions.sum(axis=1), model.predict(table), atol=1e-4)
    attributions, outputs = integrated_gradients(with_block, X, return_baseline=True)
    assert_allclose(outputs + attributions.sum(axis=1), with_block.predict(X), **COMPLETE)


def test_attributions_leave_no_trace(sae, X):
    module, state = sae.net_.module_, torch.get_rng_state()
    gradients = [None if p.grad is None else p.grad.clone() for p in module.parameters()]
    integrated_gradients(sae, X)
    assert torch.equal(torch.get_rng_state(), state)
    for p, gradient in zip(module.parameters(), gradients, strict=True):
        assert (p.grad is None) if gradient is None else torch.equal(p.grad, gradient)
    assert not module.training


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_steps": 0}, "'n_steps' parameter .* got 0"),
        ({"latent": 2}, r"'latent' parameter must be an int from -2 to 1, .* got 2"),
        ({"latent": "z"}, "'latent' parameter .* got 'z'"),
        ({"output": 1}, r"'output' parameter must be an int from -1 to 0, .* got 1"),
        ({"latent": 0, "output": 0}, "Give either a 'latent' or an 'output'"),
        ({"stage": "inner"}, "'stage' parameter names the stage 'inner'"),
    ],
)
def test_errors_of_attributions(sae, X, parameters, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(sae, X, **parameters)


def test_errors_of_stages_targets_and_baselines(sae, chain, X, y):
    with pytest.raises(ValueError, match=r"the stage 'x'; the stages are \['inner', 'outer'\]"):
        integrated_gradients(chain, X, stage="x")
    with pytest.raises(ValueError, match="must have one row or the 60 rows of X, got 2"):
        integrated_gradients(sae, X, baselines=X[:2])
    with pytest.raises(ValueError, match="2 outputs, or 'mean'; got None"):
        integrated_gradients(SupervisedAutoencoder(**TINY).fit(X, X[["mass", "energy"]]), X)
    with pytest.raises(NoTargetError, match="Stage 'inner' was fitted without a target"):
        integrated_gradients(two_stages().fit(X, y), X, stage="inner")
    with pytest.raises(NoTargetError, match="This SupervisedAutoencoder was fitted without"):
        integrated_gradients(SupervisedAutoencoder(**TINY).fit(X), X)
    model = SupervisedAutoencoderClassifier(**TINY).fit(X, X["phase"])
    for label in (None, "monoclinic"):
        with pytest.raises(ValueError, match=rf"one of the classes \['cubic'.*got {label!r}"):
            integrated_gradients(model, X, output=label)


@pytest.mark.parametrize("function", [encoder_weights, column_usage, integrated_gradients])
def test_errors_of_estimators(function, X):
    rest = [X] if function is integrated_gradients else []
    with pytest.raises(NotFittedError):
        function(SupervisedAutoencoder(), *rest)
    with pytest.raises(NotFittedError):
        function(NestedAutoencoder(), *rest)
    with pytest.raises(TypeError, match=r"needs a supervised autoencoder or a chain .* got a PCA"):
        function(PCA(1).fit(X[["mass"]]), *rest)
    stages = [("p", PCA(1), ["mass"]), ("q", SupervisedAutoencoder(**TINY), ["energy"])]
    mixed = NestedAutoencoder(stages).fit(X)
    with pytest.raises(TypeError, match="stage 'p'"):
        function(mixed, *rest, stage="p")


def test_a_missing_captum_is_named(sae, X, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"'captum'.*pip install captum"):
        integrated_gradients(sae, X)


# -- arrays

# float32, and the sums of many more parts
ARRAYS_COMPLETE = {"rtol": 0, "atol": 1e-4}


def test_the_parts_of_an_array_are_summed_or_each_by_itself_or_in_its_shape(of_arrays):
    sae, X = of_arrays
    columns, outputs = integrated_gradients(sae, X, return_baseline=True)
    assert columns.columns.to_list() == X.columns.to_list()
    assert all(dtype.kind == "f" for dtype in columns.dtypes)
    assert_allclose(outputs + columns.sum(axis=1), sae.predict(X), **ARRAYS_COMPLETE)
    image = integrated_gradients(sae, X, block="image")
    assert image.shape == (len(X), SIDE, SIDE)
    assert_allclose(image.sum(axis=(1, 2)), columns["image"])
    entries = integrated_gradients(sae, X, by="entry")
    assert entries.columns[[0, 1, 8, SIDE**2, SIDE**2 + 1, SIDE**2 + 2, -1]].to_list() == [
        *("u", "image[0, 0]", "image[1, 1]", "image[5, 5]", "kind"),
        *("spectrum[0]", f"spectrum[{N_CHANNELS - 1}]"),
    ]
    assert_array_equal(entries.iloc[:, 1 : SIDE**2 + 1], image.reshape(len(X), -1))
    assert_array_equal(entries["kind"], columns["kind"])
    blocks, again = integrated_gradients(sae, X, by="block", return_baseline=True)
    assert_array_equal(again, outputs)
    assert blocks.columns.to_list() == ["image", "spectrum", "table"]
    assert_allclose(blocks["table"], columns["u"] + columns["kind"])
    assert_allclose(blocks["image"], columns["image"])


def test_the_parts_are_the_same_whatever_holds_the_arrays():
    """An array of more dimensions, columns, columns of two levels, and cells."""
    images, _, z = arrays()
    flat = images.reshape(len(images), -1)
    frame = pd.DataFrame(flat, columns=[f"p{i}" for i in range(SIDE**2)])
    block = ARRAYS[0][1]
    one, first = block, [("image", block, "image")]
    tables = {
        "X": (images, one, [f"X[{i}, {j}]" for i, j in np.ndindex(SIDE, SIDE)]),
        "X flat": (frame, one, list(frame)),
        "image": (
            stack_kinds(image=images),
            first,
            [("image", f"{i},{j}") for i, j in np.ndindex(SIDE, SIDE)],
        ),
        "image cells": (
            pd.DataFrame({"image": list(images)}),
            first,
            [f"image[{i}, {j}]" for i, j in np.ndindex(SIDE, SIDE)],
        ),
    }
    found = {}
    for name, (X, blocks, names) in tables.items():
        sae = SupervisedAutoencoder(**TINY, blocks=blocks).fit(X, z[:, 0])
        found[name] = integrated_gradients(sae, X, block=name.split()[0])
        entries = integrated_gradients(sae, X, by="entry")
        assert entries.columns.to_list() == names
        assert_array_equal(entries.to_numpy(), found[name].reshape(len(X), -1))
        columns = integrated_gradients(sae, X)
        assert columns.shape == (len(X), 1 if name == "image cells" else SIDE**2)
        assert_allclose(columns.sum(axis=1), entries.sum(axis=1))
    for own in found.values():
        assert own.shape == images.shape
        assert_allclose(own, found["X"], rtol=1e-4, atol=1e-6)


def test_attributions_of_a_chain_with_arrays():
    chain, X, _ = a_chain_with_arrays(n_members=2)
    blocks, outputs = integrated_gradients(chain, X, by="block", return_baseline=True)
    assert blocks.columns.to_list() == ["a__shape", "a__table", "b__shape", "b__table"]
    prediction = chain.predict(X)
    assert_allclose(outputs + blocks.sum(axis=1), prediction[:, 1], **ARRAYS_COMPLETE)
    image = integrated_gradients(chain, X, block="a__shape")
    assert_allclose(image.sum(axis=(1, 2)), blocks["a__shape"])
    assert integrated_gradients(chain, X, block="b__shape").shape == (len(X), N_CHANNELS)
    first = integrated_gradients(chain, X, stage="a", block="shape")  # the only one up to there
    assert first.shape == (len(X), SIDE, SIDE)
    again = integrated_gradients(chain, X, stage="a", block="a__shape")
    assert_array_equal(again, first)


@pytest.mark.parametrize("baselines", [None, "row"])
def test_a_missing_entry_of_an_array_has_no_part(of_arrays, baselines):
    sae, X = of_arrays
    images = np.stack(list(X["image"]))
    images[::2, 1, 3] = np.nan
    table = X.assign(image=list(images))
    table["spectrum"] = [None, *X["spectrum"][1:]]
    given = {"baselines": None if baselines is None else X.iloc[[7]]}
    image, outputs = integrated_gradients(sae, table, block="image", return_baseline=True, **given)
    assert (image[np.isnan(images)] == 0).all()
    assert (image[~np.isnan(images)] != 0).mean() > 0.9
    columns = integrated_gradients(sae, table, **given)
    assert columns["spectrum"].iloc[0] == 0
    prediction = sae.predict(table)
    assert np.abs(prediction - sae.predict(X)).max() > 1e-3  # the flags of what is missing count
    assert_allclose(outputs + columns.sum(axis=1), prediction, **ARRAYS_COMPLETE)


def test_attributions_of_targets_that_are_arrays():
    images, spectra, _ = arrays()
    (_, image, _), (_, spectrum, _) = ARRAYS
    to_spectra = SupervisedAutoencoder(
        **TINY, blocks=image, target_block=spectrum, target_bounds=(0, None)
    ).fit(images, spectra)
    prediction = to_spectra.predict(images)
    for output, expected in [(4, prediction[:, 4]), ("mean", prediction.mean(axis=1))]:
        parts, outputs = integrated_gradients(
            to_spectra, images, output=output, block="X", return_baseline=True
        )
        assert_allclose(outputs + parts.sum(axis=(1, 2)), expected, **ARRAYS_COMPLETE)
    to_images = SupervisedAutoencoder(**TINY, blocks=spectrum, target_block=image)
    prediction = to_images.fit(spectra, images).predict(spectra)
    parts, outputs = integrated_gradients(
        to_images, spectra, output=(1, -2), block="X", return_baseline=True
    )
    assert parts.shape == spectra.shape
    expected = prediction[:, 1, SIDE - 2]
    assert_allclose(outputs + parts.sum(axis=1), expected, **ARRAYS_COMPLETE)
    flat = integrated_gradients(to_images, spectra, output=SIDE + SIDE - 2, block="X")
    assert_array_equal(parts, flat)
    for output in [(1, SIDE), (1,), SIDE**2, "all", None, (1, 1.5)]:
        with pytest.raises(ValueError, match=r"of the shape \(6, 6\), or 'mean'; got"):
            integrated_gradients(to_images, spectra, output=output)


def test_arrays_pass_in_fewer_rows_at_once(of_arrays, monkeypatch):
    """As the outputs of convolutions, with their gradients, are many times what enters."""
    sae, X = of_arrays
    sizes, attribute = [], IntegratedGradients.attribute

    def note_size(self, inputs, *args, **kwargs):
        sizes.append(len(inputs[0]))
        return attribute(self, inputs, *args, **kwargs)

    monkeypatch.setattr(IntegratedGradients, "attribute", note_size)
    n_values = 16 * (SIDE**2 + N_CHANNELS) + 3  # the numbers of the table as they are
    monkeypatch.setattr(_attributions, "_CHUNK_VALUES", 5 * n_values * 2)
    integrated_gradients(sae, X, n_steps=5)
    assert sizes == [2] * (len(X) // 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"by": "pixel"}, "'by' parameter must be 'column', 'entry' or 'block', got 'pixel'"),
        (
            {"block": "table"},
            r"block of arrays, of which there are \['image', 'spectrum'\]; got 't",
        ),
        ({"block": "picture"}, "'block' parameter must name a block of arrays, .* got 'picture'"),
        ({"block": "image", "by": "entry"}, "so that by='entry' has no use"),
    ],
)
def test_errors_of_blocks(of_arrays, parameters, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(*of_arrays, **parameters)


def test_a_table_without_arrays_has_no_block_of_them(sae, X):
    with pytest.raises(ValueError, match=r"of which there are \[\]; got 'table'"):
        integrated_gradients(sae, X, block="table")


# -- known answers: all ways of asking agree on which columns matter


@pytest.fixture(scope="module")
def functions():
    """A chain on functions of known variables, with a column of noise on each scale."""
    data = make_nested_functions(300, sampling="independent", random_state=0)
    rng = np.random.RandomState(1)
    inner = data.data[0].assign(noise=rng.normal(size=300))
    outer = data.z[["z3", "z4"]].assign(noise=rng.normal(size=300))
    X = pd.concat({"inner": inner, "outer": outer}, axis=1)
    y = data.z["z1"] + data.z["z2"] + data.z["z3"]
    y = (y - y.mean()) / y.std()
    targets = pd.concat({"inner": data.z[["z1", "z2"]], "outer": y.to_frame("y")}, axis=1)
    estimator = SupervisedAutoencoder(
        4, reconstruction_weight=0.01, l1=0.01, hidden_layer_sizes=(20,), max_iter=150
    )
    nae = NestedAutoencoder(estimator=estimator, random_state=0).fit(X[:200], targets[:200])
    return nae, X, y


NOT_NEEDED = [("inner", "noise"), ("outer", "z4"), ("outer", "noise")]


def check_ranking(importances):
    """Noise and a variable of no use are far below the columns that matter most."""
    assert importances[NOT_NEEDED].max() < 0.2 * importances.max()
    assert importances[("outer", "z3")] > 3 * importances[NOT_NEEDED].max()
    assert importances["inner"].drop("noise").sum() > 3 * importances[NOT_NEEDED].max()


def test_attributions_find_what_matters(functions):
    nae, X, _ = functions
    check_ranking(integrated_gradients(nae, X[200:]).abs().mean())


def test_permutation_importance_finds_what_matters(functions):
    nae, X, y = functions
    score = lambda nae, X, y: -np.mean(np.abs(nae.predict(X)[:, -1] - y))  # noqa: E731
    found = permutation_importance(
        nae, X[200:], y[200:], scoring=score, n_repeats=3, random_state=0
    )
    check_ranking(pd.Series(found.importances_mean, index=X.columns))


def test_weights_find_what_matters(functions):
    nae, _, _ = functions
    usage = column_usage(nae)["l1"]
    assert usage["z3"] > 3 * usage[["z4", "noise"]].max()
    inner = column_usage(nae, "inner")["l1"]
    assert inner["noise"] < 0.5 * inner.drop("noise").min()


def test_structures_of_atoms_stay_as_they_are():
    """They are at both ends of the line: what is left is the part of all else, in full."""
    crystals, y = salts()
    X = pd.DataFrame({"structure": as_cells(crystals), "size": np.sin(np.arange(24.0))})
    X.loc[3, "structure"] = None
    X.loc[5, "size"] = np.nan
    blocks = [("crystal", atoms_block(), "structure")]
    sae = SupervisedAutoencoder(**{**TINY, "max_iter": 5}, blocks=blocks).fit(X, y)
    found, outputs = integrated_gradients(sae, X, return_baseline=True)
    assert_allclose(outputs + found.sum(axis=1), sae.predict(X), atol=1e-4 * np.ptp(y))
    assert_array_equal(found["structure"], 0)
    assert found["size"].drop(index=5).abs().min() > 0
    some = integrated_gradients(sae, X.iloc[[7, 2]])
    assert_allclose(some, found.iloc[[7, 2]], atol=1e-5)
