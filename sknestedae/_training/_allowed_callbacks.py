"""Checks of skorch's callbacks: those that a fit takes, and their settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from skorch import NeuralNet
from skorch import callbacks as of_skorch
from skorch.callbacks import Callback
from skorch.callbacks.scoring import ScoringBase
from torch.optim.lr_scheduler import ReduceLROnPlateau

# The end of a message about what torch or skorch has, and an estimator takes otherwise or not.
TORCH_PAGE = "See 'For torch users' in the user guide."


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit that a callback's settings must agree with.

    Parameters
    ----------
    learning_rate : str
        The estimator's schedule: "constant", "cosine" or "plateau".
    holds_out : bool
        Whether some rows are held out, so that the history has a ``valid_loss``.
    is_part : bool
        Whether it is one epoch of ``partial_fit``.
    goes_on : bool
        Whether it begins with the parameters of an earlier fit.
    is_quiet : bool
        Whether ``verbose`` is 0.
    """

    learning_rate: str
    holds_out: bool
    is_part: bool
    goes_on: bool
    is_quiet: bool


# ---------------------------------------------------------------------------------------------
# Rules: each says what is wrong and what to use instead, or gives None if nothing is


def _sets_rate(callback: of_skorch.LRScheduler, fit: FitSettings) -> str | None:
    if fit.is_part:
        return (
            "partial_fit runs one epoch at a constant learning rate. Set learning_rate_init "
            "between its calls"
        )
    if fit.learning_rate != "constant":
        return (
            f"learning_rate={fit.learning_rate!r} sets the learning rate, too. Set "
            "learning_rate='constant', or leave the callback out"
        )
    if callback.step_every == "batch" and monitored(callback) is not None:
        return "no losses of batches are recorded to monitor. Use step_every='epoch'"
    return _monitors(callback, fit)


def _monitors(callback: Callback, fit: FitSettings) -> str | None:
    name = monitored(callback)
    if name is not None and name in _OF_HELD_OUT and not fit.holds_out:
        return (
            f"it monitors {name!r}, and no rows are held out. Set early_stopping=True, which "
            f"holds rows out in fit (never in partial_fit), or monitor "
            f"{name.replace('valid', 'train')!r}"
        )
    return None


def _keeps_an_epoch(
    callback: of_skorch.Checkpoint | of_skorch.EarlyStopping, fit: FitSettings
) -> str | None:
    if callback.load_best:
        return (
            "with load_best=True it restores another epoch than best_iter_ says. Use "
            "early_stopping=True of the estimator, which keeps the epoch with the lowest "
            "valid_loss"
        )
    return _monitors(callback, fit)


def _loads(callback: of_skorch.LoadInitState, fit: FitSettings) -> str | None:
    if fit.is_part or fit.goes_on:
        return (
            "its file would replace the parameters of the last fit. Leave it out where training "
            "goes on with warm_start or partial_fit"
        )
    if callback.checkpoint.f_history is None:
        return (
            "its checkpoint has f_history=None, and epochs are counted by the history. Let the "
            "checkpoint keep it"
        )
    return None


def _logs_batches(callback: Callback, fit: FitSettings) -> str | None:
    if callback.log_on_batch_end:
        return "the history holds no batches to log. Use log_on_batch_end=False"
    return None


def _saves_best(callback: of_skorch.WandbLogger, fit: FitSettings) -> str | None:
    if callback.save_model and not fit.holds_out:
        return (
            "with save_model=True it monitors 'valid_loss_best', and no rows are held out. Set "
            "early_stopping=True, which holds rows out in fit (never in partial_fit), or "
            "save_model=False"
        )
    return None


def _prints(callback: of_skorch.PrintLog, fit: FitSettings) -> str | None:
    if callback.sink is print and fit.is_quiet:
        return "it prints nothing where verbose is 0. Set verbose=1, or give it a sink of its own"
    return None


def _counts_batches(callback: of_skorch.ProgressBar, fit: FitSettings) -> str | None:
    if callback.batches_per_epoch == "count":
        return "the history holds no batches to be counted. Use batches_per_epoch='auto'"
    return None


_NO_SCORES = (
    "batches are not pairs of X and y, so that there is nothing that it could score. Read the "
    "terms in history_, such as train_prediction, or score after fit"
)

_NO_BATCHES = (
    "the history holds no batches, so that there is nothing to take a mean of. The losses of an "
    "epoch are in history_ already; a Callback of your own may record more in on_epoch_end"
)

_NO_WIDTH = "the network takes its width from the table. Leave it out"

_NO_CALLBACK = "it is a schedule and no callback. Use LRScheduler(policy=WarmRestartLR)"

