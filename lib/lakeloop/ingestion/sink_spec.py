"""What a user may write under `sink:`: one table of good rows, or several with a condition each."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.documents import Declaration, propose
from lakeloop.ingestion.event_spec import Events
from lakeloop.ingestion.field_names import FieldNames
from lakeloop.ingestion.table_spec import TableReference
from lakeloop.lake.views import REFERENCE, View
from lakeloop.quality.sql_conditions import Condition, columns_of

NO_ROUTE = "no_route"  # the reason of a row that no route takes
EVERY_ROW = "true"


class Standing(Declaration):
    """How good rows stand in a table."""

    columns: FieldNames | None = Field(default=None, description="The columns of the table; all if none are named")
    mode: Literal["append", "merge", "overwrite"] = "append"
    keys: tuple[str, ...] = Field(
        default=(), description="For merge: what identifies a row; NULLs and repeats are errors"
    )
    sequence_by: str | None = Field(default=None, description="For merge: an older row never replaces a newer one")
    history: Literal["scd2"] | None = Field(default=None, description="Keep every version of a key")
    events: Events | None = Field(default=None, description="Where the good rows of each batch are sent, too")
    change_feed: bool = Field(default=False, description="Delta keeps how rows change, for pipelines that follow it")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mode == "merge") != bool(self.keys):
            raise PydanticCustomError("sink", "keys belong to mode merge, and mode merge needs them")
        if self.sequence_by and self.mode != "merge":
            raise PydanticCustomError("sink", "sequence_by belongs to mode merge")
        if self.history and self.mode != "merge":
            raise PydanticCustomError("sink", "history: scd2 needs mode merge and sequence_by")
        if self.change_feed and self.mode == "append":
            raise PydanticCustomError(
                "sink", "change_feed belongs to a table whose rows change; one of mode append is followed without it"
            )
        wanted = [*self.keys, *([self.sequence_by] if self.sequence_by else [])]
        wanted += [self.events.key] if self.events and self.events.key else []
        if self.columns and (missing := [name for name in wanted if name not in self.columns]):
            text = f"columns leaves out {', '.join(dict.fromkeys(missing))}, which the table needs"
            raise PydanticCustomError("sink", "{text}", {"text": text})
        return self


class Target(Standing):
    """One table that good rows go to; with `where` those that no route before it takes."""

    table: TableReference
    where: Condition | None = None

    @property
    def route(self) -> str | None:
        """What bronze calls the route of its rows; None where all good rows are its own."""
        return None if self.where is None else self.table

    @property
    def looks_at(self) -> tuple[str, ...]:
        """The columns that decide whether it takes a row."""
        return () if self.where is None else columns_of(self.where)

    def view(self, record_table: str, accepted: int) -> View:
        """What it shows where it only grows, once the batches up to `accepted` have been accepted."""
        return View(record_table, accepted, self.route, tuple(self.columns or ()))

    def shown(self, columns: list[str]) -> list[str]:
        """Those of its columns that are among `columns`, in the order in which the table has them."""
        return columns if self.columns is None else [name for name in self.columns if name in columns]


class Route(Target):
    """One entry of `routes`."""

    where: Condition


def _otherwise(value: str) -> str:
    words = ("quarantine", "drop")
    if value not in words and not REFERENCE.fullmatch(value):
        raise ValueError(f"neither a table as silver.others nor a word; {propose(value, list(words))}")
    return value


class Sink(Standing):
    """A table of all good rows; or routes, of which the first whose condition is true takes the row."""

    table: TableReference | None = None
    routes: tuple[Route, ...] | None = Field(default=None, min_length=1)
    otherwise: Annotated[str, AfterValidator(_otherwise)] = Field(
        default="quarantine", description="A row that no route takes: quarantine, drop, or a table for it"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.table is None) == (self.routes is None):
            found = "neither" if self.table is None else "both"
            raise _refused(f"a sink has either a table or routes, found {found}")
        if self.routes is None and "otherwise" in self.model_fields_set:
            raise _refused("otherwise belongs to routes: a table without them takes every good row")
        if self.routes and (stray := sorted(self.model_fields_set & Standing.model_fields.keys())):
            raise _refused(f"{', '.join(stray)}: each route says that for its table")
        return self

    @model_validator(mode="after")
    def _tables_apart(self) -> Self:
        tables = [target.table for target in self.targets]
        if repeated := sorted({table for table in tables if tables.count(table) > 1}):
            raise _refused(f"two routes go to {', '.join(repeated)}; join their conditions by OR")
        modes = {route.mode for route in self.routes or ()}
        if "overwrite" in modes and len(modes) > 1:
            raise _refused(
                "mode overwrite replaces the record with each batch, which the other routes show or are merged from; "
                "give it to all routes or to none"
            )
        return self

    @property
    def targets(self) -> tuple[Target, ...]:
        """The tables, in the order in which they are offered a row."""
        if self.routes is None:
            return (Target(table=self.table or "", **{name: getattr(self, name) for name in Standing.model_fields}),)
        if self.otherwise in ("quarantine", "drop"):
            return self.routes
        mode: Any = "overwrite" if self.routes[0].mode == "overwrite" else "append"
        return (*self.routes, Target(table=self.otherwise, where=EVERY_ROW, mode=mode))

    @property
    def is_replaced(self) -> bool:
        """Whether each batch replaces what came before."""
        return self.targets[0].mode == "overwrite"


def _refused(text: str) -> PydanticCustomError:
    return PydanticCustomError("sink", "{text}", {"text": text})
