"""Topics of a real broker: each message once, by offset, in every format, and back out of quarantine."""

import datetime as dt
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakeloop import verbs
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.sources.replay import Replays
from lakeloop.lake.ledger import Ledger, RunEntry
from lakeloop.verbs.watching import watch
from tests.services.events import declare, ids, lake_of, new_topic, orders, quarantined, run, send
from tools.kafka import KafkaBroker

SCHEMA = {
    "type": "record", "name": "order",
    "fields": [
        {"name": "id", "type": "string"}, {"name": "amount", "type": ["null", "long"]},
        {"name": "extra", "type": "double", "default": 0},
    ],
}  # fmt: skip
NEWER = {
    "type": "record", "name": "order",
    "fields": [{"name": "amount", "type": "long"}, {"name": "ID", "type": "string"}],
}  # fmt: skip


def encoded(schema: dict[str, Any], **values: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, values)
    return stream.getvalue()


def framed(id_: int, payload: bytes) -> bytes:
    return b"\0" + id_.to_bytes(4, "big") + payload


@pytest.fixture
def registry() -> Iterator[str]:
    """A registry that knows schema 7 alone, and asks for a token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/schemas/ids/7"
            allowed = self.headers["Authorization"] == "Bearer letmein"
            self.send_response(200 if known and allowed else 404 if allowed else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"schema": json.dumps(SCHEMA)}).encode() if known and allowed else b"{}")

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_each_message_comes_in_once_with_its_place(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka, partitions=2)
    send(kafka, topic, [(value, {"partition": number % 2}) for number, value in enumerate(orders(*range(24)))])
    send(kafka, topic, [(value, {"key": b"k", "headers": [("h", b"1"), ("h", b"\xff")], "timestamp": 1500})
                        for value in orders(24)])  # fmt: skip
    columns = {"key": "message_key", "headers": "headers", "timestamp": "sent_at", "topic": "topic"}
    project = declare(tmp_path, kafka, {"topics": [topic], "max_messages": 10, "message": columns})
    entries = run(project)
    assert [entry.message for entry in entries] == [
        f"10 messages of {topic}, 15 behind", f"10 messages of {topic}, 5 behind", f"5 messages of {topic}, 0 behind",
    ]  # fmt: skip
    assert sum((entry.counts for entry in entries), RowCounts()) == RowCounts(read=25, good=25)
    assert [entry.outcome for entry in run(project)] == ["nothing_new"]
    send(kafka, topic, orders(25))
    assert [entry.counts.read for entry in run(project)] == [1]
    assert ids(spark, project) == sorted(f"o{number}" for number in range(26))
    rows = lake_of(spark, project).read("bronze.events").where("id IN ('o3', 'o24')").orderBy("amount").collect()
    last, third = (row.asDict(recursive=True) for row in rows)
    assert (last["id"], third["id"]) == ("o24", "o3")
    assert third["_position"] == {"origin": f"{topic}/1", "record": 1}
    assert (third["message_key"], third["headers"], third["topic"]) == (None, None, topic)
    assert last["_position"] == {"origin": f"{topic}/0", "record": 12}
    assert last["headers"] == [{"key": "h", "value": b"1"}, {"key": "h", "value": b"\xff"}]
    assert last["sent_at"].replace(tzinfo=dt.UTC).timestamp() == 1.5
    assert last["message_key"] == "k"
    written = DeltaTable(f"{lake_of(spark, project).root}/bronze/events").get_add_actions().num_rows
    assert written == 4  # a file each of four small batches, however many partitions these came from


BAD = [
    b'{"id":"a","amount":1}', b'{"id":"b"', None, b'{"id":"\xff"}', b'{"id":"c","id":"d"}', b"base64:eA==",
    b'{"id":"e","amount":99}', b'{"id":"f","other":{"g":[1]}}',
]  # fmt: skip


@pytest.mark.slow
def test_what_is_no_message_keeps_its_bytes_and_can_come_back(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, BAD)
    source = {"topics": [topic]}
    rules = [{"is_in_range": {"column": "amount", "min": 0, "max": 10}}]
    project = declare(tmp_path, kafka, source, transforms=[{"cast": {"amount": "int"}}], rules=rules)
    assert [entry.counts for entry in run(project)] == [RowCounts(read=8, good=2, quarantined=6)]
    assert quarantined(spark, project) == {
        1: ("malformed", "the text is not one JSON object", '{"id":"b"'),
        2: ("malformed", "the message has no value (a tombstone)", None),
        3: ("malformed", "the text is not valid UTF-8", "base64:eyJpZCI6Iv8ifQ=="),
        4: ("malformed", "a key stands twice in the object", '{"id":"c","id":"d"}'),
        5: ("malformed", "the text is not one JSON object", "base64:YmFzZTY0OmVBPT0="),
        6: ("amount_is_in_range", "amount: found 99, expected a number from 0 to 10", '{"id":"e","amount":99}'),
    }  # fmt: skip
    rescued = lake_of(spark, project).read("bronze.events").where("id = 'f'").first()
    assert rescued is not None
    assert rescued["_rescued"] == '{"other":"{\\"g\\":[1]}"}'
    again = declare(tmp_path, kafka, source, transforms=[{"cast": {"amount": "int"}}], rules=[])
    told = verbs.replay(again, "events", Replays(why="the range was wrong"), RunContext("quarantine replay", "local"))
    # The tombstone has no original to judge again.
    assert [entry.counts for entry in told.entries] == [RowCounts(read=5, good=1, quarantined=4)]
    assert ids(spark, again) == ["a", "e", "f"]
    as_text = declare(tmp_path, kafka, source | {"format": {"raw": {"field": "id"}}, "fields": None}, rules=[])
    rehearsed = verbs.replay(
        as_text, "events", Replays(why="look"), RunContext("quarantine replay", "local"), dry_run=True
    )
    assert rehearsed.entries[0].counts.read == 4


@pytest.mark.slow
def test_a_key_and_headers_come_back_with_their_message(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, [(None, {"key": b"\xffk", "headers": [("h", b"\0")], "timestamp": 1500}), b'{"id":"x"}'])
    source = {"topics": [topic], "message": {"key": "k", "headers": "h", "timestamp": "at"}}
    project = declare(tmp_path, kafka, source)
    assert run(project)[0].counts == RowCounts(read=2, good=1, quarantined=1)
    (_, _, original) = quarantined(spark, project)[0]
    assert json.loads(original or "") == {
        "value": None, "key": "/2s=", "headers": [{"key": "h", "value": "AA=="}],
        "timestamp": "1970-01-01T00:00:01.500000Z",
    }  # fmt: skip
    kept = declare(tmp_path, kafka, source | {"tombstones": "keep"})
    told = verbs.replay(kept, "events", Replays(why="deletions count"), RunContext("quarantine replay", "local"))
    assert told.entries[0].counts == RowCounts(read=1, good=1)
    row = lake_of(spark, kept).read("silver.events").where("id IS NULL").first()
    assert row is not None
    values = row.asDict(recursive=True)
    assert values["at"].replace(tzinfo=dt.UTC).timestamp() == 1.5
    assert (values["k"], values["h"]) == ("base64:/2s=", [{"key": "h", "value": b"\0"}])


def test_texts_and_bytes(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, ["ü".encode(), b"\xfe", None, b""])
    texts = declare(
        tmp_path / "text", kafka, {"topics": [topic], "format": {"text": {"field": "line"}}, "fields": None}
    )
    assert run(texts)[0].counts == RowCounts(read=4, good=2, quarantined=2)
    assert quarantined(spark, texts) == {
        1: ("malformed", "the text is not valid UTF-8", "base64:/g=="),
        2: ("malformed", "the message has no value (a tombstone)", None),
    }
    good = lake_of(spark, texts).read("silver.events").collect()
    assert sorted(row["line"] for row in good) == ["", "ü"]
    source = {"topics": [topic], "format": {"raw": {}}, "fields": None, "tombstones": "keep"}
    raw = declare(tmp_path / "raw", kafka, source)
    assert run(raw)[0].counts == RowCounts(read=4, good=4)
    found = [row["value"] for row in lake_of(spark, raw).read("silver.events").collect()]
    assert sorted(bytes(value) for value in found if value is not None) == [b"", "ü".encode(), b"\xfe"]


@pytest.mark.slow
def test_avro_by_one_schema(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka)
    whole = encoded(SCHEMA, id="a", amount=5, extra=1.5)
    send(
        kafka,
        topic,
        [whole, whole[:-1], whole + b"\0", b"", encoded(SCHEMA, id="b", amount=None, extra=0.5), b"\xff" * 9],
    )
    source = {"topics": [topic], "format": {"avro": {"schema_file": "order.avsc"}}}
    project = declare(tmp_path, kafka, source)
    (tmp_path / "conf/base/order.avsc").write_text(json.dumps(SCHEMA))
    assert run(project)[0].counts == RowCounts(read=6, good=2, quarantined=4)
    rows = lake_of(spark, project).read("bronze.events").where("_verdict = 'good'").orderBy("id").collect()
    assert [(row["id"], row["amount"], row["_rescued"]) for row in rows] == [
        ("a", 5, '{"extra":1.5}'), ("b", None, '{"extra":0.5}'),
    ]  # fmt: skip
    assert {said for _, said, _ in quarantined(spark, project).values()} == {
        "the bytes are not one record of the declared schema"
    }


@pytest.mark.slow
def test_avro_by_the_schema_that_each_message_names(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path, registry: str
) -> None:
    topic = new_topic(kafka)
    whole = encoded(SCHEMA, id="a", amount=5, extra=1.5)
    newer = encoded(NEWER, amount=6, ID="b")
    send(
        kafka,
        topic,
        [framed(7, whole), framed(8, newer), framed(9, whole), framed(7, whole[:-2]), b"\1abcdef", b"\0\0"],
    )
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/token").write_text("letmein")
    avro = {"registry": {"rest": "registry", "schemas": {8: "newer.avsc"}}}
    connections = {"registry": {"rest": {"base_url": registry, "auth": {"bearer": "${secret:token}"}}}}
    project = declare(tmp_path, kafka, {"topics": [topic], "format": {"avro": avro}}, connections=connections)
    (tmp_path / "conf/base/newer.avsc").write_text(json.dumps(NEWER))
    assert run(project)[0].counts == RowCounts(read=6, good=2, quarantined=4)
    assert ids(spark, project) == ["a", "b"]
    assert {offset: said for offset, (_, said, _) in quarantined(spark, project).items()} == {
        2: "no schema has the id 9 in registry or declared files",
        3: "the bytes are not one record of schema 7",
        4: "the message does not begin with a zero byte and the id of a schema",
        5: "the message does not begin with a zero byte and the id of a schema",
    }
    avro["registry"]["schemas"][9] = "order.avsc"  # type: ignore[index]
    known = declare(tmp_path, kafka, {"topics": [topic], "format": {"avro": avro}}, connections=connections)
    (tmp_path / "conf/base/order.avsc").write_text(json.dumps(SCHEMA))
    told = verbs.replay(known, "events", Replays(why="schema 9 is known"), RunContext("quarantine replay", "local"))
    assert told.entries[0].counts == RowCounts(read=4, good=1, quarantined=3)
    assert ids(spark, known) == ["a", "a", "b"]
    (tmp_path / "secrets/token").write_text("wrong")
    send(kafka, topic, [framed(7, whole)])
    with pytest.raises(SourceError, match=r"registry: .*/schemas/ids/7: the credentials were refused \(status 401\)"):
        run(known)


@pytest.mark.slow
def test_new_partitions_and_topics_are_read_from_their_beginning(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, orders(1))
    project = declare(tmp_path, kafka, {"topic_pattern": f"{topic}.*"})
    assert run(project)[0].counts.read == 1
    admin = kafka.admin
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
    kafka.create_topic(f"{topic}.more")
    send(kafka, topic, [(value, {"partition": 1}) for value in orders(2)])
    send(kafka, f"{topic}.more", orders(3))
    assert sum(entry.counts.read for entry in run(project)) == 2
    assert ids(spark, project) == ["o1", "o2", "o3"]


@pytest.mark.slow
@pytest.mark.parametrize(("start", "expected"), [("latest", ["o9"]), ({"time": "2026-01-01T00:00:00Z"}, ["o2", "o9"])])
def test_a_first_run_may_begin_later_and_says_where(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path, start: Any, expected: list[str]
) -> None:
    topic = new_topic(kafka)
    young = int(dt.datetime(2026, 2, 1, tzinfo=dt.UTC).timestamp() * 1000)
    first, second, third = orders(1, 2, 9)
    send(kafka, topic, [(first, {"timestamp": 1}), (second, {"timestamp": young})])
    project = declare(tmp_path, kafka, {"topics": [topic], "start": start})
    entry = run(project)[0]
    assert entry.outcome == "succeeded"
    assert start != "latest" or entry.message == "begins at the latest offsets, nothing was read yet"
    send(kafka, topic, [third])
    run(project)
    assert ids(spark, project) == expected


@pytest.mark.slow
def test_only_committed_transactions_come_in(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka)
    project = declare(tmp_path, kafka, {"topics": [topic]})
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    producer.init_transactions(30)
    for number, end in enumerate(["commit", "abort", "commit"]):
        producer.begin_transaction()
        for value in orders(number, number + 10):
            producer.produce(topic, value, partition=0)  # type: ignore[arg-type]
        producer.flush(30)
        if number == 2:
            assert run(project)[0].counts.read == 2  # what is open is not there yet
        getattr(producer, f"{end}_transaction")(30)
    assert run(project)[0].counts.read == 2
    assert ids(spark, project) == ["o0", "o10", "o12", "o2"]
    assert run(project)[0].outcome == "nothing_new"


@pytest.mark.slow
def test_two_pipelines_read_one_topic_and_do_not_disturb_each_other(
    spark: SparkSession, kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, orders(1))
    first = declare(tmp_path, kafka, {"topics": [topic]})
    declare(tmp_path, kafka, {"topics": [topic], "max_messages": 1}, name="others")
    run(first, "events")
    send(kafka, topic, orders(2))
    run(first)
    assert ids(spark, first) == ids(spark, first, "silver.others") == ["o1", "o2"]


@pytest.mark.slow
def test_a_watch_takes_what_comes(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka)
    send(kafka, topic, orders(1))
    project, stop, passes = declare(tmp_path, kafka, {"topics": [topic]}), threading.Event(), []

    def told(context: RunContext, summary: verbs.RunSummary) -> None:
        entries: tuple[RunEntry, ...] = summary.entries
        passes.append(sum(entry.counts.read for entry in entries))
        send(kafka, topic, orders(2, 3)) if len(passes) == 1 else stop.set()

    watch(project, [], dt.timedelta(milliseconds=200), stop, told)
    assert passes == [1, 2]
    assert ids(spark, project) == ["o1", "o2", "o3"]
    assert Ledger(project.lake_root).history("events").batches == 2


def test_offsets_and_times_are_read_again_in_batches(spark: SparkSession, kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = new_topic(kafka, partitions=2, retention_ms="-1")  # the times below are long ago
    sink = {"table": "silver.events", "mode": "merge", "keys": ["id"], "sequence_by": "amount"}
    send(
        kafka,
        topic,
        [(value, {"partition": n % 2, "timestamp": 1000 + n}) for n, value in enumerate(orders(*range(10)))],
    )
    project = declare(tmp_path, kafka, {"topics": [topic], "max_messages": 4}, sink=sink)
    run(project)
    lake_of(spark, project).handle("silver.events").delete("id <> 'o0'")
    send(kafka, topic, [(value, {"timestamp": 9000}) for value in orders(10, 11)])  # not read yet, so not read again

    def again(first: str, until: str | None = None, **more: bool) -> list[RunEntry]:
        context = RunContext("backfill", "local")
        return list(verbs.backfill(project, "events", verbs.Asked(first, until), context, **more))

    [planned] = again("1", dry_run=True)
    said = f"would read again from 1: 4 messages of {topic}, and 4 more in further batches; nothing was written"
    assert planned.message == said
    assert [entry.message for entry in again("1")] == [
        f"read again from 1, batch 1: 4 messages of {topic}, 4 left",
        f"read again from 1, batch 2: 4 messages of {topic}",
    ]  # fmt: skip
    assert ids(spark, project) == sorted(["o0", *(f"o{n}" for n in range(2, 10))])
    [entry] = again("1970-01-01T00:00:01Z", "1970-01-01T00:00:01.002Z")
    assert entry.counts == RowCounts(read=2, good=2)
    assert [entry.counts.read for entry in run(project)] == [2]
    assert ids(spark, project) == sorted(f"o{n}" for n in range(12))
    with pytest.raises(SourceError, match=r"--from names 7=1, and what was read before is t-.*/0, t-.*/1; name these"):
        again("7=1")
