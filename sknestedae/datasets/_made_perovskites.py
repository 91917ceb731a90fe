"""Generated crystals and solar cells, in the form of the downloaded perovskites."""

from itertools import combinations
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state

from .._compat import Interval, validate_params
from ._perovskites import _CRYSTAL_COLUMNS, _DEVICE_SITES, _ION_PROPERTIES

_N_IONS = {"A": 5, "B": 6, "X": 3}
_SHARES = (0.25, 0.5, 0.75)  # of the first of two ions on one site
_LAYERS = {"ETL": ["thin", "middle", "thick"], "HTL": ["hard", "plain", "soft"]}

_DESCR = """\
Generated crystals and solar cells
----------------------------------

:Number of scales: 2
:Scale 1: crystals, 15 numeric columns, target ``gap``
:Scale 2: solar cells (devices), the same 15 numeric columns and 2 categorical ones, target ``pce``
:Missing values: none
:Units: none

A formula made these tables. They have the names and the form of ``fetch_perovskites``, and serve
where that cannot be downloaded. They say nothing of any material: the ions are called A1, A2 and
so on, their properties are random numbers, and "radius" is a name.

What to know before using them:

* A site has one ion or two; a column is the average over them. So the columns are linear in the
  composition, and a mixture lies between its ions.
* The gap is a smooth function of the columns and of one more property of the ions on the B site,
  which is in no column: that of a new ion there cannot be known.
* The crystals in the devices are not among those of the first table. Most devices are replicates,
  as the real ones are: keep devices of one composition on one side of a split.
* Better crystals have other layers, so that the layers tell of the crystal.
"""


class _Site(NamedTuple):
    """The choices for one site: names, and properties of shape (n_choices, n_properties + 1)."""

    names: list[str]
    properties: NDArray[np.float64]  # the last of them is in no column


def _make_site(site: str, rng: np.random.RandomState) -> _Site:
    """Make the ions of a site, and their mixtures by two."""
    n_ions = _N_IONS[site]
    ions = rng.normal(size=(n_ions, len(_ION_PROPERTIES) + 1))
    names = [f"{site}{k + 1}" for k in range(n_ions)]
    rows = list(ions)
    for first, second in combinations(range(n_ions), 2):
        for share in _SHARES:
            names.append(f"({names[first]}_{share}{names[second]}_{1 - share})")
            rows.append(share * ions[first] + (1 - share) * ions[second])
    return _Site(names, np.array(rows))


