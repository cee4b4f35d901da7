"""What a pipeline may say of its tables beyond their rows: what columns mean, who may see them, how long rows stay."""

import difflib
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration
from lakeloop.lake.masks import Mask
from lakeloop.lake.views import REFERENCE

PII = "pii"


def _no_misspelt_pii(tag: str) -> str:
    if tag != PII and difflib.get_close_matches(tag.lower().replace("_", ""), [PII], cutoff=0.6):
        raise ValueError(f"a tag '{tag}' would mask nothing; write {PII} for personal data, or another word")
    return tag


Tag = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$"), AfterValidator(_no_misspelt_pii)]
TableReference = Annotated[str, Field(pattern=REFERENCE.pattern)]


class ColumnSpec(Declaration):
    """A column of the sink and, under the same name, of the record in bronze."""

    description: str = ""
    tags: tuple[Tag, ...] = Field(default=(), description="Words; pii marks personal data, which is masked")
    mask: Mask | None = Field(default=None, description="What readers without the right see of a pii column")

    @model_validator(mode="after")
    def _masks_what_is_private(self) -> Self:
        if self.mask and not self.is_pii:
            raise PydanticCustomError("columns", "mask belongs to a column with the tag pii; add tags: [pii]")
        return self

    @property
    def is_pii(self) -> bool:
        """Whether the column tells of a person."""
        return PII in self.tags


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


def refuse_unkeepable(keep: Keep, modes: set[str]) -> None:
    """Raise where tables of these modes cannot keep their rows so."""
    if "overwrite" in modes and keep.days is not None:
        raise PydanticCustomError(
            "keep",
            "a table of mode overwrite is replaced as a whole: leave old rows out in its query and keep versions",
        )
    if "merge" not in modes and keep.by:
        raise PydanticCustomError("keep", "by belongs to a sink of mode merge; a view follows the record in bronze")
