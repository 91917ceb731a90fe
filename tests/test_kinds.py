"""Spectra and images in every estimator: what goes in, what comes back, and what is missing."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    report,
    stack_scales,
)
from sknestedae._tables._target import pooled_r2
from sknestedae.blocks import ArrayBlock, ImageBlock, SpectrumBlock
from sknestedae.design import propose
from sknestedae.model_selection import BatchedGridSearchCV, ScaleKFold, stage_scorer
from sknestedae.plotting import PairsDisplay, TraversalDisplay

N, SIDE, N_CHANNELS = 60, 6, 9
SETTINGS = {"n_components": 3, "max_iter": 3, "hidden_layer_sizes": (8,), "random_state": 0}
IMAGE = ImageBlock(n_channels=(4,))
SPECTRUM = SpectrumBlock(n_channels=(4,), kernel_size=3)


@pytest.fixture(scope="module")
def data():
    """Images of a spot, spectra of a peak, and where both are."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, 2))
    grid = np.linspace(-1, 1, SIDE)
    down, right = (0.5 * z[:, k, None, None] for k in (0, 1))
    images = np.exp(-3 * ((grid[:, None] - down) ** 2 + (grid - right) ** 2))
    spectra = np.exp(-((np.linspace(-2, 2, N_CHANNELS) - z[:, :1]) ** 2))
    return {"images": images, "spectra": spectra, "z": z, "y": z[:, 0]}


def make(blocks=IMAGE, kind=SupervisedAutoencoder, **settings):
    return kind(blocks=blocks, **{**SETTINGS, **settings})


def cells(data, **columns):
    return pd.DataFrame(
        {"image": list(data["images"]), "spectrum": list(data["spectra"]), **columns}
    )


def some_missing(images):
    images = images.copy()
    images[0] = np.nan  # a whole image
    images[1, 2:4, 1] = np.nan  # some pixels
    return images


# ---------------------------------------------------------------------------------------------
# Arrays of more dimensions


def test_an_array_of_more_dimensions_is_its_rows_flattened(data):
    images, y = data["images"], data["y"]
    flat = images.reshape(N, -1)
    whole = make().fit(images, y)
    rows = make(clone(IMAGE).set_params(shape=(SIDE, SIDE))).fit(flat, y)
    Z = whole.transform(images)
    assert np.array_equal(Z, rows.transform(flat))
    assert np.array_equal(Z, whole.transform(flat))
    assert np.array_equal(Z, rows.transform(images))
    assert np.array_equal(whole.predict(images), rows.predict(flat))
    decoded = whole.inverse_transform(Z)
    assert decoded.shape == images.shape
    assert np.array_equal(decoded.reshape(N, -1), rows.inverse_transform(Z))
    broken = some_missing(images)
    completed = whole.complete(broken)
    assert completed.shape == images.shape
    assert np.array_equal(completed.reshape(N, -1), rows.complete(broken.reshape(N, -1)))
    assert np.array_equal(whole.score_samples(broken), rows.score_samples(broken))
    assert whole.score(images) == rows.score(flat)


def test_channels_come_first(data):
    two = np.stack([data["images"], data["images"] ** 2], axis=1)
    model = make().fit(two, data["y"])
    assert model.blocks_["X"].layout.shape == (2, SIDE, SIDE)
    assert model.inverse_transform(model.transform(two)).shape == two.shape


def test_several_completions_keep_the_shape_of_rows(data):
    model = make().fit(data["images"], data["y"])
    found = model.complete(some_missing(data["images"])[:3], n_candidates=2)
    assert found.X.shape == (len(found.row), SIDE, SIDE)
    assert np.array_equal(found.X[-1], data["images"][2])


def test_completion_keeps_what_was_measured(data):
    broken = some_missing(data["images"])
    completed = make().fit(data["images"]).complete(broken)
    measured = ~np.isnan(broken)
    assert np.array_equal(completed[measured], broken[measured])
    assert np.isfinite(completed).all()


