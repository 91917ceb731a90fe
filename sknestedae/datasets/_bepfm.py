"""A map of a ferroelectric with a spectrum of piezoresponse at each pixel."""

from numbers import Integral
from os import PathLike
from pathlib import Path

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from .._compat import Interval, validate_params
from ._base import RemoteFile, fetch_file

# A branch, and not a commit: the checksum says which version of the file is meant.
_FILE = RemoteFile(
    filename="bepfm_test_data.npy",
    url="https://raw.githubusercontent.com/ziatdinovmax/GPim/master/expdata/bepfm_test_data.npy",
    sha256="9517a856d1cb83a04c093119dda80bbddaf7461935cc670e3715b48aa10fc39c",
)

_DESCR = """\
Band-excitation piezoresponse of a ferroelectric
------------------------------------------------

:Kinds of data: a spectrum of 102 frequencies at each pixel of a map of 32 x 32 pixels
:Axes of the cube: row, column, frequency bin
:Values: amplitude of the piezoresponse, scaled so that the cube is from 0 to 1; no unit
:Missing values: none

A tip excites the surface with a band of frequencies around the resonance of the contact
(band-excitation piezoresponse force microscopy, BE-PFM) and records the amplitude at each
frequency. Height, width and position of the resonance change with the ferroelectric domains.

What to know before using them:

* The file says neither the frequencies of the bins nor the size of a pixel.
* Neighbouring pixels are alike. A random split of pixels, or of patches around them, has near
  relatives of most test rows among the training rows: use GapKFold with their positions.
* The map is small. Which method is ahead changes with the side of the map that is held out: look
  at several, and at differences between methods within each.

Source: M. Ziatdinov publishes the file with the software GPim, at
https://github.com/ziatdinovmax/GPim (folder expdata), under the MIT licence. On the method: Jesse,
Kalinin, Proksch, Baddorf and Rodriguez, Nanotechnology 18, 435503 (2007),
doi:10.1088/0957-4484/18/43/435503. On such data and GPim: Ziatdinov, Kim, Neumayer, Vasudevan,
Collins, Jesse, Ahmadi and Kalinin, npj Comput. Mater. 6, 21 (2020),
doi:10.1038/s41524-020-0289-6.
"""


@validate_params(
    {
        "data_home": [str, PathLike, None],
        "download_if_missing": ["boolean"],
        "n_retries": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def fetch_bepfm(
    *,
    data_home: str | PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
) -> Bunch:
    """Load a map of a ferroelectric with a spectrum of piezoresponse at each pixel.

    The file (0.8 MB) is downloaded at the first call and verified by its SHA256 checksum at every
    call.

    ==============  ==========================
    Map             32 by 32 pixels
    Spectrum        102 frequency bins
    Values          amplitude, 0 to 1, no unit
    Missing values  none
    ==============  ==========================

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder for data sets. The file is in its subfolder ``be_pfm``. By default, this is
        scikit-learn's own data folder, see :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        If False, raise an OSError if the file is not there, instead of downloading it.
    n_retries : int, default=3
        How many times a failed download is tried again.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        cube : ndarray of shape (32, 32, 102)
            Amplitudes of the piezoresponse between 0 and 1, without a unit: row, column and
            frequency bin. No NaN.
        axes : list of str
            Names of the axes of `cube`.
        DESCR : str
            Description of the data set, with its source and its licence.

    Raises
    ------
    OSError
        If the file is missing and `download_if_missing` is False, if the download fails, or if
        the file does not have the published checksum.
    ImportError
        If the file has to be downloaded and pooch is not installed.

    See Also
    --------
    patches_at : Patches of an image, with the spectra at their centres.
    make_nanoparticle_clusters : Simulated pairs of an image and a spectrum.

    Notes
    -----
    The method of measurement is that of [1]_; [2]_ is about such data, and about the software with
    which they are published. Neighbouring pixels are alike, so that a random split leaks. The
    attribute `DESCR` says more.

    References
    ----------
    .. [1] S. Jesse, S. V. Kalinin, R. Proksch, A. P. Baddorf and B. J. Rodriguez, "The band
       excitation method in scanning probe microscopy for rapid mapping of energy dissipation on
       the nanoscale", Nanotechnology 18, 435503 (2007).
       :doi:`10.1088/0957-4484/18/43/435503`
    .. [2] M. Ziatdinov et al., "Imaging mechanism for hyperspectral scanning probe microscopy via
       Gaussian process modelling", npj Comput. Mater. 6, 21 (2020).
       :doi:`10.1038/s41524-020-0289-6`

    Examples
    --------
    >>> from sknestedae.datasets import fetch_bepfm, patches_at
    >>> cube = fetch_bepfm().cube  # doctest: +SKIP
    >>> patches, spectra, positions = patches_at(cube[:, :, 55], cube, 8)  # doctest: +SKIP
    >>> patches.shape, spectra.shape  # doctest: +SKIP
    ((625, 8, 8), (625, 102))
    """
    path = fetch_file(
        _FILE,
        Path(get_data_home(data_home)) / "be_pfm",
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        caller="fetch_bepfm",
    )
    return Bunch(
        cube=np.load(path, allow_pickle=False),
        axes=["row", "column", "frequency bin"],
        DESCR=_DESCR,
    )
