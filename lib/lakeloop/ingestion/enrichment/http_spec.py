"""What a user may write under `http:` in an entry of `enrich:`."""

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration
from lakeloop.core.durations import Duration
from lakeloop.ingestion.enrichment.match_spec import Matching
from lakeloop.ingestion.field_names import FIELD_NAME, FieldName
from lakeloop.ingestion.transforms.allowed import SqlType

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def _placeholders(path: str) -> str:
    names = PLACEHOLDER.findall(path)
    if not names or re.search(r"[{}]", PLACEHOLDER.sub("", path)):
        raise ValueError("a path names the key's columns in braces, as /postcodes/{postcode}")
    if wrong := [name for name in names if not re.fullmatch(FIELD_NAME, name)]:
        raise ValueError(f"{', '.join(map(repr, wrong))} is no column name")
    return path


DottedPath = Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$", description="Keys, or positions from 0 in a list")]


class AnswerField(Declaration):
    """A value of the answer and what it is to become. In YAML `place.lat`, or `{path: place.lat, type: double}`."""

    short_form: ClassVar[JsonSchemaValue | None] = {"type": "string"}

    path: DottedPath
    type: SqlType = "string"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping) else {"path": value}


class Cache(Declaration):
    """For how long an answer stands before the service is asked again."""

    ttl: Duration
    negative_ttl: Duration | None = Field(default=None, description="For keys the service does not know; default: ttl")


class HttpLookup(Matching):
    """Fields of the JSON object that a service answers for a key; each key is asked for once."""

    rest: str = Field(description="Connection")
    path: Annotated[str, Field(pattern="^/"), AfterValidator(_placeholders)] = Field(
        description="Path below the connection's address; {column} stands for a value, percent-encoded"
    )
    columns: dict[FieldName, AnswerField] = Field(min_length=1, description="New column: value of the answer")
    cache: Cache
    timeout_seconds: float = Field(default=2, gt=0, description="For one request from its start to its last byte")
    concurrency: int = Field(default=4, ge=1, le=64)
    give_up_after: int = Field(default=5, ge=1, description="Keys in a row without an answer; the rest falls back")
    max_new_keys: int = Field(default=10_000, ge=1, description="Keys of one batch that are not in the cache")
    fallback: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="New column: its value where the service gives no answer; default: NULL"
    )

    @model_validator(mode="after")
    def _fallback_fits(self) -> Self:
        for column, value in self.fallback.items():
            if column not in self.columns:
                text = f"fallback: '{column}' is not one of the columns {', '.join(self.columns)}"
                raise PydanticCustomError("fallback", "{text}", {"text": text})
            if not _is_a(self.columns[column].type, as_text(value)):
                text = f"fallback: {column} is of type {self.columns[column].type}, and {value!r} is not"
                raise PydanticCustomError("fallback", "{text}", {"text": text})
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the batch that stand in the path, in order, each once."""
        return tuple(dict.fromkeys(PLACEHOLDER.findall(self.path)))

    @property
    def paths(self) -> list[str]:
        """The dotted paths that are read of an answer, sorted, each once."""
        return sorted({field.path for field in self.columns.values()})


def as_text(value: str | float | bool) -> str:
    """A declared value as Spark writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_a(sql_type: str, text: str) -> bool:
    try:
        match sql_type:
            case "string":
                return True
            case "boolean":
                return text in ("true", "false")
            case "date":
                return bool(dt.date.fromisoformat(text))
            case "timestamp":
                return bool(dt.datetime.fromisoformat(text))
            case "int" | "bigint":
                return bool(re.fullmatch(r"[+-]?\d+", text))
            case _:
                return Decimal(text).is_finite()
    except (ValueError, InvalidOperation):
        return False