@pytest.mark.parametrize(
    ("given", "dtype"),
    [(np.float32, np.float32), (np.uint8, np.float32), (np.float64, np.float64)],
)
def test_single_precision_where_it_holds_the_pixels(data, given, dtype):
    images = (255 * data["images"]).astype(given)
    model = make().fit(images, data["y"])
    assert model.transform(images).dtype == dtype
    assert model.inverse_transform(model.transform(images)).dtype == dtype


def test_integer_pixels_do_not_wrap_around(data):
    pixels = (255 * data["images"]).round().astype(np.uint8)
    assert pixels.max() > 250
    whole = make().fit(pixels).transform(pixels)
    assert np.array_equal(whole, make().fit(pixels.astype(np.float32)).transform(pixels))


def test_more_dimensions_need_a_block(data):
    with pytest.raises(ValueError, match=r"Found array with dim 3.*blocks=ImageBlock\(\)"):
        make("auto").fit(data["images"])


def test_rows_of_another_shape_are_refused(data):
    model = make().fit(data["images"])
    with pytest.raises(ValueError, match=r"shape \(5, 6\), but those of fit had \(6, 6\)"):
        model.transform(data["images"][:, :5])


# ---------------------------------------------------------------------------------------------
# Columns of a table


def test_cells_and_columns_of_numbers_are_one_thing(data):
    in_cells = pd.DataFrame({"image": list(data["images"])})
    in_columns = pd.DataFrame(data["images"].reshape(N, -1)).add_prefix("pixel")
    block = clone(IMAGE).set_params(shape=(SIDE, SIDE))
    one = make([("image", block, ["image"])]).fit(in_cells, data["y"])
    other = make([("image", block, slice(None))]).fit(in_columns, data["y"])
    assert np.array_equal(one.transform(in_cells), other.transform(in_columns))
    decoded = one.inverse_transform(one.transform(in_cells))
    assert decoded.columns.tolist() == ["image"]
    assert np.array_equal(
        np.stack(decoded["image"]).reshape(N, -1),
        other.inverse_transform(other.transform(in_columns)).to_numpy(),
    )


def test_columns_of_arrays_have_a_block_by_themselves(data):
    table = cells(data, a=data["z"][:, 1], word=np.where(data["y"] > 0, "x", "y"))
    model = make("auto").fit(table, data["y"])
    kinds = {name: type(own.block).__name__ for name, own in model.blocks_.items()}
    assert kinds == {"image": "ImageBlock", "spectrum": "SpectrumBlock", "table": "DenseBlock"}
    decoded = model.inverse_transform(model.transform(table))
    assert decoded.columns.tolist() == table.columns.tolist()
    assert decoded["image"][0].shape == (SIDE, SIDE)
    with pytest.raises(TypeError, match="image"):
        make(None).fit(table, data["y"])


def test_a_first_level_of_labels_names_the_columns_of_a_block(data):
    parts = {
        "image": pd.DataFrame(data["images"].reshape(N, -1)),
        "spectrum": pd.DataFrame(data["spectra"]),
    }
    table = pd.concat(parts, axis=1)
    model = make([("image", IMAGE, "image"), ("spectrum", SPECTRUM, "spectrum")]).fit(table)
    assert {name: own.layout.shape for name, own in model.blocks_.items()} == {
        "image": (SIDE, SIDE),
        "spectrum": (N_CHANNELS,),
    }
    assert model.inverse_transform(model.transform(table)).columns.equals(table.columns)


def test_a_change_of_one_kind_does_not_move_how_another_is_scaled(data):
    table = cells(data)
    other = table.assign(spectrum=[2 * s for s in data["spectra"]])
    one, two = (make("auto").fit(own) for own in (table, other))
    Z = one.transform(table)
    # twice the spectrum is in units twice as large: the network is the same but for rounding
    np.testing.assert_allclose(two.transform(other), Z, rtol=1e-6, atol=1e-8)


# ---------------------------------------------------------------------------------------------
# Missing kinds


def test_a_missing_kind_is_filled_and_no_other_is_touched(data):
    table = cells(data)
    table.loc[3, "image"] = None
    table.loc[5, "spectrum"] = None
    model = make("auto", block_dropout=0.3).fit(table, data["y"])
    completed = model.complete(table)
    assert completed.loc[3, "image"].shape == (SIDE, SIDE)
    assert completed.loc[5, "spectrum"].shape == (N_CHANNELS,)
    assert completed.loc[3, "spectrum"] is table.loc[3, "spectrum"]
    assert np.isfinite(model.predict(table)).all()


