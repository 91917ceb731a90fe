"""Band gaps of halide-perovskite crystals and efficiencies of solar cells made of them."""

import re
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from .._compat import Interval, validate_params
from ._base import RemoteFile, fetch_file

# A commit, and not a branch: the first of the files is not in the newest version any more.
_BASE_URL = (
    "https://raw.githubusercontent.com/rxhernandez/NestedAE/"
    "78559f08275ce3d1ddfc741cbed185276afe40ca/datasets"
)
_CRYSTAL_FILE = RemoteFile(
    filename="PSC_bandgaps_dataset.csv",
    url=f"{_BASE_URL}/PSC_bandgaps/PSC_bandgaps_dataset.csv",
    sha256="667899210f6830cdb624379be330ff21b38dd8259434e59369c1c1f1681c8485",
)
_DEVICE_FILE = RemoteFile(
    filename="PSC_efficiencies_dataset.csv",
    url=f"{_BASE_URL}/PSC_efficiencies/PSC_efficiencies_dataset.csv",
    sha256="4ae26ddf5625cf20917a20ab4661162bb5f255f73464653806f98226af9bb5a4",
)


class _IonProperty(NamedTuple):
    """A property of an ion: our name, the endings of its columns in the two files, its unit."""

    name: str
    crystal_ending: str
    device_ending: str
    unit: str


_ION_PROPERTIES = [
    _IonProperty("ion_radius", "ion_rad", "ion_radius", "Å"),
    _IonProperty("atomic_weight", "at_wt", "atom_wt", "g/mol"),
    _IonProperty("electron_affinity", "EA", "EA", "kJ/mol"),
    _IonProperty("ionisation_energy", "IE", "IE", "kJ/mol"),
    _IonProperty("electronegativity", "En", "EN", "Pauling"),
]
_DEVICE_SITES = {"A": "A", "B": "B", "X": "C"}  # the device file calls the X site C

# Column of the file -> our column, in our order.
_CRYSTAL_COLUMNS = {
    f"{site}_{ion.crystal_ending}": f"{site}_{ion.name}"
    for site in _DEVICE_SITES
    for ion in _ION_PROPERTIES
}
_DEVICE_COLUMNS = {
    f"{file_site}_{ion.device_ending}": f"{site}_{ion.name}"
    for site, file_site in _DEVICE_SITES.items()
    for ion in _ION_PROPERTIES
}
_LAYER_COLUMNS = {"ETL_stack_sequence": "ETL", "HTL_stack_sequence": "HTL"}

_UNITS = {f"{site}_{ion.name}": ion.unit for site in _DEVICE_SITES for ion in _ION_PROPERTIES}
_UNITS |= {"gap": "eV", "pce": "%"}

_DESCR = """\
Halide-perovskite crystals and solar cells
------------------------------------------

:Number of scales: 2
:Scale 1: 494 crystals, 15 numeric columns, target ``gap``
:Scale 2: 2018 solar cells (devices), the same 15 numeric columns and 2 categorical ones,
    target ``pce``
:Missing values: none

Columns of both scales, for each of the sites A, B and X of a perovskite ABX3. Where ions share a
site, the value is their average, weighted by composition:

=========================  =======  ==========================================
Column (A, B, X)           Unit     Meaning
=========================  =======  ==========================================
``A_ion_radius``           Å        radius of the ion
``A_atomic_weight``        g/mol    atomic weight (molecular, for MA and FA)
``A_electron_affinity``    kJ/mol   electron affinity, as tabulated in the files
``A_ionisation_energy``    kJ/mol   ionisation energy, as tabulated in the files
``A_electronegativity``    Pauling  electronegativity
=========================  =======  ==========================================

Further columns of the devices: ``ETL`` (electron transport layer, 7 kinds) and ``HTL`` (hole
transport layer, 4 kinds).

Targets: ``gap``, the band gap of the crystal from density functional theory (PBE), in eV;
``pce``, the measured power conversion efficiency of the device (reverse scan), in %.

What to know before using them:

* The 15 columns are linear in the composition: they have 11 degrees of freedom among the crystals
  (rank 11, apart from rounding to three digits) and 6 among the devices. The rounding is not the
  same in the two files, the units are; one scaler, fitted on the crystals, serves both.
* The devices are replicates for the most part: 2018 rows hold 343 distinct inputs, and 984 rows
  are MAPbI3. The efficiency scatters widely among equal inputs: even the median of each group of
  equal inputs, taken on the same rows, is off by 2.15 percentage points on average.
* A split by rows therefore puts the inputs of 88 to 91 % of the validation rows into the training
  rows too (5 folds). Report a split that is grouped by ``device_composition`` beside it.
* The file spells four compositions in two ways (``Cs0.10...`` and ``Cs0.1...``). They are one
  here: ``device_composition`` has no trailing zeros, and 235 distinct values.

Sources: the crystals are of Mannodi-Kanakkithodi and Chan, Energy Environ. Sci. 15, 1930 (2022),
doi:10.1039/D1EE02971A; the devices were selected from the Perovskite Database of Jacobsson et al.,
Nat. Energy 7, 107 (2022), doi:10.1038/s41560-021-00941-3. Thota, Sharma Priyadarshini and
Hernandez put both together, Mater. Horiz. 11, 700 (2024), doi:10.1039/D3MH01484C, and publish the
files at https://github.com/rxhernandez/NestedAE under the MIT licence (2022 Rigoberto Hernandez).
Please cite all three where you use the data.
"""


