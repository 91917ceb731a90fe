"""A new kind of data is a new block; estimators take it as they are."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from cases.blocks import SpectrumBlock
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sknestedae import NestedAutoencoder, SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae._estimators._fitted import fitted_part
from sknestedae._networks._batch import Batch
from sknestedae._tables._codec import TabularCodec
from sknestedae._tables._layout import Layout
from sknestedae._tables._target import pooled_r2
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
    if issubclass(cls, SupervisedAutoencoder):
        settings = {"predictor": "network", **settings}
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


@pytest.mark.parametrize("dropout", [0, 0.3])
def test_dense_block_clips_numbers_alone(dropout):
    block = DenseBlock(dropout=dropout, clip=1)
    values = torch.tensor([[-3.0, 0.5, 0, 1, 0], [1.0, 2.0, 1, 0, 0]])
    encoder, width = block.make_encoder(Layout(2, (3,)))
    expected = torch.tensor([[-1.0, 0.5, 0, 1, 0], [1.0, 1.0, 1, 0, 0]])
    assert width == 5
    assert torch.equal(encoder.eval()(values), expected)
    for other in (
        DenseBlock(clip=None).make_encoder(Layout(2, (3,))),
        block.make_encoder(Layout(2, (3,), is_standardized=False)),
        block.make_encoder(Layout(0, (5,))),
    ):
        assert torch.equal(other[0].eval()(values), values)


@pytest.mark.parametrize("clip", [0.5, -1, np.nan, np.inf, True, "5"])
def test_a_limit_that_would_change_categories_is_an_error(clip):
    X, y = make_data()
    with pytest.raises(ValueError, match=r"clip must be a number of 1 or more, got ") as error:
        make_estimator(blocks=DenseBlock(clip=clip)).fit(X, y)
    assert repr(clip) in str(error.value)


@pytest.mark.parametrize("standardize", [True, False])
def test_how_far_a_number_is_off_does_not_matter_beyond_the_limit(standardize):
    X, y = arrays()
    X[::2] *= 3  # among which there are distances of 2 standard deviations
    block = DenseBlock(clip=2)
    estimator = make_estimator(blocks=block, standardize=standardize).fit(X, y)
    far = X[:1] + 100 * np.ptp(X, axis=0)
    near, farther = (estimator.transform(far + step * np.ptp(X, axis=0)) for step in (0, 100))
    assert np.array_equal(near, farther) == standardize
    Z = estimator.set_params(standardize=True).fit(X, y).transform(X)
    assert np.abs(Z - clone(estimator).set_params(blocks=None).fit(X, y).transform(X)).max() > 1e-3


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


# -- shares of blocks


def reconstruction(estimator, X):
    """Give the mean error of each block over a table, in scaled units."""
    part = fitted_part(estimator)
    blocks, decoded = part.encode(X), part.decode(part.latents(X))
    return {name: ((decoded[name] - blocks[name].values) ** 2).mean() for name in part.layouts}


TWO = [("spectrum", SpectrumBlock(), range(4))]
STILL = {"learning_rate_init": 1e-12, "max_iter": 1}  # an epoch measures what was drawn


def arrays(n_columns=6):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, n_columns)) * np.arange(1, n_columns + 1)
    return X, X[:, 0] + X[:, 5]


@pytest.mark.parametrize(
    ("weights", "shares"),
    [(None, (0.5, 0.5)), ({"table": 1, "spectrum": 3}, (0.75, 0.25))],
)
def test_history_has_each_block_and_their_mean(weights, shares):
    X, y = arrays()
    settings = {"blocks": TWO, "block_weights": weights, "reconstruction_weight": 0.3}
    estimator = make_estimator(**settings, **STILL, alpha=0, early_stopping=True).fit(X, y)
    row = estimator.history_.iloc[0]
    for kind in ("train", "valid"):
        parts = [row[f"{kind}_reconstruction__{name}"] for name in ("spectrum", "table")]
        assert row[f"{kind}_reconstruction"] == pytest.approx(np.dot(shares, parts))
        expected = 0.3 * row[f"{kind}_reconstruction"] + row[f"{kind}_prediction"]
        assert row[f"{kind}_loss"] == pytest.approx(expected)
    assert parts[0] != parts[1]
    alone = make_estimator(blocks=None, **STILL).fit(X, y).history_
    assert not [name for name in alone if "__" in name]


def test_blocks_of_few_and_of_many_columns_are_learnt_alike():
    """Five numbers beside fifty: of all entries alike, they would be a tenth of the loss."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(80, 5)), rng.normal(size=(80, 50))])
    settings = {"max_iter": 150, "learning_rate_init": 0.01, "alpha": 0, "n_components": 5}
    blocks = [("few", DenseBlock(), range(5)), ("many", DenseBlock(), range(5, 55))]
    alike = make_estimator(**settings, blocks=blocks).fit(X)
    by_width = make_estimator(**settings, blocks=blocks, block_weights={"few": 5, "many": 50}).fit(
        X
    )
    ours, theirs = reconstruction(alike, X), reconstruction(by_width, X)
    assert ours["few"] < theirs["few"] / 2
    assert ours["many"] > theirs["many"]


