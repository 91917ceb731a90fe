"""Inverse design: candidates for a wanted target, searched in the latents of an estimator."""

from ._design import propose
from ._result import Design

__all__ = ["Design", "propose"]
