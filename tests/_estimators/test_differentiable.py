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
from sknestedae._estimators._fitted import fitted_part
from sknestedae._networks._batch import Batch
from sknestedae._networks._chain import LatentColumns
from sknestedae._tables._encoder import TableEncoder


def fitted_chain():
    X, y = two_scales()
    chain = NestedAutoencoder([("a", sae(3), "a"), ("b", sae(2), "b")]).fit(X, y)
    return chain, stack_scales(X, y, ["a", "b"])[0]


def test_up_the_chain_are_the_latents_and_predictions_of_its_methods():
    chain, X = fitted_chain()
    flow = DifferentiableChain(chain)
    with torch.no_grad():
        first, second = flow.forward(flow.encode(X))
    chain.set_params(latents="all")
    assert_allclose(np.hstack([first.latents, second.latents]), chain.transform(X), rtol=1e-10)
    decoded = [
        fitted_part(estimator).target.decode(reading.prediction.numpy())
        for estimator, reading in zip(flow.estimators, (first, second), strict=True)
    ]
    assert_allclose(np.column_stack(decoded), chain.predict(X), rtol=1e-10)


def test_down_the_chain_are_the_columns_of_inverse_transform():
    chain, X = fitted_chain()
    flow = DifferentiableChain(chain)
    Z = chain.transform(X)
    with torch.no_grad():
        decoded = flow.decode(torch.from_numpy(Z))
    expected = chain.inverse_transform(Z)
    for k, values in enumerate(decoded):
        table = flow.fitted[k].table.inverse_transform(
            {name: block.numpy() for name, block in values.items()}
        )
        for i, j in enumerate(flow.columns[k]):
            assert_array_equal(table.iloc[:, i].to_numpy(), expected.iloc[:, j].to_numpy())


def test_each_stage_decodes_in_its_own_dtype():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["a", "b"])
    X = X.astype({"a": np.float32})
    chain = NestedAutoencoder([("a", sae(3), ["a"]), ("b", sae(2), ["b"])]).fit(X, X["b"])
    flow = DifferentiableChain(chain)
    Z = chain.transform(X)
    with torch.no_grad():
        decoded = flow.decode(torch.from_numpy(Z))
    assert [part["table"].dtype for part in decoded] == [torch.float32, torch.float64]
    latents = flow.chain.latent_columns[0].get(decoded[1])
    with torch.no_grad():
        given = flow.chain.stages[0].decode(latents.float())
    assert torch.equal(given["table"], decoded[0]["table"])


def test_the_gradient_of_the_last_stage_reaches_the_first_scale():
    """Against differences, with the latents before computed anew."""
    chain, X = fitted_chain()
    flow = DifferentiableChain(chain)
    rows = flow.encode(X.loc[["b"]].iloc[8:9])

    def predict(values):
        first = Batch({"table": values}, rows[0].measured)
        return flow.forward([first, rows[1]])[-1].prediction

    assert torch.autograd.gradcheck(predict, (rows[0].values["table"].clone().requires_grad_(),))


def test_what_stands_where_latents_belong_does_not_matter():
    chain, X = fitted_chain()
    flow = DifferentiableChain(chain)
    rows = flow.encode(X.loc[["b"]])
    columns = flow.columns_of_values(1)["table"]
    assert_array_equal(columns[columns >= 0], [3, 2, 2])  # numbers first, then the categories
    changed = rows[1].values["table"].clone()
    changed[:, columns == -1] += 7
    with torch.no_grad():
        expected = flow.forward(rows)[-1].latents
        found = flow.forward([rows[0], Batch({"table": changed}, rows[1].measured)])[-1].latents
    assert torch.equal(found, expected)


def test_latents_are_put_and_got():
    table = TableEncoder().fit(np.random.default_rng(0).normal(2, 3, size=(9, 4)))
    columns = LatentColumns.of(table, 2, torch.device("cpu"))
    latents = torch.randn(5, 2, dtype=torch.float64)
    values = columns.put(Batch({"table": torch.zeros(5, 4, dtype=torch.float64)}), latents)
    assert torch.allclose(columns.get(values), latents)


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
    chain = NestedAutoencoder([("a", StandardScaler(), ["mass"]), ("b", sae(), ["thickness"])])
    with pytest.raises(TypeError, match="stage 'a' is a StandardScaler"):
        DifferentiableChain(chain.fit(X, y))
