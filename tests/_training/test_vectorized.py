"""Networks trained at once against the same networks, each fitted alone."""

from __future__ import annotations

import logging
from functools import partial
from pickle import PicklingError

import numpy as np
import pytest
import torch
from cases.blocks import SpectrumBlock
from cases.training import CountsEpochs
from cases.turned import turned_images
from cases.vectorized import SMALL, assert_same_fit, data, parameters, sae
from numpy.testing import assert_allclose
from sklearn.base import clone
from torch import nn

from sknestedae import SupervisedAutoencoderClassifier
from sknestedae._training import _vectorized
from sknestedae._training._concurrent import run_concurrently
from sknestedae.blocks import Block, DenseBlock, ImageBlock
from sknestedae.exceptions import DivergenceError, DivergenceWarning


def fit_together(estimators, tables):
    tasks = run_concurrently([partial(e.fit, *t) for e, t in zip(estimators, tables, strict=True)])
    for task in tasks:
        if task.error is not None:
            raise task.error
    return estimators


CASES = {
    "seeds": [{"random_state": k} for k in range(3)],
    "penalties": [{"alpha": 0}, {"alpha": 0.1}, {"l1": 1e-2, "alpha": 0.01}],
    "weights of the losses": [
        {"prediction_weight": 0.1},
        {"reconstruction_weight": 0},
        {"prediction_weight": 7},
    ],
    "learning rates": [
        {"learning_rate_init": 1e-3, "learning_rate": "constant"},
        {"learning_rate_init": 1e-2},
        {"learning_rate_init": 3e-2, "learning_rate": "plateau", "n_iter_no_change": 2},
    ],
    "one rate, other epochs": [{"max_iter": 3}, {"max_iter": 25}, {"max_iter": 11}],
    "early stopping": [
        {"early_stopping": True, "n_iter_no_change": 4, "max_iter": 60, "learning_rate_init": rate}
        for rate in (1e-3, 1e-2, 5e-2)
    ],
    "patience": [
        {"early_stopping": True, "n_iter_no_change": n, "tol": tol, "random_state": n}
        for n, tol in ((1, 0.1), (2, 0.01), (30, 0))
    ],
    # networks that are equal but for one setting of how they are trained are not the same
    "schedules alone": [{"learning_rate": s, "max_iter": 8} for s in ("constant", "cosine")],
    "patience alone": [
        {"early_stopping": True, "n_iter_no_change": n, "tol": 0.1, "max_iter": 9} for n in (1, 20)
    ],
    "dropout alone": [{"dropout": p, "max_iter": 5} for p in (0.1, 0.5)],
    "one batch, in order": [
        {"shuffle": False, "batch_size": 130, "alpha": alpha} for alpha in (0.01, 0.1)
    ],
    "robust losses": [
        {"reconstruction_loss": "huber", "prediction_loss": "absolute_error", "random_state": k}
        for k in range(2)
    ],
    "predictor and bounds": [
        {"predictor_hidden_layer_sizes": (5,), "latent_activation": "tanh", "random_state": k}
        for k in range(2)
    ],
}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_each_ends_where_it_would_have_ended_alone(settings, stacks):
    estimators = [sae(**own) for own in settings]
    tables = [data()] * len(estimators)
    together = fit_together([clone(e) for e in estimators], tables)
    assert stacks == [len(estimators)]
    for estimator, fitted in zip(estimators, together, strict=True):
        assert_same_fit(estimator.fit(*data()), fitted)


