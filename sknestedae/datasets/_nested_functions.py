"""Thirteen analytic functions on two nested scales, with known variables behind them."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch, check_array, check_random_state

from .._compat import Interval, StrOptions, validate_params

_Z_NAMES = ["z1", "z2", "z3", "z4", "z5"]
_F_NAMES = [f"f{i}" for i in range(1, 14)]
_N_FIRST = 4  # f1 to f4 are the first scale
_N_FIRST_Z = 2  # and depend on z1 and z2 alone

# Ranges of z1 to z4 in the published files; that of z5 differs between them, see `z5_max`.
_Z_LOW = np.array([0.01, 2.0, 0.5, 0.5])
_Z_HIGH = np.array([5.0, 5.0, 10.0, 10.0])

# Standard deviation of the published noise: 0.5 for f1 to f4 and 1 for f5 to f13.
_NOISE_STD = np.repeat([0.5, 1.0], [_N_FIRST, len(_F_NAMES) - _N_FIRST])
_PAPER_Z5_SEED = 3

_DESCR = """\
Nested analytic functions
-------------------------

:Number of scales: 2, which describe the same samples
:Scale 1: f1 to f4, functions of z1 and z2
:Scale 2: f5 to f13, functions of z1 to z5
:Targets: z1, z2 (scale 1) and z3, z4, z5 (scale 2), the variables behind the functions
:Units: none

The thirteen functions are the synthetic example of Thota, Sharma Priyadarshini and Hernandez,
Mater. Horiz. 11, 700 (2024), doi:10.1039/D3MH01484C. The formulas are in the docstring of
``nested_functions``.

What to know before using them:

* In the published samples (``sampling="paper"``) z1 to z4 lie on one straight line and z5 alone is
  random. The thirteen functions then fill a surface of 2 dimensions, not 5, and f1 to f4 a curve
  of 1 dimension, not 2. ``sampling="independent"`` gives samples that truly vary in all five.
* The two published files differ in more than the noise: z5 goes up to 1 in the noise-free file and
  up to 10 in the noisy one, so that f6 to f13 cover other ranges.
* The published noise is as large as several of the functions. With ``z5_max=10`` it is about 16
  times the standard deviation of f7, twice that of f4 and f8, but only a hundredth of that of
  f10 and f13. To reconstruct the noise is no merit: compare with ``noise_free`` as well.
* On the published grid z3 and z4 are equal, and so the published numbers cannot tell which of the
  two a formula uses. The formulas here are the simplest that agree with both files.
