"""Candidates for a wanted target: inverse design in the latents of a fitted estimator."""

from ._design import propose
from ._result import Design

__all__ = ["Design", "propose"]
