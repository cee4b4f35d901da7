"""`make bench-training`: cross-validation of twelve candidates beside Spark's own, on 7,043 and on a million rows.

And of one candidate on a hundred thousand to ten million rows, to see that time grows as they do and memory does not.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.measuring import Ratio, measured, print_ways, share_of, spreads, write_result
from benchmarks.training_data import SEED, write_customers
from benchmarks.training_run import WAYS
from lakeloop.core.java import ensure_java

LARGE, REPEATS, WARM_UP = 1_000_000, 3, 2_000
TARGETS = {"churn": 5.0, "million": 3.0}
SIZES = (100_000, 1_000_000, 10_000_000)
CLOSE = 1e-5
SHOWN = ("seconds", "cpu_seconds", "best", "failed", "parallelism")
console = Console()


def main() -> None:
    """Run all parts and write `results/training.json`; with fewer rows or repeats, `results/training_tried.json`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=LARGE)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--only", choices=(*TARGETS, "growth"))
    arguments = parser.parse_args()
    ensure_java()
    figures: dict[str, Any] = {"seed": SEED, "repeats": arguments.repeats}
    ratios: dict[str, Ratio] = {}
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as temporary:
        folder = Path(temporary)
        write_customers(folder / "small", WARM_UP)
        for size, rows in (("churn", None), ("million", arguments.rows)):
            if arguments.only in (None, size):
                written = write_customers(folder / size, rows)
                found, of_size = bench_size(folder, size, arguments.repeats)
                figures[size] = {"rows": written, **found}
                ratios |= of_size
        if arguments.only in (None, "growth"):
            figures["growth"], of_growth = bench_growth(folder)
            ratios |= of_growth
    is_whole = (arguments.rows, arguments.repeats, arguments.only) == (LARGE, REPEATS, None)
    write_result("training" if is_whole else "training_tried", figures, ratios)


def bench_size(folder: Path, size: str, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """Both ways in turn, a process each; ends where they disagree about the winner."""
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, found in runs.items():
            command = [sys.executable, "-m", "benchmarks.training_run", way, str(folder / "small"), str(folder / size)]
            found.append(measured(command))
            console.print(size, way, {name: found[-1][name] for name in SHOWN})
    ours, theirs = runs["ours"], runs["spark"]
    if any(one["best"] != other["best"] for one, other in zip(ours, theirs, strict=True)):
        raise SystemExit(f"{size}: the two ways choose otherwise: {ours[0]} {theirs[0]}")
    apart = max(abs(a - b) for a, b in zip(ours[0]["metrics"], theirs[0]["metrics"], strict=True))
    ways = {
        way: spreads([{name: run[name] for name in ("seconds", "cpu_seconds")} for run in found])
        for way, found in runs.items()
    }
    print_ways(size, ways)
    failed = {way: {name: [run[name] for run in found] for name in SHOWN[-2:]} for way, found in runs.items()}
    return {"ways": ways, "best": ours[0]["best"], "tries": failed}, {
        f"{size}_times_faster": Ratio(share_of(theirs, ours, "seconds"), TARGETS[size], "at least"),
        f"{size}_metrics_apart": Ratio(apart, CLOSE),
    }


def bench_growth(folder: Path) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """One candidate on ever more rows, once each: seconds, and what the driver holds, of ten million beside one."""
    found = {}
    for rows in SIZES:
        write_customers(folder / str(rows), rows)
        command = [
            sys.executable,
            "-m",
            "benchmarks.training_run",
            "ours",
            str(folder / "small"),
            str(folder / str(rows)),
        ]
        run = measured([*command, "one"])
        found[f"{rows:,}"] = {name: run[name] for name in ("seconds", "cpu_seconds", "driver_mib", "heap_mib")}
        console.print(f"{rows:,}", found[f"{rows:,}"])
    _, middle, most = found.values()
    return found, {
        "growth_cpu_of_a_row_10m_over_1m": Ratio(most["cpu_seconds"] / middle["cpu_seconds"] / 10, 1.1),
        "growth_seconds_10m_over_1m": Ratio(most["seconds"] / middle["seconds"] / 10, 1.1),
        "growth_driver_memory_10m_over_1m": Ratio(most["driver_mib"] / middle["driver_mib"], 1.1),
        "growth_heap_10m_over_1m": Ratio(most["heap_mib"] / middle["heap_mib"], 1.1),
    }


if __name__ == "__main__":
    main()
