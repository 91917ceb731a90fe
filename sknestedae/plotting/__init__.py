"""Displays of latents, training, reconstruction and chains, after scikit-learn's convention."""

from ._history import HistoryDisplay
from ._latent import LatentDisplay
from ._nested import NestedDisplay
from ._reconstruction import ReconstructionDisplay

__all__ = ["HistoryDisplay", "LatentDisplay", "NestedDisplay", "ReconstructionDisplay"]
