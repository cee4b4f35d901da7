"""Tables that the pipeline wrote with Spark, read and trimmed without it, and gone on with by Spark afterwards."""

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.retention import due, remove
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ledger import RunEntry
from lakeloop.lake.open_tables import open_table, table_names
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.select import Reach, select
from lakeloop.lake.tables import Lake
from lakeloop.serving.data.pages import Place, count_rows, read_page

HISTORY = {"table": "silver.orders", "mode": "merge", "keys": ["id"], "sequence_by": "at", "history": "scd2"}
LONG_AFTER = now() + dt.timedelta(days=1000)


def spec_of(sink: dict[str, Any], **more: Any) -> PipelineSpec:
    source = {"files": "drop", "formats": {"csv": {}}, "fields": ["id", "at", "amount", "paid"], "settle": "0s"}
    casts = {"at": "timestamp", "amount": "int", "paid": "decimal(10,2)"}
    rules = [{"is_not_null": "id"}, {"is_in_range": {"column": "amount", "min": 0}}]
    return PipelineSpec.model_validate(
        {"pipeline": "orders", "description": "Orders", "source": source, "transforms": [{"cast": casts}]}
        | {"rules": rules, "sink": sink}
        | more
    )


def run(lake: Lake, folder: Path, spec: PipelineSpec, name: str, *lines: str) -> RunEntry:
    (folder / "drop").mkdir(exist_ok=True)
    (folder / "drop" / name).write_text("\n".join(["id,at,amount,paid", *lines, ""]))
    assert isinstance(spec.source, FilesSource)
    source = FilesReader(lake.spark, str(folder / "drop"), spec.source, FileCatalog(lake.root, spec.pipeline, None))
    return Pipeline(spec, source, lake).run(RunContext("run", "test"), lambda text: None)


def without_spark(root: str, sql: str) -> list[tuple[Any, ...]]:
    found = select(root, sql, Reach({name: {} for name in table_names(root)}))
    return [row for batch in found.batches() for row in zip(*map(column_values, batch.columns), strict=True)]


@pytest.mark.slow
def test_a_view_and_its_record_are_read_and_trimmed_without_spark(
    spark: SparkSession, lake: Lake, tmp_path: Path
) -> None:
    spec = spec_of({"table": "silver.orders"}, keep={"days": 730})
    lines = ["a,2026-01-01,1,1.50", "a,2026-01-01,1,1.50", "b,2026-01-02,-2,", "c,2026-01-03,,2.25"]
    assert run(lake, tmp_path, spec, "1.csv", *lines).counts == RowCounts(read=4, good=3, quarantined=1)
    by_select = without_spark(lake.root, "SELECT id, at, amount, paid FROM silver.orders")
    assert Counter(by_select) == Counter(
        (row["id"], row["at"].replace(tzinfo=dt.UTC), row["amount"], row["paid"])
        for row in lake.read("silver.orders").collect()
    )
    assert Counter((row[0], row[2]) for row in by_select) == Counter({("a", 1): 2, ("c", None): 1})
    opened = open_table(lake.root, "silver.orders")
    assert opened.view is not None
    page = read_page(opened, ["id", "paid"], None, Place(opened.version, opened.view.accepted, ""), 10, {}, None)
    assert Counter(tuple(row.values()) for row in page.rows) == Counter({("a", "1.50"): 2, ("c", "2.25"): 1})
    assert count_rows(opened) == 3

    rows = [what for what in due(lake.root, spec, LONG_AFTER) if what.kind == "rows"]
    assert [(what.table, what.found, remove(lake.root, spec, what)) for what in rows] == [("bronze.orders", 3, 3)]
    assert lake.read("silver.orders").count() == 0
    assert [row["_verdict"] for row in lake.read("bronze.orders").collect()] == ["quarantined"]
    # Spark goes on from the commits of delta-rs: its history is read for the next batch's identity.
    assert run(lake, tmp_path, spec, "2.csv", "d,2026-02-01,4,1.00").counts == RowCounts(read=1, good=1)
    assert [row["id"] for row in lake.read("silver.orders").collect()] == ["d"]
    assert without_spark(lake.root, "SELECT id FROM silver.orders") == [("d",)]


@pytest.mark.slow
def test_a_history_is_read_and_its_closed_versions_go(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    spec = spec_of(HISTORY, keep={"days": 30})
    run(lake, tmp_path, spec, "1.csv", "a,2026-01-01,1,1.00", "b,2026-01-01,1,")
    run(lake, tmp_path, spec, "2.csv", "a,2026-01-05,2,1.00")
    run(lake, tmp_path, spec, "3.csv", "a,2026-01-09,3,1.00")
    sql = "SELECT id, amount, is_current FROM silver.orders"
    assert Counter(without_spark(lake.root, sql)) == Counter(
        [("a", 1, False), ("a", 2, False), ("a", 3, True), ("b", 1, True)]
    )
    at = dt.datetime(2026, 2, 6, tzinfo=dt.UTC)  # 30 days before: between the ends of the two closed versions
    (closed,) = [what for what in due(lake.root, spec, at) if (what.table, what.kind) == ("silver.orders", "rows")]
    assert (closed.found, remove(lake.root, spec, closed)) == (1, 1)
    assert Counter(
        tuple(row) for row in lake.read("silver.orders").select("id", "amount", "is_current").collect()
    ) == Counter([("a", 2, False), ("a", 3, True), ("b", 1, True)])
    run(lake, tmp_path, spec, "4.csv", "a,2026-01-12,4,1.00")
    assert Counter(without_spark(lake.root, sql)) == Counter(
        [("a", 2, False), ("a", 3, False), ("a", 4, True), ("b", 1, True)]
    )

    root = Path(lake.root, "silver/orders")
    DeltaTable(root).alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 0 seconds"})
    files = next(what for what in due(lake.root, spec, at) if (what.table, what.kind) == ("silver.orders", "files"))
    before = len(list(root.glob("*.parquet")))
    assert remove(lake.root, spec, files) == files.found > 0
    assert len(list(root.glob("*.parquet"))) == before - files.found
    assert lake.read("silver.orders").count() == 4
