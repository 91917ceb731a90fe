"""Each callback of skorch works in a fit, or is refused in words that help."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from cases.supervised import TINY, regression
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch import callbacks as of_skorch
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    NeptuneLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
    WarmRestartLR,
)
from skorch.callbacks.scoring import ScoringBase
from torch.optim import lr_scheduler

from sknestedae import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from sknestedae._training._allowed_callbacks import DECISIONS

WEIGHT = "encoder.0.weight"


def make(*callbacks, **settings):
    settings = {**TINY, "learning_rate": "constant", "batch_size": 20, **settings}
    return SupervisedAutoencoder(**settings, callbacks=list(callbacks))


def weights_of(estimator):
    return dict(estimator.net_.module_.named_parameters())[WEIGHT].detach().clone()


def same_parameters(first, second):
    states = first.state_dict(), second.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class Follows(Callback):
    """Keep the first weights at the end of each epoch, and the largest norm of the gradients."""

    def on_train_begin(self, net, **kwargs):
        self.weights_, self.norm_ = [], 0.0

    def on_grad_computed(self, net, named_parameters, **kwargs):
        gradients = [p.grad for _, p in named_parameters if p.grad is not None]
        self.norm_ = max(self.norm_, float(torch.nn.utils.get_total_norm(gradients)))

    def on_epoch_end(self, net, **kwargs):
        self.weights_.append(net.module_.get_parameter(WEIGHT).detach().clone())


class Run:
    """What stands in for the runs, writers and clients of packages that log."""

    def __init__(self, folder="", path="", logged=None):
        self.dir = self.folder = str(folder)
        self.path, self.logged = path, [] if logged is None else logged
        self.info = SimpleNamespace(run_id="run")

    def note(self, *values, **named):
        self.logged.append((self.path, *values, *named.values()))

    log = log_scalar = add_scalar = log_metric = append = note
    watch = stop = close = set_terminated = log_artifact = note

    def __getitem__(self, name):
        return Run(self.folder, f"{self.path}/{name}", self.logged)

    def __setitem__(self, name, value):
        self.note(name, value)

    def losses(self):
        """Give the numbers that came with the name of the loss."""
        rows = [
            row for row in self.logged if "train_loss" in str(row) or "train/epoch/loss" in row[0]
        ]
        flat = [list(row[1].values()) if isinstance(row[1], dict) else row for row in rows]
        return [value for row in flat for value in row]


# -- what works: each gives callbacks of a folder, and checks what they did


def check_nothing_changes(estimator, X, y, folder):
    plain = make(Callback()).fit(X, y)
    assert_array_equal(estimator.predict(X), plain.predict(X))


def check_timer(estimator, X, y, folder):
    check_nothing_changes(estimator, X, y, folder)
    assert (estimator.history_["dur"] > 0).all()


def check_files(estimator, X, y, folder):
    """What was saved is the fitted network: the loss falls in each of these few epochs."""
    check_nothing_changes(estimator, X, y, folder)
    for kind in ("params.pt", "optimizer.pt", "criterion.pt", "history.json"):
        assert next(folder.glob(f"*{kind}")).stat().st_size
    with next(folder.glob("*net.pkl")).open("rb") as file:
        assert same_parameters(pickle.load(file).module_, estimator.net_.module_)
    saved = torch.load(next(folder.glob("*params.pt")), weights_only=True)
    assert torch.equal(saved[WEIGHT], weights_of(estimator))


def check_early_stopping(estimator, X, y, folder):
    assert estimator.n_iter_ == 3
    stopped = make(Callback(), max_iter=3).fit(X, y)
    assert_array_equal(estimator.predict(X), stopped.predict(X))


def check_frozen(estimator, X, y, folder):
    first, second, *later = estimator.callbacks[1].weights_
    assert not torch.equal(first, second)
    assert all(torch.equal(second, weight) for weight in later)


def check_thawed(estimator, X, y, folder):
    first, second, third, *_ = estimator.callbacks[-1].weights_
    assert torch.equal(first, second)
    assert not torch.equal(second, third)


def check_initialized(estimator, X, y, folder):
    """The weights were 1 before the first step, and a step of Adam is no larger than its rate."""
    n_steps = 3  # of 20 of 60 rows
    rate = estimator.learning_rate_init
    first = estimator.callbacks[1].weights_[0]
    assert (first - 1).abs().max() <= 1.01 * n_steps * rate


def check_clipped(estimator, X, y, folder):
    bound = 1e-3
    assert estimator.callbacks[1].norm_ <= 1.01 * bound  # a sum of squares is rounded
    spy = Follows()
    make(spy).fit(X, y)
    assert spy.norm_ > 10 * bound


def check_logged(estimator, X, y, folder):
    check_nothing_changes(estimator, X, y, folder)
    runs = [value for value in vars(estimator.callbacks[0]).values() if isinstance(value, Run)]
    logged = {value for run in runs for value in run.losses()}
    assert set(estimator.history_["train_loss"]) <= logged


def check_printed(estimator, X, y, folder):
    check_nothing_changes(estimator, X, y, folder)
    lines = estimator.callbacks[0].sink.lines
    assert len(lines) == 2 + estimator.n_iter_  # the head, and a row an epoch
    assert f"{estimator.history_['train_loss'].iloc[-1]:.4f}" in lines[-1]


def check_rates(estimator, X, y, folder):
    rates = 0.003 * 0.1 ** np.array([0, 0, 1, 1, 2])
    np.testing.assert_allclose(estimator.history_["learning_rate"], rates, rtol=1e-12)


def check_loaded(estimator, X, y, folder):
    """It goes on where the other fit ended, as one fit of twice the epochs does."""
    whole = make(Callback(), max_iter=10).fit(X, y)
    np.testing.assert_array_equal(
        estimator.history_["train_loss"], whole.history_["train_loss"].to_numpy()
    )
    assert_array_equal(estimator.predict(X), whole.predict(X))


class Lines:
    """A sink that keeps its lines."""

    def __init__(self):
        self.lines = []

    def __call__(self, line):
        self.lines.append(line)


def ones(parameter):
    parameter.data.fill_(1.0)


def checkpoint(folder):
    return Checkpoint("train_loss_best", f_pickle="net.pkl", dirname=str(folder))


def loads(folder):
    saved = TrainEndCheckpoint(dirname=str(folder))
    make(saved).fit(*regression())
    return [LoadInitState(TrainEndCheckpoint(dirname=str(folder)))]


WORKS = {
    "Callback": (lambda folder: [Callback], check_nothing_changes),
    "Checkpoint": (lambda folder: [checkpoint(folder)], check_files),
    "EarlyStopping": (
        lambda folder: [EarlyStopping("train_loss", 2, 1e9, "abs")],
        check_early_stopping,
    ),
    "EpochTimer": (lambda folder: [EpochTimer], check_timer),
    "Freezer": (lambda folder: [Freezer(WEIGHT, at=3), Follows()], check_frozen),
    "GradientNormClipping": (
        lambda folder: [GradientNormClipping(1e-3), Follows()],
        check_clipped,
    ),
    "Initializer": (lambda folder: [Initializer(WEIGHT, fn=ones), Follows()], check_initialized),
    "LRScheduler": (lambda folder: [LRScheduler("StepLR", step_size=2)], check_rates),
    "LoadInitState": (loads, check_loaded),
    "MlflowLogger": (lambda folder: [MlflowLogger(client=Run(), run=Run())], check_logged),
    "NeptuneLogger": (lambda folder: [NeptuneLogger(Run())], check_logged),
    "ParamMapper": (lambda folder: [ParamMapper(WEIGHT, fn=ones), Follows()], check_initialized),
    "PrintLog": (lambda folder: [PrintLog(sink=Lines())], check_printed),
    "ProgressBar": (lambda folder: [ProgressBar(detect_notebook=False)], check_nothing_changes),
    "SacredLogger": (lambda folder: [SacredLogger(Run())], check_logged),
    "TensorBoard": (lambda folder: [TensorBoard(Run())], check_logged),
    "TrainEndCheckpoint": (
        lambda folder: [TrainEndCheckpoint(f_pickle="net.pkl", dirname=str(folder))],
        check_files,
    ),
    "Unfreezer": (
        lambda folder: [Freezer(WEIGHT), Unfreezer(WEIGHT, at=3), Follows()],
        check_thawed,
    ),
    "WandbLogger": (lambda folder: [WandbLogger(Run(folder), save_model=False)], check_logged),
}

# -- what is refused: a callback, settings of the estimator, and words of the remedy

REFUSED = {
    "BatchScoring": [(lambda: BatchScoring("r2"), {}, "Read the terms in history_")],
    "Checkpoint": [
        (Checkpoint, {}, "early_stopping=True.*or monitor 'train_loss_best'"),
        (lambda: Checkpoint("train_loss_best", load_best=True), {}, "Use early_stopping=True"),
    ],
    "EarlyStopping": [
        (EarlyStopping, {}, "early_stopping=True.*or monitor 'train_loss'"),
        (lambda: EarlyStopping("train_loss", load_best=True), {}, "Use early_stopping=True"),
    ],
    "EpochScoring": [
        (lambda: EpochScoring("r2"), {}, "Read the terms in history_"),
        (lambda: EpochScoring("r2", use_caching=False), {}, "Read the terms in history_"),
    ],
    "InputShapeSetter": [(InputShapeSetter, {}, "takes its width from the table")],
    "LRScheduler": [
        (LRScheduler, {"learning_rate": "cosine"}, "Set learning_rate='constant'"),
        (LRScheduler, {"learning_rate": "plateau"}, "Set learning_rate='constant'"),
        (
            lambda: LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
            {},
            "early_stopping=True.*or monitor 'train_loss'",
        ),
        (
            lambda: LRScheduler(lr_scheduler.ReduceLROnPlateau, step_every="batch"),
            {},
            "Use step_every='epoch'",
        ),
    ],
    "LoadInitState": [
        (lambda: LoadInitState(Checkpoint(f_history=None)), {}, "f_history=None"),
    ],
    "MlflowLogger": [
        (lambda: MlflowLogger(Run(), Run(), log_on_batch_end=True), {}, "log_on_batch_end=False")
    ],
    "NeptuneLogger": [
        (lambda: NeptuneLogger(Run(), log_on_batch_end=True), {}, "log_on_batch_end=False")
    ],
    "PassthroughScoring": [
        (lambda: PassthroughScoring("score"), {}, "Callback of your own may record")
    ],
    "PrintLog": [(PrintLog, {}, "Set verbose=1")],
    "ProgressBar": [
        (lambda: ProgressBar(batches_per_epoch="count"), {}, "batches_per_epoch='auto'")
    ],
    "SacredLogger": [
        (lambda: SacredLogger(Run(), log_on_batch_end=True), {}, "log_on_batch_end=False")
    ],
    "WandbLogger": [(lambda: WandbLogger(Run()), {}, "or save_model=False")],
    "WarmRestartLR": [(lambda: WarmRestartLR, {}, r"LRScheduler\(policy=WarmRestartLR\)")],
}


@pytest.fixture
def neptune(monkeypatch):
    """Stand in for the package, which NeptuneLogger imports for two of its classes."""
    package, types, handler = (ModuleType(f"neptune{n}") for n in ("", ".types", ".handler"))
    types.File = SimpleNamespace(from_content=lambda content, extension: content)
    handler.Handler = type("Handler", (), {})
    for module in (package, types, handler):
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize("name", of_skorch.__all__)
def test_callback_of_skorch_works_or_is_refused(name, tmp_path, neptune, capsys, monkeypatch):
    """A callback that skorch adds fails here until somebody has decided."""
    monkeypatch.chdir(tmp_path)  # where it writes if it is not refused
    assert getattr(of_skorch, name) in DECISIONS
    assert name in WORKS or name in REFUSED
    X, y = regression()
    for give, settings, remedy in REFUSED.get(name, []):
        sae = make(give(), **settings)
        with pytest.raises(ValueError, match=f"'callbacks' parameter .* {name}: .*{remedy}"):
            sae.fit(X, y)
        assert not hasattr(sae, "net_")
    if name in WORKS:
        give, check = WORKS[name]
        folder = tmp_path / "files"
        folder.mkdir()
        check(make(*give(folder)).fit(X, y), X, y, folder)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(set(WORKS) - {"LRScheduler", "LoadInitState"}))
def test_callback_of_skorch_where_training_goes_on(name, tmp_path, neptune):
    """Parts of a fit are the fit, whatever the callback; so is a fit again, and of a clone."""
    X, y = regression()
    give, _ = WORKS[name]
    whole = make(*give(tmp_path), max_iter=3).fit(X, y)
    parts = make(*give(tmp_path))
    for _ in range(3):
        parts.partial_fit(X, y)
    assert parts.n_iter_ == 3
    assert_array_equal(parts.predict(X), whole.predict(X))
    if name not in ("MlflowLogger", "NeptuneLogger"):  # which skorch cannot clone once used
        assert_array_equal(clone(whole).fit(X, y).predict(X), whole.predict(X))
    again = pickle.loads(pickle.dumps(whole)).set_params(warm_start=True).fit(X, y)
    assert_array_equal(again.predict(X), whole.set_params(warm_start=True).fit(X, y).predict(X))
    assert again.n_iter_ == 6


@pytest.mark.parametrize("early_stopping", [True, False])
def test_bar_of_skorch_counts_all_batches(early_stopping, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, leave):
            self.total, self.n = total, 0
            bars.append(self)

        def update(self):
            self.n += 1

        def set_postfix(self, *args, **kwargs):
            pass

        close = set_postfix

    monkeypatch.setattr("skorch.callbacks.logging.tqdm.tqdm", Bar)
    X, y = regression()
    settings = {"early_stopping": early_stopping, "validation_fraction": 0.5, "batch_size": 7}
    make(ProgressBar(detect_notebook=False), **settings).fit(X, y)
    assert len(bars) == 5
    assert all(bar.n == bar.total for bar in bars)


# -- monitors


@pytest.mark.parametrize(
    "callback",
    [
        Checkpoint("score", dirname=""),
        EarlyStopping("score"),
        LRScheduler("ReduceLROnPlateau", monitor="score"),
    ],
)
def test_monitor_that_the_history_does_not_hold(callback):
    X, y = regression()
    with pytest.raises(ValueError, match=r"monitors 'score'.*does not hold it.*'train_loss'"):
        make(callback).fit(X, y)

    class Records(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("score", 0.0)

    if not isinstance(callback, Checkpoint):  # which would write files here
        make(Records(), callback).fit(X, y)


@pytest.mark.parametrize("callback", [EarlyStopping(), EarlyStopping("valid_prediction")])
def test_held_out_rows_may_be_monitored(callback):
    X, y = regression()
    make(callback, early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match="no rows are held out"):
        make(callback, early_stopping=True).partial_fit(X, y)


def test_best_network_of_wandb(tmp_path):
    X, y = regression()
    sae = make(WandbLogger(Run(tmp_path)), early_stopping=True, max_iter=3).fit(X, y)
    saved = torch.load(tmp_path / "best_model.pth", weights_only=True)
    assert sae.best_iter_ == 3
    assert torch.equal(saved[WEIGHT], weights_of(sae))


# -- learning rates


def rates_alone(policy, n_steps, losses=None, **settings):
    """Give the rates of a scheduler of torch with an optimizer that nothing is trained by."""
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=0.003)
    scheduler = policy(optimizer, **settings)
    rates = []
    for k in range(n_steps):
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step(*([] if losses is None else [losses[k]]))
    return rates


POLICIES = [
    ("epoch", lr_scheduler.StepLR, {"step_size": 2}),
    ("epoch", lr_scheduler.ExponentialLR, {"gamma": 0.5}),
    ("epoch", lr_scheduler.CosineAnnealingLR, {"T_max": 5}),
    ("epoch", lr_scheduler.LinearLR, {"total_iters": 3}),
    ("epoch", WarmRestartLR, {"base_period": 2}),
    ("batch", lr_scheduler.OneCycleLR, {"max_lr": 0.01, "total_steps": 15}),
    ("batch", lr_scheduler.CyclicLR, {"base_lr": 1e-4, "max_lr": 0.01, "step_size_up": 4}),
]


@pytest.mark.parametrize(("step_every", "policy", "settings"), POLICIES)
def test_rates_are_those_of_torch_alone(step_every, policy, settings):
    """In a first fit, and anew where training goes on."""
    X, y = regression()
    callback = LRScheduler(policy, step_every=step_every, **settings)
    sae = make(callback, warm_start=True).fit(X, y)
    per_epoch = {"epoch": 1, "batch": 3}[step_every]
    expected = rates_alone(policy, 5 * per_epoch, **settings)[::per_epoch]
    assert len(set(expected)) > 1
    assert sae.history_["learning_rate"].tolist() == expected
    assert sae.fit(X, y).history_["learning_rate"].tolist() == 2 * expected


def test_rates_on_a_plateau_are_those_of_torch_alone():
    X, y = regression()
    settings = {"patience": 0, "threshold": 0.1}
    sae = make(LRScheduler("ReduceLROnPlateau", **settings)).fit(X, y)
    losses = sae.history_["train_loss"].tolist()
    expected = rates_alone(lr_scheduler.ReduceLROnPlateau, 5, losses, **settings)
    assert len(set(expected)) > 1
    assert sae.history_["learning_rate"].tolist() == expected


@pytest.mark.parametrize("learning_rate", ["constant", "cosine"])
def test_schedule_in_partial_fit(learning_rate):
    X, y = regression()
    sae = make(LRScheduler("StepLR", step_size=1), learning_rate=learning_rate)
    with pytest.raises(ValueError, match="Set learning_rate_init between its calls"):
        sae.partial_fit(X, y)


class AnotherOptimizer(Callback):
    def on_train_begin(self, net, **kwargs):
        net.optimizer_ = torch.optim.SGD(net.module_.parameters(), lr=net.lr)


def test_schedule_of_an_optimizer_that_is_replaced():
    """It would change the rate of the Adam that no longer trains."""
    X, y = regression()
    schedule = LRScheduler("StepLR", step_size=2)
    with pytest.raises(ValueError, match=r"LRScheduler before one .* with the optimizer stand"):
        make(schedule, AnotherOptimizer()).fit(X, y)
    check_rates(make(AnotherOptimizer(), schedule).fit(X, y), X, y, None)


# -- what is frozen


@pytest.mark.parametrize("pattern", ["encoders.*", [WEIGHT, "encoders.*"]])
def test_pattern_that_matches_nothing(pattern):
    X, y = regression()
    with pytest.raises(
        ValueError, match=r"Freezer .* 'encoders\.\*', .* no parameter .*'encoder\.0"
    ):
        make(Freezer(pattern)).fit(X, y)


def test_what_is_frozen_later_stays_as_it_was_learnt():
    X, y = regression()
    sae = make(warm_start=True).fit(X, y)
    learnt = weights_of(sae)
    sae.set_params(callbacks=[Freezer(WEIGHT)]).fit(X, 2 * y)
    assert torch.equal(weights_of(sae), learnt)
    sae.partial_fit(X, y)
    assert torch.equal(weights_of(sae), learnt)
    sae.set_params(callbacks=[Unfreezer(WEIGHT)]).fit(X, y)
    assert not torch.equal(weights_of(sae), learnt)


@pytest.mark.parametrize("order", [1, -1])
def test_epochs_that_are_over_act_in_their_order(order):
    X, y = regression()
    sae = make(warm_start=True).fit(X, y)
    learnt = weights_of(sae)
    callbacks = [Freezer(WEIGHT, at=2), Unfreezer(WEIGHT, at=1)][::order]
    sae.set_params(callbacks=callbacks).fit(X, y)
    assert torch.equal(weights_of(sae), learnt)


# -- files of an earlier fit


def test_what_was_frozen_stays_so_after_a_file(tmp_path):
    X, y = regression()
    saved = TrainEndCheckpoint(dirname=str(tmp_path))
    first = make(Freezer(WEIGHT), saved).fit(X, y)
    second = make(LoadInitState(saved), Freezer(WEIGHT)).fit(X, y)
    assert second.n_iter_ == 2 * first.n_iter_
    assert torch.equal(weights_of(second), weights_of(first))


@pytest.mark.parametrize("learning_rate", ["constant", "cosine"])
def test_learning_rate_is_not_loaded(tmp_path, learning_rate):
    """The file holds that of its last epoch, which after a cosine is nearly 0."""
    X, y = regression()
    first = make(TrainEndCheckpoint(dirname=str(tmp_path)), learning_rate=learning_rate).fit(X, y)
    callbacks = [EpochTimer(), LoadInitState(TrainEndCheckpoint(dirname=str(tmp_path)))]
    sae = make(*callbacks, learning_rate=learning_rate, learning_rate_init=0.006).fit(X, y)
    rates = first.history_["learning_rate"].to_numpy()
    assert_array_equal(sae.history_["learning_rate"], [*rates, *(2 * rates)])


def half(epoch):
    return 0.5**epoch


@pytest.mark.parametrize(
    ("policy", "settings"),
    [(lr_scheduler.StepLR, {"step_size": 2}), (lr_scheduler.LambdaLR, {"lr_lambda": half})],
)
@pytest.mark.parametrize("order", [1, -1])
def test_schedule_begins_anew_after_a_file(tmp_path, order, policy, settings):
    """A policy may begin at the last rate of the file's optimizer, or at its first."""
    X, y = regression()
    saved = TrainEndCheckpoint(dirname=str(tmp_path))
    make(LRScheduler(policy, **settings), saved).fit(X, y)
    callbacks = [LoadInitState(saved), LRScheduler(policy, **settings)][::order]
    sae = make(*callbacks, learning_rate_init=0.006).fit(X, y)
    expected = rates_alone(policy, 5, **settings)
    assert_array_equal(sae.history_["learning_rate"], [*expected, *(2 * np.array(expected))])


