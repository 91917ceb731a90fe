"""How the documentation is built."""

import configparser
import importlib
import inspect
import os
from datetime import datetime, timezone
from pathlib import Path

import matplotlib

# The gallery looks up the names that an example imports without running it.
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sphinx_gallery.sorting import ExplicitOrder

import sknestedae

matplotlib.use("Agg")

project = "sknestedae"
author = "The sknestedae developers"
copyright = f"{datetime.now(timezone.utc):%Y}, {author}"
version = release = sknestedae.__version__

# The addresses of the project stand in setup.cfg alone.
metadata = configparser.ConfigParser()
metadata.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
addresses = dict(
    line.split(" = ") for line in metadata["metadata"]["project_urls"].strip().splitlines()
)

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "myst_parser",
    "numpydoc",
    "sphinx-mathjax-offline",  # formulas without a network
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "benchmarks/*"]
toc_object_entries_show_parents = "hide"  # fit, not NestedAutoencoder.fit, beside the page

# The copy button leaves out prompts and output, so that what is copied runs.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

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

# Folders of examples are sections; "*" stands for those that are not named here.
sections = ["one_table", "chains", "decisions", "spectra_images", "structures"]
reading_order = [
    "plot_first_hour.py",
    "plot_nest_few_rows.py",
    "plot_unfold_functions.py",
    # One table
    "plot_read_latents.py",
    "plot_search_components.py",
    # Chains
    "plot_nest_perovskites.py",
    # Uncertainty, missing values and design
    "plot_calibrate_intervals.py",
    "plot_spread_members.py",
    "plot_complete_tables.py",
    "plot_design_cells.py",
    "plot_next_experiments.py",
    # Spectra and images
    "plot_unmix_spectra.py",
    "plot_image_to_spectrum.py",
    "plot_dual_clusters.py",
    # Structures of atoms
    "plot_phonon_dos.py",
    "*",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "doc_module": ("sknestedae",),
    "backreferences_dir": "generated",
    "subsection_order": ExplicitOrder([f"../examples/{name}" for name in sections]),
    "within_subsection_order": ExplicitOrder(reading_order),
    "image_srcset": ["2x"],  # for screens with many pixels
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "sknestedae"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
# Pages that have none below them need no menu at the left.
html_sidebars = {page: [] for page in ("index", "install", "benchmarks", "whats_new")}
html_theme_options = {
    "show_prev_next": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "navbar_start": ["navbar-logo", "version-switcher"],
    "primary_sidebar_end": [],
    "icon_links": [
        {"name": "Repository", "url": addresses["Source"], "icon": "fa-brands fa-github"}
    ],
    # Each release adds itself to the file.
    "switcher": {
        "json_url": "_static/switcher.json",
        "version_match": "dev" if "dev" in release else release,
    },
}


def add_tables(app, docname, source):
    """Put the tables that ``python -m benchmarks...`` wrote under the page's introduction."""
    if docname == "benchmarks":
        for path in sorted(Path(app.srcdir, "benchmarks").glob("*.md")):
            app.env.note_dependency(str(path))
            source[0] += f"\n## {path.stem.capitalize()}\n\n{path.read_text()}"


def allow_missing_figures(app, config):
    """Without running the examples, pages that show one of their figures have none to show."""
    if config.plot_gallery in (0, "0", False, "False"):
        config.suppress_warnings.append("image.not_readable")


def module_of_source(app, module, name):
    """Give the module whose file has a class; ``__module__`` is where users import it from."""
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not inspect.isclass(found):
        return None  # then viewcode finds it
    methods = filter(inspect.isfunction, vars(found).values())
    own = [m.__module__ for m in methods if m.__qualname__.startswith(f"{found.__name__}.")]
    return own[0] if own else None


def setup(app):
    """Connect what is not an extension of its own."""
    app.connect("config-inited", allow_missing_figures)
    app.connect("source-read", add_tables)
    app.connect("viewcode-follow-imported", module_of_source)
