"""What differs between engines, and a column as an engine has it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.jdbc.order import Order

Ask = Callable[[str, Mapping[str, str]], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Column:
    """A column of the database and the way it comes: `sql` gives it, the driver reads that as `read_as`.

    What is read as text and has another type in the lake, `becomes`, is converted in Spark, so that a value that does
    not fit costs its row and not the batch. `order` tells how it can be a cursor or divide a table, None: not at all.
    """

    name: str
    type: str
    sql: str
    read_as: str = "STRING"
    becomes: str | None = None
    order: Order | None = None


class Dialect(Protocol):
    """One engine."""

    @property
    def driver(self) -> str:
        """The class of its driver; named, because one that Spark fetched itself is not found by the url alone."""
        ...

    @property
    def options(self) -> Mapping[str, str]:
        """Settings of a connection: read only, in UTC."""
        ...

    @property
    def clock(self) -> str:
        """SQL that gives the present in UTC, as a text without zone."""
        ...

    @property
    def remedies(self) -> Mapping[str, str]:
        """What to do, by the beginning of `<SQL state> <message>` as a regular expression; the first match counts."""
        ...

    def columns(self, declared: JdbcSource, names: Callable[[], Mapping[str, str]], ask: Ask) -> list[Column]:
        """The columns in their order, none for a table that is not there.

        `names` gives those of a query with the types in which Spark sees them, `ask` the rows of a SELECT.
        """
        ...

    def text(self, value: str) -> str:
        """SQL that gives an ordered value as a text, with its zone if it has one."""
        ...

    def literal(self, text: str, order: Order) -> str:
        """Such a text as a literal that means the same in any session."""
        ...

    def ordered(self, column: Column) -> str:
        """The condition that a value has a place in the order of its column, and that the lake can hold it."""
        ...
