"""What a user may write under `source:` in `pipelines/<name>.yml`."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.field_names import FieldNames
from lakeloop.ingestion.files_spec import FilesSource
from lakeloop.lake.tables import REFERENCE

TableReference = Annotated[str, Field(pattern=REFERENCE.pattern)]


class Cursor(Declaration):
    """Incremental reading: only rows whose cursor is greater than the greatest one read so far."""

    cursor: str


class RestCursor(Cursor):
    """Incremental reading of an API that filters by the cursor itself."""

    param: str = Field(description="Query parameter that takes the greatest cursor read so far")


class JdbcSource(Declaration):
    """A table of a database."""

    jdbc: str = Field(description="Connection")
    table: str
    incremental: Cursor | None = Field(default=None, description="Without it every run reads the whole table")


class Pagination(Declaration):
    """Numbered pages from 1; a page with fewer than `size` records is the last."""

    page_param: str = "page"
    size_param: str = "per_page"
    size: int = Field(default=500, gt=0)


class RestSource(Declaration):
    """A paged API whose answer holds a list of flat JSON records."""

    rest: str = Field(description="Connection")
    path: str = Field(pattern="^/", description="Path below the connection's address")
    records: str = Field(description="Key of the answer that holds the list")
    paginate: Pagination = Pagination()
    incremental: RestCursor | None = None
    fields: FieldNames


class QuerySource(Declaration):
    """SQL over tables of the lake; read again whenever one of its inputs has a new version."""

    inputs: dict[str, TableReference] = Field(min_length=1, description="View name in the query: table")
    query: str


def _kind_of_source(value: Any) -> str | None:
    given = value if isinstance(value, dict) else value.__dict__ if isinstance(value, Declaration) else {}
    found = [kind for kind in ("jdbc", "rest", "files", "query") if kind in given]
    return f"{found[0]}_source" if len(found) == 1 else None  # not a key, or errors would show the line of that key


Source = Annotated[
    Annotated[JdbcSource, Tag("jdbc_source")]
    | Annotated[RestSource, Tag("rest_source")]
    | Annotated[FilesSource, Tag("files_source")]
    | Annotated[QuerySource, Tag("query_source")],
    Discriminator(
        _kind_of_source,
        custom_error_type="source",
        custom_error_message="a source has exactly one of the keys files, jdbc, query, rest",
    ),
]
