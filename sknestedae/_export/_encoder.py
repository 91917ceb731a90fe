"""The encoder of a fitted estimator, with its scaling, as a torch module."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

from .._ambient import isolated
from .._estimators._differentiable import DifferentiableChain
from .._estimators._nested import NestedAutoencoder
from .._estimators._unwrap import check_one_table
from .._tables._input import read_table
from ._columns import StageEncoder, TensorColumns, refusal_of

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class ExportedEncoder(nn.Module):
    """The encoder of a fitted estimator, with its scaling, made by ``export_encoder``.

    It takes the raw columns as one tensor, and gives the latents that ``transform`` gives.

    Parameters
    ----------
    columns : TensorColumns
        How the table's columns stand in the tensor.
    stages : list of StageEncoder
    gives_all : bool
        Whether the latents of all stages are given, side by side; else those of the last.

    Attributes
    ----------
    column_names : list
        A name for each column of the tensor: the labels of the table's columns, or their
        positions where an array was fitted. A column of arrays has one for each entry.
    categories : dict
        For each categorical column, by its name, its categories in the order of their codes.
    n_inputs : int
        Number of the tensor's columns.
    """

    column_names: list[Hashable]
    categories: dict[Hashable, list[Any]]
    n_inputs: int

    def __init__(
        self, columns: TensorColumns, stages: list[StageEncoder], gives_all: bool
    ) -> None:
        super().__init__()
        self._columns = columns
        self.stages = nn.ModuleList(stages)
        self.gives_all = gives_all
        self.column_names = columns.names()
        self.categories = columns.categories_by_name()
        self.n_inputs = len(self.column_names)

    @isolated
    def to_tensor(self, X):
        """Return a table as the tensor that the module takes.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The columns that were fitted, in their order. NaN (or None, pd.NA) where not measured.

        Returns
        -------
        Tensor of float64, shape (n_samples, n_inputs)
            Numbers as they are; of a category its position in ``categories``, and -1 where it is
            none of them; the entries of an array in C order; NaN where a value is missing.

        Raises
        ------
        ValueError
            If the columns are not those of ``fit``.
        """
        check_one_table(X, "to_tensor", "Make one of them with stack_scales.")
        return torch.from_numpy(self._columns.read(read_table(X)))

    def forward(self, X: Tensor) -> Tensor:
        """Return the latents.

        Parameters
        ----------
        X : Tensor of shape (n_samples, n_inputs)
            As ``to_tensor`` gives it; of any type of floats. NaN where a value is missing.

        Returns
        -------
        Tensor of shape (n_samples, n_latents)
        """
        X = X.flatten(1).to(self._dtype())
        latents: Tensor | None = None
        is_seen: Tensor | None = None
        found = []
        for stage in self.stages:
            assert isinstance(stage, StageEncoder)
            table = X[:, stage.own]
            is_measured = (~table.isnan()).any(dim=1, keepdim=True)
            is_seen = is_measured if is_seen is None else is_seen | is_measured
            if latents is not None:
                table = torch.cat([table, latents.to(X.dtype)], dim=1)
            encoded = stage(table)
            found.append(encoded)
            # of rows without anything measured so far there are no latents to pass on
            latents = torch.where(is_seen, encoded, torch.nan)
        return torch.cat(found, dim=1) if self.gives_all else found[-1]

    def _dtype(self) -> torch.dtype:
        """Return the type in which columns are scaled: double precision, unless it was changed."""
        return next(b.dtype for b in self.buffers() if b.is_floating_point())


@isolated
def export_encoder(estimator, *, dtype=None):
    """Return the encoder of a fitted estimator, with its scaling, as a torch module.

    The module takes raw columns as a tensor, scales them, fills missing values and encodes
    categories as the estimator does, and gives the latents of ``transform``, to rounding. It
    shares nothing with the estimator. ``torch.export`` stores it for programs without this
    package, and ``torch.onnx`` for programs without torch.

    Read more in the :ref:`User Guide <torch_users>`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted supervised autoencoder or chain of such; also in a search or a frozen estimator. Of
        an ensemble, the first member is exported, whose latents ``transform`` gives.
    dtype : {"float32", "float64"} or None, default=None
        Type of the network's parameters and of the latents. None: that of the estimator, float32
        where the table that was fitted is of float32, else float64. Columns are scaled in double
        precision in any case. Some programs that run ONNX have no convolutions of float64.

    Returns
    -------
    encoder : torch.nn.Module
        From a tensor of shape (n_samples, n_inputs) to latents of shape (n_samples, n_latents).
        In eval mode, on the CPU. In the tensor a number is as it is, NaN is a missing value, and
        a category is its position among the categories, or -1 if it is none of them; an array in
        a cell is all of its entries, in C order. The module has the method ``to_tensor(X)``,
        which gives this tensor of a table, and the attributes ``column_names`` (one name for each
        column of the tensor), ``categories`` (a dict of lists, in the order of the codes) and
        ``n_inputs``.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``dtype`` is another one.
    TypeError
        If it, or a stage, is no supervised autoencoder; or if a block reads its columns in a way
        that is not written in torch, such as structures of atoms.

    Notes
    -----
    The estimator refuses infinite values and rows of which nothing was measured, and warns of
    categories that it never saw. The module is a function of numbers and does none of this: an
    infinite value gives latents that are no numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> import torch
    >>> from sknestedae import SupervisedAutoencoder, export_encoder
    >>> X = pd.DataFrame({"radius": [1.0, 2.0, None], "phase": ["cubic", "cubic", "hexagonal"]})
    >>> sae = SupervisedAutoencoder(1, max_iter=5, random_state=0).fit(X)
    >>> encoder = export_encoder(sae)
    >>> encoder.column_names, encoder.categories
    (['radius', 'phase'], {'phase': ['cubic', 'hexagonal']})
    >>> encoder.to_tensor(X)
    tensor([[1., 0.],
            [2., 0.],
            [nan, 1.]], dtype=torch.float64)
    >>> with torch.no_grad():
    ...     Z = encoder(encoder.to_tensor(X))
    >>> torch.allclose(Z, torch.from_numpy(sae.transform(X)))
    True
    """
    if dtype not in (None, *_DTYPES):
        raise ValueError(
            f"The 'dtype' parameter must be None or one of {list(_DTYPES)}, got {dtype!r}."
        )
    chain = DifferentiableChain(estimator, "export_encoder")
    blocks = chain.block_names()
    for k, stage in enumerate(chain.stages):
        for name, codec in stage.table.codecs.items():
            reason = refusal_of(codec)
            if reason is not None:
                raise TypeError(
                    f"export_encoder cannot export the block {blocks[k, name]!r}: {reason}."
                )
    of_stages = dict(zip(chain.names, chain.columns, strict=True))
    tables = [stage.table for stage in chain.stages]
    columns = TensorColumns.of(chain.column_labels, of_stages, tables)
    stages = []
    for k, stage in enumerate(chain.stages):
        module = stage.module.encoder_alone().cpu().to(_DTYPES.get(dtype))
        stages.append(StageEncoder(stage.table, module, columns, chain.columns[k]))
    is_chain = isinstance(chain.estimator, NestedAutoencoder)
    return ExportedEncoder(columns, stages, is_chain and chain.estimator.latents == "all").eval()
