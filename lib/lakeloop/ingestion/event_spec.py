"""What a user may write under `events:` of a sink."""

from pydantic import Field

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.field_names import FieldName


class Events(Declaration):
    """A topic that the good rows of each batch are sent to, as JSON, once they are in the sink's table."""

    kafka: str = Field(description="Connection")
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    key: FieldName | None = Field(default=None, description="Column whose text is the key; none: no key")
