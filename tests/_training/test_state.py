"""State of a net as arrays, and its history as a table."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from cases.supervised import TINY, regression
from cases.training import Freeze
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback

from sknestedae import SupervisedAutoencoder
from sknestedae._training import _state
from sknestedae._training._state import history_from_frame, history_to_frame


def test_history_survives_as_a_table():
    columns = {"n_rows": [30, 20], "train_loss": [3.0, 2.0], "valid_loss": [np.nan, 4.0]}
    frame = pd.DataFrame(columns, index=[1, 2])
    frame.index.name = "epoch"
    history = history_from_frame(frame)
    assert "valid_loss" not in history[0]
    assert history[:, "epoch"] == [1, 2]
    pd.testing.assert_frame_equal(history_to_frame(history), frame, check_index_type=False)


class FreezeFirst(Callback):
    """Never train the first weights."""

    def on_train_begin(self, net, **kwargs):
        net.module_.encoder[0].weight.requires_grad_(False)


def test_what_was_frozen_can_be_saved():
    X, y = regression()
    fitted = SupervisedAutoencoder(**TINY, callbacks=[FreezeFirst()]).fit(X, y)
    assert "exp_avg/encoder.0.weight" not in _state.get_state(fitted.net_)["optimizer"]
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert_array_equal(loaded.partial_fit(X, y).predict(X), fitted.partial_fit(X, y).predict(X))


@pytest.mark.parametrize("callbacks", [None, [Freeze(100)]])
def test_moments_have_the_shapes_of_their_parameters(callbacks):
    X, y = regression()
    fitted = SupervisedAutoencoder(**TINY, batch_size=30, callbacks=callbacks).fit(X, y)
    state = _state.get_state(fitted.net_)
    for name, parameter in fitted.net_.module_.named_parameters():
        assert state["optimizer"][f"exp_avg/{name}"].shape == tuple(parameter.shape)
        assert state["optimizer"][f"step/{name}"] == 5 * 2  # epochs, of two batches each


def test_state_goes_from_one_tensor_to_many_and_back():
    """The optimizer sees all parameters as one tensor, or each beside a callback of a user."""
    X, y = regression()
    one, many, other = (
        SupervisedAutoencoder(**{**TINY, "random_state": k}, callbacks=callbacks).fit(X, y).net_
        for k, callbacks in enumerate([None, [Freeze(100)], None])
    )
    expected = _state.get_state(one)
    for net in (many, other):
        _state.set_state(net, expected)
        found = _state.get_state(net)
        for kind, arrays in expected.items():
            assert found[kind].keys() == arrays.keys()
            for name, array in arrays.items():
                assert_array_equal(found[kind][name], array)
