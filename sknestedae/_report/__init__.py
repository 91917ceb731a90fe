"""A model card: what a fitted estimator is, and how far it can be trusted."""

from ._report import Report, report

__all__ = ["Report", "report"]
