"""APIs over HTTP through whole pipelines: exactly once, nested and changing answers, partitions on executors."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from demo.usage_api import UsageApi
from lakeloop.core.connections import RestConnection
from lakeloop.core.errors import RuleFailedError, SchemaChangedError, SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.backfill import Asked as Range
from lakeloop.ingestion.sources.backfill import Backfill
from lakeloop.ingestion.sources.replay import Edits, ReplayReader, Replays, WithReplays
from lakeloop.ingestion.sources.rest import RestReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import read_as_text
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.lake.quarantine import Chosen
from lakeloop.lake.schema_versions import SchemaVersions
from lakeloop.lake.tables import Lake
from tests.loopback_api import Asked, LoopbackApi, Reply

TOKEN = "letmein-token"
Records = list[dict[str, object]]


def readings(*numbers: int) -> Records:
    return [{"id": f"U{n}", "kwh": n / 2, "measured_at": f"2026-01-01T00:00:{n:02d}Z"} for n in numbers]


@dataclass(frozen=True)
class Meters:
    """The pipeline `usage` over an API, with its lake."""

    spark: SparkSession
    folder: Path
    source: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, Any] = field(default_factory=dict)
    connection: dict[str, Any] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, str(self.folder / "lake"))

    @property
    def spec(self) -> PipelineSpec:
        usual = {
            "rest": "api", "path": "/usage", "records": "data", "fields": ["id", "kwh", "measured_at"],
            "paginate": {"pages": {"size": 3}}, "incremental": {"cursor": "measured_at", "param": "since"},
        }  # fmt: skip
        source = {key: value for key, value in (usual | self.source).items() if value is not None}
        whole = {"pipeline": "usage", "description": "Usage", "source": source, "sink": {"table": "silver.usage"}}
        return PipelineSpec.model_validate(whole | self.declared)

    def reader(self, api: UsageApi | LoopbackApi) -> RestReader:
        spec = self.spec
        assert isinstance(spec.source, RestSource)
        settings = {"base_url": api.url, "auth": {"bearer": "${secret:t}"}, "retries": 2, "backoff_seconds": 0}
        service = Service("api", RestConnection.model_validate(settings | self.connection), TOKEN)
        versions = SchemaVersions(self.lake.root, "usage")
        landing = str(self.folder / "landing")
        texts, at_once = read_as_text(spec.transforms), spec.sink.mode == "overwrite"
        return RestReader(self.spark, service, spec.source, landing, versions, texts, at_once)

    def run(self, api: UsageApi | LoopbackApi, lake: Lake | None = None, source: WithReplays | None = None) -> RunEntry:
        source = source or WithReplays(self.reader(api), ReplayReader(self.lake, self.spec))
        return Pipeline(self.spec, source, lake or self.lake).run(RunContext("run", "test"), lambda text: None)

    def replay(self, api: UsageApi | LoopbackApi, asked: Replays | None = None) -> RunEntry:
        replays = ReplayReader(self.lake, self.spec, asked or Replays())
        source = WithReplays(self.reader(api), replays, is_asked=True)
        return Pipeline(self.spec, source, self.lake).run(RunContext("replay", "test"), lambda text: None)

    def rows(self, *columns: str, table: str = "silver.usage") -> list[tuple[Any, ...]]:
        rows = self.lake.read(table).selectExpr(*(columns or ("id",))).collect()
        return sorted((tuple(row) for row in rows), key=str)

    def ids(self) -> Counter[str]:
        return Counter(row[0] for row in self.rows())

    def reasons(self) -> Counter[tuple[str, str]]:
        rows = self.lake.read("bronze.usage").selectExpr("_verdict", "explode(_reasons.message)").collect()
        return Counter((row[0], row[1]) for row in rows)


def of(*pages: Sequence[Any], status: int = 200) -> Callable[[Asked], Reply]:
    """Pages by their number from 1, and empty ones behind them."""

    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("page", "1"))
        data = pages[number - 1] if number <= len(pages) else []
        return Reply(status, json.dumps({"data": data}).encode())

    return answer


def test_busy_answers_are_retried_and_only_what_is_new_is_read(spark: SparkSession, tmp_path: Path) -> None:
    meters = Meters(spark, tmp_path)
    with UsageApi(readings(*range(13)), TOKEN) as api:
        assert meters.run(api).counts == RowCounts(read=13, good=13)
        assert {503} <= set(api.requests)
        assert meters.run(api).outcome == "nothing_new"
    with UsageApi(readings(*range(15)), TOKEN, faults=False) as api:
        entry = meters.run(api)
        assert (entry.counts, entry.message) == (RowCounts(read=2, good=2), "2 records since 2026-01-01T00:00:12Z")
    assert meters.ids() == Counter(f"U{n}" for n in range(15))
    positions = meters.lake.read("bronze.usage").where("id = 'U4'").select("_position.*").collect()
    assert [(row["origin"].split("/", 3)[3], row["record"]) for row in positions] == [("usage?page=2", 2)]
    assert not list((tmp_path / "landing").iterdir())


def test_a_429_is_waited_for_as_long_as_it_asks(spark: SparkSession, tmp_path: Path) -> None:
    with UsageApi(readings(*range(25)), TOKEN) as api:  # its tenth answer is a 429 with a Retry-After of a second
        planned = Meters(spark, tmp_path).reader(api).plan(None, lambda text: None)
    assert planned is not None
    assert planned.failure is None
    assert planned.summary == "25 records"
    assert {429, 503} <= set(api.requests)


def test_what_landed_before_a_lasting_failure_is_kept_and_the_next_run_resumes_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    meters = Meters(spark, tmp_path)
    with (
        UsageApi(readings(*range(10)), TOKEN, faults=False, fail_from_page=3) as api,
        pytest.raises(SourceError, match=r"page 3: status 503 after 2 retries.*goes on from page 3"),
    ):
        meters.run(api)
    assert meters.ids() == Counter(f"U{n}" for n in range(6))
    with (
        UsageApi(readings(*range(10)), TOKEN, faults=False, fail_from_page=3) as api,
        pytest.raises(SourceError, match="page 3: status 503"),
    ):
        meters.run(api)
    with UsageApi(readings(*range(10)), TOKEN, faults=False) as api:
        assert meters.run(api).counts == RowCounts(read=4, good=4)
        assert api.requests == [200, 200]
        assert meters.run(api).outcome == "nothing_new"
    assert meters.ids() == Counter(f"U{n}" for n in range(10))


def test_a_resumed_read_that_finds_no_further_page_starts_anew_from_the_cursor(
    spark: SparkSession, tmp_path: Path
) -> None:
    meters = Meters(spark, tmp_path)

    def plan(api: UsageApi, last: Plan | None) -> Plan | None:
        return meters.reader(api).plan(last, lambda text: None)

    with UsageApi(readings(*range(6)), TOKEN, faults=False, fail_from_page=3) as api:
        stopped = plan(api, None)
    assert stopped is not None
    assert stopped.failure is not None
    with UsageApi(readings(*range(6)), TOKEN, faults=False) as api:
        assert plan(api, stopped) is None
    with UsageApi(readings(*range(8)), TOKEN, faults=False) as api:
        following = plan(api, stopped)
    assert following is not None
    assert following.summary.startswith("2 records")


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process ends right before or after bronze is committed."""

    before: bool = False

    def write(self, table: str, frame: DataFrame, **options: Any) -> None:
        if not self.before:
            super().write(table, frame, **options)
        raise KeyboardInterrupt


