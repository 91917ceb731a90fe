"""Crystals with their phonon densities of states."""

from __future__ import annotations

import ast
import hashlib
import json
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from .._compat import Interval, validate_params
from ._base import RemoteFile, check_ase, fetch_file

if TYPE_CHECKING:
    from ase import Atoms

# The split of those who first predicted these spectra from them: 80, 10 and 10 %.
_SEED, _TRAIN, _TRAIN_AND_VALIDATION = 73, 0.8, 0.9

_DESCR = """\
Phonon densities of states of crystals
--------------------------------------

:Samples: 1521 crystals of 1 to 5 of 64 elements, 2 to 40 atoms in the cell
:Target: phonon density of states at 51 frequencies, 0 to 1000 cm^-1 in steps of 20
:Values: no unit; each spectrum is divided by its largest value
:Missing values: none

The vibrations were computed by density functional perturbation theory (PBEsol) for crystals of the
Materials Project. The spectra are smoothed and sampled at 51 frequencies.

What to know before using them:

* As each spectrum is divided by its maximum, its area says nothing about the number of atoms, and
  a mean over atoms is known up to a factor.
* 99 spectra are not 0 at 1000 cm^-1: what vibrates above, such as hydrogen, is cut off.
* Some compositions stand there in several crystal structures: there are 1391 formulas. In the
  split, 23 of the 153 test crystals share their formula with a training crystal. For new
  compositions, split by groups of `formula`.

The split, in `train`, `validation` and `test`, is the one that was used with the software
structure2property: a random permutation (seed 73), cut after 80 and 90 %. Other authors split the
same crystals by elements; their scores are not on the same test rows.

Sources: Petretto, Dwaraknath, Miranda, Winston, Giantomassi, van Setten, Gonze, Persson, Hautier
and Rignanese, Sci. Data 5, 180065 (2018), doi:10.1038/sdata.2018.65. Chen, Andrejevic, Smidt,
Ding, Xu, Chi, Nguyen, Alatas, Kong and Li prepared the spectra, Adv. Sci. 8, 2004214 (2021),
doi:10.1002/advs.202004214, and published them at
https://github.com/ninarina12/phononDoS_tutorial under the MIT licence (2021 Massachusetts
Institute of Technology). Please cite both where you use the data.
"""


class _Crystals(NamedTuple):
    """The used part of the file: an entry for each crystal, and the frequencies."""

    ids: list[str]
    structures: list[dict[str, Any]]
    spectra: np.ndarray
    frequencies: np.ndarray


def _read(path: Path) -> _Crystals:
    """Read the columns that are used; the published file has more of them."""
    table = pd.read_csv(path, usecols=["mp_id", "structure", "phfreq", "phdos"], dtype=str)
    frequencies = np.array([json.loads(text) for text in table["phfreq"]])
    if (frequencies != frequencies[0]).any():
        raise ValueError("the spectra must be at the same frequencies")
    return _Crystals(
        table["mp_id"].tolist(),
        [ast.literal_eval(text) for text in table["structure"]],
        np.array([json.loads(text) for text in table["phdos"]]),
        frequencies[0],
    )


def _content(path: Path) -> bytes:
    """Return the used numbers of the file as bytes, independent of the way they are written."""
    crystals = _read(path)
    digest = hashlib.sha256()
    for identifier, structure in zip(crystals.ids, crystals.structures, strict=True):
        digest.update(identifier.encode())
        digest.update(np.array(structure["numbers"], "<i8").tobytes())
        digest.update(np.array(structure["pbc"], "u1").tobytes())
        for name in ("positions", "cell"):
            digest.update((np.array(structure[name], "<f8") + 0.0).tobytes())  # -0.0 is 0.0
    for array in (crystals.spectra, crystals.frequencies):
        digest.update((array.astype("<f8") + 0.0).tobytes())
    return digest.digest()


# The commit is the one that was current when this was written.
_FILE = RemoteFile(
    filename="phonon_dos_1521.csv",
    url=(
        "https://raw.githubusercontent.com/ninarina12/phononDoS_tutorial/"
        "036ba109f2ca82daa048c0012f40899ee32f02b9/data/data.csv"
    ),
    sha256="33507ee35672d4c683842d95732a3a2e5d60c9cf658c30721870b7112ba38b36",
    content=_content,
)


