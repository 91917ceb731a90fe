"""Tests of the nested analytic functions."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import eval_laguerre

from sknestedae.datasets import make_nested_functions, nested_functions

F_NAMES = [f"f{i}" for i in range(1, 14)]
Z_NAMES = [f"z{i}" for i in range(1, 6)]
NOISE_STD = np.array([0.5] * 4 + [1.0] * 9)


def directions_of(z):
    """Orthogonal directions in which the samples extend, of shape (n_directions, 5)."""
    _, singular_values, directions = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    return directions[singular_values > 1e-8 * singular_values[0]]


# --- the formulas -----------------------------------------------------------------------------


def test_values_computed_by_hand():
    # Five different values, so that an exchange of two variables shows.
    f = dict(zip(F_NAMES, nested_functions([[2.0, 3.0, 4.0, 5.0, 6.0]])[0], strict=True))
    tanh, sin, cos, exp, log = np.tanh, np.sin, np.cos, np.exp, np.log
    expected = {
        "f1": 1.0,
        "f2": sin(2) + cos(2) + sin(4) + cos(4) + sin(3) + cos(3) + sin(6) + cos(6),
        "f3": exp(-2) + exp(-3),
        "f4": tanh(2) + tanh(3),
        "f5": 6.0 - 4.0 - 5.0,
        "f6": sin(6) + sin(12),
        "f7": exp(-(16 + 25 + 36) / (4 + 5 + 6)),
        "f8": tanh(2) + tanh(3) + tanh(4) + tanh(5) + tanh(6),
        "f9": log(2 * 4 * 5 * 6) / log(3),
        "f10": 1.0 + (16 + 25 + 36) - 4 * 5 * 6,
        "f11": cos(2) + cos(6),
        "f12": -43 / 12,
        "f13": 4.0 + 9 + 16 + 25 + 36,
    }
    assert list(expected) == list(f)
    for name, value in expected.items():
        assert_allclose(f[name], value, rtol=1e-13, err_msg=name)


def test_f12_is_a_sum_of_laguerre_polynomials():
    z = np.random.RandomState(0).uniform(0.1, 10, size=(50, 5))
    assert_allclose(nested_functions(z)[:, 11], eval_laguerre(4, z).sum(axis=1), atol=1e-10)


def test_first_scale_depends_on_z1_and_z2_alone():
    z = np.random.RandomState(0).uniform(1.5, 5, size=(20, 5))
    changed = z.copy()
    changed[:, 2:] += 1.0
    before, after = nested_functions(z), nested_functions(changed)
    assert_array_equal(before[:, :4], after[:, :4])
    assert (np.abs(before[:, 4:] - after[:, 4:]).max(axis=0) > 1e-3).all()


def test_rows_are_independent_and_input_is_left_alone():
    z = np.random.RandomState(0).uniform(1.5, 5, size=(20, 5))
    original = z.copy()
    f = nested_functions(z)
    assert f.shape == (20, 13)
    assert_array_equal(z, original)
    assert_allclose(nested_functions(z[7:8]), f[7:8], rtol=1e-14)
    assert_array_equal(nested_functions(pd.DataFrame(z, columns=Z_NAMES)), f)


def test_small_values_do_not_underflow():
    f = nested_functions([[1e-100, 2.0, 1e-100, 1e-100, 1e-100]])
    assert_allclose(f[0, 8], -400 * np.log(10) / np.log(2))


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ([[1.0, 2.0, 3.0, 4.0]], "5 columns.*got 4"),
        ([[1.0, 2.0, 3.0, 4.0, 0.0]], "positive.*smallest value is 0"),
        ([[1.0, 2.0, -3.0, -4.0, 5.0]], "positive.*smallest value is -4"),
        ([[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 3.0, 4.0, 5.0]], "z2.*row 1"),
        ([[1.0, 2.0, 3.0, 4.0, np.nan]], "NaN"),
        ([1.0, 2.0, 3.0, 4.0, 5.0], "2D array"),
    ],
)
def test_outside_the_domain(z, message):
    with pytest.raises(ValueError, match=message):
        nested_functions(z)


# --- the published files ----------------------------------------------------------------------


def test_published_noise_free_file(data_dir):
    path = data_dir / "nested_functions" / "synthetic_data.csv"
    published = pd.read_csv(path, header=None).to_numpy()
    dataset = make_nested_functions(random_state="paper")
    assert_allclose(np.column_stack(dataset.data), published, rtol=0, atol=1e-10)


def test_published_noisy_file(data_dir):
    path = data_dir / "nested_functions" / "synthetic_data_FuncAddNoise_200.csv"
    published = pd.read_csv(path)
    dataset = make_nested_functions(noise=1.0, z5_max=10.0, random_state="paper")
    pd.testing.assert_frame_equal(
        pd.concat([dataset.z, *dataset.data], axis=1), published, rtol=0, atol=1e-10
    )


# --- the samples ------------------------------------------------------------------------------


def test_bunch_of_frames():
    dataset = make_nested_functions(30, noise=1.0, random_state=0)
    for tables in (dataset.data, dataset.noise_free):
        assert [list(table.columns) for table in tables] == [F_NAMES[:4], F_NAMES[4:]]
        assert [table.shape for table in tables] == [(30, 4), (30, 9)]
    assert dataset.feature_names == [F_NAMES[:4], F_NAMES[4:]]
    assert dataset.target_names == [["z1", "z2"], ["z3", "z4", "z5"]]
    assert [list(table.columns) for table in dataset.target] == dataset.target_names
    assert list(dataset.z.columns) == Z_NAMES
    pd.testing.assert_frame_equal(pd.concat(dataset.target, axis=1), dataset.z)
    assert_array_equal(np.column_stack(dataset.noise_free), nested_functions(dataset.z))
    assert "10.1039/D3MH01484C" in dataset.DESCR


def test_arrays_are_the_values_of_the_frames():
    frames = make_nested_functions(30, noise=1.0, random_state=0)
    arrays = make_nested_functions(30, noise=1.0, random_state=0, as_frame=False)
    for key in ("data", "target", "noise_free"):
        for frame, array in zip(frames[key], arrays[key], strict=True):
            assert type(array) is np.ndarray
            assert_array_equal(array, frame.to_numpy())
    assert type(arrays.z) is np.ndarray
    assert_array_equal(arrays.z, frames.z.to_numpy())


@pytest.mark.parametrize("as_frame", [True, False])
def test_return_X_y(as_frame):
    kwargs = {"noise": 1.0, "random_state": 0, "as_frame": as_frame}
    X, y = make_nested_functions(return_X_y=True, **kwargs)
    dataset = make_nested_functions(**kwargs)
    for tables, expected in ((X, dataset.data), (y, dataset.target)):
        assert len(tables) == 2
        for table, other in zip(tables, expected, strict=True):
            assert type(table) is type(other)
            assert_array_equal(table, other)


def test_tables_share_no_memory():
    dataset = make_nested_functions(10, random_state=0, as_frame=False)
    expected = dataset.z.copy()
    for key in ("data", "target", "noise_free"):
        for table in dataset[key]:
            table[:] = 0
    assert_array_equal(dataset.z, expected)


def test_noise_is_a_multiple_of_the_published_one():
    kwargs = {"n_samples": 20_000, "random_state": 0, "as_frame": False}
    clean, once, twice = (make_nested_functions(noise=noise, **kwargs) for noise in (0, 1, 2.0))
    assert_array_equal(np.column_stack(clean.data), np.column_stack(clean.noise_free))
    assert_array_equal(clean.z, once.z)
    assert_array_equal(np.column_stack(once.noise_free), np.column_stack(clean.data))

    noise = np.column_stack(once.data) - np.column_stack(once.noise_free)
    assert_allclose(
        np.column_stack(twice.data) - np.column_stack(twice.noise_free), 2 * noise, atol=1e-10
    )
    # The standard error is 0.5 % of a standard deviation, 0.7 % of a mean or correlation.
    assert_allclose(noise.std(axis=0), NOISE_STD, rtol=0.03)
    assert_allclose(noise.mean(axis=0) / NOISE_STD, 0, atol=0.04)
    assert_allclose(np.corrcoef(noise.T), np.eye(13), atol=0.04)


def test_paper_sampling_is_a_line_and_a_random_z5():
    z = make_nested_functions(101, z5_max=3.0, random_state=0, as_frame=False).z
    assert_allclose(z[0, :4], [0.01, 2, 0.5, 0.5])
    assert_allclose(z[-1, :4], [5, 5, 10, 10])
    assert len(directions_of(z[:, :4])) == 1
    assert_array_equal(z[:, 2], z[:, 3])
    assert 2.5 < z[:, 4].max() < 3.0
    assert 0 < z[:, 4].min() < 0.5
    assert abs(np.corrcoef(z[:, 0], z[:, 4])[0, 1]) < 0.3


def test_independent_sampling_fills_the_ranges():
    z = make_nested_functions(
        20_000, sampling="independent", z5_max=3.0, random_state=0, as_frame=False
    ).z
    low, high = np.array([0.01, 2, 0.5, 0.5, 0]), np.array([5.0, 5, 10, 10, 3])
    assert (z > low).all()
    assert (z < high).all()
    span = high - low
    assert_allclose(z.min(axis=0), low, atol=0.01 * span.max())
    assert_allclose((z.mean(axis=0) - low) / span, 0.5, atol=0.02)
    assert_allclose(z.std(axis=0) / span, 12**-0.5, atol=0.01)  # of a uniform variable
    assert_allclose(np.corrcoef(z.T), np.eye(5), atol=0.04)


@pytest.mark.parametrize(("sampling", "n_expected"), [("paper", [1, 2]), ("independent", [2, 5])])
def test_dimension_of_the_samples(sampling, n_expected):
    # That of f1 to f4 and of f1 to f13: the rank of their derivatives along the sampled z.
    z = make_nested_functions(sampling=sampling, random_state=0, as_frame=False).z
    steps = 1e-6 * directions_of(z)
    derivatives = (nested_functions(z[100] + steps) - nested_functions(z[100] - steps)) / 2e-6
    ranks = [np.linalg.matrix_rank(part, tol=1e-5) for part in (derivatives[:, :4], derivatives)]
    assert ranks == n_expected


@pytest.mark.parametrize("sampling", ["paper", "independent"])
def test_random_state(sampling):
    def values(random_state):
        dataset = make_nested_functions(
            50, noise=1.0, sampling=sampling, random_state=random_state, as_frame=False
        )
        return np.column_stack([dataset.z, *dataset.data])

    assert_array_equal(values(0), values(0))
    assert_array_equal(values(0), values(np.random.RandomState(0)))
    assert (values(0)[:, 4:] != values(1)[:, 4:]).all()


@pytest.mark.parametrize("random_state", [0, None, "paper"])
def test_global_random_state_is_not_set(random_state):
    # None draws from NumPy's global state, as everywhere in scikit-learn, but never seeds it.
    np.random.seed(42)
    np.random.uniform()
    expected = np.random.get_state()
    np.random.seed(42)
    np.random.uniform()
    make_nested_functions(50, noise=1.0, random_state=random_state)
    state = np.random.get_state()
    untouched = state[2] == expected[2] and (state[1] == expected[1]).all()
    assert untouched == (random_state is not None)


def test_paper_seeds_do_not_depend_on_noise_level_or_range():
    once = make_nested_functions(noise=1.0, z5_max=10.0, random_state="paper", as_frame=False)
    other = make_nested_functions(noise=0.5, z5_max=1.0, random_state="paper", as_frame=False)
    assert_allclose(other.z[:, 4], once.z[:, 4] / 10)
    once_noise, other_noise = (
        np.column_stack(d.data) - np.column_stack(d.noise_free) for d in (once, other)
    )
    assert_allclose(other_noise, once_noise / 2, atol=1e-10)


def test_single_sample_is_the_start_of_the_line():
    z = make_nested_functions(1, random_state=0, as_frame=False).z
    assert_allclose(z[0, :4], [0.01, 2, 0.5, 0.5])


def test_paper_seeds_need_paper_sampling():
    with pytest.raises(ValueError, match=r"random_state.*sampling='independent'"):
        make_nested_functions(sampling="independent", random_state="paper")


@pytest.mark.parametrize(
    "kwargs",
    [
        {"n_samples": 0},
        {"n_samples": 2.5},
        {"noise": -0.1},
        {"sampling": "line"},
        {"z5_max": 0},
        {"random_state": "published"},
        {"random_state": -1},
        {"return_X_y": "yes"},
        {"as_frame": "auto"},
    ],
)
def test_parameters_are_validated(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of make_nested_functions"):
        make_nested_functions(**kwargs)
