"""The way between candidates and stages: values, categories and the place of tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.build import bulk
from cases.array_tables import as_cells
from cases.design import (
    a_chain,
    a_chain_with_arrays,
    arrays,
    one_scale,
    problem_of,
    with_arrays,
    with_structures,
)
from numpy.testing import assert_allclose, assert_array_equal

from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae.design._candidate_chain import (
    CandidateChain,
    MemberPrediction,
    Moments,
    StageAdapter,
    category_matrix,
)


def test_values_are_those_that_a_stage_encodes():
    """For a stage's own columns; 0 where the latents before it stand."""
    for make in (one_scale, a_chain):
        estimator, X, target = make()
        problem, known, rows = problem_of(estimator, X, target)
        chain = DifferentiableChain(estimator)
        for k, expected in enumerate(chain.encode(rows)):
            values = StageAdapter(chain, k, problem.columns).encode(known).values["table"]
            own = chain.columns_of_values(k)["table"] >= 0
            torch.testing.assert_close(values[:, own], expected.values["table"][:, own])
            assert (values[:, ~own] == 0).all()


def test_columns_come_back_from_their_values():
    estimator, X, target = one_scale()
    problem, known, _ = problem_of(estimator, X, target)
    adapter = StageAdapter(DifferentiableChain(estimator), 0, problem.columns)
    numbers, logits, arrays = adapter.decode(adapter.encode(known).values)
    assert adapter.there.tolist() == [0, 1, 2]
    torch.testing.assert_close(numbers, known.numbers)
    torch.testing.assert_close(logits, known.shares)
    assert not arrays


def test_a_category_that_a_member_has_not_seen_enters_as_zeros():
    matrix = category_matrix(np.array(["p", "q", "r"]), np.array(["p", "r"]))
    assert_array_equal(matrix.numpy(), [[1, 0], [0, 0], [0, 1]])


def test_values_are_sent_to_where_the_networks_are(monkeypatch):
    """As far as a device without storage shows: its tensors have a place, and no numbers."""
    estimator, X, target = a_chain()
    problem, known, _ = problem_of(estimator, X, target)
    for _, stage, _ in estimator.stages_:
        stage.net_.module_.to("meta")
    chain, decoded = CandidateChain(DifferentiableChain(estimator), problem.columns), []
    for adapter in chain.adapters:  # which would bring them back
        nothing = torch.zeros(len(X), len(adapter.there)), {}, {}
        monkeypatch.setattr(adapter, "decode", lambda v, x=nothing: decoded.append(v) or x)
    chain.decode(problem.latents_of_known)
    outputs = chain.forward(known)
    values = [v for part in decoded for v in part.values()]
    for tensor in [*values, *(o.latents for o in outputs), *(o.prediction for o in outputs)]:
        assert tensor.device.type == "meta"
        assert len(tensor) == len(X)


def test_arrays_are_those_that_each_member_encodes():
    """A member that has learnt from other rows has another scale."""
    for make in (with_arrays, a_chain_with_arrays):
        estimator, X, target = make(n_members=2, bootstrap=True)
        problem, known, rows = problem_of(estimator, X, target)
        chains = DifferentiableChain(estimator).members()
        for chain in chains:
            for k, expected in enumerate(chain.encode(rows)):
                values = StageAdapter(chain, k, problem.columns).encode(known).values
                for name in values:
                    own = chain.columns_of_values(k)[name] >= 0
                    torch.testing.assert_close(
                        values[name][:, own], expected.values[name][:, own], rtol=0, atol=1e-5
                    )
        scales = [chain.stages[0].table.codecs for chain in chains]
        name = next(name for name in scales[0] if name != "table")
        assert scales[0][name].affine()[1][0] != scales[1][name].affine()[1][0]


def test_rows_of_a_library_are_encoded_with_what_of_them_was_measured():
    estimator, X, target = with_arrays(n_members=2, bootstrap=True)
    images, _, _ = arrays(3, seed=3)
    images[1, 2, 2:4] = np.nan
    problem, known, rows = problem_of(estimator, X, target, library={"image": images})
    (library,) = problem.constraints.libraries
    some = library.place(known.take(np.arange(2)), torch.tensor([2, 1]))
    given = rows[:2].assign(image=list(images[[2, 1]]))
    for chain in DifferentiableChain(estimator).members():
        found = StageAdapter(chain, 0, problem.columns, [library]).encode(some)
        (expected,) = chain.encode(given)
        assert torch.equal(found.values["image"], expected.values["image"])
        assert torch.equal(found.measured["image"], expected.measured["image"])
        assert list(found.measured) == ["image"]


def test_structures_enter_with_the_atoms_of_their_row():
    estimator, X, target = with_structures(n_members=2, bootstrap=True)
    library = [bulk("NaI", "rocksalt", a=6.4), bulk("KBr", "rocksalt", a=6.6)]
    problem, known, rows = problem_of(estimator, X, target, library={"structure": library})
    (given,) = problem.constraints.libraries
    some = given.place(known.take(np.arange(2)), torch.tensor([1, 0]))
    table = rows[:2].assign(structure=as_cells(library[::-1]))
    for chain in DifferentiableChain(estimator).members():
        adapter = StageAdapter(chain, 0, problem.columns, [given])
        for own, expected_rows in ((known, rows), (some, table)):
            found, (expected,) = adapter.encode(own), chain.encode(expected_rows)
            sets = [part.ragged["crystal"]["atoms"].gather() for part in (found, expected)]
            assert torch.equal(sets[0].lengths, sets[1].lengths)
            for name, column in sets[1].columns.items():
                assert torch.equal(sets[0].columns[name], column)
            torch.testing.assert_close(
                chain.forward([found])[-1].prediction, chain.forward([expected])[-1].prediction
            )


@pytest.mark.parametrize("has_std", [False, True])
def test_moments_of_parts_are_those_of_the_whole(has_std):
    rng = np.random.default_rng(0)
    means, stds = (torch.tensor(rng.uniform(size=(3, 7))) for _ in range(2))
    inputs = torch.tensor(rng.normal(size=(3, 7, 2)))
    members = [
        MemberPrediction(mean, *((std, own) if has_std else ()))
        for mean, std, own in zip(means, stds, inputs, strict=True)
    ]
    whole = Moments.of_members(members)
    parts = []
    for rows in (slice(0, 4), slice(4, 7)):
        some = [
            MemberPrediction(*(None if own is None else own[rows] for own in member))
            for member in members
        ]
        parts.append(Moments.of_members(some))
    joined = Moments.joined(parts)
    torch.testing.assert_close(joined.mean, whole.mean, rtol=0, atol=0)
    torch.testing.assert_close(joined.std, whole.std, rtol=1e-14, atol=0)
    for one, other in zip(joined.members, members, strict=True):
        for own, expected in zip(one, other, strict=True):
            assert (own is None) == (expected is None)
            if own is not None:
                assert torch.equal(own, expected)


def test_the_variance_of_members_is_between_and_within_them():
    """Drawn from a member at random, values have it; of the means it is that of a sample."""
    means, stds = np.array([1.0, 2.0, 6.0]), np.array([0.5, 0.1, 0.3])
    members = [
        MemberPrediction(*(torch.tensor([value]) for value in own))
        for own in zip(means, stds, strict=True)
    ]
    found = Moments.of_members(members)
    assert_allclose(found.mean, means.mean())
    assert_allclose(found.std**2, means.var(ddof=1) + (stds**2).mean())
    assert Moments.of_members([MemberPrediction(torch.tensor([1.0]))]).std is None
    assert_allclose(Moments.of_members(members[:1]).std, 0.5)
