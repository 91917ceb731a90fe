"""The way of rows through the stages: where latents stand, and what each stage is given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sknestedae._networks._autoencoder import AutoencoderModule
from sknestedae._networks._batch import Batch
from sknestedae._networks._chain import Chain, LatentColumns
from sknestedae._tables._encoder import TableEncoder
from sknestedae._tables._layout import Layout
from sknestedae.blocks import DenseBlock

CPU = torch.device("cpu")


def latent_columns():
    """Give a stage of three values, whose last two are latents with mean and scale."""
    index = torch.tensor([1, 2])
    mean, scale = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 4.0])
    return LatentColumns("table", index, mean, scale)


def test_latents_that_are_put_can_be_got_again():
    columns = latent_columns()
    rows = Batch({"table": torch.randn(5, 3)})
    latents = torch.randn(5, 2)
    values = columns.put(rows, latents).values
    torch.testing.assert_close(columns.get(values), latents)
    torch.testing.assert_close(values["table"][:, 1:], (latents - columns.mean) / columns.scale)
    assert torch.equal(values["table"][:, 0], rows.values["table"][:, 0])  # its own column


def test_rows_without_latents_keep_what_stands_there():
    measured = torch.tensor([[True, True, True], [True, False, False]])
    rows = Batch({"table": torch.randn(2, 3)}, {"table": measured})
    values = latent_columns().put(rows, torch.full((2, 2), 100.0)).values
    assert (values["table"][0, 1:] != rows.values["table"][0, 1:]).all()
    assert torch.equal(values["table"][1], rows.values["table"][1])


@pytest.mark.parametrize("standardize", [True, False])
def test_latents_are_the_last_columns_of_a_table(standardize):
    """Put among encoded values, they are what the table's encoder makes of them."""
    X = np.random.default_rng(0).normal(3, 2, size=(20, 4))
    encoder = TableEncoder(standardize=standardize).fit(X)
    rows = Batch.from_arrays(encoder.transform(X), None, None, CPU)
    columns = LatentColumns.of(encoder, 2, CPU)
    torch.testing.assert_close(columns.get(rows.values), torch.from_numpy(X[:, 2:]))
    put = columns.put(rows, torch.from_numpy(X[::-1, 2:].copy()))
    swapped = np.column_stack([X[:, :2], X[::-1, 2:]])
    torch.testing.assert_close(
        put.values["table"], torch.from_numpy(encoder.transform(swapped)["table"].values)
    )


def module(n_values):
    return AutoencoderModule(
        layouts={"table": Layout(n_values)},
        blocks={"table": DenseBlock()},
        n_components=2,
        hidden_layer_sizes=(),
        decoder_hidden_layer_sizes=(),
        predictor_hidden_layer_sizes=(),
        activation="relu",
        latent_activation="identity",
        dropout=0.0,
        target_layout=None,
    )


def test_a_chain_gives_each_stage_the_latents_of_the_one_before():
    first, second = module(4), module(3)
    chain = Chain([first, second], [latent_columns()])
    parts = [Batch({"table": torch.randn(6, 4)}), Batch({"table": torch.randn(6, 3)})]
    outputs, rows = chain(parts)
    expected = latent_columns().put(parts[1], first.encode(parts[0]))
    assert torch.equal(rows.values["table"], expected.values["table"])
    assert torch.equal(outputs.latents, second.encode(expected))
    alone, given = chain(parts[:1])  # rows of the first stage end there
    assert torch.equal(alone.latents, first.encode(parts[0]))
    assert given is parts[0]
    assert isinstance(chain, nn.Module)
    assert len(list(chain.parameters())) == len([*first.parameters(), *second.parameters()])