def test_200_steps_of_folds_of_unequal_size(stacks):
    """The folds have 6, 6, 7, 7 and 8 batches in an epoch, of which the last may not be full."""
    X, y = data(140)
    n_rows = [88, 96, 100, 112, 120]
    assert [-(-n // SMALL["batch_size"]) for n in n_rows] == [6, 6, 7, 7, 8]
    tables = [(np.roll(X, 9 * k, axis=0)[:n], np.roll(y, 9 * k)[:n]) for k, n in enumerate(n_rows)]
    estimators = [sae(max_iter=35) for _ in range(5)]
    together = fit_together([clone(e) for e in estimators], tables)
    assert stacks == [5]
    for estimator, fitted, table in zip(estimators, together, tables, strict=True):
        assert_same_fit(estimator.fit(*table), fitted)
        assert estimator.n_iter_ * 6 >= 200


def test_weights_of_rows(stacks):
    X, y = data()
    weight = np.linspace(0.1, 3, len(X))
    tables = [(X, y, weight), (X, y), (X, y, weight[::-1].copy())]
    together = fit_together([sae() for _ in tables], tables)
    assert stacks == [3]
    for fitted, table in zip(together, tables, strict=True):
        assert_same_fit(sae().fit(*table), fitted)


def test_missing_values_in_some_tables_alone(stacks):
    tables = [
        data(incomplete=False),
        data(incomplete=True),
        (*data(incomplete=False)[:1], data()[1]),
    ]
    together = fit_together([sae() for _ in tables], tables)
    assert stacks == [3]
    for fitted, table in zip(together, tables, strict=True):
        assert_same_fit(sae().fit(*table), fitted)


def test_classes_and_categories(stacks):
    X, y = data(incomplete=False)
    X[:, 5] = np.arange(len(X)) % 3
    labels = np.where(y > 0, "high", "low").astype(object)
    labels[::7] = None
    estimators = [
        SupervisedAutoencoderClassifier(**SMALL, categorical_features=[5], random_state=k)
        for k in range(3)
    ]
    together = fit_together([clone(e) for e in estimators], [(X, labels)] * 3)
    assert stacks == [3]
    for estimator, fitted in zip(estimators, together, strict=True):
        assert_same_fit(estimator.fit(X, labels), fitted)


def test_without_target_in_float32(stacks):
    X = data()[0].astype(np.float32)
    together = fit_together([sae(random_state=k) for k in range(2)], [(X,), (X,)])
    assert stacks == [2]
    for k, fitted in enumerate(together):
        alone = sae(random_state=k).fit(X)
        assert fitted.net_.module_.encoder[0].weight.dtype == torch.float32
        # rounding of 1e-7 in each of 225 steps of 0.003 at most
        for a, b in zip(parameters(alone), parameters(fitted), strict=True):
            assert_allclose(a, b, rtol=0, atol=1e-3)


def test_warm_start_goes_on(stacks):
    X, y = data()
    estimators = [sae(warm_start=True, random_state=k).fit(X, y) for k in range(2)]
    again = [clone(e).fit(X, y) for e in estimators]
    fit_together(estimators, [(X, y)] * 2)
    assert stacks == [2]
    for estimator, other in zip(estimators, again, strict=True):
        assert_same_fit(other.fit(X, y), estimator)
        assert estimator.n_iter_ == 2 * SMALL["max_iter"]


def test_partial_fit_goes_on_with_the_moments():
    X, y = data()
    (fitted, _) = fit_together([sae(random_state=k) for k in range(2)], [(X, y)] * 2)
    assert_same_fit(sae().fit(X, y).partial_fit(X, y), fitted.partial_fit(X, y))


class LinearBlock(Block):
    """A block with an activation of its own, and weights of three dimensions."""

    def __init__(self, slope=0.1):
        self.slope = slope

    def make_encoder(self, layout):
        encoder = nn.Sequential(
            nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 2, 2), nn.Flatten(), nn.PReLU(init=self.slope)
        )
        return encoder, 2 * (layout.n_values - 1)

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


class WithSpare(Block):
    """A block with a parameter that nothing depends on."""

    def make_encoder(self, layout):
        encoder = nn.Sequential(nn.Linear(layout.n_values, 2))
        encoder.register_parameter("spare", nn.Parameter(torch.ones(3)))
        return encoder, 2

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


@pytest.mark.parametrize("block", [LinearBlock(), SpectrumBlock(), WithSpare()])
def test_blocks_of_users(block, stacks):
    X, y = data()
    estimators = [
        sae(blocks=[("some", block, [0, 1, 2])], l1=1e-3, random_state=k) for k in range(2)
    ]
    together = fit_together([clone(e) for e in estimators], [(X, y)] * 2)
    assert stacks == [2]
    for estimator, fitted in zip(estimators, together, strict=True):
        assert_same_fit(estimator.fit(X, y), fitted)


# -- kinds of data

HALVES = [("first", DenseBlock(), [0, 1, 2]), ("second", LinearBlock(), [3, 4, 5])]


def halves(n_rows=130, missing=True):
    """Give a table of two blocks, of which rows may lack one."""
    X, y = data(n_rows)
    if missing:
        X[::3, :3] = np.nan
        X[1::3, 3:] = np.nan
    return X, y


KINDS = {
    "bounds of a target": {"target_bounds": (-9, None)},
    "both bounds": {"target_bounds": (-9, 30)},
    "missing blocks": {"blocks": HALVES},
    "hidden blocks": {"blocks": HALVES, "block_dropout": 0.3},
    "hidden blocks, dropout": {"blocks": HALVES, "block_dropout": 0.3, "dropout": 0.2},
    "shares of blocks": {"blocks": HALVES, "block_weights": {"first": 1, "second": 3}},
    "bounds and blocks": {
        "blocks": HALVES,
        "block_dropout": 0.2,
        "target_bounds": (-9, None),
        "target_block": DenseBlock(),
    },
}


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_kinds_of_data_are_each_as_alone(settings, stacks):
    """Folds have bounds, missing rows and masks of their own, also when others have left."""
    X, y = halves(missing=settings.get("block_dropout") != 0.2)
    tables = [(X, y), (3 * X[20:] - 2, y[20:]), (X[:100], y[:100])]
    estimators = [sae(**settings, random_state=k, max_iter=n) for k, n in enumerate((9, 2, 5))]
    together = fit_together([clone(e) for e in estimators], tables)
    assert stacks == [3]
    for estimator, fitted, table in zip(estimators, together, tables, strict=True):
        assert_same_fit(estimator.fit(*table), fitted)
        assert_allclose(fitted.predict(X), estimator.predict(X), rtol=0, atol=1e-4)


def test_networks_of_other_bounds_or_shares_are_not_of_one_stack(stacks):
    X, y = halves()
    settings = [
        {"target_bounds": (-9, None)},
        {"target_bounds": (-9, 30)},
        {"blocks": HALVES},
        {"blocks": HALVES, "block_weights": {"first": 1, "second": 3}},
        {"blocks": HALVES, "block_dropout": 0.1},
        {"blocks": HALVES, "block_dropout": 0.5},
    ]
    estimators = [sae(**own, max_iter=3) for own in settings]
    together = fit_together([clone(e) for e in estimators], [(X, y)] * len(estimators))
    assert stacks == []
    for estimator, fitted in zip(estimators, together, strict=True):
        assert_same_fit(estimator.fit(X, y), fitted)


class Cubes(LinearBlock):
    """A block with errors and a pose of its own."""

    def errors(self, decoded, given, layout, loss):
        return (decoded - given).abs() ** 3

    def align(self, decoded, given, known, layout):
        turned = ((decoded + given) ** 2).sum(-1) < ((decoded - given) ** 2).sum(-1)
        return torch.where(turned[..., None], -decoded, decoded)


class Told(nn.Module):
    """A layer that is told what is missing."""

    def __init__(self, n_values):
        super().__init__()
        self.layer = nn.Linear(2 * n_values, 4)

    def forward(self, values, missing):
        flags = torch.zeros_like(values) if missing is None else missing.to(values.dtype)
        return self.layer(torch.cat([values, flags], dim=-1))


class ToldBlock(LinearBlock):
    reads_missing = True

    def make_encoder(self, layout):
        return Told(layout.n_values), 4


@pytest.mark.parametrize("block", [Cubes(), ToldBlock()], ids=["errors", "told"])
@pytest.mark.parametrize("missing", [True, False])
def test_what_a_block_does_itself_is_done_for_each_network(block, missing, stacks):
    X, y = halves(missing=missing)
    tables = [(X, y), (X[20:], y[20:])]
    estimators = [
        sae(blocks=[("own", block, [0, 1, 2])], random_state=k, max_iter=6) for k in range(2)
    ]
    together = fit_together([clone(e) for e in estimators], tables)
    assert stacks == [2]
    for estimator, fitted, table in zip(estimators, together, tables, strict=True):
        assert_same_fit(estimator.fit(*table), fitted)


@pytest.mark.parametrize("invariance", [None, "symmetries", "rotation"])
@pytest.mark.parametrize("missing", [True, False])
def test_images_of_any_pose(invariance, missing, stacks):
    images = turned_images(60, side=6, noise=0.1)
    if missing:
        images[::3, 2:4, 1:4] = np.nan
    block = ImageBlock(n_channels=(2,), invariance=invariance)
    estimators = [sae(blocks=block, random_state=k, max_iter=5, n_components=2) for k in range(3)]
    tables = [images, images[10:], images[::-1]]
    together = fit_together([clone(e) for e in estimators], [(X, None) for X in tables])
    assert stacks == [3]
    for estimator, fitted, X in zip(estimators, together, tables, strict=True):
        assert_same_fit(estimator.fit(X), fitted)


# -- dropout


DROPOUT = {"hidden_layer_sizes": (40,), "predictor_hidden_layer_sizes": (30,), "batch_size": 50}


def test_dropout_is_that_of_a_single_fit(stacks):
    """Also in the last batch of an epoch, which is not full, and in epochs of other lengths."""
    X, y = data()
    tables = [(X, y), (X, y), (X[:95], y[:95])]
    estimators = [
        sae(**DROPOUT, dropout=p, random_state=k, learning_rate_init=1e-3)
        for k, p in enumerate((0.1, 0.5, 0.2))
    ]
    together = fit_together([clone(e) for e in estimators], tables)
    assert stacks == [3]
    for estimator, fitted, table in zip(estimators, together, tables, strict=True):
        assert_same_fit(estimator.fit(*table), fitted)


def test_dropout_goes_on_when_others_leave(stacks):
    X, y = data()
    first = sae(**DROPOUT, dropout=0.3)
    others = [sae(**DROPOUT, dropout=0.3, random_state=k, max_iter=k) for k in range(1, 5)]
    fitted = fit_together([*map(clone, others), clone(first)], [(X, y)] * 5)[-1]
    assert stacks == [5]
    assert_same_fit(first.fit(X, y), fitted)


def test_dropout_of_a_warm_start_goes_on(stacks):
    """Its masks are those of the epochs that come next, not of the first ones again."""
    X, y = data()
    settings = {**DROPOUT, "dropout": 0.3, "warm_start": True, "max_iter": 4}
    estimators = [sae(**settings, random_state=k).fit(X, y) for k in range(2)]
    alone = [clone(e).fit(X, y) for e in estimators]
    fit_together(estimators, [(X, y)] * 2)
    assert stacks == [2]
    for estimator, other in zip(estimators, alone, strict=True):
        assert_same_fit(other.fit(X, y), estimator)
        assert estimator.n_iter_ == 8


# -- what is trained once, alone, in parts


def test_equal_networks_are_trained_once(stacks):
    X, y = data()
    estimators = [sae(), sae(), sae(random_state=1), sae()]
    together = fit_together(estimators, [(X, y)] * 4)
    assert stacks == [2]
    for k in (1, 3):
        assert_same_fit(together[0], together[k])
    together[1].partial_fit(X, y)  # what it shares it does not change
    assert_same_fit(together[0], together[3])


def test_equal_tables_are_in_memory_once(monkeypatch):
    tables = []
    train = _vectorized.VectorizedTraining.train

    def spy(self):
        tables.extend(job.train.rows for job in self.jobs)
        train(self)

    monkeypatch.setattr(_vectorized.VectorizedTraining, "train", spy)
    X, y = data()
    fit_together(
        [sae(random_state=k) for k in range(4)], [(X, y), (X.copy(), y), (X[1:], y[1:]), (X, y)]
    )
    assert len({id(table) for table in tables}) == 2


def test_shapes_are_grouped(stacks):
    X, y = data()
    settings = [{"n_components": 2}, {"activation": "relu"}, {"n_components": 2}, {"dropout": 0.1}]
    estimators = [sae(**own, random_state=k) for k, own in enumerate(settings)]
    together = fit_together([clone(e) for e in estimators], [(X, y)] * 4)
    assert stacks == [2]  # and two alone
    for k in range(3):
        assert_same_fit(estimators[k].fit(X, y), together[k])


@pytest.mark.parametrize("working_memory", [1e-9, 0.1])
def test_memory_bounds_the_number_at_once(stacks, working_memory):
    X, y = data()
    estimators = [sae(random_state=k) for k in range(6)]
    tasks = run_concurrently([partial(e.fit, X, y) for e in estimators], working_memory)
    assert all(task.error is None for task in tasks)
    # of 0.1 MiB: five fits at a time, two of their networks at once; one is left, and one more
    assert stacks == ([] if working_memory < 1e-3 else [2, 2])
    for k, estimator in enumerate(estimators):
        assert_same_fit(sae(random_state=k).fit(X, y), estimator)


def test_large_batches_are_trained_one_by_one(stacks, caplog):
    caplog.set_level(logging.INFO, logger="sknestedae")
    X, y = np.tile(data()[0], (100, 1)), np.tile(data()[1], 100)
    wide = {"batch_size": 10_000, "hidden_layer_sizes": (20,), "early_stopping": False}
    fit_together([sae(**wide, max_iter=1, random_state=k) for k in range(2)], [(X, y)] * 2)
    assert stacks == []
    assert "a batch of 10000 rows is large" in caplog.text


class WithBuffer(Block):
    def make_encoder(self, layout):
        return nn.BatchNorm1d(layout.n_values), layout.n_values

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


class WithFunction(Block):
    """A block with a setting that cannot be compared with another's."""

    def __init__(self, function=None):
        self.function = function

    def __getstate__(self):
        raise PicklingError("a function of mine")

    def make_encoder(self, layout):
        return nn.Identity(), layout.n_values

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


class Sorts(nn.Module):
    """What depends on values cannot be mapped over networks."""

    def forward(self, values):
        return values if values.sum().item() > -np.inf else -values


class Undecided(WithBuffer):
    def make_encoder(self, layout):
        return Sorts(), layout.n_values


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"callbacks": [CountsEpochs()]}, "it has the callback CountsEpochs"),
        ({"blocks": [("own", WithBuffer(), [0, 1])]}, "has the buffer"),
        ({"blocks": [("own", Undecided(), [0, 1])]}, "vmap"),
        ({"blocks": [("own", WithFunction(), [0, 1])]}, "a function of mine"),
    ],
)
def test_what_can_not_be_stacked_is_trained_alone(settings, reason, stacks, caplog):
    caplog.set_level(logging.INFO, logger="sknestedae")
    X, y = data()
    estimators, together = ([sae(**settings, random_state=k) for k in range(2)] for _ in range(2))
    fit_together(together, [(X, y)] * 2)
    assert stacks == []
    assert reason in caplog.text
    for estimator, fitted in zip(estimators, together, strict=True):
        assert_same_fit(estimator.fit(X, y), fitted)


