"""What a user may write under `schema:` of a files source."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.field_names import FieldName, FieldNames, distinct_fields
from lakeloop.ingestion.transforms.allowed import SqlType

Mode = Literal["evolve", "freeze", "rescue", "fail"]


def _distinct_names(types: dict[str, str]) -> dict[str, str]:
    distinct_fields(list(types))
    return types


def _distinct_targets(renames: dict[str, str]) -> dict[str, str]:
    taken = [name.lower() for name in renames.values()]
    if repeated := sorted({name for name in renames.values() if taken.count(name.lower()) > 1}):
        raise ValueError(f"{', '.join(repeated)} is the new name of two columns; keep one")
    return renames


FieldTypes = Annotated[dict[FieldName, SqlType], Field(min_length=1), AfterValidator(_distinct_names)]


def _form_of_fields(value: Any) -> str:
    return "types" if isinstance(value, Mapping) else "names"


Fields = Annotated[
    Annotated[FieldNames, Tag("names")] | Annotated[FieldTypes, Tag("types")], Discriminator(_form_of_fields)
]


class SchemaRules(Declaration):
    """What becomes of a file whose columns are not those of the schema; docs/schemas.md has the table.

    Where nothing is declared a known column is frozen and one that is not known is rescued, so that a row that lacks
    something is quarantined and nothing that came is lost.
    """

    evolution: Mode | None = Field(default=None, description="For all columns that `columns` does not name")
    columns: dict[str, Mode] = Field(default_factory=dict, description="Of single columns, known or still unknown")
    renames: Annotated[dict[FieldName, str], AfterValidator(_distinct_targets)] = Field(
        default_factory=dict, description="Column: the name that it has in newer files"
    )

    def mode_of_known(self, column: str) -> Mode:
        """What holds for a column of the schema; names do not differ by case alone."""
        return self._named.get(column.lower(), self.evolution or "freeze")

    def is_declared(self, column: str) -> bool:
        """Whether a mode was declared for a column, by name or for all."""
        return self.evolution is not None or column.lower() in self._named

    def mode_of_new(self, column: str) -> Mode:
        """What holds for a column that the schema lacks."""
        return self._named.get(column.lower(), self.of_new)

    @property
    def of_new(self) -> Mode:
        """What holds for columns that the schema lacks, unless they are named."""
        return self.evolution or "rescue"

    @property
    def modes_of_new(self) -> set[Mode]:
        """Every mode that may hold for a column that the schema lacks."""
        return {self.of_new, *self.columns.values()}

    @property
    def _named(self) -> dict[str, Mode]:
        return {name.lower(): mode for name, mode in self.columns.items()}
