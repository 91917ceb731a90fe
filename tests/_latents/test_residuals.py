"""Errors of decoded values, entry by entry."""

from __future__ import annotations

import torch

from sknestedae._latents._residuals import (
    all_errors,
    categorical_groups,
    known_groups,
    numeric_errors,
)
from sknestedae._networks._batch import Batch
from sknestedae._tables._layout import Layout

LAYOUTS = {"numbers": Layout(2), "mixed": Layout(1, (2, 3))}
N_ROWS = 4


def draw():
    """Give decoded values and rows; of the block "mixed" some entries are missing."""
    generator = torch.Generator().manual_seed(0)
    decoded, values = (
        {
            name: torch.randn(N_ROWS, layout.n_values, generator=generator, dtype=torch.float64)
            for name, layout in LAYOUTS.items()
        }
        for _ in range(2)
    )
    measured = torch.tensor([[True, True, True], [False, True, False]]).repeat(2, 1)
    return decoded, Batch(values, {"mixed": measured})


def test_errors_of_numbers_are_decoded_less_given():
    decoded, rows = draw()
    known, error = numeric_errors(decoded["mixed"], rows, "mixed", LAYOUTS["mixed"])
    assert torch.equal(error, (decoded["mixed"] - rows.values["mixed"])[:, :1])
    assert known[:, 0].tolist() == [1, 0, 1, 0]
    known, _ = numeric_errors(decoded["numbers"], rows, "numbers", LAYOUTS["numbers"])
    assert (known == 1).all()


def test_errors_of_all_blocks_stand_side_by_side():
    decoded, rows = draw()
    whole = all_errors(decoded, rows, LAYOUTS)
    parts = [numeric_errors(decoded[name], rows, name, own) for name, own in LAYOUTS.items()]
    for found, own in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(found, torch.cat(own, dim=1))


def test_categories_come_with_their_own_columns():
    decoded, rows = draw()
    layout = LAYOUTS["mixed"]
    groups = list(categorical_groups(decoded["mixed"], rows, "mixed", layout))
    assert [logits.shape[1] for logits, _, _ in groups] == [2, 3]
    assert torch.equal(groups[1][0], decoded["mixed"][:, 3:])
    assert torch.equal(groups[1][1], rows.values["mixed"][:, 3:])
    assert [known.tolist() for *_, known in groups] == [[1, 1, 1, 1], [1, 0, 1, 0]]
    everywhere = Batch(rows.values)
    assert all((known == 1).all() for known in known_groups(everywhere, "mixed", layout))
