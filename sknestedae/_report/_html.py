"""A page as one self-contained HTML document."""

from __future__ import annotations

import base64
from functools import singledispatch
from html import escape

from ._content import Bullets, Folded, Page, Pairs, Part, Picture, Section, Table, Text

# Every rule stands below the one class, so that the page can stand within another.
_STYLE = """
:root{color-scheme:light dark}
body{margin:0}
.sknestedae-report{
  --paper:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d5dae0;--tint:#f4f6f8;--accent:#005a94;
  background:var(--paper);color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  -webkit-text-size-adjust:100%;min-height:100vh}
@media (prefers-color-scheme:dark){.sknestedae-report{
  --paper:#14181d;--ink:#e3e7eb;--soft:#9ba5b0;--line:#343c45;--tint:#1d232a;--accent:#6cb8ec}}
.sknestedae-report *{box-sizing:border-box}
.sknestedae-report .sheet{max-width:54rem;margin:0 auto;padding:2.2rem 1.25rem 3rem}
.sknestedae-report h1{font-size:1.9rem;line-height:1.2;margin:0 0 .4rem;overflow-wrap:anywhere}
.sknestedae-report h2{font-size:1.3rem;line-height:1.25;margin:2.6rem 0 .8rem;padding-top:.9rem;
  border-top:1px solid var(--line)}
.sknestedae-report p{margin:.7rem 0;max-width:46rem;overflow-wrap:break-word}
.sknestedae-report header p{color:var(--soft);margin:.25rem 0}
.sknestedae-report a{color:var(--accent)}
.sknestedae-report nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.35rem 1.1rem;
  margin:1.1rem 0 0;padding:.6rem 0;border-top:1px solid var(--line);
  border-bottom:1px solid var(--line);font-size:.93rem}
.sknestedae-report nav a{text-decoration:none}
.sknestedae-report nav a:hover{text-decoration:underline}
.sknestedae-report nav+section h2{border-top:0;padding-top:0;margin-top:1.6rem}
.sknestedae-report .bullets{padding-left:1.2rem;max-width:46rem}
.sknestedae-report .bullets li{margin:.45rem 0;overflow-wrap:break-word}
.sknestedae-report dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;
  gap:.4rem 1.2rem;margin:1rem 0;padding:.9rem 1.1rem;background:var(--tint);border-radius:6px}
.sknestedae-report dt{color:var(--soft)}
.sknestedae-report dd{margin:0;min-width:0;overflow-wrap:anywhere}
.sknestedae-report .scroll{overflow-x:auto;margin:1.1rem 0}
.sknestedae-report table{border-collapse:collapse;font-size:.88rem;line-height:1.4;
  font-variant-numeric:tabular-nums;min-width:50%}
.sknestedae-report caption{text-align:left;color:var(--soft);padding-bottom:.45rem;
  caption-side:top}
.sknestedae-report th,.sknestedae-report td{padding:.28rem .7rem;text-align:right;
  border-bottom:1px solid var(--line);vertical-align:baseline}
.sknestedae-report thead th{border-top:2px solid var(--ink);border-bottom:1px solid var(--ink);
  font-weight:600;vertical-align:bottom}
.sknestedae-report tbody tr:last-child>*{border-bottom:2px solid var(--ink)}
.sknestedae-report tbody th{font-weight:400}
.sknestedae-report .word{text-align:left;max-width:24rem;overflow-wrap:break-word}
.sknestedae-report td:not(.word){white-space:nowrap}
.sknestedae-report tr.strong>*{font-weight:650;background:var(--tint)}
.sknestedae-report figure{margin:1.5rem 0}
.sknestedae-report img{display:block;max-width:100%;height:auto;background:#fff;
  border-radius:4px}
@media (prefers-color-scheme:dark){.sknestedae-report img{padding:.5rem;filter:brightness(.92)}}
.sknestedae-report figcaption{color:var(--soft);font-size:.9rem;margin-top:.5rem;
  max-width:46rem}
.sknestedae-report details{margin:1rem 0;padding:.5rem .9rem;border:1px solid var(--line);
  border-radius:6px}
.sknestedae-report summary{cursor:pointer;color:var(--accent)}
.sknestedae-report footer{margin-top:2.6rem;padding-top:.9rem;border-top:1px solid var(--line);
  color:var(--soft);font-size:.88rem}
@media (max-width:34rem){
  .sknestedae-report .sheet{padding:1.2rem .9rem 2rem}
  .sknestedae-report h1{font-size:1.5rem}
  .sknestedae-report dl{grid-template-columns:1fr;gap:0}
  .sknestedae-report dd{margin-bottom:.55rem}
  .sknestedae-report th,.sknestedae-report td{padding:.28rem .45rem}
  .sknestedae-report tbody th{min-width:7.5rem}}
@media print{
  @page{margin:16mm}
  .sknestedae-report{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--tint:#f2f2f2;
    --accent:#000;font-size:10pt;min-height:0}
  .sknestedae-report .sheet{max-width:none;padding:0}
  .sknestedae-report nav{display:none}
  .sknestedae-report h2{break-after:avoid}
  .sknestedae-report figure,.sknestedae-report tr,.sknestedae-report dl{break-inside:avoid}
  .sknestedae-report img{padding:0;filter:none;max-height:21cm;width:auto}
  .sknestedae-report .scroll{overflow:visible}
  .sknestedae-report table{font-size:8pt}
  .sknestedae-report th,.sknestedae-report td{padding:.1rem .5rem}
  .sknestedae-report h2{margin-top:1.6rem}
  .sknestedae-report details{border:0;padding:0}
  .sknestedae-report details::details-content{content-visibility:visible;block-size:auto}}
""".strip()