"""


def nested_functions(z: ArrayLike) -> NDArray[np.float64]:
    r"""Evaluate the thirteen nested functions of five variables.

    Parameters
    ----------
    z : array-like of shape (n_samples, 5)
        The variables :math:`z_1` to :math:`z_5`, in this order. All values are positive, and
        :math:`z_2 \neq 1`.

    Returns
    -------
    f : ndarray of shape (n_samples, 13)
        The functions :math:`f_1` to :math:`f_{13}`, without noise.

    Raises
    ------
    ValueError
        If `z` does not have five columns, or is outside the domain of :math:`f_9`.

    See Also
    --------
    make_nested_functions : Draw samples of the variables and evaluate the functions.

    Notes
    -----
    The first scale depends on two variables:

    .. math::

        f_1 &= (z_1 - z_2)^2 \\
        f_2 &= \sum_{i=1}^{2} \sin z_i + \cos z_i + \sin 2 z_i + \cos 2 z_i \\
        f_3 &= e^{-z_1} + e^{-z_2} \\
        f_4 &= \tanh z_1 + \tanh z_2

    The second scale depends on all five:

    .. math::

        f_5 &= z_1 z_2 - z_3 - z_4 \\
        f_6 &= \sin(z_1 z_2) + \sin(2 z_5) \\
        f_7 &= \exp\left(-\frac{z_3^2 + z_4^2 + z_5^2}{z_3 + z_4 + z_5}\right) \\
        f_8 &= \sum_{i=1}^{5} \tanh z_i \\
        f_9 &= \frac{\ln(z_1 z_3 z_4 z_5)}{\ln z_2} \\
        f_{10} &= (z_1 - z_2)^2 + z_3^2 + z_4^2 + z_5^2 - z_3 z_4 z_5 \\
        f_{11} &= \cos z_1 + \cos z_5 \\
        f_{12} &= \sum_{i=1}^{5} L_4(z_i) \\
        f_{13} &= \sum_{i=1}^{5} z_i^2

    where :math:`L_4(x) = (x^4 - 16 x^3 + 72 x^2 - 96 x + 24) / 24` is a Laguerre polynomial.

    References
    ----------
    .. [1] N. K. Thota, M. Sharma Priyadarshini and R. Hernandez, Mater. Horiz. 11, 700 (2024).
       :doi:`10.1039/D3MH01484C`

    Examples
    --------
    >>> from sknestedae.datasets import nested_functions
    >>> f = nested_functions([[2.0, 3.0, 4.0, 5.0, 6.0]])
    >>> f.shape
    (1, 13)
    >>> print(f"f1 = {f[0, 0]:.1f}, f10 = {f[0, 9]:.1f}, f13 = {f[0, 12]:.1f}")
    f1 = 1.0, f10 = -42.0, f13 = 90.0
    """
    z = np.asarray(check_array(z, dtype=np.float64, input_name="z"))
    _check_domain(z)
    z1, z2, z3, z4, z5 = z.T
    first_z = z[:, :_N_FIRST_Z]
    laguerre_4 = (z**4 - 16 * z**3 + 72 * z**2 - 96 * z + 24) / 24
    waves = np.sin(first_z) + np.cos(first_z) + np.sin(2 * first_z) + np.cos(2 * first_z)
    return np.column_stack(
        [
            (z1 - z2) ** 2,
            waves.sum(axis=1),
            np.exp(-z1) + np.exp(-z2),
            np.tanh(z1) + np.tanh(z2),
            z1 * z2 - z3 - z4,
            np.sin(z1 * z2) + np.sin(2 * z5),
            np.exp(-(z3**2 + z4**2 + z5**2) / (z3 + z4 + z5)),
            np.tanh(z).sum(axis=1),
            # A sum of logarithms, as the product can underflow where z is small.
            (np.log(z1) + np.log(z3) + np.log(z4) + np.log(z5)) / np.log(z2),
            (z1 - z2) ** 2 + z3**2 + z4**2 + z5**2 - z3 * z4 * z5,
            np.cos(z1) + np.cos(z5),
            laguerre_4.sum(axis=1),
            (z**2).sum(axis=1),
        ]
    )


def _check_domain(z: NDArray[np.float64]) -> None:
    """Raise a ValueError where f9 is not defined; z has shape (n_samples, n_columns)."""
    if z.shape[1] != len(_Z_NAMES):
        raise ValueError(f"z must have 5 columns, z1 to z5; got {z.shape[1]}.")
    if z.min() <= 0:
        raise ValueError(
            "Every value of z must be positive, as f9 takes its logarithm; "
            f"the smallest value is {z.min()}."
        )
    if (z[:, 1] == 1).any():
        raise ValueError(
            "z2 (the second column of z) must not be 1, as f9 divides by its logarithm; "
            f"it is 1 in row {np.flatnonzero(z[:, 1] == 1)[0]}."
        )


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "sampling": [StrOptions({"paper", "independent"})],
        "z5_max": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state", StrOptions({"paper"})],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_nested_functions(
    n_samples: int = 200,
    *,
    noise: float = 0.0,
    sampling: str = "paper",
    z5_max: float = 1.0,
    random_state: int | np.random.RandomState | str | None = None,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Bunch | tuple[list[Any], list[Any]]:
    """Make a data set of two scales from thirteen functions of five variables.

    The first scale holds four functions of two variables, the second scale nine functions of
    these two and three more. Both scales describe the same samples. As the variables are known,
    so is the number of latents that a perfect autoencoder needs.

    Parameters
    ----------
    n_samples : int, default=200
        Number of samples. The published files have 200.
    noise : float, default=0.0
        Level of the Gaussian noise, as a multiple of the published one: the standard deviation
        is ``0.5 * noise`` for f1 to f4 and ``1.0 * noise`` for f5 to f13.
    sampling : {"paper", "independent"}, default="paper"
        Choice of z1 to z4.

        - "paper": evenly spaced from the lower to the upper end of their ranges, all four in
          step, as in the published files. The samples are then a surface of two dimensions, and
          those of the first scale a curve: see Notes.
        - "independent": drawn uniformly and independently of each other.

        The ranges are [0.01, 5] for z1, [2, 5] for z2 and [0.5, 10] for z3 and z4. In both cases
        z5 is drawn uniformly between 0 and `z5_max`.

    z5_max : float, default=1.0
        Upper end of the range of z5: 1 in the published noise-free file, 10 in the noisy one.
    random_state : int, RandomState instance, "paper" or None, default=None
        Determines z5, the noise and, with ``sampling="independent"``, z1 to z4. Pass an int for
        the same samples in every call; the variables are then the same at every level of noise.
        "paper" takes the seeds of the published files (3 for z5, and i for the noise of the
        i-th function), and goes with ``sampling="paper"`` alone.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=True
        If True, every table is a pandas DataFrame, else an ndarray.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes. None of the quantities has a unit.

        data : list of two {DataFrame, ndarray} of shape (n_samples, 4) and (n_samples, 9)
            One table per scale: f1 to f4, and f5 to f13, with noise.
        target : list of two {DataFrame, ndarray} of shape (n_samples, 2) and (n_samples, 3)
            The variables that each scale brings in: z1 and z2, and z3 to z5.
        noise_free : list of two {DataFrame, ndarray} of shape (n_samples, 4) and (n_samples, 9)
            The tables of `data` without noise.
        z : {DataFrame, ndarray} of shape (n_samples, 5)
            All five variables, which are the columns of `target` side by side.
        feature_names : list of two lists of str
            The column names of `data`.
        target_names : list of two lists of str
            The column names of `target`.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True
        The two lists described above, ready for ``fit(X, y)`` of an estimator of many scales.

    Raises
    ------
    ValueError
        If ``random_state="paper"`` is combined with ``sampling="independent"``.

    See Also
    --------
    nested_functions : The thirteen functions of given variables.
    fetch_perovskites : Measured and computed data on two scales.

    Notes
    -----
    These calls give the two files published with [1]_, within rounding errors::

        make_nested_functions(random_state="paper")  # without noise
        make_nested_functions(noise=1.0, z5_max=10.0, random_state="paper")  # with noise

    In both files z1 to z4 are points on one straight line, so that a single number determines all
    four; with z5, two numbers determine the thirteen functions. A method that finds two latents
    in them, and not five, is right. ``sampling="independent"`` exists for a data set that has as
    many degrees of freedom as variables: two on the first scale and five on the second.

    References
    ----------
    .. [1] N. K. Thota, M. Sharma Priyadarshini and R. Hernandez, Mater. Horiz. 11, 700 (2024).
       :doi:`10.1039/D3MH01484C`

    Examples
    --------
    >>> from sknestedae.datasets import make_nested_functions
    >>> dataset = make_nested_functions(100, sampling="independent", random_state=0)
    >>> scale_1, scale_2 = dataset.data
    >>> scale_1.columns.to_list()
    ['f1', 'f2', 'f3', 'f4']
    >>> scale_2.shape, dataset.z.shape
    ((100, 9), (100, 5))
    >>> X, y = make_nested_functions(noise=0.1, random_state=0, return_X_y=True)
    >>> [table.shape for table in X], [table.shape for table in y]
    ([(200, 4), (200, 9)], [(200, 2), (200, 3)])
    """
    is_paper_seed = isinstance(random_state, str)
    if is_paper_seed and sampling != "paper":
        raise ValueError(
            'random_state="paper" needs sampling="paper", as the published files have no other '
            f"sampling; got sampling={sampling!r}."
        )

    rng = check_random_state(_PAPER_Z5_SEED if is_paper_seed else random_state)
    z = _sample_z(n_samples, sampling, z5_max, rng)
    noise_free = nested_functions(z)
    unit_noise = _paper_noise(n_samples) if is_paper_seed else rng.normal(size=noise_free.shape)
    noisy = noise_free + noise * _NOISE_STD * unit_noise

    data = _two_tables(noisy, _F_NAMES, _N_FIRST, as_frame)
    target = _two_tables(z, _Z_NAMES, _N_FIRST_Z, as_frame)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        noise_free=_two_tables(noise_free, _F_NAMES, _N_FIRST, as_frame),
        z=_table(z, _Z_NAMES, as_frame),
        feature_names=[_F_NAMES[:_N_FIRST], _F_NAMES[_N_FIRST:]],
        target_names=[_Z_NAMES[:_N_FIRST_Z], _Z_NAMES[_N_FIRST_Z:]],
        DESCR=_DESCR,
    )


def _sample_z(
    n_samples: int, sampling: str, z5_max: float, rng: np.random.RandomState
) -> NDArray[np.float64]:
    """Return the variables, of shape (n_samples, 5)."""
    z5 = z5_max * rng.uniform(size=n_samples)
    if sampling == "paper":
        z1_to_z4 = np.linspace(_Z_LOW, _Z_HIGH, n_samples)
    else:
        z1_to_z4 = rng.uniform(_Z_LOW, _Z_HIGH, size=(n_samples, len(_Z_LOW)))
    return np.column_stack([z1_to_z4, z5])


def _paper_noise(n_samples: int) -> NDArray[np.float64]:
    """Return the published noise of unit variance, of shape (n_samples, 13)."""
    return np.column_stack(
        [np.random.RandomState(i).normal(size=n_samples) for i in range(1, len(_F_NAMES) + 1)]
    )


def _two_tables(
    values: NDArray[np.float64], names: list[str], n_first: int, as_frame: bool
) -> list[pd.DataFrame | np.ndarray]:
    """Cut values of shape (n_samples, n_columns) into a table of each of the two scales."""
    return [
        _table(values[:, :n_first], names[:n_first], as_frame),
        _table(values[:, n_first:], names[n_first:], as_frame),
    ]


def _table(
    values: NDArray[np.float64], names: list[str], as_frame: bool
) -> pd.DataFrame | np.ndarray:
    """Return a copy of the values, as a DataFrame or as an array."""
    values = values.copy()
    if not as_frame:
        return values
    return pd.DataFrame(values, columns=names)
