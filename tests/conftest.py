"""Fixtures for all tests."""

import gc
import os

# The arrays of the tests are tiny: more threads would only wait for each other, and for the other
# processes that run tests. Libraries read it when they are loaded, so it stands before them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from functools import partial
from pathlib import Path

import pytest
import torch

import sknestedae
from sknestedae._report import _as_column, _figures, _folds
from sknestedae._report._content import Picture
from sknestedae._training import _vectorized
from sknestedae.design import _search

torch.set_num_threads(1)


def pytest_collection_finish():
    """Search less for garbage, and not among what was imported and collected: it stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


def pytest_report_header() -> str:
    """Say which copy of the package is tested."""
    return f"sknestedae: {sknestedae.__version__} from {Path(sknestedae.__file__).parent}"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with copies of the public data; a test that asks for it is skipped without it.

    It is what the environment variable SKNESTEDAE_DATA names, else ``../shared/data`` beside the
    repository.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SKNESTEDAE_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"needs the public data in {folder} (set SKNESTEDAE_DATA to another folder)")
    return folder


_RENDER = _figures._save


@pytest.fixture(scope="session", autouse=True)
def _figures_are_made_but_not_rendered():
    """Leave out what takes most of the time of a tiny report."""

    def save(figure, name, alt, caption):
        return Picture(name, b"\x89PNG", (100, 100), alt, caption)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_figures, "_save", save)
        yield


@pytest.fixture(scope="session", autouse=True)
def _baselines_are_small():
    """Grow a tenth of the trees of a report's baselines."""
    settings = _as_column.forest_settings
    with pytest.MonkeyPatch.context() as patch:
        for module in (_as_column, _folds):
            patch.setattr(
                module, "forest_settings", lambda *args: {**settings(*args), "n_estimators": 10}
            )
        for name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
            patch.setattr(_folds, name, partial(getattr(_folds, name), max_iter=10))
        yield


@pytest.fixture
def rendered(monkeypatch):
    """Render the figures of a report after all."""
    monkeypatch.setattr(_figures, "_save", _RENDER)
    monkeypatch.setattr(_figures, "_DPI", 20)


@pytest.fixture
def whole_search():
    """Let a design search for as long as it does for users."""


@pytest.fixture(autouse=True)
def _short_searches(request, monkeypatch):
    """Shorten the search for a design: most tests look at what is said of any candidates."""
    if "whole_search" not in request.fixturenames:
        monkeypatch.setattr(_search, "_N_STEPS", 20)
        monkeypatch.setattr(_search, "_N_POOL", 200)


@pytest.fixture
def stacks(monkeypatch):
    """Record the number of networks in each stack that is trained to its end."""
    sizes = []
    train = _vectorized.VectorizedTraining.train

    def spy(self):
        n_networks = len(self.jobs)
        train(self)  # after an error, each is trained alone
        sizes.append(n_networks)

    monkeypatch.setattr(_vectorized.VectorizedTraining, "train", spy)
    return sizes
