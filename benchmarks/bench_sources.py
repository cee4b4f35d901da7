"""`make bench-sources`: Kafka, tables and changes of PostgreSQL beside what an engineer would write by hand."""

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Ratio, write_result
from benchmarks.sources_cdc import bench_cdc
from benchmarks.sources_jdbc import bench_jdbc
from benchmarks.sources_kafka import bench_kafka
from benchmarks.sources_latency import bench_latency

SEED = 7


@dataclass(frozen=True)
class Part:
    """A function of folder, rows and repeats, and how many of both it takes unless it is told."""

    measure: Callable[[Path, int, int], tuple[dict[str, Any], dict[str, Ratio]]]
    rows: int
    repeats: int


PARTS = {
    "kafka": Part(bench_kafka, 2_000_000, 3),
    "latency": Part(bench_latency, 60_000, 2),
    "jdbc": Part(bench_jdbc, 5_000_000, 1),
    "cdc": Part(bench_cdc, 200_000, 3),
}


def main() -> None:
    """Run all parts and write `results/sources.json`; with fewer rows or repeats, `results/sources_tried.json`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", choices=tuple(PARTS))
    parser.add_argument("--rows", type=int, help="of each part, where fewer are to be tried")
    parser.add_argument("--repeats", type=int, help="of each part")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"seed": SEED}
    ratios: dict[str, Ratio] = {}
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            rows, repeats = arguments.rows or part.rows, arguments.repeats or part.repeats
            with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
                os.chmod(folder, 0o755)  # noqa: PTH101 - a server that does not run as root must get in
                found, against = part.measure(Path(folder), rows, repeats)
            figures[name] = {"rows": rows, "repeats": repeats, **found}
            ratios |= against
    name = "sources" if arguments.only is None else f"sources_{arguments.only}"
    is_whole = arguments.rows is None and arguments.repeats is None
    write_result(name if is_whole else f"{name}_tried", figures, ratios)


if __name__ == "__main__":
    main()
