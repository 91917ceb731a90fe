"""What is said where an optional package is missing."""

import ast
import configparser
from pathlib import Path

import pytest

from sknestedae._extras import missing_package

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
EXTRAS = SETUP["options.extras_require"]


def calls():
    """Give the constants that each call of `missing_package` in the sources has."""
    for path in sorted((ROOT / "sknestedae").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "missing_package":
                package, extra = (argument.value for argument in node.args[1:])
                yield pytest.param(package, extra, id=f"{path.name}-{package}")


def test_it_names_the_user_the_package_and_the_extra():
    error = missing_package("report", "jinja2", "pages")
    assert isinstance(error, ImportError)
    for part in ("report needs", "'jinja2'", "`pip install jinja2`", "`pip install '.[pages]'`"):
        assert part in str(error)


@pytest.mark.parametrize(("package", "extra"), list(calls()))
def test_the_extra_that_is_named_brings_the_package(package, extra):
    assert any(line.startswith(f"{package}>=") for line in EXTRAS[extra].strip().splitlines())


def test_no_message_names_an_extra_of_the_index():
    # No index has the package, so an extra comes from a clone.
    for folder in ("sknestedae", "docs", "examples"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".rst", ".md"} and "auto_examples" not in path.parts:
                assert "install 'sknestedae[" not in path.read_text(encoding="utf-8"), path
