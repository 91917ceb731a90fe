"""Rotation angles of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._ambient import isolated
from .._estimators._differentiable import DifferentiableChain
from .._estimators._unwrap import check_one_table
from .._networks._autoencoder import AutoencoderModule
from .._networks._batch import Batch, Subset
from .._tables._input import to_pandas
from .._training._data import TensorIterator
from ..blocks import ImageBlock


@isolated
def rotation_angles(estimator, X, *, block=None):
    """Return the angles by which images are turned from the canonical pose.

    The canonical pose is the one in which the decoder of an
    :class:`~sknestedae.blocks.ImageBlock` with ``invariance="rotation"`` draws an image. The angle
    is the one by which the decoded image is turned to be nearest to the given one.

    Read more in the :ref:`User Guide <turned_images>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted supervised or dual autoencoder, chain of supervised ones, or a search for one. For
        a pipeline, pass the last step, and the table that it sees.
    X : array-like or DataFrame of shape (n_samples, n_features) or (n_samples, ...)
        The columns that were fitted.
    block : str, default=None
        Name of the block of the images, behind its stage's name, as ``"device__image"``, where two
        stages have a block of that name. None: the only one with ``invariance="rotation"``.

    Returns
    -------
    angles : ndarray of shape (n_samples,)
        In degrees from 0 to below 360, counter-clockwise as an image is drawn with its first row
        on top. NaN where no pixel was measured.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is of another kind, or X a list of tables.
    ValueError
        If no block has ``invariance="rotation"``, or several have and none is named.

    Notes
    -----
    Only differences of angles mean something, and only between images with similar latents: where
    the angle of 0 lies depends on the decoder, and it may be another for another part of the
    latent space. Of an image that looks the same after a turn by 180 degrees, the angle is known
    modulo 180. Of an ensemble, the angles are the first member's.

    Examples
    --------
    >>> import numpy as np
    >>> from sknestedae import SupervisedAutoencoder
    >>> from sknestedae.blocks import ImageBlock
    >>> from sknestedae.inspection import rotation_angles
    >>> spots = np.zeros((100, 9, 9))
    >>> spots[:, 4, 5:7] = np.random.RandomState(0).uniform(1, 2, size=(100, 1))
    >>> block = ImageBlock(n_channels=(2,), invariance="rotation")
    >>> sae = SupervisedAutoencoder(1, blocks=block, max_iter=20, random_state=0).fit(spots)
    >>> angles = rotation_angles(sae, spots)
    >>> turned = rotation_angles(sae, np.rot90(spots, axes=(1, 2)))
    >>> bool(np.allclose((turned - angles) % 360, 90, atol=0.1))
    True
    """
    caller = "rotation_angles"
    check_one_table(X, caller, "Pass one table, such as stack_scales makes of them.")
    chain = DifferentiableChain(estimator, caller)
    k, name = _block_of_images(chain, block)
    rows = chain.encode(chain.check(to_pandas(X)))[k]
    stage = chain.stages[k]
    with torch.no_grad():
        parts = [
            _angles(stage.module, name, own)
            for own in TensorIterator(Subset(rows), stage.rows_at_once)
        ]
    # twice, as the first of a small negative number is 360 itself
    return np.degrees(np.concatenate(parts)) % 360 % 360


def _angles(module: AutoencoderModule, name: str, rows: Batch) -> np.ndarray:
    """Return the angles of one block's images, in radians; of shape (n_samples,)."""
    decoded = module.decode(module.encode(rows))[name]
    block, known = module.blocks[name], rows.measured.get(name)
    assert isinstance(block, ImageBlock)
    angles: Tensor = block.angles(decoded, rows.values[name], known, module.layouts[name])
    if known is not None:
        angles = torch.where(known.any(dim=-1), angles, torch.nan)
    return angles.double().cpu().numpy()


def _block_of_images(chain: DifferentiableChain, block: Any) -> tuple[int, str]:
    """Return the stage and the name of the block that the parameter names, or of the only one."""
    names = chain.block_names()
    turned = {
        shown: (k, own)
        for (k, own), shown in names.items()
        if getattr(chain.stages[k].module.blocks[own], "invariance", None) == "rotation"
    }
    if block is None and len(turned) == 1:
        return next(iter(turned.values()))
    if block not in list(turned):  # a list, so that also what cannot be hashed may be looked for
        raise ValueError(
            "The 'block' parameter must name a block of images with invariance=\"rotation\", of "
            f"which there are {list(turned)}; got {block!r}."
        )
    return turned[block]
