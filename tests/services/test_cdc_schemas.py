"""What becomes of changes when their table changes: the cases of docs/schemas.md on a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from demo.postgres import EmbeddedPostgres
from lakeloop.core.errors import SchemaChangedError
from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.tables import Lake
from tests.services.followed_table import Connection, connecting, declared, published, run, serving, table


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with serving() as server:
        yield server


@pytest.fixture
def crm(postgres: EmbeddedPostgres) -> Iterator[Connection]:
    with connecting(postgres) as connection:
        yield connection


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, str(tmp_path / "lake"))


def evolving(mode: str | None = None, **changes: Any) -> PipelineSpec:
    rules = ({"evolution": mode} if mode else {}) | changes
    return declared(source={"schema": rules})


@pytest.mark.parametrize(
    ("mode", "counts", "row"),
    [
        ("evolve", RowCounts(read=2, good=2), {"id": 2, "v": "b", "extra": 7}),
        ("freeze", RowCounts(read=2, good=1, quarantined=1), None),
        ("rescue", RowCounts(read=2, good=2), {"id": 2, "v": "b"}),
    ],
)
def test_a_new_column_does_what_is_declared(
    lake: Lake, postgres: EmbeddedPostgres, crm: Connection, mode: str, counts: RowCounts, row: dict[str, Any] | None
) -> None:
    published(crm)
    crm.execute("INSERT INTO t VALUES (1, 'a'), (9, 'x')")
    run(lake, postgres, evolving(mode))
    crm.execute("ALTER TABLE t ADD extra int")
    crm.execute("INSERT INTO t VALUES (2, 'b', 7)")
    crm.execute("DELETE FROM t WHERE id = 9")  # goes through in every mode
    entry = run(lake, postgres, evolving(mode))
    assert entry.counts == counts
    assert "the table has changed: added extra" in entry.message
    found = {each["id"]: each.asDict() for each in lake.read("silver.t").collect()}
    assert found.get(2) == row
    assert 9 not in found
    rescued = lake.read("bronze.t").where("id = 2").first()
    assert rescued is not None
    assert rescued["_rescued"] == (None if mode == "evolve" else '{"extra":"7"}')
    assert rescued["_schema_version"] == (2 if mode == "evolve" else 1)


def test_fail_stops_before_anything_is_planned(lake: Lake, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm)
    run(lake, postgres, evolving("fail"))
    crm.execute("ALTER TABLE t ADD extra int")
    crm.execute("INSERT INTO t VALUES (2, 'b', 7)")
    with pytest.raises(SchemaChangedError, match=r"crm\.public\.t has a column 'extra' that the schema does not know"):
        run(lake, postgres, evolving("fail"))
    assert Ledger(lake.root).history("t").batches == 1
    assert not list(Path(lake.root).glob("_landing/t/*"))
    assert run(lake, postgres, evolving("evolve")).counts == RowCounts(read=1, good=1)


def test_a_dropped_column_quarantines_or_is_null_as_declared(
    lake: Lake, postgres: EmbeddedPostgres, crm: Connection
) -> None:
    published(crm, "id int PRIMARY KEY, v text, w text")
    crm.execute("INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y')")
    run(lake, postgres, declared())
    crm.execute("ALTER TABLE t DROP w")
    crm.execute("UPDATE t SET v = 'a2' WHERE id = 1")
    assert run(lake, postgres, declared()).counts == RowCounts(read=1, quarantined=1)
    assert table(lake) == [(2, "b", "y")]
    reasons = lake.read("bronze.t").where("_verdict = 'quarantined'").selectExpr("inline(_reasons)").collect()
    assert [tuple(reason) for reason in reasons] == [("field_missing", "the file has no column w")]
    crm.execute("UPDATE t SET v = 'a3' WHERE id = 1")
    assert run(lake, postgres, evolving("evolve")).counts == RowCounts(read=1, good=1)
    assert table(lake) == [(1, "a3", None), (2, "b", "y")]


def test_a_renamed_column_flows_once_it_is_declared(lake: Lake, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm)
    crm.execute("INSERT INTO t VALUES (1, 'a')")
    run(lake, postgres, declared())
    crm.execute("ALTER TABLE t RENAME v TO vv")
    crm.execute("UPDATE t SET vv = 'b'")
    assert run(lake, postgres, declared()).counts == RowCounts(read=1, quarantined=1)
    said = lake.read("bronze.t").where("_verdict = 'quarantined'").selectExpr("inline(_reasons)").collect()
    assert any("declare renames: {v: vv}" in row["message"] for row in said)
    crm.execute("UPDATE t SET vv = 'c'")
    run(lake, postgres, evolving(renames={"v": "vv"}))
    assert table(lake) == [(1, "c")]


def test_types_order_and_case_do_not_cost_what_fits(lake: Lake, postgres: EmbeddedPostgres, crm: Connection) -> None:
    published(crm, "id int PRIMARY KEY, n int, big bigint, v text")
    crm.execute("INSERT INTO t VALUES (1, 1, 1, 'a')")
    run(lake, postgres, declared())
    crm.execute('ALTER TABLE t ALTER n TYPE bigint, ALTER big TYPE int; ALTER TABLE t RENAME v TO "V"')
    crm.execute("INSERT INTO t VALUES (2, 2, 2, 'b'), (3, 3000000000, 3, 'c')")
    crm.execute("ALTER TABLE t ALTER n TYPE jsonb USING to_jsonb(n)")
    crm.execute("INSERT INTO t VALUES (4, '[4]', 4, 'd'), (5, '5', 5, 'e')")
    crm.execute("ALTER TABLE t ADD n2 jsonb; UPDATE t SET n2 = n; ALTER TABLE t DROP n; ALTER TABLE t RENAME n2 TO n")
    crm.execute("INSERT INTO t VALUES (6, 6, 'f', '6')")  # the order has changed
    entry = run(lake, postgres, evolving("evolve"))
    assert entry.counts.quarantined == 4  # 3 and 4, and both once more as they were rewritten
    assert table(lake, "id", "n", "big", "v") == [
        (1, 1, 1, "a"), (2, 2, 2, "b"), (5, 5, 5, "e"), (6, 6, 6, "f"),
    ]  # fmt: skip
    reasons = lake.read("bronze.t").where("_verdict = 'quarantined'").selectExpr("inline(_reasons)").collect()
    assert {row["rule"] for row in reasons} == {"n_is_castable"}