def test_the_encoder_is_told_what_is_missing(data):
    """A missing pixel enters as the mean; a network that saw missing ones tells it from that."""
    images = data["images"].copy()
    rng = np.random.default_rng(1)
    images[rng.uniform(size=images.shape) < 0.2] = np.nan
    model = make().fit(images, data["y"])
    row = data["images"][:1].copy()
    row[0, 2, 2] = np.nan
    mean = row.copy()
    mean[0, 2, 2] = np.nanmean(images[:, 2, 2])
    assert not np.allclose(model.transform(row), model.transform(mean))


def test_a_network_that_saw_nothing_missing_takes_it_for_the_mean(data):
    model = make().fit(data["images"], data["y"])
    row = data["images"][:1].copy()
    row[0, 2, 2] = np.nan
    mean = row.copy()
    mean[0, 2, 2] = data["images"][:, 2, 2].mean()
    np.testing.assert_allclose(model.transform(row), model.transform(mean), atol=1e-12)


# ---------------------------------------------------------------------------------------------
# Targets that are arrays


def test_a_target_of_more_dimensions_comes_back_in_its_shape(data):
    model = make(SPECTRUM, target_block=IMAGE).fit(data["spectra"], data["images"])
    predicted = model.predict(data["spectra"])
    assert predicted.shape == data["images"].shape
    flat = make(SPECTRUM, target_block=clone(IMAGE).set_params(shape=(SIDE, SIDE)))
    flat.fit(data["spectra"], data["images"].reshape(N, -1))
    assert np.array_equal(predicted.reshape(N, -1), flat.predict(data["spectra"]))
    error = ((predicted - data["images"]) ** 2).sum()
    deviation = ((data["images"] - data["images"].mean(axis=0)) ** 2).sum()
    assert model.score(data["spectra"], data["images"]) == pytest.approx(1 - error / deviation)


def test_a_target_with_bounds_keeps_to_them(data):
    model = make(target_block=SPECTRUM, target_bounds=(0, 1.5))
    predicted = model.fit(data["images"], data["spectra"]).predict(50 * data["images"])
    assert predicted.min() >= 0
    assert predicted.max() <= 1.5


def test_a_target_of_another_shape_is_refused(data):
    model = make(SPECTRUM, target_block=IMAGE).fit(data["spectra"], data["images"])
    model.set_params(warm_start=True)
    with pytest.raises(ValueError, match="outputs"):
        model.fit(data["spectra"], data["images"][:, :5])


# ---------------------------------------------------------------------------------------------
# With scikit-learn


def test_settings_of_blocks_are_searched_over(data):
    blocks = [("image", IMAGE, "image"), ("spectrum", SPECTRUM, "spectrum")]
    grid = {"blocks__image__kernel_size": [1, 3], "blocks__spectrum__scale": ["column"]}
    search = GridSearchCV(make(blocks), grid, cv=2).fit(cells(data), data["y"])
    best = search.best_estimator_
    assert best.blocks_["spectrum"].block.scale == "column"
    assert (
        best.blocks_["image"].block.kernel_size
        == search.best_params_["blocks__image__kernel_size"]
    )
    assert IMAGE.kernel_size == 3  # those of the user stay as they are


def test_many_networks_at_once_are_those_of_single_fits(data):
    grid = {"alpha": [1e-4, 1e-2]}
    kwargs = {"cv": 2, "refit": False}
    one = GridSearchCV(make(), grid, **kwargs).fit(data["images"], data["y"])
    many = BatchedGridSearchCV(make(), grid, **kwargs).fit(data["images"], data["y"])
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"], many.cv_results_["mean_test_score"], rtol=1e-8
    )


@pytest.mark.parametrize("bootstrap", [False, True])
def test_members_take_arrays(data, bootstrap):
    model = make(n_members=2, bootstrap=bootstrap, target_block=SPECTRUM)
    y, y_std = model.fit(data["images"], data["spectra"]).predict(data["images"], return_std=True)
    assert y.shape == y_std.shape == data["spectra"].shape
    assert (y_std > 0).any()
    assert model.n_features_in_ == SIDE**2
    assert np.array_equal(
        model.transform(data["images"]), model.members_[0].transform(data["images"])
    )


