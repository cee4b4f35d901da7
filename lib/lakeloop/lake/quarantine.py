"""What became of quarantined rows. Their record in bronze never changes: a row is open until a decision names it.

A row has no key of its own, so its id is made of its batch, its place and its text. Rows that are equal in all of these
(a table of a database has no line numbers) share an id and every decision, which says how many rows it stands for.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError

from lakeloop.core.errors import ConfigError, TableError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.ops_tables import has_table, uri_of
from lakeloop.lake.quarantine_decisions import PERSONAL, QUARANTINE, append_decisions, decisions
from lakeloop.lake.select import MEMORY, SPILL, Reach, Selected, explained

DIGITS, SHORTEST, SHOWN = 64, 4, 12  # of an id: all, to find a row by, and shown to people
IS_ID = re.compile(f"[0-9a-f]{{{SHORTEST},{DIGITS}}}")


@dataclass(frozen=True)
class Chosen:
    """Which open rows: those with a reason of this rule, those of this origin, that whose id begins so; None: all.

    An origin that is a packed file takes what was inside of it. Equal rows are chosen together.
    """

    rule: str | None = None
    origin: str | None = None
    row: str | None = None


def row_id(batch_id: int, origin: str | None, record: int | None, original: str | None) -> str:
    """The id of a quarantined row, 64 hexadecimal digits; NULL counts as an empty text."""
    place, text = origin or "", original or ""
    parts = f"{batch_id}|{'' if record is None else record}|{len(place)}|{place}|{text}"
    return hashlib.sha256(parts.encode()).hexdigest()


def row_id_sql(table: str = "") -> str:
    """The same as an expression of delta-rs; `table` is an alias with its dot."""
    place, text = f"coalesce({table}_position['origin'], '')", f"coalesce({table}_original, '')"
    record = f"coalesce(CAST({table}_position['record'] AS VARCHAR), '')"
    length = f"CAST(character_length({place}) AS VARCHAR)"
    parts = f"CAST({table}_batch_id AS VARCHAR), '|', {record}, '|', {length}, '|', {place}, '|', {text}"
    return f"encode(sha256(concat({parts})), 'hex')"


@dataclass(frozen=True)
class Quarantine:
    """The quarantined rows of one pipeline and the decisions on them, read and written without Spark.

    `open_batch` is a batch that has not ended: its rows may still be taken back, so they do not count.
    """

    root: str
    pipeline: str
    open_batch: int | None = None

    @property
    def record_table(self) -> str:
        """The table in bronze."""
        return f"bronze.{self.pipeline}"

    def by_rule(self) -> list[dict[str, Any]]:
        """Open rows by rule, most first: `rule`, `rows`, `since`. A row of two reasons counts under both."""
        reasons = "SELECT unnest(_reasons) AS reason, _ingested_at FROM open_rows"
        grouped = f"SELECT reason['rule'] AS rule, count(*) AS rows, min(_ingested_at) AS since FROM ({reasons})"
        return self.rows(f"{grouped} GROUP BY 1 ORDER BY rows DESC, rule")

    def count(self, chosen: Chosen) -> int:
        """How many rows are open."""
        found = self.rows(f"SELECT count(*) AS rows FROM open_rows{_where(chosen)}")
        return int(found[0]["rows"]) if found else 0

    def open_rows(self, chosen: Chosen, limit: int) -> Iterator[pa.RecordBatch]:
        """The first open rows, oldest batch first, with the batch each first came in with and its corrections so far.

        `corrections` is as in `ops.quarantine`, NULL for a row that nobody has corrected.
        """
        columns = (
            "row_id, _batch_id AS batch_id, _position['origin'] AS origin, _position['record'] AS record, "
            "_ingested_at AS came_in, _rules_version AS rules_version, _reasons AS reasons, _original AS original"
        )
        rows = f"SELECT {columns} FROM open_rows{_where(chosen)}"
        if self.has_decisions:
            mine = f"FROM decided WHERE pipeline = {literal(self.pipeline)} AND new_row_id IS NOT NULL"
            earlier = (
                "SELECT new_row_id, min(root_batch_id) AS root_batch_id, first_value(corrections) AS corrections "
                f"{mine} GROUP BY new_row_id"
            )
            rows = (
                "SELECT o.*, coalesce(earlier.root_batch_id, o.batch_id) AS root_batch_id, earlier.corrections "
                f"FROM ({rows}) AS o LEFT JOIN ({earlier}) AS earlier ON o.row_id = earlier.new_row_id"
            )
        else:
            rows = f"SELECT *, batch_id AS root_batch_id, NULL AS corrections FROM ({rows})"
        return self.select(f"SELECT * FROM ({rows}) ORDER BY batch_id, origin, record LIMIT {int(limit)}")

    def find(self, beginning: str) -> str:
        """The whole id of the row that was ever quarantined and whose id begins so.

        Raises ConfigError for what begins no id, TableError where no row has such an id or several have.
        """
        if not IS_ID.fullmatch(beginning):
            raise ConfigError(
                f"'{beginning}' is no row of {self.pipeline}: an id is {SHORTEST} to {DIGITS} of the digits 0-9 and "
                f"a-f; `lakeloop quarantine show {self.pipeline}` names each"
            )
        begins = f"starts_with(row_id, {literal(beginning)})"
        found = self.rows(f"SELECT DISTINCT row_id FROM ever WHERE {begins} ORDER BY row_id LIMIT 4")
        if not found:
            raise TableError(
                f"no row {beginning} of {self.pipeline} was ever quarantined; `lakeloop quarantine show "
                f"{self.pipeline}` has the open ones, `history {self.pipeline}` what became of others"
            )
        if len(found) > 1:
            said = ", ".join(str(row["row_id"])[: len(beginning) + 6] for row in found[:3])
            raise TableError(f"several rows of {self.pipeline} begin with {beginning}: {said}; give more digits")
        return str(found[0]["row_id"])

    def discard(self, chosen: Chosen, run: RunContext, why: str) -> int:
        """Close open rows by decision, in one commit, and give how many; the rows stay in bronze."""
        rows = self.count(chosen)
        found = self.select(
            "SELECT row_id, min(_batch_id) AS batch_id, min(_position['origin']) AS origin, "
            f"min(_position['record']) AS record, count(*) AS rows FROM open_rows{_where(chosen)} GROUP BY row_id"
        )
        if rows:
            append_decisions(self.root, (decisions(batch, self.pipeline, "discarded", run, why) for batch in found))
        return rows

    def old_cells(self, before: dt.datetime) -> Iterator[pa.RecordBatch]:
        """`row_id` of decisions made before a time whose cells no open row needs any more."""
        if not self.has_decisions:
            return iter(())
        return self.select(
            f"SELECT row_id FROM decided WHERE {self._old(before)} "
            "AND (changes IS NOT NULL OR corrections IS NOT NULL) "
            "AND (new_row_id IS NULL OR new_row_id NOT IN (SELECT row_id FROM open_rows))"
        )

    def forget_cells(self, before: dt.datetime, said: CommitProperties) -> int:
        """Take these cells out of the decisions, which stay; gives how many decisions had some."""
        batches = list(self.old_cells(before))
        if not any(batch.num_rows for batch in batches):
            return 0
        same = f"kept.row_id = old.row_id AND {self._old(before, 'kept.')}"
        merge = DeltaTable(uri_of(self.root, QUARANTINE)).merge(
            pa.Table.from_batches(batches), same, source_alias="old", target_alias="kept", commit_properties=said
        )
        gone = merge.when_matched_update(dict.fromkeys(PERSONAL, "NULL")).execute()
        return int(gone["num_target_rows_updated"])

    def _old(self, before: dt.datetime, table: str = "") -> str:
        at = f"arrow_cast('{before.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
        return f"{table}pipeline = {literal(self.pipeline)} AND {table}at < {at}"

    @property
    def has_decisions(self) -> bool:
        """Whether anything was ever decided, of any pipeline; without it, no SQL can name `decided`."""
        return has_table(self.root, QUARANTINE)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What `select` gives, of few rows."""
        return [row for batch in self.select(sql) for row in batch.to_pylist()]

    def select(self, sql: str) -> Iterator[pa.RecordBatch]:
        """A SELECT over `record`, `quarantined`, `open_rows`, `ever` (all ids) and, where there is any, `decided`."""
        if not has_table(self.root, self.record_table):
            return iter(())
        builder = QueryBuilder()
        builder.execute(f"SET datafusion.runtime.memory_limit = '{MEMORY}'").read_all()
        builder.execute(f"SET datafusion.runtime.max_temp_directory_size = '{SPILL}'").read_all()
        is_open = "_verdict = 'quarantined'"
        if self.open_batch is not None:
            is_open += f" AND _batch_id <> {int(self.open_batch)}"
        quarantined = rows = f"SELECT *, {row_id_sql()} AS row_id FROM record WHERE {is_open}"
        ever = f"SELECT row_id FROM ({rows})"
        try:
            builder.register("record", DeltaTable(uri_of(self.root, self.record_table)))
            if self.has_decisions:
                builder.register("decided", DeltaTable(uri_of(self.root, QUARANTINE)))
                is_mine = f"pipeline = {literal(self.pipeline)}"
                ever += f" UNION SELECT row_id FROM decided WHERE {is_mine}"
                ever += f" UNION SELECT new_row_id FROM decided WHERE {is_mine} AND new_row_id IS NOT NULL"
                mine = f"SELECT decided.row_id AS closed_id FROM decided WHERE {is_mine}"
                # From the right: the side on the left is held in memory, and the rows carry their texts.
                rows = f"SELECT * FROM ({mine}) RIGHT ANTI JOIN ({rows}) ON closed_id = row_id"
            # Asked for here and not when the first row is: a writer that is fed by it could not start another engine.
            named = f"WITH quarantined AS ({quarantined}), open_rows AS ({rows}), ever AS ({ever})"
            reader = pa.RecordBatchReader.from_stream(builder.execute(f"{named} {sql}"))
            return Selected(reader, Reach({})).batches()
        except DeltaError as error:
            raise explained(error, Reach({})) from error


def _where(chosen: Chosen) -> str:
    conditions = []
    if chosen.rule is not None:
        reasons = "SELECT row_id AS chosen_id, unnest(_reasons) AS reason FROM open_rows"
        same = f"reason['rule'] = {literal(chosen.rule)}"
        conditions.append(f"row_id IN (SELECT chosen_id FROM ({reasons}) WHERE {same})")
    if chosen.origin is not None:
        place = "_position['origin']"
        inside = f"starts_with({place}, {literal(chosen.origin + '!/')})"
        conditions.append(f"({place} = {literal(chosen.origin)} OR {inside})")
    if chosen.row is not None:
        conditions.append(f"starts_with(row_id, {literal(chosen.row)})")
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