@validate_params(
    {
        "data_home": [str, PathLike, None],
        "download_if_missing": ["boolean"],
        "return_X_y": ["boolean"],
        "n_retries": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def fetch_phonon_dos(
    *,
    data_home: str | PathLike | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    n_retries: int = 3,
) -> Bunch | tuple[pd.DataFrame, np.ndarray]:
    """Load crystals with their phonon densities of states (regression of spectra).

    The file is downloaded at the first call. The numbers that are read from it are verified by
    their SHA256 checksum at every call.

    ==============  ===========================
    Samples         1521 crystals
    Atoms           2 to 40 in a cell
    Elements        64
    Target          51 frequencies, up to 1
    Frequencies     0 to 1000 cm⁻¹
    Missing values  none
    ==============  ===========================

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder for data sets. The file is in its subfolder ``phonon_dos``. By default, this is
        scikit-learn's own data folder, see :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        If False, raise an OSError if the file is not there, instead of downloading it.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    n_retries : int, default=3
        How many times a failed download is tried again.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame of shape (1521, 1)
            Column `structure`, whose cells are ``ase.Atoms``. The index is the identifier of the
            Materials Project, such as ``"mp-1000"``.
        target : ndarray of shape (1521, 51)
            Densities of states; the largest value of each is 1, no unit.
        frame : DataFrame of shape (1521, 2)
            `data` and a column `dos`, whose cells are the rows of `target`.
        frequencies : ndarray of shape (51,)
            Of the columns of `target`, in cm⁻¹.
        formula : ndarray of shape (1521,)
            Formulas without common factors, such as ``"BaTe"``, for the groups of a split.
        train, validation, test : ndarray of int
            Positions of the rows of the split that the literature has: 1216, 152 and 153.
        DESCR : str
            Description of the data set, with its sources and its licence.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    OSError
        If the file is missing and `download_if_missing` is False, if the download fails, or if
        the file does not have the published content.
    ImportError
        If ase is not installed, or if the file has to be downloaded and pooch is not installed.

    See Also
    --------
    make_crystals : Simulated crystals, without a download.

    Notes
    -----
    The spectra were computed by the authors of [1]_ and prepared by those of [2]_. The split is
    that of [3]_. The attribute `DESCR` says more.

    References
    ----------
    .. [1] G. Petretto et al., "High-throughput density-functional perturbation theory phonons for
       inorganic materials", Sci. Data 5, 180065 (2018). :doi:`10.1038/sdata.2018.65`
    .. [2] Z. Chen et al., "Direct prediction of phonon density of states with Euclidean neural
       networks", Adv. Sci. 8, 2004214 (2021). :doi:`10.1002/advs.202004214`
    .. [3] D. Shermukhamedov et al., structure2property (2023),
       https://github.com/dmamur/struct2prop

    Examples
    --------
    >>> from sknestedae.datasets import fetch_phonon_dos
    >>> dos = fetch_phonon_dos()  # doctest: +SKIP
    >>> X, y = dos.data.iloc[dos.train], dos.target[dos.train]  # doctest: +SKIP
    >>> X.shape, y.shape  # doctest: +SKIP
    ((1216, 1), (1216, 51))
    """
    check_ase("fetch_phonon_dos")
    path = fetch_file(
        _FILE,
        Path(get_data_home(data_home)) / "phonon_dos",
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        caller="fetch_phonon_dos",
    )
    crystals = _read(path)
    atoms = _as_atoms(crystals.structures)
    index = pd.Index(crystals.ids, name="material", dtype=object)
    data = pd.DataFrame({"structure": pd.Series(atoms, index=index, dtype=object)})
    if return_X_y:
        return data, crystals.spectra
    order = np.random.RandomState(_SEED).permutation(len(atoms))
    ends = [int(len(atoms) * share) for share in (_TRAIN, _TRAIN_AND_VALIDATION)]
    train, validation, test = np.split(order, ends)
    return Bunch(
        data=data,
        target=crystals.spectra,
        frame=data.assign(dos=pd.Series(list(crystals.spectra), index=index, dtype=object)),
        frequencies=crystals.frequencies,
        formula=np.array([each.symbols.formula.reduce()[0].format("metal") for each in atoms]),
        train=train,
        validation=validation,
        test=test,
        DESCR=_DESCR,
    )


def _as_atoms(structures: list[dict[str, Any]]) -> list[Atoms]:
    """Make ``ase.Atoms`` from their attributes."""
    from ase import Atoms

    return [Atoms(**structure) for structure in structures]
