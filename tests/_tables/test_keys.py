"""Numbers that follow from content."""

import numpy as np

from sknestedae._tables._keys import key_of_bytes


def test_equal_bytes_have_equal_keys_and_others_do_not():
    array = np.arange(6.0)
    assert key_of_bytes(array) == key_of_bytes(array.copy())
    assert 0 <= key_of_bytes(array) < 2**64
    others = [key_of_bytes(array + 1), key_of_bytes(array, b"salt"), key_of_bytes(array[:5])]
    assert len({key_of_bytes(array), *others}) == 4
