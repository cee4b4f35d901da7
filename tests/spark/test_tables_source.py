"""Pipelines that follow tables: rows of views, changes of tables, several united by name, and what ends a run."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.changes import source_columns
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs import TablesSource
from lakeloop.ingestion.sources.probing import probe
from lakeloop.ingestion.sources.replay import ReplayReader, WithReplays
from lakeloop.ingestion.sources.tables import TablesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import read_as_text
from lakeloop.lake.increments import mark_of
from lakeloop.lake.ledger import Ledger, RunEntry
from lakeloop.lake.stream_decisions import decide
from lakeloop.lake.tables import Commit, Lake
from lakeloop.lake.version_range import FEED
from lakeloop.lake.views import View

CRM, SHOP, SINK = "silver.crm", "silver.shop", "gold.people"
RUN = RunContext("run", "test")
MERGE = {"table": SINK, "mode": "merge", "keys": ["id"]}


class KilledError(Exception):
    """Stands for a kill: no error that the pipeline knows, so it records nothing."""


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process ends before a batch is published."""

    def publish_view(self, table: str, view: View) -> None:
        raise KilledError

    @contextmanager
    def committing(self, table: str, commit: Commit) -> Iterator[None]:
        raise KilledError
        yield


@dataclass(frozen=True)
class Follower:
    """The pipeline `people`, which follows tables of a lake."""

    lake: Lake
    source: Mapping[str, Any]
    sink: Mapping[str, Any] = field(default_factory=lambda: {"table": SINK})
    further: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None

    @property
    def spec(self) -> PipelineSpec:
        declared = {"pipeline": "people", "description": "People", "source": self.source, "sink": self.sink}
        return PipelineSpec.model_validate(declared | dict(self.further))

    @property
    def reader(self) -> TablesReader:
        spec = self.spec
        assert isinstance(spec.source, TablesSource)
        keys, texts = source_columns(spec.sink.keys, spec.transforms), read_as_text(spec.transforms)
        return TablesReader(self.lake, spec.source, "people", SINK, keys, texts, self.folder)

    def run(self, lake: Lake | None = None, *, replays: bool = False) -> RunEntry:
        reader, spec = self.reader, self.spec
        source = WithReplays(reader, ReplayReader(self.lake, spec, usual=reader), is_asked=replays)
        return Pipeline(spec, source, lake or self.lake).run(RUN, lambda text: None)

    def die(self) -> None:
        with pytest.raises(KilledError):
            self.run(DyingLake(self.lake.spark, self.lake.root))

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        frame = self.lake.read(SINK)
        return told(frame.select(*(columns or frame.columns)))

    def reset(self) -> None:
        last = Ledger(self.lake.root).history("people").last
        decide(self.lake.root, RUN, "people", "reset", batch_id=last.batch_id if last else None)


def told(frame: DataFrame) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in frame.collect()), key=lambda row: tuple(str(value) for value in row))


def write(lake: Lake, table: str, rows: list[Any], schema: str = "id int, name string", *, feed: bool = False) -> None:
    lake.write(table, lake.spark.createDataFrame(rows, schema).coalesce(1), mode="append")
    if feed:
        lake.spark.sql(f"ALTER TABLE delta.`{lake.path(table)}` SET TBLPROPERTIES ('{FEED}' = 'true')")


def record(lake: Lake, batch: int, rows: list[tuple[Any, ...]], *, accepted: bool = True) -> None:
    """A batch of (verdict, id, name) of the pipeline that writes `silver.crm`."""
    schema = "_batch_id bigint, _verdict string, id int, name string"
    frame = lake.spark.createDataFrame([(batch, *row) for row in rows], schema).coalesce(1)
    lake.write("bronze.crm", frame, mode="append", partition_by=["_verdict"])
    if accepted:
        lake.publish_view(CRM, View("bronze.crm", batch))


