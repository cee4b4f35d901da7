"""A table or query as it is right now: its columns, its cursor, and its rows under a condition."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pyspark.sql import DataFrame

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.held_back import latest_of
from lakeloop.ingestion.sources.jdbc.columns import chosen, find_column, require_order, require_readable
from lakeloop.ingestion.sources.jdbc.database import Database
from lakeloop.ingestion.sources.jdbc.dialect import Column
from lakeloop.ingestion.sources.jdbc.order import TIMES, Order, between, refuse_overlap
from lakeloop.ingestion.sources.jdbc.statements import Interval, Relation, identifier, parts

RECENT, PART = "_recent", "_part"
ENDS = {"least": "STRING", "greatest": "STRING"}
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True)
class Table:
    """`columns` are those that are read; `cursor` and `partition` are declared, and need not be among them."""

    database: Database
    relation: Relation
    columns: tuple[Column, ...]
    cursor: Column | None = None
    partition: Column | None = None

    @classmethod
    def look(cls, database: Database, spec: JdbcSource) -> "Table":
        """What is there now.

        Raises SourceError for what the database refuses, and for columns that are not there or do not serve.
        """
        relation, origin = Relation.of(spec), database.origin
        every = database.dialect.columns(spec, lambda: database.names(relation.select(["*"])), database.ask)
        if not every:
            raise database.refused(f"there is no table {spec.what}", "no such table")
        columns = chosen(every, spec.columns, origin)
        require_readable(columns, origin)
        cursor = partition = None
        if spec.incremental is not None:
            cursor = find_column(every, spec.incremental.cursor, "cursor", origin)
            order = require_order(cursor, "cursor", origin, "numbers, dates, times or texts", ORDERS)
            if words := refuse_overlap(order, spec.incremental.overlap):
                raise SourceError(f"{origin}: the cursor {cursor.name} {words}")
        if spec.parallel is not None:
            partition = find_column(every, spec.parallel.partition_column, "partition_column", origin)
            divisible = [each for each in ORDERS if each != "text"]
            require_order(partition, "partition_column", origin, "numbers, dates or times", divisible)
        return cls(database, relation, tuple(columns), cursor, partition)

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        return [column.name for column in self.columns]

    @property
    def order(self) -> Order:
        """The order of the cursor."""
        assert self.cursor is not None
        assert self.cursor.order is not None
        return self.cursor.order

    @property
    def interval(self) -> Interval:
        """The conditions of the cursor."""
        assert self.cursor is not None
        return Interval(identifier(self.cursor.name), self.database.dialect.ordered(self.cursor))

    def literal(self, text: str) -> str:
        """A value of the cursor in SQL."""
        return self.database.dialect.literal(text, self.order)

    def survey(self, condition: str, num_partitions: int) -> tuple[int, str | None, list[str]]:
        """By one query: how many rows meet a condition, the greatest cursor of those that have one, and boundaries."""
        greatest = f"max(CASE WHEN {self.interval.ordered} THEN {self.interval.column} END)"
        expressions = [f"{self.database.dialect.text(greatest)} AS upto", "count(*) AS n"]
        types = {"upto": "STRING", "n": "BIGINT"}
        if self.partition is not None:
            ordered = self.database.dialect.ordered(self.partition)
            expressions += self._ends(f"CASE WHEN {ordered} THEN {identifier(self.partition.name)} END")
            types |= ENDS
        (found,) = self.database.ask(self.relation.select(expressions, condition), types)
        return found["n"], found["upto"], self._between(found, num_partitions)

    def boundaries(self, num_partitions: int) -> list[str]:
        """Values that divide all rows into parts, from the least and the greatest one by one query."""
        if self.partition is None:
            return []
        expressions = self._ends(identifier(self.partition.name))
        sql = self.relation.select(expressions, self.database.dialect.ordered(self.partition))
        (found,) = self.database.ask(sql, ENDS)
        return self._between(found, num_partitions)

    def _ends(self, value: str) -> list[str]:
        text = self.database.dialect.text
        return [f"{text(f'min({value})')} AS least", f"{text(f'max({value})')} AS greatest"]

    def _between(self, found: Mapping[str, Any], num_partitions: int) -> list[str]:
        if self.partition is None or self.partition.order is None or found["least"] is None:
            return []
        return between(found["least"], found["greatest"], self.partition.order, num_partitions)

    def rows(
        self, condition: str | None = None, *, recent_from: str | None = None, boundaries: Sequence[str] = ()
    ) -> DataFrame:
        """The rows under a condition as the driver gives them, a connection for each part between the boundaries.

        With `recent_from`, the column `_recent` is 1 where the cursor is at or above that value and 0 elsewhere.
        """
        expressions = [f"{column.sql} AS {identifier(column.name)}" for column in self.columns]
        types = {column.name: column.read_as for column in self.columns}
        wanted = [*self.names]
        if recent_from is not None:
            at_least = f"{self.interval.column} >= {self.literal(recent_from)}"
            expressions.append(f"CASE WHEN {at_least} THEN 1 ELSE 0 END AS {identifier(RECENT)}")
            types[RECENT] = "INT"
            wanted.append(RECENT)
        divided: list[str] = []
        if self.partition is not None and self.partition.order is not None and boundaries:
            expressions.append(f"{identifier(self.partition.name)} AS {identifier(PART)}")
            literals = [self.database.dialect.literal(text, self.partition.order) for text in boundaries]
            divided = parts(identifier(PART), literals)
        sql = self.relation.select(expressions, *([condition] if condition else []))
        return self.database.rows(sql, types, divided).select(*(f"`{name}`" for name in wanted))


def latest_cursor(table: Table, ahead: dt.timedelta | None) -> str | None:
    """The latest cursor that is read now, by the database's clock; None for what is no time."""
    if table.order not in TIMES:
        return None
    (found,) = table.database.ask(f"SELECT {table.database.dialect.clock} AS present", {"present": "STRING"})
    latest = latest_of(dt.datetime.fromisoformat(found["present"]), ahead, has_zone=table.order == "instant")
    if latest is None:
        return None
    if table.order == "date":
        return latest.date().isoformat()
    return latest.isoformat(sep=" ") + ("+00:00" if table.order == "instant" else "")
