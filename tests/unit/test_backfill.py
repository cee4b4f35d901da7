"""What can be read again and how it is asked for, told without a JVM."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from lakeloop.core.connections import KafkaConnection
from lakeloop.core.errors import SourceError, StreamError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.ingestion.backfill_rules import require_backfillable
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.backfill import Asked, Backfill
from lakeloop.ingestion.sources.files.again import part_of as files_of
from lakeloop.ingestion.sources.files.listing import Listed
from lakeloop.ingestion.sources.jdbc.again import value_of
from lakeloop.ingestion.sources.jdbc.order import Order
from lakeloop.ingestion.sources.kafka import again as kafka_again
from lakeloop.ingestion.sources.kafka.broker import Broker
from lakeloop.ingestion.sources.kafka.offsets import Cluster, Held, Reached
from lakeloop.ingestion.sources.rest.again import next_parts
from lakeloop.ingestion.sources.rest.partitions import Parts
from lakeloop.ingestion.sources.rest.reach import Within
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import KnownFiles
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.verbs.alerting import arrival_of

RUN = RunContext("backfill", "local", run_id="r9", user="keeper")
MERGE = {"table": "silver.p", "mode": "merge", "keys": ["id"], "sequence_by": "at"}
JDBC = {"jdbc": "crm", "table": "t", "incremental": {"cursor": "at"}}
CDC = {"cdc": "crm", "table": "public.t", "slot": "s", "publication": "p"}
KAFKA = {"kafka": "k", "topics": ["t"], "format": {"json": {}}, "fields": ["id"]}


def pipeline(source: dict[str, Any], sink: dict[str, Any], **more: Any) -> PipelineSpec:
    declared = {"pipeline": "p", "description": "P", "source": source, "sink": sink} | more
    return PipelineSpec.model_validate(declared)


@pytest.mark.parametrize(
    ("source", "sink", "said"),
    [
        (CDC, {**MERGE, "sequence_by": None}, "the slot s has let the server forget .* give the source a `slot` of"),
        (JDBC, {"table": "silver.p"}, "silver.p only grows, so every row that p reads again would come twice; give"),
        (
            KAFKA,
            {**MERGE, "sequence_by": None},
            "has no sequence_by, .* would replace newer ones .*`lakeloop stream re",
        ),
        ({"jdbc": "crm", "table": "t"}, MERGE, "each run of p reads all of its source again; `lakeloop run p` does"),
        ({"query": "SELECT 1 AS id", "inputs": {"a": "silver.a"}}, MERGE, "each run of p reads all"),
        ({"rest": "a", "path": "/x", "records": "d"}, MERGE, "each run of p reads all"),
    ],
)
def test_what_would_not_end_in_the_right_tables_is_refused(source: Any, sink: dict[str, Any], said: str) -> None:
    with pytest.raises(StreamError, match=said):
        require_backfillable(pipeline(source, sink))


def test_what_is_merged_in_order_or_dropped_where_it_is_there_can_be_read_again() -> None:
    require_backfillable(pipeline(JDBC, MERGE))
    dedupe = {"dedupe": {"keys": ["id"], "against": "table"}}
    require_backfillable(pipeline(KAFKA, {"table": "silver.p"}, transforms=[dedupe]))


@pytest.mark.parametrize(
    ("order", "text", "value"),
    [
        ("instant", "2026-03-01", "2026-03-01 00:00:00+00:00"),
        ("instant", "2026-03-01T12:00:00+02:00", "2026-03-01 12:00:00+02:00"),
        ("moment", "2026-03-01", "2026-03-01 00:00:00"),
        ("date", "2026-03-01", "2026-03-01"),
        ("integer", " 12 ", "12"),
        ("number", "1.50", "1.50"),
        ("text", "'; x", "'; x"),
    ],
)
def test_a_bound_is_a_value_of_the_cursor(order: Order, text: str, value: str) -> None:
    assert value_of(text, order, "--from", "crm.t") == value


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("instant", "soon"), ("moment", "2026-03-01T12:00:00+02:00"), ("date", "2026-03-01T12:00"), ("integer", "1.5"),
        ("integer", "1 OR 1=1"), ("number", "NaN"), ("float", "x"),
    ],
)  # fmt: skip
def test_a_bound_that_the_cursor_cannot_have_is_said(order: Order, text: str) -> None:
    with pytest.raises(SourceError, match=r"^crm.t: --to .* is not a value of its cursor, which is a"):
        value_of(text, order, "--to", "crm.t")


BROKER = Broker("events", KafkaConnection(bootstrap_servers="127.0.0.1:1"))
CLUSTER = Cluster({("t", 0): Held(5, 100), ("t", 1): Held(0, 50), ("t", 2): Held(0, 9)}, {"t": "id"})
REACHED = Reached({("t", 0): 90, ("t", 1): 50}, {"t": "id"})


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        (Asked("10"), {("t", 0): 10, ("t", 1): 10}, {("t", 0): 90, ("t", 1): 50}),
        (Asked("10", "60"), {("t", 0): 10, ("t", 1): 10}, {("t", 0): 60, ("t", 1): 50}),
        (Asked("0=10", "t/0=99"), {("t", 0): 10}, {("t", 0): 90}),
        (Asked("0=95"), {("t", 0): 95}, {("t", 0): 95}),
    ],
)
def test_offsets_are_read_again_no_further_than_the_pipeline_has(asked: Asked, begin: Any, end: Any) -> None:
    assert kafka_again.part_of(asked, REACHED, CLUSTER, BROKER) == (begin, end)
    kafka_again.require_there(begin, end, CLUSTER, BROKER)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked("soon"), "events: --from soon is no place in a topic; expected an offset of every partition"),
        (Asked("3=5"), "--from names 3=5, and what was read before is t/0, t/1; name these"),
        (Asked("2=5"), "--from names 2=5"),
        (Asked("4"), r"deleted by the topic's retention: t partition 0 begins at 5\. .* by --from t/0=5,t/1=4$"),
    ],
)
def test_offsets_that_are_not_there_are_said(asked: Asked, said: str) -> None:
    with pytest.raises(SourceError, match=said):  # noqa: PT012 - either of the two may say it
        begin, end = kafka_again.part_of(asked, REACHED, CLUSTER, BROKER)
        kafka_again.require_there(begin, end, CLUSTER, BROKER)


def test_a_topic_that_was_made_anew_has_nothing_to_read_again() -> None:
    with pytest.raises(SourceError, match="t was deleted and made anew since it was read"):
        kafka_again.part_of(Asked("0"), Reached(REACHED.next, {"t": "other"}), CLUSTER, BROKER)


def nanoseconds(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp() * 1_000_000_000)


FILES = [Listed(f"/drop/{day}.csv", 1, nanoseconds(f"2026-03-0{day}T12:00:00+00:00")) for day in (1, 2, 3)]
KNOWN = KnownFiles(frozenset(tuple(file) for file in FILES[:2]), {})


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (Asked("1.csv"), FILES[:2]),
        (Asked("1.csv", "2.csv"), FILES[:1]),
        (Asked("2026-03-01", "2026-03-02"), FILES[:1]),
        (Asked("2026-03-01T12:00:01Z"), FILES[1:2]),
        (Asked("3.csv"), []),
    ],
)
def test_files_that_were_taken_are_chosen_by_name_or_time(asked: Asked, chosen: list[Listed]) -> None:
    assert files_of(asked, FILES, KNOWN, "/drop/") == chosen


def test_files_that_are_gone_and_bounds_of_two_kinds_are_said() -> None:
    with pytest.raises(SourceError, match=r"^/drop/1\.csv of what is asked for no longer lies there"):
        files_of(Asked("1.csv"), FILES[1:], KNOWN, "/drop")
    assert files_of(Asked("2.csv"), FILES[1:], KNOWN, "/drop") == FILES[1:2]
    with pytest.raises(SourceError, match="are a time and a name; expected two times"):
        files_of(Asked("2026-03-01", "b.csv"), FILES, KNOWN, "/drop")


def test_cursors_of_an_api_lie_within_what_was_asked_and_read() -> None:
    within = Within("2026-03-01", "2026-03-03", "2026-03-02T12:00:00Z")
    cursors = ["2026-02-28", "2026-03-01", "2026-03-02T12:00:00Z", "2026-03-02T12:00:01Z", None, "x"]
    assert [within.has(cursor) for cursor in cursors] == [False, True, True, False, False, False]


def ranges(**more: Any) -> RestSource:
    days = {"param_from": "a", "param_to": "b", "from": "2026-03-01", "step": "1d", **more}
    return RestSource.model_validate({"rest": "x", "path": "/x", "records": "d", "partitions": days})


def test_whole_ranges_of_an_api_are_read_again_a_batch_at_a_time() -> None:
    known = Parts(upto="2026-03-06")
    asked = Asked("2026-03-02T08:00:00Z", "2026-03-05")
    parts, following = next_parts(ranges(ranges_per_batch=2), known, asked, None, "x")
    assert [part.name for part in parts] == ["2026-03-02/2026-03-03", "2026-03-03/2026-03-04"]
    begin = {"parts": None, "ranges": following}
    parts, following = next_parts(ranges(ranges_per_batch=2), known, asked, begin, "x")
    assert ([part.name for part in parts], following) == (["2026-03-04/2026-03-05"], None)
    parts, _ = next_parts(ranges(), known, Asked("2026-03-04"), None, "x")
    assert [part.name for part in parts] == ["2026-03-04/2026-03-05", "2026-03-05/2026-03-06"]
    with pytest.raises(SourceError, match="--from soon is no time"):
        next_parts(ranges(), known, Asked("soon"), None, "x")


def test_a_source_does_not_go_on_from_what_was_read_again(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "lake"))
    usual = Plan({"number": 0}, "usual")
    again = Plan({"backfill": {"key": "a"}}, "again", kind="backfill")
    for number, plan in enumerate([usual, again, Plan({"says": '"kind": "backfill"'}, "usual")]):
        ledger.plan("p", plan, RUN, ledger.history("p"))
        if number == 0:
            ledger.record(RUN, RunEntry("p", "silver.p", "succeeded", now(), batch_id=number))
    assert list(ledger.backfills("p")) == []
    ledger.record(RUN, RunEntry("p", "silver.p", "succeeded", now(), batch_id=1))
    assert ledger.history("p").finished == usual
    ledger.record(RUN, RunEntry("p", "silver.p", "succeeded", now(), batch_id=2))
    assert list(ledger.backfills("p")) == [again]


def test_a_backfill_goes_on_where_the_same_is_asked_of_the_same_declaration(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "lake"))
    asked = Asked("1", "9")

    def end(next_: Any) -> None:
        details = {"backfill": {"key": "a", "asked": {"first": "1", "until": "9"}, "declaration": "d", "next": next_}}
        batch = ledger.plan("p", Plan(details, "", kind="backfill"), RUN, ledger.history("p"))
        ledger.record(RUN, RunEntry("p", "silver.p", "succeeded", now(), batch_id=batch.batch_id))

    def key(asked: Asked, declaration: str = "d") -> str:
        return Backfill(object(), ledger, "p", asked, declaration, key="new").resumed().key

    assert key(asked) == "new"
    end(5)
    assert (key(asked), key(Asked("1", "8")), key(asked, "other")) == ("a", "new", "new")
    end(None)
    assert key(asked) == "new"


def test_what_is_read_again_is_no_arrival(tmp_path: Path) -> None:
    root, files = str(tmp_path / "lake"), {"files": "drop", "formats": {"csv": {}}, "expect": {"every": "1h"}}
    spec = pipeline(files, MERGE)
    at = now() - dt.timedelta(hours=3)
    for run, started_at in ((RunContext("run", "local"), at), (RUN, at)):
        entry = RunEntry("p", "silver.p", "succeeded", started_at, "", 0, RowCounts(read=1, good=1))
        Ledger(root).record(run, entry)
    arrival = arrival_of(root, spec)
    assert arrival is not None
    assert arrival.waiting_since == Ledger(root).runs(2)[0]["ended_at"]
