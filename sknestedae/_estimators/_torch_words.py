"""Names of parameters in torch and skorch, and the parameters to use here instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from .._training._allowed_callbacks import TORCH_PAGE

Init = TypeVar("Init", bound=Callable[..., None])

_CLIPPING = "use callbacks, with GradientNormClipping of skorch"
_EPOCHS = "use max_iter"
_LATENTS = "use n_components"
_LOSS = (
    "use reconstruction_loss and, of a regressor, prediction_loss; a Block may have errors of "
    "its own"
)
_LOGGER = "use callbacks, with a logger of skorch"
_MODULE = "use blocks, with a Block that makes modules of your own"
_ROWS = "use batch_size and shuffle; rows come from X, and their weights from sample_weight of fit"
_SCHEDULE = (
    "use learning_rate, or learning_rate='constant' with skorch's callback LRScheduler, which "
    "takes the schedules of torch"
)

_OPTIMIZER = (
    "the optimizer is Adam; learning_rate_init and learning_rate set its rate, alpha is the "
    "penalty on weights, and a callback can put another optimizer in its place"
)
_PRECISION = (
    "numbers are float32 where all of X are, such as X.astype('float32'), and float64 where not"
)

# For names of other packages, alone or before two underscores: what to use here.
_INSTEAD = {
    "optimizer": _OPTIMIZER,
    "momentum": _OPTIMIZER,
    "betas": _OPTIMIZER,
    "lr": "use learning_rate_init",
    "weight_decay": "use alpha",
    "criterion": _LOSS,
    "loss": _LOSS,
    "loss_fn": _LOSS,
    "module": _MODULE,
    "model": _MODULE,
    "network": _MODULE,
    "encoder": _MODULE,
    "decoder": _MODULE,
    "epochs": _EPOCHS,
    "n_epochs": _EPOCHS,
    "max_epochs": _EPOCHS,
    "patience": "use n_iter_no_change",
    "train_split": "use early_stopping and validation_fraction",
    "scheduler": _SCHEDULE,
    "lr_scheduler": _SCHEDULE,
    "iterator_train": _ROWS,
    "iterator_valid": _ROWS,
    "dataset": _ROWS,
    "sampler": _ROWS,
    "num_workers": _ROWS,
    "accelerator": "use device",
    "dtype": _PRECISION,
    "precision": _PRECISION,
    "amp": _PRECISION,
    "gradient_clip_val": _CLIPPING,
    "max_grad_norm": _CLIPPING,
    "callback": "use callbacks, a list",
    "logger": _LOGGER,
    "warmup": _SCHEDULE,
    "latent_dim": _LATENTS,
    "n_latents": _LATENTS,
    "seed": "use random_state",
}


def names_instead(init: Init) -> Init:
    """Make an ``__init__`` name the parameter to use instead of one of torch or skorch.

    Python's own error would only say that there is no such parameter.
    """

    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        check_names(type(self), kwargs, TypeError)
        init(self, *args, **kwargs)

    return checked  # type: ignore[return-value]


def check_names(owner: type, names: Iterable[str], error: type[Exception]) -> None:
    """Refuse names of parameters of torch or skorch that are no parameters here.

    Parameters
    ----------
    owner : type
        Class of the estimator.
    names : iterable of str
    error : type
        Of the exception: TypeError of an ``__init__``, ValueError of ``set_params``.
    """
    known = signature(owner).parameters
    for name in names:
        instead = _INSTEAD.get(name.partition("__")[0])
        if instead is not None and name.partition("__")[0] not in known:
            raise error(f"{owner.__name__} has no parameter {name!r}: {instead}. {TORCH_PAGE}")


def with_page(error: ValueError, parameters: dict[str, Any]) -> ValueError:
    """Add the page for users of torch to an error about a parameter, if the value is torch's.

    Parameters
    ----------
    error : ValueError
        Of scikit-learn, about the value of one parameter.
    parameters : dict
        All of them.

    Returns
    -------
    ValueError
        The same error, if the value is neither of torch nor a function.
    """
    found = re.match(r"The '(\w+)' parameter", str(error))
    value = parameters.get(found[1]) if found else None
    of_torch = type(value).__module__.split(".")[0] == "torch"
    if not (of_torch or callable(value)):
        return error
    return type(error)(f"{error} {TORCH_PAGE}")
