"""Two messy files of crystals and solar cells, made by a formula: for the tutorial."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

from .._compat import validate_params

FOLDER = Path(__file__).parent / "data"
CRYSTAL_FILE = FOLDER / "solar_cells_crystals.csv"
DEVICE_FILE = FOLDER / "solar_cells_devices.csv"

CRYSTAL_COLUMNS = ["FA", "MA", "Cs", "Sn", "I", "Br", "Cl", "volume"]
LAYER_COLUMNS = ["thickness", "annealing", "ETL", "HTL"]
_UNITS = {
    "volume": "Å³",
    "gap": "eV",
    "thickness": "nm",
    "annealing": "°C",
    "efficiency": "%",
}

# Of the formula: what each ion adds to the gap (eV), to the volume (Å³), and the temperature (°C)
# at which a film of it forms best; what each layer adds to the efficiency (%).
_GAP = {"I": 1.60, "Br": 2.30, "Cl": 3.00, "FA": -0.05, "MA": 0.0, "Cs": 0.10}
_VOLUME = {"I": 230.0, "Br": 190.0, "Cl": 165.0, "FA": 25.0, "MA": 12.0, "Cs": 0.0}
_ANNEALING = {"FA": 150.0, "MA": 100.0, "Cs": 170.0}
_ETL = {"SnO2": 1.5, "TiO2": 0.5, "ZnO": -1.0}
_HTL = {"spiro-OMeTAD": 1.0, "PTAA": 0.5, "NiO": -1.0}

_DESCR = """\
Crystals and solar cells, made by a formula
-------------------------------------------

:Number of scales: 2
:Scale 1: 250 crystals, 8 numeric columns, target ``gap`` (known for 240 of them)
:Scale 2: 180 solar cells (devices), the same 8 numeric columns, 2 more and 2 categorical ones,
    target ``efficiency`` (known for 150 of them)
:Missing values: in ``volume``, ``thickness``, ``annealing``, ``HTL`` and in both targets

**Nobody computed these crystals, and nobody built these devices.** The numbers come from a
formula, ``solar_cell_formula``, with noise. Names, units and orders of magnitude are those of
halide perovskites, so that the tables read as real ones do; they say nothing about real materials.
Use them to learn the package. ``fetch_perovskites`` has real data.

=============  ====  ==========================================================================
Column         Unit  Meaning
=============  ====  ==========================================================================
FA, MA, Cs           shares of formamidinium, methylammonium and caesium; their sum is 1
Sn                   share of tin; the rest is lead
I, Br, Cl            shares of the halides; their sum is 1
volume         Å³    volume of a formula unit
thickness      nm    thickness of the perovskite layer (devices)
annealing      °C    temperature at which this layer was annealed (devices)
ETL, HTL             electron transport layer and hole transport layer (devices)
=============  ====  ==========================================================================

Targets: ``gap``, the band gap of a crystal, in eV; ``efficiency``, the power conversion efficiency
of a device, in %.

The two files are messy on purpose, as files from a laboratory are:

* numbers with a unit (``1.55 eV``, ``480 nm``); one file with decimal commas;
* missing values written as ``n/a``, as ``-`` and as ``-999``;
* one layer in several spellings (``spiro-OMeTAD``, ``Spiro OMeTAD``);
* rows that stand in the file twice; identifiers, dates and a free text;
* several devices with one recipe (replicates), and many made of one compound;
* devices that were not measured yet, so that their target is missing.

