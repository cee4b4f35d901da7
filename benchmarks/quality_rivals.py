"""Environments of rivals, made by uv from pins, and ways of checking that run in one of them or in this one."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakeloop.core.session import load_properties

ROOT = Path(__file__).parents[1]
PINS = Path(__file__).parent / "rivals"
SECONDS = 1_800
OURS = "lakeloop"
RIVALS = ("dqx", "pydeequ", "cuallee", "great_expectations", "soda", "spark_expectations")
LEFT_OUT = ("spark.jars.packages", "spark.sql.extensions", "spark.sql.catalog.spark_catalog", "spark.master")


@dataclass(frozen=True)
class Way:
    """A function of tables in the environment of `rival`; `argument` is a number of rules, `slow` takes minutes."""

    name: str
    function: str
    rival: str = OURS
    argument: int | None = None
    slow: bool = False


FLOOR = Way("floor: read and write", "quality_handwritten:floor")
BY_HAND_AGGREGATES = Way("by hand, aggregates", "quality_handwritten:aggregates")
BY_HAND = Way("by hand, rows, joins", "quality_handwritten:rows_by_join")
OUR_ROWS = Way("Lakeloop, rows", "quality_run:rows")
OUR_AGGREGATES = Way("Lakeloop, aggregates", "quality_run:aggregates")
WAYS = (
    FLOOR,
    BY_HAND_AGGREGATES,
    BY_HAND,
    Way("by hand, rows, windows", "quality_handwritten:rows_by_window"),
    OUR_ROWS,
    OUR_AGGREGATES,
    Way("DQX, annotate", "rivals.dqx:annotate", "dqx"),
    Way("DQX, split", "rivals.dqx:split", "dqx"),
    Way("PyDeequ", "rivals.pydeequ:aggregates", "pydeequ"),
    Way("cuallee", "rivals.cuallee:aggregates", "cuallee"),
    Way("Great Expectations", "rivals.great_expectations:aggregates", "great_expectations"),
    Way("Soda", "rivals.soda:aggregates", "soda", slow=True),
    Way("spark-expectations", "rivals.spark_expectations:rows", "spark_expectations", slow=True),
)


class Failed(Exception):  # noqa: N818 - what is told is that a rival failed
    """A rival that could not be installed or run; the text is the reason."""


def python_of(rival: str) -> str:
    """The interpreter of the rival's environment, made on first use, and made anew when its pins changed.

    Raises:
        Failed: Its packages could not be installed; with uv's words.
    """
    if rival == OURS:
        return sys.executable
    folder, pins = ROOT / f".venv-bench-{rival}", PINS / f"{rival}.txt"
    made = folder / "pins.txt"
    if not made.exists() or made.read_text() != pins.read_text():
        uv = str(Path(sys.executable).with_name("uv"))
        python = str(folder / "bin/python")
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [uv, "pip", "sync", "--quiet", "--python", python, str(pins)],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Failed(done.stderr.strip()[-400:])
        made.write_text(pins.read_text())
    return str(folder / "bin/python")


def ask(rival: str, module: str, *arguments: str, seconds: int = SECONDS) -> dict[str, Any]:
    """The last line that a module prints in the rival's environment, as JSON.

    Raises:
        Failed: It ended with an error, whose last line is told, or took longer than `seconds`.
    """
    environment = {**os.environ, "SPARK_SETTINGS": json.dumps(settings()), "PYTHONPATH": f"{ROOT}:{ROOT / 'lib'}"}
    environment["PYSPARK_PYTHON"] = python = python_of(rival)
    command = [python, "-m", f"benchmarks.{module}", *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"took longer than {seconds} s") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise Failed(" ".join(said[-3:]).replace(f"{ROOT}/", "")[-600:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(way: Way, small: Path, lines: Path, customers: Path, out: Path) -> dict[str, Any]:
    """Seconds, CPU seconds, Spark jobs and scans of one way over all rows; raises Failed as `ask` does."""
    argument = "" if way.argument is None else str(way.argument)
    paths: Sequence[str] = [str(path) for path in (small, lines, customers, out)]
    return ask(way.rival, "quality_process", f"benchmarks.{way.function}", argument, *paths)


def settings() -> Mapping[str, str]:
    """The project's own Spark on two cores, without the jars that no way here needs."""
    properties = load_properties([ROOT / "conf/base/spark.properties", ROOT / "conf/local/spark.properties"])
    kept = {name: value for name, value in properties.items() if name not in LEFT_OUT}
    return kept | {"spark.master": "local[2]"}