@pytest.mark.parametrize("before", [True, False])
def test_a_killed_run_is_finished_from_what_was_landed(spark: SparkSession, tmp_path: Path, before: bool) -> None:
    meters = Meters(spark, tmp_path)
    with UsageApi(readings(*range(4)), TOKEN, faults=False) as api, pytest.raises(KeyboardInterrupt):
        meters.run(api, DyingLake(spark, meters.lake.root, before))
    with UsageApi(readings(*range(9)), TOKEN, faults=False) as api:
        assert meters.run(api).counts == RowCounts(read=4, good=4)
        assert api.requests == []
        assert meters.run(api).counts == RowCounts(read=5, good=5)
    assert meters.ids() == Counter(f"U{n}" for n in range(9))


@pytest.mark.parametrize(
    ("changes", "connection", "said"),
    [
        ({}, {"auth": "none"}, r"api: http://127.0.0.1:\d+/usage page 1: the credentials were refused \(status 401\)"),
        ({"path": "/nowhere"}, {}, r"/nowhere page 1: status 404, expected 200; check the path"),
        ({"records": "page"}, {}, r"'page' is not a list of objects but a number"),
        ({"paginate": {"pages": {"size": 1001}}}, {}, r"status 400, expected 200"),
    ],
)  # fmt: skip
def test_an_api_that_cannot_be_read_leaves_nothing_behind(
    spark: SparkSession, tmp_path: Path, changes: dict[str, Any], connection: dict[str, Any], said: str
) -> None:
    with UsageApi(readings(1), TOKEN, faults=False) as api, pytest.raises(SourceError, match=said) as refused:
        Meters(spark, tmp_path, changes, connection=connection).run(api)
    assert len(api.requests) == 1
    assert TOKEN not in str(refused.value)
    assert not (tmp_path / "landing").exists()


