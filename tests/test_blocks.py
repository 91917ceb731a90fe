"""A new kind of data is a new block; estimators take it as they are."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from cases.blocks import SpectrumBlock
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sknestedae import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae._networks._batch import Batch
from sknestedae._tables._layout import Layout
from sknestedae.blocks import Block, DenseBlock

WAVELENGTHS = [f"{wavelength} nm" for wavelength in range(300, 332, 2)]
N_ROWS = 40


def make_data():
    """Make spectra of one peak each, beside a number and a category with missing values."""
    rng = np.random.default_rng(0)
    centre = rng.uniform(3, 12, N_ROWS)
    spectra = np.exp(-((np.arange(len(WAVELENGTHS)) - centre[:, None]) ** 2) / 4)
    X = pd.DataFrame(spectra, columns=WAVELENGTHS)
    X.insert(0, "thickness", rng.normal(100, 10, N_ROWS))
    X["solvent"] = pd.Categorical(rng.choice(["DMF", "DMSO"], N_ROWS))
    X.loc[::7, "thickness"] = np.nan
    X.loc[1, "solvent"] = None
    X.loc[2, WAVELENGTHS[3]] = np.nan
    return X, centre


def make_estimator(cls=SupervisedAutoencoder, **settings):
    return cls(
        **{
            "n_components": 2,
            "hidden_layer_sizes": (8,),
            "max_iter": 3,
            "blocks": [("spectrum", SpectrumBlock(), WAVELENGTHS)],
            "random_state": 0,
            **settings,
        }
    )


def n_convolutions(estimator):
    return sum(isinstance(part, nn.Conv1d) for part in estimator.net_.module_.modules())


@pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
def test_fit_predict_transform_and_back(cls):
    X, y = make_data()
    y = y > 7 if cls is SupervisedAutoencoderClassifier else y
    estimator = make_estimator(cls).fit(X, y)
    assert n_convolutions(estimator) == 1
    assert estimator.predict(X).shape == (N_ROWS,)
    Z = estimator.transform(X)
    assert Z.shape == (N_ROWS, 2)
    back = estimator.inverse_transform(Z)
    assert_frame_equal(back.iloc[:0], X.iloc[:0])  # names, order and dtypes
    assert np.isfinite(back.drop(columns="solvent").to_numpy()).all()
    assert np.isfinite(estimator.score(X))


def test_the_spectrum_is_learnt_through_the_block():
    X, y = make_data()
    estimator = make_estimator(max_iter=300, learning_rate_init=0.02).fit(X, y)
    history = estimator.history_["train_reconstruction"]
    assert history.iloc[-1] < history.iloc[0] / 2
    assert estimator.score(X, y) > 0.8


def test_a_spectrum_enters_through_its_own_block_alone():
    X, y = make_data()
    module = make_estimator().fit(X, y).net_.module_
    seen = []
    module.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    widths = {"spectrum": len(WAVELENGTHS), "table": module.block_decoders["table"].out_features}
    values = {name: torch.randn(2, width, dtype=torch.float64) for name, width in widths.items()}
    module.encode(Batch(values))
    module.encode(Batch({**values, "spectrum": values["spectrum"] + 1}))
    n_own = 2 * ((len(WAVELENGTHS) - 3) // 2 + 1)  # two channels of a convolution of stride 2
    moved = (seen[0] != seen[1]).all(axis=0)
    assert moved.tolist() == [True] * n_own + [False] * widths["table"]


def test_same_fit_again_and_from_a_clone():
    X, y = make_data()
    estimator = make_estimator().fit(X, y)
    copied = clone(estimator)
    assert copied.blocks[0][1] is not None
    np.testing.assert_array_equal(copied.fit(X, y).predict(X), estimator.predict(X))


def test_changing_a_block_s_parameter_after_fit_leaves_the_fit_alone():
    X, y = make_data()
    estimator = make_estimator().fit(X, y)
    expected = estimator.predict(X)
    estimator.blocks[0][1].set_params(n_channels=5)
    np.testing.assert_array_equal(estimator.predict(X), expected)
    restored = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(restored.predict(X), expected)


def test_pickle():
    X, y = make_data()
    estimator = make_estimator().fit(X, y)
    restored = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(restored.predict(X), estimator.predict(X))
    Z = estimator.transform(X)
    assert_frame_equal(restored.inverse_transform(Z), estimator.inverse_transform(Z))


def test_grid_search():
    X, y = make_data()
    blocks = [[("spectrum", SpectrumBlock(kernel_size=size), WAVELENGTHS)] for size in (3, 5)]
    grid = {"max_iter": [1, 2], "blocks": [*blocks, None]}
    search = GridSearchCV(make_estimator(), grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 6
    assert np.isfinite(search.predict(X)).all()


def test_arrays_name_the_columns_of_a_block_by_position():
    X, y = make_data()
    spectra = X[WAVELENGTHS].to_numpy()
    blocks = [("spectrum", SpectrumBlock(), range(8)), ("rest", DenseBlock(), range(8, 16))]
    estimator = make_estimator(blocks=blocks).fit(spectra, y)
    assert list(estimator.net_.module_.block_encoders) == ["spectrum", "rest"]
    assert estimator.inverse_transform(estimator.transform(spectra)).shape == spectra.shape


def test_dense_block_is_what_columns_have_without_a_block():
    X, y = make_data()
    plain = make_estimator(blocks=None).fit(X[WAVELENGTHS], y)
    named = make_estimator(blocks=[("all", DenseBlock(), WAVELENGTHS)]).fit(X[WAVELENGTHS], y)
    np.testing.assert_array_equal(named.predict(X[WAVELENGTHS]), plain.predict(X[WAVELENGTHS]))


def test_block_needs_both_methods():
    class EncoderOnly(Block):
        def make_encoder(self, layout):
            return nn.Identity(), layout.n_values

    for cls in (Block, EncoderOnly):
        with pytest.raises(TypeError, match="make_decoder"):
            cls()


def test_dense_block():
    layout = Layout(2, (3,))
    encoder, width = DenseBlock().make_encoder(layout)
    values = torch.randn(4, 5)
    assert width == 5
    assert torch.equal(encoder(values), values)
    assert DenseBlock().make_decoder(layout, 7)(torch.randn(4, 7)).shape == (4, 5)


def test_dense_block_can_give_any_values_for_latents_of_0():
    """Columns that were not standardised have means of their own."""
    layout = Layout(2, (3,))
    decoder = DenseBlock().make_decoder(layout, 4)
    wanted = torch.arange(1.0, layout.n_values + 1)
    optimizer = torch.optim.SGD(decoder.parameters(), lr=1)
    values = decoder(torch.zeros(1, 4))[0]
    ((values - wanted) ** 2 / 2).sum().backward()
    optimizer.step()  # of a bias, the whole way at once
    torch.testing.assert_close(decoder(torch.zeros(1, 4))[0], wanted)


@pytest.mark.parametrize(
    "blocks",
    [
        [SpectrumBlock()],
        [("spectrum", SpectrumBlock())],
        [["spectrum", SpectrumBlock(), WAVELENGTHS]],
        [("spectrum", SpectrumBlock, WAVELENGTHS)],
        [("spectrum", "dense", WAVELENGTHS)],
        [("table", SpectrumBlock(), WAVELENGTHS)],
        [("x", SpectrumBlock(), WAVELENGTHS[:8]), ("x", SpectrumBlock(), WAVELENGTHS[8:])],
        [("x", SpectrumBlock(), WAVELENGTHS), ("y", DenseBlock(), WAVELENGTHS[:1])],
        [("x", SpectrumBlock(), ["400 nm"])],
        [("x", SpectrumBlock(), [99])],
        [("x", SpectrumBlock(), [])],
        [("x", SpectrumBlock(), None)],
        (("spectrum", SpectrumBlock(), WAVELENGTHS),),
        "spectrum",
    ],
)
def test_bad_blocks_raise(blocks):
    X, y = make_data()
    with pytest.raises(ValueError, match="'blocks' parameter"):
        make_estimator(blocks=blocks).fit(X, y)


@pytest.mark.parametrize("name", [1, "", "a.b", "keys"])
def test_bad_names_of_blocks_raise(name):
    X, y = make_data()
    with pytest.raises(ValueError, match="'blocks' parameter"):
        make_estimator(blocks=[(name, SpectrumBlock(), WAVELENGTHS)]).fit(X, y)


class BlockOfWidths(Block):
    """A block without biases, that may promise a width that it does not keep."""

    def __init__(self, promised=3, decoded=2):
        self.promised = promised
        self.decoded = decoded

    def make_encoder(self, layout):
        return nn.Linear(layout.n_values, 3, bias=False), self.promised

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, self.decoded, bias=False)


def test_block_without_biases_keeps_what_it_drew():
    X = np.random.default_rng(0).normal(size=(20, 4))
    blocks = [("a", BlockOfWidths(), [0, 1])]
    weights = [
        SupervisedAutoencoder(
            blocks=blocks,
            initialization=method,
            max_iter=1,
            learning_rate_init=1e-12,
            random_state=0,
        )
        .fit(X)
        .net_.module_.block_encoders["a"]
        .weight
        for method in ("xavier_normal", "kaiming_normal")
    ]
    torch.testing.assert_close(*weights, rtol=0, atol=1e-9)


class MadeOf(Block):
    """A block of what it is given."""

    def __init__(self, encoder=None, decoder=None):
        self.encoder = encoder
        self.decoder = decoder

    def make_encoder(self, layout):
        return (nn.Identity(), 2) if self.encoder is None else self.encoder()

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, 2) if self.decoder is None else self.decoder()


class DenseMadeOf(MadeOf, DenseBlock):
    """The same of a dense block."""


class Pair(nn.Module):
    def forward(self, values):
        return values, values


def fails():
    raise RuntimeError("no such kernel")


ENCODER = r"the module of make_encoder must give the shape \(2, -?\d\) for .* \(2, 2\), but "
DECODER = r"the module of make_decoder must give the shape \(2, 2\) for .* \(2, 100\), but "
TUPLE = "make_encoder must return a tuple of a torch module and the number of its outputs, an int"


@pytest.mark.parametrize(
    ("settings", "message", "cause"),
    [
        ({"encoder": lambda: (nn.Linear(2, 3), 5)}, rf"{ENCODER}gives the shape \(2, 3\)", None),
        (
            {"encoder": lambda: (nn.Linear(3, 5), 5)},
            f"{ENCODER}fails: mat1 and mat2",
            RuntimeError,
        ),
        ({"encoder": lambda: (Pair(), 5)}, f"{ENCODER}gives tuple", None),
        ({"encoder": lambda: (nn.Linear(2, 3), -5)}, f"{ENCODER}gives", None),
        ({"encoder": lambda: nn.Linear(2, 3)}, f"{TUPLE}, but returned Linear", None),
        ({"encoder": lambda: (nn.Linear(2, 3), 3.0)}, f"{TUPLE}, .* Linear, float", None),
        ({"encoder": lambda: (torch.tanh, 2)}, f"{TUPLE}, but returned .*, int", None),
        ({"encoder": lambda: (nn.Linear(2, 3), 3, 3)}, f"{TUPLE}, .* Linear, int, int", None),
        ({"encoder": fails}, r"make_encoder\(Layout.* fails: no such kernel", RuntimeError),
        ({"decoder": lambda: nn.Linear(100, 7)}, rf"{DECODER}gives the shape \(2, 7\)", None),
        ({"decoder": lambda: nn.Linear(5, 2)}, f"{DECODER}fails: mat1 and mat2", RuntimeError),
        ({"decoder": Pair}, f"{DECODER}gives tuple", None),
        ({"decoder": lambda: 2}, "make_decoder must return a torch module, .* int", None),
        ({"decoder": fails}, r"make_decoder\(Layout.* 100\) fails: no such kernel", RuntimeError),
    ],
)
@pytest.mark.parametrize("cls", [MadeOf, DenseMadeOf])
def test_block_that_does_not_keep_its_promise(cls, settings, message, cause):
    estimator = SupervisedAutoencoder(blocks=[("a", cls(**settings), [0, 1])])
    with pytest.raises(
        ValueError, match=rf"The block 'a' \({cls.__name__}\): {message}"
    ) as caught:
        estimator.fit(np.ones((5, 3)))
    assert (
        caught.value.__cause__ is None if cause is None else type(caught.value.__cause__) is cause
    )


class Mode(nn.Identity):
    """Note whether what comes is learnt from."""

    seen: list[bool] = []  # noqa: RUF012

    def forward(self, values):
        self.seen.append(self.training)
        return values


def test_modules_of_a_block_know_that_they_are_trained():
    """Although they were tried out, as after training."""
    Mode.seen.clear()
    X = np.random.default_rng(0).normal(size=(20, 2))
    SupervisedAutoencoder(blocks=[("a", MadeOf(lambda: (Mode(), 2)), [0, 1])], max_iter=1).fit(X)
    assert Mode.seen[:2] == [False, True]


class DenseWith(DenseBlock):
    """A dense block with a layer before, and one without a bias."""

    def __init__(self, bias=True):
        self.bias = bias

    def make_encoder(self, layout):
        return nn.Sequential(nn.Linear(layout.n_values, 3, bias=self.bias), nn.SiLU()), 3


class Plain(DenseBlock):
    """A dense block by another name."""


def test_subclass_of_dense_block_is_what_its_base_is():
    X, y = make_data()
    X = X[WAVELENGTHS]
    fits = [
        make_estimator(blocks=[("all", block, WAVELENGTHS)], initialization="kaiming_normal")
        for block in (DenseBlock(), Plain())
    ]
    first, second = (fitted.fit(X, y).predict(X) for fitted in fits)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("bias", [True, False])
def test_initialization_of_a_subclass_of_dense_block(bias):
    """All layers are drawn as asked: uniform within the bound of Glorot and Bengio, no biases."""
    X = np.random.default_rng(0).normal(size=(20, 4))
    estimator = SupervisedAutoencoder(
        blocks=[("a", DenseWith(bias), [0, 1])], max_iter=1, learning_rate_init=1e-12
    )
    methods = ("xavier_uniform", "xavier_normal")
    modules = [
        clone(estimator).set_params(initialization=m, random_state=0).fit(X).net_.module_
        for m in methods
    ]
    for part, shape in (("block_encoders", (3, 2)), ("block_decoders", (2, 100))):
        layers = [
            next(m for m in getattr(module, part)["a"].modules() if isinstance(m, nn.Linear))
            for module in modules
        ]
        assert all(layer.weight.shape == shape for layer in layers)
        assert layers[0].weight.abs().max() <= np.sqrt(6 / sum(shape)) + 1e-9
        assert not torch.allclose(layers[0].weight, layers[1].weight)
        if layers[0].bias is not None:
            assert layers[0].bias.abs().max() <= 1e-9  # one step of the rate


def test_subclass_of_dense_block_is_stacked(caplog):
    X, y = make_data()
    X = X[WAVELENGTHS]
    caplog.set_level("INFO", logger="sknestedae")
    ensemble = make_estimator(blocks=[("a", DenseWith(), WAVELENGTHS)], n_members=2).fit(X, y)
    assert "alone" not in caplog.text
    alone = make_estimator(blocks=[("a", DenseWith(), WAVELENGTHS)]).fit(X, y)
    np.testing.assert_allclose(ensemble.members_[0].predict(X), alone.predict(X), rtol=1e-9)
