"""Gradients in closed form against automatic differentiation, which defines them."""

from __future__ import annotations

import copy
import pickle

import cases.steps
import numpy as np
import pytest
import torch
from cases.kinds import make_dual, make_kinds
from cases.nested import AB, two_scales
from cases.steps import N_EPOCHS, SMALL, data
from cases.supervised import mixed_table
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
)
from sknestedae._layers._dense import ACTIVATIONS, Dropout, RandomStream
from sknestedae._networks._autoencoder import AutoencoderModule
from sknestedae._networks._batch import Batch
from sknestedae._networks._flat import FlatParameters
from sknestedae._networks._stacked import StackedStream, stack_modules
from sknestedae._tables._layout import Layout
from sknestedae._training._closed_form import ClosedForm, Unsupported
from sknestedae._training._net import AutoencoderNet
from sknestedae._training._objective import Objective
from sknestedae.blocks import DenseBlock
from sknestedae.blocks._losses import ELEMENTWISE
from sknestedae.exceptions import DivergenceError

N_ROWS, N_NETWORKS = 11, 3


class DeepBlock(DenseBlock):
    """A block with layers of its own, before and behind the common ones."""

    def make_encoder(self, layout):
        linear = nn.Linear(layout.n_values, 3, bias=False)
        return nn.Sequential(nn.ELU(), linear, nn.Sequential(nn.SiLU(), Dropout(0.3))), 3

    def make_decoder(self, layout, n_inputs):
        return nn.Sequential(nn.Tanh(), nn.Linear(n_inputs, 4), nn.Linear(4, layout.n_values))


ONE_OUTPUT = Layout(1)
ONE = {"table": (DenseBlock(), Layout(3))}
SEVERAL = {
    "plain": (DenseBlock(), Layout(2)),
    "hidden": (DenseBlock(dropout=0.4), Layout(1, (2,))),
    "deep": (DeepBlock(), Layout(2)),
}
# so tight that many numbers are beyond it
CLIPPED = {
    "plain": (DenseBlock(clip=1), Layout(2)),
    "hidden": (DenseBlock(dropout=0.4, clip=1), Layout(1, (2,))),
    "deep": (DeepBlock(), Layout(2)),
}

# Settings of a network, its objective and its rows, beside those of ``make``.
names = list(ACTIVATIONS)
CASES = {
    **{
        f"{one}, latents {other}": {"activation": one, "latent_activation": other}
        for one, other in zip(names, names[3:] + names[:3], strict=True)
    },
    **{f"losses {loss}": {"losses": (loss, loss)} for loss in ELEMENTWISE},
    "categories": {"blocks": {"table": (DenseBlock(), Layout(0, (2, 3)))}},
    "both": {"blocks": {"table": (DenseBlock(), Layout(2, (3, 2)))}, "losses": ("huber",) * 2},
    "several blocks": {"blocks": SEVERAL},
    "missing blocks": {"blocks": SEVERAL, "missing": True},
    "clipped": {"blocks": {"table": (DenseBlock(clip=1), Layout(3))}},
    "clipped blocks": {"blocks": CLIPPED, "missing": True},
    "a deep block": {"blocks": {"deep": SEVERAL["deep"]}, "missing": True},
    "a deep target": {"target_block": DeepBlock()},
    "missing, weights": {"missing": True, "weights": True},
    "missing categories": {
        "blocks": {"table": (DenseBlock(), Layout(2, (3, 2)))},
        "missing": True,
        "weights": True,
    },
    "unlabelled": {"unlabelled": True},
    "many targets": {"target": Layout(3), "unlabelled": True, "weights": True},
    "classes": {"target": Layout(0, (3,)), "unlabelled": True},
    "no target": {"target": None},
    "target not at hand": {"no_target": True, "alpha": 0.2},
    "dropout": {"dropout": 0.4},
    "dropout, blocks": {"dropout": 0.2, "blocks": SEVERAL, "missing": True},
    "penalties": {"l1": 0.3, "alpha": 0.2, "blocks": SEVERAL},
    "no hidden layers": {"sizes": ()},
    "no hidden layers, blocks": {"sizes": (), "blocks": SEVERAL, "missing": True},
    "low bounds": {"bounds": ((-0.5, -2.0), None), "target": Layout(2)},
    "high bounds": {"bounds": (None, (0.1, 1.0)), "target": Layout(2), "unlabelled": True},
    "both bounds": {"bounds": ((-0.5, 1.0), (1.0, 3.0)), "target": Layout(2), "dropout": 0.2},
    "one row": {"n_rows": 1},
    "all of it": {
        "blocks": SEVERAL,
        "missing": True,
        "unlabelled": True,
        "weights": True,
        "target": Layout(1, (2,)),
        "dropout": 0.3,
        "l1": 0.1,
        "alpha": 0.1,
        "sizes": (6, 4),
        "losses": ("absolute_error", "huber"),
    },
}