def to_html(page: Page) -> str:
    """Write a page as one HTML document, with its figures and its style inside."""
    links = "".join(
        f'<li><a href="#{section.key}">{escape(section.title)}</a></li>'
        for section in page.sections
    )
    lead = "".join(f"<p>{escape(line)}</p>\n" for line in page.lead)
    text, address = page.citation
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title)}</title>
<style>
{_STYLE}
</style>
</head>
<body class="sknestedae-report">
<div class="sheet">
<header>
<h1>{escape(page.title)}</h1>
{lead}</header>
<nav aria-label="Contents"><ul>{links}</ul></nav>
{"".join(map(_section, page.sections))}<footer>
<p>{escape(page.footer)}</p>
<p>{escape(text)}
<a href="{escape(address)}" rel="noopener" target="_blank">{escape(address)}</a></p>
</footer>
</div>
</body>
</html>
"""


def in_frame(html: str, title: str) -> str:
    """Put a page into an iframe within another, so that their styles do not mix."""
    # without a base of its own, a link to a section would load the outer page into the frame
    html = html.replace("<head>", '<head>\n<base href="about:srcdoc">', 1)
    return (
        f'<iframe title="{escape(title)}" srcdoc="{escape(html)}" style="width:100%;height:75vh;'
        'min-height:30rem;border:1px solid #8886;border-radius:6px" loading="lazy"></iframe>'
    )


def _section(section: Section) -> str:
    parts = "".join(map(_write, section.parts))
    return (
        f'<section aria-labelledby="{section.key}">\n<h2 id="{section.key}">'
        f"{escape(section.title)}</h2>\n{parts}</section>\n"
    )


@singledispatch
def _write(part: Part) -> str:
    """Write a part of a page; each kind is registered below."""
    raise TypeError(type(part).__name__)


@_write.register
def _text(part: Text) -> str:
    return f"<p>{escape(part.text)}</p>\n"


@_write.register
def _bullets(part: Bullets) -> str:
    items = "\n".join(f"<li>{escape(item)}</li>" for item in part.items)
    return f'<ul class="bullets">\n{items}\n</ul>\n'


@_write.register
def _pairs(part: Pairs) -> str:
    rows = "\n".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in part.rows)
    return f"<dl>\n{rows}\n</dl>\n"


@_write.register
def _table(part: Table) -> str:
    def style(j: int) -> str:
        return ' class="word"' if j < part.n_text else ""

    header = "".join(
        f'<th scope="col"{style(j)}>{escape(name)}</th>' for j, name in enumerate(part.header)
    )
    body = []
    for k, row in enumerate(part.rows):
        first, *rest = row
        cells = "".join(f"<td{style(j)}>{escape(text)}</td>" for j, text in enumerate(rest, 1))
        mark = ' class="strong"' if k in part.strong else ""
        body.append(f'<tr{mark}><th scope="row"{style(0)}>{escape(first)}</th>{cells}</tr>')
    rows = "\n".join(body)
    # a table that is too wide is scrolled, also by keyboard
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(part.caption)}">'
        f"<table>\n<caption>{escape(part.caption)}</caption>\n"
        f"<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>\n"
    )


@_write.register
def _picture(part: Picture) -> str:
    width, height = part.size
    data = base64.b64encode(part.png).decode("ascii")
    return (
        f'<figure id="{part.name}"><img alt="{escape(part.alt)}" width="{width}" '
        f'height="{height}" src="data:image/png;base64,{data}">\n'
        f"<figcaption>{escape(part.caption)}</figcaption></figure>\n"
    )


@_write.register
def _folded(part: Folded) -> str:
    inner = "".join(map(_write, part.parts))
    return f"<details>\n<summary>{escape(part.summary)}</summary>\n{inner}</details>\n"
