"""Fitted estimators as torch modules of raw tables, for programs without this package."""

from ._encoder import export_encoder

__all__ = ["export_encoder"]
