"""A page as Markdown, with tables as GitHub and pandoc know them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from ._content import Bullets, Folded, Page, Pairs, Part, Picture, Table, Text

# What Markdown, or HTML within it, could take for a mark.
_MARKS = re.compile(r"([\\`*_{}\[\]<>|~$&])")
# What would begin a heading, a list or a quotation at the start of a line.
_START = re.compile(r"^(\s*)([#+\-=>]|\d+[.)])")


def to_markdown(page: Page, address: Callable[[Picture], str] | None = None) -> str:
    """Write a page as Markdown.

    Parameters
    ----------
    page : Page
    address : callable, default=None
        Gives the address of a figure. None: the figure itself, as a data URI.
    """
    address = address or _data_uri
    links = "\n".join(f"- [{_plain(s.title)}](#{_anchor(s.title)})" for s in page.sections)
    blocks = [f"# {_plain(page.title)}", *map(_line, page.lead), links]
    for section in page.sections:
        blocks.append(f"## {_plain(section.title)}")
        blocks += [block for part in section.parts for block in _write(part, address)]
    text, link = page.citation
    blocks += ["---", _line(page.footer), f"{_line(text)} <{link}>"]
    return "\n\n".join(blocks) + "\n"


def _anchor(title: str) -> str:
    """Return the address that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _data_uri(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png).decode('ascii')}"


def _plain(text: str) -> str:
    """Write a text on one line, with Markdown's marks escaped."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _line(text: str) -> str:
    """Write a text that begins a line."""
    return _START.sub(lambda found: f"{found[1]}\\{found[2]}", _plain(text))


def _write(part: Part, address: Callable[[Picture], str]) -> list[str]:
    """Return the blocks of a part."""
    match part:
        case Text(text):
            return [_line(text)]
        case Bullets(items):
            return ["\n".join(f"- {_line(item)}" for item in items)]
        case Pairs(rows):
            return ["\n".join(f"- **{_plain(name)}:** {_plain(text)}" for name, text in rows)]
        case Table():
            return [f"*{_plain(part.caption)}*", _table(part)]
        case Picture():
            image = f"![{_plain(part.alt)}]({address(part)})"
            return [image, f"*{_plain(part.caption)}*"]
        case Folded(summary, parts):
            return [f"### {_plain(summary)}", *(b for p in parts for b in _write(p, address))]
    raise TypeError(type(part).__name__)


def _table(part: Table) -> str:
    """Write a table; numbers stand at the right, emphasised rows are bold."""
    rule = [":--" if j < part.n_text else "--:" for j in range(len(part.header))]
    lines = [[_plain(name) for name in part.header], rule]
    for k, row in enumerate(part.rows):
        cells = [_plain(text) for text in row]
        if k in part.strong:
            cells = [f"**{cell}**" if cell else "" for cell in cells]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
