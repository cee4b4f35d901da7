"""`keep` of pipelines: what goes, what stays, and that twice is once; on tables in the shapes that Spark writes."""

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.audit import audit_entries
from lakeloop.lake.ledger import Ledger, Plan
from lakeloop.lake.quarantine import row_id
from lakeloop.lake.quarantine_decisions import append_decisions, decisions
from lakeloop.verbs.retention import Retained
from tests.small_lake import NEW, OLD, OWN, TIME, add_visits, append, write_lake

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
RUN = RunContext("retain", "test", run_id="r9", started_at=NOW, user="keeper")
VERSION = [
    ("person_id", pa.string()), ("effective_time", TIME), ("end_time", TIME), ("is_current", pa.bool_())
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_lake(tmp_path)


def keep(project: Project, pipeline: str, said: str) -> None:
    with (project.folder / f"base/pipelines/{pipeline}.yml").open("a") as file:
        file.write(f"keep: {said}\n")


def retain(project: Project, *, dry_run: bool = False) -> Retained:
    retained = verbs.retain(project, [], RUN, dry_run=dry_run)
    assert retained.failures == {}
    return retained


def found(retained: Retained, kind: str = "rows") -> dict[str, list[int]]:
    counts: dict[str, list[int]] = {}
    for what in retained.found:
        if what.kind == kind:
            counts.setdefault(what.table, []).append(what.found)
    return counts


def table(project: Project, name: str) -> DeltaTable:
    return DeltaTable(f"{project.lake_root}/{name.replace('.', '/')}")


def stored(project: Project, name: str, *columns: str) -> Counter[tuple[Any, ...]]:
    rows = table(project, name).to_pyarrow_table().select(list(columns)).to_pylist()
    return Counter(tuple(row.values()) for row in rows)


def test_without_keep_nothing_is_looked_at(project: Project) -> None:
    assert retain(project) == Retained((), (), {})
    assert table(project, "bronze.people").version() == 0


def test_rows_go_by_the_age_of_their_record_and_quarantined_ones_stay(project: Project) -> None:
    keep(project, "people", "{days: 730}")
    before = (stored(project, "silver.people", "person_id"), stored(project, "bronze.people", "person_id", "_verdict"))
    dry = retain(project, dry_run=True)
    assert found(dry) == {"silver.people": [1], "bronze.people": [1]}
    assert (
        stored(project, "silver.people", "person_id"),
        stored(project, "bronze.people", "person_id", "_verdict"),
    ) == before
    assert audit_entries(project.lake_root) == []
    assert found(retain(project)) == found(dry)
    assert stored(project, "silver.people", "person_id") == Counter([("b",), ("c",), ("d",)])
    assert stored(project, "bronze.people", "person_id", "_verdict") == Counter(
        [("b", "good"), ("c", "good"), ("d", "good"), ("a", "quarantined")]
    )
    assert [(e["reader"], e["action"], e["tables"], e["rows"]) for e in audit_entries(project.lake_root)] == [
        ("keeper", "retain", ["silver.people"], 1),
        ("keeper", "retain", ["bronze.people"], 1),
    ]
    versions = [table(project, name).version() for name in ("silver.people", "bronze.people")]
    assert found(retain(project)) == {"silver.people": [0], "bronze.people": [0]}
    assert [table(project, name).version() for name in ("silver.people", "bronze.people")] == versions
    assert len(audit_entries(project.lake_root)) == 2


def test_a_key_with_a_young_record_stays_whatever_else_is_known_of_it(project: Project) -> None:
    """`a` came in again lately; `z` never came through the record and has no age, so it goes."""
    add = [(7, "r2", NEW, "good", None, None, None, "a", None, None, 31, NEW)]
    schema = [(field.name, field.type) for field in pa.schema(table(project, "bronze.people").schema().to_arrow())]
    append(project.lake_root, "bronze.people", schema, add)
    people = [(field.name, field.type) for field in pa.schema(table(project, "silver.people").schema().to_arrow())]
    append(project.lake_root, "silver.people", people, [("z", None, None, 1, NEW)])
    keep(project, "people", "{days: 730}")
    assert found(retain(project)) == {"silver.people": [1], "bronze.people": [1]}
    assert stored(project, "silver.people", "person_id") == Counter([("a",), ("b",), ("c",), ("d",)])


def test_rows_go_by_a_declared_column(project: Project) -> None:
    keep(project, "people", "{days: 730, by: at}")
    assert found(retain(project)) == {"silver.people": [1], "bronze.people": [1]}
    assert stored(project, "silver.people", "person_id") == Counter([("b",), ("c",), ("d",)])


@pytest.mark.parametrize(("by", "said"), [("city", "whose type is string"), ("born", "which silver.people lacks")])
def test_a_column_that_tells_no_age_is_an_error_and_removes_nothing(project: Project, by: str, said: str) -> None:
    keep(project, "people", f"{{days: 730, by: {by}}}")
    retained = verbs.retain(project, [], RUN, dry_run=False)
    assert isinstance(retained.failures["people"], ConfigError)
    assert said in str(retained.failures["people"])
    assert table(project, "bronze.people").version() == table(project, "silver.people").version() == 0


def test_quarantined_rows_go_only_where_it_is_said(project: Project) -> None:
    keep(project, "people", "{quarantined_days: 730}")
    assert found(retain(project)) == {"bronze.people": [1]}
    assert stored(project, "bronze.people", "_verdict") == Counter({("good",): 4})
    assert sum(stored(project, "silver.people", "person_id").values()) == 4


def test_a_view_follows_its_record(project: Project) -> None:
    add_visits(project.lake_root, 1, [("old", "/", 1.0)], at=OLD)
    keep(project, "visits", "{days: 730}")
    count = "SELECT count(*) AS n FROM silver.visits"
    asked = verbs.query(project, verbs.Query(count), RUN)
    assert [batch.column(0).to_pylist() for batch in asked.batches()] == [[5]]
    assert found(retain(project)) == {"bronze.visits": [1]}
    asked = verbs.query(project, verbs.Query(count), RUN)
    assert [batch.column(0).to_pylist() for batch in asked.batches()] == [[4]]
    assert stored(project, "bronze.visits", "_verdict")["quarantined",] == 4


def test_a_batch_that_is_not_finished_is_not_touched(project: Project) -> None:
    ledger = Ledger(project.lake_root)
    ledger.plan("people", Plan({}, ""), RUN, ledger.history("people"))
    keep(project, "people", "{days: 730, quarantined_days: 730}")
    assert found(retain(project))["bronze.people"] == [0, 0]


@pytest.mark.parametrize("by", ["", ", by: effective_time"])
def test_of_a_history_only_closed_versions_go(project: Project, by: str) -> None:
    """Counted from their end, one is old; counted from their beginning, both are, but the current one of `b` stays."""
    later = OLD + dt.timedelta(days=30)
    append(project.lake_root, "silver.versions", VERSION, [
        ("a", OLD, later, False), ("a", later, NEW, False), ("a", NEW, None, True), ("b", OLD, None, True),
    ])  # fmt: skip
    append(
        project.lake_root,
        "bronze.versions",
        [("_batch_id", pa.int64()), ("_ingested_at", TIME), ("_verdict", pa.string())],
        [(0, OLD, "good")],
    )
    (project.folder / "base/pipelines/versions.yml").write_text(
        "pipeline: versions\ndescription: V\nsource: {files: drop, formats: {csv: {}}, fields: [person_id, at]}\n"
        "sink: {table: silver.versions, mode: merge, keys: [person_id], sequence_by: at, history: scd2}\n"
        f"keep: {{days: 730{by}}}\n"
    )
    gone, stay = (2, []) if by else (1, [("a", later)])
    assert found(retain(project)) == {"silver.versions": [gone], "bronze.versions": [1]}
    assert stored(project, "silver.versions", "person_id", "effective_time") == Counter([*stay, ("a", NEW), ("b", OLD)])


def test_files_go_when_neither_age_nor_version_keeps_them(project: Project) -> None:
    people = table(project, "silver.people")
    for age in (1, 2, 3):
        people.update({"age": str(age)})
    keep(project, "people", "{versions: 2}")
    assert found(retain(project), "files") == {"silver.people": [0], "bronze.people": [0]}  # seven days by default
    people.alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 0 seconds"})
    dry = retain(project, dry_run=True)
    assert found(dry, "files")["silver.people"] == [3]  # versions 3 and 4 share the only file that stays
    assert dry.warnings == (
        "silver.people: files go after 0 days; below 7 days a reader or run under way may lose its files",
    )
    retain(project)
    again = retain(project)
    assert found(again, "files")["silver.people"] == [0]
    assert stored(project, "silver.people", "age") == Counter({(3,): 4})
    assert found(again) == {}
    assert [entry["rows"] for entry in audit_entries(project.lake_root)] == [3]
    assert len(list(Path(project.lake_root, "silver/people").glob("*.parquet"))) == 1


def test_files_of_the_latest_versions_stay_readable(project: Project) -> None:
    people = table(project, "silver.people")
    people.alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 0 seconds"})
    for age in (1, 2, 3):
        people.update({"age": str(age)})
    keep(project, "people", "{versions: 2}")
    assert found(retain(project), "files")["silver.people"] == [2]
    older = DeltaTable(f"{project.lake_root}/silver/people", version=3).to_pyarrow_table()
    assert older["age"].to_pylist() == [2] * 4


def test_quarantined_rows_that_are_closed_go_by_the_normal_age_and_open_ones_stay(project: Project) -> None:
    place = pa.struct([("origin", pa.string()), ("record", pa.int64())])
    own = [*OWN, ("_position", place)]
    rows = [
        (0, "r", at, verdict, None, text, None, {"origin": "/v.csv", "record": 2})
        for at, verdict, text in (
            (OLD, "quarantined", "closed and old"),
            (OLD, "quarantined", "closed and old"),  # alike, so one decision stands for both
            (OLD, "quarantined", "open and old"),
            (NEW, "quarantined", "closed and new"),
            (OLD, "good", None),
        )
    ]
    Path(f"{project.lake_root}/bronze/visits").rename(f"{project.lake_root}/bronze/before")
    append(project.lake_root, "bronze.visits", own, rows, partition_by=["_verdict"])
    keep(project, "visits", "{days: 730}")
    assert found(retain(project, dry_run=True)) == {"bronze.visits": [1]}
    decided = [rows[0], rows[3], (7, *rows[2][1:])]  # the last is of another batch
    ids = [row_id(row[0], "/v.csv", 2, row[5]) for row in decided]
    named = {"row_id": ids, "batch_id": [0, 0, 7], "origin": ["/v.csv"] * 3, "record": [2] * 3, "rows": [2, 1, 1]}
    closed = decisions(pa.RecordBatch.from_pydict(named), "visits", "discarded", RUN, "of no use")
    append_decisions(project.lake_root, [closed])
    assert found(retain(project, dry_run=True)) == {"bronze.visits": [1, 2]}
    assert found(retain(project)) == {"bronze.visits": [1, 2]}
    assert stored(project, "bronze.visits", "_original") == Counter([("open and old",), ("closed and new",)])
    assert found(retain(project)) == {"bronze.visits": [0, 0]}
