"""What the benchmarks share: threads, tables, and where the tables go."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import sklearn
import torch
from threadpoolctl import threadpool_limits

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"


class Report:
    """Tables in Markdown, printed as they come and written at the end if asked for.

    Parameters
    ----------
    module : str
        Name of the benchmark, such as "accuracy".
    description : str
        What its help says.
    add_arguments : callable or None
        Adds the benchmark's own arguments to the parser.
    parts : sequence of callable
        Of which ``--only`` runs some, by their names; each is called with the report.
    """

    def __init__(
        self,
        module: str,
        description: str,
        add_arguments: Callable[[argparse.ArgumentParser], None] | None = None,
        parts: Sequence[Callable[[Report], None]] = (),
    ) -> None:
        self._parts_by_name = {part.__name__: part for part in parts}
        parser = argparse.ArgumentParser(f"python -m benchmarks.{module}", description=description)
        parser.add_argument("--write", action="store_true", help="write the tables to the docs")
        if add_arguments is not None:
            add_arguments(parser)
        if parts:
            parser.add_argument(
                "--only", type=self._some_parts, help=", ".join(self._parts_by_name)
            )
        self.arguments = parser.parse_args()
        self.write = self.arguments.write
        self.module = module
        self._parts: list[str] = []
        torch.set_num_threads(1)
        threadpool_limits(1)  # the peers' libraries
        self.text(
            f"Made by `python -m benchmarks.{module} --write`: Python "
            f"{platform.python_version()}, torch {torch.__version__}, scikit-learn "
            f"{sklearn.__version__}, one thread."
        )

    def _some_parts(self, text: str) -> list[str]:
        """Read names of parts, separated by commas."""
        names = text.split(",")
        unknown = [name for name in names if name not in self._parts_by_name]
        if unknown:
            known = ", ".join(self._parts_by_name)
            raise argparse.ArgumentTypeError(f"{unknown} are none of {known}")
        return names

    def run(self) -> None:
        """Run all parts, or those that are asked for, and close."""
        only = self.arguments.only
        if self.write and only is not None:
            raise SystemExit("The tables are written of all parts together: leave out --only.")
        for name in only or self._parts_by_name:
            self._parts_by_name[name](self)
        self.close()

    def text(self, paragraph: str) -> None:
        """Add a paragraph."""
        self._parts.append(paragraph + "\n")
        print(paragraph + "\n", flush=True)

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """Add a table under a title."""
        lines = [f"**{title}**", "", "| " + " | ".join(columns) + " |"]
        lines.append("|" + "|".join(["---"] * len(columns)) + "|")
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        self._parts.append("\n".join(lines) + "\n")
        print("\n".join(lines) + "\n", flush=True)

    def close(self) -> None:
        """Write what was reported, where it was asked for."""
        if self.write:
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{self.module}.md").write_text("\n".join(self._parts))
