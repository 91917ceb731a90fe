"""Make the two files of :func:`load_solar_cells` anew.

``python -m sknestedae.datasets._make_solar_cells FOLDER`` writes them into a folder. They are the
files that come with the package, to the last byte.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from ._solar_cells import CRYSTAL_FILE, DEVICE_FILE, solar_cell_formula

_SEED = 0
_N_CRYSTALS, _N_OTHERS = (
    250,
    12,
)  # of the others no gap was computed: only devices are made of them
_N_COMPOUNDS, _N_DEVICES = 40, 180
_N_UNLABELLED, _N_TWICE = 30, 4
_NOISE = {"volume": 1.0, "gap": 0.04, "efficiency": 0.8}  # standard deviations: Å³, eV, %
_ETL, _HTL = ["TiO2", "SnO2", "ZnO"], ["spiro-OMeTAD", "PTAA", "NiO"]
_SPELLINGS = {
    "spiro-OMeTAD": ["spiro-OMeTAD", "spiro-OMeTAD", "Spiro OMeTAD", "spiro-ometad"],
    "SnO2": ["SnO2", "SnO2", "SnO2 "],
}
_SHARES = ["FA", "MA", "Cs", "Sn", "I", "Br", "Cl"]
_COMMENTS = ["pinholes", "second batch", "edge of wafer", "glovebox open"]


def make_files(folder: Path) -> list[Path]:
    """Write the two files into a folder and return their paths."""
    rng = np.random.RandomState(_SEED)
    compounds = _compounds(_N_CRYSTALS, rng)
    # Devices are made of crystals of a small gap, and rather of lead than of tin.
    crystals = pd.concat([compounds, _compounds(10 * _N_OTHERS, rng)], ignore_index=True)
    truth = solar_cell_formula(crystals)
    is_made = (truth["gap"] < 2.2) & (crystals["Sn"] <= 0.5)
    is_new = ~crystals["formula"].isin(compounds["formula"]) & ~crystals["formula"].duplicated()
    for name in ("volume", "gap"):
        crystals[name] = truth[name] + _NOISE[name] * rng.normal(size=len(crystals))
    computed = crystals[: len(compounds)]
    known = computed[is_made[: len(compounds)]].sample(_N_COMPOUNDS - _N_OTHERS, random_state=rng)
    others = crystals[is_made & is_new].sample(_N_OTHERS, random_state=rng)
    devices = _devices(pd.concat([known, others]).drop(columns="gap"), rng)
    paths = [folder / CRYSTAL_FILE.name, folder / DEVICE_FILE.name]
    _write(_messy_crystals(computed, rng), paths[0], sep=",")
    _write(_messy_devices(devices, rng), paths[1], sep=";")
    return paths


def _compounds(n: int, rng: np.random.RandomState) -> pd.DataFrame:
    """Draw compounds that differ: their formulas, and the shares of ions in tenths."""
    table = pd.concat(
        [
            _shares(3 * n, ["FA", "MA", "Cs"], [0.7, 0.7, 0.7], rng),
            _shares(3 * n, ["Sn", "Pb"], [0.5, 0.8], rng),
            _shares(3 * n, ["I", "Br", "Cl"], [0.9, 0.7, 0.3], rng),
        ],
        axis=1,
    )
    table.insert(0, "formula", [_formula(row) for row in table.to_dict("records")])
    return table.drop(columns="Pb").drop_duplicates("formula", ignore_index=True)[:n]


def _shares(
    n: int, names: list[str], concentration: list[float], rng: np.random.RandomState
) -> pd.DataFrame:
    """Draw shares in tenths, which sum up to 1."""
    tenths = np.round(10 * rng.dirichlet(concentration, size=n)).astype(int)
    tenths[np.arange(n), tenths.argmax(axis=1)] += 10 - tenths.sum(axis=1)
    return pd.DataFrame(tenths / 10, columns=names)


def _formula(row: dict[str, float]) -> str:
    """Write a formula, such as ``FA0.5Cs0.5PbI2.4Br0.6``."""
    number = {ion: 3 if ion in ("I", "Br", "Cl") else 1 for ion in row}
    return "".join(
        ion + ("" if row[ion] * number[ion] == 1 else f"{row[ion] * number[ion]:.2g}")
        for ion in ("FA", "MA", "Cs", "Pb", "Sn", "I", "Br", "Cl")
        if row[ion] > 0
    )


def _devices(compounds: pd.DataFrame, rng: np.random.RandomState) -> pd.DataFrame:
    """Draw devices: recipes for each compound, and for each recipe one device or several."""
    recipes = compounds.sample(_N_DEVICES, replace=True, random_state=rng, ignore_index=True)
    recipes["thickness"] = 10 * rng.randint(25, 80, size=_N_DEVICES)
    recipes["annealing"] = 5 * rng.randint(16, 37, size=_N_DEVICES)
    recipes["ETL"] = rng.choice(_ETL, p=[0.5, 0.35, 0.15], size=_N_DEVICES)
    recipes["HTL"] = rng.choice(_HTL, p=[0.5, 0.25, 0.25], size=_N_DEVICES)
    number = rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1], size=_N_DEVICES)
    devices = recipes.loc[recipes.index.repeat(number)][:_N_DEVICES]
    devices = devices.sample(frac=1, random_state=rng, ignore_index=True)
    efficiency = solar_cell_formula(devices)["efficiency"]
    noisy = efficiency + _NOISE["efficiency"] * rng.normal(size=_N_DEVICES)
    return devices.assign(efficiency=noisy.clip(lower=0))


def _messy_crystals(crystals: pd.DataFrame, rng: np.random.RandomState) -> pd.DataFrame:
    """Make the messy table of the crystals."""
    table = _short(crystals).assign(
        volume=crystals["volume"].map("{:.1f}".format), gap=crystals["gap"].map("{:.2f} eV".format)
    )
    table.insert(0, "crystal_id", [f"C{i:03d}" for i in range(1, len(table) + 1)])
    chance = rng.uniform(size=(len(table), 2))
    table.loc[chance[:, 0] < 0.08, "volume"] = "-"
    table.loc[chance[:, 0] < 0.03, "volume"] = "-999"
    table.loc[chance[:, 1] < 0.05, "gap"] = "n/a"
    return _some_twice(table, rng)


def _messy_devices(devices: pd.DataFrame, rng: np.random.RandomState) -> pd.DataFrame:
    """Make the messy table of the devices."""
    n = len(devices)
    table = _short(devices).assign(
        volume=devices["volume"].map("{:.1f}".format),
        thickness=devices["thickness"].map("{} nm".format),
        annealing=devices["annealing"].astype(str),
        efficiency=devices["efficiency"].map("{:.1f}".format),
        comment=np.where(rng.uniform(size=n) < 0.15, rng.choice(_COMMENTS, size=n), ""),
    )
    for name in ("ETL", "HTL"):
        table[name] = [rng.choice(_SPELLINGS.get(layer, [layer])) for layer in table[name]]
    chance = rng.uniform(size=(n, 3))
    for i, (name, spelling) in enumerate([("thickness", "n/a"), ("annealing", "-"), ("HTL", "-")]):
        table.loc[chance[:, i] < (0.08 if i < 2 else 0.04), name] = spelling
    table.loc[rng.permutation(n)[:_N_UNLABELLED], "efficiency"] = "-"
    days = pd.Timestamp(2024, 1, 8) + pd.to_timedelta(np.sort(rng.randint(500, size=n)), unit="D")
    table.insert(0, "device_id", [f"D{i:03d}" for i in range(1, n + 1)])
    table.insert(1, "made_on", days.strftime("%Y-%m-%d"))
    for name in ("volume", "efficiency", *_SHARES):
        table[name] = table[name].astype(str).str.replace(".", ",")
    return _some_twice(table, rng)


def _short(table: pd.DataFrame) -> pd.DataFrame:
    """Write shares without needless digits."""
    return table.assign(**{name: table[name].map("{:g}".format) for name in _SHARES})


def _some_twice(table: pd.DataFrame, rng: np.random.RandomState) -> pd.DataFrame:
    """Repeat some rows of the table further down."""
    twice = table.sample(_N_TWICE, random_state=rng)
    return pd.concat([table, twice]).sort_index(kind="stable")


def _write(table: pd.DataFrame, path: Path, sep: str) -> None:
    table.to_csv(path, sep=sep, index=False, lineterminator="\n", encoding="utf-8")


if __name__ == "__main__":
    make_files(Path(sys.argv[1]))