def draw_entries(rng, layout, n_rows):
    """Give numbers and one-hot groups of a layout."""
    groups = [np.eye(n)[rng.integers(0, n, n_rows)] for n in layout.n_categories]
    return np.concatenate([rng.normal(size=(n_rows, layout.n_numeric)), *groups], axis=1)


def make(
    seed=0,
    *,
    blocks=ONE,
    target=ONE_OUTPUT,
    target_block=None,
    bounds=(None, None),
    activation="tanh",
    latent_activation="identity",
    losses=("squared_error", "squared_error"),
    sizes=(5,),
    dropout=0.0,
    l1=0.0,
    alpha=0.0,
    missing=False,
    unlabelled=False,
    weights=False,
    no_target=False,
    n_rows=N_ROWS,
    dtype=torch.float64,
):
    """Make a network, its objective and rows for it."""
    layouts = {name: layout for name, (_, layout) in blocks.items()}
    kinds = {name: block for name, (block, _) in blocks.items()}
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    module = AutoencoderModule(
        layouts=layouts,
        blocks=kinds,
        n_components=2,
        hidden_layer_sizes=sizes,
        decoder_hidden_layer_sizes=sizes,
        predictor_hidden_layer_sizes=sizes,
        activation=activation,
        latent_activation=latent_activation,
        dropout=dropout,
        target_layout=target,
        target_block=target_block,
        target_bounds=[None if own is None else own[0] for own in bounds],
    ).to(dtype)
    if bounds != (None, None):
        # of a stack, each network has its own
        low, high = (torch.zeros(2) if own is None else torch.tensor(own) for own in bounds)
        module.set_target_bounds((low - 0.1 * seed).to(dtype), (high + 0.2 * seed).to(dtype))
    with torch.no_grad():
        for own in module.parameters():  # of flags of absence, too, which begin with 0
            own.normal_(generator=generator)
    objective = Objective.supervised(
        layouts=layouts,
        blocks=kinds,
        target_layout=target,
        target_block=target_block or DenseBlock(),
        block_shares=dict.fromkeys(blocks, 1 / len(blocks)),
        reconstruction_loss=losses[0],
        prediction_loss=losses[1],
        reconstruction_weight=1.0,
        prediction_weight=2.0,
        l1=l1,
        alpha=alpha,
    )
    values, measured, of_target, labelled = {}, {}, None, None
    for name, layout in layouts.items():
        values[name] = torch.from_numpy(draw_entries(rng, layout, n_rows)).to(dtype)
        if missing:
            known = rng.random((n_rows, layout.n_columns)) < 0.7
            known[rng.permutation(n_rows)[:3]] = False  # the whole block
            measured[name] = torch.from_numpy(known)
    if target is not None and not no_target:
        of_target = torch.from_numpy(draw_entries(rng, target, n_rows)).to(dtype)
        n_known = target.n_columns if target.n_columns > 1 else 1
        labelled = torch.from_numpy(rng.random((n_rows, n_known)) < 0.6) if unlabelled else None
    weight = torch.from_numpy(rng.uniform(0, 2, (n_rows, 1))).to(dtype) if weights else None
    return module, objective, Batch(values, measured, of_target, labelled, weight)


FACTORS = {"prediction": 0.7, "reconstruction": 1.3, "reconstruction__hidden": 0.4}


def factors_of(objective):
    return {term.name: FACTORS.get(term.name, 1.1) for term in objective.terms}


