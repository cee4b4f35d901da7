"""What a user may write of a source that reads a database."""

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration
from lakeloop.core.durations import Duration, Written, parse_wait
from lakeloop.ingestion.field_names import FieldNames

# Texts, quoted names and comments: what stands in them is no SQL.
NO_SQL = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL)
NO_OVERLAP = PydanticCustomError(
    "overlap", "an overlap is a length of time, as 1h or 2d, or for a cursor of numbers a number that is not negative"
)


def _one_select(query: str) -> str:
    sql = NO_SQL.sub(" ", query)
    word = sql.split(None, 1)[0].upper() if sql.strip() else "nothing"
    if word not in ("SELECT", "WITH"):
        raise ValueError(f"a query is one SELECT, found {word}; a database is only read from")
    return _no_semicolon(query)


def _no_semicolon(text: str) -> str:
    if ";" in NO_SQL.sub(" ", text):
        raise ValueError("one statement is allowed here; leave the semicolon out")
    if not text.strip():
        raise ValueError("nothing stands here; write SQL or leave the key out")
    return text


def _parse_overlap(value: Any) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = Decimal(str(value))
        if number.is_finite() and number >= 0:
            return number
    elif isinstance(value, str | dt.timedelta):
        return parse_wait(value)
    raise NO_OVERLAP


Overlap = Annotated[dt.timedelta | Decimal, BeforeValidator(_parse_overlap, json_schema_input_type=float | Written)]


class Cursor(Declaration):
    """Incremental reading: only rows whose cursor is greater than the greatest one read so far."""

    cursor: str


class JdbcCursor(Cursor):
    """Incremental reading of a table, with what is read again for the sake of rows that were committed late."""

    overlap: Overlap | None = Field(
        default=None, description="How far below the greatest cursor read each batch looks again; rows come once"
    )
    ahead: Duration | None = Field(
        default=None,
        description="How far ahead of the database's clock a time may be to be read; left out: 10m, without zone 1d",
    )


class Parallel(Declaration):
    """Reading over several connections at once, each a part of the values of a column."""

    partition_column: str = Field(description="Of numbers, dates or times, that no row changes, as a key is")
    num_partitions: int = Field(ge=2, le=256)


class JdbcSource(Declaration):
    """A table of a database, or what one SELECT gives there."""

    jdbc: str = Field(description="Connection")
    table: str | None = None
    query: Annotated[str, AfterValidator(_one_select)] | None = Field(default=None, description="In place of a table")
    columns: FieldNames | None = Field(default=None, description="Those that are read; left out: all")
    where: Annotated[str, AfterValidator(_no_semicolon)] | None = Field(
        default=None, description="A condition in the database's own SQL"
    )
    parallel: Parallel | None = Field(default=None, description="Without it one connection reads")
    incremental: JdbcCursor | None = Field(default=None, description="Without it every run reads the whole table")

    @model_validator(mode="after")
    def _reads_one_thing(self) -> Self:
        if (self.table is None) == (self.query is None):
            found = "neither" if self.table is None else "both"
            raise PydanticCustomError("jdbc", f"a source of a database has a table or a query, found {found}")
        return self

    @property
    def what(self) -> str:
        """What is read, in messages and as the place of its rows."""
        return self.table if self.table is not None else "query"

    @property
    def data_set(self) -> str:
        """What the catalog calls it."""
        return f"jdbc:{self.jdbc}/{self.what}"

    @property
    def arriving(self) -> tuple[str, ...]:
        """The columns that it is declared to give; empty where only reading tells."""
        return tuple(self.columns or ())
