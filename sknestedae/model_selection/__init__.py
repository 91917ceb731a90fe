"""Searches and cross-validation with vectorized training; folds and scorers for several scales.

The searches are scikit-learn's, so that they take the same parameters and give the same results;
only the networks of all fits are trained at once.
"""

from ._folds import GapKFold, ScaleKFold
from ._scorers import StageScorer as StageScorer  # a stored search finds its scorer here
from ._scorers import TranslationScorer as TranslationScorer
from ._scorers import stage_scorer, translation_scorer
from ._search import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    batched_cross_validate,
    batched_training,
)

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "GapKFold",
    "ScaleKFold",
    "batched_cross_validate",
    "batched_training",
    "stage_scorer",
    "translation_scorer",
]
