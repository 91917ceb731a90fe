"""A model card of a fitted estimator: data, settings, scores and limits."""

from ._report import Report, report

__all__ = ["Report", "report"]