def test_a_table_is_replaced_by_all_pages_or_by_none(spark: SparkSession, tmp_path: Path) -> None:
    whole = {"sink": {"table": "silver.usage", "mode": "overwrite"}}
    meters = Meters(spark, tmp_path, {"incremental": None}, whole)
    with UsageApi(readings(*range(5)), TOKEN, faults=False) as api:
        meters.run(api)
    with UsageApi(readings(*range(9)), TOKEN, faults=False, fail_from_page=2) as api:
        with pytest.raises(SourceError, match=r"page 2: status 503 after 2 retries$"):
            meters.run(api)
        few = {"incremental": None, "paginate": {"pages": {"size": 3}, "max_pages": 1}}
        with pytest.raises(SourceError, match="has more pages than max_pages"):
            Meters(spark, tmp_path, few, whole).run(api)
    assert meters.ids() == Counter(f"U{n}" for n in range(5))
    with UsageApi(readings(9), TOKEN, faults=False) as api:
        meters.run(api)
    assert meters.ids() == Counter(["U9"])


NESTED: Records = [
    {"id": 1, "address": {"city": "Ulm", "zip": "89073"}, "tags": ["a", "b"], "n": 1.25},
    {"id": 1, "address": {"city": None}, "tags": [], "n": 12345678901234567890},
    {"id": None, "n": 2},
]


def test_nested_records_become_columns_and_nothing_is_lost(spark: SparkSession, tmp_path: Path) -> None:
    fields = {"id": {"path": "id", "type": "int"}, "city": "address.city", "tags": "tags", "n": "n"}
    meters = Meters(spark, tmp_path, {"fields": fields, "incremental": None})
    with LoopbackApi(of(NESTED)) as api:
        entry = meters.run(api)
    assert entry.counts == RowCounts(read=3, good=3)
    assert meters.rows("id", "city", "tags", "n") == [
        (1, "Ulm", '["a","b"]', "1.25"), (1, None, "[]", "12345678901234567890"), (None, None, None, "2")
    ]  # fmt: skip
    assert meters.rows("id", "_rescued", table="bronze.usage")[0] == (1, '{"address.zip": "89073"}')
    assert "has a column 'address.zip' that the schema does not know; the values are kept in _rescued" in entry.message


def test_arrays_explode_by_declaration(spark: SparkSession, tmp_path: Path) -> None:
    fields = {"id": "id", "tag": "tags"}
    meters = Meters(spark, tmp_path, {"fields": fields, "incremental": None, "explode": "tags"})
    with LoopbackApi(of(NESTED)) as api:
        assert meters.run(api).counts == RowCounts(read=4, good=4)
    assert meters.rows("id", "tag") == [("1", "[]"), ("1", "a"), ("1", "b"), (None, None)]


