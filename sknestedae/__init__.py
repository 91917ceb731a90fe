"""Nested autoencoders for data at several scales, as scikit-learn estimators."""

from ._estimators._classifier import SupervisedAutoencoderClassifier
from ._estimators._dual import DualAutoencoder, DualAutoencoderClassifier
from ._estimators._nested import NestedAutoencoder
from ._estimators._supervised import SupervisedAutoencoder
from ._export import export_encoder
from ._report import report
from ._show_versions import show_versions
from ._tables._kinds import stack_kinds
from ._tables._scales import stack_scales
from ._version import __version__
from .model_selection import ScaleKFold, stage_scorer, translation_scorer

__all__ = [
    "DualAutoencoder",
    "DualAutoencoderClassifier",
    "NestedAutoencoder",
    "ScaleKFold",
    "SupervisedAutoencoder",
    "SupervisedAutoencoderClassifier",
    "__version__",
    "export_encoder",
    "report",
    "show_versions",
    "stack_kinds",
    "stack_scales",
    "stage_scorer",
    "translation_scorer",
]
