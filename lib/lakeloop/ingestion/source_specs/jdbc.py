"""What a user may write of a source that reads a database."""

from pydantic import Field

from lakeloop.core.documents import Declaration


class Cursor(Declaration):
    """Incremental reading: only rows whose cursor is greater than the greatest one read so far."""

    cursor: str


class JdbcSource(Declaration):
    """A table of a database."""

    jdbc: str = Field(description="Connection")
    table: str
    incremental: Cursor | None = Field(default=None, description="Without it every run reads the whole table")
