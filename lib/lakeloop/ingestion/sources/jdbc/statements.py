"""The SQL that is sent: what is read, under which condition, and the parts that several connections read.

Names are quoted and values are literals of the engine; the user's own SQL stands in parentheses on lines of its own, so
that a comment at its end ends there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lakeloop.ingestion.source_specs import JdbcSource


def identifier(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def string(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Relation:
    """What stands behind FROM, and the condition that is declared for it."""

    sql: str
    where: str | None = None

    @classmethod
    def of(cls, declared: JdbcSource) -> "Relation":
        """The table or the query of a declaration."""
        if declared.table is not None:
            return cls(".".join(map(identifier, declared.table.split("."))), declared.where)
        return cls(f"(\n{declared.query}\n) AS lakeloop_query", declared.where)

    def select(self, expressions: Sequence[str], *conditions: str) -> str:
        """One SELECT over the rows that meet all conditions and the declared one."""
        every = [*([f"\n{self.where}\n"] if self.where else []), *conditions]
        where = f" WHERE {' AND '.join(f'({condition})' for condition in every)}" if every else ""
        return f"SELECT {', '.join(expressions)} FROM {self.sql}{where}"


@dataclass(frozen=True)
class Interval:
    """The conditions of a cursor's intervals, made of its name in SQL and of what its order is true for.

    A value without a place in it is NULL, or such as NaN and infinity; `ordered` is not true of it.
    """

    column: str
    ordered: str

    def until(self, upto: str) -> str:
        """All rows up to a literal, and those without a place in the order."""
        return f"{self.column} <= {upto} OR ({self.ordered}) IS NOT TRUE"

    def after(self, after: str) -> str:
        """All rows behind a literal."""
        return f"{self.ordered} AND {self.column} > {after}"

    def fresh(self, after: str, upto: str) -> str:
        """Rows behind what was read: the interval (after, upto]."""
        return f"{self.ordered} AND {self.column} > {after} AND {self.column} <= {upto}"

    def again(self, low: str, after: str) -> str:
        """Rows that may have come late: the interval [low, after]."""
        return f"{self.ordered} AND {self.column} >= {low} AND {self.column} <= {after}"

    def part(self, first: str, until: str | None, upto: str) -> str:
        """Rows that were read before: the interval [first, until), as far as `upto`."""
        before = f" AND {self.column} < {until}" if until is not None else ""
        return f"{self.ordered} AND {self.column} >= {first}{before} AND {self.column} <= {upto}"


def parts(column: str, boundaries: Sequence[str]) -> list[str]:
    """Half-open parts of a column, of which each row is in exactly one: NULLs are in the first, the ends are open."""
    if not boundaries:
        return []
    first = f"{column} < {boundaries[0]} OR {column} IS NULL"
    inner = [
        f"{column} >= {low} AND {column} < {high}"
        for low, high in pairwise(boundaries)
    ]  # fmt: skip
    return [first, *inner, f"{column} >= {boundaries[-1]}"]
