"""The page as HTML: names are escaped, and a frame keeps it apart."""

import re
from html import unescape

from cases.report import EVIL, Parser


def test_names_are_escaped(card):
    assert EVIL not in card.html
    assert "<i>other" not in card.html
    text = "".join(Parser(card.html).text)
    assert EVIL in text
    assert "<i>other</i> (20)" in text
    assert EVIL not in card.markdown
    assert r"\<b\>a\|b\_\$x\$ \& " in card.markdown


def test_a_notebook_shows_it_in_a_frame_of_its_own(card):
    page = Parser(card._repr_html_())
    assert not page.open
    assert page.tags == ["iframe"]
    (inside,) = re.findall(r'srcdoc="([^"]*)"', card._repr_html_())
    assert "<" not in inside
    # links within it stay within it, and it is the page otherwise
    assert unescape(inside).replace('<base href="about:srcdoc">\n', "") == card.html
