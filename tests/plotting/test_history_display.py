"""Tests of HistoryDisplay: the lines are the history."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknestedae.plotting
from sknestedae import NestedAutoencoder, SupervisedAutoencoder
from sknestedae.plotting import HistoryDisplay

TINY = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    X = np.random.RandomState(0).normal(size=(40, 3))
    return X, X[:, 0]


@pytest.fixture(scope="module")
def validated(data):
    return SupervisedAutoencoder(**TINY, early_stopping=True, l1=1e-3).fit(*data)


def legend_texts(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def test_lines_are_the_history(validated):
    display = HistoryDisplay.from_estimator(validated)
    terms = ["loss", "reconstruction", "prediction"]
    assert list(display.lines_) == [f"{p}_{term}" for term in terms for p in ("train", "valid")]
    for column, line in display.lines_.items():
        assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
        assert_array_equal(line.get_ydata(), validated.history_[column])
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlabel() == "Epoch"
    assert display.ax_.get_ylabel() == "Loss"
    assert display.figure_ is display.ax_.figure


def test_a_term_has_one_colour_and_two_styles(validated):
    lines = HistoryDisplay.from_estimator(validated).lines_
    colors = set()
    for term in ("loss", "reconstruction", "prediction"):
        train, valid = lines[f"train_{term}"], lines[f"valid_{term}"]
        assert train.get_color() == valid.get_color()
        assert (train.get_linestyle(), valid.get_linestyle()) == ("-", "--")
        assert train.get_label() == f"{term} (training)"
        assert valid.get_label() == f"{term} (validation)"
        colors.add(train.get_color())
    assert len(colors) == 3


def test_best_epoch_is_marked_where_there_was_validation(validated, data):
    display = HistoryDisplay.from_estimator(validated)
    assert_array_equal(display.best_line_.get_xdata(), [validated.best_iter_] * 2)
    assert legend_texts(display)[-1] == f"best epoch ({validated.best_iter_})"
    plain = SupervisedAutoencoder(**TINY, early_stopping=False).fit(*data)
    display = HistoryDisplay.from_estimator(plain)
    assert display.best_line_ is None
    assert all("best" not in text for text in legend_texts(display))


def test_terms_are_chosen_by_name(validated):
    display = HistoryDisplay.from_estimator(validated, terms=["l1", "l2", "loss"])
    assert list(display.lines_) == ["l1", "l2", "train_loss", "valid_loss"]
    display = HistoryDisplay.from_estimator(validated, terms="learning_rate", log_scale=False)
    assert_array_equal(
        display.lines_["learning_rate"].get_ydata(), validated.history_["learning_rate"]
    )
    assert legend_texts(display)[0] == "learning rate"
    assert display.ax_.get_ylabel() == "Learning rate"
    assert display.ax_.get_yscale() == "linear"


def test_no_target_has_no_prediction(data):
    sae = SupervisedAutoencoder(**TINY).fit(data[0])
    display = HistoryDisplay.from_estimator(sae)
    assert list(display.lines_) == ["train_loss", "train_reconstruction"]


def test_takes_the_last_step_of_a_pipeline(data):
    pipeline = make_pipeline(StandardScaler(), SupervisedAutoencoder(**TINY)).fit(*data)
    display = HistoryDisplay.from_estimator(pipeline)
    assert_array_equal(
        display.lines_["train_loss"].get_ydata(), pipeline[-1].history_["train_loss"]
    )


def test_a_stage_is_chosen_by_name_or_position(data):
    X, y = data
    frozen = FrozenEstimator(make_pipeline(SupervisedAutoencoder(**TINY)).fit(X[:, :1]))
    stages = [
        ("first", SupervisedAutoencoder(**TINY, early_stopping=True), [0]),
        ("steps", make_pipeline(StandardScaler(), SupervisedAutoencoder(**TINY)), [1]),
        ("last", SupervisedAutoencoder(**TINY), [2]),
    ]
    chain = NestedAutoencoder(stages).fit(X, y)
    expected = [chain["first"], chain["steps"][-1], chain["last"]]
    pipeline = make_pipeline(StandardScaler(), chain)
    for estimator in (chain, pipeline):
        for stage, k in [("first", 0), (-3, 0), ("steps", 1), (1, 1), ("last", 2), (None, 2)]:
            display = HistoryDisplay.from_estimator(estimator, stage=stage)
            assert display.history is expected[k].history_
    display = HistoryDisplay.from_estimator(chain, stage="first")
    assert display.best_iter == chain["first"].best_iter_
    chain = NestedAutoencoder([("frozen", frozen, [0]), ("pca", PCA(1), [1])]).fit(X)
    display = HistoryDisplay.from_estimator(chain, stage="frozen")
    assert display.history is frozen[-1].history_
    with pytest.raises(TypeError, match="must have history_; PCA does not"):
        HistoryDisplay.from_estimator(chain)


def test_a_stage_that_is_a_chain(data):
    X, _ = data
    inner = NestedAutoencoder([("a", PCA(1), [0]), ("b", SupervisedAutoencoder(**TINY), [1])])
    chain = NestedAutoencoder([("inner", inner, [0, 1]), ("last", PCA(1), [2])]).fit(X)
    display = HistoryDisplay.from_estimator(chain, stage="inner")
    assert display.history is chain["inner"]["b"].history_


def test_a_stage_of_a_search(data):
    chain = NestedAutoencoder([("a", SupervisedAutoencoder(**TINY), [0, 1])])
    search = GridSearchCV(chain, {"max_iter": [2]}, cv=2).fit(*data)
    display = HistoryDisplay.from_estimator(search, stage="a")
    assert display.history is search.best_estimator_["a"].history_


def test_a_stage_that_is_not_there(data, validated):
    chain = NestedAutoencoder([("a", SupervisedAutoencoder(**TINY), [0, 1])])
    with pytest.raises(NotFittedError):
        HistoryDisplay.from_estimator(chain, stage="a")
    chain.fit(*data)
    for stage in ("b", 1, -2, True):
        with pytest.raises(ValueError, match=rf"'stage' .*{stage!r}; the stages are \['a'\]"):
            HistoryDisplay.from_estimator(chain, stage=stage)
    with pytest.raises(ValueError, match=r"'stage' .* a SupervisedAutoencoder has no stages"):
        HistoryDisplay.from_estimator(validated, stage="a")


def test_histories_of_other_makes():
    history = pd.DataFrame({"dur": [0.0, 0.0]}, index=[1, 2])
    display = HistoryDisplay(history).plot()  # nothing else there, and nothing for a logarithm
    assert list(display.lines_) == ["dur"]
    assert display.ax_.get_yscale() == "linear"
    history = pd.DataFrame({"train_loss": [1.0, 0.5, np.nan], "dur": 0.1})
    assert list(HistoryDisplay(history).plot().lines_) == ["train_loss"]


def test_one_epoch_can_be_seen():
    history = pd.DataFrame({"train_loss": [1.0]}, index=[1])
    assert HistoryDisplay(history).plot().lines_["train_loss"].get_marker() == "o"


def test_keywords_and_axes_are_used(validated):
    _, ax = plt.subplots()
    display = HistoryDisplay.from_estimator(
        validated, ax=ax, line_kwargs={"lw": 4}, legend_kwargs={"title": "Terms"}
    )
    assert display.ax_ is ax
    assert all(line.get_linewidth() == 4 for line in display.lines_.values())
    assert display.legend_.get_title().get_text() == "Terms"


def test_errors_say_what_is_wrong(validated, data):
    with pytest.raises(ValueError, match=r"'terms' parameter .*'reconstruction'.* got \['mse'\]"):
        HistoryDisplay.from_estimator(validated, terms=["loss", "mse"])
    with pytest.raises(ValueError, match=r"'terms' parameter .* got \[\]"):
        HistoryDisplay.from_estimator(validated, terms=[])
    with pytest.raises(TypeError, match="must have history_; LinearRegression does not"):
        HistoryDisplay.from_estimator(LinearRegression().fit(*data))
    with pytest.raises(NotFittedError):
        HistoryDisplay.from_estimator(SupervisedAutoencoder())


def test_matplotlib_is_imported_at_use():
    for path in Path(sknestedae.plotting.__file__).parent.glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not line.startswith(("import matplotlib", "from matplotlib"))


def test_axis_of_a_few_decades_has_plain_numbers():
    history = pd.DataFrame({"train_loss": [1.7, 0.9, 0.31]}, index=[1, 2, 3])
    display = HistoryDisplay(history).plot()
    display.figure_.canvas.draw()
    low, high = display.ax_.get_ylim()
    ticks = zip(display.ax_.get_yticks(), display.ax_.get_yticklabels(), strict=True)
    texts = [label.get_text() for value, label in ticks if low <= value <= high]
    assert texts == ["0.3", "0.4", "0.6", "0.8", "1"]
