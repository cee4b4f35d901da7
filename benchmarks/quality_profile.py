"""Where the CPU of a judgement goes: `python -m benchmarks.quality_profile`; each step beside what it adds to another.

The steps run in turn in one warm session, so that what else the machine does meets all of them alike. A step writes
nothing unless it says so: Spark's `noop` sink takes every column of every row.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from benchmarks import quality_handwritten, quality_run
from benchmarks.cpu_time import cpu_seconds
from benchmarks.quality_data import write_customers, write_order_lines
from benchmarks.quality_process import Tables, progress, scans
from benchmarks.quality_rivals import settings
from benchmarks.quality_run import KEYED_RULES, MEASURED_RULES, ROW_RULES, Declared, known
from lakeloop.core.session import build_session
from lakeloop.quality import judge_rules
from lakeloop.quality.judgement import VERDICT

Step = Callable[[SparkSession, Tables], object]
ROWS, REPEATS, WARM_UPS, SEED = 1_000_000, 3, 2, 7


def steps() -> dict[str, tuple[str, Step]]:
    """Name of each step → the step that it is compared with, and what it does."""
    unique, references = KEYED_RULES[:2], KEYED_RULES[2:]
    return {
        "read": ("", lambda spark, tables: _nowhere(tables.read(spark))),
        "read and write": ("read", quality_handwritten.floor),
        "row rules: the verdict": ("read", _judged(ROW_RULES, keep=(VERDICT,))),
        "row rules: verdict, bits and reasons": ("row rules: the verdict", _judged(ROW_RULES)),
        **{
            f"row rules: {kind} alone": ("read", _judged([rule for rule in ROW_RULES if kind in rule]))
            for kind in dict.fromkeys(next(iter(rule)) for rule in ROW_RULES)
        },
        "unique keys alone": ("read", _judged(unique)),
        "references alone": ("read", _judged(references)),
        "measured rules alone": ("read", _judged(MEASURED_RULES)),
        "row rules, written by verdict": ("read and write", _judged(ROW_RULES, write=True)),
        "all rules": ("read", _judged([*ROW_RULES, *KEYED_RULES, *MEASURED_RULES])),
        "all rules, written by verdict": ("read and write", quality_run.rows),
        "all rules, aggregates": ("read", quality_run.aggregates),
        "by hand: rows, joins": ("read and write", quality_handwritten.rows_by_join),
        "by hand: aggregates": ("read", quality_handwritten.aggregates),
    }


def main() -> None:
    """Measure the steps and print a table of CPU seconds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--steps", nargs="*", help="parts of names; those that they are compared with are added")
    arguments = parser.parse_args()
    chosen = _chosen(arguments.steps)
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as temporary:
        folder = Path(temporary)
        write_order_lines(folder / "lines", arguments.rows, SEED)
        write_customers(folder / "customers")
        tables = Tables(str(folder / "lines"), str(folder / "customers"), str(folder / "out"))
        log = folder / "spark.log"
        spark = build_session(settings(), "quality-profile", log_file=log)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
        for turn in range(-WARM_UPS, arguments.repeats):
            for name, (_, step) in chosen.items():
                measured = _measure(spark, tables, step, arguments.rows)
                if turn >= 0:
                    found[name].append(measured)
        _print(chosen, found)
        spark.stop()


def _chosen(parts: list[str] | None) -> dict[str, tuple[str, Step]]:
    every = steps()
    if not parts:
        return every
    wanted = {name for name in every if any(part in name for part in parts)}
    wanted |= {every[name][0] for name in wanted} | {"read"}
    return {name: step for name, step in every.items() if name in wanted}


def _measure(spark: SparkSession, tables: Tables, step: Step, rows: int) -> dict[str, float]:
    jobs, known_stages = progress(spark)
    cpu = cpu_seconds()
    step(spark, tables)
    cpu = cpu_seconds() - cpu
    jobs_after, stages = progress(spark)
    return {"cpu_seconds": cpu, "jobs": jobs_after - jobs, "scans": scans(known_stages, stages, rows)}


def _judged(declared: list[Declared], keep: tuple[str, ...] = (), write: bool = False) -> Step:
    def step(spark: SparkSession, tables: Tables) -> None:
        rules, _ = known(declared)
        frame = judge_rules(tables.read(spark), rules, read_table=lambda _: tables.referred(spark))
        if write:
            frame.write.mode("overwrite").partitionBy(VERDICT).parquet(tables.out)
        else:
            _nowhere(frame.select(*keep, *(F.col(name) for name in tables.read(spark).columns)) if keep else frame)

    return step


def _nowhere(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


def _print(chosen: dict[str, tuple[str, Step]], found: dict[str, list[dict[str, float]]]) -> None:
    cpu = {name: statistics.median(run["cpu_seconds"] for run in runs) for name, runs in found.items()}
    table = Table("step", "CPU s", "adds", "to", "jobs", "scans", title="where the CPU goes")
    for name, runs in found.items():
        beside = chosen[name][0]
        added = f"{cpu[name] - cpu[beside]:+.2f}" if beside else ""
        table.add_row(name, f"{cpu[name]:.2f}", added, beside, f"{runs[-1]['jobs']:.0f}", f"{runs[-1]['scans']:.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
