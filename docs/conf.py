"""How the documentation is built."""

import os
from datetime import datetime, timezone
from pathlib import Path

import matplotlib

# The gallery looks up the names that an example imports without running it.
from sklearn.experimental import enable_iterative_imputer  # noqa: F401

import sknestedae

matplotlib.use("Agg")

project = "sknestedae"
author = "The sknestedae developers"
copyright = f"{datetime.now(timezone.utc):%Y}, {author}"
version = release = sknestedae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx-mathjax-offline",  # formulas without a network
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "benchmarks/*"]

# Every name of ours that is linked to must be there; those of others need a network, see below.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!sknestedae).*")]

# Links to other projects need their inventories, and so a network. Only then are they asked for:
# without them a name of scikit-learn is set as code, and the build is the same everywhere.
if os.environ.get("SKNESTEDAE_INTERSPHINX") or os.environ.get("READTHEDOCS"):
    extensions.append("sphinx.ext.intersphinx")
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "pandas": ("https://pandas.pydata.org/docs", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
    "matplotlib": ("https://matplotlib.org/stable", None),
}

extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc documents the types
numpydoc_show_class_members = False
numpydoc_show_inherited_class_members = False
numpydoc_validation_checks = {"GL03", "PR02", "PR03"}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "doc_module": ("sknestedae",),
    "backreferences_dir": "generated",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "sknestedae"
html_static_path = ["_static"]
html_theme_options = {"show_prev_next": False, "show_toc_level": 2}


def add_tables(app, docname, source):
    """Put the tables that ``python -m benchmarks...`` wrote under the page's introduction."""
    if docname == "benchmarks":
        for path in sorted(Path(app.srcdir, "benchmarks").glob("*.md")):
            app.env.note_dependency(str(path))
            source[0] += f"\n## {path.stem.capitalize()}\n\n{path.read_text()}"


def setup(app):
    """Connect what is not an extension of its own."""
    app.connect("source-read", add_tables)
