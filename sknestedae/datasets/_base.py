"""Download of data sets: files whose checksum is verified."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .._extras import missing_package


class RemoteFile(NamedTuple):
    """A file to download: its name, its address and its SHA256 checksum (hexadecimal).

    With ``content``, a function that reads the used part of the file, the checksum is of the bytes
    that it returns, so that a copy without the rest is accepted as well.
    """

    filename: str
    url: str
    sha256: str
    content: Callable[[Path], bytes] | None = None

    def checksum(self, path: Path) -> str:
        """Return the checksum of a local copy, or a text if it cannot be read."""
        try:
            content = path.read_bytes() if self.content is None else self.content(path)
        except (ValueError, KeyError, TypeError, SyntaxError) as error:
            return f"none, as it cannot be read ({error})"
        return hashlib.sha256(content).hexdigest()


def fetch_file(
    remote: RemoteFile, folder: Path, *, download_if_missing: bool, n_retries: int, caller: str
) -> Path:
    """Return the path of a verified local copy of a file, downloading it where it is missing.

    A file that is already there is verified as well. One that fails is never replaced silently:
    it may be the user's own.

    Parameters
    ----------
    remote : RemoteFile
        The file.
    folder : Path
        Where the file is, or where it is to be saved.
    download_if_missing : bool
        Whether a missing file may be downloaded.
    n_retries : int
        How many times a failed download is tried again.
    caller : str
        The public function, for the messages.

    Returns
    -------
    path : Path
        The local file, its checksum verified.

    Raises
    ------
    OSError
        If the file is missing and must not be downloaded, if the download fails, or if the
        checksum is not the expected one.
    ImportError
        If the file has to be downloaded and pooch is not installed.
    """
    path = folder / remote.filename
    if path.exists():
        found = remote.checksum(path)
        if found != remote.sha256:
            raise OSError(
                f"The local file {path} is not the published {remote.filename}: its SHA256 "
                f"checksum is {found}, expected {remote.sha256}. Delete the file to have it "
                "downloaded afresh, or pass another `data_home`."
            )
        return path
    if not download_if_missing:
        raise OSError(f"{remote.filename} is not in {folder} and `download_if_missing` is False.")

    try:
        import pooch
    except ImportError as error:
        use = f"{caller} downloads {remote.filename} and"
        raise missing_package(use, "pooch", "data") from error
    downloader = pooch.create(
        path=folder,
        base_url="",
        registry={remote.filename: None if remote.content else f"sha256:{remote.sha256}"},
        urls={remote.filename: remote.url},
        retry_if_failed=n_retries,
    )
    try:
        downloader.fetch(remote.filename)
        if remote.content:  # of which pooch knows nothing
            found = remote.checksum(path)
            if found != remote.sha256:
                path.unlink()
                raise ValueError(f"its checksum is {found}, expected {remote.sha256}.")
    except (ValueError, OSError) as error:  # a wrong checksum, or no network
        raise OSError(
            f"{remote.filename} could not be downloaded from {remote.url} and verified: {error}"
        ) from error
    return path


def check_ase(caller: str) -> None:
    """Raise an error if ase is not installed.

    Raises
    ------
    ImportError
        With the name of the public function that was called.
    """
    try:
        import ase  # noqa: F401
    except ImportError as error:
        raise missing_package(f"{caller} gives ase.Atoms and", "ase", "atoms") from error
