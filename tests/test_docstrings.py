"""Doctests of public classes' methods, which pytest finds under no module.

A public class names the package as its module, and its methods stand in a file of it.
"""

import doctest
import inspect

import pytest

import sknestedae
import sknestedae.blocks
import sknestedae.design
import sknestedae.model_selection
import sknestedae.plotting

PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (
        sknestedae,
        sknestedae.blocks,
        sknestedae.design,
        sknestedae.model_selection,
        sknestedae.plotting,
    )
    for name in module.__all__
}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def examples(name):
    found = doctest.DocTestFinder(exclude_empty=True).find(CLASSES[name], name, module=False)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", CLASSES)
def test_examples(name):
    for test in examples(name):
        runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
        said = []
        result = runner.run(test, out=said.append)
        assert not result.failed, "".join(said)


def test_methods_are_found():
    names = {test.name for test in examples("sknestedae.NestedAutoencoder")}
    assert "sknestedae.NestedAutoencoder.complete" in names


@pytest.mark.parametrize("name", [name for name in CLASSES if "Display" not in name])
def test_a_public_class_names_where_users_import_it(name):
    """So that what is stored of it does not name a room."""
    assert not any(part.startswith("_") for part in CLASSES[name].__module__.split("."))