def test_rows_of_accepted_batches_come_once_and_those_of_withdrawn_ones_never(lake: Lake) -> None:
    people = Follower(lake, {"tables": [CRM]}, further={"rules": [{"is_not_null": "name"}]})
    record(lake, 0, [("good", 1, "Ann"), ("good", 1, "Ann"), ("good", 2, None), ("quarantined", 9, "no")])

    assert people.run().counts == RowCounts(read=3, good=2, quarantined=1)
    assert people.run().outcome == "nothing_new"
    record(lake, 1, [("good", 3, "withdrawn")], accepted=False)
    assert people.run().outcome == "nothing_new"
    lake.handle("bronze.crm").delete("_batch_id = 1")
    record(lake, 2, [("good", 9, "replayed")])
    entry = people.run()

    assert (entry.counts.read, entry.message) == (1, f"{CRM} batches 1 to 2")
    assert people.rows() == [(1, "Ann"), (1, "Ann"), (9, "replayed")]
    bad = lake.read("bronze.people").where("_verdict = 'quarantined'").select("_position.*", "_original")
    assert told(bad) == [("bronze.crm", 0, '{"id":2,"name":null}')]


def test_a_run_that_is_killed_before_it_publishes_is_finished_with_the_same_rows(lake: Lake) -> None:
    people = Follower(lake, {"tables": [CRM], "max_batches": 1})
    record(lake, 0, [("good", 1, "Ann")])
    record(lake, 1, [("good", 2, "Bo")])
    people.die()
    record(lake, 2, [("good", 3, "Cy")])

    assert [people.run().message for _ in range(4)] == [
        f"{CRM} batch 0, 1 behind",
        f"{CRM} batch 1, 1 behind",
        f"{CRM} batch 2",
        "nothing new",
    ]
    assert people.rows() == [(1, "Ann"), (2, "Bo"), (3, "Cy")]


def test_a_row_in_quarantine_is_replayed_in_its_type(lake: Lake) -> None:
    strict = Follower(lake, {"tables": [CRM]}, further={"rules": [{"is_in_range": {"column": "id", "max": 1}}]})
    record(lake, 0, [("good", 1, "Ann"), ("good", 2, None)])
    assert strict.run().counts == RowCounts(read=2, good=1, quarantined=1)

    assert replace(strict, further={}).run(replays=True).counts == RowCounts(read=1, good=1)

    assert strict.rows() == [(1, "Ann"), (2, None)]
    assert strict.run().outcome == "nothing_new"


def test_several_tables_are_united_by_name(lake: Lake) -> None:
    source = {"tables": [CRM, SHOP], "lacking": ["phone"], "table_column": "came_from"}
    people = Follower(lake, source)
    record(lake, 0, [("good", 1, "Ann")])
    write(lake, SHOP, [("+41", None, 5), ("+41", None, 5)], "phone string, NAME string, id int")

    assert people.run().counts.good == 3
    write(lake, SHOP, [("+43", "Di", 6)], "phone string, NAME string, id int")
    assert people.run().message == f"{SHOP} version 1"

    assert people.rows("id", "name", "phone", "came_from") == [
        (1, "Ann", None, CRM),
        (5, None, "+41", SHOP),
        (5, None, "+41", SHOP),
        (6, "Di", "+43", SHOP),
    ]
    assert {check.what: check.said for check in probe(people.reader)} | {"freshness": ""} == {
        "reachable": f"{CRM} batch 0; {SHOP} as of version 1",
        "permitted": f"{CRM}, {SHOP} can be read",
        "schema": "3 columns: id, name, phone",
        "freshness": "",
        "volume": "4 rows",
    }


def test_types_that_differ_end_the_run_until_a_cast_says_which_it_is(lake: Lake) -> None:
    people = Follower(lake, {"tables": [CRM, SHOP]})
    record(lake, 0, [("good", 1, "Ann")])
    write(lake, SHOP, [("2", "Bo"), ("x", "Cy"), (None, "Di")], "id string, name string")

    with pytest.raises(
        SourceError, match=r"id is int in silver\.crm and string in silver\.shop; .* `- cast: \{id: int\}`"
    ):
        people.run()
    cast = replace(people, further={"transforms": [{"cast": {"id": "int"}}]})

    assert cast.run().counts == RowCounts(read=4, good=3, quarantined=1)
    assert cast.rows() == [(1, "Ann"), (2, "Bo"), (None, "Di")]
    assert dict(lake.read(SINK).dtypes) == {"id": "int", "name": "string"}