# -- bad networks beside good ones


def test_a_network_that_diverges_does_not_disturb_the_others(stacks):
    X, y = data()
    estimators = [sae(), sae(learning_rate_init=1e200), sae(random_state=1)]
    tasks = run_concurrently([partial(e.fit, X, y) for e in estimators])
    assert stacks == [3]
    assert isinstance(tasks[1].error, DivergenceError)
    assert not hasattr(estimators[1], "net_")
    for k in (0, 2):
        assert_same_fit(clone(estimators[k]).fit(X, y), estimators[k])


def test_a_network_that_diverges_later_keeps_its_best_epoch(monkeypatch):
    """Its parameters become infinite after its fourth epoch."""
    end_epoch = _vectorized.VectorizedTraining._end_epoch

    def spoil(self, ending, epoch):
        has_ended = end_epoch(self, ending, epoch)
        if epoch[0] == 4:
            next(self.module.parameters()).data[1] = np.inf
        return has_ended

    monkeypatch.setattr(_vectorized.VectorizedTraining, "_end_epoch", spoil)
    X, y = data()
    estimators = [sae(random_state=k) for k in range(3)]
    with pytest.warns(DivergenceWarning, match=r"epoch 5.*best epoch, 4"):
        fit_together(estimators, [(X, y)] * 3)
    assert (estimators[1].n_iter_, estimators[1].best_iter_) == (5, 4)
    assert estimators[1].history_["train_loss"].isna().tolist() == [False] * 4 + [True]
    assert all(np.isfinite(p).all() for p in parameters(estimators[1]))
    for k in (0, 2):
        assert_same_fit(sae(random_state=k).fit(X, y), estimators[k])


