"""Columns of a database into columns of the lake; a value that the lake cannot hold quarantines its row."""

from collections import Counter
from collections.abc import Sequence

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from lakeloop.core.documents import propose
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.jdbc.dialect import Column
from lakeloop.ingestion.sources.jdbc.order import Order
from lakeloop.ingestion.sources.protocol import require_names
from lakeloop.ingestion.transforms import convert_columns, strict_cast
from lakeloop.ingestion.transforms.conformed import article, unexpected
from lakeloop.quality import Finding
from lakeloop.quality.row_rules.columns import value_of

NOT_FINITE = ("NaN", "Infinity", "-Infinity")
RENAME = "give it another name by `query: SELECT … AS …`"


def converted(rows: DataFrame, columns: Sequence[Column]) -> tuple[DataFrame, tuple[Finding, ...]]:
    """Columns that came as texts in the types of the lake; NULL stays NULL.

    A text that is no such value leaves NULL and is found as `<column>_fits`: infinity where a time is expected, NaN for
    a numeric, a text in a column of integers, where the engine allows one.
    """
    changes, findings = {}, []
    for column in columns:
        if column.becomes is not None:
            lost = f"_unfit_{column.name}"
            changes[column.name] = (_value(column.name, column.becomes), lost)
            findings.append(unexpected(f"{column.name}_fits", column.name, lost, article(column.becomes)))
    return convert_columns(rows, changes), tuple(findings)


def _value(name: str, becomes: str) -> Expression:
    text = value_of(name)
    if becomes == "finite number":  # a text for good, so that no digit goes; `cast` gives it a precision
        return F.when(~text.isin(*NOT_FINITE), text)
    if becomes == "binary":
        return F.unhex(text)
    if becomes.startswith("array<"):
        return F.from_json(text, becomes)
    return strict_cast(name, becomes, StringType())


def require_readable(columns: Sequence[Column], origin: str) -> None:
    """Raise SourceError for names that a table of the lake cannot have; there they do not differ by case alone."""
    names = [column.name for column in columns]
    require_names(names, origin, RENAME)
    taken = Counter(name.lower() for name in names)
    if repeated := [name for name in names if taken[name.lower()] > 1]:
        raise SourceError(f"{origin}: {' and '.join(repeated)} differ by case alone, which no table allows; {RENAME}")


def chosen(columns: Sequence[Column], wanted: Sequence[str] | None, origin: str) -> list[Column]:
    """The columns that are declared, in that order; all where none are. Raises SourceError for an unknown one."""
    return list(columns) if wanted is None else [find_column(columns, name, "columns", origin) for name in wanted]


def find_column(columns: Sequence[Column], name: str, key: str, origin: str) -> Column:
    """The column of a name. Raises SourceError that names the `key` it is declared under and proposes the nearest."""
    found = next((column for column in columns if column.name == name), None)
    if found is None:
        there = [column.name for column in columns]
        raise SourceError(f"{origin} has no column '{name}', which `{key}` names; {propose(name, there)}")
    return found


def require_order(column: Column, key: str, origin: str, allowed: str, orders: Sequence[Order]) -> Order:
    """The order of a column. Raises SourceError where it has none, or none of the `orders`."""
    if column.order is None or column.order not in orders:
        found = f"{column.name}, which is of type {column.type or 'none'}"
        raise SourceError(f"{origin}: `{key}` names {found}; name a column of {allowed}")
    return column.order
