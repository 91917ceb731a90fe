"""Accuracy and speed against named peers, as tables in Markdown.

Run from the project's root, with the package installed:

    python -m benchmarks.accuracy   # band gaps, and six data sets against peers
    python -m benchmarks.atoms      # crystals and molecules; QM9 needs the extra `benchmarks`
    python -m benchmarks.comparison # principal components, partial least squares, and others
    python -m benchmarks.defaults   # the evidence behind the default parameters
    python -m benchmarks.design     # candidates with a wanted target, in one round
    python -m benchmarks.design_rounds  # five rounds of experiments
    python -m benchmarks.nesting    # many rows with a property, few with the target
    python -m benchmarks.paper      # the published numbers beside ours
    python -m benchmarks.readme     # the README's examples, and other models on the same rows
    python -m benchmarks.speed      # time and memory

The perovskite data are downloaded once, or read from the folder that the environment variable
SKNESTEDAE_DATA names. ``--write`` puts the tables into ``docs/benchmarks``.
"""
