"""Devices, seeds of forked generators, and conversion between NumPy arrays and tensors."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..exceptions import DeviceWarning


def resolve_device(device: str) -> torch.device:
    """Return the torch device that a ``device`` parameter names.

    Parameters
    ----------
    device : str
        ``"auto"`` (CUDA where there is one, else the CPU) or any device string of torch, such as
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If torch does not know the name, or this machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.zeros(1, device=resolved).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"The 'device' parameter must be 'auto' or a device that torch has here, "
            f"got {device!r}: {reason}"
        ) from error
    return resolved


def available_device(device: str) -> torch.device:
    """Return the device that ``device`` names, or the CPU with a warning where it is not there.

    A model that was fitted on a GPU is loaded through this on a machine without one.
    """
    try:
        return resolve_device(device)
    except ValueError as error:
        warnings.warn(f"{error}. The model is loaded to the CPU.", DeviceWarning, stacklevel=4)
        return torch.device("cpu")


# torch's generators are one for all threads of a process.
_GENERATORS = threading.RLock()
_HELD = threading.local()  # how often by this thread


def holds_generators() -> bool:
    """Return whether this thread is inside of ``forked_rng``."""
    return getattr(_HELD, "count", 0) > 0


@contextmanager
def forked_rng(device: torch.device) -> Iterator[None]:
    """Fork torch's generators: they can be seeded inside, and are restored after.

    One thread at a time.
    """
    index = device.index if device.index is not None else 0
    kind = "cuda" if device.type == "cpu" else device.type
    devices = [] if device.type == "cpu" else [index]
    with _GENERATORS, torch.random.fork_rng(devices=devices, device_type=kind):
        _HELD.count = getattr(_HELD, "count", 0) + 1
        try:
            yield
        finally:
            _HELD.count -= 1


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the CPU's generator and, for another device, its own; no other one.

    ``torch.manual_seed`` would seed those of all devices, also outside of the fork.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def epoch_seed(seed: int, epoch: int) -> int:
    """Derive the seed of one epoch, so that training can go on where it stopped.

    Nothing but ``seed`` and the number of the epoch decides the order of the rows and the dropped
    units of an epoch; no generator has to be saved with a model.
    """
    return derive_seed(seed, epoch)


def derive_seed(*numbers: int) -> int:
    """Derive a seed from some numbers of 0 or more."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    """Return the dtype of torch for a dtype of NumPy."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def to_tensor(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Make a tensor from an array; on the CPU it shares the memory, if that is writeable."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """Copy a tensor on any device to a NumPy array."""
    return tensor.detach().to("cpu", copy=True).numpy()