@validate_params(
    {
        "data_home": [str, PathLike, None],
        "download_if_missing": ["boolean"],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
        "n_retries": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def fetch_perovskites(
    *,
    data_home: str | PathLike | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
    n_retries: int = 3,
) -> Bunch | tuple[list[Any], list[Any]]:
    """Load the halide-perovskite crystals and solar cells (regression on two scales).

    The first scale is the crystal, with its band gap as the target; the second is the solar cell
    (device) made of such a crystal, with its efficiency. The files (1 MB) are downloaded at the
    first call and verified by their SHA256 checksums at every call.

    ============  ============  ============
    Scale         crystals      devices
    ============  ============  ============
    Samples       494           2018
    Numeric       15            15
    Categorical   0             2
    Target        gap in eV     pce in %
    Range         0.37 to 5.37  0 to 23
    ============  ============  ============

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder for data sets. The files are in its subfolder ``perovskites``. By default, this is
        scikit-learn's own data folder, see :func:`sklearn.datasets.get_data_home`:
        ``~/scikit_learn_data``, or the folder in the environment variable ``SCIKIT_LEARN_DATA``.
    download_if_missing : bool, default=True
        If False, raise an OSError if the files are not there, instead of downloading them.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=True
        If True, tables are pandas DataFrames, `ETL` and `HTL` have a categorical dtype, and all
        else is a Series. If False, everything is an ndarray: the devices and the compositions
        are then of dtype object, since they hold strings.
    n_retries : int, default=3
        How many times a failed download is tried again.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : list of two {DataFrame, ndarray}
            The tables `crystals` and `devices`.
        target : list of two {Series, ndarray}
            The targets `gap` and `pce`.
        crystals : {DataFrame, ndarray} of shape (494, 15)
            Properties of the ions on the sites A, B and X: radius (Å), atomic weight (g/mol),
            electron affinity (kJ/mol), ionisation energy (kJ/mol) and electronegativity
            (Pauling scale). No NaN.
        devices : {DataFrame, ndarray} of shape (2018, 17)
            The same 15 columns in the same order, then `ETL` and `HTL`, the electron and the hole
            transport layer. No NaN.
        gap : {Series, ndarray} of shape (494,)
            Band gaps from density functional theory (PBE), in eV.
        pce : {Series, ndarray} of shape (2018,)
            Power conversion efficiencies, in %.
        crystal_formula : {Series, ndarray} of shape (494,)
            Formulas, each of them once, such as ``"MAPbI_3"``.
        device_composition : {Series, ndarray} of shape (2018,)
            Compositions such as ``"MAPbI3"``; 235 are distinct. Use them as the groups of a
            grouped split.
        feature_names : list of two lists of str
            The column names of `crystals` and `devices`.
        target_names : list of str
            ``["gap", "pce"]``.
        units : dict of str to str
            The unit of each numeric column and each target.
        DESCR : str
            Description of the data set, with its sources and its licence.

    (data, target) : tuple if ``return_X_y`` is True
        ``([crystals, devices], [gap, pce])``, ready for ``fit(X, y)`` of an estimator of many
        scales.

    Raises
    ------
    OSError
        If the files are missing and `download_if_missing` is False, if the download fails, or if
        a file does not have the published checksum.
    ImportError
        If the files have to be downloaded and pooch is not installed.

    See Also
    --------
    make_nested_functions : Synthetic data on two scales.

    Notes
    -----
    The 15 columns are averages over the composition and have only 11 degrees of freedom. Most
    devices are replicates: 2018 rows hold 343 distinct inputs, and 984 are MAPbI3. A split by rows
    finds the inputs of 88 to 91 % of its validation rows among the training rows, which is why
    `device_composition` is there: pass it as `groups`, to
    :class:`~sklearn.model_selection.GroupKFold` for instance. The attribute `DESCR` says more.

    The crystals are those of [1]_, the devices a selection from the database of [2]_; [3]_ put
    them together and publishes the files under the MIT licence. Names of columns are harmonised
    here; the device file calls the X site C.

    References
    ----------
    .. [1] A. Mannodi-Kanakkithodi and M. K. Y. Chan, Energy Environ. Sci. 15, 1930 (2022).
       :doi:`10.1039/D1EE02971A`
    .. [2] T. J. Jacobsson et al., Nat. Energy 7, 107 (2022). :doi:`10.1038/s41560-021-00941-3`
    .. [3] N. K. Thota, M. Sharma Priyadarshini and R. Hernandez, Mater. Horiz. 11, 700 (2024).
       :doi:`10.1039/D3MH01484C`

    Examples
    --------
    >>> from sknestedae.datasets import fetch_perovskites
    >>> perovskites = fetch_perovskites()  # doctest: +SKIP
    >>> perovskites.crystals.shape, perovskites.devices.shape  # doctest: +SKIP
    ((494, 15), (2018, 17))
    >>> perovskites.units["gap"], perovskites.units["X_ion_radius"]  # doctest: +SKIP
    ('eV', 'Å')
    >>> X, y = fetch_perovskites(return_X_y=True)  # doctest: +SKIP
    >>> [target.name for target in y]  # doctest: +SKIP
    ['gap', 'pce']
    """
    folder = Path(get_data_home(data_home)) / "perovskites"
    crystal_path, device_path = (
        fetch_file(
            remote,
            folder,
            download_if_missing=download_if_missing,
            n_retries=n_retries,
            caller="fetch_perovskites",
        )
        for remote in (_CRYSTAL_FILE, _DEVICE_FILE)
    )
    crystals, gap, formula = _read_crystals(crystal_path)
    devices, pce, composition = _read_devices(device_path)
    feature_names = [crystals.columns.to_list(), devices.columns.to_list()]
    if not as_frame:
        crystals, gap, pce = crystals.to_numpy(), gap.to_numpy(), pce.to_numpy()
        devices = devices.to_numpy(dtype=object)
        formula, composition = formula.to_numpy(dtype=object), composition.to_numpy(dtype=object)

    if return_X_y:
        return [crystals, devices], [gap, pce]
    return Bunch(
        data=[crystals, devices],
        target=[gap, pce],
        crystals=crystals,
        devices=devices,
        gap=gap,
        pce=pce,
        crystal_formula=formula,
        device_composition=composition,
        feature_names=feature_names,
        target_names=["gap", "pce"],
        units=dict(_UNITS),
        DESCR=_DESCR,
    )


def _read_crystals(path: Path) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return the table, the band gaps and the formulas of the crystal file."""
    raw = _read_csv(path, numeric=[*_CRYSTAL_COLUMNS, "Gap"], strings=["Formula"])
    table = raw[list(_CRYSTAL_COLUMNS)].rename(columns=_CRYSTAL_COLUMNS)
    return table, raw["Gap"].rename("gap"), raw["Formula"].rename("crystal_formula")


def _read_devices(path: Path) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Return the table, the efficiencies and the compositions of the device file."""
    target, composition = "JV_reverse_scan_PCE", "Perovskite_composition_long_form"
    raw = _read_csv(
        path,
        numeric=[*_DEVICE_COLUMNS, target],
        strings=[*_LAYER_COLUMNS, composition],
    )
    columns = _DEVICE_COLUMNS | _LAYER_COLUMNS
    table = raw[list(columns)].rename(columns=columns)
    table = table.astype(dict.fromkeys(_LAYER_COLUMNS.values(), "category"))
    spelled_alike = raw[composition].map(_normalise_composition)
    return table, raw[target].rename("pce"), spelled_alike.rename("device_composition")


def _read_csv(path: Path, numeric: list[str], strings: list[str]) -> pd.DataFrame:
    """Read some columns of a file, in which "na" and "None" are kinds of layer, not missing."""
    return pd.read_csv(
        path,
        usecols=[*numeric, *strings],
        dtype=dict.fromkeys(numeric, "float64") | dict.fromkeys(strings, "str"),
        keep_default_na=False,
    )


def _normalise_composition(composition: str) -> str:
    """Write the numbers of a composition without trailing zeros: Cs0.10 becomes Cs0.1."""
    return re.sub(r"\d+\.\d+", lambda match: f"{float(match[0]):g}", composition)
