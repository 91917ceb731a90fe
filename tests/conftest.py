"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
import torch

import sknestedae
from sknestedae._training import _vectorized

# The networks of the tests are tiny: more threads would only wait for each other.
torch.set_num_threads(1)


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
