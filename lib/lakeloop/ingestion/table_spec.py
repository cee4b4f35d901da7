"""What a pipeline may say of its tables beyond their rows: what columns mean, who may see them, how long rows stay."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration
from lakeloop.lake.masks import Mask
from lakeloop.lake.tables import REFERENCE

TableReference = Annotated[str, Field(pattern=REFERENCE.pattern)]


class ColumnSpec(Declaration):
    """A column of the sink and, under the same name, of the record in bronze."""

    description: str = ""
    tags: tuple[Literal["pii"], ...] = ()
    mask: Mask | None = Field(default=None, description="What readers without the right see of a pii column")

    @model_validator(mode="after")
    def _masks_what_is_private(self) -> Self:
        if self.mask and not self.is_pii:
            raise PydanticCustomError("columns", "mask belongs to a column with the tag pii; add tags: [pii]")
        return self

    @property
    def is_pii(self) -> bool:
        """Whether the column tells of a person."""
        return "pii" in self.tags


class Keep(Declaration):
    """How long rows and versions stay; what is not named stays for good."""

    days: int | None = Field(default=None, ge=1, description="Rows that came in earlier go")
    by: str | None = Field(default=None, description="For merge: the column that tells the age of a row of the sink")
    quarantined_days: int | None = Field(default=None, ge=1, description="Quarantined rows that came in earlier go")
    versions: int | None = Field(default=None, ge=1, description="The latest versions stay readable")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.days is None and self.quarantined_days is None and self.versions is None:
            raise PydanticCustomError("keep", "keep names at least one of days, quarantined_days, versions")
        if self.by and self.days is None:
            raise PydanticCustomError("keep", "by belongs to days: it is the column that days are counted from")
        return self


def refuse_unkeepable(keep: Keep, sink_mode: str) -> None:
    """Raise where a sink of this mode cannot keep its rows so."""
    if sink_mode == "overwrite" and keep.days is not None:
        raise PydanticCustomError(
            "keep",
            "a table of mode overwrite is replaced as a whole: leave old rows out in its query and keep versions",
        )
    if sink_mode != "merge" and keep.by:
        raise PydanticCustomError("keep", "by belongs to a sink of mode merge; a view follows the record in bronze")
