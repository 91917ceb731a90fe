"""Properties of the chemical elements: a table without missing values.

Sources of the numbers:

* standard atomic weights: IUPAC; where an element has none, the mass number of its most stable
  isotope;
* covalent radii: Cordero et al., Dalton Trans. 2832 (2008), carbon as sp3, manganese, iron and
  cobalt in low spin; from berkelium on, where this table ends, Pyykkö and Atsumi, Chem. Eur. J.
  15, 186 (2009);
* electronegativities: Pauling's scale, CRC Handbook of Chemistry and Physics; lutetium from
  Allred, J. Inorg. Nucl. Chem. 17, 215 (1961). Where none is tabulated it is estimated: of noble
  gases but xenon, Allen's (the mean energy of valence electrons in eV, J. Am. Chem. Soc. 111, 9003
  (1989)) times .169, which is his own factor; of promethium, europium, terbium and ytterbium, the
  mean of both neighbours; of the elements from americium on 1.3, as of plutonium;
* first ionisation energies: NIST Atomic Spectra Database;
* static dipole polarisabilities: Schwerdtfeger and Nagle, Mol. Phys. 117, 1200 (2019).

Period, group, valence electrons and filled shells follow from the atomic number by the order in
which shells fill (1s, 2s, 2p, 3s, ...), without the exceptions of single atoms such as copper.
"""

from __future__ import annotations

import numpy as np

# Symbol, atomic weight (u), covalent radius (Angstrom), electronegativity (Pauling), first
# ionisation energy (eV), dipole polarisability (cubic Bohr), in the order of atomic numbers.
_TABLE = """
H 1.008 0.31 2.20 13.598 4.507
He 4.003 0.28 4.16 24.587 1.384
Li 6.940 1.28 0.98 5.392 164.1
Be 9.012 0.96 1.57 9.323 37.74
B 10.810 0.84 2.04 8.298 20.5
C 12.011 0.76 2.55 11.260 11.3
N 14.007 0.71 3.04 14.534 7.4
O 15.999 0.66 3.44 13.618 5.3
F 18.998 0.57 3.98 17.423 3.74
Ne 20.180 0.58 4.78 21.565 2.661
Na 22.990 1.66 0.93 5.139 162.7
Mg 24.305 1.41 1.31 7.646 71.2
Al 26.982 1.21 1.61 5.986 57.8
Si 28.085 1.11 1.90 8.152 37.3
P 30.974 1.07 2.19 10.487 25
S 32.060 1.05 2.58 10.360 19.4
Cl 35.450 1.02 3.16 12.968 14.6
Ar 39.948 1.06 3.24 15.760 11.08
K 39.098 2.03 0.82 4.341 289.7
Ca 40.078 1.76 1.00 6.113 160.8
Sc 44.956 1.70 1.36 6.561 97
Ti 47.867 1.60 1.54 6.828 87
V 50.941 1.53 1.63 6.746 87
Cr 51.996 1.39 1.66 6.767 83
Mn 54.938 1.39 1.55 7.434 68
Fe 55.845 1.32 1.83 7.902 62
Co 58.933 1.26 1.88 7.881 55
Ni 58.693 1.24 1.91 7.640 49
Cu 63.546 1.32 1.90 7.726 46.5
Zn 65.380 1.22 1.65 9.394 38.67
Ga 69.723 1.22 1.81 5.999 50
Ge 72.630 1.20 2.01 7.899 40
As 74.922 1.19 2.18 9.789 30
Se 78.971 1.20 2.55 9.752 28.9
Br 79.904 1.20 2.96 11.814 21
Kr 83.798 1.16 2.96 14.000 16.78
Rb 85.468 2.20 0.82 4.177 319.8
Sr 87.620 1.95 0.95 5.695 197.2
Y 88.906 1.90 1.22 6.217 162
Zr 91.224 1.75 1.33 6.634 112
Nb 92.906 1.64 1.60 6.759 98
Mo 95.950 1.54 2.16 7.092 87
Tc 97.907 1.47 2.10 7.119 79
Ru 101.070 1.46 2.20 7.361 72
Rh 102.906 1.42 2.28 7.459 66
Pd 106.420 1.39 2.20 8.337 26.14
Ag 107.868 1.45 1.93 7.576 55
Cd 112.414 1.44 1.69 8.994 46
In 114.818 1.42 1.78 5.786 65
Sn 118.710 1.39 1.96 7.344 53
Sb 121.760 1.39 2.05 8.608 43
Te 127.600 1.38 2.10 9.010 38
I 126.904 1.39 2.66 10.451 32.9
Xe 131.293 1.40 2.60 12.130 27.32
Cs 132.905 2.44 0.79 3.894 400.9
Ba 137.327 2.15 0.89 5.212 272
La 138.905 2.07 1.10 5.577 215
Ce 140.116 2.04 1.12 5.539 205
Pr 140.908 2.03 1.13 5.470 216
Nd 144.242 2.01 1.14 5.525 208
Pm 144.913 1.99 1.15 5.582 200
Sm 150.360 1.98 1.17 5.644 192
Eu 151.964 1.98 1.19 5.670 184
Gd 157.250 1.96 1.20 6.150 158
Tb 158.925 1.94 1.21 5.864 170
Dy 162.500 1.92 1.22 5.939 163
Ho 164.930 1.92 1.23 6.021 165
Er 167.259 1.89 1.24 6.108 150
Tm 168.934 1.90 1.25 6.184 144
Yb 173.045 1.87 1.26 6.254 139
Lu 174.967 1.87 1.27 5.426 137
Hf 178.490 1.75 1.30 6.825 103
Ta 180.948 1.70 1.50 7.550 74
W 183.840 1.62 1.70 7.864 68
Re 186.207 1.51 1.90 7.834 62
Os 190.230 1.44 2.20 8.438 57
Ir 192.217 1.41 2.20 8.967 54
Pt 195.084 1.36 2.20 8.959 48
Au 196.967 1.36 2.40 9.226 36
Hg 200.592 1.32 1.90 10.438 33.91
Tl 204.380 1.45 1.80 6.108 50
Pb 207.200 1.46 1.80 7.417 47
Bi 208.980 1.48 1.90 7.286 48
Po 209.000 1.40 2.00 8.418 44
At 210.000 1.50 2.20 9.318 42
Rn 222.000 1.50 2.60 10.748 35
Fr 223.000 2.60 0.70 4.073 317.8
Ra 226.000 2.21 0.90 5.278 246
Ac 227.000 2.15 1.10 5.380 203
Th 232.038 2.06 1.30 6.307 217
Pa 231.036 2.00 1.50 5.890 154
U 238.029 1.96 1.70 6.194 129
Np 237.000 1.90 1.30 6.266 151
Pu 244.000 1.87 1.30 6.026 132
Am 243.000 1.80 1.30 5.974 131
Cm 247.000 1.69 1.30 5.992 144
Bk 247.000 1.68 1.30 6.198 125
Cf 251.000 1.68 1.30 6.282 122
Es 252.000 1.65 1.30 6.368 118
Fm 257.000 1.67 1.30 6.500 113
Md 258.000 1.73 1.30 6.580 109
No 259.000 1.76 1.30 6.626 110
Lr 262.000 1.61 1.30 4.960 320
"""
_ROWS = [line.split() for line in _TABLE.split("\n") if line]
LAST_IN_TABLE = len(_ROWS)  # lawrencium
SYMBOLS = tuple(row[0] for row in _ROWS)
# Of the elements behind the table.
_HEAVY = ("Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og")
# The elements after it are in the groups of those that stand this number before.
_ONE_PERIOD = 32

