"""What the tests of the report share: small tables, and a parser of its pages."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from cases.arrays import make_images, make_spectra
from sknestedae import SupervisedAutoencoder
from sknestedae.blocks import ImageBlock, SpectrumBlock

TINY = {"n_components": 2, "hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}


EVIL = '<b>a|b_$x$ & "q"</b>'


VOID = {"meta", "img", "br", "hr", "link"}


def two_scales(rng=0):
    """Make two scales with rows of their own."""
    rng = np.random.RandomState(rng)
    crystals = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    devices = pd.DataFrame(rng.normal(size=(30, 3)), columns=["a", "b", "c"])
    devices["layer"] = pd.Categorical(np.resize(["x", "y"], 30))
    gap = (crystals["a"] + crystals["b"]).rename("gap")
    pce = (devices["a"] + (devices["layer"] == "x")).rename("pce")
    return [crystals, devices], [gap, pce]


def cheap_and_dear(n_dear=30):
    """Make one property of all materials by a cheap method, and of the first few by a dear one."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    cheap = (X["a"] + np.sin(2 * X["b"])).rename("cheap")
    dear = (cheap + 0.3 * X["c"]).rename("dear")
    return [X, X[:n_dear]], [cheap, dear[:n_dear]]


def places(X, scale, materials):
    """Give the positions of some rows of one scale in a table that was made of a list."""
    labels = X.index.to_list()
    return np.array([labels.index((scale, i)) for i in materials])


class Parser(HTMLParser):
    """Collect tags that are open, ids, addresses and tables."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.addresses, self.tags = [], [], [], []
        self.tables, self.images, self.text = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        self.addresses += [
            attrs[name] for name in ("src", "href", "srcset", "data") if name in attrs
        ]
        if tag == "img":
            self.images.append(attrs)
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("th", "td"):
            self.tables[-1]["rows"][-1].append("")

    def handle_endtag(self, tag):
        assert tag not in VOID
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.tables[-1]["rows"][-1][-1] += data
        elif self.open and self.open[-1] == "caption":
            self.tables[-1]["caption"] += data
        if "style" not in self.open:
            self.text.append(data)

    def table(self, caption):
        (found,) = [t["rows"] for t in self.tables if t["caption"].startswith(caption)]
        return pd.DataFrame(found[1:], columns=found[0]).set_index(found[0][0])


def check_page(html):
    """Assert what holds for every page, and give it parsed."""
    page = Parser(html)
    assert not page.open
    assert html.startswith("<!DOCTYPE html>")
    assert len(page.ids) == len(set(page.ids))
    inside = [a[1:] for a in page.addresses if a.startswith("#")]
    assert set(inside) <= set(page.ids)
    outside = [a for a in page.addresses if not a.startswith(("#", "data:image/png;base64,"))]
    assert outside == ["https://doi.org/10.1039/D3MH01484C"]
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(image["alt"].strip() for image in page.images)
    assert "@import" not in html
    assert "url(" not in html
    for table in page.tables:
        assert len({len(row) for row in table["rows"]}) == 1
    return page


def check_markdown(text):
    """Assert that each table has as many cells in each line."""
    lines = text.splitlines()
    n_tables = 0
    for before, line in zip(["", *lines[:-1]], lines, strict=True):
        if not line.startswith("|"):
            continue
        n_cells = len(re.findall(r"(?<!\\)\|", line)) - 1
        if not before.startswith("|"):
            n_tables, width = n_tables + 1, n_cells
        assert n_cells == width
    return n_tables


def scores_of(card, model, metric, target="gap"):
    own = card.scores.query("target == @target and model == @model and metric == @metric")
    return own.sort_values("fold")["score"].to_numpy()


def verdicts_of(card, baseline):
    """Give what is said of a baseline, in the scores and among the limits: 1, 0 or -1."""
    (scores,) = [t for t in Parser(card.html).text if t.startswith("By ") and "this model" in t]
    parts = {
        1: re.search(r"better than (.*?)(; |$)", scores),
        0: re.search(r"not told apart from (.*?)(; |$)", scores),
        -1: re.search(r"worse than (.*?)(; |$)", scores),
    }
    (in_scores,) = [v for v, found in parts.items() if found and f"{baseline} (" in found[1]]
    own = [limit for limit in card.limits if f"{baseline} is better than this model" in limit]
    undecided = [limit for limit in card.limits if f"{baseline} cannot be told apart" in limit]
    assert len(own) + len(undecided) <= 1
    return in_scores, -len(own) if own else int(not undecided)


def many(n_targets, X):
    """Make targets of a table: lines, and noise in every third."""
    rng = np.random.RandomState(0)
    table = X[["energy", EVIL]]
    y = table.to_numpy() @ rng.normal(size=(2, n_targets))
    y[:, ::3] = rng.normal(size=y[:, ::3].shape)
    y = pd.DataFrame(y + rng.normal(scale=0.1, size=y.shape)).add_prefix("t")
    return table, y, SupervisedAutoencoder(predictor="network", **TINY).fit(table, y)


def with_arrays(n_samples=40, target_shape=None, **settings):
    """Fit a table of two numbers and an image to spectra, or to images; all NaN-free.

    Returns
    -------
    X : DataFrame of shape (n_samples, 32)
    y : ndarray of shape (n_samples, 24), or (n_samples, 30) with a target's shape
    estimator : SupervisedAutoencoder
    """
    images = make_images(n_samples).reshape(n_samples, -1)
    spectra, numbers = make_spectra(n_samples)
    X = pd.DataFrame(numbers, columns=["centre", "height"])
    X = pd.concat([X, pd.DataFrame(images).add_prefix("p")], axis=1)
    narrow = {"n_channels": (2,)}
    target, y = SpectrumBlock(**narrow), spectra
    if target_shape is not None:
        target, y = ImageBlock(target_shape, **narrow), images
    blocks = [("image", ImageBlock((5, 6), **narrow), slice("p0", "p29"))]
    settings = {**TINY, **settings}
    return X, y, SupervisedAutoencoder(blocks=blocks, target_block=target, **settings).fit(X, y)
