"""SELECT over tables of the lake without Spark, by DataFusion as the `deltalake` package carries it.

It reads Delta's log itself, pushes filters and columns into the files and gives record batches as they come. It has no
name for what it was not given: each table that a query mentions is registered as a view over its columns, masked where
they must be, and the name of the rows beneath is dropped again. It could write files (COPY), so a statement is planned
as the body of a view first, which only a query can be; foreign files it reads only by statements that are none.
"""

import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError

from lakeloop.core.errors import QueryError, TableError
from lakeloop.lake.masks import Mask, masked_sql, masking_keys
from lakeloop.lake.open_tables import OpenTable, no_such_table, open_table

MEMORY, SPILL = "512M", "4G"  # beyond the first, sorts and joins go to temporary files; what cannot go there fails
MESSAGE_CHARACTERS = 400
FIRST_WORD = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*(\w*)", re.DOTALL)
MENTIONED = re.compile(r'"?\b(\w+)\b"?\s*\.\s*"?\b(\w+)\b"?')
NOT_FOUND = re.compile(r"table 'datafusion\.([^']*)' not found")

Masks = Mapping[str, Mask]


@dataclass(frozen=True)
class Selected:
    """A result that is read as it is asked for; a failure underway is a QueryError."""

    reader: pa.RecordBatchReader
    reach: "Reach"

    @property
    def names(self) -> list[str]:
        """The columns of the result."""
        names: list[str] = self.reader.schema.names
        return names

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, some thousands at a time."""
        try:
            yield from self.reader
        except (pa.ArrowException, OSError) as error:
            raise explained(error, self.reach) from error

    def first(self, limit: int) -> Iterator[pa.RecordBatch]:
        """The first rows, and one more where there are more."""
        left = limit + 1
        for batch in self.batches():
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                return


@dataclass(frozen=True)
class Reach:
    """What one reader may see: `masks` has an entry, if an empty one, for each table in reach; `secret` keys hashes.

    `may_lack` names masked columns that a table need not have.
    """

    masks: Mapping[str, Masks]
    secret: str | None = field(default=None, repr=False)
    may_lack: Mapping[str, Collection[str]] = field(default_factory=dict)


def mentioned(sql: str, tables: Iterable[str]) -> list[str]:
    """Those of the tables whose names occur in a statement, sorted; a name in a text or comment counts, too."""
    pairs = {f"{schema}.{name}".lower() for schema, name in MENTIONED.findall(sql)}
    return sorted(pairs & set(tables))


def select(root: str, sql: str, reach: Reach) -> Selected:
    """The result of one SELECT, read as it is asked for.

    Raises QueryError for what is no SELECT or cannot be answered, and TableError for a table out of reach.
    """
    word = FIRST_WORD.match(sql)
    if not word or word[1].upper() not in {"SELECT", "WITH", ""} or not sql.strip():
        found = f"found {word[1].upper()}" if word and word[1] else "found nothing"
        raise QueryError(f"only a SELECT is answered, {found}; tables are written by pipelines")
    builder = QueryBuilder({"datafusion.catalog.information_schema": "false"})
    builder.execute(f"SET datafusion.runtime.memory_limit = '{MEMORY}'").read_all()
    builder.execute(f"SET datafusion.runtime.max_temp_directory_size = '{SPILL}'").read_all()
    tables = [open_table(root, name) for name in mentioned(sql, reach.masks)]
    for schema in sorted({table.name.split(".")[0] for table in tables}):
        builder.execute(f"CREATE SCHEMA {schema}").read_all()
    for table in tables:
        _register(builder, table, reach)
    try:
        _require_query(builder, sql)
        return Selected(pa.RecordBatchReader.from_stream(builder.execute(sql)), reach)
    except DeltaError as error:
        raise explained(error, reach) from error


def explained(error: Exception, reach: Reach) -> QueryError | TableError:
    """What the engine says, in a sentence without keys, names of its own or lines of its code."""
    text = str(error).split("\n   0: ")[0].strip()
    if missing := NOT_FOUND.search(text):
        name = missing[1].removeprefix("public.")
        return no_such_table(name, sorted(reach.masks))
    for noise in (
        "External error: ",
        "caused by\n",
        "datafusion.",
        *(masking_keys(reach.secret) if reach.secret else ()),
    ):
        text = text.replace(noise, "")
    text = text.split(". This issue was likely caused")[0][:MESSAGE_CHARACTERS]
    return QueryError(f"the query cannot be answered: {' '.join(text.split())}")


def projection(table: OpenTable, masks: Masks, secret: str | None, rows: str) -> str:
    """The SELECT that shows a table whose rows are called `rows`: its columns, masked, and of a view the good rows."""
    wanted = {name.lower(): mask for name, mask in masks.items()}
    columns = {column.name: column.type for column in table.schema}
    shown = [
        f"{masked_sql(quoted(name), kind, wanted[name.lower()], secret)} AS {quoted(name)}"
        if name.lower() in wanted
        else quoted(name)
        for name, kind in columns.items()
    ]
    good = f" WHERE {table.view.condition}" if table.view else ""
    return f"SELECT {', '.join(shown)} FROM {rows}{good}"


def require_masked_columns(table: OpenTable, masks: Masks, may_lack: Collection[str] = ()) -> None:
    """Raise TableError when a mask names a column that the table lacks: a slip of the pen shows what it should hide."""
    known = {name.lower() for name in (*table.schema.names, *may_lack)}
    if unknown := [name for name in masks if name.lower() not in known]:
        raise TableError(
            f"{table.name} is not shown: its pipeline declares the pii column {', '.join(unknown)}, which the "
            f"table lacks; it has {', '.join(table.schema.names)}"
        )


def quoted(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _register(builder: QueryBuilder, table: OpenTable, reach: Reach) -> None:
    rows = f"rows_{uuid.uuid4().hex}"
    builder.register(rows, table.delta)
    require_masked_columns(table, reach.masks[table.name], reach.may_lack.get(table.name, ()))
    shown = projection(table, reach.masks[table.name], reach.secret, rows)
    builder.execute(f"CREATE VIEW {table.name} AS {shown}").read_all()
    builder.execute(f"DROP TABLE {rows}").read_all()


def _require_query(builder: QueryBuilder, sql: str) -> None:
    """Plan the statement as the body of a view, which takes nothing but one query, and run nothing."""
    name = f"query_{uuid.uuid4().hex}"
    try:
        builder.execute(f"CREATE VIEW {name} AS\n{sql}").read_all()
    except DeltaError as error:
        if "a single SQL statement" in str(error):
            raise QueryError("one SELECT at a time is answered; leave out what follows the semicolon") from error
        if "duplicate unqualified field name" in str(error):
            raise QueryError(f"two columns have one name, give one of them another with AS: {error}") from error
        if "body, found:" in str(error):
            raise QueryError("only a SELECT is answered; tables are written by pipelines") from error
        raise
    try:
        builder.execute(f"SELECT * FROM {name}")  # plans it, and reads nothing unless the batches are asked for
    except DeltaError as error:
        if "CreateMemoryTable" in str(error):
            raise QueryError("a SELECT with INTO would make a table; tables are written by pipelines") from error
        raise
    builder.execute(f"DROP VIEW {name}").read_all()
