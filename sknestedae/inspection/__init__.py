"""Interpretation of a fitted autoencoder: weights, correlations, attributions and atom scores.

Each function gives a table about a fitted autoencoder, or a chain of them. They answer different
questions: :func:`encoder_weights` and :func:`column_usage`, which columns enter the first layer;
:func:`latent_correlations`, which variables a latent correlates with; and
:func:`integrated_gradients`, how much each entry of a row adds to a latent or a prediction,
through all stages. For images whose latents do not depend on how they were turned,
:func:`rotation_angles` gives the angles. For several kinds of data, :func:`translation_scores`
shows how well each is predicted from the others. For structures of atoms, :func:`atom_scores` and
:func:`atom_predictions` show the contribution of each atom to a prediction. :func:`summary` lists
the layers of the network.
"""

from ._atoms import atom_predictions, atom_scores
from ._attributions import integrated_gradients
from ._correlations import latent_correlations
from ._rotation import rotation_angles
from ._summary import summary
from ._translations import translation_scores
from ._weights import column_usage, encoder_weights

__all__ = [
    "atom_predictions",
    "atom_scores",
    "column_usage",
    "encoder_weights",
    "integrated_gradients",
    "latent_correlations",
    "rotation_angles",
    "summary",
    "translation_scores",
]
