"""The encoder of a fitted estimator as a torch module: the latents of ``transform``."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from cases.arrays import make_images, make_spectra
from cases.kinds import make_dual, make_kinds
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, export_encoder
from sknestedae._tables._codec import TabularCodec
from sknestedae.blocks import DenseBlock, ImageBlock, SpectrumBlock

TINY = {"n_components": 2, "hidden_layer_sizes": (6,), "max_iter": 2, "random_state": 0}


def table(n_rows=30):
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(n_rows, 3)) * [1, 30, 2] + [3, 0, 900])
    X.columns = ["radius", "energy", "mass"]
    X["phase"] = np.resize(["cubic", "hexagonal", "tetragonal"], n_rows)
    X.iloc[3, 0] = X.iloc[4, 3] = X.iloc[5, 1] = np.nan
    X.iloc[6, [0, 3]] = np.nan
    return X


def two_stages(**parameters):
    sae = SupervisedAutoencoder(**TINY)
    stages = [("inner", sae, ["radius", "phase"]), ("outer", sae, ["energy", "phase"])]
    return NestedAutoencoder(stages, **parameters)


def assert_gives_latents(encode, estimator, X, T):
    """Compare with ``transform``: sums of some ten terms may be rounded in another order."""
    Z = estimator.transform(X)
    with torch.no_grad():
        given = encode(T).numpy()
    assert given.dtype == Z.dtype
    assert_allclose(given, Z, rtol=0, atol=100 * np.finfo(Z.dtype).eps * (1 + np.abs(Z).max()))


def spectra_with_gaps():
    spectra, _ = make_spectra(20)
    spectra[2, 3] = np.nan
    return spectra


def cells():
    arrays = list(make_spectra(20)[0])
    arrays[4] = None
    return pd.DataFrame({"mass": np.arange(20.0), "spectrum": arrays})


@pytest.mark.parametrize(
    ("settings", "make_table"),
    [
        ({}, table),
        ({"standardize": False, "categorical_features": ["phase"]}, table),
        ({"beta": 0.1, "n_members": 2}, table),
        ({}, lambda: table()[["radius", "mass"]].to_numpy(np.float32)),
        ({"blocks": SpectrumBlock()}, spectra_with_gaps),
        ({"blocks": ImageBlock(n_channels=(2,))}, lambda: make_images(20)),
        (
            {"blocks": ImageBlock(n_channels=(2,), invariance="symmetries")},
            lambda: make_images(20),
        ),
        ({}, cells),
    ],
)
def test_latents_are_those_of_transform(settings, make_table):
    X = make_table()
    sae = SupervisedAutoencoder(**TINY, **settings).fit(X)
    encoder = export_encoder(sae)
    assert_gives_latents(encoder, sae, X, encoder.to_tensor(X))


@pytest.mark.parametrize("latents", ["last", "all"])
def test_latents_of_a_chain_are_those_of_transform(latents):
    X = table()
    nested = two_stages(latents=latents).fit(X)
    unseen = X.copy()
    unseen.loc[[0, 6], ["radius", "phase"]] = np.nan  # nothing that the first stage could encode
    encoder = export_encoder(nested)
    # mass is a column of no stage
    assert encoder.column_names == ["radius", "energy", "phase"]
    assert_gives_latents(encoder, nested, unseen, encoder.to_tensor(unseen))


def test_latents_of_a_dual_autoencoder_are_those_of_transform():
    X, _ = make_kinds()
    dual = make_dual().fit(X)
    encoder = export_encoder(dual)
    assert_gives_latents(encoder, dual, X, encoder.to_tensor(X))


def test_the_tensor_can_be_made_by_hand():
    sae = SupervisedAutoencoder(**TINY).fit(table())
    encoder = export_encoder(FrozenEstimator(sae))
    assert encoder.categories == {"phase": ["cubic", "hexagonal", "tetragonal"]}
    row = pd.DataFrame([[2.5, 10.0, 901.0, "hexagonal"]], columns=encoder.column_names)
    by_hand = torch.tensor([[2.5, 10.0, 901.0, 1.0]])
    assert_gives_latents(encoder, sae, row, by_hand)


def fitted(kind):
    """Make an estimator that takes another way through the network than the others, and X."""
    X = table()
    if kind == "chain":
        return two_stages().fit(X), X
    if kind == "table":
        return SupervisedAutoencoder(**TINY).fit(X), X
    X = np.random.RandomState(0).normal(size=(20, 6, 6))
    block = ImageBlock(n_channels=(2,), invariance=kind)
    return SupervisedAutoencoder(**TINY, blocks=block).fit(X), X


N_SAMPLES = torch.export.Dim("n_samples")


@pytest.mark.parametrize("kind", ["table", "chain", "symmetries"])
def test_a_stored_program_gives_the_latents_of_any_number_of_rows(kind):
    estimator, X = fitted(kind)
    encoder = export_encoder(estimator)
    T = encoder.to_tensor(X)
    program = torch.export.export(encoder, (T,), dynamic_shapes=({0: N_SAMPLES},))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for rows in (slice(None), slice(2, 7)):
        assert_gives_latents(loaded, estimator, X[rows], T[rows])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # in torch.onnx
@pytest.mark.parametrize("kind", ["table", "chain", "rotation"])
def test_onnx_gives_the_latents_of_any_number_of_rows(kind, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    estimator, X = fitted(kind)
    # onnxruntime has no convolutions of float64
    dtype = "float32" if kind == "rotation" else "float64"
    encoder = export_encoder(estimator, dtype=dtype)
    T = encoder.to_tensor(X)
    path = tmp_path / "encoder.onnx"
    torch.onnx.export(
        encoder,
        (T,),
        path,
        dynamic_shapes=({0: N_SAMPLES},),
        dynamo=True,
        external_data=False,
        input_names=["X"],
    )
    session = runtime.InferenceSession(path)
    for rows in (slice(None), slice(2, 7)):
        (given,) = session.run(None, {"X": T[rows].numpy()})
        Z = estimator.transform(X[rows])
        scale = 1 + np.abs(Z).max()
        # sums over all pixels of an image, at an angle that is known to single precision
        assert_allclose(given, Z, rtol=0, atol=1000 * np.finfo(dtype).eps * scale)


def test_columns_are_scaled_in_double_precision_whatever_the_network_is_in():
    X = np.random.RandomState(0).normal(size=(20, 2)) + 1e9  # single precision is 64 there
    sae = SupervisedAutoencoder(**TINY).fit(X)
    encoder = export_encoder(sae, dtype="float32")
    with torch.no_grad():
        given = encoder(encoder.to_tensor(X)).numpy()
    assert given.dtype == np.float32
    Z = sae.transform(X)
    assert_allclose(given, Z, rtol=0, atol=100 * np.finfo(np.float32).eps * (1 + abs(Z).max()))


def test_gradients_by_raw_columns_are_there_and_are_none_where_a_value_is_missing():
    X = table()
    encoder = export_encoder(SupervisedAutoencoder(**TINY).fit(X))
    T = encoder.to_tensor(X).requires_grad_()
    (gradient,) = torch.autograd.grad(encoder(T).sum(), T)
    is_number = torch.tensor([True, True, True, False])
    assert gradient.isfinite().all()
    assert ((gradient != 0) == (~T.isnan() & is_number)).all()


def test_it_shares_nothing_with_the_estimator_and_has_no_decoder():
    X = table()
    sae = SupervisedAutoencoder(**TINY).fit(X, X["radius"].fillna(0))
    before = sae.transform(X)
    encoder = export_encoder(sae)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    assert_allclose(sae.transform(X), before, rtol=0, atol=0)
    n_encoder = sum(p.numel() for p in sae.net_.module_.encoder.parameters())
    assert sum(p.numel() for p in encoder.parameters()) == n_encoder
    assert len(pickle.dumps(encoder)) < len(pickle.dumps(sae))


def test_what_cannot_be_exported_is_said():
    class Squared(TabularCodec):
        def encode(self, X):
            encoded = super().encode(X)
            return encoded._replace(values=encoded.values**2)

    class SquaredBlock(DenseBlock):
        def make_codec(self, columns):
            return Squared(columns)

    X = table()[["radius", "mass"]]
    sae = SupervisedAutoencoder(**TINY, blocks=[("mine", SquaredBlock(), ["mass"])]).fit(X)
    with pytest.raises(TypeError, match="cannot export the block 'mine': its columns are read by"):
        export_encoder(sae)
    with pytest.raises(NotFittedError):
        export_encoder(SupervisedAutoencoder())
    plain = SupervisedAutoencoder(**TINY).fit(X)
    pipeline = make_pipeline(StandardScaler(), SupervisedAutoencoder(**TINY)).fit(X)
    with pytest.raises(TypeError, match="export_encoder needs a supervised autoencoder"):
        export_encoder(pipeline)
    with pytest.raises(ValueError, match=r"'dtype' parameter must be None or one of .*'half'"):
        export_encoder(plain, dtype="half")


def test_the_table_must_have_the_columns_of_fit():
    X = table()
    encoder = export_encoder(SupervisedAutoencoder(**TINY).fit(X))
    with pytest.raises(ValueError, match="X has 2 columns; it must have the 4 columns of fit"):
        encoder.to_tensor(X.iloc[:, :2])
    with pytest.raises(ValueError, match="column 0 was 'radius' and is 'energy' now"):
        encoder.to_tensor(X[["energy", "radius", "mass", "phase"]])
    with pytest.raises(TypeError, match=r"to_tensor must be one table.*stack_scales"):
        encoder.to_tensor([X, X])


def test_features_of_two_levels_are_found_in_their_scale():
    X = pd.concat({"a": table()[["radius"]], "b": table()[["energy", "mass"]]}, axis=1)
    sae = SupervisedAutoencoder(**TINY)
    nested = NestedAutoencoder([("a", sae, "a"), ("b", sae, "b")]).fit(X)
    encoder = export_encoder(nested)
    assert encoder.column_names == [("a", "radius"), ("b", "energy"), ("b", "mass")]
    turned = X[[("b", "mass"), ("a", "radius"), ("b", "energy")]]
    assert torch.equal(encoder.to_tensor(turned).nan_to_num(), encoder.to_tensor(X).nan_to_num())
