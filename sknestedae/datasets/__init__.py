"""Data sets with several scales or kinds of data, made by formulas or downloaded."""

from ._bepfm import fetch_bepfm
from ._clusters import make_nanoparticle_clusters
from ._crystals import make_crystals
from ._made_perovskites import make_perovskites
from ._nested_functions import make_nested_functions, nested_functions
from ._patches import patches_at
from ._perovskites import fetch_perovskites
from ._phonon_dos import fetch_phonon_dos
from ._solar_cells import load_solar_cells, solar_cell_formula

__all__ = [
    "fetch_bepfm",
    "fetch_perovskites",
    "fetch_phonon_dos",
    "load_solar_cells",
    "make_crystals",
    "make_nanoparticle_clusters",
    "make_nested_functions",
    "make_perovskites",
    "nested_functions",
    "patches_at",
    "solar_cell_formula",
]
