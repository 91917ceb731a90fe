"""Tests of NestedDisplay: what stands in the boxes, and that nothing overlaps."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import (
    NestedAutoencoder,
    SupervisedAutoencoder,
    SupervisedAutoencoderClassifier,
    stack_scales,
)
from sknestedae.plotting import NestedDisplay

TINY = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
LONG = "mean electronegativity of the anions, weighted by their number in the cell"


def tiny(**parameters):
    return SupervisedAutoencoder(**{**TINY, **parameters})


@pytest.fixture(scope="module")
def X():
    values = np.random.RandomState(0).normal(size=(40, 10))
    return pd.DataFrame(values, columns=[f"f{j}" for j in range(10)])


@pytest.fixture(scope="module")
def chain(X):
    stages = [
        ("crystal", tiny(early_stopping=True), slice("f0", "f3")),
        ("cell", SupervisedAutoencoderClassifier(**TINY), ["f5", "f6"]),
    ]
    y = pd.DataFrame({"crystal": X["f0"], "cell": np.where(X["f5"] > 0, "good", "bad")})
    return NestedAutoencoder(stages).fit(X, y)


def lines(display, stage, kind):
    return [text.get_text() for text in display.texts_[stage][kind]]


def assert_nothing_overlaps(display):
    """Text stays in its box, boxes apart from each other and in the figure."""
    display.figure_.canvas.draw()
    drawn = {
        "columns": display.column_boxes_,
        "stage": display.stage_boxes_,
        "latents": display.latent_boxes_,
        "target": display.target_boxes_,
    }
    areas = []
    for kind, boxes in drawn.items():
        for name, box in boxes.items():
            area = box.get_window_extent()
            texts = [text.get_window_extent() for text in display.texts_[name][kind]]
            for text in texts:
                assert area.x0 <= text.x0 < text.x1 <= area.x1, lines(display, name, kind)
                assert area.y0 <= text.y0 < text.y1 <= area.y1
            areas.append(area)
    for k, area in enumerate(areas):
        assert not any(area.overlaps(other) for other in areas[:k])
        whole = display.ax_.bbox
        assert whole.x0 <= area.x0 < area.x1 <= whole.x1
        assert whole.y0 <= area.y0 < area.y1 <= whole.y1


# -- what is written


def test_stages_say_what_they_are(chain):
    display = NestedDisplay.from_estimator(chain)
    assert isinstance(display, NestedDisplay)
    assert lines(display, "crystal", "columns") == ["4 columns", "f0, f1, f2, f3"]
    assert lines(display, "cell", "columns") == ["2 columns", "f5, f6"]
    assert lines(display, "crystal", "stage")[:2] == ["crystal", "SupervisedAutoencoder"]
    assert lines(display, "cell", "stage")[:2] == ["cell", "SupervisedAutoencoderClassifier"]
    assert lines(display, "crystal", "latents") == ["2 latents"]
    assert lines(display, "crystal", "target") == ["1 output"]
    assert lines(display, "cell", "target") == ["2 classes"]
    assert display.figure_ is display.ax_.figure
    assert_nothing_overlaps(display)


def test_losses_are_those_of_the_epoch_that_was_kept(chain):
    display = NestedDisplay.from_estimator(chain)
    crystal = chain["crystal"]
    kept = crystal.history_.loc[crystal.best_iter_]
    text = lines(display, "crystal", "stage")[2:]
    assert text[0] == f"loss at epoch {crystal.best_iter_}:"
    for line, term in zip(text[1:], ("reconstruction", "prediction"), strict=True):
        assert_allclose(float(line.split()[1]), kept[f"train_{term}"], rtol=6e-3)
        assert_allclose(float(line.split()[3][:-1]), kept[f"valid_{term}"], rtol=6e-3)
        assert display.stages.loc["crystal", f"valid_{term}"] == kept[f"valid_{term}"]
    assert not any("validation" in line for line in lines(display, "cell", "stage"))
    assert (
        display.stages.loc["cell", "train_prediction"]
        == (chain["cell"].history_["train_prediction"].iloc[-1])
    )


def test_losses_after_refinement(X):
    stages = [("a", tiny(), ["f0", "f1"]), ("b", tiny(), ["f2", "f3"])]
    chain = NestedAutoencoder(stages, refine_iter=2).fit(X, X["f9"])
    display = NestedDisplay.from_estimator(chain)
    assert lines(display, "a", "stage")[2] == "loss after refinement:"
    last = chain.refine_history_.iloc[-1]
    assert display.stages.loc["a", "train_reconstruction"] == last["a__train_reconstruction"]
    assert display.stages.loc["b", "train_prediction"] == last["b__train_prediction"]
    assert len(lines(display, "a", "stage")) == 4  # no target


def test_no_target_has_no_box(X):
    stages = [("a", tiny(), ["f0", "f1"]), ("b", tiny(), ["f2"])]
    display = NestedDisplay.from_estimator(NestedAutoencoder(stages).fit(X, X["f9"]))
    assert list(display.target_boxes_) == ["b"]
    supervised = display.figure_.get_figwidth()
    display = NestedDisplay.from_estimator(NestedAutoencoder(stages).fit(X))
    assert display.target_boxes_ == {}
    assert display.figure_.get_figwidth() < supervised
    assert_nothing_overlaps(display)


def test_target_names_go_to_their_stages(chain):
    display = NestedDisplay.from_estimator(chain, target_names=["band gap", LONG])
    assert lines(display, "crystal", "target") == ["1 output", "band gap"]
    assert lines(display, "cell", "target")[-1].endswith("…")
    assert_nothing_overlaps(display)


@pytest.mark.parametrize("latents", ["last", "all"])
def test_numbers_of_latents(X, latents):
    stages = [("a", tiny(n_components=3), ["f0"]), ("a_", PCA(1), ["f1"]), ("b", tiny(), ["f2"])]
    chain = NestedAutoencoder(stages, latents=latents).fit(X)
    display = NestedDisplay.from_estimator(chain)
    assert display.stages["n_latents"].to_list() == [3, 1, 2]
    assert lines(display, "a_", "latents") == ["1 latent"]
    assert lines(display, "a_", "stage") == ["a_", "PCA"]


# -- kinds of stages and of tables


@pytest.mark.parametrize("n_stages", [1, 3, 5])
def test_long_names_and_many_stages_fit(X, n_stages):
    X = X.rename(columns=lambda name: f"{name} {LONG}")
    estimators = [
        FrozenEstimator(PCA(1).fit(X.iloc[:, :2].to_numpy())),
        make_pipeline(StandardScaler(), "passthrough", tiny()),
        PCA(2),
        make_pipeline(StandardScaler(), StandardScaler(), tiny(early_stopping=True)),
        SupervisedAutoencoder(n_components=111, max_iter=1),
    ]
    stages = [
        (f"{k} {LONG}", estimator, list(X.columns[2 * k : 2 * k + 2]))
        for k, estimator in enumerate(estimators[:n_stages])
    ]
    display = NestedDisplay.from_estimator(NestedAutoencoder(stages).fit(X))
    assert_nothing_overlaps(display)
    assert len(display.arrows_) == 3 * n_stages - 1
    sizes = [text.get_fontsize() for text in display.figure_.findobj(plt.Text) if text.get_text()]
    assert min(sizes) >= 8


def test_stages_of_many_makes(X):
    supervised = tiny().fit(X[["f0", "f1"]])
    search = GridSearchCV(tiny(), {"l1": [1e-3]}, cv=2)
    stages = [
        ("frozen", FrozenEstimator(supervised), ["f0", "f1"]),
        ("steps", make_pipeline(StandardScaler(), tiny()), ["f2"]),
        ("frozen steps", FrozenEstimator(make_pipeline(tiny()).fit(np.ones((5, 3)))), ["f3"]),
        ("search", search, ["f4"]),
    ]
    display = NestedDisplay.from_estimator(NestedAutoencoder(stages).fit(X))
    assert display.stages["estimator"].to_list() == [
        "SupervisedAutoencoder, frozen",
        "Pipeline: StandardScaler, SupervisedAutoencoder",
        "Pipeline: SupervisedAutoencoder, frozen",
        "GridSearchCV: SupervisedAutoencoder",
    ]
    assert display.stages["train_reconstruction"].notna().all()
    assert lines(display, "frozen steps", "columns") == ["1 column", "f3"]


def test_a_stage_that_is_a_chain(X):
    inner = NestedAutoencoder([("a", tiny(), ["f0"]), ("b", tiny(n_components=3), ["f1"])])
    chain = NestedAutoencoder([("inner", inner, ["f0", "f1"]), ("last", tiny(), ["f2"])]).fit(X)
    display = NestedDisplay.from_estimator(chain)
    assert lines(display, "inner", "stage") == ["inner", "NestedAutoencoder"]
    assert lines(display, "inner", "latents") == ["3 latents"]


def test_tables_of_many_makes(X):
    stages = [("a", tiny(), [7, 1]), ("b", tiny(), [2])]
    display = NestedDisplay.from_estimator(NestedAutoencoder(stages).fit(X.to_numpy()))
    assert lines(display, "a", "columns") == ["2 columns", "7, 1"]
    tables = [X[["f0", "f1"]], X[["f0", "f1", "f2"]].iloc[:20]]
    for fitted in (
        NestedAutoencoder(estimator=tiny()).fit(tables),
        NestedAutoencoder(estimator=tiny()).fit(stack_scales(tables)[0]),
    ):
        display = NestedDisplay.from_estimator(fitted)
        assert lines(display, "scale0", "columns") == ["2 columns", "f0, f1"]
        assert lines(display, "scale1", "columns") == ["1 column", "f2"]


def test_takes_the_end_of_a_pipeline_or_search(X):
    chain = NestedAutoencoder([("a", tiny(), slice(0, 4)), ("b", tiny(), slice(4, 10))])
    pipeline = make_pipeline(StandardScaler(), chain)
    search = GridSearchCV(pipeline, {"nestedautoencoder__max_iter": [2]}, cv=2)
    for estimator in (pipeline, search):
        display = NestedDisplay.from_estimator(estimator.fit(X, X["f9"]))
        assert list(display.stage_boxes_) == ["a", "b"]


# -- how it is drawn


def test_latents_are_narrower_and_lie_between_stages(chain):
    display = NestedDisplay.from_estimator(chain)
    for name, box in display.latent_boxes_.items():
        assert box.get_width() < 0.5 * display.stage_boxes_[name].get_width()
    first, last = display.stage_boxes_.values()
    between = display.latent_boxes_["crystal"]
    assert first.get_y() > between.get_y() > last.get_y()


def test_keywords_and_axes_are_used(chain):
    _, ax = plt.subplots(figsize=(4, 2))
    display = NestedDisplay.from_estimator(
        chain, ax=ax, box_kwargs={"fc": "white"}, arrow_kwargs={"lw": 3}
    )
    assert display.ax_ is ax
    assert display.stage_boxes_["cell"].get_facecolor() == to_rgba("white")
    assert all(arrow.get_linewidth() == 3 for arrow in display.arrows_)
    assert_nothing_overlaps(display)  # text shrinks with the axes
    again = NestedDisplay(display.stages)
    assert again.plot() is again


def test_names_are_not_read_as_formulas(X):
    X = X.rename(columns={"f0": r"$\frac$"})
    chain = NestedAutoencoder([("a", tiny(), [r"$\frac$"])]).fit(X)
    display = NestedDisplay.from_estimator(chain)
    assert lines(display, "a", "columns")[1] == r"$\frac$"
    assert_nothing_overlaps(display)


# -- errors


def test_errors_say_what_is_wrong(chain, X):
    with pytest.raises(TypeError, match="must have stages_ and targets_; SupervisedAutoencoder"):
        NestedDisplay.from_estimator(tiny().fit(X))
    with pytest.raises(NotFittedError):
        NestedDisplay.from_estimator(NestedAutoencoder())
    for names in (["one"], "ab"):
        with pytest.raises(
            ValueError, match=r"'target_names' parameter .* names of the 2 columns"
        ):
            NestedDisplay.from_estimator(chain, target_names=names)