def test_a_score_of_reconstruction_is_by_the_shares():
    X, y = arrays()
    X = X - X.mean(axis=0)
    weights = {"table": 1, "spectrum": 3}
    settings = {"standardize": False, "blocks": TWO}
    scores = {}
    for key, own in (("weighted", weights), ("alike", None)):
        estimator = make_estimator(**settings, **STILL, block_weights=own).fit(X, y)
        errors = reconstruction(estimator, X)
        deviations = {"spectrum": (X[:, :4] ** 2).mean(), "table": (X[:, 4:] ** 2).mean()}
        share = own or {"table": 1, "spectrum": 1}
        error, deviation = (
            sum(share[name] * part[name] for name in share) for part in (errors, deviations)
        )
        scores[key] = estimator.score(X)
        assert scores[key] == pytest.approx(1 - error / deviation)
    assert scores["weighted"] != scores["alike"]


# -- blocks that are missing as a whole


def flags(estimator):
    return estimator.net_.module_.absence.weight.detach()


def test_a_fit_without_missing_blocks_says_nothing_of_them():
    """Latents of a row without a block are those of its missing values alone."""
    X, y = arrays()
    estimator = make_estimator(blocks=TWO, max_iter=10).fit(X, y)
    assert not flags(estimator).any()
    X[::2, :4] = np.nan
    part = fitted_part(estimator)
    told = part.batch(X)
    untold = Batch(told.values)
    with torch.no_grad():
        expected = part.module.encode(untold)
    assert told.measured
    np.testing.assert_array_equal(estimator.transform(X), expected.numpy())


