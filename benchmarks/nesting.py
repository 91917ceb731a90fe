"""Nesting: a property known for many rows, and a target known for few."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from sknestedae import NestedAutoencoder

from ._data import perovskites, two_fidelities
from ._nesting_data import (
    DATA_SETS,
    N_SPLITS,
    N_TEST_MOLECULES,
    SIZES,
    DataSet,
    missing_files,
)
from ._nesting_runs import CHAIN, run
from ._nesting_tables import describe, report_data_set, report_functions, report_summary
from ._report import Report

NAMES = tuple(data_set.name for data_set in DATA_SETS)


def some_of(text: str) -> list[str]:
    """Read names of data sets, separated by commas."""
    names = text.split(",")
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown} are none of {', '.join(NAMES)}")
    return names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is to be run, and how."""
    parser.add_argument("--only", type=some_of, default=list(NAMES), help=", ".join(NAMES))
    parser.add_argument("--cells", help="part of the names of the cells that are run")
    parser.add_argument("--splits", type=int, default=N_SPLITS, help="number of splits")
    parser.add_argument("--jobs", type=int, default=1, help="splits that run at a time")
    parser.add_argument(
        "--keep",
        type=Path,
        help="folder where the errors of each data set are kept, and read if they are there",
    )
    parser.add_argument("--rivals-only", action="store_true", help="no model of this package")


def is_whole(arguments: argparse.Namespace) -> bool:
    """Tell whether all is run that the tables in the documentation have."""
    return (
        arguments.only == list(NAMES)
        and arguments.splits == N_SPLITS
        and not (arguments.rivals_only or arguments.cells)
    )


def report_time(report: Report) -> None:
    """Report the seconds of a default chain on the perovskites."""
    data = perovskites()
    start = time.perf_counter()
    nae = NestedAutoencoder(random_state=0)
    nae.fit([data.crystals, data.devices], [data.gap, data.pce])
    seconds = time.perf_counter() - start
    report.text(
        f"A default chain on {len(data.crystals)} crystals and {len(data.devices)} solar cells: "
        f"{seconds:.1f} s to fit, with one thread."
    )


def read_kept(path: Path, arguments: argparse.Namespace, cells: tuple[str, ...]) -> pd.DataFrame:
    """Read errors that were kept; refuse those of other splits, cells or models."""
    errors = pd.read_csv(path, index_col=["kind", "model", "cell"])
    found = (errors.shape[1], set(errors.index.unique("cell")), CHAIN in errors.index)
    if found != (arguments.splits, set(cells), not arguments.rivals_only):
        raise SystemExit(
            f"{path} holds other splits, cells or models: remove it, or do not --keep."
        )
    return errors


def error_of_new(first: pd.DataFrame, second: pd.DataFrame, test: pd.DataFrame) -> list[float]:
    """Give the error, and the coverage of 90 %, on molecules that no table has."""
    columns = [c for c in first.columns if c not in ("smiles", "expt", "calc")]
    # what a Gaussian process predicts does not depend on the network beside it
    nae = NestedAutoencoder(max_iter=1, random_state=0)
    nae.fit([first[columns], second[columns]], [first["calc"], second["expt"]])
    mean, std = (values[:, 1] for values in nae.predict(test[columns], return_std=True))
    error = np.abs(test["expt"] - mean)
    return [float(error.mean()), float(100 * (error <= 1.645 * std).mean())]


def report_training_values(report: Report) -> None:
    """Report what it costs that training rows have measured values, and new ones have not."""
    table = pd.read_csv(two_fidelities("freesolv.csv"))
    known, apart = "measured", "predicted"
    rows = []
    for n in SIZES:
        found: dict[str, list] = {known: [], apart: []}
        for split in range(N_SPLITS):
            order = np.random.RandomState(split).permutation(len(table))
            test, train = (
                table.iloc[order[:N_TEST_MOLECULES]],
                table.iloc[order[N_TEST_MOLECULES:]],
            )
            found[known].append(error_of_new(train, train[:n], test))
            found[apart].append(error_of_new(train[n:], train[:n], test))
        both = {name: np.array(values) for name, values in found.items()}
        difference = both[known][:, 0] - both[apart][:, 0]
        rows.append(
            [f"{n} rows"]
            + [f"{both[name][:, 0].mean():.3f}, {both[name][:, 1].mean():.0f} %" for name in both]
            + [f"{difference.mean():.3f} ± {difference.std(ddof=1) / N_SPLITS**0.5:.3f}"]
        )
    report.table(
        "What the second stage learns from: errors on new molecules (kcal/mol)",
        ["training rows", "their property is measured", "it is predicted", "difference"],
        rows,
    )
    report.text(
        "In training the molecules of the second scale are in the first table, and so their "
        "calculated energy is passed on; or they are left out of it, so that a predicted one is, "
        "as for the new molecules. Mean absolute error and coverage of 90 % over ten splits; the "
        "difference ± its standard error."
    )


def run_and_report(report: Report, data_set: DataSet) -> pd.DataFrame | None:
    """Run one data set and report its table; None where its files or cells are missing."""
    arguments = report.arguments
    missing = missing_files(data_set)
    if missing:
        report.text(f"{data_set.title}: left out, as SKNESTEDAE_DATA has no {missing}.")
        return None
    cells = tuple(cell for cell in data_set.cells if (arguments.cells or "") in cell)
    if not cells:
        return None
    kept = arguments.keep and arguments.keep / f"{data_set.name}.csv"
    if kept and kept.is_file():
        errors = read_kept(kept, arguments, cells)
    else:
        start = time.perf_counter()
        errors = run(data_set, arguments.splits, arguments.jobs, arguments.rivals_only, cells)
        print(f"{data_set.name}: {time.perf_counter() - start:.0f} s", flush=True)
    if kept:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        errors.to_csv(kept)
    report_data_set(report, data_set, errors)
    return errors


def main(report: Report) -> None:
    """Report each data set, and all of them together."""
    found = {}
    for data_set in DATA_SETS:
        if data_set.name in report.arguments.only:
            errors = run_and_report(report, data_set)
            if errors is not None:
                found[data_set.name] = errors
    if "functions" in found:
        report_functions(report, found["functions"])
    if found:
        report_summary(report, found)
    if "freesolv" in found and not report.arguments.rivals_only:
        report_training_values(report)
    if "perovskites" in found and not report.arguments.rivals_only:
        report_time(report)
    if is_whole(report.arguments):
        describe(report)


if __name__ == "__main__":
    REPORT = Report("nesting", __doc__, add_arguments)
    if REPORT.write and not is_whole(REPORT.arguments):
        raise SystemExit("--write takes all data sets, cells, splits and models.")
    main(REPORT)
    REPORT.close()
