"""A schema, and what a file has instead: names in their order, with the types that are known."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Origin = Literal["inferred", "declared", "evolved"]
NESTED = "nested"  # of a file: objects or lists


@dataclass(frozen=True)
class Column:
    """A column of a schema. Without a type it is text, or in a file with types of its own as it stands there."""

    name: str
    type: str | None = None


@dataclass(frozen=True)
class Schema:
    """One version of the columns of a source. `file` is the first that had them, None for those that were declared."""

    version: int
    origin: Origin
    columns: tuple[Column, ...]
    file: str | None = None

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Schema":
        """What `asdict` gave, after a journey through JSON."""
        return cls(**{**values, "columns": tuple(Column(**column) for column in values["columns"])})

    @property
    def names(self) -> list[str]:
        """The columns in their order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column | None:
        """The column of this name; names do not differ by case alone."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)

    def grown(self, columns: tuple[Column, ...], file: str) -> "Schema":
        """The next version with further columns at its end."""
        return Schema(self.version + 1, "evolved", (*self.columns, *columns), file)


@dataclass(frozen=True)
class Found:
    """What one file has. `types` names columns that were looked into, by SQL type or `nested`.

    `for_all_rows`: the names stand in a header or in the file's own schema. `is_whole`: every record was looked at, so
    a name that is not here is in none of them. `is_typed`: the file itself says the types.
    """

    file: str
    names: tuple[str, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    for_all_rows: bool = True
    is_whole: bool = True
    is_typed: bool = False


@dataclass(frozen=True)
class PlannedSchema:
    """The schema of one batch, fixed in its plan. `new` are the versions that it begins, of which the last is its own.

    `aliases` has further names of columns, `lacks` by path the columns that no record of a file had as far as it was
    looked into, `proposals` the likely new name of a column that is absent. `changes` are (change, column, detail).
    """

    schema: Schema
    new: tuple[Schema, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proposals: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[tuple[str, str, str], ...] = ()

    @property
    def as_json(self) -> dict[str, Any]:
        """The same in JSON values; `version` stands beside the rest, for the record."""
        return {"version": self.schema.version, **asdict(self)}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "PlannedSchema":
        """What `as_json` gave, after a journey through JSON."""
        return cls(
            Schema.of_json(values["schema"]),
            tuple(map(Schema.of_json, values["new"])),
            {name: tuple(others) for name, others in values["aliases"].items()},
            {path: tuple(names) for path, names in values["lacks"].items()},
            values["proposals"],
            tuple((change, column, detail) for change, column, detail in values["changes"]),
        )