# -- modules of users that a stack could get wrong


class OwnBlock(Block):
    """A block around an encoder of some kind."""

    kind = nn.Identity

    def make_encoder(self, layout):
        return type(self).kind(layout.n_values), layout.n_values

    def make_decoder(self, layout, n_inputs):
        return nn.Linear(n_inputs, layout.n_values)


class HoldsTensor(nn.Module):
    """A tensor that is drawn, and no parameter."""

    def __init__(self, n_values):
        super().__init__()
        self.w = torch.randn(n_values)

    def forward(self, values):
        return values * self.w.to(values.dtype)


class Frozen(nn.Module):
    def __init__(self, n_values):
        super().__init__()
        self.linear = nn.Linear(n_values, n_values).requires_grad_(False)

    def forward(self, values):
        return self.linear(values)


class DropsOut(nn.Dropout):
    def __init__(self, n_values):
        super().__init__(0.3)


class Hooked(nn.Linear):
    def __new__(cls, n_values):
        layer = nn.Linear(n_values, n_values)
        layer.register_forward_hook(lambda module, given, output: output * 2)
        return layer


class FailsInTraining(nn.Module):
    def __init__(self, n_values):
        super().__init__()

    def forward(self, values):
        if self.training and values.sum().item() > np.inf:
            return -values
        return values