def test_classes_of_images_in_a_pipeline_and_folds(data):
    labels = np.where(data["y"] > 0, "up", "down")
    model = make_pipeline(make(kind=SupervisedAutoencoderClassifier))
    assert cross_val_score(model, data["images"], labels, cv=2).shape == (2,)


def test_training_goes_on_with_the_same_blocks(data):
    table = cells(data)
    model = make("auto").partial_fit(table, data["y"]).partial_fit(table[:20], data["y"][:20])
    assert model.n_iter_ == 2
    model.set_params(blocks=[("image", SPECTRUM, "spectrum")])
    with pytest.raises(ValueError, match="'blocks' parameter was"):
        model.partial_fit(table, data["y"])


def test_files_keep_kinds(data):
    table = cells(data)
    model = make("auto", target_block=SPECTRUM, target_bounds=(0, None), block_dropout=0.1)
    model.fit(table, data["spectra"])
    loaded = pickle.loads(pickle.dumps(model))
    assert np.array_equal(loaded.predict(table), model.predict(table))
    some = table[:4].copy()
    some.loc[0, "image"] = None
    assert np.array_equal(
        loaded.complete(some).loc[0, "image"], model.complete(some).loc[0, "image"]
    )
    assert loaded.fit(table, data["spectra"]).transform(table).shape == (N, 3)


def test_components_are_the_slopes_of_what_is_decoded():
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(2, N_CHANNELS))
    spectra = rng.normal(size=(100, 2)) @ basis + 5
    settings = {**SETTINGS, "n_components": 2, "max_iter": 200, "hidden_layer_sizes": ()}
    model = SupervisedAutoencoder(**settings)
    model.fit_transform(spectra)  # as hyperspy's decomposition calls it
    factors = model.components_.T
    assert factors.shape == (N_CHANNELS, 2)
    # a linear network decodes by the plane itself, of any latents
    some = rng.normal(size=(5, 2)) + 3
    plane = some @ factors.T + model.mean_
    np.testing.assert_allclose(plane, model.inverse_transform(some), atol=1e-8)
    # latents at 0 are not those of the mean spectrum
    assert np.abs(model.mean_ - spectra.mean(axis=0)).max() > 0.01


@pytest.mark.parametrize("block", [None, SPECTRUM])
def test_the_protocol_of_a_decomposition(data, block):
    """What hyperspy asks of an algorithm: a copy, loadings, and factors that belong to them."""
    spectra = data["spectra"].astype(np.float32)
    given = SupervisedAutoencoder(blocks=block, **{**SETTINGS, "n_components": 2})
    said = repr(given)
    algorithm = clone(given)
    loadings = algorithm.fit_transform(spectra)
    factors = algorithm.components_.T
    assert loadings.shape == (N, 2)
    assert factors.shape == (N_CHANNELS, 2)
    assert np.isfinite(loadings).all()
    assert np.isfinite(factors).all()
    assert np.array_equal(loadings, algorithm.transform(spectra))
    assert repr(given) == repr(algorithm) == said
    assert not hasattr(given, "components_")
    # in units of the data: the plane through what is decoded. float32 rounds by 6e-8, and the
    # plane is a mean of 60 rows, so that 1e-4 of the largest slope is wide
    centred = loadings.astype(np.float64) - loadings.mean(axis=0, dtype=np.float64)
    decoded = algorithm.inverse_transform(loadings).astype(np.float64)
    plane = np.linalg.lstsq(centred, decoded - decoded.mean(axis=0))[0]
    np.testing.assert_allclose(factors.T, plane, atol=1e-4 * np.abs(plane).max())
    # the model of the data that is made of both has the mean of what is decoded
    modelled = loadings @ factors.T + algorithm.mean_
    np.testing.assert_allclose(modelled.mean(axis=0), decoded.mean(axis=0), atol=1e-4)


