"""Nested autoencoders for data at several scales, as scikit-learn estimators."""

from ._nested import NestedAutoencoder
from ._report import report
from ._scales import ScaleKFold, stack_scales, stage_scorer
from ._supervised import SupervisedAutoencoder, SupervisedAutoencoderClassifier

__version__ = "0.2.0.dev0"

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
