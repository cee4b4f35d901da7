"""Follows tables: plans the marks of the next batch, reads what lies between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import now
from lakeloop.core.spark_failures import all_said
from lakeloop.ingestion.changes import SNAPSHOT
from lakeloop.ingestion.source_specs.tables import TablesSource
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED, Ended, Extract, Progress
from lakeloop.ingestion.sources.tables.changed_rows import emptied, net_changes, with_places
from lakeloop.ingestion.sources.tables.commit_order import Commit, CommitOrder
from lakeloop.ingestion.sources.tables.probing import probe_tables
from lakeloop.ingestion.sources.tables.steps import Step, marks_after, steps_of, summary_of
from lakeloop.ingestion.sources.tables.uniting import UnitedColumn, unite_columns, united_rows
from lakeloop.lake.delta_log import DeltaLog
from lakeloop.lake.increments import (
    BATCH,
    CHANGE_TYPE,
    ORIGIN,
    Mark,
    added,
    at_most,
    changes,
    mark_of,
    versions_between,
)
from lakeloop.lake.ledger import Plan
from lakeloop.lake.tables import Lake
from lakeloop.lake.version_range import FEED_ON, VersionRange, committed_at
from lakeloop.quality.row_rules.columns import value_of

MISSING = ("FileNotFoundException", "DELTA_FILE_NOT_FOUND", "DELTA_CHANGE_DATA_FILE_NOT_FOUND")
Columns = Mapping[str, UnitedColumn]


@dataclass(frozen=True)
class TablesReader:
    """Reads tables of the lake or, with the path of a `folder`, Delta tables in it.

    `keys` are the columns of the source that the keys of `sink` are made of, `texts` those that transforms convert.
    """

    lake: Lake
    spec: TablesSource
    pipeline: str
    sink: str
    keys: tuple[str, ...] = ()
    texts: frozenset[str] = frozenset()
    folder: str | None = None

    def plan(self, last: Plan | None, progress: Progress) -> Plan | None:
        """The marks between which the next batch lies, and the order of the commits where they are changes.

        Raises TableError for a table that does not exist, SourceError for rows that cannot be had or not be united.
        """
        before = self._before(last)
        steps = {name: self._step(name, before.get(name)) for name in self.spec.tables}
        if last is not None and not any(step.has_moved for step in steps.values()):
            return None
        ranges = {name: self._versions(name, step) for name, step in steps.items()}
        self._united(steps)
        details: dict[str, Any] = {
            "tables": {name: step.as_json for name, step in steps.items()},
            "left": {name: mark for name, mark in before.items() if name not in steps},
            "changes": self.spec.changes,
        }
        if self.spec.changes:
            details |= self._ordered(last, steps, ranges)
        summary = summary_of(steps)
        progress(summary)
        return Plan(details, summary)

    def read(self, plan: Plan) -> Extract:
        """The rows between the marks of a plan, or the changes; raises as `plan` does where they are gone since."""
        steps = steps_of(plan)
        columns = self._united(steps)
        if not self.spec.changes:
            came = {
                name: added(self.lake, name, step.since, step.until, self._path(name)) for name, step in steps.items()
            }
            place = F.struct(F.col(ORIGIN).alias("origin"), F.col(BATCH).alias("record"))
            rows = united_rows(came, columns, self.spec.table_column).withColumn(POSITION, place)
            return Extract(self._framed(rows.drop(ORIGIN, BATCH), columns))
        order = CommitOrder.of_json(plan.details["order"])
        came = {name: with_places(self._changes(name, step), name, order) for name, step in steps.items()}
        rows, repeated = net_changes(united_rows(came, columns, self.spec.table_column), self.keys)
        if plan.details["truncates"]:
            types = {name: column.type for name, column in columns.items()}
            types |= {} if self.spec.table_column is None else {self.spec.table_column: "string"}
            rows = emptied(self.lake.spark, types, self.spec.tables[0], *plan.details["emptied"]).unionByName(rows)
        return Extract(self._framed(rows, columns), (repeated,))

    def probe(self) -> Iterator[Check]:
        """Look at the tables."""
        steps = {name: self._step(name, None) for name in self.spec.tables}
        folders = {name: self._folder(name, step.until) for name, step in steps.items()}
        return probe_tables(self.lake, steps, self._united(steps), folders, {name: self._path(name) for name in steps})

    def finish(self, ended: Ended) -> None:
        """Nothing is noted."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""

    def explain(self, failure: PySparkException | Py4JJavaError) -> SourceError | None:
        """Files of the tables that went after the batch was planned."""
        text = all_said(failure)
        for name in self.spec.tables if any(word in text for word in MISSING) else ():
            if self._folder(name, mark_of(self.lake, name, self._path(name))).rpartition("://")[2] in text:
                return SourceError(
                    f"{name}: files that were to be read are gone, so they were vacuumed before; let files stay longer "
                    "than a reader may lag behind (delta.deletedFileRetentionDuration), and `lakeloop stream reset "
                    f"{self.pipeline}`, which reads the table anew"
                )
        return None

    def _before(self, last: Plan | None) -> dict[str, Mark]:
        """How far each table was read. Raises SourceError where rows were read in another way."""
        if last is None or "tables" not in last.details:  # the pipeline had another source
            return {}
        if last.details["changes"] != self.spec.changes:
            was, now_is = ("changes", "rows") if last.details["changes"] else ("rows", "changes")
            raise SourceError(
                f"{self.pipeline} read {was} until now and is to read {now_is}, which begin with the whole tables; "
                f"`lakeloop stream reset {self.pipeline}`, then run it"
            )
        return marks_after(last)

    def _step(self, name: str, since: Mark | None) -> Step:
        now_at = mark_of(self.lake, name, self._path(name))
        until = now_at if self.spec.max_batches is None else at_most(since, now_at, self.spec.max_batches)
        if self.spec.changes and until["feed"] is None:
            raise SourceError(f"{name} only grows, as a view of {until['of']}: leave `changes` out, or read it alone")
        if self.spec.changes and since is None and not until["feed"]:
            raise SourceError(
                f"{name} keeps no record of how its rows change; switch its change feed on, by `change_feed: true` in "
                f"the sink of the pipeline that writes it (then `lakeloop run` it) or by {FEED_ON}"
            )
        return Step(since, until, now_at["at"] - until["at"])

    def _versions(self, name: str, step: Step) -> VersionRange | None:
        found = versions_between(self.lake, name, step.since, step.until, self._path(name))
        if found is not None and found.changed_by is not None and not self.spec.changes:
            raise SourceError(
                f"{name} does not only grow: {found.changed_by} changed or removed rows; declare `changes: true` in "
                f"the source, so that they come, too, and `lakeloop stream reset {self.pipeline}`"
            )
        return found

    def _united(self, steps: Mapping[str, Step]) -> Columns:
        """The columns of all tables. Raises SourceError where they do not fit each other or lack a key."""
        columns = unite_columns(
            {name: step.until["columns"] for name, step in steps.items()},
            lacking=self.spec.lacking,
            texts=self.texts,
            table_column=self.spec.table_column,
        )
        there = [*columns, *([self.spec.table_column] if self.spec.table_column else [])]
        if self.spec.changes and (missing := [key for key in self.keys if key not in there]):
            raise SourceError(
                f"{self.pipeline}: {', '.join(self.spec.tables)} give no column {missing[0]}, which the sink's keys "
                f"are made of; {propose(missing[0], there)}"
            )
        return columns

    def _ordered(
        self, last: Plan | None, steps: Mapping[str, Step], ranges: Mapping[str, VersionRange | None]
    ) -> dict[str, Any]:
        """The order of the commits; where a sink that has rows begins anew, they go at the time of the whole tables."""
        record, at = (last.details["order"]["record"], last.details["order"]["at"]) if last else (0, 0)
        begins_anew = last is None and self.lake.exists(self.sink)
        wholes = [
            Commit(name, step.until["at"], self._time_of(name, step.until, is_now=begins_anew))
            for name, step in steps.items()
            if step.since is None
        ]
        commits = [
            Commit(name, version, at) for name, found in ranges.items() if found for version, at in found.times.items()
        ]
        order = CommitOrder.of(wholes, commits, record + begins_anew, at)
        emptied_at = max((places[0][1] for _, places in order.places.values() if places[0]), default=at)
        return {"order": order.as_json, "truncates": begins_anew, "emptied": [record, emptied_at]}

    def _time_of(self, name: str, mark: Mark, *, is_now: bool) -> int:
        if is_now:
            return int(now().timestamp() * 1000)
        return committed_at(DeltaLog(self._folder(name, mark)).commit(mark["at"])[0])

    def _changes(self, name: str, step: Step) -> DataFrame:
        if step.since is None:
            return added(self.lake, name, None, step.until, self._path(name)).withColumn(CHANGE_TYPE, F.lit(SNAPSHOT))
        return changes(self.lake, name, step.since, step.until, self._path(name))

    def _framed(self, rows: DataFrame, columns: Columns) -> DataFrame:
        named = [*columns, *([self.spec.table_column] if self.spec.table_column else [])]
        original = F.struct(*(value_of(name) for name in named))
        return rows.withColumns({ORIGINAL: original, RESCUED: F.lit(None).cast("string")})

    def _path(self, name: str) -> str | None:
        return None if self.folder is None else f"{self.folder}/{name}"

    def _folder(self, name: str, mark: Mark) -> str:
        """Where the files of its rows are."""
        return self._path(name) or self.lake.path(mark["of"])
