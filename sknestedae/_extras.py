"""The error where an optional package is missing: one wording, with the command to install it."""

from __future__ import annotations


def missing_package(use: str, package: str, extra: str) -> ImportError:
    """Make the error that names the missing package, and both ways to install it.

    Parameters
    ----------
    use : str
        The beginning of the sentence: who needs it, such as ``"report"``.
    package : str
        Its name on the package index.
    extra : str
        The extra of this package, in ``setup.cfg``, that brings it.

    Returns
    -------
    error : ImportError
        To be raised from the error of the import.

    Examples
    --------
    >>> print(missing_package("integrated_gradients", "captum", "inspection"))
    integrated_gradients needs the package 'captum'. Install it with `pip install captum`, or with
    the extra that brings it, in a clone of the repository: `pip install '.[inspection]'`.
    """
    return ImportError(
        f"{use} needs the package '{package}'. Install it with `pip install {package}`, or with "
        f"the extra that brings it, in a clone of the repository: `pip install '.[{extra}]'`."
    )
