"""The version of the package, and where its documentation is."""

__version__ = "0.2.0.dev0"

# The address of the start page's folder; setup.cfg names the same site.
DOCUMENTATION = "https://sknestedae.readthedocs.io/en/stable/"