def change_rows(lake: Lake) -> None:
    """Versions 2 to 5: an update, a delete and an insert, and one that changes no row."""
    lake.handle(CRM).update("id = 1", {"name": F.lit("Anna")})
    lake.handle(CRM).delete("id = 2")
    write(lake, CRM, [(4, None)])
    lake.handle(CRM).optimize().executeCompaction()


def test_updates_deletes_and_inserts_reach_the_latest_state(lake: Lake) -> None:
    people = Follower(lake, {"tables": [CRM], "changes": True}, MERGE)
    write(lake, CRM, [(1, "Ann"), (2, "Bo"), (3, "Cy"), (None, "nobody")], feed=True)

    assert people.run().counts == RowCounts(read=4, good=3, quarantined=1)
    change_rows(lake)
    people.die()
    lake.handle(CRM).update("id = 3", {"id": F.lit(5)})
    assert people.run().counts == RowCounts(read=3, good=3)
    assert people.rows() == [(1, "Anna"), (3, "Cy"), (4, None)]
    assert people.run().counts == RowCounts(read=2, good=2)

    assert people.rows() == [(1, "Anna"), (4, None), (5, "Cy")]
    found = lake.read("bronze.people").where("_batch_id > 0")
    assert told(found.select("_position.record", "_change.operation", "_change.lsn", "id")) == [
        (1, "update", 2, 1),
        (2, "delete", 3, 2),
        (3, "insert", 4, 4),
        (4, "delete", 6, 3),
        (4, "insert", 6, 5),
    ]


def test_changes_of_several_tables_meet_in_the_order_of_their_times(lake: Lake) -> None:
    source = {"tables": [CRM, SHOP], "changes": True, "table_column": "came_from"}
    people = Follower(lake, source, MERGE | {"keys": ["id", "came_from"]})
    write(lake, CRM, [(1, "Ann")], feed=True)
    write(lake, SHOP, [(1, "Anna"), (2, None)], feed=True)
    people.run()
    lake.handle(SHOP).delete("id = 1")
    assert people.run().counts == RowCounts(read=1, good=1)
    lake.handle(CRM).update("id = 1", {"name": F.lit("Annie")})
    write(lake, SHOP, [(1, "again")])
    assert people.run().counts == RowCounts(read=2, good=2)

    assert people.rows("id", "name", "came_from") == [(1, "Annie", CRM), (1, "again", SHOP), (2, None, SHOP)]
    met = lake.read("bronze.people").where("_batch_id = 2").select("_position.record", "_change.operation", "name")
    assert told(met) == [(3, "update", "Annie"), (4, "insert", "again")]


def test_every_version_of_a_row_reaches_a_history_and_a_reset_adds_none(lake: Lake) -> None:
    people = Follower(lake, {"tables": [CRM], "changes": True}, MERGE | {"history": "scd2"})
    write(lake, CRM, [(1, "Ann"), (2, "Bo"), (3, None)], feed=True)
    people.run()
    change_rows(lake)
    people.run()
    columns = ("id", "name", "is_current")
    versions = [(1, "Ann", False), (1, "Anna", True), (2, "Bo", False), (3, None, True), (4, None, True)]

    assert people.rows(*columns) == versions
    made = {entry["version"]: entry["timestamp"] for entry in DeltaTable(lake.path(CRM)).history()}
    interval = lake.read(SINK).where("name = 'Ann'").select(F.unix_millis("effective_time"), F.unix_millis("end_time"))
    assert told(interval) == [(made[1], made[2])]
    people.reset()
    assert people.run().counts == RowCounts(read=4, good=4)  # the three rows there are, behind one truncate
    assert people.rows(*columns) == versions
    assert people.run().outcome == "nothing_new"


