"""Versions and devices, for a report of an error."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from ._version import __version__

# As in setup.cfg: what is always there, and what the extras for users bring.
NEEDED = [
    "torch",
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "skorch",
    "joblib",
    "threadpoolctl",
    "matplotlib",
    "tqdm",
]
OPTIONAL = [
    "ase",
    "captum",
    "distributed",
    "mapie",
    "narwhals",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "plotly",
    "pooch",
    "skops",
    "vesin",
]
# Frames that are read by way of narwhals.
FRAMES = ["polars", "pyarrow"]


def show_versions() -> None:
    """Print the versions of the package and of what it uses, and the devices of torch.

    Add them to the report of an error.

    Examples
    --------
    >>> import sknestedae
    >>> sknestedae.show_versions()
    System
    ...
    Devices
    ...
    """
    sections = {
        "System": {
            "python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": platform.platform(),
        },
        "Packages": {"sknestedae": __version__, **_versions(NEEDED)},
        "Optional packages": _versions([*OPTIONAL, *FRAMES]),
        "Devices": describe_devices(),
    }
    for title, lines in sections.items():
        print(title)
        width = max(map(len, lines))
        for name, value in lines.items():
            print(f"  {name:>{width}}: {value}")


def _versions(names: list[str]) -> dict[str, str]:
    """Return the versions that are installed, without an import."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def describe_devices() -> dict[str, str]:
    """Describe the devices that torch can compute on, and the number of its threads."""
    import torch

    found = {"CPU threads of torch": str(torch.get_num_threads())}
    built = f"CUDA {torch.version.cuda}"
    if torch.version.cuda is None:
        built = "CPUs" if torch.version.hip is None else f"ROCm {torch.version.hip}"
    if not torch.cuda.is_available():
        found["CUDA"] = f"no device; torch was built for {built}"
    for k in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        of_device = torch.cuda.get_device_properties(k)
        memory = of_device.total_memory / 2**30
        found[f"cuda:{k}"] = f"{of_device.name}, {memory:.0f} GiB, {built}"
    if torch.backends.mps.is_available():
        found["mps"] = "available"
    return found
