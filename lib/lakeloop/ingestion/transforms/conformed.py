"""What walks through the transforms: a frame, what was found wrong with its rows, and the way to earlier rows."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StructType

from lakeloop.core.documents import propose
from lakeloop.core.errors import TableError
from lakeloop.quality import Finding
from lakeloop.quality.judgement import reason
from lakeloop.quality.row_rules.columns import quoted, value_of

DROPPED = "_dropped"  # boolean: another row stands for this one
BECAUSE = "_dropped_because"  # struct of rule and message: the reason of a dropped row

Known = Callable[[], DataFrame | None]


@dataclass(frozen=True)
class Conversion:
    """What becomes of a column; a value that `value` makes NULL is found as `<column>_<reason>`.

    `expected` ends the message. `finding_columns` are what the finding stands for, by default the column alone.
    """

    value: Column
    expected: str
    reason: str = "is_castable"


@dataclass(frozen=True)
class Conformed:
    """A frame on its way from raw to conformed, and what was found wrong with its rows so far.

    `known` gives the good rows that earlier batches recorded, or None where there are none; only who needs them asks.
    """

    frame: DataFrame
    findings: tuple[Finding, ...] = ()
    known: Known | None = None

    def require(self, columns: Sequence[str], step: str) -> None:
        """Raise TableError that names the step for a column that is not there."""
        for column in columns:
            if column not in self.frame.columns:
                there = [name for name in self.frame.columns if not name.startswith("_")]
                raise TableError(f"{step}: no column '{column}' comes from the source; {propose(column, there)}")

    def require_free(self, columns: Sequence[str], step: str) -> None:
        """Raise TableError for a new column whose name is taken; names do not differ by case alone."""
        taken = {name.lower() for name in self.frame.columns}
        for column in columns:
            if column.lower() in taken:
                raise TableError(f"{step}: there is a column '{column}' already; give the new one another name")

    @property
    def is_dropped(self) -> Column:
        """True for rows that an earlier step marked as duplicates."""
        return F.col(DROPPED) if DROPPED in self.frame.columns else F.lit(False)

    @property
    def is_bad(self) -> Column:
        """True for rows that have a finding so far that will quarantine them."""
        severe = (finding.violation.isNotNull() for finding in self.findings if finding.severity != "warn")
        return reduce(operator.or_, severe, F.lit(False))

    def marker(self, name: str) -> str:
        """A name for a column of Lakeloop's own that no column has yet."""
        taken, number = {column.lower() for column in self.frame.columns}, 1
        while (marker := f"_{name}" if number == 1 else f"_{name}_{number}").lower() in taken:
            number += 1
        return marker

    def changed(self, changes: Mapping[str, Column]) -> "Conformed":
        """The same with columns replaced or added, all computed from the frame as it is."""
        return replace(self, frame=self.frame.withColumns(dict(changes)))

    def dropping(self, rule: str, message: Column) -> "Conformed":
        """The same with rows marked as dropped that `message` is not NULL for; the first reason of a row stays."""
        because = F.when(message.isNotNull(), reason(rule, message))
        if BECAUSE in self.frame.columns:
            because = F.coalesce(F.col(BECAUSE), because)
        return self.changed({BECAUSE: because}).changed({DROPPED: F.col(BECAUSE).isNotNull()})

    def found(self, *findings: Finding) -> "Conformed":
        """The same with further findings."""
        return replace(self, findings=(*self.findings, *findings))

    def convert(self, conversions: Mapping[str, Conversion]) -> "Conformed":
        """Convert columns in place; where a value is lost its text stays in a marker, for the message."""
        converted, findings = {}, []
        for column, conversion in conversions.items():
            lost = self.marker(f"{conversion.reason}_{column}")
            converted[column] = (conversion.value, lost)
            findings.append(unexpected(f"{column}_{conversion.reason}", column, lost, conversion.expected))
        return replace(self, frame=convert_columns(self.frame, converted)).found(*findings)


class Step(Protocol):
    """One transform as it was declared."""

    @property
    def writes(self) -> set[str]:
        """The columns that it replaces or adds."""
        ...

    def apply(self, conformed: Conformed) -> Conformed:
        """Carry it out. Raises TableError for a column that is not there."""
        ...


def convert_columns(frame: DataFrame, converted: Mapping[str, tuple[Column, str]]) -> DataFrame:
    """Replace columns by (value, marker): where the value is NULL, the marker gets the text that was there before.

    Two projections, so that Spark computes each value once.
    """
    if not converted:
        return frame
    values = {column: value for column, (value, _) in converted.items()}
    before = {marker: text_of(frame, column) for column, (_, marker) in converted.items()}
    lost = {
        marker: F.when(value_of(column).isNull(), F.col(quoted(marker)))
        for column, (_, marker) in converted.items()
    }  # fmt: skip
    return frame.withColumns(before | values).withColumns(lost)


def text_of(frame: DataFrame, column: str) -> Column:
    """A column as text, one with parts as JSON."""
    is_nested = isinstance(frame.schema[column].dataType, ArrayType | MapType | StructType)
    return F.to_json(value_of(column)) if is_nested else value_of(column).cast("string")


def unexpected(
    name: str, column: str, lost: str, expected: str, columns: Sequence[str] = (), *, blocking: bool = True
) -> Finding:
    """The finding for rows where `lost` holds the text of `column`: `<column>: found <text>, expected <expected>`."""
    shown = F.substring(F.col(quoted(lost)), 1, 200)
    text = F.concat(F.lit(f"{column}: found "), shown, F.lit(f", expected {expected}"))
    violation = F.when(F.col(quoted(lost)).isNotNull(), text)
    return Finding(name, violation, "error", tuple(columns) or (column,), blocking=blocking)


def article(noun: str) -> str:
    """The noun with its article, as a message says it."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