def _make_crystals(
    n_crystals: int, rng: np.random.RandomState
) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Make crystals, each of them once: their columns, gaps and formulas."""
    of_ions = np.random.RandomState(0)  # the ions are the same in every call
    sites = [_make_site(site, of_ions) for site in _DEVICE_SITES]
    shape = tuple(len(site.names) for site in sites)
    chosen = np.unravel_index(rng.choice(int(np.prod(shape)), n_crystals, replace=False), shape)
    a, b, x = (site.properties[rows] for site, rows in zip(sites, chosen, strict=True))
    table = pd.DataFrame(
        np.hstack([properties[:, :-1] for properties in (a, b, x)]),
        columns=list(_CRYSTAL_COLUMNS.values()),
    )
    radius, electronegativity, hidden = 0, 4, -1
    gap = np.exp(
        0.7 * (x[:, electronegativity] - b[:, electronegativity])
        + 0.45 * a[:, radius] * x[:, radius]
        + 0.35 * b[:, hidden]
    )
    formula = [
        "".join(site.names[row] for site, row in zip(sites, rows, strict=True))
        for rows in zip(*chosen, strict=True)
    ]
    return table, pd.Series(gap, name="gap"), pd.Series(formula, name="crystal_formula")


def _make_layers(is_good: NDArray[np.bool_], rng: np.random.RandomState) -> NDArray[np.int64]:
    """Choose layers of shape (2, n_devices), from 0 to 2: better crystals have later ones."""
    return rng.randint(2, size=(2, len(is_good))) + is_good


@validate_params(
    {
        "n_crystals": [Interval(Integral, 1, 10_000, closed="both")],
        "n_devices": [Interval(Integral, 1, None, closed="left")],
        "n_compositions": [Interval(Integral, 1, 10_000, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_perovskites(
    n_crystals: int = 300,
    n_devices: int = 1000,
    *,
    n_compositions: int = 80,
    random_state: Any = None,
) -> Bunch:
    """Make crystals and solar cells in the form of :func:`fetch_perovskites`, without a download.

    They replace the real data where there is no network. A formula made them: they say nothing
    about any real material.

    Parameters
    ----------
    n_crystals : int, default=300
        Crystals of the first scale, at most 10,000.
    n_devices : int, default=1000
        Solar cells of the second scale.
    n_compositions : int, default=80
        Crystals that the devices are made of, at most 10,000. None is in the first scale. Some are
        in many devices, and others in few or none.
    random_state : int, RandomState instance or None, default=None
        Determines the crystals, the devices and the noise of the efficiency. The ions are the same
        in every call.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the attributes that :func:`fetch_perovskites` gives. No
        quantity has a unit: `units` is empty.

        data : list of two DataFrame
            The tables `crystals` and `devices`.
        target : list of two Series
            The targets `gap` and `pce`.
        crystals : DataFrame of shape (n_crystals, 15)
            Properties of the ions on the sites A, B and X.
        devices : DataFrame of shape (n_devices, 17)
            The same 15 columns, then the categories `ETL` and `HTL`.
        gap : Series of shape (n_crystals,)
            A smooth function of the ions, without noise; positive.
        pce : Series of shape (n_devices,)
            A function of the gap and the layers, with noise; positive.
        crystal_formula : Series of shape (n_crystals,)
            Formulas, each of them once, such as ``"A1(B2_0.25B5_0.75)X3"``.
        device_composition : Series of shape (n_devices,)
            Formulas of the devices' crystals. Use them as the groups of a grouped split.
        feature_names : list of two lists of str
            The column names of `crystals` and `devices`.
        target_names : list of str
            ``["gap", "pce"]``.
        units : dict
            Empty.
        DESCR : str
            Description of the data set.

    See Also
    --------
    fetch_perovskites : The real ones.

    Examples
    --------
    >>> from sknestedae.datasets import make_perovskites
    >>> made = make_perovskites(random_state=0)
    >>> made.crystals.shape, made.devices.shape
    ((300, 15), (1000, 17))
    >>> bool(made.device_composition.isin(made.crystal_formula).any())
    False
    """
    rng = check_random_state(random_state)
    table, gap, formula = _make_crystals(n_crystals + n_compositions, rng)
    # As of the real ones, a few compositions make up most of the devices.
    weights = 1 / np.arange(1, n_compositions + 1)
    drawn = rng.choice(n_compositions, n_devices, p=weights / weights.sum())
    of_device = n_crystals + np.sort(drawn)
    devices = table.iloc[of_device].reset_index(drop=True)
    gap_of_device = gap.to_numpy()[of_device]
    layers = _make_layers(gap_of_device > gap.median(), rng)
    for (name, kinds), own in zip(_LAYERS.items(), layers, strict=True):
        devices[name] = pd.Categorical.from_codes(own, categories=kinds)
    pce = 8 + 4 * gap_of_device + layers[0] - layers[1] + rng.normal(size=n_devices)
    crystals, gap = table[:n_crystals], gap[:n_crystals]
    pce = pd.Series(np.maximum(pce, 0), name="pce")
    return Bunch(
        data=[crystals, devices],
        target=[gap, pce],
        crystals=crystals,
        devices=devices,
        gap=gap,
        pce=pce,
        crystal_formula=formula[:n_crystals],
        device_composition=formula[of_device].reset_index(drop=True).rename("device_composition"),
        feature_names=[crystals.columns.to_list(), devices.columns.to_list()],
        target_names=["gap", "pce"],
        units={},
        DESCR=_DESCR,
    )
