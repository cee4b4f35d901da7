"""`make bench-files`: files with 15 rules, quarantine, catalog and metrics beside the plainest read and append."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.files_data import EXTENSIONS, write_conf, write_orders
from benchmarks.measuring import Ratio, spread, write_result

ROOT = Path(__file__).parents[1]
SEED = 7
ROWS, SMALL = 2_000_000, 100_000
SMALL_FILES, NEW_FILES, ROWS_OF_A_SMALL_FILE = 10_000, 10, 100
GROWTH = (100_000, 1_000_000, 10_000_000)
TARGETS = {"csv": 1.5, "json": 1.5, "xml": 1.5, "parquet": 1.9}
SPARK_XML = "com.databricks:spark-xml_2.12:0.18.0"
console = Console()


def main() -> None:
    """Run all parts and write `results/files.json`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("formats", "small_files", "growth"))
    arguments = parser.parse_args()
    parts = {"formats": bench_formats, "small_files": bench_small_files, "growth": bench_growth}
    figures: dict[str, Any] = {"seed": SEED, "repeats": arguments.repeats}
    ratios: dict[str, Ratio] = {}
    for name, part in parts.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
                figures[name], found = part(Bench(Path(folder)), arguments.repeats)
                ratios |= found
    write_result("files" if arguments.only is None else f"files_{arguments.only}", figures, ratios)


class Bench:
    """A folder with the configuration, and measured processes with lakes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        properties = "".join((ROOT / part / "spark.properties").read_text() for part in ("conf/base", "conf/local"))
        packages = next(line for line in properties.splitlines() if line.startswith("spark.jars.packages"))
        write_conf(folder / "conf", properties.replace(packages, f"{packages},{SPARK_XML}"))

    def orders(self, kind: str, rows: int, **options: int) -> str:
        """A folder of files, written once."""
        path = self.folder / f"{kind}_{rows}_{options.get('rows_per_file', 0)}"
        if not path.exists():
            write_orders(path, kind, rows, SEED, **options)
        return str(path)

    def run(self, way: str, kind: str, *drops: str) -> dict[str, Any]:
        """What a process measured, run by run."""
        self.number += 1
        lake = self.folder / f"lake_{self.number}"
        command = [sys.executable, "-m", "benchmarks.files_run", way, kind, str(self.folder / "conf")]
        environment = {**os.environ, "LAKELOOP_LAKE": str(lake)}
        done = subprocess.run([*command, self.orders(kind, SMALL), *drops], cwd=ROOT, env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        console.print(way, kind, found)
        return found


def bench_formats(bench: Bench, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """2 million rows of each format, the two ways in turn, a process each."""
    figures: dict[str, Any] = {"rows": ROWS}
    ratios = {}
    for kind in EXTENSIONS:
        drop = bench.orders(kind, ROWS)
        pairs = [(bench.run("ours", kind, drop), bench.run("plain", kind, drop)) for _ in range(repeats)]
        cpu = [ours["runs"][0]["cpu_seconds"] / plain["runs"][0]["cpu_seconds"] for ours, plain in pairs]
        figures[kind] = {
            way: {name: spread([pair[place]["runs"][0][name] for pair in pairs]) for name in ("seconds", "cpu_seconds")}
            for place, way in enumerate(("ours", "plain"))
        } | {"cpu_ratio": spread(cpu)}
        ratios[f"{kind}_cpu_over_plain"] = Ratio(spread(cpu)["median"], TARGETS[kind])
    return figures, ratios


def bench_small_files(bench: Bench, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """10,000 files of 100 rows, then ten more among them."""
    many = bench.orders("csv", SMALL_FILES * ROWS_OF_A_SMALL_FILE, rows_per_file=ROWS_OF_A_SMALL_FILE)
    more = Path(bench.orders("csv", NEW_FILES * ROWS_OF_A_SMALL_FILE, rows_per_file=ROWS_OF_A_SMALL_FILE))
    first, next_, plain = [], [], []
    for turn in range(repeats):
        runs = bench.run("ours", "csv", many)["runs"]
        lake = bench.folder / f"lake_{bench.number}"
        for file in more.iterdir():
            (Path(many) / f"more_{turn}_{file.name}").write_bytes(file.read_bytes())
        again = run_again(bench, lake, many)
        first.append(runs[0]["seconds"])
        next_.append(again["runs"][0]["seconds"])
        plain.append(bench.run("plain", "csv", many)["runs"][0]["seconds"])
    figures = {"files": SMALL_FILES, "first": spread(first), "ten_more": spread(next_), "plain": spread(plain)}
    ratios = {
        "small_files_seconds_over_plain": Ratio(median_of(first, plain), 1.3),
        "ten_more_over_first": Ratio(median_of(next_, first), 0.1),
    }
    return figures, ratios


def median_of(measured: list[float], reference: list[float]) -> float:
    """The median of the ratios, pair by pair."""
    return spread([ours / theirs for ours, theirs in zip(measured, reference, strict=True)])["median"]


def run_again(bench: Bench, lake: Path, drop: str) -> dict[str, Any]:
    """Another process over the same lake and folder."""
    bench.number += 1
    lake.rename(bench.folder / f"lake_{bench.number + 1}")
    return bench.run("ours", "csv", drop)


def bench_growth(bench: Bench, _: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """CPU per row and live memory from 100,000 to 10 million rows."""
    found = {rows: bench.run("ours", "csv", bench.orders("csv", rows)) for rows in GROWTH}
    cpu = {rows: run["runs"][0]["cpu_seconds"] for rows, run in found.items()}
    least, middle, most = GROWTH
    slope = (cpu[most] - cpu[middle]) / (most - middle) / ((cpu[middle] - cpu[least]) / (middle - least))
    ratios = {
        "cpu_of_a_row_at_10_million_over_1_million": Ratio(slope, 1.1),
        "live_heap_at_10_million_over_100_000": Ratio(
            found[most]["live_heap_mib"] / found[least]["live_heap_mib"], 1.1
        ),
        "python_peak_at_10_million_over_100_000": Ratio(
            found[most]["python_peak_mib"] / found[least]["python_peak_mib"], 1.1
        ),
    }
    return {str(rows): run for rows, run in found.items()}, ratios


if __name__ == "__main__":
    main()