def test_components_are_of_numbers_alone(data):
    fitted, of_cells = make().fit(data["images"]), make("auto").fit(cells(data))
    assert fitted.components_.shape == (3, SIDE, SIDE)
    assert fitted.mean_.shape == (SIDE, SIDE)
    for name in ("components_", "mean_"):
        assert not hasattr(of_cells, name)
        assert not hasattr(make(), name)
        with pytest.raises(AttributeError, match=f"no {name} before fit"):
            getattr(make(), name)


# ---------------------------------------------------------------------------------------------
# Chains


def test_an_image_is_a_stage_of_a_chain(data):
    table = pd.DataFrame({"temperature": data["z"][:, 1], "word": np.where(data["y"] > 0, 1, 0)})
    y = [data["y"], data["y"] + data["z"][:, 1]]
    chain = NestedAutoencoder(n_components=3, max_iter=3, random_state=0)
    chain.fit([data["images"], table], y)
    first, second = chain.predict([data["images"], table])
    assert first.shape == second.shape == (N,)
    broken = [some_missing(data["images"]), table]
    completed, same = chain.complete(broken)
    assert completed.shape == data["images"].shape
    measured = ~np.isnan(broken[0])
    assert np.array_equal(completed[measured], broken[0][measured])
    assert same.equals(table)
    loaded = pickle.loads(pickle.dumps(chain))
    assert np.array_equal(loaded.predict([data["images"], table])[1], second)


def test_a_block_of_all_columns_leaves_the_latents_of_the_stage_before_alone(data):
    stages = [
        ("image", make(), ["image"]),
        ("spectrum", make(SPECTRUM), ["spectrum"]),
    ]
    table = cells(data)
    chain = NestedAutoencoder(stages, refine_iter=2).fit(table, data["z"])
    last = chain["spectrum"].blocks_
    assert {name: own.columns for name, own in last.items()} == {"X": [0], "table": [1, 2, 3]}
    assert chain.inverse_transform(chain.transform(table)).shape == (N, 2)


def test_cells_in_the_folds_of_scales(data):
    first = pd.DataFrame({"spectrum": list(data["spectra"])})
    second = first[:30].assign(temperature=data["z"][:30, 1])
    X, y = stack_scales([first, second], [data["y"], data["y"][:30] + data["z"][:30, 1]])
    chain = NestedAutoencoder(n_components=3, max_iter=3, random_state=0)
    assert np.isfinite(cross_val_score(chain, X, y, cv=ScaleKFold(2))).all()


def test_an_array_alone_is_a_chain_of_one_stage(data):
    chain = NestedAutoencoder(estimator=make()).fit(data["images"], data["y"])
    assert chain.inverse_transform(chain.transform(data["images"])).shape == data["images"].shape


# ---------------------------------------------------------------------------------------------
# Targets that are arrays


def in_cells(arrays):
    return pd.Series(list(arrays), name="signal")


def image_target(**settings):
    return make(None, target_block=IMAGE, **settings)


def test_a_target_in_cells_is_the_array_of_them(data):
    z, images = data["z"], some_missing(data["images"])
    array = image_target().fit(z, images)
    cells = in_cells(images)
    cells[0] = None  # as an image of NaN alone
    for y in (cells, cells.to_frame(), cells.to_numpy()):
        fitted = image_target().fit(z, y)
        assert np.array_equal(fitted.predict(z), array.predict(z))
        assert fitted.score(z, y) == array.score(z, images)
    assert array.predict(z).shape == images.shape
    spectra = make(None, target_block=SPECTRUM).fit(z, in_cells(data["spectra"]))
    assert spectra.predict(z).shape == (N, N_CHANNELS)
    members = image_target(n_members=2, bootstrap=True).fit(z, cells)
    assert members.predict(z, return_std=True)[1].shape == images.shape
    assert np.isfinite(cross_val_score(image_target(), z, in_cells(data["images"]), cv=2)).all()


