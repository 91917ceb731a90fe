"""The diagram of a chain: what it says of each stage."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
from cases.nested import clf, sae, same_rows, two_scales
from sklearn.decomposition import PCA
from sklearn.utils import estimator_html_repr

from sknestedae import NestedAutoencoder

PROCESS = {"predictor": "gaussian_process"}


def labels_of(chain):
    """Give what stands above the estimators of a diagram, each with what a click shows."""
    html = estimator_html_repr(chain)
    found = re.findall(r"<(label|pre)[^>]*>(.*?)</", html, flags=re.DOTALL)
    texts = [unescape(re.sub("<[^>]*>", "", text)) for _, text in found]
    return [text for text in texts if ":" in text]


def test_what_flows_from_stage_to_stage():
    X, y = two_scales()
    stages = [("a", sae(3, **PROCESS), ["mass"]), ("b", sae(**PROCESS), ["layer", "thickness"])]
    first, of_first, second, of_second = labels_of(NestedAutoencoder(stages).fit(X, y))
    assert first == "a: 1 column → 3 latents → 1 output"
    assert of_first == "own columns: mass"
    flow = "b: 2 columns, 3 latents of a → 2 latents → 1 output; passed on: "
    assert second == flow + "prediction of a, 1 column of a"
    assert "own columns: layer, thickness\n" in of_second


def test_nothing_is_passed_on_to_a_network():
    X, y = two_scales()
    for settings in ({"estimator": sae(**PROCESS), "passthrough": False}, {"estimator": sae()}):
        labels = labels_of(NestedAutoencoder(**settings).fit(X, y))
        assert "scale1: 2 columns, 2 latents of scale0 → 2 latents → 1 output" in labels
        assert not any("passed on" in label for label in labels)


def test_stages_without_targets_and_columns():
    tables, y = same_rows()
    stages = [("a", PCA(2), [0, 1]), ("b", clf(), []), ("c", sae(1), slice(2, None))]
    labels = np.where(y[1] > 0, "yes", "no")
    fitted = labels_of(NestedAutoencoder(stages[:2]).fit(np.hstack(tables), labels))
    assert fitted[::2] == [
        "a: 2 columns → 2 latents",
        "b: 0 columns, 2 latents of a → 2 latents → 1 output",
    ]
    assert fitted[1] == "own columns: 0, 1"


def test_before_fit():
    stages = [("a", PCA(2), [0, 1]), ("b", sae(1), slice(2, None))]
    assert labels_of(NestedAutoencoder(stages)) == [
        "a: own columns",
        "own columns: [0, 1]",
        "b: latents of a, own columns",
        "own columns: slice(2, None, None)",
    ]
    assert "each scale" in estimator_html_repr(NestedAutoencoder())


def test_estimators_stand_below_their_labels():
    X, y = two_scales()
    html = estimator_html_repr(NestedAutoencoder(estimator=sae()).fit(X, y))
    links = [m.start() for m in re.finditer("Documentation for SupervisedAutoencoder<", html)]
    labels = [html.index(f"<div>scale{k}: ") for k in range(2)]
    assert labels[0] < links[-2] < labels[1] < links[-1]
