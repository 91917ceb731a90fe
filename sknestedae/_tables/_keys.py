"""Keys: hashes of content, to find equal rows and cells."""

from __future__ import annotations

import hashlib

import numpy as np


def key_of_bytes(array: np.ndarray, salt: bytes = b"") -> int:
    """Hash the bytes of a contiguous array to a number of 64 bits."""
    digest = hashlib.blake2b(array.data, digest_size=8, key=salt[:64], usedforsecurity=False)
    return int.from_bytes(digest.digest(), "little")
