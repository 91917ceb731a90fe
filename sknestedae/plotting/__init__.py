"""Displays: figures of latents, training, reconstructions and chains, as in scikit-learn."""

from ._alignment import AlignmentDisplay
from ._atoms import AtomsDisplay
from ._components import ComponentsDisplay
from ._history import HistoryDisplay
from ._latent import LatentDisplay
from ._latent_map import LatentMapDisplay
from ._manifold import ManifoldDisplay
from ._nested import NestedDisplay
from ._pairs import PairsDisplay
from ._reconstruction import ReconstructionDisplay
from ._traversal import TraversalDisplay

__all__ = [
    "AlignmentDisplay",
    "AtomsDisplay",
    "ComponentsDisplay",
    "HistoryDisplay",
    "LatentDisplay",
    "LatentMapDisplay",
    "ManifoldDisplay",
    "NestedDisplay",
    "PairsDisplay",
    "ReconstructionDisplay",
    "TraversalDisplay",
]
