"""What a user may write of a source that joins two tables of the lake that both grow."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration
from lakeloop.core.durations import Wait
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.enrichment.match_spec import Percent
from lakeloop.ingestion.field_names import FieldName
from lakeloop.ingestion.table_spec import TableReference

SideName = Literal["left", "right"]
ALIKE = ("on", "within", "how")
LATE, FAN_OUT, MATCH_RATE = "late", "fan_out", "match_rate"  # what the join finds, as it stands in `ops.rule_results`


class Side(Declaration):
    """One of the two tables, when its rows happened, and what of it comes into the result."""

    table: TableReference
    event_time: FieldName = Field(description="When a row happened: a date or a timestamp; NULL matches nothing")
    delay: Wait | None = Field(
        default=None, description="How much later than the newest row another one may come and still be in time"
    )
    columns: dict[FieldName, FieldName] | None = Field(
        default=None, min_length=1, description="Column of the result: column of the table; by default all"
    )
    prefix: str | None = Field(
        default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="Begins the names of all columns of this side"
    )

    @model_validator(mode="after")
    def _names_columns_one_way(self) -> Self:
        if self.columns and self.prefix:
            raise PydanticCustomError("join", "prefix names all columns and columns names some; a side has one of them")
        return self


class Within(Declaration):
    """How far the right row's event time may lie from the left row's, both ends included."""

    before: Wait = dt.timedelta(0)
    after: Wait = dt.timedelta(0)


class MatchRate(Declaration):
    """The share of left rows that have a partner when their time is up."""

    short_form: ClassVar[JsonSchemaValue | None] = {"type": "string"}

    at_least: Percent
    severity: Literal["warn", "fail"] = Field(default="fail", description="A share is of a batch: no row of it is bad")


class FanOut(Declaration):
    """How many rows one left row may become."""

    short_form: ClassVar[JsonSchemaValue | None] = {"type": "integer"}

    at_most: int = Field(ge=1, strict=True)
    severity: Literal["error", "warn", "fail"] = "error"


def _in_short(key: str) -> BeforeValidator:
    return BeforeValidator(lambda value: value if isinstance(value, Mapping | Declaration) else {key: value})


class Expect(Declaration):
    """What the join should come to: `{match_rate: 90%, fan_out: 3}`, or each with its severity."""

    match_rate: Annotated[MatchRate, _in_short("at_least")] | None = None
    fan_out: Annotated[FanOut, _in_short("at_most")] | None = None

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if self.match_rate is None and self.fan_out is None:
            raise PydanticCustomError("expect", "expect has match_rate, fan_out, or both")
        return self


class Origin(NamedTuple):
    """Where a column of the result comes from."""

    side: SideName
    column: str


class Join(Declaration):
    """Each left row beside every right row of its keys whose event time lies within reach."""

    left: Side
    right: Side
    on: dict[FieldName, FieldName] = Field(min_length=1, description="Column of the left table: column of the right")
    within: Within
    how: Literal["inner", "left"] = Field(
        default="inner", description="left: a row without a partner comes once, with NULLs, when its time is up"
    )

    @model_validator(mode="after")
    def _tells_columns_apart(self) -> Self:
        if self.left.columns and self.right.columns:
            _refuse_clash(self, self.left.columns, self.right.columns)
        return self

    @property
    def definition(self) -> dict[str, Any]:
        """What decides which rows belong together, and which have no partner; it must not change between batches."""
        of_side = {"table", "event_time"}
        return self.model_dump(mode="json", include={"left": of_side, "right": of_side} | dict.fromkeys(ALIKE, True))

    @property
    def sides(self) -> dict[SideName, Side]:
        """Both by name, the left one first."""
        return {"left": self.left, "right": self.right}

    def keys(self, side: SideName) -> list[str]:
        """The key columns of one table, in the order of the other's."""
        return list(self.on if side == "left" else self.on.values())

    def result(self, left: Sequence[str], right: Sequence[str]) -> dict[str, Origin]:
        """The columns of the result, given those of the tables.

        The right's keys are left out unless its `columns` name them: they are equal to the left's. Raises ConfigError
        for a name that both sides would give.
        """
        found: dict[str, Origin] = {}
        named = self.left.columns or {f"{self.left.prefix or ''}{name}": name for name in left}
        keys = set(self.on.values())
        others = self.right.columns or {f"{self.right.prefix or ''}{name}": name for name in right if name not in keys}
        try:
            _refuse_clash(self, named, others)
        except PydanticCustomError as clash:
            raise ConfigError(clash.message()) from clash
        found |= {new: Origin("left", column) for new, column in named.items()}
        return found | {new: Origin("right", column) for new, column in others.items()}


class JoinSource(Declaration):
    """Two tables that grow, joined batch by batch: what is new of either with what the other has."""

    join: Join
    expect: Expect | None = None

    @model_validator(mode="after")
    def _knows_how_long_to_wait(self) -> Self:
        waits = "how: left" if self.join.how == "left" else "expect" if self.expect else None
        if waits and (silent := [name for name, side in self.join.sides.items() if side.delay is None]):
            text = (
                f"{' and '.join(silent)} {'lack' if silent[1:] else 'lacks'} a delay: {waits} needs to know when no "
                "partner can come any more; write how late rows come, as delay: 10m"
            )
            raise PydanticCustomError("join", "{text}", {"text": text})
        return self

    @property
    def inputs(self) -> dict[str, str]:
        """The tables that it reads, by side."""
        return {name: side.table for name, side in self.join.sides.items()}

    @property
    def severities(self) -> dict[str, str]:
        """The findings that it may give, with their severities."""
        found = {LATE: "error"} if self.join.how == "left" else {}
        if self.expect and self.expect.match_rate:
            found[MATCH_RATE] = self.expect.match_rate.severity
        if self.expect and self.expect.fan_out:
            found[FAN_OUT] = self.expect.fan_out.severity
        return found

    @property
    def origin(self) -> str:
        """What stands in `_position`."""
        return f"join of {self.join.left.table} and {self.join.right.table}"

    @property
    def data_set(self) -> None:
        """None: what it reads are tables of the lake."""

    @property
    def data_sets(self) -> tuple[str, ...]:
        """These tables, the left one first."""
        return tuple(self.inputs.values())

    @property
    def lake_tables(self) -> frozenset[str]:
        """The tables of the lake that it reads."""
        return frozenset(self.inputs.values())


def _refuse_clash(join: Join, left: Mapping[str, str], right: Mapping[str, str]) -> None:
    """Raise where both sides would give a column of one name; names do not differ by case alone."""
    mine = {name.lower() for name in left}
    if both := sorted(name for name in right if name.lower() in mine):
        text = (
            f"{join.left.table} and {join.right.table} both give a column {', '.join(both)}; give one side a prefix, "
            "or name its columns, as columns: {order_id: id}"
        )
        raise PydanticCustomError("join", "{text}", {"text": text})
