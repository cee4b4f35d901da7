"""`make bench-quality`: 21 checks with reasons and quarantine beside hand-written Spark and six rival engines."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Ratio, write_result
from benchmarks.quality_bench import SEED, Bench, Found
from benchmarks.quality_planted import bench_planted
from benchmarks.quality_ways import bench_growth, bench_rules, bench_thousand, bench_ways
from lakeloop.core.java import ensure_java

ROWS, REPEATS = 1_000_000, 3
PARTS: dict[str, Callable[[Bench], Found]] = {
    "ways": bench_ways,
    "rules": bench_rules,
    "growth": bench_growth,
    "thousand": bench_thousand,
    "planted": bench_planted,
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