def test_the_epoch_that_is_kept_is_saved_in_the_end(tmp_path):
    X, y = regression()
    settings = {"early_stopping": True, "learning_rate_init": 1.0, "max_iter": 30}  # it rises, too
    sae = make(TrainEndCheckpoint(dirname=str(tmp_path)), **settings).fit(X, y)
    assert sae.best_iter_ < sae.n_iter_
    saved = torch.load(tmp_path / "train_end_params.pt", weights_only=True)
    assert torch.equal(saved[WEIGHT], weights_of(sae))


def test_no_file_is_loaded_where_training_goes_on(tmp_path):
    X, y = regression()
    callback = LoadInitState(TrainEndCheckpoint(dirname=str(tmp_path)))  # there is none yet
    sae = make(callback, warm_start=True).fit(X, y)
    for fit in (sae.fit, sae.partial_fit):
        with pytest.raises(ValueError, match="would replace the parameters of the last fit"):
            fit(X, y)


# -- however they are given


class MyScoring(EpochScoring):
    """A user's, of a class that is refused."""


class ScoresItself(ScoringBase):
    """A user's, of the class below those that are refused."""


class MyScheduler(LRScheduler):
    """A user's, of a class with a rule."""


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (("r2", EpochScoring("r2")), "EpochScoring"),
        (EpochScoring, "EpochScoring"),
        (("r2", EpochScoring), "EpochScoring"),
        (MyScoring("r2"), "MyScoring, a EpochScoring"),
        (ScoresItself, "ScoresItself, a ScoringBase"),
        (LRScheduler, "LRScheduler"),
        (("rate", LRScheduler), "LRScheduler"),
        (MyScheduler(), "MyScheduler, a LRScheduler"),
        (("rate", MyScheduler), "MyScheduler, a LRScheduler"),
        (WarmRestartLR, "WarmRestartLR"),
    ],
)
@pytest.mark.parametrize("cls", [SupervisedAutoencoder, SupervisedAutoencoderClassifier])
def test_refused_however_it_is_given(cls, entry, name):
    X, y = regression()
    model = cls(**{**TINY, "callbacks": [EpochTimer(), entry]})
    for estimator in (model, clone(model), clone(model).set_params(n_members=2)):
        with pytest.raises(ValueError, match=f"'callbacks' parameter cannot have .* {name}: "):
            estimator.fit(X, y > 0)


def test_refused_in_a_search():
    X, y = regression()
    search = GridSearchCV(make(EpochScoring("r2")), {"alpha": [0.1, 0.2]}, cv=2)
    with pytest.raises(ValueError, match="'callbacks' parameter cannot have the callback Epoch"):
        search.fit(X, y)


def test_class_that_needs_arguments():
    X, y = regression()
    with pytest.raises(
        ValueError, match=r"'callbacks' parameter .* Freezer, which cannot be made"
    ):
        make(Freezer).fit(X, y)


@pytest.mark.parametrize("entry", [(3, EpochTimer()), ("a", EpochTimer(), 1), "timer", ["a", 1]])
def test_what_is_no_callback(entry):
    X, y = regression()
    with pytest.raises(ValueError, match="'callbacks' parameter must be a list of callbacks"):
        make(entry).fit(X, y)


def test_log_is_printed_where_the_estimator_is_not_quiet(capsys):
    X, y = regression()
    make(PrintLog(), verbose=1).fit(X, y)
    assert "train_loss" in capsys.readouterr().out
