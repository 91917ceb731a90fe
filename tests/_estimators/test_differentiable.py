"""A fitted chain as torch functions: the same numbers as its methods, with gradients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from cases.nested import cells, sae, two_scales
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import NestedAutoencoder, stack_scales
from sknestedae._estimators._differentiable import DifferentiableChain
from sknestedae._networks._batch import Batch
from sknestedae._networks._chain import LatentColumns
from sknestedae._tables._encoder import TableEncoder


def fitted_chain():
    X, y = two_scales()
    nested = NestedAutoencoder([("a", sae(3), "a"), ("b", sae(2), "b")]).fit(X, y)
    return nested, stack_scales(X, y, ["a", "b"])[0]


def test_up_the_chain_are_the_latents_and_predictions_of_its_methods():
    nested, X = fitted_chain()
    chain = DifferentiableChain(nested)
    with torch.no_grad():
        first, second = chain.forward(chain.encode(X))
    nested.set_params(latents="all")
    assert_allclose(np.hstack([first.latents, second.latents]), nested.transform(X), rtol=1e-10)
    decoded = [
        stage.target.decode(outputs.prediction.numpy())
        for stage, outputs in zip(chain.stages, (first, second), strict=True)
    ]
    assert_allclose(np.column_stack(decoded), nested.predict(X), rtol=1e-10)


def test_down_the_chain_are_the_columns_of_inverse_transform():
    nested, X = fitted_chain()
    chain = DifferentiableChain(nested)
    Z = nested.transform(X)
    with torch.no_grad():
        decoded = chain.decode(torch.from_numpy(Z))
    expected = nested.inverse_transform(Z)
    for k, values in enumerate(decoded):
        table = chain.stages[k].table.inverse_transform(
            {name: block.numpy() for name, block in values.items()}
        )
        for i, j in enumerate(chain.columns[k]):
            assert_array_equal(table.iloc[:, i].to_numpy(), expected.iloc[:, j].to_numpy())


def test_each_stage_decodes_in_its_own_dtype():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["a", "b"])
    X = X.astype({"a": np.float32})
    nested = NestedAutoencoder([("a", sae(3), ["a"]), ("b", sae(2), ["b"])]).fit(X, X["b"])
    chain = DifferentiableChain(nested)
    Z = nested.transform(X)
    with torch.no_grad():
        decoded = chain.decode(torch.from_numpy(Z))
    assert [part["table"].dtype for part in decoded] == [torch.float32, torch.float64]
    latents = chain.network.latent_columns[0].get(decoded[1])
    with torch.no_grad():
        given = chain.network.stages[0].decode(latents.float())
    assert torch.equal(given["table"], decoded[0]["table"])


def test_the_gradient_of_the_last_stage_reaches_the_first_scale():
    """Against differences, with the latents before computed anew."""
    nested, X = fitted_chain()
    chain = DifferentiableChain(nested)
    rows = chain.encode(X.loc[["b"]].iloc[8:9])

    def predict(values):
        first = Batch({"table": values}, rows[0].measured)
        return chain.forward([first, rows[1]])[-1].prediction

    assert torch.autograd.gradcheck(predict, (rows[0].values["table"].clone().requires_grad_(),))


def test_what_stands_where_latents_belong_does_not_matter():
    nested, X = fitted_chain()
    chain = DifferentiableChain(nested)
    rows = chain.encode(X.loc[["b"]])
    columns = chain.columns_of_values(1)["table"]
    assert_array_equal(columns[columns >= 0], [3, 2, 2])  # numbers first, then the categories
    changed = rows[1].values["table"].clone()
    changed[:, columns == -1] += 7
    with torch.no_grad():
        expected = chain.forward(rows)[-1].latents
        found = chain.forward([rows[0], Batch({"table": changed}, rows[1].measured)])[-1].latents
    assert torch.equal(found, expected)


def test_latents_are_put_and_got():
    table = TableEncoder().fit(np.random.default_rng(0).normal(2, 3, size=(9, 4)))
    columns = LatentColumns.of(table, 2, torch.device("cpu"))
    latents = torch.randn(5, 2, dtype=torch.float64)
    rows = columns.put(Batch({"table": torch.zeros(5, 4, dtype=torch.float64)}), latents)
    assert torch.allclose(columns.get(rows.values), latents)


def test_estimators_in_searches_and_frozen_ones_are_found():
    X, y = cells()
    known = y.notna()
    search = GridSearchCV(sae(), {"alpha": [0.1]}, cv=2).fit(X[known], y[known])
    assert DifferentiableChain(search).estimators == [search.best_estimator_]
    frozen = FrozenEstimator(search.best_estimator_)
    assert DifferentiableChain(frozen).estimators == [search.best_estimator_]


def test_what_is_no_chain_of_autoencoders_is_named():
    X, y = cells()
    with pytest.raises(NotFittedError):
        DifferentiableChain(sae())
    numbers = X[["mass"]]
    pipeline = make_pipeline(StandardScaler(), sae()).fit(numbers, y)
    with pytest.raises(TypeError, match=r"Search needs .* got a Pipeline.*pass the last step"):
        DifferentiableChain(pipeline, "Search")
    nested = NestedAutoencoder([("a", StandardScaler(), ["mass"]), ("b", sae(), ["thickness"])])
    with pytest.raises(TypeError, match="stage 'a' is a StandardScaler"):
        DifferentiableChain(nested.fit(X, y))


def test_members_are_chains_of_their_own():
    X, y = two_scales()
    stages = [("a", sae(3), "a"), ("b", sae(2, n_members=2), "b")]
    nested = NestedAutoencoder(stages, n_members=2, random_state=0).fit(X, y)
    table, _ = stack_scales(X, y, ["a", "b"])
    chain = DifferentiableChain(nested)
    members = [last for member in chain.members() for last in member.members_of_stage(1)]
    found = []
    for member in members:
        assert member.names == ["a", "b"]
        with torch.no_grad():
            scaled = member.forward(member.encode(table))[-1].prediction
        found.append(member.stages[1].target.decode(scaled.numpy()))
    assert_allclose(np.mean(found, axis=0), nested.predict(table)[:, 1], rtol=1e-10)
    assert [len(part) for part in chain.members_of_stage(0)] == [1]


def test_members_of_one_autoencoder():
    X, y = cells()
    known = y.notna()
    ensemble = sae(n_members=3).fit(X[known], y[known])
    chain = DifferentiableChain(ensemble)
    assert len(chain.members()) == 3
    assert all(member.members_of_stage(0) == [member] for member in chain.members())


def test_a_part_ends_in_its_stage():
    nested, X = fitted_chain()
    part = DifferentiableChain(nested).up_to(0)
    assert part.names == ["a"]
    with torch.no_grad():
        (outputs,) = part.forward(part.encode(X))
        expected, _ = DifferentiableChain(nested).forward(DifferentiableChain(nested).encode(X))
    assert torch.equal(outputs.latents, expected.latents)


def test_labels_are_those_of_the_fitted_table():
    nested, X = fitted_chain()
    pd.testing.assert_index_equal(DifferentiableChain(nested).labels(), X.columns)
    array = cells()[0][["mass"]].to_numpy()
    assert list(DifferentiableChain(sae().fit(array)).labels()) == [0]


def test_known_rows_are_those_of_the_last_scale_without_missing_values():
    nested, X = fitted_chain()
    rows, index = DifferentiableChain(nested).known_rows(X)
    last = X.loc[["b"]]
    assert list(index) == list(last.index)
    assert not pd.isna(rows).to_numpy().any()
    pd.testing.assert_frame_equal(rows, nested.complete(last))
    listed, labels = DifferentiableChain(nested).known_rows(two_scales()[0])
    pd.testing.assert_frame_equal(listed, rows)
    assert list(labels) == list(index)
    with pytest.raises(ValueError, match="no row with a measured column of the last stage, 'b'"):
        DifferentiableChain(nested).known_rows(X.loc[["a"]])


# ---------------------------------------------------------------------------------------------
# Standard deviations


def test_the_standard_deviation_has_that_of_what_is_passed_on():
    """As far as the mean depends on it, beside that of the stage's own function."""
    X, y = two_scales()
    stages = [(name, sae(2, predictor="gaussian_process"), name) for name in "ab"]
    nested = NestedAutoencoder(stages, passthrough=True).fit(X, y)
    chain = DifferentiableChain(nested)
    with torch.no_grad():
        outputs = chain.forward(chain.encode(stack_scales(X, y, ["a", "b"])[0]))
        of_first, of_second = (chain.std(k, 0, outputs).numpy() for k in (0, 1))
    scaled = []
    for k, own in enumerate(outputs):
        head = chain.stages[k].head
        scaled.append((own.inputs.numpy() - head.centre) / head.scale)
    (process,), (later,) = (stage.head.processes for stage in chain.stages)
    assert_allclose(of_first, process.std(scaled[0], with_noise=False), rtol=1e-6, atol=1e-6)
    shift = np.zeros_like(scaled[1])
    unit = chain.stages[0].target.affine()[1][0]
    shift[:, -1] = of_first * unit / chain.stages[1].head.scale[-1]
    through = (later.mean(scaled[1] + shift) - later.mean(scaled[1] - shift)) / 2
    own = later.std(scaled[1], with_noise=False)
    assert np.abs(through).max() > 0
    assert_allclose(of_second**2, own**2 + through**2, rtol=1e-6, atol=1e-9)


def test_a_network_has_no_standard_deviation():
    nested, X = fitted_chain()
    chain = DifferentiableChain(nested)
    with torch.no_grad():
        assert chain.std(1, 0, chain.forward(chain.encode(X))) is None
