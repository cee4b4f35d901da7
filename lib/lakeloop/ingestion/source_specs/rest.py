"""What a user may write of a source that reads an HTTP API."""

from pydantic import Field

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.field_names import FieldNames
from lakeloop.ingestion.source_specs.jdbc import Cursor


class RestCursor(Cursor):
    """Incremental reading of an API that filters by the cursor itself."""

    param: str = Field(description="Query parameter that takes the greatest cursor read so far")


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
