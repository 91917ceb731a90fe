"""Fitted estimators as torch modules of raw tables, for programs without this package."""

from ._encoder import ExportedEncoder, export_encoder

__all__ = ["ExportedEncoder", "export_encoder"]
