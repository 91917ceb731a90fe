"""What README and guide quote is what the package says, and what the benchmarks printed."""

import builtins
import re
from functools import cache
from pathlib import Path

import pytest

import sknestedae

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
THEIRS = [  # of scikit-learn and pandas
    "The feature names should match",
    "Input y contains NaN",
    "'utf-8' codec can't decode",
]


def read(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def quoted():
    """Give each message that the FAQ quotes, as (name of its class or "", text)."""
    blocks = re.findall(r"code-block:: text\n\n((?:   .*\n)+)", read("faq.rst"))
    pattern = r"(?:(\w+(?:Error|Warning)): )?(.*)"
    return [re.match(pattern, " ".join(block.split())).groups() for block in blocks]


@cache
def sources():
    """Give the package's text with strings that are written in several parts put together."""
    paths = Path(sknestedae.__file__).parent.rglob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    return re.sub(r"""["']\s*\n\s*f?["']""", "", text)


def fragments(message):
    """Give the parts of sentences between what differs from case to case."""
    parts = re.split(r"…|\. |SupervisedAutoencoder(?= was)|The loss", message)
    return [part.strip(" .,;:()") for part in parts if len(part.strip(" .,;:()")) > 6]


@pytest.mark.parametrize(("kind", "message"), quoted())
def test_a_quoted_message_is_one_of_the_packages(kind, message):
    if any(message.startswith(own) for own in THEIRS):
        return
    assert fragments(message)
    assert [part for part in fragments(message) if part not in sources()] == []
    assert not kind or hasattr(builtins, kind) or kind in sknestedae.exceptions.__all__


def test_numbers_beside_other_methods_are_those_of_the_benchmarks():
    printed = "\n".join(
        path.read_text(encoding="utf-8") for path in ROOT.glob("docs/benchmarks/*.md")
    )
    cells = re.findall(r"^ +- \**(\d+\.\d+)\**$", read("comparison.rst"), re.MULTILINE)
    assert len(cells) > 100
    assert [cell for cell in cells if not re.search(rf"(?<![\d.]){cell}(?!\d)", printed)] == []


def test_the_python_of_the_readme_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    variables = {}
    for block in blocks:  # as it stands, but for the number of epochs
        exec(block.replace("Autoencoder(", "Autoencoder(max_iter=2, "), variables)
    assert variables["std"].shape == variables["mean"].shape == (111,)
