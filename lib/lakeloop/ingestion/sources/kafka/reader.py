"""Messages of Kafka topics, each read once: a batch is ranges of offsets, and the ledger remembers where they end."""

import json
import math
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import SourceError
from lakeloop.core.spark_failures import all_said
from lakeloop.ingestion.source_specs.kafka import AvroMessages, KafkaSource, StartTime
from lakeloop.ingestion.sources.backfill import Again, Asked
from lakeloop.ingestion.sources.kafka import again
from lakeloop.ingestion.sources.kafka.avro import ID, ONLY, with_schema_id
from lakeloop.ingestion.sources.kafka.broker import Broker
from lakeloop.ingestion.sources.kafka.messages import VALUE, MessageParser
from lakeloop.ingestion.sources.kafka.offsets import (
    Cluster,
    Gap,
    Held,
    Partition,
    Range,
    Reached,
    as_json,
    go_on,
    messages_of,
    ranges_of,
    still_there,
    summary_of,
)
from lakeloop.ingestion.sources.kafka.probing import probe_cluster
from lakeloop.ingestion.sources.kafka.schemas import Schemas
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import Ended, Extract, Progress
from lakeloop.lake.ledger import MESSAGES_LOST, Plan

# Consumers do not belong to a group; where a cluster guards group names, this prefix is the one to grant.
GROUP_PREFIX = "lakeloop"
# By the options of a cluster: under the same name executors find the consumers that they made for the last batch.
_groups: dict[tuple[tuple[str, str], ...], str] = {}
MESSAGES_PER_TASK = 50_000  # at least: a task takes longer to begin than to read a few, and each writes a file
MOST_SCHEMAS = 1000  # ids in one batch; more are garbage, whose rows say that no schema has their id


