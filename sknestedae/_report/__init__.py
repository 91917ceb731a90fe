"""A model card of a fitted estimator: data, settings, scores, and how far to trust it."""

from ._report import Report, report

__all__ = ["Report", "report"]
