"""Settings of torch and scikit-learn around a call, which must not reach its result.

A user may train another network under a default dtype, a default device, ``torch.no_grad()``,
autocast, or a configuration of scikit-learn. A call of this package gives the same numbers there
as elsewhere, and leaves all of these settings as they were.

Other settings are passed on: ``assume_finite``, ``skip_parameter_validation`` and
``working_memory`` of scikit-learn are choices about checks and memory, ``sparse_interface`` and
``display`` change no number, and neither do torch's deterministic algorithms and its search for
anomalies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import torch
from sklearn import config_context, get_config

from ._notices import Notices
from ._tables._input import as_array

F = TypeVar("F", bound=Callable[..., Any])

# What scikit-learn's code inside of a call sees. ``print_changed_only`` changes the ``repr`` of
# a block, by which a later fit tells whether the block is still the same.
_CONFIG = {
    "array_api_dispatch": False,
    "enable_cython_pairwise_dist": True,
    "enable_metadata_routing": False,
    "pairwise_dist_chunk_size": 256,
    "print_changed_only": True,
    "transform_output": "default",
}
_CONFIG_BUT_OUTPUT = {key: value for key, value in _CONFIG.items() if key != "transform_output"}
_AUTOCAST_DEVICES = ("cpu", "cuda", "mps", "xpu")


# ---------------------------------------------------------------------------------------------
# torch


class _Precision(NamedTuple):
    """The precision of products of float32 matrices.

    From 2.9 on torch has one for each backend beside the old one for all, and the old one can
    not be read where they do not agree. To set it to "highest" makes all of them agree.

    Parameters
    ----------
    common : str or None
        The old setting; None where it cannot be read.
    backends : tuple of str
        Those of each backend; empty before torch 2.9, and where all are as in a new process.
    """

    common: str | None
    backends: tuple[str, ...]

    @classmethod
    def read(cls) -> _Precision:
        """Return the precision that is set; all that round to no fewer digits are the same."""
        try:
            common = torch.get_float32_matmul_precision()
        except RuntimeError:
            common = None
        backends = tuple([backend.fp32_precision for backend in _BACKENDS])
        if common == "highest" and "tf32" not in backends and "bf16" not in backends:
            return _FULL_PRECISION
        return cls(common, backends)

    def write(self) -> None:
        """Set it."""
        torch.set_float32_matmul_precision(self.common or "highest")
        for backend, value in zip(_BACKENDS, self.backends, strict=False):
            if backend.fp32_precision != value:
                backend.fp32_precision = value


_FULL_PRECISION = _Precision("highest", ())
_backends: list[Any] = [torch.backends.mkldnn, torch.backends.cuda]
_BACKENDS = tuple(
    backend.matmul
    for backend in _backends
    if hasattr(getattr(backend, "matmul", None), "fp32_precision")
)


class _Setting(NamedTuple):
    """A setting of torch that holds for all threads.

    Parameters
    ----------
    read, write : callable
    plain : object
        Its value in a new process.
    """

    read: Callable[[], object]
    write: Callable[[Any], None]
    plain: object


_SETTINGS = (
    _Setting(torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    _Setting(
        torch.__future__.get_overwrite_module_params_on_conversion,
        torch.__future__.set_overwrite_module_params_on_conversion,
        False,
    ),
    _Setting(_Precision.read, _Precision.write, _FULL_PRECISION),
)


class _ProcessSettings:
    """Keep the settings of the process plain while at least one thread needs them so.

    Calls of one thread are nested, those of several threads are not: one may end while another,
    which began later, still runs. So outermost calls are counted: the last one to end restores
    what the first one found. An inner call restores what it found itself, such as a setting that a
    user's callback made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._local = threading.local()  # depth: how many calls this thread is inside of
        self._n_threads = 0
        self._outside: dict[_Setting, object] = {}

    def hold(self) -> dict[_Setting, object]:
        """Make the settings plain; give those that only this inner call has to restore."""
        depth = getattr(self._local, "depth", 0)
        self._local.depth = depth + 1
        with self._lock:
            found = self._make_plain()
            if depth:
                return found
            self._n_threads += 1
            self._outside.update(found)
            return {}

    def release(self, found: dict[_Setting, object]) -> None:
        """Restore the settings, unless another thread still needs them plain."""
        self._local.depth -= 1
        with self._lock:
            if not self._local.depth:
                self._leave()
            elif self._n_threads == 1:  # others would lose their plain settings
                self._write(found)

    @contextmanager
    def let_go(self) -> Iterator[None]:
        """Restore the settings while this thread waits."""
        depth = getattr(self._local, "depth", 0)
        if not depth:
            yield
            return
        self._local.depth = 0
        with self._lock:
            self._leave()
        try:
            yield
        finally:
            self._local.depth = depth
            with self._lock:
                self._outside.update(self._make_plain())
                self._n_threads += 1

    def _leave(self) -> None:
        """Restore the user's settings if no thread needs them plain any more; locked."""
        self._n_threads -= 1
        if not self._n_threads:
            self._write(self._outside)
            self._outside.clear()

    @staticmethod
    def _make_plain() -> dict[_Setting, object]:
        """Make all settings plain; give those that were not."""
        found = {}
        for setting in _SETTINGS:
            value = setting.read()
            if value != setting.plain:
                found[setting] = value
                setting.write(setting.plain)
        return found

    @staticmethod
    def _write(values: dict[_Setting, object]) -> None:
        """Set settings to values that were found."""
        for setting, value in values.items():
            setting.write(value)


