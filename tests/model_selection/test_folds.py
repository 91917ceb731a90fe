"""Groups of rows that are held out together."""

import numpy as np

from sknestedae.model_selection._folds import group_codes


def test_a_row_without_a_group_is_one_of_its_own():
    codes = group_codes(["b", None, "a", np.nan, "b"], 5)
    assert codes[0] == codes[4]
    assert len(set(codes)) == 4
    assert group_codes(None, 3).tolist() == [0, 1, 2]
