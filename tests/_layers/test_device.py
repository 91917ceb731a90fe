"""Devices, seeding, and the way between arrays and tensors."""

import numpy as np
import pytest
import torch

from sknestedae._layers._device import (
    available_device,
    epoch_seed,
    forked_rng,
    resolve_device,
    to_array,
    to_tensor,
    torch_dtype,
)
from sknestedae.exceptions import DeviceWarning

CPU = torch.device("cpu")


def test_resolve_device():
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["gpu", "", "cpu:x", "cuda:99", "xla"])
def test_resolve_device_names_the_parameter_and_the_value(device):
    with pytest.raises(ValueError, match=f"'device' parameter must be 'auto' .* got {device!r}"):
        resolve_device(device)


def test_available_device_falls_back_with_a_warning():
    with pytest.warns(DeviceWarning, match=r"'cuda:99'.*loaded to the CPU"):
        assert available_device("cuda:99") == CPU
    assert available_device("cpu") == CPU


@pytest.mark.parametrize("fails", [False, True])
def test_forked_rng_leaves_the_global_state_as_it_was(fails):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    try:
        with forked_rng(CPU):
            torch.manual_seed(3)
            drawn = torch.rand(4)
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.rand(4, generator=torch.Generator().manual_seed(3)), drawn)


def test_epoch_seeds_are_distinct_and_follow_from_seed_and_epoch():
    pairs = [(seed, epoch) for seed in range(30) for epoch in range(30)]
    seeds = [epoch_seed(*pair) for pair in pairs]
    assert len(set(seeds)) == len(pairs)
    assert seeds == [epoch_seed(*pair) for pair in pairs]
    for seed in seeds:
        torch.Generator().manual_seed(seed)  # within torch's range


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool", "int64"])
def test_to_tensor_shares_memory_on_the_cpu(dtype):
    array = np.ones((2, 3), dtype)
    tensor = to_tensor(array, CPU)
    array[1, 2] = 0
    assert tensor[1, 2] == 0
    assert tensor.dtype == getattr(torch, dtype)


def test_to_tensor_takes_any_layout():
    array = np.arange(12.0).reshape(3, 4)
    for view in (array.T, array[::-1], array[:, ::2]):
        np.testing.assert_array_equal(to_tensor(view, CPU).numpy(), view)


def test_to_array_has_its_own_memory():
    tensor = torch.ones(3, requires_grad=True)
    array = to_array(tensor)
    array[0] = 7
    assert tensor.tolist() == [1, 1, 1]
    assert array.tolist() == [7, 1, 1]


def test_torch_dtype_holds_the_numbers_of_one_of_numpy():
    for name in ("float32", "float64", "int64", "bool"):
        assert torch_dtype(np.dtype(name)) == getattr(torch, name)