_PROCESS = _ProcessSettings()
# Around where a thread waits for others, so that they see the user's own settings.
let_go = _PROCESS.let_go


def _thread_contexts() -> list[AbstractContextManager]:
    """Return contexts that turn off the modes of this thread; as a rule none is needed.

    A default device is a Python function around each call of torch, so that it is not set where
    it is the CPU already.
    """
    contexts: list[AbstractContextManager] = []
    if torch.is_inference_mode_enabled():
        contexts.append(torch.inference_mode(False))
    if not torch.is_grad_enabled():
        contexts.append(torch.enable_grad())
    contexts += [
        torch.autocast(device, enabled=False)
        for device in _AUTOCAST_DEVICES
        if torch.is_autocast_enabled(device)
    ]
    if torch.empty(0).device.type != "cpu":  # faster than to ask for the default device
        contexts.append(torch.device("cpu"))
    return contexts


@contextmanager
def plain_torch() -> Iterator[None]:
    """Keep torch at the settings of a new process inside, and restore the user's settings after.

    These are the default dtype and device, gradients, inference mode, autocast, the precision of
    float32 products, and whether a module that is converted gets new parameters. For the
    generators see :func:`~sknestedae._layers._device.forked_rng`.
    """
    found = _PROCESS.hold()
    try:
        contexts = _thread_contexts()
        if not contexts:
            yield
            return
        with ExitStack() as stack:
            for context in contexts:
                stack.enter_context(context)
            yield
    finally:
        _PROCESS.release(found)


# ---------------------------------------------------------------------------------------------
# Calls


def isolated(function: F) -> F:
    """Make a call independent of the settings around it, and read tensors as arrays.

    Warnings about the data are given at the end of the call, each once.

    It stands below decorators of scikit-learn: ``set_output`` and ``fit_context`` are to see
    what the user has set.
    """
    return _isolate(function, _CONFIG)


def isolated_but_output(function: F) -> F:
    """Do the same as ``isolated``, but keep ``transform_output``: for calls of a user's estimator.

    A pipeline that was fitted with ``set_config(transform_output="pandas")`` passes named columns
    to its last step, and must do so here too.
    """
    return _isolate(function, _CONFIG_BUT_OUTPUT)


def _isolate(function: F, plain: dict[str, object]) -> F:
    """Run a function in plain torch and a plain configuration, with its tensors as arrays."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with Notices(), plain_torch(), _config(plain):
            args = tuple(as_array(value) for value in args)
            kwargs = {name: as_array(value) for name, value in kwargs.items()}
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def _config(plain: dict[str, object]) -> AbstractContextManager:
    """Set scikit-learn's configuration, where it differs."""
    config = get_config()
    changed = {key: value for key, value in plain.items() if config.get(key, value) != value}
    return config_context(**changed) if changed else nullcontext()