def test_a_table_made_anew_ends_the_run_and_a_reset_takes_its_rows_for_those_of_the_old_one(lake: Lake) -> None:
    people = Follower(lake, {"tables": [CRM], "changes": True}, MERGE)
    write(lake, CRM, [(1, "Ann"), (2, "Bo")], feed=True)
    people.run()
    shutil.rmtree(Path(lake.path(CRM)))
    write(lake, CRM, [(2, "Bo"), (2, "Bob"), (3, None)], feed=True)

    with pytest.raises(SourceError, match=r"silver\.crm was dropped and made anew since it was read"):
        people.run()
    people.reset()

    assert people.run().counts == RowCounts(read=4, good=2, quarantined=2)
    assert people.rows() == [(3, None)]  # which of the two rows of 2 holds, nobody knows
    reasons = lake.read("bronze.people").where("_verdict = 'quarantined'").select(F.col("_reasons.rule")[0])
    assert told(reasons) == [("key_repeated",), ("key_repeated",)]


def test_a_table_that_changes_needs_its_feed_and_one_that_only_grows_is_not_followed_by_changes(lake: Lake) -> None:
    write(lake, CRM, [(1, "Ann")])
    changes = Follower(lake, {"tables": [CRM], "changes": True}, MERGE)

    with pytest.raises(SourceError, match=r"silver\.crm keeps no record of how its rows change; .*`change_feed: true`"):
        changes.run()
    write(lake, "bronze.crm", [(0, "good", 1)], "_batch_id bigint, _verdict string, id int")
    lake.publish_view("silver.view", View("bronze.crm", 0))
    with pytest.raises(SourceError, match=r"silver\.view only grows"):
        replace(changes, source={"tables": ["silver.view"], "changes": True}).run()
    rows = Follower(lake, {"tables": [CRM]})
    rows.run()
    lake.handle(CRM).delete("id = 1")
    with pytest.raises(SourceError, match=r"does not only grow: version 1 \(DELETE\)"):
        rows.run()


def test_versions_that_went_before_they_were_read_end_the_run(lake: Lake) -> None:
    people = Follower(lake, {"tables": [CRM], "changes": True}, MERGE)
    write(lake, CRM, [(1, "Ann"), (2, "Bo")], feed=True)
    people.run()
    change_rows(lake)
    DeltaTable(lake.path(CRM)).create_checkpoint()
    old = {file: file.read_bytes() for file in sorted(Path(lake.path(CRM), "_delta_log").glob("*.json"))[:3]}
    for file in old:
        file.unlink()
    with pytest.raises(SourceError, match=r"version 2 is gone from its log before it was read; the oldest there is 3"):
        people.run()
    for file, content in old.items():
        file.write_bytes(content)
    for file in Path(lake.path(CRM), "_change_data").glob("*.parquet"):
        file.unlink()

    with pytest.raises(SourceError, match=r"silver\.crm: files that were to be read are gone"):
        people.run()

    assert Ledger(lake.root).history("people").outcome is None
    assert people.rows() == [(1, "Ann"), (2, "Bo")]


def test_a_sink_keeps_its_changes_where_that_is_declared_and_they_follow_without_a_gap(lake: Lake) -> None:
    upstream = Follower(lake, {"tables": ["silver.raw"]}, {**MERGE, "change_feed": True})
    write(lake, "silver.raw", [(1, "Ann"), (2, None), (2, None)])
    upstream.run()

    mark = mark_of(lake, SINK)

    assert mark["feed"] is True
    assert (mark["at"], upstream.rows()) == (1, [(1, "Ann")])  # version 1 switched it on


def test_delta_tables_of_a_folder_are_followed_too(lake: Lake, tmp_path: Path) -> None:
    elsewhere = Lake(lake.spark, str(tmp_path / "elsewhere"))
    write(elsewhere, CRM, [(1, "Ann"), (1, "Ann"), (None, None)])
    people = Follower(lake, {"folder": "other", "tables": ["silver/crm"]}, folder=elsewhere.root)

    assert people.run().counts.good == 3
    write(elsewhere, CRM, [(2, "Bo")])
    assert people.run().counts.good == 1
    assert Counter(people.rows()) == Counter({(1, "Ann"): 2, (None, None): 1, (2, "Bo"): 1})
