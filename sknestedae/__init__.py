"""Nested autoencoders for data at several scales, as scikit-learn estimators."""

from ._nested import NestedAutoencoder
from ._report import report
from ._scales import ScaleKFold, stack_scales, stage_scorer
from ._supervised import SupervisedAutoencoder, SupervisedAutoencoderClassifier
from ._version import __version__

__all__ = [
    "NestedAutoencoder",
    "ScaleKFold",
    "SupervisedAutoencoder",
    "SupervisedAutoencoderClassifier",
    "__version__",
    "report",
    "stack_scales",
    "stage_scorer",
]
