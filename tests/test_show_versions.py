"""What is printed for the report of an error."""

from __future__ import annotations

import configparser
import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch

import sknestedae
from sknestedae._show_versions import NEEDED, OPTIONAL, describe_devices

SETUP = configparser.ConfigParser()
SETUP.read(Path(__file__).parents[1] / "setup.cfg")


def names_of(requirements):
    """Give the names of packages, without their versions and those of extras."""
    lines = [line for line in requirements.splitlines() if line and "[" not in line]
    return {re.match(r"[\w-]+", line).group() for line in lines}


def test_the_packages_are_those_of_the_project():
    """The extras of those who work on the package itself left out."""
    assert names_of(SETUP["options"]["install_requires"]) == set(NEEDED)
    extras = SETUP["options.extras_require"]
    of_users = extras.keys() - {"benchmarks", "test", "docs", "release"}
    assert set().union(*(names_of(extras[extra]) for extra in of_users)) == set(OPTIONAL)


def test_versions_and_devices_are_printed(capsys):
    sknestedae.show_versions()
    printed = capsys.readouterr().out
    for name in ("torch", "scikit-learn", "skorch", "pandas"):
        assert f" {name}: {version(name)}\n" in printed
    assert f" sknestedae: {sknestedae.__version__}\n" in printed
    assert f"CPU threads of torch: {torch.get_num_threads()}\n" in printed


def test_a_package_that_is_not_there(monkeypatch, capsys):
    monkeypatch.setattr("sknestedae._show_versions.OPTIONAL", ["no-such-package"])
    sknestedae.show_versions()
    assert "no-such-package: not installed\n" in capsys.readouterr().out


def test_each_gpu_has_a_line(monkeypatch):
    gpu = SimpleNamespace(name="A GPU", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda k: gpu)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    devices = describe_devices()
    assert devices["cuda:0"] == devices["cuda:1"] == "A GPU, 80 GiB, CUDA 13.0"
    assert "CUDA" not in devices


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for built, text in ((None, "CPUs"), ("13.0", "CUDA 13.0")):
        monkeypatch.setattr(torch.version, "cuda", built)
        monkeypatch.setattr(torch.version, "hip", None)
        assert describe_devices()["CUDA"] == f"no device; torch was built for {text}"
