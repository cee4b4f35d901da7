"""`make bench-sources`: sources that are read from where they were left, beside reading all they have."""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Ratio, write_result
from benchmarks.sources_jdbc import bench_jdbc

ROWS = 5_000_000
Part = Callable[[Path, int, int], tuple[dict[str, Any], dict[str, Ratio]]]
PARTS: dict[str, Part] = {"jdbc": bench_jdbc}


def main() -> None:
    """Run all parts and write `results/sources.json`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rows", type=int, default=ROWS, help="of each part; fewer, to try it")
    parser.add_argument("--only", choices=tuple(PARTS))
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"rows": arguments.rows, "repeats": arguments.repeats}
    ratios: dict[str, Ratio] = {}
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
                os.chmod(folder, 0o755)  # noqa: PTH101 - a server that does not run as root must get in
                figures[name], found = part(Path(folder), arguments.rows, arguments.repeats)
                ratios |= found
    name = "sources" if arguments.only is None else f"sources_{arguments.only}"
    write_result(name if arguments.rows == ROWS else f"{name}_tried", figures, ratios)


if __name__ == "__main__":
    main()
