"""Displays of latents, of training and of reconstruction, after scikit-learn's convention."""

from ._history import HistoryDisplay
from ._latent import LatentDisplay
from ._reconstruction import ReconstructionDisplay

__all__ = ["HistoryDisplay", "LatentDisplay", "ReconstructionDisplay"]