def seed_layers(module, seed):
    layers = [layer for layer in module.modules() if isinstance(layer, RandomStream)]
    for k, layer in enumerate(layers):
        layer.seed(100 * seed + k, 2)


def by_autograd(module, objective, batch, seed=0):
    """Give the sums of a step, the gradients, and the size of the largest one."""
    seed_layers(module, seed)
    terms = objective.data_terms(module(batch), batch)
    factors = factors_of(objective)
    sum(factors[name] * term for name, term in terms.items()).backward()
    for parameter in module.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    objective.add_penalty_gradients(module)
    gradients = [parameter.grad.numpy().copy() for parameter in module.parameters()]
    sums = {name: term.item() for name, term in terms.items()}
    return sums, gradients, max(np.abs(own).max() for own in gradients)


def assert_same(found, expected):
    """Compare sums and gradients, which are sums of a few hundred products, to rounding."""
    (sums, gradients), (of_torch, by_torch, size) = found, expected
    rounding = 300 * np.finfo(gradients[0].dtype).eps
    assert sums.keys() == of_torch.keys()
    for name, total in sums.items():
        np.testing.assert_allclose(total, of_torch[name], rtol=rounding)
    for own, other in zip(gradients, by_torch, strict=True):
        assert own.dtype == other.dtype
        np.testing.assert_allclose(own, other, rtol=0, atol=rounding * size)


every_case = pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@both_dtypes
@every_case
def test_gradients_are_those_of_autograd(settings, dtype):
    """Of two steps; the second one, of fewer rows, begins with what the first one left."""
    module, objective, batch = make(**settings, dtype=dtype)
    slices = [slice(0, len(batch)), slice(0, max(len(batch) - 2, 1))]
    expected = []
    for seed, own in enumerate(slices):
        module.zero_grad()
        expected.append(by_autograd(module, objective, batch[own], seed))
    flat = FlatParameters(module)
    closed = ClosedForm(module, objective, flat)
    rows = closed.rows(batch)
    for seed, own in enumerate(slices):
        seed_layers(module, seed)
        sums = closed.step(rows.take(own), factors_of(objective))
        flat.add_penalty_gradients(objective.l1, objective.alpha)
        gradients = [parameter.grad.numpy().copy() for parameter in module.parameters()]
        assert_same((sums, gradients), expected[seed])


def stacked(batches):
    """Put batches of several networks side by side."""
    first = batches[0]

    def stack(of_each):
        return None if of_each[0] is None else torch.stack(of_each)

    return Batch(
        {name: stack([own.values[name] for own in batches]) for name in first.values},
        {name: stack([own.measured[name] for own in batches]) for name in first.measured},
        stack([own.target for own in batches]),
        stack([own.labelled for own in batches]),
        stack([own.weight for own in batches]),
    )


@both_dtypes
@every_case
def test_gradients_of_a_stack_are_those_of_each_network(settings, dtype):
    made = [make(seed, **settings, dtype=dtype) for seed in range(N_NETWORKS)]
    module, objective = stack_modules([own for own, _, _ in made]), made[0][1]
    rows = stacked([batch for _, _, batch in made])
    flat = FlatParameters(module, N_NETWORKS)
    closed = ClosedForm(module, objective, flat)
    streams = [layer for layer in module.modules() if isinstance(layer, StackedStream)]
    for k, layer in enumerate(streams):
        seeds = [100 * seed + k for seed in range(N_NETWORKS)]
        layer.seed(np.arange(N_NETWORKS), seeds, np.full(N_NETWORKS, 2))
    # each network has factors of its own
    share = np.array([1.0, 0.5, 2.0], dtype=flat.arrays[0].dtype)
    factors = {name: share[:, None, None] * own for name, own in factors_of(objective).items()}
    sums = closed.step(closed.rows(rows), factors)
    flat.arrays[1][...] /= share[:, None]
    flat.add_penalty_gradients(objective.l1, objective.alpha)
    for k, (own, _, batch) in enumerate(made):
        gradients = [parameter.grad[k].numpy() for parameter in module.parameters()]
        of_network = {name: total[k] for name, total in sums.items()}
        assert_same((of_network, gradients), by_autograd(own, objective, batch, k))