@pytest.mark.parametrize("spell", [list, lambda arrays: arrays, in_cells])
def test_arrays_are_targets_of_a_chain(data, spell):
    z, images, spectra = data["z"], data["images"], data["spectra"]
    tables = [z, np.hstack([np.sin(z), z**2])]
    stages = [
        ("image", image_target(), [0, 1]),
        ("spectrum", make(None, target_block=SPECTRUM), [2, 3, 4, 5]),
    ]
    chain = NestedAutoencoder(stages, same_rows=True)
    y = [spell(images), spell(spectra)]
    chain.fit(tables, y)
    first, second = chain.predict(tables)
    assert first.shape == images.shape
    assert second.shape == spectra.shape
    assert np.array_equal(first, image_target().fit(z, images).predict(z))
    scores = [
        pooled_r2(truth.reshape(N, -1), predicted.reshape(N, -1))
        for truth, predicted in ((images, first), (spectra, second))
    ]
    assert chain.score(tables, y) == pytest.approx(np.mean(scores), rel=1e-12)
    refined = clone(chain).set_params(refine_iter=1).fit(tables, y).predict(tables)
    assert [own.shape for own in refined] == [images.shape, spectra.shape]
    mean, spread = clone(chain).set_params(n_members=2).fit(tables, y).predict(tables, True)
    assert [own.shape for own in mean] == [own.shape for own in spread]
    assert spread[0].shape == images.shape


def test_equal_members_score_arrays_as_one_chain(data):
    z, images = data["z"], some_missing(data["images"])
    chain = NestedAutoencoder([("image", image_target(), [0, 1])], n_members=2).fit(z, images)
    members = [chain.members_[0], chain.members_[0]]
    chain._members = members
    assert chain.score(z, images) == pytest.approx(members[0].score(z, images), rel=1e-12)


def test_one_table_with_targets_that_are_arrays(data):
    first = pd.DataFrame(data["z"], columns=["a", "b"])
    second = pd.DataFrame({"c": data["y"] ** 2})
    y = [in_cells(data["images"]), data["y"]]
    X, Y = stack_scales([first, second], y)
    stages = [("image", image_target(), "scale0"), ("number", make(None), "scale1")]
    chain = NestedAutoencoder(stages).fit(X, Y)
    predicted = chain.predict(X)
    assert predicted.shape == (N, 2)
    images, numbers = chain.predict([first, second])
    assert np.array_equal(np.stack(predicted[:, 0]), images)
    assert np.array_equal(predicted[:, 1].astype(float), numbers)
    flat = [own.reshape(N, -1) for own in (data["images"], images)]
    assert stage_scorer(r2_score, "image")(chain, X, Y) == r2_score(*flat)
    assert np.isfinite(cross_val_score(chain, X, Y, cv=ScaleKFold(2))).all()
    loaded = pickle.loads(pickle.dumps(chain))
    assert np.array_equal(loaded.predict([first, second])[0], images)
    # an array of more dimensions belongs to the last stage, as one number a row does
    last = NestedAutoencoder([("a", make(None), ["a"]), ("image", image_target(), ["b"])])
    assert last.fit(first, data["images"]).predict(first).shape == data["images"].shape


def test_what_comes_after_a_fit_to_arrays_in_one_column(data):
    """A table of targets, of which one column holds images: figures, a design, a report."""
    first = pd.DataFrame(data["z"], columns=["a", "b"])
    second = pd.DataFrame({"c": data["y"] ** 2})
    X, Y = stack_scales([first, second], [in_cells(data["images"]), data["y"]])
    stages = [("image", image_target(), "scale0"), ("number", make(None), "scale1")]
    chain = NestedAutoencoder(stages).fit(X, Y)
    design = propose(chain, X, {"number": "max"}, n_candidates=1, random_state=0)
    assert design.prediction.shape == (1, 2)
    with pytest.raises(
        ValueError, match="for 'image', asks for an array of 36 numbers in one col"
    ):
        propose(chain, X, {"image": "max"})
    # an array has no panel beside those of numbers
    traversal = TraversalDisplay.from_estimator(chain, X, 0, target_names=["image", "number"])
    assert list(traversal.predictions.columns) == ["number"]
    assert np.isfinite(traversal.predictions.to_numpy()).all()
    alone = chain[:1]
    assert PairsDisplay.from_estimator(alone, X[["scale0"]], Y.iloc[:, 0]).errors_.shape == (N,)
    with pytest.raises(ValueError, match="y_true must hold numbers, and arrays of one shape"):
        PairsDisplay.from_estimator(chain, X, Y)
    plt.close("all")


