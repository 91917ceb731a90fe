"""Labels of the figures."""

import numpy as np
import pandas as pd
import pytest
from cases.report import TINY, Parser

from sknestedae import SupervisedAutoencoder, report
from sknestedae._report import _figures
from sknestedae._report._content import Picture


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
    sae = SupervisedAutoencoder(n_members=n_members, **TINY).fit(X, y)
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
