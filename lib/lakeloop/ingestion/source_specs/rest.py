"""What a user may write of a source that reads an HTTP API."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration, propose
from lakeloop.core.durations import Duration, Written, parse_wait
from lakeloop.ingestion.field_names import FieldName, FieldNames, distinct_fields
from lakeloop.ingestion.schemas.declaration import SchemaRules
from lakeloop.ingestion.source_specs.jdbc import Cursor
from lakeloop.ingestion.source_specs.pagination import DottedPath, Pagination
from lakeloop.ingestion.source_specs.partitions import Partitions
from lakeloop.ingestion.transforms.allowed import SqlType


def _overlap(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("an overlap is not less than nothing")
        return value
    return parse_wait(value)


class RestField(Declaration):
    """A value of a record, and its type if one is held. In YAML `address.city`, or `{path: age, type: int}`."""

    short_form: ClassVar[JsonSchemaValue | None] = {"type": "string"}

    path: DottedPath
    type: SqlType | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping) else {"path": value}


def _distinct_columns(fields: dict[str, RestField]) -> dict[str, RestField]:
    distinct_fields(list(fields))
    return fields


FieldPaths = Annotated[dict[FieldName, RestField], Field(min_length=1), AfterValidator(_distinct_columns)]


def _form_of_fields(value: Any) -> str:
    return "paths" if isinstance(value, Mapping) else "names"


RestFields = Annotated[
    Annotated[FieldNames, Tag("names")] | Annotated[FieldPaths, Tag("paths")], Discriminator(_form_of_fields)
]


class RestCursor(Cursor):
    """Incremental reading of an API that filters by the cursor itself, from the greatest one read so far on.

    What lies within the overlap comes again, and so does the greatest itself where the API means "at or after"; a
    record that was read before is left out, by `key` and cursor, or by its whole content where no key is declared.
    """

    cursor: DottedPath
    param: str = Field(description="Query parameter that takes the greatest cursor read so far, less the overlap")
    overlap: Annotated[dt.timedelta | int, BeforeValidator(_overlap, json_schema_input_type=int | Written)] = Field(
        default=0, description="How far back is asked again: a length of time, or a number for cursors that are numbers"
    )
    key: tuple[DottedPath, ...] = Field(default=(), description="What identifies a record")
    ahead: Duration | None = Field(
        default=None,
        description="How far ahead of this machine's clock a time may be to be read; left out: 10m, without zone 1d",
    )


class RestSource(Declaration):
    """An API whose answers hold lists of JSON records."""

    rest: str = Field(description="Connection")
    path: str = Field(pattern="^/[^?#]*$", description="Path below the connection's address, without a query")
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict, description="Sent with each request")
    records: str = Field(
        pattern=r"^\$$|^[^.$]+(\.[^.]+)*$", description="Where an answer holds the list; $: the answer is the list"
    )
    explode: DottedPath | None = Field(default=None, description="A list in each record; one record per element then")
    paginate: Pagination | None = None
    incremental: RestCursor | None = None
    partitions: Partitions | None = None
    fields: RestFields | None = Field(default=None, description="Names, or columns with paths; none: inferred once")
    schema_rules: SchemaRules = Field(default=SchemaRules(), alias="schema", description="When answers have others")
    answer_bytes: int = Field(default=64 * 2**20, gt=0, description="Of one answer, unpacked; a larger one is refused")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.partitions is not None and self.partitions.start is not None and self.incremental is not None:
            said = "ranges of time say themselves what is new; leave out incremental, or the ranges"
            raise PydanticCustomError("partitions", "{text}", {"text": said})
        for column in self.schema_rules.renames:
            if self.fields is not None and column not in self.fields:
                said = f"renames: no field '{column}' is declared; {propose(column, list(self.fields))}"
                raise PydanticCustomError("renames", "{text}", {"text": said})
        return self

    @property
    def is_whole(self) -> bool:
        """Whether each reading is one of everything, so that it is always new."""
        return self.incremental is None and (self.partitions is None or self.partitions.start is None)

    @property
    def paths(self) -> dict[str, str]:
        """The path of each declared column; of one that is not here it is its name."""
        declared = self.fields if isinstance(self.fields, Mapping) else {}
        return {column: field.path for column, field in declared.items()}

    @property
    def declared_types(self) -> dict[str, str | None] | None:
        """The declared columns with the types that are held; None where nothing is declared."""
        if self.fields is None:
            return None
        if isinstance(self.fields, Mapping):
            return {column: field.type for column, field in self.fields.items()}
        return dict.fromkeys(self.fields)

    @property
    def data_set(self) -> str:
        """What the catalog calls it."""
        return f"rest:{self.rest}{self.path}"

    @property
    def arriving(self) -> tuple[str, ...]:
        """The columns that it is declared to give; empty where only reading tells."""
        return tuple(self.fields or ())