def test_nothing_is_changed_but_gradients():
    """Neither rows nor parameters: the arrays are those of the user's tensors."""
    module, objective, batch = make(**CASES["all of it"])
    tensors = [own for own in batch.tensors() if own is not None]
    before = [own.clone() for own in (*tensors, *module.parameters())]
    closed = ClosedForm(module, objective, FlatParameters(module))
    closed.step(closed.rows(batch), factors_of(objective))
    for own, other in zip((*tensors, *module.parameters()), before, strict=True):
        assert torch.equal(own, other)


def test_the_prediction_is_that_of_the_network():
    module, objective, batch = make(dropout=0.3)
    closed = ClosedForm(module, objective, FlatParameters(module))
    assert closed.prediction() is None
    seed_layers(module, 0)
    closed.step(closed.rows(batch), factors_of(objective))
    seed_layers(module, 0)
    torch.testing.assert_close(closed.prediction(), module(batch).prediction.detach())


def test_dropout_that_is_not_in_training_drops_nothing():
    module, objective, batch = make(dropout=0.3)
    for layer in module.modules():
        layer.train(not isinstance(layer, Dropout))
    expected = by_autograd(module, objective, batch)
    flat = FlatParameters(module)
    closed = ClosedForm(module, objective, flat)
    sums = closed.step(closed.rows(batch), factors_of(objective))
    assert_same((sums, [p.grad.numpy() for p in module.parameters()]), expected)


# -- whole fits


def sae(**settings):
    return cases.steps.sae(**{"learning_rate": "constant", **settings})


@pytest.fixture
def steps(monkeypatch):
    """Count steps in closed form, of one network or of a stack."""
    taken, step = [], ClosedForm.step

    def spy(self, rows, factors):
        taken.append(len(rows.given[0]))
        return step(self, rows, factors)

    monkeypatch.setattr(ClosedForm, "step", spy)
    return taken


@pytest.fixture(params=["closed form", "autograd"])
def way(request, monkeypatch):
    """Take all steps of single fits in one of both ways."""
    if request.param == "autograd":
        monkeypatch.setattr(AutoencoderNet, "_make_closed_form", lambda self: None)
    return request.param


def by_both(fit):
    """Give what a function fits in closed form, and by automatic differentiation."""
    closed = fit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AutoencoderNet, "_make_closed_form", lambda self: None)
        return closed, fit()


def parameters(estimator):
    module = estimator.net_.module_
    return {name: own.detach().numpy().copy() for name, own in module.named_parameters()}


def assert_same_fit(one, other, rounding=1e-9):
    """Compare parameters, moments and history; rounding grows by a small factor in a few steps."""
    ours, theirs = parameters(one), parameters(other)
    assert ours.keys() == theirs.keys()
    for name, own in ours.items():
        np.testing.assert_allclose(own, theirs[name], rtol=0, atol=rounding, err_msg=name)
    ours, theirs = (own.__getstate__()["_fitted"]["net"]["optimizer"] for own in (one, other))
    assert ours.keys() == theirs.keys()
    for name, own in ours.items():
        np.testing.assert_allclose(own, theirs[name], rtol=0, atol=rounding, err_msg=name)
    assert list(one.history_) == list(other.history_)
    np.testing.assert_allclose(one.history_, other.history_, rtol=rounding)


def has_moved(one, other):
    ours, theirs = parameters(one), parameters(other)
    return any(np.abs(own - theirs[name]).max() > 1e-3 for name, own in ours.items())


FITS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "penalties": {"l1": 1e-2, "alpha": 1e-2},
    "blocks": {
        "blocks": [("one", DenseBlock(dropout=0.2), [0]), ("own", DeepBlock(), [1, 2])],
        "block_weights": {"one": 2, "own": 1, "table": 1},
    },
    "clipped": {"blocks": DenseBlock(clip=1)},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 12},
    "cosine": {"learning_rate": "cosine"},
    "plateau": {"learning_rate": "plateau", "n_iter_no_change": 2, "learning_rate_init": 0.1},
    "losses": {"reconstruction_loss": "huber", "prediction_loss": "absolute_error"},
    "bounds": {"target_bounds": (-10, 20)},
}


