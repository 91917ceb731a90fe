"""The report as a whole: it is well-formed, it is kept, and it leaves nothing behind."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from cases.report import Parser, check_markdown, check_page
from numpy.testing import assert_allclose

from sknestedae import report


def test_the_page_is_whole_and_self_contained(card):
    page = check_page(card.html)
    headings = ["glance", "limits", "data", "settings", "scores", "predictions", "calibration"]
    assert set(headings) < set(page.ids)
    assert check_markdown(card.markdown) == len(page.tables)
    assert card.markdown.count("](data:image/png;base64,") == len(page.images)
    assert repr(card).startswith("Report('SupervisedAutoencoder of gap', n_folds=3")


def test_title_and_description_are_the_user_s(sae, X, y):
    card = report(sae, X, y, cv=2, title="<Gaps>", description="For *you* & me.", random_state=0)
    page = check_page(card.html)
    assert card.title == "<Gaps>"
    assert "<title>&lt;Gaps&gt;</title>" in card.html
    assert "For *you* & me." in page.text
    assert r"For \*you\* \& me." in card.markdown


def test_files(card, tmp_path):
    path = card.save(tmp_path / "card.html")
    assert path.read_text(encoding="utf-8") == card.html
    path = card.save(str(tmp_path / "card.md"))
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"\]\(<(card_files/[\w-]+\.png)>\)", text)
    assert len(named) == len(set(named)) == len(Parser(card.html).images)
    for name in named:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "data:" not in text
    with pytest.raises(ValueError, match=r"'path' parameter must end in .* got 'card.pdf'"):
        card.save(tmp_path / "card.pdf")


def test_nothing_is_left_behind(sae, X, y, rendered):
    figure = plt.figure()
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()
    weights = [p.clone() for p in sae.net_.module_.parameters()]
    before = X.copy()
    with plt.rc_context({"axes.facecolor": "black", "font.size": 30}):
        settings = dict(plt.rcParams)
        first = report(sae, X, y, cv=2, random_state=0)
        assert dict(plt.rcParams) == settings
    second = report(sae, X, y, cv=2, random_state=0)
    assert first.html == second.html  # whatever the user's style is
    assert plt.get_fignums() == [figure.number]
    plt.close(figure)
    assert_allclose(np.random.get_state()[1], numpy_state[1])
    assert torch.equal(torch.get_rng_state(), torch_state)
    for now, then in zip(sae.net_.module_.parameters(), weights, strict=True):
        assert torch.equal(now, then)
    pd.testing.assert_frame_equal(X, before)