PROPERTIES = (
    "log of the atomic weight in u",
    "covalent radius in Angstrom",
    "electronegativity on Pauling's scale",
    "number of valence electrons",
    "period",
    "group",
    "filled share of the s shell",
    "filled share of the p shell",
    "filled share of the d shell",
    "filled share of the f shell",
    "first ionisation energy in eV",
    "log of the dipole polarisability in cubic Bohr",
)
# Columns of the values of `element_values`.
WEIGHT, RADIUS, ELECTRONEGATIVITY, VALENCE = 0, 1, 2, 3

_NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)


def _place(number: int) -> tuple[float, ...]:
    """Return valence electrons, period, group, and the filled shares of s, p, d, f shells.

    The shells are those that fill in the element's period. An element of the f block counts as
    one of group 3, with three valence electrons; others have as many as their group says.
    """
    period = next(row for row, last in enumerate(_NOBLE_GASES) if number <= last)
    electrons = number - _NOBLE_GASES[period - 1]  # those of this period
    length = _NOBLE_GASES[period] - _NOBLE_GASES[period - 1]
    from_end = length - electrons  # 0 of a noble gas
    room = {"s": 2, "f": 14 if length == 32 else 0, "d": 10 if length >= 18 else 0, "p": 6}
    filled, left = {}, electrons
    for shell, size in room.items():
        inside = min(left, size)
        filled[shell] = inside / size if size else 0.0
        left -= inside
    is_helium = number == 2
    group = electrons if electrons <= 2 and not is_helium else max(18 - from_end, 3)
    valence = 2 if is_helium else group if group <= 12 else group - 10
    return (valence, period, group, *(filled[shell] for shell in "spdf"))


def _make_values() -> np.ndarray:
    weight, radius, electronegativity, energy, polarisability = np.array(
        [row[1:] for row in _ROWS], np.float64
    ).T
    place = np.array([_place(number) for number in range(1, LAST_IN_TABLE + 1)], np.float64)
    first = [np.log(weight), radius, electronegativity]
    return np.column_stack([*first, place, energy, np.log(polarisability)])


_VALUES = _make_values()
_VALUES.setflags(write=False)
_STANDARDISED = (_VALUES - _VALUES.mean(axis=0)) / _VALUES.std(axis=0)
_STANDARDISED.setflags(write=False)


def symbol_of(number: int) -> str:
    """Return the symbol of an element by its atomic number, 1 to 118."""
    return (*SYMBOLS, *_HEAVY)[number - 1]


def _rows_of(numbers: np.ndarray) -> np.ndarray:
    """Return the rows of the table for atomic numbers; beyond it, the nearest of the group."""
    numbers = np.asarray(numbers, np.int64)
    return np.where(numbers > LAST_IN_TABLE, numbers - _ONE_PERIOD, numbers) - 1


def element_values(numbers: np.ndarray) -> np.ndarray:
    """Return the properties of elements, in the units that `PROPERTIES` says.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Atomic numbers, 1 to 118. An element after lawrencium (103), of which little is measured,
        has the properties of the element above it in its group: rutherfordium those of hafnium.

    Returns
    -------
    ndarray of float64, shape (n, n_properties)
    """
    return _VALUES[_rows_of(numbers)]


def element_properties(numbers: np.ndarray) -> np.ndarray:
    """Return the properties of elements, each with mean 0 and variance 1 over the table.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Atomic numbers, 1 to 118, as for `element_values`.

    Returns
    -------
    ndarray of float64, shape (n, n_properties)
    """
    return _STANDARDISED[_rows_of(numbers)]
