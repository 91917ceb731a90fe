"""Patches of an image, with the spectra that were measured at their centres."""

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._compat import Interval, validate_params


@validate_params(
    {
        "image": ["array-like"],
        "cube": ["array-like"],
        "size": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def patches_at(
    image: ArrayLike, cube: ArrayLike, size: int
) -> tuple[NDArray, NDArray, NDArray[np.int_]]:
    """Cut all patches of an image, with the spectrum at the centre of each.

    A map that was measured twice, as an image and with a spectrum at each pixel, becomes pairs of
    a patch and a spectrum: the data of structure-property models such as im2spec [1]_.

    Parameters
    ----------
    image : array-like of shape (height, width)
        An image, such as one channel of `cube`. Missing pixels (NaN) are left as they are.
    cube : array-like of shape (height, width, n_channels)
        A spectrum at each pixel of the image.
    size : int
        Rows and columns of a patch, in pixels.

    Returns
    -------
    patches : ndarray of shape (n_patches, size, size)
        Patches, one for each pixel that has a whole one around it, row by row:
        ``(height - size + 1) * (width - size + 1)``. A copy, with the dtype of the image.
    spectra : ndarray of shape (n_patches, n_channels)
        The spectrum at the centre of each patch. A copy, with the dtype of the cube.
    positions : ndarray of shape (n_patches, 2), int
        Row and column of each centre in the image.

    Raises
    ------
    ValueError
        If the image does not have two dimensions or the cube three, if their heights and widths
        differ, or if a patch is larger than the image.

    See Also
    --------
    sknestedae.model_selection.GapKFold : Folds of positions with a gap between training and test.
    fetch_bepfm : A map with a spectrum at each pixel.

    Notes
    -----
    The centre of a patch is its pixel ``(size // 2, size // 2)``. An odd size has it in the
    middle; an even one has no such pixel, and the centre is half a pixel below and to the right of
    the middle. A patch that is turned or reflected then has another pixel at its centre: take an
    odd size where a model uses the symmetries of a square.

    Neighbouring patches share most of their pixels. A random split of them into training and test
    rows leaks; use :class:`~sknestedae.model_selection.GapKFold` with the positions.

    References
    ----------
    .. [1] S. V. Kalinin, K. P. Kelley, R. K. Vasudevan and M. Ziatdinov, "Toward decoding the
       relationship between domain structure and functionality in ferroelectrics via hidden latent
       variables", ACS Appl. Mater. Interfaces 13, 1693 (2021). :doi:`10.1021/acsami.0c15085`

    Examples
    --------
    >>> import numpy as np
    >>> from sknestedae.datasets import patches_at
    >>> cube = np.random.RandomState(0).uniform(size=(5, 6, 20))
    >>> patches, spectra, positions = patches_at(cube[:, :, 10], cube, 3)
    >>> patches.shape, spectra.shape
    ((12, 3, 3), (12, 20))
    >>> positions[0].tolist(), positions[-1].tolist()
    ([1, 1], [3, 4])
    """
    image, cube = np.asarray(image), np.asarray(cube)
    if image.ndim != 2:
        raise ValueError(f"image must have the shape (height, width); got {image.shape}.")
    if cube.ndim != 3:
        raise ValueError(
            f"cube must have the shape (height, width, n_channels); got {cube.shape}."
        )
    if cube.shape[:2] != image.shape:
        raise ValueError(
            "cube must have a spectrum at each pixel of image, channels last: the shape "
            f"({image.shape[0]}, {image.shape[1]}, n_channels); got {cube.shape}."
        )
    if size > min(image.shape):
        raise ValueError(
            f"size must be at most the height and the width of image, {image.shape}; got {size}."
        )
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    n_down, n_right = windows.shape[:2]
    patches = windows.reshape(-1, size, size).copy()
    positions = np.indices((n_down, n_right)).reshape(2, -1).T + size // 2
    return patches, cube[tuple(positions.T)], np.ascontiguousarray(positions)
