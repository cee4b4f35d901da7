"""What the parts of `make bench-quality` share: rows written once, and ways measured in turn."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.measuring import Ratio, spreads
from benchmarks.quality_data import write_customers, write_order_lines
from benchmarks.quality_rivals import Failed, Way, measure
from benchmarks.taxi_data import write_rides

SEED, SMALL = 7, 50_000
FIGURES = ("seconds", "cpu_seconds", "jobs", "scans")
Found = tuple[dict[str, Any], dict[str, Ratio]]
Runs = dict[str, list[dict[str, Any]]]
console = Console()


class Bench:
    """A folder of rows, written once for each number of them, and how often ways are measured."""

    def __init__(self, folder: Path, rows: int, repeats: int) -> None:
        self.folder, self.rows, self.repeats = folder, rows, repeats
        write_customers(folder / "customers")

    def measure(self, way: Way, rows: int | None = None) -> dict[str, Any]:
        """One process of a way over order lines. Raises Failed."""
        return self._measured(way, self._lines(SMALL), self._lines(rows or self.rows))

    def measure_rides(self, way: Way) -> dict[str, Any]:
        """One process of a way over taxi rides. Raises Failed."""
        return self._measured(way, self._rides(SMALL), self._rides(self.rows))

    def in_turn(self, ways: Sequence[Way], measure_one: Callable[[Way], dict[str, Any]]) -> tuple[Runs, dict[str, str]]:
        """The runs of each way, all ways in turn, so that what else the machine does meets all; and why some failed.

        A slow way is measured in the first turn only.
        """
        runs: Runs = {way.name: [] for way in ways}
        failed: dict[str, str] = {}
        for turn in range(self.repeats):
            for way in ways:
                if way.name in failed or (way.slow and turn):
                    continue
                try:
                    runs[way.name].append(measure_one(way))
                except Failed as error:
                    failed[way.name] = str(error)
                    console.print(f"{way.name}: {error}", style="red", markup=False)
        return {name: found for name, found in runs.items() if name not in failed}, failed

    def _measured(self, way: Way, small: Path, rows: Path) -> dict[str, Any]:
        found = measure(way, small, rows, self.folder / "customers", self.folder / "out")
        console.print(way.name, {name: found[name] for name in FIGURES}, found["said"], soft_wrap=True, markup=False)
        return found

    def _lines(self, rows: int) -> Path:
        folder = self.folder / f"lines_{rows}"
        if not folder.exists():
            write_order_lines(folder, rows, SEED)
        return folder

    def _rides(self, rows: int) -> Path:
        folder = self.folder / f"rides_{rows}"
        if not folder.exists():
            write_rides(folder, rows, SEED)
        return folder


def figures_of(runs: Runs) -> dict[str, Any]:
    """The spread of each figure of each way."""
    return {
        name: spreads([{figure: run[figure] for figure in FIGURES} for run in found]) for name, found in runs.items()
    }
