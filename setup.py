"""Builds the package with a README whose links also work on a package index.

All else is in ``setup.cfg``. In a clone the README's links are relative, so that they work without
a network and for the version at hand; a package index has no files beside the README.
"""

import configparser
import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent


def absolute_links(text: str, source: str, version: str) -> str:
    """Give relative links of a Markdown text the repository's address.

    Parameters
    ----------
    text : str
    source : str
        Address of the repository.
    version : str
        Its tag is linked to; of a development version, the main branch.

    Returns
    -------
    text : str
    """
    reference = "main" if "dev" in version else f"v{version}"
    relative = r"(?!\w+:|[#/])(?=[^\s)\"])"
    for begin, kind in (
        (r"!\[[^\]]*\]\(", "raw"),  # images first: a link may be around one
        (r"<img\b[^>]*?\bsrc=\"", "raw"),
        (r"\]\(", "blob"),
        (r"<a\b[^>]*?\bhref=\"", "blob"),
    ):
        text = re.sub(f"({begin}){relative}", rf"\g<1>{source}/{kind}/{reference}/", text)
    return text


def long_description() -> str:
    """Give the README for a package index."""
    config = configparser.ConfigParser()
    config.read(HERE / "setup.cfg", encoding="utf-8")
    source = re.search(r"^Source = (.+)$", config["metadata"]["project_urls"], re.MULTILINE)[1]
    module = (HERE / "sknestedae" / "_version.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.+)"', module)[1]
    return absolute_links((HERE / "README.md").read_text(encoding="utf-8"), source, version)


if __name__ == "__main__":
    setup(long_description=long_description())
