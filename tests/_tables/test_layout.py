"""How the values of a block lie."""

import numpy as np

from sknestedae._tables._layout import Layout


def test_layout_counts_values_and_columns():
    layout = Layout(2, (3, 1))
    assert (layout.n_values, layout.n_columns) == (6, 4)
    assert list(layout.groups()) == [slice(2, 5), slice(5, 6)]
    assert layout.spread(np.array([[10, 20, 30, 40]])).tolist() == [[10, 20, 30, 30, 30, 40]]
