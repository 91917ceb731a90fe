"""What is published beside the package: links, extras, addresses and versions agree."""

import configparser
import importlib.util
import json
import re
from pathlib import Path

import pytest

import sknestedae

ROOT = Path(__file__).parents[1]
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCE = "https://example.org/us/it"


@pytest.fixture(scope="module")
def setup_file():
    spec = importlib.util.spec_from_file_location("setup_file", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](docs/a.rst)", f"[a]({SOURCE}/blob/v1.2/docs/a.rst)"),
        ("![a\nb](docs/a.png)", f"![a\nb]({SOURCE}/raw/v1.2/docs/a.png)"),
        (
            "[![a](docs/a.png)](docs/a.rst)",
            f"[![a]({SOURCE}/raw/v1.2/docs/a.png)]({SOURCE}/blob/v1.2/docs/a.rst)",
        ),
        ('<img width="9" src="a.png">', f'<img width="9" src="{SOURCE}/raw/v1.2/a.png">'),
        ('<a href="a.md">a</a>', f'<a href="{SOURCE}/blob/v1.2/a.md">a</a>'),
    ],
)
def test_relative_links_get_the_repositorys_address(setup_file, text, expected):
    assert setup_file.absolute_links(text, SOURCE, "1.2") == expected


@pytest.mark.parametrize(
    "text", ["[a](https://a.org/b)", "[a](#b)", "[a](mailto:a@b.c)", "f(a)[b] (c)"]
)
def test_other_text_stays(setup_file, text):
    assert setup_file.absolute_links(text, SOURCE, "1.2") == text


def test_a_development_version_links_to_the_main_branch(setup_file):
    text = setup_file.absolute_links("[a](b.md)", SOURCE, "1.3.dev0")
    assert text == f"[a]({SOURCE}/blob/main/b.md)"


def test_links_of_the_readme_lead_to_files(setup_file):
    text = setup_file.absolute_links(README, SOURCE, "1.2")
    targets = re.findall(rf"{SOURCE}/(?:raw|blob)/v1.2/([^)\"#\s]+)", text)
    assert targets
    assert not [target for target in targets if not (ROOT / target).is_file()]


def test_the_description_has_no_relative_link(setup_file):
    text = setup_file.long_description()
    assert len(text) >= len(README)
    assert not re.search(r"\]\((?!https?://|#)", text)


def test_install_page_lists_all_extras():
    text = (ROOT / "docs" / "install.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^``(\w+)`` ", text, re.MULTILINE)
    assert sorted(rows) == sorted(CONFIG["options.extras_require"])


def test_the_menu_of_versions_has_this_one():
    path = ROOT / "docs" / "_static" / "switcher.json"
    entries = json.loads(path.read_text(encoding="utf-8"))
    version = "dev" if "dev" in sknestedae.__version__ else sknestedae.__version__
    assert version in [entry["version"] for entry in entries]
    assert sum(entry.get("preferred", False) for entry in entries) == 1


def test_the_changelog_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, said = re.search(r"^## (\S+) \((.+)\)$", text, re.MULTILINE).groups()
    assert version == sknestedae.__version__.partition(".dev")[0]
    if "dev" in sknestedae.__version__:
        assert said == "not released yet"
    else:
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", said)


def test_one_address_of_the_repository():
    urls = dict(
        line.split(" = ") for line in CONFIG["metadata"]["project_urls"].strip().splitlines()
    )
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'repository-code: "{urls["Source"]}"' in citation
    assert f'url: "{urls["Documentation"]}"' in citation
    assert all(urls[name].startswith(urls["Source"]) for name in ("Issues", "Changelog"))
