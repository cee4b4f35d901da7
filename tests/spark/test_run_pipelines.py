"""`run` over several pipelines: side by side, again after a failure, and not while one is paused."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.tables import Lake

FILES = """
pipeline: {name}
description: Readings, one row per reading
source: {{files: {name}, formats: {{csv: {{}}}}, fields: [id, amount], settle: 0s}}
retry: {{times: 2, wait: 1s}}
transforms:
  - cast: {{amount: int}}
sink: {{table: silver.{name}, mode: merge, keys: [id]}}
"""
SUM = """
pipeline: total
description: Amounts, one row per source
source:
  inputs: {a: silver.left, b: silver.right}
  query: SELECT 'left' AS side, sum(amount) AS amount FROM a UNION ALL SELECT 'right', sum(amount) FROM b
sink: {table: gold.total, mode: overwrite}
"""
LEFT = "id,amount\na,1\nb,2\nb,2\n,5\nc,x\n"  # a duplicate, a NULL key and an amount that is none
RIGHT = "id,amount\na,10\nb,\n"


@pytest.fixture
def project(spark: SparkSession, tmp_path: Path) -> Project:
    base = tmp_path / "conf/base"
    (base / "pipelines").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()
    (base / "platform.yml").write_text(f"lake: {tmp_path}/lake\nparallel_pipelines: 3\n")
    folders = "".join(f"{name}: {{files: {{path: {tmp_path}/{name}}}}}\n" for name in ("left", "right"))
    (base / "connections.yml").write_text(folders)
    for name in ("left", "right"):
        (base / f"pipelines/{name}.yml").write_text(FILES.format(name=name))
    (base / "pipelines/total.yml").write_text(SUM)
    (tmp_path / "left").mkdir()
    (tmp_path / "left/1.csv").write_text(LEFT)
    return Project(tmp_path / "conf")


def totals(spark: SparkSession, project: Project) -> dict[str, int | None]:
    return {row["side"]: row["amount"] for row in Lake(spark, project.lake_root).read("gold.total").collect()}


def test_pipelines_run_side_by_side_and_again_after_a_failure(
    spark: SparkSession, project: Project, tmp_path: Path
) -> None:
    said: list[str] = []

    def progress(text: str) -> None:
        said.append(text)
        if text.startswith("right: failed, try 1 of 2 follows in 1 s: "):
            (tmp_path / "right").mkdir()
            (tmp_path / "right/1.csv").write_text(RIGHT)

    summary = verbs.run(project, [], RunContext("run", "local"), progress)
    assert summary.failures == {}
    counts = {entry.name: (entry.counts.read, entry.counts.good, entry.counts.quarantined) for entry in summary.entries}
    assert counts == {"left": (5, 1, 4), "right": (2, 2, 0), "total": (2, 2, 0)}
    assert totals(spark, project) == {"left": 1, "right": 10}
    assert len([text for text in said if text.startswith("right: failed")]) == 1
    outcomes = [row["outcome"] for row in Ledger(project.lake_root).runs(99) if row["name"] == "right"]
    assert outcomes == ["failed", "succeeded"]


def test_a_failure_stops_no_other_and_a_mistake_is_not_tried_again(project: Project, tmp_path: Path) -> None:
    (tmp_path / "right").mkdir()
    (tmp_path / "right/1.csv").write_text(RIGHT)
    path = project.folder / "base/pipelines/left.yml"
    path.write_text(path.read_text() + "rules:\n  - is_not_null: {column: id, severity: fail}\n")
    said: list[str] = []
    summary = verbs.run(project, [], RunContext("run", "local"), said.append)
    assert "left_" not in str(summary.failures["left"])
    assert "id_is_not_null" in str(summary.failures["left"])
    assert [entry.name for entry in summary.entries] == ["right"]
    assert set(summary.failures) == {"left", "total"}  # nobody has written what total reads
    assert not any("left: failed, try" in text for text in said)


def test_a_paused_pipeline_is_left_out_until_it_is_resumed(
    spark: SparkSession, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "right").mkdir()
    (tmp_path / "right/1.csv").write_text(RIGHT)
    run = RunContext("stream", "local", user="keeper")
    verbs.pause_stream(project, "right", "moved", run)
    paused = verbs.run(project, ["left", "right"], RunContext("run", "local"))
    ended = {entry.name: (entry.outcome, entry.message) for entry in paused.entries}
    assert ended["left"][0] == "succeeded"
    assert ended["right"][0] == "paused"
    assert ended["right"][1].startswith("paused by keeper at ")
    assert ended["right"][1].endswith(": moved; lakeloop stream resume right")
    verbs.resume_stream(project, "right", "", run)
    verbs.run(project, [], RunContext("run", "local"))
    assert totals(spark, project) == {"left": 1, "right": 10}
    verbs.reset_stream(project, "right", "", run)
    again = verbs.run(project, ["right"], RunContext("run", "local"))
    assert [(entry.batch_id, entry.counts.read) for entry in again.entries] == [(1, 2)]
    assert Lake(spark, project.lake_root).read("silver.right").count() == 2
    assert Lake(spark, project.lake_root).read("bronze.right").count() == 4


def test_a_watcher_looks_ahead_at_the_tables_that_it_wrote(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at, look_ahead = list[str](), Lake.look_ahead
    monkeypatch.setattr(Lake, "look_ahead", lambda lake, table: looked_at.append(table) or look_ahead(lake, table))
    assert verbs.run(project, ["left"], RunContext("run", "local")).failures == {}
    assert looked_at == []
    (tmp_path / "left/2.csv").write_text("id,amount\nd,4\nd,4\n,\n")
    for _ in range(2):  # there is nothing to look at after the second pass, which brings nothing
        assert verbs.run(project, ["left"], RunContext("watch", "local", is_polling=True)).failures == {}
    assert looked_at == ["bronze.left", "silver.left"]
