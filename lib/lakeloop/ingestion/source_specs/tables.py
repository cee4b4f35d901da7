"""What a user may write of a source that follows tables as they grow or change."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.field_names import FieldName
from lakeloop.lake.views import REFERENCE

TableName = Annotated[str, Field(pattern=r"^[^/\s:][^:]*$")]


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(repeated)} stands twice; keep one")
    return names


class TablesSource(Declaration):
    """Tables of the lake or Delta tables of a folder: each batch has what came to them since the last one.

    Several tables are united by the names of their columns.
    """

    tables: Annotated[tuple[TableName, ...], Field(min_length=1), AfterValidator(_once)] = Field(
        description="Of the lake as silver.orders; with a folder, paths inside it"
    )
    folder: str | None = Field(default=None, description="Connection of the kind files that has Delta tables")
    changes: bool = Field(
        default=False, description="For tables whose rows change: updates and deletes come, too, by their change feed"
    )
    lacking: tuple[FieldName, ...] = Field(
        default=(), description="Columns that not all tables have; NULL in the rows of those without"
    )
    table_column: FieldName | None = Field(default=None, description="A column for the table that a row came from")
    max_batches: int | None = Field(
        default=None, gt=0, description="Of each table in one batch: its batches or, where it has none, its versions"
    )

    @model_validator(mode="after")
    def _names_tables(self) -> Self:
        if self.folder is None:
            if wrong := [name for name in self.tables if not REFERENCE.fullmatch(name)]:
                raise ValueError(
                    f"'{wrong[0]}' is no table of the lake; write schema.name in lower case, as silver.orders, or name "
                    "the connection of the kind files that has it as `folder`"
                )
        elif wrong := [name for name in self.tables if ".." in name.split("/")]:
            raise ValueError(f"'{wrong[0]}' leads out of the folder; write the path inside it, as crm/customers")
        if self.lacking and len(self.tables) == 1:
            raise ValueError("lacking belongs to several tables; one has all of its columns")
        return self

    @property
    def lake_tables(self) -> frozenset[str]:
        """The tables of the lake that it reads."""
        return frozenset() if self.folder else frozenset(self.tables)

    @property
    def data_sets(self) -> tuple[str, ...]:
        """What the catalog calls each table, in their order."""
        return tuple(f"files:{self.folder}/{name}" if self.folder else name for name in self.tables)

    @property
    def data_set(self) -> None:
        """None: there may be several; `data_sets` has them."""

    @property
    def arriving(self) -> tuple[str, ...]:
        """Empty: only the tables tell."""
        return ()