@pytest.mark.parametrize("penalty", [{}, {"alpha": 0.1, "l1": 0.01}])
def test_a_fit_with_missing_blocks_learns_what_it_means(penalty):
    """Where the target depends on whether a block was measured, the flag tells it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6))
    is_missing = rng.random(80) < 0.5
    X[is_missing, :4] = np.nan
    settings = {"blocks": TWO, "max_iter": 150, "learning_rate_init": 0.02, **penalty}
    estimator = make_estimator(**settings).fit(X, is_missing.astype(float))
    assert flags(estimator)[:, 0].abs().max() > 0.1
    assert not flags(estimator)[:, 1].any()  # the other block is never missing
    present = X.copy()
    present[:, :4] = rng.normal(size=(80, 4))
    hidden = present.copy()
    hidden[:, :4] = np.nan
    assert estimator.predict(hidden).mean() - estimator.predict(present).mean() > 0.5


def test_hidden_blocks_are_hidden_in_training_alone_and_as_the_seed_says():
    X, y = arrays()
    hiding = {"blocks": TWO, "block_dropout": 0.4, "max_iter": 5}
    first, again, other, without = (
        make_estimator(**{**hiding, **changes}).fit(X, y)
        for changes in ({}, {}, {"random_state": 1}, {"block_dropout": 0.0})
    )
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    assert first.history_.equals(again.history_)
    assert not np.array_equal(first.predict(X), other.predict(X))
    assert not np.array_equal(first.predict(X), without.predict(X))
    assert flags(first).any()  # what is hidden is told, and learnt from
    np.testing.assert_array_equal(first.transform(X), first.transform(X))
    # where all rows are measured, nothing of the network but its weights matters
    module = fitted_part(first).module
    values = {name: own.double() for name, own in fitted_part(first).batch(X).values.items()}
    with torch.no_grad():
        expected = module.encode(Batch(values)).numpy()
    np.testing.assert_array_equal(first.transform(X), expected)


def test_a_hidden_block_stays_to_be_reconstructed():
    """And its own column is all that tells it from the other, if that is hidden."""
    X, y = arrays()
    settings = {"blocks": TWO, "block_dropout": 0.4, **STILL, "batch_size": N_ROWS}
    net = make_estimator(**settings).fit(X, y).net_
    assert net.totals_["train"].entries["reconstruction__spectrum"] == 4 * N_ROWS
    assert net.totals_["train"].entries["reconstruction__table"] == 2 * N_ROWS


def test_hidden_rows_are_what_the_codecs_say():
    """Also where numbers are not standardised, so that the mean is not 0."""
    X, y = make_data()
    estimator = make_estimator(block_dropout=0.3, standardize=False).fit(X, y)
    module = estimator.net_.module_
    for name, codec in fitted_part(estimator).table.codecs.items():
        given = getattr(module, f"missing_{name}")
        np.testing.assert_array_equal(given, codec.missing_row())
    assert module.missing_table[0] == pytest.approx(X["thickness"].mean())
    again = pickle.loads(pickle.dumps(estimator)).net_.module_
    torch.testing.assert_close(again.missing_table, module.missing_table, rtol=0, atol=0)


def test_a_row_without_its_block_is_reconstructed_the_better_for_hiding_it():
    """Six columns measure one number; four of them are a block that may be missing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 1)) + 0.3 * rng.normal(size=(120, 6))
    hidden = X.copy()
    hidden[:, :4] = np.nan
    settings = {"blocks": [("a", DenseBlock(), range(4))], "max_iter": 100}
    errors = []
    for p in (0.0, 0.3):
        estimator = make_estimator(**settings, learning_rate_init=0.01, block_dropout=p).fit(X)
        back = estimator.inverse_transform(estimator.transform(hidden))
        errors.append(np.abs(back - X)[:, :4].mean())
    assert errors[1] < 0.75 * errors[0]


# -- training that goes on


@pytest.mark.parametrize(
    "blocks",
    [
        "auto",
        None,
        SpectrumBlock(),
        TWO,
        [("a", SpectrumBlock(), slice(0, 4)), ("b", DenseBlock(), [4, 5])],
        [("a", SpectrumBlock(), [True] * 4 + [False] * 2)],
    ],
    ids=["auto", "none", "one", "list", "slices", "mask"],
)
def test_training_goes_on_with_blocks_of_each_form(blocks):
    """Partial fits are the epochs of a fit; a warm start begins where the last fit ended."""
    X, y = arrays()
    settings = {"blocks": blocks, "learning_rate": "constant", "alpha": 1e-4, "batch_size": 10}
    whole, parts = make_estimator(**settings).fit(X, y), make_estimator(**settings)
    for _ in range(3):
        parts.partial_fit(X, y)
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    assert whole.history_.equals(parts.history_)
    expected = whole.predict(X)
    whole.set_params(warm_start=True, learning_rate_init=1e-12, max_iter=1).fit(X, y)
    assert_allclose(whole.predict(X), expected, rtol=0, atol=1e-8)
    assert len(whole.history_) == 4


# -- a kind of data with a codec and errors of its own


class LogCodec(TabularCodec):
    """Numbers of many orders of magnitude, by their logarithms."""

    def _logarithms(self, X):
        X = np.array(X, dtype=float)
        own = self.columns.positions
        X[:, own] = np.log(X[:, own])
        return X

    def fit(self, X, dtype, rows=None, sample_weight=None):
        return super().fit(self._logarithms(X), dtype, rows, sample_weight)

    def encode(self, X):
        return super().encode(self._logarithms(X))

    def decode(self, values):
        return [(own, np.exp(numbers)) for own, numbers in super().decode(values)]


class LogBlock(DenseBlock):
    def make_codec(self, columns):
        return LogCodec(columns)


