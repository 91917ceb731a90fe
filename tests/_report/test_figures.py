"""Labels of the figures, and the classes of a confusion matrix."""

import numpy as np
import pandas as pd
import pytest
from cases.report import TINY, Parser
from numpy.testing import assert_allclose
from sklearn.metrics import confusion_matrix

from sknestedae import SupervisedAutoencoder, report
from sknestedae._report import _figures
from sknestedae._report._content import Picture
from sknestedae._report._folds import HeldOut
from sknestedae._report._task import Target


@pytest.mark.parametrize("n_members", [1, 2])
def test_units_stand_once_and_on_each_axis(monkeypatch, n_members):
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(60, 2)), columns=["T (K)", "energy"])
    name = "a long name of the power conversion efficiency (%)"
    y = pd.DataFrame({"PCE (%)": X["energy"], name: X["T (K)"]})
    labels = {}

    def save(figure, name, alt, caption):
        labels[name] = [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes]
        return Picture(name, b"\x89PNG", (100, 100), alt, caption)

    monkeypatch.setattr(_figures, "_save", save)
    sae = SupervisedAutoencoder(n_members=n_members, predictor="network", **TINY).fit(X, y)
    units = dict.fromkeys(y.columns, "%") | {"T (K)": "K", "energy": "eV"}
    card = report(sae, X, y, cv=2, units=units, random_state=0)
    text = "".join(Parser(card.html).text)
    drawn = [label for own in labels.values() for pair in own for label in pair]
    for said in [text, *drawn]:
        assert "(%) (%)" not in said
        assert "(K) (K)" not in said
    page = Parser(card.html)
    assert "PCE (%)" in page.table("Targets that are numbers").index
    assert {"T (K)", "energy (eV)"} == set(page.table("Columns").index)
    for k in (0, 1):
        for label in [
            *labels[f"figure-predictions-{k}"][0],
            *labels[f"figure-predictions-{k}"][1],
        ]:
            assert label.endswith("(%)")
    assert labels["figure-targets"][0] == ("PCE (%)", "Rows")
    assert labels["figure-latents-0-0"][1][1] == "PCE (%)"
    spread = [label for label in labels["figure-calibration-0"][1] if "Share" not in label]
    assert len(spread) == n_members
    assert all(label.endswith("(%)") for label in spread)
    assert labels["figure-history-0"] == [("Epoch", "Loss (scaled units)")]
    assert labels["figure-reconstruction"][1] == ("True (eV)", "Reconstructed (eV)")


def test_rows_of_a_confusion_are_true_classes(monkeypatch):
    truth, predicted = np.array([0.0, 0, 0, 1, 1, 2]), np.array([0.0, 1, 1, 1, 1, 0])
    drawn = []

    def save(figure, name, alt, caption):
        drawn.append(figure.axes[0])
        return Picture(name, b"", (1, 1), alt, caption)

    monkeypatch.setattr(_figures, "_save", save)
    target = Target("kind", "", 0, None, ["a", "b", "c"], {}, truth)
    held_out = HeldOut(np.zeros(6), np.arange(6), truth, predicted, None, None)
    _figures._draw_confusion(0, target, held_out)
    (ax,) = drawn
    expected = confusion_matrix(truth, predicted, normalize="true")
    assert_allclose(ax.images[0].get_array(), expected)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.get_ylabel() == "Measured kind"
    counts = {(text.get_position()[::-1]): text.get_text() for text in ax.texts}
    assert counts == {(0, 0): "1", (0, 1): "2", (1, 1): "2", (2, 0): "1"}


def test_a_name_is_no_formula():
    assert _figures._name("of $x$ and $y$", 40) == r"of \$x\$ and \$y\$"