@pytest.mark.parametrize("spelling", ["list", "table"])
def test_a_report_of_a_chain_with_a_target_of_arrays(data, spelling):
    tables = [data["z"], data["y"][:, None] ** 2]
    y = [data["images"], data["y"]]
    columns = {"list": ([0, 1], [2]), "table": ("scale0", "scale1")}[spelling]
    stages = [("a", image_target(), columns[0]), ("b", make(None), columns[1])]
    X, Y = (tables, y) if spelling == "list" else stack_scales(tables, y, same_rows=True)
    chain = NestedAutoencoder(stages, same_rows=True).fit(X, Y)
    scores = report(chain, X, Y, cv=2, random_state=0).scores
    scores = scores[(scores["model"] == "this model") & (scores["metric"] == "R²")]
    assert scores.groupby("target").size().to_dict() == {
        "y of a": 2,
        {"list": "b: y", "table": "scale1: y"}[spelling]: 2,
    }
    assert np.isfinite(scores["score"]).all()


def test_a_report_of_a_chain_with_an_array_in_many_columns(data):
    z, spectra = data["z"], data["spectra"]
    chain = NestedAutoencoder([("only", make(None, target_block=SPECTRUM), [0, 1])])
    card = report(chain.fit(z, spectra), z, spectra, cv=2, random_state=0)
    assert set(card.scores["target"]) == {"y of only"}


def test_a_scorer_of_spectra_that_are_all_of_y(data):
    z, spectra = data["z"], data["spectra"]
    stages = [("spectrum", make(None, target_block=SPECTRUM), [0, 1])]
    chain = NestedAutoencoder(stages).fit(z, in_cells(spectra))
    score = stage_scorer(r2_score, "spectrum")(chain, z, in_cells(spectra))
    assert score == r2_score(spectra, chain.predict(z))


def test_targets_of_a_chain_that_cannot_be(data):
    z, images = data["z"], data["images"]
    tables = [z, data["y"][:, None]]

    def fit(block, y):
        stages = [("image", make(None, target_block=block), [0, 1]), ("b", make(None), [2])]
        return NestedAutoencoder(stages, same_rows=True).fit(tables, [y, data["y"]])

    for y in (images, in_cells(images)):
        with pytest.raises(
            ValueError, match=r"stage 'image': .*\(6, 6\); the 'target_block' para"
        ):
            fit(None, y)
        with pytest.raises(ValueError, match=r"stage 'scale0': .*the 'target_block' parameter"):
            NestedAutoencoder(same_rows=True).fit(tables, [y, data["y"]])
    other = in_cells(images)
    other[3] = np.zeros((6, 5))
    with pytest.raises(ValueError, match=r"stage 'image': .*\(6, 6\) and row 3 has \(6, 5\)"):
        fit(IMAGE, other)
    with pytest.raises(ValueError, match="scale 'image' has 59 rows, but its table has 60"):
        fit(IMAGE, images[1:])
    with pytest.raises(TypeError, match="target_block"):
        SupervisedAutoencoderClassifier().fit(z, in_cells(images))
    fitted = fit(IMAGE, images)
    with pytest.raises(ValueError, match="y has 30 outputs, but the estimator was fitted with 36"):
        fitted.score(tables, [images[:, :, :5], data["y"]])


# ---------------------------------------------------------------------------------------------
# A kind of a user's own


class Doubled(ArrayBlock):
    """Two modules alone, over arrays of any shape."""

    kind = "field"
    reads_missing = False

    def make_encoder(self, layout):
        from torch import nn

        return nn.Linear(layout.n_values, 4), 4

    def make_decoder(self, layout, n_inputs):
        from torch import nn

        return nn.Linear(n_inputs, layout.n_values)


def test_a_kind_of_a_user_needs_two_modules(data):
    model = make(Doubled()).fit(data["images"], data["y"])
    assert model.blocks_["X"].layout.shape == (SIDE, SIDE)
    assert model.complete(some_missing(data["images"])).shape == data["images"].shape