def test_values_of_every_kind_land_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    odd = {"id": "ü \u2028 \n \ufffd", "kwh": [1, {"a": None}], "measured_at": "2026-01-01T00:00:00Z"}
    broken = {"id": "\ud800", "kwh": None, "measured_at": "2026-01-01T00:00:01Z"}
    meters = Meters(spark, tmp_path)
    with UsageApi([odd, broken], TOKEN, faults=False) as api:
        assert meters.run(api).counts == RowCounts(read=2, good=1, quarantined=1)
    assert meters.rows("id", "kwh") == [(odd["id"], '[1,{"a":null}]')]
    assert set(meters.reasons()) == {("quarantined", "the text holds half a surrogate pair, which is no character")}


CONTRACT = {"fields": None, "incremental": None}
FIRST: Records = [{"id": 1, "kwh": 1.5, "name": "a"}, {"id": 2, "kwh": None, "name": "b"}]


def test_a_contract_is_inferred_recorded_and_its_changes_are_said(spark: SparkSession, tmp_path: Path) -> None:
    meters = Meters(spark, tmp_path, CONTRACT)
    with LoopbackApi(of(FIRST)) as api:
        assert meters.run(api).message == "2 records"
    changed = [{"id": 3, "kwh": "much", "note": "x"}]
    with LoopbackApi(of(changed)) as api:
        entry = meters.run(api)
    assert entry.counts == RowCounts(read=1, quarantined=1)
    assert entry.message.startswith("1 records; api /usage has a column 'note' that the schema does not know; ")
    assert "api /usage has no column 'name'; it is NULL there" in entry.message
    with LoopbackApi(of(changed)) as api:
        assert meters.run(api).message == "1 records"  # a change is said once
    versions = SchemaVersions(meters.lake.root, "usage")
    assert [(each.version, each.columns) for each in versions.all()] == [
        (1, (("id", "bigint"), ("kwh", "double"), ("name", "string")))
    ]
    found = {(row["change"], row["column"]) for row in versions.changes()}
    assert found == {("added", "note"), ("dropped", "name"), ("widened", "kwh"), ("retyped", "kwh")}
    assert meters.reasons() == {("quarantined", "kwh: found much, expected a double"): 2}


def test_a_new_key_becomes_a_column_where_that_is_declared(spark: SparkSession, tmp_path: Path) -> None:
    meters = Meters(spark, tmp_path, CONTRACT | {"schema": {"evolution": "evolve"}})
    with LoopbackApi(of(FIRST)) as api:
        meters.run(api)
    with LoopbackApi(of([{"id": 3, "note": "x"}])) as api:
        assert meters.run(api).counts == RowCounts(read=1, good=1)
    assert meters.rows("id", "kwh", "name", "note")[-1] == (3, None, None, "x")
    assert meters.rows("max(_schema_version)", table="bronze.usage") == [(2,)]


def test_a_key_that_vanishes_quarantines_or_stops_where_that_is_declared(spark: SparkSession, tmp_path: Path) -> None:
    frozen = Meters(spark, tmp_path, CONTRACT | {"schema": {"evolution": "freeze"}})
    with LoopbackApi(of(FIRST)) as api:
        frozen.run(api)
    with LoopbackApi(of([{"id": 3, "kwh": 1.0}])) as api:
        assert frozen.run(api).counts == RowCounts(read=1, quarantined=1)
        assert ("quarantined", "the answer has no column name") in frozen.reasons()
        strict = Meters(spark, tmp_path, CONTRACT | {"schema": {"evolution": "fail"}})
        with pytest.raises(SchemaChangedError, match=r"api /usage has no column 'name'; the run stops\. Nothing was"):
            strict.run(api)
    with (
        LoopbackApi(of([{"id": 4, "kwh": "x", "name": "c"}])) as api,
        pytest.raises((SchemaChangedError, RuleFailedError)),
    ):
        strict.run(api)
    assert len(frozen.rows()) == 2