class Scalar(nn.Module):
    """A parameter without dimensions."""

    def __init__(self, n_values):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(1.5))

    def forward(self, values):
        return values * self.factor


@pytest.mark.parametrize("kind", [HoldsTensor, Frozen, DropsOut, Hooked, FailsInTraining, Scalar])
def test_modules_of_users_end_as_they_would_alone(kind, monkeypatch):
    monkeypatch.setattr(OwnBlock, "kind", kind)
    X, y = data()
    settings = {"blocks": [("own", OwnBlock(), [0, 1])], "alpha": 0.1, "max_iter": 6}
    estimators = [sae(**settings, random_state=k) for k in range(2)]
    together = fit_together([clone(e) for e in estimators], [(X, y)] * 2)
    for estimator, fitted in zip(estimators, together, strict=True):
        assert_same_fit(estimator.fit(X, y), fitted)


def test_what_fails_half_way_is_trained_alone(monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="sknestedae")
    end_epoch = _vectorized.VectorizedTraining._end_epoch

    def fail(self, ending, epoch):
        has_ended = end_epoch(self, ending, epoch)
        if epoch[0] == 6:
            raise RuntimeError("out of memory")
        return has_ended

    monkeypatch.setattr(_vectorized.VectorizedTraining, "_end_epoch", fail)
    X, y = data()
    estimators = [sae(max_iter=n, random_state=n) for n in (3, 10, 12)]
    together = fit_together([clone(e) for e in estimators], [(X, y)] * 3)
    assert "2 networks are trained alone: out of memory" in caplog.text
    for estimator, fitted in zip(estimators, together, strict=True):
        assert_same_fit(estimator.fit(X, y), fitted)