@pytest.mark.parametrize("settings", FITS.values(), ids=FITS.keys())
def test_a_fit_is_the_same_but_for_rounding(settings, steps):
    X, y = data()
    X[::4, 1] = np.nan
    y[::5] = np.nan
    weight = np.linspace(0.5, 2, len(X))
    closed, by_torch = by_both(lambda: sae(**settings).fit(X, y, sample_weight=weight))
    assert_same_fit(closed, by_torch)
    n_batches = -(-int(closed.net_.totals_["train"].rows) // 7)
    assert len(steps) == n_batches * len(closed.history_)  # and none by the other way


def test_a_fit_in_float32_is_the_same_but_for_rounding(steps):
    X, y = (own.astype(np.float32) for own in data())
    closed, by_torch = by_both(lambda: sae().fit(X, y))
    assert parameters(closed)["encoder.0.weight"].dtype == np.float32
    assert_same_fit(closed, by_torch, rounding=1e-3)
    assert steps


def test_a_fit_without_a_target_and_one_of_classes_and_words(steps):
    X, _ = mixed_table()
    for make_fit in (
        lambda: sae().fit(X),
        lambda: SupervisedAutoencoderClassifier(**SMALL).fit(X, X["phase"].to_numpy()),
    ):
        assert_same_fit(*by_both(make_fit))
        assert steps
        steps.clear()


# -- which networks have one


@pytest.mark.parametrize("kind", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
def test_the_default_estimators_take_it(kind, steps):
    """It would be lost without a sign, but for the time of a fit."""
    X, y = data()
    kind(max_iter=2).fit(X, y > 0)
    assert len(steps) >= 2


def test_the_stages_of_a_chain_take_it(steps):
    NestedAutoencoder(AB).fit(*two_scales())
    assert len(steps) >= len(AB) * AB[0][1].max_iter


class Scaled(nn.Linear):
    """A linear layer that computes something else."""

    def forward(self, values):
        return 2 * super().forward(values)


class OneBlock(DenseBlock):
    """A block with an encoder of some kind."""

    kind = Scaled

    def make_encoder(self, layout):
        return type(self).kind(layout.n_values, layout.n_values), layout.n_values


def tied(n_inputs, n_outputs):
    layers = [nn.Linear(n_inputs, n_outputs) for _ in range(2)]
    layers[1].weight = layers[0].weight
    return nn.Sequential(*layers)


def twice(n_inputs, n_outputs):
    layer = nn.Linear(n_inputs, n_outputs)
    return nn.Sequential(layer, layer)


def one_activation(n_inputs, n_outputs):
    activation = nn.ReLU()
    first, second = nn.Linear(n_inputs, n_inputs), nn.Linear(n_inputs, n_outputs)
    return nn.Sequential(first, activation, second, activation)


def steep(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, n_outputs), nn.LeakyReLU(0.3))


def block_of(kind):
    made = type(kind.__name__, (OneBlock,), {"kind": staticmethod(kind)})()
    return {"blocks": [("own", made, [0, 1])]}


class OwnErrors(DenseBlock):
    def errors(self, output, values, layout, loss):
        return 2 * super().errors(output, values, layout, loss)


WITHOUT = {
    "drawn latents": ({"beta": 0.1}, "draws latents"),
    "hidden blocks": (
        {"blocks": [("one", DenseBlock(), [0, 1])], "block_dropout": 0.5},
        "hides blocks",
    ),
    "a forward of its own": (block_of(Scaled), "a layer Scaled"),
    "another argument": (block_of(steep), "a layer LeakyReLU"),
    "a layer twice": (block_of(twice), "used twice"),
    "an activation twice": (block_of(one_activation), "used twice"),
    "a parameter twice": (block_of(tied), "used twice"),
    "errors of its own": ({"blocks": [("own", OwnErrors(), [0, 1])]}, "errors of its own"),
}


@pytest.mark.parametrize(("settings", "message"), WITHOUT.values(), ids=WITHOUT.keys())
def test_what_has_none_is_trained_by_autograd(settings, message, steps):
    X, y = data()
    fitted = sae(**settings).fit(X, y)
    assert not steps
    assert np.isfinite(fitted.history_["train_loss"]).all()
    with pytest.raises(Unsupported, match=message):
        ClosedForm.check(fitted.net_.module_, fitted.net_.criterion_)


def test_an_encoder_for_each_kind_of_data_has_none(steps):
    X, _ = make_kinds()
    fitted = make_dual(max_iter=1).fit(X)
    assert not steps
    with pytest.raises(Unsupported, match="DualModule"):
        ClosedForm.check(fitted.net_.module_, fitted.net_.criterion_)


class ClippedBack(DenseBlock):
    """Clips what its decoder is given, too."""

    def make_decoder(self, layout, n_inputs):
        return nn.Sequential(
            self.make_encoder(Layout(n_inputs))[0], nn.Linear(n_inputs, layout.n_values)
        )


def test_what_is_clipped_on_the_way_back_has_none(steps):
    X, y = data()
    fitted = sae(blocks=ClippedBack(clip=1)).fit(X, y)
    assert not steps
    assert np.isfinite(fitted.history_["train_loss"]).all()


def forward_of_its_own(module):
    module.encoder[0].forward = lambda values: torch.zeros(len(values), 5)


CHANGES = {
    "hook": (lambda m: m.encoder[0].register_forward_hook(lambda *_: None), "hooks"),
    "hook before": (lambda m: m.register_forward_pre_hook(lambda *_: None), "hooks"),
    "hook of gradients": (
        lambda m: m.decoder.register_full_backward_hook(lambda *_: None),
        "hook",
    ),
    "hook of a parameter": (lambda m: m.encoder[0].bias.register_hook(lambda g: g), "hooks"),
    "hook behind it": (
        lambda m: m.encoder[0].bias.register_post_accumulate_grad_hook(lambda p: None),
        "hooks",
    ),
    "forward": (forward_of_its_own, "forward of its own"),
    "parameter": (
        lambda m: setattr(m.encoder[0], "bias", nn.Parameter(torch.ones(5).double())),
        "does not see",
    ),
    "layer": (lambda m: m.decoder.append(nn.Linear(5, 5).double()), "does not see"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_a_network_that_is_changed_has_none_any_more(change, message):
    module, objective, _ = make()
    flat = FlatParameters(module)
    closed = ClosedForm(module, objective, flat)
    assert closed.is_current()
    change(module)
    assert not closed.is_current()
    with pytest.raises(Unsupported, match=message):
        ClosedForm(module, objective, flat)


# -- callbacks, on both ways


class Acts(Callback):
    """Call a function of the net at the end of some epochs."""

    def __init__(self, act, epochs=(2,)):
        self.act = act
        self.epochs = epochs

    def call(self, net):
        if len(net.history) in self.epochs:
            self.act(net)

    def on_epoch_end(self, net, **kwargs):
        self.call(net)


class ActsInBatches(Acts):
    """Call it before each batch of some epochs but the first one."""

    def on_epoch_begin(self, net, **kwargs):
        self.is_first = True

    def on_batch_begin(self, net, training, **kwargs):
        if training and not self.is_first:
            self.call(net)
        self.is_first = False

    on_epoch_end = Callback.on_epoch_end


class ActsOnGradients(Acts):
    """Call it before each step of some epochs."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.call(net)

    on_epoch_end = Callback.on_epoch_end


def each(change):
    """Make a function of a net of one of a parameter."""

    @torch.no_grad()
    def act(net):
        for parameter in net.module_.parameters():
            change(parameter)

    return act


def replace(parameter):
    parameter.data = 0.5 * parameter.data


def take_gradient_away(parameter):
    parameter.grad = None


def replace_gradient(parameter):
    parameter.grad = 0.5 * parameter.grad + 0.01


def freeze(net):
    net.module_.encoder[0].weight.requires_grad_(len(net.history) != 2)


def change_rate(net):
    net.optimizer_.param_groups[0]["lr"] *= 3


def new_parameter(net):
    net.module_.encoder[0].weight = nn.Parameter(2 * net.module_.encoder[0].weight.detach())


def new_layer(net):
    net.module_.decoder.append(nn.Tanh())


def hook(net):
    net.module_.encoder[0].register_forward_hook(lambda layer, given, made: 0.5 * made)


def hook_once(net):
    def halve(layer, given, made):
        handle.remove()
        return 0.5 * made

    handle = net.module_.encoder[0].register_forward_hook(halve)


def hook_gradient(net):
    net.module_.encoder[0].weight.register_hook(lambda gradient: 2 * gradient)


def hook_behind(net):
    def halve(parameter):
        parameter.grad.mul_(0.5)

    net.module_.encoder[0].weight.register_post_accumulate_grad_hook(halve)


def own_forward(net):
    net.module_.encoder[1].forward = torch.tanh


def no_dropout(net):
    for layer in net.module_.modules():
        if isinstance(layer, Dropout):
            layer.eval()


def penalise(net):
    net.criterion_.alpha = 0.5


ACTS = {
    "in place": Acts(each(lambda p: p.mul_(0.5))),
    "in place, in batches": ActsInBatches(each(lambda p: p.mul_(0.9))),
    "data replaced": Acts(each(replace)),
    "data replaced in batches": ActsInBatches(each(replace)),
    "frozen and freed": Acts(freeze, (2, 4)),
    "frozen in batches": ActsInBatches(freeze, (2, 4)),
    "learning rate": Acts(change_rate),
    "learning rate in batches": ActsInBatches(change_rate),
    "new parameter": Acts(new_parameter),
    "new parameter in batches": ActsInBatches(new_parameter),
    "new layer": Acts(new_layer),
    "new layer in batches": ActsInBatches(new_layer),
    "hook": Acts(hook),
    "hook in batches": ActsInBatches(hook),
    "hook that goes": ActsInBatches(hook_once, (2, 3)),
    "hook of a gradient": Acts(hook_gradient),
    "hook of a gradient in batches": ActsInBatches(hook_gradient),
    "hook behind": Acts(hook_behind),
    "hook behind in batches": ActsInBatches(hook_behind),
    "forward": Acts(own_forward),
    "forward in batches": ActsInBatches(own_forward),
    "no dropout": ActsInBatches(no_dropout, range(9)),
    "penalty": Acts(penalise),
    "gradients changed": ActsOnGradients(each(lambda p: p.grad.add_(0.01))),
    "gradients replaced": ActsOnGradients(each(replace_gradient)),
    "no step": ActsOnGradients(each(take_gradient_away), range(2, 5)),
    "gradients zeroed": ActsOnGradients(lambda net: net.optimizer_.zero_grad(), range(2, 5)),
}


@pytest.mark.parametrize("callback", ACTS.values(), ids=ACTS.keys())
def test_what_callbacks_do_counts_as_much_on_both_ways(callback, steps):
    X, y = data()

    def fit(callbacks):
        settings = {"callbacks": callbacks, "dropout": 0.2, "learning_rate_init": 0.01}
        return sae(**settings).fit(X, y)

    closed, by_torch = by_both(lambda: fit([callback]))
    assert len(steps) >= 3  # of the first epoch
    assert_same_fit(closed, by_torch)
    assert has_moved(closed, fit([Acts(lambda net: None)]))


@pytest.mark.parametrize("at", ["the end of epochs", "batches"])
def test_gradients_may_be_set_to_none_at_any_time(at, steps):
    X, y = data()
    kind = Acts if at == "the end of epochs" else ActsInBatches
    callback = kind(lambda net: net.optimizer_.zero_grad(), range(9))
    closed, by_torch = by_both(lambda: sae(callbacks=[callback]).fit(X, y))
    assert_same_fit(closed, by_torch)
    assert_same_fit(closed, sae(callbacks=[Acts(lambda net: None)]).fit(X, y))
    assert len(steps) == 2 * len(closed.history_) * 3


def test_callbacks_find_the_gradients_of_autograd(steps):
    """Of each batch, and with them the loss and the prediction."""

    class Looks(Callback):
        def __init__(self):
            self.seen = []

        def on_grad_computed(self, net, named_parameters, **kwargs):
            self.seen += [own.grad.clone() for _, own in named_parameters]

        def on_batch_end(self, net, loss, y_pred, **kwargs):
            self.seen += [loss.detach(), y_pred.detach().clone()]

    X, y = data()
    looks = [Looks(), Looks()]
    remaining = iter(looks)
    by_both(lambda: sae(callbacks=[next(remaining)], l1=0.1).fit(X, y))
    assert len(steps) == N_EPOCHS * 3
    assert len(looks[0].seen) >= N_EPOCHS * 3 * 8
    for own, other in zip(*(one.seen for one in looks), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def test_what_is_frozen_before_a_fit_stays(way):
    class Keeps(DenseBlock):
        def make_encoder(self, layout):
            return nn.Linear(layout.n_values, 2).requires_grad_(False), 2

    X, y = data()
    fits = [sae(blocks=[("own", Keeps(), [0])], max_iter=n, alpha=0.1).fit(X, y) for n in (1, 5)]
    kept = [parameters(own)["block_encoders.own.weight"] for own in fits]
    assert np.array_equal(*kept)
    assert has_moved(*fits)


def test_a_loss_that_diverges_is_told(way):
    X, y = data()
    with pytest.raises(DivergenceError, match="learning_rate_init"):
        sae(learning_rate_init=1e200).fit(X, y)


def test_an_interrupt_reaches_the_user(way, monkeypatch):
    """And the estimator is not fitted by it."""

    def interrupt(self, *args):
        raise KeyboardInterrupt

    where = (ClosedForm, "step") if way == "closed form" else (Objective, "data_terms")
    monkeypatch.setattr(*where, interrupt)
    X, y = data()
    estimator = sae()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert not hasattr(estimator, "net_")


# -- training that goes on


def autograd_for(patch, is_on):
    if is_on:
        patch.setattr(AutoencoderNet, "_make_closed_form", lambda self: None)


@pytest.mark.parametrize("order", [(0, 0), (0, 1), (1, 0)])
def test_training_goes_on_with_the_moments_of_either_way(order):
    """So that epochs in parts are one whole, whichever way each part is taken."""
    X, y = data()
    parts, whole = sae(dropout=0.2), sae(dropout=0.2)
    for is_autograd in order:
        with pytest.MonkeyPatch.context() as patch:
            autograd_for(patch, is_autograd)
            for _ in range(3):
                parts.partial_fit(X, y)
    for _ in range(6):
        whole.partial_fit(X, y)
    assert_same_fit(parts, whole)


def test_a_warm_start_goes_on_with_the_same_parameters(steps):
    X, y = data()
    parts = by_both(lambda: sae(warm_start=True, dropout=0.2).fit(X, y).fit(X, y))
    assert_same_fit(*parts)
    assert len(steps) == 2 * N_EPOCHS * 3


def test_files_and_copies_go_on_as_the_estimator_does(way):
    X, y = data()
    fitted = sae().fit(X, y)
    copies = [pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)]
    fitted.partial_fit(X, y)
    for own in copies:
        assert_same_fit(own.partial_fit(X, y), fitted)
    assert_same_fit(clone(fitted).fit(X, y), sae().fit(X, y))


@pytest.mark.parametrize("first", [None, "callback"])
def test_moments_go_from_one_tensor_to_many_and_back(first, way):
    """With a callback, which may freeze some, the optimizer sees each parameter on its own."""
    X, y = data()
    callbacks = [Acts(lambda net: None)]
    before, after = (None, callbacks) if first is None else (callbacks, None)
    fitted = sae(callbacks=before).fit(X, y)
    moved = pickle.loads(pickle.dumps(fitted.set_params(callbacks=None)))
    for own in (fitted, moved):
        own.set_params(callbacks=after)
        for _ in range(2):
            own.partial_fit(X, y)
        assert fitted.net_.has_one_tensor == (after is None)
    expected = sae().fit(X, y)
    for _ in range(2):
        expected.partial_fit(X, y)
    for own in (fitted, moved):
        assert_same_fit(own, expected)


def test_gradients_that_a_user_took_away_are_no_obstacle(way):
    X, y = data()
    fitted, expected = sae().fit(X, y), sae().fit(X, y)
    fitted.net_.optimizer_.zero_grad()
    fitted.net_.module_.zero_grad()
    assert_same_fit(fitted.partial_fit(X, y), expected.partial_fit(X, y))
