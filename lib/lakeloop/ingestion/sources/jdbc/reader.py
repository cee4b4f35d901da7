"""Plans what one batch takes from a database, and reads it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core import logs
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.source_specs.jdbc import JdbcCursor
from lakeloop.ingestion.sources.backfill import Again, Asked
from lakeloop.ingestion.sources.held_back import said
from lakeloop.ingestion.sources.jdbc import again, spans
from lakeloop.ingestion.sources.jdbc.columns import converted
from lakeloop.ingestion.sources.jdbc.database import Database
from lakeloop.ingestion.sources.jdbc.order import is_before
from lakeloop.ingestion.sources.jdbc.probing import probe_database
from lakeloop.ingestion.sources.jdbc.spans import Span
from lakeloop.ingestion.sources.jdbc.table import RECENT, Table, latest_cursor
from lakeloop.ingestion.sources.jdbc.taken import fingerprint, taken_rows, untaken
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import (
    FINGERPRINT,
    ORIGINAL,
    POSITION,
    RESCUED,
    Ended,
    Extract,
    Progress,
)
from lakeloop.lake.ledger import Ledger, Plan
from lakeloop.lake.tables import Lake

log = logs.get(__name__)


@dataclass(frozen=True)
class JdbcReader:
    """Reads a table or a query of one database, for one pipeline.

    With a cursor, a batch is the half-open interval (greatest read, greatest now], and what came late below it: each
    batch looks once more at [greatest read - overlap, greatest read] and takes the rows that are not in bronze yet, as
    `taken` recognises them. Without an overlap these are the rows of the greatest value itself, so that ties which are
    committed later come, too. Rows whose cursor has no place in the order (NULL, NaN, infinity) are read by the first
    batch only. The interval and the boundaries of parallel parts are fixed in the plan.
    """

    lake: Lake
    pipeline: str
    database: Database
    spec: JdbcSource

    def plan(self, last: Plan | None, progress: Progress) -> Plan | None:
        """The next interval of the cursor, or all rows where none is declared; None: nothing is new.

        Raises SourceError for what the database refuses and for columns that are not there or do not serve.
        """
        table, declared = Table.look(self.database, self.spec), self.spec.incremental
        if declared is None:
            whole = "the whole table" if self.spec.table else "the whole query"
            return Plan({"span": None, "boundaries": table.boundaries(self._num_partitions)}, whole)
        before = last.details["span"] if last else None
        if before is None:
            return self._plan_first(table, declared, progress)
        return self._plan_next(table, declared, Span.of_json(before), progress)

    def plan_again(self, last: Plan, asked: Asked, _begin: Any, progress: Progress, /) -> Again | None:
        """All rows of a part of the cursor, in one batch."""
        table, declared, origin = Table.look(self.database, self.spec), self.spec.incremental, self.database.origin
        if declared is None or last.details["span"] is None:
            raise SourceError(f"{origin}: its batches so far had no cursor, so no part of it is known as read before")
        before = Span.of_json(last.details["span"])
        spans.require_same_cursor(before, declared.cursor, origin)
        following = spans.following(before, None, table.order, declared.overlap, self._newest)
        part = again.part_of(asked, following, table.order, origin)
        n, _, boundaries = table.survey(again.condition_of(part, table), self._num_partitions)
        if n == 0:
            return None
        summary = f"{n:,} rows"
        progress(summary)
        return Again(Plan({"part": part.as_json, "boundaries": boundaries}, summary))

    def read(self, plan: Plan) -> Extract:
        """The rows of the plan in the types of the lake, and what is found of values that it cannot hold."""
        table, boundaries = Table.look(self.database, self.spec), plan.details["boundaries"]
        if "part" in plan.details:
            part = again.Part.of_json(plan.details["part"])
            rows = again.rows_of(part, table, boundaries, self.lake, self._record_table)
        elif plan.details["span"] is None:
            rows = table.rows(boundaries=boundaries)
        else:
            rows = self._rows_of(table, Span.of_json(plan.details["span"]), boundaries)
        position = F.struct(F.lit(self.database.origin).alias("origin"), F.lit(None).cast("bigint").alias("record"))
        original = F.struct(*(F.col(f"`{name}`") for name in table.names))
        nothing = F.lit(None).cast("string")
        framed = rows.withColumns({POSITION: position, ORIGINAL: original, RESCUED: nothing})
        return Extract(*converted(framed, table.columns))

    def probe(self) -> Iterator[Check]:
        """Look at what is read."""
        return probe_database(self.database, self.spec)

    def finish(self, ended: Ended) -> None:
        """Nothing is noted: bronze itself has the fingerprints."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""

    def has_moved(self, _plan: Plan, /) -> bool:
        """Transactions may have committed late below the cursor, or changed what was there."""
        return True

    def explain(self, failure: PySparkException | Py4JJavaError) -> SourceError | None:
        """A failure of the database underway, in words."""
        return self.database.explain(failure)

    def _plan_first(self, table: Table, declared: JdbcCursor, progress: Progress) -> Plan | None:
        n, upto, boundaries, held = self._survey(table, declared, None)
        if upto is None and held:
            raise SourceError(f"{self.database.origin}: {held}")
        if n == 0:
            return None
        if upto is None:
            raise SourceError(
                f"{self.database.origin}: none of its {n:,} rows has a value in {declared.cursor} that could be "
                "ordered, so it is no cursor; name another column, or leave `incremental` out to read the whole table"
            )
        progress(f"{n:,} rows")
        span = spans.first(declared.cursor, upto, table.order, declared.overlap, self._newest)
        return Plan({"span": span.as_json, "boundaries": boundaries}, "; ".join(filter(None, [f"{n:,} rows", held])))

    def _plan_next(self, table: Table, declared: JdbcCursor, last: Span, progress: Progress) -> Plan | None:
        spans.require_same_cursor(last, declared.cursor, self.database.origin)
        n, upto, boundaries, held = self._survey(table, declared, last.upto)
        span = spans.following(last, upto, table.order, declared.overlap, self._newest)
        if n:
            summary = f"{n:,} rows since {last.upto}"
        elif late := self._late_rows(table, span).count():
            summary = f"{late:,} rows that came late, since {span.low}"
        else:
            return None
        progress(summary)
        return Plan({"span": span.as_json, "boundaries": boundaries}, "; ".join(filter(None, [summary, held])))

    def _survey(
        self, table: Table, declared: JdbcCursor, after: str | None
    ) -> tuple[int, str | None, list[str], str | None]:
        """What is new behind a cursor, as `Table.survey` gives it, and words on rows that are dated ahead."""
        whole = "1 = 1" if after is None else table.interval.after(table.literal(after))
        n, upto, boundaries = table.survey(whole, self._num_partitions)
        latest = None if upto is None else latest_cursor(table, declared.ahead)
        if upto is None or latest is None or not is_before(latest, upto, table.order):
            return n, upto, boundaries, None
        bound = table.literal(latest)
        there = table.interval.until(bound) if after is None else table.interval.fresh(table.literal(after), bound)
        left, upto, boundaries = table.survey(there, self._num_partitions)
        held = said(n - left, "row", latest)
        log.warning("rows are held back", source=self.database.origin, rows=n - left, latest=latest)
        return left, upto, boundaries, held

    @property
    def _newest(self) -> int:
        """The number of the batch that was planned last."""
        newest = Ledger(self.lake.root).history(self.pipeline).last
        return newest.batch_id if newest else -1

    @property
    def _record_table(self) -> str:
        return f"bronze.{self.pipeline}"

    @property
    def _num_partitions(self) -> int:
        return self.spec.parallel.num_partitions if self.spec.parallel else 1

    def _rows_of(self, table: Table, span: Span, boundaries: list[str]) -> DataFrame:
        """The rows of an interval with their fingerprints, where a later batch may meet them again."""
        upto = table.literal(span.upto)
        if span.after is None:
            condition = table.interval.until(upto)
        else:
            condition = table.interval.fresh(table.literal(span.after), upto)
        fresh = table.rows(condition, recent_from=span.known_from, boundaries=boundaries)
        known = F.when(F.col(RECENT) == 1, fingerprint(fresh, table.names))
        rows = fresh.withColumn(FINGERPRINT, known).drop(RECENT)
        return rows if span.after is None else rows.unionByName(self._late_rows(table, span))

    def _late_rows(self, table: Table, span: Span) -> DataFrame:
        """The rows at or below what was read before that earlier batches do not have."""
        assert span.low is not None
        assert span.after is not None
        again = table.rows(table.interval.again(table.literal(span.low), table.literal(span.after)))
        taken = taken_rows(self.lake, self._record_table, span.behind, span.until)
        return untaken(again.withColumn(FINGERPRINT, fingerprint(again, table.names)), taken)