@dataclass(frozen=True)
class KafkaReader:
    """Reads what is new since the offsets that the last batch ended at, up to what there was at the first look.

    So a run ends under a stream that never does; the next run, or the next pass of `lakeloop watch`, looks anew. No
    offset is committed to Kafka: any number of pipelines may read a topic, and none disturbs another.
    """

    spark: SparkSession
    broker: Broker
    spec: KafkaSource
    schemas: Schemas = field(default_factory=Schemas)
    _ends: dict[Partition, int] = field(default_factory=dict, repr=False, compare=False)

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        """The next ranges of offsets, at most `max_messages`. What is gone unread is an error, or noted in the plan."""
        progress("asking for offsets")
        cluster = self.broker.look(self.spec)
        if last is not None and "next" not in last.details:  # of another source that the pipeline had
            last = None
        reached = Reached.of_json(last.details) if last else Reached()
        mine = {place: offset for place, offset in reached.next.items() if self._reads(place[0])}
        positions, gaps = go_on(Reached(mine, reached.ids), cluster) if last else (self._start(cluster), [])
        self._require_none_lost(gaps)
        ranges = ranges_of(positions, self._as_of_first_look(cluster), self.spec.max_messages)
        has_start = last is None and self.spec.start != "earliest"
        if not ranges and not gaps and not has_start:
            return None
        next_ = positions | {each.place: each.until for each in ranges}
        others = {place: offset for place, offset in reached.next.items() if place not in mine}
        ids = {topic: id_ for topic, id_ in reached.ids.items() if topic in {place[0] for place in others}}
        behind = sum(held.end - next_[place] for place, held in cluster.held.items())
        schemas = self._schemas_of(ranges, progress)
        after = Reached(others | next_, ids | dict(cluster.ids))
        if not ranges:
            summary = "nothing was read" if gaps else f"begins at {self._said_start}, nothing was read yet"
        else:
            summary = summary_of(ranges, behind)
        details = {"ranges": as_json(ranges), "behind": behind, "schemas": schemas, **after.as_json}
        return self._with_gaps(Plan(details, summary), gaps)

    def plan_again(self, last: Plan, asked: Asked, begin: Any, progress: Progress, /) -> Again | None:
        """The next ranges of the part, at most `max_messages`, of the partitions that were read before."""
        progress("asking for offsets")
        cluster, reached = self.broker.look(self.spec), Reached.of_json(last.details)
        if begin is None:
            firsts, ends = again.part_of(asked, reached, cluster, self.broker)
        else:
            firsts, ends = again.places_of(begin["from"]), again.places_of(begin["to"])
        again.require_there(firsts, ends, cluster, self.broker)
        ranges = ranges_of(firsts, again.bounded(cluster, ends), self.spec.max_messages)
        if not ranges:
            return None
        next_ = firsts | {each.place: each.until for each in ranges}
        left = sum(ends[place] - offset for place, offset in next_.items())
        schemas = self._schemas_of(ranges, progress)
        details = {"ranges": as_json(ranges), "behind": left, "schemas": schemas, "lost": [], **reached.as_json}
        goes_on = {"from": again.json_of(next_), "to": again.json_of(ends)} if left else None
        return Again(Plan(details, messages_of(ranges)), goes_on, left)

    def read(self, plan: Plan) -> Extract:
        """The messages of the planned offsets, each with its partition and offset."""
        parser = self._parser(plan.details["schemas"])
        return parser.parse(self._messages(_ranges(plan), parser))

    def reread(self, originals: DataFrame) -> Extract:
        """Rows of `_text`, an original of this source, and `_position`, judged by what is declared now.

        Raises SourceError for a registry that cannot be asked.
        """
        parser = self._parser({})
        messages = parser.of_originals(originals)
        found = self._parser(self.schemas.find(self._ids_of(messages)))
        return found.parse(messages)

    def probe(self) -> Iterator[Check]:
        """Look at the topics."""
        return probe_cluster(self.broker, self.spec)

    def finish(self, ended: Ended) -> None:
        """Nothing is noted: the offsets stand in the plan."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""

    def explain(self, failure: PySparkException | Py4JJavaError) -> SourceError | None:
        """A failure of the cluster underway, in words."""
        return self.broker.explained(all_said(failure))

    def without_unreadable(self, plan: Plan) -> Plan | None:
        """The plan without offsets that are gone since it was made; None where all of them are there.

        Raises SourceError where messages are gone and that is declared to stop the run, or the cluster says why not.
        """
        cluster = self.broker.look(self.spec)
        reached = Reached.of_json(plan.details)
        left, gaps = still_there(_ranges(plan), reached, cluster)
        if not gaps:
            return None
        self._require_none_lost(gaps)
        anew = {(gap.topic, gap.partition) for gap in gaps if gap.why == "recreated"}
        gone = {(gap.topic, gap.partition) for gap in gaps if gap.why == "gone"}
        next_ = {place: offset for place, offset in reached.next.items() if place not in gone}
        next_ |= {place: cluster.held[place].first for place in anew}
        after = Reached(next_, dict(reached.ids) | dict(cluster.ids))
        summary = summary_of(left, plan.details["behind"]) if left else "nothing was left to read"
        again = Plan({**plan.details, "ranges": as_json(left), **after.as_json}, summary)
        return self._with_gaps(again, gaps)

    def _messages(self, ranges: Sequence[Range], parser: MessageParser) -> DataFrame:
        if not ranges:
            return self.spark.createDataFrame([], parser.schema)
        topics: dict[str, list[Range]] = {}
        for each in ranges:
            topics.setdefault(each.topic, []).append(each)

        def of_all(value: str) -> str:
            return json.dumps({t: {str(r.partition): getattr(r, value) for r in found} for t, found in topics.items()})

        timeout = str(int(self.broker.connection.timeout_seconds * 1000))
        own = {
            "assign": json.dumps({topic: [each.partition for each in found] for topic, found in topics.items()}),
            "startingOffsets": of_all("first"),
            "endingOffsets": of_all("until"),
            "includeHeaders": str(self.spec.message.headers is not None).lower(),
            "failOnDataLoss": "true",
            "kafkaConsumer.pollTimeoutMs": timeout,
            "kafka.default.api.timeout.ms": timeout,
            "kafka.request.timeout.ms": timeout,
            "fetchOffset.numRetries": "1",  # the next run tries the whole batch again
            # What a task asks after its last message waits behind a fetch for messages that are yet to be sent.
            "kafka.fetch.max.wait.ms": "1",
            "kafka.isolation.level": "read_committed",
        }
        options = self.broker.connection.spark_options(self.broker.password)
        own["kafka.group.id"] = _groups.setdefault(tuple(options.items()), f"{GROUP_PREFIX}-{uuid.uuid4()}")
        messages = self.spark.read.format("kafka").options(**options, **own).load()
        tasks = math.ceil(sum(each.until - each.first for each in ranges) / MESSAGES_PER_TASK)
        return parser.of_kafka(messages.coalesce(tasks))

    def _parser(self, schemas: dict[str, str] | dict[int, str]) -> MessageParser:
        return MessageParser(self.spec, {int(id_): schema for id_, schema in schemas.items()})

    def _schemas_of(self, ranges: Sequence[Range], progress: Progress) -> dict[str, str]:
        """The schemas that the messages name, by id: with them the plan reads the same without the registry."""
        kind = self.spec.format.kind
        if not isinstance(kind, AvroMessages) or not ranges:
            return {}
        progress("looking which schemas the messages have")
        messages = self._messages(ranges, self._parser({}))
        return {str(id_): schema for id_, schema in self.schemas.find(self._ids_of(messages)).items()}

    def _ids_of(self, messages: DataFrame) -> list[int]:
        kind = self.spec.format.kind
        if not isinstance(kind, AvroMessages):
            return []
        if kind.registry is None:
            return [ONLY]
        found = with_schema_id(messages, VALUE, kind).select(ID).where(F.col(ID).isNotNull()).distinct()
        return sorted(row[ID] for row in found.limit(MOST_SCHEMAS).collect())

    def _reads(self, topic: str) -> bool:
        if self.spec.topic_pattern is not None:
            return re.fullmatch(self.spec.topic_pattern, topic) is not None
        return topic in self.spec.topics

    def _start(self, cluster: Cluster) -> dict[Partition, int]:
        if isinstance(self.spec.start, StartTime):
            since = self.broker.since(cluster.held, self.spec.start.milliseconds)
            found = {place: held.end if since[place] is None else since[place] for place, held in cluster.held.items()}
            return {place: max(cluster.held[place].first, offset or 0) for place, offset in found.items()}
        latest = self.spec.start == "latest"
        return {place: held.end if latest else held.first for place, held in cluster.held.items()}

    @property
    def _said_start(self) -> str:
        start = self.spec.start
        return f"{start.time:%Y-%m-%d %H:%M:%S%z}" if isinstance(start, StartTime) else f"the {start} offsets"

    def _as_of_first_look(self, cluster: Cluster) -> Cluster:
        if not self._ends:
            self._ends.update({place: held.end for place, held in cluster.held.items()})
        bounded = {
            place: Held(held.first, min(held.end, self._ends.get(place, held.first)))
            for place, held in cluster.held.items()
        }
        return Cluster(bounded, cluster.ids)

    def _require_none_lost(self, gaps: Sequence[Gap]) -> None:
        if gaps and self.spec.on_data_loss == "fail":
            raise SourceError(
                f"{self.broker.name}: {_in_words(gaps)}. Nothing was read. Whoever sent these messages may be able to "
                "send them again; to go on without them, declare `on_data_loss: note` in the source and run again, "
                "which says in ops.runs what is missing. So that it does not happen again, run more often, or keep "
                "messages longer (the topic's retention.ms)"
            )

    def _with_gaps(self, plan: Plan, gaps: Sequence[Gap]) -> Plan:
        before = plan.details.get("lost", [])
        if not gaps:
            return Plan({**plan.details, "lost": before}, plan.summary, violations=plan.violations)
        lost = sum(gap.until - gap.first if gap.until is not None else 1 for gap in gaps)
        details = {**plan.details, "lost": [*before, *as_json(gaps)]}
        return Plan(details, f"{plan.summary}; {_in_words(gaps)}", violations=((MESSAGES_LOST, "warn", lost),))


def _in_words(gaps: Sequence[Gap]) -> str:
    said = "; ".join(gap.in_words for gap in gaps[:5])
    return said + (f"; and {len(gaps) - 5} more partitions" if len(gaps) > 5 else "")


def _ranges(plan: Plan) -> list[Range]:
    return [Range(**each) for each in plan.details["ranges"]]
