"""`make bench-quality`: 21 checks with reasons and quarantine beside hand-written Spark and six rival engines."""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Ratio, print_ways, share_of, spreads, write_result
from benchmarks.quality_data import write_customers, write_order_lines
from benchmarks.quality_rivals import WAYS, Failed, Way, ask, measure
from benchmarks.quality_verdicts import judged
from benchmarks.taxi_data import write_rides
from lakeloop.core.java import ensure_java

SEED = 7
ROWS, SMALL, REPEATS = 1_000_000, 50_000, 3
GROWTH = (100_000, 1_000_000, 10_000_000)
NUMBERS_OF_RULES = (10, 20, 50, 100, 200)
THOUSAND = 1_000
FIGURES = ("seconds", "cpu_seconds", "jobs", "scans")
FLOOR, BY_HAND, BY_HAND_AGGREGATES, OURS, OUR_AGGREGATES, TWO_HUNDRED, *_ = (
    "floor: read and write", "by hand, rows, joins", "by hand, aggregates", "Lakeloop, rows", "Lakeloop, aggregates",
    "Lakeloop, 200 row rules",
)  # fmt: skip
ENGINES = {
    "Lakeloop": ("lakeloop", "quality_run"),
    **{name: (name, f"rivals.{name}") for name in
       ("dqx", "pydeequ", "cuallee", "great_expectations", "soda", "spark_expectations")},
}  # fmt: skip
console = Console()
Found = tuple[dict[str, Any], dict[str, Ratio]]


class Bench:
    """A folder of order lines, written once for each number of rows, and how often ways are measured."""

    def __init__(self, folder: Path, rows: int, repeats: int) -> None:
        self.folder, self.rows, self.repeats = folder, rows, repeats
        write_customers(self.customers)

    @property
    def customers(self) -> Path:
        """The table that order lines refer to."""
        return self.folder / "customers"

    def lines(self, rows: int) -> Path:
        """So many order lines."""
        folder = self.folder / f"lines_{rows}"
        if not folder.exists():
            write_order_lines(folder, rows, SEED)
        return folder

    def rides(self, rows: int) -> Path:
        """So many taxi rides."""
        folder = self.folder / f"rides_{rows}"
        if not folder.exists():
            write_rides(folder, rows, SEED)
        return folder

    def measure(self, way: Way, rows: int | None = None) -> dict[str, Any]:
        """One process of a way over order lines."""
        return self._told(way, measure(way, self.lines(SMALL), self.lines(rows or self.rows), self.customers, self.out))

    def measure_rides(self, way: Way, rows: int) -> dict[str, Any]:
        """One process of a way over taxi rides."""
        return self._told(way, measure(way, self.rides(SMALL), self.rides(rows), self.customers, self.out))

    @property
    def out(self) -> Path:
        """Where ways write; emptied by each."""
        return self.folder / "out"

    @staticmethod
    def _told(way: Way, found: dict[str, Any]) -> dict[str, Any]:
        console.print(way.name, {name: found[name] for name in FIGURES}, found["said"], soft_wrap=True)
        return found

    def in_turn(self, ways: Sequence[Way], measure_one: Callable[[Way], dict[str, Any]]) -> tuple[Any, dict[str, str]]:
        """The runs of each way, all ways in turn, so that what else the machine does meets all; and why some failed."""
        runs: dict[str, list[dict[str, Any]]] = {way.name: [] for way in ways}
        failed: dict[str, str] = {}
        for _ in range(self.repeats):
            for way in ways:
                if way.name not in failed:
                    try:
                        runs[way.name].append(measure_one(way))
                    except Failed as error:
                        failed[way.name] = str(error)
                        console.print(f"[red]{way.name}[/red]", str(error), soft_wrap=True, markup=False)
        return {name: found for name, found in runs.items() if name not in failed}, failed


def bench_ways(bench: Bench) -> Found:
    """The 21 checks in every way, and 200 row rules."""
    runs, failed = bench.in_turn(WAYS, bench.measure)
    figures = {name: _figures(found) | {"said": found[0]["said"]} for name, found in runs.items()}
    print_ways("21 checks", {name: {key: found[key] for key in FIGURES} for name, found in figures.items()})
    wanted = {
        "rows_cpu_over_floor": (OURS, FLOOR, 1.75, "at most"),
        "rows_cpu_over_handwritten": (OURS, BY_HAND, 0.7, "at most"),
        "dqx_split_cpu_over_ours": ("DQX, split", OURS, 3.0, "at least"),
        "aggregates_cpu_over_handwritten": (OUR_AGGREGATES, BY_HAND_AGGREGATES, 1.0, "at most"),
        "two_hundred_rules_cpu_over_floor": (TWO_HUNDRED, FLOOR, 2.5, "at most"),
    }
    ratios = {
        name: Ratio(share_of(runs[one], runs[other], "cpu_seconds"), target, holds)  # type: ignore[arg-type]
        for name, (one, other, target, holds) in wanted.items()
        if one in runs and other in runs
    }
    if OUR_AGGREGATES in runs:
        ratios["aggregates_scans"] = Ratio(runs[OUR_AGGREGATES][0]["scans"], 3)
    return {"ways": figures, "failed": failed}, ratios


