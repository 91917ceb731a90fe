"""Names of scikit-learn that may move, and what is made of them."""

from __future__ import annotations

import configparser
import inspect
from pathlib import Path

import pytest
from instances import tiny_instances
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_html_repr

import sknestedae
from sknestedae import SupervisedAutoencoder, blocks
from sknestedae._version import DOCUMENTATION

ROOT = Path(__file__).parents[1]
BLOCKS = [blocks.DenseBlock, blocks.SpectrumBlock, blocks.ImageBlock, blocks.AtomsBlock]
ESTIMATORS = {type(own): own for own in tiny_instances().values()}
ESTIMATORS |= {cls: cls() for cls in BLOCKS}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_diagram_links_to_the_page_of_the_class(cls):
    """Which is one of those that docs/api.rst makes."""
    address = f"{cls.__module__}.{cls.__name__}"
    assert f'href="{DOCUMENTATION}generated/{address}.html' in estimator_html_repr(ESTIMATORS[cls])
    assert f"\n   {address.removeprefix('sknestedae.')}\n" in (ROOT / "docs/api.rst").read_text()


def test_every_public_estimator_has_a_link():
    modules = [sknestedae, blocks, sknestedae.model_selection]
    public = {getattr(module, name) for module in modules for name in module.__all__}
    found = {
        own
        for own in public
        if inspect.isclass(own) and issubclass(own, BaseEstimator) and not inspect.isabstract(own)
    }
    assert found <= ESTIMATORS.keys()


def test_a_subclass_of_a_user_has_no_page():
    class Own(SupervisedAutoencoder):
        pass

    assert DOCUMENTATION not in estimator_html_repr(Own())


def test_the_address_is_that_of_the_project():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    urls = parser["metadata"].get("project_urls")
    if urls is None:
        pytest.skip("setup.cfg names no address")
    (site,) = [line.split(" = ")[1] for line in urls.splitlines() if "Documentation" in line]
    assert DOCUMENTATION.startswith(site)
