"""What a user may write under `source:` in `pipelines/<name>.yml`."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration
from lakeloop.lake.tables import REFERENCE
from lakeloop.quality.arrivals import Expectation

TableReference = Annotated[str, Field(pattern=REFERENCE.pattern)]
# What Delta can store as a column name, less the leading underscore that Lakeloop's own columns have.
FIELD_NAME = r"^[^_`. ,;{}()\n\t=][^`. ,;{}()\n\t=]*$"
FieldName = Annotated[str, Field(pattern=FIELD_NAME)]


def _distinct(names: list[str]) -> list[str]:
    lowered = [name.lower() for name in names]  # Spark's column names do not differ by case alone
    if repeated := sorted({name for name in names if lowered.count(name.lower()) > 1}):
        raise ValueError(f"{', '.join(repeated)}: a field stands twice")
    return names


FieldNames = Annotated[list[FieldName], Field(min_length=1), AfterValidator(_distinct)]


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


class CsvFormat(Declaration):
    """Delimited text with a header line; one record a line."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)


class JsonLinesFormat(Declaration):
    """One JSON object a line."""


class XmlFormat(Declaration):
    """XML documents in which each `row_tag` element is a record and its child elements are the fields."""

    row_tag: str


class Formats(Declaration):
    """How files are read, by extension: `.csv`, `.jsonl`, `.xml`. Files of other extensions are left alone."""

    csv: CsvFormat | None = None
    jsonl: JsonLinesFormat | None = None
    xml: XmlFormat | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if not (self.csv or self.jsonl or self.xml):
            raise PydanticCustomError("formats", "formats names at least one of csv, jsonl, xml, as `jsonl: {}`")
        return self


class FilesSource(Declaration):
    """A folder; each file is read once, by its path, size and modification time."""

    files: str = Field(description="Connection")
    formats: Formats
    fields: FieldNames
    expect: Expectation | None = Field(default=None, description="How often rows come; overdue ones are an incident")


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
