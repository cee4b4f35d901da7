"""Transforms: declared, pure steps from raw to conformed columns. None of them loses a row.

A value that cannot be converted becomes NULL and a finding that quarantines its row; a duplicate is only marked.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, RootModel, model_validator
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, NumericType

from lakeloop.core.documents import Declaration, propose, unknown_key
from lakeloop.core.errors import TableError
from lakeloop.quality import Finding
from lakeloop.quality.rules import quoted, value_of

DROPPED = "_dropped"
SIMPLE_TYPES = ("boolean", "int", "bigint", "float", "double", "string", "date", "timestamp")
DECIMAL = re.compile(r"^decimal\(\s*\d{1,2}\s*,\s*\d{1,2}\s*\)$")

NUMBER = re.compile(r"^(tinyint|smallint|int|bigint|float|double|decimal\(.*\))$")
WHITE_SPACE = " \t\n\v\f\r\u00a0\u2007\u202f\ufeff"

# Spark reads '2025' and '12:30' as timestamps too; a declared date or timestamp must at least name a day.
NAMES_A_DAY = r"^\d{4}-\d{2}-\d{2}"
ONLY_A_DAY = r"^\d{4}-\d{2}-\d{2}$"
JAVA_NUMBER = r"(?i)[\d.][df]\s*$|0x"  # '12d', '12f' and '0x1p3' are numbers in Java's eyes only


def _known_type(value: str) -> str:
    if value not in SIMPLE_TYPES and not DECIMAL.match(value):
        raise ValueError(f"'{value}' is no type; {propose(value, [*SIMPLE_TYPES, 'decimal(10,2)'])}")
    return value


SqlType = Annotated[str, AfterValidator(_known_type)]


@dataclass(frozen=True)
class Conformed:
    """A frame on its way from raw to conformed, and what was found wrong with its rows so far."""

    frame: DataFrame
    findings: tuple[Finding, ...] = ()

    def require(self, columns: Sequence[str], step: str) -> None:
        """Raise TableError that names the step for a column that is not there."""
        for column in columns:
            if column not in self.frame.columns:
                there = [name for name in self.frame.columns if not name.startswith("_")]
                raise TableError(f"{step}: no column '{column}' comes from the source; {propose(column, there)}")


class Trim(RootModel[list[str]]):
    """`trim: [a, b]`: white space around a text goes; a text of nothing else becomes NULL."""

    model_config = {"frozen": True}

    def apply(self, conformed: Conformed) -> Conformed:
        """Trim the columns in place."""
        conformed.require(self.root, "trim")
        trimmed = {column: F.btrim(value_of(column).cast("string"), F.lit(WHITE_SPACE)) for column in self.root}
        changes = {column: F.when(value != "", value) for column, value in trimmed.items()}
        return Conformed(conformed.frame.withColumns(changes), conformed.findings)


class Cast(RootModel[dict[str, SqlType]]):
    """`cast: {a: int}`: convert, and quarantine the row as `a_is_castable` where the value is no such thing."""

    model_config = {"frozen": True}

    def apply(self, conformed: Conformed) -> Conformed:
        """Cast the columns in place; the original value stands in the message."""
        conformed.require(list(self.root), "cast")
        frame, findings = conformed.frame, list(conformed.findings)
        for column, sql_type in self.root.items():
            lost = f"_uncast_{column}"
            converted = strict_cast(column, sql_type, frame.schema[column].dataType)
            original = value_of(column)
            frame = frame.withColumn(lost, F.when(converted.isNull(), original.cast("string"))).withColumn(
                column, converted
            )
            findings.append(uncastable(f"{column}_is_castable", column, lost, sql_type))
        return Conformed(frame, tuple(findings))


Constant = Annotated[dict[Literal["constant"], str | int | float | bool], Field(min_length=1)]


class Impute(RootModel[dict[str, Constant]]):
    """`impute: {a: {constant: 0}}`: put a declared value where the value is NULL."""

    model_config = {"frozen": True}

    def apply(self, conformed: Conformed) -> Conformed:
        """Fill the columns in place, in their own type. Raises TableError for a constant that is not of that type."""
        conformed.require(list(self.root), "impute")
        types = dict(conformed.frame.dtypes)
        constants = {column: how["constant"] for column, how in self.root.items()}
        filled = {
            column: F.coalesce(value_of(column), F.lit(constant).cast(types[column]))
            for column, constant in constants.items()
        }
        texts = conformed.frame.sparkSession.createDataFrame([tuple(str(value) for value in constants.values())])
        typed = texts.select(
            *(F.expr(f"try_cast(_{i} AS {types[c]})") for i, c in enumerate(constants, start=1))
        ).first()
        for value, (column, constant) in zip(typed or (), constants.items(), strict=True):
            if value is None:
                raise TableError(f"impute: {column} is of type {types[column]}, and the constant {constant!r} is not")
        return Conformed(conformed.frame.withColumns(filled), conformed.findings)


class Dedupe(Declaration):
    """`dedupe: {keys: [id], latest_by: updated_at}`: of the rows of a key in one batch one is kept, the rest dropped.

    The kept row is the latest by `latest_by` (NULL is oldest); ties and a missing `latest_by` are decided by the row's
    content, so the choice does not depend on the order of arrival. Rows with a NULL in the key are no duplicates.
    """

    keys: list[str] = Field(min_length=1)
    latest_by: str | None = None

    def apply(self, conformed: Conformed) -> Conformed:
        """Mark the rows to drop in the column `_dropped`."""
        wanted = [*self.keys, *([self.latest_by] if self.latest_by else [])]
        conformed.require(wanted, "dedupe")
        frame = conformed.frame
        content = [value_of(name) for name in frame.columns if not name.startswith("_")]
        order: list[Column] = [
            F.xxhash64(*content),
            *([F.xxhash64("_position")] if "_position" in frame.columns else []),
        ]
        if self.latest_by:
            order.insert(0, value_of(self.latest_by).desc_nulls_last())
        if DROPPED in frame.columns:
            order.insert(0, F.col(DROPPED))  # what is gone already does not stand for its key
        whole = [value_of(key).isNotNull() for key in self.keys]
        rank = F.row_number().over(Window.partitionBy(*(value_of(key) for key in self.keys)).orderBy(*order))
        repeated = rank > 1
        for present in whole:
            repeated = repeated & present
        earlier = F.col(DROPPED) if DROPPED in frame.columns else F.lit(False)
        return Conformed(frame.withColumn(DROPPED, earlier | repeated), conformed.findings)


KINDS: Mapping[str, type[Trim | Cast | Impute | Dedupe]] = {
    "trim": Trim,
    "cast": Cast,
    "impute": Impute,
    "dedupe": Dedupe,
}


class Transform(Declaration):
    """One entry of `transforms`: a mapping with the kind as its only key."""

    trim: Trim | None = None
    cast: Cast | None = None
    impute: Impute | None = None
    dedupe: Dedupe | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or len(value) != 1:
            raise ValueError("a transform is one entry 'kind: parameters'")
        if (kind := next(iter(value))) not in KINDS:
            raise unknown_key(str(kind), list(KINDS), "transform")
        return value

    @property
    def step(self) -> Trim | Cast | Impute | Dedupe:
        """The one transform that is declared."""
        step = self.trim or self.cast or self.impute or self.dedupe
        assert step is not None
        return step


def conform(conformed: Conformed, transforms: Sequence[Transform]) -> Conformed:
    """Apply transforms in order."""
    for transform in transforms:
        conformed = transform.step.apply(conformed)
    return conformed


def strict_cast(column: str, sql_type: str, source: DataType) -> Column:
    """A cast that gives NULL where the value is no such thing; `source` is the type it has.

    Without Spark's lenient readings of dates and Java's of numbers; a number with a fraction is no integer. What is
    not a number is read by its text, so every type can be tried.
    """
    if isinstance(source, NumericType) and NUMBER.match(sql_type):
        number = F.expr(f"try_cast({quoted(column)} AS {sql_type})")
        return F.when(number == value_of(column), number) if sql_type.endswith("int") else number
    text = value_of(column).cast("string")
    converted = F.expr(f"try_cast(CAST({quoted(column)} AS string) AS {sql_type})")
    if sql_type in ("float", "double"):
        return F.when(~text.rlike(JAVA_NUMBER), converted)
    if sql_type == "timestamp":
        return F.when(text.rlike(NAMES_A_DAY), converted)
    if sql_type == "date":
        moment = F.expr(f"try_cast(CAST({quoted(column)} AS string) AS timestamp)")
        return F.when(text.rlike(ONLY_A_DAY) | (text.rlike(NAMES_A_DAY) & moment.isNotNull()), converted)
    return converted


def uncastable(name: str, column: str, lost: str, sql_type: str) -> Finding:
    """The finding for values that a cast lost; `lost` holds the original where the cast gave NULL."""
    article = "an" if sql_type[0] in "aeiou" else "a"
    text = F.concat(
        F.lit(f"{column}: found "), F.substring(F.col(quoted(lost)), 1, 200), F.lit(f", expected {article} {sql_type}")
    )
    return Finding(name, F.when(F.col(quoted(lost)).isNotNull(), text), "error", (column,), blocking=True)