def bench_rules(bench: Bench) -> Found:
    """Cost by the number of row rules: what 200 cost over the floor, beside what 20 cost."""
    floor = next(way for way in WAYS if way.name == FLOOR)
    two_hundred = next(way for way in WAYS if way.name == TWO_HUNDRED)
    ways = [floor, *(replace(two_hundred, name=f"{n} rules", argument=n) for n in NUMBERS_OF_RULES)]
    runs, failed = bench.in_turn(ways, bench.measure)
    cpu = {name: statistics.median(run["cpu_seconds"] for run in found) for name, found in runs.items()}
    few, most = NUMBERS_OF_RULES[1], NUMBERS_OF_RULES[-1]
    extra = (cpu[f"{most} rules"] - cpu[FLOOR]) / (cpu[f"{few} rules"] - cpu[FLOOR])
    figures = {name: _figures(found) for name, found in runs.items()}
    return {"by_rules": figures, "failed": failed}, {"extra_of_200_rules_over_20": Ratio(extra, most / few)}


def bench_growth(bench: Bench) -> Found:
    """CPU of a row from 0.1 to 10 million rows, without what a run costs with no rows at all."""
    way = next(way for way in WAYS if way.name == OURS)
    found = {rows: bench.measure(way, rows) for rows in GROWTH}
    least, middle, most = GROWTH
    cpu = {rows: run["cpu_seconds"] for rows, run in found.items()}
    slope = ((cpu[most] - cpu[middle]) / (most - middle)) / ((cpu[middle] - cpu[least]) / (middle - least))
    return {str(rows): run for rows, run in found.items()}, {
        "cpu_of_a_row_at_10_million_over_1_million": Ratio(slope, 1.1)
    }


def bench_thousand(bench: Bench) -> Found:
    """1,000 rules on taxi rides, as cuallee's own harness declares them."""
    ways = [
        Way("Lakeloop, 1,000 rules", "quality_run:thousand", argument=THOUSAND),
        Way("cuallee, 1,000 rules", "rivals.cuallee:thousand", "cuallee", argument=THOUSAND),
    ]
    runs, failed = bench.in_turn(ways, lambda way: bench.measure_rides(way, bench.rows))
    figures = {name: _figures(found) for name, found in runs.items()}
    ours, theirs = (runs.get(way.name) for way in ways)
    ratios = {}
    if ours and theirs:
        for figure in ("seconds", "cpu_seconds"):
            ratios[f"thousand_rules_{figure}_over_cuallee"] = Ratio(share_of(ours, theirs, figure), 1.0)
    return {"thousand": figures, "failed": failed}, ratios


def bench_verdicts(_: Bench) -> Found:
    """What each engine finds among planted faults."""
    found: dict[str, Any] = {}
    for name, (rival, module) in ENGINES.items():
        try:
            found[name] = judged(ask(rival, "quality_verdicts", f"benchmarks.{module}"))
        except Failed as error:
            found[name] = {"failed": str(error)}
    _print_verdicts(found)
    ours = [rule for rule in found["Lakeloop"].values() if isinstance(rule, dict) and "precision" in rule]
    ratios = {
        f"planted_faults_{name}": Ratio(min((rule[name] for rule in ours), default=0.0), 1.0, "at least")
        for name in ("precision", "recall")
    }
    return found, ratios


def _print_verdicts(found: dict[str, Any]) -> None:
    rules = list(dict.fromkeys(rule for engine in found.values() if "failed" not in engine for rule in engine))
    table = Table("rule", *found, title="planted faults: precision, recall; or found of planted")
    for rule in rules:
        table.add_row(rule, *(_cell(engine.get(rule)) for engine in found.values()))
    console.print(table)


def _cell(verdict: Any) -> str:
    if not isinstance(verdict, dict):
        return ""
    if "not judged" in verdict:
        return str(verdict["not judged"])[:30]
    if "precision" in verdict:
        return f"{verdict['precision']:.2f} {verdict['recall']:.2f}"
    return f"{verdict['found']} of {verdict['planted']}"


def _figures(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return spreads([{name: run[name] for name in FIGURES} for run in runs])


PARTS: dict[str, Callable[[Bench], Found]] = {
    "ways": bench_ways,
    "rules": bench_rules,
    "growth": bench_growth,
    "thousand": bench_thousand,
    "verdicts": bench_verdicts,
}


def main() -> None:
    """Run all parts and write `results/quality.json`; with fewer rows or repeats, `results/quality_tried.json`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", choices=tuple(PARTS))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    arguments = parser.parse_args()
    ensure_java()
    figures: dict[str, Any] = {"seed": SEED, "rows": arguments.rows, "repeats": arguments.repeats}
    ratios: dict[str, Ratio] = {}
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
                figures[name], found = part(Bench(Path(folder), arguments.rows, arguments.repeats))
            ratios |= found
    is_whole = (arguments.rows, arguments.repeats) == (ROWS, REPEATS)
    name = "quality" if arguments.only is None else f"quality_{arguments.only}"
    write_result(name if is_whole else f"{name}_tried", figures, ratios)


if __name__ == "__main__":
    main()
