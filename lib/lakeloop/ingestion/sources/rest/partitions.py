"""What parts of an API a batch asks for, and fetching them side by side by Spark's executors."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.source_specs.partitions import Partitions
from lakeloop.ingestion.sources.rest.fetching import fetch
from lakeloop.ingestion.sources.rest.reach import Fetched, Reach


@dataclass(frozen=True)
class Part:
    """One partition: what asks for it, and how far it has been read. The name of a whole source is empty."""

    name: str
    query: tuple[tuple[str, str], ...] = ()
    reach: Reach = field(default_factory=Reach)


@dataclass(frozen=True)
class Parts:
    """What a plan keeps of its parts.

    `known` are those whose reach counts, `unread` the names of those that are not at their end; `upto` is the end of
    the last range of time that was begun.
    """

    known: tuple[Part, ...] = ()
    unread: tuple[str, ...] = ()
    upto: str | None = None

    @property
    def as_json(self) -> dict[str, Any]:
        """The same in JSON values."""
        parts = [{"name": p.name, "query": [list(pair) for pair in p.query], **p.reach.as_json} for p in self.known]
        return {"parts": parts, "unread": list(self.unread), "upto": self.upto}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Parts":
        """What `as_json` gave, after a journey through JSON."""
        parts = []
        for each in values["parts"]:
            reach = {key: value for key, value in each.items() if key not in ("name", "query")}
            query = tuple((name, value) for name, value in each["query"])
            parts.append(Part(each["name"], query, Reach.of_json(reach)))
        return cls(tuple(parts), tuple(values["unread"]), values["upto"])

    def next(self, spec: RestSource, present: dt.datetime) -> list[Part]:
        """What the next batch asks for: what is not at its end and nothing else, or else everything that may be new."""
        known = {part.name: part for part in self.known}
        declared = spec.partitions
        if declared is None:
            return [known.get("", Part(""))]
        if declared.start is None:
            wanted = [Part(value, ((str(declared.param), value),)) for value in declared.values]
            wanted = [Part(part.name, part.query, known.get(part.name, part).reach) for part in wanted]
            return [part for part in wanted if part.name in self.unread] or wanted
        if unread := [part for part in self.known if part.name in self.unread]:
            return unread
        ranges = declared.ranges(moment(self.upto) if self.upto else None, present)
        return [part_of_range(declared, begin, end) for begin, end in ranges]

    def after(self, spec: RestSource, asked: Sequence[Part], fetched: Sequence[Fetched]) -> "Parts":
        """What the plan that asked for these keeps."""
        declared = spec.partitions
        read = {p.name: Part(p.name, p.query, f.reach) for p, f in zip(asked, fetched, strict=True)}
        unread = tuple(
            part.name for part, f in zip(asked, fetched, strict=True) if f.failure is not None or f.reach.at is not None
        )
        if declared is None or declared.start is None:
            kept = {part.name: part for part in self.known} | read
            return Parts(tuple(kept.values()), unread)
        ends = [part.query[-1][1] for part in asked]
        upto = max([*ends, *([self.upto] if self.upto else [])], key=moment)
        return Parts(tuple(read[name] for name in unread), unread, upto)


def part_of_range(declared: Partitions, begin: dt.datetime, end: dt.datetime) -> Part:
    """The partition of a range of time."""
    texts = (_written(begin, declared.step), _written(end, declared.step))
    return Part("/".join(texts), ((str(declared.param_from), texts[0]), (str(declared.param_to), texts[1])))


def _written(at: dt.datetime, step: dt.timedelta | None) -> str:
    """A day where ranges are whole days that begin at midnight, else a moment in UTC."""
    at_midnight = at.time() == dt.time() and at.utcoffset() == dt.timedelta(0)
    is_day = step is not None and step % dt.timedelta(days=1) == dt.timedelta(0) and at_midnight
    return at.date().isoformat() if is_day else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def moment(text: str) -> dt.datetime:
    """What a plan has as the end of a range."""
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _silent(_text: str) -> None:
    """An executor has nobody to tell."""


def fetch_on_executors(
    spark: SparkSession, service: Service, spec: RestSource, parts: Sequence[Part], folder: str
) -> list[Fetched]:
    """What each part gave, in their order; a part that fails says so and leaves the others as they are.

    Each of the tasks that run side by side has its share of the rate limit. A task that runs again writes the same
    files again. The driver holds what plans keep, not the records.
    """
    assert spec.partitions is not None
    tasks = min(spec.partitions.parallel, len(parts))
    rows = [(number, json.dumps(Parts((part,)).as_json)) for number, part in enumerate(parts)]

    def ask(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            with Client(service, share=1 / tasks) as client:
                for row in batch.to_pylist():
                    [part] = Parts.of_json(json.loads(row["part"])).known
                    inside = f"{folder}/part-{row['number']:06d}"
                    found = fetch(spec, client, list(part.query), part.reach, inside, _silent)
                    result = json.dumps(found.as_json)
                    yield pa.record_batch({"number": pa.array([row["number"]]), "fetched": pa.array([result])})

    asked = spark.createDataFrame(rows, "number bigint, part string").repartition(tasks)
    found = asked.mapInArrow(ask, "number bigint, fetched string").collect()
    return [Fetched.of_json(json.loads(row["fetched"])) for row in sorted(found)]
