"""Data sets with more than one scale: one made from formulas, one downloaded."""

from ._nested_functions import make_nested_functions, nested_functions
from ._perovskites import fetch_perovskites

__all__ = ["fetch_perovskites", "make_nested_functions", "nested_functions"]