def test_a_block_with_a_codec_of_its_own():
    rng = np.random.default_rng(0)
    X = np.column_stack([10 ** rng.uniform(-6, 6, size=(N_ROWS, 2)), rng.normal(size=N_ROWS)])
    estimator = make_estimator(blocks=[("tiny", LogBlock(), [0, 1])], max_iter=200).fit(X)
    plain = make_estimator(blocks=None).fit(np.column_stack([np.log(X[:, :2]), X[:, 2]]))
    assert_allclose(
        fitted_part(estimator).encode(X)["tiny"].values,
        fitted_part(plain)
        .encode(np.column_stack([np.log(X[:, :2]), X[:, 2]]))["table"]
        .values[:, :2],
    )
    back = estimator.inverse_transform(estimator.transform(X))
    assert (back[:, :2] > 0).all()
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.inverse_transform(again.transform(X)), back)
    X[0, 1] = np.inf
    with pytest.raises(ValueError, match=r"^In the block 'tiny': Column 1 contains infinity"):
        estimator.transform(X)


class NearBlock(DenseBlock):
    """A block whose every error counts tenfold."""

    def errors(self, decoded, given, layout, loss):
        return 10 * super().errors(decoded, given, layout, loss)


@pytest.mark.parametrize("where", ["blocks", "target_block"])
def test_errors_of_a_block_are_those_that_are_trained(where):
    """Ten times the error is ten times the weight of the term."""
    X, y = arrays()
    term = {"blocks": "reconstruction", "target_block": "prediction"}[where]
    settings = {"blocks": None, "max_iter": 4, "learning_rate_init": 0.01}
    own = make_estimator(**{**settings, where: NearBlock()}).fit(X, y)
    plain = make_estimator(**settings, **{f"{term}_weight": 10.0}).fit(X, y)
    assert_allclose(own.predict(X), plain.predict(X), rtol=1e-9)
    assert_allclose(own.history_[f"train_{term}"], 10 * plain.history_[f"train_{term}"])


class SignBlock(DenseBlock):
    """A block that does not care for the sign of all values together."""

    def align(self, decoded, given, known, layout):
        turned = ((decoded + given) ** 2).sum(-1) < ((decoded - given) ** 2).sum(-1)
        return torch.where(turned[..., None], -decoded, decoded)


