"""What a fit of a chain gave, its parts and its state."""

from __future__ import annotations

import numpy as np
import pandas as pd
from cases.nested import sae, two_scales
from numpy.testing import assert_array_equal

from sknestedae import NestedAutoencoder, stack_scales
from sknestedae._estimators._fitted_chain import FittedChain


def fitted(**parameters):
    X_list, y_list = two_scales()
    chain = NestedAutoencoder(estimator=sae(), n_components=[2, 3], **parameters)
    return chain.fit(X_list, y_list)._fitted, stack_scales(X_list, y_list)


def plain(value):
    """Tell whether a state holds plain values, but for the stages' estimators."""
    if isinstance(value, dict):
        return all(plain(key) and plain(entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return all(plain(entry) or hasattr(entry, "fit") for entry in value)
    return value is None or isinstance(value, str | int | float)


def test_a_state_is_plain_and_gives_the_chain_back():
    chain, (X, _) = fitted(refine_iter=1)
    state = chain.to_state()
    assert plain(state)
    again = FittedChain.from_state(state)
    assert again.stages == chain.stages
    assert again.labels == chain.labels
    assert again.n_latents == [2, 3]
    assert (again.targets, again.y_is_1d, again.same_rows) == (chain.targets, False, False)
    pd.testing.assert_frame_equal(again.refine_history, chain.refine_history)
    for (_, own), (_, before) in zip(
        again.iter_stages(again.staged(X)), chain.iter_stages(chain.staged(X)), strict=True
    ):
        pd.testing.assert_frame_equal(own, before)


def test_a_part_sees_the_same_table_and_forgets_what_it_lacks():
    chain, (X, _) = fitted(refine_iter=1)
    part = chain.first(1)
    assert part.columns == {"scale0": [0, 1]}
    assert part.targets == {"scale0": chain.targets["scale0"]}
    assert part.n_latents == [2]
    assert part.y_is_1d  # one column is left of two
    assert part.refine_history is None
    assert chain.first(2).refine_history is not None
    assert not chain.first(2).y_is_1d
    (_, own), *others = part.iter_stages(part.staged(X))
    assert not others
    pd.testing.assert_frame_equal(own, next(iter(chain.iter_stages(chain.staged(X))))[1])


def test_each_stage_sees_the_latents_before():
    chain, (X, _) = fitted()
    (first, own), (_, later) = chain.iter_stages(chain.staged(X))
    latents = first.estimator.transform(own)
    assert_array_equal(later.iloc[:, 2:], latents)
    unmeasured = X.copy()
    unmeasured.iloc[3, :2] = np.nan
    *_, (_, later) = chain.iter_stages(chain.staged(unmeasured))
    assert later.iloc[3, 2:].isna().all()
    assert later.iloc[[0, 1, 2], 2:].notna().all().all()


def test_another_last_estimator_leaves_the_chain_as_it_is():
    chain, _ = fitted()
    other = sae(3)
    changed = chain.with_last_estimator(other)
    assert changed.stages[-1].estimator is other
    assert changed.stages[0] is chain.stages[0]
    assert chain.stages[-1].estimator is not other