``crystals``, ``devices``, ``gap`` and ``efficiency`` are the cleaned tables; ``filenames`` are the
paths of the files. Devices made of one compound are alike, so split them by ``device_formula``. 26
of the 37 compounds of the devices are among the crystals.
"""


def solar_cell_formula(table: pd.DataFrame) -> pd.DataFrame:
    r"""Evaluate the formula behind :func:`load_solar_cells`: the truth, without noise.

    Parameters
    ----------
    table : DataFrame of shape (n_samples, n_columns)
        Has the columns FA, MA, Cs, Sn, I, Br and Cl (shares). For the efficiency it also has
        thickness (nm), annealing (°C), ETL and HTL. Other columns are not used.

    Returns
    -------
    truth : DataFrame of shape (n_samples, 2) or (n_samples, 3)
        The columns volume (Å³) and gap (eV) and, where the table has the columns of a device,
        efficiency (%). It has the index of the table. NaN where something was missing.

    Raises
    ------
    ValueError
        If a column is missing, or a layer is not one of the data set.

    See Also
    --------
    load_solar_cells : The two tables.

    Notes
    -----
    With shares :math:`x`, the gap is

    .. math::

        E = 1.6 x_I + 2.3 x_{Br} + 3 x_{Cl} - 0.05 x_{FA} + 0.1 x_{Cs}
            - 0.3 x_I x_{Br} - 0.25 x_{Sn} - 0.6 x_{Sn} (1 - x_{Sn})

    and the efficiency, with the thickness :math:`t`, the annealing temperature :math:`T` and
    :math:`T_0 = 150 x_{FA} + 100 x_{MA} + 170 x_{Cs}`,

    .. math::

        \eta = 20 \exp\left[-\left(\frac{E - 1.35}{0.5}\right)^2
                            -\left(\frac{t - 550}{400}\right)^2
                            -\left(\frac{T - T_0}{70}\right)^2\right]
               - 5 x_{Sn} + c_{ETL} + c_{HTL}

    but not below 0. The layers add 1.5 (SnO2), 0.5 (TiO2) or -1 (ZnO), and 1 (spiro-OMeTAD), 0.5
    (PTAA) or -1 (NiO).

    Examples
    --------
    >>> import pandas as pd
    >>> from sknestedae.datasets import solar_cell_formula
    >>> shares = {"FA": 0.0, "MA": 1.0, "Cs": 0.0, "Sn": 0.0, "I": 1.0, "Br": 0.0, "Cl": 0.0}
    >>> solar_cell_formula(pd.DataFrame([shares]))
       volume  gap
    0   242.0  1.6
    """
    needed = CRYSTAL_COLUMNS[:-1]
    is_device = table.columns.isin(LAYER_COLUMNS).any()
    missing = [c for c in needed + (LAYER_COLUMNS if is_device else []) if c not in table.columns]
    if missing:
        raise ValueError(f"The table lacks the columns {missing} of the formula.")
    x = {name: table[name].to_numpy(dtype=float) for name in needed}
    gap = _weighted(x, _GAP) - 0.3 * x["I"] * x["Br"]
    gap -= 0.25 * x["Sn"] + 0.6 * x["Sn"] * (1 - x["Sn"])
    truth = pd.DataFrame({"volume": _weighted(x, _VOLUME), "gap": gap}, index=table.index)
    if is_device:
        thickness, annealing = (table[c].to_numpy(dtype=float) for c in LAYER_COLUMNS[:2])
        exponent = ((gap - 1.35) / 0.5) ** 2 + ((thickness - 550) / 400) ** 2
        exponent += ((annealing - _weighted(x, _ANNEALING)) / 70) ** 2
        layers = _of_layers(table["ETL"], _ETL) + _of_layers(table["HTL"], _HTL)
        truth["efficiency"] = np.clip(20 * np.exp(-exponent) - 5 * x["Sn"] + layers, 0, None)
    return truth


def _weighted(x: dict[str, NDArray[np.float64]], of: dict[str, float]) -> Any:
    """Return the sum over ions of share times coefficient."""
    return sum(weight * x[ion] for ion, weight in of.items())


def _of_layers(layers: pd.Series, of: dict[str, float]) -> NDArray[np.float64]:
    """Return the contribution of the layers to the efficiency, NaN where a layer is missing."""
    unknown = sorted(set(layers.dropna()) - set(of))
    if unknown:
        raise ValueError(
            f"Column {layers.name!r} must hold layers of the formula, which are {sorted(of)}; "
            f"got {unknown}."
        )
    return layers.astype(object).map(of).to_numpy(dtype=float)


def read_crystals() -> pd.DataFrame:
    """Read the file of the crystals and clean it, as the tutorial does."""
    crystals = pd.read_csv(CRYSTAL_FILE, na_values=["-", "-999"])
    crystals = crystals.drop_duplicates(ignore_index=True)
    crystals["gap"] = crystals["gap"].str.removesuffix(" eV").astype(float)
    return crystals


def read_devices() -> pd.DataFrame:
    """Read the file of the devices and clean it, as the tutorial does."""
    devices = pd.read_csv(DEVICE_FILE, sep=";", decimal=",", na_values="-")
    devices = devices.drop_duplicates(ignore_index=True)
    devices["thickness"] = devices["thickness"].str.removesuffix(" nm").astype(float)
    devices["ETL"] = devices["ETL"].str.strip().astype("category")
    one_spelling = {"Spiro OMeTAD": "spiro-OMeTAD", "spiro-ometad": "spiro-OMeTAD"}
    devices["HTL"] = devices["HTL"].replace(one_spelling).astype("category")
    return devices


@validate_params({"return_X_y": ["boolean"]}, prefer_skip_nested_validation=True)
def load_solar_cells(*, return_X_y: bool = False) -> Bunch | tuple[list[Any], list[Any]]:
    """Load crystals with band gaps and solar cells with efficiencies, made by a formula.

    This data set comes with the package, for learning to use it. The numbers come from
    :func:`solar_cell_formula`, with noise: nobody computed these crystals or built these devices.
    The two files are messy, as files from a laboratory are. The loader gives cleaned tables, and
    the paths of the files; :ref:`the tutorial <sphx_glr_auto_examples_plot_first_hour.py>` cleans
    them step by step.

    ============  ============  ===============
    Scale         crystals      devices
    ============  ============  ===============
    Samples       250           180
    Labelled      240           150
    Numeric       8             10
    Categorical   0             2
    Target        gap in eV     efficiency in %
    Range         1.24 to 2.96  0 to 16.1
    ============  ============  ===============

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : list of two DataFrames
            The tables `crystals` and `devices`.
        target : list of two Series
            The targets `gap` and `efficiency`.
        crystals : DataFrame of shape (250, 8)
            Shares of the ions, and the volume (Å³). NaN where a value is missing.
        devices : DataFrame of shape (180, 12)
            The same 8 columns in the same order, then `thickness` (nm), `annealing` (°C), and the
            categories `ETL` and `HTL`. NaN where a value is missing.
        gap : Series of shape (250,)
            Band gaps, in eV. NaN where no gap is known.
        efficiency : Series of shape (180,)
            Power conversion efficiencies, in %. NaN for the devices that were not measured yet.
        crystal_formula : Series of shape (250,)
            Formulas, each of them once.
        device_formula : Series of shape (180,)
            Formulas of the crystals in the devices; 37 are distinct. Use them as the groups of a
            grouped split.
        filenames : list of two str
            Paths of the CSV files of the crystals and of the devices, as they are.
        feature_names : list of two lists of str
            The column names of `crystals` and `devices`.
        target_names : list of str
            ``["gap", "efficiency"]``.
        units : dict of str to str
            The unit of each numeric column that has one, and of each target.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True
        ``([crystals, devices], [gap, efficiency])``, ready for ``fit(X, y)`` of a
        :class:`~sknestedae.NestedAutoencoder`.

    See Also
    --------
    solar_cell_formula : The truth behind the data set, without noise.
    fetch_perovskites : Real crystals and solar cells.

    Examples
    --------
    >>> from sknestedae.datasets import load_solar_cells
    >>> dataset = load_solar_cells()
    >>> dataset.crystals.shape, dataset.devices.shape
    ((250, 8), (180, 12))
    >>> int(dataset.efficiency.notna().sum()), dataset.device_formula.nunique()
    (150, 37)

    The file, as it is:

    >>> with open(dataset.filenames[1], encoding="utf-8") as file:
    ...     print(file.readline().strip())
    device_id;made_on;formula;FA;MA;Cs;Sn;I;Br;Cl;volume;thickness;annealing;ETL;HTL;efficiency;comment
    """
    crystal_table, device_table = read_crystals(), read_devices()
    data = [crystal_table[CRYSTAL_COLUMNS], device_table[CRYSTAL_COLUMNS + LAYER_COLUMNS]]
    target = [crystal_table["gap"], device_table["efficiency"]]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        crystals=data[0],
        devices=data[1],
        gap=target[0],
        efficiency=target[1],
        crystal_formula=crystal_table["formula"],
        device_formula=device_table["formula"],
        filenames=[str(CRYSTAL_FILE), str(DEVICE_FILE)],
        feature_names=[list(table.columns) for table in data],
        target_names=[str(values.name) for values in target],
        units=dict(_UNITS),
        DESCR=_DESCR,
    )