def test_a_changed_type_of_a_declared_name_is_said_and_kept(spark: SparkSession, tmp_path: Path) -> None:
    meters = Meters(spark, tmp_path, {"fields": ["id", "kwh"], "incremental": None})
    with LoopbackApi(of([{"id": 1, "kwh": 1}])) as api:
        meters.run(api)
    with LoopbackApi(of([{"id": 2, "kwh": {"value": 1}}])) as api:
        entry = meters.run(api)
    assert entry.message == "1 records; api /usage has 'kwh' as object, which was number so far"
    assert meters.rows("id", "kwh") == [("1", "1"), ("2", '{"value":1}')]


def test_quarantined_records_are_replayed_as_they_are_declared_today(spark: SparkSession, tmp_path: Path) -> None:
    source = {"fields": {"id": "id", "city": "address.city"}, "incremental": None}
    meters = Meters(spark, tmp_path, source, {"rules": [{"is_not_null": "city"}]})
    records = [{"id": 1, "address": {"city": None, "town": "Ulm"}}, {"id": 2, "address": {"city": "Bonn"}}]
    with LoopbackApi(of(records)) as api:
        assert meters.run(api).counts == RowCounts(read=2, good=1, quarantined=1)
        source = {"fields": {"id": "id", "city": "address.town"}, "incremental": None}
        mended = Meters(spark, tmp_path, source, {"rules": [{"is_not_null": "city"}]})
        assert mended.replay(api).counts == RowCounts(read=1, good=1)
    assert mended.rows("id", "city") == [("1", "Ulm"), ("2", "Bonn")]


def test_quarantined_records_are_corrected(spark: SparkSession, tmp_path: Path) -> None:
    source = {"fields": {"id": "id", "city": "address.city"}, "incremental": None}
    meters = Meters(spark, tmp_path, source, {"rules": [{"is_not_null": "city"}]})
    records = [{"id": 1, "address": {"city": None}}, {"id": 2, "address": {"city": "Bonn"}}, "torn"]
    with LoopbackApi(of(records)) as api:
        assert meters.run(api).counts == RowCounts(read=3, good=1, quarantined=2)
        fix = Replays(Chosen(rule="city_is_not_null"), "by the map", fix=Edits({"city": "Ulm"}))
        assert meters.replay(api, fix).counts == RowCounts(read=1, good=1)
        whole = Edits({"_original": '{"id": 3, "address": {"city": "Köln"}}'})
        assert meters.replay(api, Replays(Chosen(), "by phone", fix=whole)).counts == RowCounts(read=1, good=1)
        assert meters.replay(api, fix).outcome == "nothing_new"
    assert meters.rows("id", "city") == [("1", "Ulm"), ("2", "Bonn"), ("3", "Köln")]


class Regions:
    """Each region has its own pages; some are down."""

    def __init__(self, **records: Records) -> None:
        self.records, self.down = records, set[str]()

    def __call__(self, asked: Asked) -> Reply:
        region, page = asked.query["region"], int(asked.query["page"])
        if region in self.down and page > 1:
            return Reply(503)
        since = asked.query.get("since", "")
        data = [each for each in self.records[region] if str(each["measured_at"]) > since]
        return Reply(body=json.dumps({"data": data[3 * page - 3 : 3 * page]}).encode())


