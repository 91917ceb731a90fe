"""What one public call notices many times is said once, at the user's own line."""

import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from cases.supervised import TINY

from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae._estimators._fitted import fitted_part
from sknestedae._notices import Notices, current, notice, noticing
from sknestedae.exceptions import TextColumnWarning, UnseenCategoryWarning


def said(caught):
    return [str(warning.message) for warning in caught]


def test_each_text_once_and_of_a_key_the_weightiest():
    def call():
        with Notices():
            for weight in (1, 3, 2):
                notice(f"{weight} rows", TextColumnWarning, key="rows", weight=weight)
                notice("the same", TextColumnWarning)

    with pytest.warns(TextColumnWarning) as caught:
        call()
    assert sorted(said(caught)) == ["3 rows", "the same"]
    assert current() is None


def test_a_notice_begins_with_what_it_is_about():
    def stop():
        with noticing("In the block 'image'"):
            notice("second", TextColumnWarning)
            raise ValueError("stop")

    def call():
        with noticing("In y"):
            notice("first", TextColumnWarning)
            with pytest.raises(ValueError, match="stop"):
                stop()
            notice("third", TextColumnWarning)
        notice("fourth", TextColumnWarning)

    with pytest.warns(TextColumnWarning) as caught:
        call()
    assert said(caught) == ["In y: first", "In the block 'image': second", "In y: third", "fourth"]


def test_the_outermost_call_warns():
    with Notices() as _:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Notices():
                notice("later", TextColumnWarning)
        assert list(current()) == ["later"]
        current().clear()


def test_apart_from_the_call_around():
    def call():
        with Notices(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with Notices(apart=True):
                notice("within", TextColumnWarning)
            assert said(caught) == ["within"]
            notice("around", TextColumnWarning)
            assert list(current()) == ["around"]

    with pytest.warns(TextColumnWarning) as caught:
        call()
    assert said(caught) == ["around"]


def test_categories_of_rows_without_weight_are_no_news():
    rare = X.assign(kind=["rare"] + ["a", "b"] * 14 + ["a"])
    weight = np.r_[0.0, np.ones(29)]
    for parameters in ({}, {"n_members": 2, "bootstrap": True}):
        model = SupervisedAutoencoder(**TINY, **parameters).fit(rare, X["x"], sample_weight=weight)
        assert "rare" not in fitted_part(model).table.categories[1]
        model.predict(rare)


def test_without_a_call_it_is_said_at_once():
    with pytest.warns(TextColumnWarning, match="now"):
        notice("now", TextColumnWarning)


def test_nothing_is_said_of_a_call_that_fails():
    def fail():
        with Notices():
            notice("lost", TextColumnWarning)
            raise KeyError

    with warnings.catch_warnings():
        warnings.simplefilter("error", TextColumnWarning)
        with pytest.raises(KeyError):
            fail()
    assert current() is None


def test_threads_of_a_call_add_to_it():
    def run(found):
        with Notices(found):
            notice("of a thread", TextColumnWarning)

    def call():
        with Notices():
            thread = threading.Thread(target=run, args=[current()])
            thread.start()
            thread.join()
            notice("of a thread", TextColumnWarning)

    with pytest.warns(TextColumnWarning) as caught:
        call()
    assert said(caught) == ["of a thread"]


X = pd.DataFrame({"x": np.linspace(-1, 1, 30), "kind": ["a", "b", "c"] * 10})
UNSEEN = X.assign(kind=["a", "z", "c"] * 10)


@pytest.mark.parametrize("parameters", [{}, {"n_members": 2}, {"n_members": 3, "bootstrap": True}])
@pytest.mark.parametrize("method", ["transform", "predict", "complete", "score_samples", "score"])
def test_an_unseen_category_is_said_once_a_call(method, parameters):
    model = SupervisedAutoencoder(**TINY, **parameters).fit(X, X["x"])
    holed = UNSEEN.assign(x=UNSEEN["x"].mask(np.arange(30) >= 0))  # each row is completed
    with pytest.warns(UnseenCategoryWarning) as caught:
        getattr(model, method)(holed)
    (warning,) = caught
    assert "10 of 30 rows have a value in column 'kind'" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize("parameters", [{}, {"n_members": 3, "bootstrap": True}])
@pytest.mark.parametrize("method", ["transform", "predict", "complete", "score_samples", "score"])
def test_chains_say_it_once(method, parameters):
    stages = [
        ("a", SupervisedAutoencoder(**TINY), "kind"),
        ("b", SupervisedAutoencoder(**TINY), "x"),
    ]
    chain = NestedAutoencoder(stages, random_state=0, **parameters).fit(X, X["x"])
    holed = UNSEEN.assign(x=UNSEEN["x"].mask(np.arange(30) >= 0))
    with pytest.warns(UnseenCategoryWarning) as caught:
        getattr(chain, method)(holed)
    (warning,) = caught
    assert "10 of 30 rows have a value in column 'kind'" in str(warning.message)


def test_categories_that_a_member_did_not_draw_are_no_news():
    rare = X.assign(kind=["rare"] + ["a", "b"] * 14 + ["a"])
    for estimator in (
        SupervisedAutoencoder(**TINY, n_members=4, bootstrap=True),
        NestedAutoencoder(n_members=4, bootstrap=True, max_iter=1, random_state=0),
    ):
        estimator.fit(rare, X["x"]).predict(rare)
        drawn = [
            fitted_part(getattr(member, "stages_", [(0, member)])[0][1]).table.categories[1]
            for member in estimator.members_
        ]
        assert len({len(categories) for categories in drawn}) == 2  # some had it, some had not


def test_rows_held_out_are_no_news():
    rare = X.assign(kind=["rare"] + ["a", "b"] * 14 + ["a"])
    settings = {**TINY, "early_stopping": True, "validation_fraction": 0.4}
    learnt = []
    for seed in range(6):
        model = SupervisedAutoencoder(**{**settings, "random_state": seed}).fit(rare, X["x"])
        model.predict(rare)
        learnt.append("rare" in fitted_part(model).table.categories[1])
    assert len(set(learnt)) == 2  # it was held out in some fits, and not in others
