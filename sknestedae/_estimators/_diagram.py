"""The diagram of a chain in notebooks: the inputs and the outputs of each stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._compat import VisualBlock
from ._fitted_chain import FittedChain
from ._passing import PassedOn
from ._stages import heads_of

# A stage's name with what flows through it, and what is shown where that is clicked on.
Label = tuple[str, str]


def diagram_of(estimators: Sequence[Any], labels: Sequence[Label]) -> VisualBlock:
    """Return the diagram of a chain, one stage below the other."""
    # a block around each stage, as a block's name is drawn and a single estimator's is not
    blocks = [VisualBlock("serial", [e], dash_wrapped=False) for e in estimators]
    return VisualBlock(
        "serial",
        blocks,
        names=[label for label, _ in labels],
        name_details=[details for _, details in labels],
    )


def label_each_scale() -> Label:
    """Label the one estimator of a chain that finds its scales in the data."""
    return "each scale", "its own columns, and the latents of the scale before"


def label_stages(stages: Sequence[tuple[str, Any, Any]]) -> list[Label]:
    """Label the stages of a chain that was not fitted, whose columns are not known."""
    labels, before = [], ""
    for name, _, columns in stages:
        labels.append((f"{name}: {before}own columns", f"own columns: {columns!r}"))
        before = f"latents of {name}, "
    return labels


def label_fitted_stages(chain: FittedChain) -> list[Label]:
    """Label the stages of a fitted chain, such as "a: 2 columns → 3 latents → 1 output"."""
    labels = []
    for k, stage in enumerate(chain.stages):
        given = [_count(len(stage.columns), "column")]
        if k:
            before = chain.stages[k - 1].name
            given.append(f"{_count(chain.n_latents[k - 1], 'latent')} of {before}")
        flow = [", ".join(given), _count(chain.n_latents[k], "latent")]
        n_outputs = len(chain.targets[stage.name])
        if n_outputs:
            flow.append(_count(n_outputs, "output"))
        label = f"{stage.name}: {' → '.join(flow)}"
        names = stage.columns
        if chain.labels.is_frame:
            names = chain.labels.features(stage.columns)
        details = f"own columns: {', '.join(map(str, names))}"
        passed = chain.passing[k]
        if passed is not None and any(heads_of(stage)):
            label += f"; passed on: {_describe_passed(chain, passed)}"
            details += "\nonly the Gaussian process takes what is passed on"
        labels.append((label, details))
    return labels


def _describe_passed(chain: FittedChain, passed: PassedOn) -> str:
    """Describe the inputs that a stage's Gaussian process has from the stages before."""
    found = []
    if passed.source is not None:
        found.append(f"prediction of {chain.stages[passed.source].name}")
    found += [
        f"{_count(len(columns), 'column')} of {chain.stages[j].name}"
        for j, columns in passed.columns.items()
    ]
    return ", ".join(found)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
