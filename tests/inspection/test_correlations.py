"""With which variables latents go, on data with a known answer."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from cases.design import SIDE
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import f_oneway, pearsonr, spearmanr
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    SupervisedAutoencoder,
)
from sknestedae.datasets import make_nested_functions
from sknestedae.inspection import (
    latent_correlations,
)


@pytest.mark.parametrize(("method", "reference"), [("pearson", pearsonr), ("spearman", spearmanr)])
def test_correlations_are_those_of_scipy_where_measured(sae, X, method, reference):
    variables = pd.DataFrame({"a": X["mass"] ** 3, "b": np.arange(60)})
    variables.loc[::4, "a"] = np.nan
    correlations = latent_correlations(sae, X, variables, method=method)
    assert correlations.index.to_list() == list(sae.get_feature_names_out())
    Z = sae.transform(X)
    for name in "ab":
        known = variables[name].notna()
        for k in range(2):
            expected = reference(Z[known, k], variables.loc[known, name]).statistic
            assert correlations[name].iloc[k] == pytest.approx(expected)


@pytest.mark.parametrize("power", [-900, 900])
def test_a_correlation_is_the_same_in_any_unit(sae, X, power):
    variables = pd.DataFrame({"a": X["mass"] ** 3, "constant": 0.1 * 3})
    variables.loc[::2, "constant"] = 0.3  # the same but for rounding
    expected = latent_correlations(sae, X, variables)
    assert expected["constant"].isna().all()
    found = latent_correlations(sae, X, np.ldexp(variables, power))
    pd.testing.assert_frame_equal(found, expected)


def test_the_correlation_ratio_is_that_of_an_analysis_of_variance(sae, X):
    phase = X["phase"].astype(object).mask(np.arange(60) % 5 == 0)
    eta = latent_correlations(sae, X, phase)["phase"]
    groups = [sae.transform(X)[phase == name] for name in X["phase"].cat.categories]
    n_rows = sum(map(len, groups))
    between, within = eta**2 / 2, (1 - eta**2) / (n_rows - 3)
    assert_allclose(between / within, f_oneway(*groups).statistic)


def test_a_latent_is_fully_correlated_with_itself_and_with_a_word_for_it(sae, X):
    Z = sae.transform(X)
    variables = pd.DataFrame({"same": Z[:, 1], "back": -Z[:, 1], "word": Z[:, 1].astype(str)})
    correlations = latent_correlations(sae, X, variables).iloc[1]
    assert_allclose(correlations, [1, -1, 1])


def test_what_is_constant_has_no_correlation(sae, X):
    variables = pd.DataFrame({"one": 1.0, "word": "a", "none": np.nan}, index=X.index)
    assert latent_correlations(sae, X, variables).isna().to_numpy().all()
    assert latent_correlations(sae, X, variables, method="spearman").isna().to_numpy().all()


def test_a_linear_autoencoder_s_latent_is_the_principal_component():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 1)) @ [[1.0, -1.0, 2.0, 0.5]] + rng.normal(size=(200, 4))
    linear = SupervisedAutoencoder(
        1, hidden_layer_sizes=(), alpha=0, learning_rate_init=0.02, random_state=0
    ).fit(X)
    components = PCA(2).fit_transform(StandardScaler().fit_transform(X))
    first, second = latent_correlations(linear, X, components).iloc[0].abs()
    # The reconstruction error is flat about its minimum; 0.999 is an angle of 2.6 degrees.
    assert first > 0.999
    assert second < 0.05  # its sine


def test_the_latent_of_a_table_of_one_variable_ranks_it():
    data = make_nested_functions(200, random_state=0)
    sae = SupervisedAutoencoder(1, max_iter=60, random_state=0).fit(data.data[0])
    ranks = latent_correlations(sae, data.data[0], data.z, method="spearman").abs()
    assert (ranks[["z1", "z2", "z3", "z4"]] > 0.99).to_numpy().all()  # all move in step
    assert ranks["z5"].item() < 0.3  # 200 independent rows: a standard error of 0.07


def test_correlations_of_a_stage(chain, X, y):
    correlations = latent_correlations(chain, X, y.rename("y"), stage="inner")
    assert correlations.index.to_list() == [f"inner__supervisedautoencoder{k}" for k in range(2)]
    expected = latent_correlations(chain["inner"], X[["energy", "radius"]], y)
    assert_allclose(correlations, expected)
    assert_allclose(latent_correlations(chain, X, y), latent_correlations(chain, X, y, stage=-1))


def test_correlations_of_others(X):
    table = X[["radius", "energy"]]
    correlations = latent_correlations(PCA(2).fit(table), table, table)
    assert correlations.columns.to_list() == ["radius", "energy"]
    assert correlations.index.to_list() == ["pca0", "pca1"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "kendall"}, ValueError, "'method' parameter .* got 'kendall'"),
        ({"variables": np.ones(59)}, ValueError, "inconsistent numbers of samples"),
        ({"variables": np.full(60, np.inf)}, ValueError, "0 of 'variables' contains infinity"),
        ({"stage": "inner"}, ValueError, "'stage' parameter names .* has no stages"),
        ({"variables": pd.Series(pd.Timestamp(0), range(60))}, TypeError, "has dtype datetime"),
    ],
)
def test_errors_of_correlations(sae, X, change, error, message):
    parameters = {"variables": np.ones(60), **change}
    with pytest.raises(error, match=message):
        latent_correlations(sae, X, **parameters)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_correlations_with_the_entries_of_arrays(of_arrays, method):
    sae, X = of_arrays
    images = np.stack(list(X["image"])).astype(float)
    images[:3, 0, 1] = np.nan
    names = [f"{i}, {j}" for i, j in np.ndindex(SIDE, SIDE)]
    expected = pd.DataFrame(images.reshape(len(X), -1), columns=names)
    expected = latent_correlations(sae, X, expected, method=method)
    whole = latent_correlations(sae, X, images, method=method)
    assert whole.columns.to_list() == [f"[{name}]" for name in names]
    assert_array_equal(whole, expected)
    variables = X[["u", "kind"]].assign(image=list(images))
    cells = latent_correlations(sae, X, variables, method=method)
    assert cells.columns.to_list() == ["u", "kind", *(f"image[{name}]" for name in names)]
    assert_array_equal(cells.iloc[:, 2:], expected)
    one = latent_correlations(sae, X, variables["image"], method=method)
    assert_array_equal(one, expected)


def test_cells_of_variables_have_one_shape(of_arrays):
    sae, X = of_arrays
    cells = pd.Series([np.zeros(2), np.zeros(3), *[None] * (len(X) - 2)], name="broken")
    with pytest.raises(ValueError, match=r"'broken' of 'variables' has arrays of several shapes"):
        latent_correlations(sae, X, cells)


def test_structures_are_left_out(sae, X):
    atoms = [Atoms("H2", [(0, 0, 0), (0, 0, 0.7 + 0.01 * i)]) for i in range(len(X))]
    assert latent_correlations(sae, X, atoms).shape[1] == 0
    table = pd.DataFrame({"molecule": pd.Series(atoms, dtype=object), "energy": X["energy"]})
    assert latent_correlations(sae, X, table).columns.tolist() == ["energy"]
