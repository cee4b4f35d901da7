"""A table or query as it is right now: its columns, its cursor, and its rows under a condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from pyspark.sql import DataFrame

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.jdbc.columns import chosen, find_column, require_order, require_readable
from lakeloop.ingestion.sources.jdbc.database import Database
from lakeloop.ingestion.sources.jdbc.dialect import Column
from lakeloop.ingestion.sources.jdbc.order import Order, between, refuse_overlap
from lakeloop.ingestion.sources.jdbc.statements import Interval, Relation, identifier, parts

RECENT, PART = "_recent", "_part"
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

    def survey(self, condition: str) -> tuple[int, str | None]:
        """How many rows meet a condition, and the greatest value of the cursor among those that have one."""
        greatest = f"max(CASE WHEN {self.interval.ordered} THEN {self.interval.column} END)"
        upto = self.database.dialect.text(greatest)
        sql = self.relation.select([f"{upto} AS upto", "count(*) AS n"], condition)
        (found,) = self.database.ask(sql, {"upto": "STRING", "n": "BIGINT"})
        return found["n"], found["upto"]

    def boundaries(self, num_partitions: int, *conditions: str) -> list[str]:
        """Values that divide the rows under the conditions into parts, from the least and greatest one by one query."""
        column = self.partition
        if column is None or column.order is None:
            return []
        dialect, name = self.database.dialect, identifier(column.name)
        ends = {end: dialect.text(f"{end}({name})") for end in ("min", "max")}
        expressions = [f"{ends['min']} AS least", f"{ends['max']} AS greatest"]
        sql = self.relation.select(expressions, dialect.ordered(column), *conditions)
        (found,) = self.database.ask(sql, {"least": "STRING", "greatest": "STRING"})
        if found["least"] is None:
            return []
        return between(found["least"], found["greatest"], column.order, num_partitions)

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
