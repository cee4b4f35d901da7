"""What a user may write of a source that reads tables of the lake."""

from pydantic import Field

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.table_spec import TableReference


class QuerySource(Declaration):
    """SQL over tables of the lake; read again whenever one of its inputs has a new version."""

    inputs: dict[str, TableReference] = Field(min_length=1, description="View name in the query: table")
    query: str

    @property
    def data_set(self) -> None:
        """None: what it reads are tables of the lake."""

    @property
    def data_sets(self) -> tuple[str, ...]:
        """These tables, in the order of their views."""
        return tuple(self.inputs.values())

    @property
    def lake_tables(self) -> frozenset[str]:
        """The tables of the lake that it reads."""
        return frozenset(self.inputs.values())
