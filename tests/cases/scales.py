"""Tables of two scales, as DataFrames."""

from __future__ import annotations

import numpy as np
import pandas as pd


def crystals(n_rows=6):
    return pd.DataFrame(
        {
            "radius": np.linspace(1, 2, n_rows),
            "count": np.arange(n_rows),
            "mixed": np.arange(n_rows) % 2 == 0,
        },
        index=[f"c{i}" for i in range(n_rows)],
    )


def cells(n_rows=4):
    own = pd.DataFrame({"layer": pd.Categorical(["TiO2", "SnO2"] * (n_rows // 2))})
    return pd.concat([crystals(n_rows).reset_index(drop=True), own], axis=1)
