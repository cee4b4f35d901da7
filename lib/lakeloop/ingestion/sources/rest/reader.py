"""An HTTP API as a source: fetch and land what is new, then read what was landed."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyarrow import fs
from pyspark.sql import SparkSession

from lakeloop.core import logs
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import now
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.schemas.planning import SchemaPlanner
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources import held_back
from lakeloop.ingestion.sources.backfill import Again, Asked
from lakeloop.ingestion.sources.files.conforming import conform_to_schema
from lakeloop.ingestion.sources.files.numbering import read_lines
from lakeloop.ingestion.sources.line_parsers import TEXT
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import POSITION, Ended, Extract, Progress
from lakeloop.ingestion.sources.rest.again import goes_on, next_parts
from lakeloop.ingestion.sources.rest.fetching import fetch
from lakeloop.ingestion.sources.rest.observing import Observed, retyped
from lakeloop.ingestion.sources.rest.paging import Pager
from lakeloop.ingestion.sources.rest.parsing import RecordParser, parse_records
from lakeloop.ingestion.sources.rest.partitions import Part, Parts, fetch_on_executors
from lakeloop.ingestion.sources.rest.probing import probe_api
from lakeloop.ingestion.sources.rest.reach import Fetched
from lakeloop.lake.ledger import Plan
from lakeloop.lake.schema_versions import SchemaVersions
from lakeloop.lake.storage import filesystem

log = logs.get(__name__)
MOST_SAID = 3


@dataclass(frozen=True)
class RestReader:
    """Reads an API, a batch at a time.

    Where it stops answering, the pages before that are a batch of their own, and the next batch goes on from the page
    that failed; a partition that fails leaves the others as they are. With `at_once` there is no such batch: it would
    replace a whole table. `texts` are the columns that transforms read as text, of which no type is inferred.
    """

    spark: SparkSession
    service: Service
    spec: RestSource
    landing: str
    versions: SchemaVersions
    texts: frozenset[str] = frozenset()
    at_once: bool = False

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        """Fetch and land all that is new.

        Raises SourceError where something failed and nothing came, SchemaChangedError for a difference that is declared
        to stop the run.
        """
        before = Parts.of_json(last.details["reached"]) if last else Parts()
        asked = before.next(self.spec, now())
        if not asked:
            return None
        folder = f"{self.landing}/{uuid.uuid4().hex}"
        try:
            fetched = self._fetched(asked, folder, progress)
            return self._planned(last, before, asked, fetched, folder)
        except BaseException:
            _delete(folder)
            raise

    def plan_again(self, last: Plan, asked: Asked, begin: Any, progress: Progress, /) -> Again | None:
        """Fetch and land the next pages or ranges of the part. Raises SourceError as `plan` does."""
        known, where = Parts.of_json(last.details["reached"]), f"{self.spec.rest} {self.spec.path}"
        while True:
            parts, ranges = next_parts(self.spec, known, asked, begin, where)
            if not parts:
                return None
            folder = f"{self.landing}/{uuid.uuid4().hex}"
            try:
                fetched = self._fetched(parts, folder, progress)
                found = self._planned(last, Parts(), parts, fetched, folder)
            except BaseException:
                _delete(folder)
                raise
            begin = goes_on(parts, fetched, ranges)
            if found is not None:
                summary = f"{sum(each.records for each in fetched):,} records"
                return Again(replace(found, summary=summary), begin, None if begin else 0)
            if begin is None:
                return None

    def read(self, plan: Plan) -> Extract:
        """The landed records, each with its page and its place in it, as rows of the planned columns."""
        schema = PlannedSchema.of_json(plan.details["schema"])
        files = plan.details["files"]
        empty = f"{TEXT} string, {POSITION} struct<origin:string,record:bigint>"
        lines = read_lines(self.spark, files) if files else self.spark.createDataFrame([], empty)
        lacks = tuple(dict.fromkeys(name for names in schema.lacks.values() for name in names))
        parser = RecordParser(tuple(schema.schema.names), self.spec.paths, schema.aliases, lacks)
        return conform_to_schema(parse_records(lines, parser), schema, self.spec.schema_rules, "answer")

    def probe(self) -> Iterator[Check]:
        """Look at the first page."""
        return probe_api(self.service, self.spec)

    def finish(self, ended: Ended) -> None:
        """Enter what the answers had into the record of schemas."""
        self._schemas.record(PlannedSchema.of_json(ended.plan.details["schema"]), ended.run)

    def release(self, plan: Plan) -> None:
        """Delete the landed pages; bronze has their records."""
        _delete(plan.details["folder"])

    @property
    def _schemas(self) -> SchemaPlanner:
        return SchemaPlanner(self.spec, self.versions, self.texts)

    def _fetched(self, asked: Sequence[Part], folder: str, progress: Progress) -> list[Fetched]:
        if self.spec.partitions is not None:
            progress(f"fetching {len(asked):,} partitions")
            return fetch_on_executors(self.spark, self.service, self.spec, asked, folder)
        with Client(self.service) as client:
            return [fetch(self.spec, client, list(part.query), part.reach, folder, progress) for part in asked]

    def _planned(
        self, last: Plan | None, before: Parts, asked: Sequence[Part], fetched: Sequence[Fetched], folder: str
    ) -> Plan | None:
        files = {path: origin for each in fetched for path, origin in each.files.items()}
        failures = [self._failure(each) for each in fetched if each.failure]
        goes_on = any(each.reach.at is not None and each.failure is None for each in fetched)
        if failures and (self.at_once or not files):
            raise SourceError(_said(failures, len(asked)))
        if goes_on and self.at_once:
            said = "has more pages than max_pages, and a part of them would replace the whole table; raise max_pages"
            raise SourceError(f"{self.spec.rest} {self.spec.path} {said}")
        if held := sum(each.held for each in fetched):
            log.warning("records are held back", source=f"{self.spec.rest} {self.spec.path}", records=held)
        if not files and not goes_on:
            return None
        observed, named = Observed(), f"{self.spec.rest} {self.spec.path}"
        for each in fetched:
            observed.add(Observed(each.types, each.kinds))
        schema = self._schemas.plan(lambda _values: [observed.found(named)] if observed.types else [])
        known = last.details["kinds"] if last else {}
        schema = replace(schema, changes=(*schema.changes, *retyped(known, observed.kinds, named)))
        kinds = Observed({}, dict(known))
        kinds.add(Observed({}, observed.kinds))
        details = {
            "folder": folder,
            "files": files,
            "reached": before.after(self.spec, asked, fetched).as_json,
            "kinds": kinds.kinds,
            "schema": schema.as_json,
        }
        changes = self._new_changes(schema)
        failure = "; ".join([_said(failures, len(asked)), *changes]) if failures else None
        return Plan(details, "; ".join([self._summary(asked, fetched), *changes]), failure)

    def _failure(self, fetched: Fetched) -> str:
        if self.at_once or not fetched.files:
            return str(fetched.failure)
        going_on = Pager(self.spec.paginate).said(fetched.reach.at) if fetched.reach.at else "its start"
        return f"{fetched.failure}; pages before it have landed, the next run goes on from {going_on}"

    def _summary(self, asked: Sequence[Part], fetched: Sequence[Fetched]) -> str:
        records, known = sum(each.records for each in fetched), sum(each.known for each in fetched)
        said = f"{records:,} records"
        if self.spec.partitions is not None:
            said += f" of {len(asked):,} partitions"
        elif since := self._since(asked[0]):
            said += f" since {since}"
        if known:
            said += f", {known:,} more were read before"
        if held := sum(each.held for each in fetched):
            said += f"; {held_back.said(held, 'record', 'the present')}"
        more = sum(each.reach.at is not None and each.failure is None for each in fetched)
        return said + (", more pages are left for the next run" if more else "")

    def _new_changes(self, schema: PlannedSchema) -> list[str]:
        """What a person should hear: changes that no batch of this version had before."""
        if not schema.changes:
            return []
        known = {(row["version"], row["change"], row["column"]) for row in self.versions.changes()}
        version = schema.schema.version
        details = [said for change, name, said in schema.changes if (version, change, name) not in known]
        left = len(details) - MOST_SAID
        return [*details[:MOST_SAID], *([f"and {left:,} more changes, see lakeloop schema"] if left > 0 else [])]

    def _since(self, part: Part) -> str | None:
        return part.reach.since if part.reach.at is not None else part.reach.greatest


def _said(failures: Sequence[str], parts: int) -> str:
    if parts == 1:
        return failures[0]
    left = f"; and {len(failures) - MOST_SAID:,} more" if len(failures) > MOST_SAID else ""
    whole = f"{len(failures):,} of {parts:,} partitions stopped, the next run goes on with these"
    return f"{'; '.join(failures[:MOST_SAID])}{left}; {whole}"


def _delete(folder: str) -> None:
    system, path = filesystem(folder)
    if system.get_file_info(path).type is not fs.FileType.NotFound:
        system.delete_dir(path)
