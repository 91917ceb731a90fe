"""The block of structures of atoms: crystals and molecules as cells of a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from .._atoms._codec import AtomsCodec
from .._atoms._elements import element_properties
from .._atoms._surroundings import NEAREST_GAUSSIAN, Geometry
from .._layers._atoms import NEAREST_MESSAGE, AtomsEncoder
from .._persistence import public
from .._tables._base_codec import BlockColumns, Codec
from .._tables._layout import Layout
from .._tables._structures import LAST_ELEMENT
from ._base import Block
from ._drawing import draw_structures
from ._settings import check_bool, check_count, check_length

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Gaussians of the distance of neighbours that send messages, and width of a message.
_N_GAUSSIANS = 8
_N_CHANNELS = 32

# Largest degree of the power spectrum; no larger one was tried.
_LARGEST_DEGREE = 3

# Angstrom; the number of neighbours grows with its third power, to some ten thousands in a metal.
_LARGEST_CUTOFF = 30.0

# What "auto" stands for: of molecules, angles and messages pay; of crystals they do not.
_DEGREE_OF_MOLECULES = 3
_MESSAGES_OF_MOLECULES = 5.0


@public("sknestedae.blocks")
class AtomsBlock(Block):
    """Crystals or molecules: a column whose cells are structures of atoms.

    A cell holds ``ase.Atoms``, or a structure or molecule of pymatgen, which is read by its
    attributes; None where a row was not measured. A structure that is periodic in three directions
    is a crystal, in two a slab, in one a wire, and in none a molecule. All structures of a column
    are of one of these kinds, as an area and a volume cannot be compared.

    A structure enters as the set of its atoms, each with its element and its surroundings: radial
    densities of its neighbours. The latents are the same for atoms in another order, for a
    structure that is moved or turned, and for a cell that is doubled. The shares of its elements,
    its mean radial density and its size come back: the logarithm of the volume per atom of a
    crystal (of a slab or a wire, the area or the length per atom), or of the number of atoms of a
    molecule. From these ``inverse_transform`` and
    ``complete`` return the nearest structure of the training set, never generated positions: as
    ``ase.Atoms``, whose ``info`` has the ``mismatch`` and the decoded values.

    Parameters
    ----------
    cutoff : float, default=7.0
        Distance up to which atoms are neighbours, in Angstrom; above 0.5, at most 30.
    n_radial : int, default=28
        Number of Gaussian basis functions for the distances of neighbours.
    n_units : int, default=128
        Width of the network's representation of each atom.
    n_rounds : int, default=2
        Number of rounds in which atoms exchange information (message passing and attention).
    n_heads : int, default=4
        Number of attention heads that pool the atoms of a structure.
    embedding : int, default=32
        Width of the learnt embedding of each element, beside its properties.
    degree : int or "auto", default="auto"
        Largest degree of spherical harmonics in the power spectrum that describes angles between
        neighbours: 0, for none, to 3. "auto" is 0 for crystals and 3 for molecules.
    message_cutoff : float or "auto", default="auto"
        Distance up to which atoms send each other messages in each round, in Angstrom: above 0.7,
        at most 30, or 0 for none. It may be above ``cutoff``. "auto" is 0 for crystals and 5 for
        molecules.
    per_atom : bool, default=False
        Whether each atom has latents and a prediction of its own, whose means over the structure
        are those of the structure: then :func:`~sknestedae.inspection.atom_scores` gives each
        atom's exact share of a prediction, and ``atom_predictions`` its own.
    n_features : int, default=160
        Largest number of features that describe the surroundings of an atom: the principal
        directions of the training set's surroundings.

    See Also
    --------
    sknestedae.inspection.atom_scores : The contribution of each atom to a prediction.

    Notes
    -----
    Needs the extra ``atoms``: ase to give structures back, and vesin to find neighbours faster
    than NumPy does. Surroundings of atoms are computed once for each structure, and kept in a
    cache of 256 MB; if it holds less than a quarter of a table, none are kept.

    The network over the atoms has many weights, which the penalty ``alpha`` of the estimator holds
    back. Its default suits few structures; with a thousand or more, ``alpha=1e-5`` learns better.

    An element that is not in the training set enters by its properties alone, such as mass, radius
    and electronegativity, with a warning.

    Surroundings by radial densities and angular power spectra follow Behler and Parrinello (Phys.
    Rev. Lett. 98, 146401, 2007) and Bartók, Kondor and Csányi (Phys. Rev. B 87, 184115, 2013).
    The set is read as in Deep Sets (Zaheer et al., 2017), with attention.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.blocks import AtomsBlock
    >>> crystals = [bulk("NaCl", "rocksalt", a=a) for a in (5.5, 5.6, 5.7, 5.8)]
    >>> sae = SupervisedAutoencoder(2, blocks=AtomsBlock(n_units=8), max_iter=2, random_state=0)
    >>> sae.fit(crystals, [1.0, 2.0, 3.0, 4.0]).transform(crystals).shape
    (4, 2)
    >>> sorted(sae.inverse_transform([[0.0, 0.0]])[0, 0].info["composition"])
    ['Cl', 'Na']
    """

    kind: ClassVar[str] = "structure"
    reads_missing: ClassVar[bool] = True
    reads_ragged: ClassVar[bool] = True

    def __init__(
        self,
        cutoff: float = 7.0,
        n_radial: int = 28,
        n_units: int = 128,
        n_rounds: int = 2,
        n_heads: int = 4,
        embedding: int = 32,
        degree: int | str = "auto",
        message_cutoff: float | str = "auto",
        per_atom: bool = False,
        n_features: int = 160,
    ) -> None:
        self.cutoff = cutoff
        self.n_radial = n_radial
        self.n_units = n_units
        self.n_rounds = n_rounds
        self.n_heads = n_heads
        self.embedding = embedding
        self.degree = degree
        self.message_cutoff = message_cutoff
        self.per_atom = per_atom
        self.n_features = n_features

    def _geometry(self, is_periodic: bool) -> Geometry:
        """Return the settings of the surroundings, with the value that "auto" stands for."""
        degree, messages = self.degree, self.message_cutoff
        if isinstance(degree, str) and degree == "auto":
            degree = 0 if is_periodic else _DEGREE_OF_MOLECULES
        if isinstance(messages, str) and messages == "auto":
            messages = 0.0 if is_periodic else _MESSAGES_OF_MOLECULES
        return Geometry(
            cutoff=check_length(
                "cutoff", self.cutoff, above=NEAREST_GAUSSIAN, most=_LARGEST_CUTOFF
            ),
            n_radial=check_count("n_radial", self.n_radial, least=2),
            n_angular=check_count("degree", degree, least=0, most=_LARGEST_DEGREE),
            message_cutoff=check_length(
                "message_cutoff",
                messages,
                above=NEAREST_MESSAGE,
                most=_LARGEST_CUTOFF,
                may_be_zero=True,
            ),
        )

    def make_codec(self, columns: BlockColumns) -> Codec:
        """Make a codec that reads structures, and describes the surroundings of their atoms."""
        return AtomsCodec(
            columns,
            crystals=self._geometry(True),
            molecules=self._geometry(False),
            n_features=check_count("n_features", self.n_features),
        )

    def make_encoder(self, layout: Layout) -> tuple[nn.Module, int]:
        """Make a network over the set of atoms of each row."""
        widths = dict(layout.ragged)
        sends = "pairs" in widths
        numbers = np.arange(1, LAST_ELEMENT + 1)
        every = torch.as_tensor(element_properties(numbers), dtype=torch.float32)
        encoder = AtomsEncoder(
            widths["atoms"],
            torch.cat([torch.zeros(1, every.shape[1]), every]),
            n_units=check_count("n_units", self.n_units),
            n_rounds=check_count("n_rounds", self.n_rounds, least=0),
            n_heads=check_count("n_heads", self.n_heads),
            embedding=check_count("embedding", self.embedding),
            n_gaussians=_N_GAUSSIANS if sends else 0,
            n_channels=_N_CHANNELS,
            cutoff=float(self._geometry(False).message_cutoff) if sends else 0.0,
            per_atom=check_bool("per_atom", self.per_atom),
        )
        return encoder, encoder.n_outputs

    def make_decoder(self, layout: Layout, n_inputs: int) -> nn.Module:
        """Make a linear layer to the shares of the elements, the radial density and the size."""
        return nn.Linear(n_inputs, layout.n_values)

    def plot(self, ax: Axes, given: Any, decoded: Any, layout: Layout, **keywords: Any) -> Any:
        """Draw bars of the composition beside the radial density, a strip for each structure.

        Parameters
        ----------
        ax : matplotlib Axes
        given : array-like of shape (layout.n_values,) or (n_rows, layout.n_values)
            Shares of the elements, root of the radial density, and logarithm of the size.
        decoded : array-like of the same shape, or None
        layout : Layout
        **keywords
            ``elements``, the symbols of the elements (without it, their positions), ``distances``
            in Angstrom, ``size``, ``names`` and ``titles``.

        Returns
        -------
        list of matplotlib artists
        """
        known = {
            "elements": [str(k) for k in range(layout.n_values - self.n_radial - 1)],
            "distances": self._geometry(True).distances,
        }
        own = ("elements", "distances", "size", "names", "titles")
        chosen = {key: value for key, value in keywords.items() if key in own}
        return draw_structures(ax, given, decoded, **{**known, **chosen})
