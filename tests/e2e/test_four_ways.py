"""The same pipeline in the four places that it runs in: in process, spark-submit, a cluster, and out of the wheel."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession

from jobs import run_pipeline
from lakeloop.core.java import ensure_java
from lakeloop.lake.tables import Lake
from tools.cluster import StandaloneCluster

ROOT = Path(__file__).parents[2]
SUBMIT = Path(pyspark.__file__).parent / "bin/spark-submit"
LIMIT_SECONDS = 240
PIPELINE = """
pipeline: orders
description: Orders, one row per order
source: {files: drop, formats: {csv: {}, xml: {row_tag: order}}, fields: [id, at, amount]}
transforms: [{cast: {at: timestamp, amount: "decimal(10,2)"}}, {dedupe: {keys: [id], latest_by: at}}]
rules: [{is_in_range: {column: amount, min: 0}}]
sink: {table: silver.orders, mode: merge, keys: [id], sequence_by: at}
"""
CSV = """id,at,amount
a,2026-01-01,1.50
a,2026-01-02,2.50
b,2026-01-01,-1
c,soon,1
d,2026-01-01
e,2026-01-01 10:00,7
"""
XML = "<orders><order><id>x</id><at>2026-01-01T10:00:00Z</at><amount>3</amount></order></orders>"
COUNTS = {"read": 7, "good": 3, "quarantined": 3, "dropped": 1}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A project of one pipeline over files, with its lake beside it; Spark as the repository declares it."""
    base = tmp_path / "conf/base"
    (base / "pipelines").mkdir(parents=True)
    (base / "pipelines/orders.yml").write_text(PIPELINE)
    (base / "connections.yml").write_text(f"drop: {{files: {{path: '{tmp_path}/drop'}}}}\n")
    (base / "platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    shutil.copy(ROOT / "conf/base/spark.properties", base)
    shutil.copytree(ROOT / "conf/local", tmp_path / "conf/local")
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop/orders.csv").write_text(CSV)
    (tmp_path / "drop/orders.xml").write_text(XML)
    return tmp_path / "conf"


def check(spark: SparkSession, conf: Path, printed: str) -> None:
    """What the job said and what stands in Delta; the same wherever it ran."""
    # spark-submit sends a program's standard error to standard output too, so log lines stand there as well.
    (entry,) = [json.loads(line) for line in printed.splitlines() if line.startswith("{") and '"outcome"' in line]
    assert (entry["outcome"], entry["counts"]) == ("succeeded", COUNTS)
    lake = Lake(spark, str(conf.parent / "lake"))
    silver = lake.read("silver.orders").selectExpr("id", "string(at)", "string(amount)").collect()
    assert sorted(tuple(row) for row in silver) == [
        ("a", "2026-01-02 00:00:00", "2.50"),
        ("e", "2026-01-01 10:00:00", "7.00"),
        ("x", "2026-01-01 10:00:00", "3.00"),
    ]
    bad = lake.read("bronze.orders").where("_verdict != 'good'").selectExpr("_position.record", "_reasons.rule")
    assert sorted((row["record"], row["rule"]) for row in bad.collect()) == [
        (2, ["dedupe"]),
        (4, ["amount_is_in_range"]),
        (5, ["at_is_castable"]),
        (6, ["malformed"]),
    ]


def run(command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout


@pytest.fixture
def environment() -> dict[str, str]:
    """As in a terminal: a Java, this Python for the workers, and nothing of the session that the tests have open."""
    ensure_java()
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_", "SPARK_"))}
    return mine | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}


def test_in_process(spark: SparkSession, conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_pipeline.main(["orders", "--conf-dir", str(conf)])
    check(spark, conf, capsys.readouterr().out)


def test_spark_submit(spark: SparkSession, conf: Path, environment: dict[str, str]) -> None:
    submit = [SUBMIT, "--master", "local[2]", "--properties-file", "conf/base/spark.properties"]
    job = [ROOT / "jobs/run_pipeline.py", "orders", "--conf-dir", conf]
    python_path = {"PYTHONPATH": str(ROOT / "lib")}
    check(spark, conf, run([*submit, *job], environment | python_path, ROOT))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what is packaged, so that no build folder is left in the repository."""
    source = tmp_path_factory.mktemp("source")
    for name in ("lib", "jobs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", source / "dist"]
    run(build, os.environ, source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def program(place: Path) -> str:
    """A job that insists on the library under `place`: here an editable install stands by to fill in."""
    return (
        "import lakeloop, sys\n"
        f"assert {place.name!r} in lakeloop.__file__, lakeloop.__file__\n"
        "from lakeloop.jobs.run_pipeline import main\n"
        "main(sys.argv[1:])\n"
    )


@pytest.mark.slow
def test_spark_submit_to_a_cluster_with_the_wheel_as_zip(spark: SparkSession, conf: Path, wheel: Path) -> None:
    archive = wheel.with_suffix(".zip")
    shutil.copy(wheel, archive)
    job = conf.parent / "run_orders.py"
    job.write_text(program(archive))
    with StandaloneCluster() as cluster:
        command = cluster.submit_command("--py-files", str(archive), str(job), "orders", "--conf-dir", str(conf))
        assert command[command.index("--master") + 1].startswith("spark://127.0.0.1:")
        check(spark, conf, run(command, cluster.environment, conf.parent))


def test_the_installed_wheel(spark: SparkSession, conf: Path, wheel: Path, environment: dict[str, str]) -> None:
    target = conf.parent / "site"
    run([sys.executable, "-m", "zipfile", "-e", wheel, target], environment, conf.parent)
    (entry_points,) = target.glob("lakeloop-*.dist-info/entry_points.txt")
    assert "lakeloop-run-pipeline = lakeloop.jobs.run_pipeline:main" in entry_points.read_text()
    command = [sys.executable, "-c", program(target), "orders", "--conf-dir", conf]
    check(spark, conf, run(command, environment | {"PYTHONPATH": str(target)}, conf.parent))
