"""The page as Markdown: marks in texts stay texts, and every part has its form."""

import base64

from cases.report import check_markdown

from sknestedae._report._content import Bullets, Folded, Page, Pairs, Picture, Section, Table, Text
from sknestedae._report._markdown import to_markdown

PICTURE = Picture("figure-a", b"\x89PNG", (10, 10), "a [plot]", "Of `x`.")


def write(*parts, address=None):
    page = Page(
        "Title", (), (Section("key", "Latent space", parts),), "Foot", ("Cite", "https://x")
    )
    return to_markdown(page, address).splitlines()


def test_marks_are_no_marks():
    assert r"1 \< 2 \& a\_b \| \*c\*" in write(Text("1 < 2 & a_b | *c*"))
    assert r"\# no heading" in write(Text("# no heading"))
    assert r"\1. no list" in write(Text("1. no list"))
    assert r"- \- one mark alone" in write(Bullets(("- one mark alone",)))


def test_a_table_has_its_cells():
    table = Table(
        "Scores", ("Model", "R|2"), (("this", "1"), ("other", "")), strong=frozenset({0})
    )
    lines = write(table)
    assert check_markdown("\n".join(lines)) == 1
    start = lines.index("*Scores*") + 2
    assert lines[start : start + 4] == [
        r"| Model | R\|2 |",
        "| :-- | --: |",
        "| **this** | **1** |",
        "| other |  |",
    ]


def test_numbers_of_a_table_stand_at_the_right_in_markdown():
    table = Table("scores", ("model", "MAE", "R²"), (("median", "1", "0"),), n_text=1)
    page = Page("page", (), (Section("scores", "Scores", (table,)),), "", ("", ""))
    assert "| model | MAE | R² |\n| :-- | --: | --: |\n| median | 1 | 0 |" in to_markdown(page)


def test_headings_are_where_the_contents_point():
    lines = write(Folded("More", (Pairs((("a", "b"),)),)))
    assert "- [Latent space](#latent-space)" in lines
    assert "## Latent space" in lines
    assert lines.index("### More") < lines.index("- **a:** b")


def test_a_figure_is_within_the_page_or_at_its_address():
    data = base64.b64encode(PICTURE.png).decode()
    assert rf"![a \[plot\]](data:image/png;base64,{data})" in write(PICTURE)
    lines = write(PICTURE, address=lambda picture: f"<{picture.name}.png>")
    assert r"![a \[plot\]](<figure-a.png>)" in lines
    assert r"*Of \`x\`.*" in lines
