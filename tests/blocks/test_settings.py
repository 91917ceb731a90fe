"""Settings that blocks of arrays share: what is refused, by name, rule and value."""

import numpy as np
import pytest

from sknestedae.blocks._settings import (
    SCALES,
    check_at_least,
    check_bool,
    check_choice,
    check_convolutions,
    check_length,
)


@pytest.mark.parametrize("n_channels", [(16, 32), [4], (np.int64(2), 3, 4)])
def test_channels(n_channels):
    checked = check_convolutions(n_channels, 3)
    assert checked == tuple(n_channels)
    assert all(type(n) is int for n in checked)


@pytest.mark.parametrize("n_channels", [(), 16, None, (16, 0), (1.5,), ("a",), (True,), "ab"])
def test_channels_that_are_refused(n_channels):
    with pytest.raises(ValueError, match="n_channels must be a tuple of integers") as error:
        check_convolutions(n_channels, 3)
    assert repr(n_channels) in str(error.value)


@pytest.mark.parametrize("kernel_size", [1, 5, np.int32(3)])
def test_kernels(kernel_size):
    check_convolutions((4,), kernel_size)


@pytest.mark.parametrize("kernel_size", [0, -1, 2, 4, 3.0, None, "3", True, (3, 3)])
def test_kernels_that_are_refused(kernel_size):
    with pytest.raises(ValueError, match="kernel_size must be an odd integer") as error:
        check_convolutions((4,), kernel_size)
    assert repr(kernel_size) in str(error.value)


@pytest.mark.parametrize("scale", SCALES)
def test_choices(scale):
    check_choice("scale", scale, SCALES)


@pytest.mark.parametrize("scale", ["blocks", 1, False, ["block"], np.ones(2)])
def test_choices_that_are_refused(scale):
    with pytest.raises(
        ValueError, match=r"^scale must be 'block', 'column' or None, got "
    ) as error:
        check_choice("scale", scale, SCALES)
    assert repr(scale) in str(error.value)


@pytest.mark.parametrize("value", [2, 2.0, 3.5, 7])
def test_at_least(value):
    assert check_at_least("weight", value, 2) == value


@pytest.mark.parametrize("value", [2 - 1e-9, float("nan"), float("inf"), True, None, "3"])
def test_below_the_least(value):
    with pytest.raises(ValueError, match=r"^weight must be a number of 2 or more, got ") as error:
        check_at_least("weight", value, 2)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_true_and_false(value):
    checked = check_bool("flag", value)
    assert checked is bool(value)


@pytest.mark.parametrize("value", [0, 1, "True", None])
def test_neither_true_nor_false(value):
    with pytest.raises(ValueError, match=r"^flag must be True or False; got ") as error:
        check_bool("flag", value)
    assert repr(value) in str(error.value)


def test_lengths_are_above_another_one():
    assert check_length("cutoff", np.float32(2), above=0.5) == 2.0
    assert check_length("cutoff", 0, above=0.5, may_be_zero=True) == 0.0
    for value in (0, 0.5, np.nan, np.inf, True, "1"):
        with pytest.raises(ValueError, match=r"^cutoff must be a distance above 0\.5 in Angstrom"):
            check_length("cutoff", value, above=0.5)
    with pytest.raises(ValueError, match=r"^cutoff must be a distance of 0 or above 0\.5 in"):
        check_length("cutoff", 0.5, above=0.5, may_be_zero=True)