# The callbacks of skorch, each with its decision: taken always (None), never (why), or by a rule.
# A subclass is decided as its bases are.
DECISIONS: dict[type, str | Callable[[Callback, FitSettings], str | None] | None] = {
    Callback: None,
    ScoringBase: _NO_SCORES,
    of_skorch.BatchScoring: _NO_SCORES,
    of_skorch.Checkpoint: _keeps_an_epoch,
    of_skorch.EarlyStopping: _keeps_an_epoch,
    of_skorch.EpochScoring: _NO_SCORES,
    of_skorch.EpochTimer: None,
    of_skorch.Freezer: None,
    of_skorch.GradientNormClipping: None,
    of_skorch.Initializer: None,
    of_skorch.InputShapeSetter: _NO_WIDTH,
    of_skorch.LRScheduler: _sets_rate,
    of_skorch.LoadInitState: _loads,
    of_skorch.MlflowLogger: _logs_batches,
    of_skorch.NeptuneLogger: _logs_batches,
    of_skorch.ParamMapper: None,
    of_skorch.PassthroughScoring: _NO_BATCHES,
    of_skorch.PrintLog: _prints,
    of_skorch.ProgressBar: _counts_batches,
    of_skorch.SacredLogger: _logs_batches,
    of_skorch.TensorBoard: None,
    of_skorch.TrainEndCheckpoint: None,
    of_skorch.Unfreezer: None,
    of_skorch.WandbLogger: _saves_best,
    of_skorch.WarmRestartLR: _NO_CALLBACK,
}


_OF_HELD_OUT = ("valid_loss", "valid_loss_best", "valid_reconstruction", "valid_prediction")


# ---------------------------------------------------------------------------------------------
# Checks


def check_callbacks(callbacks: list | None, fit: FitSettings) -> list:
    """Check the parameter ``callbacks``.

    Parameters
    ----------
    callbacks : list or None
        As in the estimator.
    fit : FitSettings

    Returns
    -------
    list of Callback or of (str, Callback)
        Classes are made to instances.
    """
    checked: list = []
    for entry in callbacks or []:
        is_pair = isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)
        callback = _as_instance(entry[1] if is_pair else entry, entry)
        for base in type(callback).__mro__:
            rule = DECISIONS.get(base)
            reason = rule(callback, fit) if callable(rule) else None
            if reason is not None:
                raise _refusal(type(callback), base, reason)
        if isinstance(callback, of_skorch.LoadInitState):
            callback.checkpoint.initialize()  # a clone's checkpoint is its own, and in no list
        checked.append((entry[0], callback) if is_pair else callback)
    return checked


def _as_instance(given: object, entry: object) -> Callback:
    """Return a callback, or make an instance of a class of callbacks."""
    cls = given if isinstance(given, type) else type(given)
    for base in cls.__mro__:
        reason = DECISIONS.get(base)
        if isinstance(reason, str):
            raise _refusal(cls, base, reason)
    if not issubclass(cls, Callback):
        raise ValueError(
            "The 'callbacks' parameter must be a list of callbacks of skorch, or of "
            f"(name, callback) pairs, got {entry!r} in it. {TORCH_PAGE}"
        )
    if given is not cls:
        return given
    try:
        return cls()
    except TypeError as error:
        raise ValueError(
            f"The 'callbacks' parameter has the class {cls.__name__}, which cannot be made "
            f"without arguments ({error}). Give an instance of it."
        ) from error


def _refusal(cls: type, base: type, reason: str) -> ValueError:
    name = cls.__name__ if base is cls else f"{cls.__name__}, a {base.__name__}"
    return ValueError(f"The 'callbacks' parameter cannot have the callback {name}: {reason}.")


def monitored(callback: Callback) -> str | None:
    """Return the entry of the history that a callback of skorch monitors, if it names one."""
    if isinstance(callback, of_skorch.LRScheduler):
        policy = callback.policy
        is_class = isinstance(policy, type) and issubclass(policy, ReduceLROnPlateau)
        if not is_class and policy != ReduceLROnPlateau.__name__:
            return None
    elif not isinstance(callback, of_skorch.Checkpoint | of_skorch.EarlyStopping):
        return None
    return callback.monitor if isinstance(callback.monitor, str) else None


def check_monitored(callback: Callback, row: Mapping[str, object]) -> None:
    """Refuse to monitor an entry that an epoch of the history does not have."""
    name = monitored(callback)
    if name is not None and name not in row:
        known = sorted(key for key in row if key not in ("batches", "epoch"))
        raise ValueError(
            f"The 'callbacks' parameter has the callback {type(callback).__name__}, which "
            f"monitors {name!r}. The history does not hold it, but {known}. A callback that "
            "records it must come before."
        )


def check_begun(callback: Callback, net: NeuralNet) -> None:
    """Refuse a callback that would do nothing, as is known where training begins.

    Parameters
    ----------
    callback : Callback
        One of ``net.callbacks_``, all of which have begun.
    net : NeuralNet
        Initialized.
    """
    if isinstance(callback, of_skorch.ParamMapper):
        _check_patterns(callback, net)
    schedule = getattr(callback, "lr_scheduler_", None)
    if not isinstance(callback, of_skorch.LRScheduler) or schedule is None:
        return
    if schedule.optimizer is not net.optimizer_:
        raise ValueError(
            f"The 'callbacks' parameter has the callback {type(callback).__name__} before one "
            "that puts another optimizer in the place of Adam, so that the rate of the other one "
            "would stay as it is. Let the callback with the optimizer stand before."
        )


def _check_patterns(callback: of_skorch.ParamMapper, net: NeuralNet) -> None:
    """Refuse a pattern that no parameter's name matches; skorch would go on without a word."""
    parameters = list(callback.named_parameters(net))
    for pattern in callback.patterns:
        if not any(True for _ in callback.filter_parameters([pattern], parameters)):
            raise ValueError(
                f"The 'callbacks' parameter has the callback {type(callback).__name__} with the "
                f"pattern {pattern!r}, which matches no parameter of the network. Its parameters "
                f"are {[name for name, _ in parameters]}."
            )
