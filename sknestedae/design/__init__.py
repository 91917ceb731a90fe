"""Candidates for a wanted target: inverse design in the latents of a fitted estimator."""

from ._design import Design, propose

__all__ = ["Design", "propose"]