@pytest.mark.slow
def test_partitions_come_side_by_side_and_one_that_fails_leaves_the_others(spark: SparkSession, tmp_path: Path) -> None:
    regions = Regions(north=readings(*range(7)), south=readings(*range(20, 25)), west=[])
    meters = Meters(spark, tmp_path, {"partitions": {"param": "region", "values": ["north", "south", "west"]}})
    regions.down = {"south"}
    with LoopbackApi(regions) as api:
        with pytest.raises(SourceError, match=r"region=south page 2: status 503 after 2 .*1 of 3 partitions stopped"):
            meters.run(api)
        assert meters.ids() == Counter(f"U{n}" for n in [*range(7), 20, 21, 22])
        regions.down = set()
        asked = len(api.requests)
        assert meters.run(api).counts == RowCounts(read=2, good=2)
        assert {each.query["region"] for each in api.requests[asked:]} == {"south"}
        regions.records["west"] = readings(40)
        entry = meters.run(api)
        assert (entry.counts.read, entry.message) == (1, "1 records of 3 partitions")
        assert meters.run(api).outcome == "nothing_new"
        assert {asked.headers["Authorization"] for asked in api.requests} == {f"Bearer {TOKEN}"}
    assert meters.ids() == Counter(f"U{n}" for n in [*range(7), *range(20, 25), 40])
    origins = {row[0].partition("?")[2] for row in meters.rows("_position.origin", table="bronze.usage")}
    assert {"region=north&page=3", "region=south&page=2", "region=west&page=1"} <= origins
    assert not list((tmp_path / "landing").iterdir())


@pytest.mark.slow
def test_ranges_of_days_are_read_once_each(spark: SparkSession, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        day = asked.query["from"]
        return Reply(body=json.dumps({"data": [{"id": day, "upto": asked.query["until"]}]}).encode())

    ranges = {"param_from": "from", "param_to": "until", "from": "2026-01-01", "step": "1d", "ranges_per_batch": 3}
    declared = {"partitions": ranges, "fields": ["id", "upto"], "incremental": None, "paginate": None}
    meters = Meters(spark, tmp_path, declared)
    with LoopbackApi(answer) as api:
        meters.run(api)
        meters.run(api)
    days = [f"2026-01-{day:02d}" for day in range(1, 8)]
    assert meters.rows("id", "upto") == list(pairwise(days))
    assert len(api.requests) == 6


def test_a_part_is_asked_for_again_by_its_cursor_a_few_pages_a_batch(spark: SparkSession, tmp_path: Path) -> None:
    merged = {"table": "silver.usage", "mode": "merge", "keys": ["id"], "sequence_by": "measured_at"}
    paged = {"paginate": {"pages": {"size": 2}, "max_pages": 2}}
    meters = Meters(spark, tmp_path, paged, {"sink": merged})
    said = {record["id"]: record for record in readings(*range(1, 10))}

    def answer(asked: Asked) -> Reply:
        since, number = asked.query.get("since", ""), int(asked.query["page"])
        found = [record for record in said.values() if str(record["measured_at"]) >= since]
        return Reply(200, json.dumps({"data": found[2 * number - 2 : 2 * number]}).encode())

    with LoopbackApi(answer) as api:
        while meters.run(api).outcome == "succeeded":
            pass
        for number in range(3, 9):
            said[f"U{number}"] |= {"kwh": -1.0}
        said |= {record["id"]: record for record in readings(10)}  # not read yet, so not read again
        asked = Range("2026-01-01T00:00:04Z", "2026-01-01T00:00:08Z")
        ledger = Ledger(meters.lake.root)
        source = WithReplays(
            usual := meters.reader(api),
            ReplayReader(meters.lake, meters.spec),
            backfill=Backfill(usual, ledger, "usage", asked, ""),
        )
        entries = []
        while (entry := meters.run(api, source=source)).outcome == "succeeded":
            entries.append(entry)
        assert [entry.counts.read for entry in entries] == [4]
        assert entries[0].message.endswith("batch 1: 4 records, more follows")
        mended = {f"U{number}": "-1.0" for number in range(4, 8)}
        assert dict(meters.rows("id", "kwh")) == {f"U{n}": str(n / 2) for n in range(1, 10)} | mended
        assert meters.run(api).counts.read == 1
        with pytest.raises(SourceError, match="--from 5 is a number, and the cursor is a time, as 2026-01-01T00:00"):
            replace(source, backfill=replace(source.backfill, asked=Range("5"), key="b")).plan(
                ledger.history("usage").finished, lambda text: None
            )
    assert not list((tmp_path / "landing").iterdir())
