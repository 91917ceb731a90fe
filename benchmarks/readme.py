"""The numbers of the README: its own two examples, and other models on the same rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknestedae import SupervisedAutoencoder

from ._report import Report

README = Path(__file__).resolve().parents[1] / "README.md"


def run_examples() -> dict[str, Any]:
    """Run the README's first two blocks of Python, and give their variables.

    So the numbers are those of the very code that readers see.
    """
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    variables: dict[str, Any] = {}
    for block in blocks[:2]:
        exec(block, variables)
    return variables


def ridge() -> Any:
    """Make ridge regression whose penalty is chosen by leave-one-out."""
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))


def two_scales(report: Report, of: dict[str, Any]) -> None:
    """Compare on the new cells."""
    crystals, cells, new_cells = of["crystals"], of["cells"], of["new_cells"]
    y, y_new = of["efficiency"][500:540], of["efficiency"][540:]
    gap_model = HistGradientBoostingRegressor(random_state=0).fit(crystals, of["gap"][:500])
    with_gap, new_with_gap = (
        table.assign(gap=gap_model.predict(table[crystals.columns]))
        for table in (cells, new_cells)
    )
    alone = {
        "ridge": ridge(),
        "one autoencoder": SupervisedAutoencoder(random_state=0),
        "gradient boosting": HistGradientBoostingRegressor(random_state=0),
    }
    rows = [
        ["nested autoencoder", "both", r2_score(y_new, of["nae"].predict(new_cells)[:, 1])],
        ["predicted gap, then ridge", "both", ridge().fit(with_gap, y).score(new_with_gap, y_new)],
        *(
            [name, "second", model.fit(cells, y).score(new_cells, y_new)]
            for name, model in alone.items()
        ),
    ]
    report.table(
        "Two scales: R² of the efficiency of 300 new cells",
        ["model", "scales", "R²"],
        [[name, scales, f"{score:.3f}"] for name, scales, score in rows],
    )


def one_scale(report: Report, of: dict[str, Any]) -> None:
    """Compare on the held-out rows of the diabetes data."""
    X, y, X_test, y_test = of["X_train"], of["y_train"], of["X_test"], of["y_test"]
    pca = make_pipeline(StandardScaler(), PCA(3)).fit(X)
    pls = PLSRegression(3).fit(X, y)
    models = [
        ["autoencoder, 3 latents", of["sae"].score(X_test, y_test), of["sae"].score(X_test)],
        ["ridge of all columns", ridge().fit(X, y).score(X_test, y_test), np.nan],
        [
            "PCA, 3 components, then ridge",
            make_pipeline(pca, ridge()).fit(X, y).score(X_test, y_test),
            r2_score(X_test, pca.inverse_transform(pca.transform(X_test))),
        ],
        [
            "partial least squares, 3 components",
            pls.score(X_test, y_test),
            r2_score(X_test, pls.inverse_transform(pls.transform(X_test))),
        ],
    ]
    report.table(
        "One scale: diabetes, 111 held-out rows",
        ["model", "R² of the target", "R² of the table"],
        [[name, *("" if np.isnan(x) else f"{x:.3f}" for x in scores)] for name, *scores in models],
    )


def main(report: Report) -> None:
    """Run the README's examples, and the others on the same rows."""
    variables = run_examples()
    two_scales(report, variables)
    one_scale(report, variables)
    report.text(
        "The README's own code, one split each, so that small differences say nothing. `predicted "
        "gap, then ridge`: gradient boosting learns the gap of the 500 crystals; its prediction "
        "is one more column of the 40 cells, from which ridge learns the efficiency. So it knows "
        "what the chain knows. The others see the 40 cells alone. The efficiency is all but "
        "linear in the gap, and diabetes in its columns: both suit ridge."
    )


if __name__ == "__main__":
    REPORT = Report("readme", __doc__)
    main(REPORT)
    REPORT.close()