def test_what_is_decoded_is_compared_in_the_pose_of_what_was_given():
    """A line through 0 and its mirror image are the same: one latent of one sign tells it."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(60, 1)) * [1.0, 2.0, -1.0]
    settings = {"n_components": 1, "hidden_layer_sizes": (), "standardize": False}
    settings |= {"max_iter": 200, "learning_rate_init": 0.02, "alpha": 0}
    settings |= {"latent_activation": "relu"}
    plain, turned = (
        make_estimator(**settings, blocks=block).fit(X) for block in (DenseBlock(), SignBlock())
    )
    assert turned.score(X) > 0.99 > plain.score(X)
    history = turned.history_["train_reconstruction"]
    assert history.iloc[-1] < 0.01 < history.iloc[0]


# -- bounds of a target


BOUNDED = {"max_iter": 30, "learning_rate_init": 0.02, "blocks": None}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bounds", [(0, None), (None, 0), (-1.5, 2)], ids=str)
@pytest.mark.parametrize("standardize", [True, False])
def test_predictions_keep_to_the_bounds_of_the_target(bounds, dtype, standardize):
    """Also for rows that are far from all that was learnt from."""
    X, y = arrays()
    low, high = (-np.inf if bounds[0] is None else bounds[0]), (bounds[1] or np.inf)
    high = 0 if bounds == (None, 0) else high
    y = np.clip(np.column_stack([y, 300 * y, -y]), low, high)
    settings = {**BOUNDED, "target_bounds": bounds, "standardize": standardize}
    estimator = make_estimator(**settings).fit(X.astype(dtype), y)
    wild = (np.random.default_rng(1).normal(size=(300, 6)) * 1e6).astype(dtype)
    found = estimator.predict(wild)
    assert found.shape == (300, 3)
    assert (found >= low).all()
    assert (found <= high).all()
    free = make_estimator(**{**settings, "target_bounds": None}).fit(X.astype(dtype), y)
    wrong = free.predict(wild)
    assert ((wrong < low) | (wrong > high)).any()


def test_a_bounded_target_is_learnt():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3))
    y = np.maximum(X[:, 0], 0) * 30  # half of them at the bound
    settings = {**BOUNDED, "max_iter": 300, "hidden_layer_sizes": (16,)}
    for bounds in ((0, None), (0, 100)):
        estimator = make_estimator(**settings, target_bounds=bounds).fit(X, y)
        assert estimator.score(X, y) > 0.97
        assert estimator.predict(X).min() >= 0


def test_what_is_outside_the_bounds_of_the_target_is_refused():
    X, y = arrays()
    with pytest.raises(ValueError, match=r"'target_bounds' .* within \(0.0, None\), but y is -"):
        make_estimator(target_bounds=(0, None)).fit(X, y)
    with pytest.raises(ValueError, match="'target_bounds' parameter must be None or"):
        make_estimator(target_bounds=(1, 0)).fit(X, y)
    with pytest.raises(ValueError, match=r"'target_bounds' parameter .* must be"):
        make_estimator(target_bounds="positive").fit(X, y)
    estimator = make_estimator(target_bounds=(0, None), blocks=None).fit(X, np.abs(y))
    with pytest.raises(ValueError, match="'target_bounds'"):
        estimator.partial_fit(X, y)
    # a row that is left out may hold anything
    weight = (y >= 0).astype(float)
    make_estimator(target_bounds=(0, None), blocks=None).fit(X, y, sample_weight=weight)


def test_bounds_of_an_ensemble_and_of_a_chain():
    X, y = arrays()
    y = np.abs(y)
    wild = np.random.default_rng(1).normal(size=(300, 6)) * 1e6
    bounded = make_estimator(**BOUNDED, target_bounds=(0, None))
    ensemble = clone(bounded).set_params(n_members=3).fit(X, y)
    assert ensemble.predict(wild).min() >= 0
    chain = NestedAutoencoder(
        [("a", bounded, [0, 1, 2]), ("b", bounded, [3, 4, 5])], refine_iter=2
    )
    chain.fit(X, np.column_stack([y, y]))
    assert chain.predict(wild).min() >= 0


# -- a target that is one array


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 1, 3)])
def test_a_target_of_any_shape(shape):
    X, y = arrays()
    target = np.abs(y).reshape(-1, *[1] * len(shape)) + np.zeros(shape)
    target[3] = np.nan
    settings = {**BOUNDED, "target_block": DenseBlock(), "target_bounds": (0, None)}
    estimator = make_estimator(**settings).fit(X, target)
    assert estimator.predict(X).shape == target.shape
    flat = make_estimator(**{**settings, "target_block": None})
    flat.fit(X, target.reshape(N_ROWS, -1))
    np.testing.assert_array_equal(estimator.predict(X).reshape(N_ROWS, -1), flat.predict(X))
    expected = pooled_r2(target.reshape(N_ROWS, -1), flat.predict(X))
    assert estimator.score(X, target) == pytest.approx(expected)
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    assert again.partial_fit(X, target).predict(X).shape == target.shape
    with pytest.raises(ValueError, match=r"y has|row of y has the shape"):
        estimator.partial_fit(X, target[..., None][:, :1])


# -- all of X as one kind


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3)])
def test_rows_of_any_shape_are_the_same_flattened(shape):
    flat, y = arrays()
    X = flat.reshape(N_ROWS, *shape)
    estimator = make_estimator(blocks=NearBlock()).fit(X, y)
    plain = make_estimator(blocks=NearBlock()).fit(flat, y)
    np.testing.assert_array_equal(estimator.predict(X), plain.predict(flat))
    Z = estimator.transform(X)
    back = estimator.inverse_transform(Z)
    assert back.shape == X.shape
    np.testing.assert_array_equal(back.reshape(N_ROWS, 6), plain.inverse_transform(Z))
    hidden, flat_hidden = X.copy(), flat.copy()
    hidden[::3, ..., -1], flat_hidden[::3, [2, 5]] = np.nan, np.nan
    found = estimator.complete(hidden)
    assert found.shape == X.shape
    np.testing.assert_array_equal(found.reshape(N_ROWS, 6), plain.complete(flat_hidden))
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    np.testing.assert_array_equal(again.inverse_transform(Z), back)
    with pytest.raises(ValueError, match=r"shape \(3, 2\), but those of fit had \(.*2, 3\)"):
        estimator.predict(X.reshape(N_ROWS, 3, 2))
