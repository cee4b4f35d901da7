"""`make bench-training`: cross-validation of twelve candidates beside Spark's own, on 7,043 and on a million rows."""

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
CLOSE = 1e-5
console = Console()


def main() -> None:
    """Run both sizes and write `results/training.json`; with fewer rows or repeats, `results/training_tried.json`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=LARGE)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--only", choices=tuple(TARGETS))
    arguments = parser.parse_args()
    ensure_java()
    figures: dict[str, Any] = {"seed": SEED, "repeats": arguments.repeats}
    ratios: dict[str, Ratio] = {}
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as temporary:
        folder = Path(temporary)
        write_customers(folder / "small", WARM_UP)
        large = write_customers(folder / "million", arguments.rows)
        rows = {"churn": write_customers(folder / "churn"), "million": large}
        for size in TARGETS if arguments.only is None else (arguments.only,):
            found, of_size = bench_size(folder, size, arguments.repeats)
            figures[size] = {"rows": rows[size], **found}
            ratios |= of_size
    is_whole = (arguments.rows, arguments.repeats, arguments.only) == (LARGE, REPEATS, None)
    write_result("training" if is_whole else "training_tried", figures, ratios)


def bench_size(folder: Path, size: str, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """Both ways in turn, a process each; ends where they disagree about the winner."""
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, found in runs.items():
            command = [sys.executable, "-m", "benchmarks.training_run", way, str(folder / "small"), str(folder / size)]
            found.append(measured(command))
            console.print(size, way, {name: found[-1][name] for name in ("seconds", "cpu_seconds", "best")})
    ours, theirs = runs["ours"], runs["spark"]
    if any(one["best"] != other["best"] for one, other in zip(ours, theirs, strict=True)):
        raise SystemExit(f"{size}: the two ways choose otherwise: {ours[0]} {theirs[0]}")
    apart = max(abs(a - b) for a, b in zip(ours[0]["metrics"], theirs[0]["metrics"], strict=True))
    ways = {
        way: spreads([{name: run[name] for name in ("seconds", "cpu_seconds")} for run in found])
        for way, found in runs.items()
    }
    print_ways(size, ways)
    return {"ways": ways, "best": ours[0]["best"]}, {
        f"{size}_times_faster": Ratio(share_of(theirs, ours, "seconds"), TARGETS[size], "at least"),
        f"{size}_metrics_apart": Ratio(apart, CLOSE),
    }


if __name__ == "__main__":
    main()
